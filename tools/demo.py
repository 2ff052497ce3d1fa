"""Three made-up containers for ./quickstart --demo, as the agent would meet them on a host: a cgroup
for each, with a process in it that works a little, and Docker's own files on disk, to which that
process appends log lines. Nothing of it is outside the folder given and one branch of cgroups.
"""

import ctypes
import datetime
import json
import os
import pathlib
import random
import signal
import threading
import time

SLICE = f"tallyman-demo-{os.getpid()}.slice"  # one for each demo that runs

# name, image, lines a second, share of a CPU to burn, what it says
CONTAINERS = [
    ("shop-web", "shop/web:1.4", 3.0, 0.10, "web"),
    ("shop-worker", "shop/worker:1.4", 1.0, 0.25, "worker"),
    ("shop-db", "postgres:16", 0.5, 0.02, "db"),
]
PAGES = ["/", "/cart", "/item/17", "/item/4711", "/login", "/search?q=b%C3%A4r"]


def writable_cgroup_root():
    """Where cgroup v2 is mounted and directories can be made, or None and the reason."""
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    roots = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    if not roots:
        return None, "cgroup v2 is not mounted here"
    probe = pathlib.Path(roots[0]) / SLICE
    try:
        probe.mkdir(exist_ok=True)
    except OSError as error:
        return None, f"cgroup v2 at {roots[0]} cannot be written to ({error.strerror})"
    return pathlib.Path(roots[0]), None


def rfc3339(seconds):
    moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{int(seconds % 1 * 1e9):09d}Z"


def sentence(kind, number, dice):
    """The stream and the text of one log line."""
    if kind == "web":
        status = dice.choice([200, 200, 200, 200, 304, 404])
        return "stdout", (f'10.0.{dice.randrange(4)}.{dice.randrange(250)} "GET '
                          f'{dice.choice(PAGES)} HTTP/1.1" {status} {dice.randrange(200, 9000)}')
    if kind == "worker":
        if number % 12 == 11:
            return "stderr", f"WARN job {number} took {dice.uniform(2, 9):.1f} s, more than planned"
        return "stdout", json.dumps({"level": "info", "job": number,
                                     "ms": dice.randrange(20, 900)})
    return "stdout", f"LOG:  checkpoint complete: wrote {dice.randrange(10, 400)} buffers"


class Container:
    def __init__(self, root, cgroup_root, row, position):
        self.name, self.image, self.pace, self.load, self.kind = row
        self.id = f"{position:x}" + "".join(random.choices("0123456789abcdef", k=63))
        self.folder = root / "containers" / self.id
        self.folder.mkdir(parents=True)
        self.log = self.folder / f"{self.id}-json.log"
        self.cgroup = cgroup_root / SLICE / f"docker-{self.id}.scope" if cgroup_root else None
        if self.cgroup:
            self.cgroup.mkdir(parents=True)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.live()
            finally:
                os._exit(0)
        self.describe()

    def describe(self):
        """The files that an engine keeps beside the log."""
        now = rfc3339(time.time())
        health = {"Status": "healthy", "FailingStreak": 0, "Log": None}
        config = {
            "ID": self.id, "Name": "/" + self.name, "Created": now, "Driver": "overlay2",
            "Image": "sha256:" + self.id, "LogPath": str(self.log), "RestartCount": 0,
            "State": {"Running": True, "Paused": False, "Restarting": False, "OOMKilled": False,
                      "RemovalInProgress": False, "Dead": False, "Pid": self.pid, "ExitCode": 0,
                      "Error": "", "StartedAt": now, "FinishedAt": "0001-01-01T00:00:00Z",
                      **({"Health": health} if self.kind != "worker" else {})},
            "Config": {"Image": self.image, "Hostname": self.id[:12],
                       "Labels": {"com.docker.compose.project": "shop",
                                  "com.docker.compose.service": self.kind}},
        }
        host = {"LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "bridge",
                "Memory": 0, "NanoCpus": 0, "CpuShares": 0}
        (self.folder / "config.v2.json").write_text(json.dumps(config))
        (self.folder / "hostconfig.json").write_text(json.dumps(host))

    def live(self):
        """In the child: moves into the cgroup, then works and writes until it is told to end."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if self.cgroup:
            (self.cgroup / "cgroup.procs").write_text(str(os.getpid()))
        dice = random.Random(self.id)
        beat = threading.Event()
        number = 0
        with open(self.log, "ab", buffering=0) as log:
            while True:
                stream, text = sentence(self.kind, number, dice)
                entry = {"log": text + "\n", "stream": stream, "time": rfc3339(time.time())}
                log.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
                number += 1
                period = dice.uniform(0.5, 1.5) / self.pace
                burn_until = time.process_time() + period * self.load
                while time.process_time() < burn_until:
                    pass
                beat.wait(max(0.01, period * (1 - self.load)))

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        if self.cgroup:
            self.cgroup.rmdir()


class Demo:
    """All of it, under `root`. Without cgroups, `lacking` says why; the logs are there anyway."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.cgroup_root, self.lacking = writable_cgroup_root()
        self.containers = []
        try:
            for position, row in enumerate(CONTAINERS):
                self.containers.append(Container(self.root, self.cgroup_root, row, position))
        except BaseException:
            self.stop()
            raise

    def settings(self):
        """What the agent's configuration needs in order to watch just these."""
        lines = ["docker:", '  host: ""                # no engine: everything is read from disk',
                 f"  data_root: {self.root}"]
        if self.cgroup_root:
            lines += ["cgroup:", f"  root: {self.cgroup_root / SLICE}"]
        return lines + ["logs:", "  from: beginning"]

    def stop(self):
        for container in self.containers:
            container.stop()
        if self.cgroup_root:
            (self.cgroup_root / SLICE).rmdir()
