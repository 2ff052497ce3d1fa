#!/usr/bin/python3
"""Makes calls of the agent fail, one place after the other: memory, files, sockets, names, and time
that jumps. Whatever fails, the agent goes on or ends with a word of why, and then every line that
was written arrives, the books balance, and nothing is left behind. Runs take turns: log files alone,
beside an engine (with its audit), files of pods, a destination behind TLS; all of them with a client
of the receiver, the spool, rules, an Alertmanager and a webhook.

usage: run.py --agent BINARY --library LIBRARY [--seconds N] [--points N] [--seed N]
              [--scenes LIST] [--replay FILE] [--keep FOLDER] [TEST…]
  --seconds N    how long places are looked for that have not failed yet (60)
  --points N     that many are enough; fewer in that time are a failure
  --seed N       of the chances; another one finds other combinations
  --scenes LIST  of files, engine, pods, tls, with commas between (all)
  --replay FILE  instead: what a failure has left, the same places once more
  --keep FOLDER  where the evidence of failures goes (the present folder's build-check/faults)

A place is the stack that leads to a call, together with the error that the call gives.
"""

import argparse
import collections
import ctypes
import http.client
import http.server
import json
import mmap
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import msgpack

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]

import host  # noqa: E402
import pretended  # noqa: E402
import runner  # noqa: E402
import sources  # noqa: E402

OPTIONS = argparse.Namespace()
MAGIC, POINTS_MAX, FRAMES_MAX = 0x746C7466, 65536, 12
OFF, NEW, REPLAY, ALL = range(4)
KINDS = ["memory", "open", "read", "write", "sync", "rename", "stat", "folder", "socket", "connect",
         "accept", "send", "receive", "watch", "handle", "names", "signal"]
EVERYTHING = (1 << len(KINDS)) - 1
SCENES = ("files", "engine", "pods", "tls")  # what a run is about; see Scene
QUIET_SECONDS = 40  # how long what was written may take to arrive once nothing fails any more
STOP_SECONDS = 30


class Point(ctypes.Structure):
    _fields_ = [("hash", ctypes.c_uint64), ("kind", ctypes.c_uint32), ("error", ctypes.c_int32),
                ("seen", ctypes.c_uint32), ("failed", ctypes.c_uint32), ("run", ctypes.c_uint32),
                ("marked", ctypes.c_uint32), ("frames", ctypes.c_uint64 * FRAMES_MAX)]


class Shared(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_uint32), ("mode", ctypes.c_uint32), ("run", ctypes.c_uint32),
                ("chance", ctypes.c_uint32), ("budget", ctypes.c_uint32),
                ("injected", ctypes.c_uint32), ("point_count", ctypes.c_uint32),
                ("overflow", ctypes.c_uint32), ("seed", ctypes.c_uint64),
                ("kinds", ctypes.c_uint64), ("clock_ns", ctypes.c_int64),
                ("error", ctypes.c_int32), ("leaked", ctypes.c_uint32),
                ("text_from", ctypes.c_uint64), ("text_to", ctypes.c_uint64),
                ("points", Point * POINTS_MAX)]


class Switchboard:
    """The file by which the library in the agent is told what is to fail."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.truncate(ctypes.sizeof(Shared))
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 0)
        self.shared = Shared.from_buffer(self.map)
        self.shared.magic = MAGIC
        self.shared.kinds = EVERYTHING

    def say(self, mode, chance=0, budget=0, kinds=EVERYTHING, error=0):
        self.shared.mode = OFF
        self.shared.chance, self.shared.budget = chance, budget
        self.shared.kinds, self.shared.error = kinds, error
        self.shared.mode = mode

    def failed(self, run=None):
        return [point for point in self.shared.points
                if point.hash and point.failed and run in (None, point.run)]

    def count(self):
        return sum(1 for point in self.shared.points if point.hash and point.failed)


class Listener(http.server.BaseHTTPRequestHandler):
    """An Alertmanager and a webhook that take everything."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients break off; that is what this is for


