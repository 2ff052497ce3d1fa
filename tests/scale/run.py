#!/usr/bin/python3
"""Many hosts at once: hundreds of agents, each with a log and a state directory of its own, send to
two aggregators of which one restarts, then both. Prints what docs/scale.md quotes.

usage: run.py --agent BINARY [--agents N] [--lines-per-second N] [--outage SECONDS]
              [--max-age SECONDS] [TEST…], as root

While it runs, fs.inotify.max_user_instances is as high as so many agents of one user need.
"""

import argparse
import collections
import gzip
import os
import pathlib
import re
import resource
import statistics
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]

import host  # noqa: E402
import runner  # noqa: E402

OPTIONS = argparse.Namespace()
FIRST_PORT = 10000  # of the agents' pages: below those that connections are given
SAMPLE_SECONDS = 0.05  # how finely connections are counted
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
INSTANCES = pathlib.Path("/proc/sys/fs/inotify/max_user_instances")
LINE = '{"log":"%s\\n","stream":"stdout","time":"2026-01-01T00:00:00.%09dZ"}\n'
TEXT = "GET /api/orders/%d HTTP/1.1 200 %d " + "x" * 90


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def own_mib(pid):
    """Memory that the process costs this host: what it shares with its like counts once."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", rollup, flags=re.M)[1]) / 1024


def established(ports):
    """How many connections to each of the ports of this host stand."""
    counts = collections.Counter()
    for line in pathlib.Path("/proc/net/tcp").read_text().split("\n")[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == "01":
            counts[int(fields[1].rpartition(":")[2], 16)] += 1
    return [counts[port] for port in ports]


class Watch(threading.Thread):
    """How many connections stand, over time, from now until `end()`."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.ports = ports
        self.rows = []
        self.ended = threading.Event()
        self.start()

    def run(self):
        begun = time.monotonic()
        while not self.ended.wait(SAMPLE_SECONDS):
            shares = established(self.ports)
            self.rows.append((time.monotonic() - begun, sum(shares), shares))

    def end(self):
        self.ended.set()
        self.join()

    def arrivals(self, start):
        """For each connection that came after `start` seconds: how many seconds after."""
        most, found = 0, []
        for when, count, _ in self.rows:
            if when >= start and count > most:
                found += [when - start] * (count - most)
                most = count
        return found

    def shares(self, start):
        """Each port's connections at some times after `start` seconds."""
        rows = []
        for part in (0.25, 0.5, 0.75, 1, 1.25):
            due = start + part * OPTIONS.max_age
            rows += [f"{part * OPTIONS.max_age:.0f} s: {shares[0]} and {shares[1]}"
                     for when, _, shares in self.rows if when >= due][:1]
        return "; ".join(rows)

    def await_time(self, when):
        host.await_that("time goes by", lambda: self.rows[-1][0] >= when, seconds=600, pace=0.1)


class Writer(threading.Thread):
    """Writes lines into all logs in turn, at the pace of so many a second for each."""

    def __init__(self, paths, per_second):
        super().__init__(daemon=True)
        self.files = [open(path, "ab", buffering=0) for path in paths]
        self.pause = 1 / (len(paths) * per_second)
        self.written = 0
        self.ended = threading.Event()
        self.start()

    def run(self):
        begun = time.monotonic()
        while not self.ended.is_set():
            due = int((time.monotonic() - begun) / self.pause)
            while self.written < due:
                file = self.files[self.written % len(self.files)]
                text = TEXT % (self.written, self.written % 977)
                file.write((LINE % (text, self.written % 10 ** 9)).encode())
                self.written += 1
            self.ended.wait(max(self.pause, 0.01))

    def end(self):
        self.ended.set()
        self.join()
        for file in self.files:
            file.close()


