"""A minimal Debian in a folder, for tests of what a machine has that has nothing: made from packages by
mmdebstrap, in mount and process namespaces of the test's own. As root."""

import os
import shutil
import socket
import subprocess
import sys

INSIDE = "TALLYMAN_TEST_NAMESPACE"
MOUNTS = "dev/shm", "dev/pts", "proc", "."


def enter():
    """Runs this program again in its own mount and process namespaces: with it end its mounts and
    whatever it started."""
    if os.environ.get(INSIDE) == "1":
        return
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                          "--propagation", "private", sys.executable, *sys.argv])


def make(path, suite, packages=()):
    """A Debian of that release with the smallest set of packages, and some more."""
    include = [f"--include={','.join(packages)}"] if packages else []
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", *include, suite, path],
                   check=True, stdin=subprocess.DEVNULL)
    shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
    # An installer writes this one, a chroot has none; sudo and "localhost" need it.
    (path / "etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n"
                                    "::1 localhost\n")
    # As on any machine, / is a mount, and there are terminals and memory to share.
    subprocess.run(["mount", "--bind", path, path], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", path / "proc"], check=True)
    subprocess.run(["mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620",
                    "devpts", path / "dev/pts"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", path / "dev/shm"],
                   check=True)


def command(path, *arguments):
    """What runs a command in there, with nothing of our environment."""
    return ["chroot", str(path), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
            *arguments]


def unmount(path, *more):
    for point in (*more, *MOUNTS):
        subprocess.run(["umount", "-l", path / point], check=False, stderr=subprocess.DEVNULL)
