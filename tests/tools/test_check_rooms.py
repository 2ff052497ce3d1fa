"""tools/check-rooms must find each kind of breach, and nothing in sources that keep the order."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

HEAD = "/* What it is. */\n"

GOOD = {
    "agent/base/map.c": HEAD + '#include "agent/base/map.h"\n#include <uthash.h>\n',
    "agent/codec/line.c": HEAD + '#include "agent/model/sample.h"\n/* printf() stands here */\n'
                                 'const char *s = "printf(";\nint n = snprintf(0, 0, "x");\n',
    "agent/loop/timer.c": HEAD + "#include <uv.h>\n#include <curl/curl.h>\n",
    "agent/registry.c": HEAD + '#include "collectors/logs/logs.h"\n',
    "agent/command/run.c": HEAD + '#include "agent/delivery/delivery.h"\n',
    "agent/main.c": HEAD + '#include "agent/command/command.h"\n',
    "collectors/logs/logs.c": HEAD + '#include "agent/delivery/delivery.h"\n'
                                     '#include "collectors/logs/file.h"\n'
                                     '#include "agent/registry.h"\n',
    "outputs/prometheus/text.c": HEAD + '#include "agent/web/route.h"\n',
    "tests/unit/base/test_map.c": "/* sle" "ep(1) is a word here */\n",
}

# path, source, what the complaint must say, in which line
BAD = [
    ("agent/base/a.c", HEAD + '#include "agent/model/sample.h"\n', "agent/base may not", 2),
    ("agent/model/a.c", HEAD + '#include "agent/loop/loop.h"\n', "agent/model may not", 2),
    ("agent/loop/a.c", HEAD + '#include "agent/model/sample.h"\n', "agent/loop may not", 2),
    ("agent/inventory/a.c", HEAD + '#include "collectors/logs/l.h"\n', "may not include", 2),
    ("agent/rules/a.c", HEAD + '#include "agent/inventory/inventory.h"\n', "may not include", 2),
    ("agent/delivery/a.c", HEAD + '#include "outputs/forward/f.h"\n', "may not include", 2),
    ("agent/command/a.c", HEAD + '#include "outputs/forward/f.h"\n', "may not include", 2),
    ("agent/main.c", HEAD + '#include "collectors/logs/logs.h"\n', "may not include", 2),
    ("collectors/logs/a.c", HEAD + '#include "collectors/docker/d.h"\n', "may not include", 2),
    ("collectors/logs/a.c", HEAD + '#include "agent/web/web.h"\n', "may not include", 2),
    ("outputs/forward/a.c", HEAD + '#include "agent/web/web.h"\n', "may not include", 2),
    ("outputs/forward/a.c", HEAD + '#include "outputs/prometheus/p.h"\n', "may not include", 2),
    ("collectors/logs/a.c", HEAD + '#include "file.h"\n', "starts at the project's root", 2),
    ("collectors/logs/a.c", HEAD + "#include <uv.h>\n", "only agent/loop", 2),
    ("collectors/docker/a.c", HEAD + "#include <curl/curl.h>\n", "only agent/loop", 2),
    ("outputs/prometheus/a.c", HEAD + "#include <microhttpd.h>\n", "only agent/web", 2),
    ("agent/web/a.c", HEAD + "#include <yaml.h>\n", "only agent/config", 2),
    ("agent/codec/a.c", HEAD + "#include <sys/socket.h>\n", "is pure", 2),
    ("agent/codec/a.c", HEAD + '#include "agent/base/file.h"\n', "is pure", 2),
    ("agent/base/a.c", HEAD + "\nvoid f(void)\n{\n    fprintf(stderr, x);\n}\n", "never logs", 5),
    ("agent/model/a.c", HEAD + "int n = (tly_log_warn(who, what), 1);\n", "never logs", 2),
    ("agent/base/a.c", '#include "agent/base/a.h"\n', "opens with a comment", 1),
    ("agent/base/a.h", HEAD + "int x;\n", "include guard", 1),
    ("agent/base/a.c", HEAD + "/* TO" "DO: more */\n", "unfinished", 2),
    ("agent/base/a.c", HEAD + "\n" * 801, "over 800", 801),
    ("tests/unit/base/test_a.c", HEAD + "void f(void)\n{\n    usle" "ep(10);\n}\n", "await", 4),
    ("tests/engine/a.py", "import time\ntime.sle" "ep(1)\n", "await", 2),
]


def check(sources):
    """Runs the checker over these files; its exit code and its lines."""
    with tempfile.TemporaryDirectory(prefix="tallyman-rooms-") as root:
        for path, text in sources.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([os.path.join(ROOT, "tools/check-rooms"), root],
                              capture_output=True, text=True, check=False)
        return done.returncode, (done.stdout + done.stderr).strip().split("\n")


class CheckRooms(unittest.TestCase):
    def test_sources_in_order_pass(self):
        code, lines = check(GOOD)
        self.assertEqual(code, 0, lines)

    def test_each_breach_is_found(self):
        for path, text, expected, line in BAD:
            with self.subTest(path=path, text=text[len(HEAD):60]):
                code, lines = check({path: text})
                self.assertEqual(code, 1, lines)
                self.assertEqual(len(lines), 1, lines)
                self.assertTrue(lines[0].startswith(f"{path}:{line}: "), lines)
                self.assertIn(expected, lines[0])
