"""The libraries of a program: what it is linked with, and what it says that it loads at need."""

import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "libraries"
HEADER = '#include "agent/base/library.h"\n'
NOTE = 'TLY_LIBRARY_NOTE("[{\\"feature\\":\\"x\\",\\"soname\\":" TLY_LIBRARY_JSON(%s) "}]");'


class Libraries(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tally-libraries-")
        self.addCleanup(scratch.cleanup)
        self.program = pathlib.Path(scratch.name) / "program"

    def build(self, *lists):
        """A program with a note for each list of names."""
        objects = []
        for number, names in enumerate(lists):
            objects.append(self.program.with_suffix(f".{number}.o"))
            self.compile("-c", "-o", objects[-1], text=HEADER + NOTE % names)
        self.compile("-o", self.program, *objects, text="int main(void) { return 0; }\n")

    def compile(self, *arguments, text):
        subprocess.run(["gcc", "-I", ROOT, *arguments, "-x", "c", "-"], input=text, text=True,
                       check=True)

    def ask(self):
        done = subprocess.run([TOOL, self.program], capture_output=True, text=True, check=False)
        return done.returncode, dict(line.split(" ") for line in done.stdout.splitlines()), done.stderr

    def test_linked(self):
        self.build()
        code, found, said = self.ask()
        self.assertEqual((code, said), (0, ""))
        self.assertIn("libc.so.6", found)
        self.assertEqual(len(found), 2)  # and the loader
        for path in found.values():
            self.assertTrue(pathlib.Path(path).is_file(), path)

    def test_loaded_at_need(self):
        """The first of each list that is here, with the libraries behind it."""
        self.build('"libnothing-of-this-name.so.1", "libuv.so.1"', '"libz.so.1"')
        code, found, said = self.ask()
        self.assertEqual((code, said), (0, ""))
        self.assertEqual({name for name in found if "ld-linux" not in name},
                         {"libc.so.6", "libuv.so.1", "libz.so.1"})

    def test_missing(self):
        self.build('"libnothing-of-this-name.so.1", "libnothing-either.so.1"')
        code, found, said = self.ask()
        self.assertNotEqual(code, 0)
        self.assertEqual(found, {})
        self.assertEqual(said, "libraries: none of libnothing-of-this-name.so.1, "
                               "libnothing-either.so.1 is found\n")


if __name__ == "__main__":
    unittest.main()
