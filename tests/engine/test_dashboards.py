"""Every query of the dashboards for Grafana, of their variables and marks, of the shipped rules and of
dashboards for cAdvisor, asked of a real Prometheus that scrapes the agent beside a real engine on
which everything happens that they are about.
"""

import json
import os
import pathlib
import sys

import host
import limits
from test_chain import BINARY, Chain
from test_sizes import QUICK
from test_vulnerabilities import trivy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "dashboards"))

import queries  # noqa: E402


class Dashboards(Chain):
    def set_up_everything(self):
        """Containers to which everything happens, the agent, Prometheus."""
        with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
            # The engine's files here may lie on what is no block device.
            self.controllers = set(file.read().split()) - {"io"}
        self.put_report()
        (self.directory / "web.yml").write_text("{}\n")
        self.silent = host.free_port()
        self.agent_ = self.agent(
            forward=[{"name": "central", "servers": [self.receiver().address],
                      "flush_interval": "100ms"},
                     {"name": "silent", "servers": [f"127.0.0.1:{self.silent}"], "buffer_max": "64KiB",
                      "chunk_size": "16KiB", "retry_max": "1s"}],
            groups={"enable": ["process", "tcp", "tcp_losses", "cpuLoad"]}, disk=QUICK,
            logs={"held_max": "1KiB", "shape": [{"match": {"containers": ["chatty"]},
                                                 "drop": ["noise"], "redact_tokens": True}]},
            vulnerabilities={"directory": str(self.directory / "reports")},
            posture={"sweep": "10s", "waivers": [
                {"checks": ["user_nonroot"], "containers": ["web"], "reason": "a test"}]},
            receiver={"listen": [f"127.0.0.1:{host.free_port()}"]},
            rules={"builtin": True}, web={"config_file": str(self.directory / "web.yml")},
            alertmanagers=[f"http://127.0.0.1:{host.free_port()}"]).start()
        self.start_containers()
        self.prometheus = host.Prometheus(self.directory, self.agent_.port,
                                          queries.quick_rules(self.directory))
        self.addCleanup(self.prometheus.stop)

    def put_report(self):
        folder = self.directory / "reports"
        folder.mkdir()
        image = self.engine.get(f"/images/{self.engine.IMAGE}/json")["Id"]
        (folder / "busybox.json").write_text(json.dumps(trivy(
            image, ("CVE-1", "libssl", "CRITICAL", "2"), ("CVE-2", "zlib", "HIGH", "2"),
            ("CVE-3", "zlib", "MEDIUM", ""), ("CVE-4", "zlib", "LOW", ""))))

    def start_containers(self):
        labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
        every_second = {"Interval": 10 ** 9, "Retries": 1}
        self.web = self.container(
            "web", limits.script(self.controllers), Labels=labels, ExposedPorts={"8000/tcp": {}},
            Healthcheck={"Test": ["CMD-SHELL", "test -e /well"], **every_second},
            HostConfig={"NetworkMode": "bridge", **limits.settings(self.controllers)})
        address = host.await_that("web has an address", lambda: self.engine.inspect(self.web)[
            "NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
        self.container("client", f"while :; do wget -q -O /dev/null http://{address}:8000/file; "
                       "sleep 0.3; done", HostConfig={"NetworkMode": "bridge"})
        self.container("sick", "exec sleep 1000",
                       Healthcheck={"Test": ["CMD", "false"], **every_second})
        self.container("looper", "sleep 0.5; exit 3", HostConfig={
            "NetworkMode": "none", "RestartPolicy": {"Name": "always"}})
        self.container("ended", "exit 7")
        self.container("chatty", "while :; do echo some line; echo noise; echo an error >&2; "
                       "sleep 0.2; done")
        self.container("miner", ": stratum+tcp://pool.example:3333; sleep 1000; true")
        self.container("dropper", "cp /bin/busybox /tmp/sleep; /tmp/sleep 1000 & sleep 0.5; "
                       "rm /tmp/sleep; wait")
        self.container("unsafe", "exec sleep 1000", HostConfig={
            "NetworkMode": "none", "Binds": [f"{self.engine.socket}:/run/docker.sock"]})
        self.flood = self.container("flood", "i=0; while [ $i -lt 4000 ]; do echo a line that is "
                                    "one of very many and goes on and on and on $i; i=$((i+1)); "
                                    "done; exec sleep 1000")

    def let_things_happen(self):
        """What cannot be there from the start, as counters are read by their growth."""
        execs = "container_exec_total"
        host.await_that("Prometheus has execs at 0", lambda: self.prometheus.query(
            f'{execs}{{name="web", source="api", tty="true"}} == 0'))
        self.exec_in(self.web, "true", Tty=True)
        self.engine.post(f"/containers/{self.web}/restart?t=0")
        if "pids" in self.controllers:
            self.exec_in(self.web, "sh", "-c", limits.FORK)
        self.engine.post(f"/containers/{self.flood}/rename?name=flooded")
        lag = "container_log_lag_bytes"
        host.await_that("reading waits for who does not answer", lambda: sum(self.agent_.values(
            lag, destination="silent", name="flooded")) > 100000)
        host.await_that("attempts fail", lambda: self.prometheus.query(
            'increase(tallyman_forward_errors_total{destination="silent"}[10s]) > 0'))
        # More goes with it than may be held; that counts once there is somebody to read for.
        self.engine.remove(self.flood)
        descriptors = pathlib.Path("/proc") / str(self.agent_.program.pid) / "fd"
        host.await_that("the agent gives its log up", lambda: not any(
            f"{self.flood}-json.log" in os.readlink(entry) for entry in descriptors.iterdir()))
        folder = self.directory / "late"
        folder.mkdir()
        late = host.Receiver(BINARY, folder, self.silent).start()
        self.addCleanup(late.stop)

    def excuse(self, query):
        """Why the query need not have an answer here, or None."""
        lacking = queries.controllers(query) - self.controllers
        if lacking:
            return f"no controller {', '.join(sorted(lacking))} in cgroup v2 here"
        return queries.never(query)

    def test_every_query_returns_data(self):
        self.set_up_everything()
        self.let_things_happen()
        waiting = list(queries.every(f"127.0.0.1:{self.agent_.port}", "web"))
        count = len(waiting)
        excuses = {asked: self.excuse(asked[1]) for asked in waiting}

        def all_answered():
            waiting[:] = [asked for asked in waiting
                          if not queries.has_data(self.prometheus, *asked[1:])]
            return all(excuses[asked] for asked in waiting)
        try:
            host.await_that("every query has an answer", all_answered, pace=1)
        except AssertionError:
            self.fail("no data:\n" + "\n".join(": ".join(asked[:2]) for asked in waiting
                                              if not excuses[asked]))
        self.notes.append(f"{count} queries, {count - len(waiting)} with data")
        for why in sorted({excuses[asked] for asked in waiting}):
            without = sum(excuses[asked] == why for asked in waiting)
            self.notes.append(f"{without} without: {why}")
        self.check_variables()
        self.check_rules()

    def check_variables(self):
        for what, series, label in queries.of_variables():
            with self.subTest(what):
                self.assertTrue(self.prometheus.ask(f"label/{label}/values",
                                                    **{"match[]": series}))

    def check_rules(self):
        """Prometheus could evaluate each, over and over."""
        groups = self.prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertGreater(len(rules), 40)
        self.assertEqual([(rule["name"], rule.get("lastError")) for rule in rules
                          if rule["health"] != "ok"], [])
        firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
        self.assertIn("ContainerMinerProcess", firing)
