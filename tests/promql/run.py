#!/usr/bin/python3
"""Compares the evaluator with a real Prometheus on the same samples: `run.py --evaluate BINARY
[--expressions N] [--seed N] [TEST...]`.

The Prometheus is the distribution's, a version 2; the evaluator follows version 3. Samples and
evaluation times are chosen so that the two agree wherever the versions do; where they differ by
design, Differences holds both answers side by side and says why.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import http.client

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import compare  # noqa: E402
import generate  # noqa: E402
import runner  # noqa: E402

OPTIONS = argparse.Namespace(evaluate=None, expressions=8000, seed=1)

# Evaluations are at times whose milliseconds no sample has: then no sample stands at the edge of a
# window, where version 2 counts it in on the left.
EVALUATION_MS = 137


class Prometheus:
    """A real Prometheus on samples of the past, which it gets as blocks."""

    def __init__(self, series):
        self.directory = tempfile.mkdtemp(prefix="tallyman-promql-")
        text = os.path.join(self.directory, "samples")
        generate.write_openmetrics(series, text)
        data = os.path.join(self.directory, "data")
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", text, data],
                       check=True, stdout=subprocess.DEVNULL)
        config = os.path.join(self.directory, "prometheus.yml")
        pathlib.Path(config).write_text("global: {evaluation_interval: 1m}\n", encoding="utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
             "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if "ready to receive web requests" in line:
                break
        else:
            raise AssertionError("Prometheus did not start:\n" + "".join(said))
        # What it says from here on goes nowhere, so that it never waits for a reader.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr,
                                      stdout=subprocess.DEVNULL)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def stop(self):
        self.connection.close()
        self.process.terminate()
        self.process.wait(30)
        self.drain.wait(30)
        self.process.stderr.close()
        shutil.rmtree(self.directory)

    def get(self, path, fields):
        self.connection.request("POST", path, urllib.parse.urlencode(fields),
                                {"Content-Type": "application/x-www-form-urlencoded"})
        return json.load(self.connection.getresponse())

    def version(self):
        self.connection.request("GET", "/api/v1/status/buildinfo")
        return json.load(self.connection.getresponse())["data"]["version"]

    def query(self, t_ms, expression):
        """A result in compare's form."""
        answer = self.get("/api/v1/query", {"query": expression, "time": f"{t_ms / 1000:.3f}"})
        if answer["status"] != "success":
            return "error", answer["error"]
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind in ("scalar", "string"):
            return kind, float(result[1]) if kind == "scalar" else result[1]
        values, order = {}, []
        for element in result:
            key = tuple(sorted(element["metric"].items()))
            if kind == "vector":
                values[key] = float(element["value"][1])
            else:
                values[key] = [(round(t * 1000), float(number)) for t, number in element["values"]]
            order.append(key)
        return kind, values, order


class Ours:
    """The evaluator, given many expressions at once. `history`: on samples as the agent keeps them."""

    def __init__(self, series, history=False):
        self.options = ["--history"] if history else []
        file, self.path = tempfile.mkstemp(prefix="tallyman-promql-")
        os.close(file)
        generate.write_series(series, self.path)

    def stop(self):
        os.unlink(self.path)

    def query(self, rows):
        """Results in compare's form for (t_ms, expression) pairs."""
        text = "".join(f"{t_ms}\t{expression}\n" for t_ms, expression in rows)
        done = subprocess.run([OPTIONS.evaluate, *self.options, self.path], input=text, text=True,
                              stdout=subprocess.PIPE, check=True)
        return [compare.parse_line(line) for line in done.stdout.splitlines()]


def disturbed(series, seed):
    """The same series in another order, and values that differ in their last bits: not integers of
    what is no counter, since those are states that expressions ask for. What times lose to rounding,
    told from an evaluation far away from the window, is as much."""
    rng = random.Random(seed)

    def more(one, value):
        fixed = value is None or (float(value).is_integer() and not one.name.endswith("_total"))
        return value if fixed else value * (1 + rng.uniform(-4e-14, 4e-14))

    changed = []
    for one in rng.sample(series, len(series)):
        other = generate.Series(one.name, one.labels)
        other.samples = [(t_ms, more(one, value)) for t_ms, value in one.samples]
        changed.append(other)
    return changed


class Case(unittest.TestCase):
    def start(self, series):
        prometheus = Prometheus(series)
        self.addCleanup(prometheus.stop)
        ours = Ours(series)
        self.addCleanup(ours.stop)
        return prometheus, ours


