"""Samples and expressions, made up at random from a seed, for comparing two evaluators.

Series look like a host's containers: counters with resets, gauges, limits, states, histograms, with
gaps, series that begin late or end early, and values such as NaN and Inf. Expressions are typed, so
that nearly all of them are valid, and lean on labels that the series have.
"""

import random

START_MS = 1_700_000_000_000
STEP_MS = 15_000
STEPS = 240  # an hour
CONTAINERS = 12

COUNTERS = ["cpu_seconds_total", "net_bytes_total"]
GAUGES = ["memory_bytes", "threads", "odd_gauge"]
OTHERS = ["memory_limit_bytes", "state", "info"]
LABELS = ["id", "name", "image", "cpu", "state", "job"]


class Series:
    def __init__(self, name, labels):
        self.name, self.labels = name, labels
        self.samples = []  # (t_ms, value); None for a marker of the end

    def selector(self):
        pairs = ",".join(f'{key}="{value}"' for key, value in sorted(self.labels.items()))
        return f"{self.name}{{{pairs}}}"


def times(rng, phase_ms, jitter_ms):
    at = START_MS + phase_ms
    for _ in range(STEPS):
        yield at + (rng.randrange(0, jitter_ms, 10) if jitter_ms else 0)
        at += STEP_MS


def counter(rng, name, labels, phase_ms, jitter_ms):
    series = Series(name, labels)
    # A counter that has no resets may have gaps: they begin high, where its zero is far away.
    resets = rng.random() < 0.5
    value = rng.uniform(1000, 5000)
    speed = rng.choice([0, 0.1, 1, 30])
    gap = range(0) if resets else range(rng.randrange(STEPS), STEPS)[:rng.choice([0, 3, 30])]
    for index, t_ms in enumerate(times(rng, phase_ms, jitter_ms)):
        value += rng.uniform(0, 2 * speed)
        if resets and index > 10 and rng.random() < 0.02:
            value = rng.uniform(0, 5)
        if index not in gap:
            series.samples.append((t_ms, round(value, 3)))
    return series


def gauge(rng, name, labels, phase_ms, jitter_ms, odd):
    series = Series(name, labels)
    value = rng.uniform(100, 1000)
    first = rng.choice([0, 0, 0, 60])
    last = rng.choice([STEPS, STEPS, STEPS, 150])
    for index, t_ms in enumerate(times(rng, phase_ms, jitter_ms)):
        value += rng.uniform(-20, 20.5)
        shown = round(value, 2)
        if odd:
            shown = rng.choice([float("nan"), float("inf"), float("-inf"), 0.0, -shown, shown,
                                shown, shown, shown, shown])
        if first <= index < last and rng.random() > 0.03:
            series.samples.append((t_ms, shown))
    return series


def constant(name, labels, phase_ms, value):
    series = Series(name, labels)
    series.samples = [(t_ms, value) for t_ms in times(random, phase_ms, 0)]
    return series


def histogram(rng, labels, phase_ms):
    bounds = ["0.1", "0.5", "1", "2.5", "+Inf"]
    counts = [50 * index for index in range(1, len(bounds) + 1)]
    all_series = [Series("latency_seconds_bucket", {**labels, "le": bound}) for bound in bounds]
    for t_ms in times(rng, phase_ms, 0):
        for _ in range(rng.randrange(4)):
            slot = rng.randrange(len(bounds))
            for index in range(slot, len(bounds)):
                counts[index] += 1
        for series, count in zip(all_series, counts):
            series.samples.append((t_ms, float(count)))
    return all_series


