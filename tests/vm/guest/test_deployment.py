"""The agent's image with exactly the flags of deploy/, limits included, which are enforced here: it is
healthy, sees the others, ships their lines, and passes its own audit."""

import json
import pathlib
import subprocess

import deployment
import host
import house
import kernel
import runner

MIB = 1 << 20
FILES = pathlib.Path("/srv/tests/image")  # made outside, where it takes a moment
PORT = 10192  # of this machine; on the other the service listens
NETWORK = "monitoring"
# What an image lacks that was built here and that no registry has got yet.
UNPUBLISHED = {"image_local_build", "image_official", "image_pinned_digest"}


def last_words(container):
    done = subprocess.run(["docker", "logs", "--tail", "40", container], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return f"---- {container[:12]} ----\n{done.stdout}"


class Served(host.Agent):
    """An agent that others started, as far as it can be asked."""

    def __init__(self, port):
        self.port = port


class Deployed(house.Beside):
    OFF = ("container_hugetlb_",)

    @classmethod
    def setUpClass(cls):
        cls.engine = house.engine()
        cls.agent = Served(PORT)
        cls.body = json.loads((FILES / "service.json").read_text())
        said = cls.engine.post(f"/build?t={cls.body['Image']}",
                               (FILES / "context.tar").read_bytes(), kind="application/x-tar")
        if "Successfully built" not in said:
            raise AssertionError(said)
        cls.engine.post("/networks/create", {"Name": NETWORK})
        cls.receiver = cls.start("fluentd", deployment.receiver(cls.body))
        body = deployment.placed(cls.body, cls.engine, "state")
        body["HostConfig"]["NetworkMode"] = NETWORK
        body["HostConfig"]["PortBindings"]["10191/tcp"][0]["HostPort"] = str(PORT)
        # As far as its interval lets it: a program takes seconds to start here.
        body["Healthcheck"] = {"Timeout": 30 * 10 ** 9}
        cls.container_id = cls.start("tallyman", body)
        # What was written before it looks for the first time is history, which it leaves out.
        host.await_that("it is ready", lambda: cls.agent.get("/-/ready"), pace=house.SCRAPE_PACE)

    @classmethod
    def start(cls, name, body):
        container = cls.engine.create(name, "", **body)
        cls.addClassCleanup(cls.engine.remove, container)
        cls.engine.post(f"/containers/{container}/start")
        runner.evidence.append(tell := lambda: last_words(container))
        cls.addClassCleanup(runner.evidence.remove, tell)
        return container

    def test_health_and_lines_and_numbers_of_others(self):
        speaker = self.container("shipped", "echo one; echo two >&2; exec sleep 100000")
        host.await_that("the lines arrive", lambda: deployment.received(
            self.engine, "fluentd", speaker) == {("stdout", "one"), ("stderr", "two")},
            pace=house.SCRAPE_PACE)
        self.agreed_at_rest(speaker)
        host.await_that("it is healthy", lambda: self.engine.inspect(self.container_id)[
            "State"]["Health"]["Status"] == "healthy", pace=1)
        state = self.engine.inspect(self.container_id)
        self.assertEqual((state["State"]["OOMKilled"], state["RestartCount"]), (False, 0))

    def test_its_limits_are_the_kernels(self):
        """Each as the compose file has it, in force, and said by the agent itself."""
        wanted = self.body["HostConfig"]
        said, files = self.said(self.container_id), kernel.read(self.container_id)
        for family, value in (
                ("container_spec_memory_limit_bytes", wanted["Memory"]),
                ("container_spec_memory_swap_limit_bytes", wanted["MemorySwap"] - wanted["Memory"]),
                ("container_spec_memory_reservation_limit_bytes", wanted["MemoryReservation"]),
                ("container_spec_cpu_shares", wanted["CpuShares"]),
                ("container_threads_max", wanted["PidsLimit"])):
            self.assertEqual(said.value(family), value, family)
            self.assertEqual(files.get((family, frozenset()), value), value, family)
        self.assertEqual(said.value("container_spec_cpu_quota") /
                         said.value("container_spec_cpu_period"), wanted["NanoCpus"] / 1e9)
        limits = pathlib.Path(f"/proc/{self.pid(self.container_id)}/limits").read_text()
        files = wanted["Ulimits"][0]
        self.assertRegex(limits, rf"\nMax open files +{files['Soft']} +{files['Hard']} ")
        self.notes.append(f"{said.value('container_memory_max_usage_bytes') / MIB:.0f} MiB, "
                          f"{said.value('container_threads'):.0f} threads at most so far")

    def test_it_passes_its_own_audit(self):
        config = deployment.COMPOSE.parent / "tallyman.yml"
        rows = []
        for kind, name, findings in (("container", "tallyman", set()),
                                     ("image", self.body["Image"], UNPUBLISHED)):
            report, code = house.audit(f"--{kind}", name, "--config", config)
            rows += [row for row in report["findings"] if row["target"] == kind]
            self.assertEqual({row["check"] for row in report["findings"]
                              if row["status"] == "fail"}, findings)
            self.assertEqual(code, 1 if findings else 0)
        self.assertEqual({row["target"] for row in rows}, {"container", "image"})
        waived = [row["waiver"]["reason"] for row in rows if row["status"] == "waived"]
        self.assertTrue(waived and all(waived))
        passed = {row["check"] for row in rows if row["status"] == "pass"}
        self.assertLessEqual({"memory_limit", "memory_reservation", "swap_limit", "cpu_limit",
                              "cpu_shares", "pids_limit", "ulimits", "apparmor", "seccomp",
                              "readonly_rootfs", "runtime_uid_nonroot"}, passed)
