#!/usr/bin/python3
"""Outages of receivers, with many logs: what waits costs next to nothing and arrives afterwards, and
one destination's trouble is not another's.

usage: run.py --agent BINARY --flood BINARY [--megabytes N] [TEST…]
  --megabytes N   how many logs wait for the receiver (10000 by hand, on a disk with room for them)
"""

import argparse
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]

import host  # noqa: E402
import runner  # noqa: E402

OPTIONS = argparse.Namespace()
MEMORY_MAX_MIB = 32
CPU_SHARE_MAX = 0.01
RETRIES = 3  # how many attempts to connect the quiet time lasts
DRAIN_SECONDS_MAX = 900


class Outage(unittest.TestCase):
    CONTAINERS = [f"{number:064x}" for number in range(1, 5)]

    def setUp(self):
        self.notes = []
        scratch = tempfile.TemporaryDirectory(prefix="tly-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        for container in self.CONTAINERS:
            self.log(container).parent.mkdir(parents=True)

    def log(self, container):
        return self.folder / "docker" / "containers" / container / f"{container}-json.log"

    def flood(self, megabytes, rotations):
        """Fills all logs, side by side; the lines of each."""
        each = int(megabytes * 1e6) // len(self.CONTAINERS)
        writers = [subprocess.Popen([OPTIONS.flood, "write", self.log(container), str(number),
                                     str(each), str(rotations)], stdout=subprocess.PIPE, text=True)
                   for number, container in enumerate(self.CONTAINERS)]
        lines = []
        for writer in writers:
            lines.append(int(writer.communicate()[0]))
            self.assertEqual(writer.returncode, 0)
        return lines

    def agent(self, *destinations, wrapper=()):
        agent = host.Agent(OPTIONS.agent, self.folder, forward=list(destinations),
                           collect={"interval": "10s"},
                           docker={"host": "", "data_root": str(self.folder / "docker")})
        agent.start(wrapper)
        self.addCleanup(lambda: agent.program.process.poll() is None and agent.kill())
        return agent

    def check(self, port, lines):
        """A receiver, and what reads all that it prints."""
        with open(self.folder / "receive.log", "ab") as log:
            receiver = subprocess.Popen([OPTIONS.agent, "receive", "--listen", f"127.0.0.1:{port}"],
                                        stdout=subprocess.PIPE, stderr=log)
        checker = subprocess.Popen([OPTIONS.flood, "check", *map(str, lines)], text=True,
                                   stdin=receiver.stdout, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        receiver.stdout.close()  # the checker has it
        for process in (receiver, checker):
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        return checker

    def expect_all(self, checker):
        said, trouble = checker.communicate(timeout=DRAIN_SECONDS_MAX)
        self.assertEqual((checker.returncode, trouble), (0, ""))
        return int(said)

    def await_quiet(self, agent):
        """Until nothing more is read; what the agent costs from then on, over some attempts to
        connect: CPU seconds per second."""
        def is_full():
            seen.append(agent.value("tallyman_destination_records_appended_total"))
            return seen[-3:-1] == [seen[-1]] * 2 and seen[-1] > 0
        seen = []
        host.await_that("the agent has read what it has room for", is_full)

        def attempts():
            return agent.value("tallyman_forward_errors_total", reason="connect")
        first = attempts()
        started, before = time.monotonic(), host.cpu_seconds(agent.program.pid)
        host.await_that("it tried again several times", lambda: attempts() >= first + RETRIES,
                        pace=1)
        return (host.cpu_seconds(agent.program.pid) - before) / (time.monotonic() - started)

    def outage(self, agent, port, lines):
        pid = agent.program.pid
        share = self.await_quiet(agent)
        waiting = host.peak_mib(pid)
        self.assertEqual(agent.value("tallyman_destination_records_acked_total"), 0)
        started, before = time.monotonic(), host.cpu_seconds(pid)
        repeats = self.expect_all(self.check(port, lines))
        seconds, cpu = time.monotonic() - started, host.cpu_seconds(pid) - before
        host.await_that("all is acknowledged", lambda: agent.value(
            "tallyman_destination_records_acked_total") >= sum(lines))
        self.assertEqual(repeats, 0)
        peak = host.peak_mib(pid)
        self.notes.append(
            f"{OPTIONS.megabytes} MB, {sum(lines)} lines; while they wait {waiting:.1f} MiB and "
            f"{share:.2%} of a CPU; sent in {seconds:.1f} s with {cpu:.1f} CPU-s; "
            f"peak {peak:.1f} MiB")
        self.assertLess(peak, MEMORY_MAX_MIB)
        self.assertLess(share, CPU_SHARE_MAX)

    def destination(self, name, port, **options):
        return {"name": name, "servers": [f"127.0.0.1:{port}"], **options}

    def test_logs_that_were_there_before_the_agent(self):
        port = host.free_port()
        lines = self.flood(OPTIONS.megabytes, rotations=3)
        self.outage(self.agent(self.destination("central", port)), port, lines)

    def test_logs_that_are_written_while_nobody_listens(self):
        port = host.free_port()
        agent = self.agent(self.destination("central", port))
        lines = self.flood(OPTIONS.megabytes, rotations=1)
        self.outage(agent, port, lines)

    def receiver(self, name, *options, address="127.0.0.1", port=None):
        """One that prints nothing; its program and its port."""
        port = port or host.free_port()
        program = host.Program(name, [OPTIONS.agent, "receive", "--quiet", "--listen",
                                      f"{address}:{port}", *options], self.folder)
        self.addCleanup(program.kill)
        host.await_that(f"{name} listens", lambda: "listening" in program.said())
        return program, port

    def test_one_destination_never_delays_another(self):
        """Beside one that takes everything stand one that reads nothing, one that reads and never
        acknowledges, and one that is not there. What they wait for is not lost to them either."""
        megabytes = OPTIONS.megabytes / 3
        lines = self.flood(megabytes, rotations=1)
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        good, absent = host.free_port(), host.free_port()
        checker = self.check(good, lines)
        agent = self.agent(
            self.destination("reads-nothing", silent.getsockname()[1], compress="gzip"),
            self.destination("never-acks", self.receiver("never-acks", "--no-ack")[1]),
            self.destination("absent", absent),
            self.destination("good", good))
        started = time.monotonic()
        self.assertEqual(self.expect_all(checker), 0)
        seconds = time.monotonic() - started

        def acked(name):
            return agent.value("tallyman_destination_records_acked_total", destination=name)
        host.await_that("all is acknowledged", lambda: acked("good") == sum(lines))
        for name in ("reads-nothing", "never-acks", "absent"):
            self.assertEqual(acked(name), 0, name)
            self.assertGreater(agent.value("tallyman_destination_queued_records",
                                           destination=name), 0, name)
        self.notes.append(f"{megabytes:.0f} MB in {seconds:.1f} s; peak "
                          f"{host.peak_mib(agent.program.pid):.1f} MiB with four destinations")
        self.assertEqual(self.expect_all(self.check(absent, lines)), 0)
        for name in ("reads-nothing", "never-acks"):
            self.assertEqual(acked(name), 0, name)

    def write(self, count):
        with open(self.log(self.CONTAINERS[0]), "a", encoding="utf-8") as log:
            for number in range(count):
                log.write(f'{{"log":"line {number}\\n","stream":"stdout",'
                          f'"time":"2026-08-23T00:28:30.{number:09}Z"}}\n')

    @unittest.skipUnless(os.geteuid() == 0, "a file of hosts of its own needs root")
    def test_a_name_that_comes_to_mean_another_server(self):
        """As the system's resolver has it, from a file of hosts that only the agent sees."""
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 receiver.test\n")
        first, port = self.receiver("first")
        agent = self.agent(
            {"name": "central", "servers": [f"receiver.test:{port}"], "retry_max": "1s"},
            wrapper=["unshare", "--mount", "--propagation", "private", "sh", "-c",
                     'mount --bind "$0" /etc/hosts && exec "$@"', hosts])

        def acked():
            return agent.value("tallyman_destination_records_acked_total")
        self.write(100)
        host.await_that("the first one has all", lambda: acked() == 100)
        first.kill()
        self.write(100)
        host.await_that("nobody is there", lambda: agent.value(
            "tallyman_forward_errors_total", reason="connect") > 0)
        self.receiver("second", address="127.0.0.2", port=port)
        hosts.write_text("127.0.0.2 receiver.test\n")
        host.await_that("the second one has the rest", lambda: acked() == 200)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True, type=os.path.abspath)
    parser.add_argument("--flood", required=True, type=os.path.abspath)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=OPTIONS)
    return runner.run(runner.chosen(OPTIONS.tests))


if __name__ == "__main__":
    sys.exit(main())
