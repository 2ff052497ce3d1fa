#!/usr/bin/python3
"""The agent sends to the OpenTelemetry Collector's receiver of the forward protocol, with
deploy/examples' configuration of it: plain and with gzip, across a kill of the receiver. Not among
the steps of ./check: it takes Go 1.26 and some minutes to build.

usage: run.py --agent BINARY [--collector BINARY] [TEST…]
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE.parents[1] / "engine"), str(HERE.parents[1])]

import host  # noqa: E402
import runner  # noqa: E402

MODULES = (
    "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/"
    "fluentforwardreceiver@v0.165.1", "go.opentelemetry.io/collector/exporter/debugexporter@v0.165.0",
    "go.opentelemetry.io/collector/otelcol@v0.165.0")
LINES = 5000
CONTAINER = "c" * 64
OPTIONS = argparse.Namespace()


def build(folder):
    """The collector, from the module proxy."""
    (folder / "main.go").write_text((HERE / "main.go").read_text())
    for command in (["go", "mod", "init", "collector"], ["go", "get", *MODULES],
                    ["go", "mod", "tidy"], ["go", "build", "-o", "collector", "."]):
        subprocess.run(command, cwd=folder, check=True)
    return folder / "collector"


class Sending(unittest.TestCase):
    def setUp(self):
        self.notes = []
        scratch = tempfile.TemporaryDirectory(prefix="tly-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.port = host.free_port()
        log = self.folder / "docker/containers" / CONTAINER
        log.mkdir(parents=True)
        self.log = log / f"{CONTAINER}-json.log"

    def write(self, first, count):
        with self.log.open("a") as file:
            for i in range(first, first + count):
                file.write(json.dumps({"log": f"line {i}\n", "stream": "stdout",
                                       "time": f"2026-01-02T03:04:05.{i:09}Z"}) + "\n")

    def collector(self):
        config = yaml.safe_load((ROOT / "deploy/examples/opentelemetry.yaml").read_text())
        receiver, = config["receivers"].values()
        receiver["endpoint"] = f"127.0.0.1:{self.port}"
        pipeline = config["service"]["pipelines"]["logs"]
        config["exporters"] = {"debug": {"verbosity": "detailed"}}  # what it has got, in its log
        pipeline["exporters"] = ["debug"]
        config["service"]["telemetry"] = {"metrics": {"level": "none"}}
        path = self.folder / "collector.yaml"
        path.write_text(yaml.safe_dump(config))
        program = host.Program("collector", [OPTIONS.collector, "--config", path], self.folder)
        self.addCleanup(lambda: program.process.poll() is None and program.kill())
        host.await_that("the collector is ready", lambda: program.assert_running() and
                        "Everything is ready" in program.said())
        return program

    def send(self, **destination):
        agent = host.Agent(OPTIONS.agent, self.folder, docker={
            "host": "", "data_root": str(self.folder / "docker")}, forward=[{
                "name": "test", "servers": [f"127.0.0.1:{self.port}"], "flush_interval": "100ms",
                **destination}]).start()
        self.addCleanup(lambda: agent.program.process.poll() is None and agent.kill())
        return agent

    def await_acked(self, agent, count):
        host.await_that("everything is acknowledged", lambda: agent.value(
            "tallyman_destination_records_acked_total") == count)

    def lines(self, program):
        """Each line that the collector has, with how often."""
        found = {}
        for number in re.findall(r"^Body: Str\(line (\d+)\)$", program.said(), flags=re.M):
            found[int(number)] = found.get(int(number), 0) + 1
        return found

    def expect(self, **destination):
        self.write(0, LINES)
        program = self.collector()
        agent = self.send(**destination)
        self.await_acked(agent, LINES)
        host.await_that("everything is printed", lambda: len(self.lines(program)) == LINES)
        self.assertEqual(set(self.lines(program).values()), {1})
        self.assertEqual(agent.value("tallyman_forward_resent_chunks_total"), 0)
        said = program.said()
        self.assertIn(f"container_id: Str({CONTAINER})", said)
        self.assertIn("source: Str(stdout)", said)
        self.assertIn("Timestamp: 2026-01-02 03:04:05.000000001 +0000 UTC", said)
        self.assertIn(f"fluent.tag: Str(docker.{CONTAINER[:12]})", said)

    def test_acknowledgements(self):
        self.expect(chunk_size="64KiB")

    def test_gzip(self):
        self.expect(chunk_size="64KiB", compress="gzip")

    def test_across_a_kill(self):
        self.write(0, LINES)
        program = self.collector()
        agent = self.send(chunk_size="16KiB", retry_max="1s")
        host.await_that("some have arrived", lambda: agent.value(
            "tallyman_destination_records_acked_total") > 0)
        program.kill()
        self.write(LINES, LINES)
        program = self.collector()
        self.await_acked(agent, 2 * LINES)
        found = host.await_that("everything is printed", lambda: len(
            self.lines(program)) == 2 * LINES and self.lines(program))
        self.notes = [f"{sum(found.values()) - len(found)} lines came twice"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True, type=os.path.abspath)
    parser.add_argument("--collector", type=os.path.abspath, help="one that was built before")
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=OPTIONS)
    with tempfile.TemporaryDirectory(prefix="tallyman-collector-") as folder:
        OPTIONS.collector = OPTIONS.collector or build(pathlib.Path(folder))
        return runner.run(runner.chosen(OPTIONS.tests))


if __name__ == "__main__":
    sys.exit(main())
