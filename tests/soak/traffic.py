"""What happens on a busy host, for as long as wanted: containers that write, are killed, renamed and
replaced, live for a moment, change their health; commands run in them; receivers that die or fall
silent; an agent that is killed. Each kind of deed has a thread and dice of its own, so that one seed
makes the same plan (not the same moments: the engine has its own pace).
"""

import random
import re
import signal
import threading
import time

import host

JSON = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3"}}
COMPRESSED = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "3",
                                              "compress": "true"}}
LOCAL = {"Type": "local", "Config": {"max-size": "1m", "max-file": "3"}}
TEXTS = ('GET /index.html HTTP/1.1" 200 5316 "-" "Mozilla/5.0 (X11; Linux x86_64)"',
         '{"level":"info","msg":"request\\tdone","path":"C:\\\\temp","took":"1.5ms"}',
         "Ein Zähler zählt Container am Kai, 数える, считает; " + "x" * 300,
         "short", "at org.example.Main.main(Main.java:17) " + "y" * 120)
BATCHES_PER_SECOND = 2
GONE = (200, 204, 304, 404, 409, 500)  # what may be answered about a container under way elsewhere
BRIEF_LINES = 20


def writing(lines, pause):
    """A shell script that writes batches of lines; its lives are counted in its own file system."""
    return ("life=$(($(cat /life 2>/dev/null || echo 0) + 1)); echo $life >/life; i=0; "
            f"while :; do n=0; while [ $n -lt {lines} ]; do n=$((n + 1)); i=$((i + 1)); "
            f"echo \"$life $i $TEXT\"; done; sleep {pause:.2f}; done")


class Writer:
    """A container that writes all the time. Killed, its last line is asked of the engine."""

    def __init__(self, engine, name, log, lines, ledgers, text):
        self.engine, self.name, self.log, self.lines = engine, name, log, lines
        self.ledgers, self.text = ledgers, text
        self.lock = threading.Lock()
        self.container, self.life = None, 0

    def make(self):
        script = writing(self.lines, 1 / BATCHES_PER_SECOND)
        self.container = self.engine.create(self.name, script, Env=[f"TEXT={self.text}"],
                                            HostConfig={"LogConfig": self.log})
        self.life = 0
        for ledger in self.ledgers:
            ledger.open(self.container, self.text)
        self.start()

    def start(self):
        self.life += 1
        self.engine.post(f"/containers/{self.container}/start")

    def last_line(self):
        """(life, number) of the newest line that the engine has, or None."""
        said = self.engine.get(f"/containers/{self.container}/logs?stdout=1&tail=1&timestamps=1")
        found = re.search(r"Z (\d+) (\d+) ", said)
        return found and (int(found[1]), int(found[2]))

    def kill(self):
        """Ends this life, once it has written something, and enters how far it came."""
        def has_written():
            last = self.last_line()
            return last and last[0] == self.life
        host.await_that(f"{self.name} has written", has_written, pace=0.2)
        self.engine.post(f"/containers/{self.container}/kill")
        host.await_that(f"{self.name} has ended", lambda: self.engine.inspect(
            self.container)["State"]["Status"] == "exited", pace=0.1)
        life, number = self.last_line()
        for ledger in self.ledgers:
            ledger.ended(self.container, life, number)


class Deed(threading.Thread):
    """Does something again and again, with a pause of its own dice between. What goes wrong is kept
    and ends the whole soak: the rest would be about something else."""

    def __init__(self, name, stop, seed, seconds, action):
        super().__init__(name=name, daemon=True)
        self.stop, self.dice = stop, random.Random(f"{seed} {name}")
        self.seconds, self.action = seconds, action
        self.done, self.problem = 0, None

    def run(self):
        while not self.stop.wait(self.dice.uniform(*self.seconds)):
            try:
                self.action(self.dice)
                self.done += 1
            except Exception as error:  # pylint: disable=broad-except # it is told at the end
                self.problem = f"{self.name}: {type(error).__name__}: {error}"
                self.stop.set()


