#!/usr/bin/python3
"""`tallyman top` in a real terminal (tmux): what it shows of a real engine's containers and of a
thousand made on disk, what keys do, the agent's restart, sizes, being stopped and ended; and as text
in a pipe.

usage: run.py --agent BINARY [TEST…], as root
"""

import argparse
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent), str(HERE.parent / "page"), str(HERE)]

import host  # noqa: E402
import house  # noqa: E402
import runner  # noqa: E402
import terminal  # noqa: E402

SECONDS_MAX = 60  # a bound against hanging
MANY = 1000
CPU_MS_MAX = 60  # of an update with MANY containers, asking for it included
HOSTILE = ["\x1b[31mred\x1b[2J", "\x1b]0;title\x07", "a\rb\tc", "\u202egnp.exe", "漢字", "x" * 300]
COLUMNS = ["CONTAINER", "ATTENTION", "STATE", "HEALTH", "SINCE", "CPU", "MEMORY", "OF_LIMIT",
           "LIMIT", "RECEIVED", "SENT", "READ", "WRITTEN", "RESTARTS", "LOG_LAG", "FINDINGS",
           "IMAGE"]


def cpu_ms(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


class Case(unittest.TestCase):
    def setUp(self):
        why = terminal.lacking()
        if why:
            self.skipTest(why)
        scratch = host.scratch()
        self.folder = scratch.__enter__()
        self.addCleanup(scratch.__exit__, None, None, None)

    def start(self, **settings):
        agent = host.Agent(self.binary, self.folder, **settings).start()
        self.addCleanup(lambda: agent.program.process.poll() is None and agent.kill())
        return agent

    def terminal(self, width=80, height=24, **more):
        one = terminal.Terminal(self.folder, width, height, **more)
        self.addCleanup(one.close)
        return one

    def top(self, agent, *arguments, width=80, height=24, **more):
        """`tallyman top` in a terminal, whose first screen is there."""
        one = self.terminal(width, height, **more)
        one.run(" ".join([f"{self.binary} top --config {agent.config}", *arguments]))
        one.until("Tallyman", "Live", "[1 Containers")
        return one

    def pid(self):
        """Of the one `tallyman top` that runs."""
        found = [int(path.parent.name) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")
                 if path.read_bytes().split(b"\0")[1:2] == [b"top"]]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def text(self, agent, *arguments, code=0, **more):
        environment = {**os.environ, "LC_ALL": "C.UTF-8", **more}
        done = subprocess.run([self.binary, "top", "--config", str(agent.config), *arguments],
                              capture_output=True, text=True, timeout=SECONDS_MAX, env=environment,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def table(self, agent, *arguments, **more):
        """Rows of the text by the names of the columns."""
        lines = [line.split() for line in self.text(agent, *arguments, **more).splitlines()
                 if not line.startswith("#")]
        self.assertEqual(lines[0], COLUMNS)
        self.assertEqual({len(line) for line in lines}, {len(COLUMNS)})
        return [dict(zip(COLUMNS, line)) for line in lines[1:]]


class Made(Case):
    """Containers made on disk."""

    def setUp(self):
        super().setUp()
        self.house = house.Host(self.folder, time.time())

    def start(self, **settings):
        return super().start(**{**self.house.settings(), **settings})

    def populate(self):
        self.house.add_few()
        for index in range(30):
            self.house.add(f"unit-{index:02}", image="shop/unit:1", memory=8 + index)

    def start_with_alerts(self):
        self.populate()
        return self.start(**self.house.alerts())

    def names(self, screen):
        """Of the rows of the list, from the top."""
        lines = screen.split("\n")
        head = next(index for index, line in enumerate(lines) if "CONTAINER" in line)
        return [line[3:].split()[0] for line in lines[head + 1:-2] if line[3:].strip()]

    def test_shows_sorts_filters(self):
        agent = self.start_with_alerts()
        top = self.top(agent)
        screen = top.until("1 alert firing", "full", "ill", "exit 3")
        self.assertEqual(set(self.names(screen)[:2]), {"full", "ill"})  # what is wrong comes first
        self.assertRegex(screen, r"!! ill +unhealthy +Running")
        self.assertRegex(screen, r"!  ended +exit 3 +Exited \(3\)")
        self.assertIn("1–16 of 33", screen)
        top.keys("M")
        self.assertEqual(self.names(top.until("by memory "))[:3], ["full", "unit-29", "unit-28"])
        top.keys("r")
        self.assertEqual(self.names(top.until("by memory, reversed"))[0], "unit-00")
        top.keys("End")  # what is not known comes last, in either direction
        self.assertEqual(self.names(top.until("18–33 of 33"))[-1], "ended")
        top.keys("N")
        self.assertEqual(self.names(top.until("by name "))[:3], ["ended", "full", "ill"])
        top.keys("/")
        top.type("unit-2 shop")
        screen = top.until("Filter: unit-2 shop_")
        self.assertEqual(self.names(screen), [f"unit-{index}" for index in range(20, 30)])
        top.keys("Enter")
        top.until("by name, /unit-2 shop", "of 10")
        top.keys("Escape")
        top.until("of 33", absent=["/unit-2"])
        top.keys("a", "a", "a")
        self.assertEqual(self.names(top.until("only stopped"))[:2], ["ended"])
        top.keys("q")
        top.until("top --config", absent=["CONTAINER"])

    def test_detail_alerts_and_destinations(self):
        agent = self.start_with_alerts()
        top = self.top(agent, width=100, height=40)
        top.until("1 alert firing", "Logs ! not connected to gone", "4 Logs !")
        top.keys("2")
        top.until("[2 Alerts 1]", "NearLimit (critical) · full", "full is nearly full")
        top.keys("4")
        top.until("[4 Logs", "127.0.0.1:1 (down)", "not connected")
        top.keys("5")
        top.until("[5 Agent", "Open descriptors", "What it watches")
        top.keys("1")
        top.keys("/")
        top.type("full")
        top.keys("Enter", "Enter")
        top.until("!! full", "Project shop", "of its limit of 512 MiB", "NearLimit (critical)",
                  "Recent events", "Now, and the last")
        top.keys("NPage")
        top.until("com.docker.compose.project=shop")
        top.keys("End")
        top.until("container_memory_working_set_bytes")
        top.keys("Escape")
        top.until("by attention, /full")
        top.keys("?")
        top.until("Keys and words")

    def test_hostile_names(self):
        for index, text in enumerate(HOSTILE):
            self.house.add(text, image=text, labels={text: text, f"k{index}": text})
        agent = self.start()
        top = self.top(agent, width=120, height=40)
        screen = top.until("?[31mred?[2J", "?]0;title?", "a?b?c", "?gnp.exe", "漢字", "xxx…")
        self.assertIn("6 running", screen)
        self.assertNotIn("title", top.fact("pane_title"))
        for index in range(len(HOSTILE)):
            top.keys("Home", *["Down"] * index, "Enter")
            top.until("Limits and set-up", "Labels")
            top.keys("Escape")
            top.until("by attention")
        rows = self.table(agent)
        self.assertIn("?[31mred?[2J", [row["CONTAINER"] for row in rows])
        self.assertIn("x" * 300, [row["CONTAINER"] for row in rows])
        text = self.text(agent, LC_ALL="C")
        self.assertTrue(text.isascii())
        self.assertRegex(text, r"(?m)^\?\? ")
        self.assertNotRegex(text, r"[\x00-\x09\x0b-\x1f\x7f]")

    def test_agent_away(self):
        agent = self.start_with_alerts()
        top = self.top(agent, "--interval", "1")
        top.until("ill", "unhealthy")
        agent.kill()
        screen = top.until("The agent does not answer", "!! No answer for", "trying again")
        self.assertIn("ill", screen)  # what was known stays in sight
        pid = self.pid()
        before = cpu_ms(pid)
        top.until("No answer for 5 s")
        self.assertLess(cpu_ms(pid) - before, 500)  # it waits between its attempts
        agent.start()
        top.until("Live", absent=["does not answer"])
        top.keys("q")

    def test_agent_absent_at_start(self):
        agent = host.Agent(self.binary, self.folder, **self.house.settings())
        self.assertIn("does not answer", self.text(agent, code=1))
        one = self.terminal()
        one.run(f"{self.binary} top --config {agent.config} --interval 1")
        one.until("Nothing is known yet.", "The agent does not answer")
        agent.start()
        self.addCleanup(agent.kill)
        one.until("Nothing runs here yet", "No containers yet")

    def test_sizes(self):
        agent = self.start_with_alerts()
        top = self.top(agent)
        top.until("OF LIMIT", "ill", absent=["WRITTEN"])
        top.resize(160, 50)
        screen = top.until("READ", "WRITTEN", "RESTARTS", "1–33 of 33")
        self.assertIn("unit-29", screen)
        top.resize(40, 12)
        screen = top.until("CONTAINER", "1–4 of 33", absent=["WRITTEN"])
        self.assertEqual(len(self.names(screen)), 4)
        top.resize(10, 3)
        top.until("Tallyman")
        top.resize(80, 24)
        top.until("1–16 of 33")
        top.keys("q")

    def test_ends_cleanly(self):
        agent = self.start_with_alerts()
        for way in ("q", "C-c", "TERM", "HUP"):
            with self.subTest(way):
                top = self.terminal()
                top.run(f"cd {self.folder}; stty -a >before")
                top.run(f"{self.binary} top --config {agent.config}; echo ended with $?")
                top.until("[1 Containers")
                self.assertEqual(top.fact("alternate_on"), "1")
                self.assertEqual(top.fact("cursor_flag"), "0")
                if way.isupper():
                    os.kill(self.pid(), getattr(signal, f"SIG{way}"))
                else:
                    top.keys(way)
                top.until("ended with 0", absent=["Containers"])
                self.assertEqual(top.fact("alternate_on"), "0")
                self.assertEqual(top.fact("cursor_flag"), "1")
                top.run("stty -a >after; cmp before after && echo as it was")
                top.until("\nas it was", absent=["NDELAY"])
                top.close()

    def test_stopped_and_continued(self):
        agent = self.start_with_alerts()
        top = self.top(agent)
        top.until("ill")
        top.keys("C-z")
        top.until("Stopped", absent=["Containers"])
        self.assertEqual(top.fact("cursor_flag"), "1")
        top.run("echo between; fg")
        top.until("ill", "Live", absent=["between"])
        top.keys("M")
        top.until("by memory")
        top.keys("C-z")
        top.until("Stopped", absent=["Containers"])
        top.run("kill %1; wait; echo over")
        top.until("over")

    def test_colours(self):
        agent = self.start_with_alerts()
        top = self.top(agent)
        top.until("unhealthy")
        self.assertIn("\x1b[1m\x1b[31m", top.coloured())
        top.keys("q")
        top.close()
        top = self.top(agent, NO_COLOR="1")
        screen = top.until("!! ill", "unhealthy")
        self.assertNotRegex(top.coloured(), r"\x1b\[[0-9;]*3[0-7]m")
        self.assertIn("!  ended", screen)  # the sign is there without colours
        top.keys("q")
        top.close()
        top = self.top(agent, LANG="C", LC_ALL="C")
        self.assertTrue(top.until("- ", "by attention").isascii())

    def test_terminal_that_can_do_nothing(self):
        agent = self.start_with_alerts()
        for name in ("dumb", "no-such-terminal"):
            one = self.terminal(width=200)
            one.run(f"TERM={name} {self.binary} top --config {agent.config} --filter ill")
            one.until("# containers: 32 running, 1 stopped", "CONTAINER")
            one.close()

    def test_hold(self):
        agent = self.start_with_alerts()
        top = self.top(agent, "--interval", "1")
        top.until("ill")
        top.keys("Space")
        top.until("! Held for 3 s")
        top.keys("Space")
        top.until("Live")

    def test_pipe(self):
        agent = self.start_with_alerts()
        host.await_that("the alert fires", lambda: "alert NearLimit" in self.text(agent))
        rows = self.table(agent)
        self.assertEqual({rows[0]["CONTAINER"], rows[1]["CONTAINER"]}, {"full", "ill"})
        self.assertEqual(len(rows), 33)
        rows = self.table(agent, "--sort", "memory", "--filter", "unit", "--reverse")
        self.assertEqual(rows[0]["CONTAINER"], "unit-00")
        self.assertRegex(rows[0]["MEMORY"], r"^\d+(\.\d+)?MiB$")
        rows = self.table(agent, "--show", "stopped")
        self.assertEqual([(row["CONTAINER"], row["STATE"], row["CPU"]) for row in rows],
                         [("ended", "Exited(3)", "-")])
        text = self.text(agent, "--count", "3", "--interval", "0.5")
        self.assertEqual(text.count("# Tallyman "), 3)
        self.assertIn("no number of seconds", self.text(agent, "--interval", "x", code=2))
        self.assertIn("--sort", self.text(agent, "--sort", "size", code=2))
        done = subprocess.run(f"{self.binary} top --config {agent.config} >/dev/full", shell=True,
                              capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        self.assertIn("cannot write to standard output", done.stderr)

    def test_behind_a_password_on_a_unix_socket(self):
        self.house.add("guarded")
        agent = host.Agent(self.binary, self.folder, **self.house.settings())
        self.house.guard(agent, listen=[f"unix://{self.folder}/web.sock"])
        agent.program = host.Program("agent", [agent.binary, "run", "--config",
                                               str(agent.config)], self.folder)
        self.addCleanup(agent.kill)
        secret = self.folder / "password"
        secret.write_text(house.PASSWORD)
        secret.chmod(0o600)
        host.await_that("it listens", (self.folder / "web.sock").exists)
        self.assertIn("it asks for a password: see --user", self.text(agent, code=1))
        rows = host.await_that("its container is known", lambda: self.table(
            agent, "--user", house.USER, "--password-file", str(secret)))
        self.assertEqual(rows[0]["CONTAINER"], "guarded")

    def test_many(self):
        for index in range(MANY):
            self.house.add(f"unit-{index:04}", image=f"shop/unit:{index % 7}", cpu=index / MANY / 50,
                           memory=8 + index % 90, limit=128 if index % 2 else 0,
                           labels={"com.docker.compose.project": f"stack-{index % 20}"})
        agent = self.start(collect={"interval": "2s"})
        host.await_that("the agent knows all", lambda: agent.value(
            "tallyman_inventory_containers") == MANY)
        top = self.top(agent, "--interval", "0.5", width=160, height=50)
        top.until("of 1,000")
        top.keys("/")
        top.type("stack-7 unit-09")
        screen = top.until("Filter: stack-7 unit-09")
        self.assertEqual(self.names(screen), [f"unit-09{tens}7" for tens in "02468"])
        top.keys("Escape")
        top.keys("M")
        top.until("by memory", "of 1,000")
        pid = self.pid()
        each_asks = 1 + ('"/api/v1/alerts"' in agent.get("/api/v1/overview"))
        asked = [self.requests(agent)]
        spent = cpu_ms(pid)

        def updates():
            asked.append(self.requests(agent))
            return (asked[-1] - asked[0] - len(asked) + 1) / each_asks
        host.await_that("it was updated 20 times", lambda: updates() >= 20, pace=0.5)
        each = (cpu_ms(pid) - spent) / updates()
        self.notes = [f"{MANY} containers: an update takes {each:.1f} ms of CPU"]
        self.assertLess(each, CPU_MS_MAX)

    def requests(self, agent):
        """That the agent has answered; asking is one more."""
        return sum(agent.values("tallyman_http_requests_total"))


class Words(Case):
    """The same words and figures as the status page, of the same answers: its own script says them."""

    def setUp(self):
        super().setUp()
        if not shutil.which("node"):
            self.skipTest("nodejs is not installed (tools/install-packages full)")

    def answers(self):
        """An overview and alerts, with every kind of value in every column."""
        dice = random.Random(7)
        columns = ["id", "name", "image", "project", "state", "health", "since", "exit_code",
                   "oom_killed", "oom_kills", "restarts", "cpu", "cpu_max", "throttled", "memory",
                   "memory_max", "received", "sent", "read", "written", "layer", "lag_seconds",
                   "lag_bytes", "failed", "failed_high"]
        moment = 1787486400.5
        def figure(most, *others):
            return dice.choice([None, 0, round(10 ** dice.uniform(-3, most), 4), *others])
        def whole(most, *others):
            number = figure(most, *others)
            return number if number is None else int(number)
        rows = []
        for index in range(400):
            row = {"id": dice.randbytes(8).hex(), "name": dice.choice([f"unit-{index}", f"Unit-{index}", None]),
                   "image": dice.choice(["shop/unit:1", None]), "project": dice.choice(["shop", None]),
                   "state": dice.choice(["running", "exited", "paused", "restarting", "dead", None]),
                   "health": dice.choice(["healthy", "unhealthy", "starting", None]),
                   "since": dice.choice([None, int(moment - 10 ** dice.uniform(0, 7))]),
                   "exit_code": dice.choice([None, 0, 1, 137, 143]), "oom_killed": dice.choice([None, 0, 1]),
                   "restarts": whole(5), "cpu": figure(1.5, 0.125), "cpu_max": figure(1, 2),
                   "throttled": figure(0, 0.25, 0.26), "memory": whole(11, 1179648),
                   "memory_max": whole(11, 536870912), "lag_seconds": figure(4, 60, 61, 1.9),
                   "failed": whole(2), "failed_high": whole(1)}
            for name in ("received", "sent", "read", "written", "layer", "lag_bytes", "oom_kills"):
                row[name] = whole(8)
            if dice.random() < 0.2 and row["memory_max"]:
                row["memory"] = int(row["memory_max"] * dice.choice([0.89, 0.9, 0.95, 0.97, 1]))
            rows.append([row[name] for name in columns])
        samples = [{"name": "tallyman_collector_success", "labels": {"collector": "disk"}, "value": 0},
                   {"name": "tallyman_collector_errors_total", "labels": {"collector": "disk"}, "value": 2},
                   {"name": "tallyman_docker_up", "value": 0},
                   {"name": "tallyman_destination_queued_records", "value": 0,
                    "labels": {"destination": "a"}},
                   {"name": "tallyman_forward_connected", "value": 0,
                    "labels": {"destination": "a", "server": "b"}},
                   {"name": "tallyman_logs_api_unreadable", "value": 3}]
        overview = {"version": "0.1.0", "name": "host-7", "interval": 10, "off": [],
                    "lacking": [{"what": "CAP_X", "lost": "nothing is seen"}],
                    "pages": [{"path": "/api/v1/alerts", "title": "Alerts"}],
                    "time": "2026-08-23T12:00:00.500000000Z",
                    "host": {"cpu": 1, "cpu_max": 2, "memory": 1, "memory_max": 2},
                    "agent": {"cpu": 0, "memory": 0}, "samples": [[], samples],
                    "lags": [{"destination": "a", "seconds": 75.5, "bytes": 1, "containers": 1}],
                    "columns": columns, "containers": rows}
        alerts = [{"labels": {"alertname": "A", "severity": dice.choice(["critical", "warning"]),
                              "id": f"/docker/{row[0]}{'0' * 48}"} if index % 2 else
                   {"alertname": "B", "name": row[1] or "nobody"},
                   "annotations": {}, "state": dice.choice(["firing", "pending"]),
                   "activeAt": "2026-08-23T11:00:00Z", "value": "1"}
                  for index, row in enumerate(dice.sample(rows, 60))]
        return {"/api/v1/overview": overview, "/api/v1/alerts": {"data": {"alerts": alerts}}}

    def serve(self, answers):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(answers[self.path]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def page(self, answers):
        """What the page says of them."""
        paths = self.folder / "overview.json", self.folder / "alerts.json"
        for path, answer in zip(paths, answers.values()):
            path.write_text(json.dumps(answer))
        return json.loads(subprocess.run(
            ["node", str(HERE / "words.js"), str(HERE.parents[1] / "dashboards/status/status.js"),
             *map(str, paths)], capture_output=True, text=True, timeout=SECONDS_MAX,
            check=True).stdout)

    def test_the_same_of_a_quiet_host(self):
        """Where nothing is wrong, logs are up to date only if somebody takes them."""
        answers = self.answers()
        overview = answers["/api/v1/overview"]
        answers["/api/v1/alerts"]["data"]["alerts"] = []
        overview.update(containers=[], lacking=[], lags=[
            {"destination": "a", "seconds": 0, "bytes": 0, "containers": 0}])
        overview["samples"] = [[], [sample for sample in overview["samples"][1]
                                    if "destination" in sample.get("labels", {})]]
        url = self.serve(answers)
        for connected in (0, 1):
            overview["samples"][1][-1]["value"] = connected
            verdict = self.page(answers)["verdict"]
            self.assertEqual("logs up to date" in str(verdict), bool(connected))
            text = subprocess.run([self.binary, "top", "--url", url], text=True, check=True,
                                  capture_output=True, timeout=SECONDS_MAX,
                                  stdin=subprocess.DEVNULL).stdout
            self.assertIn(f"# {verdict['text']}: {verdict['more']}".removesuffix(": "), text)

    def test_the_same_as_the_page(self):
        answers = self.answers()
        said = self.page(answers)
        url = self.serve(answers)

        def bare(text):
            return re.sub("[ _]", "", text.replace("\u2013", "-")) or "-"

        def table(*arguments):
            done = subprocess.run([self.binary, "top", "--url", url, *arguments], text=True,
                                  capture_output=True, timeout=SECONDS_MAX, check=True,
                                  stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"})
            lines = done.stdout.splitlines()
            return ([line[2:] for line in lines if line.startswith("#")],
                    [dict(zip(COLUMNS, line.split())) for line in lines if line[0] != "#"][1:])

        names = {identity: row["CONTAINER"] for identity, row in said["rows"].items()}
        for key, order in said["orders"].items():
            summary, rows = table("--sort", key)
            self.assertEqual([row["CONTAINER"] for row in rows], [names[one] for one in order], key)
        for key, shown in said["shows"].items():
            self.assertEqual({row["CONTAINER"] for row in table("--show", key)[1]},
                             {names[one] for one in shown}, key)
        self.assertIn(f"{said['verdict']['text']}: {said['verdict']['more']}", summary)
        self.assertEqual([line.removeprefix("lacking: ") for line in summary if line.startswith("lacking")],
                         said["lackings"])
        by_name = {row["CONTAINER"]: row for row in rows}
        for row in said["rows"].values():
            self.assertEqual({key: bare(text) for key, text in by_name[row["CONTAINER"]].items()},
                             {key: bare(text) for key, text in row.items()})


class Real(Case):
    """Containers of a real engine."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not shutil.which("dockerd"):
            raise unittest.SkipTest("docker.io is not installed (tools/install-packages full)")
        scratch = host.scratch()
        folder = scratch.__enter__()
        cls.addClassCleanup(scratch.__exit__, None, None, None)
        cls.engine = host.Engine(folder)
        cls.engine.start()
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.import_busybox()

    def is_unchanged(self, agent, path):
        """Asked again with the tag of its answer, the agent says that it is the same."""
        url = f"http://127.0.0.1:{agent.port}{path}"
        with urllib.request.urlopen(url) as reply:
            tag = reply.headers["ETag"]
        try:
            urllib.request.urlopen(urllib.request.Request(url, headers={"If-None-Match": tag})).close()
        except urllib.error.HTTPError as error:
            return error.code == 304
        return False

    def test_follows_the_engine(self):
        receiver = host.Receiver(self.binary, self.folder).start()
        self.addCleanup(receiver.program.kill)
        agent = self.start(engine=self.engine, forward=receiver.address)
        top = self.top(agent, width=120, height=45)
        top.until("No containers yet")
        container = self.engine.run(
            "web", "echo ready; touch /tmp/ok; exec sleep 1000", Labels={"evil": "\x1b[2J"},
            Healthcheck={"Test": ["CMD-SHELL", "test -f /tmp/ok"], "Interval": 10 ** 9},
            HostConfig={"Memory": 64 << 20})
        host.await_that("its row appears", lambda: re.search(r"web +Running", top.screen()))
        top.keys("Enter")
        top.until("Running, healthy", "evil=?[2J", "json-file", "Add --memory")
        host.await_that("its start is told",
                        lambda: re.search(r"ago +start", top.screen()))
        self.engine.post(f"/containers/{container}/kill")
        top.until("ended, exit code 137", "Exited (137)")
        top.keys("Escape")
        host.await_that("its row says so",
                        lambda: re.search(r"web +(exit 137 +)?Exited \(137\)", top.screen()))
        top.keys("3")
        top.until("[3 Findings", "Findings of the audit: score")
        top.keys("/")
        top.type("web memory")
        top.keys("Enter")
        top.until("/web memory", "memory_limit (", absent=["pids_limit ("])
        top.keys("Escape")
        top.until("pids_limit (")
        top.keys("4")
        top.until("up to date, connected", "Acknowledged")
        rows = self.table(agent)
        self.assertEqual([(row["CONTAINER"], row["STATE"]) for row in rows], [("web", "Exited(137)")])
        for name in ("alerts", "rules", "findings?status=fail", "events"):
            host.await_that(f"{name} are the same as before",
                            lambda name=name: self.is_unchanged(agent, f"/api/v1/{name}"))
        top.keys("1")
        self.engine.remove(container)
        top.until("No containers yet")
        top.keys("q")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    Case.binary = os.path.abspath(options.agent)
    host.enter()
    return runner.run(runner.chosen(options.tests, (Words, Made, Real)))


if __name__ == "__main__":
    sys.exit(main())
