#!/usr/bin/python3
"""./quickstart and ./check in a fresh minimal Debian, as root and as a user with sudo: whether they
need anything that a developer's machine happens to have.

usage: run.py [--suite bookworm] [TEST…], as root. Makes a chroot with mmdebstrap, in mount and
process namespaces of its own, and a copy of the project's files inside it.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import chroot  # noqa: E402
import runner  # noqa: E402

USER = "visitor"
PROJECT = "srv/tallyman"  # first root's, later the user's, so that what is built serves both
SECONDS_MAX = 600
# What a user in a chroot cannot try, and a run of the tests skips.
ONLY_ROOT = [("cgroup_census", "strangers_are_counted"), ("disk_walk", "test_mounts"),
             ("sandbox_intruder", "test_it_is_the_sandbox, test_root, test_service, "
                                  "test_what_is_kept")]
BARE = None  # the chroot, once it is made


def copy_project(to):
    """The files of the work tree as a clone would have them: no build folders, no history."""
    shutil.copytree(ROOT, to, symlinks=True, ignore=shutil.ignore_patterns(
        "build*", ".git", "__pycache__", "*.pyc"))


class Bare(unittest.TestCase):
    """In the order of their names, as each leaves the chroot a little less bare."""

    def setUp(self):
        self.notes = []

    def inside(self, command, user=None, **options):
        """Starts a shell command in the chroot, with nothing of our environment."""
        arguments = chroot.command(BARE, *(["su", user, "-c"] if user else ["sh", "-c"]),
                                   f"cd /{PROJECT} && {command}")
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, errors="replace",
                                start_new_session=True, **options)

    def finish(self, command, code=0, **options):
        """Runs a command to its end; what it printed."""
        process = self.inside(command, **options)
        try:
            output, _ = process.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            self.fail(f"{command} took longer than {SECONDS_MAX} s:\n{output}")
        self.assertEqual(process.returncode, code, output)
        return output

    def assert_nothing_left(self):
        left = [path.name for path in (BARE / "tmp").iterdir() if "tallyman" in path.name]
        self.assertEqual(left, [])
        for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.assertNotIn("agent/tallyman", process.read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue

    def test_1_without_root_and_sudo_the_error_says_so(self):
        self.finish(f"useradd --create-home {USER}")
        output = self.finish("./quickstart", 2, user=USER)
        self.assertIn("takes root or sudo", output)

    def test_2_quickstart_as_root(self):
        """There is no cgroup2 here: the demo says so and shows lines all the same."""
        output = self.finish("./quickstart --demo --once")
        self.assertIn("Tallyman is running", output)
        self.assertIn("cgroup v2 is not mounted here", output)
        self.assertIn("numbers and lines were seen", output)
        for name in ("shop-web", "shop-worker", "shop-db"):
            self.assertRegex(output, rf"{name} +std(out|err) +\|")
        self.assert_nothing_left()

    def test_3_check_as_root(self):
        output = self.finish("./check --fast")
        self.assertRegex(output.strip().split("\n")[-1], r"^[1-9]\d* passed, 0 failed, 0 skipped$")

    def test_4_quickstart_as_a_user_with_sudo(self):
        self.finish("apt-get install -qq -y --no-install-recommends sudo && apt-get remove -qq -y "
                    "uthash-dev libcmocka-dev && "
                    f"echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER} && "
                    f"chown -R {USER}: /{PROJECT}")
        self.cgroup2()
        before = self.cgroups()
        output = self.finish("./quickstart --demo --once", user=USER)
        self.assertIn("installing uthash-dev", output)
        self.assertIn("numbers and lines were seen", output)
        self.assertNotIn("is not mounted", output)
        self.assertRegex(output, r"shop-worker +running +[1-9]\d*\.\d %")
        self.assertEqual(self.cgroups(), before)
        self.assert_nothing_left()

    @staticmethod
    def cgroup2():
        point = BARE / "sys/fs/cgroup"
        point.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", point], check=True)

    @staticmethod
    def cgroups():
        return sorted(path.name for path in (BARE / "sys/fs/cgroup").glob("tallyman-demo*"))

    def test_5_check_as_a_user_with_sudo(self):
        output = self.finish("./check --fast", user=USER)
        self.assertIn("installing libcmocka-dev", output)
        self.assertEqual(sorted(re.findall(r"^ *skipped in .*\b(\w+): (.*)$", output, flags=re.M)),
                         ONLY_ROOT)
        count = sum(len(names.split(", ")) for _, names in ONLY_ROOT)
        self.assertRegex(output.strip().split("\n")[-1],
                         rf"^[1-9]\d* passed, 0 failed, {count} skipped$")

    def test_6_quickstart_without_an_engine_until_ctrl_c(self):
        process = self.inside("exec ./quickstart")
        said = []
        for line in process.stdout:
            said.append(line)
            if re.match(r" +state +cpu +memory", line):
                break
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        output = "".join(said) + rest
        self.assertEqual(process.returncode, 0, output)
        self.assertRegex(output, r"engine +none at unix:///var/run/docker.sock")
        self.assertRegex(output, r"http://127\.0\.0\.1:\d+/metrics")
        self.assert_nothing_left()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    chroot.enter()
    with tempfile.TemporaryDirectory(prefix="tallyman-bare-") as path:
        global BARE
        BARE = pathlib.Path(path) / "root"
        try:
            chroot.make(BARE, options.suite)
            copy_project(BARE / PROJECT)
            loader = unittest.defaultTestLoader
            module = sys.modules["__main__"]
            return runner.run(loader.loadTestsFromNames(options.tests, module) if options.tests
                              else loader.loadTestsFromModule(module))
        finally:
            chroot.unmount(BARE, "sys/fs/cgroup")


if __name__ == "__main__":
    sys.exit(main())
