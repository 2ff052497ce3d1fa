"""The agent's numbers are the kernel's: of containers that do one thing each, and then stand still
(paused), so that every single number can be compared to the last digit.
"""

import os
import pathlib
import re

import host
import house
import kernel

MIB = 1 << 20
BUSY = "while :; do :; done"
# Doubles a text until the kernel puts an end to it.
EAT = "x=0123456789abcdef; while :; do x=$x$x; done"
SLEEP = "exec sleep 100000"
NO_SWAP = {"Memory": 16 * MIB, "MemorySwap": 16 * MIB}


class Cpu(house.Beside):
    def test_a_container_under_a_quota_is_throttled(self):
        container = self.container("burner", f"{BUSY} & {BUSY}", HostConfig={
            "NanoCpus": 300_000_000, "CpuShares": 512})
        stat = kernel.cgroup(container) / "cpu.stat"
        self.await_file("it was throttled", stat, lambda values: values["nr_throttled"] >= 5)
        self.agreed(container, still=False)
        said = self.agreed_at_rest(container)
        self.assertGreaterEqual(said.value("container_cpu_cfs_throttled_periods_total"), 5)
        self.assertGreater(said.value("container_cpu_cfs_throttled_seconds_total"), 0)
        self.assertGreater(said.value("container_pressure_cpu_waiting_seconds_total"), 0)
        self.assertEqual(said.value("container_spec_cpu_quota"), 30_000)
        self.assertEqual(said.value("container_spec_cpu_shares"), 512)

    def test_a_container_without_limits(self):
        container = self.container("free", SLEEP)
        said = self.agreed_at_rest(container)
        self.assertEqual(said.value("container_spec_cpu_shares"), 1024)
        self.assertFalse([family for family, _ in said if "_cfs_" in family or "quota" in family])

    def test_totals_go_on_over_a_restart(self):
        container = self.container("again", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; "
                                   "touch /worked; " + SLEEP)
        self.await_rest(container)
        first = self.agreed_at_rest(container).value("container_cpu_usage_seconds_total",
                                                     cpu="total")
        self.engine.post(f"/containers/{container}/kill")
        self.engine.wait(container)
        self.engine.post(f"/containers/{container}/start")
        self.await_rest(container)
        self.engine.post(f"/containers/{container}/pause")
        second = kernel.flat(kernel.cgroup(container) / "cpu.stat")["usage_usec"] / 1e6
        # What it took to die lies between the two runs.
        host.await_that("the total has both runs", lambda: first + second <= self.said(
            container).value("container_cpu_usage_seconds_total", cpu="total") <
            first + second + min(first, second), pace=house.SCRAPE_PACE)

    def await_rest(self, container):
        host.await_that("it has nothing more to do", lambda: pathlib.Path(
            f"/proc/{self.pid(container)}/cmdline").read_text().startswith("sleep"),
            pace=house.SCRAPE_PACE)


