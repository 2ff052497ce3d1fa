"""The agent as systemd's service, from the shipped unit and with exactly its rights."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import unittest
import urllib.request

import host
import house

UNIT = "tallyman.service"
CONFIG = pathlib.Path("/etc/tallyman/tallyman.yml")
DROP_IN = pathlib.Path(f"/run/systemd/system/{UNIT}.d/test.conf")
PORT = 10191
EXPOSURE_MAX = 2.5
LOOK_PACE = 0.5  # each look takes a program or a scrape
SLEEP = "exec sleep 100000"


def systemctl(*arguments):
    return house.command("systemctl", *arguments)


def property_of(name, unit=UNIT):
    return systemctl("show", "--value", "--property", name, unit).strip()


def journal():
    """What the agent has said since its last start."""
    return house.command("journalctl", "--no-pager", "--output=cat",
                         f"_SYSTEMD_INVOCATION_ID={property_of('InvocationID')}")


class Installed(unittest.TestCase):
    """What the package brought."""

    def test_it_runs_since_it_was_installed(self):
        for name, value in ("ActiveState", "active"), ("SubState", "running"), (
                "UnitFileState", "enabled"), ("Type", "notify"):
            self.assertEqual(property_of(name), value)
        self.assertRegex(property_of("StatusText"), r"^Watching \d+ containers?$")
        self.assertEqual(property_of("UnitFileState", "tallyman.socket"), "disabled")

    def test_the_units_are_valid(self):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", UNIT, "tallyman.socket"],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
        said = [line for line in done.stdout.splitlines() if "tallyman" in line]
        self.assertEqual((done.returncode, said), (0, []), done.stdout)

    def test_the_exposure_is_low(self):
        text = house.command("systemd-analyze", "security", "--no-pager", UNIT)
        found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", text)
        self.assertLess(float(found[1]), EXPOSURE_MAX, text)
        self.notes = [f"exposure {found[1]}"]

    def test_the_example_configuration_is_valid(self):
        house.command(house.BINARY, "check", str(CONFIG))
        status = CONFIG.stat()
        self.assertEqual((status.st_mode & 0o777, status.st_uid), (0o640, 0))
        # Every example in it, switched on.
        text = re.sub(r"^#(?=\S)", "", CONFIG.read_text(), flags=re.M)
        text = re.sub(r"^ *config_file:.*\n", "", text, flags=re.M)
        self.assertIn("\nforward:\n", text)
        copy = pathlib.Path("/tmp/example.yml")
        copy.write_text(text)
        house.command(house.BINARY, "check", str(copy))


class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = house.engine()

    def setUp(self):
        self.notes = []
        systemctl("stop", UNIT)
        self.directory = self.enterContext(host.scratch())
        self.addCleanup(self.put_back, CONFIG.read_text())

    @staticmethod
    def put_back(text):
        systemctl("stop", UNIT, "tallyman.socket")
        CONFIG.write_text(text)  # keeps owner and mode

    @staticmethod
    def configure(**config):
        CONFIG.write_text(json.dumps({"logs": {"from": "beginning"},
                                      "collect": {"interval": "1s"}, "docker": house.PATIENCE,
                                      **config}))

    @staticmethod
    def add(more):
        """Has `more` in the unit's section, and nothing else beside what was shipped. systemd takes
        long to read all of its files again, so it does only when they differ."""
        text = f"[Service]\n{more}\n" if more else ""
        if text == (DROP_IN.read_text() if DROP_IN.exists() else ""):
            return
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        DROP_IN.write_text(text)
        systemctl("daemon-reload")

    def start(self, more="", **config):
        """Starts the service with a configuration and with what `more` adds to its section."""
        self.configure(**config)
        self.add(more)
        try:
            systemctl("start", UNIT)  # returns when the agent has said that it is ready
        except subprocess.CalledProcessError:
            self.fail(house.command("journalctl", "--no-pager", "-n", "60", "-u", UNIT))
        return int(property_of("MainPID"))

    def receiver(self):
        receiver = host.Receiver(house.BINARY, self.directory).start()
        self.addCleanup(receiver.stop)
        return receiver

    def container(self, name, script, **config):
        container = self.engine.run(name, script, **config)
        self.addCleanup(self.engine.remove, container)
        return container

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as reply:
            return host.parse_metrics(reply.read().decode())

    def values(self, family, **labels):
        return [value for (name, have), value in self.metrics().items()
                if name == family and set(labels.items()) <= have]

    def test_numbers_and_lines_with_the_rights_of_the_unit(self):
        receiver = self.receiver()
        container = self.container("speaker", f"echo one; echo two >&2; {SLEEP}", HostConfig={
            "NetworkMode": "bridge"})
        pid = self.start(forward=[{"name": "test", "servers": [receiver.address],
                                   "flush_interval": "100ms"}])
        host.await_that("the lines have arrived", lambda: receiver.lines(container) == ["one"] and
                        receiver.lines(container, "stderr") == ["two"])
        # Ready means that every collector had its first look, so all of this is there.
        for family in ("container_memory_usage_bytes", "container_cpu_usage_seconds_total",
                       "container_last_seen", "container_network_receive_bytes_total"):
            self.assertEqual(len(self.values(family, name="speaker")), 1, family)
        self.assertEqual(self.values("container_state", name="speaker", state="running"), [1])
        self.assertEqual(self.values("tallyman_docker_up"), [1])
        # And as which user, with which rights.
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        user = house.command("id", "-u", "tallyman").strip()
        self.assertEqual(set(re.search(r"^Uid:(.*)$", status, re.M)[1].split()), {user})
        effective = int(re.search(r"^CapEff:\s*(\w+)$", status, re.M)[1], 16)
        self.assertEqual(effective, 1 << 2 | 1 << 19)  # CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE
        self.assertRegex(property_of("StatusText"), r"^Watching \d+ containers?$")
        # An engine that is slow, as everything is here, is no lack of rights.
        self.assertEqual([line for line in journal().splitlines() if re.search(
            r"level=(warn|error)", line) and not re.search(r"does not answer|timed out", line)], [])

    def test_it_comes_back_when_it_was_killed(self):
        receiver = self.receiver()
        # Reading ends without a line where it began before a writer had closed.
        container = self.container("counting", "i=0; mkfifo /go; while :; do "
                                   "read x </go && i=$((i+1)) && echo $i; done")
        pid = self.start(forward=[{"name": "test", "servers": [receiver.address],
                                   "flush_interval": "100ms"}])
        self.make_line(container)
        host.await_that("the first line has arrived", lambda: receiver.lines(container) == ["1"])
        os.kill(pid, signal.SIGKILL)
        self.make_line(container)
        host.await_that("it is back", lambda: self.is_back(pid), pace=LOOK_PACE)
        host.await_that("the second line has arrived", lambda: receiver.lines(container)[-1:] == [
            "2"])
        self.assertEqual(property_of("NRestarts"), "1")

    def make_line(self, container):
        fifo = pathlib.Path(f"/proc/{self.engine.inspect(container)['State']['Pid']}/root/go")
        host.await_that("the container waits", fifo.is_fifo)
        fifo.write_text("\n")

    @staticmethod
    def is_back(pid):
        return property_of("ActiveState") == "active" and property_of("MainPID") not in (
            "0", str(pid))

    def test_the_watchdog_ends_an_agent_that_hangs_and_no_other(self):
        pid = self.start("WatchdogSec=6s")
        told = set()

        def is_told_again():
            told.add(property_of("WatchdogTimestampMonotonic"))
            return len(told) >= 4
        host.await_that("the watchdog was told three times", is_told_again, pace=LOOK_PACE)
        self.assertEqual(int(property_of("MainPID")), pid)
        os.kill(pid, signal.SIGSTOP)
        host.await_that("systemd has started another one", lambda: self.is_back(pid),
                        pace=LOOK_PACE)
        said = house.command("journalctl", "--no-pager", "--output=cat", "-u", UNIT)
        self.assertIn("Watchdog timeout", said)

    def test_a_reload_takes_effect_and_a_broken_one_does_not(self):
        """Without a restart; what is refused is said, and what was in force stays."""
        pid = self.start(rules={"builtin": False})
        self.assertEqual(self.groups(), set())
        self.configure(rules={"builtin": True})
        systemctl("reload", UNIT)
        host.await_that("the rules are there", self.groups, pace=LOOK_PACE)
        self.assertEqual(self.values("tallyman_config_last_reload_successful"), [1])
        for mistake, words in (({"rules": {"interval": "never"}}, "`never` is not a duration"),
                               ({"logs": {"line_max": "128KiB"}}, "line_max")):
            self.configure(**mistake)
            systemctl("reload", UNIT)
            host.await_that("it is refused", lambda: self.values(
                "tallyman_config_last_reload_successful") == [0], pace=LOOK_PACE)
            said = journal()
            self.assertRegex(said, rf"level=error .*{words}")
            self.assertTrue(self.groups())
            self.assertEqual(property_of("ActiveState"), "active")
            self.configure()
            systemctl("reload", UNIT)
            host.await_that("another one is not", lambda: self.values(
                "tallyman_config_last_reload_successful") == [1], pace=LOOK_PACE)
        self.assertEqual(int(property_of("MainPID")), pid)
        self.assertEqual(property_of("NRestarts"), "0")

    @staticmethod
    def groups():
        """The names of the groups of rules in force."""
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/rules", timeout=60) as reply:
            return {group["name"] for group in json.load(reply)["data"]["groups"]}

    def test_a_stop_is_clean(self):
        pid = self.start()
        systemctl("stop", UNIT)
        self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())
        self.assertEqual(property_of("Result"), "success")
        self.assertEqual(property_of("ExecMainStatus"), "0")

    def test_why_it_does_not_start_stands_in_its_status(self):
        with socket.create_server(("127.0.0.1", PORT)):
            with contextlib.suppress(AssertionError):
                self.start("Restart=no")
        self.assertIn("127.0.0.1:10191", property_of("StatusText"))
        self.assertEqual(property_of("ActiveState"), "failed")

    def test_systemd_holds_the_address_while_it_restarts(self):
        systemctl("start", "tallyman.socket")
        pid = self.start(web={"listen": ["systemd"]})
        self.assertTrue(self.metrics())
        os.kill(pid, signal.SIGKILL)
        # Nobody is refused meanwhile: the answer only comes a little later.
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/healthy", timeout=60) as reply:
            self.assertEqual(reply.status, 200)
        self.assertNotEqual(int(property_of("MainPID")), pid)

    def test_what_is_lost_without_a_right_is_said(self):
        """Neither the engine's group nor any capability."""
        container = self.container("hidden", f"echo nobody reads this; {SLEEP}")
        receiver = self.receiver()
        self.start("SupplementaryGroups=\nAmbientCapabilities=\nCapabilityBoundingSet=",
                   forward=[{"name": "test", "servers": [receiver.address]}])
        self.assertTrue([1 for name, labels in self.metrics()
                         if name == "container_memory_usage_bytes" and
                         container in dict(labels)["id"]])
        said = journal().splitlines()
        for part in ("belong to the group of that socket", "without CAP_DAC_READ_SEARCH",
                     "without CAP_SYS_PTRACE"):
            self.assertEqual(len([line for line in said if part in line]), 1, said)
