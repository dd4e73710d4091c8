"""What the index remembers of directories, in pieces: a large one is never whole in a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lazydata.digest import Digest
from lazydata.index import Index, signed, unsigned
from lazydata.scanner import DIRECTORY
from lazydata.scanning import WIDTH, Listing
from lazydata.stamp import Stamp
from lazydata.tree import DIR, LINK, Node

PIECE = 1 << 14  # names
PRINT, DIGEST = 16, 32  # bytes a name
_SEEN = "device, names, stats, digest, size, files, below"
_FILES = "names, stats, fingerprints, digests"
_PREFIX = "blake3:"  # a tree has no others


class Contents:
    """Fingerprints and digests of the names in a listing, in its order.

    Args:
        names: how many.
    """

    __slots__ = ("digests", "prints")

    def __init__(self, names: int) -> None:
        self.prints, self.digests = bytearray(names * PRINT), bytearray(names * DIGEST)

    def put(self, at: int, fingerprint: bytes | bytearray, digest: Digest) -> None:
        """Set what the file at a place holds."""
        self.prints[at * PRINT : at * PRINT + PRINT] = fingerprint.ljust(PRINT, b"\0")
        self.digests[at * DIGEST : at * DIGEST + DIGEST] = bytes.fromhex(digest[len(_PREFIX) :])

    def digest(self, at: int) -> Digest:
        """Of the file at a place."""
        return _digest(self.digests, at)


class Seen(NamedTuple):
    """What a directory was when it was last looked at.

    Args:
        digest, size, files: of its tree.
        below: the digests of the directories right in it, in the order of the listing.
        contents: of its files, if there are directories beside them.
    """

    digest: Digest
    size: int
    files: int
    below: str
    contents: Contents | None


class Known(NamedTuple):
    """A directory that is to be remembered.

    Args:
        path: absolute.
        listing: what is in it.
        contents: of its files.
        tree: its bytes.
        digest, size, files, below: see ``Seen``.
    """

    path: str
    listing: Listing
    contents: Contents
    tree: bytes
    digest: Digest
    size: int
    files: int
    below: str

    def pieces(self) -> Iterator[tuple[Any, ...]]:
        """The rows of the index that stand for it."""
        count = len(self.listing.names)
        last = max(0, count - 1) // PIECE
        step = -(-len(self.tree) // (last + 1))
        for piece in range(last + 1):
            begin, end = piece * PIECE, (piece + 1) * PIECE
            # One of them names the tree, and is found by it.
            told = (self.digest, self.size, self.files, self.below)
            yield (
                self.path,
                piece,
                signed(self.listing.device),
                *(told if piece == 0 else (None,) * len(told)),
                *self.listing.packed(begin, end),
                bytes(self.contents.prints[begin * PRINT : end * PRINT]),
                bytes(self.contents.digests[begin * DIGEST : end * DIGEST]),
                self.tree[piece * step : (piece + 1) * step],
            )


def remember(index: Index, directories: Sequence[Known]) -> None:
    """Remember directories in place of what was known of them."""
    index.put_directories(
        (each.path for each in directories), (row for each in directories for row in each.pieces())
    )


def seen(index: Index, path: str, listing: Listing) -> Seen | None:
    """What a directory was, if nothing in it was touched since.

    Args:
        path: absolute.
        listing: what is in it now.
    """
    contents = Contents(0) if listing.directories() else None
    columns = _SEEN if contents is None else f"{_SEEN}, fingerprints, digests"
    at = 0

    def compare(row: tuple[Any, ...]) -> tuple[Any, ...] | None:
        nonlocal at
        begin, at = at, at + PIECE
        if unsigned(row[0]) != listing.device or listing.packed(begin, at) != row[1:3]:
            return None
        if contents is not None:
            contents.prints += row[7]
            contents.digests += row[8]
        return row[3:7]

    pieces = index.directory(path, columns, compare)
    if not pieces or None in pieces or at < len(listing.names):
        return None
    digest, size, files, below = pieces[0]
    return Seen(Digest(digest), size, files, below, contents)


def nodes(listing: Listing, contents: Contents, others: Mapping[str, Node]) -> Iterator[Node]:
    """What a directory's tree lists, sorted by name.

    Args:
        listing: what is in it.
        contents: of its files.
        others: directories and links, by name.
    """
    names, stats = listing.names, listing.stats
    for at in sorted(range(len(names)), key=names.__getitem__):
        name = names[at]
        other = others.get(name)
        size = stats[at * WIDTH + 2]
        yield other or Node(name, listing.kind(at), contents.digest(at), size, 1)


class _Piece(NamedTuple):
    """Some of the names in a directory, as they were."""

    listing: Listing
    prints: bytes
    digests: bytes

    def has_file(self, at: int) -> bool:
        return self.listing.kind(at) not in (DIR, LINK)

    def fingerprint(self, at: int) -> bytes:
        return self.prints[at * PRINT : at * PRINT + PRINT]

    def digest(self, at: int) -> Digest:
        return _digest(self.digests, at)


def _digest(digests: bytes | bytearray, at: int) -> Digest:
    return Digest(_PREFIX + digests[at * DIGEST : at * DIGEST + DIGEST].hex())


class Files:
    """What is remembered of the files of a directory.

    Args:
        index: remembers it.
        path: of the directory, absolute.
        device: that it is on.

    Example:
        Files(index, "/data", device).of("x.csv")
    """

    def __init__(self, index: Index, path: str, device: int) -> None:
        self._index, self._path, self._device = index, path, device
        self._pieces: list[_Piece] | None = None
        self._places: dict[str, tuple[int, int]] = {}

    def of(self, name: str) -> tuple[Stamp | None, bytes, Digest | None]:
        """A file's stamp, fingerprint and digest."""
        if self._pieces is None:
            self._pieces = list(self._read())
            for number, piece in enumerate(self._pieces):
                self._places |= {each: (number, at) for at, each in enumerate(piece.listing.names)}
        number, at = self._places.get(name, (0, -1))
        if at < 0 or not self._pieces[number].has_file(at):
            return None, b"", None
        piece = self._pieces[number]
        return piece.listing.stamp(at), piece.fingerprint(at), piece.digest(at)

    def changed(
        self, listing: Listing, contents: Contents
    ) -> Iterator[tuple[int, bytes, Digest | None]]:
        """The files of a listing that may have changed.

        Args:
            listing: what is in the directory now.
            contents: gets what all others held.

        Returns:
            The place of each, the fingerprint that it had if it is as large as it was, and
            the digest that it had.
        """
        stats = listing.stats
        for at, piece, was in self._matches(listing.names):
            begin = at * WIDTH
            if stats[begin] >= DIRECTORY:
                continue
            if piece is None or not piece.has_file(was):
                yield at, b"", None
                continue
            olds, old = piece.listing.stats, was * WIDTH
            if olds[old + 1 : old + WIDTH] == stats[begin + 1 : begin + WIDTH]:
                contents.prints[at * PRINT : at * PRINT + PRINT] = piece.fingerprint(was)
                contents.digests[at * DIGEST : at * DIGEST + DIGEST] = piece.digests[
                    was * DIGEST : was * DIGEST + DIGEST
                ]
                continue
            same_size = olds[old + 2] == stats[begin + 2]
            yield at, piece.fingerprint(was) if same_size else b"", piece.digest(was)

    def _read(self) -> Iterator[_Piece]:
        """Piece by piece: they need not be there at once."""
        number = 0
        while (row := self._index.piece(self._path, number, _FILES)) is not None:
            names, stats, prints, digests = row
            count = names.count(b"\0") + 1 if names else 0
            lengths = count * WIDTH * 8, count * PRINT, count * DIGEST
            if (len(stats), len(prints), len(digests)) != lengths:
                return  # damaged, as an index may be: what is not known is read
            yield _Piece(Listing.unpacked(names, stats, self._device), prints, digests)
            number += 1

    def _matches(self, names: Sequence[str]) -> Iterator[tuple[int, _Piece | None, int]]:
        """The place of each name, with the piece that has it and its place in there.

        Both are in the order of the file system, so a name is soon found: what waits for its
        counterpart is what was added or removed (a symmetric hash join).
        """
        early: dict[str, tuple[_Piece, int]] = {}  # remembered, and not listed by now
        late: dict[str, int] = {}  # listed, and not remembered by now
        at = 0
        for piece in self._read():
            for was, old in enumerate(piece.listing.names):
                if at < len(names):
                    new = names[at]
                    if new == old:
                        yield at, piece, was
                        at += 1
                        continue
                    found = early.pop(new, None)
                    if found is None:
                        late[new] = at
                    else:
                        yield at, *found
                    at += 1
                place = late.pop(old, None)
                if place is None:
                    early[old] = piece, was
                else:
                    yield place, piece, was
        # What is stored in the order of a tree is also sent in that.
        for place in sorted(range(at, len(names)), key=names.__getitem__):
            yield place, *early.pop(names[place], (None, 0))
        for place in sorted(late.values(), key=names.__getitem__):
            yield place, None, 0