class Memory(house.Beside):
    @classmethod
    def setUpClass(cls):
        house.swap_on()
        super().setUpClass()

    def test_processes_killed_for_lack_of_memory(self):
        """Not the container's first process: the container lives on, and so does its cgroup."""
        container = self.container("bitten", f"({EAT}); ({EAT}); {SLEEP}",
                                   HostConfig=dict(NO_SWAP))
        events = kernel.cgroup(container) / "memory.events"
        self.await_file("two were killed", events, lambda values: values["oom_kill"] == 2)
        said = self.agreed_at_rest(container)
        self.assertEqual(said.value("container_oom_events_total"), 2)
        self.engine.post(f"/containers/{container}/kill")
        self.engine.wait(container)
        self.engine.post(f"/containers/{container}/start")
        self.await_file("two more were killed", events, lambda values: values["oom_kill"] == 2)
        self.await_said(container, "container_oom_events_total", 4)

    def test_containers_killed_for_lack_of_memory(self):
        """The first process is killed, and the cgroup goes with it. The engine itself often comes
        too late to see why; where it does not, the agent knows as well."""
        seen = 0
        for name in ("eater-1", "eater-2", "eater-3", "eater-4", "eater-5", "eater-6"):
            # Children that have to die with the first process make its end last a moment longer.
            container = self.container(name, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do "
                                       f"sleep 100000 & done; {EAT}", HostConfig=dict(NO_SWAP))
            self.assertEqual(self.engine.wait(container), 137)
            killed = self.engine.inspect(container)["State"]["OOMKilled"]
            self.await_said(container, "container_exit_code", 137)
            self.await_said(container, "container_oom_killed", int(killed))
            seen += killed
            if killed:
                self.await_said(container, "container_oom_events_total", 1)
            if seen == 2:
                return
        self.fail("the engine saw none or one of six containers run out of memory")

    def test_a_container_that_swaps(self):
        container = self.container(
            "swapper", f"dd if=/dev/zero of=/dev/shm/much bs=1M count=40 2>/dev/null; {SLEEP}",
            HostConfig={"Memory": 24 * MIB, "MemorySwap": 72 * MIB, "ShmSize": 64 * MIB,
                        "MemoryReservation": 8 * MIB})
        swap = kernel.cgroup(container) / "memory.swap.current"
        self.await_file("it has swapped", swap, lambda values: values[None] >= 16 * MIB)
        said = self.agreed_at_rest(container)
        self.assertGreaterEqual(said.value("container_memory_swap"), 16 * MIB)
        self.assertGreater(said.value("container_memory_failcnt"), 0)
        self.assertGreater(said.value("container_memory_shmem_bytes"), 0)
        self.assertEqual(said.value("container_spec_memory_swap_limit_bytes"), 48 * MIB)
        self.assertEqual(said.value("container_spec_memory_reservation_limit_bytes"), 8 * MIB)

    def test_a_container_that_leans_on_memory_high(self):
        container = self.container(
            "leaning", "mkfifo /go; read x </go; "
            f"dd if=/dev/zero of=/dev/shm/much bs=1M count=24 2>/dev/null; {SLEEP}",
            HostConfig={"ShmSize": 32 * MIB})
        folder = kernel.cgroup(container)
        house.set_limits(container, MemoryHigh=12 * MIB)
        host.await_that("it waits", lambda: (self.files(container) / "go").is_fifo())
        (self.files(container) / "go").write_text("\n")
        self.await_file("it was held back", folder / "memory.events",
                        lambda values: values["high"] >= 10)
        said = self.agreed_at_rest(container)
        self.assertEqual(said.value("container_spec_memory_high_bytes"), 12 * MIB)
        self.assertGreaterEqual(said.value("container_memory_events_high_total"), 10)

    def test_huge_pages(self):
        folder = house.mount_huge_pages(8)
        container = self.container("huge", f"fallocate -l {4 * MIB} /huge/file; {SLEEP}",
                                   HostConfig={"Binds": [f"{folder}:/huge"]})
        self.await_file("two pages are used",
                        kernel.cgroup(container) / "hugetlb.2MB.current",
                        lambda values: values[None] == 4 * MIB)
        said = self.agreed_at_rest(container)
        self.assertIn(("container_hugetlb_usage_bytes", frozenset({("pagesize", "2MB")})), said)

    def test_what_docker_stats_says(self):
        container = self.container(
            "stated", "x=$(head -c 3000000 /dev/zero | tr '\\0' x); " + SLEEP,
            HostConfig={"Memory": 64 * MIB})
        said = self.agreed_at_rest(container)
        row = self.docker_stats(container)
        used, limit = (house.memory_text(said.value(family)) for family in (
            "container_memory_working_set_bytes", "container_spec_memory_limit_bytes"))
        self.assertEqual(row["MemUsage"], f"{used} / {limit}")
        self.assertEqual(row["PIDs"], f"{said.value('container_threads'):.0f}")