class Records:
    """What `tallyman receive` has written, read on from where the last look ended."""

    def __init__(self, receiver):
        self.receiver, self.at = receiver, 0
        self.lines = collections.defaultdict(list)

    def read(self):
        path = self.receiver.file
        if not path.exists():
            return
        with open(path, "rb") as file:
            file.seek(self.at)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self.at += end
        for line in text[:end].splitlines():
            row = json.loads(line.decode("utf-8", "surrogateescape"))
            record = row["record"]
            if row["tag"].startswith("in."):
                self.lines[row["tag"]].append(record["log"])
            elif "log" in record and ("container_id" in record or "pod_id" in record):
                whose = record.get("container_id") or record["pod_id"]
                self.lines[whose].append(record["log"])


class Client(threading.Thread):
    """One who sends to the agent and keeps everything until it is acknowledged."""

    def __init__(self, port, tag):
        super().__init__(daemon=True)
        self.port, self.tag = port, tag
        self.acked, self.ended = 0, threading.Event()
        self.start()

    def run(self):
        while not self.ended.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as peer:
                    peer.settimeout(2)
                    while not self.ended.is_set():
                        chunk = f"{self.tag}-{self.acked}"
                        entries = [[int(time.time()), {"log": f"record {self.acked}"}]]
                        peer.sendall(msgpack.packb([self.tag, entries, {"chunk": chunk}]))
                        answer = msgpack.unpackb(peer.recv(4096))
                        if answer.get("ack") != chunk:
                            raise AssertionError(f"{answer} instead of {chunk}")
                        self.acked += 1
                        self.ended.wait(0.01)
            except (OSError, ValueError, msgpack.UnpackException):
                self.ended.wait(0.1)

    def end(self):
        self.ended.set()
        self.join()


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Hub:
    """An agent in which nothing fails, as an aggregator that is spoken to by TLS and a shared key."""

    KEY = "a key that both sides know"

    def __init__(self, folder, receiver):
        folder.mkdir()
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2")
        (folder / "key.pem").chmod(0o600)
        self.ca = str(folder / "cert.pem")
        self.address = f"localhost:{host.free_port()}"
        self.agent = host.Agent(
            OPTIONS.agent, folder, forward=[{"name": "on", "servers": [receiver.address],
                                             "flush_interval": "20ms"}],
            docker={"host": "", "data_root": str(folder)}, logs={"pods_root": ""},
            receiver={"listen": [self.address], "shared_key": self.KEY, "self_hostname": "hub",
                      "tls": {"enabled": True, "cert_file": self.ca,
                              "key_file": str(folder / "key.pem")}}).start()

    def settings(self):
        return {"servers": [self.address], "shared_key": self.KEY, "self_hostname": "agent",
                "tls": {"enabled": True, "ca_file": self.ca}}


