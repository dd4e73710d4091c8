"""A program that tells what is in one data file: rows, columns, dimensions.

It reads its standard input, prints one JSON object, and does nothing else. Whoever starts it
need not trust the file: time and memory are limited, and no more than some MiB are read of
formats that do not say how long they are. Other packages are imported only for their format.
"""

import io
import json
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any, BinaryIO

    Part = dict[str, Any]

SECONDS = 10  # of work
MEMORY = 2 << 30  # bytes of address space
_BYTES = 32 << 20  # read of a text, unpacked
_ROWS = 1_000_000  # counted
_SAMPLE = 1_000  # rows that types are read off
_NAMES = 500  # columns, arrays or tables that are listed
_WIDTH = 200  # characters of a name or a type
_TEXT = 1 << 20  # characters of all of them
_HEADER = 1 << 20  # bytes of an array's header

_INT = re.compile(r"\s*[+-]?[0-9]{1,40}\s*")
_FLOAT = re.compile(
    r"\s*[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,5})?\s*"
)
_WORDS = {"true": "bool", "false": "bool", "nan": "float", "inf": "float", "-inf": "float"}
_ABSENT = frozenset({"", "na", "n/a", "null", "none"})


class Unreadable(Exception):
    """What is wrong with the file, or missing here."""


class _Bounded(io.RawIOBase):
    """The first bytes of a stream; ``was_cut`` tells whether there are more."""

    def __init__(self, file: "IO[bytes]", limit: int) -> None:
        self._file, self._left, self.was_cut = file, limit, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Any") -> int:
        data = self._file.read(min(len(buffer), self._left + 1))
        if len(data) > self._left:
            data, self.was_cut = data[: self._left], True
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def delimited(file: "BinaryIO", separators: str) -> "list[Part]":
    """Text of separated values, with a first row of names: CSV, TSV.

    Args:
        separators: the one that is most in the first line is taken.
    """
    import csv

    bounded = _Bounded(_unpacked(file), _BYTES)
    text = io.TextIOWrapper(
        io.BufferedReader(bounded, 1 << 18), encoding="utf-8-sig", errors="replace", newline=""
    )
    first = text.readline()
    separator = max(separators, key=first.count)
    csv.field_size_limit(1 << 20)
    rows = csv.reader(_chained(first, text), delimiter=separator)
    names = next(rows, [])
    kinds: list[set[str]] = [set() for _ in names[:_NAMES]]
    count = 0
    for row in rows:
        if row:
            count += 1
            if count <= _SAMPLE:
                for found, value in zip(kinds, row, strict=False):
                    found.add(_kind(value))
            elif count > _ROWS:
                return [_table("", _ROWS, False, names, map(_joined, kinds))]
    # The last row that was read may be half of one.
    rows_known = count - 1 if bounded.was_cut and count else count
    return [_table("", rows_known, not bounded.was_cut, names, map(_joined, kinds))]


def json_lines(file: "BinaryIO") -> "list[Part]":
    """One JSON value a line."""
    bounded = _Bounded(_unpacked(file), _BYTES)
    kinds: dict[str, set[str]] = {}
    count = 0
    for number, line in enumerate(io.BufferedReader(bounded, 1 << 18), 1):
        if not line.strip():
            continue
        if bounded.was_cut and not line.endswith(b"\n"):
            break
        count += 1
        if count <= _SAMPLE:
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise Unreadable(f"line {number}: {_first_line(error)}") from None
            for name, inner in value.items() if isinstance(value, dict) else ():
                if name in kinds or len(kinds) < _NAMES:
                    kinds.setdefault(name, set()).add(_JSON[type(inner)])
        elif count >= _ROWS:
            return [_table("", _ROWS, False, kinds, map(_joined, kinds.values()))]
    return [_table("", count, not bounded.was_cut, kinds, map(_joined, kinds.values()))]


def parquet(file: "BinaryIO") -> "list[Part]":
    """What the footer says."""
    package = _package("pyarrow.parquet", "pyarrow")
    found = package.ParquetFile(file)
    fields = list(found.schema_arrow)
    types = (str(field.type) for field in fields)
    return [_table("", found.metadata.num_rows, True, [field.name for field in fields], types)]


def npy(file: "BinaryIO") -> "list[Part]":
    """What the header of an array says."""
    return [_array("", file)]


def npz(file: "BinaryIO") -> "list[Part]":
    """What the headers of the arrays in an archive say."""
    import zipfile

    parts = []
    with zipfile.ZipFile(file) as archive:
        for number, member in enumerate(archive.infolist()):
            if number >= _NAMES or not member.filename.endswith(".npy"):
                parts.append(_part(member.filename))
            else:
                with archive.open(member) as inside:
                    parts.append(_array(member.filename.removesuffix(".npy"), inside))
    return parts


def image(file: "BinaryIO") -> "list[Part]":
    """Width, height and mode, as the header says; nothing is decoded."""
    package = _package("PIL.Image", "pillow")
    package.MAX_IMAGE_PIXELS = None  # that is about decoding
    try:
        found = package.open(file, formats=("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"))
    except Exception as error:
        if type(error).__name__ != "UnidentifiedImageError":
            raise
        raise Unreadable(
            "no PNG, JPEG, GIF, BMP, TIFF or WebP"
        ) from None  # the package names our pipe
    with found:
        return [_part("", shape=list(found.size), type=found.mode)]


