"""The image and the flags of deploy/ on a real engine: the agent in a container sees the others, ships
their lines, is healthy, and says what it lacks where it is given less."""

import json
import os
import pathlib
import re
import unittest
import urllib.request

import deployment
import host
from auditing import Auditing
from test_chain import BINARY, Chain

SLEEP = "exec sleep 1000"
PORT = 10191
LIMITS = ("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "PidsLimit",
          "Ulimits")

UNLIMITED = {"memory_limit", "memory_reservation", "swap_limit", "cpu_limit", "cpu_shares",
             "pids_limit"}


class Deployed(Auditing):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.root / "build"
        folder.mkdir()
        said = cls.engine.post(f"/build?t={deployment.service()['Image']}",
                               deployment.build_context(BINARY, folder), kind="application/x-tar")
        if "Successfully built" not in said:
            raise AssertionError(said)

    def tallyman(self, name="tallyman", change=lambda body: None, **more):
        """The agent's container, of the compose file."""
        body = {**deployment.placed(deployment.service(), self.engine,
                                    f"state-{self.id().rsplit('.', 1)[-1]}"), **more}
        body["HostConfig"]["NetworkMode"] = "monitoring"
        for key in LIMITS:  # there may be neither controllers nor rights here; the VM has both
            del body["HostConfig"][key]
        # The image's own check, at a pace for tests.
        body["Healthcheck"] = {"Interval": 2 * 10 ** 9, "Timeout": 2 * 10 ** 9}
        change(body)
        container = self.engine.create(name, "", **body)
        self.addCleanup(self.engine.remove, container)
        self.engine.post(f"/containers/{container}/start")
        return container

    def setUp(self):
        super().setUp()
        network = self.engine.post("/networks/create", {"Name": "monitoring"})["Id"]
        self.addCleanup(self.engine.request, "DELETE", f"/networks/{network}", ok=(204, 403, 404))
        os.chmod(self.engine.socket, 0o660)

    def said(self, container):
        return deployment.printed(self.engine, container)

    def health(self, container):
        return self.engine.inspect(container)["State"]["Health"]["Status"]

    def await_health(self, container):
        try:
            host.await_that("it is healthy", lambda: self.health(container) == "healthy")
        except AssertionError as error:
            self.fail(f"{error}\n{self.said(container)}")

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as reply:
            return host.parse_metrics(reply.read().decode())

    def test_numbers_lines_and_health(self):
        self.make("fluentd", True, deployment.receiver(deployment.service()))
        agent = self.tallyman()
        self.await_health(agent)
        speaker = self.container("speaker", f"echo one; echo two >&2; {SLEEP}", HostConfig={
            "NetworkMode": "monitoring"})
        host.await_that("the lines arrive", lambda: deployment.received(
            self.engine, "fluentd", speaker) == {("stdout", "one"), ("stderr", "two")})

        def seen():
            families = {name for name, labels in self.metrics()
                        if dict(labels).get("name") == "speaker"}
            return {"container_cpu_usage_seconds_total", "container_state",
                    "container_network_receive_bytes_total", "container_last_seen"} <= families
        host.await_that("its numbers are there", seen)
        self.assertEqual(self.engine.inspect(agent)["Config"]["User"], "10191:10191")
        status = (pathlib.Path("/proc") / str(self.engine.inspect(agent)["State"]["Pid"]) /
                  "status").read_text()
        self.assertRegex(status, r"\nUid:\t10191\t10191\t10191\t10191\n")
        self.assertRegex(status, r"\nCapEff:\t0000000000080004\n")
        layers = {dict(labels)["layer"]: value for (name, labels), value in self.metrics().items()
                  if name == "tallyman_sandbox_enabled"}
        # Whether there is Landlock is the kernel's and the engine's own filter's to say.
        self.assertEqual({layer for layer, on in layers.items() if on} - {"landlock"},
                         {"capabilities", "no_new_privs", "seccomp"}, self.said(agent))
        # What there is to say: its address; the engine here is not at the root of the host's
        # cgroups, and there is no Alertmanager.
        said = [line for line in self.said(agent).splitlines()
                if re.search(r"level=(warn|error)", line) and not re.search(
                    r"without TLS|alertmanager|--cgroupns=host", line)]
        self.assertEqual(said, [])

    def test_it_passes_its_own_audit(self):
        agent = self.tallyman()
        self.await_health(agent)
        config = str(deployment.COMPOSE.parent / "tallyman.yml")
        rows = {row["check"]: row for row in json.loads(self.audit(
            "--container", "tallyman", "--config", config, "--format", "json").stdout)["findings"]}
        failed = {check for check, row in rows.items() if row["status"] == "fail"}
        self.assertEqual(failed, UNLIMITED)
        waived = [row["waiver"]["reason"] for row in rows.values() if row["status"] == "waived"]
        self.assertTrue(waived and all(waived))
        self.audit("--container", "tallyman", "--config", config, "--fail-on", "high", code=(0,))

    def test_what_it_lacks_is_said_once(self):
        """No rights at all; then all but the folder of the logs."""
        def take_rights(body):
            body["HostConfig"].update(CapAdd=[], PidMode="", CgroupnsMode="private", GroupAdd=[])

        def take_folder(body):
            body["HostConfig"]["Binds"] = [bind for bind in body["HostConfig"]["Binds"]
                                           if "/containers:" not in bind]
        for name, change, parts in (
                ("poor", take_rights, ("belong to the group of that socket",
                                       "without CAP_DAC_READ_SEARCH", "without CAP_SYS_PTRACE",
                                       "--cgroupns=host", "--pid=host")),
                ("blind", take_folder, ("the engine's log files cannot be seen",))):
            agent = self.tallyman(name, change)
            self.await_health(agent)
            host.await_that(f"{name} says what it lacks", lambda agent=agent, parts=parts: all(
                part in self.said(agent) for part in parts))
            for part in parts:
                self.assertEqual(self.said(agent).count(part), 1, part)
            self.engine.remove(agent)
