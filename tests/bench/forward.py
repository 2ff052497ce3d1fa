#!/usr/bin/python3
"""What forwarding costs: the agent as a whole, from a container's log files to a receiver that
acknowledges, beside the floor in the same run, a program that reads the same files and writes as
many bytes to a socket (forward_floor.c); and beside Fluent Bit, where its program is named. What
gzip adds stands beside what zlib and libdeflate take by themselves for the chunks that the agent
packed (pack_floor.c). CPU seconds are those of the process under test alone; figures are the best
of the runs.

usage: forward.py [--runs N] [--lines N] [--fluent-bit PROGRAM] TALLYMAN FORWARD_FLOOR PACK_FLOOR
"""

import argparse
import hashlib
import json
import os
import pathlib
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import msgpack

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]
import host  # noqa: E402

TEXTS = [
    '192.168.17.4 - - [23/Aug/2026:00:28:30 +0000] "GET /api/v1/items?page=3&sort=name HTTP/1.1" '
    '200 5316 "https://example.com/shop" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"',
    '{"level":"info","ts":1692750510.123,"caller":"handler.go:88","msg":"request served",'
    '"status":200,"path":"/checkout","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}',
    "Grüße aus Köln — Bestellung abgeschlossen ✓ 日本語のログ行です",
    "Traceback (most recent call last):",
    '  File "/usr/lib/python3.11/site-packages/app/worker.py", line 217, in run\traise',
    "ok",
    "2026-08-23T00:28:30.123Z INFO  [main] com.example.shop.OrderService - order accepted",
    "w" * 600,
]


def json_file(path, lines, start=0):
    """Docker's json-file of mixed lines."""
    heads = ['{"log":' + json.dumps(text + "\n", ensure_ascii=False).replace("&", "\\u0026") +
             ',"stream":"%s","time":"2026-08-23T00:%02d:%02d.%09dZ"}\n' for text in TEXTS]
    with open(path, "w", encoding="utf-8") as file:
        for n in range(start, start + lines):
            file.write(heads[n % len(heads)] % (
                "stderr" if n % 10 == 3 else "stdout", n // 60000 % 60, n // 1000 % 60,
                n % 1000 * 1000000 + 123))
    return path.stat().st_size


