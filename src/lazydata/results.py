"""What the Python API gives back: plain values that say what they are, also in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from lazydata.messages import printable

T = TypeVar("T")
_SCREENFUL = 20


@dataclass(frozen=True, slots=True)
class Status:
    """How one entry stands.

    Args:
        path: relative to the working directory, so that ``open`` finds it.
        state: ``ok``, ``modified``, ``outdated``, ``missing`` or ``not-downloaded``.
        kind: ``file`` or ``directory``.
        hash: digest of the latest version.
        size: its bytes, or None where ``lazydata.yml`` does not say.
        stored: whether the store has the latest version.
        pushed: whether a remote is known to have it.
    """

    path: str
    state: str
    kind: str
    hash: str
    size: int | None
    stored: bool
    pushed: bool

    def _repr_html_(self) -> str:
        return _fields_html(self)


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of an entry.

    Args:
        hash: its digest; of a path inside of a tracked directory that of the directory.
        size: bytes, or None where it is not known.
        files: how many are in a directory; None for a file.
        latest: it is the one that counts.
        listed: ``lazydata.yml`` lists it now.
        when: the time of the first commit that lists it, with its time zone (UTC), or None.
        commit: that commit's id, or None.
        author: who made it, or None.
        here: it is what is in the workspace now.
        stored: the store has it.
        remotes: names of those that are known to have it.
        producer: the scripts that made it.
        usage: the scripts that tracked it.
    """

    hash: str
    size: int | None
    files: int | None
    latest: bool
    listed: bool
    when: datetime | None
    commit: str | None
    author: str | None
    here: bool
    stored: bool
    remotes: tuple[str, ...]
    producer: tuple[str, ...]
    usage: tuple[str, ...]

    def _repr_html_(self) -> str:
        return _fields_html(self)


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column of a table.

    Args:
        name: as the file has it.
        type: as the format says, or as the first 1,000 rows of a text look.
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class PartInfo:
    """One table, array or image in a file.

    Args:
        name: of the table or array; empty where there is only one thing in a file.
        rows: of a table, else None.
        exact: False where not all was read, and there may be more rows.
        columns: of a table; no more than 500.
        width: how many columns there are, or None.
        shape: of an array; width and height of an image, in pixels; else None.
        type: of an array's items or an image's pixels, or None.
    """

    name: str
    rows: int | None
    exact: bool
    columns: tuple[ColumnInfo, ...]
    width: int | None
    shape: tuple[int, ...] | None
    type: str | None

    def _repr_html_(self) -> str:
        return _fields_html(self)


@dataclass(frozen=True, slots=True)
class EndingInfo:
    """The files in a directory whose names have one ending.

    Args:
        ending: with its dot, in lower case; empty for none.
        files: how many.
        size: their bytes.
    """

    ending: str
    files: int
    size: int


@dataclass(frozen=True, slots=True, repr=False)
class Info:
    """What is known of one entry.

    Args:
        path: relative to the working directory, so that ``open`` finds it.
        state: as in ``Status``, or ``not listed`` where only git's history knows it.
        kind: ``file`` or ``directory``.
        hash: digest of the latest version; empty for a symlink in a directory.
        size: its bytes, or None where it is not known.
        files: how many are in a directory; None for a file.
        producer: the scripts that made the latest version.
        usage: the scripts that used any version.
        first: when the oldest version was committed (UTC), or None.
        last: when the latest one was (UTC), or None.
        format: such as ``CSV``, or None where the ending tells none.
        parts: the tables, arrays or images in the file; no more than 500.
        problem: why it could not be read as ``format``, or None.
        endings: of a directory: what is in it, the most bytes first.
        versions: all of them, the newest first.
        unasked: one line for each remote that was to be asked, and could not be.
    """

    path: str
    state: str
    kind: str
    hash: str
    size: int | None
    files: int | None
    producer: tuple[str, ...]
    usage: tuple[str, ...]
    first: datetime | None
    last: datetime | None
    format: str | None
    parts: Rows[PartInfo]
    problem: str | None
    endings: Rows[EndingInfo]
    versions: Rows[VersionInfo]
    unasked: tuple[str, ...]

    def __repr__(self) -> str:
        lines = []
        for name in _told([self]):
            value = getattr(self, name)
            if isinstance(value, Rows):
                lines += [name, *(f"  {line}" for line in repr(value).splitlines())]
            else:
                lines.append(f"{name:<10}{_cell(name, value)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return _fields_html(self)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did, or would do.

    Args:
        remote: its name, or several with commas where paths are of several workspaces.
        objects: how many were sent.
        size: their bytes.
        already: how many were there before.
    """

    remote: str
    objects: int
    size: int
    already: int

    def _repr_html_(self) -> str:
        return _fields_html(self)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did, or would do.

    Args:
        paths: what was restored or updated, relative to the working directory.
        objects: how many objects were downloaded.
        size: their bytes, as far as ``lazydata.yml`` says.
    """

    paths: tuple[str, ...]
    objects: int
    size: int

    def _repr_html_(self) -> str:
        return _fields_html(self)


class Rows(tuple[T, ...]):
    """A tuple of results that shows itself as a table, without columns that say nothing.

    Example:
        >>> Rows([ColumnInfo("id", "int"), ColumnInfo("name", "text")])
        name  type
        id    int
        name  text
    """

    __slots__ = ()

    def __repr__(self) -> str:
        names, rows = _table(self)
        if not names:
            return "(nothing)"
        lines = [names, *rows[:_SCREENFUL]]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        told = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join(told + _more(rows))

    def _repr_html_(self) -> str:
        names, rows = _table(self)
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows[:_SCREENFUL]
        )
        more = "".join(f"<p>{html.escape(line)}</p>" for line in _more(rows))
        if not names:
            return "<p>(nothing)</p>"
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _more(rows: Sequence[object]) -> list[str]:
    left = len(rows) - _SCREENFUL
    return [f"and {left:,} more"] if left > 0 else []


def _told(rows: Sequence[Any]) -> list[str]:
    """The attributes that say something of at least one of some results, which are of one kind."""
    names = [field.name for field in fields(rows[0])]
    return [name for name in names if any(getattr(row, name) not in (None, (), "") for row in rows)]


def _table(rows: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    if not rows:
        return [], []
    names = _told(rows)
    return names, [[_cell(name, getattr(row, name)) for name in names] for row in rows]


def _cell(name: str, value: Any) -> str:
    """A value for people, on one line; names may be a stranger's."""
    if name in ("hash", "commit") and value:
        return str(value).rpartition(":")[2][:12]
    if isinstance(value, Rows):
        return f"{len(value):,}"
    if isinstance(value, tuple):
        return ", ".join(_cell("", each) for each in value)
    if isinstance(value, ColumnInfo):
        return printable(f"{value.name} {value.type}")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else printable(str(value))


def _fields_html(value: Any) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{_inner(name, value)}</td></tr>"
        for name in _told([value])
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _inner(name: str, value: Any) -> str:
    inner = getattr(value, name)
    if isinstance(inner, Rows):
        return inner._repr_html_()
    return html.escape(_cell(name, inner))