class Scene:
    """One run of the agent on folders of its own; what it was given, and whether all came out. It is
    about log files alone, about an engine (with the audit, and the `local` driver's files), about
    pods, or about a destination behind TLS."""

    def __init__(self, campaign, number, kind, environment=None):
        self.campaign, self.number, self.kind = campaign, number, kind
        self.folder = campaign.folder / f"run{number}"
        self.folder.mkdir()
        makers = {"engine": sources.LocalFiles, "pods": sources.PodFiles}
        self.source = makers.get(kind, sources.JsonFiles)(self.folder, number)
        self.ids = self.source.ids
        self.engine = pretended.Engine(self.folder, self.source) if kind == "engine" else None
        self.written = collections.Counter()
        self.environment = environment or {}
        self.scans = self.folder / "scans"
        self.scans.mkdir()
        report = HERE.parent / "fuzz" / "corpus" / "scan_report" / "trivy"
        shutil.copyfile(report, self.scans / "image.json")
        rules = self.folder / "rules.yml"
        rules.write_text(json.dumps({"groups": [{"name": "g", "interval": "1s", "rules": [
            {"alert": "Fires", "expr": "sum(tallyman_build_info) > 0",
             "annotations": {"text": "{{ $value }}"}},
            {"record": "a:b", "expr": "rate(process_cpu_seconds_total[10s])"}]}]}))
        self.receive_port = host.free_port()
        url = f"http://127.0.0.1:{campaign.server.server_port}"
        where = (self.engine or self.source).settings()
        to = (campaign.hub_settings() if kind == "tls" else
              {"servers": [campaign.receiver.address]})
        self.agent = host.Agent(
            OPTIONS.agent, self.folder,
            forward=[{"name": "test", **to, "flush_interval": "50ms", "retry_max": "200ms", "ack_timeout": "2s",
                      "connect_timeout": "2s", "chunk_size": "16KiB"},
                     {"name": "other", "servers": [f"localhost:{campaign.other.port}"],
                      "flush_interval": "50ms", "retry_max": "200ms", "ack_timeout": "2s",
                      "compress": "gzip"}],
            docker=where["docker"],
            logs={"from": "beginning", **where["logs"],
                  "fields": [{"name": "f", "value": "{id}"}],
                  "shape": [{"match": {"containers": ["c1"]}, "redact": ["nothing[0-9]+"],
                             "parse_json": True}]},
            receiver={"listen": [f"127.0.0.1:{self.receive_port}"]},
            rules={"builtin": number % 4 == 0, "files": [str(rules)]},
            alertmanagers=[url], webhooks=[url], web={"reload": True}, log={"level": "info"},
            disk={"interval": "1s"}, posture={"records": True},
            vulnerabilities={"directory": str(self.scans)})

    def write(self, count):
        for container in self.ids:
            first = self.written[container]
            self.source.write(container, [f"line {number}" for number in range(first,
                                                                               first + count)])
            self.written[container] += count

    def start(self, ready=True):
        environment = {**os.environ, "LD_PRELOAD": str(OPTIONS.library),
                       "TLY_FAULTS": str(self.campaign.board.path),
                       "TLY_FAULTS_BLOCKS": str(self.folder / "blocks"), **self.environment}
        environment.pop("DOCKER_HOST", None)
        command = ["setarch", "-R", OPTIONS.agent, "run", "--config", str(self.agent.config)]
        self.agent.program = host.Program("agent", command, self.folder, environment)

        def is_ready():
            return self.agent.program.assert_running() and self.asks("/-/ready") == 200
        if ready:
            host.await_that("the agent is ready", is_ready, seconds=QUIET_SECONDS)

    def asks(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.agent.port}{path}",
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=3) as reply:
                reply.read()
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code
        except (OSError, ValueError, http.client.HTTPException):
            return 0

    def ended(self):
        return self.agent.program.process.poll()

    def check_end(self, code):
        """An end that nobody asked for is fine if it was one of its own will, with a reason."""
        said = self.agent.program.said()
        if code not in (1, 2) or not re.search(r"level=error|^tallyman", said, re.M):
            raise AssertionError(f"the agent ended with {code}:\n{said[-3000:]}")

    def arrived(self):
        records = self.campaign.records
        records.read()
        for container in self.ids:
            lines = list(dict.fromkeys(records.lines[container]))
            if len(lines) < self.written[container]:
                return False
        return True

    def missing(self):
        records = self.campaign.records
        texts = []
        for container in self.ids:
            wanted = [f"line {number}" for number in range(self.written[container])]
            got = set(records.lines[container])
            lost = [line for line in wanted if line not in got]
            if lost:
                texts.append(f"{container[-1]}: {len(lost)} of {len(wanted)} missing, first "
                             f"{lost[:3]}, last {lost[-1:]}")
            if got - set(wanted):
                texts.append(f"{container[-1]}: nobody wrote {sorted(got - set(wanted))[:3]}")
        return "; ".join(texts)

    def in_order(self):
        """As they came first. A connection that breaks time and again over one chunk lets another
        one go before it, to see whose fault that is."""
        lines = self.campaign.records.lines
        return all(list(dict.fromkeys(lines[container])) ==
                   [f"line {number}" for number in range(self.written[container])]
                   for container in self.ids)

    def check_arrival(self, client=None):
        try:
            host.await_that("every line", lambda: (
                self.agent.program.assert_running() and self.arrived()), seconds=QUIET_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.missing()}") from None
        if self.missing():
            raise AssertionError(self.missing())
        if client:
            tag, records = client.tag, self.campaign.records

            def taken():
                records.read()
                return set(records.lines[tag]) >= {f"record {n}" for n in range(client.acked)}
            host.await_that("every acknowledged record", taken, seconds=QUIET_SECONDS)

    def check_books(self):
        """appended = acked + dropped + queued, for each destination."""
        metrics = self.agent.metrics()
        for name in ("test", "other"):
            def value(family, name=name):
                return sum(value for (have, labels), value in metrics.items()
                           if have == family and ("destination", name) in labels)
            parts = [value(f"tallyman_destination_records_{part}")
                     for part in ("appended_total", "acked_total", "dropped_total")]
            queued = value("tallyman_destination_queued_records")
            if parts[0] != parts[1] + parts[2] + queued or parts[2]:
                raise AssertionError(f"{name}: appended {parts[0]}, acknowledged {parts[1]}, "
                                     f"dropped {parts[2]}, queued {queued}")
            lost = value("tallyman_logs_lost_total")
            if lost:
                raise AssertionError(f"{name}: {lost} gaps were counted")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.agent.program.pid}/fd"))

    def stop(self):
        process = self.agent.program.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            stacks = subprocess.run(["gdb", "-p", str(process.pid), "-batch", "-ex",
                                     "thread apply all bt 15"], capture_output=True, text=True,
                                    check=False).stdout if shutil.which("gdb") else ""
            process.kill()
            process.wait()
            raise AssertionError(f"the agent does not stop\n{stacks[-4000:]}") from None
        if code != 0:
            raise AssertionError(f"the agent stopped with {code}:\n"
                                 f"{self.agent.program.said()[-3000:]}")

    def blocks(self):
        path = self.folder / "blocks"
        return collections.Counter(path.read_text().splitlines()) if path.exists() else None

    def kill(self):
        if self.agent.program and self.agent.program.process.poll() is None:
            self.agent.program.kill()
        if self.engine:
            self.engine.end()
            self.engine = None


