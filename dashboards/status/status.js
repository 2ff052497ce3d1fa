// The status page: asks the agent every few seconds and shows what it says. Texts of containers go
// into the document as text nodes and attributes alone, never as markup.
"use strict";

const POLL_MS = 3000;
const POLL_LARGE_MS = 5000; // with many containers
const LARGE = 300;
const TIMEOUT_MS = 10000;
const PAGE_ROWS = 50;
const FINDINGS_MAX = 5000;

// ---- making elements ----

// h("a", {href: "#/", class: "x", onclick: fn}, "text", node, …)
function h(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function svg(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// These write only what has changed.
function say(node, text) {
  if (node.shown !== text) node.textContent = node.shown = text;
}
function mark(node, name, value) {
  if (node.getAttribute(name) === value) return;
  if (value === null) node.removeAttribute(name);
  else node.setAttribute(name, value);
}
function fill(node, key, make) { // children anew, if what they are made of has changed
  if (node.madeOf !== key) {
    node.madeOf = key;
    node.replaceChildren(...[make()].flat());
  }
}

const byId = (id) => document.getElementById(id);

// ---- numbers and times ----

const DASH = "–";
const known = (number) => number !== null && number !== undefined;

function figures(number) {
  return number >= 99.95 || number === 0 ? String(Math.round(number)) : number >= 9.995 ? number.toFixed(1) : number.toFixed(2);
}
function bytes(number) {
  if (!known(number)) return DASH;
  let unit = 0;
  while (number >= 1000 && unit < 5) { number /= 1024; unit++; }
  return (unit === 0 ? Math.round(number) : figures(number)) + " " + ["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit];
}
const perSecond = (number) => (known(number) ? (number === 0 ? "0" : bytes(number) + "/s") : DASH);
function percent(share) { // of one CPU, or of a whole
  if (!known(share)) return DASH;
  const number = share * 100;
  return (number >= 9.95 || number === 0 ? Math.round(number) : number.toFixed(1)) + " %";
}
function cpus(number) {
  if (!known(number)) return DASH;
  const text = String(Math.round(number * 100) / 100);
  return text + (text === "1" ? " CPU" : " CPUs");
}
const count = (number) => (known(number) ? number.toLocaleString("en") : DASH);
const many = (number, one, more) => !known(number) ? DASH : count(number) + " " + (number === 1 ? one : more || one + "s");

function span(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 1) return seconds === 0 ? "0 s" : "< 1 s";
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = units.findIndex(([size]) => seconds >= size);
  const [size, name] = units[at];
  const whole = Math.floor(seconds / size);
  const next = units[at + 1];
  const rest = next && whole < 3 && at < 3 ? Math.floor((seconds - whole * size) / next[0]) : 0;
  return whole + " " + name + (rest ? " " + rest + " " + next[1] : "");
}
const now = () => Date.now() / 1000 + state.skew;
const ago = (time) => (now() - time < 2 ? "just now" : span(now() - time) + " ago");
const clock = (time) => new Date(time * 1000).toLocaleString();
const unix = (text) => Date.parse(text) / 1000;

// A time that stays true: the ticker writes it anew.
function since(time, write) {
  const node = h("time", {datetime: new Date(time * 1000).toISOString(), title: clock(time)});
  node.write = () => say(node, (write || ago)(time));
  node.write();
  node.classList.add("ticks");
  return node;
}

// ---- what is known ----

const state = {
  overview: null, containers: [], byKey: new Map(), samples: [],
  alerts: [], alertsKnown: false, rules: null, findings: null, findingsOf: "", findingsBusy: false,
  history: new Map(), period: 30, detail: null, events: null,
  lastOk: 0, failed: "", skew: 0, rates: new Map(),
};

// All samples of the agent or its host of one name; and the first one's value.
const samples = (name) => state.samples.filter((sample) => sample.name === name);
function sample(name, labels) {
  const found = state.samples.find((one) => one.name === name &&
    Object.entries(labels || {}).every(([key, value]) => one.labels && one.labels[key] === value));
  return found ? found.value : null;
}
function sum(name, labels) {
  const all = samples(name).filter((one) => Object.entries(labels || {}).every(([key, value]) => one.labels[key] === value));
  return all.length ? all.reduce((total, one) => total + one.value, 0) : null;
}

// A counter's growth for each second since it was last asked.
function growth(name, labels) {
  const key = name + JSON.stringify(labels);
  const known = state.rates.get(key);
  return known ? known.rate : null;
}
function growthTake(time) {
  for (const one of state.samples) {
    if (!one.name.endsWith("_total")) continue;
    const key = one.name + JSON.stringify(one.labels);
    const before = state.rates.get(key);
    const rate = before && time > before.time ? Math.max(0, (one.value - before.value) / (time - before.time)) : null;
    state.rates.set(key, {value: one.value, time, rate});
  }
}

function overviewTake(overview) {
  const columns = overview.columns;
  const time = unix(overview.time);
  state.skew = time - Date.now() / 1000;
  state.overview = overview;
  state.samples = overview.samples.flat();
  growthTake(time);
  state.containers = overview.containers.map((row) => {
    const container = {};
    for (let i = 0; i < columns.length; i++) container[columns[i]] = row[i];
    return container;
  });
  state.byKey = new Map(state.containers.map((container) => [container.id, container]));
  for (const key of state.history.keys()) {
    if (key[0] !== "/" && !state.byKey.has(key)) state.history.delete(key);
  }
}

// An alert belongs to a container by the id in its labels, which is the path of a cgroup, else by
// its name.
function alertsAssign() {
  const byName = new Map(state.containers.map((container) => [container.name, container]));
  for (const container of state.containers) container.alerts = [];
  for (const alert of state.alerts) {
    const match = /([0-9a-f]{64})/.exec(alert.labels.id || "");
    const container = (match && state.byKey.get(match[1].slice(0, 16))) || byName.get(alert.labels.name);
    alert.container = container || null;
    if (container) container.alerts.push(alert);
  }
}

const RUNS = new Set(["running", "paused", "restarting"]);
const GRAVE = new Set(["critical", "page", "error"]);

// What is wrong with a container, worst first: [level, words]; level 2 is bad, 1 a warning.
function troubles(container) {
  const list = [];
  const firing = container.alerts.filter((alert) => alert.state === "firing");
  if (firing.length) {
    list.push([firing.some((alert) => GRAVE.has(alert.labels.severity)) ? 2 : 1, many(firing.length, "alert")]);
  }
  if (container.health === "unhealthy") list.push([2, "unhealthy"]);
  if (container.state === "restarting" || container.state === "dead") list.push([2, container.state]);
  if (container.oom_killed === 1) list.push([2, "out of memory"]);
  else if (container.state === "exited" && container.exit_code > 0 && container.exit_code !== 143) {
    list.push([1, "exit " + container.exit_code]);
  }
  const memory = container.memory_max > 0 && container.memory / container.memory_max;
  if (memory >= 0.9) list.push([memory >= 0.97 ? 2 : 1, "memory " + percent(memory)]);
  if (container.throttled > 0.25) list.push([1, "throttled " + percent(container.throttled)]);
  if (container.lag_seconds > 60) list.push([container.lag_seconds > 600 ? 2 : 1, "log " + span(container.lag_seconds) + " behind"]);
  return list.sort((a, b) => b[0] - a[0]);
}

function judge() {
  alertsAssign();
  for (const container of state.containers) {
    container.troubles = troubles(container);
    container.level = container.troubles.length ? container.troubles[0][0] : 0;
    container.words = [container.name, container.image, container.project, container.id, container.state, container.health].join("\n").toLowerCase();
  }
}

// ---- asking ----

async function ask(path) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  try {
    const reply = await fetch(path, {signal: stop.signal, cache: "no-cache", credentials: "same-origin"});
    if (!reply.ok) throw new Error("it answered " + reply.status);
    return await reply.json();
  } finally {
    clearTimeout(timer);
  }
}

let timer = 0;
let asked = 0;

async function poll() {
  clearTimeout(timer);
  const turn = ++asked;
  try {
    const overview = await ask("api/v1/overview");
    if (turn !== asked) return;
    if (overview.pages.some((page) => page.path === "/api/v1/alerts")) {
      const alerts = await ask("api/v1/alerts");
      if (turn !== asked) return;
      state.alerts = alerts.data.alerts;
      state.alertsKnown = true;
    }
    const start = performance.now();
    overviewTake(overview);
    if (state.failed) announce("The agent answers again.");
    state.lastOk = Date.now();
    state.failed = "";
    judge();
    tell();
    render();
    performance.clearMeasures("update");
    performance.measure("update", {start, end: performance.now()});
    refreshView();
  } catch (error) {
    if (turn !== asked) return;
    if (!state.failed) announce("The agent does not answer.");
    state.failed = error.name === "AbortError" ? "no answer in " + TIMEOUT_MS / 1000 + " s" : error.name === "TypeError" ? "no connection" : error.message;
    freshness();
  }
  if (!document.hidden) timer = setTimeout(poll, state.containers.length > LARGE ? POLL_LARGE_MS : POLL_MS);
}

// News for those who do not look.
let told = null;
function tell() {
  const firing = new Set(state.alerts.filter((alert) => alert.state === "firing").map((alert) => JSON.stringify(alert.labels)));
  if (told) {
    const fresh = [...firing].filter((key) => !told.has(key));
    if (fresh.length) announce(many(fresh.length, "new alert") + " firing: " + JSON.parse(fresh[0]).alertname);
  }
  told = firing;
}
function announce(text) {
  byId("announce").textContent = text;
}

// Histories of what is in sight; the agent has a new point only once in a while.
let historyDue = 0;
let historyBusy = false;
async function historyAsk(keys) {
  const wanted = [...new Set(["/host", "/agent", ...keys])];
  const missing = wanted.some((key) => !state.history.has(key) && (key[0] === "/" || state.byKey.has(key)));
  if (historyBusy || (!missing && Date.now() < historyDue)) return;
  historyBusy = true;
  try {
    const answer = await ask("api/v1/history?" + wanted.slice(0, 60).map((key) => "id%5B%5D=" + encodeURIComponent(key)).join("&"));
    state.period = answer.period;
    for (const key of wanted) state.history.set(key, answer.history[key] || {cpu: [], memory: [], network: [], disk: []});
    historyDue = Date.now() + Math.max(answer.period * 1000, POLL_MS) - 100;
    render();
  } catch { /* the next poll says what is wrong */ } finally {
    historyBusy = false;
  }
}

const past = (key, series) => (state.history.get(key) || {})[series] || [];

// What only one view needs, after each poll.
function refreshView() {
  const view = route.view;
  historyAsk(view === "containers" ? tableKeys() : view === "container" ? [route.id] : []);
  if (view === "findings") findingsAsk();
  if (view === "container") detailAsk();
}

// Findings are many and seldom change: they are asked for when the audit has judged anew.
async function findingsAsk() {
  const key = JSON.stringify([samples("posture_checks").map((one) => one.value), sample("tallyman_posture_judged_total")]);
  if (state.findingsBusy || state.findingsOf === key) return;
  state.findingsBusy = true;
  try {
    state.findings = await ask("api/v1/findings?status=fail&limit=" + FINDINGS_MAX);
    state.findingsOf = key;
    render();
  } catch { /* the same */ } finally {
    state.findingsBusy = false;
  }
}

async function rulesAsk() {
  if (!state.rules) {
    try {
      state.rules = (await ask("api/v1/rules?type=alert")).data.groups;
      render();
    } catch { /* the same */ }
  }
}

let detailBusy = "";
async function detailAsk() {
  const id = route.id;
  if (detailBusy === id) return;
  detailBusy = id;
  try {
    const have = (path) => state.overview.pages.some((page) => page.path === path);
    const part = encodeURIComponent(id);
    const [whole, events, findings] = await Promise.all([
      ask("api/v1/containers?detail=true&id=" + part),
      have("/api/v1/events") ? ask("api/v1/events?container=" + part) : {events: []},
      have("/api/v1/findings") ? ask("api/v1/findings?status=fail&id=" + part) : {findings: []},
    ]);
    if (route.id !== id) return;
    state.detail = {id, container: whole.containers[0] || null, events: events.events,
      findings: findings.findings.filter((row) => row.target === "container")};
    render();
  } catch { /* the same */ } finally {
    detailBusy = "";
  }
}

// ---- where we are ----

// #/VIEW/ID?q=…&show=…&sort=…&page=…
const route = {view: "containers", id: "", query: new URLSearchParams()};

function routeRead() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...id] = path.split("/");
  const before = route.view + "/" + route.id;
  route.view = ["alerts", "findings", "logs", "agent", "container"].includes(view) ? view : "containers";
  try {
    route.id = decodeURIComponent(id.join("/"));
  } catch {
    route.id = "";
  }
  route.query = new URLSearchParams(query || "");
  return before !== route.view + "/" + route.id;
}

