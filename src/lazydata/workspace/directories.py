"""Look at a directory: the tree of what it holds, hashing no more of it than was touched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lazydata.ahead import Ahead
from lazydata.digest import (
    Digest,
    Hashed,
    digest_of,
    fingerprint_file,
    fingerprint_of,
    hash_file,
)
from lazydata.errors import FileBusy, UsageError, from_os_error
from lazydata.fsutil import readers
from lazydata.gathering import SMALL, Gathering
from lazydata.ignoring import Ignore
from lazydata.index import Index, signed, unsigned
from lazydata.lease import has_writer, is_written
from lazydata.messages import warn
from lazydata.progress import Meter
from lazydata.scanning import (
    UNKNOWN,
    WIDTH,
    Listing,
    alike,
    checked,
    leads_out,
    same_stamp,
    scan,
)
from lazydata.stamp import Stamp, is_racy, stamp_from
from lazydata.store import Store
from lazydata.tree import DIR, LINK, Node, decode, encode
from lazydata.trees import Trees

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_CHUNK = 128  # files that a thread hashes in one go
_ATTEMPTS = 4
_AT_ONCE = 512  # files that are held in memory, or stored, at once
_ROWS = 256
_TREE, _DIGEST = 5, 7  # where a row of the index has them


class Held(NamedTuple):
    """What a directory holds.

    Args:
        digest: of its tree.
        size: bytes of all files.
        files: how many.
        is_stored: all of it was hashed and stored just now.
    """

    digest: Digest
    size: int
    files: int
    is_stored: bool


class _Read(NamedTuple):
    """One file, as it was read."""

    at: int
    stamp: Stamp
    digest: Digest
    fingerprint: bytes
    is_racy: bool
    seen_ns: int
    data: bytes | None


class _Frame:
    """A directory whose tree waits for those below it.

    Args:
        path: absolute.
        listing: what is in it.
        known: its row in the index; None where there is none.
        ignore: the rules in it.
    """

    def __init__(
        self, path: str, listing: Listing, known: tuple[Any, ...] | None, ignore: Ignore
    ) -> None:
        self.path, self.listing, self.known, self.ignore = path, listing, known, ignore
        self.left = listing.directories()
        self.left.sort(reverse=True)
        self.children: dict[str, Node] = {}
        self.nodes: list[Node] | None = None  # without directories; None: as they were
        self.fingerprints = b""


class Looking:
    """One look at a directory.

    Args:
        index: remembers what was seen, and is told of what is new.
        trees: gets the trees that are new.
        store: gets what is new, if ``take`` is set.
        take: where small new files and trees go; None to store nothing.
        link: whether files may be hardlinked into the store.
        meter: told of files and bytes that were read.
    """

    def __init__(
        self,
        index: Index,
        trees: Trees,
        store: Store,
        take: Gathering | None = None,
        *,
        link: bool = True,
        meter: Meter | None = None,
    ) -> None:
        self._index, self._trees, self._store, self._take = index, trees, store, take
        self._link = link
        self._meter = meter or Meter()
        self._rows: list[tuple[Any, ...]] = []
        self._known: dict[Digest, bytes] = {}  # trees as the index has them
        self._reused = False
        self._pool: ThreadPoolExecutor | None = None
        self._readers = readers(store.directory) if take is not None else 0

    def look(self, root: str, directory: str, tracked: str = "") -> Held | None:
        """What a directory holds; None if nothing is there.

        Args:
            root: of the workspace; rules of what to ignore begin there.
            directory: absolute, below it.
            tracked: the tracked directory that this is a part of; by default it is that itself.

        Raises:
            UsageError: something in it can't be tracked.
            FileBusy, FileDenied: it does not hold still, or can't be read.
        """
        if not os.path.isdir(directory):
            return None
        self._depth = (tracked or directory).count(os.sep)
        ignore = Ignore.of(root, directory)
        try:
            with Ahead([] if not ignore.is_empty else self._known_in(directory)) as self._ahead:
                done = self._walk(directory, ignore)
            self._remember(0)
            self._keep(0)
        finally:
            if self._pool is not None:
                self._pool.shutdown()
        is_stored = self._take is not None and not self._reused
        return Held(done.digest, done.size, done.files, is_stored)

    def _known_in(self, directory: str) -> list[tuple[str, int]]:
        """The directories that there were when we last looked, in the order of the walk."""
        known = self._index.directories_in(directory)
        known.sort(key=lambda row: row[0].split(os.sep))
        return [(path, length // (WIDTH * 8)) for path, length in known]

    def _walk(self, directory: str, ignore: Ignore) -> Node:
        stack = [self._open(directory, ignore)]
        while True:
            frame = stack[-1]
            if frame.left:
                name = frame.left.pop()
                path = f"{frame.path}{os.sep}{name}"
                stack.append(self._open(path, frame.ignore.inside(name)))
                continue
            stack.pop()
            node = self._close(frame)
            if not stack:
                return node
            name = os.path.basename(frame.path)
            stack[-1].children[name] = node._replace(name=name)

    def _open(self, path: str, ignore: Ignore) -> _Frame:
        """Scan a directory, and read those of its files that may have changed."""
        listing = self._ahead.take(path) if ignore.is_empty else None
        listing = scan(path, ignore) if listing is None else checked(path, listing)
        known = self._index.directory(path)
        if known is not None and unsigned(known[0]) == listing.device:
            names, stats = listing.packed()
            if names == known[1] and stats == known[2]:
                self._reused = True
                return _Frame(path, listing, known, ignore)
        frame = _Frame(path, listing, known, ignore)
        for one, other in alike(listing.names):
            warn(
                f"{os.path.join(path, other)}: {one!r} and {other!r} may not be told apart "
                "on other systems"
            )
        self._read(frame)
        return frame

    def _close(self, frame: _Frame) -> Node:
        """The tree of a directory, once those below it are known."""
        below = "".join(frame.children[name].digest for name in frame.listing.directories())
        if frame.nodes is None:
            assert frame.known is not None
            _, _, _, _, tree, was, digest, size, files = frame.known
            if below == was:
                if self._take is not None:
                    self._known[Digest(digest)] = tree
                    self._keep(_ROWS)
                return Node("", DIR, Digest(digest), size, files)
            frame.nodes = [node for node in decode(tree) if node.kind != DIR]
            frame.fingerprints = frame.known[3]
        nodes = [*frame.nodes, *frame.children.values()]
        data = encode(nodes)
        digest = digest_of(data)
        size, files = sum(node.size for node in nodes), sum(node.files for node in nodes)
        if self._take is None:
            self._trees.made[digest] = data
        packed = frame.listing.packed()
        self._rows.append(
            (
                frame.path,
                signed(frame.listing.device),
                *packed,
                frame.fingerprints,
                data,
                below,
                digest,
                size,
                files,
            )
        )
        self._remember(_ROWS)
        return Node("", DIR, digest, size, files)

    def _remember(self, at_least: int) -> None:
        if self._rows and len(self._rows) >= at_least:
            if self._take is not None:
                trees = {Digest(row[_DIGEST]): row[_TREE] for row in self._rows}
                lacking = self._store.lacking(trees)
                self._take.add([(digest, trees[digest]) for digest in lacking])
            self._index.put_directories(self._rows)
            self._rows = []

    def _keep(self, at_least: int) -> None:
        """Have at hand what only the index has: somebody else's look may take its place there."""
        if self._known and len(self._known) >= at_least:
            for digest in self._store.lacking(self._known):
                self._trees.made[digest] = self._known[digest]
            self._known = {}

    # Files

    def _read(self, frame: _Frame) -> None:
        """Bring the nodes of a directory's files up to date, reading what may have changed."""
        listing = frame.listing
        olds = Remembered(frame.known, listing.device)
        prints = bytearray(len(listing.names) * 16)
        nodes: list[Node] = []
        todo: list[tuple[int, str, bytes, Digest | None]] = []
        for at, name in enumerate(listing.names):
            kind = listing.kind(at)
            if kind == DIR:
                continue
            if kind == LINK:
                nodes.append(self._link_node(frame.path, name))
                continue
            was, fingerprint, digest = olds.of(name)
            if was is not None and digest is not None and same_stamp(was, listing.stamp(at)):
                self._reused = True
                prints[at * 16 : at * 16 + 16] = fingerprint
                nodes.append(Node(name, kind, digest, was.size, 1))
                continue
            may_be_same = was is not None and was.size == listing.stamp(at).size
            todo.append((at, name, fingerprint if may_be_same else b"", digest))
        for start in range(0, len(todo), _AT_ONCE):
            some = todo[start : start + _AT_ONCE]
            found = list(self._read_all(frame.path, some))
            if self._take is not None:
                found = self._store_all(frame.path, found, some)
            for each in found:
                listing.restamp(each.at, each.stamp)
                if each.is_racy:
                    listing.stats[each.at * WIDTH + 3] = UNKNOWN
                prints[each.at * 16 : each.at * 16 + 16] = each.fingerprint
                name, kind = listing.names[each.at], listing.kind(each.at)
                nodes.append(Node(name, kind, each.digest, each.stamp.size, 1))
            self._meter.done(len(found))
        frame.nodes, frame.fingerprints = nodes, bytes(prints)

    def _read_all(
        self, path: str, todo: Sequence[tuple[int, str, bytes, Digest | None]]
    ) -> Iterator[_Read]:
        if len(todo) <= 16:
            yield from self._read_some(path, todo)
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
        size = min(_CHUNK, -(-len(todo) // (os.cpu_count() or 1)))
        chunks = [todo[start : start + size] for start in range(0, len(todo), size)]
        for found in self._pool.map(lambda some: list(self._read_some(path, some)), chunks):
            yield from found

    def _read_some(
        self, path: str, todo: Sequence[tuple[int, str, bytes, Digest | None]]
    ) -> Iterator[_Read]:
        for at, name, fingerprint, digest in todo:
            file = f"{path}{os.sep}{name}"
            try:
                yield self._read_one(file, at, fingerprint, digest)
            except OSError as error:
                raise from_os_error(error, "read", file) from error

    def _read_one(self, file: str, at: int, fingerprint: bytes, digest: Digest | None) -> _Read:
        seed = self._index.seed
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(0.05 * 2**attempt)
            seen_ns = time.time_ns()
            descriptor = os.open(file, _READING)
            try:
                status = os.fstat(descriptor)
                # What others may not read gets an object of its own: they may read packs.
                if status.st_size >= SMALL or self._readers & ~status.st_mode:
                    return self._read_large(file, at, fingerprint, digest)
                data = os.read(descriptor, SMALL)
                after = os.fstat(descriptor)
                if len(data) != after.st_size or after.st_mtime_ns != status.st_mtime_ns:
                    continue
                written = is_written(descriptor, after.st_dev)
            finally:
                os.close(descriptor)
            stamp = stamp_from(after)
            found = fingerprint_of(data, seed)
            racy = written or is_racy(stamp, seen_ns)
            if digest is not None and found == fingerprint:
                return _Read(at, stamp, digest, found, racy, seen_ns, None)
            self._meter(len(data))
            return _Read(at, stamp, digest_of(data), found, racy, seen_ns, data)
        raise FileBusy(f"{file} keeps changing while it is read", hint="wait for its writer")

    def _read_large(self, file: str, at: int, fingerprint: bytes, digest: Digest | None) -> _Read:
        if digest is not None and fingerprint:
            found, stamp, seen_ns = fingerprint_file(file, self._index.seed)
            if found == fingerprint:
                racy = is_racy(stamp, seen_ns) or has_writer(file)
                return _Read(at, stamp, digest, found, racy, seen_ns, None)
        done = hash_file(file, seed=self._index.seed)
        self._meter(done.stamp.size)
        racy = done.racy or has_writer(file)
        return _Read(at, done.stamp, done.digest, done.fingerprint, racy, done.seen_ns, None)

    def _store_all(
        self,
        path: str,
        found: list[_Read],
        todo: Sequence[tuple[int, str, bytes, Digest | None]],
    ) -> list[_Read]:
        """Store what is new of some files, and follow what that does to their stamps."""
        assert self._take is not None
        known = {at: digest for at, _, _, digest in todo}
        new = [each for each in found if each.digest != known[each.at]]
        if len(new) < len(found):
            self._reused = True
        lacking = set(self._store.lacking({each.digest for each in new}))
        small: dict[Digest, bytes] = {}
        large: dict[Digest, _Read] = {}
        for each in new:
            if each.digest in lacking:
                if each.data is not None:
                    small[each.digest] = each.data
                else:
                    large[each.digest] = each
        self._take.add(list(small.items()))
        names = {at: name for at, name, _, _ in todo}
        files = [
            (
                os.path.join(path, names[each.at]),
                Hashed(each.digest, each.fingerprint, each.stamp, each.seen_ns, each.is_racy),
            )
            for each in large.values()
        ]
        moved: dict[int, _Read] = {}
        if files:
            self._take.begin()
            stamps = self._store.adopt_many(files, self._index, link=self._link)
            for each, stamp, (file, _) in zip(large.values(), stamps, files, strict=True):
                if stamp is None:
                    raise FileBusy(f"{file} was changed just now", hint="run it again")
                moved[each.at] = each._replace(stamp=stamp)
        return [moved.get(each.at, each) for each in found]

    def _link_node(self, path: str, name: str) -> Node:
        file = os.path.join(path, name)
        target = os.readlink(file)
        if leads_out(target, path.count(os.sep) - self._depth):
            raise UsageError(
                f"{file} is a symlink that leads out of the tracked directory, to {target}",
                hint="replace it by what it leads to, or list it in a .lazydataignore",
            )
        return Node(name, LINK, Digest(""), 0, 0, target)


class Remembered:
    """What is remembered of the files of a directory, by name."""

    def __init__(self, known: tuple[Any, ...] | None, device: int) -> None:
        self._at: dict[str, int] = {}
        if known is None:
            return
        self._listing = Listing.unpacked(known[1], known[2], device)
        self._prints = known[3]
        self._at = {name: at for at, name in enumerate(self._listing.names)}
        self._digests = {node.name: node.digest for node in decode(known[4])}

    def of(self, name: str) -> tuple[Stamp | None, bytes, Digest | None]:
        """A file's stamp, fingerprint and digest."""
        at = self._at.get(name)
        if at is None:
            return None, b"", None
        digest = self._digests.get(name)
        if not digest or self._listing.kind(at) in (DIR, LINK):
            return None, b"", None
        return self._listing.stamp(at), self._prints[at * 16 : at * 16 + 16], digest


_READING = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
