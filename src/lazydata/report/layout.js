"use strict";
// Where the graph's nodes go: columns from left to right, as the bytes flow.

const ROW = 46,
  HIGH = 36,
  WIDEST = 230,
  GAP = 34,
  BETWEEN = 70,
  FEW = 5;

const MANY = 300; // items; a picture of more is hard to read

const directoryOf = (name) => name.slice(0, name.replace(/\/$/, "").lastIndexOf("/") + 1);

/** The directory that all of some nodes are in. */
function above(nodes) {
  let found = directoryOf(nodes[0].name);
  for (const { name } of nodes) while (!name.startsWith(found)) found = directoryOf(found);
  return found || "./";
}

/**
 * Entries that are much alike are drawn as one item. At first those of one directory that the same
 * scripts use and make; where that leaves too many, of any directory; at last those of one
 * directory, whatever scripts.
 */
function bundled(nodes, level) {
  const inside = new Set(nodes),
    groups = new Map();
  const ids = (edges) =>
    edges
      .filter(({ to }) => inside.has(to))
      .map(({ to, makes, latest }) => `${to.at}.${makes}.${latest}`)
      .sort()
      .join();
  const edgesOf = (node) => `${ids(node.up)}|${ids(node.down)}`;
  const keys = [
    (node) => `${directoryOf(node.name)}|${node.kind}|${edgesOf(node)}`,
    edgesOf,
    (node) => `${directoryOf(node.name)}|${Boolean(node.up.length)}|${Boolean(node.down.length)}`,
  ];
  for (const node of nodes) {
    const key = node.script ? "script " + node.at : keys[level](node);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(node);
  }
  return [...groups.values()].flatMap((some) => {
    if (some.length < FEW) return some.map((node) => ({ nodes: [node] }));
    const noun = some.every((node) => node.kind === "file") ? "file" : "entry";
    return [
      { nodes: some, title: `${counted(some.length, noun)} in ${above(some)}`, same: level < 2 },
    ];
  });
}

function joined(items) {
  const of = new Map();
  items.forEach((item, at) => {
    item.at = at;
    for (const node of item.nodes) of.set(node, item);
  });
  const edges = new Map();
  for (const item of items) {
    item.up = [];
    item.down = [];
    for (const node of item.nodes) {
      for (const edge of node.down) {
        const end = of.get(edge.to);
        if (!end) continue; // not in this part of the graph
        const key = `${item.at}:${end.at}`;
        const known = edges.get(key);
        if (known) known.latest = known.latest || edge.latest;
        else edges.set(key, { begin: item, end, makes: edge.makes, latest: edge.latest });
      }
    }
  }
  for (const edge of edges.values()) {
    edge.begin.down.push(edge.end);
    edge.end.up.push(edge.begin);
  }
  return { of, edges: [...edges.values()] };
}

/** Columns of items, in an order that crosses few edges. */
function layered(items) {
  for (const item of items) item.layer = Math.min(...item.nodes.map((node) => node.layer));
  for (const item of items) {
    // a source is best just left of what uses it first
    if (!item.up.length && item.down.length) {
      item.layer = Math.max(Math.min(...item.down.map((end) => end.layer)) - 1, 0);
    }
  }
  const columns = [];
  for (const item of items) (columns[item.layer] = columns[item.layer] || []).push(item);
  const filled = columns.filter(Boolean);
  const place = () =>
    filled.forEach((column) =>
      column.forEach((item, at) => {
        item.order = (at + 0.5) / column.length;
      }),
    );
  const mean = (others, otherwise) =>
    others.length ? others.reduce((sum, other) => sum + other.order, 0) / others.length : otherwise;
  place();
  for (let round = 0; round < 6; round++) {
    for (const column of round % 2 ? filled.slice().reverse() : filled) {
      for (const item of column) item.want = mean(item.up.concat(item.down), item.order);
      column.sort((a, b) => a.want - b.want);
      column.forEach((item, at) => {
        item.order = (at + 0.5) / column.length;
      });
    }
  }
  return filled;
}

