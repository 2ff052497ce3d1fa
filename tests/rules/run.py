#!/usr/bin/python3
"""The shipped rules: that Prometheus takes them, that each alert fires when it should and not when it
nearly should, and that docs/alerts.md tells of each.

usage: tests/rules/run.py [--agent TALLYMAN] [TEST…]
"""

import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

import runner
import yaml

FOLDER = os.path.join(ROOT, "dashboards", "prometheus")
FILES = [os.path.join(FOLDER, name) for name in ("alerts.yml", "recording.yml")]
TESTS = os.path.join(ROOT, "tests", "rules", "alerts_test.yml")
FAMILIES = os.path.join(ROOT, "agent", "model", "families.def")


def rules():
    for path in FILES:
        with open(path, encoding="utf-8") as file:
            for group in yaml.safe_load(file)["groups"]:
                yield from group["rules"]


def alerts():
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


class Rules(unittest.TestCase):
    def succeeds(self, *arguments):
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_prometheus_takes_them(self):
        self.succeeds("promtool", "check", "rules", *FILES)

    def test_prometheus_says_the_same_of_each_case(self):
        self.succeeds("promtool", "test", "rules", TESTS)

    def test_each_alert_has_a_case_and_a_near_miss(self):
        with open(TESTS, encoding="utf-8") as file:
            cases = [case for test in yaml.safe_load(file)["tests"]
                     for case in test["alert_rule_test"]]
        for name in alerts():
            with self.subTest(alert=name):
                kinds = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == name}
                self.assertEqual(kinds, {True, False})

    def test_every_family_that_they_ask_for_is_there(self):
        with open(FAMILIES, encoding="utf-8") as file:
            known = set(re.findall(r"TLY_FAMILY\(\s*(\w+)", file.read()))
        known |= {rule["record"] for rule in rules() if "record" in rule}
        known.add("container_label_tallyman_alerts_off")  # stands in lists of labels, too
        for rule in rules():
            for name in re.findall(r"\b(?:container|machine|docker|tallyman|image|posture)[_:]\w[\w:]*",
                                   re.sub(r"\{[^}]*\}", "", rule["expr"])):
                with self.subTest(rule=rule.get("alert") or rule.get("record")):
                    self.assertTrue(name in known, f"{name} is no family")

    def test_the_document_tells_of_each(self):
        with open(os.path.join(ROOT, "docs", "alerts.md"), encoding="utf-8") as file:
            told = dict(re.findall(r"^\| (\w+) \| (critical|warning|info) \|", file.read(), re.M))
        self.assertEqual(told, {name: rule["labels"]["severity"]
                                for name, rule in alerts().items()})


if __name__ == "__main__":
    sys.exit(runner.main())
