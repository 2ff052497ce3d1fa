"""What the dashboards are made of: variables, queries, panels and the page that they are put on.

Everything is written so that any Grafana from 10 on takes it without a change: the data source is a
variable, no plugin is asked for, and what Grafana would fill in by itself is left out. In queries
`<h>` stands for the matchers of the chosen hosts, `<c>` for those of the chosen containers.
"""

SCHEMA = 39
PLUGINS = "10.4.0"  # the version of the panels' options
WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

HOSTS = 'job=~"$job", instance=~"$instance"'
NAMES = HOSTS + ', name=~"$name"'
PROJECTS = HOSTS + ', container_label_com_docker_compose_project=~"$project", name=~"$name"'

# Legends.
CONTAINER = "{{name}} @ {{instance}}"
HOST = "{{instance}}"

# Units.
BYTES, BYTES_PER_SECOND, SECONDS, RATIO = "bytes", "Bps", "s", "percentunit"
COUNT, PER_SECOND, CORES, AGO = "short", "cps", "suffix: cores", "dateTimeFromNow"

GREEN, YELLOW, ORANGE, RED, BLUE, GREY, PURPLE = (
    "green", "yellow", "orange", "red", "blue", "#808080", "purple")


# ---- links ----

def detail(instance, name):
    """The address of the page about one container."""
    return ("/d/tallyman-container?var-datasource=${datasource}"
            f"&var-instance={instance}&var-name={name}&${{__url_time_range}}")


TO_CONTAINER = {"title": "${__field.labels.name} in detail",
                "url": detail("${__field.labels.instance}", "${__field.labels.name}")}
ROW_TO_CONTAINER = {"title": "This container in detail",
                    "url": detail("${__data.fields.Host}", "${__data.fields.Container}")}
TO_HOST = {"title": "The agent on ${__field.labels.instance}",
           "url": "/d/tallyman-agent?var-datasource=${datasource}"
                  "&var-instance=${__field.labels.instance}&${__url_time_range}"}
ROW_TO_FLEET = {"title": "The containers of this host",
                "url": "/d/tallyman-fleet?var-datasource=${datasource}"
                       "&var-instance=${__data.fields.Host}&${__url_time_range}"}


# ---- variables ----

def datasource_variable():
    return {"name": "datasource", "label": "Data source", "type": "datasource",
            "query": "prometheus", "current": {}, "hide": 0, "includeAll": False, "multi": False,
            "options": [], "refresh": 1, "regex": "", "skipUrlSync": False}


def variable(name, label, query, every=".+", description=""):
    """A choice among the values that a query finds; `every` is what All stands for."""
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE,
            "definition": query, "query": {"qryType": 1, "query": query, "refId": "Variable"},
            "description": description, "multi": True, "includeAll": True, "allValue": every,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "hide": 0,
            "options": [], "refresh": 2, "regex": "", "skipUrlSync": False, "sort": 1}


def choice(name, label, values, description):
    options = [{"selected": value == values[0], "text": value, "value": value} for value in values]
    return {"name": name, "label": label, "type": "custom", "query": ",".join(values),
            "description": description, "current": options[0], "options": options, "hide": 0,
            "includeAll": False, "multi": False, "skipUrlSync": False}


JOB = variable("job", "Job", "label_values(tallyman_build_info, job)")
INSTANCE = variable("instance", "Host", 'label_values(tallyman_build_info{job=~"$job"}, instance)')
PROJECT = variable(
    "project", "Compose project",
    f"label_values(container_last_seen{{{HOSTS}}}, container_label_com_docker_compose_project)",
    every=".*", description="All has the containers that belong to no project, too.")
NAME = variable("name", "Container", f"label_values(container_last_seen{{{HOSTS}}}, name)")
NAME_IN_PROJECT = variable(
    "name", "Container", "label_values(container_last_seen{" + HOSTS +
    ', container_label_com_docker_compose_project=~"$project"}, name)')
DESTINATION = variable(
    "destination", "Destination",
    f"label_values(tallyman_destination_records_appended_total{{{HOSTS}}}, destination)")
TOP = choice("top", "Show", ["10", "20", "50", "100"],
             "How many containers each graph has: those with the highest average over the time "
             "that is shown.")


# ---- queries ----

