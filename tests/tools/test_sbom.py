"""The bill of materials, of a program that is always there."""

import json
import pathlib
import subprocess
import sys
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "sbom"
PROGRAM = "/usr/bin/python3"


class Sbom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = subprocess.run([sys.executable, TOOL, PROGRAM, "1.2"], capture_output=True,
                                  text=True, check=True).stdout
        cls.bill = json.loads(cls.text)

    def test_what_the_format_asks_for(self):
        """CycloneDX 1.5: the fields that it requires, and references that lead somewhere."""
        self.assertEqual((self.bill["bomFormat"], self.bill["specVersion"], self.bill["version"]),
                         ("CycloneDX", "1.5", 1))
        self.assertRegex(self.bill["serialNumber"], "^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-"
                                                    "[0-9a-f]{12}$")
        itself = self.bill["metadata"]["component"]
        self.assertEqual((itself["type"], itself["name"], itself["version"]),
                         ("application", "python3", "1.2"))
        references = [part["bom-ref"] for part in self.bill["components"]]
        self.assertEqual(len(references), len(set(references)))
        self.assertEqual(self.bill["dependencies"], [{"ref": itself["bom-ref"],
                                                      "dependsOn": references}])

    def test_every_library_is_there(self):
        said = subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout
        linked = [line.split()[0] for line in said.splitlines() if "=> /" in line]
        parts = {part["name"]: part for part in self.bill["components"]}
        self.assertTrue(linked)
        self.assertLessEqual(set(linked), set(parts))
        for part in parts.values():
            self.assertRegex(part["hashes"][0]["content"], "^[0-9a-f]{64}$")

    def test_versions_are_the_packages_own(self):
        part = next(part for part in self.bill["components"] if part["name"] == "libc.so.6")
        version = subprocess.run(["dpkg-query", "--show", "--showformat", "${Version}", "libc6"],
                                 capture_output=True, text=True, check=True).stdout
        self.assertEqual(part["version"], version)
        self.assertTrue(part["purl"].startswith("pkg:deb/"))
        file = next(row["value"] for row in part["properties"] if row["name"] == "file")
        expected = subprocess.run(["sha256sum", file], capture_output=True, text=True,
                                  check=True).stdout.split()[0]
        self.assertEqual(part["hashes"][0]["content"], expected)

    def test_the_same_for_the_same(self):
        again = subprocess.run([sys.executable, TOOL, PROGRAM, "1.2"], capture_output=True,
                               text=True, check=True).stdout
        self.assertEqual(again, self.text)


if __name__ == "__main__":
    unittest.main()
