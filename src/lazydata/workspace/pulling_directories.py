"""Pull tracked directories, and portions of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazydata.errors import ObjectCorrupt, ObjectMissing
from lazydata.index import Index
from lazydata.manifest import Entry, RemoteSpec
from lazydata.reconcile import REPLACES, Action
from lazydata.tree import DIR
from lazydata.workspace import Workspace
from lazydata.workspace.portions import Portion, PulledPortion
from lazydata.workspace.settle_directory import SettlingDirectory

PULLS = frozenset({*REPLACES, Action.NOTHING, Action.SETTLE})
_NAMED_AT_MOST = 10


class PulledDirectory(NamedTuple):
    """What became of a directory, or a portion of one.

    Args:
        changed: its path, with a slash if it is a directory; none if all of it was, or
            would be, left as it is.
        objects: how many were, or would be, downloaded.
        size: their bytes.
        left: one line for each file that was left alone, and why.
    """

    changed: list[str]
    objects: int
    size: int
    left: list[str]


def pull_directory(
    workspace: Workspace,
    index: Index,
    entry: Entry,
    *,
    remotes: Sequence[RemoteSpec] | None,
    jobs: int | None,
    dry_run: bool,
    had_only: bool,
) -> PulledDirectory:
    """Bring a tracked directory, or the entry's portion of it, to its latest version.

    What was changed here is left alone, file by file.

    Args:
        entry: of the directory.
        remotes: those to ask; None for all.
        jobs: how many transfers at once.
        dry_run: change nothing in the workspace; trees may be fetched.
        had_only: bring only what was here before.

    Raises:
        LazydataError: it could not be had.
    """
    portion = Portion(workspace, index, entry, entry.portion, remotes=remotes, jobs=jobs)
    parts = workspace.baseline.get(entry.path + "/")
    had_only = had_only and parts is not None
    if not entry.portion and not dry_run and not had_only:
        place = workspace.place(entry.path.rstrip("/"))
        settling = SettlingDirectory(
            workspace, place, index, only=PULLS, remotes=remotes, jobs=jobs
        )
        try:
            settled = settling.run()
        except (ObjectMissing, ObjectCorrupt):
            pass  # what can be had is brought, file by file
        else:
            if settled.action in PULLS:
                changed = [entry.path] if settled.action in REPLACES else []
                return PulledDirectory(changed, settling.fetched, settling.fetched_size, [])
    slash = "/" * (portion.listed().kind == DIR)
    done = portion.pull(dry_run=dry_run, had_only=had_only)
    return _told(entry, entry.name.rstrip("/") + slash, done)


def _told(entry: Entry, name: str, pulled: PulledPortion) -> PulledDirectory:
    left = [
        f"{entry.path}{path}: {why}" for path, why in list(pulled.left.items())[:_NAMED_AT_MOST]
    ]
    if len(pulled.left) > _NAMED_AT_MOST:
        left.append(f"{entry.path}: {len(pulled.left) - _NAMED_AT_MOST:,} more, likewise")
    sizes = {c.new.digest: c.new.size for c in pulled.changes if c.new is not None}
    size = sum(sizes.get(digest, 0) for digest in pulled.fetched)
    changed = [name] if pulled.changes else []
    return PulledDirectory(changed, len(pulled.fetched), size, left)
