"""Docker's json-file driver as operators set it up: two files of a megabyte, compressed, and
containers that write as fast as they can. The agent holds open what it has seen; what the engine destroys before
anybody could see it, most of all while the agent is killed, is counted."""

import random

import host
from test_chain import Chain

OPTIONS = {"max-size": "1m", "max-file": "2", "compress": "true"}
COUNT = 150000
TEXT = "x" * 120


class Rotation(Chain):
    def busy(self, name):
        script = f"awk 'BEGIN {{ for (i = 1; i <= {COUNT}; i++) print i, \"{TEXT}\" }}'; echo the end"
        return self.container(name, script, HostConfig={
            "NetworkMode": "none", "LogConfig": {"Type": "json-file", "Config": OPTIONS}})

    def await_the_end(self, receiver, container):
        host.await_that("the last line", lambda: "the end" in receiver.lines(container)[-3:], 180)

    def numbers(self, receiver, container):
        """Of the lines that came, each once; all unaltered and in the order of their writing."""
        lines = receiver.lines(container)
        numbers = [int(line.split()[0]) for line in lines if line.endswith(f" {TEXT}")]
        altered = {line for line in lines if not line.endswith(f" {TEXT}")}
        self.assertEqual(altered, {"the end"}, "unaltered, and the end")
        firsts = list(dict.fromkeys(numbers))
        self.assertEqual(firsts, sorted(firsts), "in order, repeats apart")
        return numbers, firsts

    def assert_counted(self, lost, gaps):
        """A file lives for two rotations: on a busy machine it may come and go between two looks."""
        if lost:
            self.assertGreater(gaps, 0, "what the engine destroyed is counted")
        self.notes.append(f"{lost} of {2 * COUNT} lines destroyed unread, {gaps:.0f} gaps counted")

    def test_full_speed(self):
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        lost = 0
        for container in [self.busy(f"full-{number}") for number in range(2)]:
            self.await_the_end(receiver, container)
            numbers, firsts = self.numbers(receiver, container)
            self.assertEqual(numbers, firsts, "nothing comes twice")
            lost += COUNT - len(firsts)
        self.assert_counted(lost, sum(agent.values("tallyman_logs_gaps_total")))

    def test_kills_at_full_speed(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        receiver = self.receiver()
        agent = self.agent(forward=receiver.address).start()
        made = [self.busy(f"killed-{number}") for number in range(2)]
        gaps = 0
        for _ in range(4):
            self.pause(dice.uniform(0.1, 0.4))
            agent.kill()
            agent.start()
            gaps += sum(agent.values("tallyman_logs_gaps_total"))
        for container in made:
            self.await_the_end(receiver, container)
        gaps += sum(agent.values("tallyman_logs_gaps_total"))
        lost = sum(COUNT - len(self.numbers(receiver, container)[1]) for container in made)
        self.notes.append(f"seed {seed}")
        self.assert_counted(lost, gaps)
