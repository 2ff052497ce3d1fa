"""The agent as a receiver of the forward protocol, between clients made of Python's own parts
(msgpack, hashlib, ssl, zlib) and `tallyman receive`.

usage: test_receiver.py BINARY
"""

import collections
import hashlib
import os
import pathlib
import resource
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

import msgpack

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
sys.path.insert(0, str(HERE.parents[1] / "engine"))
import host  # noqa: E402
import runner  # noqa: E402

BINARY = None
SECONDS_MAX = 60  # a bound against hanging
SECONDS, NANOSECONDS = 1767323045, 6
TIME_TEXT = "2026-01-02T03:04:05.000000006Z"
TIME = msgpack.ExtType(0, SECONDS.to_bytes(4, "big") + NANOSECONDS.to_bytes(4, "big"))
CONNECTIONS = 5000

# For tests that look at memory: a sanitizer keeps most of what is freed.
FREES = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def digest(*parts):
    return hashlib.sha512(b"".join(parts)).hexdigest()


class Client:
    """One connection, with frames in and answers out."""

    def __init__(self, address, tls=None):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(SECONDS_MAX)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=SECONDS_MAX)
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        self.unpacker = msgpack.Unpacker(raw=True)

    def send(self, *frame):
        self.socket.sendall(pack(list(frame)))

    def read(self):
        """The next value; None at the end."""
        while True:
            try:
                return self.unpacker.unpack()
            except msgpack.OutOfData:
                received = self.socket.recv(1 << 16)
                if not received:
                    return None
                self.unpacker.feed(received)

    def log(self, text, chunk=None, time=TIME):
        self.send("t", time, {"log": text}, {"chunk": chunk} if chunk else {})
        if chunk:
            assert self.read() == {b"ack": chunk.encode()}

    def greet(self, key, user=b"", password=b"", name=b"client"):
        """The handshake; True: we may come in, and the receiver is the one it should be."""
        kind, options = self.read()
        assert kind == b"HELO", kind
        salt = os.urandom(8).hex().encode()
        self.send("PING", name, salt, digest(salt, name, options[b"nonce"], key), user,
                  digest(options[b"auth"], user, password) if options[b"auth"] else "")
        answer = self.read()
        if answer is None or not answer[1]:
            return False
        kind, _, _, server, proof = answer
        assert kind == b"PONG", kind
        return proof.decode() == digest(salt, server, options[b"nonce"], key)

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


