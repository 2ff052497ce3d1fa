"""A changed configuration while the agent works: lines, connections and states of alerts live on,
and a file with anything wrong in it changes nothing.

usage: test_reload.py BINARY
"""

import copy
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
sys.path.insert(0, str(HERE.parents[1] / "engine"))
import host  # noqa: E402
import runner  # noqa: E402

BINARY = None
RELOADS = 20
CONTAINERS = [f"{number:064x}" for number in range(1, 4)]
SUCCESSFUL = "tallyman_config_last_reload_successful"
TIMESTAMP = "tallyman_config_last_reload_success_timestamp_seconds"


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tly-reload-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        for container in CONTAINERS:
            self.log(container).parent.mkdir(parents=True)
            self.log(container).touch()

    def log(self, container):
        return self.folder / "docker" / "containers" / container / f"{container}-json.log"

    def receiver(self, name):
        folder = self.folder / name
        folder.mkdir()
        receiver = host.Receiver(BINARY, folder).start()
        self.addCleanup(lambda: receiver.program.process.poll() is None and receiver.stop())
        return receiver

    def agent(self, environment=None, **settings):
        # A sandbox lets nobody connect to ports that were not known at the start.
        self.settings = {"web": {"reload": True},
                         "sandbox": {"layers": ["capabilities", "no_new_privs", "seccomp"]},
                         "docker": {"host": "", "data_root": str(self.folder / "docker")},
                         **settings}
        agent = host.Agent(BINARY, self.folder, **self.settings)
        self.addCleanup(lambda: agent.program.process.poll() is None and agent.stop())
        return agent.start(environment=environment)

    def write(self, agent, change):
        """Changes the agent's file by `change`, which gets all of it as a dictionary."""
        config = json.loads(agent.config.read_text())
        config = change(copy.deepcopy(config)) or config
        agent.config.write_text(json.dumps(config))

    def ask(self, agent, method="POST"):
        request = urllib.request.Request(f"http://127.0.0.1:{agent.port}/-/reload", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def reload(self, agent, change=None):
        """By HTTP, and again while the last one has not settled."""
        def put(config):
            change(config)
            return config
        if change:
            self.write(agent, put)

        def done():
            status, text = self.ask(agent)
            if status != 503:
                self.assertEqual((status, text), (200, "the configuration is in force\n"))
            return status == 200
        host.await_that("the reload", done)

    def refuse(self, agent, change, *words):
        before = agent.config.read_text()
        self.write(agent, change)
        try:
            status, text = self.ask(agent)
        finally:
            agent.config.write_text(before)
        self.assertEqual(status, 500, text)
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(agent.value(SUCCESSFUL), 0)

    def append(self, container, lines):
        with open(self.log(container), "a") as log:
            for line in lines:
                log.write(json.dumps({"log": line + "\n", "stream": "stdout",
                                      "time": "2026-01-02T03:04:05.678Z"}) + "\n")


class Load(Case):
    def test_no_line_is_lost(self):
        """20 reloads that change what is done to lines, who gets them and how, while lines come."""
        first, second = self.receiver("first"), self.receiver("second")
        agent = self.agent(forward=[{"name": "one", "servers": [first.address],
                                     "flush_interval": "50ms"}])
        written = {container: 0 for container in CONTAINERS}
        stop = threading.Event()

        def write():
            while not stop.is_set():
                for container in CONTAINERS:
                    begin = written[container]
                    self.append(container, [f"line {n}" for n in range(begin, begin + 20)])
                    written[container] = begin + 20
                stop.wait(0.002)
        writer = threading.Thread(target=write)
        writer.start()
        connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=30)
        connection.connect()
        kept = connection.sock
        try:
            for number in range(RELOADS):
                def change(config, number=number):
                    one = {"name": "one", "servers": [first.address], "flush_interval": "50ms",
                           "chunk_size": f"{64 + number % 3}KiB"}
                    two = {"name": "two", "servers": [second.address], "flush_interval": "50ms"}
                    config["forward"] = [two, one] if number % 4 >= 2 else [one]
                    config["logs"]["fields"] = [{"name": "round", "value": str(number)}]
                    config["logs"]["shape"] = [{"redact": [f"secret{number}"]}] if number % 2 else []
                    config["collect"]["interval"] = f"{1 + number % 2}s"
                    config["collect"]["labels"] = [f"com.example.{number}.*"]
                    config["groups"] = {"disable": ["disk"]} if number % 3 == 0 else {}
                    config["log"] = {"level": "debug" if number % 2 else "info"}
                    config["posture"]["sweep"] = f"{1 + number}h"
                self.reload(agent, change)
                connection.request("GET", "/metrics")
                reply = connection.getresponse()
                self.assertEqual(reply.status, 200)
                reply.read()
                self.assertIs(connection.sock, kept, "the connection was closed")
                before = min(written.values())
                host.await_that("lines go on", lambda: min(written.values()) > before + 100)
        finally:
            stop.set()
            writer.join()
        for container in CONTAINERS:
            wanted = [f"line {n}" for n in range(written[container])]
            host.await_that("all lines", lambda: len(set(first.lines(container))) == len(wanted),
                            seconds=60)
            # What was sent and not acknowledged may come once more, at each of the reloads that
            # made another sender.
            self.assertEqual(list(dict.fromkeys(first.lines(container))), wanted)
        self.assertGreater(len({row["record"].get("round") for row in first.records()}), 10)
        self.assertTrue(second.records())
        self.assertEqual(agent.value(SUCCESSFUL), 1)

    def test_names_keep_their_place(self):
        """A destination that goes and comes back goes on where it stood; one that is new begins
        with what is written from then on, where `from` says so."""
        first, second = self.receiver("first"), self.receiver("second")
        one = {"name": "one", "servers": [first.address], "flush_interval": "50ms"}
        two = {"name": "two", "servers": [second.address], "flush_interval": "50ms"}
        agent = self.agent(forward=[one], logs={"from": "now"})
        container = CONTAINERS[0]
        self.append(container, ["a"])
        host.await_that("a", lambda: first.lines(container) == ["a"])
        self.reload(agent, lambda config: config.update(forward=[one, two]))
        host.await_that("a reader", lambda: agent.values("tallyman_logs_read_bytes_total",
                                                         destination="two"))
        self.append(container, ["b"])
        host.await_that("b", lambda: first.lines(container) == ["a", "b"])
        host.await_that("b", lambda: second.lines(container) == ["b"])
        self.reload(agent, lambda config: config.update(forward=[two]))
        self.append(container, ["c"])
        host.await_that("c", lambda: second.lines(container) == ["b", "c"])
        self.assertEqual(first.lines(container), ["a", "b"])
        self.reload(agent, lambda config: config.update(forward=[]))
        self.append(container, ["d"])
        self.reload(agent, lambda config: config.update(forward=[one, two]))
        host.await_that("d", lambda: first.lines(container) == ["a", "b", "c", "d"])
        host.await_that("d", lambda: second.lines(container) == ["b", "c", "d"])

    def test_first_destination(self):
        """An agent that had nobody to send to begins to read."""
        first = self.receiver("first")
        agent = self.agent()
        self.append(CONTAINERS[0], ["before"])
        self.reload(agent, lambda config: config.update(
            forward=[{"name": "one", "servers": [first.address], "flush_interval": "50ms"}]))
        self.append(CONTAINERS[0], ["after"])
        host.await_that("both", lambda: first.lines(CONTAINERS[0]) == ["before", "after"])

    def test_received_under_another_name(self):
        """A destination gets another name: what the agent's receiver takes from then on is its own."""
        first = self.receiver("first")
        port = host.free_port()
        agent = self.agent(receiver={"listen": [f"127.0.0.1:{port}"]}, forward=[
            {"name": "one", "servers": [first.address], "flush_interval": "50ms"}])

        def received():
            return [row["record"]["n"] for row in first.records()]

        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"\x93\xa3app\x01\x81\xa1n\x01")
            host.await_that("the first record", lambda: received() == [1])
            self.reload(agent, lambda config: config["forward"][0].update(name="other"))
            client.sendall(b"\x93\xa3app\x02\x81\xa1n\x02")
            host.await_that("the second record", lambda: received() == [1, 2])

    def test_other_server(self):
        """What a dead server never acknowledged goes to the one that takes its place."""
        second = self.receiver("second")
        dead = socket.socket()
        self.addCleanup(dead.close)
        dead.bind(("127.0.0.1", 0))
        dead.listen()
        name = f"127.0.0.1:{dead.getsockname()[1]}"
        agent = self.agent(forward=[{"name": "one", "servers": [name], "flush_interval": "50ms"}])
        self.append(CONTAINERS[0], [f"line {n}" for n in range(1000)])
        host.await_that("lines are queued", lambda: agent.value(
            "tallyman_destination_queued_records", destination="one") == 1000)
        self.reload(agent, lambda config: config["forward"][0].update(servers=[second.address]))
        host.await_that("all lines", lambda: second.lines(CONTAINERS[0]) ==
                        [f"line {n}" for n in range(1000)])


