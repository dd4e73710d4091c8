"""Put objects into their places in the workspace, losing nothing that is there."""

from __future__ import annotations

import errno
import os
import re
import stat as modes
import time

from lazydata import fsutil, links
from lazydata.digest import Hashed, fingerprint_file, hash_file
from lazydata.errors import FileBusy, FileChanged, LazydataError, ObjectCorrupt, ObjectMissing
from lazydata.index import Index
from lazydata.lease import has_writer
from lazydata.lock import is_alive
from lazydata.manifest import Version
from lazydata.messages import typed, warn
from lazydata.stamp import Stamp, stamp_of
from lazydata.workspace import Workspace
from lazydata.workspace.look import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

_TEMP = re.compile(r"\.lazydata-(aside-)?([0-9a-f]+)-[0-9a-f]{16}\.tmp")
# Processes of another host or container look dead from here: theirs move within that time.
_SILENT_SECONDS = 600.0
_ABANDONED_SECONDS = 86400.0
_ASIDE = "aside-"
_swept: set[str] = set()


def refuse_if_open(real: str, name: str) -> None:
    """A program that holds a file open for writing would go on writing into nothing.

    Raises:
        FileBusy: there is one.
    """
    if has_writer(real):
        raise FileBusy(
            f"{name} is to be replaced, but a program holds it open for writing",
            hint="close it there, then run it again",
        )


def put_in_place(
    workspace: Workspace,
    index: Index,
    temp: str,
    real: str,
    expected: Hashed | None,
    name: str,
    *,
    durable: bool = True,
) -> None:
    """Move a finished temp file to a path of the workspace, losing nothing that is there.

    What is there gets another name in the same step, and is looked at again then: if it
    is not what was looked at before, it is stored, and the caller told.

    Raises:
        FileBusy: a program holds the file open for writing, or made it just now.
        FileChanged: it was written to in the last moment; those bytes are stored.
    """
    sweep(workspace, os.path.dirname(real))
    status = stat(real)
    if (status is None) != (expected is None):
        raise FileBusy(f"{name} came or went just now", hint="run it again")
    arriving = stamp_of(temp)  # an object's own inode, perhaps: links and renames move its ctime
    if status is None or expected is None:
        # Unlike a rename, never over a file that came meanwhile.
        if not fsutil.add_name(temp, real, durable=durable):
            raise FileBusy(f"{name} was made just now", hint="run it again")
        _follow(index, arriving, real)
        return
    if not links.is_shared(os.stat(temp)):
        fsutil.keep_mode(real, temp, add=0o200)
        arriving = stamp_of(temp)
    aside = _change_places(temp, real, name)
    if durable:
        try:
            fsutil.fsync_dir(os.path.dirname(real))
        except BaseException:
            _say_kept(aside, name)
            raise
    _follow(index, arriving, real)
    if has_writer(aside) and _is_put_back(aside, real, arriving):
        refuse_if_open(real, name)
        raise FileBusy(f"{name} was opened for writing just now", hint="run it again")
    _let_go(workspace, index, aside, expected, name)


def _change_places(temp: str, real: str, name: str) -> str:
    """Put a file in the place of another; where that one is now.

    Raises:
        FileBusy: there is no file any more.
    """
    aside = fsutil.temp_name(os.path.dirname(real), _ASIDE)
    busy = FileBusy(f"{name} went just now", hint="run it again")
    os.rename(temp, aside)
    try:
        exchanged = fsutil.exchange(aside, real)
    except OSError as error:
        os.rename(aside, temp)
        raise busy if error.errno == errno.ENOENT else error from None
    if exchanged and modes.S_ISREG(os.lstat(aside).st_mode):
        return aside
    if exchanged:
        fsutil.exchange(aside, real)
    os.rename(aside, temp)
    if exchanged:
        raise busy
    return _replace_linked(temp, real, aside, name)


def _replace_linked(temp: str, real: str, aside: str, name: str) -> str:
    """The same in two steps: a file that is renamed to this place between them is lost."""
    try:
        os.link(real, aside)
        linked = True
    except OSError:
        os.replace(real, aside)  # no hardlinks here: a moment without the file
        linked = False
    try:
        fsutil.replace(temp, real, durable=False)
    except BaseException:
        if linked:
            fsutil.remove(aside)
        else:
            warn(f"{name} is to be put back from {aside}, where its bytes are")
            fsutil.add_name(aside, real)
        raise
    return aside


def _is_put_back(aside: str, real: str, placed: Stamp) -> bool:
    """Give a file its name back; False if somebody has made a newer one there meanwhile.

    Args:
        placed: what we put there instead.
    """
    try:
        if not fsutil.exchange(aside, real):
            os.replace(aside, real)
            return True
    except FileNotFoundError:
        return fsutil.add_name(aside, real)
    if stamp_of(aside)[:2] == placed[:2]:
        fsutil.remove(aside)
        return True
    fsutil.exchange(aside, real)
    return False