function routeSet(values) { // what the view is set to, without a step back for each letter
  for (const [key, value] of Object.entries(values)) {
    if (value) route.query.set(key, value);
    else route.query.delete(key);
  }
  const query = route.query.toString();
  history.replaceState(null, "", "#/" + (route.view === "containers" ? "" : route.view) + (query ? "?" + query : ""));
}

const hrefOf = (container) => "#/container/" + encodeURIComponent(container.id);
const nameOf = (container) => container.name || container.id.slice(0, 12);

let shown = null; // {name, update} of the view in the document
function go() {
  if (routeRead() || !shown) {
    shown = null;
    state.detail = route.view === "container" ? null : state.detail;
    scrollTo(0, 0);
  } else if (shown.routed) {
    shown.routed();
  }
  if (state.overview) {
    render();
    refreshView();
  }
}

function render() {
  if (!state.overview) return;
  if (!shown) {
    shown = views[route.view]();
    byId("view").replaceChildren(...shown.nodes);
  }
  shown.update();
  frameUpdate();
  freshness();
}

// ---- the frame ----

const destinations = () => [...new Set(samples("tallyman_destination_queued_records").map((one) => one.labels.destination))];

// Those that are sent to servers, none of which is connected.
const cutOff = () => destinations().filter((name) => {
  const servers = samples("tallyman_forward_connected").filter((one) => one.labels.destination === name);
  return servers.length && servers.every((one) => one.value !== 1);
});

function frameUpdate() {
  const overview = state.overview;
  const firing = state.alerts.filter((alert) => alert.state === "firing");
  const worst = Math.max(0, ...overview.lags.map((lag) => lag.seconds));
  say(byId("host-name"), overview.name);
  say(byId("version"), "Tallyman " + overview.version);
  const tabs = {
    containers: [state.containers.length, ""],
    alerts: [firing.length, firing.length ? (firing.some((alert) => GRAVE.has(alert.labels.severity)) ? "bad" : "warn") : ""],
    findings: [failedSum(["critical", "high"]), failedSum(["critical"]) ? "bad" : failedSum(["high"]) ? "warn" : ""],
    logs: [worst > 60 || cutOff().length ? "!" : "", worst > 600 ? "bad" : "warn"],
    agent: [lackings().length || "", "warn"],
  };
  for (const [name, [number, kind]] of Object.entries(tabs)) {
    const node = byId("count-" + name);
    say(node, typeof number === "number" ? count(number) : number);
    mark(node, "class", "count " + kind);
    mark(node.parentNode, "aria-current", name === (route.view === "container" ? "containers" : route.view) ? "page" : null);
  }
  fill(byId("pages"), JSON.stringify(overview.pages), () => overview.pages.map((page) => h("a", {href: page.path.slice(1)}, page.title)));
  const place = {containers: "", container: "Container", alerts: "Alerts", findings: "Findings", logs: "Logs", agent: "Agent"}[route.view];
  const name = route.view === "container" && state.byKey.has(route.id) ? nameOf(state.byKey.get(route.id)) : place;
  document.title = (firing.length ? "(" + firing.length + ") " : "") + (name ? name + " – " : "") + (overview.name || "Tallyman") + (overview.name ? " – Tallyman" : "");
}

function freshness() {
  const node = byId("fresh");
  const seconds = state.lastOk ? (Date.now() - state.lastOk) / 1000 : 0;
  const lost = state.failed !== "";
  node.className = "fresh" + (lost ? " lost" : state.lastOk ? "" : " waiting");
  say(byId("fresh-text"), lost ? "No answer" : !state.lastOk ? "Connecting…" : seconds < 6 ? "Live" : "Updated " + span(seconds) + " ago");
  mark(node, "title", state.lastOk ? "Last update " + clock(state.lastOk / 1000) : null);
  byId("banner").hidden = !lost;
  if (lost) {
    say(byId("banner-text"), "The agent does not answer (" + state.failed + "). " + (state.lastOk ? "Shown is what it said " + span(seconds) + " ago." : "Nothing is known yet.") + " Trying again every few seconds.");
  }
  document.body.classList.toggle("stale", lost && state.lastOk > 0);
}