class Thousands(Case):
    """Expressions made up at random, over an hour of a host's samples."""

    def test_equal(self):
        series = generate.make_series(OPTIONS.seed)
        prometheus, ours = self.start(series)
        kept = Ours(series, history=True)
        self.addCleanup(kept.stop)
        shaken = [Ours(disturbed(series, OPTIONS.seed * 10 + number)) for number in range(4)]
        for one in shaken:
            self.addCleanup(one.stop)
        rng = random.Random(OPTIONS.seed)
        expressions = generate.Expressions(OPTIONS.seed, version2=True)
        rows = [(generate.START_MS + rng.randrange(3700) * 1000 + EVALUATION_MS,
                 expressions.expression()) for _ in range(OPTIONS.expressions)]
        counts, wrong, unstable = {}, [], 0
        for (t_ms, expression), result, again in zip(rows, ours.query(rows), kept.query(rows),
                                                     strict=True):
            expected = prometheus.query(t_ms, expression)
            kind = expected[0]
            if kind in ("vector", "matrix") and not expected[1]:
                kind += " (empty)"
            counts[kind] = counts.get(kind, 0) + 1
            # An instant query's sort is the one order that Prometheus promises.
            ordered = kind == "vector" and expression.startswith("sort")
            for where, own in (("", result), ("on the history: ", again)):
                what = compare.difference(own, expected, ordered)
                # In what order series come is not said, Prometheus's own memory and blocks differ in
                # it; nor is a bit of rounding. An answer that hangs on either is nobody's.
                if what and any(compare.difference(one.query([(t_ms, expression)])[0], result, ordered)
                                for one in shaken):
                    unstable += 1
                elif what:
                    wrong.append(f"{where}{t_ms} {expression}\n    {what}")
        self.assertFalse(wrong, f"{len(wrong)} of {len(rows)}:\n" + "\n".join(wrong[:20]))
        self.assertLess(unstable, len(rows) // 500)
        # A comparison of nothing with nothing would prove nothing.
        self.assertGreater(counts.get("vector", 0), len(rows) // 2)
        shown = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        self.notes = [f"seed {OPTIONS.seed}, Prometheus {prometheus.version()}: {shown}; "
                      f"{unstable} that hang on a last bit"]


def line(selector, *values, step_ms=60_000, start_ms=generate.START_MS):
    name, _, rest = selector.partition("{")
    labels = dict(pair.replace('"', "").split("=") for pair in rest.rstrip("}").split(",") if pair)
    series = generate.Series(name, labels)
    series.samples = [(start_ms + index * step_ms, float(value))
                      for index, value in enumerate(values) if value is not None]
    return series


# (what differs and why, expression, minutes after the start, Prometheus 2's answer, ours)
#
# Newer versions than the distribution's differ in two points more, in which the evaluator stays with
# version 2 and the first ones of 3: a comparison that filters fails only if what it lets through
# matches twice (3.14 and later: if anything does), and timestamp() heeds an offset beside @ (3.16:
# overlooks it).
DIFFERENCES = [
    ("a window leaves out a sample at its left edge: version 3 made windows left-open",
     "count_over_time(counter[5m])", 10, 6, 5),
    ("the same for the lookback of an instant selector, 5 minutes to the millisecond",
     "count(short)", 7, 1, None),
    ("the same for a subquery's steps", "count_over_time(counter[5m:20s])", 10, 16, 15),
    ("and so a rate over a window as long as the samples' distance has one sample only",
     "increase(counter[1m])", 10, 60, None),
    ("a counter that begins within the window reaches back half a distance first, then to its zero: "
     "version 2 takes the zero first, and then the half only if that is too far",
     "increase(young[10m])", 30.5, 282.5, 255),
    ("atan2 drops the metric's name, as all arithmetic does",
     "(counter atan2 1) and on (__name__) counter", 1, 1.5698529308483544, None),
    ("the deviation of values that are not finite is NaN, also of a single one: version 2 said 0",
     "stddev(endless)", 1, 0, float("nan")),
    ("a quantile that is one of the values is that value: before, an infinity next to it made NaN "
     "(version 3.16)", "quantile_over_time(0.5, endless[10m])", 2, float("nan"), float("inf")),
    ("numbers and durations are one: version 3 takes 5m for 300",
     "vector(5m)", 1, "error", 300),
    ("and 300 for 5m", "count_over_time(counter[300])", 10.5, "error", 5),
    ("names may be quoted in braces", '{"counter"}', 1, "error", 1060),
    ("a dot in a regular expression is any character, also a newline",
     'count({__name__=~"coun.er"})', 1, 1, 1),
    ("first_over_time and histogram_fraction are new",
     "first_over_time(counter[5m]) + histogram_fraction(0, 1, bucket)", 10.5, "error", None),
    ("histogram_count and its like, for native histograms, are refused when a rule is loaded",
     "histogram_count(counter)", 1, None, "error"),
    ("holt_winters is gone: version 3 has renamed it and made it experimental",
     "holt_winters(counter[10m], 0.5, 0.5)", 10, 1600, "error"),
]


class Differences(Case):
    """Where version 2 and the evaluator, which follows version 3, answer differently."""

    def check(self, result, expected, expression):
        if expected == "error":
            self.assertEqual(result[0], "error", expression)
        elif expected is None:
            self.assertEqual(result[:2], ("vector", {}), expression)
        else:
            self.assertEqual(result[0], "vector", f"{expression}: {result[1]}")
            values = list(result[1].values())
            self.assertEqual(len(values), 1, expression)
            self.assertTrue(compare.equal_numbers(values[0], float(expected)),
                            f"{expression}: {values[0]!r}")

    def test_listed(self):
        inf = float("inf")
        prometheus, ours = self.start([
            line("counter", *range(1000, 3000, 60)),
            line("short", 1, 1, 1),
            line("young", *[None] * 28, 70, 170, 240),
            line("endless", inf, inf, inf),
        ])
        for why, expression, minutes, theirs, own in DIFFERENCES:
            t_ms = generate.START_MS + round(minutes * 60_000)
            with self.subTest(why):
                self.check(prometheus.query(t_ms, expression), theirs, expression)
                self.check(ours.query([(t_ms, expression)])[0], own, expression)


COST_CONTAINERS = 100
COST_TICKS = 20
COST_TICKS_OURS = 1000  # enough for the clock
# As rules are: most find nothing, so that hardly anything is sent.
COST_RULES = [
    "sum by (id, name, image) (rate(cpu_seconds_total[5m])) > 1e6",
    "memory_bytes / on (id) (memory_limit_bytes > 0) > 1e6",
    "predict_linear(memory_bytes[30m], 14400) > 1e9",
    "increase(net_bytes_total[5m]) > 1e9 and on (id) memory_limit_bytes == 0",
    'sum by (image) (threads{name=~"c.*"}) > 1e9 unless on (image) info == 2',
    "changes(state[30m]) > 40",
    "threads > 100 * avg_over_time(threads[30m] offset 5m)",
    "delta(memory_bytes[10m]) > 1e9",
    'state{state="paused"} > 1',
    "topk(3, rate(net_bytes_total[5m])) > 1e9",
    "count by (image) (info) < 0",
    "cpu_seconds_total * on (id) group_left (version) info > 1e9",
]


class Cost(Case):
    """Rules over a hundred containers cost at most a fifth of what they cost Prometheus."""

    @staticmethod
    def cpu_of(pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_of_ours(self, ours, ticks):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours.query([(self.t_ms, rule) for rule in COST_RULES] * ticks)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def test_fifth(self):
        prometheus, ours = self.start(generate.make_series(OPTIONS.seed, False, COST_CONTAINERS))
        self.t_ms = generate.START_MS + 3_000_000 + EVALUATION_MS
        for rule in COST_RULES:
            self.assertIsNone(compare.difference(ours.query([(self.t_ms, rule)])[0],
                                                 prometheus.query(self.t_ms, rule)), rule)
        before = self.cpu_of(prometheus.process.pid)
        for _ in range(COST_TICKS):
            for rule in COST_RULES:
                prometheus.query(self.t_ms, rule)
        theirs = self.cpu_of(prometheus.process.pid) - before
        # Reading the samples is no part of a tick: it is what a run of no ticks takes.
        own = self.cpu_of_ours(ours, COST_TICKS_OURS) - self.cpu_of_ours(ours, 0)
        own /= COST_TICKS_OURS
        theirs /= COST_TICKS
        self.notes = [f"{len(COST_RULES)} rules over {COST_CONTAINERS} containers: "
                      f"{own * 1000:.2f} ms of CPU a tick, Prometheus {theirs * 1000:.1f} ms"]
        self.assertLessEqual(own * 5, theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--evaluate", required=True)
    parser.add_argument("--expressions", type=int, default=OPTIONS.expressions)
    parser.add_argument("--seed", type=int, default=OPTIONS.seed)
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=OPTIONS)
    OPTIONS.evaluate = os.path.abspath(OPTIONS.evaluate)
    module = sys.modules["__main__"]
    loader = unittest.defaultTestLoader
    return runner.run(loader.loadTestsFromNames(OPTIONS.tests, module) if OPTIONS.tests
                      else loader.loadTestsFromModule(module))


if __name__ == "__main__":
    sys.exit(main())
