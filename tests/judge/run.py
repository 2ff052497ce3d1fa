#!/usr/bin/python3
"""Rules at work in the agent: alerts at every place where they go, restarts, reloads, bad files,
rules that would explode; and the same rules in a real Prometheus that scrapes the agent.

usage: run.py --agent BINARY [TEST...]
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import unittest
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent)]

import host  # noqa: E402
import runner  # noqa: E402

OPTIONS = argparse.Namespace(agent=None)

# A list of listeners on a file that tests write: the agent's own connections come and go.
SCENARIO = {"groups": [{"name": "g", "interval": "1s", "rules": [
    {"record": "agent:connections", "expr": "sum(tallyman_http_connections_accepted_total) > 0"},
    {"alert": "AtOnce", "expr": "agent:connections > 0",
     "labels": {"severity": "info"},
     "annotations": {"summary": "{{ $value | humanize }} of {{ $externalLabels.site }}"}},
    {"alert": "Waits", "expr": "tallyman_build_info == 1", "for": "3s"},
    {"alert": "Never", "expr": "tallyman_build_info == 2"},
    {"alert": "Watches", "expr": "count(ALERTS{alertstate=\"firing\",alertname=\"Waits\"}) == 1"},
]}]}


def states(answer):
    """{(alertname, state)} of an answer of /api/v1/alerts."""
    return {(alert["labels"]["alertname"], alert["state"])
            for alert in json.loads(answer)["data"]["alerts"]}


class WithRules(unittest.TestCase):
    def setUp(self):
        self.notes = []
        scratch = host.scratch()
        self.folder = scratch.__enter__()
        self.addCleanup(scratch.__exit__, None, None, None)
        self.rules = self.folder / "rules.yml"

    def agent(self, forward=None, apart=None, **more):
        """`more` goes into the section of rules, `apart` stands beside it."""
        agent = host.Agent(OPTIONS.agent, self.folder, forward=forward, docker={"host": ""},
                           rules={"files": [str(self.rules)], "builtin": False, "interval": "1s",
                                  "external_labels": ["site=here"], **more}, **(apart or {}))
        self.addCleanup(lambda: agent.program and agent.program.process.poll() is None and
                        agent.program.kill())
        return agent

    def write(self, rules):
        new = self.rules.with_suffix(".new")
        new.write_text(rules if isinstance(rules, str) else json.dumps(rules), encoding="utf-8")
        new.rename(self.rules)

    def await_states(self, agent, wanted):
        host.await_that(f"alerts are {wanted}",
                        lambda: states(agent.get("/api/v1/alerts")) == wanted, 30)


class Rules(WithRules):
    def test_everywhere(self):
        receiver = host.Receiver(OPTIONS.agent, self.folder).start()
        self.addCleanup(receiver.stop)
        self.write(SCENARIO)
        agent = self.agent(receiver.address).start()
        # Before the first evaluation the rules are shown, of unknown health.
        group = json.loads(agent.get("/api/v1/rules"))["data"]["groups"][0]
        self.assertEqual([rule["type"] for rule in group["rules"]],
                         ["recording"] + ["alerting"] * 4)
        firing = {("AtOnce", "firing"), ("Waits", "firing"), ("Watches", "firing")}
        self.await_states(agent, firing)
        alert = next(a for a in json.loads(agent.get("/api/v1/alerts"))["data"]["alerts"]
                     if a["labels"]["alertname"] == "AtOnce")
        self.assertEqual(alert["labels"], {"alertname": "AtOnce", "severity": "info"})
        self.assertRegex(alert["annotations"]["summary"], r"^\d+ of here$")
        self.assertEqual(agent.value("ALERTS", alertname="AtOnce", alertstate="firing",
                                     severity="info"), 1)
        since = agent.value("ALERTS_FOR_STATE", alertname="Waits")
        self.assertGreater(since, 1.7e9)
        self.assertEqual(agent.value("tallyman_rule_alerts", state="firing"), 3)
        group = json.loads(agent.get("/api/v1/rules?type=alert&rule_name[]=Waits"))
        rules = group["data"]["groups"][0]["rules"]
        self.assertEqual([(r["name"], r["state"], r["health"], r["duration"]) for r in rules],
                         [("Waits", "firing", "ok", 3)])

        def told(name):
            return [row["record"]["state"] for row in receiver.records()
                    if row["tag"] == "tallyman.alert" and row["record"]["alertname"] == name]

        host.await_that("the records are there", lambda: told("Waits") == ["pending", "firing"])
        self.assertEqual(told("Never"), [])
        # Without its cause an alert is resolved, everywhere.
        self.write(json.dumps(SCENARIO).replace("agent:connections > 0\"", "agent:connections < 0\""))
        agent.program.process.send_signal(signal.SIGHUP)
        self.await_states(agent, firing - {("AtOnce", "firing")})
        host.await_that("the end is recorded", lambda: told("AtOnce") == ["firing", "resolved"])
        self.assertEqual(agent.values("ALERTS", alertname="AtOnce"), [])
        self.assertEqual(agent.stop(), 0)

    def test_restart(self):
        """A restart, even by force, neither forgets what fires nor tells of it anew."""
        receiver = host.Receiver(OPTIONS.agent, self.folder).start()
        self.addCleanup(receiver.stop)
        self.write(SCENARIO)
        agent = self.agent(receiver.address).start()
        self.await_states(agent, {("AtOnce", "firing"), ("Waits", "firing"), ("Watches", "firing")})
        since = agent.value("ALERTS_FOR_STATE", alertname="Waits")
        for end in (agent.stop, agent.kill):
            end()
            agent.start()
            host.await_that("it fires again", lambda:
                            ("Waits", "firing") in states(agent.get("/api/v1/alerts")), 30)
            self.assertEqual(agent.value("ALERTS_FOR_STATE", alertname="Waits"), since)
        told = [row["record"]["state"] for row in receiver.records()
                if row["record"].get("alertname") == "Waits"]
        self.assertEqual(told, ["pending", "firing"])
        # A damaged file is said, and costs the states alone.
        agent.stop()
        (self.folder / "state" / "alerts").write_text("tallyman alerts 1 nonsense\n")
        agent.start()
        self.await_states(agent, {("AtOnce", "firing"), ("Waits", "firing"), ("Watches", "firing")})
        self.assertIn("cannot be taken up", agent.program.said())
        agent.stop()

    def test_restart_looking_back(self):
        """Nor does it tell of an end where the rule lacks the samples of before."""
        receiver = host.Receiver(OPTIONS.agent, self.folder).start()
        self.addCleanup(receiver.stop)
        self.write({"groups": [{"name": "g", "interval": "1s", "rules": [
            {"alert": "Counts", "expr": "count_over_time(tallyman_build_info[6s]) >= 3"}]}]})
        agent = self.agent(receiver.address).start()
        self.await_states(agent, {("Counts", "firing")})
        for end in (agent.stop, agent.kill):
            end()
            agent.start()
            host.await_that("its window is full again", lambda: agent.value(
                "tallyman_rule_evaluations_total", rule_group=f"{self.rules};g") >= 8, 60)
            self.assertEqual(states(agent.get("/api/v1/alerts")), {("Counts", "firing")})
        agent.stop()
        self.assertEqual([row["record"]["state"] for row in receiver.records()
                          if row["tag"] == "tallyman.alert"], ["firing"])

    def test_mistakes(self):
        """A bad file costs itself at the start; at a reload the old rules stay."""
        bad = self.folder / "bad.yml"
        bad.write_text("groups:\n- name: b\n  rules:\n  - alert: X\n    expr: sum(\n")
        self.write(SCENARIO)
        agent = self.agent(files=[str(self.folder / "*.yml")])
        config = json.loads(agent.config.read_text())
        config["rules"]["files"] = [str(bad), str(self.rules)]
        agent.config.write_text(json.dumps(config))
        agent.start()
        self.assertIn(f"{bad}:5:", agent.program.said())
        host.await_that("the others are in force", lambda:
                        ("AtOnce", "firing") in states(agent.get("/api/v1/alerts")), 30)
        agent.program.process.send_signal(signal.SIGHUP)
        host.await_that("the reload is refused",
                        lambda: agent.value("tallyman_rule_reloads_failed_total") == 1)
        self.assertIn(("AtOnce", "firing"), states(agent.get("/api/v1/alerts")))
        bad.write_text("")
        agent.program.process.send_signal(signal.SIGHUP)
        host.await_that("it is mended", lambda: agent.program.said().count("5 rules from 2") == 1)
        agent.stop()

    def test_explosions(self):
        """What would take for ever or all memory is stopped, and hurts nothing else."""
        self.write({"groups": [{"name": "g", "rules": [
            {"record": "a", "expr": "max_over_time(nothing[5y:1ms])"},
            {"record": "b", "expr": "sum(count_over_time(vector(1)[1y:1s]))"},
            {"alert": "Twice", "expr": "{__name__=~\"tallyman_.+\"}", "labels": {"a": "b"}},
            {"alert": "Fine", "expr": "tallyman_build_info == 1"}]}]})
        agent = self.agent(samples_max=1000000).start()
        host.await_that("the last rule was evaluated", lambda:
                        ("Fine", "firing") in states(agent.get("/api/v1/alerts")), 60)
        rules = json.loads(agent.get("/api/v1/rules"))["data"]["groups"][0]["rules"]
        self.assertEqual([rule["health"] for rule in rules], ["err", "err", "err", "ok"])
        self.assertIn("touches more than 1000000 samples", rules[0]["lastError"])
        self.assertIn("same labelset", rules[2]["lastError"])
        self.assertGreaterEqual(
            sum(agent.values("tallyman_rule_evaluation_failures_total")), 3)
        peak = pathlib.Path(f"/proc/{agent.program.pid}/status").read_text()
        peak = int(peak.split("VmHWM:")[1].split()[0]) // 1024
        self.notes = [f"{peak} MiB at the peak"]
        self.assertLess(peak, 160)
        agent.stop()

    def test_prometheus(self):
        """The same file over the same agent: the same alerts, labels and annotations, and they begin
        and fire within the two's rhythm of each other."""
        self.write({"groups": [{"name": "g", "interval": "1s", "rules": [
            {"record": "load:sum", "expr": "sum(machine_cpu_cores)"},
            {"alert": "Cores", "expr": "load:sum > 0", "for": "4s",
             "labels": {"severity": "{{ if gt $value 0.0 }}page{{ end }}"},
             "annotations": {"n": "{{ $value }} {{ humanize $value }}"}},
            {"alert": "Each", "expr": "machine_cpu_cores > 0"},
            {"alert": "Rates", "expr": "rate(process_cpu_seconds_total[10s]) >= 0", "for": "2s"},
            {"alert": "Not", "expr": "machine_cpu_cores < 0"}]}]})
        agent = self.agent().start()
        prometheus = host.Prometheus(self.folder, agent.port)
        prometheus.stop()
        file = self.folder / "prometheus.yml"
        config = json.loads(file.read_text())
        config["rule_files"] = [str(self.rules)]
        config["global"]["external_labels"] = {"site": "here"}
        config["scrape_configs"][0]["metric_relabel_configs"] = [
            {"regex": "instance|job", "action": "labeldrop"}]
        file.write_text(json.dumps(config))
        prometheus.program = host.Program("prometheus", [
            "prometheus", f"--config.file={file}",
            f"--storage.tsdb.path={self.folder / 'tsdb2'}",
            f"--web.listen-address=127.0.0.1:{prometheus.port}"], self.folder)
        self.addCleanup(prometheus.stop)

        def theirs():
            url = f"http://127.0.0.1:{prometheus.port}/api/v1/alerts"
            with urllib.request.urlopen(url, timeout=10) as reply:
                return reply.read().decode()

        def alerts(answer):
            found = {}
            for alert in json.loads(answer)["data"]["alerts"]:
                labels = {k: v for k, v in alert["labels"].items() if k not in ("instance", "job")}
                found[tuple(sorted(labels.items()))] = (alert["state"], alert["annotations"])
            return found

        wanted = {("Cores", "firing"), ("Each", "firing"), ("Rates", "firing")}
        host.await_that("Prometheus fires", lambda: states(theirs()) == wanted, 60)
        self.await_states(agent, wanted)
        self.assertEqual(alerts(agent.get("/api/v1/alerts")), alerts(theirs()))
        ours = json.loads(agent.get("/api/v1/rules"))["data"]["groups"][0]
        with urllib.request.urlopen(f"http://127.0.0.1:{prometheus.port}/api/v1/rules",
                                    timeout=10) as reply:
            group = json.load(reply)["data"]["groups"][0]

        def shape(group):
            changing = ("evaluationTime", "lastEvaluation", "alerts")
            return {**{k: v for k, v in group.items() if k not in changing},
                    "rules": [{k: v for k, v in rule.items() if k not in changing}
                              for rule in group["rules"]]}

        self.assertEqual(shape(ours), shape(group))
        agent.stop()


