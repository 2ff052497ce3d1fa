"""The VM: qemu with software emulation, which every machine has, with the tests on one of its disks
and a port over which they say what they find.
"""

import os
import pathlib
import selectors
import subprocess
import time

# Beside the root: what the tests bring, room for files on a second device, and swap.
DISKS = {"tests": None, "second": 256 << 20, "swap": 256 << 20}
MEMORY_MIB = 2048
# Without what costs most where every instruction is translated: wide vectors, page tables of five
# levels, and what the kernel does against speculation.
CPU = "Nehalem"
KERNEL = "quiet panic=-1 psi=1 mitigations=off"
CONSOLE_SHOWN = 6000  # characters of the kernel's and systemd's messages, when something went wrong


class Machine:
    """One boot. What it writes to its disks is lost with it."""

    def __init__(self, base, scratch, tests):
        """`base` is the folder of the root's disk, `tests` a tar file."""
        self.console = pathlib.Path(scratch) / "console.log"
        command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", "2",
            "-m", str(MEMORY_MIB), "-nic", "none",
            "-kernel", str(base / "vmlinuz"), "-initrd", str(base / "initrd.img"),
            "-append", f"root=/dev/disk/by-id/virtio-root rw console=ttyS0 {KERNEL}",
            "-serial", f"file:{self.console}",
            "-device", "virtio-serial", "-chardev", "stdio,id=results,signal=off",
            "-device", "virtserialport,chardev=results,name=results",
            "-device", "virtio-rng-pci",
        ]
        command += self.drive("root", base / "disk.img", ",snapshot=on")
        for name, size in DISKS.items():
            if size is None:
                command += self.drive(name, tests, ",readonly=on")
                continue
            path = pathlib.Path(scratch) / name
            with open(path, "wb") as file:
                file.truncate(size)
            command += self.drive(name, path, "")
        # Its temporary file for what the root's disk is written.
        environment = {**os.environ, "TMPDIR": str(scratch)}
        # Its standard input is a pipe that stays open: at its end the results' port would close.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @staticmethod
    def drive(name, path, more):
        return ["-drive", f"file={path},format=raw,if=none,cache=unsafe,id={name}{more}",
                "-device", f"virtio-blk-pci,drive={name},serial={name}"]

    def lines(self, seconds):
        """What the tests say, line by line, until the VM has switched itself off. An error when it
        takes longer, or when qemu fails."""
        deadline = time.monotonic() + seconds
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"the VM was not done after {seconds} s")
                if not selector.select(left):
                    continue
                block = os.read(self.process.stdout.fileno(), 65536)
                *whole, rest = (rest + block).replace(b"\r\n", b"\n").split(b"\n")
                for line in whole if block else [*whole, rest]:
                    yield line.decode(errors="replace")
                if not block:
                    break
        code = self.process.wait(30)
        if code != 0:
            raise AssertionError(f"qemu ended with {code}")

    def said(self):
        """The end of what the kernel and systemd said."""
        return self.console.read_text(errors="replace")[-CONSOLE_SHOWN:] \
            if self.console.exists() else ""

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
