#!/usr/bin/python3
"""The forward protocol against implementations that others wrote: npm's @fluent-org/logger, to
whose server the agent sends, and whose client sends to the agent's receiver; and for zstd, which it
lacks, Python's zstandard and msgpack (zstd_peer.py), both ways.

usage: run.py --agent BINARY [TEST…]. Installs the package into a folder of its own.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import msgpack
import zstandard

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]

import host  # noqa: E402
import runner  # noqa: E402
import zstd_peer  # noqa: E402

PACKAGE = "@fluent-org/logger@1"
SECONDS_MAX = 60  # a bound against hanging
LINES = 20000
BINARY = None
MODULES = None  # where the package is installed
KEY, USER, PASSWORD = "a shared key", "joe", "a pass word"


def install(folder):
    """The package from the registry, in `folder`; a skip where that can't be had."""
    npm = shutil.which("npm")
    if not npm:
        raise unittest.SkipTest("npm is not installed (tools/install-packages full)")
    try:
        done = subprocess.run([npm, "install", "--prefix", folder, "--no-audit", "--no-fund",
                               "--no-update-notifier", "--ignore-scripts", PACKAGE], text=True,
                              capture_output=True, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise unittest.SkipTest(f"npm could not install {PACKAGE} in time") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.split("\n", 2)[:2])
        raise unittest.SkipTest(f"npm could not install {PACKAGE}: {reason}")


