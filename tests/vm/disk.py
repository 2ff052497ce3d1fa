"""The VM's disk: a minimal Debian of the same release as this machine's, with a Docker engine and
what the agent's package depends on, made from packages. Nothing of it depends on the tests, which
come to the VM on another disk, so that it can be kept for the next run.
"""

import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess

import deb
import runner

KERNEL = "linux-image-cloud-amd64"
SYSTEM = ["systemd-sysv", "udev", "docker.io", "apparmor", "iptables", "iproute2",
          "busybox-static", "python3"]
DISK_BYTES = 3 << 30  # a sparse file; about 700 MB of it are used
NEEDS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap",
         "mkfs.ext4": "e2fsprogs"}

# Takes the tests from their disk, runs them, and says on the results' port what they say. Whatever
# happens, the machine is switched off at the end.
SERVICE = """[Unit]
Description=The tests
After=docker.service
Wants=docker.service
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec >/dev/virtio-ports/results 2>&1; mkdir /srv/tests && cd /srv/tests && \
    tar -xf /dev/disk/by-id/virtio-tests && exec /usr/bin/python3 -B tests/vm/guest/main.py'
"""


class Missing(Exception):
    """What this machine would need, for a person to read."""


def release():
    """The code name of this machine's Debian: the agent was linked with its libraries."""
    with open("/etc/os-release", encoding="utf-8") as file:
        names = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', file.read(), re.M))
    if names.get("ID") != "debian" or platform.machine() != "x86_64":
        raise runner.Lacking("a Debian for x86_64, which the VM's kernel and libraries come from")
    return names["VERSION_CODENAME"]


def check_commands():
    absent = [package for command, package in NEEDS.items() if not shutil.which(command)]
    if absent:
        raise Missing(f"these packages are missing: {' '.join(absent)}; "
                      "`tools/install-packages full` installs what all tests need")
    if os.geteuid() != 0:
        raise Missing("making the VM's disk takes root")


def install(root, suite, packages):
    """Installs packages of the release into a new root file system."""
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase",
                    "--aptopt=APT::Install-Recommends false", "--dpkgopt=force-unsafe-io",
                    "--dpkgopt=path-exclude=/usr/share/man/*",
                    "--dpkgopt=path-exclude=/usr/share/locale/*",
                    f"--include={','.join(packages)}", suite, root],
                   check=True, stdin=subprocess.DEVNULL)


def furnish(root):
    """What makes the root file system this VM's."""
    system = root / "etc/systemd/system"
    (system / "tests.service").write_text(SERVICE)
    wants = system / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "tests.service").symlink_to("../tests.service")
    # Timers of a machine that lives longer than a minute, and profiles of programs that it lacks:
    # the engine loads its own.
    for name in ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
                 "apparmor.service", "e2scrub_reap.service", "fstrim.timer", "getty.target"):
        (system / name).unlink(missing_ok=True)
        (system / name).symlink_to("/dev/null")
    # What systemd would run at the start and at each reload, to find that there is nothing to do.
    generators = root / "etc/systemd/system-generators"
    generators.mkdir(exist_ok=True)
    for shipped in (root / "lib/systemd/system-generators").iterdir():
        (generators / shipped.name).symlink_to("/dev/null")
    (root / "etc/hostname").write_text("vm\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost vm\n")


def make(folder, suite, packages):
    """disk.img, vmlinuz and initrd in `folder`, which must not exist; complete or not at all."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    root = unfinished / "root"
    unfinished.mkdir(parents=True)
    try:
        install(root, suite, packages)
        furnish(root)
        for name in ("vmlinuz", "initrd.img"):
            found, = (root / "boot").glob(f"{name}-*")
            shutil.copy(found, unfinished / name)
        image = unfinished / "disk.img"
        with open(image, "wb") as file:
            file.truncate(DISK_BYTES)
        # No journal: it is written to once, and thrown away.
        subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", root, image],
                       check=True, stdin=subprocess.DEVNULL)
        shutil.rmtree(root)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def ensure(package, keep):
    """The folder in `keep` with a disk on which the agent's package can be installed; made if it is
    not there. Disks for other packages than today's are removed."""
    check_commands()
    suite = release()
    packages = [KERNEL, *SYSTEM, *deb.depended_on(package)]
    with open(__file__, "rb") as file:
        recipe = file.read() + json.dumps([suite, packages]).encode()
    folder = pathlib.Path(keep) / f"vm-{hashlib.sha256(recipe).hexdigest()[:16]}"
    for other in folder.parent.glob("vm-*"):
        if other != folder:
            shutil.rmtree(other)
    if not folder.exists():
        make(folder, suite, packages)
    return folder
