"use strict";
// The graph, on a canvas: five thousand nodes are drawn in a few milliseconds.

const drawing = (() => {
  const canvas = by("canvas"),
    context = canvas.getContext("2d");
  const fonts = {
    name: "600 12px system-ui, 'DejaVu Sans', sans-serif",
    above: "10px system-ui, 'DejaVu Sans', sans-serif",
  };
  let world = null,
    scale = 1,
    left = 0,
    top = 0,
    colours = {},
    waiting = false;
  let selected = null,
    lit = null,
    fitted = false;

  function fitting(text, room) {
    if (context.measureText(text).width <= room) return text;
    let low = 1,
      high = text.length; // characters that are left out of the middle
    const cut = (count) => {
      const keep = text.length - count,
        begin = Math.floor(keep / 3);
      return text.slice(0, begin) + "…" + text.slice(text.length - (keep - begin));
    };
    while (low < high) {
      const middle = (low + high) >> 1;
      if (context.measureText(cut(middle)).width <= room) high = middle;
      else low = middle + 1;
    }
    return cut(low);
  }

  function measure(item) {
    const [first] = item.nodes;
    const bare = first.name.replace(/\/$/, "");
    const slash = bare.lastIndexOf("/") + 1;
    item.name = item.title ? item.title : first.name.slice(slash);
    item.above = item.title ? "" : first.name.slice(0, slash);
    item.tone = first.absent
      ? "absent"
      : first.script
        ? "script"
        : first.up.length
          ? "made"
          : "data";
    context.font = fonts.name;
    item.name = fitting(item.name, WIDEST - 24);
    const width = context.measureText(item.name).width;
    context.font = fonts.above;
    item.above = fitting(item.above, WIDEST - 24);
    item.width = Math.max(56, Math.max(width, context.measureText(item.above).width) + 24);
  }

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue("--" + name).trim();
    for (const name of ["card", "fg", "dim", "edge", "accent", "script", "data", "made", "bad"]) {
      colours[name] = of(name);
    }
    for (const name of ["script", "data", "made"]) colours[name + "-bg"] = of(name + "-bg");
    colours.absent = colours.bad;
    colours["absent-bg"] = colours.card;
  }

  const redraw = () => {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  };

  function size() {
    const box = canvas.getBoundingClientRect(),
      ratio = devicePixelRatio || 1;
    const [w, h] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (w && h && (canvas.width !== w || canvas.height !== h))
      [canvas.width, canvas.height] = [w, h];
    return { width: box.width, height: box.height, ratio };
  }

  function draw() {
    waiting = false;
    const { width, height, ratio } = size();
    if (!width || !world) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.translate(left, top);
    context.scale(scale, scale);
    const seen = { l: -left / scale, t: -top / scale };
    seen.r = seen.l + width / scale;
    seen.b = seen.t + height / scale;
    // The more there are, the fainter is each.
    const strength = (count) => Math.min(0.8, Math.max(0.12, 500 / count));
    const rows = [[], [], []]; // from faint to strong
    for (const edge of world.edges)
      rows[!lit || !isLit(edge) ? 0 : isNear(edge) ? 2 : 1].push(edge);
    const faint = strength(world.edges.length);
    for (const edge of rows[0]) drawEdge(edge, seen, lit ? faint / 5 : faint, colours.edge);
    for (const edge of rows[1]) drawEdge(edge, seen, strength(rows[1].length), colours.accent);
    for (const edge of rows[2]) drawEdge(edge, seen, 1, colours.accent);
    for (const item of world.items) {
      if (item.x > seen.r || item.x + item.width < seen.l) continue;
      if (item.y > seen.b || item.y + HIGH < seen.t) continue;
      drawItem(item);
    }
    context.globalAlpha = 1;
  }

  const isNear = (edge) => edge.begin === selected || edge.end === selected;
  const isLit = (edge) => lit.has(edge.begin) && lit.has(edge.end);

  function drawEdge({ begin, end, latest, makes }, seen, alpha, colour) {
    const x1 = begin.x + begin.width,
      y1 = begin.y + HIGH / 2,
      x2 = end.x,
      y2 = end.y + HIGH / 2;
    const back = x2 < x1;
    const bend = back ? 60 : Math.max((x2 - x1) / 2, 20);
    if (Math.max(x1, x2) + bend < seen.l || Math.min(x1, x2) - bend > seen.r) return;
    if (Math.max(y1, y2) + bend < seen.t || Math.min(y1, y2) - bend > seen.b) return;
    context.globalAlpha = alpha;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = Math.max(makes ? 1.8 : 1.2, 0.6 / scale);
    context.setLineDash(latest ? [] : [5, 4]);
    context.beginPath();
    context.moveTo(x1, y1);
    if (back) {
      // of a cycle: around, below both
      const low = Math.max(y1, y2) + HIGH;
      context.bezierCurveTo(x1 + bend, low, x2 - bend, low, x2 - 2, y2);
    } else context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2 - 2, y2);
    context.stroke();
    context.setLineDash([]);
    if (scale < 0.35) return;
    const slope = back ? -0.5 : 0;
    context.beginPath();
    context.moveTo(x2, y2);
    context.lineTo(x2 - 8, y2 - 4 - 8 * slope);
    context.lineTo(x2 - 8, y2 + 4 - 8 * slope);
    context.fill();
  }

  function drawItem(item) {
    context.globalAlpha = lit && !lit.has(item) ? 0.22 : 1;
    context.fillStyle = colours[item.tone + "-bg"];
    context.strokeStyle = colours[item.tone];
    context.lineWidth = item === selected ? 3 : 1.3;
    if (item.title) {
      // a pile
      for (const off of [6, 3]) outline(item, off, 3);
    }
    context.setLineDash(item.tone === "absent" ? [4, 3] : []);
    outline(item, 0, item.nodes[0].script ? HIGH / 2 : 3);
    context.setLineDash([]);
    if (scale < 0.32) return;
    const middle = item.x + item.width / 2;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = fonts.name;
    context.fillStyle = item.tone === "absent" ? colours.bad : colours.fg;
    context.fillText(item.name, middle, item.y + (item.above ? 24 : HIGH / 2 + 0.5));
    if (item.above) {
      context.font = fonts.above;
      context.fillStyle = colours.dim;
      context.fillText(item.above, middle, item.y + 11);
    }
  }

  function outline(item, off, corner) {
    context.beginPath();
    context.roundRect(item.x + off, item.y - off, item.width, HIGH, corner);
    context.fill();
    context.stroke();
  }

  // Moving

  function fit() {
    const { width, height } = size();
    if (!world.items.length || !width) return;
    const bound = (of, pick) =>
      world.items.reduce((found, item) => of(found, pick(item)), pick(world.items[0]));
    const l = bound(Math.min, (i) => i.x),
      r = bound(Math.max, (i) => i.x + i.width);
    const t = bound(Math.min, (i) => i.y),
      b = bound(Math.max, (i) => i.y + HIGH);
    scale = Math.min(1.25, (width - 40) / (r - l), (height - 40) / (b - t));
    left = (width - (r + l) * scale) / 2;
    top = (height - (b + t) * scale) / 2;
    fitted = true;
    redraw();
  }

  function zoom(factor, x, y) {
    const { width, height } = size();
    const [atX, atY] = [x === undefined ? width / 2 : x, y === undefined ? height / 2 : y];
    const next = Math.min(4, Math.max(0.02, scale * factor));
    left = atX - ((atX - left) * next) / scale;
    top = atY - ((atY - top) * next) / scale;
    scale = next;
    fitted = false;
    redraw();
  }

  function move(x, y) {
    left += x;
    top += y;
    fitted = false;
    redraw();
  }

  function reveal(item) {
    const { width, height } = size();
    if (scale < 0.6) scale = 0.9;
    const x = left + item.x * scale,
      y = top + item.y * scale;
    const right = x + item.width * scale,
      bottom = y + HIGH * scale;
    const outside = x < 8 || y < 8 || right > width - 8 || bottom > height - 8;
    if (outside) {
      left = width / 2 - (item.x + item.width / 2) * scale;
      top = height / 2 - (item.y + HIGH / 2) * scale;
      fitted = false;
    }
  }

  // Choosing

  /** Nodes that some were made from, or that depend on them; these included. */
  function related(nodes) {
    const found = new Set(nodes);
    for (const side of ["up", "down"]) {
      const todo = nodes.slice(),
        seen = new Set(todo);
      while (todo.length) {
        for (const { to } of todo.pop()[side]) {
          if (!seen.has(to)) todo.push(to);
          seen.add(to);
          found.add(to);
        }
      }
    }
    return [...found];
  }

  function select(item, nodes) {
    selected = item;
    lit = item ? new Set(related(nodes).map((node) => world.of.get(node))) : null;
    if (item && view === "graph") reveal(item);
    const parts = item
      ? [
          nodes.length === 1 ? nodes[0].name : item.title,
          item.tone === "absent" ? "script, not there" : item.tone,
          counted(item.up.length, "edge") + " in",
          counted(item.down.length, "edge") + " out",
        ]
      : [];
    by("said").textContent = parts.join(", ");
    canvas.setAttribute(
      "aria-label",
      item ? "Dependency graph, at " + parts[0] : "Dependency graph",
    );
    redraw();
  }

  /** Show a part of the graph alone; null shows all of it. */
  function focus(nodes) {
    world = layout(nodes ? related(nodes) : NODES, measure);
    by("whole").hidden = !nodes;
    open("graph");
    fit();
    select(nodes ? world.of.get(nodes[0]) : null, nodes);
  }

  const pick = (item) => {
    if (!item || !item.title) return show(item ? item.nodes[0] : null);
    detail(describeSeveral(item));
    return select(item, item.nodes);
  };

  function under(event) {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - left) / scale,
      y = (event.clientY - box.top - top) / scale;
    return (
      world.items.find((i) => x >= i.x && x <= i.x + i.width && y >= i.y && y <= i.y + HIGH) || null
    );
  }

  function along(key) {
    if (!selected) return world.parts[0] && world.parts[0][0];
    const { column, part } = selected,
      at = column.indexOf(selected);
    const distance = (item) => Math.abs(item.y - selected.y);
    const nearest = (some) => some.slice().sort((a, b) => distance(a) - distance(b))[0];
    const first = (some) => some && some[0];
    return (
      {
        ArrowLeft: nearest(selected.up),
        ArrowRight: nearest(selected.down),
        ArrowUp: column[at - 1] || first(world.parts[part - 1]),
        ArrowDown: column[at + 1] || first(world.parts[part + 1]),
      }[key] || selected
    );
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[
      event.key
    ];
    if (step && event.shiftKey) move(step[0] * 60, step[1] * 60);
    else if (step) pick(along(event.key));
    else if (event.key === "+" || event.key === "=") zoom(1.3);
    else if (event.key === "-") zoom(1 / 1.3);
    else if (event.key === "0") fit();
    else if (event.key === "Escape") show(null);
    else if (event.key === "Enter" && selected) by("details").focus();
    else return;
    event.preventDefault();
  }

  function start() {
    let held = null;
    canvas.addEventListener("keydown", onKey);
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const box = canvas.getBoundingClientRect();
        zoom(
          Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)),
          event.clientX - box.left,
          event.clientY - box.top,
        );
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, y: event.clientY, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) {
        const item = under(event);
        canvas.title = item ? item.title || item.nodes[0].name : "";
        canvas.classList.toggle("over", Boolean(item));
        return;
      }
      const [x, y] = [event.clientX - held.x, event.clientY - held.y];
      if (!held.moved && Math.hypot(x, y) < 4) return;
      canvas.classList.add("moving");
      move(x, y);
      held = { x: event.clientX, y: event.clientY, moved: true };
    });
    const let_go = (event) => {
      if (held && !held.moved && event.type === "pointerup") pick(under(event));
      held = null;
      canvas.classList.remove("moving");
    };
    canvas.addEventListener("pointerup", let_go);
    canvas.addEventListener("pointercancel", let_go);
    by("closer").addEventListener("click", () => zoom(1.3));
    by("wider").addEventListener("click", () => zoom(1 / 1.3));
    by("fit").addEventListener("click", fit);
    by("whole").addEventListener("click", () => focus(null));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      readColours();
      redraw();
    });
    new ResizeObserver(() => (fitted ? fit() : redraw())).observe(canvas);
    readColours();
    world = layout(NODES, measure);
    by("nothing").hidden = NODES.length > 0;
    by("nothing").textContent =
      "lazydata.yml lists nothing yet: track() a file, or run `lazydata track`.";
    shown.graph = () => (fitted || !canvas.width || scale === 1 ? fit() : redraw());
  }

  function choose(node) {
    if (node && !world.of.has(node)) focus(null);
    select(node ? world.of.get(node) : null, node ? [node] : null);
  }

  return {
    start,
    choose,
    focus,
    get state() {
      const name = selected && (selected.title || selected.nodes[0].name);
      return { scale, left, top, items: world.items.length, selected: name };
    },
    at(name) {
      // where in the window
      const { x, y, width } = world.of.get(NODES.find((node) => node.name === name));
      const box = canvas.getBoundingClientRect();
      return [box.left + left + (x + width / 2) * scale, box.top + top + (y + HIGH / 2) * scale];
    },
  };
})();
