#!/usr/bin/python3
"""How long a scrape keeps the agent's loop from its other work, reading logs first of all: how many
turns of the loop took longer than some milliseconds while it was scraped, with gzip and without, and
while it was not. The containers are a tree of files with all that a kernel has.

Another program that takes the processor away makes turns longer. So the CPU time of the loop's
thread stands beside them, of all turns that belong to one scrape: no turn can have cost more. It
fails above 5 ms for what Prometheus asks for, which is gzip.

usage: latency.py TALLYMAN BENCH_COLLECT CONTAINERS…
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]
import host  # noqa: E402

SCRAPES = 20
FRESH_SECONDS = 1.1  # readings younger than a second are shown again
BOUND_MS = 5
MEMORY = pathlib.Path("/dev/shm")
LONG = "tallyman_loop_long_turns_total"


def long_turns(agent):
    """{seconds: turns that took longer}, from an answer that is small itself."""
    text = agent.get("/metrics?collect[]=agent")
    return {dict(labels)["longer_than"]: value
            for (name, labels), value in host.parse_metrics(text).items() if name == LONG}


def thread_ms(agent):
    """CPU time of the first thread, which is the loop's."""
    pid = agent.program.pid
    ran_ns = pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]
    return int(ran_ns) / 1e6


def scrape(agent, encoding):
    request = urllib.request.Request(f"http://127.0.0.1:{agent.port}/metrics",
                                     headers={"Accept-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return len(reply.read())


def measure(agent, what, work):
    """Milliseconds of CPU for one scrape."""
    before = long_turns(agent)
    sizes = []
    start_ms = thread_ms(agent)
    for _ in range(SCRAPES):
        threading.Event().wait(FRESH_SECONDS)  # the pace is the input of the measurement
        sizes.append(work())
    each_ms = (thread_ms(agent) - start_ms) / SCRAPES
    after = long_turns(agent)
    found = {bound: after[bound] - before[bound] for bound in sorted(before, key=float)}
    told = ", ".join(f"> {float(bound) * 1000:g} ms: {count:.0f}" for bound, count in found.items())
    print(f"  {what:6} {SCRAPES} times, {sizes[-1] / 1e6:6.2f} MB: {each_ms:5.2f} ms of CPU each; "
          f"turns {told}")
    return each_ms


def agent_of(binary, folder, tree):
    return host.Agent(binary, folder, docker={"host": ""}, cgroup={"root": str(tree)},
                      collect={"interval": "5m"})


def measure_with(binary, maker, count):
    with host.scratch() as folder:
        tree = pathlib.Path(tempfile.mkdtemp(prefix="tally-", dir=MEMORY)) / "tree"
        agent = agent_of(binary, folder, tree)
        try:
            subprocess.run([maker, "--make", tree, str(count)], check=True)
            agent.start()
            host.await_that("all are seen", lambda: agent.value(
                "tallyman_inventory_containers") >= count)
            print(f"latency: {count} containers, {agent.value('tallyman_scrape_samples'):.0f} "
                  "samples")
            measure(agent, "none", lambda: 0)
            measure(agent, "plain", lambda: scrape(agent, "identity"))
            return measure(agent, "gzip", lambda: scrape(agent, "gzip")) <= BOUND_MS
        finally:
            if agent.program is not None:
                agent.stop()
            shutil.rmtree(tree.parent, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("agent")
    parser.add_argument("maker")
    parser.add_argument("counts", nargs="+", type=int)
    options = parser.parse_args()
    return 0 if all([measure_with(options.agent, options.maker, count)
                     for count in options.counts]) else 1


if __name__ == "__main__":
    sys.exit(main())
