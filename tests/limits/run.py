#!/usr/bin/python3
"""What a host can run out of, for real: a disk without room, one that has become read-only,
descriptors, inotify instances and watches. The agent says so, goes on with what it still can, and
once there is room again nothing is missing.

usage: run.py --agent BINARY [TEST…], as root
"""

import argparse
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import threading
import time
import unittest

import msgpack

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]

import host  # noqa: E402
import runner  # noqa: E402

host.AWAIT_SECONDS = 20
OPTIONS = argparse.Namespace()
DISK_MIB = 16
RECORDS_PER_FRAME = 20
RECORD_BYTES = 2000
SPARE_DESCRIPTORS = 1
SCAN_SECONDS = 60  # containers that could not be opened are found again when all are looked for


def command(*words, good=(0,)):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in good:
        raise AssertionError(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


class Client(threading.Thread):
    """Sends frames to the agent's receiver and waits for each answer before it goes on. What was not
    answered is sent again."""

    def __init__(self, address):
        super().__init__(daemon=True)
        host_name, port = address.rsplit(":", 1)
        self.address = (host_name, int(port))
        self.acked, self.ended = 0, threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                with socket.create_connection(self.address, timeout=1) as peer:
                    peer.settimeout(2)
                    while not self.ended.is_set():
                        self.exchange(peer)
            except (OSError, ValueError, msgpack.UnpackException):
                self.ended.wait(0.1)

    def exchange(self, peer):
        first, chunk = self.acked, f"chunk-{self.acked}"
        entries = [[int(time.time()), {"log": f"record {first + n}", "rest": "x" * RECORD_BYTES}]
                   for n in range(RECORDS_PER_FRAME)]
        peer.sendall(msgpack.packb(["in.client", entries, {"chunk": chunk}]))
        answer = msgpack.unpackb(peer.recv(4096))
        if answer.get("ack") != chunk:
            raise AssertionError(f"{answer} instead of {chunk}")
        self.acked += RECORDS_PER_FRAME

    def end(self):
        self.ended.set()
        self.join()


class Limits(unittest.TestCase):
    CONTAINERS = [f"{number:064x}" for number in range(1, 4)]

    def setUp(self):
        self.notes = []
        scratch = host.scratch()
        self.folder = scratch.__enter__()
        self.addCleanup(scratch.__exit__, None, None, None)
        self.written = dict.fromkeys(self.CONTAINERS, 0)
        for container in self.CONTAINERS:
            self.log(container).parent.mkdir(parents=True)
            self.log(container).touch()
        self.receiver = host.Receiver(OPTIONS.agent, self.folder)
        self.addCleanup(lambda: self.receiver.program and self.receiver.program.kill())
        self.intake = f"127.0.0.1:{host.free_port()}"
        self.agent = host.Agent(
            OPTIONS.agent, self.folder, docker={
                "host": "", "data_root": str(self.folder / "docker")},
            forward=[{"name": "test", "servers": [self.receiver.address],
                      "flush_interval": "100ms", "retry_max": "500ms"}],
            receiver={"listen": [self.intake]})
        self.state = self.folder / "state"
        self.addCleanup(lambda: self.agent.program and self.agent.kill())

    def log(self, container):
        return self.folder / "docker" / "containers" / container / f"{container}-json.log"

    def write(self, count):
        for container, written in self.written.items():
            with open(self.log(container), "a", encoding="ascii") as log:
                for number in range(written, written + count):
                    log.write(json.dumps({"log": f"line {number}\n", "stream": "stdout",
                                          "time": "2026-01-02T03:04:05.678Z"}) + "\n")
            self.written[container] += count

    def client(self):
        client = Client(self.intake)
        self.addCleanup(client.end)
        client.start()
        return client

    def has_lines(self):
        return all(list(dict.fromkeys(self.receiver.lines(container))) ==
                   [f"line {number}" for number in range(written)]
                   for container, written in self.written.items())

    def await_lines(self, seconds=None):
        host.await_that("every line, in order, unaltered", lambda: (
            self.agent.program.assert_running() and self.has_lines()), seconds, pace=0.1)

    def await_acked(self, client):
        def has_all():
            came = {row["record"]["log"] for row in self.receiver.records()
                    if row["tag"] == "in.client"}
            return came >= {f"record {number}" for number in range(client.acked)}
        host.await_that("every record that was acknowledged", has_all, pace=0.1)

    def await_said(self, *texts):
        host.await_that(f"it says {texts}", lambda: all(
            text in self.agent.program.said() for text in texts))


class Disk(Limits):
    """The state directory, with the spool in it, on a file system of its own."""

    def mount(self, *words):
        self.state.mkdir(mode=0o750)
        command("mount", *words, str(self.state))
        self.addCleanup(command, "umount", "-l", str(self.state))

    def fill(self):
        """To the last byte."""
        with open(self.state / "filler", "wb", buffering=0) as filler:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self):
        (self.state / "filler").unlink()

    def test_full(self):
        self.mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none")
        self.agent.start()
        client = self.client()
        host.await_that("records are spooled", lambda: client.acked >= 100)
        self.receiver.start()
        self.await_acked(client)
        self.receiver.program.kill()
        self.write(100)
        self.fill()
        self.await_said("cannot write to the spool: No space left on device")
        taken = client.acked
        self.receiver.start()
        self.write(100)
        self.await_lines()  # log files need no room
        self.make_room()
        host.await_that("records are taken again", lambda: client.acked > taken)
        client.end()
        self.await_acked(client)
        self.assertEqual(self.agent.value("tallyman_spool_dropped_records_total"), 0)
        self.assertEqual(self.agent.stop(), 0)

    def test_killed_while_full(self):
        self.mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none")
        self.agent.start()
        client = self.client()
        self.write(100)
        host.await_that("records are spooled", lambda: client.acked >= 100)
        self.fill()
        self.await_said("cannot write to the spool: No space left on device")
        self.agent.kill()
        client.end()
        self.write(100)
        self.receiver.start()
        self.agent.start()  # on a disk that is full still
        self.await_acked(client)
        self.await_lines()
        self.make_room()
        self.write(10)
        self.await_lines()
        self.assertEqual(self.agent.stop(), 0)

    def test_read_only(self):
        """A file system with an error in it becomes read-only under those who write to it."""
        image = self.folder / "image"
        with open(image, "wb") as file:
            file.truncate(DISK_MIB << 20)
        command("mke2fs", "-q", "-t", "ext4", "-E", "nodiscard", str(image))
        self.mount("-o", "loop", str(image))
        self.agent.start()
        client = self.client()
        self.write(100)
        host.await_that("records are spooled", lambda: client.acked >= 100)
        command("mount", "-o", "remount,abort", str(self.state))
        self.await_said("cannot write to the spool: ")
        taken = client.acked
        self.receiver.start()
        self.write(100)
        self.await_lines()
        self.await_acked(client)
        self.await_said("Read-only file system")
        host.await_that("clients wait", lambda: client.acked <= taken + RECORDS_PER_FRAME)
        self.agent.kill()
        client.end()
        # It is mounted anew, as after a check.
        command("umount", str(self.state))
        command("e2fsck", "-fy", str(image), good=(0, 1))  # 1: it has mended what there was
        command("mount", "-o", "loop", str(image), str(self.state))
        self.write(100)
        self.agent.start()
        self.await_lines()
        self.await_acked(client)
        self.assertEqual(self.agent.stop(), 0)

    def test_read_only_from_the_start(self):
        self.mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m,ro", "none")
        done = subprocess.run([OPTIONS.agent, "run", "--config", str(self.agent.config)],
                              capture_output=True, text=True, check=False,
                              timeout=host.AWAIT_SECONDS)
        self.assertEqual(done.returncode, 2)
        self.assertIn("cannot write to the state folder", done.stderr)
        self.assertIn("Read-only file system", done.stderr)


