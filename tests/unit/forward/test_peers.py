#!/usr/bin/python3
"""The sender against a receiver of another making: TLS by OpenSSL, which sends session tickets,
digests by hashlib, gzip by zlib, msgpack by its Python module.

usage: test_peers.py SEND_RECORDS
"""

import hashlib
import io
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import zlib

import msgpack

SEND_RECORDS = sys.argv.pop(1)
COUNT = 20000
SECONDS_MAX = 30
KEY, USER, PASSWORD, NAME = b"key", b"joe", b"pass", b"hub"


def digest(*parts):
    return hashlib.sha512(b"".join(parts)).hexdigest()


class Receiver:
    """Takes one connection after the other, until closed; keeps the lines that came."""

    def __init__(self, secured=False, tls=None, keepalive=True):
        self.secured, self.tls, self.keepalive = secured, tls, keepalive
        self.connections = 0
        self.lines, self.compressed, self.trouble = [], set(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                connection.settimeout(SECONDS_MAX)
                self.connections += 1
                if self.tls:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                self.serve(connection)
            except (OSError, ValueError) as error:
                self.trouble.append(str(error))
            finally:
                connection.close()

    def serve(self, connection):
        unpacker = msgpack.Unpacker(raw=True, max_buffer_size=1 << 27)

        def next_value():
            while True:
                try:
                    return unpacker.unpack()
                except msgpack.OutOfData:
                    received = connection.recv(1 << 16)
                    if not received:
                        return None
                    unpacker.feed(received)

        if self.secured:
            self.welcome(connection, next_value)
        while (frame := next_value()) is not None:
            tag, entries, options = frame
            assert tag == b"tag"
            kind = options.get(b"compressed", b"text").decode()
            self.compressed.add(kind)
            if kind == "gzip":
                entries = zlib.decompress(entries, wbits=31)
            records = list(msgpack.Unpacker(io.BytesIO(entries), raw=True))
            assert len(records) == options[b"size"]
            self.lines += [record[b"log"].decode() for _, record in records]
            connection.sendall(msgpack.packb({b"ack": options[b"chunk"]}))
            if not self.keepalive:
                return

    def welcome(self, connection, next_value):
        nonce, auth = os.urandom(16), os.urandom(16)
        connection.sendall(msgpack.packb(["HELO", {"nonce": nonce, "auth": auth,
                                                   "keepalive": self.keepalive}]))
        word, host, salt, key_digest, user, user_digest = next_value()
        good = (word == b"PING" and user == USER and
                key_digest.decode() == digest(salt, host, nonce, KEY) and
                user_digest.decode() == digest(auth, user, PASSWORD))
        proof = digest(salt, NAME, nonce, KEY)
        pong = ["PONG", True, "", NAME.decode(), proof] if good else ["PONG", False, "no", "", ""]
        connection.sendall(msgpack.packb(pong))
        if not good:
            raise ValueError("not let in")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(SECONDS_MAX)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
            "-days", "2")
    with open(os.path.join(folder, "names"), "w", encoding="utf-8") as names:
        names.write("subjectAltName=IP:127.0.0.1\n")
    for name in ("hub", "agent"):
        openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "names")
        os.chmod(os.path.join(folder, f"{name}.key"), 0o600)


class Peers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="tally-peers-")
        cls.folder = cls.scratch.name
        make_certificates(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def server_tls(self, mutual=False, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(self.path("hub.pem"), self.path("hub.key"))
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.path("ca.pem"))
        return context

    def send(self, receiver, options):
        config = (f"forward: [{{name: x, servers: ['127.0.0.1:{receiver.port}'], "
                  f"connect_timeout: 1s, {options}}}]")
        done = subprocess.run([SEND_RECORDS, config, str(COUNT)], capture_output=True, text=True,
                              timeout=SECONDS_MAX)
        receiver.close()
        return done

    def expect_delivered(self, receiver, options):
        done = self.send(receiver, options)
        self.assertEqual(done.returncode, 0, (done.stderr, receiver.trouble))
        self.assertEqual(receiver.lines, [f"line {i}" for i in range(COUNT)])

    def test_tls(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                self.expect_delivered(Receiver(tls=self.server_tls(version=version)),
                                      f"tls: {{enabled: true, ca_file: {self.path('ca.pem')}}}")

    def test_everything_at_once(self):
        receiver = Receiver(secured=True, tls=self.server_tls(mutual=True))
        self.expect_delivered(
            receiver, "shared_key: key, username: joe, password: pass, compress: gzip, "
            f"tls: {{enabled: true, ca_file: {self.path('ca.pem')}, "
            f"cert_file: {self.path('agent.pem')}, key_file: {self.path('agent.key')}}}")
        self.assertEqual(receiver.compressed, {"gzip"})

    def test_shared_key(self):
        self.expect_delivered(Receiver(secured=True),
                              "shared_key: key, username: joe, password: pass")

    def test_a_connection_for_each_chunk(self):
        """As Fluentd asks for by deny_keepalive: nothing is sent behind a frame that is not
        acknowledged, for it would be lost and come again."""
        receiver = Receiver(secured=True, keepalive=False)
        self.expect_delivered(receiver, "shared_key: key, username: joe, password: pass, "
                              "chunk_size: 128KiB")
        self.assertGreater(receiver.connections, 2)

    def test_gzip(self):
        receiver = Receiver()
        self.expect_delivered(receiver, "compress: gzip")
        self.assertEqual(receiver.compressed, {"gzip"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