class Notified(WithRules):
    """Alerts at a real Alertmanager."""

    def test_alertmanager(self):
        alertmanager = host.Alertmanager(self.folder)
        self.write(SCENARIO)
        # The agent comes first: nobody is there to be told.
        agent = self.agent(resend_delay="1s", apart={"alertmanagers": [
            {"url": alertmanager.url, "labels": [{"name": "instance", "value": "host-1"}]}]})
        agent.start()
        self.await_states(agent, {("AtOnce", "firing"), ("Waits", "firing"), ("Watches", "firing")})
        host.await_that("it was tried", lambda: agent.value(
            "tallyman_notifications_errors_total") > 0)
        alertmanager.start()
        self.addCleanup(alertmanager.stop)
        def names():
            return {labels["alertname"] for labels in alertmanager.labels()}

        host.await_that("amtool shows them",
                        lambda: names() == {"AtOnce", "Waits", "Watches"}, 60)
        alert = next(alert for alert in alertmanager.alerts()
                     if alert["labels"]["alertname"] == "AtOnce")
        self.assertEqual(alert["labels"], {"alertname": "AtOnce", "severity": "info",
                                           "instance": "host-1", "site": "here"})
        # They are added on the way out, and nowhere else.
        own = json.loads(agent.get("/api/v1/alerts"))["data"]["alerts"]
        self.assertFalse([one for one in own if "site" in one["labels"]])
        self.assertEqual(agent.values("ALERTS", site="here"), [])
        self.assertRegex(alert["annotations"]["summary"], r"^\d+ of here$")
        self.assertEqual(agent.value("tallyman_notifications_dropped_total"), 0)
        # Without its cause an alert is resolved there, too.
        self.write(json.dumps(SCENARIO).replace("agent:connections > 0\"", "agent:connections < 0\""))
        agent.program.process.send_signal(signal.SIGHUP)
        host.await_that("it is resolved", lambda: names() == {"Waits", "Watches"}, 30)
        agent.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("tests", nargs="*")
    parser.parse_args(namespace=OPTIONS)
    OPTIONS.agent = os.path.abspath(OPTIONS.agent)
    return runner.run(runner.chosen(OPTIONS.tests))


if __name__ == "__main__":
    sys.exit(main())
