"""Numbers of containers on a real engine, beside the same numbers read by other means."""

import os
import re

import host
from test_chain import Chain

FETCH = "wget -q -O /dev/null http://%s:8000/big; exec sleep 1000"
SERVE = ("mkdir /srv; dd if=/dev/zero of=/srv/big bs=1024 count=512 2>/dev/null; "
         "httpd -p 8000 -h /srv; exec sleep 1000")


BRIDGE = {"NetworkMode": "bridge"}
RECEIVED = "container_network_receive_bytes_total"
SENT = "container_network_transmit_bytes_total"
PACKETS = "container_network_receive_packets_total"


class Network(Chain):
    """What containers send and receive."""

    def bytes_inside(self, container):
        """(received, sent) of eth0, as a process within the container reads them."""
        made = self.engine.post(f"/containers/{container}/exec", {
            "Cmd": ["cat", "/proc/net/dev"], "AttachStdout": True, "Tty": True})
        text = self.engine.post(f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True})
        columns = re.search(r"^\s*eth0:\s*(.*)$", text, re.M)[1].split()
        return int(columns[0]), int(columns[8])

    def address(self, container):
        return self.engine.inspect(container)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]

    def test_bytes_are_those_of_the_container(self):
        server = self.container("server", SERVE, HostConfig=dict(BRIDGE))
        host.await_that("the server has an address", lambda: self.address(server))
        client = self.container("client", FETCH % self.address(server), HostConfig=dict(BRIDGE))
        host.await_that("the client has received all",
                        lambda: self.bytes_inside(client)[0] > 512 * 1024)
        agent = self.agent().start()
        for name, container in (("server", server), ("client", client)):
            before = self.bytes_inside(container)
            host.await_that(f"{name} has network numbers", lambda name=name: agent.values(
                RECEIVED, name=name, interface="eth0"))
            # The scrape's own numbers are at most a second old, so these are older than `after`.
            host.await_that("they are new", lambda name=name, before=before: agent.value(
                RECEIVED, name=name, interface="eth0") >= before[0])
            found = [agent.value(family, name=name, interface="eth0")
                     for family in (RECEIVED, SENT)]
            after = self.bytes_inside(container)
            for low, value, high in zip(before, found, after):
                self.assertLessEqual(low, value)
                self.assertLessEqual(value, high)
        self.assertEqual(agent.values(RECEIVED, interface="lo"), [])

    def test_shared_networks_are_counted_once(self):
        owner = self.container("owner", "exec sleep 1000", HostConfig=dict(BRIDGE))
        for name, mode in (("joined", f"container:{owner}"), ("hosted", "host"),
                           ("alone", "none")):
            self.container(name, "exec sleep 1000", HostConfig={"NetworkMode": mode})
        agent = self.agent().start()
        host.await_that("all four are placed", lambda: agent.value(
            "tallyman_network_namespaces") == 2)
        self.assertEqual(len(agent.values(RECEIVED, name="owner")), 1)
        for name in ("joined", "hosted", "alone"):
            self.assertTrue(agent.values("container_cpu_usage_seconds_total", name=name))
            self.assertEqual(agent.values(RECEIVED, name=name), [], name)
        for reason in ("shared", "host"):
            self.assertEqual(agent.value("tallyman_network_containers_without", reason=reason), 1)

    def test_totals_live_on_and_namespaces_do_not(self):
        container = self.container("again", SERVE, HostConfig=dict(BRIDGE))
        agent = self.agent().start()
        host.await_that("it has network numbers", lambda: agent.values(RECEIVED, name="again"))
        first = agent.value(PACKETS, name="again", interface="eth0")
        self.engine.post(f"/containers/{container}/stop?t=0")
        host.await_that("they are gone with the container",
                        lambda: not agent.values(RECEIVED, name="again"))
        held = [link for link in self.links(agent) if link.endswith("/net/dev")]
        self.assertEqual(len(held), 1, held)  # the host's own
        self.engine.post(f"/containers/{container}/start")
        host.await_that("they are back, with what was before", lambda: agent.value(
            PACKETS, name="again", interface="eth0") >= first)

    @staticmethod
    def links(agent):
        folder = f"/proc/{agent.program.pid}/fd"
        return [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]

    def test_groups_are_switched(self):
        container = self.container("listener", SERVE, HostConfig=dict(BRIDGE))
        host.await_that("the server has an address", lambda: self.address(container))
        agent = self.agent(groups={"enable": ["tcp", "udp", "advtcp", "tcp_losses"],
                                   "disable": ["pressure", "network"]}).start()
        host.await_that("it listens", lambda: sum(
            agent.value(f"container_network_{table}_usage_total", name="listener",
                        tcp_state="listen") for table in ("tcp", "tcp6")) == 1)
        self.assertEqual(agent.value("container_network_tcp_retransmits_total", name="listener"), 0)
        self.assertEqual(agent.value("container_network_advance_tcp_stats_total", name="listener",
                                     tcp_state="listendrops"), 0)
        names = {name for name, _ in agent.metrics()}
        self.assertFalse([name for name in names
                          if name.startswith("container_pressure") or name == RECEIVED])


class Processes(Chain):
    """What a walk through procfs finds, beside what the engine and the test itself know."""

    def test_processes_and_what_they_have(self):
        container = self.container("family", "sleep 1000 & sleep 1000 & exec 9<>/tmp/open; wait",
                                   HostConfig={"Ulimits": [{"Name": "nofile", "Soft": 321,
                                                            "Hard": 654}]})
        agent = self.agent(groups={"enable": ["process", "cpuLoad", "sched"]}).start()

        def value(family, **labels):
            return agent.value(family, name="family", **labels)
        host.await_that("all three are counted", lambda: value("container_processes") == 3)
        top = self.engine.get(f"/containers/{container}/top")["Processes"]
        self.assertEqual(len(top), 3)
        self.assertEqual(value("container_tasks_state", state="sleeping"), 3)
        self.assertEqual(value("container_zombies"), 0)
        self.assertEqual(value("container_ulimits_soft", ulimit="max_open_files"), 321)
        self.assertEqual(value("container_ulimits_hard", ulimit="max_open_files"), 654)
        self.assertGreater(value("container_cpu_schedstat_run_periods_total"), 0)
        pids = [row[1] for row in top]
        self.assertEqual(value("container_file_descriptors"),
                         sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids))
        self.assertEqual(value("container_cpu_effective_cores"), os.cpu_count())
        self.engine.post(f"/containers/{container}/stop?t=0")
        host.await_that("nothing is left when it has stopped", lambda: not agent.values(
            "container_processes", name="family"))

    def test_the_host(self):
        agent = self.agent().start()
        with open("/proc/meminfo", encoding="ascii") as meminfo:
            total = int(re.search(r"MemTotal:\s*(\d+)", meminfo.read())[1]) * 1024
        self.assertEqual(agent.value("machine_memory_bytes"), total)
        self.assertEqual(agent.value("machine_cpu_cores"), os.cpu_count())
        self.assertEqual(agent.value("machine_scrape_error"), 0)
        before = agent.value("machine_cpu_seconds_total", mode="user")
        host.await_that("the host's CPU time goes on",
                        lambda: agent.value("machine_cpu_seconds_total", mode="user") > before)
