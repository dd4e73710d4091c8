"use strict";
// Find a node by parts of its name.

function startSearch() {
  const input = by("find"),
    list = by("found"),
    MOST = 50;
  let found = [],
    at = -1;
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (next) => {
    at = next;
    [...list.children].forEach((row, nr) => row.setAttribute("aria-selected", String(nr === at)));
    if (!list.children[at]) return;
    list.children[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", list.children[at].id);
  };
  const take = (node) => {
    close();
    input.value = node.name;
    show(node);
    by("canvas").focus();
  };
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return close();
    const fits = NODES.filter(({ name }) =>
      words.every((word) => name.toLowerCase().includes(word)),
    );
    const rank = ({ name }) => (name.toLowerCase().split("/").pop().startsWith(words[0]) ? 0 : 1);
    found = fits.sort((a, b) => rank(a) - rank(b) || a.name.length - b.name.length).slice(0, MOST);
    const rows = found.map((node, nr) =>
      el("li", { role: "option", id: "found-" + nr, on: () => take(node) }, node.name),
    );
    if (!rows.length) rows.push(el("li", { class: "none" }, "Nothing has this in its name"));
    if (fits.length > MOST)
      rows.push(el("li", { class: "none" }, `and ${many(fits.length - MOST)} more`));
    list.replaceChildren(...rows);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    return mark(found.length ? 0 : -1);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && found.length) mark((at + 1) % found.length);
    else if (event.key === "ArrowUp" && found.length) mark((at - 1 + found.length) % found.length);
    else if (event.key === "Enter" && !list.hidden && found[at]) take(found[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", () => setTimeout(close, 150));
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    open("graph");
    input.focus();
    input.select();
  });
}
