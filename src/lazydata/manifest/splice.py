"""Pieces that every edit is made of: lines to put in, and the places to put them."""

from __future__ import annotations

from typing import NamedTuple

from lazydata.manifest.grammar import quote
from lazydata.manifest.item import Field, Item
from lazydata.manifest.model import SCRIPTS, Version


class Splice(NamedTuple):
    """``text[start:end]`` gives way to ``new``."""

    start: int
    end: int
    new: str


def apply(text: str, splices: list[Splice]) -> str:
    """Carry out splices that do not overlap.

    Args:
        text: what they are offsets of.
        splices: at the same offset, in their order.

    Example:
        >>> apply("abc", [Splice(1, 2, "-"), Splice(3, 3, "!")])
        'a-c!'
    """
    parts: list[str] = []
    done = 0
    for start, end, new in sorted(splices, key=lambda splice: splice.start):
        parts += text[done:start], new
        done = end
    parts.append(text[done:])
    return "".join(parts)


def newline_of(text: str) -> str:
    """The line break that a text uses first."""
    at = text.find("\n")
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"


def line_end(text: str, offset: int) -> int:
    """Offset of the start of the next line."""
    found = text.find("\n", offset)
    return len(text) if found < 0 else found + 1


def content_end(text: str, offset: int) -> int:
    """Offset of the line break that ends this line, or of the end of the text."""
    end = line_end(text, offset)
    while end > offset and text[end - 1] in "\r\n":
        end -= 1
    return end


def insert(text: str, offset: int, lines: list[str], newline: str) -> Splice:
    """Put lines in at the start of a line; a text that ends without a line break keeps to that.

    Args:
        text: the manifest.
        offset: the start of a line, or the end of the text.
        lines: without line breaks.
        newline: the text's own.
    """
    body = newline.join(lines)
    on_new_line = offset == 0 or text[offset - 1] in "\n\ufeff"
    return Splice(offset, offset, body + newline if on_new_line else newline + body)


def item_lines(path: str, version: Version, dash: int, keys: int) -> list[str]:
    """Write an item.

    Args:
        path: what it lists.
        version: what it says.
        dash: column of its dash.
        keys: column of its keys.

    Example:
        >>> item_lines("a", Version(Digest("blake3:…"), 5), 2, 4)
        ['  - path: a', '    hash: blake3:…', '    size: 5']
    """
    lead = " " * keys
    lines = [" " * dash + "-" + " " * (keys - dash - 1) + f"path: {quote(path)}"]
    lines.append(f"{lead}hash: {version.digest}")
    if version.size is not None:
        lines.append(f"{lead}size: {version.size}")
    if version.files is not None:
        lines.append(f"{lead}files: {version.files}")
    for name in SCRIPTS:
        scripts = getattr(version, name)
        if scripts:
            lines += script_lines(name, scripts, keys)
    if version.source_url is not None:
        lines.append(f"{lead}source_url: {quote(version.source_url)}")
    return lines


def script_lines(name: str, scripts: tuple[str, ...], keys: int) -> list[str]:
    """Write a key of an item that names scripts: one in its line, several as a list."""
    if len(scripts) == 1:
        return [" " * keys + f"{name}: {quote(scripts[0])}"]
    return [" " * keys + f"{name}:", *list_lines([quote(script) for script in scripts], keys + 2)]


def list_lines(scalars: list[str], dash: int) -> list[str]:
    """Write a list of scalars."""
    return [" " * dash + f"- {scalar}" for scalar in scalars]


def amend(text: str, item: Item, version: Version, newline: str) -> list[Splice]:
    """The splices that make an item say what a version says, besides its digest.

    Args:
        text: the manifest.
        item: as it is; in block style.
        version: as it shall be; its usages start with those of the item, and so do its producers.
        newline: the text's own.
    """
    splices: list[Splice] = []
    after = item.fields["hash"]
    for name, old, new in (
        ("size", item.version.size, version.size),
        ("files", item.version.files, version.files),
    ):
        field = item.fields.get(name)
        if new is not None and new != old:
            if field is None:
                line = " " * item.keys + f"{name}: {new}"
                splices.append(insert(text, line_end(text, after.end), [line], newline))
            else:
                splices.append(Splice(field.colon, field.end, f" {new}"))
        after = field or after
    # A list that goes on at the item's end comes before a key that is put in there.
    for name in sorted(SCRIPTS, key=lambda name: name not in item.fields):
        added = getattr(version, name)[len(getattr(item.version, name)) :]
        if added:
            splices += _add_scripts(text, item, name, added, newline)
    return _joined(splices)


def _joined(splices: list[Splice]) -> list[Splice]:
    """As they are, but lines that are put in at one place are one splice: checks look behind it."""
    joined: list[Splice] = []
    for each in splices:
        last = joined[-1] if joined else None
        if last is not None and last.start == last.end == each.start == each.end:
            joined[-1] = last._replace(new=last.new + each.new)
        else:
            joined.append(each)
    return joined


def _add_scripts(
    text: str, item: Item, name: str, added: tuple[str, ...], newline: str
) -> list[Splice]:
    field = item.fields.get(name)
    scalars = [quote(script) for script in added]
    if field is None:
        return [insert(text, item.end, script_lines(name, added, item.keys), newline)]
    if field.shape == "list":
        lines = list_lines(scalars, field.dash)
        return [insert(text, line_end(text, field.end), lines, newline)]
    if field.shape == "null" and len(added) == 1:
        return [Splice(field.colon, field.end, f" {scalars[0]}")]
    old = [quote(script) for script in getattr(item.version, name)]
    if field.shape == "scalar" and "\n" not in text[field.start : field.end]:
        old = [text[field.start : field.end]]
        if "\n" in text[field.colon : field.start]:
            column = field.start - text.rfind("\n", 0, field.start) - 1
            lines = list_lines(scalars, column)
            return [
                Splice(field.start, field.start, "- "),
                insert(text, line_end(text, field.end), lines, newline),
            ]
    return [under_key(text, field, list_lines(old + scalars, item.keys + 2), newline)]


def under_key(text: str, field: Field, lines: list[str], newline: str) -> Splice:
    """Put lines where a key's value was; a comment behind the value stays behind the key."""
    end = content_end(text, field.end)
    return Splice(field.colon, end, newline.join([text[field.end : end].rstrip(), *lines]))
