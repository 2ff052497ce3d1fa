"""Log drivers other than json-file, on a real Docker engine: the `local` driver's files, read from
disk, whose format only the engine itself defines.
"""

import json
import random

import host
from test_chain import SANITIZED, Chain


def octal(text):
    """For the shell's printf."""
    return "".join(f"\\{byte:03o}" for byte in text)


class Local(Chain):
    """Containers with --log-driver local."""

    # Any byte but the newline, in an order that no UTF-8 has.
    BYTES = bytes(byte for byte in range(256) if byte != ord("\n"))
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

    def local(self, name, script, **options):
        return self.container(name, script, HostConfig={
            "NetworkMode": "none", "LogConfig": {"Type": "local", "Config": options}})

    def files(self, container):
        folder = self.engine.data_root / "containers" / container / "local-logs"
        return sorted(path.name for path in folder.iterdir())

    @staticmethod
    def bytes_of(receiver, container, source="stdout"):
        return [line.encode("utf-8", "surrogateescape")
                for line in receiver.lines(container, source)]

    def test_bytes_long_lines_and_a_line_without_an_end(self):
        receiver = self.receiver()
        self.agent(SANITIZED, forward=receiver.address).start()
        long = 3 * self.PIECE + 77
        container = self.local(
            "bytes", f"printf '{octal(self.BYTES)}\\n'; echo; echo oops >&2; "
            f"head -c {long} /dev/zero | tr '\\0' '\\377'; echo; "
            f"head -c {self.PIECE} /dev/zero | tr '\\0' z; echo; "
            "printf 'no newline'")
        expected = [self.BYTES, b"", b"\xff" * long, b"z" * self.PIECE, b"no newline"]
        host.await_that("every line", lambda: len(receiver.lines(container)) >= len(expected))
        self.assertEqual(self.bytes_of(receiver, container), expected)
        self.assertEqual(self.bytes_of(receiver, container, "stderr"), [b"oops"])
        for row in receiver.records(container):
            self.assertEqual(row["record"]["container_name"], "/bytes")
            self.assertNotIn("partial_message", row["record"])
        self.assertEqual(self.files(container), ["container.log"])

    def test_two_busy_containers_rotate_and_compress_through_kills(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        self.notes.append(f"seed {seed}")
        count = 30000
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        text = b"\xc3(\x00\x01" + b"x" * 180
        # Less in all than what the engine keeps: nothing is lost, whatever the kills fall on.
        script = (f"text=$(printf '{octal(text.replace(bytes(1), b''))}'); i=0; "
                  f"while [ $i -lt {count} ]; do echo \"$i $text\"; i=$((i+1)); "
                  f"[ $((i % {count // 50})) = 0 ] && sleep 0.05; done; echo the end")
        options = {"max-size": "500k", "max-file": "20", "compress": "true"}
        made = [self.local(f"busy-{i}", script, **options) for i in range(2)]
        for _ in range(5):
            self.pause(dice.uniform(0.1, 0.8))
            agent.kill()
            self.pause(dice.uniform(0, 0.4))
            agent.start()
        expected = [b"%d %s" % (i, text.replace(b"\x00", b"")) for i in range(count)] + [b"the end"]
        for container in made:
            host.await_that("the last line", lambda c=container: "the end" in receiver.lines(c),
                            120)
            self.assertTrue([name for name in self.files(container) if name.endswith(".gz")])
            lines = self.bytes_of(receiver, container)
            self.assertEqual(list(dict.fromkeys(lines)), expected, "in order, repeats apart")
            self.notes.append(f"{len(lines) - len(expected)} repeats of {len(expected)} lines")

    def test_short_lived_and_removed_containers(self):
        receiver = self.receiver()
        self.agent(forward=receiver.address).start()
        containers = []
        for number in range(10):
            containers.append(self.engine.run(
                f"brief-{number}", f"echo brief {number}; echo bye",
                HostConfig={"AutoRemove": True, "NetworkMode": "none",
                            "LogConfig": {"Type": "local", "Config": {}}}))
        for number, container in enumerate(containers):
            host.await_that(f"both lines of container {number}",
                            lambda c=container, n=number: receiver.lines(c) ==
                            [f"brief {n}", "bye"])

    def test_a_data_root_of_which_only_the_engine_tells(self):
        receiver = self.receiver()
        agent = self.agent(SANITIZED, forward=receiver.address, logs={"from": "now"})
        config = json.loads(agent.config.read_text())
        del config["docker"]["data_root"]
        agent.config.write_text(json.dumps(config))
        old = self.local("old", "echo history; until test -e /go; do sleep 0.1; done; echo news")
        host.await_that("its first line is written", lambda: self.engine.get(
            f"/containers/{old}/logs?stdout=1").count("history") == 1)
        agent.start()
        young = self.local("young", "echo first; echo second; sleep 1000")
        brief = self.engine.run("brief", "echo hardly there", HostConfig={
            "AutoRemove": True, "NetworkMode": "none", "LogConfig": {"Type": "local", "Config": {}}})
        host.await_that("lines of new containers", lambda: receiver.lines(young) ==
                        ["first", "second"] and receiver.lines(brief) == ["hardly there"])
        self.exec_in(old, "touch", "/go")
        host.await_that("what the old one says now", lambda: receiver.lines(old) == ["news"])
        self.assertIn(f"the engine's data is in {self.engine.data_root}", agent.program.said())

    def test_the_engine_dies_within_an_entry(self):
        """Half of an entry, and zeros, as a crash leaves them, cost none of what comes later."""
        receiver = self.receiver()
        agent = self.agent(SANITIZED, forward=receiver.address).start()
        container = self.local("torn", "echo first; sleep 1000")
        host.await_that("the first line", lambda: receiver.lines(container) == ["first"])
        self.engine.request("POST", f"/containers/{container}/kill")
        self.engine.wait(container)
        log = (self.engine.data_root / "containers" / container / "local-logs" / "container.log")
        whole = log.read_bytes()
        with open(log, "ab") as file:
            file.write(whole[:len(whole) // 2] + bytes(100))
        self.engine.post(f"/containers/{container}/start")
        host.await_that("the line behind it", lambda: receiver.lines(container) ==
                        ["first", "first"])
        self.assertGreater(agent.value("tallyman_logs_malformed_lines_total", destination="test"),
                           0)
