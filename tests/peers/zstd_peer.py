"""Both ends of the forward protocol with zstd, by Python's modules zstandard and msgpack: the frames,
the acknowledgements and the handshake with a shared key are written here from the specification
(https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1.5)."""

import base64
import hashlib
import io
import os
import socket
import struct
import threading

import msgpack
import zstandard

SECONDS_MAX = 60  # a bound against hanging


def digest(*parts):
    return hashlib.sha512(b"".join(parts)).hexdigest()


def event_time(seconds, nanoseconds):
    return msgpack.ExtType(0, struct.pack(">II", seconds, nanoseconds))


class Stream:
    """The values of a connection, one after the other."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(SECONDS_MAX)
        self.unpacker = msgpack.Unpacker(raw=True, max_buffer_size=1 << 27)

    def read(self):
        """The next one; None at the end."""
        while True:
            try:
                return self.unpacker.unpack()
            except msgpack.OutOfData:
                received = self.connection.recv(1 << 16)
                if not received:
                    return None
                self.unpacker.feed(received)

    def write(self, value):
        self.connection.sendall(msgpack.packb(value))


class Receiver:
    """Takes one connection and keeps what came: [tag, seconds, nanoseconds, record]. It reads zstd in
    small steps, so that a frame that claims less than it holds, or ends early, is seen."""

    def __init__(self, key=None, name=b"hub"):
        self.key, self.name = key, name
        self.rows, self.chunks, self.trouble = [], [], None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            connection, _ = self.listener.accept()
            with connection:
                stream = Stream(connection)
                if self.key:
                    self.welcome(stream)
                while (frame := stream.read()) is not None:
                    self.take(stream, frame)
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the records
            self.trouble = error

    def welcome(self, stream):
        nonce = os.urandom(16)
        stream.write(["HELO", {"nonce": nonce, "auth": b"", "keepalive": True}])
        word, host, salt, proof, _, _ = stream.read()
        if word != b"PING" or proof.decode() != digest(salt, host, nonce, self.key):
            stream.write(["PONG", False, "shared_key mismatch", "", ""])
            raise ValueError("not let in")
        stream.write(["PONG", True, "", self.name.decode(),
                      digest(salt, self.name, nonce, self.key)])

    def take(self, stream, frame):
        tag, packed, options = frame
        if options[b"compressed"] != b"zstd":
            raise ValueError(f"compressed by {options[b'compressed']!r}")
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)) as reader:
            plain = b"".join(iter(lambda: reader.read(4096), b""))
        records = list(msgpack.Unpacker(io.BytesIO(plain), raw=False))
        if len(records) != options[b"size"]:
            raise ValueError(f"{len(records)} records instead of {options[b'size']}")
        for time, record in records:
            self.rows.append([tag.decode(), *struct.unpack(">II", time.data), record])
        self.chunks.append((len(packed), len(plain)))
        stream.write({"ack": options[b"chunk"].decode()})

    def close(self):
        self.listener.close()


class Refused(Exception):
    """By the receiver's word."""


class Client:
    """Sends frames of records and waits for the acknowledgement of each."""

    def __init__(self, port, key=None, name=b"peer"):
        self.stream = Stream(socket.create_connection(("127.0.0.1", port)))
        if key:
            self.greet(key, name)

    def greet(self, key, name):
        word, options = self.stream.read()
        if word != b"HELO":
            raise ValueError(word)
        salt, nonce = os.urandom(16), options[b"nonce"]
        self.stream.write(["PING", name, salt, digest(salt, name, nonce, key), "", ""])
        word, good, reason, host, proof = self.stream.read()
        if not good:
            raise Refused(reason.decode())
        if proof.decode() != digest(salt, host, nonce, key):
            raise ValueError("the receiver does not know the key")

    def send(self, tag, packed, size):
        """One frame with bytes that are compressed already; its acknowledgement, or None."""
        chunk = base64.b64encode(os.urandom(16)).decode()
        self.stream.write([tag, packed, {"compressed": "zstd", "size": size, "chunk": chunk}])
        answer = self.stream.read()
        if answer is not None and answer[b"ack"].decode() != chunk:
            raise ValueError(f"an acknowledgement of {answer!r}")
        return answer

    def close(self):
        self.stream.connection.close()
