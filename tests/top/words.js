// What the status page says of an answer of the agent: its script runs without a browser, and tells
// its texts as JSON. usage: node words.js STATUS.JS OVERVIEW.JSON ALERTS.JSON
"use strict";
const fs = require("fs");
const vm = require("vm");

// Stands for the document and all in it: whatever is asked of it, it has it.
const anything = new Proxy(function () {}, {
  get: (target, key) => (key === Symbol.toPrimitive ? () => "" : key === Symbol.iterator ? function* () {} : anything),
  set: () => true,
  apply: () => anything,
  construct: () => anything,
});
const [script, overview, alerts] = process.argv.slice(2).map((path) => fs.readFileSync(path, "utf8"));
const context = vm.createContext({
  document: anything, history: anything, location: {hash: ""}, localStorage: anything,
  addEventListener() {}, scrollTo() {}, setInterval() {}, setTimeout() {}, clearTimeout() {},
  AbortController, URLSearchParams, performance, console, overview, alerts,
  fetch: () => Promise.reject(new Error("there is none")),
});
vm.runInContext(script, context);
const said = vm.runInContext(`
  overviewTake(JSON.parse(overview));
  state.alerts = JSON.parse(alerts).data.alerts;
  state.alertsKnown = true;
  judge();
  JSON.stringify({
    verdict: verdictOf(),
    lackings: lackings().map(([what, lost]) => what + ". " + lost),
    orders: Object.fromEntries(Object.entries(SORTS).map(([key, {text}]) => [key, [...state.containers]
      .sort(compare({key, down: text === undefined})).map((c) => c.id)])),
    shows: Object.fromEntries(Object.entries(SHOWS).map(([key, [, fits]]) => [key, state.containers.filter(fits).map((c) => c.id)])),
    rows: Object.fromEntries(state.containers.map((c) => [c.id, {
      CONTAINER: nameOf(c), ATTENTION: c.troubles.map(([, text]) => text).join(", "), STATE: stateWords(c), HEALTH: c.health || "",
      SINCE: span(known(c.since) ? now() - c.since : null), CPU: percent(c.cpu), MEMORY: bytes(c.memory),
      OF_LIMIT: percent(known(c.memory) && c.memory_max > 0 ? c.memory / c.memory_max : null),
      LIMIT: c.memory_max === 0 ? "none" : bytes(c.memory_max),
      RECEIVED: perSecond(c.received), SENT: perSecond(c.sent), READ: perSecond(c.read), WRITTEN: perSecond(c.written),
      RESTARTS: count(c.restarts), LOG_LAG: known(c.lag_seconds) ? (c.lag_seconds < 2 ? "0 s" : span(c.lag_seconds)) : DASH,
      FINDINGS: count(c.failed), IMAGE: c.image || "",
    }])),
  })`, context);
fs.writeFileSync(1, said);
process.exit(0);
