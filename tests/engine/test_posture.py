"""The audit on a real engine: for each check that this engine can decide a container or an image that
fails it and one that passes, by what the kernel shows where it runs; and the continuous audit.
"""

import calendar
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest
import urllib.parse

import host
import posture_pairs as pairs
import threads_only
from auditing import Auditing
from posture_pairs import SECRET, SLEEP
from test_chain import BINARY

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import sarif  # noqa: E402


class Table(Auditing):
    """The list of checks is what the audit itself prints."""

    def test_each_check_fails_and_passes_somewhere(self):
        self.container("one", SLEEP)
        known = {check for target, _, check in self.rows() if target in ("container", "image")}
        self.assertGreater(len(known), 80)
        shown = pairs.shown()
        self.assertEqual(known - shown - pairs.UNSHOWN.keys(), set())
        self.assertEqual((shown | pairs.UNSHOWN.keys()) - known, set())
        self.assertEqual(shown & pairs.UNSHOWN.keys(), set())
        for name in pairs.ELSEWHERE.values():
            self.assertEqual(unittest.defaultTestLoader.loadTestsFromName(name).countTestCases(), 1)
        self.assertTrue(all(pairs.UNSHOWN.values()))
        self.notes.append(f"{len(shown)} of {len(known)} checks shown both ways")

    def test_each_practice_has_a_check_that_works(self):
        """By the page on which people look a practice up."""
        page = subprocess.run([BINARY, "check", "--print", "posture"], capture_output=True,
                              text=True, check=True).stdout
        practices = dict(re.findall(r"^\| ([AB]\d): [^|]+ \| (.+) \|$", page, re.M))
        self.assertEqual(sorted(practices), [f"A{i}" for i in range(1, 10)] +
                         [f"B{i}" for i in range(1, 7)])
        self.assertEqual([code for code, checks in practices.items()
                          if not set(re.findall(r"`(\w+)`", checks)) & pairs.shown()], [])


