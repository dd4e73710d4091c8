"""How one file's bytes come to be in two places: reflink, hardlink or copy.

A reflink (copy-on-write clone) costs no space and both sides may change. A
hardlink costs no space, but both names are one file, so it is made read-only
and must be unshared before anybody writes. A copy is always possible.
"""

from __future__ import annotations

import errno
import os
import stat

from lazydata.digest import Hasher, blocks
from lazydata.fsutil import keep_mode, remove, replace, temp_name
from lazydata.lease import has_writer

HARDLINK_FROM = 1 << 20
_FICLONE = 0x40049409  # linux/fs.h
_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def reflink(source: str, target: str) -> bool:
    """Clone ``source`` to the new file ``target``; False where the file system can't."""
    try:
        import fcntl
    except ImportError:
        return False
    with open(source, "rb") as reading:
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.ioctl(made, _FICLONE, reading.fileno())
        except OSError as error:
            os.close(made)
            remove(target)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            return False
        os.close(made)
        return True


def hardlink(source: str, target: str) -> bool:
    """Give ``source`` a second name and make both read-only; False where that can't be."""
    try:
        os.link(source, target)
    except OSError:
        return False
    try:
        protect(source)
    except OSError:
        remove(target)
        return False
    return True


def copy(source: str, target: str, *, algorithm: str = "blake3", seed: int | None = None) -> Hasher:
    """Copy to the new file ``target``, hashing what is written.

    Raises:
        OSError: ``target`` is gone again then.
    """
    reading = os.open(source, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(reading).st_size
        hasher = Hasher(algorithm, seed=seed, threads=size >= HARDLINK_FROM)
        with open(target, "xb", buffering=0) as writing:
            try:
                for block in blocks(reading, size, hasher.glance):
                    hasher.update(block)
                    while block:
                        block = block[writing.write(block) :]
            except BaseException:
                remove(target)
                raise
        return hasher
    finally:
        os.close(reading)


def may_share(path: str, *, forced: bool) -> bool:
    """Whether giving this file one more name is safe, and worth it.

    Args:
        path: a regular file.
        forced: the user asked for hardlinks, so size and owner do not count.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) or has_writer(path):
        return False
    # Read-only bits do not bind root, so for root a hardlink protects nothing.
    ours = hasattr(os, "geteuid") and os.geteuid() == status.st_uid != 0
    return forced or (status.st_size >= HARDLINK_FROM and ours)


def protect(path: str) -> None:
    """Take the write permission from a file."""
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & _WRITE:
        os.chmod(path, mode & ~_WRITE)


def is_shared(status: os.stat_result) -> bool:
    """Whether this looks like a protected hardlink: several names, and nobody may write."""
    return status.st_nlink > 1 and stat.S_ISREG(status.st_mode) and not status.st_mode & _WRITE


def unshare(path: str, *, keep_bytes: bool = True) -> None:
    """Give a path an inode of its own, writable, in one step.

    Args:
        path: of a hardlinked file; a symlink to it stays a symlink.
        keep_bytes: False leaves it empty, for a writer that truncates anyway.

    Raises:
        OSError: the path is then as it was.
    """
    path = os.path.realpath(path)
    temp = temp_name(os.path.dirname(path))
    try:
        if not keep_bytes:
            os.close(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        elif not reflink(path, temp):
            copy(path, temp)
        keep_mode(path, temp, add=stat.S_IWUSR)
        times = os.stat(path)
        if keep_bytes:
            os.utime(temp, ns=(times.st_atime_ns, times.st_mtime_ns))
        replace(temp, path, durable=False)
    except BaseException:
        remove(temp)
        raise