class Refusals(Case):
    def test_whole_or_not_at_all(self):
        first = self.receiver("first")
        rules = self.folder / "rules.yml"
        rules.write_text("groups: [{name: g, rules: [{record: a:b, expr: vector(1)}]}]\n")
        agent = self.agent(forward=[{"name": "one", "servers": [first.address],
                                     "flush_interval": "50ms"}],
                           rules={"builtin": False, "files": [str(rules)]})
        since = agent.value(TIMESTAMP)
        self.assertEqual(agent.value(SUCCESSFUL), 1)

        def with_level(change):
            def both(config):
                config["log"] = {"level": "error"}
                change(config)
                return config
            return both
        cases = [
            (lambda config: config.update(nonsense=1), ["nonsense", "tallyman.yml:1:"]),
            (lambda config: config["collect"].update(interval="1y"), ["interval"]),
            (lambda config: config["web"].update(listen=["127.0.0.1:39999"]),
             ["web.listen", "restart"]),
            (lambda config: config.update(state_dir="/elsewhere", spool={"max": "2GiB"}),
             ["state_dir", "spool.max", "restart"]),
            (lambda config: config["logs"].update(shape=[{"redact": ["("]}]), ["redact"]),
            (lambda config: config["forward"].append(
                {"name": "two", "servers": ["127.0.0.1:1"],
                 "tls": {"enabled": True, "ca_file": "/nowhere.pem"}}), ["two", "/nowhere.pem"]),
            (lambda config: config.update(groups={"disable": ["events"]}), ["events", "restart"]),
            (lambda config: config["rules"].update(files=["/nowhere.yml"]), ["/nowhere.yml"]),
        ]
        for change, words in cases:
            with self.subTest(words=words):
                self.refuse(agent, with_level(change), *words)
        rules.write_text("groups: [{name: g, rules: [{record: a:b, expr: vector(}]}]\n")
        status, text = self.ask(agent)
        self.assertEqual(status, 500)
        self.assertIn("rules.yml:1:", text)
        # Nothing of them is in force, not even what stood beside the mistakes.
        self.append(CONTAINERS[0], ["still here"])
        host.await_that("the line", lambda: first.lines(CONTAINERS[0]) == ["still here"])
        self.assertEqual(agent.values("tallyman_destination_queued_records", destination="two"), [])
        self.assertEqual(agent.value(TIMESTAMP), since)
        rules.write_text("groups: []\n")
        self.reload(agent)
        self.assertEqual(agent.value(SUCCESSFUL), 1)
        self.assertGreater(agent.value(TIMESTAMP), since)

    def test_sandbox(self):
        """What the start shut out stays out, and the reload says so."""
        agent = self.agent(sandbox={"layers": ["no_new_privs", "landlock"]})
        if agent.value("tallyman_sandbox_enabled", layer="landlock") == 0:
            raise runner.Lacking("Landlock")
        self.refuse(agent, lambda config: {**config, "forward": [
            {"name": "new", "servers": ["127.0.0.1:39999"]}]}, "sandbox", "39999")

    def test_over_http(self):
        agent = self.agent(web={"reload": False})
        status, text = self.ask(agent)
        self.assertEqual(status, 403)
        self.assertIn("web", text)
        status, text = self.ask(agent, "GET")
        self.assertEqual(status, 405)
        self.assertIn("POST", text)
        request = urllib.request.Request(f"http://127.0.0.1:{agent.port}/metrics", method="POST")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=30)
        self.assertEqual(caught.exception.code, 405)
        # The switch itself is applied by a reload.
        self.write(agent, lambda config: {**config, "web": {**config["web"], "reload": True}})
        agent.program.process.send_signal(signal.SIGHUP)
        host.await_that("the switch", lambda: self.ask(agent)[0] == 200)


