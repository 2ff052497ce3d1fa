#!/usr/bin/python3
"""Resident memory of the agent as a whole, with cgroups of the kernel made for it as containers.
Fails above the bound of each number of containers.

usage: memory.py TALLYMAN CONTAINERS:MEBIBYTES…
"""

import argparse
import contextlib
import os
import pathlib
import re
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]
import host  # noqa: E402

SCRAPES = 10  # what a scrape needs has been allocated by then


def cgroup_root():
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup2":
                return pathlib.Path(fields[4])
    return None


@contextlib.contextmanager
def containers(count):
    top = cgroup_root() / f"tally-memory-{os.getpid()}"
    made = [top, *(top / f"{number:064x}" for number in range(count))]
    try:
        for folder in made:
            folder.mkdir()
        yield
    finally:
        for folder in reversed(made):
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()


def resident(agent):
    """(resident, of that not from files), in MiB."""
    status = pathlib.Path(f"/proc/{agent.program.pid}/status").read_text()
    kib = {name: int(re.search(rf"^{name}:\s*(\d+)", status, re.M)[1])
           for name in ("VmRSS", "RssAnon")}
    return kib["VmRSS"] / 1024, kib["RssAnon"] / 1024


def scrape(agent):
    """As Prometheus does it."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{agent.port}/metrics", headers={
            "Accept-Encoding": "gzip", "Accept": "application/openmetrics-text;version=1.0.0"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        reply.read()


def measure(binary, count, bound):
    with containers(count), host.scratch() as folder:
        agent = host.Agent(binary, folder, docker={"host": ""}).start()
        try:
            host.await_that("all are seen", lambda: agent.value(
                "tallyman_inventory_containers") >= count)
            for _ in range(SCRAPES):
                scrape(agent)
            # What only the start needed is given back a few seconds after it.
            host.await_that(f"memory is at most {bound} MiB with {count} containers",
                            lambda: resident(agent)[0] <= bound, 20)
            for _ in range(SCRAPES):
                scrape(agent)
            text = agent.get("/metrics")
            total, anonymous = resident(agent)
        finally:
            agent.stop()
    samples = sum(not line.startswith("#") for line in text.splitlines())
    print(f"memory: {count:5} containers, {samples:6} samples: {total:5.1f} MiB, "
          f"{anonymous:5.1f} MiB of them not from files; at most {bound} MiB")
    return total <= bound


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("agent")
    parser.add_argument("rows", nargs="+")
    options = parser.parse_args()
    if os.geteuid() != 0 or cgroup_root() is None:
        print("SKIP memory: needs root and cgroup2")
        return 0
    rows = [tuple(map(int, row.split(":"))) for row in options.rows]
    return 0 if all([measure(options.agent, *row) for row in rows]) else 1


if __name__ == "__main__":
    sys.exit(main())
