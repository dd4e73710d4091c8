"""Make a directory what a tree says: only what differs is touched, and nothing is lost."""

from __future__ import annotations

import errno
import os
import stat
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from lazydata import fsutil, links
from lazydata.digest import Digest, Hashed, hash_file
from lazydata.errors import (
    FileBusy,
    FileChanged,
    LazydataError,
    PathOutside,
    UsageError,
    from_os_error,
)
from lazydata.ignoring import Ignore
from lazydata.index import Index
from lazydata.progress import Meter
from lazydata.remembered import PRINT, Contents, Files, Known, remember
from lazydata.scanner import INODE
from lazydata.scanning import UNKNOWN, WIDTH, leads_out, scan
from lazydata.stamp import Stamp, grain_of, stamp_from, stamp_of
from lazydata.tree import DIR, EXEC, LINK, Node
from lazydata.trees import Change, Trees
from lazydata.workspace import Workspace
from lazydata.workspace.filling import Filled, Filling
from lazydata.workspace.look import stat as stat_file
from lazydata.workspace.placing import put_in_place, sweep, take_away

AT_ONCE = 2000
# What is ignored stays, and so does its directory; a mount point does.
_HASH = 0x7FFFFFFF
_KEEPS_DIRECTORY = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY)


class _Ready(NamedTuple):
    """A file whose bytes lie beside its place."""

    change: Change
    filled: Filled


class _Batch(NamedTuple):
    """Some changes.

    Args:
        changes: all of them.
        files: those for which bytes have to come to a file.
        ready: their files.
        touched: directories where something was done.
    """

    changes: list[Change]
    files: list[Change]
    ready: list[_Ready]
    touched: set[str]


class _Placed:
    """Files that were put in their places in a directory, in the order of their names."""

    def __init__(self) -> None:
        self._names: array[int] = array("i")  # some bits of their hashes
        self._stamps: array[int] = array("q")  # inode, size and mtime of each, right after that
        self._prints = bytearray()
        self._next = 0

    def add(self, name: str, fingerprint: bytes, stamp: Stamp, now_ns: int) -> None:
        """Note a file.

        Args:
            fingerprint: of its bytes.
            stamp: right after it was put there.
            now_ns: the clock then.
        """
        may_hide_more = stamp.mtime_ns >= now_ns - grain_of(stamp)
        mtime = UNKNOWN if may_hide_more else stamp.mtime_ns
        self._names.append(hash(name) & _HASH)
        self._stamps.extend((stamp[1] & INODE, stamp.size, mtime))
        self._prints += fingerprint.ljust(PRINT, b"\0")

    def take(self, name: str, stats: array[int]) -> tuple[bytearray, bool]:
        """The fingerprint of one, and whether nothing can have been written to it since.

        Args:
            name: after all that were asked for before.
            stats: inode, size and mtime that it has now: our own link moved the ctime.
        """
        at = self._next
        if at == len(self._names) or self._names[at] != hash(name) & _HASH:
            return bytearray(), False
        self._next += 1
        fingerprint = self._prints[PRINT * at : PRINT * at + PRINT]
        return fingerprint, self._stamps[3 * at : 3 * at + 3] == stats


