// dom.js: elements made of text. Names, images and reasons are written by others: nothing here or
// in the other files parses text as HTML.

// el("a", {class: "x", href: "#/"}, "text", node): attributes, then children. null children and
// attributes are left out.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// What a state means, and how it looks: its glyph tells as much as its colour.
const kLooks = {
  ok: "\u2713", moving: "\u2192", waiting: "\u2026", attention: "!", trouble: "\u00d7", neutral: "\u2013",
};
const kStates = {
  "roll": ["moving", "Its tag has moved: it is rolled with the next step."],
  "undo": ["moving", "Its roll failed: it goes back to where it began."],
  "up-to-date": ["ok", "The registry serves what is stamped."],
  "reported": ["attention", "Its tag has moved; it is only reported (tidemark.dev/sweep: report)."],
  "held": ["attention", "Its tag has moved, and a hold keeps it where it is."],
  "waits": ["waiting", "Its tag has moved; another slot of the same workload cannot be rolled yet."],
  "not-always": ["attention", "Its tag has moved, but its imagePullPolicy would keep the old image on the node."],
  "paused": ["attention", "Its tag has moved; its Deployment is paused."],
  "on-delete": ["attention", "Its tag has moved; its update strategy is OnDelete."],
  "partitioned": ["attention", "Its tag has moved; its StatefulSet has a partition."],
  "paced": ["waiting", "Its tag has moved; others go first."],
  "cooldown": ["waiting", "Its tag has moved; it was rolled too short a time ago."],
  "window": ["waiting", "Its tag has moved; its maintenance window is closed."],
  "unresolved": ["trouble", "The registry gave no answer, so that nothing is known to have moved."],
  "no-stamp": ["trouble", "Nobody can tell what runs: there is no stamp yet."],
  "unreadable": ["trouble", "Its image is no image name."],
  "by-digest": ["neutral", "Its owner names it by digest: there is no tag that could move."],
  "left-alone": ["neutral", "It has no image of its own."],
  "ignored": ["neutral", "Its settings leave it out."],
  "off": ["neutral", "Its settings switch sweeping off (tidemark.dev/sweep: off)."],
};
// The order of the filters: what needs somebody first.
const kOrder = ["trouble", "attention", "waiting", "moving", "ok", "neutral"];

export const lookOf = (state) => (kStates[state] || ["neutral"])[0];
export const meaningOf = (state) => (kStates[state] || ["", ""])[1];

export function compareStates(a, b) {
  return kOrder.indexOf(lookOf(a)) - kOrder.indexOf(lookOf(b)) || a.localeCompare(b);
}

export function chip(state, ...more) {
  const look = lookOf(state);
  return el("span", { class: "chip", "data-look": look },
    el("span", { class: "glyph", "aria-hidden": "true" }, kLooks[look]), state, ...more);
}

// "3f1c9a7e2b40", as the command line has it.
export const shortDigest = (digest) => (digest ? digest.slice(digest.indexOf(":") + 1).slice(0, 12) : "");

const kUnits = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

export function duration(seconds) {
  const [size, name] = kUnits.find(([unit]) => seconds >= unit) || kUnits[3];
  return `${Math.floor(Math.max(0, seconds) / size)} ${name}`;
}

export function ago(time) {
  const at = Date.parse(time);
  return Number.isNaN(at) ? time : `${duration((Date.now() - at) / 1000)} ago`;
}

export function timeElement(time) {
  return el("time", { datetime: time, title: time }, ago(time));
}

// One segment of the hash for each: a workload is "kind/name".
const inHash = (text) => text.split("/").map(encodeURIComponent).join("/");

export function slotHash(row) {
  return `#/slot/${inHash(row.namespace)}/${inHash(row.workload)}/${inHash(row.slot)}`;
}
