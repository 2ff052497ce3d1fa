#!/usr/bin/python3
"""What the peers say of the exposition that print_exposition writes.

promtool's parser and lints (beside the names that cAdvisor gave, listed in promtool-allow.txt), and
the strict parsers of the Python client, which must count as many samples as were written and give
the hostile label values back unharmed.
"""
import pathlib
import subprocess
import sys

from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as openmetrics_parser

HERE = pathlib.Path(__file__).parent
HOSTILE = [
    "plain", 'a"} 1\nup{x="y', "\\",
    None,  # not UTF-8: only that it parses is asked
    "\ufffdnul", "\r\n\t\x01\x1b[31m", "\U0001f433 \u2028", "# EOF", "",
]
# promtool's exit code for lints; 1 would be a parse error.
LINTS_FOUND = 3


def exposition(program, fmt):
    done = subprocess.run([program, fmt], capture_output=True, check=True)
    return done.stdout.decode("utf-8"), int(done.stderr)


def check_names(samples):
    """Each container's name came through as it was meant."""
    names = {s.labels["id"]: s.labels.get("name") for s in samples if "id" in s.labels}
    for index, expected in enumerate(HOSTILE):
        got = names[f"/docker/{index}"]
        if expected is not None:
            assert got == expected, f"name of /docker/{index}: {got!r}, not {expected!r}"


def check_python(program):
    text, written = exposition(program, "text")
    samples = [s for f in text_parser.text_string_to_metric_families(text) for s in f.samples]
    assert len(samples) == written, f"text: {len(samples)} samples read, {written} written"
    check_names(samples)

    text, written = exposition(program, "openmetrics")
    families = list(openmetrics_parser.text_string_to_metric_families(text))
    samples = [s for f in families for s in f.samples]
    assert len(samples) == written, f"OpenMetrics: {len(samples)} read, {written} written"
    check_names(samples)


def check_promtool(program):
    text, _ = exposition(program, "text")
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(),
                          capture_output=True, check=False)
    lints = [line for line in done.stderr.decode().splitlines() if line]
    allowed = {line for line in (HERE / "promtool-allow.txt").read_text().splitlines()
               if line and not line.startswith("#")}
    surplus = [line for line in lints if line not in allowed]
    assert done.returncode in (0, LINTS_FOUND) and not surplus, \
        f"promtool: exit code {done.returncode}\n" + "\n".join(surplus)
    unused = allowed.difference(lints)
    assert not unused, "allowed, yet promtool no longer says it:\n" + "\n".join(unused)


if __name__ == "__main__":
    check_python(sys.argv[1])
    check_promtool(sys.argv[1])
