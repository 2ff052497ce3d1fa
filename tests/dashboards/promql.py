"""A small reader of PromQL: enough to say of a query which series it asks for, which labels its result
has, in which unit it is, and whether counters are read as such.

Grammar: https://prometheus.io/docs/prometheus/latest/querying/basics/ and …/operators/. What a query
means is for Prometheus to say (tests/engine/test_dashboards.py); this only looks at it.
"""

import dataclasses
import re

TOKEN = re.compile(r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<duration>(?:\d+(?:ms|[smhdwy]))+)
  | (?P<number>0x[0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
  | (?P<operator>==|!=|>=|<=|=~|!~|[-+*/%^<>=(){}\[\],@:])
""", re.X)

AGGREGATIONS = {"sum", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk", "bottomk",
                "quantile", "count_values"}
PRECEDENCE = {"or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, ">": 3, "<": 3, ">=": 3, "<=": 3,
              "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 6}
SETS, COMPARISONS = {"or", "and", "unless"}, {"==", "!=", ">", "<", ">=", "<="}
COUNTER_FUNCTIONS = {"rate", "irate", "increase", "resets"}


class Mistake(Exception):
    """The text is no query that this reader knows."""


@dataclasses.dataclass
class Node:
    kind: str  # number, string, series, call, aggregation, binary
    name: str = ""  # metric, function, operator
    parts: list = dataclasses.field(default_factory=list)
    matchers: list = dataclasses.field(default_factory=list)  # (label, operator, value)
    window: str = ""  # what stands in [ ]
    offset: str = ""
    at: bool = False
    grouping: tuple = None  # ("by" or "without", labels)
    matching: tuple = None  # ("on" or "ignoring", labels, "group_left" or …, labels)
    value: float = 0

    def walk(self):
        yield self
        for part in self.parts:
            yield from part.walk()

    def series(self):
        return [node for node in self.walk() if node.kind == "series"]

    def selector(self):
        """The series as a query of its own, without window and offset."""
        inside = ", ".join(f'{label}{operator}"{value}"' for label, operator, value
                           in self.matchers)
        return f"{self.name}{{{inside}}}" if inside else self.name


class Reader:
    def __init__(self, text):
        self.tokens, at = [], 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise Mistake(f"not understood: {text[at:at + 20]!r}")
            if match.lastgroup != "space":
                self.tokens.append((match.lastgroup, match[0]))
            at = match.end()
        self.at = 0

    def peek(self):
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def kind(self):
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self, wanted=None):
        if self.at == len(self.tokens) or wanted not in (None, self.peek()):
            raise Mistake(f"{wanted or 'more'} expected before {self.peek()!r}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def taken(self, wanted):
        if self.peek() == wanted:
            self.at += 1
            return True
        return False

    def whole(self):
        node = self.binary(0)
        if self.peek():
            raise Mistake(f"unexpected {self.peek()!r}")
        return node

    def labels(self):
        self.take("(")
        names = []
        while not self.taken(")"):
            names.append(self.take())
            self.taken(",")
        return names

    def binary(self, least):
        if self.taken("-"):
            left = Node("binary", "*", [Node("number", value=-1), self.binary(PRECEDENCE["^"])])
        else:
            left = self.postfix()
        while PRECEDENCE.get(self.peek().lower(), 0) > least:
            operator = self.take().lower()
            node = Node("binary", operator)
            if self.taken("bool"):
                node.value = 1
            if self.peek() in ("on", "ignoring"):
                word, names = self.take(), self.labels()
                side, more = "", []
                if self.peek() in ("group_left", "group_right"):
                    side = self.take()
                    more = self.labels() if self.peek() == "(" else []
                node.matching = (word, names, side, more)
            # ^ alone is bound from the right.
            right = self.binary(PRECEDENCE[operator] - (operator == "^"))
            node.parts = [left, right]
            left = node
        return left

    def postfix(self):
        node = self.primary()
        while self.peek() in ("[", "offset", "@"):
            word = self.take()
            if word == "[":
                inside = []
                while self.peek() != "]":
                    inside.append(self.take())
                self.take("]")
                node.window = "".join(inside)
            elif word == "offset":
                node.offset = self.take()
            else:
                node.at = True
                self.take()
                if self.taken("("):
                    self.take(")")
        return node

    def primary(self):
        kind = self.kind()
        if self.taken("("):
            node = self.binary(0)
            self.take(")")
            return node
        if kind == "number":
            return Node("number", value=float(self.take()))
        if kind == "string":
            return Node("string", name=self.take()[1:-1])
        if kind == "name" or self.peek() == "{":
            return self.named()
        raise Mistake(f"unexpected {self.peek()!r}")

    def named(self):
        name = self.take() if self.kind() == "name" else ""
        if name in AGGREGATIONS:
            node = Node("aggregation", name)
            if self.peek() in ("by", "without"):
                node.grouping = (self.take(), self.labels())
            node.parts = self.arguments()
            if self.peek() in ("by", "without"):
                node.grouping = (self.take(), self.labels())
            return node
        if self.peek() == "(":
            return Node("call", name, self.arguments())
        node = Node("series", name)
        if self.taken("{"):
            while not self.taken("}"):
                label, operator, value = self.take(), self.take(), self.take()
                node.matchers.append((label, operator, value[1:-1]))
                self.taken(",")
        return node

    def arguments(self):
        self.take("(")
        parts = []
        while not self.taken(")"):
            parts.append(self.binary(0))
            self.taken(",")
        return parts


def read(text):
    return Reader(text).whole()


# ---- labels ----

def labels(node, of_series):
    """The labels that the result can have; `of_series` says those of a metric's series."""
    if node.kind == "series":
        return set(of_series(node.name))
    if node.kind == "aggregation":
        inner = labels(node.parts[-1], of_series)
        if node.name in ("topk", "bottomk"):
            return inner
        if node.grouping is None:
            return set()
        word, names = node.grouping
        return inner & set(names) if word == "by" else inner - set(names)
    if node.kind == "call":
        found = set().union(*(labels(part, of_series) for part in node.parts))
        if node.name in ("label_replace", "label_join"):
            found.add(node.parts[1].name)
        return found
    if node.kind == "binary":
        left, right = (labels(part, of_series) for part in node.parts)
        if node.name == "or":
            return left | right
        if node.name in SETS:
            return left
        if node.parts[0].kind == "number":
            return right
        if node.matching:
            word, names, side, more = node.matching
            if side:
                return (left if side == "group_left" else right) | set(more)
            if node.name not in COMPARISONS:
                return left & set(names) if word == "on" else left - set(names)
        return left
    return set()


# ---- counters ----

def counters_read_raw(node, is_counter, within=False):
    """Counters of which something else than their growth is asked for."""
    within = within or node.kind == "call" and node.name in COUNTER_FUNCTIONS
    if node.kind == "series":
        return [] if within or not is_counter(node.name) else [node.name]
    return [name for part in node.parts for name in counters_read_raw(part, is_counter, within)]


# ---- units ----

NEUTRAL = ""  # of a plain number
PER_SECOND = {"bytes": "bytes/s", "s": "ratio", "cpu": "cores", "count": "count/s"}
SAME = {"sum", "min", "max", "avg", "topk", "bottomk", "quantile"}


def unit(node, of_metric):
    """bytes, s, cpu (seconds of CPU time), count, cores, ratio, timestamp, timestamp ms, and bytes or
    count per second; `of_metric` says the unit of a metric."""
    if node.kind == "number":
        return NEUTRAL
    if node.kind == "series":
        return of_metric(node.name)
    if node.kind == "aggregation":
        inner = unit(node.parts[-1], of_metric)
        return inner if node.name in SAME else "count"
    if node.kind == "call":
        return unit_of_call(node, of_metric)
    left, right = (unit(part, of_metric) for part in node.parts)
    if node.name in SETS or node.name in COMPARISONS:
        if node.name == "or" and NEUTRAL not in (left, right) and left != right:
            raise Mistake(f"{left} or {right}")
        return left or right
    return unit_of_arithmetic(node, left, right)


def unit_of_call(node, of_metric):
    if node.name == "time":
        return "timestamp"
    if node.name == "vector":
        return NEUTRAL
    if not node.parts:
        raise Mistake(f"{node.name}()")
    inner = unit(node.parts[0], of_metric)
    if node.name in ("rate", "irate"):
        if inner not in PER_SECOND:
            raise Mistake(f"{node.name} of {inner}")
        return PER_SECOND[inner]
    if node.name in ("changes", "resets", "count_over_time"):
        return "count"
    return inner


def unit_of_arithmetic(node, left, right):
    if node.name == "*" and NEUTRAL in (left, right):
        factor = next(part for part in node.parts if part.kind == "number").value
        inner = left or right
        if inner == "timestamp" and factor == 1000:
            return "timestamp ms"
        return inner
    if node.name == "*" and "count" in (left, right):  # by an _info, which is 1
        return left if right == "count" else right
    if node.name == "/":
        if left == right:
            return "ratio"
        if right in (NEUTRAL, "count"):
            return left
        if (left, right) == ("ratio", "count/s"):
            return "s"  # seconds per second, over how often per second
    if node.name in "+-":
        if left == right:
            return "s" if node.name == "-" and left == "timestamp" else left
        if NEUTRAL in (left, right):
            return left or right
    raise Mistake(f"{left} {node.name} {right}")