def node_environment():
    return {**os.environ, "NODE_PATH": f"{MODULES}/node_modules"}


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """An authority, and what it signed for `hub` and `guest`."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
            "-days", "2")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("hub", "guest"):
        openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "names")
        (folder / f"{name}.key").chmod(0o600)


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="tly-")
        cls.addClassCleanup(scratch.cleanup)
        cls.common = pathlib.Path(scratch.name)
        make_certificates(cls.common)

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tly-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def file(self, name):
        return str(self.common / name)

    def start(self, **settings):
        agent = host.Agent(BINARY, self.folder, docker={
            "host": "", "data_root": str(self.folder / "docker")}, **settings).start()
        self.addCleanup(lambda: agent.program.process.poll() is None and agent.kill())
        return agent


class Sending(Peers):
    """The agent sends."""

    CONTAINER = "c" * 64

    def make_log(self):
        folder = self.folder / "docker" / "containers" / self.CONTAINER
        folder.mkdir(parents=True)
        self.log = folder / f"{self.CONTAINER}-json.log"
        with open(self.log, "w", encoding="utf-8") as log:
            for i in range(LINES):
                line = json.dumps(f"{i} Grüße \t\"✓\" {'x' * (i % 300)}\n", ensure_ascii=False)
                log.write(f'{{"log":{line},"stream":"stdout",'
                          f'"time":"2026-01-02T03:04:05.{i:09}Z"}}\n')

    def send(self, port, **destination):
        self.make_log()
        return self.start(forward=[{"name": "test", "servers": [f"localhost:{port}"],
                                    "flush_interval": "100ms", "chunk_size": "256KiB",
                                    **destination}])


class Server(Sending):
    """The agent sends, the npm package's server receives."""

    def server(self, **options):
        """The server's process and its port."""
        program = host.Program("server", ["node", HERE / "server.js", json.dumps(options)],
                               self.folder, node_environment())
        self.addCleanup(lambda: program.process.poll() is None and program.kill())

        def port():
            program.assert_running()
            return json.loads(program.said().split("\n", 1)[0])["port"]
        return program, host.await_that("the server listens", port)

    def expect_all(self, program, agent):
        host.await_that("everything is acknowledged", lambda: program.assert_running() and
                        agent.value("tallyman_destination_records_acked_total") == LINES)
        # It acknowledges first and tells of the records then.
        host.await_that("everything is printed", lambda: program.said().count("\n") == LINES + 1)
        rows = [json.loads(line) for line in program.said().splitlines()[1:]]
        for i, row in enumerate(rows):
            self.assertEqual(row["tag"], f"docker.{self.CONTAINER[:12]}")
            self.assertEqual(row["time"], [1767323045, i])
            self.assertEqual(row["record"]["log"], f"{i} Grüße \t\"✓\" {'x' * (i % 300)}")
            self.assertEqual(row["record"]["source"], "stdout")
            self.assertEqual(row["record"]["container_id"], self.CONTAINER)
        self.assertEqual(agent.value("tallyman_forward_resent_chunks_total"), 0)
        self.assertGreater(agent.value("tallyman_forward_acks_total"), 5)  # chunks, not one

    def security(self, **more):
        return {"serverHostname": "hub", "sharedKey": KEY, "authorize": False, "userDict": {},
                **more}

    def server_tls(self, **more):
        return {"tlsFiles": {"cert": self.file("hub.pem"), "key": self.file("hub.key"),
                             "ca": self.file("ca.pem")}, "tlsOptions": more}

    def test_acknowledgements(self):
        program, port = self.server()
        self.expect_all(program, self.send(port))

    def test_gzip(self):
        program, port = self.server()
        agent = self.send(port, compress="gzip")
        self.expect_all(program, agent)
        self.assertLess(agent.value("tallyman_forward_sent_bytes_total"),
                        self.log.stat().st_size / 5)

    def test_shared_key(self):
        program, port = self.server(security=self.security())
        self.expect_all(program, self.send(port, shared_key=KEY))

    def test_user(self):
        program, port = self.server(security=self.security(authorize=True,
                                                           userDict={USER: PASSWORD}))
        self.expect_all(program, self.send(port, shared_key=KEY, username=USER,
                                           password=PASSWORD))

    def test_tls(self):
        program, port = self.server(**self.server_tls())
        self.expect_all(program, self.send(port, tls={"enabled": True,
                                                      "ca_file": self.file("ca.pem")}))

    def test_everything_at_once(self):
        program, port = self.server(
            security=self.security(authorize=True, userDict={USER: PASSWORD}),
            **self.server_tls(requestCert=True, rejectUnauthorized=True))
        self.expect_all(program, self.send(
            port, compress="gzip", shared_key=KEY, username=USER, password=PASSWORD,
            tls={"enabled": True, "ca_file": self.file("ca.pem"),
                 "cert_file": self.file("guest.pem"), "key_file": self.file("guest.key")}))

    def test_refused(self):
        """What it does not let in, it is not sent; the reason is its own."""
        program, port = self.server(security=self.security(authorize=True,
                                                           userDict={USER: PASSWORD}))
        for options, reason in (({"shared_key": "another key"}, "shared key mismatch"),
                                ({"shared_key": KEY, "username": USER, "password": "wrong"},
                                 "username/password mismatch"),
                                ({"shared_key": KEY}, "missing authentication information")):
            with self.subTest(reason):
                shutil.rmtree(self.folder / "docker", ignore_errors=True)
                agent = self.send(port, **options)
                host.await_that("the agent says why", lambda agent=agent, reason=reason:
                                reason in agent.program.said())
                self.assertGreater(agent.value("tallyman_forward_errors_total", reason="auth"), 0)
                self.assertEqual(agent.value("tallyman_destination_records_acked_total"), 0)
                agent.kill()
        self.assertEqual(program.said().count("\n"), 1)  # its port, and nothing else


class Receiving(Peers):
    """The agent receives."""

    COUNT = 500

    def setUp(self):
        super().setUp()
        self.sink = host.Receiver(BINARY, self.folder).start()
        self.addCleanup(lambda: self.sink.program.process.poll() is None and
                        self.sink.program.kill())
        self.port = host.free_port()

    def receive(self, **receiver):
        receiver.setdefault("listen", [f"127.0.0.1:{self.port}"])
        return self.start(forward=self.sink.address, receiver=receiver)

    def rows(self, name):
        return [row for row in self.sink.records() if row["tag"] == f"peer.{name}"]