class Fleet(unittest.TestCase):
    def setUp(self):
        self.notes = []
        scratch = tempfile.TemporaryDirectory(prefix="tly-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.ports = [host.free_port() for _ in range(2)]
        self.receivers = [None, None]
        self.agents = []
        usual = INSTANCES.read_text()
        self.addCleanup(INSTANCES.write_text, usual)
        INSTANCES.write_text(str(max(int(usual), 128 + 8 * OPTIONS.agents)))
        self.addCleanup(lambda: [program.kill() for program in
                                 [agent.program for agent in self.agents] + self.receivers
                                 if program and program.process.poll() is None])

    def receive(self, which):
        folder = self.folder / f"aggregator-{which}"
        folder.mkdir(exist_ok=True)
        self.receivers[which] = host.Program("aggregator", [
            OPTIONS.agent, "receive", "--quiet", "--listen", f"127.0.0.1:{self.ports[which]}"],
            folder)

    def log(self, number):
        name = f"{number + 0xc0de:064x}"
        folder = self.folder / f"host-{number}" / "docker" / "containers" / name
        folder.mkdir(parents=True)
        return folder / f"{name}-json.log"

    def begin(self, number):
        folder = self.folder / f"host-{number}"
        port = FIRST_PORT + number
        agent = host.Agent(
            OPTIONS.agent, folder, collect={"interval": "15s"},
            web={"listen": [f"127.0.0.1:{port}"]},
            docker={"host": "", "data_root": str(folder / "docker")},
            forward=[{"name": "central", "compress": "gzip",
                      "connection_max_age": f"{OPTIONS.max_age}s",
                      "servers": [{"host": f"127.0.0.1:{server}", "weight": 1}
                                  for server in self.ports]}])
        agent.port = port
        agent.program = host.Program("agent", [agent.binary, "run", "--config", str(agent.config)],
                                     folder)
        return agent

    def total(self, family, **labels):
        return sum(sum(agent.values(family, **labels)) for agent in self.agents)

    def acked(self):
        return self.total("tallyman_destination_records_acked_total")

    def await_all_connected(self):
        host.await_that("every agent is connected", lambda: sum(established(self.ports)) >=
                        len(self.agents), seconds=300, pace=0.1)

    def cost(self, seconds):
        """CPU of all agents over a time in which nothing happens to them, per agent."""
        before = sum(cpu_seconds(agent.program.pid) for agent in self.agents)
        threading.Event().wait(seconds)  # the time is what is measured
        after = sum(cpu_seconds(agent.program.pid) for agent in self.agents)
        return (after - before) / seconds / len(self.agents)

    def restart(self, which, watch):
        """The aggregators go away and return; connections after that."""
        for number in which:
            self.receivers[number].kill()
        before = self.total("tallyman_forward_errors_total", reason="connect")
        share = self.cost(OPTIONS.outage)
        tries = self.total("tallyman_forward_errors_total", reason="connect") - before
        for number in which:
            self.receive(number)
        returned = watch.rows[-1][0]
        return returned, tries / OPTIONS.outage, share

    def await_arrived(self, writer):
        # So many agents take a while to tell how far they are, in which more is written.
        written = writer.written
        host.await_that("what waited has arrived", lambda: self.acked() >= written, seconds=300,
                        pace=1)

    def watch(self):
        watch = Watch(self.ports)
        host.await_that("the watch sees", lambda: watch.rows)
        self.addCleanup(watch.end)
        return watch

    def one_returns(self, writer):
        """Its agents go to the other and come back, each when its connection has had its time."""
        watch = self.watch()
        returned, _, _ = self.restart([0], watch)
        self.await_all_connected()
        self.await_arrived(writer)
        watch.await_time(returned + 1.3 * OPTIONS.max_age)
        watch.end()
        self.notes.append(f"one of two away for {OPTIONS.outage} s; after it returned, with a "
                          f"connection_max_age of {OPTIONS.max_age} s: {watch.shares(returned)}")

    def both_return(self, writer):
        watch = self.watch()
        returned, tries, share = self.restart([0, 1], watch)
        self.await_all_connected()
        self.await_arrived(writer)
        watch.end()
        arrivals = watch.arrivals(returned)
        bins = collections.Counter(int(when) for when in arrivals)
        self.notes.append(
            f"both away for {OPTIONS.outage} s: {tries / OPTIONS.agents:.3f} tries/s and "
            f"{share:.2%} of a CPU each meanwhile; {len(arrivals)} connections came, half "
            f"within {statistics.median(arrivals):.1f} s, all within {max(arrivals):.1f} s, "
            f"at most {max(bins.values())} in a second; then {established(self.ports)}")

    def test_aggregators_restart(self):
        paths = [self.log(number) for number in range(OPTIONS.agents)]
        for number in range(2):
            self.receive(number)
        self.agents = [self.begin(number) for number in range(OPTIONS.agents)]
        self.await_all_connected()
        writer = Writer(paths, OPTIONS.lines_per_second)
        self.addCleanup(writer.end)
        host.await_that("records arrive", lambda: self.acked() > OPTIONS.agents)
        share = self.cost(20)
        memory = [own_mib(agent.program.pid) for agent in self.agents]
        self.notes.append(
            f"{OPTIONS.agents} agents, {OPTIONS.lines_per_second} lines/s each: "
            f"{share:.2%} of a CPU and {statistics.mean(memory):.1f} MiB (Pss) each; "
            f"connections {established(self.ports)}")

        self.one_returns(writer)
        self.both_return(writer)
        writer.end()
        host.await_that("everything written is acknowledged",
                        lambda: self.acked() >= writer.written, seconds=300, pace=1)
        sent = self.total("tallyman_forward_sent_bytes_total")
        self.assertEqual(self.total("tallyman_destination_records_dropped_total"), 0)
        self.notes.append(f"{writer.written} lines written, all acknowledged; "
                          f"{sent / writer.written:.0f} bytes sent for each, with gzip")


class Host(unittest.TestCase):
    """What one host's scrape costs the network and the time series database."""

    COUNTS = (1, 10, 50)

    def test_a_scrape(self):
        self.notes = []
        scratch = tempfile.TemporaryDirectory(prefix="tly-")
        self.addCleanup(scratch.cleanup)
        engine = host.Engine(scratch.name)
        engine.start()
        self.addCleanup(engine.stop)
        engine.import_busybox()
        agent = host.Agent(OPTIONS.agent, scratch.name, engine).start()
        self.addCleanup(agent.stop)
        running = 0
        for count in self.COUNTS:
            for running in range(running, count):
                engine.run(f"service-{running}", "while :; do echo a line; sleep 1; done",
                           HostConfig={"NetworkMode": "bridge"})
            running = count
            host.await_that("all are seen", lambda: len(
                agent.values("container_state", state="running")) == count)
            text = agent.get("/metrics")
            samples = sum(1 for line in text.split("\n") if line and line[0] != "#")
            self.notes.append(f"{count} containers: {samples} samples, {len(text)} bytes, "
                              f"{len(gzip.compress(text.encode(), 6))} with gzip")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True, type=os.path.abspath)
    parser.add_argument("--agents", type=int, default=300)
    parser.add_argument("--lines-per-second", type=int, default=5)
    parser.add_argument("--outage", type=int, default=45)
    parser.add_argument("--max-age", type=int, default=60)
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=OPTIONS)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    host.enter()
    return runner.run(runner.chosen(OPTIONS.tests))


if __name__ == "__main__":
    sys.exit(main())
