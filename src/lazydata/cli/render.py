"""What commands print: rows for people, one JSON object for programs."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from lazydata.cli.printing import (
    count_of,
    count_of_paths,
    print_json,
    print_line,
    size,
    styled,
    within,
)
from lazydata.errors import LazydataError, ManifestInvalid, TransferIncomplete
from lazydata.manifest import Entry, RemoteSpec
from lazydata.messages import printable

_PUBLIC = ("project", "endpoint", "region", "profile")  # what a remote has, and people may see
_STYLES = {"modified": "notice", "outdated": "notice", "missing": "bad", "not-downloaded": "faint"}


def status(root: str, rows: Sequence[tuple[str, Any]], *, json: bool, scope: str = "") -> None:
    """The state of each file; for people, only of those that are not as listed.

    Args:
        root: what the paths of the rows are relative to.
        rows: each with its path for people.
        scope: the directory that all is about, where that is not the whole workspace.
    """
    if json:
        print_json({"root": root, "files": [row._asdict() for _, row in rows]})
        return
    for shown, row in rows:
        if row.state != "ok":
            print_line(f"{row.state:<14}  {shown}", style=_STYLES.get(row.state, ""))
    counts = Counter(row.state for _, row in rows)
    parts = [f"{count} {state}" for state, count in counts.most_common()]
    unpushed = sum(row.stored and not row.pushed for _, row in rows)
    if unpushed:
        parts.append(f"{unpushed} not pushed")
    kinds = ["/" * (row.kind == "directory") for _, row in rows]
    files = count_of_paths(kinds) + within(scope)
    print_line(f"{files}{': ' if parts else ''}{', '.join(parts)}")


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
                "producer": list(version.producer),
                "latest": latest,
            }
            for entry, version, latest in rows
        ]
        print_json({"root": root, "files": files})
        return
    for entry, version, latest in rows:
        mark = "*" if versions and latest else " "
        used = f"  ({', '.join(version.usage)})" if version.usage else ""
        print_line(f"{version.digest.hex[:12]} {mark} {size(version.size):>9}  {entry.path}{used}")


def remotes(specs: Sequence[RemoteSpec], *, json: bool) -> None:
    """Remotes, the one that push uses first."""
    from lazydata.remotes.base import shown

    if json:
        told = [
            {"name": spec.name, "url": shown(spec.url)}
            | {key: shown(value) for key, value in spec.options.items() if key in _PUBLIC}
            for spec in specs
        ]
        print_json({"remotes": told})
        return
    for spec in specs:
        print_line(f"{spec.name}  {shown(spec.url)}")


def pushed(
    rows: Sequence[Any], *, json: bool, dry_run: bool = False, quiet: bool = False, scope: str = ""
) -> None:
    """What the pushes of one or more workspaces did, or would do."""
    remote = ", ".join(dict.fromkeys(row.remote for row in rows))
    objects, total, already = (
        sum(getattr(row, name) for row in rows) for name in ("objects", "size", "already")
    )
    left = [line for row in rows for line in row.left]
    moved = f"{count_of(objects, 'object')}{within(scope)} ({size(total)}) to {remote}"
    if json:
        done = {"remote": remote, "objects": objects, "size": total, "already": already}
        print_json({**done, "left": left, "dry_run": dry_run})
    elif quiet:
        pass
    elif not rows:
        print("Nothing to push: no file is listed.")
    elif dry_run:
        print_line(f"Would push {moved}; it has {count_of(already, 'other')} already.")
    elif objects:
        print_line(f"Pushed {moved}.")
    elif not left:
        has = count_of(already, "object") + within(scope)
        print_line(f"Nothing to push: {remote} has all {has}.")


def pulled(
    rows: Sequence[Any],
    asked: int,
    *,
    json: bool,
    dry_run: bool = False,
    quiet: bool = False,
    scope: str = "",
) -> None:
    """What the pulls of one or more workspaces did, or would do."""
    paths = [path for row in rows for path in row.paths]
    left = [line for row in rows for line in row.left]
    objects, total = sum(row.objects for row in rows), sum(row.size for row in rows)
    if json:
        done = {"paths": paths, "objects": objects, "size": total, "left": left}
        print_json({**done, "dry_run": dry_run})
    elif quiet:
        pass
    elif dry_run:
        for path in paths:
            print_line(f"would bring  {path}")
        print(
            f"Would bring {count_of_paths(paths)}, and download for that "
            f"{count_of(objects, 'object')} ({size(total)})."
        )
    elif paths:
        print(f"Pulled {count_of_paths(paths)}.")
    elif not left:
        print_line(f"Nothing to pull: {count_of(asked, 'entry')}{within(scope)} up to date.")


def restored(root: str, rows: Sequence[tuple[str, str]]) -> None:
    """What was put in its place, as JSON: for people each was told at once."""
    print_json({"root": root, "files": [{"path": path, "hash": digest} for path, digest in rows]})


def settings(values: Mapping[str, Any], places: Mapping[str, str], *, json: bool) -> None:
    """The user's settings, and where things lie."""
    if json:
        print_json({"settings": dict(values), "places": dict(places)})
        return
    for key, value in _flat("", values):
        print_line(f"{key} = {value}")
    for name, path in places.items():
        print(f"# {name}: {path}")


def error(failure: LazydataError, *, json: bool) -> None:
    """An error and its hint, on stderr."""
    left = failure.left if isinstance(failure, TransferIncomplete) else ()
    shown = failure.shown if isinstance(failure, ManifestInvalid) else ()
    if json:
        report: dict[str, object] = {
            "error": failure.message,
            "hint": failure.hint,
            "kind": type(failure).__name__,
            "code": failure.exit_code,
        }
        import json as jsonlib

        more = {"left": left, "shown": shown}
        report |= {name: lines for name, lines in more.items() if lines}
        print(jsonlib.dumps(report), file=sys.stderr)
        return
    for line in (*left, failure.message):
        print(f"{styled('error:', 'bad', sys.stderr)} {printable(line)}", file=sys.stderr)
    if failure.hint:
        print(f"{styled('hint:', 'good', sys.stderr)} {printable(failure.hint)}", file=sys.stderr)
    for line in shown:
        print(printable(line), file=sys.stderr)


def raw(source: BinaryIO) -> None:
    """A file's bytes, on stdout."""
    import shutil

    sys.stdout.flush()
    with source:
        shutil.copyfileobj(source, sys.stdout.buffer, 1 << 20)
    sys.stdout.buffer.flush()


def _flat(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(f"{prefix}{key}.", value)
        else:
            text = os.pathsep.join(value) if isinstance(value, list) else str(value)
            rows.append((prefix + key, text))
    return rows
