#!/usr/bin/python3
"""Compares rules with promtool's: `rules.py --tallyman BINARY [--scenarios N] [--seed N] [TEST...]`.

Unit-test files have to pass under both. Then scenarios are made up at random, rules and series,
and run by `tallyman rules test`; what it says of ALERTS, ALERTS_FOR_STATE and recorded series at
every evaluation becomes the expectation that promtool has to confirm: labels, values, states and
times.
"""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

import runner  # noqa: E402

OPTIONS = argparse.Namespace(tallyman=None, scenarios=40, seed=1)
MINUTES = 40


def run(*command):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    return done.returncode, done.stdout


class Scenario:
    """Rules over a few series that come, go and cross thresholds."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def values(self):
        items = []
        while len(items) < MINUTES:
            kind = self.rng.random()
            times = self.rng.randrange(1, 6)
            if kind < 0.6:
                items.append(f"{self.rng.choice([0, 5, 20, 20, 60, -0.25])}x{times}")
            elif kind < 0.8 and "_" not in (items or [""])[-1]:
                # Shorter than five minutes: at the edge of the lookback versions 2 and 3 differ.
                items.append(f"_x{1 + times % 3}")
            elif kind < 0.9:
                items.append("stale")
            else:
                items.append(f"0+7x{times}")
        return " ".join(items)

    def series(self):
        return [{"series": f'load{{job="{job}",instance="{instance}"}}', "values": self.values()}
                for job in "ab" for instance in "12"] + [
            {"series": f'errors_total{{job="{job}"}}', "values": "0+2x10 0+0x8 20+1x10 _x3 0+5x9"}
            for job in "ab"]

    def expression(self):
        return self.rng.choice([
            "load > 10", "load > 50", "sum by (job) (load) > 20", "job:load:sum > 10",
            "round(rate(errors_total[4m30s]) * 1000) > 20",
            "round(increase(errors_total[5m30s])) > 3",
            "absent(load{job=\"a\",instance=\"1\"})", "load offset 90s == 20",
            "max_over_time(load[3m30s]) > 30", "vector(1)", "1", "load > 10 unless on(job) load > 50",
            "count(ALERTS{alertstate=\"firing\"}) > 2", "changes(load[6m30s]) > 1",
            "max by (job) (ALERTS_FOR_STATE) > 600", "(load > 1) * 2"])

    def template(self):
        return self.rng.choice([
            "{{ $value }}", "{{ $labels.job }}-{{ .Labels.instance }}", "{{ $value | humanize }}",
            "{{ if gt $value 30.0 }}high{{ else }}low{{ end }}", "plain", "",
            "{{ printf \"%.3f %5.1f|%-6.2e\" $value $value $value }}",
            "{{ humanizeDuration $value }} {{ humanizePercentage $value }}",
            "{{ humanize1024 $value }} {{ humanizeTimestamp $value }}",
            "{{ range query \"load{job='b'}\" | sortByLabel \"instance\" }}{{ .Labels.instance }}{{ end }}",
            "{{ with $labels.job }}{{ . | toUpper | title }}{{ else }}none{{ end }}",
            "{{ $labels }}", "{{ reReplaceAll \"a|b\" \"<$0>\" $labels.job }}",
            "{{ query \"count(load)\" | first | value }}", "{{ len $labels }} {{ index $labels \"job\" }}",
            "{{ and $labels.job (eq $labels.job \"a\") }} {{ or $labels.none \"x\" }}",
            "{{ print $value 1 \"a\" }}{{- \" b\" -}} c", "{{ $externalURL }}{{ .ExternalURL }}"])

    def rules(self):
        rules = [{"record": "job:load:sum", "expr": "sum by (job) (load)",
                  "labels": {"kind": "sum"}}]
        for number in range(8):
            rule = {"alert": f"A{number}", "expr": self.expression()}
            if self.rng.random() < 0.6:
                rule["for"] = self.rng.choice(["1m", "2m", "3m", "5m", "90s"])
            if self.rng.random() < 0.4:
                rule["keep_firing_for"] = self.rng.choice(["1m", "2m", "4m"])
            if self.rng.random() < 0.6:
                # Never empty: for a label that expands to nothing, Prometheus writes the template's
                # own text into ALERTS, which here has no such label.
                rule["labels"] = {"severity": "page", "said": "x" + self.template()}
            rule["annotations"] = {"summary": self.template(), "more": self.template()}
            rules.append(rule)
        rules.append({"record": "alerts:count", "expr": "count(ALERTS) or vector(0)"})
        self.rng.shuffle(rules)
        return {"groups": [{"name": "one", "rules": rules[:5]}, {"name": "two", "rules": rules[5:]}]}


QUERIES = ["ALERTS", "ALERTS_FOR_STATE", "job:load:sum", "alerts:count"]
DIFFERS = re.compile(r'    expr: "(.*)", time: (\S+),\n        exp: nil\n        got:\n((?:            .*\n)+)')


class Rules(unittest.TestCase):
    def test_files(self):
        for path in sorted((HERE / "rules").glob("*_test.yml")):
            with self.subTest(path.name):
                code, said = run(OPTIONS.tallyman, "rules", "test", str(path))
                self.assertEqual(code, 0, said)
                code, said = run("promtool", "test", "rules", str(path))
                self.assertEqual(code, 0, said)

    def test_verdicts(self):
        """What fails under one fails under the other."""
        text = (HERE / "rules" / "states_test.yml").read_text(encoding="utf-8")
        for old, new in [("value: 2}", "value: 3}"), ("severity: critical", "severity: odd"),
                         ("exp_alerts: [{}]", "exp_alerts: []"), ("time: '1970", "time: '1971"),
                         ("alertname: Waits\n", "alertname: Waits\n    exp_alerts: [{}]\n")]:
            self.assertIn(old, text)
            with self.subTest(old), tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "t.yml"
                path.write_text(text.replace(old, new, 1).replace(
                    "[states.yml]", f"[{HERE / 'rules' / 'states.yml'}]"), encoding="utf-8")
                for command in ([OPTIONS.tallyman, "rules", "test"], ["promtool", "test", "rules"]):
                    code, said = run(*command, str(path))
                    self.assertEqual(code, 1, said)

    def test_random(self):
        samples = 0
        for number in range(OPTIONS.scenarios):
            scenario = Scenario(OPTIONS.seed * 1000 + number)
            with self.subTest(number), tempfile.TemporaryDirectory() as folder:
                samples += self.compare(scenario, pathlib.Path(folder))
        self.notes = [f"{OPTIONS.scenarios} scenarios, {samples} samples of alerts and recorded "
                      "series equal"]
        self.assertGreater(samples, OPTIONS.scenarios * 100)

    def compare(self, scenario, folder):
        (folder / "rules.yml").write_text(json.dumps(scenario.rules()), encoding="utf-8")
        test = {"interval": "1m", "input_series": scenario.series(),
                "external_url": "http://h:1/p",
                "promql_expr_test": [{"expr": query, "eval_time": f"{minute}m", "exp_samples": []}
                                     for query in QUERIES for minute in range(MINUTES)]}
        path = folder / "test.yml"

        def write():
            path.write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m",
                                        # Without it promtool takes the groups in any order.
                                        "group_eval_order": ["one", "two"],
                                        "tests": [test]}), encoding="utf-8")

        write()
        _, said = run(OPTIONS.tallyman, "rules", "test", str(path))
        if "    rule: " in said:
            # Two alerts of one label set: promtool has to say so at the same time.
            ours = re.search(r"rule: (\S+), time: (\S+), err: (.*)", said)
            _, theirs = run("promtool", "test", "rules", str(path))
            theirs = re.search(r"rule: (\S+), time: (\S+), err: (.*)", theirs)
            self.assertIsNotNone(theirs, said)
            self.assertEqual((ours[1], ours[3]), (theirs[1], theirs[3]))
            return 0
        count = 0
        for expr, time, got in DIFFERS.findall(said):
            time = "0m" if time == "0s" else time
            wanted = next(t for t in test["promql_expr_test"]
                          if t["expr"] == expr and t["eval_time"] == time)
            for line in got.splitlines():
                labels, value = line.strip().rsplit(" ", 1)
                wanted["exp_samples"].append({"labels": labels, "value": float(value)})
                count += 1
        write()
        code, said = run("promtool", "test", "rules", str(path))
        self.assertEqual(code, 0, (folder / "rules.yml").read_text(encoding="utf-8") + said)
        code, said = run(OPTIONS.tallyman, "rules", "test", str(path))
        self.assertEqual(code, 0, said)
        return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tallyman", required=True)
    parser.add_argument("--scenarios", type=int, default=OPTIONS.scenarios)
    parser.add_argument("--seed", type=int, default=OPTIONS.seed)
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=OPTIONS)
    OPTIONS.tallyman = os.path.abspath(OPTIONS.tallyman)
    module = sys.modules["__main__"]
    loader = unittest.defaultTestLoader
    return runner.run(loader.loadTestsFromNames(OPTIONS.tests, module) if OPTIONS.tests
                      else loader.loadTestsFromModule(module))


if __name__ == "__main__":
    sys.exit(main())
