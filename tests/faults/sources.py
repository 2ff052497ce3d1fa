"""Where the lines of a run come from: files as Docker's two drivers write them and as a kubelet lays
them out, written, rotated and described from outside."""

import json
import struct
import time

CONTAINERS = 3
TIME = "2026-01-02T03:04:05.678Z"


class JsonFiles:
    """Docker's json-file driver below a data root."""

    driver = "json-file"

    def __init__(self, folder, number):
        self.root = folder / "docker"
        self.ids = [f"{number:032x}{index:032x}" for index in range(CONTAINERS)]
        for container in self.ids:
            self.log(container).parent.mkdir(parents=True)
            home = self.root / "containers" / container
            (home / "config.v2.json").write_text(json.dumps({
                "ID": container, "Name": f"/c{container[-1]}", "Config": {"Image": "image"},
                "State": {"Running": True, "StartedAt": "2026-01-01T00:00:00Z"}}))
            (home / "hostconfig.json").write_text(
                json.dumps({"LogConfig": {"Type": self.driver}}))
            self.log(container).touch()

    def log(self, container):
        return self.root / "containers" / container / f"{container}-json.log"

    def settings(self):
        return {"docker": {"host": "", "data_root": str(self.root)}, "logs": {"pods_root": ""}}

    def line(self, text):
        return json.dumps({"log": f"{text}\n", "stream": "stdout", "time": TIME}).encode() + b"\n"

    def write(self, container, texts):
        with open(self.log(container), "ab", buffering=0) as log:
            log.write(b"".join(self.line(text) for text in texts))

    def rotate(self, container):
        path = self.log(container)
        path.rename(path.with_name(path.name + ".1"))
        path.touch()


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


class LocalFiles(JsonFiles):
    """Docker's `local` driver: protobuf between lengths."""

    driver = "local"

    def log(self, container):
        return self.root / "containers" / container / "local-logs" / "container.log"

    def line(self, text):
        entry = b"".join((b"\x0a\x06stdout", b"\x10" + varint(time.time_ns()),
                          b"\x1a" + varint(len(text)) + text.encode()))
        length = struct.pack(">I", len(entry))
        return length + entry + length


class PodFiles(JsonFiles):
    """A container in each of some pods, as the kubelet and a CRI runtime write them."""

    def __init__(self, folder, number):
        self.root = folder / "pods"
        self.ids = [f"{number:08x}-0000-4000-8000-{index:012x}" for index in range(CONTAINERS)]
        self.turns = 0
        for container in self.ids:
            self.log(container).parent.mkdir(parents=True)
            self.log(container).touch()

    def log(self, container):
        return self.root / f"ns_pod-{container[-1]}_{container}" / "c" / "0.log"

    def settings(self):
        return {"docker": {"host": "", "data_root": str(self.root.parent / "none")},
                "logs": {"pods_root": str(self.root)}}

    def line(self, text):
        half = len(text) // 2  # in two pieces
        return (f"{TIME} stdout P {text[:half]}\n{TIME} stdout F {text[half:]}\n").encode()

    def rotate(self, container):
        path = self.log(container)
        self.turns += 1
        path.rename(path.with_name(f"0.log.20260102-{self.turns:06d}"))
        path.touch()
