// app.js: the status page. The hash says what is shown: #/?verdict=held&namespace=a&q=web,
// #/slot/<namespace>/<kind>/<name>/<slot>, #/timeline, #/registries, #/problems. The server is
// asked again when its generation changes, which its events tell.

import { ago, byId, chip, compareStates, duration, el, meaningOf, setText, shortDigest, slotHash,
  timeElement } from "./dom.js";
import { Table } from "./table.js";

const kViews = ["slots", "timeline", "registries", "problems"];
const kFilters = ["verdict", "namespace", "q"];
const kTimelineRows = 200;
const kRetryMilliseconds = 5000;
const kSilentMilliseconds = 15000;  // several events late: nobody answers any more
const kTypingMilliseconds = 150;

let route = { view: "slots", filters: {}, slot: null };
let overview = null;
let generation = "";
let ageKnown = null;   // {seconds, at}: of the last whole sweep
let lastHeard = Date.now();
let trouble = "";      // why nothing is known now
let events = null;
let retry = 0;
let returnTo = "#/";   // where the detail of a slot was opened from

// ---- what the server knows

async function ask(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== undefined);
  const query = new URLSearchParams(given).toString();
  let answer;
  try {
    answer = await fetch(`api/v1/${path}${query ? `?${query}` : ""}`, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the sweeper cannot be reached");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error || `status ${answer.status}`);
  return body;
}

function listen() {
  clearTimeout(retry);
  events?.close();
  events = new EventSource("api/v1/events");
  events.onmessage = (event) => heard(JSON.parse(event.data));
  // Each answer holds one event and ends: the browser asks again by itself. It does not where the
  // answer was an error.
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) failed();
  };
}

async function failed() {
  events?.close();
  clearTimeout(retry);
  retry = setTimeout(listen, kRetryMilliseconds);
  try {
    take(await ask("overview"));
  } catch (error) {
    setTrouble(error.message);
  }
}

function heard(event) {
  lastHeard = Date.now();
  ageKnown = { seconds: event.ageSeconds, at: Date.now() };
  setTrouble("");
  if (event.generation !== generation) readAgain(event.generation);
  showLive();
}

async function readAgain(seen) {
  generation = seen;
  try {
    take(await ask("overview"));
  } catch (error) {
    generation = "";  // with the next event
    setTrouble(error.message);
    return;
  }
  table.refresh();
  if (route.view === "timeline") showTimeline();
  if (route.slot) showDetail();
}

function take(answer) {
  overview = answer;
  ageKnown = { seconds: answer.ageSeconds, at: Date.now() };
  lastHeard = Date.now();
  setTrouble("");
  showOverview();
}

function setTrouble(text) {
  if (text === trouble) return;
  trouble = text;
  const banner = byId("banner");
  banner.hidden = !text;
  const told = text === "another replica leads"
    ? "This replica stands by: another replica leads, and knows what is to be shown here."
    : `Nothing is known just now: ${text}.`;
  setText(banner, text ? `${told} Trying again.` : "");
  showLive();
}

function showLive() {
  const silent = Date.now() - lastHeard > kSilentMilliseconds;
  const state = trouble ? "bad" : silent || !overview ? "wait" : "good";
  byId("live-dot").dataset.state = state;
  const age = ageKnown ? ageKnown.seconds + (Date.now() - ageKnown.at) / 1000 : 0;
  const texts = { bad: "Not available", wait: "Connecting", good: `Live, last sweep ${duration(age)} ago` };
  setText(byId("live"), texts[state]);
}

function announce(text) { setText(byId("announce"), text); }

// ---- the hash

function parseHash() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  const parameters = new URLSearchParams(query);
  const filters = {};
  for (const name of kFilters) {
    if (parameters.get(name)) filters[name] = parameters.get(name);
  }
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = [];  // no percent-encoding: somebody's typing
  }
  if (parts[0] === "slot" && parts.length >= 5) {
    const slot = { namespace: parts[1], workload: `${parts[2]}/${parts[3]}`, slot: parts.slice(4).join("/") };
    return { view: route.view, filters: route.filters, slot };
  }
  return { view: kViews.includes(parts[0]) ? parts[0] : "slots", filters, slot: null };
}

function hashOf(filters) {
  const query = new URLSearchParams(filters).toString();
  return query ? `#/?${query}` : "#/";
}

