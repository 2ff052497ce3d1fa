#!/usr/bin/python3
"""Tests of the project's own tools: `tests/tools/run.py [TEST…]`."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
sys.dont_write_bytecode = True

import runner  # noqa: E402

if __name__ == "__main__":
    loader = unittest.defaultTestLoader
    sys.exit(runner.run(loader.loadTestsFromNames(
        sys.argv[1:] or ["test_check_binary", "test_check_rooms", "test_checks", "test_libraries",
                         "test_sbom", "test_soak"])))
