"""What ``info`` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lazydata.cli.printing import columns, count_of, print_json, print_line, size
from lazydata.cli.render_history import local, log_row, logged, utc
from lazydata.messages import typed
from lazydata.workspace.graph import users_of
from lazydata.workspace.info import Info

_SCREENFUL = 20
_LABEL = 16
_PARTS = {"SQLite": "table", "NumPy archive": "array"}


def show(root: str, path: str, found: Info, *, json: bool) -> None:
    """All that is known of an entry.

    Args:
        root: what the path is relative to.
        path: of the entry.
        found: what is known.
    """
    if json:
        print_json({"root": root, "path": path, **_as_data(found)})
        return
    print_line(path)
    for label, told in _lines(found):
        print_line(f"  {label:<{_LABEL}}{told}".rstrip())
    rows = found.history.rows
    for line in columns([log_row(row, found.history) for row in rows[:_SCREENFUL]]):
        print_line(f"    {line}")
    if len(rows) > _SCREENFUL:
        print_line(
            f"    and {len(rows) - _SCREENFUL:,} more, which `lazydata log {typed(path)}` shows"
        )


def _lines(found: Info) -> list[tuple[str, str]]:
    """What is said, with the word that stands before it."""
    exact = f" ({found.size:,} bytes)" if (found.size or 0) >= 1024 else ""
    files = "" if found.files is None else f", {count_of(found.files, 'file')}"
    lines = [
        ("kind", found.kind),
        ("state", found.state),
        ("size", f"{size(found.size)}{exact}{files}"),
        ("digest", found.digest or "none: it is a symlink"),
    ]
    lines += _contents(found)
    lines += _scripts(found)
    lines += [(name, _when(commit)) for name, commit in _recorded(found)]
    return [*lines, ("versions", f"{len(found.history.rows):,}")]


def _recorded(found: Info) -> list[tuple[str, Any]]:
    if not found.history.has_git:
        return []
    if found.first in (None, found.last):
        return [("recorded", found.last)]
    return [("first recorded", found.first), ("last recorded", found.last)]


def _when(commit: Any) -> str:
    if commit is None:
        return "not committed yet"
    return f"{local(commit.when)}  {commit.id[:10]}  {commit.author}"


def _scripts(found: Info) -> list[tuple[str, str]]:
    latest = users_of(found.history.rows[0].version)
    used = [u if u in latest else f"{u} (an earlier version)" for u in found.usage]
    rows = (("made by", list(found.producer)), ("used by", used))
    return [(label, ", ".join(names)) for label, names in rows if names]


def _contents(found: Info) -> list[tuple[str, str]]:
    if found.endings is not None:
        told = [
            f"{row.ending or '(none)'}  {count_of(row.files, 'file')}  {size(row.size)}"
            for row in found.endings[:_SCREENFUL]
        ]
        more = len(found.endings) - _SCREENFUL
        told += [f"and {count_of(more, 'other ending')}"] * (more > 0)
        return _below("endings", told)
    contents = found.contents
    if contents is None:
        return []
    if contents.problem is not None:
        what = f"could not be read as {contents.format}: {contents.problem}"
        return [("contents", what)]
    if len(contents.parts) == 1 and not contents.parts[0].name:
        told = _of_part(contents.format, contents.parts[0])
    else:
        count = len(contents.parts) + contents.more
        noun = _PARTS.get(contents.format, "part")
        told = [f"{contents.format}: {count_of(count, noun)}"]
        told += [_of_part(part.name, part)[0] for part in contents.parts[:_SCREENFUL]]
        told += [f"and {count - _SCREENFUL:,} more"] * (count > _SCREENFUL)
    return _below("contents", told)


def _of_part(name: str, part: Any) -> list[str]:
    """The first line says how large it is, the others are its columns."""
    told = []
    if part.rows is not None:
        rows = f"{part.rows:,} row{'s' * (part.rows != 1)}"
        told.append(rows if part.exact else f"at least {rows}")
        told.append(count_of(part.width or 0, "column"))
    if part.shape is not None:
        told.append(" x ".join(map(str, part.shape)) or "one value")
    if part.type is not None:
        told.append(part.type)
    cells = [[column.name, column.type] for column in part.columns[:_SCREENFUL]]
    lines = [f"  {line}" for line in columns(cells)] if cells else []
    more = (part.width or 0) - _SCREENFUL
    return [
        f"{name}: {', '.join(told)}" if told else name,
        *lines,
        *([f"  and {count_of(more, 'other column')}"] * (more > 0)),
    ]


def _below(label: str, lines: list[str]) -> list[tuple[str, str]]:
    return list(zip([label, *[""] * len(lines)], lines, strict=False))


def _as_data(found: Info) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "state": found.state,
        "hash": found.digest,
        "size": found.size,
        "files": found.files,
        "producer": list(found.producer),
        "usage": list(found.usage),
        "first": found.first and utc(found.first.when),
        "last": found.last and utc(found.last.when),
        "contents": None if found.contents is None else _contents_data(found.contents),
        "endings": None if found.endings is None else [asdict(row) for row in found.endings],
        "versions": [
            {
                **logged(row, found.entry),
                "usage": list(row.version.usage),
                "producer": list(row.version.producer),
            }
            for row in found.history.rows
        ],
        "unasked": list(found.unasked),
    }


def _contents_data(contents: Any) -> dict[str, Any]:
    parts = [
        {**part._asdict(), "columns": [column._asdict() for column in part.columns]}
        for part in contents.parts
    ]
    return {**contents._asdict(), "parts": parts}
