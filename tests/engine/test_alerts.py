"""Abuse of real containers raises the shipped alerts, at every place where they go, and nothing else
does. Where an alert waits for minutes, the shipped file's times are all divided by one number."""

import json
import os
import time

import host
import scaled
from test_chain import Chain

# What an ordinary container does, all the while.
ORDINARY = "while :; do echo a line; sleep 0.5; done"

# Minutes become seconds.
FACTOR = 60
# Some 4 MB a second, in lines that are long, so that the engine can follow.
FLOOD = ("yes $(yes senseless | head -n 200 | tr -d '\\n') | head -c 1000000 > /lines; "
         "while :; do cat /lines; sleep 0.2; done")
# Healthy and unhealthy in turn.
FLAP = {"Test": ["CMD-SHELL", "if [ -e /ill ]; then rm /ill; else touch /ill; exit 1; fi"],
        "Interval": 1_000_000_000, "Timeout": 5_000_000_000, "Retries": 1}
HEALTHY = {"Test": ["CMD-SHELL", "true"], "Interval": 2_000_000_000, "Timeout": 5_000_000_000}
# Ten minutes of the rules' time; in so many seconds of ours.
ORDINARY_RULES_S = 600
ORDINARY_S = int(os.environ.get("TALLYMAN_TEST_ORDINARY", "60"))


def firing(agent):
    """{(alert, container)} of those that fire."""
    return {(alert["labels"]["alertname"], alert["labels"].get("name"))
            for alert in json.loads(agent.get("/api/v1/alerts"))["data"]["alerts"]
            if alert["state"] == "firing"}


