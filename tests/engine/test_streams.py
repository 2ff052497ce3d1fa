"""Logs of drivers that send lines away and keep no file, on a real Docker engine: the engine has a
copy of its own, which its API reads, and the agent where it can see the engine's files.
"""

import json
import os
import random
import socket

import host
from test_chain import BINARY, SANITIZED, Chain
from test_drivers import octal


class Elsewhere(Chain):
    """Containers with --log-driver syslog, whose lines nobody listens to."""

    PIECE = 16384  # as Docker cuts lines

    @classmethod
    def setUpClass(cls):
        scratch = host.scratch()
        cls.root = scratch.__enter__()
        cls.addClassCleanup(scratch.__exit__, None, None, None)
        cls.engine = host.Engine(cls.root)
        cls.engine.start()
        cls.addClassCleanup(cls.engine.stop)
        cls.engine.import_busybox()
        cls.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        cls.addClassCleanup(cls.sink.close)
        cls.sink.bind(("127.0.0.1", 0))

    def syslog(self, name, script, start=True, host_config=None, options=None, **config):
        log = {"syslog-address": f"udp://127.0.0.1:{self.sink.getsockname()[1]}",
               **(options or {})}
        make = self.container if start else self.engine.create
        container = make(name, script, HostConfig={
            "NetworkMode": "none", "LogConfig": {"Type": "syslog", "Config": log},
            **(host_config or {})}, **config)
        if not start:
            self.addCleanup(self.engine.remove, container)
        return container

    def gaps(self, agent):
        return sum(agent.values("tallyman_logs_gaps_total"))

    @staticmethod
    def in_order(lines):
        return list(dict.fromkeys(lines))

    def await_kinds(self, receiver):
        """Lines of all kinds arrive unaltered."""
        any_byte = bytes(byte for byte in range(256) if byte != ord("\n"))
        long = 3 * self.PIECE + 77
        container = self.syslog(
            "kinds", f"printf '{octal(any_byte)}\\n'; echo; echo oops >&2; "
            f"head -c {long} /dev/zero | tr '\\0' '\\377'; echo; "
            f"head -c {self.PIECE} /dev/zero | tr '\\0' z; echo; "
            "printf 'no newline'")
        expected = [any_byte, b"", b"\xff" * long, b"z" * self.PIECE, b"no newline"]
        host.await_that("every line", lambda: len(receiver.lines(container)) >= len(expected))
        self.assertEqual([line.encode("utf-8", "surrogateescape")
                          for line in receiver.lines(container)], expected)
        self.assertEqual(receiver.lines(container, "stderr"), ["oops"])
        for row in receiver.records(container):
            self.assertEqual(row["record"]["container_name"], "/kinds")
            self.assertNotIn("partial_message", row["record"])

    def await_brief(self, receiver):
        """Containers that end at once and start again; they are removed afterwards."""
        containers = [self.syslog(f"brief-{number}", f"echo brief {number}; echo bye")
                      for number in range(10)]
        for number, container in enumerate(containers):
            host.await_that(f"both lines of container {number}",
                            lambda c=container, n=number: receiver.lines(c) ==
                            [f"brief {n}", "bye"])
        for _ in range(3):
            for container in containers:
                self.engine.post(f"/containers/{container}/start")
                self.engine.wait(container)
        for number, container in enumerate(containers):
            host.await_that(f"all lines of container {number}",
                            lambda c=container, n=number: receiver.lines(c) ==
                            [f"brief {n}", "bye"] * 4)
        for container in containers:
            self.engine.remove(container)