class Client(Receiving):
    """The npm package's client sends, the agent receives."""

    MODES = ("Message", "Forward", "PackedForward", "CompressedPackedForward")

    def client(self, name, **options):
        options["socket"] = {"host": "127.0.0.1", "port": self.port, "disableReconnect": True,
                             **options.get("socket", {})}
        return subprocess.run(["node", HERE / "client.js", json.dumps(
            {"name": name, "count": self.COUNT, **options})], env=node_environment(), text=True,
            capture_output=True, timeout=SECONDS_MAX, check=False)

    def expect_through(self, name, **options):
        done = self.client(name, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), name)
        host.await_that(f"the records of {name} arrived",
                        lambda: len(self.rows(name)) >= self.COUNT)
        for i, row in enumerate(self.rows(name)):
            self.assertEqual(row["record"], {
                "log": f"{name} {i}", "n": i, "half": i + 0.5, "text": "Grüße ✓", "none": None,
                "list": [True, {"deep": -1}]})
            self.assertEqual(row["time"][17:], f"{(20 + i) % 60:02}.{i:09}Z")

    def test_every_mode_with_and_without_acknowledgements(self):
        agent = self.receive()
        for mode in self.MODES:
            for ack in ({}, {"ack": {"ackTimeout": SECONDS_MAX * 1000}}):
                name = mode + (".ack" if ack else "")
                with self.subTest(name):
                    self.expect_through(name, eventMode=mode, **ack)
        self.assertEqual(agent.value("tallyman_receiver_records_total"),
                         2 * len(self.MODES) * self.COUNT)

    def test_unix_socket(self):
        path = str(self.folder / "in.sock")
        self.receive(listen=[f"unix://{path}"])
        self.expect_through("local", socket={"path": path},
                            ack={"ackTimeout": SECONDS_MAX * 1000})

    def test_keys_and_users(self):
        agent = self.receive(shared_key=KEY, users=[{"name": USER, "password": PASSWORD}],
                             self_hostname="hub")
        good = {"clientHostname": "peer", "sharedKey": KEY, "username": USER, "password": PASSWORD}
        self.expect_through("known", security=good, ack={"ackTimeout": SECONDS_MAX * 1000})
        for change, reason in (({"sharedKey": "another"}, "shared_key mismatch"),
                               ({"password": "wrong"}, "username/password mismatch"),
                               ({"username": "jim"}, "username/password mismatch"),
                               ({"clientHostname": "hub"}, "same hostname")):
            with self.subTest(reason, **change):
                done = self.client("unknown", security={**good, **change})
                self.assertEqual(done.returncode, 1)
                self.assertIn(reason, done.stderr)
        done = self.client("unasked")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Server expected authentication", done.stderr)
        self.assertEqual(self.rows("unknown") + self.rows("unasked"), [])
        self.assertEqual(agent.value("tallyman_receiver_records_total"), self.COUNT)

    def test_tls(self):
        self.receive(tls={"enabled": True, "cert_file": self.file("hub.pem"),
                          "key_file": self.file("hub.key"), "ca_file": self.file("ca.pem")})
        ours = {"ca": self.file("ca.pem"), "cert": self.file("guest.pem"),
                "key": self.file("guest.key")}
        self.expect_through("mutual", eventMode="CompressedPackedForward", tlsFiles=ours,
                            ack={"ackTimeout": SECONDS_MAX * 1000})
        done = self.client("stranger", tlsFiles={"ca": self.file("ca.pem")}, ack={})
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.rows("stranger"), [])


class ZstdServer(Sending):
    """The same lines as the npm package's server gets, to a receiver that knows zstd."""

    def receiver(self, **options):
        receiver = zstd_peer.Receiver(**options)
        self.addCleanup(receiver.close)
        return receiver

    def expect_rows(self, receiver, agent):
        def through():
            if receiver.trouble:
                raise receiver.trouble
            return agent.value("tallyman_destination_records_acked_total") == LINES
        host.await_that("everything is acknowledged", through)
        self.assertEqual(len(receiver.rows), LINES)
        for i, (tag, seconds, nanoseconds, record) in enumerate(receiver.rows):
            self.assertEqual(tag, f"docker.{self.CONTAINER[:12]}")
            self.assertEqual((seconds, nanoseconds), (1767323045, i))
            self.assertEqual(record["log"], f"{i} Grüße \t\"✓\" {'x' * (i % 300)}")
            self.assertEqual((record["source"], record["container_id"]),
                             ("stdout", self.CONTAINER))
        self.assertGreater(len(receiver.chunks), 5)
        packed, plain = map(sum, zip(*receiver.chunks))
        self.assertLess(packed, plain / 5)
        self.assertEqual(agent.value("tallyman_forward_resent_chunks_total"), 0)

    def test_sent(self):
        receiver = self.receiver()
        self.expect_rows(receiver, self.send(receiver.port, compress="zstd"))

    def test_sent_with_a_shared_key(self):
        receiver = self.receiver(key=KEY.encode())
        self.expect_rows(receiver, self.send(receiver.port, compress="zstd", shared_key=KEY))