// One that has not come to its first run has not failed.
const collectorRan = (labels) => sample("tallyman_collector_duration_seconds", labels) > 0;
const collectorFailed = (one) => one.value === 0 && (collectorRan(one.labels) || sample("tallyman_collector_errors_total", one.labels) > 0);

// Reasons for which the agent does less than it could, in words.
function lackings() {
  const list = state.overview.lacking.map((right) => [right.what, "Without it " + right.lost + "."]);
  if (sample("tallyman_docker_up") === 0) list.push(["Docker engine", "It does not answer; what was known stays."]);
  else if (sample("tallyman_docker_events_connected") === 0) list.push(["Events of the engine", "They can't be had: containers are listed at intervals."]);
  for (const one of samples("tallyman_collector_success")) {
    if (collectorFailed(one)) list.push(["Collector " + one.labels.collector, "Its last run failed; the log says why."]);
  }
  const unreadable = sample("tallyman_logs_api_unreadable");
  if (unreadable) list.push(["Logs of " + many(unreadable, "container"), "The engine can't read them back from their log driver: they are not forwarded."]);
  return list;
}

function failedSum(severities) {
  return samples("posture_checks").reduce((total, one) =>
    total + (one.labels.status === "fail" && severities.includes(one.labels.severity) ? one.value : 0), 0);
}

// ---- plots ----

function pathOf(points, width, height, top) {
  let line = "";
  let area = "";
  let start = -1;
  const x = (i) => (points.length > 1 ? (i / (points.length - 1)) * width : width).toFixed(1);
  const y = (value) => (height - (value / top) * height).toFixed(1);
  for (let i = 0; i <= points.length; i++) {
    const have = i < points.length && known(points[i]);
    if (have && start < 0) start = i;
    if (!have && start >= 0) {
      const run = points.slice(start, i).map((value, k) => x(start + k) + " " + y(value));
      if (run.length === 1) run.push(x(start + 0.001) + " " + y(points[start]));
      line += "M" + run.join("L");
      area += "M" + x(start) + " " + height + "L" + run.join("L") + "L" + x(i - 1) + " " + height + "Z";
      start = -1;
    }
  }
  return {line, area};
}

function sparkline() {
  const area = svg("path", {class: "area"});
  const line = svg("path", {});
  const node = svg("svg", {class: "spark", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true"}, area, line);
  return {
    node,
    // A floor keeps what is hardly anything from looking like much.
    show(points, floor) {
      const top = Math.max(floor, ...points.filter(known)) * 1.05;
      const path = pathOf(points, 100, 24, top);
      mark(line, "d", path.line);
      mark(area, "d", path.area);
    },
  };
}

// With a scale, what is now, and what was where the pointer is.
function plot(title, format, floor) {
  const value = h("b");
  const more = h("div", {class: "more"});
  const top = h("span");
  const from = h("span");
  const area = svg("path", {class: "area"});
  const line = svg("path", {});
  const limit = svg("line", {class: "limit", x1: 0, x2: 400});
  const cross = svg("line", {class: "cross", y1: 0, y2: 92, visibility: "hidden"});
  const drawing = svg("svg", {viewBox: "0 0 400 92", preserveAspectRatio: "none", role: "img"},
    svg("line", {class: "grid", x1: 0, x2: 400, y1: 0.5, y2: 0.5}), svg("line", {class: "grid", x1: 0, x2: 400, y1: 91.5, y2: 91.5}),
    area, line, limit, cross);
  const node = h("figure", {class: "plot"}, h("figcaption", null, h("span", null, title), value), more, drawing,
    h("div", {class: "axis"}, from, top, h("span", null, "now")));
  let points = [];
  let text = "";
  const rest = () => { cross.setAttribute("visibility", "hidden"); say(more, text); };
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const i = Math.round(((event.clientX - box.left) / box.width) * (points.length - 1));
    if (i < 0 || i >= points.length) return;
    const x = points.length > 1 ? (i / (points.length - 1)) * 400 : 400;
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
    cross.setAttribute("visibility", "visible");
    const seconds = (points.length - 1 - i) * state.period;
    say(more, (known(points[i]) ? format(points[i]) : "not known") + (seconds ? ", " + span(seconds) + " ago" : ", now"));
  });
  drawing.addEventListener("pointerleave", rest);
  return {
    node,
    show(series, present, under, bound) {
      points = known(present) ? [...series, present] : series;
      const have = points.filter(known);
      const most = Math.max(floor, ...have);
      const scale = (bound > 0 && bound < most * 3 ? Math.max(bound, most) : most) * 1.08;
      const path = pathOf(points, 400, 92, scale);
      mark(line, "d", path.line);
      mark(area, "d", path.area);
      const y = bound > 0 && bound <= scale ? 92 - (bound / scale) * 92 : -1;
      mark(limit, "y1", String(y));
      mark(limit, "y2", String(y));
      mark(limit, "visibility", y >= 0 ? "visible" : "hidden");
      text = under || "";
      if (cross.getAttribute("visibility") === "hidden") say(more, text);
      say(value, format(present));
      say(top, have.length ? "peak " + format(Math.max(...have)) : "no history yet");
      say(from, points.length > 1 ? "−" + span((points.length - 1) * state.period) : "");
      mark(drawing, "aria-label", title + ": " + format(present) + (have.length ? ", peak " + format(Math.max(...have)) + " in " + span(points.length * state.period) : ""));
    },
  };
}

function bar() {
  const inner = h("i");
  const node = h("div", {class: "bar", "aria-hidden": "true"}, inner);
  return {
    node,
    show(share) {
      const width = known(share) ? Math.min(100, Math.max(share > 0 ? 1 : 0, share * 100)).toFixed(1) + "%" : "0%";
      if (inner.style.width !== width) inner.style.width = width;
      mark(node, "class", "bar" + (share >= 0.97 ? " bad" : share >= 0.9 ? " warn" : ""));
    },
  };
}

const badge = (level, text) => h("span", {class: "badge" + ["", " warn", " bad"][level]}, text);
const dotOf = (container) => (container.level === 2 ? "bad" : container.level === 1 ? "warn" : RUNS.has(container.state) ? "ok" : "off");
function stateWords(container) {
  const word = container.state ? container.state[0].toUpperCase() + container.state.slice(1) : "Unknown";
  return container.state === "exited" && known(container.exit_code) ? word + " (" + container.exit_code + ")" : word;
}

const empty = (title, text) => h("div", {class: "empty"}, h("b", null, title), text || "");

// ---- containers ----

const SORTS = {
  attention: {label: "Needs attention", of: (c) => -c.level, text: false},
  name: {label: "Name", of: (c) => nameOf(c).toLowerCase(), text: true},
  state: {label: "State", of: (c) => (c.state || "") + "\n" + (c.health || ""), text: true},
  cpu: {label: "CPU", of: (c) => c.cpu},
  memory: {label: "Memory", of: (c) => c.memory},
  net: {label: "Network", of: (c) => (known(c.received) || known(c.sent) ? c.received + c.sent : null)},
  disk: {label: "Disk", of: (c) => (known(c.read) || known(c.written) ? c.read + c.written : null)},
  restarts: {label: "Restarts", of: (c) => c.restarts},
  lag: {label: "Log lag", of: (c) => c.lag_seconds},
  failed: {label: "Findings", of: (c) => c.failed},
};
// [key, label, the figures are numbers]
const COLUMNS = [["name", "Container"], ["state", "State"], ["cpu", "CPU", true], ["memory", "Memory", true],
  ["net", "Network", true], ["disk", "Disk", true], ["restarts", "Restarts", true], ["lag", "Log lag", true], ["failed", "Findings", true]];
const OPTIONAL = new Set(["net", "disk", "lag", "failed"]); // not shown where nobody knows any
const SHOWS = {
  all: ["All", () => true],
  attention: ["Need attention", (c) => c.level > 0],
  running: ["Running", (c) => RUNS.has(c.state)],
  stopped: ["Stopped", (c) => !RUNS.has(c.state)],
  unhealthy: ["Unhealthy", (c) => c.health === "unhealthy"],
};

// `-cpu` is from most to least, which is what one wants of numbers at first.
function sortRead() {
  const text = route.query.get("sort") || "attention";
  const key = text.replace(/^-/, "");
  return SORTS[key] ? {key, down: text[0] === "-"} : {key: "attention", down: false};
}

function compare(sort) {
  const of = SORTS[sort.key].of;
  const sign = sort.down ? -1 : 1;
  return (a, b) => {
    const x = of(a);
    const y = of(b);
    if (known(x) !== known(y)) return known(x) ? -1 : 1; // what is not known comes last
    if (x < y) return -sign;
    if (x > y) return sign;
    return nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : a.id < b.id ? -1 : 1;
  };
}