def make_series(seed, aligned=False, containers=CONTAINERS):
    """`aligned` puts samples at whole seconds, where they meet the edges of windows."""
    rng = random.Random(seed)
    found = []
    for index in range(containers):
        phase = 0 if aligned else rng.randrange(250, 14000, 500)
        jitter = 0 if aligned else rng.choice([0, 0, 200])
        image = f"image{index % 3}"
        base = {"id": f"/docker/c{index:02}", "name": f"c{index}", "image": image}
        for cpu in ("0", "1"):
            found.append(counter(rng, COUNTERS[0], {**base, "cpu": cpu}, phase, jitter))
        found.append(counter(rng, COUNTERS[1], base, phase, jitter))
        for name in GAUGES:
            found.append(gauge(rng, name, base, phase, jitter, name == "odd_gauge"))
        found.append(constant("memory_limit_bytes", {"id": base["id"]}, phase,
                              float(rng.choice([0, 500, 700, 1000]))))
        for state in ("running", "paused"):
            found.append(constant("state", {"id": base["id"], "state": state}, phase,
                                  float((index % 4 == 0) == (state == "paused"))))
        found.append(constant("info", {**base, "version": f"1.{index % 2}"}, phase, 1.0))
        if index < 4:
            found += histogram(rng, base, phase)
    return found


def end_some(series, seed):
    """Markers of the end behind some series, and within some, for storages that can hold them."""
    rng = random.Random(seed)
    for one in series:
        if one.samples and rng.random() < 0.2:
            one.samples.append((one.samples[-1][0] + STEP_MS, None))
        if len(one.samples) > 100 and rng.random() < 0.2:
            at = rng.randrange(50, 90)
            one.samples[at] = (one.samples[at][0], None)


def number_text(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def write_series(series, path):
    """The form that promql_evaluate reads."""
    with open(path, "w", encoding="utf-8") as file:
        for one in series:
            points = "\t".join(f"{t_ms} {'stale' if value is None else number_text(value)}"
                               for t_ms, value in one.samples)
            if points:
                file.write(f"{one.selector()}\t{points}\n")


def write_openmetrics(series, path):
    """The form that `promtool tsdb create-blocks-from openmetrics` reads."""
    with open(path, "w", encoding="utf-8") as file:
        for one in series:
            for t_ms, value in one.samples:
                file.write(f"{one.selector()} {number_text(value)} {t_ms / 1000:.3f}\n")
        file.write("# EOF\n")


# ---- expressions ----

DURATIONS = ["30s", "1m", "2m", "5m", "10m", "17m"]
WINDOW = ["rate", "increase", "delta", "irate", "idelta", "changes", "resets", "deriv",
          "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time",
          "last_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time"]
MATH = ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "round", "deg", "rad",
        "sin", "cos", "atan", "sort", "sort_desc", "timestamp"]
DATES = ["hour", "minute", "month", "year", "day_of_week", "day_of_month", "day_of_year",
         "days_in_month"]
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
MATCHERS = ['name="c1"', 'name!="c1"', 'image=~"image[01]"', 'image!~"image0|image1"',
            'name=~"c1.*"', 'name=~".+"', 'nope=""', 'nope!="x"', 'id=~"/docker/c0[0-5]"']


