"""The VM's engine and an agent beside it, for every test here."""

import functools
import json
import os
import pathlib
import subprocess
import unittest

import host
import kernel

BINARY = "/usr/bin/tallyman"
SCRAPE_PACE = 0.25  # the agent reads the kernel's files at most once a second
PATIENCE = {"timeout": "2m"}  # the engine is slow here, too
OWN_LABELS = {"id", "name", "image"}


class Engine(host.Engine):
    """The engine that systemd started."""

    def __init__(self):
        super().__init__("/nowhere")
        self.socket = "/var/run/docker.sock"
        self.data_root = pathlib.Path("/var/lib/docker")

    def start(self):
        host.await_that("the engine answers", lambda: self.get("/_ping") == "OK")

    def create(self, name, script, **config):
        """In the machine's own network where no other is asked for: to make one takes as long as
        all else of a container's start."""
        config["HostConfig"] = {"NetworkMode": "host", **config.get("HostConfig", {})}
        return super().create(name, script, **config)


@functools.cache
def engine():
    """The engine with its image, made once for all tests."""
    made = Engine()
    made.start()
    made.import_busybox()
    return made


@functools.cache
def agent():
    """An agent, which runs until the machine is switched off."""
    folder = pathlib.Path("/srv/agent")
    folder.mkdir()
    groups = {"enable": ["hugetlb", "process"]}
    return host.Agent(BINARY, folder, engine(), groups=groups, docker=dict(PATIENCE)).start()


def audit(*arguments):
    """What `tallyman audit` says, as JSON, and its exit code. By a configuration of its own, as the
    service's changes meanwhile; a file may come among the arguments."""
    if "--config" not in arguments:
        config = pathlib.Path("/srv/audit.yml")
        config.write_text(json.dumps({"docker": PATIENCE}))
        arguments = ("--config", config, *arguments)
    done = subprocess.run([BINARY, "audit", "--format", "json", *arguments], text=True, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return json.loads(done.stdout), done.returncode


def command(*arguments):
    """What a command prints."""
    return subprocess.run(arguments, check=True, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE).stdout


def set_limits(container, **limits):
    """Gives a running container other limits, behind the engine: through systemd, which would put
    its own back at the next reload."""
    command("systemctl", "set-property", "--runtime", kernel.cgroup(container).name,
            *(f"{name}={value}" for name, value in limits.items()))


class Said(dict):
    """{(family, labels beyond the container's own): value} of one container."""

    def __init__(self, samples):
        super().__init__(((family, labels), value) for family, labels, value in samples)

    def value(self, family, **labels):
        return self[family, frozenset(labels.items())]


class Beside(unittest.TestCase):
    """Tests with an agent beside them."""

    OFF = ()  # how families begin of which this agent says nothing, as its groups are off

    @classmethod
    def setUpClass(cls):
        cls.engine = engine()
        cls.agent = agent()

    def setUp(self):
        self.notes = []

    def container(self, name, script, **config):
        container = self.engine.run(name, script, **config)
        self.addCleanup(self.engine.remove, container)
        return container

    def pid(self, container):
        return self.engine.inspect(container)["State"]["Pid"]

    def files(self, container):
        """The container's root file system."""
        return pathlib.Path(f"/proc/{self.pid(container)}/root")

    def await_file(self, what, path, condition):
        return host.await_that(what, lambda: condition(kernel.flat(path)), pace=0.1)

    def said(self, container):
        """What the agent says of the container, by one scrape. Only its lines are taken apart,
        as the programs here are slow."""
        lines = [line for line in self.agent.get("/metrics").split("\n") if container in line]
        return Said((family, frozenset((key, text) for key, text in labels
                                       if key not in OWN_LABELS), value)
                    for (family, labels), value in host.parse_metrics("\n".join(lines)).items()
                    if container in dict(labels).get("id", ""))

    def await_said(self, container, family, value, **labels):
        host.await_that(f"{family} is {value}", lambda: self.said(container).value(
            family, **labels) == value, pace=SCRAPE_PACE)

    def read(self, container):
        return {key: value for key, value in kernel.read(container).items()
                if not key[0].startswith(self.OFF)}

    def compare(self, container, still):
        """Reads the kernel's files, asks the agent, reads the files again. Returns what the agent
        said, and what of it lies outside of the two readings. Of a container that stands `still`
        both readings have to be the same."""
        before, said, after = self.read(container), self.said(container), self.read(container)
        families = {family for family, _ in before}
        wrong = []
        for key in sorted(before.keys() | after.keys() |
                          {key for key in said if key[0] in families}, key=str):
            low, value, high = before.get(key), said.get(key), after.get(key)
            if low is None and value is None and not still:
                continue  # came up between the two
            if low is None or value is None or high is None or (still and low != high) or \
                    not min(low, high) <= value <= max(low, high):
                wrong.append(f"{key[0]}{dict(key[1])}: {low} before, the agent {value}, "
                             f"{high} after")
        return said, wrong

    def agreed(self, container, still=True):
        """Every number that has a file is the file's; returns what the agent said. It reads at most
        once a second, so that its first answer may be older than our first reading."""
        last = []

        def agrees():
            last[:] = self.compare(container, still)
            return not last[1]
        try:
            host.await_that("the agent agrees with the kernel", agrees, pace=SCRAPE_PACE)
        except AssertionError as error:
            self.fail("\n".join(last[1]) if last else str(error))
        return last[0]

    def agreed_at_rest(self, container):
        """The same for a container that is paused first: from now on its numbers stand still."""
        self.engine.post(f"/containers/{container}/pause")
        return self.agreed(container)

    @staticmethod
    def docker_stats(container):
        """A row of `docker stats`, as the engine's own command prints it."""
        return json.loads(command("docker", "stats", "--no-stream", "--format", "{{json .}}",
                                  container))


def rounded(number, base, digits, units):
    """A number of bytes as Docker's commands print it."""
    step = 0
    while number >= base and step < len(units) - 1:
        number /= base
        step += 1
    return f"{number:.{digits}g}{units[step]}"


def memory_text(number):
    return rounded(number, 1024, 4, ["B", "KiB", "MiB", "GiB"])


def traffic_text(number):
    return rounded(number, 1000, 3, ["B", "kB", "MB", "GB"])


def device_of(path):
    """The number of the device on which a file lies, as the kernel writes it."""
    number = os.stat(path).st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def mount_second():
    """A file system on the second disk; its folder and the number of its device."""
    folder = pathlib.Path("/mnt/second")
    if not os.path.ismount(folder):
        device = os.path.realpath("/dev/disk/by-id/virtio-second")
        command("mkfs.ext4", "-q", device)
        folder.mkdir(exist_ok=True)
        command("mount", device, str(folder))
    return folder, device_of(folder)


def mount_huge_pages(count):
    """A file system of huge pages, `count` of which the kernel sets aside."""
    pathlib.Path("/proc/sys/vm/nr_hugepages").write_text(str(count))
    for folder in ("", "system.slice"):
        (kernel.ROOT / folder / "cgroup.subtree_control").write_text("+hugetlb")
    folder = pathlib.Path("/mnt/huge")
    folder.mkdir()
    command("mount", "-t", "hugetlbfs", "none", str(folder))
    return folder


def swap_on():
    """The swap device, in use from now on."""
    device = os.path.realpath("/dev/disk/by-id/virtio-swap")
    if device not in pathlib.Path("/proc/swaps").read_text():
        command("mkswap", device)
        command("swapon", device)
    return device