class Campaign(unittest.TestCase):
    """Everything that one place after the other is made to fail in."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="tly-faults-")
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.board = Switchboard(cls.folder / "board")
        cls.board.shared.seed = OPTIONS.seed
        cls.random = random.Random(OPTIONS.seed)
        cls.receiver = host.Receiver(OPTIONS.agent, cls.folder).start()
        (cls.folder / "other").mkdir()
        cls.other = host.Receiver(OPTIONS.agent, cls.folder / "other").start()
        cls.records = Records(cls.receiver)
        cls.server = Server(("127.0.0.1", 0), Listener)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.hub = None
        cls.number = 0
        cls.baseline = collections.Counter()
        cls.measuring = False
        cls.disordered = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        if cls.hub:
            cls.hub.agent.kill()
        cls.receiver.stop()
        cls.other.stop()
        cls.scratch.cleanup()

    def hub_settings(self):
        if not self.hub:
            type(self).hub = Hub(self.folder / "hub", self.receiver)
        return self.hub.settings()

    def scene(self, kind="files", **options):
        type(self).number += 1
        self.board.shared.run = type(self).number
        self.board.shared.injected = 0
        self.board.shared.clock_ns = 0
        scene = Scene(self, type(self).number, kind, **options)
        self.addCleanup(scene.kill)
        return scene

    def keep(self, scene, error):
        """What is needed to see a failure again."""
        folder = pathlib.Path(OPTIONS.keep)
        folder.mkdir(parents=True, exist_ok=True)
        points = [{"hash": point.hash, "kind": KINDS[point.kind],
                   "error": os.strerror(point.error), "frames": self.frames(point)}
                  for point in self.board.failed(scene.number)]
        path = folder / f"failure-{OPTIONS.seed}-{scene.number}.json"
        path.write_text(json.dumps({"error": str(error), "points": points,
                                    "said": scene.agent.program.said()[-20000:]}, indent=1))
        return path

    def frames(self, point):
        base = (self.board.shared.text_from, self.board.shared.text_to)
        return [hex(frame - base[0] - 1) for frame in point.frames
                if base[0] <= frame < base[1]]

    def busy(self, scene, seconds):
        """A while in which everything happens that can: lines, rotation, scrapes, reloads."""
        end = time.monotonic() + seconds
        step = 0
        paths = ["/metrics", "/api/v1/overview?limit=10", "/api/v1/rules", "/api/v1/alerts",
                 "/api/v1/containers", "/", "/api/v1/findings", "/metrics?collect[]=cpu"]
        pace = threading.Event()  # never set: only waited for
        while time.monotonic() < end and scene.ended() is None:
            scene.write(20)
            scene.asks(paths[step % len(paths)])
            if step == 6:
                scene.source.rotate(scene.ids[0])
            if step % 8 == 3:
                config = json.loads(scene.agent.config.read_text())
                config["logs"]["fields"] = [{"name": "f", "value": f"{step}"}]
                config["collect"]["interval"] = f"{1 + step % 2}s"
                config["forward"][1]["compress"] = ["none", "gzip", "zstd"][step % 3]
                scene.agent.config.write_text(json.dumps(config))
                scene.asks("/-/reload", "POST")
            step += 1
            pace.wait(0.01)

    def go(self, scene, say, seconds=1.0, startup=False):
        """One run: faults from the start on, or once it works; then nothing may be missing."""
        scene.write(50)
        client = None
        try:
            if startup:
                say()
                scene.start(ready=False)
                host.await_that("an end, or a beginning", lambda: scene.ended() is not None or
                                scene.asks("/-/ready") == 200, seconds=QUIET_SECONDS)
            else:
                scene.start()
                client = Client(scene.receive_port, f"in.{scene.number}")
                say()
                self.busy(scene, seconds)
            self.board.say(OFF)
            self.board.shared.clock_ns = 0
            self.settle(scene, client)
            scene.stop()
            self.count_leaks(scene)
            type(self).disordered += not scene.in_order()
        except AssertionError as error:
            self.board.say(OFF)
            path = self.keep(scene, error)
            raise AssertionError(f"{error}\n(evidence: {path})") from None
        finally:
            if client:
                client.end()
            scene.kill()
            shutil.rmtree(scene.folder, ignore_errors=True)

    def settle(self, scene, client):
        """Nothing fails any more; what had failed may still be the agent's end."""
        ends = 0
        scene.write(10)
        while True:
            code = scene.ended()
            if code is not None:
                ends += 1
                self.assertLess(ends, 3, "the agent ends although nothing fails")
                scene.check_end(code)
                scene.start()
            try:
                scene.check_arrival()
                if client:
                    client.end()
                    scene.check_arrival(client)
                if ends == 0:
                    scene.check_books()
                return
            except (AssertionError, OSError):
                if scene.ended() is None:
                    raise

    def count_leaks(self, scene):
        blocks = scene.blocks()
        if blocks is None or self.measuring:
            type(self).baseline |= blocks or collections.Counter()
            return
        low, high = self.board.shared.text_from, self.board.shared.text_to
        for stack, count in (blocks - self.baseline).items():
            own = [int(frame, 16) for frame in stack.split()]
            if any(low <= frame < high for frame in own):
                where = " ".join(hex(frame - low - 1) if low <= frame < high else "?"
                                 for frame in own)
                raise AssertionError(f"{count} blocks were never freed, made at {where}")

    def measure(self, *kinds):
        """What is left at the end of runs in which nothing fails: libraries keep some."""
        self.measuring = True
        for kind in kinds:
            for startup in (True, False):
                self.go(self.scene(kind), lambda: self.board.say(OFF), startup=startup)
        self.measuring = False


