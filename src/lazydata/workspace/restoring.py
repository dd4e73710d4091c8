"""Restore many missing files at once: one flush and one lock for all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from lazydata import fsutil
from lazydata.digest import Digest
from lazydata.errors import LazydataError, from_os_error
from lazydata.index import FileRow, Index
from lazydata.manifest import Entry
from lazydata.progress import Meter
from lazydata.stamp import stamp_from
from lazydata.workspace import Workspace
from lazydata.workspace.filling import Filled, Filling
from lazydata.workspace.look import stat
from lazydata.workspace.placing import sweep

AT_ONCE = 2000


class _Ready(NamedTuple):
    """A file whose bytes lie beside its place."""

    entry: Entry
    real: str
    filled: Filled


class _Batch(NamedTuple):
    """Some of the missing ones, and the files of those that could be filled."""

    missing: Sequence[tuple[Entry, str]]
    ready: list[_Ready]


class Restored(NamedTuple):
    """What became of missing files.

    Args:
        paths: those that are there now.
        left: entries that something happened to meanwhile; they are to be settled singly.
    """

    paths: list[str]
    left: list[Entry]


def restore_missing(
    workspace: Workspace, index: Index, missing: Sequence[tuple[Entry, str]], meter: Meter
) -> Restored:
    """Put the latest versions of entries in their places, where no file is.

    Args:
        missing: entries whose objects the store has, and where their files would be.
        meter: told of each file.
    """
    restoring = _Restoring(workspace, index, meter)
    batches = (
        _Batch(missing[start : start + AT_ONCE], []) for start in range(0, len(missing), AT_ONCE)
    )
    try:
        with Filling(workspace.store, index) as filling:
            filling.in_turns(batches, restoring.wanted, restoring.ready, restoring.name)
    except OSError as error:
        where = error.filename or workspace.root
        raise from_os_error(error, "restore", where) from error
    return restoring.done


class _Restoring:
    """What ``Filling.in_turns`` needs for missing files."""

    def __init__(self, workspace: Workspace, index: Index, meter: Meter) -> None:
        self._workspace, self._index, self._meter = workspace, index, meter
        self.done = Restored([], [])

    def wanted(self, some: _Batch) -> list[tuple[Digest, str]]:
        wanted = [(entry.latest.digest, os.path.dirname(real)) for entry, real in some.missing]
        together = len(wanted) > fsutil.FLUSHED_ALONE
        for directory in sorted({directory for _, directory in wanted}):
            fsutil.make_dirs(directory, durable=not together)
            sweep(self._workspace, directory)
        return wanted

    def ready(self, some: _Batch, outcomes: Sequence[Filled | LazydataError]) -> list[Filled]:
        for (entry, real), filled in zip(some.missing, outcomes, strict=True):
            if isinstance(filled, LazydataError):
                self.done.left.append(entry)  # what is wrong is told, or healed, singly
            else:
                some.ready.append(_Ready(entry, real, filled))
        return [each.filled for each in some.ready]

    def name(self, some: _Batch, together: bool) -> None:
        """Under the lock: give the files their names, and remember that."""
        rows: list[tuple[str, FileRow]] = []
        placed: list[str] = []
        baselines: dict[str, Digest | None] = {}
        index = self._index
        with self._workspace.baseline.lock():
            paths = [one.entry.path for one in some.ready]
            listed = self._workspace.view(index).some(paths)
            for entry, real, (temp, fingerprint) in some.ready:
                now = listed.get(entry.path)
                arriving = os.stat(temp)
                if (
                    now is None
                    or now.latest != entry.latest
                    or not fsutil.add_name(temp, real, durable=False)
                ):
                    self.done.left.append(entry)  # it was changed, or made, meanwhile
                    fsutil.remove(temp)
                    continue
                placed.append(real)
                baselines[entry.path] = entry.latest.digest
                status = stat(real)
                if status is None:
                    continue  # somebody has removed it again
                stamp = stamp_from(status)
                if arriving.st_nlink > 1:  # an object's own inode: our names move its ctime
                    index.restamp(stamp_from(arriving), stamp)
                # Just written, so a later write could hide behind its stamp: racy.
                rows.append((real, FileRow(stamp, True, entry.latest.digest, fingerprint, 0)))
            if placed:
                fsutil.flush_names(placed, together=together)
                self._workspace.baseline.put(baselines)
                index.put_files(rows)
        self.done.paths.extend(baselines)
        self._meter.done(len(some.missing))
