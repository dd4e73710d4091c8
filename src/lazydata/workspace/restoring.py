"""Restore many missing files at once: one flush and one lock for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lazydata import fsutil
from lazydata.digest import Digest
from lazydata.errors import LazydataError, from_os_error
from lazydata.index import FileRow, Index
from lazydata.manifest import Entry
from lazydata.progress import Meter
from lazydata.stamp import stamp_from
from lazydata.workspace import Workspace
from lazydata.workspace.filling import Filled, Filling, begin_flush
from lazydata.workspace.look import stat
from lazydata.workspace.placing import sweep

AT_ONCE = 2000


class _Ready(NamedTuple):
    """A file whose bytes lie beside its place."""

    entry: Entry
    real: str
    filled: Filled


class _Flushing(NamedTuple):
    """A batch of them, on its way to the disk."""

    ready: list[_Ready]
    wait: Callable[[], None]
    together: bool
    files: int


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
    try:
        with Filling(workspace.store, index) as filling:
            restoring.run(missing, filling)
    except OSError as error:
        where = error.filename or workspace.root
        raise from_os_error(error, "restore", where) from error
    return restoring.done


class _Restoring:
    """A batch is filled and flushed while the one before it gets its names."""

    def __init__(self, workspace: Workspace, index: Index, meter: Meter) -> None:
        self._workspace, self._index, self._meter = workspace, index, meter
        self.done = Restored([], [])

    def run(self, missing: Sequence[tuple[Entry, str]], filling: Filling) -> None:
        before: _Flushing | None = None
        try:
            for start in range(0, len(missing), AT_ONCE):
                some = missing[start : start + AT_ONCE]
                together = len(some) > fsutil.FLUSHED_ALONE
                batch = filling.begin(self._wanted(some, durable=not together))
                if before is not None:
                    named, before = before, None
                    self._name(named, filling)
                ready: list[_Ready] = []
                for (entry, real), filled in zip(some, filling.finish(batch), strict=True):
                    if isinstance(filled, LazydataError):
                        self.done.left.append(entry)  # what is wrong is told, or healed, singly
                    else:
                        ready.append(_Ready(entry, real, filled))
                wait = begin_flush([one.filled for one in ready], together=together)
                before = _Flushing(ready, wait, together, len(some))
        except Exception:
            if before is not None:  # those that came so far may stay
                self._name(before, filling)
            raise
        if before is not None:
            self._name(before, filling)

    def _wanted(
        self, some: Sequence[tuple[Entry, str]], *, durable: bool
    ) -> list[tuple[Digest, str]]:
        wanted = [(entry.latest.digest, os.path.dirname(real)) for entry, real in some]
        for directory in sorted({directory for _, directory in wanted}):
            fsutil.make_dirs(directory, durable=durable)
            sweep(self._workspace, directory)
        return wanted

    def _name(self, some: _Flushing, filling: Filling) -> None:
        some.wait()
        _place(self._workspace, self._index, some.ready, self.done, together=some.together)
        filling.settled()
        self._meter.done(some.files)


def _place(
    workspace: Workspace,
    index: Index,
    ready: Sequence[_Ready],
    done: Restored,
    *,
    together: bool,
) -> None:
    """Under the lock: give the files their names, and remember that."""
    rows: list[tuple[str, FileRow]] = []
    placed: list[str] = []
    baselines: dict[str, Digest | None] = {}
    with workspace.baseline.lock():
        listed = workspace.view(index).some([one.entry.path for one in ready])
        for entry, real, (temp, fingerprint) in ready:
            now = listed.get(entry.path)
            arriving = os.stat(temp)
            if (
                now is None
                or now.latest != entry.latest
                or not fsutil.add_name(temp, real, durable=False)
            ):
                done.left.append(entry)  # it was changed, or made, meanwhile
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
            workspace.baseline.put(baselines)
            index.put_files(rows)
    done.paths.extend(baselines)
