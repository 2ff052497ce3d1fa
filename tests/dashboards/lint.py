"""Rules for dashboards, those of grafana/dashboard-linter among them under the names that they have
there. `problems` yields what is wrong as (rule, place, what).
"""

import json
import re

import promql

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 39
WIDTH = 24
KINDS = {"timeseries", "stat", "gauge", "bargauge", "table", "state-timeline"}
SHOW_SERIES = {"timeseries", "bargauge", "state-timeline"}
BUILT_IN_VARIABLES = {"__rate_interval", "__range", "__url_time_range", "__field", "__data",
                      "datasource"}

# Units of Grafana that fit what a query's result is.
UNITS = {
    "": {"short", "none"}, "count": {"short", "none"}, "count/s": {"cps", "pps", "iops"},
    "bytes": {"bytes"}, "bytes/s": {"Bps"}, "s": {"s"}, "cpu": {"s"}, "cores": {"suffix: cores"},
    "ratio": {"percentunit"}, "timestamp ms": {"dateTimeFromNow"},
}

# What is not as the rules have it: (rule, dashboard, a part of what is said) and why it may be so.
EXCLUDED = {
    ("target-counter-agg", "tallyman-container", "Who it is"):
        "the table shows the number itself: restarts since the container was made",
    ("panel-legend", "tallyman-container", "instance"):
        "the page is about one container, or one name on few hosts: its legends stay short",
}


class Dashboard:
    def __init__(self, document, families):
        self.document, self.families = document, families
        self.uid = document.get("uid") or ""
        self.panels = []
        for panel in document.get("panels", []):
            self.panels += [panel, *panel.get("panels", [])]
        self.shown = [panel for panel in self.panels if panel.get("type") != "row"]
        self.variables = {one["name"]: one for one in document["templating"]["list"]}
        self.annotations = [one for one in document["annotations"]["list"]
                            if not one.get("builtIn")]

    def labels_of(self, metric):
        return self.families[metric].labels if metric in self.families else set()

    def unit_of(self, metric):
        return self.families[metric].unit if metric in self.families else "count"

    def is_counter(self, metric):
        return metric in self.families and self.families[metric].kind == "counter"


def substituted(query):
    """A query as the reader takes it: windows stay to be told apart."""
    return (query.replace("$__rate_interval", "1y1s").replace("$__range", "1y2s")
            .replace("$top", "10"))


def problems(document, families, others=()):
    """`others` are all dashboards, this one among them: links lead to them."""
    board = Dashboard(document, families)
    for rule in (about_page, about_layout, about_sources, about_variables, about_panels,
                 about_annotations):
        for name, place, what in rule(board):
            if not any(name == rule_ and board.uid == uid and part in f"{place}: {what}"
                       for rule_, uid, part in EXCLUDED):
                yield name, f"{board.uid}: {place}", what
    yield from about_links(board, {one["uid"]: one for one in others})


# ---- the page ----

def about_page(board):
    page = board.document
    for key, wanted in (("schemaVersion", SCHEMA), ("editable", False), ("id", None)):
        if page.get(key, "none") != wanted:
            yield "page-portable", key, f"{page.get(key)!r} instead of {wanted!r}"
    for key in ("__inputs", "__requires", "__elements"):
        if key in page:
            yield "page-portable", key, "is for grafana.com's import alone"
    if not re.fullmatch(r"[a-z-]{1,40}", board.uid):
        yield "page-uid", "uid", repr(board.uid)
    if not page.get("title") or not page.get("description"):
        yield "page-title-description", "title", "both are needed"
    if "tallyman" not in page.get("tags", []):
        yield "page-tags", "tags", "tallyman is needed, the links go by it"
    if not any(link.get("tags") == ["tallyman"] and link.get("includeVars") and
               link.get("keepTime") for link in page.get("links", [])):
        yield "page-links", "links", "to the other dashboards, with variables and time"


def overlap(a, b):
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and
            a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def about_layout(board):
    ids = [panel.get("id") for panel in board.panels]
    for one in {one for one in ids if one is None or ids.count(one) > 1}:
        yield "panel-id", str(one), "is not unique"
    for number, panel in enumerate(board.panels):
        place = panel["gridPos"]
        if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > WIDTH:
            yield "panel-grid", panel["title"], f"not within {WIDTH} columns: {place}"
        for other in board.panels[:number]:
            if overlap(place, other["gridPos"]):
                yield "panel-grid", panel["title"], f"lies over {other['title']}"


