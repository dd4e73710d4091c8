"""Look at a directory: the tree of what it holds, hashing no more of it than was touched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lazydata.ahead import Ahead
from lazydata.digest import Digest, Hashed, digest_of
from lazydata.errors import FileBusy, UsageError
from lazydata.fsutil import readers
from lazydata.gathering import Gathering
from lazydata.ignoring import Ignore
from lazydata.index import Index, signed, unsigned
from lazydata.messages import warn
from lazydata.packs import Encoded
from lazydata.progress import Meter
from lazydata.reading import AT_ONCE, Read, Reader, Some, Touched
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
from lazydata.stamp import Stamp
from lazydata.store import Store
from lazydata.tree import DIR, LINK, Node, decode, encode
from lazydata.trees import Trees

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


class _Frame:
    """A directory whose tree waits for its files and for those below it.

    Args:
        path: absolute.
        depth: how far below the one that is looked at.
        listing: what is in it.
        known: its row in the index; None where there is none.
        ignore: the rules in it.
    """

    def __init__(
        self,
        path: str,
        depth: int,
        listing: Listing,
        known: tuple[Any, ...] | None,
        ignore: Ignore,
    ) -> None:
        self.path, self.depth, self.ignore = path, depth, ignore
        self.listing, self.known = listing, known
        self.children: dict[str, Node] = {}
        self.nodes: list[Node] | None = None  # without directories; None: as they were
        self.fingerprints = bytearray()


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
        audience = readers(store.directory) if take is not None else None
        self._reader = Reader(index.seed, audience, self._meter)
        self._rows: list[tuple[Any, ...]] = []
        self._known: dict[Digest, bytes] = {}  # trees as the index has them
        self._reused = False

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
            self._reader.close()
        is_stored = self._take is not None and not self._reused
        return Held(done.digest, done.size, done.files, is_stored)

    def _known_in(self, directory: str) -> list[tuple[str, int]]:
        """The directories that there were when we last looked, in the order of the walk."""
        known = self._index.directories_in(directory)
        known.sort(key=lambda row: row[0].split(os.sep))
        return [(path, length // (WIDTH * 8)) for path, length in known]

    def _walk(self, directory: str, ignore: Ignore) -> Node:
        above: list[_Frame] = []
        for some, found in self._reader.read(self._touched(directory, ignore)):
            frame = some.owner
            if not above or frame is not above[-1]:
                while len(above) > frame.depth:
                    self._close(above)
                above.append(frame)
            self._take_in(frame, some.touched, found)
        while len(above) > 1:
            self._close(above)
        return self._tree(above[0])

    def _touched(self, directory: str, ignore: Ignore) -> Iterator[Some[_Frame]]:
        """The files that may have changed; each directory of the walk comes, with or without."""
        frame = self._open(directory, 0, ignore)
        below: list[tuple[_Frame, str]] = []
        while True:
            touched = [] if frame.nodes is None else self._compare(frame)
            for start in range(0, len(touched) or 1, AT_ONCE):
                yield Some(frame, frame.path, touched[start : start + AT_ONCE])
            names = sorted(frame.listing.directories(), reverse=True)
            below += [(frame, name) for name in names]
            if not below:
                return
            parent, name = below.pop()
            path = f"{parent.path}{os.sep}{name}"
            frame = self._open(path, parent.depth + 1, parent.ignore.inside(name))

    def _open(self, path: str, depth: int, ignore: Ignore) -> _Frame:
        """Scan a directory."""
        listing = self._ahead.take(path) if ignore.is_empty else None
        listing = scan(path, ignore) if listing is None else checked(path, listing)
        known = self._index.directory(path)
        frame = _Frame(path, depth, listing, known, ignore)
        if known is not None and unsigned(known[0]) == listing.device:
            names, stats = listing.packed()
            if names == known[1] and stats == known[2]:
                self._reused = True
                return frame
        for one, other in alike(listing.names):
            warn(
                f"{os.path.join(path, other)}: {one!r} and {other!r} may not be told apart "
                "on other systems"
            )
        frame.nodes = []
        return frame

    def _close(self, above: list[_Frame]) -> None:
        """Put the lowest of them into the one above it."""
        frame = above.pop()
        name = os.path.basename(frame.path)
        above[-1].children[name] = self._tree(frame)._replace(name=name)

    def _tree(self, frame: _Frame) -> Node:
        """The tree of a directory, once its files and those below it are known."""
        below = "".join(frame.children[name].digest for name in frame.listing.directories())
        fingerprints = bytes(frame.fingerprints)
        if frame.nodes is None:
            assert frame.known is not None
            _, _, _, fingerprints, tree, was, digest, size, files = frame.known
            if below == was:
                if self._take is not None:
                    self._known[Digest(digest)] = tree
                    self._keep(_ROWS)
                return Node("", DIR, Digest(digest), size, files)
            frame.nodes = [node for node in decode(tree) if node.kind != DIR]
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
                fingerprints,
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

    def _compare(self, frame: _Frame) -> list[Touched]:
        """Take over what is as it was of a directory's files.

        Returns:
            Those that may have changed.
        """
        listing, nodes = frame.listing, frame.nodes
        assert nodes is not None
        olds = Remembered(frame.known, listing.device)
        prints = frame.fingerprints = bytearray(len(listing.names) * 16)
        touched: list[Touched] = []
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
            touched.append(Touched(at, name, fingerprint if may_be_same else b"", digest))
        return touched

    def _take_in(self, frame: _Frame, touched: Sequence[Touched], found: list[Read]) -> None:
        """Store what is new of some files, and remember them."""
        if not found:
            return
        assert frame.nodes is not None
        if self._take is not None:
            found = self._store_all(frame.path, found, touched)
        listing = frame.listing
        for each in found:
            listing.restamp(each.at, each.stamp)
            if each.is_racy:
                listing.stats[each.at * WIDTH + 3] = UNKNOWN
            frame.fingerprints[each.at * 16 : each.at * 16 + 16] = each.fingerprint
            name, kind = listing.names[each.at], listing.kind(each.at)
            frame.nodes.append(Node(name, kind, each.digest, each.stamp.size, 1))
        self._meter.done(len(found))

    def _store_all(
        self,
        path: str,
        found: list[Read],
        touched: Sequence[Touched],
    ) -> list[Read]:
        """Store what is new of some files, and follow what that does to their stamps."""
        assert self._take is not None
        known = {each.at: each.digest for each in touched}
        new = [each for each in found if each.digest != known[each.at]]
        if len(new) < len(found):
            self._reused = True
        lacking = set(self._store.lacking({each.digest for each in new}))
        small: dict[Digest, bytes | Encoded] = {}
        large: dict[Digest, Read] = {}
        for each in new:
            if each.digest in lacking:
                if each.data is not None:
                    small[each.digest] = each.data
                else:
                    large[each.digest] = each
        self._take.add(list(small.items()))
        names = {each.at: each.name for each in touched}
        files = [
            (
                os.path.join(path, names[each.at]),
                Hashed(each.digest, each.fingerprint, each.stamp, each.seen_ns, each.is_racy),
            )
            for each in large.values()
        ]
        moved: dict[int, Read] = {}
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
