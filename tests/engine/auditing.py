"""What the tests of the audit share: one shot of it beside a real engine, and images made to
measure."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

from posture_pairs import SECRET, SLEEP
from test_chain import BINARY, Chain

RECENTLY = "2026-01-01T00:00:00Z"


class Auditing(Chain):
    def audit(self, *arguments, code=(0, 1), engine=None, **environment):
        address = f"unix://{(engine or self.engine).socket}"
        done = subprocess.run(
            [BINARY, "audit", *arguments], capture_output=True, text=True, timeout=120,
            env={**os.environ, "DOCKER_HOST": address, **environment})
        self.assertIn(done.returncode, code, done.stderr)
        return done

    def rows(self, *arguments, engine=None):
        done = self.audit("--format", "json", *arguments, engine=engine)
        self.assertEqual(done.stderr, "")
        self.assertNotIn(SECRET, done.stdout)
        return {(row["target"], row["name"], row["check"]): row
                for row in json.loads(done.stdout)["findings"]}

    def make(self, name, start, config, engine=None):
        engine = engine or self.engine
        text = json.dumps(config).replace("FOLDER", str(self.directory)).replace(
            "SOCKET", engine.socket)
        config = json.loads(text)
        script = config.pop("Script", SLEEP)
        container = engine.create(name, script, **config)
        self.addCleanup(engine.remove, container)
        if start:
            engine.post(f"/containers/{container}/start")
        return container

    def settings(self, **settings):
        """A configuration file with these settings alone."""
        path = self.directory / "tallyman.yml"
        path.write_text(json.dumps(settings))
        return str(path)

    def load(self, name, *layers, **config):
        """An image with these layers (see `layer`), as `docker load` takes it."""
        config, blobs = image_config(layers, **config)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path, data in blobs.items():
                add(tar, path, 0o644, data)
            manifest = [{"Config": config, "RepoTags": [name], "Layers": [
                path for path in blobs if path.endswith(".tar")]}]
            add(tar, "manifest.json", 0o644, json.dumps(manifest).encode())
        self.engine.post("/images/load", packed.getvalue(), kind="application/x-tar")
        self.addCleanup(self.engine.request, "DELETE", f"/images/{name}?force=1", ok=(200, 404))


def add(tar, path, mode, data):
    entry = tarfile.TarInfo(path)
    entry.mode, entry.size = mode, len(data)
    tar.addfile(entry, io.BytesIO(data))


def layer(files):
    """{path: (mode, content)} as a layer's tar file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, (mode, content) in files.items():
            add(tar, path, mode, content if isinstance(content, bytes) else content.encode())
    return packed.getvalue()


def program():
    """A file system with a program that sleeps, and nothing else: no shell under any name."""
    with open(shutil.which("busybox"), "rb") as file:
        return {"sleep": (0o755, file.read())}


def image_config(layers, created=RECENTLY, history=(), **config):
    """The name of an image's configuration, and {name: content} of its parts."""
    digests = [hashlib.sha256(data).hexdigest() for data in layers]
    text = json.dumps({
        "architecture": "amd64", "os": "linux", "created": created, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": created, "created_by": row} for row in history]}).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    return name, {name: text, **{f"{digest}.tar": data
                                 for digest, data in zip(digests, layers)}}