class Stream:
    """The alerts in what a receiver writes down, read as it grows: a flood is among it."""

    def __init__(self, receiver):
        self.file = receiver.file
        self.offset = 0
        self.states = {}  # (alert, container): [state...]

    def told(self, name, container):
        if self.file.exists():
            with open(self.file, "rb") as file:
                file.seek(self.offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self.offset += len(line)
                    if b'"tallyman.alert"' in line:
                        self.take(json.loads(line))
        return self.states.get((name, container), [])

    def take(self, row):
        if row["tag"] == "tallyman.alert":
            record = row["record"]
            self.states.setdefault((record["alertname"], record["labels"].get("name")),
                                   []).append(record["state"])


def at_alertmanager(alertmanager):
    return {(labels["alertname"], labels.get("name")) for labels in alertmanager.labels()}


class Everywhere(Chain):
    """Every abuse, from its beginning to its end, at every place."""

    def test_each_comes_and_goes(self):
        receiver = self.receiver()
        stream = Stream(receiver)
        alertmanager = host.Alertmanager(self.directory).start()
        self.addCleanup(alertmanager.stop)
        rules = scaled.write(self.directory / "rules", FACTOR)
        agent = self.agent(forward=receiver.address, alertmanagers=[alertmanager.url],
                           rules={"files": rules, "interval": "1s", "resend_delay": "1s"}).start()
        self.container("ordinary", ORDINARY)
        target = self.container("target", "exec sleep 1000")
        abuses = [  # (alert, container, how it begins)
            ("ContainerRestartLoop", "looper", lambda: self.container(
                "looper", "sleep 0.2; exit 3",
                HostConfig={"RestartPolicy": {"Name": "always"}})),
            ("ContainerLogFlood", "flood", lambda: self.container("flood", FLOOD)),
            ("ContainerHealthFlapping", "flapping", lambda: self.container(
                "flapping", "exec sleep 1000", Healthcheck=FLAP)),
            ("ContainerExec", "target", lambda: self.exec_in(target, "true")),
        ]
        for name, container, begin in abuses:
            with self.subTest(name):
                one = (name, container)
                made = begin()
                host.await_that(f"{name} fires", lambda: one in firing(agent), 120, 0.1)
                host.await_that("amtool shows it", lambda: one in at_alertmanager(alertmanager),
                                30)
                host.await_that("the stream has it",
                                lambda: "firing" in stream.told(*one), 30)
                if made:
                    self.engine.remove(made)
                host.await_that("it is resolved", lambda: one not in firing(agent), 120, 0.1)
                host.await_that("at Alertmanager, too",
                                lambda: one not in at_alertmanager(alertmanager), 30)
                host.await_that("and in the stream",
                                lambda: stream.told(*one)[-1:] == ["resolved"], 30)
        loud = {container for _, container in firing(agent)}
        self.assertNotIn("ordinary", loud)
        agent.stop()

    def test_ordinary_containers_raise_none(self):
        """Ten minutes of the rules' time; with --soak of anybody's."""
        receiver = self.receiver()
        factor = max(1, ORDINARY_RULES_S // ORDINARY_S)
        rules = scaled.write(self.directory / "rules", factor)
        agent = self.agent(forward=receiver.address,
                           rules={"files": rules, "interval": "1s"}).start()
        self.container("writer", ORDINARY)
        self.container("sleeper", "exec sleep 10000")
        self.container("healthy", "exec sleep 10000", Healthcheck=HEALTHY)
        self.container("server", "mkdir /www; echo hello > /www/index.html; "
                       "httpd -h /www -p 8080; while :; do wget -q -O - http://127.0.0.1:8080/; "
                       "sleep 1; done")
        self.container("worker", "i=0; while :; do i=$((i+1)); [ $((i % 20000)) = 0 ] && sleep 2; "
                       "done")
        once = self.container("once", "echo done")
        self.assertEqual(self.engine.wait(once), 0)
        end = time.monotonic() + ORDINARY_S
        seen = set()

        def passed():
            seen.update(firing(agent))
            return time.monotonic() >= end

        host.await_that("the time is over", passed, ORDINARY_S + 60, 1)
        self.assertEqual(seen, set())
        evaluated = json.loads(agent.get("/api/v1/rules"))["data"]["groups"]
        self.assertTrue(all(rule["health"] == "ok" for group in evaluated
                            for rule in group["rules"]))
        stream = Stream(receiver)
        stream.told("", "")
        self.assertEqual([one for one, states in stream.states.items() if "firing" in states], [])
        self.notes = [f"{ORDINARY_S} s, the rules' times divided by {factor}"]


class Alerts(Chain):
    def test_abuse_is_found(self):
        receiver = self.receiver()
        stream = Stream(receiver)
        alertmanager = host.Alertmanager(self.directory).start()
        self.addCleanup(alertmanager.stop)
        agent = self.agent(forward=receiver.address, rules={"builtin": True, "resend_delay": "1s"},
                           alertmanagers=[alertmanager.url]).start()
        ordinary = self.container("ordinary", ORDINARY)
        quiet = self.container("quiet", "exec sleep 1000",
                               Labels={"tallyman.alerts.off": "ContainerExec, ContainerExecTerminal"})
        looper = self.container("looper", "sleep 0.2; exit 3", HostConfig={
            "NetworkMode": "none", "RestartPolicy": {"Name": "always"}})
        miner = self.container("miner", ": stratum+tcp://pool.example:3333; sleep 1000; true")
        host.await_that("execs are counted from 0", lambda: agent.value(
            "container_exec_total", name="ordinary", source="api", user="root", tty="true",
            privileged="false") == 0)

        host.await_that("a round of the rules is over", lambda: ("ContainerMinerProcess", "miner")
                        in firing(agent), 60)
        for container in (ordinary, quiet):
            self.exec_in(container, "true", Tty=True)
        expected = {("ContainerMinerProcess", "miner"), ("ContainerRestartLoop", "looper"),
                    ("ContainerAbnormalExit", "looper"), ("ContainerExec", "ordinary"),
                    ("ContainerExecTerminal", "ordinary")}
        host.await_that("each is found", lambda: firing(agent) >= expected, 90)
        self.assertEqual({one for one in firing(agent) if one[1] != "looper"},
                         {one for one in expected if one[1] != "looper"})
        self.assertEqual(firing(agent) - expected - {("ContainerStuckRestarting", "looper")},
                         set())
        host.await_that("amtool shows them", lambda: at_alertmanager(alertmanager) >= expected, 30)

        host.await_that("they are in the stream", lambda: all(
            "firing" in stream.told(*one) for one in expected), 30)
        # Its cause gone, an alert ends everywhere.
        self.engine.post(f"/containers/{miner}/kill")
        host.await_that("the miner's is resolved", lambda: ("ContainerMinerProcess", "miner")
                        not in firing(agent), 60)
        host.await_that("in the stream, too", lambda: stream.told(
            "ContainerMinerProcess", "miner") == ["firing", "resolved"], 30)
        host.await_that("and at Alertmanager", lambda: "ContainerMinerProcess" not in {
            labels["alertname"] for labels in alertmanager.labels()}, 30)
        self.engine.remove(looper)
        agent.stop()