function listed() {
  const words = (route.query.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
  const show = (SHOWS[route.query.get("show")] || SHOWS.all)[1];
  return state.containers.filter((container) => show(container) && words.every((word) => container.words.includes(word)));
}

let order = []; // ids, as they stand in the table
let orderOf = "";
// New order after a choice of the user's; else only while nobody is about to click on a row.
function arrange(list, held) {
  const sort = sortRead();
  const key = route.query.toString();
  if (held && key === orderOf) {
    const at = new Map(order.map((id, i) => [id, i]));
    list.sort((a, b) => (at.has(a.id) ? at.get(a.id) : Infinity) - (at.has(b.id) ? at.get(b.id) : Infinity) || 0);
  } else {
    list.sort(compare(sort));
  }
  order = list.map((container) => container.id);
  orderOf = key;
  return list;
}

let inSight = [];
const tableKeys = () => inSight;

function rowMake() {
  const dot = h("span", {"aria-hidden": "true"});
  const link = h("a");
  const badges = h("span", {class: "line"});
  const sub = h("div", {class: "sub"});
  const word = h("div");
  const stateSub = h("div", {class: "sub"});
  const spark = sparkline();
  const cpu = h("b");
  const used = h("b");
  const of = h("span", {class: "muted of"});
  const memory = bar();
  const [received, sent, read, written] = [h("div"), h("div"), h("div"), h("div")];
  const [restarts, lag, failed] = [h("td", {class: "num c-restarts"}), h("td", {class: "num c-lag"}), h("td", {class: "num c-failed"})];
  const failedLink = h("a");
  failed.append(failedLink);
  const row = h("tr", null,
    h("td", {class: "c-name"}, h("div", {class: "who"}, dot, h("div", null, h("div", {class: "line"}, link, badges), sub))),
    h("td", {class: "c-state"}, word, stateSub),
    h("td", {class: "num c-cpu"}, h("div", {class: "with-spark"}, spark.node, cpu)),
    h("td", {class: "num c-memory memory"}, used, of, memory.node),
    h("td", {class: "num pair c-net"}, received, sent),
    h("td", {class: "num pair c-disk"}, read, written),
    restarts, lag, failed);
  return {
    row,
    show(c) {
      mark(dot, "class", "dot " + dotOf(c));
      say(link, nameOf(c));
      mark(link, "href", hrefOf(c));
      mark(link, "title", nameOf(c));
      fill(badges, JSON.stringify(c.troubles), () => c.troubles.slice(0, 2).map(([level, text]) => badge(level, text)));
      say(sub, [c.project, c.image].filter(Boolean).join(" · ") || c.id.slice(0, 12));
      mark(sub, "title", sub.shown);
      const health = c.health && c.health !== "unhealthy" ? c.health : ""; // that has a badge
      say(word, stateWords(c));
      say(stateSub, [health, known(c.since) ? (RUNS.has(c.state) ? span(now() - c.since) : ago(c.since)) : ""].filter(Boolean).join(" · "));
      spark.show(known(c.cpu) ? [...past(c.id, "cpu"), c.cpu] : past(c.id, "cpu"), 0.05);
      say(cpu, percent(c.cpu));
      mark(cpu, "title", known(c.cpu) ? percent(c.cpu) + " of one CPU; it can use " + cpus(c.cpu_max) : null);
      say(used, bytes(c.memory));
      say(of, known(c.memory) && c.memory_max > 0 ? " / " + bytes(c.memory_max) : "");
      memory.node.hidden = !known(c.memory);
      memory.show(c.memory_max > 0 ? c.memory / c.memory_max : known(state.overview.host.memory_max) ? c.memory / state.overview.host.memory_max : null);
      mark(memory.node, "title", c.memory_max > 0 ? "of its limit" : "of the host's memory: it has no limit");
      say(received, known(c.received) ? "↓ " + perSecond(c.received) : DASH);
      say(sent, known(c.sent) ? "↑ " + perSecond(c.sent) : "");
      say(read, known(c.read) ? "r " + perSecond(c.read) : DASH);
      say(written, known(c.written) ? "w " + perSecond(c.written) : "");
      say(restarts, count(c.restarts));
      mark(restarts, "class", "num c-restarts" + (c.restarts > 0 ? "" : " muted"));
      say(lag, known(c.lag_seconds) ? (c.lag_seconds < 2 ? "0 s" : span(c.lag_seconds)) : DASH);
      mark(lag, "class", "num c-lag" + (c.lag_seconds > 600 ? " bad" : c.lag_seconds > 60 ? " warn" : " muted"));
      failedLink.hidden = !known(c.failed);
      say(failedLink, known(c.failed) ? count(c.failed) : "");
      mark(failedLink, "href", hrefOf(c));
      mark(failedLink, "class", c.failed_high > 0 ? "warn" : "muted");
      mark(failedLink, "title", known(c.failed) ? many(c.failed, "check") + " of the audit failed, " + count(c.failed_high) + " of them high or critical" : null);
    },
  };
}

function containersView() {
  const top = summaryMake();
  const search = h("input", {type: "search", placeholder: "Filter by name, image, project, id…", "aria-label": "Filter containers", autocomplete: "off", spellcheck: "false",
    oninput: () => { routeSet({q: search.value.trim(), page: ""}); render(); refreshView(); }});
  const chips = Object.entries(SHOWS).map(([key, [label]]) => {
    const number = h("span");
    const node = h("button", {type: "button", class: "chip", "data-show": key, onclick: () => { routeSet({show: key === "all" ? "" : key, page: ""}); render(); refreshView(); }}, label + " ", number);
    return {key, node, number};
  });
  const sorter = h("select", {onchange: () => setSort(sorter.value)},
    Object.entries(SORTS).map(([key, {label, text}]) => h("option", {value: text === undefined ? "-" + key : key}, label)));
  const setSort = (value) => { routeSet({sort: value === "attention" ? "" : value, page: ""}); render(); refreshView(); };
  const heads = COLUMNS.map(([key, label, isNumber]) => ({
    key,
    node: h("th", {scope: "col", class: "c-" + key + (isNumber ? " num" : "")}, h("button", {type: "button", onclick: () => {
      const sort = sortRead();
      const first = SORTS[key].text ? key : "-" + key;
      const second = SORTS[key].text ? "-" + key : key;
      setSort(sort.key === key && (sort.down ? "-" + key : key) === first ? second : first);
    }}, label)),
  }));
  const body = h("tbody");
  const table = h("table", {class: "containers"}, h("caption", {class: "unseen"}, "Containers"), h("thead", null, h("tr", null, heads.map((head) => head.node))), body);
  const nothing = h("div");
  const range = h("span", {class: "grow", role: "status"});
  const previous = h("button", {type: "button", class: "button", onclick: () => turnPage(-1)}, "Previous");
  const next = h("button", {type: "button", class: "button", onclick: () => turnPage(1)}, "Next");
  const pager = h("div", {class: "pager"}, range, previous, next);
  const panel = h("section", {class: "panel", "aria-label": "Containers"},
    h("div", {class: "tools"}, search, h("div", {class: "chips", role: "group", "aria-label": "Show"}, chips.map((chip) => chip.node)), h("label", {class: "sorter"}, "Sort by ", sorter)),
    table, nothing, pager);
  const rows = new Map();
  const pageOf = () => Math.max(1, parseInt(route.query.get("page"), 10) || 1);
  function turnPage(by) {
    routeSet({page: String(pageOf() + by)});
    render();
    refreshView();
  }
  function chosenUpdate() {
    const sort = sortRead();
    const show = SHOWS[route.query.get("show")] ? route.query.get("show") : "all";
    for (const chip of chips) {
      say(chip.number, count(state.containers.filter(SHOWS[chip.key][1]).length));
      mark(chip.node, "aria-pressed", String(chip.key === show));
    }
    for (const head of heads) mark(head.node, "aria-sort", head.key === sort.key ? (sort.down ? "descending" : "ascending") : null);
    const value = (sort.down ? "-" : "") + sort.key;
    if (sorter.value !== value) sorter.value = value;
  }
  return {
    nodes: [...top.nodes, panel],
    routed() { search.value = route.query.get("q") || ""; },
    update() {
      top.update();
      chosenUpdate();
      if (document.activeElement !== search && search.value.trim() !== (route.query.get("q") || "")) search.value = route.query.get("q") || "";
      const held = body.matches(":hover") || body.contains(document.activeElement);
      const list = arrange(listed(), held);
      const pages = Math.max(1, Math.ceil(list.length / PAGE_ROWS));
      const page = Math.min(pageOf(), pages);
      const part = list.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS);
      const kept = new Set(part.map((container) => container.id));
      for (const [id, view] of rows) {
        if (!kept.has(id)) {
          view.row.remove();
          rows.delete(id);
        }
      }
      part.forEach((container, i) => {
        let view = rows.get(container.id);
        if (!view) rows.set(container.id, view = rowMake());
        view.show(container);
        if (body.children[i] !== view.row) body.insertBefore(view.row, body.children[i] || null);
      });
      inSight = [...kept];
      for (const [key] of COLUMNS) table.classList.toggle("no-" + key, OPTIONAL.has(key) && !state.containers.some((c) => known(SORTS[key].of(c))));
      table.hidden = !list.length;
      nothing.hidden = list.length > 0;
      fill(nothing, String(state.containers.length > 0), () => (state.containers.length
        ? empty("No container fits", "Change the filter, or show all.")
        : empty("No containers yet", "The first one that starts on this host appears here by itself.")));
      say(range, list.length > PAGE_ROWS ? count((page - 1) * PAGE_ROWS + 1) + "–" + count(Math.min(list.length, page * PAGE_ROWS)) + " of " + count(list.length) : many(list.length, "container"));
      previous.hidden = next.hidden = pages === 1;
      previous.disabled = page <= 1;
      next.disabled = page >= pages;
    },
  };
}