def sqlite(file: "BinaryIO") -> "list[Part]":
    """The tables; rows are counted up to a limit."""
    import sqlite3

    # As it is: no journal is looked for, nothing is written, and no code of the file's is run.
    name = f"file:/dev/fd/{file.fileno()}?mode=ro&immutable=1"
    connection = sqlite3.connect(name, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
            " ESCAPE '\\' AND sql NOT LIKE 'create virtual%' ORDER BY name"
        )
        return [
            _of_table(connection, str(row[0])) if number < _NAMES else _part(str(row[0]))
            for number, row in enumerate(tables)
        ]
    finally:
        connection.close()


def _of_table(connection: "Any", name: str) -> "Part":
    quoted = '"' + name.replace('"', '""') + '"'
    columns = connection.execute(f"PRAGMA table_info({quoted})").fetchmany(_NAMES)
    counting = f"SELECT count(*) FROM (SELECT 1 FROM {quoted} LIMIT {_ROWS + 1})"
    (count,) = connection.execute(counting).fetchone()
    names, types = [str(row[1]) for row in columns], [str(row[2]).lower() for row in columns]
    return _table(name, min(count, _ROWS), count <= _ROWS, names, types)


READERS: "dict[str, Callable[[BinaryIO], list[Part]]]" = {
    "CSV": lambda file: delimited(file, ",;\t|"),
    "TSV": lambda file: delimited(file, "\t"),
    "JSON lines": json_lines,
    "Parquet": parquet,
    "NumPy": npy,
    "NumPy archive": npz,
    "image": image,
    "SQLite": sqlite,
}

_JSON = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "text",
    list: "list",
    dict: "object",
}


def _array(name: str, file: "IO[bytes]") -> "Part":
    form = _package("numpy.lib.format", "numpy")
    header = io.BufferedReader(_Bounded(file, _HEADER))
    version = form.read_magic(header)
    if version == (1, 0):
        shape, _, kind = form.read_array_header_1_0(header)
    elif version == (2, 0):
        shape, _, kind = form.read_array_header_2_0(header)
    else:
        raise Unreadable(f"an array of format {version[0]}.{version[1]}")
    return _part(name, shape=list(shape), type=str(kind))


def _part(name: str, **more: "Any") -> "Part":
    return {
        "name": name[:_WIDTH],
        "rows": None,
        "exact": True,
        "columns": [],
        "shape": None,
        "type": None,
        **more,
    }


def _table(
    name: str, rows: int, exact: bool, names: "Iterable[str]", types: "Iterable[str]"
) -> "Part":
    listed = list(names)
    columns = [
        {"name": column[:_WIDTH], "type": kind[:_WIDTH]}
        for column, kind in zip(listed[:_NAMES], types, strict=False)
    ]
    return _part(name, rows=rows, exact=exact, columns=columns, width=len(listed))


def _told(parts: "list[Part]") -> int:
    """How many parts are told; whoever asked must be able to hold what is said of them."""
    left = _TEXT
    for number, part in enumerate(parts[:_NAMES]):
        left -= sum(len(each["name"]) + len(each["type"]) for each in part["columns"])
        if left < 0:
            return number
    return min(len(parts), _NAMES)


def _kind(value: str) -> str:
    lowered = value.strip().lower()
    if lowered in _ABSENT:
        return ""
    if _INT.fullmatch(value):
        return "int"
    if _FLOAT.fullmatch(value):
        return "float"
    return _WORDS.get(lowered, "text")


def _joined(kinds: "set[str]") -> str:
    found = kinds - {"", "null"}
    if found == {"int", "float"}:
        return "float"
    if "text" in found and found <= {"text", "int", "float", "bool"}:
        return "text"
    return " or ".join(sorted(found)) or ("null" if "null" in kinds else "empty")


def _chained(first: str, text: "Iterable[str]") -> "Iterator[str]":
    yield first
    yield from text


def _unpacked(file: "BinaryIO") -> "BinaryIO":
    """The file, or what is in it if it was packed with gzip."""
    magic = file.read(2)
    file.seek(0)
    if magic != b"\x1f\x8b":
        return file
    import gzip

    return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]


def _package(module: str, name: str) -> "Any":
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise Unreadable(f"that takes {name}: pip install 'lazydata[inspect]'") from None


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:_WIDTH]


def _limit() -> None:
    """See that no file takes more than so much time and memory."""
    import resource

    # numpy and pyarrow set threads and memory aside for each core.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    for kind, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, MEMORY)):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, hard))


def main(form: str) -> None:
    """Read standard input as one of ``READERS``."""
    _limit()
    parts: list[Part] = []
    problem = None
    with open(0, "rb", closefd=False) as file:
        try:
            parts = READERS[form](file)
        except Unreadable as error:
            problem = str(error)
        except MemoryError:
            problem = f"it takes more than {MEMORY >> 30} GiB of memory"
        except Exception as error:  # whatever a package has to say of a broken file
            problem = _first_line(error)
    told = _told(parts)
    answer = {"parts": parts[:told], "more": len(parts) - told, "problem": problem}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