class Audit(Auditing):
    """One shot."""

    def test_each_container_check(self):
        repository, tag = pairs.DATABASE.split(":")
        self.engine.post(f"/images/{self.engine.IMAGE}/tag?repo={repository}&tag={tag}")
        self.addCleanup(self.engine.request, "DELETE", f"/images/{pairs.DATABASE}",
                        ok=(200, 404, 409))
        # Many pairs have one half in common.
        made, subjects = {}, {}
        for check, (start, *both) in pairs.CONTAINERS.items():
            for word, config in zip(("fail", "pass"), both):
                name = made.setdefault(json.dumps([start, config]), f"{check}-{word}")
                if name == f"{check}-{word}":
                    self.make(name, start, config)
                subjects[check, word] = name
        host.await_that("what some of them do first is done", lambda: all(
            self.engine.inspect(name)["State"]["Running"] and
            len(self.engine.get(f"/containers/{name}/top")["Processes"]) >= 1
            for name in ("sshd_running-fail", "secret_file_perms-fail")))

        def judged():
            rows = self.rows()
            wrong = {}
            for (check, word), name in subjects.items():
                row = rows["container", name, check]
                if row["status"] != word:
                    wrong[check, word] = (row["status"], row["message"])
            self.assertEqual(wrong, {})
            return True
        host.await_that("every verdict is the expected one", judged, 20)
        self.notes.append(f"{len(pairs.CONTAINERS)} checks of containers")

    def commit(self, name, command, changes):
        container = self.engine.create(f"of-{name}", SLEEP, Cmd=command.split(" "))
        query = urllib.parse.urlencode(
            [("container", container), ("repo", name), ("tag", "1")] +
            [("changes", change) for change in changes])
        self.engine.post(f"/commit?{query}", {})
        self.engine.remove(container)
        self.addCleanup(self.engine.request, "DELETE", f"/images/{name}:1?force=1",
                        ok=(200, 404))

    def test_each_image_check(self):
        expected = {}
        for table in (pairs.IMAGES, pairs.HISTORIES):
            for check, both in table.items():
                for word, what in zip(("fail", "pass"), both):
                    if what is None:
                        continue
                    name = f"{check}-{word}".replace("_", "-")
                    if table is pairs.IMAGES:
                        self.commit(name, "true", what)
                    else:
                        # The history tells the command of the container, as that of a build.
                        self.commit(name, what, ())
                    expected[name] = (check, word)
        wrong = {}
        for name, (check, word) in expected.items():
            row = self.rows("--image", f"{name}:1")["image", f"{name}:1", check]
            if row["status"] != word:
                wrong[name] = (row["status"], row["message"])
        self.assertEqual(wrong, {})

    def test_moved_tags_are_seen(self):
        self.commit("moved", "true", ())
        container = self.engine.create("old", SLEEP, Image="moved:1")
        self.addCleanup(self.engine.remove, container)
        checks = ("container", "old", "image_ref_mutated"), ("image", "moved:1", "image_stale_tag")
        rows = self.rows()
        self.assertEqual([rows[check]["status"] for check in checks], ["pass", "pass"])
        self.commit("moved", "false", ())
        rows = self.rows()
        self.assertEqual([rows[check]["status"] for check in checks], ["fail", "fail"])

    def test_networks(self):
        networks = ["everyone", "second", "third"]
        for network in networks:
            made = self.engine.post("/networks/create", {"Name": network})["Id"]
            self.addCleanup(self.engine.request, "DELETE", f"/networks/{made}")
        for i in range(6):
            self.container(f"member{i}", SLEEP, HostConfig={"NetworkMode": "everyone"})
        checks = "network_fanout", "network_multi_homed"
        rows = self.rows()
        self.assertEqual([rows["container", "member0", check]["status"] for check in checks],
                         ["fail", "pass"])
        self.container("stranger", SLEEP, HostConfig={"NetworkMode": "second"})
        for network in networks[1:]:
            self.engine.post(f"/networks/{network}/connect", {"Container": "member0"})
        rows = self.rows()
        self.assertEqual([rows["container", "member0", check]["status"] for check in checks],
                         ["pass", "fail"])

    def test_scopes_and_forms(self):
        self.container("asked", SLEEP)
        self.container("other", SLEEP)
        self.assertEqual({name for _, name, _ in self.rows("--container", "asked")}, {"asked"})
        both = self.rows("--container", "asked", "--container", "other")
        self.assertEqual({name for _, name, _ in both}, {"asked", "other"})
        done = self.audit("--container", "nobody", code=(2,))
        self.assertIn("not there", done.stderr)
        self.audit("--image", "nobody:1", code=(2,))
        sarif.check(json.loads(self.audit("--format", "sarif").stdout))
        rows = self.rows()
        self.assertEqual(rows["daemon", "engine", "engine_seccomp"]["status"], "pass")
        self.assertEqual(rows["daemon", "engine", "icc"]["status"], "pass")  # nobody is on it
        self.assertEqual(rows["daemon", "engine", "engine_log_level"]["status"], "pass")
        self.assertNotEqual(rows["host", "host", "docker_partition"]["status"], "unknown")

    def test_what_is_executed(self):
        """An exec is known to the engine from its making until a while after its end."""
        container = self.container("executed", SLEEP, User="12345")
        checks = "exec_privileged", "exec_root"
        rows = self.rows("--container", "executed")
        self.assertEqual([rows["container", "executed", check]["status"] for check in checks],
                         ["pass", "pass"])
        for more in ({"Privileged": True}, {"User": "root"}):
            self.engine.post(f"/containers/{container}/exec", {"Cmd": ["true"], **more})
        rows = self.rows("--container", "executed")
        self.assertEqual([rows["container", "executed", check]["status"] for check in checks],
                         ["fail", "fail"])

    def test_labels_waive_where_the_operator_lets_them(self):
        self.container("labelled", SLEEP, Labels={"audit.waive": "user_nonroot, memory_limit"})
        config = self.directory / "tallyman.yml"
        for text, status in (("{}", "fail"), ("posture: {waiver_label: audit.waive}", "waived")):
            config.write_text(text)
            rows = self.rows("--container", "labelled", "--config", str(config))
            for check in ("user_nonroot", "memory_limit"):
                self.assertEqual(rows["container", "labelled", check]["status"], status)
            self.assertEqual(rows["container", "labelled", "readonly_rootfs"]["status"], "fail")

    def test_hostile_containers(self):
        """Links out of the root, pipes under the names that are read, folders without an end: the
        audit ends, and shows nothing of the host."""
        self.container("hostile", "mkfifo /run/x; mkdir -p /run /etc; rm -f /etc/os-release; "
                       "ln -s /proc/1/environ /etc/os-release; ln -s / /run/secrets; "
                       "mkfifo /id_rsa; cd /tmp; i=0; while [ $i -lt 60 ]; do mkdir d; cd d; "
                       f"i=$((i + 1)); done; touch /done; {SLEEP}")
        host.await_that("it has made its traps", lambda: self.engine.request(
            "HEAD", "/containers/hostile/archive?path=/done") == "")
        rows = self.rows()
        self.assertEqual(rows["container", "hostile", "readonly_rootfs"]["status"], "fail")

    def test_no_process_can_be_started(self):
        """The program asks no library for a way to do so."""
        names = subprocess.run(["nm", "-D", "--undefined-only", "--format=posix", BINARY],
                               capture_output=True, text=True, check=True).stdout
        imported = {line.split()[0].split("@")[0] for line in names.splitlines() if line}
        self.assertIn("openat64", imported)  # names are as they are thought to be
        starters = re.compile(r"v?fork|clone|exec(l|v)\w*|posix_spawnp?|system|popen|uv_spawn")
        self.assertEqual({name for name in imported if starters.fullmatch(name)}, set())


