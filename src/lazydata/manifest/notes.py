"""The note above an item on which two branches differ: comment lines, for a person to settle."""

from __future__ import annotations

import re
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.messages import printable

_FIRST = re.compile(r" *# lazydata: (?P<path>.*) was changed on .*\. The last item counts:\r?\n")
_SIDE = re.compile(r" *#   ([0-9a-f]{12}|removed)\b")
_LINES = 4
_SHORT = 12


class Side(NamedTuple):
    """One side of a merge.

    Args:
        name: of its branch.
        latest: its latest version of the path; None where it removed the path.
    """

    name: str
    latest: Digest | None


class Note(NamedTuple):
    """What a note is about: the same for two notes that say the same.

    Args:
        path: as the manifest has it, made printable.
        sides: the versions, shortened.
    """

    path: str
    sides: frozenset[str]


def about(path: str, first: Side, second: Side) -> Note:
    """What the note on these two sides is about."""
    return Note(printable(path), frozenset((_short(first), _short(second))))


def write(path: str, first: Side, second: Side, dash: int) -> list[str]:
    """The lines of a note.

    Args:
        path: on which the sides differ.
        first: the one whose version is the last item now.
        second: the other one.
        dash: the column to write in.
    """
    one, two, path = printable(first.name), printable(second.name), printable(path)
    both = f"{one} and on {two}" if second.latest else f"{one} and removed on {two}"
    other = (
        f"{_short(second)} of {two}, if you move that item to the end (or delete the one below)"
        if second.latest
        else f"removed on {two}: to do so here, delete the items of this path"
    )
    lines = [
        f"# lazydata: {path} was changed on {both}. The last item counts:",
        f"#   {_short(first)} of {one}, as it is now",
        f"#   {other}",
        "# Delete these four lines when it is settled.",
    ]
    return [" " * dash + line for line in lines]


def found(lead: str) -> set[Note]:
    """What the notes among some comment lines are about."""
    return {note for note, _ in _split(lead) if note is not None}


def without(lead: str, known: set[Note]) -> str:
    """Some comment lines, without the notes that are known."""
    return "".join(lines for note, lines in _split(lead) if note is None or note not in known)


def _split(lead: str) -> list[tuple[Note | None, str]]:
    if "# lazydata: " not in lead:
        return [(None, lead)]
    lines = lead.splitlines(keepends=True)
    out: list[tuple[Note | None, str]] = []
    while lines:
        first = _FIRST.match(lines[0])
        sides = [_SIDE.match(line) for line in lines[1:3]]
        if first is None or len(lines) < _LINES or None in sides:
            out.append((None, lines.pop(0)))
            continue
        note = Note(first["path"], frozenset(side[1] for side in sides if side))
        out.append((note, "".join(lines[:_LINES])))
        del lines[:_LINES]
    return out


def _short(side: Side) -> str:
    return side.latest.hex[:_SHORT] if side.latest else "removed"