function onHash() {
  const before = route;
  route = parseHash();
  if (!route.slot) returnTo = location.hash || "#/";
  const other = JSON.stringify(before.filters) !== JSON.stringify(route.filters);
  showView();
  if (route.view === "slots") {
    showFilters();
    if (other) {
      window.scrollTo(0, 0);
      table.reset();
    } else {
      table.refresh();
    }
  }
  showDetail();
}

function setFilters(change) {
  const filters = { ...route.filters, ...change };
  for (const name of kFilters) if (!filters[name]) delete filters[name];
  // Typing is no history.
  history.replaceState(null, "", hashOf(filters));
  onHash();
}

function showView() {
  for (const view of kViews) byId(`view-${view}`).hidden = view !== route.view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === route.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const name = route.view[0].toUpperCase() + route.view.slice(1);
  document.title = `${route.slot ? `${route.slot.workload} ${route.slot.slot}` : name} - Tidemark`;
  if (route.view === "timeline") showTimeline();
  showOverview();
}

// ---- overview: the head, the filters, registries and problems

function plural(count, word) { return `${count} ${word}${count === 1 ? "" : "s"}`; }

function showOverview() {
  showLive();
  if (!overview) return;
  setText(byId("version"), overview.version);
  setText(byId("totals"), `${plural(overview.slots, "slot")} of ${plural(overview.workloads, "workload")}`);
  const count = byId("problem-count");
  count.hidden = overview.problems.length === 0;
  setText(count, String(overview.problems.length));
  showFilters();
  showRegistries();
  showProblems();
}

function showFilters() {
  const { verdict = "", namespace = "", q = "" } = route.filters;
  const search = byId("search");
  if (document.activeElement !== search && search.value !== q) search.value = q;
  byId("clear").hidden = !(verdict || namespace || q);
  if (!overview) return;
  const states = new Set([...Object.keys(overview.verdicts), verdict].filter(Boolean));
  const buttons = new Map([...byId("verdicts").children].map((button) => [button.dataset.verdict, button]));
  for (const [state, button] of buttons) if (!states.has(state)) button.remove();
  for (const state of [...states].sort(compareStates)) {
    const button = buttons.get(state) ?? verdictButton(state);
    button.setAttribute("aria-pressed", String(state === verdict));
    setText(button.querySelector("b"), String(overview.verdicts[state] ?? 0));
    // Moved only where it stands elsewhere, so that it keeps the focus.
    const place = byId("verdicts").children[[...states].sort(compareStates).indexOf(state)];
    if (place !== button) byId("verdicts").insertBefore(button, place ?? null);
  }
  showNamespaces(namespace);
}

function verdictButton(state) {
  const button = el("button", { type: "button", "data-verdict": state, title: meaningOf(state) },
    chip(state), el("b", {}, "0"));
  button.addEventListener("click", () =>
    setFilters({ verdict: route.filters.verdict === state ? "" : state }));
  return button;
}

function showNamespaces(chosen) {
  const select = byId("namespace");
  const names = new Set(overview.namespaces.map((entry) => entry.name));
  if (chosen) names.add(chosen);
  const sorted = ["", ...[...names].sort()];
  if (sorted.join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...sorted.map((name) => el("option", { value: name }, name || "All namespaces")));
  }
  select.value = chosen;
}

function nothing(text) { return el("p", { class: "nothing" }, text); }

// A table of few rows. `cells(entry)`: its nodes; the first one names the row.
function plainTable(heads, entries, cells) {
  const rows = entries.map((entry) => el("tr", {}, ...cells(entry).map((cell, index) =>
    el(index ? "td" : "th", { scope: index ? null : "row", "data-head": heads[index] }, cell))));
  return el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows));
}

function showRegistries() {
  const entries = overview.registries;
  byId("registries").replaceChildren(entries.length === 0 ? nothing("No slot names a registry.")
    : plainTable(["Registry", "State", "Slots", "Unresolved", "Quota left", "Last reason"], entries, (entry) => [
      entry.name, entry.unresolved === 0 ? look("ok", "answers") : look("trouble",
        entry.unresolved === entry.slots ? "no answer" : "some without answer"),
      String(entry.slots),
      entry.unresolved ? el("a", { href: hashOf({ verdict: "unresolved", q: entry.name }) }, String(entry.unresolved)) : "0",
      entry.quota ? quotaText(entry.quota) : "\u2013",
      entry.reason ?? "\u2013"]), cutNote());
}

