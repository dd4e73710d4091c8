"""Look at a directory: the tree of what it holds, hashing no more of it than was touched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from lazydata import heap
from lazydata.ahead import Ahead
from lazydata.digest import Digest, Hashed, digest_of
from lazydata.errors import FileBusy, UsageError
from lazydata.fsutil import readers
from lazydata.gathering import Gathering
from lazydata.ignoring import Ignore
from lazydata.index import Index
from lazydata.messages import warn
from lazydata.packs import Encoded
from lazydata.progress import Meter
from lazydata.reading import AT_ONCE, Read, Reader, Some, Touched
from lazydata.remembered import Contents, Files, Known, Seen, nodes, remember, seen
from lazydata.scanning import UNKNOWN, WIDTH, Listing, alike, checked, leads_out, scan
from lazydata.store import Store
from lazydata.tree import DIR, LINK, Node, encode
from lazydata.trees import Trees

# Directories, and names in them, that are remembered together.
_DIRECTORIES, _NAMES = 256, 50_000


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
        seen: what it was, if nothing in it was touched since.
        ignore: the rules in it.
    """

    def __init__(
        self, path: str, depth: int, listing: Listing, seen: Seen | None, ignore: Ignore
    ) -> None:
        self.path, self.depth, self.ignore = path, depth, ignore
        self.listing, self.seen = listing, seen
        self.others: dict[str, Node] = {}  # directories and links
        self.contents = Contents(len(listing.names)) if seen is None else seen.contents


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
        self._new: list[Known] = []
        self._names = 0  # in these
        self._old: list[Digest] = []  # trees that the index has
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
            self._remember()
            self._keep()
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
            touched = iter(()) if frame.seen is not None else self._compare(frame)
            some = list(islice(touched, AT_ONCE))
            yield Some(frame, frame.path, some)
            while some := list(islice(touched, AT_ONCE)):
                yield Some(frame, frame.path, some)
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
        if len(listing.names) > _NAMES:
            heap.spare()
        frame = _Frame(path, depth, listing, seen(self._index, path, listing), ignore)
        if frame.seen is not None:
            self._reused = True
            return frame
        for one, other in alike(listing.names):
            warn(
                f"{os.path.join(path, other)}: {one!r} and {other!r} may not be told apart "
                "on other systems"
            )
        return frame

    def _close(self, above: list[_Frame]) -> None:
        """Put the lowest of them into the one above it."""
        frame = above.pop()
        name = os.path.basename(frame.path)
        above[-1].others[name] = self._tree(frame)._replace(name=name)

    def _tree(self, frame: _Frame) -> Node:
        """The tree of a directory, once its files and those below it are known."""
        listing, others, was = frame.listing, frame.others, frame.seen
        directories = [others[name] for name in listing.directories()]
        below = "".join([each.digest for each in directories])
        if was is not None and below == was.below:
            if self._take is not None:
                self._old.append(was.digest)
                if len(self._old) >= _DIRECTORIES:
                    self._keep()
            return Node("", DIR, was.digest, was.size, was.files)
        contents = frame.contents
        assert contents is not None  # there are directories, or it was touched
        if was is not None:
            self._add_links(frame)
        data = encode(nodes(listing, contents, others), in_order=True)
        digest = digest_of(data)
        files = len(listing.names) - len(others) + sum(each.files for each in directories)
        size = sum(listing.stats[2::WIDTH]) + sum(each.size for each in directories)
        if self._take is None:
            self._trees.made[digest] = data
        self._new.append(Known(frame.path, listing, contents, data, digest, size, files, below))
        self._names += len(listing.names)
        if len(self._new) >= _DIRECTORIES or self._names >= _NAMES:
            self._remember()
        return Node("", DIR, digest, size, files)

    def _remember(self) -> None:
        if self._new:
            if self._take is not None:
                trees = {each.digest: each.tree for each in self._new}
                lacking = self._store.lacking(trees)
                self._take.add([(digest, trees[digest]) for digest in lacking])
            remember(self._index, self._new)
            self._new, self._names = [], 0

    def _keep(self) -> None:
        """Have at hand what only the index has: somebody else's look may take its place there."""
        for digest in self._store.lacking(self._old):
            tree = self._index.tree(digest)
            if tree is None:
                raise FileNotFoundError(f"{digest} was just there")  # so it is looked at again
            self._trees.made[digest] = tree
        self._old = []

    # Files

    def _compare(self, frame: _Frame) -> Iterator[Touched]:
        """The files of a directory that may have changed; what is as it was is taken over."""
        listing, contents, count = frame.listing, frame.contents, 0
        assert contents is not None
        self._add_links(frame)
        olds = Files(self._index, frame.path, listing.device)
        for at, fingerprint, digest in olds.changed(listing, contents):
            count += 1
            yield Touched(at, listing.names[at], fingerprint, digest)
        if count < len(listing.names) - len(frame.others) - len(listing.directories()):
            self._reused = True

    def _take_in(self, frame: _Frame, touched: Sequence[Touched], found: list[Read]) -> None:
        """Store what is new of some files, and remember them."""
        if not found:
            return
        assert frame.contents is not None
        if self._take is not None:
            found = self._store_all(frame.path, found, touched)
        listing = frame.listing
        for each in found:
            listing.restamp(each.at, each.stamp)
            if each.is_racy:
                listing.stats[each.at * WIDTH + 3] = UNKNOWN
            frame.contents.put(each.at, each.fingerprint, each.digest)
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

    def _add_links(self, frame: _Frame) -> None:
        frame.others |= {name: self._link_node(frame, name) for name in frame.listing.links()}

    def _link_node(self, frame: _Frame, name: str) -> Node:
        file = os.path.join(frame.path, name)
        target = os.readlink(file)
        if leads_out(target, frame.path.count(os.sep) - self._depth):
            raise UsageError(
                f"{file} is a symlink that leads out of the tracked directory, to {target}",
                hint="replace it by what it leads to, or list it in a .lazydataignore",
            )
        return Node(name, LINK, Digest(""), 0, 0, target)