class States(Case):
    def test_pending_alert(self):
        """An alert that waits goes on waiting from when it began."""
        rules = self.folder / "rules.yml"
        rule = {"alert": "Waits", "expr": "tallyman_build_info > 0", "for": "1h"}

        def write(other):
            rules.write_text(json.dumps({"groups": [
                {"name": "g", "rules": [rule, {"alert": other, "expr": "vector(1)"}]}]}))

        def alert(name):
            alerts = json.loads(agent.get("/api/v1/alerts"))["data"]["alerts"]
            found = [one for one in alerts if one["labels"]["alertname"] == name]
            return found[0] if found else None
        write("First")
        agent = self.agent(rules={"builtin": False, "files": [str(rules)], "interval": "1s"})
        host.await_that("pending", lambda: alert("Waits") and alert("First"))
        began = alert("Waits")["activeAt"]
        write("Second")
        self.reload(agent, lambda config: config["rules"].update(resend_delay="30s"))
        host.await_that("the other rule", lambda: alert("Second"))
        self.reload(agent, lambda config: config["collect"].update(interval="2s"))
        host.await_that("evaluated since", lambda: alert("Second")["state"] == "firing")
        self.assertEqual(alert("Waits")["state"], "pending")
        self.assertEqual(alert("Waits")["activeAt"], began)
        self.assertIsNone(alert("First"))


