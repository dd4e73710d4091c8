"""How commands print: one line or one JSON object, and words for numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lazydata.messages import printable

_MANY = {"entry": "entries", "directory": "directories"}


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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


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
    import json

    text = json.dumps(data, ensure_ascii=False)
    # What is not printable is spelled out as JSON does it, not as Python does.
    print_line(text if text.isprintable() else json.dumps(data))


def print_line(text: str) -> None:
    """Print a line; whoever has stopped reading (``| head``) has what they wanted."""
    try:
        print(printable(text), flush=not sys.stdout.isatty() and text.startswith("{"))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
