"""The gate of what compiler and linker defend: a program built with everything passes, and each
defence that is left out is missed by name."""

import pathlib
import subprocess
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check-binary"
SOURCE = """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    char text[64];
    strcpy(text, argv[argc - 1]);
    return puts(text) < 0;
}
"""
GOOD = ["-O2", "-fPIE", "-pie", "-fstack-protector-strong", "-fcf-protection", "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now"]
# what is added -> a part of what is said
WITHOUT = {
    "-no-pie": "PIE",
    "-Wl,-z,norelro": "RELRO",
    "-Wl,-z,lazy": "BIND_NOW",
    "-Wl,-z,execstack": "stack is executable",
    "-Wl,-rpath,/opt": "RPATH",
    "-fno-stack-protector": "-fstack-protector-strong",
    "-U_FORTIFY_SOURCE": "_FORTIFY_SOURCE",
    "-fcf-protection=none": "-fcf-protection",
}


class CheckBinary(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tally-binary-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        (self.folder / "main.c").write_text(SOURCE)

    def check(self, *more):
        program = self.folder / "program"
        subprocess.run(["gcc", *GOOD, *more, "-w", "-o", program, self.folder / "main.c"],
                       check=True)
        done = subprocess.run([TOOL, program], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout

    def test_everything(self):
        self.assertEqual(self.check(), (0, ""))

    def test_each_that_is_left_out(self):
        for option, said in WITHOUT.items():
            with self.subTest(option):
                code, out = self.check(option)
                self.assertEqual(code, 1)
                self.assertIn(said, out)


if __name__ == "__main__":
    unittest.main()