class Descriptors(Limits):
    def descriptors(self):
        return {int(name) for name in os.listdir(f"/proc/{self.agent.program.pid}/fd")}

    def allow(self, count):
        resource.prlimit(self.agent.program.pid, resource.RLIMIT_NOFILE, (count, 4096))

    def new_container(self, container):
        self.written[container] = 0
        self.log(container).parent.mkdir(parents=True)
        self.log(container).touch()

    def test_none_left(self):
        self.receiver.start()
        self.agent.start()
        self.write(100)
        self.await_lines()
        self.allow(max(self.descriptors()) + SPARE_DESCRIPTORS)
        for number in range(100, 130):
            self.new_container(f"{number:064x}")
        self.write(50)
        self.await_said("Too many open files")
        self.receiver.program.kill()  # and its connection has to be made anew
        self.receiver.start()
        self.write(50)
        self.allow(4096)
        self.await_lines(SCAN_SECONDS)
        self.assertTrue(self.agent.metrics())
        self.assertEqual(self.agent.stop(), 0)


class Inotify(Limits):
    """The limits of a user namespace hold for the agent alone."""

    def start(self, **limits):
        sets = "; ".join(f"echo {value} >/proc/sys/user/max_inotify_{name}"
                         for name, value in limits.items())
        self.agent.start(wrapper=["unshare", "--user", "--map-root-user", "sh", "-c",
                                  f'{sets}; exec "$@"', "sh"])

    def raise_to(self, name, value):
        command("nsenter", "--user", "--preserve-credentials", "-t", str(self.agent.program.pid),
                "sh", "-c", f"echo {value} >/proc/sys/user/max_inotify_{name}")

    def watches(self):
        folder = pathlib.Path(f"/proc/{self.agent.program.pid}/fdinfo")
        texts = []
        for path in folder.iterdir():
            try:
                texts.append(path.read_text())
            except OSError:
                continue  # it is closed by now
        return sum(text.count("inotify wd:") for text in texts)

    def check(self, name, advice):
        """The log of a container that appears meanwhile is found, too; who watches says once that it
        can't; and when the limit is raised everything is watched."""
        self.receiver.start()
        self.write(20)
        self.start(**{name: 0})
        self.await_lines()
        self.write(20)
        self.await_lines()
        container = "f" * 64
        self.written[container] = 0
        self.log(container).parent.mkdir(parents=True)
        self.write(20)
        self.await_lines()
        self.await_said(advice)
        self.assertEqual(self.watches(), 0)
        self.raise_to(name, 1000)
        # Of the logs alone there is one of each container, and one of the folder that they are in.
        host.await_that("changes are watched", lambda: self.watches() > 2 * len(self.written),
                        SCAN_SECONDS)
        self.write(20)
        self.await_lines()
        for who in ("logs", "cgroup", "docker"):
            said = [line for line in self.agent.program.said().splitlines()
                    if f"who={who} " in line and advice in line]
            self.assertLessEqual(len(said), 1, said)
        self.assertEqual(self.agent.stop(), 0)

    def test_no_instances(self):
        self.check("instances", "raise fs.inotify.max_user_instances")

    def test_no_watches(self):
        self.check("watches", "raise fs.inotify.max_user_watches")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--agent", required=True, type=os.path.abspath)
    OPTIONS, rest = parser.parse_known_args()
    host.enter()
    sys.exit(runner.run(runner.chosen(rest, [Disk, Descriptors, Inotify])))
