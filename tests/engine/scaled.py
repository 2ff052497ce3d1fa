"""The shipped rules with all of their times shortened by one factor, for tests that can't wait for
hours: ranges, offsets, `for` and the groups' intervals. Thresholds stay as they are."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FILES = ("recording.yml", "alerts.yml")
INTERVAL_MIN_MS = 1000  # that of the collectors in tests
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
TIME = re.compile(r"(\[|offset |for: |interval: )(\d+)(ms|s|m|h|d)\b")


def scale(text, factor):
    def shorter(match):
        ms = round(int(match[2]) * UNITS_MS[match[3]] / factor)
        if match[1] == "interval: ":
            ms = max(ms, INTERVAL_MIN_MS)
        return f"{match[1]}{ms}ms"

    scaled, count = TIME.subn(shorter, text)
    if not count:
        raise AssertionError("the rules have no times")
    return scaled


def write(folder, factor):
    """The files in a folder of their own, to be put into `rules.files`."""
    folder.mkdir()
    paths = []
    for name in FILES:
        text = (ROOT / "dashboards" / "prometheus" / name).read_text(encoding="utf-8")
        path = folder / name
        path.write_text(text if factor == 1 else scale(text, factor), encoding="utf-8")
        paths.append(str(path))
    return paths