// ---- the state of everything, above the table ----

function tileMake(name, href) {
  const value = h("div", {class: "value"});
  const more = h("div", {class: "more"});
  const node = h("a", {class: "tile", href}, h("div", {class: "name"}, name), value, more);
  return {node, value, more};
}

function verdictOf() {
  const firing = state.alerts.filter((alert) => alert.state === "firing");
  const wrong = state.containers.filter((container) => container.level > 0).sort((a, b) => b.level - a.level);
  const bad = wrong.filter((container) => container.level === 2);
  const worst = Math.max(0, ...state.overview.lags.map((lag) => lag.seconds));
  const running = state.containers.filter((container) => RUNS.has(container.state)).length;
  const parts = [];
  if (firing.length) parts.push(many(firing.length, "alert") + " firing");
  if (wrong.length) parts.push(many(wrong.length, "container") + (wrong.length === 1 ? " needs attention" : " need attention"));
  if (worst > 60) parts.push("logs " + span(worst) + " behind");
  const level = bad.length || worst > 600 || firing.some((alert) => GRAVE.has(alert.labels.severity)) ? 2 : parts.length ? 1 : 0;
  return {
    level, text: parts.join(", ") || (state.containers.length ? "All is well" : "Nothing runs here yet"),
    more: parts.length ? wrong.slice(0, 3).map((container) => nameOf(container) + ": " + container.troubles[0][1]).join(" · ") + (wrong.length > 3 ? " · and " + count(wrong.length - 3) + " more" : "")
      : many(running, "container") + " running" + (state.overview.lags.length && !cutOff().length ? ", logs up to date" : "") + (state.alertsKnown ? ", no alerts" : ""),
  };
}

function summaryMake() {
  const sign = h("span", {class: "mark", "aria-hidden": "true"});
  const title = h("h1");
  const more = h("p", {class: "muted"});
  const verdict = h("div", {class: "verdict"}, sign, h("div", null, title, more));
  const tiles = {
    containers: tileMake("Containers", "#/?show=running"), cpu: tileMake("Host CPU", "#/?sort=-cpu"), memory: tileMake("Host memory", "#/?sort=-memory"),
    logs: tileMake("Log delivery", "#/logs"), findings: tileMake("Audit", "#/findings"), agent: tileMake("This agent", "#/agent"),
  };
  const spark = sparkline();
  tiles.cpu.node.append(spark.node);
  const memory = bar();
  tiles.memory.node.append(memory.node);
  const both = (tile, main, small, under) => {
    fill(tile.value, main + "\n" + small, () => [main, small ? h("small", null, " " + small) : ""]);
    say(tile.more, under);
  };
  return {
    nodes: [verdict, h("section", {class: "tiles", "aria-label": "Summary"}, Object.values(tiles).map((tile) => tile.node))],
    update() {
      const {host, agent, lags} = state.overview;
      const said = verdictOf();
      mark(verdict, "class", "verdict is-" + ["ok", "warn", "bad"][said.level]);
      say(sign, ["✓", "!", "!"][said.level]);
      say(title, said.text);
      say(more, said.more);
      const running = state.containers.filter((container) => RUNS.has(container.state)).length;
      both(tiles.containers, count(running), "running", state.containers.length - running ? count(state.containers.length - running) + " stopped" : "none stopped");
      both(tiles.cpu, percent(known(host.cpu) && host.cpu_max > 0 ? host.cpu / host.cpu_max : null), "", known(host.cpu_max) ? cpus(host.cpu) + " of " + count(host.cpu_max) : "not known");
      spark.show(known(host.cpu) ? [...past("/host", "cpu"), host.cpu] : past("/host", "cpu"), host.cpu_max * 0.2 || 0.2);
      both(tiles.memory, percent(host.memory_max > 0 && known(host.memory) ? host.memory / host.memory_max : null), "", bytes(host.memory) + " of " + bytes(host.memory_max));
      memory.show(host.memory_max > 0 ? host.memory / host.memory_max : null);
      const worst = Math.max(0, ...lags.map((lag) => lag.seconds));
      const waiting = lags.reduce((total, lag) => total + lag.bytes, 0);
      const names = destinations();
      const cut = cutOff();
      const named = (list) => (list.length === 1 ? list[0] : many(list.length, "destination"));
      if (!names.length) both(tiles.logs, "Off", "", "no destination is configured");
      else both(tiles.logs, worst >= 2 ? span(worst) : cut.length ? "Not connected" : "Up to date", worst < 2 ? "" : "behind",
        (waiting ? bytes(waiting) + " waiting, " : "") + (cut.length ? (worst < 2 ? "to " : "not connected to ") + named(cut) : "to " + named(names)));
      const score = sample("posture_score");
      const high = failedSum(["critical", "high"]);
      both(tiles.findings, known(score) ? figures(score) : DASH, known(score) ? "of 100" : "", !known(score) ? "nothing was judged yet" : high ? many(high, "grave finding") : "no grave findings");
      both(tiles.agent, percent(agent.cpu), "of a CPU", bytes(agent.memory) + (lackings().length ? " · " + many(lackings().length, "thing") + " lacking" : ""));
    },
  };
}

// ---- alerts ----

const severityLevel = (word) => (GRAVE.has(word) || word === "high" ? 2 : word === "warning" || word === "medium" ? 1 : 0);

function alertItem(alert) {
  const firing = alert.state === "firing";
  const level = firing ? Math.max(1, severityLevel(alert.labels.severity)) : 0;
  const hidden = new Set(["alertname", "severity", "id", "image", "name"]);
  const text = alert.annotations.summary || alert.annotations.description || "";
  const more = alert.annotations.summary && alert.annotations.description !== text ? alert.annotations.description : "";
  return h("li", {"data-alert": alert.labels.alertname},
    h("span", {class: "dot " + ["off", "warn", "bad"][level], "aria-hidden": "true"}),
    h("div", {class: "main"},
      h("div", {class: "head"}, h("h3", null, alert.labels.alertname), alert.labels.severity ? badge(level, alert.labels.severity) : null, firing ? null : badge(0, "pending"),
        alert.container ? h("a", {href: hrefOf(alert.container)}, nameOf(alert.container)) : alert.labels.name ? h("span", {class: "muted"}, alert.labels.name) : null),
      text ? h("p", null, text) : null, more ? h("p", {class: "muted"}, more) : null,
      h("div", {class: "tags"}, Object.entries(alert.labels).filter(([key]) => !hidden.has(key)).map(([key, value]) => h("span", {class: "tag"}, key + "=" + value)))),
    h("div", {class: "side"}, since(unix(alert.activeAt), (time) => "for " + span(now() - time))));
}

const alertsKey = (alerts) => JSON.stringify(alerts.map((alert) => [alert.labels, alert.annotations, alert.state, alert.activeAt, !!alert.container]));

