#!/usr/bin/python3
"""The Debian package: nothing that lintian would warn of; installed into a fresh Debian with what it
depends on, used there, removed and purged, which leaves nothing.

usage: run.py --packages FOLDER [TEST…], as root. The folder is what tools/build-package made.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import chroot  # noqa: E402
import deb  # noqa: E402
import runner  # noqa: E402

SECONDS_MAX = 120  # a bound against hanging
EXPOSURE_MAX = 2.5  # of what systemd-analyze counts up to 10
UNITS = "/lib/systemd/system"
STATE = "var/lib/tallyman"
CONFIG = "etc/tallyman/tallyman.yml"
# What others keep about packages that come and go.
BOOKS = re.compile(r"(proc|dev|sys|run|tmp|var/(cache|log|lib/(dpkg|systemd))"
                   r"|etc/(passwd|group|shadow|gshadow|sub[ug]id)-?)(/|$)")
FOLDER = None
DEBIAN = None  # the chroot, once it is made


def package():
    return deb.package(FOLDER)


def field(name):
    return deb.field(package(), name)


def release():
    with open("/etc/os-release", encoding="utf-8") as file:
        return re.search(r"^VERSION_CODENAME=(.*)$", file.read(), re.M)[1]


class Source(unittest.TestCase):
    """What stands in deploy/debian."""

    def test_its_version_is_the_projects(self):
        version = re.search(r"version: '(.*)'", (ROOT / "meson.build").read_text())[1]
        changelog = (ROOT / "deploy/debian/changelog").read_text()
        self.assertRegex(changelog, rf"^tallyman \({re.escape(version)}\) ")
        self.assertEqual(field("Version"), version)


class Package(unittest.TestCase):
    """In the order of their names, as a package's life goes."""

    def inside(self, *command, code=0):
        done = subprocess.run(chroot.command(DEBIAN, *command), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=SECONDS_MAX, check=False)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    @staticmethod
    def paths():
        found = set()
        for folder, folders, names in os.walk(DEBIAN):
            inner = os.path.relpath(folder, DEBIAN)
            folders[:] = [name for name in folders
                          if not BOOKS.match(os.path.normpath(os.path.join(inner, name)))]
            found.update(os.path.normpath(os.path.join(inner, name)) for name in folders + names)
        return {path for path in found if not BOOKS.match(path)}

    def modes(self):
        return {path: oct((DEBIAN / path).stat().st_mode & 0o777) for path in (
            os.path.dirname(CONFIG), CONFIG)}

    def test_1_lintian_has_nothing_to_say(self):
        changes, = FOLDER.glob("tallyman_*.changes")
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", changes],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        self.assertEqual((done.returncode, re.findall(r"^[EW]: .*", done.stdout, re.M)), (0, []),
                         done.stdout)

    def test_2_it_is_installed_and_works(self):
        type(self).before = self.paths()
        (DEBIAN / "tmp/tallyman.deb").write_bytes(package().read_bytes())
        self.inside("dpkg", "--install", "/tmp/tallyman.deb")
        self.assertEqual(self.inside("tallyman", "version"), f"tallyman {field('Version')}\n")
        self.inside("tallyman", "check", f"/{CONFIG}")
        self.assertEqual(self.modes(), {"etc/tallyman": "0o750", CONFIG: "0o640"})
        self.assertRegex(self.inside("id", "tallyman"), r"^uid=\d+\(tallyman\) gid=\d+\(tallyman\)")
        self.assertEqual(self.inside("stat", "-c", "%U:%G", f"/{CONFIG}"), "root:tallyman\n")
        self.assertEqual(self.inside("systemctl", "is-enabled", "tallyman.service"), "enabled\n")
        self.assertEqual(self.inside("systemctl", "is-enabled", "tallyman.socket", code=1),
                         "disabled\n")
        self.notes = [f"{package().stat().st_size >> 10} KiB"]

    def test_2_what_it_loads_at_need_is_there(self):
        """The package depends on those libraries, too: the loader finds them where nothing else is."""
        for name in "libcurl3-gnutls", "libncursesw6":
            self.assertRegex(field("Depends"), rf"(^|, ){name}\b")
        self.assertIn("Connection refused", self.inside("tallyman", "healthcheck", code=1))

    def test_3_the_manual_is_there(self):
        for page, text in ("8 tallyman", "tallyman receive"), ("5 tallyman.yml", "Section forward"):
            self.assertIn(text, self.inside("man", *page.split()))

    def test_4_the_unit_is_valid_and_little_exposed(self):
        for unit in "tallyman.service", "tallyman.socket":
            self.assertEqual(self.inside("systemd-analyze", "verify", f"{UNITS}/{unit}"), "")
        said = self.inside("systemd-analyze", "security", "--offline=true", "--no-pager",
                           f"--threshold={int(EXPOSURE_MAX * 10)}", f"{UNITS}/tallyman.service")
        exposure = re.search(r"Overall exposure level for \S+: (\d+\.\d)", said)[1]
        self.assertLess(float(exposure), EXPOSURE_MAX, said)
        self.notes = [f"exposure {exposure}"]

    def test_5_what_an_administrator_wrote_stays(self):
        text = "state_dir: /srv/tallyman\n"
        (DEBIAN / CONFIG).write_text(text)
        self.inside("dpkg", "--install", "/tmp/tallyman.deb")
        self.assertEqual((DEBIAN / CONFIG).read_text(), text)
        self.assertEqual(self.modes()[CONFIG], "0o640")
        (DEBIAN / STATE).mkdir()
        (DEBIAN / STATE / "positions").touch()
        self.inside("dpkg", "--remove", "tallyman")
        self.assertEqual(self.paths() - self.before, {
            "etc/tallyman", CONFIG, STATE, f"{STATE}/positions"} | self.links())

    @staticmethod
    def links():
        """A removed package's unit stays enabled, for when it comes back."""
        link = "etc/systemd/system/multi-user.target.wants/tallyman.service"
        return {link} if (DEBIAN / link).is_symlink() else set()

    def test_6_a_purge_leaves_nothing(self):
        self.inside("dpkg", "--purge", "tallyman")
        self.assertEqual(self.paths() ^ self.before, set())


def main():
    global FOLDER, DEBIAN
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--packages", required=True,
                        type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    chroot.enter()
    FOLDER = options.packages
    with tempfile.TemporaryDirectory(prefix="tallyman-package-") as path:
        DEBIAN = pathlib.Path(path) / "root"
        try:
            chroot.make(DEBIAN, release(), ["man-db", *deb.depended_on(package())])
            return runner.run(runner.chosen(options.tests, (Source, Package)))
        finally:
            chroot.unmount(DEBIAN)


if __name__ == "__main__":
    sys.exit(main())
