"""Scrapes while containers come and go by the hundred, and with names and labels made to break them."""

import collections
import os
import pathlib
import subprocess
import threading

from prometheus_client.parser import text_string_to_metric_families

import host
from test_chain import SANITIZED, Chain

CGROUPS = pathlib.Path("/sys/fs/cgroup")
COUNT = int(os.environ.get("TALLYMAN_TEST_CHURN", "1000"))
PER_SECOND = 100
ALIVE = 20  # at a time

HOSTILE = 'quote" back\\slash new\nline tab\t null-like \\x00 日本 \u2028 {a="b"} # HELP'


class Churner(threading.Thread):
    """Makes cgroups as an engine does, with a process for a moment, and removes them again."""

    def __init__(self, top):
        super().__init__()
        self.top = top
        self.made = []
        self.problem = None
        self.inhabitant = subprocess.Popen(["sleep", "1000"])
        top.mkdir()

    def run(self):
        alive = collections.deque()
        try:
            for number in range(COUNT):
                folder = self.top / f"{number + 0xc0de:064x}"
                folder.mkdir()
                (folder / "cgroup.procs").write_text(str(self.inhabitant.pid))
                alive.append(folder)
                self.made.append(folder.name)
                if len(alive) > ALIVE:
                    alive.popleft().rmdir()
                threading.Event().wait(1 / PER_SECOND)  # the pace is the input of the test
            (CGROUPS / "cgroup.procs").write_text(str(self.inhabitant.pid))
            while alive:
                alive.popleft().rmdir()
        except OSError as error:
            self.problem = error

    def end(self):
        self.join()
        self.inhabitant.kill()
        self.inhabitant.wait()
        self.top.rmdir()


def series(text):
    """Every line that is a sample, without its value."""
    return [line.rpartition(" ")[0] for line in text.split("\n")
            if line and not line.startswith("#")]


class Churn(Chain):
    def whole(self, text):
        """Checks a scrape: parsed to its end, and no series twice. Returns its series."""
        host.parse_metrics(text)
        found = series(text)
        twice = [name for name, count in collections.Counter(found).items() if count > 1]
        self.assertEqual(twice, [])
        self.assertTrue(any(name == "tallyman_scrapes_total" for name in found))
        return found

    def test_a_hundred_starts_and_stops_a_second(self):
        agent = self.agent(SANITIZED, groups={"enable": ["process", "sched", "cpuLoad"]}).start()
        held = agent.value("tallyman_cgroup_descriptors")
        churner = Churner(CGROUPS / "churn")
        self.addCleanup(churner.end)
        churner.start()
        scrapes = 0
        seen = set()
        while churner.is_alive():
            found = self.whole(agent.get("/metrics"))
            seen |= {name.partition('id="/churn/')[2][:64] for name in found
                     if 'id="/churn/' in name}
            scrapes += 1
        self.assertIsNone(churner.problem)
        self.assertGreater(len(seen), ALIVE)  # it looked more than once
        host.await_that("no ghost is left", lambda: not any(
            "/churn/" in name for name in self.whole(agent.get("/metrics"))))
        self.assertEqual(agent.value("tallyman_scrapes_failed_total"), 0)
        self.assertEqual(agent.value("tallyman_cgroup_descriptors"), held)
        self.notes.append(f"{len(churner.made)} containers, {len(seen)} of them seen in "
                          f"{scrapes} scrapes")

    def test_containers_of_the_engine_leave_no_ghosts(self):
        agent = self.agent(SANITIZED).start()
        for number in range(5):
            name = f"short-{number}"
            container = self.engine.run(name, "exec sleep 1000")
            host.await_that("it has numbers", lambda name=name: agent.values(
                "container_cpu_usage_seconds_total", name=name))
            self.engine.remove(container)
            host.await_that("nothing of it is left", lambda container=container: not any(
                container in line for line in series(agent.get("/metrics"))))

    def test_hostile_labels(self):
        # One label more than others, and two that become the same name.
        labels = {"com.example/a": HOSTILE, "com.example.a": "first", "x" * 300: "long name",
                  "": "no name", "com.example.long": "y" * 100000, "9": "digit", "ä": "umlaut"}
        self.container("hostile", "exec sleep 1000", Labels=labels, Hostname="hostile")
        agent = self.agent(SANITIZED, collect={"labels": ["*"]}).start()
        host.await_that("it has numbers", lambda: agent.values(
            "container_cpu_usage_seconds_total", name="hostile"))
        text = agent.get("/metrics")
        self.whole(text)
        families = {family.name: family for family in text_string_to_metric_families(text)}
        shown = [sample.labels for sample in families["container_cpu_usage_seconds"].samples
                 if sample.labels.get("name") == "hostile"]
        self.assertEqual(len(shown), 1)
        # "com.example.a" comes before "com.example/a" in byte order.
        self.assertEqual(shown[0]["container_label_com_example_a"], "first")
        self.assertLess(len(shown[0]["container_label_com_example_long"]), 100000)
        self.assertGreater(agent.value("tallyman_inventory_label_collisions_total"), 0)
        self.assertGreater(agent.value("tallyman_inventory_label_values_cut_total"), 0)
        prometheus = host.Prometheus(self.directory, agent.port)
        self.addCleanup(prometheus.stop)
        host.await_that("Prometheus has taken it", lambda: prometheus.query(
            'container_cpu_usage_seconds_total{name="hostile"}'))

    def test_a_hostile_value(self):
        self.container("hostile-value", "exec sleep 1000", Labels={"evil": HOSTILE})
        agent = self.agent(SANITIZED, collect={"labels": ["evil"]}).start()
        host.await_that("the value comes as it is", lambda: agent.values(
            "container_cpu_usage_seconds_total", name="hostile-value",
            container_label_evil=HOSTILE))
        self.whole(agent.get("/metrics"))
