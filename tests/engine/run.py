#!/usr/bin/python3
"""Runs the engine tests: `run.py --agent BINARY [--asan-agent BINARY] [--soak] [TEST…]`, as root.

TEST is a module, a class or a test: test_chain, test_chain.Losing. With --soak the counts are those
of a long run.
"""

import argparse
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import host  # noqa: E402
import runner  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("--asan-agent")
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    os.environ["TALLYMAN"] = os.path.abspath(options.agent)
    os.environ["TALLYMAN_SANITIZED"] = os.path.abspath(options.asan_agent or options.agent)
    if options.soak:
        os.environ.setdefault("TALLYMAN_TEST_STARTS", "10000")
        os.environ.setdefault("TALLYMAN_TEST_LINES", "1000000")
        os.environ.setdefault("TALLYMAN_TEST_SWEEP", "200")
        os.environ.setdefault("TALLYMAN_TEST_ORDINARY", "600")
    host.enter()
    names = options.tests or sorted(path.stem for path in HERE.glob("test_*.py"))
    return runner.run(unittest.defaultTestLoader.loadTestsFromNames(names))


if __name__ == "__main__":
    sys.exit(main())