def about_sources(board):
    def walk(value, place):
        if isinstance(value, dict):
            if "datasource" in value and value["datasource"] != SOURCE and \
                    value.get("builtIn") != 1:
                yield "panel-datasource", place, repr(value["datasource"])
            for key, one in value.items():
                yield from walk(one, value.get("title") or value.get("name") or place)
        elif isinstance(value, list):
            for one in value:
                yield from walk(one, place)
    yield from walk(board.document, "page")
    if "${DS_" in json.dumps(board.document):
        yield "template-datasource", "page", "${DS_…} is never filled in when provisioned"
    for panel in board.shown:
        if "datasource" not in panel or any("datasource" not in one for one in panel["targets"]):
            yield "panel-datasource", panel["title"], "is missing"


# ---- variables ----

LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)", re.S)


def about_variables(board):
    known = []
    first = next(iter(board.variables.values()), {})
    if first.get("type") != "datasource" or first.get("name") != "datasource" or \
            first.get("query") != "prometheus":
        yield "template-datasource", "variables", "the first one has to choose a Prometheus"
    for name in ("job", "instance"):
        if board.variables.get(name, {}).get("allValue") != ".+":
            yield f"template-{name}", name, "is missing, or All is not .+"
    for name, one in board.variables.items():
        if one["type"] == "query":
            if not (one["multi"] and one["includeAll"] and one["allValue"]):
                yield "template-multi", name, "several, All, and what All stands for"
            if one["refresh"] != 2:
                yield "template-on-time-change-reload", name, "refresh has to be 2"
            match = LABEL_VALUES.fullmatch(one["query"]["query"])
            if not match:
                yield "template-label-promql", name, one["query"]["query"]
                continue
            yield from about_query(board, "template-label-promql", name, match[1], known,
                                   needs=())
            metric = promql.read(match[1]).name
            if match[2] not in board.labels_of(metric):
                yield "template-label-promql", name, f"{metric} has no label {match[2]}"
        if not one.get("label"):
            yield "template-label", name, "people see no name"
        known.append(name)
    text = json.dumps([board.document["panels"], board.annotations])
    for name in set(re.findall(r"\$\{?(\w+)", text)) - board.variables.keys() - BUILT_IN_VARIABLES:
        yield "template-unknown", name, "is used and not there"
    for name in board.variables.keys() - set(re.findall(r"\$\{?(\w+)", json.dumps(board.document))):
        yield "template-unused", name, "is there and not used"


# ---- queries ----

def about_query(board, rule, place, query, variables, needs=("job", "instance")):
    """What is wrong in a query whatever it is for; nothing more where it cannot be read."""
    try:
        node = promql.read(substituted(query))
    except promql.Mistake as mistake:
        yield rule, place, f"{mistake}: {query}"
        return
    for name in set(re.findall(r"\$(\w+)", query)) - set(variables) - BUILT_IN_VARIABLES:
        yield rule, place, f"${name} is not known yet"
    for series in node.series():
        family = board.families.get(series.name)
        if not family:
            yield "target-family", place, f"{series.name} is no family"
            continue
        have = {label: (operator, value) for label, operator, value in series.matchers}
        for label in have.keys() - family.labels:
            yield "target-label", place, f"{series.name} has no label {label}"
        for label in needs:
            # An alert that sums over containers has no job any more.
            if label == "job" and series.name.startswith("ALERTS"):
                continue
            if have.get(label) != ("=~", f"${label}"):
                yield f"target-{label}", place, f"{series.name} lacks {label}=~\"${label}\""
        for label, (operator, value) in have.items():
            if value.startswith("$") and operator != "=~":
                yield "target-regex", place, f"{label}{operator}{value} takes one value only"
    for part in node.walk():
        names = (part.grouping or ("", []))[1] + (part.matching or ("", []))[1]
        known = set().union(*(board.labels_of(series.name) for series in part.series()))
        for label in set(names) - known:
            yield "target-label", place, f"no series has the label {label} of {part.name} (…)"


def about_target(board, panel, target):
    place, query = panel["title"], target["expr"]
    before = list(about_query(board, "target-promql", place, query, board.variables))
    yield from before
    if any(rule in ("target-promql", "target-family") for rule, _, _ in before):
        return
    node = promql.read(substituted(query))
    for part in node.walk():
        if part.kind == "call" and part.name == "irate":
            yield "target-irate", place, "shows only the last two samples of each step"
    for series in node.series():
        allowed = {"", "1y1s"}
        if series.at or target.get("instant"):
            allowed.add("1y2s")
        if series.window not in allowed:
            yield "target-rate-interval", place, f"{series.name}[{series.window}]"
    for name in promql.counters_read_raw(node, board.is_counter):
        yield "target-counter-agg", place, f"{name} outside of rate or increase"
    yield from about_unit(board, panel, target, node)
    if panel["type"] in SHOW_SERIES:
        yield from about_legend(board, place, target, node)


