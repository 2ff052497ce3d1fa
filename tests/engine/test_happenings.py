"""What the engine's events tell, on a real engine: ends, execs, probes, restarts, and how many
requests all of that costs."""

import re
import threading

import host
import proxy
from test_chain import SANITIZED, Chain

EXITS = "container_exits_total"
EXECS = "container_exec_total"


class Happenings(Chain):
    def test_exits_are_counted_by_code(self):
        agent = self.agent(SANITIZED).start()
        container = self.engine.create("ender", "exit $(cat /tmp/code 2>/dev/null || echo 0)")
        self.addCleanup(self.engine.remove, container)
        host.await_that("it is there", lambda: agent.value(EXITS, name="ender", exit_code="0") == 0)
        self.assertEqual(agent.values(EXITS, name="ender", exit_code="1"), [0])
        for _ in range(3):
            self.engine.post(f"/containers/{container}/start")
            self.engine.wait(container)
        crasher = self.container("crasher", "exit 77")
        host.await_that("three ends", lambda: agent.value(
            EXITS, name="ender", exit_code="0") == 3)
        host.await_that("the other one", lambda: agent.value(
            EXITS, name="crasher", exit_code="other") == 1)
        self.assertEqual(sum(agent.values(EXITS, name="ender")), 3)
        self.assertEqual(sum(agent.values(EXITS, name="crasher")), 1)
        self.assertEqual(agent.value("container_desired_running", name="ender"), 0)
        self.assertEqual(agent.value("container_desired_running", name="crasher"), 1)
        self.assertEqual(self.engine.inspect(crasher)["State"]["ExitCode"], 77)

    def test_stopped_by_hand(self):
        agent = self.agent().start()
        container = self.container("halted", "exec sleep 1000")
        desired = lambda: agent.value("container_desired_running", name="halted")
        host.await_that("it is meant to run", lambda: desired() == 1)
        self.engine.post(f"/containers/{container}/kill")
        host.await_that("it is not any more", lambda: desired() == 0)
        self.assertEqual(agent.value(EXITS, name="halted", exit_code="137"), 1)
        self.engine.post(f"/containers/{container}/start")
        host.await_that("it is again", lambda: desired() == 1)

    def test_restarts_outlive_a_start_by_hand(self):
        agent = self.agent().start()
        container = self.container("looper", "exit 1", HostConfig={
            "NetworkMode": "none", "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
        total = lambda: agent.value("container_restarts_total", name="looper")
        host.await_that("it gave up", lambda: total() == 2 and agent.value(
            "container_state", name="looper", state="exited") == 1)
        self.engine.post(f"/containers/{container}/start")
        host.await_that("it gave up again", lambda: total() == 4)
        self.assertEqual(self.engine.inspect(container)["RestartCount"], 2)
        host.await_that("all ends", lambda: agent.value(
            EXITS, name="looper", exit_code="1") == 6)

    def test_execs_and_probes(self):
        agent = self.agent(SANITIZED).start()
        check = {"Test": ["CMD-SHELL", "test -d /tmp"], "Interval": 10 ** 9}
        container = self.container("host-of-execs", "exec sleep 1000", Healthcheck=check, User="7")
        value = lambda **labels: agent.value(EXECS, name="host-of-execs", **labels)
        own = {"source": "api", "user": "7", "tty": "false", "privileged": "false"}
        host.await_that("the counters are there, at 0", lambda: value(**own) == 0)
        for _ in range(3):
            self.exec_in(container, "true")
        self.exec_in(container, "sh", "-c", "exit 0", User="root", Tty=True)
        self.exec_in(container, "true", User="0", Privileged=True)
        self.exec_in(container, "true", User="8:9")
        api = lambda: sum(agent.values(EXECS, name="host-of-execs", source="api"))
        host.await_that("all execs", lambda: api() == 6)
        self.assertEqual(value(**own), 3)
        self.assertEqual(value(source="api", user="root", tty="true", privileged="false"), 1)
        self.assertEqual(value(source="api", user="root", tty="false", privileged="true"), 1)
        self.assertEqual(value(source="api", user="other", tty="false", privileged="false"), 1)
        probes = lambda: value(source="healthcheck")
        before = probes()
        host.await_that("probes are counted", lambda: probes() >= before + 3)
        self.assertEqual(api(), 6)
        log = self.engine.inspect(container)["State"]["Health"]["Log"]
        self.assertTrue(log)

    def test_events_by_type_and_action(self):
        agent = self.agent().start()
        value = lambda **labels: agent.value("docker_events_total", **labels)
        self.assertEqual(value(type="container", action="rename"), 0)
        self.assertEqual(value(type="container", action="archive-path"), 0)
        self.assertEqual(value(type="other", action="other"), 0)
        before = value(type="volume", action="create")
        container = self.container("named", "exec sleep 1000")
        self.engine.post(f"/containers/{container}/rename?name=renamed")
        self.engine.get(f"/containers/{container}/archive?path=/etc")
        self.engine.post("/volumes/create", {"Name": "counted"})
        self.addCleanup(self.engine.request, "DELETE", "/volumes/counted")
        self.exec_in(container, "sh", "-c", "echo password: hunter2")
        host.await_that("all are counted", lambda: value(type="container", action="rename") == 1
                        and value(type="container", action="archive-path") == 1
                        and value(type="container", action="exec_start") >= 1
                        and value(type="volume", action="create") == before + 1)
        self.assertFalse("hunter2" in agent.get("/metrics"))

    def test_requests_do_not_grow_with_scrapes(self):
        recorder = proxy.Recorder(str(self.directory / "proxy.sock"), self.engine.socket)
        self.addCleanup(recorder.stop)
        agent = self.agent(docker={"host": f"unix://{recorder.path}",
                                   "data_root": str(self.engine.data_root)},
                           groups={"enable": ["system_df"]})
        for number in range(3):
            self.container(f"still-{number}", "exec sleep 1000")
        agent.start()
        host.await_that("all are known", lambda: len(agent.values(
            "container_state", state="running")) == 3)
        host.await_that("nothing is asked any more", lambda: agent.value(
            "tallyman_docker_inspects_pending") == 0 and agent.values(
                "docker_system_df_objects", type="networks"))
        # Pings come at their own pace and lists too; nothing may come because of a scrape.
        kinds = lambda: [path for _, path in recorder.requests
                         if not re.search(r"/_ping$|/containers/json", path)]
        # The audit looks once at each container, and then at their image.
        host.await_that("all was judged", lambda: any(
            re.search(r"/images/[^/]+/json$", path) for path in kinds()))
        before = kinds()
        threads = [threading.Thread(target=lambda: [agent.get("/metrics") for _ in range(25)])
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(kinds()[len(before):], [])
        self.assertGreaterEqual(agent.value("tallyman_scrapes_total"), 100)
