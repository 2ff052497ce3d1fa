"""A real Docker engine beside the agent, in mount and network namespaces of their own.

`enter()` puts the whole test process into the namespaces, so that everything it starts (dockerd, the
agent, the receiver, Prometheus) and every request it makes lives there and nothing of the host is
touched. The rest are small classes, one for each program, that start it, stop it and ask it.
"""

import collections
import contextlib
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import runner  # noqa: E402

INSIDE = "TALLYMAN_TEST_NAMESPACE"
AWAIT_SECONDS = 60  # a bound against hanging, far above what anything here takes


def enter():
    """Runs this very program again on a host of its own (enter.sh), unless it is there already."""
    if os.environ.get(INSIDE) == "1":
        return
    os.environ[INSIDE] = "1"
    here = pathlib.Path(__file__).resolve().parent
    os.execv("/bin/sh", ["sh", str(here / "enter.sh"), sys.executable, *sys.argv])


def peak_mib(pid):
    """The most memory that a process ever had."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def cpu_seconds(pid):
    """What a process has used, all of its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def await_that(what, condition, seconds=None, pace=0.02):
    """Waits until `condition()` is true and returns its value; `what` says it for a person. An
    exception counts as "not yet", and the last one is told when time is up. `pace` is for
    conditions that are dear to look at."""
    seconds = AWAIT_SECONDS if seconds is None else seconds
    deadline = time.monotonic() + seconds
    problem = None
    while True:
        try:
            value = condition()
            if value:
                return value
            problem = f"last value {value!r}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
            problem = f"{type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain until {what} ({problem})")
        time.sleep(pace)  # of looking, not a guess at a duration


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A child process with its output in a file, in its own session, never left behind."""

    latest = collections.deque(maxlen=4)  # as many as a test has at a time

    def __init__(self, name, command, directory, environment=None, pass_fds=()):
        Program.latest.append(self)
        self.name = name
        self.output = pathlib.Path(directory) / f"{name}.log"
        with open(self.output, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            env=environment, pass_fds=pass_fds)

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        return self.output.read_text(errors="replace")

    def assert_running(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"{self.name} ended with {code}:\n{self.said()[-4000:]}")
        return True

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=20):
        """Ends it as an operator would, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {seconds} s:\n"
                                 f"{self.said()[-4000:]}") from None


def last_words():
    """What the latest programs said last, as far as their files are still there."""
    words = []
    for program in {program.output: program for program in Program.latest}.values():
        if program.output.exists():
            process = getattr(program, "process", None)
            code = process.poll() if process else "nothing: it could not be started"
            state = "runs" if code is None else f"ended with {code}"
            words.append(f"---- {program.name} {state} ----\n{program.said()[-4000:]}")
    return "\n".join(words)