/** Move items of one column near to what they are joined with, without touching each other. */
function settle(column) {
  for (const item of column) {
    const others = item.up.concat(item.down);
    item.want = others.length ? others.reduce((sum, o) => sum + o.y, 0) / others.length : item.y;
  }
  let least = -Infinity,
    shift = 0;
  for (const item of column) {
    item.y = Math.max(item.want, least);
    least = item.y + ROW;
    shift += item.want - item.y;
  }
  shift /= column.length;
  for (const item of column) item.y += shift;
}

/** Give the items of one connected part their places, from its own top left corner. */
function positioned(items) {
  const columns = layered(items);
  const rows = Math.max(24, Math.ceil(Math.sqrt(3.2 * items.length)));
  let x = 0,
    wraps = false;
  for (const column of columns) {
    const parts = Math.ceil(column.length / rows),
      each = Math.ceil(column.length / parts);
    wraps = wraps || parts > 1;
    for (let part = 0; part < parts; part++) {
      const some = column.slice(part * each, (part + 1) * each);
      const widest = Math.max(...some.map((item) => item.width));
      some.forEach((item, at) => {
        item.x = x + (widest - item.width) / 2;
        item.y = (at - (some.length - 1) / 2) * ROW + ((part % 2) * ROW) / 2;
        item.column = some;
      });
      x += widest + (part < parts - 1 ? GAP : BETWEEN);
    }
  }
  for (let round = 0; round < 8 && !wraps; round++) {
    for (const column of round % 2 ? columns.slice().reverse() : columns) settle(column);
  }
  return items;
}

/** Items that nothing joins, beside and below each other. */
function gridded(items) {
  items.sort((a, b) => (a.nodes[0].name < b.nodes[0].name ? -1 : 1));
  const across = Math.ceil(Math.sqrt(((items.length * ROW) / WIDEST) * 1.6));
  items.forEach((item, at) => {
    item.x = (at % across) * (WIDEST + GAP);
    item.y = Math.floor(at / across) * ROW;
    item.column = items;
  });
  return items;
}

/** Connected parts, the largest first, and at last all items that nothing joins. */
function components(items) {
  const seen = new Set(),
    found = [],
    isolated = [];
  for (const item of items) {
    if (seen.has(item)) continue;
    const some = [item];
    seen.add(item);
    for (const next of some) {
      for (const other of next.up.concat(next.down)) {
        if (!seen.has(other)) some.push(other);
        seen.add(other);
      }
    }
    if (some.length > 1) found.push(positioned(some));
    else isolated.push(item);
  }
  found.sort((a, b) => b.length - a.length);
  return isolated.length ? [...found, gridded(isolated)] : found;
}

/** Put connected parts into rows, so that all of them is about as wide as a window. */
function packed(parts) {
  const boxes = parts.map((items) => {
    const left = Math.min(...items.map((i) => i.x)),
      top = Math.min(...items.map((i) => i.y));
    const right = Math.max(...items.map((i) => i.x + i.width));
    const bottom = Math.max(...items.map((i) => i.y + HIGH));
    return { items, left, top, width: right - left + BETWEEN, height: bottom - top + ROW };
  });
  const area = boxes.reduce((sum, box) => sum + box.width * box.height, 0);
  const wide = Math.max(Math.sqrt(area * 1.9), ...boxes.map((box) => box.width));
  let x = 0,
    y = 0,
    high = 0;
  for (const { items, left, top, width, height } of boxes) {
    if (x && x + width > wide + 1) [x, y, high] = [0, y + high, 0];
    for (const item of items) [item.x, item.y] = [item.x - left + x, item.y - top + y];
    x += width;
    high = Math.max(high, height);
  }
}

/** All that is drawn: items with a place, edges between them, and which item a node is in. */
function layout(nodes, measure) {
  let items = [],
    level = 0;
  do items = bundled(nodes, level++);
  while (items.length > MANY && level < 3);
  const { of, edges } = joined(items);
  items.forEach(measure);
  const parts = components(items);
  parts.forEach((some, at) =>
    some.forEach((item) => {
      item.part = at;
    }),
  );
  packed(parts);
  return { items, edges, of, parts };
}
