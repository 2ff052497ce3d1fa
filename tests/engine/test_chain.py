"""The whole chain on a real Docker engine: count, forward, serve.

One engine serves all scenarios of a module; each has its own agent, state directory and receiver.
run.py starts them and names the binaries: TALLYMAN, and TALLYMAN_SANITIZED, a build with sanitizers
for the scenarios that are about robustness.
"""

import os
import pathlib
import random
import re
import subprocess
import threading
import time
import unittest

import host
import proxy

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.environ["TALLYMAN"]
SANITIZED = os.environ["TALLYMAN_SANITIZED"]


class Chain(unittest.TestCase):
    engine = None
    scratch = None

    @classmethod
    def setUpClass(cls):
        if Chain.engine is None:
            Chain.scratch = host.scratch()
            root = Chain.scratch.__enter__()
            Chain.root = root
            Chain.engine = host.Engine(root)
            Chain.engine.start()
            Chain.engine.import_busybox()
            unittest.addModuleCleanup(cls.shut_down)

    @classmethod
    def shut_down(cls):
        Chain.engine.stop()
        Chain.engine = None  # the next module starts its own
        Chain.scratch.__exit__(None, None, None)

    def setUp(self):
        self.notes = []
        self.directory = self.root / self.id().rsplit(".", 1)[-1]
        self.directory.mkdir()

    def receiver(self, port=None):
        receiver = host.Receiver(BINARY, self.directory, port).start()
        self.addCleanup(lambda: receiver.program.process.poll() is None and receiver.stop())
        return receiver

    def agent(self, binary=BINARY, **settings):
        agent = host.Agent(binary, self.directory, self.engine, **settings)
        self.addCleanup(self.end, agent)
        return agent

    def end(self, agent):
        if agent.program is None:
            return
        if agent.program.process.poll() is None:
            self.assertEqual(agent.stop(), 0, agent.program.said()[-4000:])
        said = agent.program.said()
        for word in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"):
            self.assertNotIn(word, said)

    def exec_in(self, container, *command, **options):
        made = self.engine.post(f"/containers/{container}/exec", {
            "Cmd": list(command), "AttachStdout": True, **options})
        self.engine.post(f"/exec/{made['Id']}/start", {"Detach": False,
                                                       "Tty": options.get("Tty", False)})

    def container(self, name, script, **config):
        container = self.engine.run(name, script, **config)
        self.addCleanup(self.engine.remove, container)
        return container

    @staticmethod
    def pause(seconds):
        """Random moments are the input of some tests."""
        threading.Event().wait(seconds)

    def seen(self, what, condition, since):
        """Awaits the condition and notes how long after `since` it held. The time is reported and
        not asserted, but for a bound that no load explains."""
        host.await_that(what, condition, 15)
        took = time.monotonic() - since
        self.notes.append(f"{what} in {took:.2f} s")


