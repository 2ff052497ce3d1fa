#!/usr/bin/python3
"""Every command in the documents runs: each fenced `sh` block of README.md and of the pages listed
below is run by sh -eu, block by block in one copy of the project, and must end with 0.

A block that stays in the foreground until Ctrl-C is started, must say that it runs, and is then
interrupted as a person would; everything that it prints is read. Blocks marked ```console or with
another word are examples of output or of files, and are not run; ```yaml blocks are checked with
`tallyman check`.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import runner  # noqa: E402

PAGES = ["README.md", "docs/adding-a-collector.md"]
SECONDS_MAX = 300
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
# What a command prints when it has started and goes on until it is interrupted.
RUNNING = "Tallyman is running."
# ./check runs this test: inside it, it would run itself.
ITSELF = re.compile(r"^\./check(?! --)", re.M)


def blocks(page, kind):
    text = (ROOT / page).read_text(encoding="utf-8")
    return [match[2] for match in BLOCK.finditer(text) if match[1] == kind]


class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="tallyman-docs-")
        cls.copy = pathlib.Path(cls.scratch.name) / "tallyman"
        shutil.copytree(ROOT, cls.copy, symlinks=True, ignore=shutil.ignore_patterns(
            "build*", ".git", "__pycache__", "*.pyc"))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def setUp(self):
        self.notes = []

    def run_block(self, script):
        process = subprocess.Popen(["sh", "-eu"], cwd=self.copy, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   errors="replace", start_new_session=True)
        process.stdin.write(script)
        process.stdin.close()
        said = []
        interrupted = False
        for line in process.stdout:
            said.append(line)
            if RUNNING in line and not interrupted:
                interrupted = True
                os.killpg(process.pid, signal.SIGINT)
        process.wait(SECONDS_MAX)
        return process.returncode, "".join(said), interrupted

    def test_a_every_command_runs(self):
        count = 0
        for page in PAGES:
            for script in blocks(page, "sh"):
                with self.subTest(page=page, script=script):
                    script = ITSELF.sub("./check --list", script)
                    code, output, interrupted = self.run_block(script)
                    # sh itself dies of the interrupt that its command took as the sign to stop.
                    accepted = (0, -signal.SIGINT, 130) if interrupted else (0,)
                    self.assertIn(code, accepted, output)
                    count += 1
        self.assertGreaterEqual(count, 5)
        self.notes.append(f"{count} blocks")

    def test_b_every_configuration_is_valid(self):
        configurations = [(page, text) for page in PAGES for text in blocks(page, "yaml")]
        self.assertTrue(configurations)
        agent = self.copy / "build/agent/tallyman"  # as the commands before have built it
        for page, text in configurations:
            with self.subTest(page=page, text=text):
                file = pathlib.Path(self.scratch.name) / "tallyman.yml"
                file.write_text(text, encoding="utf-8")
                done = subprocess.run([agent, "check", file], capture_output=True, text=True,
                                      check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_c_every_link_leads_somewhere(self):
        pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        for page in pages:
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
                if not target.startswith(("http://", "https://")):
                    with self.subTest(page=page.name, target=target):
                        self.assertTrue((page.parent / target).exists())


if __name__ == "__main__":
    runner.main()