class Sustained(Campaign):
    """Calls of one kind that all fail, for a while: what operators know as a full disk, or a limit."""

    def setUp(self):
        if not self.baseline:
            self.measure(*SCENES)

    def all_of(self, kinds, error, scene="files"):
        mask = sum(1 << KINDS.index(kind) for kind in kinds)
        self.go(self.scene(scene), lambda: self.board.say(ALL, kinds=mask, error=error), 2.0)

    def test_disk_full(self):
        self.all_of(["sync", "rename"], 28)

    def test_read_only(self):
        self.all_of(["rename"], 30)

    def test_no_descriptors(self):
        self.all_of(["open", "socket", "accept", "handle", "folder"], 24)

    def test_no_memory(self):
        self.all_of(["memory"], 12)

    def test_no_memory_beside_an_engine(self):
        self.all_of(["memory"], 12, "engine")

    def test_no_memory_behind_tls(self):
        self.all_of(["memory"], 12, "tls")

    def test_no_descriptors_beside_an_engine(self):
        self.all_of(["open", "socket", "accept", "handle", "folder"], 24, "engine")

    def test_no_watches(self):
        self.all_of(["watch"], 28)

    def test_no_watches_from_the_start(self):
        self.go(self.scene(), lambda: self.board.say(
            ALL, kinds=1 << KINDS.index("watch"), error=28), startup=True)

    def test_no_names(self):
        self.all_of(["names"], -3)

    def test_no_network(self):
        self.all_of(["connect"], 101)

    def test_clock_steps(self):
        for hours in (1, -1, 24 * 365, -24 * 365):
            def jump(hours=hours):
                self.board.shared.clock_ns = hours * 3600 * 10 ** 9
            with self.subTest(hours=hours):
                self.go(self.scene(), jump)


