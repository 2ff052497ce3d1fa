"""A host on disk: an engine's files, a cgroup for each container, log files. The agent reads them as
it would the real ones; `tick` lets them all work for a while."""

import datetime
import json
import os
import random

# bcrypt's authors' vector: "U*U".
USER, PASSWORD = "night", "U*U"
HASH = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
RULES = """
groups:
  - name: test
    rules:
      - {alert: NearLimit, expr: 'container_memory_working_set_bytes{name="full"} > 0',
         labels: {severity: critical}, annotations: {summary: 'full is nearly full'}}
      - {alert: Waits, expr: 'container_memory_working_set_bytes{name="full"} > 0', for: 1h,
         labels: {severity: warning}}
"""


def rfc3339(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z"


def put(path, text):
    """Writes over what is there: the agent holds the file open, and must never find it empty."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), "w", encoding="utf-8") as file:
        file.write(text)
        file.truncate()


class Container:
    """`cpu` is a share of one CPU, `memory` and `limit` are MiB, `write` MiB a second."""

    def __init__(self, number, name, image, now, **row):
        self.id = random.Random(f"{number} {name}").randbytes(32).hex()
        self.name, self.image = name, image
        self.state = row.get("state", "running")
        self.cpu, self.quota = row.get("cpu", 0.02), row.get("quota", 0)
        self.memory, self.limit = row.get("memory", 64), row.get("limit", 0)
        self.write = row.get("write", 0.0)
        self.health, self.restarts = row.get("health"), row.get("restarts", 0)
        self.exit_code, self.oom = row.get("exit_code", 0), row.get("oom", False)
        self.labels = row.get("labels", {})
        self.started = now - row.get("age", 3600)
        self.finished = now - row.get("ended", 600)
        self.usage_us, self.written = int(self.cpu * 1e10), int(self.write * 1e9)
        self.pid = 0  # of a process whose network is to be the container's
        self.dice = random.Random(self.id)
        self.wave = 1.0

    @property
    def runs(self):
        return self.state == "running"

    def engine_files(self):
        state = {"Running": self.runs or self.state == "restarting", "Paused": False,
                 "Restarting": self.state == "restarting", "OOMKilled": self.oom,
                 "RemovalInProgress": False, "Dead": False, "Pid": self.pid,
                 "ExitCode": self.exit_code, "Error": "", "StartedAt": rfc3339(self.started),
                 "FinishedAt": "0001-01-01T00:00:00Z" if self.runs else rfc3339(self.finished)}
        if self.health:
            state["Health"] = {"Status": self.health, "FailingStreak": 0, "Log": None}
        config = {"ID": self.id, "Name": "/" + self.name, "Created": rfc3339(self.started),
                  "Driver": "overlay2", "Image": "sha256:" + self.id, "RestartCount": self.restarts,
                  "State": state, "Config": {"Image": self.image, "Hostname": self.id[:12],
                                             "Labels": self.labels}}
        limits = {"LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "bridge",
                  "RestartPolicy": {"Name": "unless-stopped"}, "Memory": self.limit << 20,
                  "NanoCpus": int(self.quota * 1e9), "CpuShares": 0}
        return config, limits

    def work(self, seconds):
        self.wave = min(2.0, max(0.2, self.wave + self.dice.uniform(-0.25, 0.25)))
        share = self.cpu * self.wave
        self.usage_us += int(1e6 * seconds * (min(share, self.quota) if self.quota else share))
        self.written += int(self.write * self.wave * seconds * (1 << 20))

    def cgroup_files(self):
        used = int(self.memory * (1 << 20) * (0.94 + 0.06 * self.wave / 2))
        throttled = self.usage_us // 3 if self.quota and self.cpu > self.quota else 0
        return {
            "cgroup.events": "populated 1\nfrozen 0\n", "cgroup.procs": f"{self.pid}\n" if self.pid else "", "cgroup.threads": "",
            "memory.current": f"{used}\n",
            "memory.max": f"{self.limit << 20}\n" if self.limit else "max\n",
            "memory.stat": f"anon {used * 3 // 4}\nfile {used // 5}\ninactive_file 0\n",
            "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
            "pids.current": "7\n", "pids.max": "max\n",
            "cpu.max": f"{int(self.quota * 100000)} 100000\n" if self.quota else "max 100000\n",
            "cpu.stat": f"usage_usec {self.usage_us}\nuser_usec {self.usage_us}\nsystem_usec 0\n"
                        f"nr_periods 100\nnr_throttled 9\nthrottled_usec {throttled}\n",
            "io.stat": f"8:0 rbytes={self.written // 3} wbytes={self.written} rios=1 wios=1 "
                       "dbytes=0 dios=0\n",
        }


class Host:
    """Under `root`: data/ is the engine's, cgroup/ the kernel's."""

    def __init__(self, root, now):
        self.root, self.now = root, now
        self.containers = []
        for name in ("data/containers", "cgroup/docker"):
            (root / name).mkdir(parents=True)

    def add(self, name, image="busybox:test", **row):
        container = Container(len(self.containers), name, image, self.now, **row)
        self.containers.append(container)
        self.write(container)
        return container

    def write(self, container):
        folder = self.root / "data/containers" / container.id
        folder.mkdir(exist_ok=True)
        config, limits = container.engine_files()
        for name, text in (("hostconfig.json", limits), ("config.v2.json", config)):
            fresh = folder / (name + ".new")
            fresh.write_text(json.dumps(text))
            fresh.rename(folder / name)  # as the engine does it
        if container.runs:
            self.write_group(container)

    def write_group(self, container):
        group = self.root / "cgroup/docker" / container.id
        group.mkdir(exist_ok=True)
        for name, text in container.cgroup_files().items():
            put(group / name, text)

    def tick(self, seconds):
        for container in self.containers:
            if container.runs:
                container.work(seconds)
                self.write_group(container)

    def add_few(self):
        """One near its limit, one that is ill, and one that has ended."""
        self.add("full", memory=480, limit=512, cpu=0.3, quota=0.1, health="healthy",
                 labels={"com.docker.compose.project": "shop"})
        self.add("ill", memory=30, health="unhealthy", restarts=4, write=2.0)
        self.add("ended", state="exited", exit_code=3)

    def settings(self):
        return {"docker": {"host": "", "data_root": str(self.root / "data")},
                "cgroup": {"root": str(self.root / "cgroup")}}

    def alerts(self):
        """Settings for one alert that fires on `full` and one that waits, and for a destination that is
        not there."""
        rules = self.root / "rules.yml"
        rules.write_text(RULES)
        return {"rules": {"files": [str(rules)], "builtin": False},
                "forward": [{"name": "gone", "servers": ["127.0.0.1:1"]}]}

    def guard(self, agent, **web):
        """Puts a password before the agent's pages, USER's; `web` are more settings of them."""
        file = self.root / "web.yml"
        file.write_text(f"basic_auth_users: {{{USER}: '{HASH}'}}\n")
        config = json.loads(agent.config.read_text())
        config["web"].update(web, config_file=str(file))
        agent.config.write_text(json.dumps(config))
