"""Results of two evaluators side by side.

A result is ("error", text), ("scalar", value), or ("vector" | "matrix", {labels: value}, order), where
labels are a sorted tuple of pairs and a matrix's value is a list of (t_ms, value).
"""

import math
import re

RELATIVE = 1e-9
ABSOLUTE = 1e-9

LABEL = re.compile(r'(?:([A-Za-z_]\w*)|"((?:[^"\\]|\\.)*)")(?:="((?:[^"\\]|\\.)*)")?')


def parse_labels(text):
    name, brace, rest = text.partition("{")
    pairs = {"__name__": name} if name else {}
    if brace:
        for plain, quoted, value in LABEL.findall(rest):
            pairs[plain or quoted] = value.replace('\\"', '"').replace("\\\\", "\\")
    return tuple(sorted(pairs.items()))


def parse_line(line):
    """A line of promql_evaluate's output."""
    parts = line.rstrip("\n").split("\t")
    kind = parts[0]
    if kind == "error":
        return "error", parts[1]
    if kind in ("scalar", "string"):
        return kind, float(parts[1]) if kind == "scalar" else parts[1]
    values, order = {}, []
    for part in parts[1:]:
        labels, _, value = part.rpartition(" ")
        key = parse_labels(labels)
        if key in values:
            return "error", f"equal label sets in the result: {labels}"
        if kind == "vector":
            values[key] = float(value)
        else:
            points = (point.split("=") for point in value.split(",") if point)
            values[key] = [(int(t_ms), float(number)) for t_ms, number in points]
        order.append(key)
    return kind, values, order


def equal_numbers(one, other):
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def equal_values(one, other):
    if isinstance(one, float):
        return equal_numbers(one, other)
    return len(one) == len(other) and all(
        a[0] == b[0] and equal_numbers(a[1], b[1]) for a, b in zip(one, other))


def difference(one, other, ordered=False):
    """None if both say the same, else what differs."""
    if one[0] != other[0]:
        return f"{one[0]} and {other[0]}: {one[1] if one[0] == 'error' else ''}" \
               f"{other[1] if other[0] == 'error' else ''}"
    if one[0] in ("error", "string"):
        return None
    if one[0] == "scalar":
        return None if equal_numbers(one[1], other[1]) else f"{one[1]!r} and {other[1]!r}"
    if set(one[1]) != set(other[1]):
        only_one = [dict(key) for key in set(one[1]) - set(other[1])]
        only_other = [dict(key) for key in set(other[1]) - set(one[1])]
        return f"only here: {only_one[:3]}, only there: {only_other[:3]}"
    for key in one[1]:
        if not equal_values(one[1][key], other[1][key]):
            return f"{dict(key)}: {one[1][key]!r} and {other[1][key]!r}"
    # What is equal may stand in any order.
    if ordered and not all(equal_numbers(one[1][a], other[1][b]) for a, b in zip(one[2], other[2])):
        return "another order"
    return None
