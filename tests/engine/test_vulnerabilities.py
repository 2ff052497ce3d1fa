"""Reports of scanners beside a real engine: joined to the images of its containers, as metrics and as
findings of the audit."""

import json
import os
import subprocess
import time

import host
from test_chain import BINARY, Chain

SLEEP = "exec sleep 1000"
NOW = "2026-07-01T00:00:00Z"


def trivy(image_id, *rows):
    return {"SchemaVersion": 2, "ArtifactName": "whatever", "CreatedAt": NOW,
            "Metadata": {"ImageID": image_id, "OS": {"EOSL": True}},
            "Results": [{"Target": "os", "Vulnerabilities": [
                {"VulnerabilityID": cve, "PkgName": package, "Severity": severity,
                 "FixedVersion": fixed} for cve, package, severity, fixed in rows]}]}


class Vulnerabilities(Chain):
    def setUp(self):
        super().setUp()
        self.reports = self.directory / "reports"
        self.reports.mkdir()

    def put(self, name, report):
        text = report if isinstance(report, str) else json.dumps(report)
        half = self.reports / f".{name}"
        half.write_text(text)
        half.rename(self.reports / name)

    def image_id(self):
        return self.engine.get(f"/images/{self.engine.IMAGE}/json")["Id"]

    def test_reports_become_metrics_and_findings(self):
        self.container("scanned", SLEEP)
        agent = self.agent(vulnerabilities={"directory": str(self.reports), "interval": "1h"},
                           posture={"sweep": "10s"}).start()
        image = self.engine.IMAGE
        host.await_that("the image is known as never scanned", lambda: agent.value(
            "image_unscanned", image=image) == 1)
        self.put("busybox.json", trivy(
            self.image_id(), ("CVE-1", "libssl", "CRITICAL", "2"),
            ("CVE-1", "libcrypto", "CRITICAL", ""), ("CVE-2", "zlib", "HIGH", "")))
        host.await_that("the report is read", lambda: agent.value(
            "image_unscanned", image=image) == 0)
        self.assertEqual(agent.value("image_vulnerabilities", image=image, severity="critical",
                                     fixable="true"), 1)
        self.assertEqual(sum(agent.values("image_vulnerability_rows", image=image,
                                          severity="critical")), 2)
        self.assertEqual(agent.value("image_vulnerabilities", image=image, severity="high",
                                     fixable="false"), 1)
        self.assertEqual(agent.value("image_scan_info", image=image, scanner="trivy"), 1)
        self.assertEqual(agent.values("image_scan_info", image=image, match="id"), [1])
        self.assertEqual(agent.value("image_scan_timestamp_seconds", image=image), 1782864000)

        def findings():
            return {row["check"]: row["status"]
                    for row in json.loads(agent.get("/api/v1/findings"))["findings"]
                    if row["target"] == "image" and row["name"] == image}
        host.await_that("the audit knows of it", lambda: findings()["image_scanned"] == "pass")
        self.assertEqual(findings()["image_vulns_fixable"], "fail")
        self.assertEqual(findings()["image_eol_os"], "fail")

    def test_bad_reports_disturb_nothing(self):
        self.container("scanned", SLEEP)
        self.put("good.json", trivy(self.image_id()))
        for name, text in (("broken.json", '{"SchemaVersion":2,'), ("old.json", "[]"),
                           ("deep.json", "[" * 1000), ("other.json", "{}")):
            self.put(name, text)
        agent = self.agent(vulnerabilities={"directory": str(self.reports)}).start()
        host.await_that("the good one is read", lambda: agent.value(
            "image_unscanned", image=self.engine.IMAGE) == 0)
        self.assertEqual(agent.value("image_scan_parse_errors_total"), 4)
        said = [line for line in agent.program.said().splitlines() if "vulnerabilities" in line]
        for name in ("broken.json", "old.json", "deep.json", "other.json"):
            self.assertEqual(len([line for line in said if name in line]), 1, said)

    def test_each_check_of_scans(self):
        """Three images: one was scanned lately and is clean, one long ago and is not, one never."""
        ids = {}
        for name in ("clean", "bad", "unknown"):
            query = f"container={self.container(name, SLEEP)}&repo={name}&tag=1"
            ids[name] = self.engine.post(f"/commit?{query}", {})["Id"]
            self.addCleanup(self.engine.request, "DELETE", f"/images/{name}:1?force=1")
        today = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.put("clean.json", {**trivy(ids["clean"]), "CreatedAt": today})
        self.put("bad.json", {**trivy(ids["bad"], ("CVE-1", "x", "CRITICAL", "2")),
                              "CreatedAt": "2020-01-01T00:00:00Z"})
        config = self.directory / "tallyman.yml"
        config.write_text(json.dumps({"vulnerabilities": {"directory": str(self.reports)}}))

        def verdicts(name):
            done = subprocess.run(
                [BINARY, "audit", "--config", str(config), "--format", "json", "--image",
                 f"{name}:1"], capture_output=True, text=True, timeout=60, check=False,
                env={**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}"})
            rows = {row["check"]: row["status"] for row in json.loads(done.stdout)["findings"]}
            return [rows[check] for check in ("image_scanned", "image_scan_age",
                                              "image_vulns_fixable")]
        self.assertEqual(verdicts("clean"), ["pass", "pass", "pass"])
        self.assertEqual(verdicts("bad"), ["pass", "fail", "fail"])
        self.assertEqual(verdicts("unknown")[0], "fail")

    def test_one_shot(self):
        self.container("scanned", SLEEP)
        self.put("good.json", trivy(self.image_id(), ("CVE-1", "x", "CRITICAL", "2")))
        config = self.directory / "tallyman.yml"
        config.write_text(json.dumps({"vulnerabilities": {"directory": str(self.reports)}}))
        done = subprocess.run(
            [BINARY, "audit", "--config", str(config), "--format", "json", "--image",
             self.engine.IMAGE], capture_output=True, text=True, timeout=60,
            env={**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}"}, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        rows = {row["check"]: row for row in json.loads(done.stdout)["findings"]}
        self.assertEqual(rows["image_scanned"]["status"], "pass")
        self.assertIn("1 critical", rows["image_vulns_fixable"]["message"])
        self.assertEqual(rows["image_vulns_fixable"]["severity"], "critical")