class Streams(Elsewhere):
    """The engine's files can't be seen: its API tells their lines."""

    def agent(self, *arguments, **settings):
        return super().agent(*arguments, **{
            "docker": {"data_root": str(self.directory / "nothing")}, **settings})

    def test_lines_of_all_kinds(self):
        receiver = self.receiver()
        agent = self.agent(SANITIZED, forward=receiver.address).start()
        self.await_kinds(receiver)
        self.assertEqual(self.gaps(agent), 0)
        self.assertGreater(agent.value("tallyman_docker_api_requests_total", endpoint="logs",
                                       code="200"), 0)
        host.await_that("nothing is read any more",
                        lambda: agent.value("tallyman_logs_api_streams") == 0)

    def test_a_terminal(self):
        receiver = self.receiver()
        self.agent(SANITIZED, forward=receiver.address).start()
        long = 2 * self.PIECE + 5
        container = self.syslog(
            "terminal", f"echo one; head -c {long} /dev/zero | tr '\\0' x; echo; echo; "
            "printf '$ '; test -e /again || sleep 1000", Tty=True)
        self.engine_says_started(container)
        expected = ["one\r", "x" * long + "\r", "\r"]
        host.await_that("every line", lambda: len(receiver.lines(container)) >= 3)
        self.assertEqual(receiver.lines(container), expected)
        # The prompt is a line of its own once its container has ended, and was seen to.
        self.engine.post(f"/containers/{container}/stop?t=0")
        host.await_that("the prompt", lambda: receiver.lines(container)[3:] == ["$ "])
        self.engine.post(f"/containers/{container}/start")
        host.await_that("the lines of both runs",
                        lambda: len(receiver.lines(container)) >= 7)
        self.assertEqual(receiver.lines(container), [*expected, "$ ", *expected])

    def engine_says_started(self, container):
        host.await_that("it runs", lambda: self.engine.inspect(container)["State"]["Running"])

    def test_short_lived_restarted_and_removed(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        self.await_brief(receiver)
        host.await_that("all are forgotten", lambda: agent.value("tallyman_logs_containers") == 0)
        self.assertEqual(self.gaps(agent), 0)

    def test_kills_and_restarts_with_two_destinations(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        self.notes.append(f"seed {seed}")
        count = 20000
        receivers = [self.receiver()]
        second = self.directory / "second"
        second.mkdir()
        receivers.append(host.Receiver(BINARY, second).start())
        self.addCleanup(receivers[1].stop)
        agent = self.agent()
        config = json.loads(agent.config.read_text())
        config["forward"] = [
            {"name": name, "servers": [receiver.address], "flush_interval": "100ms"}
            for name, receiver in zip(("one", "two"), receivers)]
        agent.config.write_text(json.dumps(config))
        agent.start()
        script = (f"i=0; while [ $i -lt {count} ]; do echo \"$i {'x' * 120}\"; "
                  f"echo \"$i err\" >&2; i=$((i+1)); "
                  f"[ $((i % {count // 100})) = 0 ] && sleep 0.1; done; echo the end")
        # The engine's copy holds it all, and no line is dropped on the way there.
        made = [self.syslog(f"busy-{i}", script, options={
            "mode": "blocking", "cache-max-size": "100m"}) for i in range(2)]
        for _ in range(4):
            self.pause(dice.uniform(0.2, 1.5))
            agent.kill()
            self.pause(dice.uniform(0, 0.5))
            agent.start()
        for container in made:
            for receiver in receivers:
                host.await_that("the last line", lambda c=container, r=receiver:
                                "the end" in r.lines(c), 120)
                lines = receiver.lines(container)
                expected = [f"{i} {'x' * 120}" for i in range(count)] + ["the end"]
                self.assertEqual(self.in_order(lines), expected)
                errors = receiver.lines(container, "stderr")
                self.assertEqual(self.in_order(errors), [f"{i} err" for i in range(count)])
                self.notes.append(f"{len(lines) - len(expected)} + {len(errors) - count} repeats "
                                  f"of {len(expected)} + {count} lines")
        self.assertEqual(self.gaps(agent), 0)

    def test_the_engine_restarts(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        container = self.syslog("again", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; "
                                "done", host_config={"RestartPolicy": {"Name": "always"}})
        host.await_that("some lines", lambda: len(receiver.lines(container)) > 20)
        self.engine.restart()
        host.await_that("lines of the next run", lambda: receiver.lines(container).count("line 5")
                        == 2)
        runs = " ".join(receiver.lines(container)).split("line 0 ")[1:]
        self.assertEqual(len(runs), 2)
        for run in runs:
            numbers = [int(word) for word in run.split() if word != "line"]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertEqual(self.gaps(agent), 0)

    def test_killed_and_started_again(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        container = self.syslog("socket", "echo one; sleep 1000")
        host.await_that("its line", lambda: receiver.lines(container) == ["one"])
        self.assertEqual(receiver.records(container)[0]["record"]["container_name"], "/socket")
        host.await_that("its answer", lambda: agent.values(
            "container_log_acknowledged_records_total", name="socket") == [1])
        agent.kill()
        self.engine.post(f"/containers/{container}/restart?t=0")
        agent.start()
        host.await_that("the line of the second run",
                        lambda: receiver.lines(container) == ["one", "one"])
        self.engine.remove(container)
        host.await_that("it is forgotten", lambda: agent.value("tallyman_logs_containers") == 0)

    def test_a_driver_that_cannot_be_read(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        container = self.syslog("mute", "while :; do echo x; sleep 0.01; done",
                                options={"cache-disabled": "true"})
        host.await_that("it is said", lambda: "the engine cannot read from it" in
                        agent.program.said())
        self.assertEqual(agent.value("tallyman_logs_api_unreadable"), 1)
        # Once for each start of the container, and maybe before the first.
        self.assertLessEqual(agent.value("tallyman_docker_api_requests_total", endpoint="logs",
                                         code="501"), 2)
        self.assertEqual(receiver.records(container), [])

    def test_a_receiver_that_is_away(self):
        """Nothing is read meanwhile, and nothing is lost that the engine still has."""
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address, **{"logs": {"from": "beginning"}}).start()
        container = self.syslog("patient", "echo first; sleep 1000")
        host.await_that("its line", lambda: receiver.lines(container) == ["first"])
        receiver.stop()
        count = 150000
        busy = self.syslog("busy", f"i=0; while [ $i -lt {count} ]; do "
                           f"echo \"$i {'x' * 100}\"; i=$((i+1)); done",
                           options={"mode": "blocking", "cache-max-size": "200m"})
        self.assertEqual(self.engine.wait(busy), 0)
        host.await_that("the stream is given up",
                        lambda: agent.value("tallyman_logs_api_streams") <= 1)
        receiver.start()
        host.await_that("every line", lambda: len(receiver.lines(busy)) >= count, 120)
        self.assertEqual(self.in_order(receiver.lines(busy)),
                         [f"{i} {'x' * 100}" for i in range(count)])
        self.assertEqual(self.gaps(agent), 0)


class Copies(Elsewhere):
    """The engine's files can be seen, its copy of what the driver sends away among them."""

    def assert_never_asked(self, agent):
        self.assertEqual(agent.values("tallyman_docker_api_requests_total", endpoint="logs"), [])

    def test_files_are_never_asked_for(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        made = [self.container(f"files-{driver}", "echo one; sleep 1000", HostConfig={
            "NetworkMode": "none", "LogConfig": {"Type": driver, "Config": {}}})
            for driver in ("json-file", "local", "none")]
        for container in made[:2]:
            host.await_that("its line", lambda c=container: receiver.lines(c) == ["one"])
        self.assertEqual(agent.values("tallyman_docker_api_requests_total", endpoint="logs"), [])

    def test_lines_of_all_kinds(self):
        receiver = self.receiver()
        agent = self.agent(SANITIZED, forward=receiver.address).start()
        self.await_kinds(receiver)
        self.assertEqual(self.gaps(agent), 0)
        self.assert_never_asked(agent)
        host.await_that("the lag is known", lambda: agent.values(
            "container_log_lag_bytes", name="kinds") == [0])

    def test_short_lived_restarted_and_removed(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        self.await_brief(receiver)
        host.await_that("all are forgotten", lambda: agent.value("tallyman_logs_containers") == 0)
        self.assertEqual(self.gaps(agent), 0)
        self.assert_never_asked(agent)

    def test_gone_before_the_next_look(self):
        receiver = self.receiver()
        self.agent(forward=receiver.address).start()
        containers = [self.syslog(f"gone-{number}", f"echo gone {number}",
                                  host_config={"AutoRemove": True}) for number in range(10)]
        for number, container in enumerate(containers):
            host.await_that(f"the line of container {number}",
                            lambda c=container, n=number: receiver.lines(c) == [f"gone {n}"])

    def test_rotation_and_compression_through_kills(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        self.notes.append(f"seed {seed}")
        count = 250000  # the copy rotates at 20 MB, whatever is asked for (seen in engine 20.10)
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        script = (f"awk 'BEGIN {{ for (i = 0; i < {count}; i++) print i, \"{'x' * 180}\" }}'; "
                  "echo the end")
        container = self.syslog("busy", script, options={"mode": "blocking"})
        for _ in range(5):
            self.pause(dice.uniform(0.1, 0.8))
            agent.kill()
            self.pause(dice.uniform(0, 0.4))
            agent.start()
        host.await_that("the last line", lambda: "the end" in receiver.lines(container), 120)
        names = sorted(os.listdir(self.engine.data_root / "containers" / container))
        self.assertIn("container-cached.log.2.gz", names)
        lines = receiver.lines(container)
        self.assertEqual(self.in_order(lines),
                         [f"{i} {'x' * 180}" for i in range(count)] + ["the end"])
        self.notes.append(f"{len(lines) - count - 1} repeats of {count} lines")
        self.assert_never_asked(agent)

    def test_without_the_engines_api(self):
        receiver = self.receiver()
        self.agent(forward=receiver.address, docker={"host": ""}).start()
        container = self.syslog("mute", "echo one; sleep 1000")
        host.await_that("its line", lambda: receiver.lines(container) == ["one"])

    def test_of_the_fluentd_driver_only_where_that_is_asked_for(self):
        """Its lines are with a receiver already, which may well send them to the same place."""
        folder = self.directory / "other"
        folder.mkdir()
        other = host.Receiver(BINARY, folder).start()
        self.addCleanup(other.stop)
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        container = self.container("shipped", "echo one; sleep 1000", HostConfig={
            "NetworkMode": "none",
            "LogConfig": {"Type": "fluentd", "Config": {"fluentd-address": other.address}}})
        host.await_that("the driver's line", lambda: other.lines(container) == ["one"])
        later = self.syslog("later", "echo two")
        host.await_that("a later line", lambda: receiver.lines(later) == ["two"])
        self.assertEqual(receiver.records(container), [])
        agent.stop()
        config = json.loads(agent.config.read_text())
        config["logs"]["api_except"] = []
        agent.config.write_text(json.dumps(config))
        agent.start()
        host.await_that("the copy's line", lambda: receiver.lines(container) == ["one"])
        self.assertEqual(receiver.lines(later), ["two"])
        self.assert_never_asked(agent)

    def test_what_began_as_a_stream_stays_one(self):
        """A place in the engine's stream is none in its file: nothing comes twice."""
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address,
                           docker={"data_root": str(self.directory / "nothing")}).start()
        container = self.syslog("moved", "echo one; until test -e /go; do sleep 0.1; done; "
                                "echo two; sleep 1000")
        host.await_that("its line", lambda: receiver.lines(container) == ["one"])
        host.await_that("its answer", lambda: agent.values(
            "container_log_acknowledged_records_total", name="moved") == [1])
        agent.stop()
        config = json.loads(agent.config.read_text())
        config["docker"]["data_root"] = str(self.engine.data_root)
        agent.config.write_text(json.dumps(config))
        agent.start()
        self.exec_in(container, "touch", "/go")
        host.await_that("the next one", lambda: receiver.lines(container)[1:] == ["two"])
        self.assertEqual(self.gaps(agent), 0)
        self.assertGreater(agent.value("tallyman_docker_api_requests_total", endpoint="logs",
                                       code="200"), 0)
