"""`tallyman audit` on what `docker inspect` printed: its forms, exit codes and complaints. What needs
an engine is in tests/engine.

usage: test_audit.py BINARY
"""

import copy
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[1]))
import runner  # noqa: E402
import sarif  # noqa: E402
import test_commands  # noqa: E402
from test_commands import Case, tallyman  # noqa: E402

SECRET = "hunter22hunter22"
CONTAINER = {
    "Id": "ab" * 32, "Name": "/web <&\"'é", "Image": "sha256:" + "cd" * 32,
    "Args": [], "State": {"Running": False}, "Mounts": [],
    "Config": {"Image": "nginx", "User": "", "Env": [f"DB_PASSWORD={SECRET}"], "Labels": {}},
    "HostConfig": {"Privileged": True, "PidMode": "", "CapAdd": None, "NetworkMode": "bridge"},
    "NetworkSettings": {"Networks": {}},
}
# Nothing fails with more than low.
TIDY = {
    "Id": "ef" * 32, "Name": "/tidy", "State": {"Running": False, "Health": {"Status": "healthy"}},
    "Mounts": [], "NetworkSettings": {"Networks": {"own": {}}},
    "Config": {"Image": "nginx@sha256:" + "cd" * 32, "User": "10001", "Env": []},
    "HostConfig": {"Privileged": False, "ReadonlyRootfs": True, "CapDrop": ["ALL"],
                   "SecurityOpt": ["no-new-privileges"], "Memory": 1 << 26, "MemorySwap": 1 << 26,
                   "NanoCpus": 500000000, "PidsLimit": 100, "PidMode": "", "IpcMode": "private",
                   "UTSMode": "", "CgroupnsMode": "private", "NetworkMode": "own",
                   "MaskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
                   "ReadonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/proc/bus"],
                   "LogConfig": {"Type": "local"}, "PublishAllPorts": False},
}
IMAGE = {"Id": "sha256:" + "cd" * 32, "RepoTags": ["nginx:1"], "RepoDigests": [],
         "Created": "2020-01-01T00:00:00Z", "Size": 1000, "Config": {"User": ""},
         "RootFS": {"Layers": []}}


