#!/usr/bin/python3
"""The agent in a VM, on a kernel with every cgroup v2 controller and with a real engine, as root.

usage: run.py --packages FOLDER [--keep FOLDER] [TEST…]

Makes a Debian VM from packages (disk.py), boots it under qemu (machine.py), installs the agent's
package there, which tools/build-package put into the folder, and runs what is in guest/: TEST is a
module, a class or a test of it. With --keep the disk stays in FOLDER, and the next run needs no
packages.
"""

import argparse
import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "engine")]

import deb  # noqa: E402
import deployment  # noqa: E402
import disk  # noqa: E402
import machine  # noqa: E402
import replay  # noqa: E402
import runner  # noqa: E402

INSIDE = "TALLYMAN_TEST_NAMESPACE"
TESTS_SECONDS_MAX = 1800  # a bound against hanging: on two idle cores all takes some four minutes
RECORD = "RECORD "  # how lines begin that are for replay.py
BROUGHT = ["tests/runner.py", "tests/vm/guest", "deploy/compose/tallyman.yml",
           "dashboards/prometheus", *(f"tests/engine/{name}.py" for name in (
               "alerting", "deployment", "host", "limits", "posture_pairs", "scaled"))]
# Of this same release; its templates, too, without which it does not start.
ALERTMANAGER, TEMPLATES = "prometheus-alertmanager", "/usr/share/prometheus/alertmanager"
COUNTS = re.compile(r"\d+ passed, \d+ failed, \d+ skipped")


def enter():
    """Runs this program again in process and mount namespaces of its own, with which everything
    that it started ends, also when it is killed. Comes back only in there."""
    if os.environ.get(INSIDE) == "1":
        return
    os.environ[INSIDE] = "1"
    with subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                           "--propagation", "private", sys.executable, *sys.argv]) as process:
        # unshare itself is deaf to this one while it waits for its child.
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        signal.signal(signal.SIGTERM, lambda *_: [
            os.kill(int(child), signal.SIGTERM) for child in children.read_text().split()])
        code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)


def owned_by_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return None if "__pycache__" in entry.name else entry


def add(tar, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def pack(path, package, tests):
    """The disk of the tests: a bare tar file."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for source in BROUGHT:
            tar.add(ROOT / source, source, filter=owned_by_root)
        tar.add(shutil.which(ALERTMANAGER), f"bin/{ALERTMANAGER}", filter=owned_by_root)
        tar.add(TEMPLATES, "alertmanager", filter=owned_by_root)
        tar.add(package, "tallyman.deb", filter=owned_by_root)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            installed = pathlib.Path(folder, "installed")
            subprocess.run(["dpkg-deb", "--extract", package, installed], check=True)
            add(tar, "image/context.tar",
                deployment.build_context(installed / "usr/bin/tallyman", folder))
        add(tar, "image/service.json", json.dumps(deployment.service()).encode())
        add(tar, "wanted.json", json.dumps({"tests": tests,
                                            "CI": os.environ.get("CI", "")}).encode())


class Record:
    """What a test in the VM recorded, told to a Prometheus out here while others go on in there."""

    def __init__(self, scratch):
        self.folder = scratch / "replay"
        self.lines = []
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.outcome = None

    def add(self, line):
        if line:
            self.lines.append(line)
        else:  # its end
            self.outcome = self.pool.submit(replay.check, self.lines, self.folder)

    def result(self):
        """Whether all was answered; None if nothing was recorded."""
        return self.outcome.result() if self.outcome else None


def perform(options, scratch):
    package = deb.package(options.packages)
    try:
        base = disk.ensure(package, options.keep or scratch)
    except runner.Lacking as lacking:
        print(f"SKIP vm: {lacking}\n0 passed, 0 failed, 1 skipped")
        return 0
    pack(scratch / "tests.tar", package, options.tests)
    vm = machine.Machine(base, scratch, scratch / "tests.tar")
    last, record = "", Record(scratch)
    try:
        with contextlib.closing(vm.lines(TESTS_SECONDS_MAX)) as lines:
            for line in lines:
                if line.startswith(RECORD):
                    record.add(line.removeprefix(RECORD))
                    continue
                if not COUNTS.fullmatch(line):
                    print(line, flush=True)
                last = line or last
    except AssertionError as error:
        print(f"vm: {error}")
        last = ""
    finally:
        vm.stop()
    if not COUNTS.fullmatch(last):
        print("vm: the tests came to no end; the last that its console showed:", vm.said(),
              sep="\n")
        return 1
    passed, failed, skipped = (int(number) for number in re.findall(r"\d+", last))
    good = record.result()
    if good is not None:
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed and not failed else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--packages", required=True,
                        type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="tallyman-vm-") as scratch:
            return perform(options, pathlib.Path(scratch))
    except disk.Missing as missing:
        print(f"vm: {missing}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
