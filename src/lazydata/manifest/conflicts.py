"""What git leaves where it can't merge a manifest, or merges it by lines, and how to mend it."""

from __future__ import annotations

import re
from collections import Counter
from os.path import basename
from typing import TYPE_CHECKING, NamedTuple

from lazydata.errors import ManifestInvalid
from lazydata.messages import printable

if TYPE_CHECKING:
    from lazydata.manifest.nodes import Node

_MARKER = re.compile(r"(?m)^(?:<<<<<<< |=======\r?$|\|\|\|\|\|\|\|( |\r?$)|>>>>>>> )")
_REGION = re.compile(
    r"(?ms)^<<<<<<< (?P<ours>[^\r\n]*)\r?\n(?P<left>.*?)"
    r"(?:^\|\|\|\|\|\|\|[^\n]*\n.*?)?^=======\r?\n(?P<right>.*?)^>>>>>>> (?P<theirs>[^\r\n]*)"
)
_HEX = re.compile(r"([0-9a-fA-F]{12})[0-9a-fA-F]{52}")
_LINES_AT_MOST = 8
_WIDTH = 96


def unresolved(text: str, *, file: str) -> ManifestInvalid | None:
    """What is wrong with a manifest that has git's conflict markers in it; None without any.

    Args:
        text: the manifest.
        file: its path, for messages.
    """
    marker = _MARKER.search(text)
    if marker is None:
        return None
    region = _REGION.search(text)
    between, shown = "", []
    if region is not None:
        ours, theirs = (_name(region[side]) for side in ("ours", "theirs"))
        between = f" between {ours} and {theirs}"
        shown = [*_side(ours, region["left"]), *_side(theirs, region["right"])]
    name = basename(file)
    return ManifestInvalid(
        f"unresolved git conflict{between}",
        file=file,
        line=text.count("\n", 0, marker.start()) + 1,
        column=1,
        hint=f"`git checkout --ours {name}` or `--theirs` takes all of one side; or edit it: keep "
        "the items of both, the latest version last, and delete the marker lines. After "
        "`lazydata git install` such merges need no hand",
        shown=tuple(shown),
    )


def _name(label: str) -> str:
    return printable(label.strip()[:_WIDTH]) or "one side"


def _side(name: str, text: str) -> list[str]:
    lines = [printable(_HEX.sub(r"\1…", line.rstrip())[:_WIDTH]) for line in text.splitlines()]
    more = len(lines) - _LINES_AT_MOST
    if more > 1:
        lines = [*lines[:_LINES_AT_MOST], f"    … {more} more lines"]
    return [f"{name}:", *(lines or ["    (nothing)"])]


# Items whose lines git has mixed


class Piece(NamedTuple):
    """A key of an item, with its value and the lines below it.

    Args:
        name: the key.
        text: from the key on, without its indentation.
    """

    name: str
    text: str


class Repair(NamedTuple):
    """Lines to put in the place of others.

    Args:
        first: 1-based number of the first line that gives way.
        last: of the last one.
        lines: what to put there.
    """

    first: int
    last: int
    lines: tuple[str, ...]

    @property
    def hint(self) -> str:
        """Where the lines belong."""
        return f"in the place of lines {self.first} to {self.last} write these, the latest one last"


def part_mixed(text: str, node: Node, end: int) -> Repair | None:
    """The items that one item was made of, when git took lines of several for one.

    Args:
        text: the manifest.
        node: the item's mapping; it has a key twice.
        end: offset past the item.

    Returns:
        None where it can't be told.
    """
    pieces = _pieces(text, node, end)
    for way in (_by_first_key, _by_hash):
        items = way(pieces) if pieces else None
        repair = _repair(text, node, end, items) if items else None
        if repair is not None:
            return repair
    return None


def complete(text: str, node: Node, following: Node, end: int) -> Repair | None:
    """Two items again, when git left one with nothing but its path above another one.

    Args:
        text: the manifest.
        node: the item that has only a path.
        following: the next one.
        end: offset past that.
    """
    first, second = (
        _pieces(text, node, _line_start(text, following.start)),
        _pieces(text, following, end),
    )
    if first is None or second is None or [piece.name for piece in first] != ["path"]:
        return None
    rest = [piece for piece in second if piece.name != "path"]
    return _repair(text, node, end, [first + rest, second])


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _pieces(text: str, node: Node, end: int) -> list[Piece] | None:
    keys = [key for key, _ in node.pairs]
    if node.style == "flow" or len({key.line for key in keys}) < len(keys):
        return None
    ends = [*(_line_start(text, key.start) for key in keys[1:]), end]
    return [Piece(key.value, text[key.start : stop]) for key, stop in zip(keys, ends, strict=True)]


def _by_first_key(pieces: list[Piece]) -> list[list[Piece]] | None:
    """Whole items, one below the other, of which only the dash was lost."""
    starts = [at for at, piece in enumerate(pieces) if piece.name == pieces[0].name]
    parts = [pieces[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]
    return parts if all([p.name for p in part].count("hash") == 1 for part in parts) else None


def _by_hash(pieces: list[Piece]) -> list[list[Piece]] | None:
    """Items that share what git found equal: the lines above their hashes, and those below."""
    starts = [at for at, piece in enumerate(pieces) if piece.name == "hash"]
    if len(starts) < 2:
        return None
    above = pieces[: starts[0]]
    parts = [pieces[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]
    below = parts[-1][1:]
    for part in parts[:-1]:
        names = {piece.name for piece in part}
        part += [piece for piece in below if piece.name not in names]
    heads = _shared(above, len(parts))
    return heads and [head + part for head, part in zip(heads, parts, strict=True)]


def _shared(pieces: list[Piece], number: int) -> list[list[Piece]] | None:
    heads: list[list[Piece]] = [[] for _ in range(number)]
    for name, count in Counter(piece.name for piece in pieces).items():
        found = [piece for piece in pieces if piece.name == name]
        if count not in (1, number):
            return None
        for head, piece in zip(heads, found * (number // count), strict=True):
            head.append(piece)
    return heads


def _repair(text: str, node: Node, end: int, items: list[list[Piece]]) -> Repair | None:
    start = _line_start(text, node.start)
    dash, keys = text[start : node.start], " " * (node.column - 1)
    lines: list[str] = []
    for pieces in items:
        for lead, piece in zip([dash, *[keys] * len(pieces)], pieces, strict=False):
            lines += (lead + piece.text).replace("\r\n", "\n").split("\n")
    lines = [line for line in lines if line.strip()]
    is_plain = dash.strip() == "-" and all(line.isprintable() for line in lines)
    if not is_plain or not _reads("\n".join(lines), len(items)):
        return None
    return Repair(node.line, text.count("\n", 0, end - 1) + 1, tuple(lines))


def _reads(block: str, number: int) -> bool:
    """Whether these lines are so many different items, none of them mixed again."""
    from lazydata.manifest.document import load

    try:
        items = load(f"files:\n{block}\n", file="", mending=False).items
    except ManifestInvalid:
        return False
    return len({(item.path, item.version.digest) for item in items}) == number