class ZstdClient(Receiving):
    """Frames of zstd that another library made, to the agent's receiver."""

    @staticmethod
    def records(count, start=0):
        return [[zstd_peer.event_time(1700000000 + i, i), {"log": f"zstd {i}", "n": i,
                                                           "text": "Grüße ✓ " * (i % 9)}]
                for i in range(start, start + count)]

    @staticmethod
    def pack(records):
        return b"".join(msgpack.packb(record) for record in records)

    def client_of(self, **options):
        client = zstd_peer.Client(self.port, **options)
        self.addCleanup(client.close)
        return client

    def expect(self, count):
        host.await_that("the records arrived", lambda: len(self.rows("zstd")) >= count)
        self.assertEqual([row["record"] for row in self.rows("zstd")],
                         [record for _, record in self.records(count)])

    def test_received_however_it_was_compressed(self):
        """Levels, checksums, without the length, several frames in one, an empty one among them."""
        agent = self.receive()
        client = self.client_of()
        ways = [zstandard.ZstdCompressor(level=level, write_checksum=checksum,
                                         write_content_size=size).compress
                for level in (1, 9, 19) for checksum in (False, True) for size in (False, True)]
        half = self.COUNT // 2
        for number, compress in enumerate(ways):
            records = self.records(self.COUNT, number * self.COUNT)
            packed = compress(self.pack(records[:half])) + compress(b"") + \
                compress(self.pack(records[half:]))
            self.assertIsNotNone(client.send("peer.zstd", packed, self.COUNT))
        self.expect(len(ways) * self.COUNT)
        self.assertEqual(agent.value("tallyman_receiver_records_total"), len(ways) * self.COUNT)

    def test_received_with_a_shared_key(self):
        self.receive(shared_key=KEY, self_hostname="hub")
        client = self.client_of(key=KEY.encode())
        packed = zstandard.compress(self.pack(self.records(self.COUNT)))
        self.assertIsNotNone(client.send("peer.zstd", packed, self.COUNT))
        with self.assertRaisesRegex(zstd_peer.Refused, "shared_key mismatch"):
            self.client_of(key=b"another")
        self.expect(self.COUNT)

    def test_damaged_is_not_acknowledged(self):
        agent = self.receive()
        packed = zstandard.ZstdCompressor(write_checksum=True).compress(
            self.pack(self.records(self.COUNT)))
        for damaged in (packed[:-1], packed[:-1] + bytes([packed[-1] ^ 1]), packed + b"x"):
            self.assertIsNone(self.client_of().send("peer.zstd", damaged, self.COUNT))
        self.assertEqual(agent.value("tallyman_receiver_records_total"), 0)
        self.assertIsNotNone(self.client_of().send("peer.zstd", packed, self.COUNT))
        self.expect(self.COUNT)


BY_NPM = (Server, Client)
BY_PYTHON = (ZstdServer, ZstdClient)


class Lacking(unittest.TestCase):
    """Stands for those of npm where the package can't be had."""

    why = None

    def test_peers(self):
        raise self.why


def main():
    global BINARY, MODULES
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    BINARY = os.path.abspath(options.agent)
    with tempfile.TemporaryDirectory(prefix="tly-npm-") as MODULES:
        by_npm = BY_NPM
        try:
            install(MODULES)
        except unittest.SkipTest as skip:
            Lacking.why = skip
            by_npm = (Lacking,)
        return runner.run(runner.chosen(options.tests, by_npm + BY_PYTHON))


if __name__ == "__main__":
    sys.exit(main())
