#!/usr/bin/python3
"""What the shipped rules make the agent remember: the same series as rules.py, ten seconds apart and for
longer than the longest of the rules' windows. Fails above so many MB for a thousand containers.

usage: history.py BENCH_GROUPS MEGABYTES
"""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import rules  # noqa: E402

CONTAINERS = 20
HOURS = 7.6  # six hours, an hour before; and a little
MEASURE_S = 60


def main():
    bench_groups, most = sys.argv[1], float(sys.argv[2])
    series = rules.Series(CONTAINERS)
    with tempfile.NamedTemporaryFile(prefix="tallyman-history-") as samples:
        series.write(samples.name, int(HOURS * 3600 / rules.STEP_S))
        start_ms = rules.START_MS + int((HOURS * 3600 - MEASURE_S) * 1000)
        done = subprocess.run([bench_groups, samples.name, str(start_ms), *map(str, rules.RULES)],
                              check=True, stdout=subprocess.PIPE, text=True)
    own = json.loads(done.stdout)
    megabytes = own["bytes"] / CONTAINERS * 1000 / 1e6
    print(f"{own['series'] / CONTAINERS:.0f} series and {megabytes:.1f} kB for each "
          f"container, {megabytes:.1f} MB for a thousand; at most {most:.0f} MB")
    if own["failed"]:
        print("rules failed")
        return 1
    return 0 if megabytes <= most else 1


if __name__ == "__main__":
    sys.exit(main())
