"""Trees: the object that lists one directory, for tracked directories (Merkle trees).

::

    lazydata tree 1 LF
    <kind> TAB <size> TAB <files> TAB <digest> TAB <name> LF       a line for each name

Kinds are ``file``, ``exec`` (a file that may be executed), ``dir`` and ``link``. A
directory's digest is that of its own tree, its size and files are all that is below it. A
link has no digest but the path that it leads to, relative to where it lies. In names and
links, backslash, tab, line feed and carriage return are written ``\\\\``, ``\\t``, ``\\n`` and
``\\r``. Lines are sorted by the bytes of the name, in UTF-8, and no name is there twice:
one directory has one tree, whoever made it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import chain, islice, pairwise, repeat
from operator import itemgetter
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.errors import ObjectCorrupt, UsageError

MAGIC = "lazydata tree 1\n"
FILE, EXEC, DIR, LINK = "file", "exec", "dir", "link"
KINDS = frozenset({FILE, EXEC, DIR, LINK})
_KIND = {kind: kind for kind in KINDS}  # one string for all nodes
_AT_ONCE = 4096  # nodes
_BYTES_AT_ONCE = 512 << 10
_TOO_MUCH = 10**18  # of bytes or files: a directory above could not say it

_NUMBER = "(?:0|[1-9][0-9]{0,17})"
_DIGEST = "blake3:[0-9a-f]{64}"
_LINE = (
    rf"(?:(?:file|exec)\t{_NUMBER}\t1\t{_DIGEST}"
    rf"|dir\t(?:0\t0|{_NUMBER}\t[1-9][0-9]{{0,17}})\t{_DIGEST}"
    r"|link\t0\t0\t[^\t\n\r\0]+)"
    r"\t[^\t\n\r\0/]+\n"
)
_LINES = re.compile(f"(?:{_LINE})*+")  # never goes back over a line
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_PLAIN = {escaped: plain for plain, escaped in _ESCAPES.items()}
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPED = re.compile(r"\\(?:.|$)", re.DOTALL)
# What a manifest refuses in a path is refused in a name, as Windows spells it too.
_GIT = frozenset({".git", "git~1"})
# A manifest would make a workspace of its own, which nobody has seen in a review.
_OURS = frozenset({".lazydata", "lazydata.yml"})
_ELSEWHERE = frozenset({"", ".", ".."})
_SEPARATORS_HERE = "\\:" if os.name == "nt" else ""


class Node(NamedTuple):
    """One name in a directory.

    Args:
        name: without any ``/``.
        kind: one of ``KINDS``.
        digest: of the object, or of a directory's tree; empty for a link.
        size: bytes, of a directory all that is below it; 0 for a link.
        files: 1 for a file, of a directory all below it; 0 for a link.
        target: where a link leads; empty for everything else.
    """

    name: str
    kind: str
    digest: Digest
    size: int
    files: int
    target: str = ""


def problem(name: str) -> str | None:
    """Say why a tree may not list a name; None where it may.

    Example:
        >>> problem(".GIT")
        "the name '.GIT' belongs to git"
        >>> problem("x.csv")
    """
    if "/" in name or "\0" in name:
        return f"the name {name!r} holds a slash or a NUL"
    if not name.isascii() and _SURROGATE.search(name):
        return f"the name {name!r} is not valid Unicode"
    parts = name.split("\\")  # a tree is for every machine
    if not _ELSEWHERE.isdisjoint(parts) or any(each in name for each in _SEPARATORS_HERE):
        return f"the name {name!r} would lead elsewhere"
    spelled = {part.casefold().rstrip(" .") for part in parts}
    if not _GIT.isdisjoint(spelled):
        return f"the name {name!r} belongs to git"
    return f"the name {name!r} belongs to lazydata" if not _OURS.isdisjoint(spelled) else None


def encode(nodes: Iterable[Node], *, in_order: bool = False) -> bytes:
    """The bytes of a tree, one form for one directory.

    Args:
        nodes: in any order.
        in_order: they come sorted by name, so that they need not all be there at once.

    Raises:
        UsageError: a tree can't list one of them, such as a name that is not Unicode.

    Example:
        >>> encode([])
        b'lazydata tree 1\\n'
    """
    waiting = iter(nodes if in_order else sorted(nodes, key=itemgetter(0)))
    out, check = BytesIO(), _Check()
    out.write(MAGIC.encode())
    while rows := list(islice(waiting, _AT_ONCE)):
        try:
            lines = [
                f"{kind}\t{size}\t{files}\t{_escape(target) if kind == LINK else digest}\t{name}\n"
                for name, kind, digest, size, files, target in _escaped(rows)
            ]
            text = "".join(lines)
            out.write(text.encode())
            check.lines(text)
            check.nodes(rows)
        except UnicodeEncodeError:
            node = next(each for each in rows if _SURROGATE.search(each.name + each.target))
            what = problem(node.name)
            what = what or f"the link {node.name!r} leads to what is not valid Unicode"
            raise UsageError(f"can't record this directory: {what}", hint="rename it") from None
        except ValueError as error:
            raise UsageError(f"can't record this directory: {error}") from None
    return out.getvalue()


class Sums(NamedTuple):
    """How many names a tree has, and the size (bytes) and files of all of them."""

    names: int
    size: int
    files: int


class Tree:
    """The nodes of a tree, sorted by name: of a large one a part at a time is in memory.

    Where a link leads is not judged.

    Args:
        data: all its bytes; who asks bounds their number, and compares their digest.
        sums: what a tree of the same bytes had; they are right, then.

    Attributes:
        sums: how many names it has, and the size (bytes) and files of all of them.

    Raises:
        ObjectCorrupt: it is none, or not in its one form, or a name leads elsewhere.

    Example:
        >>> list(Tree(b"lazydata tree 1\\n"))
        []
    """

    def __init__(self, data: bytes, sums: Sums | None = None) -> None:
        self.data = data
        self._nodes: list[Node] | None = None
        self.sums = sums or self._checked()

    def _checked(self) -> Sums:
        data, check, parts = self.data, _Check(), 0
        try:
            if not data.startswith(MAGIC.encode()):
                raise ValueError("it does not begin like one")
            for text in self._texts(0, len(data)):
                check.lines(text)
                nodes = _read(text)
                check.nodes(nodes)
                parts += 1
        except ValueError as error:
            raise ObjectCorrupt(f"this is not a tree: {error}") from error
        if parts == 1:
            self._nodes = nodes
        return Sums(check.count, check.size, check.files)

    def __len__(self) -> int:
        return self.sums.names

    def __iter__(self) -> Iterator[Node]:
        return self._part(0, len(self.data))

    def differing(self, other: Tree) -> Iterator[tuple[Node | None, Node | None]]:
        """Nodes that are not the same here and there, by name; None for one that is not there.

        Two large trees mostly begin alike and end alike, and that is not read.
        """
        begin, end, end_there = _differing_bytes(self.data, other.data)
        ours, theirs = self._part(begin, end), other._part(begin, end_there)
        old, new = next(ours, None), next(theirs, None)
        while old is not None or new is not None:
            if new is None or (old is not None and old.name < new.name):
                yield old, None
                old = next(ours, None)
            elif old is None or new.name < old.name:
                yield None, new
                new = next(theirs, None)
            else:
                if old != new:
                    yield old, new
                old, new = next(ours, None), next(theirs, None)

    def _part(self, begin: int, end: int) -> Iterator[Node]:
        """The nodes of whole lines, with the first line or without."""
        if self._nodes is not None and begin <= len(MAGIC) and end == len(self.data):
            return iter(self._nodes)
        return chain.from_iterable(map(_read, self._texts(begin, end)))

    def _texts(self, begin: int, end: int) -> Iterator[str]:
        """Its lines, some at a time."""
        begin = max(begin, len(MAGIC))
        while begin < end:
            until = self.data.find(b"\n", begin + _BYTES_AT_ONCE, end) + 1 or end
            yield self.data[begin:until].decode("utf-8")
            begin = until


def _differing_bytes(one: bytes, other: bytes) -> tuple[int, int, int]:
    """Where whole lines of two texts begin to differ, and where that ends in each of them."""
    least = min(len(one), len(other))
    begin = _alike(one, other, least, lambda data, at, size: data[at : at + size])
    begin = one.rfind(b"\n", 0, begin) + 1
    after = _alike(
        one,
        other,
        least - begin,
        lambda data, at, size: data[len(data) - at - size : len(data) - at],
    )
    if after:  # it may begin within a line
        after = len(one) - (one.find(b"\n", len(one) - after) + 1)
    return begin, len(one) - after, len(other) - after


def _alike(one: bytes, other: bytes, most: int, part: Callable[[bytes, int, int], bytes]) -> int:
    """How many bytes are the same, up to ``most``."""
    at, size = 0, _BYTES_AT_ONCE
    while at < most and size:
        size = min(size, most - at)
        if part(one, at, size) == part(other, at, size):
            at += size
        else:
            size //= 2
    return at


def _read(text: str) -> list[Node]:
    # Columns: 100,000 names are to be read in a fraction of a second.
    fields = text[:-1].replace("\n", "\t").split("\t")
    kinds, sizes, files, digests, names = (fields[column::5] for column in range(5))
    kinds = list(map(_KIND.__getitem__, kinds))
    columns = names, kinds, map(Digest, digests), map(int, sizes), map(int, files), repeat("")
    nodes = list(map(Node._make, zip(*columns, strict=False)))
    if LINK in kinds:
        nodes = [_link(node) if node.kind == LINK else node for node in nodes]
    if "\\" in text:
        nodes = [
            node._replace(name=_unescape(node.name)) if "\\" in node.name else node
            for node in nodes
        ]
    return nodes


def _link(node: Node) -> Node:
    """What was read as a digest is where a link leads."""
    return node._replace(digest=Digest(""), target=_unescape(node.digest))


class _Check:
    """What all of a tree has to be, seen some lines at a time."""

    def __init__(self) -> None:
        self.count = self.size = self.files = 0
        self._last = ""

    def lines(self, text: str) -> None:
        """See that lines are in their form; before ``nodes`` of them."""
        if not _LINES.fullmatch(text):
            good = _LINES.match(text)
            begin = good.end() if good else 0
            line = text[begin : begin + 200].partition("\n")[0]
            number = self.count + text.count("\n", 0, begin) + 2  # the first one is not among them
            raise ValueError(f"line {number} is {line!r}")

    def nodes(self, nodes: list[Node]) -> None:
        """See that names may be there and are in order, and what they amount to."""
        names = [node.name for node in nodes]
        for name in _suspicious(names):
            wrong = problem(name)
            if wrong:
                raise ValueError(wrong)
        # Code points are in the order of their UTF-8; and no name is empty.
        for one, other in pairwise([self._last, *names]):
            if one >= other:
                raise ValueError(f"the name {other!r} is there twice, or not in its place")
        self._last = names[-1]
        self.count += len(nodes)
        self.size += sum([node.size for node in nodes])
        self.files += sum([node.files for node in nodes])
        if max(self.size, self.files) >= _TOO_MUCH:
            raise ValueError("its sizes are too large")


def _suspicious(names: list[str]) -> list[str]:
    """The names that ``problem`` has to look at; at memory speed where there are none."""
    joined = "\n" + "\n".join(names)
    if not _SEPARATORS_HERE and not any(each in joined for each in ("\n.", "~", "\\")):
        return []
    return names


def _escaped(nodes: list[Node]) -> list[Node]:
    """The nodes, with the names that need it escaped."""
    if not _SPECIAL.search("".join([node.name for node in nodes])):
        return nodes
    return [node._replace(name=_escape(node.name)) for node in nodes]


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text)


def _unescape(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[0] not in _PLAIN:
            raise ValueError(f"{found[0]!r} is no escape")
        return _PLAIN[found[0]]

    return _ESCAPED.sub(one, text) if "\\" in text else text
