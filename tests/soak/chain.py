"""One agent with its receiver and ledger, and what a sample of the agent is."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import host
import ledger

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Rules look back on hours, also at containers that have gone: with this churn that would grow all the
# time. So the bound is soon reached, and tested with all else.
HISTORY_MAX = "2MiB"
PAGES = ("/api/v1/overview", "/api/v1/containers", "/api/v1/findings", "/api/v1/alerts", "/")


class Peer:
    """`tallyman receive` whose output is read through a pipe, a new one for each of its lives: what
    it printed of a line when it was killed was not acknowledged, and is thrown away."""

    def __init__(self, binary, folder, book):
        self.binary, self.folder, self.book = binary, folder, book
        self.port = host.free_port()
        self.process, self.reader = None, None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        with open(self.folder / "receiver.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "receive", "--listen", self.address], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        self.reader = threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

        def listens():
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        host.await_that("the receiver listens", listens)

    def read(self, pipe):
        with pipe:
            for line in pipe:
                if line.endswith(b"\n"):
                    try:
                        self.book.take(json.loads(line))
                    except (ValueError, KeyError) as error:
                        self.book.complain(f"no record: {error!r}: {line[:120]!r}")

    def signal(self, number):
        self.process.send_signal(number)

    def resume(self):
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()


class Chain:
    """`settings` are the agent's, beside those that every test's agent has."""

    def __init__(self, name, binary, folder, engine, **settings):
        self.folder = folder / name
        self.folder.mkdir()
        self.ledger = ledger.Ledger(name)
        self.peer = Peer(binary, self.folder, self.ledger)
        self.intake = f"127.0.0.1:{host.free_port()}"
        self.agent = host.Agent(binary, self.folder, engine, forward=self.peer.address,
                                receiver={"listen": [self.intake]}, posture={"records": True},
                                rules={"builtin": True, "history_max": HISTORY_MAX}, **settings)

    def start(self):
        self.peer.start()
        self.agent.start()


class Sampler(threading.Thread):
    """Once a second: what the agent's process takes, and what it says of itself. Asking is the load
    of a Prometheus and of somebody who looks at the page."""

    COLUMNS = ("seconds", "resident MiB", "anonymous MiB", "descriptors", "threads", "CPU s",
               "delay s", "queued records", "queued bytes", "read lines", "acknowledged",
               "containers", "rule history MiB", "scrape ms")

    def __init__(self, chain, file):
        super().__init__(daemon=True)
        self.chain, self.file = chain, file
        self.stop_event = threading.Event()
        self.started = time.monotonic()
        self.rows, self.problem = [], None
        self.heard = self.started  # when lines came last

    def delay(self, now):
        """How long the oldest line that came was under way. While none comes, how long that has been
        so: writers never pause for long."""
        delay = self.chain.ledger.take_delay()
        if delay is None:
            return now - self.heard
        self.heard = now
        return delay

    def run(self):
        turn = 0
        try:
            with open(self.file, "w", encoding="utf-8") as out:
                print("\t".join(self.COLUMNS), file=out)
                while not self.stop_event.wait(max(self.started + turn - time.monotonic(), 0.01)):
                    self.rows.append(self.sample(turn))
                    print("\t".join(f"{value:.6g}" for value in self.rows[-1]), file=out, flush=True)
                    turn = int(time.monotonic() - self.started) + 1
        except Exception as error:  # pylint: disable=broad-except # it is told at the end
            self.problem = f"sampling: {type(error).__name__}: {error}"

    def sample(self, turn):
        agent = self.chain.agent
        asked = time.monotonic()
        values = {}
        for (name, _), value in agent.metrics().items():
            if name.startswith("tallyman_"):
                values[name] = values.get(name, 0) + value
        took = time.monotonic() - asked
        agent.get(PAGES[turn % len(PAGES)])
        process = pathlib.Path(f"/proc/{agent.program.pid}")
        status = (process / "status").read_text()
        kib = {name: int(re.search(rf"^{name}:\s*(\d+)", status, re.M)[1])
               for name in ("VmRSS", "RssAnon", "Threads")}
        times = (process / "stat").read_text().rsplit(")", 1)[1].split()
        return (asked - self.started, kib["VmRSS"] / 1024, kib["RssAnon"] / 1024,
                len(os.listdir(process / "fd")), kib["Threads"],
                (int(times[11]) + int(times[12])) / TICKS_PER_SECOND,
                self.delay(asked),
                values.get("tallyman_destination_queued_records", 0),
                values.get("tallyman_destination_queued_bytes", 0),
                values.get("tallyman_logs_lines_total", 0),
                values.get("tallyman_destination_records_acked_total", 0),
                values.get("tallyman_inventory_containers", 0),
                values.get("tallyman_rule_history_bytes", 0) / (1 << 20), took * 1000)

    def curve(self, column):
        place = self.COLUMNS.index(column)
        return [(row[0], row[place]) for row in self.rows]

    def pace(self, column, seconds=10):
        """A counter's growth per second, over spans of so many seconds."""
        points, found = self.curve(column), []
        start = points[0] if points else None
        for point in points:
            if point[0] - start[0] >= seconds:
                found.append((point[0], (point[1] - start[1]) / (point[0] - start[0])))
                start = point
        return found

    def end(self):
        self.stop_event.set()
        self.join()
