"""Abuse that takes limits of the kernel raises the shipped alerts, at every place where they go, and
they end with it. The shipped file's times are all divided by one number; thresholds are not."""

import json
import pathlib
import urllib.request

import alerting
import host
import house
import scaled

MIB = 1 << 20
FACTOR = 60  # minutes become seconds
PACE = 1  # of looking: a round of the rules, and a program for each look
SLEEP = "exec sleep 100000"
# Doubles a text until the kernel puts an end to it, again and again.
LEAK = "while :; do (x=0123456789abcdef; while :; do x=$x$x; done); sleep 1; done"
# `watch` outlives that it cannot fork.
BOMB = 'exec watch -n 1 "sleep 100000 & sleep 100000 & sleep 100000 &" >/dev/null'
BUSY = "while :; do :; done"
# container: (script, HostConfig, alerts)
ABUSES = {
    # Short periods: the rule asks for a number of them in what are five seconds here.
    "burner": (BUSY, {"CpuPeriod": 10_000, "CpuQuota": 1_000}, ["ContainerCPUThrottled"]),
    "bomb": (BOMB, {"PidsLimit": 12}, ["ContainerForkBomb"]),
    "leak": (LEAK, {"Memory": 16 * MIB, "MemorySwap": 16 * MIB},
             ["ContainerOOMKilled", "ContainerOOMLoop"]),
}


class Alertmanager(host.Alertmanager):
    """Asked without amtool: each program takes its time to start here."""

    def start(self):
        folder = pathlib.Path("/usr/share/prometheus")
        folder.mkdir(exist_ok=True)
        if not (folder / "alertmanager").exists():
            (folder / "alertmanager").symlink_to("/srv/tests/alertmanager")
        return super().start()

    def alerts(self):
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=30) as reply:
            return json.load(reply)


class Everywhere(house.Beside):
    def test_abuse_of_limits_comes_and_goes(self):
        folder = self.enterContext(host.scratch())
        receiver = host.Receiver(house.BINARY, folder).start()
        self.addCleanup(receiver.stop)
        alertmanager = Alertmanager(folder).start()
        self.addCleanup(alertmanager.stop)
        agent = host.Agent(
            house.BINARY, folder, self.engine, forward=receiver.address, docker=dict(house.PATIENCE),
            alertmanagers=[alertmanager.url],
            rules={"files": scaled.write(folder / "rules", FACTOR), "interval": "1s",
                   "resend_delay": "1s"}).start()
        self.addCleanup(agent.stop)
        stream = alerting.Stream(receiver)
        self.container("ordinary", SLEEP)
        expected = {(alert, name) for name, (_, _, alerts) in ABUSES.items() for alert in alerts}
        made = [self.container(name, script, HostConfig=settings)
                for name, (script, settings, _) in ABUSES.items()]
        self.await_each("fires", expected, lambda: alerting.firing(agent))
        self.await_each("is at Alertmanager", expected,
                        lambda: alerting.at_alertmanager(alertmanager))
        self.await_each("is in the stream", expected,
                        lambda: {one for one in expected if "firing" in stream.told(*one)})
        self.assertNotIn("ordinary", {name for _, name in alerting.firing(agent)})
        for container in made:
            self.engine.remove(container)
        self.await_each("is resolved", expected, lambda: expected - alerting.firing(agent))
        self.await_each("is resolved at Alertmanager", expected,
                        lambda: expected - alerting.at_alertmanager(alertmanager))
        self.await_each("is resolved in the stream", expected, lambda: {
            one for one in expected if stream.told(*one)[-1:] == ["resolved"]})

    def await_each(self, what, expected, found):
        """At once or one after the other, as they have different times to wait."""
        lacking = set(expected)

        def done():
            lacking.difference_update(found())
            return not lacking
        try:
            host.await_that(f"each {what}", done, pace=PACE)
        except AssertionError as error:
            self.fail(f"{error}; not: {lacking}")