def shown_unit(panel, target):
    """The unit in which a query's values are shown."""
    defaults = panel["fieldConfig"]["defaults"].get("unit")
    names = {"byFrameRefID": target["refId"]}
    if panel["type"] == "table":
        field = f"Value #{target['refId']}" if len(panel["targets"]) > 1 else "Value"
        for step in panel.get("transformations", []):
            field = step["options"].get("renameByName", {}).get(field, field)
        names["byName"] = field
    for one in panel["fieldConfig"]["overrides"]:
        if names.get(one["matcher"]["id"]) == one["matcher"]["options"]:
            defaults = next((prop["value"] for prop in one["properties"]
                             if prop["id"] == "unit"), defaults)
    return defaults


def about_unit(board, panel, target, node):
    shown = shown_unit(panel, target)
    if not shown:
        yield "panel-units", panel["title"], "no unit"
        return
    try:
        found = promql.unit(node, board.unit_of)
    except promql.Mistake as mistake:
        yield "panel-units", panel["title"], f"{mistake} in {target['expr']}"
        return
    if shown not in UNITS.get(found, ()):
        yield "panel-units", panel["title"], f"{found} shown as {shown}: {target['expr']}"


def about_legend(board, place, target, node):
    legend = target.get("legendFormat", "")
    named = set(re.findall(r"\{\{(\w+)\}\}", legend))
    has = promql.labels(node, board.labels_of)
    for label in sorted(named - has):
        yield "panel-legend", place, f"the result has no label {label}"
    for label in sorted(has - named):
        yield "panel-legend", place, f"two series that differ in {label} look alike: {legend}"
    if not legend or legend == "__auto":
        yield "panel-legend", place, "no legend"


def about_panels(board):
    for panel in board.panels:
        if panel["type"] == "row":
            if not panel.get("title"):
                yield "panel-title-description", "row", "no title"
            continue
        place = panel.get("title") or f"panel {panel.get('id')}"
        if panel["type"] not in KINDS:
            yield "panel-kind", place, f"{panel['type']} is not among Grafana's own of today"
        if not panel.get("title") or not re.search(r"[.!?]$", panel.get("description", "")):
            yield "panel-title-description", place, "both are needed, the latter a sentence"
        if not panel.get("targets"):
            yield "panel-no-targets", place, "asks for nothing"
        refs = [target.get("refId") for target in panel.get("targets", [])]
        if len(set(refs)) != len(refs) or None in refs:
            yield "target-ref", place, f"refIds {refs}"
        for target in panel.get("targets", []):
            yield from about_target(board, panel, target)


def about_annotations(board):
    for one in board.annotations:
        before = list(about_query(board, "target-promql", one["name"], one["expr"],
                                  board.variables))
        yield from before
        if one["expr"] != one["target"]["expr"]:
            yield "annotation", one["name"], "has two different queries"
        if before:
            continue
        node = promql.read(substituted(one["expr"]))
        has = promql.labels(node, board.labels_of)
        named = set(re.findall(r"\{\{(\w+)\}\}", one["titleFormat"] + one["textFormat"]))
        for label in sorted((named | set(one["tagKeys"].split(","))) - has):
            yield "annotation", one["name"], f"the result has no label {label}"
        if one["useValueForTime"] != (promql.unit(node, board.unit_of) == "timestamp ms"):
            yield "annotation", one["name"], "its value is a time in milliseconds, or it is not"


# ---- links ----

def about_links(board, others):
    for panel in board.shown:
        defaults = panel["fieldConfig"]["defaults"].get("links", [])
        more = [link for one in panel["fieldConfig"]["overrides"] for prop in one["properties"]
                if prop["id"] == "links" for link in prop["value"]]
        for link in defaults + more:
            yield from about_link(board, panel, link, others)


def about_link(board, panel, link, others):
    place = f"{board.uid}: {panel['title']}"
    match = re.fullmatch(r"/d/([\w-]+)\?(.*)", link["url"])
    if not match or match[1] not in others:
        yield "link", place, f"leads nowhere: {link['url']}"
        return
    there = {one["name"] for one in others[match[1]]["templating"]["list"]}
    for name in set(re.findall(r"\bvar-(\w+)=", match[2])) - there:
        yield "link", place, f"{match[1]} has no variable {name}"
    if "${__url_time_range}" not in match[2]:
        yield "link", place, "does not keep the time"
    text = link["url"] + link["title"]
    for label in set(re.findall(r"__field\.labels\.(\w+)", text)):
        for target in panel["targets"]:
            try:
                node = promql.read(substituted(target["expr"]))
            except promql.Mistake:
                continue  # about_query has said so
            if label not in promql.labels(node, board.labels_of):
                yield "link", place, f"{target['refId']} has no label {label}"
    columns = {name for step in panel.get("transformations", [])
               for name in step["options"].get("renameByName", {}).values()}
    for name in set(re.findall(r"__data\.fields\.(\w+)", text)) - columns:
        yield "link", place, f"there is no column {name}"