class Libraries(Case):
    @unittest.skipUnless(os.geteuid() == 0, "only root may see what is in the memory of an agent")
    def test_first_request_of_a_sandboxed_agent(self):
        """An agent that asks nobody has no libcurl in memory. Where a reload is the first to need it,
        it is loaded inside of the sandbox."""
        alerts = []

        class Alertmanager(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                alerts.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Alertmanager)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        port = server.server_address[1]
        rules = self.folder / "rules.yml"
        rules.write_text(json.dumps({"groups": [
            {"name": "g", "rules": [{"alert": "Fires", "expr": "vector(1)"}]}]}))
        # A server that is not there makes the port one that the sandbox lets connect to.
        agent = self.agent(sandbox={"layers": ["capabilities", "no_new_privs", "landlock", "seccomp"]},
                           forward=[{"name": "absent", "servers": [f"127.0.0.2:{port}"]}],
                           rules={"builtin": False, "files": [str(rules)], "interval": "1s",
                                  "resend_delay": "1s"})

        def loaded():
            maps = pathlib.Path(f"/proc/{agent.program.pid}/maps").read_text()
            return set(re.findall(r"/lib(curl|ncurses)[^/\n]*\n", maps))
        on = agent.metrics()
        self.assertEqual(loaded(), set())
        self.reload(agent, lambda config: config.update(alertmanagers=[f"http://127.0.0.1:{port}"]))
        host.await_that("the alert", lambda: alerts)
        self.assertEqual(alerts[0]["labels"]["alertname"], "Fires")
        self.assertEqual(loaded(), {"curl"})
        off = [dict(labels)["layer"] for (name, labels), value in on.items()
               if name == "tallyman_sandbox_enabled" and not value]
        self.notes = [f"without {', '.join(off)}" if off else "inside of every layer"]


class Manager(Case):
    def test_protocol(self):
        """What sd_notify(3) asks of a service that reloads."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        path = str(self.folder / "notify")
        manager.bind(path)
        manager.settimeout(30)

        def await_word(word):
            while True:
                lines = manager.recv(4096).decode().split("\n")
                if word in lines:
                    return lines
        agent = self.agent(environment={**os.environ, "NOTIFY_SOCKET": path})
        await_word("READY=1")
        for name in ("disk", "network"):
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self.write(agent, lambda config, name=name: {**config, "groups": {"disable": [name]}})
            agent.program.process.send_signal(signal.SIGHUP)
            lines = await_word("RELOADING=1")
            stamp = [line for line in lines if line.startswith("MONOTONIC_USEC=")]
            self.assertEqual(len(stamp), 1)
            self.assertGreaterEqual(int(stamp[0].partition("=")[2]), before)
            await_word("READY=1")
        agent.config.write_text("nonsense: 1\n")
        agent.program.process.send_signal(signal.SIGHUP)
        await_word("RELOADING=1")
        await_word("READY=1")  # it goes on
        self.assertEqual(agent.value(SUCCESSFUL), 0)
        self.assertIn("nonsense", agent.program.said())


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    runner.main()