// "76 of 100, for 6 h".
function quotaText({ left, limit, seconds }) {
  return `${left}${limit ? ` of ${limit}` : ""}, for ${duration(seconds)}`;
}

function look(name, text) {
  const glyphs = { ok: "\u2713", trouble: "\u00d7" };
  return el("span", { class: "chip", "data-look": name },
    el("span", { class: "glyph", "aria-hidden": "true" }, glyphs[name]), text);
}

function showProblems() {
  const entries = overview.problems;
  byId("problems").replaceChildren(entries.length === 0
    ? nothing("Everything that the sweeper looks at could be read.")
    : plainTable(["What", "Namespace", "Why"], entries, (entry) =>
      [entry.what, entry.namespace || "\u2013", entry.error]), cutNote());
}

function cutNote() {
  return overview.truncated ? el("p", { class: "muted" }, "There are more than are listed.") : "";
}

// ---- slots

function cell(className, ...lines) {
  return el("span", { role: "gridcell", class: className }, ...lines);
}

function sub(...children) { return el("span", { class: "sub" }, ...children); }

function digestLine(row) {
  if (!row.digest || row.digest === row.stamp) return runsText(row);
  return `\u2192 ${shortDigest(row.digest)}`;
}

function runsText(row) {
  const pods = row.running.reduce((sum, entry) => sum + entry.pods, 0);
  if (pods === 0) return "no pods";
  const others = row.running.filter((entry) => entry.digest !== row.stamp)
    .reduce((sum, entry) => sum + entry.pods, 0);
  return others === 0 ? `${plural(pods, "pod")}` : `${others} of ${plural(pods, "pod")} run another`;
}

function fillRow(element, row) {
  if (row === null) {
    element.replaceChildren(cell("state", el("span", { class: "blank" })), cell("workload", el("span", { class: "blank" })));
    return;
  }
  element.replaceChildren(
    cell("state", chip(row.state), sub(row.reason ?? "")),
    cell("workload", el("a", { href: slotHash(row), tabindex: "-1" }, row.workload),
      sub(`${row.namespace} \u00b7 ${row.slot}`)),
    cell("image", el("span", { class: "mono" }, row.image || "\u2013")),
    cell("digest", el("span", { class: "mono" }, shortDigest(row.stamp) || "\u2013"), sub(digestLine(row))),
    cell("since", row.since ? timeElement(row.since) : "\u2013"));
}

const table = new Table({
  grid: byId("table"),
  body: byId("rows"),
  fetchPage: (offset, limit, signal) => ask("slots", { ...route.filters, offset, limit }, signal),
  fill: fillRow,
  open: (row) => { location.hash = slotHash(row); },
  changed: showTotal,
  failed: (error) => setTrouble(error.message),
});

function showTotal(total) {
  const filtered = Object.keys(route.filters).length > 0;
  byId("table").hidden = total === 0;
  byId("nothing").hidden = total !== 0;
  setText(byId("nothing"), filtered ? "No slot matches these filters."
    : "No workloads yet. What the sweeper looks at appears here by itself.");
  announce(filtered ? `${plural(total, "slot")} shown` : "");
}

// ---- timeline

async function showTimeline() {
  let answer;
  try {
    answer = await ask("timeline", { limit: kTimelineRows });
  } catch (error) {
    setTrouble(error.message);
    return;
  }
  setText(byId("timeline-note"), answer.total > answer.rows.length
    ? `The newest ${answer.rows.length} of ${answer.total} recorded changes.`
    : "The newest change of each slot.");
  const days = new Map();
  for (const row of answer.rows) {
    const day = row.since.slice(0, 10);
    if (!days.has(day)) days.set(day, []);
    days.get(day).push(row);
  }
  byId("timeline").replaceChildren(...(days.size === 0 ? [nothing("Nothing has changed yet.")]
    : [...days].map(([day, rows]) => el("section", { class: "day" }, el("h3", {}, day),
      el("ol", {}, ...rows.map(change))))));
}