runner.evidence.append(last_words)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Engine:
    """dockerd with its data in `directory`, spoken to over its API."""

    IMAGE = "busybox:test"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.socket = str(self.directory / "docker.sock")
        self.data_root = self.directory / "data"
        self.daemon = None

    def start(self, *arguments):
        """With more arguments for dockerd than those that every test's has."""
        d = self.directory
        for stale in ("docker.pid",):
            with contextlib.suppress(FileNotFoundError):
                (d / stale).unlink()
        self.daemon = Program("dockerd", [
            "dockerd", "--data-root", str(self.data_root), "--exec-root", str(d / "exec"),
            "-H", f"unix://{self.socket}", "-p", str(d / "docker.pid"),
            *arguments], d)
        await_that("the engine answers", lambda: self.daemon.assert_running() and
                   self.get("/_ping") == "OK")

    def stop(self):
        for row in self.get("/containers/json?all=1"):
            self.remove(row["Id"])
        self.daemon.stop(60)

    def restart(self, between=lambda: None):
        self.daemon.stop(60)
        between()
        self.start()

    def request(self, method, path, body=None, kind="application/json", ok=(200, 201, 204, 304)):
        connection = UnixConnection(self.socket)
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status not in ok:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]!r}")
        if response.headers.get_content_type() == "application/json" and text:
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads(text)
        return text.decode(errors="replace")

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def pull(self, image):
        """From a mirror that the engine was started with. After anything that went wrong, on its
        own disk too, the engine goes on to a registry that is not there and answers with that
        alone: what came first stands in its log. A second try is granted; a third is not."""
        path = "/images/create?fromImage=" + image.replace(":", "&tag=")
        try:
            return self.post(path)
        except RuntimeError:
            print("\n".join(re.findall("^.*next endpoint.*$", self.daemon.said(), re.MULTILINE)))
        return self.post(path)

    def import_busybox(self):
        busybox = shutil.which("busybox")
        applets = subprocess.check_output([busybox, "--list"], text=True).split()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name in ("bin", "tmp", "etc"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            tar.add(busybox, "bin/busybox")
            for applet in applets:
                if applet != "busybox":
                    link = tarfile.TarInfo(f"bin/{applet}")
                    link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                    tar.addfile(link)
        repository, tag = self.IMAGE.split(":")
        query = urllib.parse.urlencode({"fromSrc": "-", "repo": repository, "tag": tag,
                                        "changes": "ENV PATH=/bin"})
        self.post(f"/images/create?{query}", packed.getvalue(), kind="application/x-tar")

    def create(self, name, script, **config):
        """Makes a container that runs `script` by sh; `config` is the API's own, HostConfig too."""
        body = {"Image": self.IMAGE, "Cmd": ["sh", "-c", script], **config}
        host = body.setdefault("HostConfig", {})
        host.setdefault("NetworkMode", "none")
        return self.post(f"/containers/create?name={urllib.parse.quote(name)}", body)["Id"]

    def run(self, name, script, **config):
        container = self.create(name, script, **config)
        self.post(f"/containers/{container}/start")
        return container

    def inspect(self, container):
        return self.get(f"/containers/{container}/json")

    def wait(self, container):
        return self.post(f"/containers/{container}/wait")["StatusCode"]

    def remove(self, container):
        self.request("DELETE", f"/containers/{container}?force=1&v=1", ok=(200, 204, 404, 409))


def parse_metrics(text):
    """Samples of the text format as {(name, frozenset of (label, value))): number}."""
    samples = {}
    for line in text.split("\n"):  # a label may hold what Unicode calls an end of line
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)", line)
        if not match:
            raise AssertionError(f"not a sample: {line!r}")
        labels = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', match[2] or "")
        values = {key: value.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
                  for key, value in labels}
        samples[match[1], frozenset(values.items())] = float(match[3])
    return samples


class Agent:
    """The agent with a configuration of its own, in its own state directory. `forward` is the
    address of the one receiver, or the list of destinations as the configuration has it."""

    def __init__(self, binary, directory, engine=None, forward=None, **settings):
        self.binary = binary
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.program = None
        config = {
            "state_dir": str(self.directory / "state"),
            "web": {"listen": [f"127.0.0.1:{self.port}"]},
            "collect": {"interval": "1s"},
            "logs": {"from": "beginning"},
            # Alerts and findings would come among the records that a test awaits.
            "rules": {"builtin": False},
            "posture": {"records": False},
        }
        if engine is not None:
            config["docker"] = {"host": f"unix://{engine.socket}",
                                "data_root": str(engine.data_root)}
        if isinstance(forward, str):
            forward = [{"name": "test", "servers": [forward], "flush_interval": "100ms"}]
        if forward is not None:
            config["forward"] = forward
        for key, value in settings.items():
            if isinstance(value, dict):
                config[key] = {**config.get(key, {}), **value}
            else:
                config[key] = value
        self.config = self.directory / "tallyman.yml"
        self.config.write_text(json.dumps(config, indent=1))  # JSON is YAML
        self.config.chmod(0o600)  # it may hold secrets

    def start(self, wrapper=(), environment=None):
        self.program = Program("agent", [*wrapper, self.binary, "run", "--config",
                                         str(self.config)], self.directory, environment)
        await_that("the agent is ready", lambda: self.program.assert_running() and
                   self.get("/-/ready"))
        return self

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as reply:
            return reply.read().decode()

    def metrics(self):
        return parse_metrics(self.get("/metrics"))

    def values(self, family, **labels):
        """All values of the family whose labels include the given ones."""
        wanted = set(labels.items())
        return [value for (name, have), value in self.metrics().items()
                if name == family and wanted <= have]

    def value(self, family, **labels):
        found = self.values(family, **labels)
        if len(found) != 1:
            raise AssertionError(f"{family} {labels}: {len(found)} samples instead of one")
        return found[0]

    def kill(self):
        self.program.kill()

    def stop(self):
        return self.program.stop()


