"use strict";
// What all views share: the data, words for numbers, the tabs and the details beside them.
// Names are of strangers: they become text, never markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);

// Edges of the data are [begin, end, whether it makes, whether it is of the latest version].
const NODES = DATA.nodes.map(([name, kind, script, absent, layer, entry], at) => ({
  at,
  name,
  kind,
  script,
  absent,
  layer,
  entry: entry < 0 ? null : DATA.entries[entry],
  up: [],
  down: [],
}));
for (const [begin, end, makes, latest] of DATA.edges) {
  NODES[begin].down.push({ to: NODES[end], makes, latest });
  NODES[end].up.push({ to: NODES[begin], makes, latest });
}
const VERSIONS = [];
for (const entry of DATA.entries) {
  entry.node = NODES[entry.at];
  entry.versions = entry.versions.map(([hash, size, files, commit, stored, remotes], at) => ({
    entry,
    hash,
    size,
    files,
    stored,
    remotes,
    commit: commit < 0 ? null : DATA.commits[commit],
    latest: at === entry.versions.length - 1,
  }));
  VERSIONS.push(...entry.versions);
}

function el(tag, given, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(given || {})) {
    if (key === "on") made.addEventListener("click", value);
    else if (key === "class") made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function bytes(count) {
  if (count === null) return "?";
  let value = count;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return (unit === "B" ? value : value.toFixed(1)) + " " + unit;
    value /= 1024;
  }
  return value.toFixed(1) + " TiB";
}

const many = (count) => count.toLocaleString("en");
const PLURAL = { entry: "entries" };
const counted = (count, noun) =>
  many(count) + " " + (count === 1 ? noun : PLURAL[noun] || noun + "s");
const total = (versions) => versions.reduce((sum, each) => sum + (each.size || 0), 0);
const when = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
const short = (hash) => hash.slice(hash.indexOf(":") + 1).slice(0, 12);
const isAlone = (version) => !version.remotes.length;

// The tabs

const VIEWS = ["graph", "bytes", "time", "pushed"];
const shown = {}; // what draws a view, called each time that it comes into sight
let view = null;

function open(name, focus) {
  view = name;
  for (const each of VIEWS) {
    const tab = by("tab-" + each);
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    by(each).hidden = each !== name;
  }
  if (focus) by("tab-" + name).focus();
  if (shown[name]) shown[name]();
  history.replaceState(null, "", "#" + name);
}

function startTabs() {
  VIEWS.forEach((name, at) => {
    const tab = by("tab-" + name);
    tab.addEventListener("click", () => open(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -at, End: VIEWS.length - 1 - at }[
        event.key
      ];
      if (step === undefined) return;
      event.preventDefault();
      open(VIEWS[(at + step + VIEWS.length) % VIEWS.length], true);
    });
  });
  if (DATA.only_graph) by("tabs").hidden = true;
  const asked = location.hash.slice(1);
  open(VIEWS.includes(asked) && !DATA.only_graph ? asked : "graph");
}

// Long lists, a piece at a time

function piecewise(holder, rows, make, step) {
  let at = 0;
  const next = (focus) => {
    const made = rows.slice(at, at + step).map(make);
    at += made.length;
    holder.append(...made);
    if (more && at >= rows.length) more.remove();
    else if (more) more.textContent = `Show more (${many(rows.length - at)} left)`;
    const first = focus && made[0] && made[0].querySelector("button");
    if (first) first.focus();
  };
  const more = rows.length > step ? el("button", { class: "more", on: () => next(true) }) : null;
  next(false);
  return more;
}

function table(holder, heads, rows, cells) {
  holder.replaceChildren();
  if (!rows.length) return;
  const body = el("tbody");
  const row = (each) => el("tr", {}, ...cells(each).map((cell, at) => td(heads[at], cell)));
  const td = ([, kind], cell) => el("td", kind ? { class: kind } : {}, cell);
  const more = piecewise(body, rows, row, 100);
  const head = heads.map(([text, kind]) => el("th", { scope: "col", class: kind || "" }, text));
  holder.append(
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), body),
    ...(more ? [more] : []),
  );
  holder.scrollTop = 0;
}

// Details of one node, or of several that are drawn as one

const going = (node) => el("button", { class: "link", on: () => show(node) }, node.name);

function linked(title, edges) {
  const rows = edges.slice().sort((a, b) => (a.to.name < b.to.name ? -1 : 1));
  return listed(title, rows, ({ to, latest }) =>
    el("li", {}, going(to), latest ? "" : el("span", { class: "hint" }, "  an earlier version")),
  );
}

