"""What is in a data file, as far as its ending tells the format.

The file may be a stranger's. So a program of its own looks into it (``inspectors``), under
limits of time and memory, and whatever becomes of that program is one line to show.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import Any, NamedTuple

from lazydata import inspectors

_SECONDS = 30  # on the clock; what the program may compute is less
_FORMATS = {
    "CSV": ".csv .csv.gz",
    "TSV": ".tsv .tab .tsv.gz",
    "JSON lines": ".jsonl .ndjson .jsonl.gz .ndjson.gz",
    "Parquet": ".parquet .pq",
    "NumPy": ".npy",
    "NumPy archive": ".npz",
    "image": ".png .jpg .jpeg .gif .bmp .tif .tiff .webp",
    "SQLite": ".sqlite .sqlite3 .db",
}
_BY_ENDING = {ending: form for form, endings in _FORMATS.items() for ending in endings.split()}


class Column(NamedTuple):
    """One column, with the type that the format gives it, or that its first values have."""

    name: str
    type: str


class Part(NamedTuple):
    """One table, array or image in a file.

    Args:
        name: of the table or the array; empty where there is only one thing in a file.
        rows: of a table.
        exact: False where not all was read, and there may be more rows.
        columns: of a table, the first some hundred.
        width: how many columns there are.
        shape: of an array, or width and height of an image, in pixels.
        type: of an array's items, or of an image's pixels.
    """

    name: str
    rows: int | None = None
    exact: bool = True
    columns: tuple[Column, ...] = ()
    width: int | None = None
    shape: tuple[int, ...] | None = None
    type: str | None = None


class Contents(NamedTuple):
    """What is in a file.

    Args:
        format: such as ``CSV``.
        parts: what was found, at most some hundred.
        more: how many parts there are beside those.
        problem: why it could not be read, or None.
    """

    format: str
    parts: tuple[Part, ...] = ()
    more: int = 0
    problem: str | None = None


def format_of(name: str) -> str | None:
    """The format that a file's ending stands for, or None.

    Example:
        >>> format_of("data/X.CSV.gz"), format_of("README")
        ('CSV', None)
    """
    lowered = os.path.basename(name).lower()
    fits = [ending for ending in _BY_ENDING if lowered.endswith(ending)]
    return _BY_ENDING[max(fits, key=len)] if fits else None


def inspect(path: str, name: str | None = None) -> Contents | None:
    """Look into a file; never fails for what is in it.

    Args:
        path: where the file is.
        name: what it is called, if that is not its path.

    Returns:
        None for a format that is not known, and for what is no file.
    """
    form = format_of(name or path)
    if form is None:
        return None
    try:
        # A pipe in the place of a file must not make us wait.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return Contents(form, problem=error.strerror)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        return _inspect(file, form)
    finally:
        os.close(file)


def _inspect(file: int, form: str) -> Contents:
    import json

    # Not by -m, for which a csv.py in a stranger's repository would be the module; and with -P,
    # for which what lies beside the program is none either.
    program = [sys.executable, "-P", "-W", "ignore", inspectors.__file__, form]
    try:
        done = subprocess.run(
            program, stdin=file, capture_output=True, timeout=_SECONDS, check=False
        )
        answer = json.loads(done.stdout)
        parts = tuple(map(_part, answer["parts"]))
        return Contents(form, parts, answer["more"], answer["problem"])
    except subprocess.TimeoutExpired:
        return Contents(form, problem="it takes too long")
    except OSError as error:
        return Contents(form, problem=f"no program can be started: {error.strerror}")
    except (ValueError, TypeError, KeyError):  # it was ended before it had done
        return Contents(form, problem="it takes too much time or memory")


def _part(found: dict[str, Any]) -> Part:
    columns = tuple(Column(each["name"], each["type"]) for each in found["columns"])
    shape = None if found["shape"] is None else tuple(found["shape"])
    return Part(**{**found, "columns": columns, "shape": shape})
