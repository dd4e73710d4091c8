"""Look at a file: what it holds now, reading no more of it than needed."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Sequence

from lazydata import fsutil
from lazydata.digest import Digest, Hashed, fingerprint_file, hash_file
from lazydata.errors import FileChanged, UsageError, from_os_error
from lazydata.index import FileRow, Index
from lazydata.lease import has_writer
from lazydata.stamp import Stamp, is_racy, stamp_from


def stat(path: str) -> os.stat_result | None:
    """Stat a regular file; None where nothing is.

    On a network file system it is opened first, since open revalidates what the
    client remembers, and stat alone need not.

    Raises:
        FileChanged: it is a directory.
        UsageError: it is a device, a socket or a pipe.
    """
    try:
        status = os.stat(path)
        if fsutil.is_network(path, status.st_dev) and modes.S_ISREG(status.st_mode):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                status = os.fstat(descriptor)
            finally:
                os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise from_os_error(error, "read", path) from error
    if modes.S_ISDIR(status.st_mode):
        raise FileChanged(
            f"{path} is a directory now, and lazydata.yml lists it as a file",
            hint="move the directory away, or `lazydata untrack` the file",
        )
    if not modes.S_ISREG(status.st_mode):
        raise UsageError(f"{path} is not a regular file", hint="copy what it holds into a file")
    return status


def look(path: str, index: Index, versions: Sequence[Digest] = ()) -> Hashed | None:
    """What a file holds: remembered, or told by its fingerprint, or hashed.

    Args:
        path: absolute, symlinks resolved.
        index: remembers what is learnt.
        versions: digests that it may turn out to be, the latest one last; where one of
            them is not BLAKE3, the file is compared under that algorithm too.

    Returns:
        What it holds, under the stamp that it has now; None if it is missing.

    Raises:
        FileBusy: it keeps changing.
        FileDenied: it can't be read.
    """
    status = stat(path)
    if status is None:
        return None
    try:
        return _digest(path, stamp_from(status), index, list(versions))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os_error(error, "read", path) from error


def _digest(path: str, stamp: Stamp, index: Index, versions: list[Digest]) -> Hashed:
    latest = versions[-1] if versions else None
    known = _known(path, stamp, index)
    if known is not None and known.digest == latest:
        return known
    found = {known.digest.algorithm: known} if known is not None else {}
    # The latest version's algorithm first: one file may be listed under two.
    for algorithm in dict.fromkeys([*(v.algorithm for v in reversed(versions)), "blake3"]):
        if algorithm not in found:
            found[algorithm] = _hash(path, index, algorithm)
        if found[algorithm].digest == latest:
            return found[algorithm]
    listed = [hashed for hashed in found.values() if hashed.digest in versions]
    return listed[0] if listed else found["blake3"]


def remember(path: str, hashed: Hashed, stamp: Stamp, index: Index) -> None:
    """Keep what was learnt of a file, under the stamp it has after our own work on it."""
    row = FileRow(stamp, hashed.racy, hashed.digest, hashed.fingerprint, hashed.seen_ns)
    index.put_files([(path, row)])


def _known(path: str, stamp: Stamp, index: Index) -> Hashed | None:
    row = index.file(path)
    if row is None:
        return None
    digest = Digest(row.digest)
    if row.stamp == stamp and not row.racy:
        return Hashed(digest, row.fingerprint, stamp, row.hashed_ns, False)
    if row.stamp.size != stamp.size or len(row.fingerprint) != 16:
        return None
    fingerprint, stamp, seen_ns = fingerprint_file(path, index.seed)
    if fingerprint != row.fingerprint:
        return None
    # Who has the file mapped may write to it without moving the stamp.
    racy = is_racy(stamp, seen_ns) or has_writer(path)
    index.put_files([(path, FileRow(stamp, racy, digest, fingerprint, row.hashed_ns))])
    return Hashed(digest, fingerprint, stamp, row.hashed_ns, racy)


def _hash(path: str, index: Index, algorithm: str) -> Hashed:
    hashed = hash_file(path, algorithm=algorithm, seed=index.seed)
    hashed.racy = hashed.racy or has_writer(path)
    remember(path, hashed, hashed.stamp, index)
    return hashed
