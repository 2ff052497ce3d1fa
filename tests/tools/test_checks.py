"""How ./check counts: it must neither miss a test nor take a crash for a success."""

import os
import sys
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