class Receiver(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tly-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.port = host.free_port()
        self.sink = host.Receiver(BINARY, self.folder)
        self.agent = None

    def start(self, sink=True, spool=None, environment=None, **receiver):
        """The agent, listening; and what it sends to."""
        if sink:
            self.start_sink()
        receiver.setdefault("listen", [f"127.0.0.1:{self.port}"])
        self.agent = host.Agent(BINARY, self.folder, forward=self.sink.address,
                                docker={"host": "", "data_root": str(self.folder / "docker")},
                                receiver=receiver, spool=spool or {})
        self.agent.start(environment=environment)
        self.addCleanup(lambda: self.agent.program.process.poll() is None and self.agent.kill())

    def start_sink(self):
        self.sink.start()
        self.addCleanup(lambda: self.sink.program.process.poll() is None and
                        self.sink.program.kill())

    def client(self, address=None, **options):
        client = Client(address or ("127.0.0.1", self.port), **options)
        self.addCleanup(client.close)
        return client

    def logs(self):
        return [row["record"].get("log") for row in self.sink.records()]

    def await_logs(self, expected):
        host.await_that(f"{len(expected)} records arrived", lambda: len(self.logs()) >=
                        len(expected))
        self.assertEqual(self.logs(), expected)

    def test_every_mode(self):
        self.start()
        client = self.client()

        def entries(*texts):
            return b"".join(pack([TIME, {"log": text}]) for text in texts)
        gzip = zlib.compressobj(wbits=31)
        packed = gzip.compress(entries("gzip 1", "gzip 2")) + gzip.flush()
        zstd = subprocess.run(["zstd", "-q", "-c"], input=entries("zstd"), capture_output=True,
                              check=True).stdout
        frames = [
            ("a.message", TIME, {"log": "message"}, {"chunk": "1"}),
            ("a.forward", [[TIME, {"log": "forward 1"}], [SECONDS, {"log": "forward 2"}]],
             {"chunk": "2"}),
            ("a.packed", entries("packed"), {"chunk": "3", "size": 1}),
            ("a.gzip", packed, {"chunk": "4", "compressed": "gzip"}),
            ("a.zstd", zstd, {"chunk": "5", "compressed": "zstd"}),
            ("a.silent", TIME, {"log": "silent", "n": [1, None, {"x": 1.5}]}),
            ("a.options", SECONDS, {"log": "options"}, None),
            ("a.last", [], {"chunk": "nothing in it\n"}),
        ]
        for frame in frames:
            client.send(*frame)
        answers = [client.read()[b"ack"] for _ in range(6)]
        self.assertEqual(answers, [b"1", b"2", b"3", b"4", b"5", b"nothing in it\n"])
        self.await_logs(["message", "forward 1", "forward 2", "packed", "gzip 1", "gzip 2", "zstd",
                         "silent", "options"])
        rows = self.sink.records()
        self.assertEqual([row["tag"] for row in rows],
                         ["a.message", "a.forward", "a.forward", "a.packed", "a.gzip", "a.gzip",
                          "a.zstd", "a.silent", "a.options"])
        self.assertEqual(rows[0]["time"], TIME_TEXT)
        self.assertEqual(rows[2]["time"], TIME_TEXT.replace(".000000006", ".000000000"))
        self.assertEqual(rows[7]["record"], {"log": "silent", "n": [1, None, {"x": 1.5}]})
        self.assertEqual(self.agent.value("tallyman_receiver_records_total"), 9)
        self.assertEqual(self.agent.value("tallyman_receiver_frames_total"), 8)

    def test_killed_with_its_receiver_away(self):
        """What was answered arrives, although the agent was killed and had nobody to send to."""
        self.start(sink=False)
        answered = []
        for life in range(5):
            client = self.client()
            for number in range(50):
                client.log(f"{life}.{number}", f"{life}.{number}")
                answered.append(f"{life}.{number}")
            self.agent.program.process.send_signal(signal.SIGKILL)
            self.agent.program.process.wait(SECONDS_MAX)
            self.agent.start()
        self.start_sink()
        self.await_logs(answered)

    def test_full_disk_delays_answers_and_stops_nobody(self):
        """With a disk that takes nothing, whoever wants answers waits; whoever doesn't never
        blocks, and what can't be kept is counted."""
        self.start(spool={"memory_max": "1MiB", "max": "4MiB"})
        asking, silent = self.client(), self.client()
        asking.log("before", "1")
        limit = resource.prlimit(self.agent.program.pid, resource.RLIMIT_FSIZE,
                                 (1, resource.RLIM_INFINITY))
        # The limit is on the agent's own log as well: what it says of this is lost.
        asking.send("t", TIME, {"log": "kept"}, {"chunk": "2"})
        asking.socket.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            asking.read()
        asking.socket.settimeout(SECONDS_MAX)
        for number in range(100):
            silent.log(f"{number}:" + "x" * 100000)  # ten times what there is room for
        host.await_that("records are dropped", lambda: self.agent.value(
            "tallyman_receiver_records_dropped_total") > 10)
        self.assertGreater(self.agent.value("tallyman_spool_write_errors_total"), 0)
        resource.prlimit(self.agent.program.pid, resource.RLIMIT_FSIZE, limit)
        self.assertEqual(asking.read(), {b"ack": b"2"})
        asking.log("after", "3")
        host.await_that("the rest arrived", lambda: "after" in self.logs())
        logs = self.logs()
        self.assertEqual(logs[:2], ["before", "kept"])
        dropped = self.agent.value("tallyman_receiver_records_dropped_total")
        self.assertEqual(len(logs), 3 + 100 - dropped)

    def test_more_answers_wait_than_there_is_memory_for(self):
        """A client that goes on without its answers, which a disk that takes nothing holds back, is
        not read from until they are sent, and loses none."""
        count, chunk = 5000, "x" * 4000
        self.start(environment=FREES)
        client = self.client()
        client.log("before", "1")
        before = host.peak_mib(self.agent.program.pid)
        limit = resource.prlimit(self.agent.program.pid, resource.RLIMIT_FSIZE,
                                 (1, resource.RLIM_INFINITY))
        frames = b"".join(pack(["t", TIME, {"log": str(number)}, {"chunk": chunk}])
                          for number in range(count))
        sender = threading.Thread(target=client.socket.sendall, args=(frames,))
        sender.start()
        host.await_that("the disk takes nothing", lambda: self.agent.value(
            "tallyman_spool_write_errors_total") > 0)
        read = [-1]

        def no_more():
            read.append(self.agent.value("tallyman_receiver_frames_total"))
            return read[-1] == read[-2]
        host.await_that("nothing more is read", no_more, pace=0.2)
        resource.prlimit(self.agent.program.pid, resource.RLIMIT_FSIZE, limit)
        for _ in range(count):
            self.assertEqual(client.read(), {b"ack": chunk.encode()})
        sender.join()
        self.await_logs(["before", *map(str, range(count))])
        self.assertLess(host.peak_mib(self.agent.program.pid), before + 12)  # of the 20 MB

    def test_full_disk_takes_no_copies(self):
        """A client that makes a connection for each try, as Fluentd does: while there is no room,
        its frame is refused before any of it is taken, and no try leaves a copy."""
        self.start(spool={"memory_max": "1MiB", "max": "4MiB"})
        pid = self.agent.program.pid
        limit = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        silent = self.client()
        silent.log("first")
        host.await_that("the disk takes nothing", lambda: self.agent.value(
            "tallyman_spool_write_errors_total") > 0)
        for _ in range(12):  # somewhat more than there is room for
            silent.log("x" * 100000)
        host.await_that("they were taken", lambda: self.agent.value(
            "tallyman_spool_records_total") == 13)
        for _ in range(10):
            client = self.client()
            client.send("t", [[TIME, {"log": "once"}]] * 2, {"chunk": "1"})
            self.assertTrue(client.is_closed())
        self.assertEqual(self.agent.value("tallyman_spool_records_total"), 13)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
        host.await_that("the disk takes all", lambda: len(self.logs()) == 13)
        self.client().log("at last", "2")
        host.await_that("that arrived", lambda: self.logs()[-1] == "at last")

    def test_record_that_is_too_long_for_ever(self):
        """It is dropped and counted, and what is around it is taken, once."""
        self.start(spool={"memory_max": "32MiB", "max": "128MiB"})
        client = self.client()
        texts = [str(number) for number in range(200)]
        for chunk, tag in (("1", "t"), (None, "t"), ("2", "t" * 70000)):
            entries = [[TIME, {"log": text}] for text in texts]
            entries.insert(100, [TIME, {"log": "x" * (17 << 20)}])
            client.send(tag, entries, {"chunk": chunk} if chunk else {})
            if chunk:
                self.assertEqual(client.read(), {b"ack": chunk.encode()})
        self.await_logs(texts * 2)
        self.assertEqual(self.agent.value("tallyman_receiver_records_dropped_total"), 1 + 1 + 201)
        self.assertEqual(self.agent.value("tallyman_receiver_connections_broken_total"), 0)
        self.assertIn("1 records are dropped: they, or their tag, are too long",
                      self.agent.program.said())

    def test_stop_leaves_nothing_behind(self):
        """What had come when the agent was told to stop, while it could not look: it is read from
        clients that ask for nothing, and answered to those that asked before."""
        self.start()
        asking = self.client()
        asking.log("before", "1")
        process = self.agent.program.process
        process.send_signal(signal.SIGSTOP)
        asking.send("t", TIME, {"log": "asked"}, {"chunk": "2"})
        silent = self.client()
        texts = [str(number) for number in range(1000)]
        for text in texts:
            silent.log(text)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(asking.read(), {b"ack": b"2"})
        self.assertEqual(process.wait(SECONDS_MAX), 0)
        self.agent.start()
        self.await_logs(["before", "asked", *texts])

    def test_stops_while_many_ask(self):
        """Each of them sends what it has no answer for once more, on another connection; nothing
        that was taken was left without one."""
        self.start()
        clients, ended = 20, threading.Event()
        sent = [0] * clients

        def ask(which):
            while not ended.is_set():
                try:
                    client = self.client()
                    while not ended.is_set():
                        client.log(f"{which}.{sent[which]}", str(sent[which]))
                        sent[which] += 1
                except (OSError, AssertionError):
                    ended.wait(0.01)  # the agent is away, or closed it without an answer
        threads = [threading.Thread(target=ask, args=(which,)) for which in range(clients)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            before = sum(sent)
            host.await_that("more was answered", lambda: sum(sent) >= before + 10 * clients)
            self.assertEqual(self.agent.stop(), 0)
            self.agent.start()
        ended.set()
        for thread in threads:
            thread.join()
        host.await_that("all arrived", lambda: len(self.logs()) >= sum(sent))
        arrived = collections.Counter(self.logs())
        self.assertEqual([text for text, count in arrived.items() if count > 1], [])
        self.assertEqual(len(arrived), sum(sent))

    def test_keys_and_users(self):
        self.start(shared_key="key", users=[{"name": "joe", "password": "pass"}],
                   self_hostname="hub", listen=[f"127.0.0.1:{self.port}",
                                                f"unix://{self.folder}/in.sock"])
        client = self.client()
        self.assertTrue(client.greet(b"key", b"joe", b"pass"))
        client.log("let in", "1")
        for key, user, password in [(b"kez", b"joe", b"pass"), (b"key", b"joe", b"past"),
                                    (b"key", b"jim", b"pass"), (b"key", b"", b"")]:
            client = self.client()
            self.assertFalse(client.greet(key, user, password), (key, user, password))
            self.assertTrue(client.is_closed())
        unasked = self.client()
        unasked.send("t", TIME, {"log": "no handshake"})
        self.assertEqual(unasked.read()[0], b"HELO")
        self.assertTrue(unasked.is_closed())
        local = self.client(str(self.folder / "in.sock"))  # guarded by its mode instead
        local.log("by the socket", "2")
        self.await_logs(["let in", "by the socket"])
        self.assertEqual(self.agent.value("tallyman_receiver_connections_refused_total"), 5)
        said = self.agent.program.said()
        self.assertIn("not let in: shared_key mismatch", said)
        mode = (self.folder / "in.sock").stat().st_mode & 0o777
        self.assertEqual(mode, 0o660)

    def certificate(self, name):
        """A certificate signed by itself, and its key."""
        key, file = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key,
                        "-out", file], check=True, capture_output=True)
        key.chmod(0o600)
        return str(file), str(key)

    def test_tls(self):
        server, server_key = self.certificate("hub")
        known, known_key = self.certificate("known")
        stranger, stranger_key = self.certificate("stranger")
        self.start(tls={"enabled": True, "cert_file": server, "key_file": server_key,
                        "ca_file": known})

        def context(*pair):
            context = ssl.create_default_context(cafile=server)
            context.check_hostname = False
            if pair:
                context.load_cert_chain(*pair)
            return context
        self.client(tls=context(known, known_key)).log("by a known client", "1")
        for pair in ((), (stranger, stranger_key)):
            with self.assertRaises((OSError, AssertionError)):
                self.client(tls=context(*pair)).log("by a stranger", "2")
        plain = self.client()
        plain.log("without TLS")
        plain.socket.shutdown(socket.SHUT_WR)  # or it has its time to say hello
        self.assertNotIn(b"ack", plain.socket.recv(1 << 16))  # but an alert
        self.assertTrue(plain.is_closed())
        self.await_logs(["by a known client"])

    def test_nothing_in_a_frame_is_answered_while_others_are_written(self):
        self.start()
        client = self.client()
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(500):
            client.send("t", TIME, {"log": str(number)})
            client.send("t", [], {"chunk": str(number)})
            self.assertEqual(client.read(), {b"ack": str(number).encode()})

    def test_hostile_clients(self):
        self.start(connections_max=20)
        good = self.client()
        good.log("first", "1")
        for bytes_ in (b"GET / HTTP/1.1\r\n\r\n", b"\xc1", b"\x93\xa1t\xc6\xff\xff\xff\xff",
                       pack(["t", b"\x91" * 100]), pack(["t", 1, "no map"]),
                       pack(["t", b"\x1f\x8bno gzip", {"compressed": "gzip"}]),
                       pack(["t", [], {"chunk": "x" * 5000}])):
            client = self.client()
            client.socket.sendall(bytes_)
            client.socket.shutdown(socket.SHUT_WR)
            self.assertTrue(client.is_closed(), bytes_[:100])
        bomb = zlib.compressobj(9, wbits=31)
        body = b"".join(bomb.compress(b"\0" * (1 << 20)) for _ in range(100)) + bomb.flush()
        client = self.client()
        client.send("t", body, {"compressed": "gzip", "chunk": "x"})
        self.assertTrue(client.is_closed())
        crowd = [self.client() for _ in range(30)]
        host.await_that("those over the maximum are closed", lambda: self.agent.value(
            "tallyman_receiver_connections_refused_total") >= 10)
        self.assertLessEqual(self.agent.value("tallyman_receiver_connections_open"), 20)
        for client in crowd:
            client.close()
        good.log("last", "2")
        self.await_logs(["first", "last"])

    def test_frames_that_are_through_take_no_memory(self):
        """Connections that stay open after frames of many pieces, which in all are far longer than
        what may be unfinished at a time."""
        self.start(unfinished_max="1MiB")
        clients = [self.client() for _ in range(20)]
        for number, client in enumerate(clients):
            client.log("x" * 100000, str(number))
        self.assertEqual(self.agent.value("tallyman_receiver_connections_broken_total"), 0)
        self.assertEqual(self.agent.value("tallyman_receiver_unfinished_bytes"), 0)

    def test_what_was_decompressed_takes_no_memory(self):
        """Each of many connections sends a few hundred bytes that become 180 kB, and stays."""
        self.start(environment=FREES)
        gzip = zlib.compressobj(9, wbits=31)
        body = gzip.compress(pack([SECONDS, "no record"]) * 10000) + gzip.flush()
        before = host.peak_mib(self.agent.program.pid)
        clients = [self.client() for _ in range(200)]
        for client in clients:
            client.send("t", body, {"compressed": "gzip", "chunk": "1"})
            self.assertEqual(client.read(), {b"ack": b"1"})
        self.assertLess(host.peak_mib(self.agent.program.pid), before + 16)

    def test_thousands_of_connections(self):
        """Like that many containers with Docker's fluentd driver: each waits for each answer."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CONNECTIONS + 1000), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.start()
        selector = selectors.DefaultSelector()
        rounds = 3

        def send(peer):
            peer.socket.sendall(pack(["t", TIME, {"log": f"{peer.number}.{peer.round}"},
                                      {"chunk": f"{peer.number}.{peer.round}"}]))
        for number in range(CONNECTIONS):
            peer = self.client()
            peer.number, peer.round = number, 0
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        host.await_that("all of them are connected", lambda: self.agent.value(
            "tallyman_receiver_connections_open") == CONNECTIONS)
        pid = self.agent.program.process.pid
        cpu = -host.cpu_seconds(pid)
        begun = time.monotonic()
        for key in list(selector.get_map().values()):
            send(key.data)
        answered = 0
        while answered < CONNECTIONS * rounds:
            ready = selector.select(SECONDS_MAX)
            self.assertTrue(ready, f"no answer any more after {answered}")
            for key, _ in ready:
                peer = key.data
                self.assertEqual(peer.read(), {b"ack": f"{peer.number}.{peer.round}".encode()})
                answered += 1
                peer.round += 1
                if peer.round < rounds:
                    send(peer)
        cpu += host.cpu_seconds(pid)
        self.notes = [f"{answered} answers in {time.monotonic() - begun:.1f} s, {cpu:.2f} CPU-s; "
                      f"peak {host.peak_mib(pid):.1f} MiB"]
        host.await_that("every record arrived",
                        lambda: len(self.logs()) >= CONNECTIONS * rounds)
        logs = self.logs()
        self.assertEqual(sorted(logs), sorted(f"{number}.{turn}" for number in range(CONNECTIONS)
                                              for turn in range(rounds)))
        self.assertEqual(self.agent.stop(), 0)

    def refused(self, config):
        file = self.folder / "bad.yml"
        file.write_text(config)
        done = subprocess.run([BINARY, "run", "--config", file], capture_output=True, text=True,
                              timeout=SECONDS_MAX, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def test_what_cannot_work_is_said_at_the_start(self):
        base = (f"state_dir: {self.folder}/state\nweb: {{listen: []}}\n"
                f"docker: {{host: '', data_root: {self.folder}}}\n")
        forward = "forward: [{name: a, servers: [127.0.0.1:1]}]\n"
        self.assertIn("there is no destination",
                      self.refused(base + "receiver: {listen: [127.0.0.1:0]}"))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = self.refused(base + forward + f"receiver: {{listen: [127.0.0.1:{port}]}}")
        self.assertIn(str(port), said)
        self.assertIn("address already in use", said)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    runner.main()
