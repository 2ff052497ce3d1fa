"""Abuse of real containers raises the shipped alerts, at every place where they go, and nothing else
does."""

import json

import host
from test_chain import Chain

# What an ordinary container does, all the while.
ORDINARY = "while :; do echo a line; sleep 0.5; done"


class Alerts(Chain):
    def test_abuse_is_found(self):
        receiver = self.receiver()
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

        def firing(get):
            return {(alert["labels"]["alertname"], alert["labels"].get("name"))
                    for alert in json.loads(get("/api/v1/alerts"))["data"]["alerts"]
                    if alert["state"] == "firing"}

        host.await_that("a round of the rules is over", lambda: ("ContainerMinerProcess", "miner")
                        in firing(agent.get), 60)
        for container in (ordinary, quiet):
            self.exec_in(container, "true", Tty=True)
        expected = {("ContainerMinerProcess", "miner"), ("ContainerRestartLoop", "looper"),
                    ("ContainerAbnormalExit", "looper"), ("ContainerExec", "ordinary"),
                    ("ContainerExecTerminal", "ordinary")}
        host.await_that("each is found", lambda: firing(agent.get) >= expected, 90)
        self.assertEqual({one for one in firing(agent.get) if one[1] != "looper"},
                         {one for one in expected if one[1] != "looper"})
        self.assertEqual(firing(agent.get) - expected - {("ContainerStuckRestarting", "looper")},
                         set())
        host.await_that("amtool shows them", lambda: {
            (labels["alertname"], labels.get("name")) for labels in alertmanager.labels()}
            >= expected, 30)

        def told(name, container):
            return [row["record"]["state"] for row in receiver.records()
                    if row["tag"] == "tallyman.alert" and row["record"]["alertname"] == name
                    and row["record"]["labels"].get("name") == container]

        host.await_that("they are in the stream", lambda: all(
            "firing" in told(*one) for one in expected), 30)
        # Its cause gone, an alert ends everywhere.
        self.engine.post(f"/containers/{miner}/kill")
        host.await_that("the miner's is resolved", lambda: ("ContainerMinerProcess", "miner")
                        not in firing(agent.get), 60)
        host.await_that("in the stream, too", lambda: told(
            "ContainerMinerProcess", "miner") == ["firing", "resolved"], 30)
        host.await_that("and at Alertmanager", lambda: "ContainerMinerProcess" not in {
            labels["alertname"] for labels in alertmanager.labels()}, 30)
        self.engine.remove(looper)
        agent.stop()