class Traffic:
    """All deeds together. `steady` and `killed` are the two chains (run.py), each an agent with its
    receiver and ledger; only the first takes records from the engine's fluentd driver, and only it is
    held to lines of containers that vanish at once: an agent that is dead cannot hold a file."""

    def __init__(self, engine, steady, killed, seed, lines_per_second):
        self.engine, self.steady, self.killed, self.seed = engine, steady, killed, seed
        self.stop_event = threading.Event()
        self.started = time.monotonic()
        self.away, self.kills = [], []  # spans of outages of the steady chain; moments of kills
        self.waiting = []  # containers whose lines are awaited before they are removed
        self.brief = self.renamed = 0
        fluentd = {"Type": "fluentd", "Config": {"fluentd-address": steady.intake,
                                                 "fluentd-request-ack": "true"}}
        drivers = [JSON, COMPRESSED, LOCAL, JSON, LOCAL, fluentd]
        lines = max(lines_per_second // (BATCHES_PER_SECOND * len(drivers)), 1)
        self.writers = [Writer(engine, f"writer-{number}", log, lines,
                               [steady.ledger] if log is fluentd else self.ledgers(),
                               TEXTS[number % len(TEXTS)]) for number, log in enumerate(drivers)]
        self.patients = []
        self.deeds = [self.deed("lives", (4, 10), self.end_a_life),
                      self.deed("brief containers", (1, 3), self.run_briefly),
                      self.deed("names", (5, 10), self.rename),
                      self.deed("health", (3, 6), self.change_health),
                      self.deed("commands", (1, 4), self.execute),
                      self.deed("removals", (0.5, 1), self.remove_what_is_done),
                      self.deed("outages", (30, 90), self.outage),
                      self.deed("kills of the agent", (30, 60), self.kill_agent)]

    def ledgers(self):
        return [self.steady.ledger, self.killed.ledger]

    def deed(self, name, seconds, action):
        return Deed(name, self.stop_event, self.seed, seconds, action)

    def now(self):
        return time.monotonic() - self.started

    def start(self):
        for writer in self.writers:
            writer.make()
        for number in range(2):
            check = {"Test": ["CMD-SHELL", "test -e /tmp/well"], "Interval": 10 ** 9, "Retries": 1}
            self.patients.append(self.engine.run(f"patient-{number}", "exec sleep 100000",
                                                 Healthcheck=check))
        for deed in self.deeds:
            deed.start()

    def stop(self):
        """Ends all deeds and all lives. What is still waiting is removed by the engine's end."""
        self.stop_event.set()
        for deed in self.deeds:
            deed.join()
        for chain in (self.steady, self.killed):
            chain.peer.resume()
        for writer in self.writers:
            writer.kill()

    def problems(self):
        return [deed.problem for deed in self.deeds if deed.problem]

    def end_a_life(self, dice):
        """Kills a writer; it gets another life, or another container takes its place once all of it
        has arrived everywhere."""
        place = dice.randrange(len(self.writers))
        writer = self.writers[place]
        with writer.lock:
            writer.kill()
            if dice.random() < 0.6:
                writer.start()
                return
            self.waiting.append((writer.container, writer.ledgers))
            writer.name = f"{writer.name.split('.', 1)[0]}.{writer.container[:6]}"
            writer.make()

    def run_briefly(self, dice):
        """Every other vanishes by itself, the rest when all lines have arrived."""
        self.brief += 1
        vanishes = dice.random() < 0.5
        ledgers = [self.steady.ledger] if vanishes else self.ledgers()
        text = dice.choice(TEXTS)
        container = self.engine.create(
            f"brief-{self.brief}", f"i=0; while [ $i -lt {BRIEF_LINES} ]; do i=$((i + 1)); "
            "echo \"1 $i $TEXT\"; done; sleep 1", Env=[f"TEXT={text}"],
            HostConfig={"AutoRemove": vanishes, "LogConfig": dice.choice((JSON, LOCAL))})
        for ledger in ledgers:
            ledger.open(container, text)
            ledger.ended(container, 1, BRIEF_LINES)
        self.engine.post(f"/containers/{container}/start")
        if not vanishes:
            self.waiting.append((container, ledgers))

    def remove_what_is_done(self, _dice):
        for entry in list(self.waiting):
            container, ledgers = entry
            if all(ledger.is_complete(container) for ledger in ledgers):
                self.engine.remove(container)
                self.waiting.remove(entry)

    def rename(self, dice):
        writer = dice.choice(self.writers)
        with writer.lock:
            self.renamed += 1
            name = f"{writer.name.split('.', 1)[0]}.renamed-{self.renamed}"
            self.engine.post(f"/containers/{writer.container}/rename?name={name}")
            writer.name = name

    def change_health(self, dice):
        command = dice.choice(("touch /tmp/well", "rm -f /tmp/well"))
        self.command_in(dice.choice(self.patients), command)

    def execute(self, dice):
        self.command_in(dice.choice(self.writers).container, "echo from a command; true")

    def command_in(self, container, command):
        made = self.engine.post(f"/containers/{container}/exec",
                                {"Cmd": ["sh", "-c", command], "AttachStdout": True}, ok=GONE + (201,))
        if "Id" in made:
            self.engine.post(f"/exec/{made['Id']}/start", {"Detach": False}, ok=GONE)

    def outage(self, dice):
        """A receiver dies and comes back, or falls silent with its connections open."""
        chain = dice.choice((self.steady, self.killed))
        kind = dice.choice(("receiver away", "receiver silent"))
        begun = self.now()
        if kind == "receiver away":
            chain.peer.kill()
        else:
            chain.peer.signal(signal.SIGSTOP)
        self.stop_event.wait(dice.uniform(2, 20))
        if kind == "receiver away":
            chain.peer.start()
        else:
            chain.peer.resume()
        if chain is self.steady:
            self.away.append((kind, begun, self.now()))

    def kill_agent(self, dice):
        self.kills.append(self.now())
        self.killed.agent.kill()
        self.stop_event.wait(dice.uniform(0, 2))
        self.killed.agent.start()
