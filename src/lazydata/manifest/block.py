"""Flow style, which has no place for a splice, written again in block style."""

from __future__ import annotations

from lazydata.manifest.document import place_field
from lazydata.manifest.grammar import quote
from lazydata.manifest.nodes import Node
from lazydata.manifest.splice import Splice, newline_of, under_key


class NotSpliceable(Exception):
    """The text has something that can't be written again without a loss."""


def block_value(text: str, key: Node, value: Node, column: int) -> Splice:
    """Write the flow value of a key as a block below it.

    Args:
        text: the manifest.
        key: the key's node.
        value: a flow list, a flow mapping or a null.
        column: of the lines to write.

    Raises:
        NotSpliceable: there are aliases in it.
    """
    field = place_field(text, key, value)
    lines = _lines(text, value, column) if value.kind != "scalar" else []
    return under_key(text, field, lines, newline_of(text))


def block_node(text: str, node: Node, column: int) -> Splice:
    """Write a flow mapping that stands behind a dash, or at the top, as a block in its place.

    Args:
        text: the manifest.
        node: the mapping.
        column: of its keys.

    Raises:
        NotSpliceable: there are aliases in it.
    """
    lines = _lines(text, node, column)
    return Splice(node.start, node.end, newline_of(text).join(lines).lstrip(" "))


def _lines(text: str, node: Node, column: int) -> list[str]:
    lead = " " * column
    lines: list[str] = []
    for child in node.value if node.kind == "list" else ():
        if child.start < node.start:
            raise NotSpliceable
        inner = [lead + "  " + _inline(text, child)]
        if child.kind != "scalar" and (child.value or child.pairs):
            inner = _lines(text, child, column + 2)
        lines += [lead + "- " + inner[0][column + 2 :], *inner[1:]]
    for key, value in node.pairs:
        if key.start < node.start or value.start < key.start:
            raise NotSpliceable
        name = lead + _inline(text, key) + ":"
        if value.kind != "scalar" and (value.value or value.pairs):
            lines += [name, *_lines(text, value, column + 2)]
        else:
            lines.append(f"{name} {_inline(text, value)}".rstrip(" "))
    return lines


def _inline(text: str, node: Node) -> str:
    if node.kind != "scalar":
        return "[]" if node.kind == "list" else "{}"
    raw = text[node.start : node.end]
    return quote(node.value) if "\n" in raw else raw
