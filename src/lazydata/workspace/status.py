"""How each entry stands: here, changed, stored, pushed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.errors import FileBusy, FileChanged, FileDenied, UsageError
from lazydata.index import Index
from lazydata.manifest import Entry
from lazydata.messages import warn
from lazydata.reconcile import RECORDS, reconcile
from lazydata.workspace import Workspace
from lazydata.workspace.look import look

FINE = ("ok", "not-downloaded")


class FileStatus(NamedTuple):
    """How one entry stands.

    Args:
        path: as in the manifest.
        state: ``ok``; ``modified`` (differs, and ``track`` would record it);
            ``outdated`` (differs, and ``track`` would update it); ``missing`` (this
            clone had it); ``not-downloaded`` (it never had).
        kind: ``file`` or ``directory``.
        hash: digest of the latest version.
        size: its bytes, or None where the manifest does not say.
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


def status(workspace: Workspace, entries: Iterable[Entry], index: Index) -> list[FileStatus]:
    """Look at each entry; unchanged files are told by their stamp alone.
    One that can't be looked at is ``modified``, with a warning.
    """
    entries = list(entries)
    baselines = workspace.baseline.some(entry.path for entry in entries)
    pushed = workspace.baseline.pushed(
        [spec.url for spec in workspace.view(index).remotes.values()],
        [entry.latest.digest for entry in entries],
    )
    lacking = set(workspace.store.lacking(entry.latest.digest for entry in entries))
    rows = []
    for entry in entries:
        latest = entry.latest
        if entry.portion:
            rows.append(_of_portion(workspace, entry, index, latest.digest in pushed))
            continue
        rows.append(
            FileStatus(
                entry.path,
                _state_of(workspace, entry, baselines.get(entry.path), index),
                entry.kind,
                latest.digest,
                latest.size,
                latest.digest not in lacking,
                latest.digest in pushed,
            )
        )
    return rows


def _of_portion(workspace: Workspace, entry: Entry, index: Index, pushed: bool) -> FileStatus:
    from lazydata.tree import DIR
    from lazydata.workspace.inside_upkeep import state_of_portion

    state, node = state_of_portion(workspace, index, entry)
    kind = "directory" if node.kind == DIR else "file"
    stored = not node.digest or workspace.store.has(node.digest)
    return FileStatus(entry.name, state, kind, node.digest, node.size, stored, pushed)


def _state_of(workspace: Workspace, entry: Entry, baseline: Digest | None, index: Index) -> str:
    if entry.kind == "file":
        return _state(workspace, entry, baseline, index)
    from lazydata.workspace.settle_directory import SettlingDirectory

    try:
        place = workspace.place(entry.path.rstrip("/"))
        return SettlingDirectory(workspace, place, index).state(entry)
    except (FileBusy, FileChanged, FileDenied, UsageError) as error:
        warn(str(error))
        return "modified"


def _state(workspace: Workspace, entry: Entry, baseline: Digest | None, index: Index) -> str:
    versions = [version.digest for version in entry.versions]
    try:
        found = look(workspace.place(entry.path).real, index, versions)
    except (FileBusy, FileChanged, FileDenied, UsageError) as error:
        warn(str(error))
        return "modified"  # certainly not the listed file, as far as this user can tell
    if found is None:
        return "not-downloaded" if baseline is None else "missing"
    if found.digest == entry.latest.digest:
        return "ok"
    action = reconcile(found.digest, baseline, versions, entry.latest.digest)
    return "modified" if action in RECORDS else "outdated"