function listed(title, rows, make) {
  if (!rows.length) return [];
  const list = el("ul");
  const more = piecewise(list, rows, make, 40);
  const count = rows.length > 1 ? ` (${many(rows.length)})` : "";
  return [el("h3", {}, title + count), list, ...(more ? [more] : [])];
}

function whereabouts(version) {
  const places = version.remotes.map((at) => DATA.remotes[at]);
  if (version.stored) places.unshift("stored here");
  else if (version.latest && version.entry.state === "ok") places.unshift("in the workspace");
  return places.length ? places.join(", ") : "nowhere known";
}

function versionRow(version) {
  const { commit } = version;
  const files = version.files === null ? "" : `, ${counted(version.files, "file")}`;
  return el(
    "li",
    { class: "version" },
    el(
      "div",
      {},
      el("span", { class: "hash", title: version.hash }, short(version.hash)),
      `  ${bytes(version.size)}${files}`,
    ),
    el("div", { class: isAlone(version) ? "alone" : "" }, whereabouts(version)),
    el(
      "div",
      { class: "hint" },
      commit
        ? `${when(commit.when)} UTC, ${commit.author}: ${commit.subject} (${commit.id})`
        : DATA.git
          ? "in no commit yet"
          : "",
    ),
  );
}

const STATES = {
  ok: "as listed",
  modified: "changed here",
  outdated: "older than listed",
  missing: "missing here",
  "not-downloaded": "not downloaded",
};

function describe(node) {
  const { entry } = node;
  const kind =
    node.kind === "script" ? "script" : node.script ? "script, tracked as data" : node.kind;
  const state = entry ? STATES[entry.state] || entry.state : node.absent ? "not there" : "";
  const parts = [
    el("h2", {}, node.name),
    el("p", {}, state ? `${kind}, ${state}` : kind),
    alone([node]),
  ];
  const pick = (edges, makes) => edges.filter((edge) => Boolean(edge.makes) === makes);
  if (entry) {
    parts.push(
      ...linked("Made by", pick(node.up, true)),
      ...linked("Used by", pick(node.down, false)),
    );
  }
  if (node.script) {
    parts.push(...linked("Uses", pick(node.up, false)), ...linked("Makes", pick(node.down, true)));
  }
  if (entry) parts.push(...listed("Versions", entry.versions.slice().reverse(), versionRow));
  return parts;
}

/** What several nodes are joined with, each once. */
function together(nodes, side) {
  const found = new Map();
  for (const edge of nodes.flatMap((node) => node[side])) {
    const known = found.get(edge.to);
    found.set(edge.to, { to: edge.to, latest: edge.latest || (known ? known.latest : 0) });
  }
  return [...found.values()];
}

function describeSeveral({ nodes, title, same }) {
  const latest = nodes.map((node) => node.entry.versions[node.entry.versions.length - 1]);
  const rows = nodes.slice().sort((a, b) => (a.name < b.name ? -1 : 1));
  const why = same ? "the same scripts use and make them" : "there are so many";
  return [
    el("h2", {}, title),
    el("p", {}, `${bytes(total(latest))}, drawn as one: ${why}`),
    alone(nodes),
    ...linked("Made by", together(nodes, "up")),
    ...linked("Used by", together(nodes, "down")),
    ...listed("Entries", rows, (node) => el("li", {}, going(node))),
  ];
}

const alone = (nodes) =>
  nodes.some((node) => node.up.length || node.down.length)
    ? el("button", { on: () => drawing.focus(nodes) }, "Draw only what is related")
    : "";

function detail(parts) {
  const shut = el(
    "button",
    { class: "shut", "aria-label": "Close details", on: () => show(null) },
    "×",
  );
  const changed = by("details").childElementCount === 0 || !parts;
  by("details").replaceChildren(...(parts ? [shut, ...parts.filter(Boolean)] : []));
  by("details").scrollTop = 0;
  if (changed && shown[view]) shown[view](); // there is more room now, or less
}

/** Show a node everywhere; null shows none. */
function show(node) {
  detail(node ? describe(node) : null);
  drawing.choose(node);
}

function facts() {
  const alone = VERSIONS.filter(isAlone).length;
  document.title = by("name").textContent = DATA.name;
  const scripts = NODES.filter((node) => node.script).length;
  by("facts").textContent = [
    counted(DATA.entries.length, "entry"),
    counted(scripts, "script"),
    counted(VERSIONS.length, "version"),
    bytes(total(VERSIONS)) + " listed",
    ...(DATA.only_graph ? [] : [alone ? many(alone) + " not pushed" : "all pushed"]),
    "as of " + when(DATA.made) + " UTC",
  ].join("  ·  ");
}
