"""How commands print: a line that fits the terminal, or one JSON object; words for numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from lazydata.messages import printable

_MANY = {"entry": "entries", "directory": "directories"}
# Parameters of ECMA-48, of the eight colours that every terminal has in its user's own taste.
_STYLES = {"good": "32", "notice": "33", "bad": "31", "strong": "1", "faint": "2"}
_GAP = "  "  # what stands between two columns, and nowhere in a sentence
_NARROWEST = 20


def size(count: int | None) -> str:
    """Bytes in the unit that people read, powers of 1024."""
    if count is None:
        return "?"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def duration(seconds: float) -> str:
    """A time in the unit that people read."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length or (seconds == length and unit != "d"):
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines whose cells begin below each other."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(
            cell + " " * (width - columns_of(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def columns_of(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def is_coloured(stream: TextIO | None) -> bool:
    """Whether colours are shown: on a terminal only, unless the environment says otherwise."""
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR")
    if forced:
        return forced != "0"
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str, stream: TextIO | None = None) -> str:
    """A text in the colour of what it means, where there are colours.

    Args:
        text: printable.
        style: ``good``, ``notice``, ``bad``, ``strong``, ``faint``, or empty for none.
        stream: where it goes; standard output by default.
    """
    if not style or not text or not is_coloured(sys.stdout if stream is None else stream):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return max(shutil.get_terminal_size().columns, _NARROWEST)


def folded(text: str) -> list[str]:
    """A printable line as one or more that fit the terminal: it is broken between columns only.

    A column that is wider than the terminal is left to the terminal, so that what is copied
    from there is whole.
    """
    room = width()
    if room is None or columns_of(text) <= room:
        return [text]
    import re

    indent = " " * (len(text) - len(text.lstrip()) + 4)
    lines = [""]
    for gap, cell in re.findall(r"( {2,}|^)((?:(?! {2}).)+)", text):
        longer = lines[-1] + gap + cell
        if columns_of(longer) > room and lines[-1] and columns_of(indent + cell) <= room:
            lines.append(indent + cell)
        else:
            lines[-1] = longer
    return lines


def within(scope: str) -> str:
    return f" in {scope}" if scope else ""


def count_of(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else _MANY.get(noun, noun + 's')}"


def count_of_paths(paths: Sequence[str]) -> str:
    """How many files and how many directories; a directory's path ends in a slash."""
    directories = sum(path.endswith("/") for path in paths)
    counts = ((len(paths) - directories, "file"), (directories, "directory"))
    told = [count_of(number, noun) for number, noun in counts if number]
    return " and ".join(told) or "0 files"


def print_json(data: object) -> None:
    """Print one JSON object: one line, whole and without colours wherever it goes."""
    import json

    text = json.dumps(data, ensure_ascii=False)
    # What is not printable is spelled out as JSON does it, not as Python does.
    _put([text if text.isprintable() else json.dumps(data)], flush=True)


def print_line(text: str, *, style: str = "") -> None:
    """Print a line.

    Args:
        text: for people.
        style: in which its first word is shown; see ``styled``.
    """
    first, *more = folded(printable(text))
    if style:
        word = first.split(maxsplit=1)[0]
        first = first.replace(word, styled(word, style), 1)
    _put([first, *more])


def _put(lines: Sequence[str], *, flush: bool = False) -> None:
    """Whoever has stopped reading (``| head``) has what they wanted."""
    try:
        for line in lines:
            print(line, flush=flush)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
