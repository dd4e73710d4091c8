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
from lazydata.workspace.look import stat
from lazydata.workspace.placing import sweep

AT_ONCE = 2000


class _Ready(NamedTuple):
    entry: Entry
    real: str
    temp: str
    fingerprint: bytes


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
    done = Restored([], [])
    store = workspace.store
    for start in range(0, len(missing), AT_ONCE):
        some = missing[start : start + AT_ONCE]
        together = len(some) > fsutil.FLUSHED_ALONE
        store.packs.hold([entry.latest.digest for entry, _ in some])
        ready: list[_Ready] = []
        try:
            for directory in sorted({os.path.dirname(real) for _, real in some}):
                fsutil.make_dirs(directory, durable=not together)
            for entry, real in some:
                sweep(workspace, os.path.dirname(real))
                try:
                    temp, fingerprint = store.materialise(
                        entry.latest.digest, os.path.dirname(real), index, flush=False
                    )
                    ready.append(_Ready(entry, real, temp, fingerprint))
                except LazydataError:
                    done.left.append(entry)  # what is wrong is told, or healed, one by one
            fsutil.flush_files([one.temp for one in ready], together=together)
            _place(workspace, index, ready, done, together=together)
            ready.clear()
        except OSError as error:
            where = error.filename or workspace.root
            raise from_os_error(error, "restore", where) from error
        finally:
            store.packs.drop()
            for one in ready:
                fsutil.remove(one.temp)
        meter.done(len(some))
    return done


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
        for entry, real, temp, fingerprint in ready:
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