function change(row) {
  const from = row.rolledFrom ? row.rolledFrom.slice(row.rolledFrom.lastIndexOf("@") + 1) : "";
  return el("li", {},
    el("time", { datetime: row.since, title: row.since, class: "clock" }, row.since.slice(11, 16)),
    el("div", { class: "what" },
      el("a", { href: slotHash(row) }, row.workload),
      sub(`${row.namespace} \u00b7 ${row.slot}`),
      el("span", { class: "mono" }, row.image)),
    el("div", { class: "digests mono" },
      from ? `${shortDigest(from)} \u2192 ` : "", shortDigest(row.stamp) || "no stamp"),
    chip(row.state));
}

// ---- one slot

async function showDetail() {
  const dialog = byId("detail");
  const wanted = route.slot;
  if (!wanted) {
    if (dialog.open) dialog.close();
    return;
  }
  setText(byId("detail-title"), `${wanted.workload} \u00b7 ${wanted.slot}`);
  if (!dialog.open) {
    byId("detail-body").replaceChildren();
    dialog.showModal();
  }
  let content;
  try {
    const { rows } = await ask("slots", { ...wanted, limit: 1 });
    content = rows.length === 0 ? [nothing("There is no such slot any more.")] : detailOf(rows[0]);
  } catch (error) {
    content = [nothing(`Nothing is known just now: ${error.message}.`)];
  }
  if (wanted === route.slot) byId("detail-body").replaceChildren(...content);
}

function detailOf(row) {
  const digest = (text) => (text ? el("code", {}, text) : "\u2013");
  const running = row.running.length === 0 ? "no pods"
    : el("ul", {}, ...row.running.map((entry) => el("li", {}, `${plural(entry.pods, "pod")}: `,
      entry.digest ? el("code", {}, entry.digest) : "not started, or not from a registry")));
  const facts = [
    ["State", el("div", {}, chip(row.state), el("p", {}, meaningOf(row.state)))],
    ["Reason", row.reason],
    ["Namespace", row.namespace],
    ["Workload", row.workload],
    ["Slot", row.slot],
    ["Image", el("code", {}, row.image)],
    ["Stamped", digest(row.stamp)],
    ["Registry", row.digest && row.digest === row.stamp ? "serves what is stamped" : digest(row.digest)],
    ["Running", running],
    ["Since", row.since ? el("span", {}, timeElement(row.since), ` (${row.since})`) : "\u2013"],
  ];
  const explain = `kubectl tidemark explain -n ${row.namespace} ${row.workload}`;
  return [el("dl", {}, ...facts.filter(([, value]) => value).flatMap(([name, value]) =>
    [el("dt", {}, name), el("dd", {}, value)])),
  el("p", { class: "muted" }, "Its history, and what the next sweep does with it:"), el("pre", {}, explain)];
}

function closeDetail() {
  if (route.slot) location.hash = returnTo;
}

// ---- beginning

function onKey(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  event.preventDefault();
  if (route.view !== "slots") location.hash = "#/";
  requestAnimationFrame(() => byId("search").focus());
}

function onSearchKey(event) {
  if (event.key !== "Escape") return;
  event.target.value = "";
  setFilters({ q: "" });
  event.target.blur();
}

let typing = 0;
byId("search").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => setFilters({ q: event.target.value.trim() }), kTypingMilliseconds);
});
byId("search").addEventListener("keydown", onSearchKey);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("namespace").addEventListener("change", (event) => setFilters({ namespace: event.target.value }));
byId("clear").addEventListener("click", () => {
  byId("search").value = "";
  setFilters({ verdict: "", namespace: "", q: "" });
  byId("search").focus();
});
byId("detail").addEventListener("close", closeDetail);
byId("detail-close").addEventListener("click", () => byId("detail").close());
byId("detail").addEventListener("click", (event) => {
  if (event.target === byId("detail")) byId("detail").close();  // beside it
});
document.addEventListener("keydown", onKey);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();  // the hash is the route's
  byId("main").focus();
});
window.addEventListener("hashchange", onHash);
// Nobody looks: nobody is asked.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    events?.close();
    clearTimeout(retry);
  } else {
    lastHeard = Date.now();
    listen();
  }
});
setInterval(() => {
  showLive();
  for (const time of document.querySelectorAll("#rows time")) setText(time, ago(time.dateTime));
}, 1000);

onHash();
listen();