function alertsView() {
  const list = h("div");
  const all = h("tbody");
  const summary = h("span", {class: "muted"});
  const rules = h("details", {class: "panel", ontoggle: rulesAsk}, h("summary", null, "All alerting rules ", summary),
    h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Rules"}, h("table", null, h("thead", null, h("tr", null, ["Rule", "State", "Group", "Condition"].map((name) => h("th", {scope: "col"}, name)))), all)));
  return {
    nodes: [list, rules],
    update() {
      const alerts = [...state.alerts].sort((a, b) => (a.state === b.state ? 0 : a.state === "firing" ? -1 : 1) || severityLevel(b.labels.severity) - severityLevel(a.labels.severity) || unix(b.activeAt) - unix(a.activeAt));
      const firing = alerts.filter((alert) => alert.state === "firing");
      const pending = alerts.filter((alert) => alert.state === "pending");
      const number = sample("tallyman_rules", {type: "alerting"});
      const group = (title, part) => (part.length ? h("section", {class: "panel"}, h("header", null, h("h2", null, title), h("span", {class: "count"}, count(part.length))), h("ul", {class: "cards"}, part.map(alertItem))) : null);
      fill(list, alertsKey(alerts) + number, () => [h("h1", {class: "unseen"}, "Alerts"),
        firing.length ? group("Firing", firing) : h("section", {class: "panel"}, number ? empty("No alerts firing", many(number, "rule") + " are looked at all the time.") : empty("No alerting rules are in force", "rules.builtin and rules.files say which ones are.")),
        group("Pending", pending)].filter(Boolean));
      say(summary, known(number) ? count(number) : "");
      rules.hidden = !number;
      fill(all, state.rules ? String(state.rules.length) : "", () => (state.rules || []).flatMap((rulesGroup) => rulesGroup.rules.map((rule) => h("tr", null,
        h("td", null, rule.name), h("td", null, rule.health === "err" ? badge(2, "error") : badge(rule.state === "firing" ? 2 : rule.state === "pending" ? 1 : 0, rule.state)),
        h("td", {class: "muted"}, rulesGroup.name), h("td", null, h("code", null, rule.query))))));
    },
  };
}

// ---- findings ----

const SEVERITIES = ["critical", "high", "medium", "low", "info"];

function findingsGroup(rows) {
  const groups = new Map();
  for (const row of rows) {
    if (!groups.has(row.check)) groups.set(row.check, {...row, rows: []});
    groups.get(row.check).rows.push(row);
  }
  return [...groups.values()].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || b.rows.length - a.rows.length || (a.check < b.check ? -1 : 1));
}

function targetNode(row) {
  const container = row.target === "container" && state.byKey.get(row.id.slice(0, 16));
  return container ? h("a", {class: "tag", href: hrefOf(container)}, row.name) : h("span", {class: "tag"}, row.name || row.target);
}

// `own`: it stands beside what it is about.
function findingItem(group, own) {
  const most = 12;
  const same = group.rows.every((row) => row.message === group.message);
  return h("li", {"data-check": group.check},
    h("span", {class: "dot " + ["off", "warn", "bad"][severityLevel(group.severity)], "aria-hidden": "true"}),
    h("div", {class: "main"},
      h("div", {class: "head"}, h("h3", null, group.check), badge(severityLevel(group.severity), group.severity), group.cis ? h("span", {class: "muted"}, "CIS " + group.cis) : null),
      h("p", null, same || group.rows.length === 1 ? group.message : group.message + " (and the like)"),
      group.remediation ? h("p", {class: "mend"}, group.remediation) : null,
      own ? null : h("div", {class: "tags"}, group.rows.slice(0, most).map(targetNode), group.rows.length > most ? h("span", {class: "tag"}, "and " + count(group.rows.length - most) + " more") : null)),
    own ? null : h("div", {class: "side"}, group.rows.length > 1 ? many(group.rows.length, group.target) : group.target));
}