class Counting(Chain):
    def test_lines_numbers_and_states_of_three_containers(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        prometheus = host.Prometheus(self.directory, agent.port)
        self.addCleanup(prometheus.stop)
        check = {"Test": ["CMD-SHELL", "test -e /tmp/well"], "Interval": 10 ** 9, "Retries": 1}
        busy = self.container("busy", "i=0; while [ $i -lt 500 ]; do echo busy line $i; "
                              "i=$((i+1)); done; while :; do :; done")
        calm = self.container("calm", "touch /tmp/well; for i in 1 2 3; do echo out $i; "
                              "echo err $i >&2; done; exec sleep 1000", Healthcheck=check)
        done = self.container("done", "echo only line; exit 7")
        host.await_that("all lines arrived", lambda: len(receiver.lines(busy)) >= 500 and
                        len(receiver.lines(calm)) >= 3 and
                        len(receiver.lines(calm, "stderr")) >= 3 and receiver.lines(done))
        self.assertEqual(receiver.lines(busy), [f"busy line {i}" for i in range(500)])
        self.assertEqual(receiver.lines(calm), ["out 1", "out 2", "out 3"])
        self.assertEqual(receiver.lines(calm, "stderr"), ["err 1", "err 2", "err 3"])
        self.assertEqual(receiver.lines(done), ["only line"])
        record = receiver.records(done)[0]
        self.assertEqual(record["record"]["container_name"], "/done")
        self.assertEqual(record["tag"], f"docker.{done[:12]}")

        def one(expression):
            rows = prometheus.query(expression)
            return rows[0][1] if len(rows) == 1 else None
        host.await_that("Prometheus has rates", lambda: one(
            'rate(container_cpu_usage_seconds_total{name="busy"}[10s])') is not None)
        kernel = self.cpu_seconds(busy)
        host.await_that("Prometheus has caught up with the kernel", lambda: one(
            'container_cpu_usage_seconds_total{name="busy"}') >= kernel)
        self.assertLessEqual(one('container_cpu_usage_seconds_total{name="busy"}'),
                             self.cpu_seconds(busy))
        # How much it gets is the machine's affair.
        host.await_that("the busy one's rate is the higher one", lambda: one(
            'rate(container_cpu_usage_seconds_total{name="busy"}[10s]) > on() '
            '5 * rate(container_cpu_usage_seconds_total{name="calm"}[10s])') is not None)
        host.await_that("calm is healthy", lambda: one(
            'container_health_status{name="calm",status="healthy"}') == 1)
        self.assertEqual(one('container_health_state{name="calm"}'), 1)
        for name, state in (("busy", "running"), ("calm", "running"), ("done", "exited")):
            rows = prometheus.query(f'container_state{{name="{name}"}} == 1')
            self.assertEqual([labels["state"] for labels, _ in rows], [state])
        self.assertEqual(one('container_exit_code{name="done"}'), 7)
        self.assertEqual(one("up"), 1)
        self.assertEqual(one("scrape_samples_scraped - scrape_samples_post_metric_relabeling"), 0)
        self.promtool(agent)

    @staticmethod
    def cpu_seconds(container):
        stat = pathlib.Path(f"/sys/fs/cgroup/docker/{container}/cpu.stat").read_text()
        return int(re.search(r"^usage_usec (\d+)", stat, re.M)[1]) / 1e6

    def promtool(self, agent):
        """Clean but for what cAdvisor's own names bring with them, listed beside the unit tests."""
        allowed = {line.strip() for line in
                   (HERE.parent / "unit/codec/promtool-allow.txt").read_text().splitlines()
                   if line.strip() and not line.startswith("#")}
        result = subprocess.run(["promtool", "check", "metrics"], input=agent.get("/metrics"),
                                text=True, capture_output=True, check=False)
        said = {line.strip() for line in (result.stdout + result.stderr).splitlines()
                if line.strip()}
        self.assertEqual(said - allowed, set())

    def test_changes_of_a_container_are_seen(self):
        agent = self.agent().start()
        check = {"Test": ["CMD-SHELL", "test -e /tmp/well"], "Interval": 10 ** 9, "Retries": 1}
        name = "changing"
        began = time.monotonic()
        container = self.container(name, "touch /tmp/well; exec sleep 1000", Healthcheck=check)

        def is_state(state, of=None):
            return lambda: agent.value("container_state", name=of or name, state=state) == 1
        self.seen("start", is_state("running"), began)

        def is_health(status):
            return lambda: agent.value("container_health_status", name=name, status=status) == 1

        def engine_says(status):
            return lambda: self.engine.inspect(container)["State"]["Health"]["Status"] == status
        for command, status in (("true", "healthy"), ("rm /tmp/well", "unhealthy"),
                                ("touch /tmp/well", "healthy")):
            self.execute(container, command)
            host.await_that(f"the engine says {status}", engine_says(status))
            self.seen(status, is_health(status), time.monotonic())
        started = agent.value("container_start_time_seconds", name=name)
        began = time.monotonic()
        self.engine.post(f"/containers/{container}/restart?t=0")
        self.seen("restart", lambda: agent.value("container_start_time_seconds", name=name) >
                  started, began)
        self.assertEqual(agent.value("container_state", name=name, state="running"), 1)
        began = time.monotonic()
        self.engine.post(f"/containers/{container}/rename?name=renamed")
        self.seen("rename", is_state("running", "renamed"), began)
        self.assertEqual(agent.values("container_state", name=name), [])
        began = time.monotonic()
        self.engine.post(f"/containers/{container}/kill")
        self.seen("kill", is_state("exited", "renamed"), began)
        host.await_that("the exit code", lambda: agent.value("container_exit_code",
                                                             name="renamed") == 137)
        began = time.monotonic()
        self.engine.remove(container)
        self.seen("removal", lambda: not agent.values("container_state", name="renamed"), began)

    def execute(self, container, command):
        made = self.engine.post(f"/containers/{container}/exec",
                                {"Cmd": ["sh", "-c", command], "AttachStdout": True})
        self.engine.post(f"/exec/{made['Id']}/start", {"Detach": False})

    def test_restarts_by_policy_are_counted(self):
        agent = self.agent().start()
        self.container("crashing", "exit 3", HostConfig={
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}})
        host.await_that("three restarts are counted",
                        lambda: agent.value("container_restarts_total", name="crashing") == 3)
        host.await_that("it has exited", lambda: agent.value(
            "container_state", name="crashing", state="exited") == 1)
        self.assertEqual(agent.value("container_exit_code", name="crashing"), 3)

    def test_the_engine_restarts_and_the_agent_stays(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        first = self.container("before", "echo before; exec sleep 1000")
        host.await_that("seen", lambda: agent.value("container_state", name="before",
                                                    state="running") == 1)
        self.engine.restart(between=lambda: host.await_that(
            "the engine's absence is seen", lambda: agent.value("tallyman_docker_up") == 0))
        began = time.monotonic()
        self.seen("the engine's return", lambda: agent.value("tallyman_docker_up") == 1, began)
        host.await_that("the container has exited with the engine", lambda: agent.value(
            "container_state", name="before", state="exited") == 1)
        second = self.container("after", "echo after; exec sleep 1000")
        host.await_that("its successor runs", lambda: agent.value(
            "container_state", name="after", state="running") == 1)
        host.await_that("the lines of both", lambda: receiver.lines(first) == ["before"] and
                        receiver.lines(second) == ["after"])

    def test_events_become_records(self):
        """Each once, and without the commands of execs, which may hold passwords."""
        receiver = self.receiver()
        self.agent(forward=receiver.address).start()
        container = self.container("talker", "exec sleep 1000")
        command = self.engine.post(f"/containers/{container}/exec", {
            "Cmd": ["sh", "-c", "echo pass-word-in-a-command"], "AttachStdout": True})
        self.engine.post(f"/exec/{command['Id']}/start", {"Detach": False})
        self.engine.post(f"/containers/{container}/kill")

        def events():
            return [row["record"] for row in receiver.records()
                    if row["tag"] == "docker.events" and row["record"].get("id") == container]
        host.await_that("the end is told", lambda: any(
            event["action"] == "die" for event in events()))
        actions = [event["action"] for event in events()]
        for action in ("create", "start", "exec_create", "exec_start", "kill", "die"):
            self.assertEqual(actions.count(action), 1, actions)
        end = next(event for event in events() if event["action"] == "die")
        self.assertEqual((end["type"], end["name"], end["image"]),
                         ("container", "talker", self.engine.IMAGE))
        self.assertEqual(end["attributes"]["exitCode"], "137")
        self.assertNotIn("pass-word", receiver.file.read_text())

    def test_the_agent_starts_before_the_engine(self):
        self.engine.daemon.stop(60)
        try:
            agent = self.agent()
            agent.program = host.Program("agent", [agent.binary, "run", "--config",
                                                   str(agent.config)], agent.directory)
            host.await_that("it serves", lambda: agent.program.assert_running() and
                            agent.value("tallyman_docker_up") == 0)
        finally:
            self.engine.start()
        began = time.monotonic()
        self.seen("the engine", lambda: agent.value("tallyman_docker_up") == 1, began)

    def test_without_the_api_names_come_from_the_disk(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address,
                           docker={"host": "", "data_root": str(self.engine.data_root)}).start()
        container = self.container("quiet", "echo from disk; exec sleep 1000",
                                   Labels={"com.docker.compose.service": "web"})
        host.await_that("the name and the label are known", lambda: agent.value(
            "container_cpu_usage_seconds_total", name="quiet",
            container_label_com_docker_compose_service="web", cpu="total") >= 0)
        host.await_that("its line arrived", lambda: receiver.lines(container) == ["from disk"])


class Losing(Chain):
    """What must not be lost."""

    def test_many_lines_through_kills_and_outages(self):
        count = int(os.environ.get("TALLYMAN_TEST_LINES", "100000"))
        seed = int(os.environ.get("TALLYMAN_TEST_SEED", str(random.randrange(1 << 32))))
        dice = random.Random(seed)
        self.notes.append(f"seed {seed}")
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        # About ten seconds of writing, so that the kills fall into it.
        script = (f"i=0; while [ $i -lt {count} ]; do echo $i 'the line \"with\" \\ and \t tab'; "
                  f"i=$((i+1)); [ $((i % {count // 100})) = 0 ] && sleep 0.1; done; "
                  "echo the end")
        container = self.container("writer", script)
        for kill in range(10):
            if kill in (3, 6):
                receiver.program.kill()
            self.pause(dice.uniform(0.1, 1.2))
            agent.kill()
            if kill in (4, 7):
                receiver.start()
            agent.start()
        host.await_that("the writer is done", lambda: self.engine.inspect(
            container)["State"]["Status"] == "exited", 180)
        host.await_that("the last line", lambda: "the end" in receiver.lines(container), 120)
        agent.stop()
        receiver.stop()
        lines = receiver.lines(container)
        expected = [f"{i} the line \"with\" \\ and \t tab" for i in range(count)] + ["the end"]
        self.assertEqual(sorted(set(lines)), sorted(expected))
        firsts = list(dict.fromkeys(lines))
        self.assertEqual(firsts, expected, "in order, repeats apart")
        self.notes.append(f"{len(lines) - len(expected)} repeats of {len(expected)} lines")

    def test_short_lived_and_removed_containers(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        containers = []
        for number in range(20):
            containers.append(self.engine.run(f"brief-{number}", f"echo brief {number}; echo bye",
                                              HostConfig={"AutoRemove": True,
                                                          "NetworkMode": "none"}))
        for number, container in enumerate(containers):
            host.await_that(f"both lines of container {number}",
                            lambda c=container, n=number: receiver.lines(c) ==
                            [f"brief {n}", "bye"])
        host.await_that("none of them is shown any more", lambda: not any(
            dict(labels).get("name", "").startswith("brief-") for _, labels in agent.metrics()))

    def test_the_receiver_is_away_and_nothing_is_dropped(self):
        agent = self.agent(forward=f"127.0.0.1:{(port := host.free_port())}").start()
        lines = 30000
        text = "x" * 600
        container = self.container("waiting", f"i=0; while [ $i -lt {lines} ]; do "
                                   f"echo $i {text}; i=$((i+1)); done")
        self.assertEqual(self.engine.wait(container), 0)
        self.engine.remove(container)  # the descriptor that the agent holds is all that is left
        receiver = self.receiver(port)
        host.await_that("all lines", lambda: len(receiver.lines(container)) >= lines)
        self.assertEqual(receiver.lines(container), [f"{i} {text}" for i in range(lines)])


class Hostile(Chain):
    def test_labels_names_and_bytes(self):
        receiver = self.receiver()
        agent = self.agent(SANITIZED, forward=receiver.address,
                           collect={"interval": "1s", "labels": ["*"]}).start()
        labels = {"quote\"d": "va\"lue", "back\\slash": "a\\b", "line\nbreak": "one\ntwo",
                  "": "empty key", "utf": "\u2028 \U0001f433", "control": "\x01\x7f\x1b[31m",
                  "com.docker.compose.project": "p}\n# HELP x\nfake 1", "long": "x" * 100000,
                  "a.b": "first", "a-b": "second", "a_b": "third"}
        big = 1 << 20
        container = self.container(
            "ho.sti-le_" + "n" * 200,
            r"printf 'ctrl \001\002\033[31m tab\t quote\042 back\\slash\n'; "
            r"printf 'bad \377\376 \303\050 utf\n'; printf 'nul \000 byte\n'; printf '\n'; "
            f"head -c {big} /dev/zero | tr '\\0' y; echo; "
            f"head -c {16384} /dev/zero | tr '\\0' z; echo; "
            "echo '{\"log\":\"not\\n\",\"stream\":\"a trick\"}'; printf 'no newline'",
            Labels=labels)
        self.engine.wait(container)
        host.await_that("the last piece", lambda: "no newline" in receiver.lines(container))
        lines = receiver.lines(container)
        self.assertEqual(lines[0], 'ctrl \x01\x02\x1b[31m tab\t quote" back\\slash')
        self.assertEqual(lines[1], "bad \ufffd\ufffd \ufffd( utf")
        self.assertEqual(lines[2], "nul \x00 byte")
        self.assertEqual(lines[3], "")
        self.assertEqual("".join(line for line in lines if line.startswith("y")), "y" * big)
        self.assertIn("z" * 16384, lines)
        self.assertEqual(lines[-2:], ['{"log":"not\\n","stream":"a trick"}', "no newline"])
        prometheus = host.Prometheus(self.directory, agent.port)
        self.addCleanup(prometheus.stop)
        host.await_that("Prometheus scraped it", lambda: prometheus.query("up == 1"))
        rows = prometheus.query('container_state{state="exited"} == 1')
        row = next(labels for labels, _ in rows if labels["name"].startswith("ho.sti-le"))
        self.assertEqual(row["container_label_back_slash"], "a\\b")
        self.assertEqual(row["container_label_line_break"], "one\ntwo")
        self.assertIn(row["container_label_a_b"], ("first", "second", "third"))
        counts = prometheus.query("scrape_samples_scraped")
        host.await_that("no sample was refused", lambda: counts and prometheus.query(
            "scrape_samples_scraped == scrape_samples_post_metric_relabeling"))


class Lasting(Chain):
    def test_starts_and_stops_leave_nothing_behind(self):
        """Descriptors and memory stay level while containers come and go."""
        rounds = int(os.environ.get("TALLYMAN_TEST_STARTS", "400"))
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        made = [self.engine.create(f"churn-{i}", f"echo round of {i}") for i in range(4)]
        for container in made:
            self.addCleanup(self.engine.remove, container)
        warm_up = max(rounds // 5, 4)
        self.churn(made, warm_up)
        before = self.footprint(agent)
        self.churn(made, rounds - warm_up)
        after = self.footprint(agent)
        self.notes.append(f"{rounds} starts: descriptors {before[0]} to {after[0]}, "
                          f"resident {before[1]} to {after[1]} KiB")
        self.assertLessEqual(after[0], before[0] + 4)
        self.assertLessEqual(after[1], before[1] + 2048)
        arrived = host.await_that("every line", lambda: len(receiver.records()) and sum(
            len(receiver.lines(container)) for container in made) == rounds and True)
        self.assertTrue(arrived)

    def churn(self, containers, times):
        workers = [threading.Thread(target=self.start_and_wait,
                                    args=(container, times // len(containers) +
                                          (n < times % len(containers))))
                   for n, container in enumerate(containers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def start_and_wait(self, container, times):
        for _ in range(times):
            self.engine.post(f"/containers/{container}/start")
            self.engine.wait(container)

    @staticmethod
    def footprint(agent):
        """Open descriptors and resident KiB once the agent has come to rest."""
        def settled():
            process = pathlib.Path(f"/proc/{agent.program.pid}")
            return (len(list((process / "fd").iterdir())),
                    int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())[1]))
        agent.metrics()
        last = [settled()]

        def level():
            agent.metrics()
            now = settled()
            same, last[0] = now[0] == last[0][0], now
            return same and now
        return host.await_that("the descriptors are level", level)


class Asking(Chain):
    def test_only_reading_requests_reach_the_engine(self):
        recorder = proxy.Recorder(str(self.directory / "proxy.sock"), self.engine.socket)
        self.addCleanup(recorder.stop)
        agent = host.Agent(BINARY, self.directory, self.engine,
                           docker={"host": f"unix://{recorder.path}",
                                   "data_root": str(self.engine.data_root)})
        self.addCleanup(self.end, agent)
        agent.start()
        container = self.container("watched", "exec sleep 1000")
        host.await_that("seen", lambda: agent.value("container_state", name="watched",
                                                    state="running") == 1)
        before = len(recorder.requests)
        for _ in range(20):
            agent.metrics()
        self.engine.post(f"/containers/{container}/restart?t=0")
        self.engine.remove(container)
        host.await_that("gone", lambda: not agent.values("container_state", name="watched"))
        self.assertGreater(before, 0)
        self.assertEqual({method for method, _ in recorder.requests} - {"GET", "HEAD"}, set())
        self.assertFalse([path for _, path in recorder.requests if "/stats" in path])
        self.notes.append(f"{len(recorder.requests)} requests")

    def test_a_proxy_that_forbids_endpoints(self):
        """As a socket proxy does: 403 with a page of HTML. What it forbids is absent or found out
        otherwise; all else goes on."""
        recorder = proxy.Recorder(str(self.directory / "proxy.sock"), self.engine.socket,
                                  deny="/events|/info|/version")
        self.addCleanup(recorder.stop)
        receiver = self.receiver()
        agent = self.agent(SANITIZED, forward=receiver.address,
                           docker={"host": f"unix://{recorder.path}",
                                   "data_root": str(self.engine.data_root)}).start()
        container = self.container("shielded", "echo shielded; exec sleep 1000")
        host.await_that("it is listed at intervals", lambda: agent.value(
            "container_state", name="shielded", state="running") == 1)
        self.engine.post(f"/containers/{container}/kill")
        host.await_that("its end is seen", lambda: agent.value(
            "container_state", name="shielded", state="exited") == 1)
        host.await_that("its line", lambda: receiver.lines(container) == ["shielded"])
        self.assertGreater(agent.value("container_exit_code", name="shielded"), 0)

    def test_valgrind_finds_nothing(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address)
        agent.start(["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite",
                     "--error-exitcode=99"])
        container = self.container("careful", "for i in 1 2 3; do echo $i; done")
        host.await_that("its lines", lambda: receiver.lines(container) == ["1", "2", "3"])
        agent.metrics()
        self.engine.remove(container)
        host.await_that("gone", lambda: not agent.values("container_state", name="careful"))
        self.assertEqual(agent.program.stop(60), 0, agent.program.said()[-4000:])