class Continuous(Auditing):
    """What `tallyman run` does all the time."""

    def failed(self, agent, name):
        return {dict(labels)["check"] for (family, labels), _ in agent.metrics().items()
                if family == "posture_check_failed" and dict(labels).get("name") == name}

    def test_a_container_is_judged_as_it_comes_and_changes(self):
        agent = self.agent(posture={"sweep": "1h"}).start()
        host.await_that("the first sweep is over", lambda: agent.values(
            "posture_last_sweep_timestamp_seconds"))
        self.assertEqual(self.failed(agent, "late"), set())
        container = self.container("late", SLEEP)
        host.await_that("it is judged", lambda: "readonly_rootfs" in self.failed(agent, "late"))
        self.assertNotIn("default_bridge", self.failed(agent, "late"))
        # A network says nothing of itself in the inventory.
        other = self.container("bridged", SLEEP, HostConfig={"NetworkMode": "bridge"})
        host.await_that("its network is seen",
                        lambda: "default_bridge" in self.failed(agent, "bridged"))
        self.engine.post("/networks/bridge/disconnect", {"Container": other})
        host.await_that("it left the network, and is judged again",
                        lambda: self.failed(agent, "bridged") and
                        "default_bridge" not in self.failed(agent, "bridged"))
        self.engine.remove(container)
        host.await_that("it is gone", lambda: not self.failed(agent, "late"))
        findings = json.loads(agent.get("/api/v1/findings"))
        self.assertEqual(findings["version"], 1)
        self.assertEqual({row["name"] for row in findings["findings"]
                          if row["target"] == "container"}, {"bridged"})
        self.assertTrue(0 < agent.value("posture_score") < 100)
        fails = sum(row["status"] == "fail" for row in findings["findings"])
        host.await_that("the sums are those of the findings", lambda: sum(
            agent.values("posture_checks", status="fail")) == fails)

    def test_what_listens_after_a_restart(self):
        """As many sockets as before, but another port."""
        container = self.container(
            "listens", "port=22; [ -e /again ] || port=8080; touch /again; exec httpd -f -p $port -h /tmp")
        agent = self.agent(posture={"sweep": "1h"}).start()
        host.await_that("it is judged", lambda: "undeclared_listener" in
                        self.failed(agent, "listens"))
        self.assertNotIn("sshd_running", self.failed(agent, "listens"))
        self.engine.post(f"/containers/{container}/restart?t=0")
        host.await_that("the other port is seen", lambda: "sshd_running" in
                        self.failed(agent, "listens"))

    def test_the_age_of_images(self):
        self.container("aged", SLEEP)
        agent = self.agent().start()
        image = self.engine.IMAGE
        value = host.await_that("the image is known", lambda: agent.value(
            "image_created_timestamp_seconds", image=image))
        created = self.engine.get(f"/images/{image}/json")["Created"]
        self.assertEqual(int(value),
                         calendar.timegm(time.strptime(created[:19], "%Y-%m-%dT%H:%M:%S")))

    def test_changes_are_recorded(self):
        receiver = self.receiver()
        agent = host.Agent(BINARY, self.directory, self.engine, receiver.address,
                           posture={"sweep": "1h", "records": True, "waivers": [
                               {"checks": ["user_nonroot"], "containers": ["told"],
                                "reason": "a test"}]})
        self.addCleanup(self.end, agent)
        agent.start()
        container = self.container("told", SLEEP, Env=[f"DB_PASSWORD={SECRET}"],
                                   HostConfig={"NetworkMode": "bridge"})

        def told(check):
            return [row["record"] for row in receiver.records(container)
                    if row["tag"] == "tallyman.finding" and row["record"]["check"] == check]
        host.await_that("the findings arrive", lambda: told("default_bridge"))
        first = told("default_bridge")[0]
        self.assertEqual((first["status"], first["previous"], first["container_name"]),
                         ("fail", "none", "told"))
        self.assertEqual(told("user_nonroot")[0]["status"], "waived")
        self.assertEqual(agent.values("posture_check_waived", name="told", check="user_nonroot"),
                         [1])
        self.assertEqual(told("privileged"), [])  # it passes, and that is no news
        self.engine.post("/networks/bridge/disconnect", {"Container": container})
        host.await_that("the change arrives", lambda: len(told("default_bridge")) == 2)
        self.assertEqual((told("default_bridge")[1]["status"], told("default_bridge")[1]["previous"]),
                         ("pass", "fail"))
        self.assertNotIn(SECRET, receiver.file.read_text())

    def test_a_restart_tells_only_what_changed(self):
        receiver = self.receiver()
        agent = host.Agent(BINARY, self.directory, self.engine, receiver.address,
                           posture={"sweep": "1h", "records": True})
        self.addCleanup(self.end, agent)

        def told(*containers):
            return [(row["record"]["name"], row["record"]["check"], row["record"]["previous"],
                     row["record"]["status"]) for row in receiver.records()
                    if row["tag"] == "tallyman.finding" and
                    (not containers or row["record"].get("container_id") in containers)]

        def restart():
            agent.start()
            host.await_that("all is judged", lambda: agent.values(
                "posture_last_sweep_timestamp_seconds"))
        bridged = {"HostConfig": {"NetworkMode": "bridge"}}
        lasting, other, going = (self.container(name, SLEEP, **bridged)
                                 for name in ("lasting", "other", "going"))
        restart()
        host.await_that("the findings arrive", lambda: {
            name for name, check, _, _ in told() if check == "default_bridge"} == {
                "lasting", "other", "going"})
        agent.stop()
        self.engine.remove(going)
        self.engine.post("/networks/bridge/disconnect", {"Container": other})
        new = self.container("new", SLEEP, **bridged)
        before = len(told())
        restart()
        # It comes behind all that the sweep has to tell.
        self.engine.post("/networks/bridge/disconnect", {"Container": lasting})
        host.await_that("the change arrives",
                        lambda: ("lasting", "default_bridge", "fail", "pass") in told())
        self.assertEqual([row for row in told()[before:] if row[0] != "new"], [
            ("other", "default_bridge", "fail", "pass"),
            ("lasting", "default_bridge", "fail", "pass")])
        self.assertEqual({previous for _, _, previous, _ in told(new)}, {"none"})
        # Killed before it has judged anything, it forgets nothing either.
        agent.stop()
        before = len(told())
        agent.start()
        agent.kill()
        restart()
        self.engine.post("/networks/bridge/connect", {"Container": other})
        host.await_that("the change arrives",
                        lambda: ("other", "default_bridge", "pass", "fail") in told())
        self.assertEqual(told()[before:], [("other", "default_bridge", "pass", "fail")])

    def test_the_cost_of_a_sweep(self):
        """Containers that run; the audit looks at each in procfs. It is told to the kernel that
        whoever starts a process is killed."""
        self.assertEqual(subprocess.run([*threads_only.WRAPPER, "sh", "-c", "true & wait"],
                                        check=False).returncode, -signal.SIGSYS)
        count = int(os.environ.get("TALLYMAN_TEST_SWEEP", "30"))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for container in pool.map(lambda i: self.engine.run(f"many{i}", SLEEP), range(count)):
                self.addCleanup(self.engine.remove, container)
        config = self.settings(state_dir=str(self.directory / "state"))
        agent = self.agent(posture={"sweep": "10s"}).start(threads_only.WRAPPER)
        host.await_that("two sweeps are over", lambda: agent.value(
            "tallyman_posture_judged_total") >= 2 * (count + 3))
        self.assertEqual(agent.value("tallyman_posture_incomplete_total"), 0)
        self.assertEqual(len(agent.values("container_state", state="running")), count)
        metrics = {name: value for (name, _), value in agent.metrics().items()}
        sweep = (metrics["tallyman_posture_cpu_seconds_total"] * 1000 * (count + 3) /
                 metrics["tallyman_posture_judged_total"])
        self.assertEqual(agent.stop(), 0)
        with subprocess.Popen([*threads_only.WRAPPER, BINARY, "audit", "--format", "json",
                               "--config", config], stdout=subprocess.PIPE,
                              env={**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}"}) as \
                audit:
            report = json.load(audit.stdout)
            _, status, usage = os.wait4(audit.pid, 0)
            audit.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(audit.returncode, 1)
        live = [row["status"] for row in report["findings"]
                if row["target"] == "container" and row["check"] == "runtime_uid_nonroot"]
        self.assertEqual(live, ["fail"] * count)  # each was looked at where it runs
        whole = (usage.ru_utime + usage.ru_stime) * 1000
        self.notes.append(f"{count} running containers: {sweep:.0f} ms of CPU for a sweep's reading "
                          f"and judging, {whole:.0f} ms for `tallyman audit` as a whole")
