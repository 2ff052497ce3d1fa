"""A host for the files of deploy/ as they are: an engine at its usual paths, and images under the names
that those files give, of programs that are installed here."""

import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import urllib.parse

import host

USER = 65534
NAMES = "nobody:x:65534:65534:nobody:/:/\n"
GROUP = 10999  # of the engine's socket
SOCKET = "/var/run/docker.sock"


class Usual:
    """Folders of the test's own in the place of those where an engine, the kubelet and the agent have
    theirs; of these mounts nobody else knows."""

    FOLDERS = "/run", "/var/lib", "/var/log"

    def __init__(self, folder):
        for path in self.FOLDERS:
            own = pathlib.Path(folder) / f"usual{path.replace('/', '-')}"
            own.mkdir()
            subprocess.run(["mount", "--bind", own, path], check=True)

    def end(self):
        for path in self.FOLDERS:
            subprocess.run(["umount", "-l", path], check=True)


class UsualEngine(host.Engine):
    def __init__(self, directory):
        super().__init__(directory)
        self.socket = SOCKET
        self.data_root = pathlib.Path("/var/lib/docker")

    def start(self, *arguments):
        super().start(*arguments)
        os.chown(self.socket, 0, GROUP)
        os.chmod(self.socket, 0o660)


def libraries(program):
    """The files that a program is linked with."""
    text = subprocess.check_output(["ldd", program], text=True)
    words = [word for line in text.splitlines() for word in line.split() if word[0] == "/"]
    return sorted(set(words))


def import_program(engine, image, program, name, files=()):
    """An image with one program of this system as /bin/`name`, files that it needs, and a folder of that
    name for its state."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, 0o755, USER, USER
        tar.addfile(entry)
        for path, mode, data in (("etc/passwd", 0o644, NAMES.encode()), ("tmp/.keep", 0o644, b"")):
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size = mode, len(data)
            tar.addfile(entry, io.BytesIO(data))
        for path in (*libraries(shutil.which(program)), *files):
            tar.add(path, path.lstrip("/"))
        tar.add(shutil.which(program), f"bin/{name}")
    repository, tag = image.rsplit(":", 1)
    query = urllib.parse.urlencode([
        ("fromSrc", "-"), ("repo", repository), ("tag", tag), ("changes", "USER nobody"),
        ("changes", f"ENTRYPOINT [\"/bin/{name}\"]"), ("changes", f"VOLUME /{name}")])
    engine.post(f"/images/create?{query}", packed.getvalue(), kind="application/x-tar")


def tag(engine, image, name):
    repository, version = name.rsplit(":", 1)
    query = urllib.parse.urlencode({"repo": repository, "tag": version})
    engine.post(f"/images/{urllib.parse.quote(image, safe='')}/tag?{query}")