def containers_make(root, count, lines):
    """Containers with a log file each, as the engine leaves them, with ids whose beginnings differ,
    so that each has a tag of its own; their bytes in all."""
    total = 0
    for number in range(count):
        container = hashlib.sha256(str(number).encode()).hexdigest()
        folder = root / "containers" / container
        folder.mkdir(parents=True)
        total += json_file(folder / f"{container}-json.log", lines // count)
    return total


def drain(listener):
    """Reads and forgets what one connection sends."""
    connection, _ = listener.accept()
    buffer = bytearray(1 << 20)
    with connection:
        while connection.recv_into(buffer):
            pass


def floor(program, root):
    """CPU seconds of the floor over all files."""
    files = sorted(root.glob("containers/*/*-json.log"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drain, args=[listener])
        thread.start()
        seconds = int(subprocess.check_output(
            [program, str(listener.getsockname()[1]), *files])) / 1e9
        thread.join()
    return seconds


def capture(program, root, folder, lines):
    """The chunks of all lines, as the agent packs them, in a file, each behind its length."""
    file = folder / "chunks"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start_agent(program, root, folder, listener.getsockname()[1], "none",
                              require_ack=False)
        connection, _ = listener.accept()
        unpacker = msgpack.Unpacker(raw=True, max_buffer_size=1 << 30)
        with connection, open(file, "wb") as chunks:
            while lines > 0:
                unpacker.feed(connection.recv(1 << 20))
                for _, records, options in unpacker:
                    lines -= options[b"size"]
                    chunks.write(struct.pack("=I", len(records)) + records)
    process.terminate()
    process.wait()
    subprocess.run(["rm", "-rf", folder / "state"], check=True)
    return file


def packing(program, file):
    """What compressing those chunks takes by itself: [compressor, CPU seconds, bytes]."""
    rows = (line.split() for line in subprocess.check_output(
        [program, file, "1"], text=True).splitlines())
    return [(name, int(cpu_ns) / 1e9, int(size)) for name, cpu_ns, size in rows]


class Cost:
    def __init__(self, cpu, wall, peak_mib):
        self.cpu, self.wall, self.peak_mib = cpu, wall, peak_mib


def wait_cost(process, started):
    """Ends the process and tells what it took."""
    peak = host.peak_mib(process.pid)
    wall = time.monotonic() - started
    process.terminate()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(getattr(after, key) - getattr(before, key) for key in ("ru_utime", "ru_stime"))
    return Cost(cpu, wall, peak)


class Sink:
    """`tallyman receive`, which counts and acknowledges; it ends by itself after all lines."""

    def __init__(self, program, folder, lines):
        self.port = host.free_port()
        self.process = subprocess.Popen([program, "receive", "--quiet", "--listen",
                                         f"127.0.0.1:{self.port}", "--count", str(lines)],
                                        stderr=open(folder / "sink.log", "ab"))
        host.await_that("the receiver listens", self.listens)

    def listens(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True

    def await_end(self):
        """Without being a child that is waited for while another one's costs are taken."""
        host.await_that("all lines arrived", lambda: pathlib.Path(
            f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z", 600)


def start_agent(program, root, folder, port, compress, **more):
    config = {"state_dir": str(folder / "state"), "web": {"listen": []},
              "docker": {"host": "", "data_root": str(root)}, "logs": {"from": "beginning"},
              "rules": {"builtin": False},
              "forward": [{"name": "bench", "servers": [f"127.0.0.1:{port}"],
                           "compress": compress, **more}]}
    (folder / "config.yml").write_text(json.dumps(config))
    return subprocess.Popen([program, "run", "--config", folder / "config.yml"],
                            stderr=open(folder / "agent.log", "ab"))


def tallyman(program, root, folder, lines, compress):
    sink = Sink(program, folder, lines)
    started = time.monotonic()
    process = start_agent(program, root, folder, sink.port, compress)
    sink.await_end()
    cost = wait_cost(process, started)
    sink.process.wait()
    subprocess.run(["rm", "-rf", folder / "state"], check=True)
    return cost


def fluent_bit(program, tally, root, folder, lines, compress):
    """Tail, Docker's parser, forward with acknowledgements; what a careful operator sets."""
    sink = Sink(tally, folder, lines)
    (folder / "parsers.conf").write_text(
        "[PARSER]\n    Name docker\n    Format json\n    Time_Key time\n"
        "    Time_Format %Y-%m-%dT%H:%M:%S.%L\n    Time_Keep On\n")
    gzip = "    compress gzip\n" if compress == "gzip" else ""
    (folder / "fluent-bit.conf").write_text(
        f"[SERVICE]\n    flush 1\n    log_level error\n    parsers_file {folder}/parsers.conf\n"
        f"[INPUT]\n    name tail\n    path {root}/containers/*/*-json.log\n    parser docker\n"
        "    tag docker.*\n    read_from_head on\n    buffer_max_size 1M\n    mem_buf_limit 20M\n"
        f"[OUTPUT]\n    name forward\n    match *\n    host 127.0.0.1\n    port {sink.port}\n"
        f"    require_ack_response on\n    retry_limit no_limits\n{gzip}")
    started = time.monotonic()
    process = subprocess.Popen([program, "-q", "-c", folder / "fluent-bit.conf"],
                               stderr=open(folder / "fluent-bit.log", "ab"))
    sink.await_end()
    cost = wait_cost(process, started)
    sink.process.wait()
    return cost


def best_in_turn(options, root, folder, lines, compressions):
    """In turn, so that what else the machine does falls on all of them: the agent's costs by
    compression, and the CPU seconds and bytes of the compressors alone."""
    chunks = capture(options.tallyman, root, folder, lines)
    runs = {compress: [] for compress in compressions}
    alone = {}
    for _ in range(options.runs):
        for compress, costs in runs.items():
            costs.append(tallyman(options.tallyman, root, folder, lines, compress))
        for name, *cost in packing(options.pack_floor, chunks):
            alone[name] = min(alone.get(name, cost), cost)
    return {compress: best_of(costs) for compress, costs in runs.items()}, alone


def best_of(costs):
    chosen = min(costs, key=lambda cost: cost.cpu)
    chosen.peak_mib = max(cost.peak_mib for cost in costs)
    return chosen


def row(name, cost, lines, base):
    print(f"{name:<24} {cost.cpu:7.3f} CPU-s  {cost.cpu / base:5.2f} x floor  "
          f"{cost.cpu * 1e9 / lines:6.0f} ns/line  {lines / cost.wall / 1000:6.0f} k lines/s  "
          f"peak {cost.peak_mib:5.1f} MiB", flush=True)


def scene(options, count, compressions):
    with tempfile.TemporaryDirectory(prefix="tly-bench-") as name:
        folder = pathlib.Path(name)
        root = folder / "docker"
        size = containers_make(root, count, options.lines)
        lines = options.lines // count * count
        print(f"\n{lines} lines, {size / 1e6:.0f} MB, of {count} containers")
        base = min(floor(options.floor, root) for _ in range(options.runs))
        print(f"{'floor':<24} {base:7.3f} CPU-s")
        costs, alone = best_in_turn(options, root, folder, lines, compressions)
        for compress, cost in costs.items():
            row(f"tallyman, {compress}", cost, lines, base)
        for name, (cpu, size) in alone.items():
            print(f"{name + ' level 1 alone':<24} {cpu:7.3f} CPU-s, the same chunks to "
                  f"{size / 1e6:.1f} MB")
        added = costs["gzip"].cpu - costs["none"].cpu
        print(f"{'gzip adds to the agent':<24} {added:7.3f} CPU-s: " + ", ".join(
            f"{added / cpu:.2f} x {name}" for name, (cpu, _) in alone.items()), flush=True)
        for compress in [c for c in compressions if c != "zstd"] if options.fluent_bit else []:
            row(f"fluent bit, {compress}", fluent_bit(options.fluent_bit, options.tallyman, root,
                                                      folder, lines, compress), lines, base)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tallyman", type=os.path.abspath)
    parser.add_argument("floor", type=os.path.abspath)
    parser.add_argument("pack_floor", type=os.path.abspath)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lines", type=int, default=1000000)
    parser.add_argument("--fluent-bit", type=os.path.abspath)
    options = parser.parse_args()
    for count in (1, 200):
        scene(options, count, ["none", "gzip", "zstd"])


if __name__ == "__main__":
    main()
