"""Which files another revision of the manifest made outdated; told, or restored from the store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lazydata import manifest
from lazydata.digest import Digest
from lazydata.errors import LazydataError, ManifestInvalid
from lazydata.git import Changed, Git
from lazydata.index import Index
from lazydata.manifest import Entry, MemoryView
from lazydata.messages import warn
from lazydata.reconcile import REPLACES, Action, reconcile
from lazydata.stamp import stamp_from
from lazydata.workspace import Workspace

_ITEM = "\n  - path: "


class Outdated(NamedTuple):
    """Files of one workspace that are not what its manifest says any more.

    Args:
        workspace: whose they are.
        entries: theirs.
    """

    workspace: Workspace
    entries: list[Entry]


class Done(NamedTuple):
    """What a restore came to, as paths from the workspaces' roots joined.

    Args:
        updated: brought to what the manifest says.
        edited: changed here and not recorded, so left alone.
        left: not to be had from the store, or in use.
    """

    updated: list[str]
    edited: list[str]
    left: list[str]


def find_outdated(git: Git, changes: Iterable[Changed]) -> list[Outdated]:
    """Look at the paths whose latest version is another one now, and at nothing else.

    No file is read: what one holds is told by its stamp, or is what was last put there.

    Args:
        git: the repository.
        changes: manifests that differ between what was checked out and what is.
    """
    changes = [each for each in changes if os.path.isfile(each.path)]
    before = git.blobs({each.before for each in changes if each.before})
    found = []
    for each in changes:
        workspace = Workspace(os.path.dirname(each.path))
        try:
            with open(each.path, "rb") as file:
                moved = _moved(before.get(each.before or "", b""), file.read(), each.path)
            outdated = _outdated(workspace, moved) if moved else []
        except (LazydataError, OSError) as error:
            warn(f"which files are outdated now could not be told: {error}")
            continue
        if outdated:
            found.append(Outdated(workspace, outdated))
    return found


def _moved(before: bytes, now: bytes, file: str) -> list[Entry]:
    """The entries whose latest version is another one than before."""
    old = before.decode("utf-8", "replace")
    new = manifest.decode(now, file=file)
    try:
        return _compared(*(manifest.read(text, file=file) for text in _different(old, new)))
    except ManifestInvalid:
        return _read_whole(old, new, file)


def _read_whole(before: str, now: str, file: str) -> list[Entry]:
    entries = manifest.read(now, file=file)
    try:
        known = manifest.read(before, file=file)
    except ManifestInvalid:
        known = manifest.read("", file=file)  # it may well be that which was mended
    return _compared(known, entries)


def _compared(before: MemoryView, now: MemoryView) -> list[Entry]:
    known = {path: entry.latest.digest for path, entry in before.files.items()}
    return [each for each in now.files.values() if known.get(each.path) != each.latest.digest]


def _different(before: str, now: str) -> list[str]:
    """Two manifests, without the paths of which both say the same in the style that we write.

    To read all of a long one takes longer than a checkout may.
    """
    heads, items = zip(*map(_by_path, (before, now)), strict=True)
    same = {path for path, text in items[0].items() if items[1].get(path) == text}
    return [
        head + "".join(text for path, text in each.items() if path not in same)
        for head, each in zip(heads, items, strict=True)
    ]


def _by_path(text: str) -> tuple[str, dict[str, str]]:
    head, *items = text.split(_ITEM)
    found: dict[str, str] = {}
    for item in items:
        path = item[: item.find("\n")].strip("'\"\r ")  # it may be written in several ways
        found[path] = found.get(path, "") + _ITEM + item
    return head, found


def _outdated(workspace: Workspace, entries: Sequence[Entry]) -> list[Entry]:
    baselines = workspace.baseline.some(entry.path for entry in entries)
    with workspace.index() as index:
        return [e for e in entries if _is_outdated(workspace, e, baselines.get(e.path), index)]


def _is_outdated(workspace: Workspace, entry: Entry, baseline: Digest | None, index: Index) -> bool:
    try:
        real = workspace.place(entry.path.rstrip("/")).real
        status = os.stat(real)
    except (LazydataError, OSError):
        return False
    row = index.file(real) if entry.kind == "file" else None
    known = row is not None and row.stamp == stamp_from(status)
    here = Digest(row.digest) if row is not None and known else baseline
    if here is None:
        return False
    versions = [version.digest for version in entry.versions]
    return reconcile(here, baseline, versions, entry.latest.digest) in REPLACES


def restore(found: Sequence[Outdated]) -> Done:
    """Bring outdated files to what the manifest says, from the store alone. No edit is replaced."""
    done = Done([], [], [])
    for workspace, entries in found:
        lacking = set(workspace.store.lacking(entry.latest.digest for entry in entries))
        with workspace.index() as index:
            for entry in entries:
                path = os.path.join(workspace.root, entry.path)
                if entry.latest.digest in lacking:
                    done.left.append(path)
                    continue
                try:
                    one = _restore_directory if entry.kind == "directory" else _restore_file
                    outcome = one(workspace, index, entry, done)
                except LazydataError:
                    outcome = done.left
                outcome.append(path)
    return done


def _restore_file(workspace: Workspace, index: Index, entry: Entry, done: Done) -> list[str]:
    from lazydata.workspace.settle import Settling

    # A damaged one would be fetched anew when it is put in its place.
    workspace.store.check(entry.latest.digest, index)
    settled = Settling(workspace, workspace.place(entry.path), index, only=REPLACES).run()
    if settled.action in REPLACES:
        return done.updated
    return [] if settled.action in (Action.NOTHING, Action.SETTLE) else done.edited


def _restore_directory(workspace: Workspace, index: Index, entry: Entry, done: Done) -> list[str]:
    from lazydata.workspace.pulling_directories import pull_directory

    pulled = pull_directory(
        workspace, index, entry, remotes=(), jobs=None, dry_run=False, had_only=True
    )
    if pulled.left:
        return done.edited
    return done.updated if pulled.changed else []
