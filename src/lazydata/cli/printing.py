"""How commands print: one line or one JSON object, and words for numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lazydata.messages import printable

_MANY = {"entry": "entries"}


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


def print_json(data: object) -> None:
    import json

    print_line(json.dumps(data, ensure_ascii=False))


def print_line(text: str) -> None:
    """Print a line; whoever has stopped reading (``| head``) has what they wanted."""
    try:
        print(printable(text), flush=not sys.stdout.isatty() and text.startswith("{"))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