class Audit(Case):
    def audit(self, objects, *arguments, **more):
        path = self.write("inspect.json", json.dumps(objects))
        return tallyman("audit", "--inspect", str(path), *arguments, **more)

    def rows(self, objects, *arguments, **more):
        result = self.audit(objects, "--format", "json", *arguments, **more)
        self.assertIn(result.returncode, (0, 1), result.stderr)
        return {(row["name"], row["check"]): row for row in json.loads(result.stdout)["findings"]}

    def waive(self, text):
        path = self.write("tallyman.yml", text)
        return ["--config", str(path)]

    def test_json_has_the_members_of_the_contract(self):
        result = self.audit([CONTAINER, IMAGE], "--format", "json")
        self.expect(result, 1)
        report = json.loads(result.stdout)
        self.assertEqual(report["version"], 1)
        self.assertEqual(report["tool"]["name"], "tallyman")
        self.assertEqual({row["target"] for row in report["findings"]}, {"container", "image"})
        for row in report["findings"]:
            for key in ("check", "cis", "severity", "target", "id", "name", "image", "status",
                        "message", "remediation"):
                self.assertIsInstance(row[key], str, row)
            self.assertIn(row["status"], ("pass", "fail", "na", "unknown", "waived"))
            self.assertTrue(row["message"] and row["remediation"], row)
        counted = sum(sum(of.values()) for of in report["summary"].values())
        self.assertEqual(counted, len(report["findings"]))
        self.assertTrue(0 <= report["score"] <= 100)
        row = next(row for row in report["findings"] if row["check"] == "privileged")
        self.assertEqual((row["status"], row["severity"], row["cis"], row["name"], row["id"]),
                         ("fail", "critical", "5.5", "web <&\"'é", "ab" * 32))

    def test_no_form_shows_a_secret(self):
        for form in ("table", "json", "sarif", "junit"):
            result = self.audit([CONTAINER], "--format", form, "--all")
            self.assertIn("DB_PASSWORD", result.stdout)
            self.assertNotIn(SECRET, result.stdout + result.stderr)

    def test_sarif_keeps_the_rules(self):
        waived = self.waive("posture: {waivers: [{checks: [privileged], reason: 'it is \"so\"'}]}\n")
        result = self.audit([CONTAINER, TIDY, IMAGE], "--format", "sarif", *waived)
        self.expect(result, 1)
        log = json.loads(result.stdout)
        sarif.check(log)
        results = {r["ruleId"]: r for r in log["runs"][0]["results"]
                   if r["locations"][0]["logicalLocations"][0]["name"].startswith("web")}
        self.assertEqual(results["privileged"]["suppressions"][0]["justification"], 'it is "so"')
        self.assertEqual(results["user_nonroot"]["level"], "error")
        self.assertEqual(results["user_nonroot"]["suppressions"], [])
        self.assertTrue(log["runs"][0]["invocations"][0]["toolExecutionNotifications"])

    def test_the_rules_can_be_broken(self):
        """The validation itself: each of these changes is refused."""
        log = json.loads(self.audit([CONTAINER], "--format", "sarif").stdout)
        sarif.check(log)
        for change in (lambda r: r.pop("message"), lambda r: r.update(level="bad"),
                       lambda r: r.update(more=1), lambda r: r.update(ruleIndex=0, ruleId="x"),
                       lambda r: r["locations"][0]["physicalLocation"]["artifactLocation"].update(
                           uri="a b")):
            broken = copy.deepcopy(log)
            change(broken["runs"][0]["results"][0])
            with self.assertRaises(AssertionError):
                sarif.check(broken)

    def test_junit_is_xml_that_adds_up(self):
        result = self.audit([CONTAINER, TIDY], "--format", "junit")
        self.expect(result, 1)
        root = xml.etree.ElementTree.fromstring(result.stdout)
        for suite in root.iter("testsuite"):
            cases = list(suite.iter("testcase"))
            self.assertEqual(int(suite.get("tests")), len(cases))
            self.assertEqual(int(suite.get("failures")), len(list(suite.iter("failure"))))
            self.assertEqual(int(suite.get("skipped")), len(list(suite.iter("skipped"))))
        self.assertEqual({suite.get("name") for suite in root.iter("testsuite")},
                         {"web <&\"'é", "tidy"})

    def test_severity_decides_the_exit_code(self):
        self.expect(self.audit([CONTAINER], "--fail-on", "critical"), 1)
        self.expect(self.audit([TIDY], "--fail-on", "medium"), 0)
        self.expect(self.audit([TIDY]), 1)  # some are low

    def test_waivers_are_seen_and_end(self):
        for ends, status in (("2199-01-01", "waived"), ("2020-01-01", "fail")):
            rows = self.rows([CONTAINER, TIDY], *self.waive(
                "posture:\n  waivers:\n  - {checks: [priv*], containers: ['web*'], reason: known,"
                f" expires: '{ends}'}}\n"))
            row = rows["web <&\"'é", "privileged"]
            self.assertEqual(row["status"], status)
            self.assertEqual(row.get("waiver"),
                             {"reason": "known", "expires": ends} if status == "waived" else None)
        for choice, status in (("containers: [other]", "fail"), ("images: [ngin?]", "waived"),
                               ("images: [redis]", "fail")):
            rows = self.rows([CONTAINER], *self.waive(
                f"posture: {{waivers: [{{checks: [privileged], {choice}, reason: known}}]}}\n"))
            self.assertEqual(rows["web <&\"'é", "privileged"]["status"], status, choice)

    def test_all_waived_is_clean(self):
        waived = self.waive("posture: {waivers: [{checks: ['*'], reason: for this test}]}\n")
        result = self.audit([CONTAINER], *waived)
        self.expect(result, 0)
        self.assertIn("waived: for this test", result.stdout)

    def test_wrong_waivers_are_refused(self):
        for text, said in (("checks: [privilegd], reason: x", "did you mean `privileged`"),
                           ("checks: [privileged]", "reason"),
                           ("checks: [privileged], reason: x, expires: tomorrow", "2026-12-31")):
            result = self.audit([CONTAINER],
                                *self.waive(f"posture: {{waivers: [{{{text}}}]}}\n"))
            self.expect(result, 2)
            self.assertIn(said, result.stderr)

    def test_colour_is_for_terminals(self):
        path = self.write("inspect.json", json.dumps([CONTAINER]))
        for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            primary, secondary = pty.openpty()
            process = subprocess.Popen(
                [test_commands.BINARY, "audit", "--inspect", str(path)], stdout=secondary,
                stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, **environment})
            os.close(secondary)
            text = b""
            try:
                while piece := os.read(primary, 65536):
                    text += piece
            except OSError:
                pass  # the other end is closed: all was read
            os.close(primary)
            self.assertEqual(process.wait(60), 1)
            self.assertEqual(b"\033[" in text, coloured)
            self.assertIn(b"privileged", text)
        self.assertNotIn("\033", self.audit([CONTAINER]).stdout)

    def test_lines_are_broken(self):
        result = self.audit([CONTAINER, IMAGE], "--all")
        longest = max((line for line in result.stdout.splitlines()[:-1]), key=len)
        self.assertLessEqual(len(longest), 100, longest)

    def test_names_cannot_steer_a_terminal(self):
        hostile = copy.deepcopy(CONTAINER)
        hostile["Name"] = "/\x1b[31mred\nline"
        hostile["Config"]["User"] = "root\x1b[2J:x"
        hostile["Config"]["Image"] = "a\x07b"
        result = self.audit([hostile], "--all")
        self.assertFalse(re.search("[\x00-\x08\x0b-\x1f\x7f]", result.stdout))

    def test_what_is_no_inspect(self):
        for text, said in (("", "empty"), ("[", "JSON"), ("[]", "nothing to judge"),
                           ('[{"a":1}]', "item 1 is neither"), ("3", "")):
            path = self.write("bad.json", text)
            result = tallyman("audit", "--inspect", str(path))
            self.expect(result, 2)
            self.assertIn(said, result.stderr)
            self.assertIn("bad.json", result.stderr)
        result = tallyman("audit", "--inspect", str(self.folder / "absent.json"))
        self.expect(result, 2)
        self.assertIn("absent.json", result.stderr)

    def test_without_an_engine(self):
        result = tallyman("audit", env={"DOCKER_HOST": f"unix://{self.folder}/none.sock"})
        self.expect(result, 2)
        self.assertIn("none.sock", result.stderr)
        self.assertIn("does not answer", result.stderr)
        self.assertIn("is it running", result.stderr)

    def test_wrong_arguments(self):
        for arguments, said in ((["--format", "xml"], "xml"), (["--fail-on", "info"], "info"),
                                (["--image", "a", "--container", "b"], "only one")):
            result = tallyman("audit", *arguments)
            self.expect(result, 2)
            self.assertIn(said, result.stderr)


if __name__ == "__main__":
    test_commands.BINARY = os.path.abspath(sys.argv.pop(1))
    runner.main()