def q(expr, legend="__auto", **more):
    return {"datasource": SOURCE, "expr": expr, "legendFormat": legend, "editorMode": "code",
            "range": True, "instant": False, **more}


def now(expr, legend="__auto"):
    """Asked for one moment, the end of the time that is shown."""
    return q(expr, legend, range=False, instant=True)


def column(expr):
    return q(expr, "", range=False, instant=True, format="table")


def top(before, after=""):
    """The $top containers with the highest average; `before` and `after` enclose the range."""
    whole = before + "[$__rate_interval]" + after
    over_all = before + "[$__range] @ end()" + after
    return f"{whole}\nand topk($top, {over_all})"


def top_rate(metric, matchers="<c>"):
    return top(f"sum by (instance, name) (rate({metric}{{{matchers}}}", "))")


def top_gauge(metric, matchers="<c>"):
    series = f"{metric}{{{matchers}}}"
    return (f"sum by (instance, name) ({series})\n"
            f"and topk($top, sum by (instance, name) (avg_over_time({series}[$__range] @ end())))")


def coded(metric, label, values, matchers="<c>"):
    """Of series with one for each value of a label, of which one is 1: its place in the list."""
    return "max by (instance, name) (\n  " + "\n  or ".join(
        f'{code} * {metric}{{{matchers}, {label}="{value}"}}'
        for code, value in enumerate(values, 1)) + "\n)"


# ---- panels ----

def thresholds(*steps):
    """Colours from the lowest on: a colour, then pairs of a value and the colour from there on."""
    first, *others = steps or (GREEN,)
    return {"mode": "absolute", "steps": [{"color": first, "value": None},
                                          *({"color": color, "value": value}
                                            for value, color in others)]}


