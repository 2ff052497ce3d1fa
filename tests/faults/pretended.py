"""A pretended Docker engine: what a real one has answered (tests/fixtures/docker), for the containers of
one run, over a Unix socket. Faults are made in the agent, which sees no difference; a real engine for
each of hundreds of runs would take hours."""

import http.server
import json
import pathlib
import socketserver
import threading
import time

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "docker"
PREFIX = "/v1."  # which requests may have
EVENT_SECONDS = 0.1


def fixture(name):
    return json.loads((FIXTURES / f"{name}.json").read_text())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.endswith("/events"):
            self.tell_events()
            return
        answer = self.server.engine.ask(path)
        if isinstance(answer, int):
            self.reply(answer, {"message": "not for you"})
            return
        self.reply(404 if answer is None else 200,
                   {"message": "No such container: any"} if answer is None else answer)

    def reply(self, status, answer):
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def tell_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not self.server.engine.ended.wait(EVENT_SECONDS):
            event = self.server.engine.event()
            if event is not None:
                text = json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

    def log_message(self, *_):
        pass

    def address_string(self):
        return "agent"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False  # streams of events end by themselves

    def handle_error(self, *_):
        pass  # clients break off; that is what this is for

    def get_request(self):
        return self.socket.accept()[0], ("agent", 0)


class Engine:
    ACTIONS = ("rename", "exec_create: sh", "exec_start: sh", "health_status: healthy", "pause",
               "unpause")

    def __init__(self, folder, source):
        self.socket = str(folder / "engine.sock")
        self.source = source
        self.ended = threading.Event()
        self.count = 0
        inspected = fixture("inspect-1.41-exited")
        self.pattern = inspected[0] if isinstance(inspected, list) else inspected
        self.listed = fixture("list-1.41")[0]
        self.server = Server(self.socket, Handler)
        self.server.engine = self
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def settings(self):
        return {"docker": {"host": f"unix://{self.socket}", "data_root": str(self.source.root)},
                "logs": {"pods_root": ""}}

    def inspect(self, container):
        answer = json.loads(json.dumps(self.pattern))
        answer.update(Id=container, Name=f"/c{container[-1]}",
                      LogPath=str(self.source.log(container)))
        answer["State"].update(Status="running", Running=True, ExitCode=0)
        answer["HostConfig"].update(LogConfig={"Type": self.source.driver, "Config": {}},
                                    Privileged=container.endswith("1"),
                                    Binds=["/etc:/etc"] if container.endswith("2") else None)
        answer["Config"]["Env"] = ["PATH=/bin", "PASSWORD=hunter2hunter2"]
        return answer

    def ask(self, path):
        if path.startswith(PREFIX):
            path = "/" + path[len(PREFIX):].partition("/")[2]
        return self.answer(path)

    def answer(self, path):
        words = path.strip("/").split("/")
        if path == "/_ping":
            return b"OK"
        if path == "/version":
            return {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
        if path == "/info":
            return {**fixture("info-1.41"), "DockerRootDir": str(self.source.root)}
        if path == "/containers/json":
            return [{**self.listed, "Id": container, "Names": [f"/c{container[-1]}"],
                     "State": "running"} for container in self.source.ids]
        if words[0] == "containers" and words[1] in self.source.ids and words[2:] == ["json"]:
            return self.inspect(words[1])
        if path in ("/networks", "/images/json"):
            return [{"Id": "sha256:" + "1" * 64, "Name": "bridge", "RepoTags": ["image:1"]}]
        if path == "/networks/bridge":
            return {"Id": "2" * 64, "Name": "bridge", "Options": {}}
        if words[0] == "images" and words[-1] == "history":
            return [{"Id": "x", "Created": 1, "CreatedBy": "/bin/sh -c #(nop) ADD x /", "Size": 1}]
        if words[0] == "images":
            return {"Id": "sha256:" + "1" * 64, "RepoTags": ["image:1"], "Created": "2026-01-01T00:00:00Z",
                    "Config": {"User": "", "Env": ["TOKEN=abc"], "ExposedPorts": {"22/tcp": {}}}}
        return None

    def event(self):
        self.count += 1
        container = self.source.ids[self.count % len(self.source.ids)]
        now = time.time_ns()
        action = self.ACTIONS[self.count % len(self.ACTIONS)]
        return {"status": action, "id": container, "from": "image:1", "Type": "container",
                "Action": action, "Actor": {"ID": container, "Attributes": {
                    "image": "image:1", "name": f"c{container[-1]}"}},
                "scope": "local", "time": now // 10 ** 9, "timeNano": now}

    def end(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
