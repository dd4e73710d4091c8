"""What ``track`` and ``restore`` do and show."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lazydata.cli import render
from lazydata.cli.printing import print_line
from lazydata.cli.shared import Here, Span, for_each
from lazydata.errors import UsageError
from lazydata.fsutil import FLUSHED_ALONE
from lazydata.workspace import Workspace, absolute
from lazydata.workspace.settle import NEW, settle


def track(paths: Sequence[str]) -> None:
    """Record files, and directories as a whole.

    Args:
        paths: of them, at least one.
    """
    from lazydata.workspace.git_ignoring import ignore

    new: dict[str, tuple[Workspace, list[str]]] = {}

    def record(path: str) -> None:
        if not path:
            raise UsageError("a PATH is empty", hint="name a file or a directory")
        where = absolute(path)
        workspace = Workspace.governing(where)
        with workspace.index() as index:
            settled, _ = settle(workspace, where, index, on_change="version")
        if settled.action == NEW:
            name = workspace.place(where).name + "/" * os.path.isdir(where)
            new.setdefault(workspace.root, (workspace, []))[1].append(name)

    try:
        if len(paths) > FLUSHED_ALONE and all(map(os.path.isfile, paths)):
            from lazydata.workspace.recording import record_all

            paths = record_all(paths, new)
        for_each(paths, record, "tracked")
    finally:
        for workspace, names in new.values():
            ignore(workspace, names)


def restore(
    paths: Sequence[str],
    *,
    version: str | None = None,
    revision: str | None = None,
    recursive: bool = False,
    json: bool = False,
) -> None:
    """Put the listed version in its place, or an older one.

    Args:
        paths: entries or directories, at least one.
        version: the beginning of a digest; None for the latest.
        revision: of git, whose listed versions are meant.
        recursive: cover the workspaces below as well.
        json: print one JSON object.
    """
    from lazydata.workspace import upkeep

    rows: list[tuple[str, str]] = []

    def put_back_all(here: Here) -> None:
        if revision is not None:
            from lazydata.cli import history

            named = history.versions_at(here, revision)
        else:
            named = {entry.name: (entry, version) for entry in here.entries()}
        if version is not None and (len(named) != 1 or span.is_wide):
            raise UsageError("--version goes with one file", hint="restore the files one by one")

        together: set[str] = set()
        if version is None and revision is None:
            latest = [entry for entry, _ in named.values()]
            together = upkeep.restore_missing_files(here.workspace, here.index, latest)

        def put_back(path: str) -> None:
            if path in together:
                digest = named[path][0].latest.digest
            else:
                digest = upkeep.restore(here.workspace, here.index, *named[path])
            rows.append((span.label(here, path), digest))
            if not json:
                print_line(f"{here.shown(path)} is {digest.hex[:12]}")

        for_each(list(named), put_back, "restored")

    if version is not None and revision is not None:
        raise UsageError("--version and --from each name a version", hint="give one of them")
    span = Span(paths, recursive=recursive)
    span.each(put_back_all)
    if json:
        render.restored(span.root, rows)
    span.end()
