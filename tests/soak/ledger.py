"""What was written and what arrived: the books of a soak.

Every judged line is `LIFE NUMBER TEXT`: LIFE counts the starts of its container, NUMBER the lines
since that start, TEXT is the container's own. So a line that is missing, altered or out of order
shows itself when the next one comes, and one that comes twice is told from one that is new.
"""

import collections
import datetime
import threading
import time

PROBLEMS_KEPT = 20


class Account:
    """One container's lines at one receiver."""

    def __init__(self, text):
        self.text = text
        self.life, self.number = 1, 0  # of the newest line that has come
        self.reached = {}  # life -> number of its last line
        self.written = {}  # the same, as the engine has it, of lives that have ended
        self.lines = self.repeats = 0

    def take(self, line):
        """Enters a line; what is wrong with it, or None."""
        life, number, text = (line.split(" ", 2) + ["", ""])[:3]
        if text != self.text or not life.isdigit() or not number.isdigit():
            return f"altered: {line[:120]!r}"
        place = int(life), int(number)
        self.lines += 1
        if place <= (self.life, self.number):
            self.repeats += 1
            return None
        due = (self.life, self.number + 1) if place[0] == self.life else (self.life + 1, 1)
        before = self.life, self.number
        self.life, self.number = place
        self.reached[place[0]] = place[1]
        return None if place == due else f"{place} came after {before}"

    def lacking(self):
        """The lives of which lines are missing: {life: (last that came, last that was written)}."""
        return {life: (self.reached.get(life, 0), last) for life, last in self.written.items()
                if self.reached.get(life, 0) < last}


class Ledger:
    """All accounts of one receiver. Lines of containers that it does not know are not judged."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.accounts = {}
        self.problems = collections.deque(maxlen=PROBLEMS_KEPT)
        self.wrong = 0
        self.oldest = None  # of the lines that came since the delay was last asked for:
        self.came = 0.0  # the time of the oldest, as text, and when it came

    def open(self, container, text):
        with self.lock:
            self.accounts[container] = Account(text)

    def ended(self, container, life, last):
        """The engine says that this life of the container ended with this line."""
        with self.lock:
            if container in self.accounts:
                self.accounts[container].written[life] = last

    def take(self, row):
        """A record as `tallyman receive` prints it."""
        record = row["record"]
        now = time.time()
        with self.lock:
            account = self.accounts.get(record.get("container_id"))
            if account is None or "log" not in record:
                return
            before = account.lines - account.repeats
            problem = account.take(record["log"])
            if problem:
                self.enter_problem(f"{record.get('container_name')}: {problem}")
            elif account.lines - account.repeats > before:
                if self.oldest is None or row["time"] < self.oldest:
                    self.oldest, self.came = row["time"], now

    def enter_problem(self, problem):
        self.wrong += 1
        self.problems.append(problem)

    def complain(self, problem):
        with self.lock:
            self.enter_problem(problem)

    def take_delay(self):
        """How long the oldest line that came since the last call was under way, in seconds; None if
        none came."""
        with self.lock:
            oldest, self.oldest = self.oldest, None
        if oldest is None:
            return None
        written = datetime.datetime.fromisoformat(oldest[:26].rstrip("Z") + "+00:00")
        return self.came - written.timestamp()

    def is_complete(self, container):
        with self.lock:
            account = self.accounts[container]
            return bool(account.written) and not account.lacking()

    def lacking(self):
        """{container: {life: (came, written)}} of all whose lines are not all there."""
        with self.lock:
            found = {container: account.lacking() for container, account in self.accounts.items()}
        return {container: lives for container, lives in found.items() if lives}

    def totals(self):
        with self.lock:
            accounts = self.accounts.values()
            return {"containers": len(accounts),
                    "lines": sum(account.lines - account.repeats for account in accounts),
                    "repeats": sum(account.repeats for account in accounts),
                    "written": sum(sum(account.written.values()) for account in accounts)}
