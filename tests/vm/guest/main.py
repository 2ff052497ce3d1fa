"""Runs the tests inside of the VM; what it prints is what tests/vm/run.py prints."""

import faulthandler
import json
import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent.parent
sys.path[:0] = [str(HERE), str(TESTS / "engine"), str(TESTS)]

import host  # noqa: E402
import house  # noqa: E402
import runner  # noqa: E402
import test_numbers  # noqa: E402

STUCK_SECONDS = 1200  # after which they say where they are
AT_A_TIME = 3  # there are two processors, and tests wait, too
CLASSES = {"test_numbers": [f"test_numbers.{name}" for name, value in vars(test_numbers).items()
                            if isinstance(value, type) and issubclass(value, unittest.TestCase)]}
FIRST = ["test_service", "test_alerts", "test_deployment", "test_dashboards", "test_posture",
         "test_numbers.Memory", "test_numbers.Cpu"]


def main():
    with open(TESTS.parent / "wanted.json", encoding="utf-8") as file:
        wanted = json.load(file)
    os.environ["CI"] = wanted["CI"]
    os.environ["PATH"] += f":{TESTS.parent / 'bin'}"
    faulthandler.dump_traceback_later(STUCK_SECONDS, repeat=True)
    host.AWAIT_SECONDS = 240  # everything is slow here, and several tests run at a time
    # As an administrator would.
    subprocess.run(["dpkg", "--install", "--force-unsafe-io", "tallyman.deb"], check=True,
                   cwd=TESTS.parent, stdin=subprocess.DEVNULL)
    loader = unittest.defaultTestLoader
    if wanted["tests"]:
        return runner.run(loader.loadTestsFromNames(wanted["tests"]))
    house.agent()  # before the threads, which share it
    return runner.run(*map(loader.loadTestsFromName, suites()), at_a_time=AT_A_TIME)


def suites():
    """Every module, those of many independent classes class by class; what takes longest first."""
    modules = [path.stem for path in HERE.glob("test_*.py")]
    return sorted((name for module in modules for name in CLASSES.get(module, [module])),
                  key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


if __name__ == "__main__":
    sys.exit(main())
