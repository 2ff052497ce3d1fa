#!/usr/bin/python3
"""The Debian package built as a build machine does: in a fresh Debian with nothing but what the package
says it needs, as a user, with its unit tests. Not among the steps of ./check: it takes some minutes.

usage: fresh.py [--suite bookworm], as root
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import chroot  # noqa: E402
import runner  # noqa: E402

OPTIONS = argparse.Namespace()
USER = "builder"


def left_out(folder, names):
    """Of the work tree: builds and history."""
    return [name for name in names if name == "__pycache__" or pathlib.Path(folder) == ROOT and
            name.startswith((".git", "build"))]


class Fresh(unittest.TestCase):
    def inside(self, root, command):
        done = subprocess.run(chroot.command(root, "sh", "-ec", f"cd /srv/tallyman; {command}"),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-20000:])
        return done.stdout

    def test_with_what_it_says_it_needs(self):
        self.notes = []
        scratch = tempfile.TemporaryDirectory(prefix="tallyman-fresh-")
        self.addCleanup(scratch.cleanup)
        root = pathlib.Path(scratch.name) / "root"
        self.addCleanup(chroot.unmount, root)
        chroot.make(root, OPTIONS.suite, ["build-essential", "dpkg-dev"])
        shutil.copytree(ROOT, root / "srv/tallyman", symlinks=True, ignore=left_out)
        self.inside(root, f"useradd --create-home {USER}; chown -R {USER}: /srv/tallyman")
        control = self.inside(root, "tools/build-package --control")
        (root / "tmp/control").write_text(control)
        self.inside(root, "mkdir -p /tmp/needs/debian && mv /tmp/control /tmp/needs/debian && "
                    "apt-get update -q && "
                    "DEBIAN_FRONTEND=noninteractive apt-get build-dep --yes -q /tmp/needs")
        said = self.inside(root, f"su {USER} -c 'tools/build-package /srv/tallyman/build-package'")
        passed = re.search(r"^Ok: +(\d+)", said, flags=re.M)
        self.assertTrue(passed, said[-20000:])
        self.assertRegex(said, r"(?m)^Fail: +0 *$")
        self.assertRegex(said, r"(?m)^Skipped: +0 *$")
        packages = sorted(path.name for path in (root / "srv/tallyman/build-package").glob("*.deb"))
        self.assertEqual(len(packages), 2, packages)
        self.notes = [f"{passed[1]} unit test programs; {', '.join(packages)}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=OPTIONS)
    chroot.enter()
    return runner.run(runner.chosen(OPTIONS.tests))


if __name__ == "__main__":
    sys.exit(main())
