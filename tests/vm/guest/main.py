"""Runs the tests inside of the VM; what it prints is what tests/vm/run.py prints."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent.parent
sys.path[:0] = [str(HERE), str(TESTS / "engine"), str(TESTS)]

import runner  # noqa: E402


def main():
    with open(TESTS.parent / "wanted.json", encoding="utf-8") as file:
        wanted = json.load(file)
    os.environ["CI"] = wanted["CI"]
    # As an administrator would, after `meson install`.
    subprocess.run("cp -a installed/. / && systemd-sysusers && systemd-tmpfiles --create && "
                   "systemctl daemon-reload", shell=True, check=True, cwd=TESTS.parent,
                   stdin=subprocess.DEVNULL)
    names = wanted["tests"] or sorted(path.stem for path in HERE.glob("test_*.py"))
    return runner.run(unittest.defaultTestLoader.loadTestsFromNames(names))


if __name__ == "__main__":
    sys.exit(main())
