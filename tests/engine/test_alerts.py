"""Abuse of real containers raises the shipped alerts, at every place where they go, and nothing else
does. Where an alert waits for minutes, the shipped file's times are all divided by one number."""

import json
import os
import subprocess
import time

import host
import scaled
from alerting import Stream, at_alertmanager, firing
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


class Everywhere(Chain):
    """Every abuse, from its beginning to its end, at every place."""

    @staticmethod
    def comes(one, agent, alertmanager, stream):
        name = one[0]
        host.await_that(f"{name} fires", lambda: one in firing(agent), 120, 0.1)
        host.await_that("amtool shows it", lambda: one in at_alertmanager(alertmanager), 30)
        host.await_that("the stream has it", lambda: "firing" in stream.told(*one), 30)

    @staticmethod
    def goes(one, agent, alertmanager, stream):
        name = one[0]
        host.await_that(f"{name} is resolved", lambda: one not in firing(agent), 120, 0.1)
        host.await_that("at Alertmanager, too", lambda: one not in at_alertmanager(alertmanager),
                        30)
        host.await_that("and in the stream", lambda: stream.told(*one)[-1:] == ["resolved"], 30)

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
        # The three that last at once, the restarts first: the engine lets them become rare.
        lasting = {
            ("ContainerRestartLoop", "looper"): self.container(
                "looper", "sleep 0.2; exit 3",
                HostConfig={"RestartPolicy": {"Name": "always"}}),
            ("ContainerLogFlood", "flood"): self.container("flood", FLOOD),
            ("ContainerHealthFlapping", "flapping"): self.container(
                "flapping", "exec sleep 1000", Healthcheck=FLAP),
        }
        for one in lasting:
            with self.subTest(one, comes=True):
                self.comes(one, agent, alertmanager, stream)
        for container in lasting.values():
            self.engine.remove(container)
        for one in lasting:
            with self.subTest(one, comes=False):
                self.goes(one, agent, alertmanager, stream)
        self.exec_in(target, "true")
        for step in (self.comes, self.goes):  # by itself
            step(("ContainerExec", "target"), agent, alertmanager, stream)
        loud = {container for _, container in firing(agent)}
        self.assertNotIn("ordinary", loud)
        agent.stop()

    def test_ordinary_containers_raise_none(self):
        """Ten minutes of the rules' time; with --soak of anybody's. A web server and its client, a
        writer like a database's, jobs at intervals, builds, checks of health."""
        receiver = self.receiver()
        factor = max(1, ORDINARY_RULES_S // ORDINARY_S)
        rules = scaled.write(self.directory / "rules", factor)
        agent = self.agent(forward=receiver.address,
                           rules={"files": rules, "interval": "1s"}).start()
        self.container("writer", ORDINARY)
        self.container("sleeper", "exec sleep 10000")
        self.container("healthy", "exec sleep 10000", Healthcheck=HEALTHY)
        bridge = {"NetworkMode": "bridge"}
        server = self.container("server", "mkdir /www; head -c 20000 /bin/busybox > /www/page; "
                                "exec httpd -f -h /www -p 8080", HostConfig=dict(bridge))
        address = self.engine.inspect(server)["NetworkSettings"]["IPAddress"]
        self.container("client", f"while :; do wget -q -O /dev/null http://{address}:8080/page; "
                       "sleep 0.3; done", HostConfig=dict(bridge))
        # A log that is synced at each step and thrown away when it is full, as databases do.
        self.container("database", "while :; do for step in 1 2 3 4 5 6 7 8; do dd if=/dev/zero "
                       "of=/data/log bs=8k count=16 seek=$((step*16)) conv=fsync 2>/dev/null; "
                       "sleep 0.5; done; mv /data/log /data/old; done",
                       HostConfig={"Binds": ["database:/data"]})
        self.container("cron", "while :; do sleep 15; find /bin /etc | sort | gzip | md5sum; done")
        build = ("mkdir -p /src; for i in 1 2 3 4 5 6 7 8 9; do cp /bin/busybox /src/part$i; done; "
                 "tar -c /src | gzip > /out.tar.gz; tar -xzf /out.tar.gz -C /tmp; "
                 "for i in $(seq 200); do echo compiling $i; done; chmod -R go-w /tmp/src")
        self.container("worker", "i=0; while :; do i=$((i+1)); [ $((i % 20000)) = 0 ] && sleep 2; "
                       "done")
        once = self.container("once", "echo done")
        self.assertEqual(self.engine.wait(once), 0)
        end = time.monotonic() + ORDINARY_S
        seen, builds = set(), 0

        def passed():
            nonlocal builds
            seen.update(firing(agent))
            # One build after the other, as long as there is time.
            if builds == 0 or self.engine.inspect("build")["State"]["Status"] == "exited":
                if builds:
                    self.assertEqual(self.engine.wait("build"), 0)
                    self.engine.remove("build")
                self.engine.run("build", build)
                builds += 1
            return time.monotonic() >= end

        host.await_that("the time is over", passed, ORDINARY_S + 60, max(1, ORDINARY_S // 60))
        self.engine.remove("build")
        self.assertEqual(seen, set())
        self.assertGreater(builds, 2)
        evaluated = json.loads(agent.get("/api/v1/rules"))["data"]["groups"]
        self.assertTrue(all(rule["health"] == "ok" for group in evaluated
                            for rule in group["rules"]))
        stream = Stream(receiver)
        stream.told("", "")
        self.assertEqual([one for one, states in stream.states.items() if "firing" in states], [])
        self.notes = [f"{ORDINARY_S} s, the rules' times divided by {factor}; {builds} builds, "
                      f"{sum(len(group['rules']) for group in evaluated)} rules"]


class Intruders(Chain):
    """Programs and processes that are in a container without being of it, and peers without end."""

    def test_programs_that_came_later(self):
        rules = scaled.write(self.directory / "rules", FACTOR)
        agent = self.agent(rules={"files": rules, "interval": "1s"}).start()
        # The image's own programs, whatever their container writes; also those of a volume.
        self.container("ordinary", "cp /bin/busybox /tmp/copy; chmod 755 /tmp/copy; exec sleep 1000")
        checked = self.container("checked", "exec sleep 1000", Healthcheck={
            **HEALTHY, "Interval": 500_000_000})
        tools = self.directory / "tools"
        tools.mkdir()
        self.container("mounted", "cp /bin/busybox /tools/sleep; exec /tools/sleep 1000",
                       HostConfig={"Binds": [f"{tools}:/tools"]})
        self.container("dropped", "cp /bin/busybox /tmp/sleep; /tmp/sleep 1000; true")
        self.container("unlinked", "cp /bin/busybox /tmp/sleep; /tmp/sleep 1000 & "
                       "sleep 1; rm /tmp/sleep; wait")
        self.container("memory", "cp /bin/busybox /own/sleep; /own/sleep 1000; true",
                       HostConfig={"Tmpfs": {"/own": "exec"}})
        found = {("ContainerDroppedBinary", name) for name in ("dropped", "unlinked", "memory")}
        host.await_that("each is found", lambda: found <= firing(agent), 90)
        counts = {dict(labels)["name"]: value for (family, labels), value in
                  agent.metrics().items() if family == "container_processes_not_in_image"}
        self.assertEqual(counts, {"ordinary": 0, "checked": 0, "mounted": 0, "dropped": 1,
                                  "unlinked": 1, "memory": 1})
        # A program that comes by an exec into a container that has run for a while.
        self.exec_in(checked, "sh", "-c", "cp /bin/busybox /tmp/nc; cp /tmp/nc /tmp/sleep; "
                     "/tmp/sleep 1000 >/dev/null 2>&1 & echo $! > /tmp/pid")
        found.add(("ContainerDroppedBinary", "checked"))
        host.await_that("it is found, too", lambda: found <= firing(agent), 90)
        # Where it does not run any more the alert ends.
        self.exec_in(checked, "sh", "-c", "kill $(cat /tmp/pid)")
        host.await_that("its end is seen", lambda: ("ContainerDroppedBinary", "checked")
                        not in firing(agent), 90)
        self.assertEqual({one for one in firing(agent) if one[0] == "ContainerDroppedBinary"},
                         found - {("ContainerDroppedBinary", "checked")})
        agent.stop()

    def test_who_enters_past_the_engine(self):
        rules = scaled.write(self.directory / "rules", FACTOR)
        agent = self.agent(rules={"files": rules, "interval": "1s"}).start()
        entered = self.container("entered", "exec sleep 1000")
        alone = self.container("alone", "exec sleep 1000")
        host.await_that("there is nobody", lambda: agent.values(
            "container_foreign_processes") == [0, 0], 60)
        pid = self.engine.inspect(entered)["State"]["Pid"]
        stranger = subprocess.Popen(["nsenter", "-t", str(pid), "-m", "-p", "sleep", "1000"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        # What the engine starts is in the cgroup; the network alone is no way into the container.
        self.exec_in(alone, "sh", "-c", "sleep 1000 >/dev/null 2>&1 &")
        pid = self.engine.inspect(alone)["State"]["Pid"]
        onlooker = subprocess.Popen(["nsenter", "-t", str(pid), "-n", "sleep", "1000"])
        self.addCleanup(onlooker.wait)
        self.addCleanup(onlooker.kill)
        host.await_that("it is found", lambda: ("ContainerForeignProcess", "entered")
                        in firing(agent), 60)
        self.assertEqual(agent.value("container_foreign_processes", name="alone"), 0)
        self.assertNotIn(("ContainerForeignProcess", "alone"), firing(agent))
        subprocess.run(["pkill", "-KILL", "-P", str(stranger.pid)], check=False)
        stranger.kill()
        host.await_that("its end is seen", lambda: ("ContainerForeignProcess", "entered")
                        not in firing(agent), 60)
        agent.stop()

    def test_remote_ends(self):
        agent = self.agent(groups={"enable": ["tcp"]}).start()
        bridge = {"NetworkMode": "bridge"}
        target = self.container("target", "for port in 7000 7001; do nc -ll -p $port -e sleep 1000 & "
                                "done; exec sleep 1000", HostConfig=dict(bridge))
        address = self.engine.inspect(target)["NetworkSettings"]["IPAddress"]
        self.container("caller", "nc -ll -p 7000 -e sleep 1000 & sleep 1; "
                       f"for end in '{address} 7000' '{address} 7000' '{address} 7001' "
                       "'127.0.0.1 7000'; do sleep 1000 | nc $end & done; wait",
                       HostConfig=dict(bridge))
        host.await_that("two ends, one of them twice, and not itself", lambda: agent.value(
            "container_remote_endpoints", name="caller") == 2, 60)
        # The listeners are IPv6's, which takes IPv4 as well.
        host.await_that("the other side has three", lambda: agent.value(
            "container_network_tcp6_usage_total", name="target", tcp_state="established") == 3, 60)
        self.assertEqual(agent.value("container_remote_endpoints", name="target"), 0)
        agent.stop()


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

