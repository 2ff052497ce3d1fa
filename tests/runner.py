"""Runs unittest cases and says what happened in the form that ./check reads: one line per test with
its time, failures in full, and `N passed, N failed, N skipped` as the last line.

A skip is loud. One that names hardware or a kernel feature which this machine lacks is excused:
raise Lacking for it. Any other skip counts as a failure where CI=true.
"""

import concurrent.futures
import contextlib
import os
import sys
import threading
import time
import unittest

EXCUSE = "this machine lacks "


class Lacking(unittest.SkipTest):
    """The test needs a kernel feature or a piece of hardware, named here, that is not there."""

    def __init__(self, what):
        super().__init__(EXCUSE + what)


evidence = []  # functions that say, when a test failed, what its programs have said


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = self.failed = self.skipped_count = 0
        self.started = 0.0

    def _say(self, word, test, more=""):
        seconds = time.monotonic() - self.started
        name = test.id().removeprefix("__main__.")
        print(f"{word:<4} {name} ({seconds:.1f} s){more}", flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def addSuccess(self, test):
        self.passed += 1
        self._say("ok", test, "".join(f"; {note}" for note in getattr(test, "notes", [])))

    def _fail(self, test, error):
        self.failed += 1
        self._say("FAIL", test)
        print(self._exc_info_to_string(error, test), flush=True)
        for tell in evidence:
            print(tell(), flush=True)

    def addFailure(self, test, err):
        self._fail(test, err)

    def addError(self, test, err):
        self._fail(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._fail(subtest, err)

    def addSkip(self, test, reason):
        if os.environ.get("CI") == "true" and not reason.startswith(EXCUSE):
            self.failed += 1
            self._say("FAIL", test, f": skipped in CI: {reason}")
        else:
            self.skipped_count += 1
            self._say("SKIP", test, f": {reason}")


class WholeLines:
    """Standard output for several threads: a line appears at once, unmixed with those of others."""

    def __init__(self, inner):
        self.inner = inner
        self.lock = threading.Lock()
        self.begun = threading.local()

    def write(self, text):
        whole, newline, rest = (getattr(self.begun, "text", "") + text).rpartition("\n")
        self.begun.text = rest
        with self.lock:
            self.inner.write(whole + newline)
        return len(text)

    def flush(self):
        with self.lock:
            self.inner.flush()


def run(*suites, at_a_time=1):
    """Runs the suites, in their order, several at a time if that is wanted, and returns the exit
    code."""
    results = [Result() for _ in suites]
    if at_a_time > 1:
        with contextlib.redirect_stdout(WholeLines(sys.stdout)), (
                concurrent.futures.ThreadPoolExecutor(at_a_time)) as pool:
            list(pool.map(lambda suite, result: suite.run(result), suites, results))
    else:
        for suite, result in zip(suites, results):
            suite.run(result)
    # A sub-test that failed leaves its test without a success: it is counted once, as failed.
    passed, failed, skipped = (sum(getattr(result, name) for result in results)
                               for name in ("passed", "failed", "skipped_count"))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed + skipped else 0


def chosen(names, cases=None, module="__main__"):
    """The tests of a module by their names (Class or Class.test). Without names those of the classes
    `cases`, or all."""
    loader = unittest.defaultTestLoader
    loaded = sys.modules[module]
    if names:
        return loader.loadTestsFromNames(names, loaded)
    if cases is not None:
        return unittest.TestSuite(map(loader.loadTestsFromTestCase, cases))
    return loader.loadTestsFromModule(loaded)


def main(module="__main__"):
    """For a test file run by itself: arguments name single tests."""
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    sys.exit(run(chosen(names, module=module)))
