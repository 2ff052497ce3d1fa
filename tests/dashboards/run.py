#!/usr/bin/python3
"""The dashboards as files: not stale, and as tests/dashboards/lint.py wants them; and each of its
rules sees what it is for. What their queries return is looked at in
tests/engine/test_dashboards.py.

usage: tests/dashboards/run.py [TEST…]
"""

import copy
import json
import pathlib
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import families as families_
import lint
import promql
import runner

FILES = sorted((ROOT / "dashboards" / "grafana").glob("*.json"))
FAMILIES = families_.read()
BOARDS = [json.loads(path.read_text(encoding="utf-8")) for path in FILES]


class Files(unittest.TestCase):
    def test_they_are_not_stale(self):
        done = subprocess.run([ROOT / "tools" / "generate-dashboards", "--check"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_nothing_is_wrong_with_them(self):
        self.assertEqual(len(BOARDS), 7)
        found = [": ".join(one) for board in BOARDS
                 for one in lint.problems(board, FAMILIES, BOARDS)]
        self.assertEqual(found, [])

    def test_each_has_its_own_uid_and_is_named_by_it(self):
        self.assertEqual([path.stem for path in FILES], [board["uid"] for board in BOARDS])

    def test_every_exclusion_is_needed(self):
        excluded, lint.EXCLUDED = lint.EXCLUDED, {}
        self.addCleanup(setattr, lint, "EXCLUDED", excluded)
        found = [(rule, place, what) for board in BOARDS
                 for rule, place, what in lint.problems(board, FAMILIES, BOARDS)]
        for rule, uid, part in excluded:
            self.assertTrue(any(one == rule and place.startswith(uid) and part in f"{place}: {what}"
                                for one, place, what in found), (rule, uid, part))

    def test_the_document_tells_of_each(self):
        text = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
        for board in BOARDS:
            self.assertIn(f"`{board['uid']}`", text)
            self.assertIn(board["title"].removeprefix("Tallyman / "), text)

    def test_prometheus_takes_the_example(self):
        done = subprocess.run(["promtool", "check", "config", "scrape.yml"],
                              cwd=ROOT / "dashboards" / "prometheus", capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("2 rule files found", done.stdout)


def panel(board, title):
    return next(one for one in lint.Dashboard(board, FAMILIES).shown if one["title"] == title)


def first_query(board, query):
    panel(board, "CPU")["targets"][0]["expr"] = query


HOSTS = 'job=~"$job", instance=~"$instance"'
CPU = "container_cpu_usage_seconds_total"


def wrong_query(query):
    return lambda board: first_query(board, query)


def by_container(inner):
    return f"sum by (instance, name) ({inner})"


# rule: what makes the fleet's dashboard break it
FAULTS = {
    "page-portable": lambda board: board.update(__inputs=[]),
    "page-uid": lambda board: board.update(uid="Tallyman Fleet"),
    "page-title-description": lambda board: board.update(description=""),
    "page-tags": lambda board: board.update(tags=[]),
    "page-links": lambda board: board["links"][0].update(includeVars=False),
    "panel-id": lambda board: board["panels"][3].update(id=board["panels"][4]["id"]),
    "panel-grid": lambda board: board["panels"][3]["gridPos"].update(x=board["panels"][3][
        "gridPos"]["x"] + 1),
    "panel-datasource": lambda board: panel(board, "CPU").update(datasource="Prometheus"),
    "panel-kind": lambda board: panel(board, "CPU").update(type="graph"),
    "panel-title-description": lambda board: panel(board, "CPU").update(description=""),
    "panel-no-targets": lambda board: panel(board, "CPU").update(targets=[]),
    "panel-units": lambda board: panel(board, "CPU")["fieldConfig"]["defaults"].update(unit="s"),
    "panel-legend": lambda board: panel(board, "CPU")["targets"][0].update(legendFormat="{{cpu}}"),
    "template-datasource": lambda board: board["templating"]["list"].pop(0),
    "template-job": lambda board: board["templating"]["list"][1].update(allValue=""),
    "template-instance": lambda board: board["templating"]["list"][2].update(allValue=".*"),
    "template-multi": lambda board: board["templating"]["list"][3].update(multi=False),
    "template-on-time-change-reload": lambda board: board["templating"]["list"][3].update(
        refresh=1),
    "template-label-promql": lambda board: board["templating"]["list"][3]["query"].update(
        query="label_values(container_last_seen, shape)"),
    "template-label": lambda board: board["templating"]["list"][3].update(label=""),
    "template-unknown": wrong_query(f'sum(up{{{HOSTS}, id="$nothing"}})'),
    "template-unused": lambda board: board["templating"]["list"].append(
        {**board["templating"]["list"][1], "name": "spare"}),
    "target-ref": lambda board: panel(board, "Hosts")["targets"][0].update(refId=None),
    "target-promql": wrong_query("sum by (instance"),
    "target-family": wrong_query(f"container_nothing{{{HOSTS}}}"),
    "target-label": wrong_query(f'sum by (shape) (container_threads{{{HOSTS}}})'),
    "target-job": wrong_query('container_threads{instance=~"$instance"}'),
    "target-instance": wrong_query('container_threads{job=~"$job"}'),
    "target-regex": wrong_query('container_threads{job="$job", instance=~"$instance"}'),
    "target-irate": wrong_query(by_container(f"irate({CPU}{{{HOSTS}}}[$__rate_interval])")),
    "target-rate-interval": wrong_query(by_container(f"rate({CPU}{{{HOSTS}}}[5m])")),
    "target-counter-agg": wrong_query(by_container(f"{CPU}{{{HOSTS}}}")),
    "annotation": lambda board: board["annotations"]["list"][1].update(titleFormat="{{shape}}"),
    "link": lambda board: panel(board, "CPU")["fieldConfig"]["defaults"]["links"][0].update(
        url="/d/nowhere?${__url_time_range}"),
}


class Rules(unittest.TestCase):
    """Each rule sees a fault that was made for it."""

    def test_each_sees_its_fault(self):
        fleet = next(board for board in BOARDS if board["uid"] == "tallyman-fleet")
        for rule, spoil in FAULTS.items():
            with self.subTest(rule):
                board = copy.deepcopy(fleet)
                spoil(board)
                self.assertIn(rule, {one for one, _, _ in lint.problems(board, FAMILIES, BOARDS)})

    def test_each_rule_has_a_fault(self):
        text = (HERE / "lint.py").read_text(encoding="utf-8")
        rules = set(re.findall(r'yield f?"([a-z]+(?:-[a-z{}]+)*)"', text)) - \
            {"template-{name}", "target-{label}"}
        self.assertEqual(rules - FAULTS.keys(), set())


class Reader(unittest.TestCase):
    """The reader of PromQL."""

    def test_precedence(self):
        def shape(node):
            if node.kind == "number":
                return int(node.value)
            if node.kind == "series":
                return node.name
            return [node.name, *map(shape, node.parts)]
        for text, wanted in (
                ("1 + 2 * 3 ^ 2 ^ 2", ["+", 1, ["*", 2, ["^", 3, ["^", 2, 2]]]]),
                ("a or b and c", ["or", "a", ["and", "b", "c"]]),
                ("a - b - c", ["-", ["-", "a", "b"], "c"]),
                ("-a / b", ["/", ["*", -1, "a"], "b"]),
                ("sum(a) by (x) > bool 1", [">", ["sum", "a"], 1])):
            self.assertEqual(shape(promql.read(text)), wanted, text)

    def test_what_is_no_query(self):
        for text in ("", "a b", "sum(", "a{b=}", "1 +", "a)", "a[", "&"):
            with self.subTest(text), self.assertRaises(promql.Mistake):
                promql.read(text)

    def test_units(self):
        unit_of = {"b_bytes": "bytes", "s_seconds_total": "s", "c_total": "count",
                   "cpu_seconds_total": "cpu", "cores": "cores", "t_time_seconds": "timestamp"}
        for text, wanted in (
                ("rate(b_bytes[5m])", "bytes/s"), ("rate(s_seconds_total[5m])", "ratio"),
                ("rate(cpu_seconds_total[5m]) / cores", "ratio"),
                ("rate(s_seconds_total[5m]) / rate(c_total[5m])", "s"),
                ("time() - t_time_seconds", "s"), ("t_time_seconds * 1000", "timestamp ms"),
                ("count(b_bytes)", "count"), ("1 - b_bytes / b_bytes", "ratio"),
                ("b_bytes > 0 or vector(0)", "bytes")):
            self.assertEqual(promql.unit(promql.read(text), unit_of.get), wanted, text)
        for text in ("b_bytes + c_total", "rate(cores[5m])", "b_bytes or c_total"):
            with self.subTest(text), self.assertRaises(promql.Mistake):
                promql.unit(promql.read(text), unit_of.get)

    def test_labels(self):
        has = {"a": {"x", "y"}, "b": {"x", "z"}}.get
        for text, wanted in (
                ("sum(a)", set()), ("sum by (x, q) (a)", {"x"}), ("sum without (x) (a)", {"y"}),
                ("a * on (x) group_left (z) b", {"x", "y", "z"}), ("a / on (x) b", {"x"}),
                ("a unless on (x) b", {"x", "y"}), ("topk(3, a)", {"x", "y"}),
                ("sum by (x) (a) or sum by (z) (b)", {"x", "z"})):
            self.assertEqual(promql.labels(promql.read(text), has), wanted, text)


if __name__ == "__main__":
    sys.exit(runner.main())