class Receiver:
    """`tallyman receive`, whose lines end up in a file. Bytes that are no UTF-8 come as surrogates:
    `line.encode("utf-8", "surrogateescape")` has them."""

    def __init__(self, binary, directory, port=None):
        self.binary = binary
        self.directory = pathlib.Path(directory)
        self.port = port or free_port()
        self.file = self.directory / "received.jsonl"
        self.program = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.program = Program("receiver", [self.binary, "receive", "--raw-bytes",
                                            "--listen", self.address, "--output", str(self.file)], self.directory)

        def listens():
            self.program.assert_running()
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        await_that("the receiver listens", listens)
        return self

    def records(self, container=None):
        """What has arrived, whole lines only, each as {"tag", "time", "record"}."""
        if not self.file.exists():
            return []
        text = self.file.read_bytes()
        rows = (json.loads(line.decode("utf-8", "surrogateescape"))
                for line in text[:text.rfind(b"\n") + 1].splitlines())
        return [row for row in rows
                if container is None or row["record"].get("container_id") == container]

    def lines(self, container, source="stdout"):
        return [row["record"]["log"] for row in self.records(container)
                if row["record"].get("source") == source]

    def stop(self):
        return self.program.stop()


class Prometheus:
    """A real Prometheus that scrapes one agent every second, and judges by files of rules."""

    def __init__(self, directory, target_port, rules=()):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s",
                             "evaluation_interval": "1s"},
                  "rule_files": [str(path) for path in rules],
                  "scrape_configs": [{"job_name": "tallyman", "static_configs": [
                      {"targets": [f"127.0.0.1:{target_port}"]}]}]}
        file = self.directory / "prometheus.yml"
        file.write_text(json.dumps(config))
        self.program = Program("prometheus", [
            "prometheus", f"--config.file={file}",
            f"--storage.tsdb.path={self.directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}"], self.directory)
        await_that("Prometheus is ready", lambda: self.program.assert_running() and
                   urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5))

    def ask(self, path, **parameters):
        """The data of an answer of its API."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        return [(row["metric"], float(row["value"][1]))
                for row in self.ask("query", query=expression)["result"]]

    def stop(self):
        return self.program.stop()


class Alertmanager:
    """A real one, which notifies nobody."""

    def __init__(self, folder):
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.config = folder / "alertmanager.yml"
        self.config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")

    def start(self):
        self.program = Program("alertmanager", [
            "prometheus-alertmanager", f"--config.file={self.config}",
            f"--storage.path={self.folder / 'alertmanager'}", "--cluster.listen-address=",
            f"--web.listen-address={self.url.removeprefix('http://')}"], self.folder)
        await_that("Alertmanager is ready",
                   lambda: self.program.assert_running() and self.is_ready())
        return self

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as reply:
                return reply.status == 200
        except OSError:
            return False

    def alerts(self):
        """What people would see of those that fire."""
        done = subprocess.run(["amtool", f"--alertmanager.url={self.url}", "alert", "query",
                               "--output=json"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def labels(self):
        return [alert["labels"] for alert in self.alerts()]

    def stop(self):
        self.program.process.kill()
        self.program.process.wait()


@contextlib.contextmanager
def scratch():
    """A directory of the test's own, short enough for a socket's path."""
    path = tempfile.mkdtemp(prefix="tly-")
    try:
        yield pathlib.Path(path)
    finally:
        subprocess.run(["sh", "-c", f"grep -o ' {path}[^ ]*' /proc/self/mounts | sort -r | "
                        "xargs -r -n1 umount -l"], check=False)
        shutil.rmtree(path, ignore_errors=True)
