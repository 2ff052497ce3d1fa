#!/usr/bin/python3
"""The second half of ./quickstart: runs a receiver and the agent with a small configuration, says
what was found and where to look, and shows lines and numbers until Ctrl-C.
"""

import argparse
import ctypes
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import json

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import demo

AGENT = ROOT / "build" / "agent" / "tallyman"
METRICS_PORT = 10191  # as the agent's own default
FORWARD_PORT = 24224  # as every forward receiver's default
TABLE_SECONDS = 5
LINES_A_SECOND = 5    # more are counted, not shown
FIRST_LINES = 20      # of so many containers the first line is shown all the same
ROWS = 12
READY_SECONDS = 30
ONCE_SECONDS = 60


def say(text=""):
    print(text, flush=True)


class Ended(Exception):
    """Somebody asked us to stop."""


class Broken(Exception):
    """What we started does not work; the text says what to do."""


def free_port(preferred):
    """The preferred port of the loopback interface, or another one if that is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise Broken("no free port on 127.0.0.1")


def engine_address():
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def engine_version():
    """What is known of the engine; None if none answers on its Unix socket, and why."""
    address = engine_address()
    if not address.startswith("unix://"):
        return "at " + address, None
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5)
        try:
            peer.connect(address.removeprefix("unix://"))
            peer.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            reply = peer.recv(4096).decode("latin-1")
        except PermissionError:
            return None, f"{address} may not be used by this user"
        except OSError:
            return None, f"none at {address}"
    found = re.search(r"^Api-Version: *(\S+)", reply, re.M | re.I)
    if not found:
        return None, f"what answers at {address} is no Docker engine"
    return f"API {found[1]} at {address}", None


class Child:
    """A process that ends with us, its standard error kept for the case that it fails."""

    def __init__(self, name, folder, *arguments, **options):
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [AGENT, *arguments], stdin=subprocess.DEVNULL, stderr=log,
                start_new_session=True, preexec_fn=self.end_with_parent, **options)

    @staticmethod
    def end_with_parent():
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)

    def check(self):
        code = self.process.poll()
        if code is not None:
            said = self.log.read_text(errors="replace")[-4000:]
            raise Broken(f"the {self.name} ended with exit code {code}; it said:\n{said}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Metrics:
    """One reading of /metrics."""

    SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$', re.M)
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, url):
        with urllib.request.urlopen(url, timeout=10) as reply:
            text = reply.read().decode()
        self.taken = time.monotonic()
        self.samples = {}
        for name, labels, value in self.SAMPLE.findall(text):
            self.samples.setdefault(name, []).append((dict(self.LABEL.findall(labels)),
                                                      float(value)))

    def of(self, family, row):
        """The family's value for the container whose `id` is the row's, or None."""
        return next((value for labels, value in self.samples.get(family, [])
                     if labels.get("id") == row["id"]
                     and labels.get("name") == row.get("name")), None)

    def rows(self, whole_host=False):
        """The labels of each container, or cgroup, that has CPU time or a state; the host's own
        row only when it is asked for."""
        found = {}
        for family in ("container_state", "container_cpu_usage_seconds_total"):
            for labels, value in self.samples.get(family, []):
                row = found.setdefault((labels.get("id"), labels.get("name")), dict(labels))
                if family == "container_state" and value == 1:
                    row["state"] = labels["state"]
        for labels, value in self.samples.get("container_health_status", []):
            if value == 1 and labels.get("status") != "none":
                found[labels.get("id"), labels.get("name")]["health"] = labels["status"]
        return [row for row in found.values() if whole_host or row.get("id") != "/"]


class FirstRun:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.demo = None
        self.children = []
        self.lines = queue.Queue(maxsize=10000)
        self.line_counts = {}
        self.shown_in = (0, 0)
        self.previous = None
        self.url = None

    def start(self):
        if not AGENT.exists():
            raise Broken(f"{AGENT} is missing; ./quickstart builds it")
        forward, metrics = free_port(FORWARD_PORT), free_port(METRICS_PORT)
        self.url = f"http://127.0.0.1:{metrics}"
        engine = problem = None
        if self.options.demo:
            self.demo = demo.Demo(self.folder / "docker")
            watching = self.demo.settings()
        else:
            engine, problem = engine_version()
            watching = ["docker:", f"  host: {engine_address()}"]
            if not engine:
                watching += ["cgroup:", "  scope: all              # until there is an engine"]
        config = self.folder / "tallyman.yml"
        config.write_text("\n".join([
            f"state_dir: {self.folder / 'state'}", *watching,
            "web:", f'  listen: ["127.0.0.1:{metrics}"]',
            "forward:", f'  - {{name: quickstart, servers: ["127.0.0.1:{forward}"]}}']) + "\n")
        receiver = Child("receiver", self.folder, "receive", "--listen", f"127.0.0.1:{forward}",
                         stdout=subprocess.PIPE)
        self.children.append(receiver)
        threading.Thread(target=self.read_lines, args=(receiver.process.stdout,),
                         daemon=True).start()
        self.children.append(Child("agent", self.folder, "run", "--config", str(config)))
        self.await_ready()
        self.introduce(engine, problem, config, forward)

    def read_lines(self, pipe):
        for line in pipe:
            self.lines.put(line)

    def await_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for child in self.children:
                child.check()
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        said = self.children[-1].log.read_text(errors="replace")[-4000:]
        raise Broken(f"the agent is not ready after {READY_SECONDS} s; it said:\n{said}")

    def introduce(self, engine, problem, config, forward):
        self.previous = Metrics(f"{self.url}/metrics")
        count = len(self.previous.rows())
        say()
        say("Tallyman is running.")
        if self.demo:
            say("  engine      not asked: these are made-up containers, in Docker's layout on disk")
            if self.demo.lacking:
                say(f"  cgroups     none: {self.demo.lacking}; only states and lines are shown")
        elif engine:
            say(f"  engine      Docker, {engine}")
        else:
            say(f"  engine      {problem};")
            say("              the agent keeps looking for one and meanwhile watches every cgroup")
            say("              (./quickstart --demo shows more)")
        say(f"  watching    {count} {'containers' if engine or self.demo else 'cgroups'}")
        say(f"  numbers     {self.url}/metrics")
        say(f"  lines       go by the forward protocol to a receiver at 127.0.0.1:{forward},")
        say("              which prints them here")
        say(f"  set up by   {config}")
        say("  go on       README.md tells how to configure it and where lines and numbers can go")
        say("  stop        Ctrl-C; only build/ and the installed packages stay")
        say()

    def show_lines(self, until):
        """Prints what the receiver prints, in short, until it is time for the next table."""
        while (left := until - time.monotonic()) > 0:
            for child in self.children:
                child.check()
            try:
                self.show_line(self.lines.get(timeout=min(left, 0.5)))
            except queue.Empty:
                pass

    def show_line(self, line):
        entry = json.loads(line)
        record = entry.get("record", {})
        name = record.get("container_name", entry.get("tag", "?")).lstrip("/")
        self.line_counts[name] = self.line_counts.get(name, 0) + 1
        second = int(time.monotonic())
        self.shown_in = (second, self.shown_in[1] + 1 if self.shown_in[0] == second else 1)
        first = self.line_counts[name] == 1 and len(self.line_counts) <= FIRST_LINES
        if first or self.shown_in[1] <= LINES_A_SECOND:
            width = max(40, shutil.get_terminal_size().columns - 30)
            text = str(record.get("log", json.dumps(record)))
            text = "".join(char if char.isprintable() else "\ufffd" for char in text)[:width]
            say(f"  {name:<16.16} {record.get('source', ''):<6} | {text}")

    def show_table(self, metrics):
        rows = metrics.rows(whole_host=True)
        rows.sort(key=lambda row: -(metrics.of("container_cpu_usage_seconds_total", row) or 0))
        say(f"\n  {'':<30} {'state':<18} {'cpu':>7} {'memory':>10} {'lines':>7}")
        for row in rows[:ROWS]:
            name = row.get("name") or row.get("id") or "?"
            lines = self.line_counts.get(row.get("name"), 0)
            if name == "/":
                name, lines = "all together", sum(self.line_counts.values())
            if len(name) > 30:
                name = "…" + name[-29:]
            state = " ".join(filter(None, [row.get("state"), row.get("health")]))
            say(f"  {name:<30} {state:<18} {self.cpu(metrics, row):>7} "
                f"{self.memory(metrics, row):>10} {lines:>7}")
        if len(rows) > ROWS:
            say(f"  … and {len(rows) - ROWS} more")
        say()

    def cpu(self, metrics, row):
        family = "container_cpu_usage_seconds_total"
        now = metrics.of(family, row)
        before = self.previous.of(family, row) if self.previous else None
        if now is None or before is None:
            return "-"
        return f"{(now - before) / (metrics.taken - self.previous.taken) * 100:.1f} %"

    @staticmethod
    def memory(metrics, row):
        value = metrics.of("container_memory_usage_bytes", row)
        return f"{value / 2**20:.1f} MiB" if value is not None else "-"

    def seen_enough(self):
        """Whether numbers moved and, in the demo, lines of every container came."""
        if not self.previous or not self.previous.rows():
            return False
        return not self.demo or all(self.line_counts.get(container.name)
                                    for container in self.demo.containers)

    def show(self):
        started = time.monotonic()
        while True:
            self.show_lines(time.monotonic() + (1 if self.options.once else TABLE_SECONDS))
            metrics = Metrics(f"{self.url}/metrics")
            self.show_table(metrics)
            enough = self.options.once and self.seen_enough()
            self.previous = metrics
            if enough:
                say("quickstart: numbers and lines were seen" if self.demo else
                    "quickstart: numbers were seen")
                return
            if self.options.once and time.monotonic() - started > ONCE_SECONDS:
                raise Broken(f"nothing to see within {ONCE_SECONDS} s")

    def stop(self):
        # The agent first, so that what it still holds can reach the receiver.
        for child in reversed(self.children):
            child.stop()
        if self.demo:
            self.demo.stop()


def main():
    parser = argparse.ArgumentParser(prog="./quickstart")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--no-packages", action="store_true")
    options = parser.parse_args()

    def ended(number, frame):
        raise Ended
    signal.signal(signal.SIGINT, ended)
    signal.signal(signal.SIGTERM, ended)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tallyman-quickstart-"))
    run = FirstRun(options, folder)
    code = 0
    try:
        run.start()
        run.show()
    except Ended:
        say("\nquickstart: stopping")
    except (Broken, urllib.error.URLError) as error:
        say(f"quickstart: {error}")
        code = 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