class Places(Campaign):
    """One place after the other, each once."""

    def test_places(self):
        if OPTIONS.replay:
            wanted = {point["hash"] for point in json.loads(
                pathlib.Path(OPTIONS.replay).read_text())["points"]}
            for number, value in enumerate(sorted(wanted)):
                slot = value % POINTS_MAX
                while self.board.shared.points[slot].hash:
                    slot = (slot + 1) % POINTS_MAX
                self.board.shared.points[slot].hash = value
                self.board.shared.points[slot].marked = 1
                self.board.shared.point_count = number + 1
            for kind in OPTIONS.scenes:
                for startup in (True, False):
                    self.go(self.scene(kind), lambda: self.board.say(REPLAY, budget=len(wanted)),
                            startup=startup)
            return
        self.measure(*OPTIONS.scenes)
        end = time.monotonic() + OPTIONS.seconds
        failures, starts, runs = [], 0, 0
        while time.monotonic() < end:
            startup = runs // len(OPTIONS.scenes) % 4 == 0
            budget = 1 if startup else 120
            chance = 1000000 if startup and self.random.random() < 0.5 else \
                self.random.choice([20000, 100000, 300000, 1000000])
            runs += 1
            starts += startup
            try:
                kind = OPTIONS.scenes[runs % len(OPTIONS.scenes)]
                self.go(self.scene(kind), lambda: self.board.say(NEW, chance, budget),
                        startup=startup)
            except AssertionError as error:
                failures.append(str(error))
                print(f"# run {type(self).number}: {str(error)[:1500]}", flush=True)
            if runs % 20 == 0:
                print(f"# {runs} runs, {self.board.count()} places, {len(failures)} failures",
                      flush=True)
            if OPTIONS.points and self.board.count() >= OPTIONS.points:
                break
        points = self.board.failed()
        kinds = collections.Counter(KINDS[point.kind] for point in points)
        sites = {(point.frames[0], point.error) for point in points}
        own = {(frame[0], point.error) for point in points if (frame := self.frames(point))}
        print(f"# {runs} runs ({starts} of them from the start), {len(points)} places have failed "
              f"({len(sites)} calls by address and error, {len(own)} in the agent's own code), of "
              f"{self.board.shared.point_count} seen; {self.disordered} runs out of order: " +
              ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()), flush=True)
        self.assertEqual(self.board.shared.overflow, 0)
        self.assertEqual(failures, [])
        if OPTIONS.points:
            self.assertGreaterEqual(len(points), OPTIONS.points)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--agent", required=True, type=os.path.abspath)
    parser.add_argument("--library", required=True, type=os.path.abspath)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--points", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=lambda text: text.split(","), default=SCENES)
    parser.add_argument("--replay")
    parser.add_argument("--keep", default="build-check/faults")
    OPTIONS, rest = parser.parse_known_args()
    sys.exit(runner.run(runner.chosen(rest, [Sustained, Places])))