class Applying:
    """Changes of one directory of the workspace, carried out.

    Args:
        workspace, index: as elsewhere.
        trees: where directories that are new are found.
        real: the directory, absolute, symlinks resolved; it need not exist.
        name: of its entry, for messages; it ends in ``/``.
        meter: told of each file.
    """

    def __init__(
        self, workspace: Workspace, index: Index, trees: Trees, real: str, name: str, meter: Meter
    ) -> None:
        self._workspace, self._index, self._trees = workspace, index, trees
        self._real, self._name, self._meter = real, name, meter
        self._store = workspace.store
        self._safe: set[str] = set()  # directories that are known to be no symlinks
        self._known: tuple[str, Files] | None = None  # of the directory that is worked on
        self._begun: set[str] = set()  # directories that more may come to
        self._new: dict[str, Node] = {}  # directories that were made now
        self._placed: dict[str, _Placed] = {}  # files that were put in these

    def run(self, changes: Iterable[Change], root: Node | None) -> None:
        """Carry out changes, in their order; the store has all objects that they need.

        Args:
            changes: from what is on disk, as ``Trees.diff`` gives them.
            root: what the directory is to be; None where it will be only a part of that.

        Raises:
            FileBusy, FileChanged: somebody works in it; what was done stays done.
            ObjectMissing, ObjectCorrupt: the store lacks something after all.
        """
        try:
            if not os.path.isdir(self._real):
                fsutil.make_dirs(self._real)
                if root is not None:
                    self._new[""] = root
            with Filling(self._store, self._index) as filling:
                filling.in_turns(_batches(changes), self._wanted, self._ready, self._place)
            self._remember([*self._new])
        except FileNotFoundError as error:
            where = error.filename or self._real
            raise FileBusy(f"{where} went just now", hint="run it again") from error
        except OSError as error:
            where = error.filename or self._real
            raise from_os_error(error, "restore", where) from error

    def _wanted(self, some: _Batch) -> list[tuple[Digest, str]]:
        """Carry out what needs no bytes."""
        some.files.extend(each for each in some.changes if not self._is_done(each, some.touched))
        wanted = []
        for change in some.files:
            directory = os.path.dirname(self._at(change.path))
            sweep(self._workspace, directory)
            assert change.new is not None
            wanted.append((change.new.digest, directory))
        return wanted

    def _ready(self, some: _Batch, outcomes: Sequence[Filled | LazydataError]) -> list[Filled]:
        for change, filled in zip(some.files, outcomes, strict=True):
            if isinstance(filled, LazydataError):
                raise filled
            if change.new is not None:
                self._set_mode(filled.temp, change.new)
            some.ready.append(_Ready(change, filled))
        return [each.filled for each in some.ready]

    def _is_done(self, change: Change, touched: set[str]) -> bool:
        """Carry out a change; False where bytes have to come to a file for it."""
        where = change.path.rpartition("/")[0]
        self._check(where)
        touched.add(self._at(where))
        if change.new is None:
            self._remove(change)
        elif change.new.kind == DIR:
            self._make(change.path, change.new)
        elif change.new.kind == LINK:
            self._link(change, change.new)
        elif change.old is not None and change.old.digest == change.new.digest:
            self._set_mode(self._at(change.path), change.new)
        else:
            return False
        return True

    def _at(self, path: str) -> str:
        return os.path.join(self._real, *path.split("/")) if path else self._real

    def _check(self, directory: str) -> None:
        """Follow no symlink: a directory that a tree names is a directory.

        Raises:
            PathOutside: it is something else.
        """
        path = directory
        while path and path not in self._safe:
            if os.path.islink(self._at(path)):
                raise PathOutside(
                    f"{self._name}{path} is a symlink, and to be a directory",
                    hint="remove it, then run it again",
                )
            self._safe.add(path)
            path = path.rpartition("/")[0]

    def _make(self, path: str, node: Node) -> None:
        try:
            os.mkdir(self._at(path))
            self._new[path] = node
        except FileExistsError:
            self._check(path)

    def _link(self, change: Change, node: Node) -> None:
        if leads_out(node.target, change.path.count("/")):
            raise UsageError(
                f"{self._name}{change.path} would be a symlink that leads out of the directory, "
                f"to {node.target}",
                hint="whoever recorded it means harm, or should record it anew",
            )
        real = self._at(change.path)
        if change.old is not None:
            self._remove(change)
        os.symlink(node.target, real)

    def _remove(self, change: Change) -> None:
        real, old = self._at(change.path), change.old
        assert old is not None
        if old.kind == DIR:
            try:
                os.rmdir(real)
            except OSError as error:
                if error.errno not in _KEEPS_DIRECTORY:
                    raise  # it would count as made by the user next time
        elif old.kind == LINK:
            if os.path.islink(real):
                fsutil.remove(real)
        else:
            name = self._name + change.path
            expected = self._expected(change.path, old)
            take_away(self._workspace, self._index, real, expected, name, self._real)

    def _expected(self, path: str, node: Node) -> Hashed:
        """What a file held when it was looked at."""
        where, _, name = path.rpartition("/")
        if self._known is None or self._known[0] != where:
            directory = self._at(where)
            self._known = where, Files(self._index, directory, os.stat(directory).st_dev)
        stamp, fingerprint, digest = self._known[1].of(name)
        real = self._at(path)
        if digest != node.digest:
            fingerprint = b""  # then its bytes are hashed
        return Hashed(node.digest, fingerprint, stamp or stamp_of(real), 0, True)

    def _set_mode(self, path: str, node: Node) -> None:
        status = os.stat(path)
        if bool(status.st_mode & 0o100) == (node.kind == EXEC):
            return
        if status.st_nlink > 1:
            links.unshare(path)  # the object's own mode must not move
            status = os.stat(path)
        mode = stat.S_IMODE(status.st_mode) & ~0o111
        if node.kind == EXEC:
            mode |= (mode & 0o444) >> 2
        os.chmod(path, mode)

    def _place(self, some: _Batch, together: bool) -> None:
        """Give files their names, now that their bytes are durable."""
        for change, (temp, fingerprint) in some.ready:
            real, name, old = self._at(change.path), self._name + change.path, change.old
            if old is None or old.kind == LINK:
                if old is not None:
                    self._remove(change)
                if not fsutil.add_name(temp, real, durable=False):
                    self._accept(real, name, change.new)
                    fsutil.remove(temp)
            else:
                expected = self._expected(change.path, old)
                put_in_place(
                    self._workspace, self._index, temp, real, expected, name, durable=False
                )
                if change.new is not None:
                    self._set_mode(real, change.new)  # not that of what was there
            where, _, base = change.path.rpartition("/")
            if where in self._new:
                status = stat_file(real)
                if status is not None:  # else somebody has removed it again
                    placed = self._placed.setdefault(where, _Placed())
                    placed.add(base, fingerprint, stamp_from(status), time.time_ns())
        if together:
            paths = [self._at(each.change.path) for each in some.ready]
            fsutil.flush_names(paths, together=True)
        else:
            self._flush_names(some.touched)
        self._meter.done(len(some.changes))
        # What is right in a new directory comes in a row: all but the last are filled.
        filled = {each.path.rpartition("/")[0] for each in some.changes} | self._begun
        self._begun = {some.changes[-1].path.rpartition("/")[0]}
        self._remember(filled - self._begun)

    @staticmethod
    def _accept(real: str, name: str, node: Node | None) -> None:
        """Another process may have been faster: fine, if it brought the same.

        Raises:
            FileBusy: it did not.
        """
        if os.path.isdir(real):
            raise FileChanged(
                f"{name} is to be a file, and there is a directory with something in it",
                hint="move that away, then run it again",
            )
        if node is None or hash_file(real).digest != node.digest:
            raise FileBusy(f"{name} was made just now", hint="run it again")

    @staticmethod
    def _flush_names(directories: Iterable[str]) -> None:
        for directory in directories:
            if os.path.isdir(directory):  # else it was removed itself
                fsutil.fsync_dir(directory)

    # What was made is known, and need not be read again

    def _remember(self, filled: Iterable[str]) -> None:
        found = []
        for path in filled:
            placed, node = self._placed.pop(path, None), self._new.pop(path, None)
            known = self._seen(path, node, placed or _Placed()) if node is not None else None
            if known is not None:
                found.append(known)
        if found:
            remember(self._index, found)

    def _seen(self, path: str, node: Node, placed: _Placed) -> Known | None:
        """What a look at a directory would find; None if that is not what it was to be."""
        directory = self._at(path)
        listing = scan(directory, Ignore.of(self._workspace.root, directory))
        names, below = listing.names, {}
        order = array("I", sorted(range(len(names)), key=names.__getitem__))
        tree, contents = self._trees.read(node.digest), Contents(len(names))
        if len(tree) != len(names):
            return None
        for at, each in zip(order, tree, strict=True):
            if (names[at], listing.kind(at)) != (each.name, each.kind):
                return None
            if each.kind == DIR:
                below[at] = each.digest
            elif each.kind != LINK:
                begin = at * WIDTH
                stats = listing.stats[begin + 1 : begin + 4]
                fingerprint, is_same = placed.take(each.name, stats)
                contents.put(at, fingerprint, each.digest)
                if not is_same:
                    listing.stats[begin + 3] = UNKNOWN
        return Known(
            directory,
            listing,
            contents,
            tree.data,
            node.digest,
            node.size,
            node.files,
            "".join([below[at] for at in sorted(below)]),
        )


def _batches(changes: Iterable[Change]) -> Iterator[_Batch]:
    waiting = iter(changes)
    while some := list(islice(waiting, AT_ONCE)):
        yield _Batch(some, [], [], set())


def needed(changes: Iterable[Change]) -> Iterator[Node]:
    """The files whose objects are needed for changes."""
    for change in changes:
        if change.new is not None and change.new.kind not in (DIR, LINK):
            yield change.new
