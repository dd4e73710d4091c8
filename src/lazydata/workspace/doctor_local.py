"""Doctor: the store, how files are linked to it, the index, the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from lazydata import config, links
from lazydata.errors import from_os_error
from lazydata.fsutil import is_network, remove, temp_name, write_new
from lazydata.store import Store
from lazydata.workspace import user_store
from lazydata.workspace.findings import OK, PROBLEM, WARNING, Finding

_LOW = 1 << 30  # bytes
_LOW_INODES = 1000
_SKEW = 5.0  # seconds
_PROBE = b"x"


def check_store(root: str) -> Iterator[Finding]:
    """Whether the store is there and can be written, with room, and safe from others.

    Args:
        root: of the workspace.
    """
    store = user_store()
    directory = config.store_dir()
    if not os.path.isdir(store.directory):
        above = _existing(directory)
        if not os.access(above, os.W_OK | os.X_OK):
            advice = f"see that {above} may be written, or `lazydata config set store DIRECTORY`"
            yield Finding("store", PROBLEM, f"{directory} can't be made", advice)
        else:
            yield Finding("store", OK, f"{directory} is made when something is stored")
        return
    try:
        write_new(temp := temp_name(store.scratch()), _PROBE)
        remove(temp)
    except OSError as error:
        told = from_os_error(error, "write to the store", directory)
        yield Finding("store", PROBLEM, getattr(told, "message", str(told)), _advice(told))
        return
    yield Finding("store", OK, f"{directory} can be written")
    yield from _check_room(directory)
    mode = os.stat(store.directory).st_mode
    if mode & 0o002 and not mode & 0o1000:
        message = f"everyone may replace what is in {store.directory}"
        yield Finding("store", PROBLEM, message, f"chmod o-w {store.directory}")
    if _device(directory) != _device(root):
        message = f"it is on another file system than {root}: each file is kept twice"
        advice = "`lazydata config set store DIRECTORY` chooses one on the same file system"
        yield Finding("store", WARNING, message, advice)


def _check_room(directory: str) -> Iterator[Finding]:
    there = os.statvfs(directory)
    free = there.f_bavail * there.f_frsize
    if free < _LOW:
        message = f"only {free >> 20} MiB are free"
        yield Finding("store", WARNING, message, "`lazydata gc` says what can go")
    if there.f_files > 0 and there.f_favail < _LOW_INODES:
        message = f"only {there.f_favail} more files can be made there"
        yield Finding("store", WARNING, message, "`lazydata gc` says what can go")


def check_links(root: str) -> Iterator[Finding]:
    """How a file and its object come to share bytes, found by trying.

    Args:
        root: of the workspace.
    """
    wanted = config.load().get("link", "auto")
    store = user_store()
    same = _device(config.store_dir()) == _device(root)
    may_reflink = same and wanted in ("auto", "reflink") and os.path.isdir(store.directory)
    if may_reflink and _can_reflink(store):
        yield Finding("links", OK, "reflinks: no file takes space twice")
        return
    if wanted == "copy":
        yield Finding("links", OK, "copies, as you chose")
        return
    if wanted == "reflink":
        advice = "`lazydata config set link auto`, or a file system that has them (Btrfs, XFS)"
        message = "this file system has no reflinks, so that files are copied"
        yield Finding("links", WARNING, message, advice)
    elif not same:
        yield Finding("links", OK, "copies, since the store is on another file system")
    elif wanted == "auto" and os.geteuid() == 0:
        message = "copies: read-only bits do not bind root, so that a hardlink protects nothing"
        advice = "as an ordinary user, large files would share their space with the store"
        yield Finding("links", WARNING, message, advice)
    elif wanted == "hardlink" and os.geteuid() == 0:
        message = "hardlinks, and read-only bits do not bind root: what is stored can be changed"
        yield Finding("links", WARNING, message, "`lazydata config set link auto`")
    else:
        kind = "for files of 1 MiB or more" if wanted == "auto" else "for all files"
        yield Finding("links", OK, f"hardlinks {kind}, read-only; else copies")


def _can_reflink(store: Store) -> bool:
    try:
        one, other = temp_name(store.scratch()), temp_name(store.scratch())
        try:
            write_new(one, _PROBE)
            return links.reflink(one, other)
        finally:
            remove(one)
            remove(other)
    except OSError:
        return False  # what is wrong is told of the store


def check_index() -> Iterator[Finding]:
    """Whether the index is whole, and on a disk of this machine."""
    directory = config.index_dir()
    if directory is None:
        message = "none: there is no safe place for it on a disk of this machine"
        advice = "set LAZYDATA_HOME or XDG_CACHE_HOME to a directory on a local disk"
        yield Finding("index", WARNING, f"{message}, so that files are read again", advice)
        return
    above = _existing(directory)
    if is_network(above, os.stat(above).st_dev):
        advice = "set LAZYDATA_HOME or XDG_CACHE_HOME to a directory on a local disk"
        yield Finding("index", PROBLEM, f"{directory} is on a network file system", advice)
        return
    file = os.path.join(directory, "index.sqlite")
    if not os.path.exists(file):
        yield Finding("index", OK, f"{directory} is made when something is tracked")
        return
    yield from _check_index_file(file)


def _check_index_file(file: str) -> Iterator[Finding]:
    wrong = _what_sqlite_says(file)
    again = "nothing is lost: files are read once more, and it is made anew"
    if wrong:
        advice = f"rm -r {os.path.dirname(file)} ({again})"
        yield Finding("index", WARNING, f"{file} is damaged: {wrong}", advice)
        return
    if not os.access(file, os.W_OK):
        message = f"{file} may not be written, so that files are read again"
        yield Finding("index", WARNING, message, "`ls -l` shows whose it is")
        return
    mode = os.stat(os.path.dirname(file)).st_mode
    if mode & 0o022:
        advice = f"chmod go-w {os.path.dirname(file)}"
        yield Finding("index", PROBLEM, f"others may write to {file}", advice)
        return
    yield Finding("index", OK, file)


def _what_sqlite_says(file: str) -> str:
    import sqlite3
    from contextlib import closing
    from urllib.parse import quote

    try:
        # Not read-only: of a database in WAL mode that can't be said without a writable file.
        with closing(sqlite3.connect(f"file:{quote(file)}?mode=rw", uri=True, timeout=1)) as opened:
            said = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:
        return ""  # locked, or not to be written: it is no damage
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if said == "ok" else str(said)


def check_clock() -> Iterator[Finding]:
    """Whether the store's file system has the time that this machine has."""
    store = user_store()
    if not os.path.isdir(store.directory):
        return
    try:
        temp = temp_name(store.scratch())
        try:
            before = time.time()
            write_new(temp, _PROBE)
            there, after = os.stat(temp).st_mtime, time.time()
        finally:
            remove(temp)
    except OSError:
        return  # what is wrong is told of the store
    yield from skew("clock", "the store's file system", there, before, after)


def skew(about: str, what: str, there: float, before: float, after: float) -> Iterator[Finding]:
    """Compare a clock with ours.

    Args:
        about: what the finding is about.
        what: whose clock it is.
        there: what it said, seconds since the epoch.
        before, after: ours, right before and after that.
    """
    off = there - before if there < before else max(0.0, there - after)
    if abs(off) <= _SKEW:
        yield Finding(about, OK, f"the clock of {what} agrees with this machine's")
        return
    message = f"the clock of {what} is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} ours"
    advice = "let both machines keep time (NTP): grace periods of gc are told by that clock"
    yield Finding(about, WARNING, message, advice)


def _advice(error: Exception) -> str:
    return getattr(error, "hint", None) or "see that it can be written"


def _existing(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _device(path: str) -> int:
    return os.stat(_existing(path)).st_dev
