"""How ./check counts: it must neither miss a test nor take a crash for a success."""

import contextlib
import io
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import checks

GOOD = """[==========] Running 2 test(s).
[ RUN      ] test_one
[       OK ] test_one
[ RUN      ] test_two
[       OK ] test_two
[==========] 2 test(s) run.
"""
MIXED = """[==========] Running 3 test(s).
[ RUN      ] test_one
[       OK ] test_one
[ RUN      ] test_two
[  FAILED  ] test_two
[ RUN      ] test_three
[  SKIPPED ] test_three
[==========] 3 test(s) run.
"""
CRASHED = """[==========] Running 3 test(s).
[ RUN      ] test_one
[       OK ] test_one
[ RUN      ] test_two
"""


class CountCmocka(unittest.TestCase):
    def test_outcomes(self):
        for output, expected in ((GOOD, (2, 0, 0)), (MIXED, (1, 1, 1)), (CRASHED, (1, 1, 0)),
                                 (GOOD + MIXED, (3, 1, 1)), ("", None), ("ok\n", None)):
            with self.subTest(output=output):
                self.assertEqual(checks.count_cmocka(output), expected)

    def test_names_of_those_skipped(self):
        self.assertEqual(checks.skipped_in(MIXED + "[  SKIPPED ] 1 test(s), listed below:\n"),
                         ["test_three"])
        self.assertEqual(checks.skipped_in(GOOD), [])


class Chosen(unittest.TestCase):
    def names(self, *arguments):
        return [step.name for step in checks.chosen(*arguments)]

    def test_a_step_brings_its_builds(self):
        self.assertEqual(self.names(["unit-asan"], False), ["build-clang", "unit-asan"])

    def test_fast_is_a_part_of_all(self):
        fast, full = self.names([], True), self.names([], False)
        self.assertLess(set(fast), set(full))
        self.assertEqual(full, [step.name for step in checks.STEPS])

    def test_an_unknown_step_is_refused(self):
        with self.assertRaises(SystemExit):
            checks.chosen(["no-such-step"], False)


class Engine(unittest.TestCase):
    def test_each_module_is_in_one_step(self):
        folder = os.path.join(ROOT, "tests", "engine")
        modules = sorted(name.removesuffix(".py") for name in os.listdir(folder)
                         if name.startswith("test_") and name.endswith(".py"))
        self.assertEqual(sorted([*checks.engine_tests(), *checks.WAITING_ENGINE_TESTS]), modules)


class SideBySide(unittest.TestCase):
    def test_what_failed_is_counted_and_shown(self):
        with tempfile.NamedTemporaryFile() as log:
            run = checks.Run(log)
            self.assertEqual(checks.side_by_side(run, [
                ["true"], ["sh", "-c", "read input"],
                ["sh", "-c", "echo how it failed; exit 3"]]), 2)
            self.assertIn("how it failed", run.text())
        self.assertEqual(checks.Run.processes, set())

    def test_it_may_weigh_less(self):
        wanted = min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)
        script = "i=0; until [ $(nice) = $0 ]; do i=$((i+1)); [ $i -lt 1000 ] || exit 1; done"
        with tempfile.NamedTemporaryFile() as log:
            self.assertEqual(checks.side_by_side(
                checks.Run(log), [["sh", "-c", script, str(wanted)]], 7), 0)


class Order(unittest.TestCase):
    def steps(self, *rows):
        return [checks.Step(name, name, None, needs, alone=alone) for name, needs, alone in rows]

    def next_name(self, waiting, running=(), done=()):
        step = checks.next_step(waiting, list(running), set(done))
        return step.name if step else None

    def test_a_step_waits_for_its_builds(self):
        build, test, other = self.steps(("build", (), None), ("test", ("build",), None),
                                        ("other", (), None))
        self.assertEqual(self.next_name([build, test, other]), "build")
        self.assertEqual(self.next_name([test, other], [build]), "other")
        self.assertIsNone(self.next_name([test], [build]))
        self.assertEqual(self.next_name([test], [other], ["build"]), "test")

    def test_a_build_that_was_not_asked_for_is_not_waited_for(self):
        (test,) = self.steps(("test", ("build",), None))
        self.assertEqual(self.next_name([test]), "test")

    def test_what_must_be_alone_is(self):
        one, two, other = self.steps(("one", (), "ports"), ("two", (), "ports"), ("other", (), None))
        self.assertEqual(self.next_name([two, other], [one]), "other")
        self.assertIsNone(self.next_name([two], [one]))
        self.assertEqual(self.next_name([two], [other], ["one"]), "two")

    def test_what_computes_runs_beside_tests_and_one_at_a_time(self):
        one, two, three = (checks.Step(name, name, None) for name in ("one", "two", "three"))
        build, other = (checks.Step(name, name, None, computes=True) for name in ("build", "other"))
        self.assertEqual(self.next_name([three, build], [one, two]), "build")
        self.assertIsNone(self.next_name([three, other], [one, two, build]))
        self.assertEqual(self.next_name([other, three], [one, build]), "three")
        self.assertEqual(self.next_name([other, three], [one, two]), "other")

    def test_the_engine_and_the_vm_are_not_beside_each_other(self):
        steps = {step.name: step for step in checks.STEPS}
        self.assertIsNone(self.next_name([steps["vm"]], [steps["engine"]]))

    def test_all_are_performed_and_counted(self):
        def action(verdict):
            return lambda run: verdict
        steps = [checks.Step("good", "", action(checks.Verdict(2, 0, 1))),
                 checks.Step("bad", "", action(checks.Verdict(1, 1))),
                 checks.Step("behind", "", action(checks.Verdict(5)), ["bad"])]
        with contextlib.redirect_stdout(io.StringIO()) as output:
            totals, broken = checks.perform_all(steps)
        self.assertEqual((totals.passed, totals.failed, totals.skipped), (3, 2, 1))
        self.assertEqual(broken, {"bad", "behind"})
        self.assertIn("FAIL behind", output.getvalue())
