"""What judges a soak must see what it is there for: a line that is missing, altered, twice or in the
wrong place, and a curve that grows."""

import os
import random
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "soak"))

import flat
import ledger
import report


class Books(unittest.TestCase):
    TEXT = "a text of several words"

    def account(self, *places, text=TEXT):
        account = ledger.Account(self.TEXT)
        problems = [account.take(f"{life} {number} {text}") for life, number in places]
        return account, [problem for problem in problems if problem]

    def test_what_came_in_order(self):
        account, problems = self.account((1, 1), (1, 2), (2, 1), (2, 2), (2, 3))
        self.assertEqual((problems, account.lines, account.repeats), ([], 5, 0))
        account.written = {1: 2, 2: 3}
        self.assertEqual(account.lacking(), {})

    def test_repeats_are_no_problem(self):
        account, problems = self.account((1, 1), (1, 2), (1, 1), (1, 2), (1, 3))
        self.assertEqual((problems, account.lines, account.repeats), ([], 5, 2))

    def test_what_is_wrong_is_seen(self):
        for places in ([(1, 2)], [(1, 1), (1, 3)], [(1, 1), (2, 2)], [(1, 1), (3, 1)]):
            with self.subTest(places=places):
                self.assertEqual(len(self.account(*places)[1]), 1)
        self.assertEqual(len(self.account((1, 1), text="another text")[1]), 1)

    def test_what_never_came_is_lacking(self):
        account, _ = self.account((1, 1), (1, 2))
        account.written = {1: 3, 2: 7}
        self.assertEqual(account.lacking(), {1: (2, 3), 2: (0, 7)})

    def test_a_receivers_accounts(self):
        book = ledger.Ledger("book")
        book.open("one", self.TEXT)
        book.ended("one", 1, 2)
        for number in (1, 2):
            self.assertFalse(book.is_complete("one"))
            book.take({"time": "1970-01-01T00:00:00.000000000Z", "record": {
                "container_id": "one", "log": f"1 {number} {self.TEXT}"}})
        book.take({"time": "", "record": {"container_id": "unknown", "log": "1 7 nothing"}})
        self.assertTrue(book.is_complete("one"))
        self.assertGreater(book.take_delay(), 1e9)
        self.assertIsNone(book.take_delay())
        self.assertEqual((book.lacking(), book.wrong), ({}, 0))


class Curves(unittest.TestCase):
    SECONDS = 1800

    def verdict(self, per_second, noise=0.5, spikes=0, seconds=SECONDS):
        dice = random.Random(7)
        samples = [(second, 10 + per_second * second + dice.uniform(-noise, noise))
                   for second in range(seconds)]
        for _ in range(spikes):
            place = dice.randrange(len(samples))
            samples[place] = (samples[place][0], 100)
        return flat.Verdict("memory", "MiB", samples, 0.2)

    def test_noise_and_spikes_are_flat(self):
        for spikes in (0, 50):
            verdict = self.verdict(0, spikes=spikes)
            self.assertTrue(verdict.is_judged and verdict.is_flat, str(verdict))

    def test_a_leak_is_not(self):
        verdict = self.verdict(0.3 / self.SECONDS)
        self.assertTrue(verdict.is_judged and not verdict.is_flat, str(verdict))
        self.assertAlmostEqual(verdict.growth, 0.3, delta=0.1)

    def test_what_comes_and_goes_is_no_growth(self):
        """Memory that an outage takes and the end of it gives back, later and later in the soak."""
        samples = [(second, 10 + (5 if second % 90 < second / 30 else 0)) for second in range(1800)]
        self.assertTrue(flat.Verdict("memory", "MiB", samples, 0.2, resting=90).is_flat)
        leak = [(second, value + second / 3600) for second, value in samples]
        self.assertFalse(flat.Verdict("memory", "MiB", leak, 0.2, resting=90).is_flat)

    def test_falling_is_flat_and_a_short_curve_is_not_judged(self):
        self.assertTrue(self.verdict(-0.001).is_flat)
        self.assertFalse(self.verdict(0, seconds=60).is_judged)

    def test_plots_of_much_and_of_nothing(self):
        many = [(second, second % 7) for second in range(20000)]
        drawn = report.plot("what", "units", {"curve": many}, 20000, [("receiver away", 5, 9)], [3])
        self.assertLess(len(drawn), 60000)
        self.assertIn("<svg", report.plot("what", "units", {"curve": []}, 0))