def _follow(index: Index, arriving: Stamp, real: str) -> None:
    """Our own links and renames moved the ctime of what came; it may be gone again by now."""
    try:
        index.restamp(arriving, stamp_of(real))
    except FileNotFoundError:
        pass


def take_away(
    workspace: Workspace, index: Index, real: str, expected: Hashed, name: str, above: str
) -> None:
    """Remove a file of the workspace, losing nothing; the caller flushes its directory.

    Args:
        above: a directory that stays, where the file is set aside: its own may be about to go.

    Raises:
        FileBusy: a program holds the file open for writing.
        FileChanged: it was written to in the last moment; those bytes are stored.
    """
    refuse_if_open(real, name)
    aside = fsutil.temp_name(above, _ASIDE)
    try:
        os.replace(real, aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = fsutil.temp_name(os.path.dirname(real), _ASIDE)  # its own file system
        os.replace(real, aside)
    if has_writer(aside) and fsutil.add_name(aside, real, durable=False):
        refuse_if_open(real, name)
        raise FileBusy(f"{name} was opened for writing just now", hint="run it again")
    _let_go(workspace, index, aside, expected, name)


def sweep(workspace: Workspace, directory: str) -> None:
    """Remove temp files that a killed process left in a directory; once in each process.

    What was set aside goes only if the store has its bytes.
    """
    if directory in _swept:
        return
    _swept.add(directory)
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                found = _TEMP.fullmatch(entry.name)
                if found is None or not _is_left(int(found[2], 16), entry.stat().st_ctime):
                    continue
                if not found[1] or _is_stored(workspace, entry.path):
                    fsutil.remove(entry.path)
    except OSError:
        pass  # somebody else's, or gone: whoever comes next may sweep


def _is_stored(workspace: Workspace, path: str) -> bool:
    digest = hash_file(path).digest
    try:
        return hash_file(workspace.store.find(digest)).digest == digest
    except LazydataError:
        return False


def _is_left(pid: int, changed: float) -> bool:
    """Whether nobody will come back to a temp file.

    Args:
        pid: of who made it.
        changed: its ctime, seconds since the epoch.
    """
    if pid == os.getpid():
        return False
    silent = time.time() - changed
    return silent > _ABANDONED_SECONDS or (silent > _SILENT_SECONDS and not is_alive(pid))


def _let_go(workspace: Workspace, index: Index, aside: str, expected: Hashed, name: str) -> None:
    """Remove what was set aside, once it is sure that the store has its bytes."""
    try:
        left = _written(aside, expected, index)
        if left is not None:
            workspace.store.adopt(aside, left, index, link=False)
            workspace.baseline.displaced(name, left.digest)
    except BaseException:
        _say_kept(aside, name)
        raise
    leaving = stamp_of(aside)
    fsutil.remove(aside)
    if left is not None:
        raise FileChanged(
            f"{name} was written to while it was replaced; what was written is stored",
            hint=f"`lazydata restore {typed(name)} --version {left.digest.hex[:12]}` gets it",
        )
    path = workspace.store.path_of(expected.digest)
    if os.path.exists(path):
        index.restamp(leaving, stamp_of(path))


def _say_kept(aside: str, name: str) -> None:
    warn(f"what {name} held until now is kept in {aside}")


def _written(aside: str, expected: Hashed, index: Index) -> Hashed | None:
    """What was written to a file since it was looked at, if anything was.

    No stamp can tell: our own link moved the ctime, and anybody may set the mtime.
    """
    if expected.fingerprint and fingerprint_file(aside, index.seed)[0] == expected.fingerprint:
        return None
    left = hash_file(aside, algorithm=expected.digest.algorithm, seed=index.seed)
    if left.digest == expected.digest:
        return None
    return hash_file(aside, seed=index.seed)


def sound(
    workspace: Workspace, index: Index, name: str, version: Version, use: Callable[[], T]
) -> T:
    """Use an object of the store, fetched first if it lacks it or turns out to be damaged.

    Args:
        name: of the entry, for messages.
        version: whose object is used.
        use: raises ``ObjectMissing`` where the store lacks it, and ``ObjectCorrupt`` for
            damage, which is in the trash then.

    Raises:
        ObjectMissing: it is nowhere.
        ObjectCorrupt: it is damaged, and no remote has a good copy.
    """
    damaged: ObjectCorrupt | None = None
    for _ in range(2):
        try:
            try:
                return use()
            except ObjectMissing:
                _fetch(workspace, index, name, version, damaged)
                return use()
        except ObjectCorrupt as error:
            if error is damaged:
                raise
            warn(f"{error.message}; looking for a good copy")
            damaged = error
    assert damaged is not None
    raise damaged


def _fetch(
    workspace: Workspace, index: Index, name: str, version: Version, damaged: ObjectCorrupt | None
) -> None:
    from lazydata.workspace.pulling import download

    try:
        download(workspace, index, {name: version})
    except LazydataError as error:
        raise damaged or error from error
