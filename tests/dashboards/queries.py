"""Every query of the dashboards, of their variables and marks, of the shipped rules and of dashboards
for cAdvisor, as Grafana asks a Prometheus for them; and whether it has an answer.
"""

import json
import math
import pathlib
import re
import time

import cadvisor
import lint
import promql
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOARDS = [json.loads(path.read_text(encoding="utf-8"))
          for path in sorted((ROOT / "dashboards" / "grafana").glob("*.json"))]
RULES = [ROOT / "dashboards" / "prometheus" / name for name in ("recording.yml", "alerts.yml")]
SPAN, STEP = 60, 15  # seconds that are shown, and between two points

# What a kernel that has bound a controller to cgroup v1 cannot tell, as patterns of families.
OF_CONTROLLER = {
    "memory": r"container_memory_\w+|container_oom_events_total|container:memory_rss_bytes:sum"
              r"|container_spec_memory_(limit|reservation_limit|swap_limit)_bytes",
    "cpu": r"container_cpu_cfs_\w+|container_spec_cpu_quota",
    "pids": r"container_threads(_max)?|container_pids_limit_hits_total",
    "io": r"container_fs_(reads|writes)_(bytes_)?total|container:fs_write_bytes:rate5m",
}

# What cannot be made to happen, as parts of queries.
NEVER = {
    "tallyman_http_certificate_expiry_timestamp_seconds":
        "the agent in the tests has no TLS, so that Prometheus needs no certificate",
    "tallyman_http_connections_cut_total":
        "there is a series once a client was too slow, or too many came",
    "container_memory_events_high_total{<>}[<>])) > 0":
        "Docker has no setting for memory.high; tests/vm/guest/test_numbers.py counts it",
    "tallyman_forward_resent_chunks_total{<>}[<>])) > 0":
        "receivers in the tests either answer at once or never",
    "tallyman_collector_errors_total{<>}[<>])) > 0":
        "no collector fails",
}


def quick_rules(folder):
    """The shipped rules, looked at every second, as files in the folder."""
    made = []
    for path in RULES:
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in rules["groups"]:
            group["interval"] = "1s"
        made.append(folder / path.name)
        made[-1].write_text(json.dumps(rules))
    return made


def filled(query, chosen):
    """`chosen` are the values of variables, by name."""
    made = query.replace("$__rate_interval", f"{STEP + 1}s").replace("$__range", f"{SPAN}s")
    for name, value in chosen.items():
        made = re.sub(rf"\${name}\b", value.replace("\\", r"\\"), made)
    assert "$" not in made, query
    return made


def all_of(board):
    """What each variable stands for when All is chosen."""
    return {one["name"]: "10" if one["type"] == "custom" else one["allValue"]
            for one in board["templating"]["list"] if one["type"] != "datasource"}


def of_panels(board, chosen):
    for panel in lint.Dashboard(board, {}).shown:
        for target in panel["targets"]:
            yield (f"{board['uid']}: {panel['title']} {target['refId']}",
                   filled(target["expr"], chosen), target["instant"])


def of_dashboards(address, name):
    for board in BOARDS:
        everything = all_of(board)
        yield from of_panels(board, everything)
        if board["uid"] == "tallyman-container":
            # As a link that leads there chooses; Grafana quotes for a regular expression, in a text.
            one = {**everything, "name": name, "instance": address.replace(".", r"\\.")}
            yield from ((f"{what} ({name})", query, instant) for what, query, instant
                        in of_panels(board, one))
        for one in board["annotations"]["list"]:
            if "expr" in one:
                yield (f"{board['uid']}: mark {one['name']}", filled(one["expr"], everything),
                       False)


def of_rules():
    """An alert's own query has an answer only when it is time; that which it looks at is there."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                series = [rule["expr"]] if "record" in rule else [
                    node.selector() for node in promql.read(rule["expr"]).series()]
                yield from ((f"rule {rule.get('alert') or rule['record']}", one, True)
                            for one in series)


def every(address, name):
    """(what it is for, query, whether it is asked for one moment); `name` is of a container to which
    everything happens, on the host that is scraped at `address`."""
    yield from of_dashboards(address, name)
    yield from ((f"cAdvisor {board}: {what}", query, True) for board, what, query
                in cadvisor.QUERIES)
    yield from of_rules()


def of_variables():
    """(what it is for, series, label) of the variables."""
    for board in BOARDS:
        for one in board["templating"]["list"]:
            if one["type"] == "query":
                series, label = lint.LABEL_VALUES.fullmatch(
                    filled(one["query"]["query"], all_of(board))).groups()
                yield f"{board['uid']}: {one['name']}", series, label


def controllers(query):
    """The kernel's controllers without which the query has no answer."""
    names = {node.name for node in promql.read(query).series()}
    return {controller for controller, pattern in OF_CONTROLLER.items()
            if any(re.fullmatch(pattern, name) for name in names)}


def never(query):
    """Why the query need not have an answer on any host of the tests, or None."""
    plain = re.sub(r"\[[^\]]*\]", "[<>]", re.sub(r"\{[^}]*\}", "{<>}", query))
    return next((why for part, why in NEVER.items() if part in plain), None)


def has_data(prometheus, query, instant, since=None):
    """Now, as Grafana asks; or at any second `since` then, as what grew once is in the window of few
    of Grafana's points."""
    now = time.time()
    if instant and since is None:
        return any(not math.isnan(value) for _, value in prometheus.query(query))
    start, step = (now - SPAN, STEP) if since is None else (since, 1)
    rows = prometheus.ask("query_range", query=query, start=start, end=now, step=step)["result"]
    return any(not math.isnan(float(value)) for row in rows for _, value in row["values"])