function findingsView() {
  const score = h("span", {class: "muted"});
  const search = h("input", {type: "search", placeholder: "Filter by check, target, text…", "aria-label": "Filter findings", autocomplete: "off", spellcheck: "false",
    oninput: () => { routeSet({q: search.value.trim()}); render(); }});
  search.value = route.query.get("q") || "";
  const chips = SEVERITIES.map((severity) => {
    const number = h("span");
    return {severity, number, node: h("button", {type: "button", class: "chip", onclick: () => { routeSet({severity: route.query.get("severity") === severity ? "" : severity}); render(); }}, severity[0].toUpperCase() + severity.slice(1) + " ", number)};
  });
  const list = h("div");
  return {
    nodes: [h("section", {class: "panel"}, h("header", null, h("h1", null, "Findings of the audit"), score),
      h("div", {class: "tools"}, search, h("div", {class: "chips", role: "group", "aria-label": "Severity"}, chips.map((chip) => chip.node))), list)],
    update() {
      const total = sample("posture_score");
      say(score, known(total) ? "score " + figures(total) + " of 100" : "");
      const severity = route.query.get("severity") || "";
      for (const chip of chips) {
        say(chip.number, count(failedSum([chip.severity])));
        mark(chip.node, "aria-pressed", String(chip.severity === severity));
      }
      const words = (route.query.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
      const rows = state.findings ? state.findings.findings.filter((row) => (!severity || row.severity === severity) &&
        words.every((word) => (row.check + "\n" + row.name + "\n" + row.message + "\n" + row.cis + "\n" + row.image).toLowerCase().includes(word))) : [];
      fill(list, state.findingsOf + "\n" + total + "\n" + severity + "\n" + words.join(" ") + "\n" + state.byKey.size, () => {
        if (!state.findings) return empty("Waiting for the audit", "It judges containers, images, engine and host by and by.");
        if (!state.findings.findings.length && !known(total)) return empty("Nothing was judged yet", "The audit needs the engine's API, and a moment after its start.");
        if (!rows.length) return empty(state.findings.findings.length ? "No finding fits" : "No findings", state.findings.findings.length ? "Change the filter." : "Everything that could be judged passes.");
        const left = state.findings.left_out;
        return [h("ul", {class: "cards"}, findingsGroup(rows).map((group) => findingItem(group))), left ? h("p", {class: "empty"}, count(left) + " more are not shown; tallyman audit has all.") : ""];
      });
    },
  };
}

// ---- logs ----

function factList() {
  const node = h("dl", {class: "facts"});
  return {
    node,
    show(rows) { // [name, text or [text, class]]
      fill(node, JSON.stringify(rows), () => rows.flatMap(([name, value]) => [h("dt", null, name), Array.isArray(value) ? h("dd", {class: value[1]}, value[0]) : h("dd", null, value)]));
    },
  };
}

function destinationMake(name) {
  const lag = h("b", {class: "nowrap"});
  const status = h("span");
  const memory = bar();
  const facts = factList();
  const node = h("section", {class: "panel", "data-destination": name}, h("header", null, h("h2", null, name), status, h("span", {class: "grow"}), lag), h("div", {class: "body"}, facts.node, memory.node));
  memory.node.style.marginTop = "12px";
  return {
    node,
    show() {
      const of = {destination: name};
      const servers = samples("tallyman_forward_connected").filter((one) => one.labels.destination === name);
      const up = servers.filter((one) => one.value === 1).map((one) => one.labels.server);
      const behind = state.overview.lags.find((one) => one.destination === name) || {seconds: 0, bytes: 0, containers: 0};
      const level = behind.seconds > 600 || (servers.length && !up.length) ? 2 : behind.seconds > 60 ? 1 : 0;
      fill(status, String(servers.length && up.length) + level, () => (servers.length ? (up.length ? h("span", {class: "badge ok"}, "connected") : badge(2, "not connected")) : ""));
      say(lag, behind.seconds >= 2 ? span(behind.seconds) + " behind" : servers.length && !up.length ? "" : "up to date");
      mark(lag, "class", "nowrap " + ["muted", "warn", "bad"][level]);
      const used = sample("tallyman_destination_memory_bytes", of);
      const most = sample("tallyman_destination_memory_max_bytes", of);
      memory.show(most > 0 ? used / most : null);
      const rate = growth("tallyman_destination_records_acked_total", of);
      const errors = samples("tallyman_forward_errors_total").filter((one) => one.labels.destination === name && one.value > 0);
      const dropped = sum("tallyman_destination_records_dropped_total", of);
      const gaps = sum("tallyman_logs_gaps_total", of);
      facts.show([
        ["Servers", servers.map((one) => one.labels.server + (one.value === 1 ? "" : " (down)")).join(", ") || DASH],
        ["Acknowledged", count(sample("tallyman_destination_records_acked_total", of)) + (known(rate) ? ", " + figures(rate) + " a second" : "")],
        ["Waiting on disk", bytes(behind.bytes + (sample("tallyman_spool_lag_bytes", of) || 0)) + (behind.containers ? ", of " + many(behind.containers, "container") : "")],
        ["Under way", many(sample("tallyman_destination_queued_records", of), "record") + ", " + bytes(used) + " of " + bytes(most)],
        ["Sent again", many(sample("tallyman_destination_chunks_returned_total", of), "chunk")],
        ["Lost or dropped", [dropped || gaps ? many(dropped, "record") + " dropped, " + many(gaps, "gap") : "nothing", dropped || gaps ? "bad" : ""]],
        ["Errors", errors.map((one) => one.labels.reason + " " + count(one.value)).join(", ") || "none"],
      ]);
    },
  };
}

function logsView() {
  const grid = h("div", {class: "destinations"});
  const none = h("section", {class: "panel"}, empty("Logs stay on this host", "No destination is configured: `forward` names those that lines go to."));
  const rows = h("tbody");
  const late = h("section", {class: "panel"}, h("header", null, h("h2", null, "Furthest behind")), h("table", null, h("thead", null, h("tr", null, h("th", {scope: "col"}, "Container"), h("th", {scope: "col", class: "num"}, "Oldest line"), h("th", {scope: "col", class: "num"}, "Not read yet"))), rows));
  const peers = h("tbody");
  const notified = h("section", {class: "panel"}, h("header", null, h("h2", null, "Who is told of alerts")), h("table", null, h("thead", null, h("tr", null, h("th", {scope: "col"}, "Peer"), ["Sent", "Errors", "Dropped", "Waiting"].map((name) => h("th", {scope: "col", class: "num"}, name)))), peers));
  const made = new Map();
  return {
    nodes: [h("h1", {class: "unseen"}, "Logs"), none, grid, late, notified],
    update() {
      const names = samples("tallyman_destination_queued_records").map((one) => one.labels.destination);
      for (const name of names) {
        if (!made.has(name)) {
          made.set(name, destinationMake(name));
          grid.append(made.get(name).node);
        }
        made.get(name).show();
      }
      none.hidden = names.length > 0;
      const list = state.containers.filter((container) => container.lag_seconds >= 2).sort((a, b) => b.lag_seconds - a.lag_seconds).slice(0, 10);
      late.hidden = !list.length;
      fill(rows, JSON.stringify(list.map((c) => [c.id, c.lag_seconds, c.lag_bytes])), () => list.map((c) => h("tr", null, h("td", null, h("a", {href: hrefOf(c)}, nameOf(c))), h("td", {class: "num"}, span(c.lag_seconds)), h("td", {class: "num"}, bytes(c.lag_bytes)))));
      const all = samples("tallyman_notifications_sent_total");
      notified.hidden = !all.length;
      const cell = (name, peer) => h("td", {class: "num"}, count(sample(name, {peer})));
      fill(peers, JSON.stringify(state.samples.filter((one) => one.name.startsWith("tallyman_notifications"))), () => all.map(({labels: {peer}}) => h("tr", null, h("td", null, peer),
        cell("tallyman_notifications_sent_total", peer), cell("tallyman_notifications_errors_total", peer), cell("tallyman_notifications_dropped_total", peer), cell("tallyman_notifications_queue_length", peer))));
    },
  };
}

// ---- the agent ----

function agentView() {
  const cpu = plot("CPU of the agent", percent, 0.01);
  const memory = plot("Memory of the agent", bytes, 4 << 20);
  const lacking = h("div");
  const facts = factList();
  const engine = factList();
  const rows = h("tbody");
  return {
    nodes: [h("h1", {class: "unseen"}, "Agent"), h("div", {class: "plots two"}, cpu.node, memory.node), lacking,
      h("div", {class: "columns"},
        h("section", {class: "panel"}, h("header", null, h("h2", null, "Process")), h("div", {class: "body"}, facts.node)),
        h("section", {class: "panel"}, h("header", null, h("h2", null, "What it watches")), h("div", {class: "body"}, engine.node))),
      h("section", {class: "panel"}, h("header", null, h("h2", null, "Collectors")), h("table", null, h("thead", null, h("tr", null, h("th", {scope: "col"}, "Collector"), h("th", {scope: "col"}, "Last run"), h("th", {scope: "col", class: "num"}, "It took"), h("th", {scope: "col", class: "num"}, "Errors"))), rows))],
    update() {
      const {agent} = state.overview;
      cpu.show(past("/agent", "cpu"), agent.cpu, known(sample("process_cpu_seconds_total")) ? figures(sample("process_cpu_seconds_total")) + " s of CPU time since its start" : "");
      memory.show(past("/agent", "memory"), agent.memory, "resident");
      const list = lackings();
      fill(lacking, JSON.stringify([list, state.overview.off]), () => h("section", {class: "panel"}, h("header", null, h("h2", null, "Lacking or switched off")),
        list.length ? h("ul", {class: "cards"}, list.map(([what, lost]) => h("li", {"data-lacking": what}, h("span", {class: "dot warn", "aria-hidden": "true"}), h("div", {class: "main"}, h("h3", null, what), h("p", {class: "muted"}, lost))))) : h("p", {class: "body ok"}, "Nothing is lacking: every right is there, every collector works."),
        state.overview.off.length ? h("p", {class: "body muted"}, "Groups of metrics that are off: " + state.overview.off.join(", ") + ".") : ""));
      const started = sample("process_start_time_seconds");
      const [open, most] = [sample("process_open_fds"), sample("process_max_fds")];
      facts.show([["Version", state.overview.version], ["Running for", known(started) ? span(now() - started) : DASH], ["Threads", count(sample("process_threads"))],
        ["Open descriptors", count(open) + " of " + count(most)], ["Virtual memory", bytes(sample("process_virtual_memory_bytes"))],
        ["Spool on disk", bytes(sample("tallyman_spool_bytes")) + " of " + bytes(sample("tallyman_spool_max_bytes"))],
        ["Reads every", span(state.overview.interval)], ...state.overview.sandbox.map(({layer, on, why}) => ["Sandbox: " + layer, on ? "on" + (why ? ", " + why : "") : [why, "warn"]])]);
      const up = sample("tallyman_docker_up");
      const info = samples("tallyman_docker_info")[0];
      const failures = sum("tallyman_rule_evaluation_failures_total");
      engine.show([["Docker engine", up === 1 ? "up" + (info ? ", " + info.labels.version + ", API " + info.labels.api_version : "") : up === 0 ? ["does not answer", "bad"] : "not used: its files are read"],
        ["Events", sample("tallyman_docker_events_connected") === 1 ? "streamed" : DASH],
        ["Containers", count(sample("tallyman_inventory_containers")) + " of " + count(sample("tallyman_inventory_containers_max")) + " at most"],
        ["Logs followed", count(sample("tallyman_logs_containers"))],
        ["Rules", count(sum("tallyman_rules")) + (failures ? ", " + many(failures, "failure") : "")],
        ["Audit waits for", many(sample("tallyman_posture_pending"), "subject")]]);
      const collectors = samples("tallyman_collector_success");
      fill(rows, JSON.stringify(state.samples.filter((one) => one.name.startsWith("tallyman_collector"))), () => collectors.map(({value, labels}) => h("tr", null, h("td", null, labels.collector),
        h("td", null, value === 1 ? h("span", {class: "badge ok"}, "good") : collectorFailed({value, labels}) ? badge(1, "failed") : badge(0, "not yet")),
        h("td", {class: "num"}, (sample("tallyman_collector_duration_seconds", labels) * 1000).toFixed(1) + " ms"), h("td", {class: "num"}, count(sample("tallyman_collector_errors_total", labels))))));
    },
  };
}

// ---- one container ----

function eventWords(event) {
  const words = {die: "ended", oom: "out of memory", exec_start: "exec", health_status: "health: " + (event.detail || "unknown"), connect: "joined network", disconnect: "left network", mount: "mounted", unmount: "unmounted", kill: "was sent a signal"};
  let text = (event.type === "container" ? "" : event.type === "network" || event.type === "volume" ? "" : event.type + " ") + (words[event.action] || event.action);
  if (event.exit_code) text += ", exit code " + event.exit_code;
  if (event.signal) text += " " + event.signal;
  if (event.type === "network" && event.name) text += " " + event.name;
  if (event.detail && event.action === "exec_start") text += ": " + event.detail;
  return text;
}
function eventLevel(event) {
  if (event.action === "oom" || (event.action === "health_status" && event.detail === "unhealthy")) return "bad";
  if (event.action === "die") return event.exit_code && event.exit_code !== "0" ? "bad" : "";
  return event.action === "start" || event.detail === "healthy" ? "ok" : "";
}

function limitsOf(c) {
  const limit = (value, text) => (!known(value) ? DASH : value === 0 ? "none" : text);
  return [
    ["Memory limit", limit(c.memory_limit, bytes(c.memory_limit))],
    ["Memory reservation", limit(c.memory_reservation, bytes(c.memory_reservation))],
    ["Swap limit", limit(c.memory_swap_limit, bytes(c.memory_swap_limit))],
    ["CPU quota", limit(c.cpu_quota, cpus(c.cpu_quota / (c.cpu_period || 100000)))],
    ["CPU shares", !known(c.cpu_shares) ? DASH : c.cpu_shares === 0 ? "as all others" : count(c.cpu_shares)],
    ["Processes and threads", limit(c.pids_limit, count(c.pids_limit))],
    ["Restart policy", c.restart_policy || DASH],
    ["User", c.user === "" ? "root" : c.user || DASH],
    ["Network", c.network_mode || DASH],
    ["Published ports", known(c.published_ports) ? count(c.published_ports) : DASH],
    ["Log driver", c.log_driver || DASH],
    ["Process id", c.pid > 0 ? String(c.pid) : DASH],
    ["Created", c.created ? clock(unix(c.created)) : DASH],
    ["Started", c.started ? clock(unix(c.started)) : DASH],
    ["Ended", c.finished ? clock(unix(c.finished)) : DASH],
    ["Image", c.image_id || c.image || DASH],
  ];
}

function containerView() {
  const id = route.id;
  const dot = h("span", {"aria-hidden": "true"});
  const title = h("h1");
  const badges = h("span", {class: "tags"});
  const line = h("p", {class: "facts-line"});
  const plots = [plot("CPU", percent, 0.05), plot("Memory", bytes, 1 << 20), plot("Network", perSecond, 1024), plot("Disk", perSecond, 1024)];
  const alerts = h("div");
  const events = h("div");
  const findings = h("div");
  const limits = factList();
  const labels = h("div");
  const numbers = h("div");
  const numbersSummary = h("span", {class: "muted"});
  const gone = h("div", {hidden: true}, h("section", {class: "panel"}, empty("This container is not here", "It was removed, or its address is mistyped.")));
  const body = h("div", null,
    h("div", {class: "title"}, dot, title, badges), line,
    h("div", {class: "plots"}, plots.map((one) => one.node)), alerts,
    h("div", {class: "columns"},
      h("div", null, h("section", {class: "panel", "aria-label": "Recent events"}, h("header", null, h("h2", null, "Recent events")), events),
        h("section", {class: "panel", "aria-label": "Findings"}, h("header", null, h("h2", null, "Findings of the audit")), findings)),
      h("div", null, h("section", {class: "panel", "aria-label": "Limits"}, h("header", null, h("h2", null, "Limits and set-up")), h("div", {class: "body"}, limits.node)),
        h("section", {class: "panel", "aria-label": "Labels"}, h("header", null, h("h2", null, "Labels")), labels))),
    h("details", {class: "panel"}, h("summary", null, "All figures ", numbersSummary), h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "All figures"}, numbers)));
  return {
    nodes: [h("a", {class: "crumb", href: "#/", onclick: (event) => { if (came > 0) { event.preventDefault(); history.back(); } }}, "← All containers"), gone, body],
    update() {
      const c = state.byKey.get(id) || state.containers.find((one) => id.length >= 4 && one.id.startsWith(id.slice(0, 16)));
      gone.hidden = Boolean(c);
      body.hidden = !c;
      if (!c) return;
      mark(dot, "class", "dot " + dotOf(c));
      say(title, nameOf(c));
      fill(badges, JSON.stringify([c.troubles, c.state, c.health, c.exit_code]), () => [badge(0, stateWords(c)), c.health && c.health !== "unhealthy" ? h("span", {class: "badge" + (c.health === "healthy" ? " ok" : "")}, c.health) : "", ...c.troubles.map(([level, text]) => badge(level, text))]);
      fill(line, JSON.stringify([c.id, c.image, c.project, c.since, c.state, c.restarts, c.layer]), () => [
        c.image ? h("span", null, "Image " + c.image) : "", c.project ? h("span", null, "Project " + c.project) : "", h("span", null, "Id ", h("code", null, c.id.slice(0, 12))),
        known(c.since) ? h("span", null, RUNS.has(c.state) ? "Up " : "Since ", since(c.since, RUNS.has(c.state) ? (time) => span(now() - time) : ago)) : "",
        known(c.restarts) ? h("span", null, many(c.restarts, "restart")) : "", known(c.layer) ? h("span", null, "Writable layer " + bytes(c.layer)) : ""]);
      plots[0].show(past(c.id, "cpu"), c.cpu, "can use " + cpus(c.cpu_max) + (c.throttled > 0.001 ? ", throttled " + percent(c.throttled) + " of the time" : ""), c.cpu_max);
      plots[1].show(past(c.id, "memory"), c.memory, c.memory_max > 0 ? percent(c.memory / c.memory_max) + " of its limit of " + bytes(c.memory_max) : "no limit", c.memory_max);
      plots[2].show(past(c.id, "network"), known(c.received) ? c.received + c.sent : null, known(c.received) ? "↓ " + perSecond(c.received) + "  ↑ " + perSecond(c.sent) : "not known for this container");
      plots[3].show(past(c.id, "disk"), known(c.read) ? c.read + c.written : null, known(c.read) ? "read " + perSecond(c.read) + ", written " + perSecond(c.written) : "not known for this container");
      fill(alerts, alertsKey(c.alerts), () => (c.alerts.length ? h("section", {class: "panel", "aria-label": "Alerts"}, h("header", null, h("h2", null, "Alerts")), h("ul", {class: "cards"}, c.alerts.map(alertItem))) : ""));
      const detail = state.detail && state.detail.id === id ? state.detail : null;
      if (!detail) return;
      fill(events, JSON.stringify(detail.events), () => (detail.events.length ? h("ul", {class: "events"}, detail.events.map((event) => h("li", {"data-event": event.action}, since(unix(event.time)), h("span", {class: eventLevel(event)}, eventWords(event))))) : empty("No recent events", "What happens to this container from now on is listed here.")));
      fill(findings, JSON.stringify([detail.findings, known(sample("posture_score"))]), () => (detail.findings.length ? h("ul", {class: "cards"}, findingsGroup(detail.findings).map((group) => findingItem(group, true))) : !known(sample("posture_score")) ? empty("Nothing was judged yet", "") : empty("No findings", "All checks of this container pass or do not apply.")));
      if (!detail.container) return;
      limits.show(limitsOf(detail.container));
      const all = Object.entries(detail.container.container_labels || {});
      fill(labels, JSON.stringify(all), () => (all.length ? h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Labels"}, h("table", null, h("tbody", null, all.map(([key, value]) => h("tr", null, h("th", {scope: "row"}, key), h("td", {class: "mono"}, value)))))) : empty("No labels", "")));
      say(numbersSummary, count(detail.container.samples.length));
      if (numbers.closest("details").open || !numbers.firstChild) {
        fill(numbers, JSON.stringify(detail.container.samples), () => h("table", null, h("tbody", null, detail.container.samples.map((one) => h("tr", null, h("td", {class: "mono"}, one.name), h("td", {class: "muted mono"}, Object.entries(one.labels || {}).map(([key, value]) => key + "=" + value).join(" ")), h("td", {class: "num"}, String(one.value)))))));
      }
    },
  };
}

// ---- life ----

const views = {containers: containersView, alerts: alertsView, findings: findingsView, logs: logsView, agent: agentView, container: containerView};

let came = 0; // steps within the page, so that there is something to go back to
addEventListener("hashchange", () => { came++; go(); });
addEventListener("click", (event) => {
  const skip = event.target.closest && event.target.closest("#skip");
  if (skip) {
    event.preventDefault();
    byId("main").focus();
  }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
addEventListener("online", poll);
setInterval(() => {
  freshness();
  for (const node of document.getElementsByClassName("ticks")) node.write();
}, 1000);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
});

const THEMES = {"": ["◐", "as the system has them"], light: ["○", "light"], dark: ["●", "dark"]};
function themeSet(name) {
  mark(document.documentElement, "data-theme", name || null);
  say(byId("theme-sign"), THEMES[name][0]);
  mark(byId("theme"), "aria-label", "Colours: " + THEMES[name][1]);
  mark(byId("theme"), "title", "Colours: " + THEMES[name][1]);
}
function themeStored(name) { // a browser may refuse to keep anything
  try {
    if (name !== undefined) localStorage.setItem("tallyman-theme", name);
    return localStorage.getItem("tallyman-theme") || "";
  } catch {
    return name || "";
  }
}
byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme || "") + 1) % names.length];
  themeStored(next);
  themeSet(next);
});
themeSet(THEMES[themeStored()] ? themeStored() : "");
routeRead();
poll();
