"""A Unix-socket proxy between the agent and the engine that notes each request's method and path,
and may answer some of them itself, as a socket proxy does."""

import os
import re
import socket
import threading


class Recorder:
    """Listens on `path`. `deny` is a pattern of paths that are answered with 403 and HTML."""

    def __init__(self, path, engine_socket, deny=None):
        self.path = path
        self.engine_socket = engine_socket
        self.deny = re.compile(deny) if deny else None
        self.requests = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(64)
        threading.Thread(target=self.serve, daemon=True).start()

    def stop(self):
        self.server.close()
        os.unlink(self.path)

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        """One connection: requests are read head by head, since only these are of interest (the
        agent sends no bodies), and replies pass through as they come."""
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(self.engine_socket)
        threading.Thread(target=self.pump, args=(engine, client), daemon=True).start()
        pending = b""
        try:
            while True:
                data = client.recv(65536)
                if not data:
                    break
                pending += data
                while b"\r\n\r\n" in pending:
                    head, pending = pending.split(b"\r\n\r\n", 1)
                    method, path = head.split(b" ", 2)[:2]
                    self.requests.append((method.decode(), path.decode()))
                    if self.deny and self.deny.search(path.decode()):
                        body = b"<html><body><h1>403 Forbidden</h1></body></html>"
                        client.sendall(b"HTTP/1.0 403 Forbidden\r\nContent-Type: text/html\r\n"
                                       b"Content-Length: %d\r\nConnection: close\r\n\r\n%s"
                                       % (len(body), body))
                        return
                    engine.sendall(head + b"\r\n\r\n")
        except OSError:
            pass
        finally:
            for end in (client, engine):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        try:
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
