"""A manifest in parts, each with the comment lines above it. Together they are the whole text."""

from __future__ import annotations

import re
from typing import NamedTuple

from lazydata.errors import ManifestInvalid
from lazydata.manifest import grammar
from lazydata.manifest.block import NotSpliceable
from lazydata.manifest.document import Document, load, place_field
from lazydata.manifest.item import Item, item_at
from lazydata.manifest.lanes import JudgedLane, PlainLane
from lazydata.manifest.model import Manifest
from lazydata.manifest.splice import line_end
from lazydata.manifest.text import FILES, scan

_KEY = re.compile(rf"(?m)^({grammar.KEY}):")
_PATH = re.compile(r" *- path: ([A-Za-z_][A-Za-z0-9_./-]*+)\r?\n")
_FILES = "files:\n"


class Part(NamedTuple):
    """A top-level key, or an item.

    Args:
        name: the key, or the path that an item lists.
        lead: the lines above it, from the end of the part before: comments, blank lines.
        body: its own lines. Of ``files:``, only those above the first item and its lead.
    """

    name: str
    lead: str
    body: str


class Parts(NamedTuple):
    """A manifest, taken apart.

    Args:
        manifest: what it says.
        keys: the top-level keys, in the order of the text.
        items: what is below ``files:``, in the order of the text.
        tail: what follows the last key and its items.
        dash: column of the items' dashes.
    """

    manifest: Manifest
    keys: list[Part]
    items: list[Part]
    tail: str
    dash: int


def part(text: str, *, file: str, keep_list: bool = False) -> Parts:
    """Take a manifest apart.

    Args:
        text: all of it but a byte order mark; it ends with a line break, if it is not empty.
        file: its path, for messages.
        keep_list: where its items are in flow style, they are part of their key.

    Raises:
        ManifestInvalid: it can't be read.
        NotSpliceable: it is written in a way that can't be taken apart.
    """
    manifest = scan(text)
    if manifest is not None:
        found = _plain(text, manifest, file)
    else:
        document = load(text, file=file)
        if not keep_list or (document.root is not None and document.root.style == "flow"):
            document = JudgedLane(document, file).document
        text, found = document.text, _judged(document)
    if together(found.keys, "".join(p.lead + p.body for p in found.items), found.tail) != text:
        raise NotSpliceable
    return found


def together(keys: list[Part], items: str, tail: str) -> str:
    """The text again.

    Args:
        keys: the top-level keys.
        items: what belongs below ``files:``.
        tail: what follows.
    """
    lines = (p.lead + p.body + (items if p.name == "files" else "") for p in keys)
    return "".join(lines) + tail


def read_item(body: str, dash: int) -> Item:
    """An item, with its places in ``body``.

    Args:
        body: its lines.
        dash: the column of its dash.

    Raises:
        NotSpliceable: it means nothing without the rest of the manifest.
    """
    found = item_at(body, 0, dash)
    if found is not None and found.end == len(body):
        return found
    try:
        items = load(_FILES + body, file="").items
    except ManifestInvalid:
        raise NotSpliceable from None
    if len(items) != 1 or items[0].dash != dash:
        raise NotSpliceable
    return _moved(items[0], -len(_FILES))


def _moved(item: Item, by: int) -> Item:
    fields = {
        name: field._replace(
            key=field.key + by, colon=field.colon + by, start=field.start + by, end=field.end + by
        )
        for name, field in item.fields.items()
    }
    return item._replace(start=item.start + by, end=item.end + by, fields=fields)


def _plain(text: str, manifest: Manifest, file: str) -> Parts:
    found = FILES.search(text)
    if found is None:
        keys, tail = _cut(text, [(key[1], key.start()) for key in _KEY.finditer(text)])
        return Parts(manifest, keys, [], tail, 2)
    lane = PlainLane(text, file)
    last, dash = lane.last(), lane.columns[0]
    begin, end = found.end(), last.end if last else found.end()
    # Any line of that indentation with a dash is an item's first one.
    starts = [
        match.start() + 1
        for match in re.finditer("\n" + " " * dash + "- ", text[:end])
        if match.start() >= begin - 1
    ]
    items, _ = _cut(text[begin:end], [("", start - begin) for start in starts])
    # What is left without the items: between ``files:`` and the next key is nothing else.
    outside = text[:begin] + text[end:]
    keys, tail = _cut(outside, [(key[1], key.start()) for key in _KEY.finditer(outside)])
    return Parts(manifest, keys, [_named(item, dash) for item in items], tail, dash)


def _named(item: Part, dash: int) -> Part:
    plain = _PATH.match(item.body)
    return item._replace(name=plain[1] if plain else read_item(item.body, dash).path)


def _cut(text: str, starts: list[tuple[str, int]]) -> tuple[list[Part], str]:
    """Parts that begin at some lines, and what is left behind the last one."""
    parts: list[Part] = []
    done = 0
    borders = [*(start for _, start in starts[1:]), len(text)]
    for (name, start), border in zip(starts, borders, strict=False):
        end = _content_end(text, start, border)
        parts.append(Part(name, text[done:start], text[start:end]))
        done = end
    return parts, text[done:]


def _content_end(text: str, start: int, end: int) -> int:
    """Where the last line that is neither blank nor a comment ends."""
    while end > start:
        line = text.rfind("\n", start, end - 1) + 1 or start
        content = text[line:end].strip()
        if content and content[0] != "#":
            break
        end = line
    return end


def _judged(document: Document) -> Parts:
    text = document.text
    items: list[Part] = []
    keys: list[Part] = []
    done = 0
    for key, value in document.root.pairs if document.root else ():
        start = text.rfind("\n", 0, key.start) + 1
        is_list = key.value == "files" and value.kind == "list" and value.style != "flow"
        end = line_end(text, place_field(text, key, value).end)
        below = line_end(text, text.find(":", key.end)) if is_list else end
        keys.append(Part(str(key.value), text[done:start], text[start:below]))
        done = below
        for item in document.items if is_list else ():
            items.append(Part(item.path, text[done : item.start], text[item.start : item.end]))
            done = item.end
        done = max(done, end)
    dash = document.items[0].dash if document.items and items else 2
    return Parts(document.manifest, keys, items, text[done:], dash)