class Processes(house.Beside):
    def test_a_container_that_hits_its_limit_of_processes(self):
        container = self.container(
            "forker", "(for i in 1 2 3 4 5 6 7 8 9 10; do sleep 100000 & done); " + SLEEP,
            HostConfig={"PidsLimit": 8})
        events = kernel.cgroup(container) / "pids.events"
        self.await_file("a process was refused", events, lambda values: values["max"] >= 1)
        said = self.agreed_at_rest(container)
        self.assertGreaterEqual(said.value("container_pids_limit_hits_total"), 1)
        self.assertEqual(said.value("container_threads_max"), 8)
        self.assertLessEqual(said.value("container_threads"), 8)
        processes = (events.parent / "cgroup.procs").read_text().split()
        self.await_said(container, "container_processes", len(processes))
        self.await_said(container, "container_file_descriptors", kernel.descriptors(container))


class Disk(house.Beside):
    BLOCK = 65536

    def test_bytes_and_operations_of_each_device(self):
        folder, second = house.mount_second()
        first = house.device_of("/var/lib/docker")
        container = self.container(
            "writer", f"dd if=/dev/zero of=/file bs={self.BLOCK} count=32 conv=fsync && "
            f"dd if=/dev/zero of=/second/file bs={self.BLOCK} count=16 conv=fsync && "
            f"dd if=/second/file of=/dev/null bs={self.BLOCK} iflag=direct && touch /done; {SLEEP}",
            HostConfig={"Binds": [f"{folder}:/second"]})
        host.await_that("it has written and read", (self.files(container) / "done").exists)
        said = self.agreed_at_rest(container)
        for number, family, blocks in ((first, "writes", 32), (second, "writes", 16),
                                       (second, "reads", 16)):
            moved = said.value(f"container_fs_{family}_bytes_total",
                               device=kernel.device_name(number))
            self.assertGreaterEqual(moved, blocks * self.BLOCK)
        row = self.docker_stats(container)
        self.assertEqual(row["BlockIO"], " / ".join(house.traffic_text(sum(
            value for (family, _), value in said.items()
            if family == f"container_fs_{word}_bytes_total")) for word in ("reads", "writes")))


class Network(house.Beside):
    SERVE = ("mkdir /srv; dd if=/dev/zero of=/srv/big bs=1024 count=512 2>/dev/null; "
             "httpd -p 8000 -h /srv; " + SLEEP)
    FETCH = "wget -q -O /big http://%s:8000/big; " + SLEEP
    BRIDGE = {"NetworkMode": "bridge"}

    def test_bytes_and_packets_of_each_interface(self):
        server = self.container("server", self.SERVE, HostConfig=dict(self.BRIDGE))
        address = host.await_that("the server has an address", lambda: self.engine.inspect(server)[
            "NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
        client = self.container("client", self.FETCH % address, HostConfig=dict(self.BRIDGE))
        host.await_that("all has been received", lambda: kernel.network(self.pid(client))[
            "eth0"]["container_network_receive_bytes_total"] > 512 * 1024,
            pace=house.SCRAPE_PACE)
        for container in (server, client):
            host.await_that("the agent agrees with the kernel",
                            lambda container=container: self.agrees(container),
                            pace=house.SCRAPE_PACE)
        self.assertRegex(self.docker_stats(client)["NetIO"], r"^\d{3}kB / \d")

    def agrees(self, container):
        pid = self.pid(container)
        before = kernel.network(pid)
        said = self.said(container)
        after = kernel.network(pid)
        self.assertEqual({dict(labels).get("interface") for family, labels in said
                          if family in before["eth0"]}, {"eth0"})
        for family, low in before["eth0"].items():
            value = said.value(family, interface="eth0")
            self.assertLessEqual(low, value, family)
            self.assertLessEqual(value, after["eth0"][family], family)
        return True


class Machine(house.Beside):
    def test_the_host(self):
        house.swap_on()
        text = pathlib.Path("/proc/meminfo").read_text()
        for family, name in (("machine_memory_bytes", "MemTotal"),
                             ("machine_swap_bytes", "SwapTotal")):
            value = int(re.search(rf"^{name}: +(\d+) kB$", text, re.M)[1]) * 1024
            host.await_that(f"{name} is right",
                            lambda family=family, value=value: self.agent.value(family) == value)
        self.assertEqual(self.agent.value("machine_cpu_cores"), os.cpu_count())
