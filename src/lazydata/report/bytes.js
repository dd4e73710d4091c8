"use strict";
// Where the bytes are: a treemap of directories, in which each version may have its own place.

const treemap = (() => {
  const HEAD = 18,
    SMALLEST = 60 /* square pixels */,
    MOST = 1500;
  let all = false,
    at = [];

  const cut = (entry) => (all ? entry.versions.slice().reverse() : entry.versions.slice(-1));

  /** Directories by name, each with its bytes; leaves are versions. */
  function grown() {
    const root = { name: DATA.name, dirs: new Map(), cells: [], size: 0 };
    for (const entry of DATA.entries) {
      const parts = entry.node.name.replace(/\/$/, "").split("/");
      const base = parts.pop() + (entry.node.kind === "directory" ? "/" : "");
      let here = root;
      const way = [root];
      for (const part of parts) {
        if (!here.dirs.has(part))
          here.dirs.set(part, { name: part, dirs: new Map(), cells: [], size: 0 });
        way.push((here = here.dirs.get(part)));
      }
      for (const version of cut(entry)) {
        here.cells.push({ name: base, version, size: version.size || 0 });
        for (const each of way) each.size += version.size || 0;
      }
    }
    return root;
  }

  /** Rows of boxes that are as square as can be: [thing, x, y, width, height]. */
  function squared(things, x, y, width, height) {
    const left = things.filter((thing) => thing.size > 0).sort((a, b) => b.size - a.size);
    const found = [];
    let rest = left.reduce((sum, thing) => sum + thing.size, 0),
      from = 0;
    while (from < left.length && width > 0 && height > 0) {
      const side = Math.min(width, height),
        scale = (width * height) / rest;
      let to = from,
        sum = 0,
        worst = Infinity;
      while (to < left.length) {
        const more = sum + left[to].size,
          thick = (more * scale) / side;
        const last = (left[to].size * scale) / thick,
          first = (left[from].size * scale) / thick;
        const now = Math.max(first / thick, thick / first, thick / last, last / thick);
        if (now > worst) break;
        [worst, sum, to] = [now, more, to + 1];
      }
      const thick = (sum * scale) / side;
      let along = 0;
      for (const thing of left.slice(from, to)) {
        const long = (thing.size * scale) / thick;
        found.push(
          width >= height ? [thing, x, y + along, thick, long] : [thing, x + along, y, long, thick],
        );
        along += long;
      }
      if (width >= height) [x, width] = [x + thick, width - thick];
      else [y, height] = [y + thick, height - thick];
      [rest, from] = [rest - sum, to];
    }
    return found;
  }

  function box(kind, [, x, y, width, height], title, lines, act) {
    const tiny = width < 16 || height < 10 ? " tiny" : "";
    const made = el("button", { class: kind + tiny, title, "aria-label": title, on: act });
    Object.assign(made.style, {
      left: x + "px",
      top: y + "px",
      width: width + "px",
      height: height + "px",
    });
    if (width > (kind === "rest" ? 70 : 34)) {
      lines
        .slice(0, Math.floor(height / 14))
        .forEach((line) => made.append(el("span", { class: "text" }, line)));
    }
    return made;
  }

  function cellOf(place) {
    const [{ name, version, size }] = place;
    const which = version.latest ? "latest version" : "earlier version";
    const title = `${version.entry.node.name}, ${which}, ${bytes(size)}, ${whereabouts(version)}`;
    const kind = "cell" + (version.latest ? "" : " earlier") + (isAlone(version) ? " alone" : "");
    const lines = [
      all && !version.latest ? `${name} ${short(version.hash).slice(0, 7)}` : name,
      bytes(size),
    ];
    return box(kind, place, title, lines, () => show(version.entry.node));
  }

  /** Boxes of one directory; those of what is in its directories are done later. */
  function boxes(dir, way, [x, y, width, height], later) {
    const tiny = { size: 0, rest: 0 };
    const least = (dir.size * SMALLEST) / Math.max(width * height, 1);
    const large = [...dir.dirs.values(), ...dir.cells].filter((thing) => {
      if (thing.size >= least) return true;
      tiny.rest += thing.size ? 1 : 0;
      tiny.size += thing.size;
      return false;
    });
    return squared(tiny.rest ? [...large, tiny] : large, x, y, width, height).map((place) => {
      const [thing, px, py, w, h] = place;
      if (thing.version) return cellOf(place);
      if (thing.rest) {
        const said = `${many(thing.rest)} smaller`;
        return box(
          "rest",
          place,
          `${said}, ${bytes(thing.size)}`,
          [said, bytes(thing.size)],
          () => {},
        );
      }
      const deeper = [...way, thing.name];
      if (w > 44 && h > HEAD + 16)
        later.push([thing, deeper, [px + 3, py + HEAD, w - 6, h - HEAD - 3]]);
      const title = `${deeper.join("/")}/, ${bytes(thing.size)}: open`;
      return box("dir", place, title, [`${thing.name}/  ${bytes(thing.size)}`], () =>
        go(deeper, true),
      );
    });
  }

  function crumbs(root) {
    const ways = [[], ...at.map((_, nr) => at.slice(0, nr + 1))];
    by("crumbs").replaceChildren(
      ...ways.map((way, nr) =>
        nr < at.length
          ? el(
              "span",
              {},
              el(
                "button",
                { class: "link", on: () => go(way, true) },
                nr ? way[nr - 1] : root.name,
              ),
              " / ",
            )
          : el("strong", {}, nr ? way[nr - 1] : root.name),
      ),
    );
  }

  function go(way, focus) {
    at = way;
    draw();
    const first = focus && by("map").querySelector("button");
    if (first) first.focus();
  }

  function draw() {
    const root = grown();
    let here = root;
    for (const part of at) here = here.dirs.get(part) || here;
    crumbs(root);
    const { clientWidth: width, clientHeight: height } = by("map");
    const out = [],
      todo = [[here, at, [2, 2, width - 4, height - 4]]];
    for (const next of todo) {
      // what is outside comes first, if there is too much
      if (out.length > MOST) break;
      out.push(...boxes(...next, todo));
    }
    if (!out.length) out.push(el("p", {}, "No entry with a known size is here."));
    by("map").replaceChildren(...out);
  }

  function start() {
    for (const [id, value] of [
      ["bytes-latest", false],
      ["bytes-all", true],
    ]) {
      by(id).addEventListener("click", () => {
        all = value;
        by("bytes-latest").setAttribute("aria-pressed", String(!all));
        by("bytes-all").setAttribute("aria-pressed", String(all));
        draw();
      });
    }
    by("map").addEventListener("keydown", (event) => {
      if (event.key !== "Backspace" && event.key !== "Escape") return;
      if (at.length) go(at.slice(0, -1), true);
    });
    shown.bytes = draw;
    addEventListener("resize", () => view === "bytes" && draw());
  }

  return { start };
})();
