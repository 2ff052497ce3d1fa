"""`tallyman receive` as a process: its options, what it leaves in a file, and how it ends.

usage: test_receive.py BINARY
"""

import json
import os
import pathlib
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
sys.path.insert(0, str(HERE.parents[1] / "engine"))
import host  # noqa: E402
import runner  # noqa: E402

BINARY = None
SECONDS_MAX = 60  # a bound against hanging
TIME = b"\xd7\x00\x69\x57\x36\x05\x00\x00\x00\x06"  # as an EventTime
TIME_TEXT = "2026-01-02T03:05:41.000000006Z"


def text(value):
    data = value.encode()
    return b"\xda" + len(data).to_bytes(2, "big") + data


def frame(line, chunk):
    """A Message frame that asks for an answer."""
    return (b"\x94" + text("t") + TIME + b"\x81" + text("log") + text(line) + b"\x81" +
            text("chunk") + text(chunk))


def answer(chunk):
    return b"\x81\xa3ack" + text(chunk)


class Receive(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tally-receive-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.lines = self.folder / "lines"
        self.started = 0

    def start(self, *arguments, to_file=True, **options):
        """A receiver that listens; its standard error goes to a file."""
        self.started += 1
        port_file = self.folder / f"port{self.started}"
        output = ["--output", self.lines] if to_file else []
        with open(self.folder / f"said{self.started}", "wb") as said:
            process = subprocess.Popen([BINARY, "receive", "--listen", "127.0.0.1:0",
                                        "--port-file", port_file, *output, *arguments],
                                       stdin=subprocess.DEVNULL, stderr=said, **options)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        host.await_that("it listens", port_file.exists)
        process.port = int(port_file.read_text())
        process.said = (self.folder / f"said{self.started}").read_text
        return process

    def end(self, process, signum=signal.SIGTERM, code=0):
        """Ends it by a signal; 0: it ends by itself."""
        if signum:
            process.send_signal(signum)
        self.assertEqual(process.wait(SECONDS_MAX), code, process.said())

    def connect(self, process):
        peer = socket.create_connection(("127.0.0.1", process.port), timeout=SECONDS_MAX)
        self.addCleanup(peer.close)
        return peer

    def deliver(self, peer, line, chunk):
        """Sends a frame and reads its answer."""
        peer.sendall(frame(line, chunk))
        self.assertEqual(peer.recv(len(answer(chunk)), socket.MSG_WAITALL), answer(chunk))

    def logs(self):
        return [json.loads(line)["record"]["log"]
                for line in self.lines.read_text(encoding="utf-8").splitlines()]

    def refused(self, *arguments, **options):
        """What it says when it cannot even start."""
        done = subprocess.run([BINARY, "receive", *arguments], capture_output=True, text=True,
                              timeout=SECONDS_MAX, stdin=subprocess.DEVNULL, check=False, **options)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        return done.stderr

    def test_whole_life(self):
        process = self.start("--fsync")
        self.deliver(self.connect(process), "one", "A")
        self.assertEqual(json.loads(self.lines.read_text()),
                         {"tag": "t", "time": TIME_TEXT, "record": {"log": "one"}})
        self.assertEqual(stat.S_IMODE(self.lines.stat().st_mode), 0o640)
        self.end(process)
        self.assertIn("SIGTERM: stopping", process.said())
        self.assertIn("1 records in 1 frames on 1 connections", process.said())
        process = self.start()
        self.deliver(self.connect(process), "two", "B")
        self.end(process, signal.SIGINT)
        self.assertEqual(self.logs(), ["one", "two"])

    def test_signal_within_a_frame(self):
        process = self.start()
        peer = self.connect(process)
        self.deliver(peer, "whole", "A")
        peer.sendall(frame("half", "B")[:-3])
        self.end(process)
        self.assertEqual(peer.recv(1), b"")
        self.assertEqual(self.logs(), ["whole"])

    def test_killed_again_and_again(self):
        """Whatever was answered is in the file, whole, however it ended."""
        answered = []
        for life in range(10):
            process = self.start()
            peer = self.connect(process)
            for number in range(life * 7):
                self.deliver(peer, f"{life}.{number}", f"{number}")
                answered.append(f"{life}.{number}")
            peer.sendall(b"".join(frame(f"unasked {life}.{number}", "x")
                                  for number in range(1000)))
            self.end(process, signal.SIGKILL, -signal.SIGKILL)
        self.end(self.start())
        logs = self.logs()
        self.assertEqual([log for log in logs if not log.startswith("unasked")], answered)

    def test_torn_last_line(self):
        whole = '{"tag":"t","time":"2026-01-02T03:05:09Z","record":{"log":"whole"}}\n'
        for torn, kept in [("", ""), ('{"ta', ""), ('{"tag":"t","time":"2026', ""),
                           ("a line of somebody else", "a line of somebody else\n"),
                           ('{"tag":"t","record":{"log":"' + "x" * 200000, "")]:
            with self.subTest(torn=torn[:40]):
                self.lines.write_text(whole + torn)
                process = self.start()
                self.deliver(self.connect(process), "next", "A")
                self.end(process)
                said = self.lines.read_text()
                self.assertTrue(said.startswith(whole + kept + '{"tag":"t","time":'), said[:300])
                self.assertEqual(said.count("\n"), 3 if kept else 2)

    def test_full_disk(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        long = "does not fit any more " * 100
        process = self.start(preexec_fn=limit)
        peer = self.connect(process)
        self.deliver(peer, "fits", "A")
        peer.sendall(frame(long, "B"))
        self.end(process, signum=0, code=2)
        self.assertIn(f"tallyman receive: cannot write to {self.lines}: File too large",
                      process.said())
        self.assertEqual(peer.recv(1), b"")
        self.assertEqual(self.lines.stat().st_size, 2000)
        # With room again, the line that was cut is gone and comes anew.
        process = self.start()
        self.deliver(self.connect(process), long, "B")
        self.end(process)
        self.assertEqual(self.logs(), ["fits", long])

    def test_standard_output_is_full(self):
        with open("/dev/full", "wb") as full:
            process = self.start(to_file=False, stdout=full)
        self.connect(process).sendall(frame("one", "A"))
        self.end(process, signum=0, code=2)
        self.assertIn("cannot write to standard output: No space left on device", process.said())

    def test_closed_pipe(self):
        """As `tallyman receive | head -1`: the end of the reader is no failure."""
        process = self.start(to_file=False, stdout=subprocess.PIPE)
        peer = self.connect(process)
        self.deliver(peer, "one", "A")
        self.assertIn(b'"log":"one"', process.stdout.readline())
        process.stdout.close()
        peer.sendall(frame("two", "B"))
        self.end(process, signum=0)

    def test_pipe_that_nobody_reads(self):
        """A stop waits for the output, but not for ever; what is not written is not answered."""
        process = self.start(to_file=False, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        peer = self.connect(process)
        peer.sendall(frame("x" * 60000, "A") * 10)
        peer.shutdown(socket.SHUT_WR)
        self.end(process, code=2)
        self.assertIn("the output does not take the last lines", process.said())
        self.assertNotIn(answer("A") * 10, peer.recv(1000))

    def test_second_signal(self):
        process = self.start(to_file=False, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.connect(process).sendall(frame("x" * 60000, "A") * 10)
        host.await_that("it writes", lambda: len(select.select([process.stdout], [], [], 0)[0]))
        process.send_signal(signal.SIGTERM)
        host.await_that("it stops", lambda: "SIGTERM: stopping" in process.said())
        self.end(process, code=1)
        self.assertIn("SIGTERM again: stopping at once", process.said())

    def test_count(self):
        process = self.start("--count", "3")
        peer = self.connect(process)
        for number in range(3):
            peer.sendall(frame(str(number), str(number)))
        self.end(process, signum=0)
        self.assertEqual(self.logs(), ["0", "1", "2"])

    def test_port_in_use(self):
        process = self.start()
        self.assertEqual(self.refused("--listen", f"127.0.0.1:{process.port}"),
                         f"tallyman receive: cannot listen on 127.0.0.1:{process.port}: address "
                         "already in use\n")
        self.end(process)

    def test_wrong_arguments(self):
        self.assertEqual(self.refused("--listen", "nowhere:port"),
                         "tallyman receive: --listen: `nowhere:port`: the port is a number from 0 to "
                         "65535\n")
        for number in ("0", "-1", "many", "1.5", ""):
            self.assertEqual(self.refused("--count", number),
                             f"tallyman receive: --count: `{number}` is no number above 0\n")
        self.assertEqual(self.refused("--output", "/nowhere/lines"),
                         "tallyman receive: cannot write to /nowhere/lines: No such file or "
                         "directory\n")
        self.assertIn("cannot write to /: Is a directory", self.refused("--output", "/"))
        self.assertIn("at most 16 addresses", self.refused(*["--listen", "127.0.0.1:0"] * 17))
        self.assertIn("cannot write /nowhere/port: No such file or directory",
                      self.refused("-l", "127.0.0.1:0", "-p", "/nowhere/port"))
        self.assertIn("File name too long",
                      self.refused("-l", "127.0.0.1:0", "-p", "x" * 5000))


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    runner.main()
