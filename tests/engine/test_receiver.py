"""Docker's own fluentd log driver as the client of the agent's receiver.
"""

import host
from test_chain import Chain


# A bound against hanging: each line may wait for a disk that others keep busy.
SECONDS_MAX = 240


class Driver(Chain):
    LINES = 2000

    def start(self, **receiver):
        self.sink = self.receiver()
        self.port = host.free_port()
        self.local = self.directory / "in.sock"
        self.agent_ = self.agent(forward=self.sink.address, receiver={
            "listen": [f"127.0.0.1:{self.port}", f"unix://{self.local}"], **receiver}).start()

    def log_config(self, **options):
        config = {"fluentd-address": f"127.0.0.1:{self.port}", "tag": "app.{{.Name}}", **options}
        return {"LogConfig": {"Type": "fluentd", "Config": config}}

    def logger(self, name, then="", **options):
        script = (f"i=0; while [ $i -lt {self.LINES} ]; do echo \"{name} $i\"; i=$((i+1)); done; "
                  f"{then}")
        return self.container(name, script, HostConfig=self.log_config(**options))

    def assert_all_arrived(self, container, name):
        host.await_that(f"all lines of {name} arrived",
                        lambda: len(self.sink.lines(container)) >= self.LINES, SECONDS_MAX)
        self.assertEqual(self.sink.lines(container), [f"{name} {i}" for i in range(self.LINES)])
        self.assertEqual({row["tag"] for row in self.sink.records(container)}, {f"app.{name}"})

    def test_with_and_without_answers_at_once_and_by_and_by(self):
        """Two things are the driver's own (seen in engine 20.10): writing by itself (async), it
        throws away what it has queued when the container ends, so that one lives on; and asking for
        answers without that, its two streams take each other's, so that only one is written to."""
        self.start()
        ways = {
            "plain": ("echo oops >&2", {}),
            "asking": ("", {"fluentd-request-ack": "true",
                            "fluentd-sub-second-precision": "true"}),
            "async": ("echo oops >&2; exec sleep 1000",
                      {"fluentd-async": "true", "fluentd-request-ack": "true"}),
            "local": ("", {"fluentd-address": f"unix://{self.local}",
                           "fluentd-request-ack": "true"}),
        }
        for name, (then, options) in ways.items():
            with self.subTest(name):
                container = self.logger(name, then, **options)
                self.assert_all_arrived(container, name)
                if "oops" in then:
                    host.await_that("the other stream arrived", lambda: self.sink.lines(
                        container, "stderr") == ["oops"])
        self.assertEqual(self.agent_.value("tallyman_receiver_records_dropped_total"), 0)

    def test_killed_while_a_container_asks_for_answers(self):
        """What the driver has no answer for it sends again, and the agent what it has none for:
        nothing is lost, and some may come twice."""
        self.start()
        container = self.container("steady", "i=0; while [ $i -lt 3000 ]; do echo $i; "
                                   "i=$((i+1)); done; exec sleep 1000",
                                   HostConfig=self.log_config(**{"fluentd-request-ack": "true"}))
        for turn in range(1, 4):
            host.await_that("some more arrived",
                            lambda: len(self.sink.lines(container)) >= turn * 300)
            self.agent_.kill()
            self.agent_.start()
        host.await_that("the last one arrived", lambda: "2999" in self.sink.lines(container))
        lines = [int(line) for line in self.sink.lines(container)]
        self.assertEqual(sorted(set(lines)), list(range(3000)))
        repeats = len(lines) - 3000
        self.notes.append(f"{repeats} lines came twice")

    def test_nobody_to_send_to_for_a_while(self):
        """The container neither waits nor stops while the destination is away."""
        self.start()
        self.sink.stop()
        container = self.logger("patient", **{"fluentd-request-ack": "true"})
        self.assertEqual(self.engine.wait(container), 0)
        self.sink.start()
        self.assert_all_arrived(container, "patient")

    def test_pieces_of_long_lines(self):
        self.start()
        container = self.container("long", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo end",
                                   HostConfig=self.log_config())
        self.engine.wait(container)
        host.await_that("the end arrived", lambda: "end" in self.sink.lines(container))
        rows = [row["record"] for row in self.sink.records(container)]
        self.assertEqual("".join(row["log"] for row in rows[:-1]), "x" * 40000)
        self.assertEqual([row["partial_ordinal"] for row in rows[:-1]], ["1", "2", "3"])