def panel(kind, title, description, unit, targets, options, custom=None, steps=(), links=(),
          overrides=(), maps=(), **defaults):
    for target, letter in zip(targets, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        target["refId"] = letter
    color = {"mode": "palette-classic"} if kind == "timeseries" else {"mode": "thresholds"}
    return {
        "type": kind, "title": title, "description": description, "datasource": SOURCE,
        "pluginVersion": PLUGINS, "targets": list(targets), "options": options,
        "fieldConfig": {
            "defaults": {"color": color, "unit": unit, "mappings": list(maps),
                         "thresholds": thresholds(*steps), "links": list(links),
                         "custom": custom or {}, **defaults},
            "overrides": list(overrides)},
    }


def override(letter, **properties):
    """What is different about one query's series."""
    return {"matcher": {"id": "byFrameRefID", "options": letter},
            "properties": [{"id": key.replace("__", "."), "value": value}
                           for key, value in properties.items()]}


def dashed(letter):
    """A bound beside what stays below it."""
    return override(letter, custom__lineStyle={"fill": "dash", "dash": [10, 10]},
                    custom__fillOpacity=0, custom__stacking={"mode": "none", "group": "A"})


def below(letter):
    """Shown downwards: what goes out, beside what comes in."""
    return override(letter, custom__transform="negative-Y")


def graph(title, description, unit, *targets, stack=False, bars=False, area=False, wide=False,
          **more):
    custom = {
        "drawStyle": "bars" if bars else "line", "lineInterpolation": "linear", "lineWidth": 1,
        "fillOpacity": 80 if bars else 30 if stack else 8, "gradientMode": "none",
        "showPoints": "never", "spanNulls": False, "pointSize": 5, "barAlignment": 0,
        "axisPlacement": "auto", "axisLabel": "", "axisBorderShow": False,
        "scaleDistribution": {"type": "linear"},
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "stacking": {"mode": "normal" if stack or bars else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if area else "off"},
    }
    options = {"legend": {"showLegend": True, "displayMode": "table",
                          "placement": "right" if wide else "bottom",
                          "calcs": ["sum"] if bars else ["mean", "max", "lastNotNull"],
                          "sortBy": "Total" if bars else "Mean", "sortDesc": True},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    more.setdefault("min", 0)
    if more["min"] is None:
        del more["min"]
    return panel("timeseries", title, description, unit, targets, options, custom, **more)


def stat(title, description, unit, *targets, spark=True, colored="value", names="auto", **more):
    options = {"colorMode": colored, "graphMode": "area" if spark else "none",
               "justifyMode": "auto", "orientation": "auto", "textMode": names,
               "wideLayout": True, "showPercentChange": False,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("stat", title, description, unit, targets, options, **more)


def bars(title, description, unit, *targets, **more):
    options = {"displayMode": "gradient", "orientation": "horizontal", "valueMode": "color",
               "namePlacement": "auto", "showUnfilled": True, "sizing": "auto",
               "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("bargauge", title, description, unit, targets, options, min=0, **more)


def gauge(title, description, unit, *targets, **more):
    options = {"orientation": "auto", "showThresholdLabels": False, "showThresholdMarkers": True,
               "minVizWidth": 75, "minVizHeight": 75, "sizing": "auto",
               "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    return panel("gauge", title, description, unit, targets, options, **more)


def values(*rows):
    """The words and colours of numbers: (number, word, colour)."""
    return [{"type": "value", "options": {
        str(number): {"text": text, "color": color, "index": place}
        for place, (number, text, color) in enumerate(rows)}}]


YES_NO = values((0, "no", RED), (1, "yes", GREEN))
HEALTH = ["starting", "healthy", "unhealthy"]
HEALTH_WORDS = values((0, "no check", GREY), (1, "starting", YELLOW), (2, "healthy", GREEN),
                      (3, "unhealthy", RED))
STATES = ["created", "running", "paused", "restarting", "removing", "exited", "dead"]
STATE_WORDS = values((1, "created", BLUE), (2, "running", GREEN), (3, "paused", YELLOW),
                     (4, "restarting", ORANGE), (5, "removing", PURPLE), (6, "exited", GREY),
                     (7, "dead", RED))


def timeline(title, description, maps, *targets, **more):
    options = {"mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.85,
               "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"},
               "tooltip": {"mode": "single", "sort": "none"}}
    custom = {"lineWidth": 0, "fillOpacity": 80, "spanNulls": False,
              "hideFrom": {"legend": False, "tooltip": False, "viz": False},
              "insertNulls": False}
    return panel("state-timeline", title, description, COUNT, targets, options, custom, maps=maps,
                 **more)


HOST_AND_CONTAINER = [("instance", "Host"), ("name", "Container")]


def table(title, description, labels, columns, sort=None, links=(), footer=False):
    """A row for each set of labels. `labels` are (label, heading), `columns` (heading, unit, query,
    extras): extras are properties of the column (maps, steps, width, bar)."""
    targets = [column(query) for _, _, query, *_ in columns]
    fields = [f"Value #{letter}" for letter, _ in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", columns)] \
        if len(columns) > 1 else ["Value"]
    names = dict(labels) | dict(zip(fields, (heading for heading, *_ in columns)))
    overrides = []
    for heading, unit, _, *extras in columns:
        extras = extras[0] if extras else {}
        properties = [{"id": "unit", "value": unit}]
        if "maps" in extras:
            properties.append({"id": "mappings", "value": extras["maps"]})
        if "steps" in extras:
            properties.append({"id": "thresholds", "value": thresholds(*extras["steps"])})
        if "steps" in extras or "maps" in extras:
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        if extras.get("bar"):
            properties += [{"id": "custom.cellOptions",
                            "value": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}},
                           {"id": "min", "value": 0}]
            if unit == RATIO:
                properties.append({"id": "max", "value": 1})
        if "width" in extras:
            properties.append({"id": "custom.width", "value": extras["width"]})
        overrides.append({"matcher": {"id": "byName", "options": heading},
                          "properties": properties})
    if links:
        overrides.append({"matcher": {"id": "byName", "options": labels[-1][1]},
                          "properties": [{"id": "links", "value": list(links)}]})
    options = {"showHeader": True, "cellHeight": "sm",
               "footer": {"show": footer, "reducer": ["sum"], "countRows": False, "fields": ""},
               "sortBy": [{"displayName": sort, "desc": True}] if sort else []}
    made = panel("table", title, description, COUNT, targets, options,
                 {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False,
                  "filterable": True}, overrides=overrides)
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": True}, "renameByName": names, "includeByName": {},
            "indexByName": {name: place for place, name in enumerate(names)}}}]
    return made


# ---- annotations ----

def annotation(name, color, expr, title, text, tags, at_value=False, on=True):
    """A mark in every graph. With `at_value` the query's value is the time, in milliseconds."""
    return {"name": name, "datasource": SOURCE, "enable": on, "hide": False, "iconColor": color,
            "expr": expr, "step": "", "titleFormat": title, "textFormat": text, "tagKeys": tags,
            "useValueForTime": at_value,
            "target": {"refId": "Anno", "expr": expr, "interval": "", "range": True,
                       "instant": False, "editorMode": "code", "legendFormat": ""}}


BUILT_IN = {"builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True, "hide": True, "iconColor": "rgba(0, 211, 255, 1)",
            "name": "Annotations & Alerts", "type": "dashboard"}
STARTS = annotation(
    "Starts", BLUE, "max by (instance, name) (container_start_time_seconds{<c>}) * 1000",
    "{{name}} was started", "on {{instance}}", "instance,name", at_value=True)
RESTARTS = annotation(
    "Restarts", ORANGE,
    "sum by (instance, name) (increase(container_restarts_total{<c>}[$__rate_interval])) > 0",
    "{{name}} was restarted by its restart policy", "on {{instance}}", "instance,name")
OOM_KILLS = annotation(
    "OOM kills", RED,
    "sum by (instance, name) (increase(container_oom_events_total{<c>}[$__rate_interval])) > 0",
    "{{name}}: processes were killed for lack of memory", "on {{instance}}", "instance,name")
ALERTS_OF_CONTAINERS = annotation(
    "Alerts", PURPLE,
    'max by (instance, name, alertname, severity) '
    '(ALERTS{alertstate="firing", instance=~"$instance", name=~"$name"})',
    "{{alertname}}: {{name}}", "{{severity}}, on {{instance}}", "severity,alertname")
ALERTS_OF_HOSTS = annotation(
    "Alerts", PURPLE,
    'max by (instance, name, alertname, severity) '
    '(ALERTS{alertstate="firing", instance=~"$instance"})',
    "{{alertname}} {{name}}", "{{severity}}, on {{instance}}", "severity,alertname")
AGENT_STARTS = annotation(
    "Starts of the agent", BLUE,
    "max by (instance) (process_start_time_seconds{<h>}) * 1000",
    "The agent was started", "on {{instance}}", "instance", at_value=True)


# ---- the page ----

class Page:
    """A dashboard. Panels are put from left to right; the next line begins where there is no room."""

    def __init__(self, uid, title, description, variables, annotations, containers=PROJECTS):
        self.uid, self.title, self.description = uid, title, description
        self.variables, self.annotations = variables, annotations
        self.matchers = {"<h>": HOSTS, "<c>": containers}
        self.panels, self.next_id = [], 1
        self.x = self.y = self.height = 0
        self.folded = None

    def _place(self, made, width, height):
        if self.x + width > WIDTH:
            self.x, self.y, self.height = 0, self.y + self.height, 0
        made["gridPos"] = {"x": self.x, "y": self.y, "w": width, "h": height}
        made["id"] = self.next_id
        self.next_id += 1
        self.x, self.height = self.x + width, max(self.height, height)
        return made

    def row(self, title, folded=False):
        """What follows stands under this heading; folded, Grafana asks for it when it is opened."""
        self.x, self.y, self.height = 0, self.y + self.height, 0
        made = self._place({"type": "row", "title": title, "collapsed": folded, "panels": []},
                           WIDTH, 1)
        self.x = WIDTH
        self.panels.append(made)
        self.folded = made["panels"] if folded else None

    def add(self, made, width=8, height=8):
        (self.panels if self.folded is None else self.folded).append(
            self._place(made, width, height))

    def filled(self, value):
        """The value with the matchers in their places."""
        if isinstance(value, str):
            for mark, matchers in self.matchers.items():
                value = value.replace(mark, matchers)
            return value
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        return value

    def rendered(self):
        return self.filled({
            "uid": self.uid, "title": self.title, "description": self.description,
            "tags": ["tallyman", "containers", "docker"], "id": None, "version": 1,
            "schemaVersion": SCHEMA, "editable": False, "graphTooltip": 1, "fiscalYearStartMonth": 0,
            "liveNow": False, "timezone": "browser", "weekStart": "", "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"}, "timepicker": {},
            "links": [{"type": "dashboards", "title": "Tallyman", "tags": ["tallyman"],
                       "asDropdown": False, "includeVars": True, "keepTime": True,
                       "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
            "annotations": {"list": [BUILT_IN, *self.annotations]},
            "templating": {"list": [datasource_variable(), *self.variables]},
            "panels": self.panels,
        })
