"""What commands print: rows for people, one JSON object for programs."""

from __future__ import annotations

import json as jsonlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lazydata.errors import LazydataError, TransferIncomplete
from lazydata.manifest import Entry, RemoteSpec
from lazydata.messages import printable


def status(root: str, rows: Sequence[Any], *, json: bool) -> None:
    """The state of each file; for people, only of those that are not as listed."""
    if json:
        _json({"root": root, "files": [row._asdict() for row in rows]})
        return
    for row in rows:
        if row.state != "ok":
            _out(f"{row.state:<14}  {row.path}")
    counts = Counter(row.state for row in rows)
    parts = [f"{count} {state}" for state, count in counts.most_common()]
    unpushed = sum(row.stored and not row.pushed for row in rows)
    if unpushed:
        parts.append(f"{unpushed} not pushed")
    print(f"{_count(len(rows), 'file')}{': ' if parts else ''}{', '.join(parts)}")


def listing(root: str, entries: Sequence[Entry], *, json: bool, versions: bool) -> None:
    """Entries with their latest version, or one row for each version."""
    rows = [
        (entry, version, version is entry.latest)
        for entry in entries
        for version in (entry.versions if versions else entry.versions[-1:])
    ]
    if json:
        files = [
            {
                "path": entry.path,
                "kind": entry.kind,
                "hash": version.digest,
                "size": version.size,
                "usage": list(version.usage),
                "latest": latest,
            }
            for entry, version, latest in rows
        ]
        _json({"root": root, "files": files})
        return
    for entry, version, latest in rows:
        mark = "*" if versions and latest else " "
        used = f"  ({', '.join(version.usage)})" if version.usage else ""
        _out(f"{version.digest.hex[:12]} {mark} {size(version.size):>9}  {entry.path}{used}")


def remotes(specs: Sequence[RemoteSpec], *, json: bool) -> None:
    """Remotes, the one that push uses first."""
    if json:
        _json({"remotes": [{"name": s.name, "url": s.url, **s.options} for s in specs]})
        return
    for spec in specs:
        print(f"{spec.name}  {spec.url}")


def pushed(done: Any, *, json: bool, dry_run: bool = False, quiet: bool = False) -> None:
    """What a push did, or would do."""
    moved = f"{_count(done.objects, 'object')} ({size(done.size)}) to {done.remote}"
    if json:
        _json({**done._asdict(), "dry_run": dry_run})
    elif quiet:
        pass
    elif dry_run:
        print(f"Would push {moved}; it has {_count(done.already, 'other')} already.")
    elif done.objects:
        print(f"Pushed {moved}.")
    elif not done.left:
        print(f"Nothing to push: {done.remote} has all {_count(done.already, 'object')}.")


def pulled(
    done: Any, asked: int, *, json: bool, dry_run: bool = False, quiet: bool = False
) -> None:
    """What a pull did, or would do."""
    if json:
        _json({**done._asdict(), "dry_run": dry_run})
    elif quiet:
        pass
    elif dry_run:
        for path in done.paths:
            _out(f"would bring  {path}")
        print(
            f"Would bring {_count(len(done.paths), 'file')}, and download for that "
            f"{_count(done.objects, 'object')} ({size(done.size)})."
        )
    elif done.paths:
        print(f"Pulled {_count(len(done.paths), 'file')}.")
    elif not done.left:
        print(f"Nothing to pull: {_count(asked, 'file')} up to date.")


def verified(count: int, damage: Sequence[Any], *, json: bool) -> None:
    """What verify found."""
    if json:
        _json({"objects": count, "damage": [row._asdict() for row in damage]})
        return
    for row in damage:
        listed = f" ({', '.join(row.paths)})" if row.paths else ""
        what = {
            "corrupt": "damaged, moved to the trash of the store",
            "missing": "neither stored nor on a remote",
            "unknown": "not stored, and a remote could not be asked",
        }[row.problem]
        print(f"{row.digest}{listed}: {what}")
    print(f"{_count(count, 'object')} hashed, {_count(len(damage), 'problem')}.")


def settings(values: Mapping[str, Any], places: Mapping[str, str], *, json: bool) -> None:
    """The user's settings, and where things lie."""
    if json:
        _json({"settings": dict(values), "places": dict(places)})
        return
    for key, value in _flat("", values):
        print(f"{key} = {value}")
    for name, path in places.items():
        print(f"# {name}: {path}")


def error(failure: LazydataError, *, json: bool) -> None:
    """An error and its hint, on stderr."""
    left = failure.left if isinstance(failure, TransferIncomplete) else ()
    if json:
        report = {
            "error": failure.message,
            "hint": failure.hint,
            "kind": type(failure).__name__,
            "code": failure.exit_code,
        }
        print(jsonlib.dumps({**report, **({"left": left} if left else {})}), file=sys.stderr)
        return
    for line in left:
        print(f"error: {printable(line)}", file=sys.stderr)
    print(f"error: {printable(failure.message)}", file=sys.stderr)
    if failure.hint:
        print(f"hint: {printable(failure.hint)}", file=sys.stderr)


def raw(file: str) -> None:
    """A file's bytes, on stdout."""
    sys.stdout.flush()
    with open(file, "rb") as source:
        shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
    sys.stdout.buffer.flush()


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


def _flat(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(f"{prefix}{key}.", value)
        else:
            text = os.pathsep.join(value) if isinstance(value, list) else str(value)
            rows.append((prefix + key, text))
    return rows


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _json(data: object) -> None:
    _out(jsonlib.dumps(data, ensure_ascii=False))


def _out(text: str) -> None:
    """Print a line; whoever has stopped reading (``| head``) has what they wanted."""
    try:
        print(printable(text), flush=not sys.stdout.isatty() and text.startswith("{"))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