class Expressions:
    """With `version2` they keep away from what Prometheus 2 answers otherwise than 3 (run.py lists
    it). `inner` counts subqueries around: there, edges of windows fall on steps, so that an offset
    has to keep them apart."""

    def __init__(self, seed, version2=False):
        self.rng = random.Random(seed)
        self.version2 = version2

    def pick(self, *choices):
        return self.rng.choice(choices)

    def duration(self):
        return self.rng.choice(DURATIONS)

    def shift(self, inner=0):
        if inner and self.version2:
            return " offset 137ms"
        text = ""
        if self.rng.random() < 0.08:
            text += self.pick(f" @ {(START_MS + 2_000_137) / 1000:.3f}", " @ start()", " @ end()")
        if self.rng.random() < 0.12:
            text += f" offset {self.pick('', '-')}{self.duration()}"
        return text

    def selector(self, names=None):
        name = self.rng.choice(names or COUNTERS + GAUGES + OTHERS)
        count = self.pick(0, 0, 0, 1, 1, 2)
        if count == 0:
            return name
        return f"{name}{{{','.join(self.rng.sample(MATCHERS, count))}}}"

    def window(self, depth, inner=0):
        if depth > 0 and self.rng.random() < 0.3:
            step = self.pick("15s", "30s", "1m", "7s")
            return (f"{self.vector(depth - 1, inner + 1, atom=True)}"
                    f"[{self.pick('1m', '3m', '5m')}:{step}]{self.shift(inner)}")
        names = COUNTERS if self.rng.random() < 0.5 else COUNTERS + GAUGES
        return f"{self.selector(names)}[{self.duration()}]{self.shift(inner)}"

    def scalar(self, depth, inner=0):
        choice = self.rng.random()
        if choice < 0.6 or depth == 0:
            return self.pick("0", "1", "2", "0.5", "10", "300", "-3", "1e3", "NaN", "Inf", "0x1f")
        if choice < 0.75:
            return f"scalar({self.vector(depth - 1, inner)})"
        if choice < 0.85:
            return self.pick("time()", "pi()")
        if choice < 0.88:
            return f"({self.pick('2', '-3', '0.5')} ^ {self.pick('2', '0.5', '-1')})"
        operator = self.pick("+", "-", "*", "/", "%", "> bool", "== bool", "atan2")
        return f"({self.scalar(depth - 1, inner)} {operator} {self.scalar(depth - 1, inner)})"

    def grouping(self):
        labels = self.rng.sample(LABELS, self.pick(0, 1, 1, 2, 3))
        return f"{self.pick('by', 'without')} ({', '.join(labels)})"

    def aggregation(self, depth, inner):
        vector = self.vector(depth - 1, inner)
        grouping = self.grouping() if self.rng.random() < 0.7 else ""
        choice = self.rng.random()
        finite = f"({vector} < 1e300 > -1e300)" if self.version2 else vector
        if choice < 0.7:
            name = self.rng.choice(AGGREGATIONS)
            arguments = f"({finite if name.startswith('std') else vector})"
        elif choice < 0.85:
            # Values that differ, since among equals the choice is the evaluator's.
            vector = f"{self.pick('memory_bytes', 'cpu_seconds_total', 'net_bytes_total')}"
            name = self.pick("topk", "bottomk")
            arguments = f"({self.pick('1', '2', '5', '100', '0', '-1')}, {vector})"
        elif choice < 0.95:
            rank = self.pick("0.5", "0.9", "0", "1", "1.5", "-1", "NaN")
            name, arguments = "quantile", f"({rank}, {finite})"
        else:
            name = "count_values"
            arguments = f'("{self.pick("v", "name")}", {self.pick("state", "memory_limit_bytes", "info")})'
        if grouping and self.rng.random() < 0.3:
            return f"{name}{arguments} {grouping}"
        return f"{name} {grouping} {arguments}"

    def matching(self, operator):
        choice = self.rng.random()
        if choice < 0.35:
            return ""
        labels = ", ".join(self.rng.sample(LABELS, self.pick(0, 1, 1, 2)))
        if choice < 0.75:
            labels = self.pick("id", "id, cpu", "id, name, image", labels)
        text = f" {self.pick('on', 'on', 'ignoring')} ({labels})"
        if operator in ("and", "or", "unless") or self.rng.random() < 0.5:
            return text
        # A label both in `on` and here would be refused.
        include = self.pick("", "", "image", "version")
        include = "" if include and include in labels else include
        return text + f" {self.pick('group_left', 'group_right')} ({include})"

    def binary(self, depth, inner):
        operator = self.pick("+", "-", "*", "/", "%", "==", "!=", ">", "<", ">=", "<=",
                             "> bool", "== bool", "and", "or", "unless",
                             "-" if self.version2 else "atan2")
        left, right = self.vector(depth - 1, inner), self.vector(depth - 1, inner)
        if self.rng.random() < 0.05:
            # Larger powers leave numbers of which few digits mean anything.
            return f"({left} ^ {self.pick('2', '0.5', '-1')})"
        if operator not in ("and", "or", "unless") and self.rng.random() < 0.4:
            sides = [left, self.scalar(depth - 1, inner)]
            self.rng.shuffle(sides)
            return f"({sides[0]} {operator} {sides[1]})"
        if self.rng.random() < 0.3:
            right = left
        return f"({left} {operator}{self.matching(operator)} {right})"

    def labelled(self, depth, inner):
        vector = self.vector(depth - 1, inner)
        if self.rng.random() < 0.5:
            pattern = self.pick("(.*)", "c(.*)", "image(?P<n>[0-9]+)", "nope", "")
            replacement = self.pick("$1", "x-$1", "${n}", "fixed", "$0$$", "")
            return (f'label_replace({vector}, "{self.pick("name", "new", "image")}", '
                    f'"{replacement}", "{self.pick("name", "image", "nope")}", "{pattern}")')
        return (f'label_join({vector}, "{self.pick("new", "name")}", "{self.pick("-", "")}", '
                f'"id", "{self.pick("image", "nope")}")')

    def call(self, depth, inner):
        choice = self.rng.random()
        if choice < 0.5:
            name = self.rng.choice(WINDOW if self.version2 else WINDOW + ["first_over_time"])
            window = self.window(depth - 1, inner)
            if self.version2 and name in ("rate", "increase"):
                window = f"{self.selector(COUNTERS)}[{self.duration()}]{self.shift(inner)}"
            return f"{name}({window})"
        if choice < 0.6:
            finite = f"{self.selector(COUNTERS)}[{self.duration()}]{self.shift(inner)}"
            sorted_window = finite if self.version2 else self.window(depth - 1, inner)
            return self.pick(
                f"predict_linear({self.window(depth - 1, inner)}, {self.pick('3600', '60')})",
                f"quantile_over_time({self.pick('0.5', '0.9', '2')}, {sorted_window})",
                f"absent_over_time({self.window(depth - 1, inner)})")
        if choice < 0.8:
            return f"{self.rng.choice(MATH)}({self.vector(depth - 1, inner)})"
        vector = self.vector(depth - 1, inner)
        return self.pick(
            f"clamp({vector}, {self.scalar(0)}, {self.scalar(0)})",
            f"clamp_min({vector}, {self.scalar(1, inner)})", f"clamp_max({vector}, 50)",
            f"round({vector}, {self.pick('5', '0.1', '0.5')})", f"absent({vector})",
            f"vector({self.scalar(depth - 1, inner)})",
            f"{self.rng.choice(DATES)}(memory_bytes * {self.pick('1', '-3e5', '1e6', '4e7')})",
            f"{self.rng.choice(DATES)}()",
            "histogram_quantile("
            f"{self.pick('0.5', '0.9', '0.99', '0', '1', '-1', 'NaN')}, "
            f"{self.pick('', 'sum by (le) ', 'sum by (le, image) ', 'sum without (id) ')}"
            f"(rate(latency_seconds_bucket[{self.pick('5m', '10m')}]{self.shift(inner)})))")

    def vector(self, depth, inner=0, atom=False):
        """`atom`: something that a bracket may follow."""
        choice = self.rng.random()
        if depth <= 0 or choice < 0.2:
            return self.selector() + ("" if atom else self.shift(inner))
        if choice < 0.45:
            return self.call(depth, inner)
        if choice < 0.65:
            return self.aggregation(depth, inner)
        if choice < 0.9:
            return self.binary(depth, inner)
        if choice < 0.95:
            return self.labelled(depth, inner)
        return f"(-{self.selector()})"

    def expression(self):
        choice = self.rng.random()
        if choice < 0.03:
            return self.scalar(3)
        if choice < 0.06:
            return self.window(2)
        return self.vector(self.rng.choice([1, 2, 2, 3, 3, 4]))
