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
from collections.abc import Iterable
from itertools import pairwise, repeat
from operator import itemgetter
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.errors import ObjectCorrupt, UsageError

MAGIC = "lazydata tree 1\n"
FILE, EXEC, DIR, LINK = "file", "exec", "dir", "link"
KINDS = frozenset({FILE, EXEC, DIR, LINK})
_KIND = {kind: kind for kind in KINDS}  # one string for all nodes
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


def encode(nodes: Iterable[Node]) -> bytes:
    """The bytes of a tree, one form for one directory.

    Args:
        nodes: in any order.

    Raises:
        UsageError: a tree can't list one of them, such as a name that is not Unicode.

    Example:
        >>> encode([])
        b'lazydata tree 1\\n'
    """
    rows = sorted(nodes, key=itemgetter(0))
    try:
        lines = [
            f"{kind}\t{size}\t{files}\t{_escape(target) if kind == LINK else digest}\t{name}\n"
            for name, kind, digest, size, files, target in _escaped(rows)
        ]
        text = MAGIC + "".join(lines)
        data = text.encode()
        _check_lines(text)
        _check(rows)
    except UnicodeEncodeError:
        node = next(each for each in rows if _SURROGATE.search(each.name + each.target))
        what = problem(node.name) or f"the link {node.name!r} leads to what is not valid Unicode"
        raise UsageError(f"can't record this directory: {what}", hint="rename it") from None
    except ValueError as error:
        raise UsageError(f"can't record this directory: {error}") from None
    return data


def decode(data: bytes) -> list[Node]:
    """Read a tree.

    Args:
        data: all its bytes; who asks bounds their number, and compares their digest.

    Returns:
        Its nodes, sorted by name. Where a link leads is not judged.

    Raises:
        ObjectCorrupt: it is none, or not in its one form, or a name leads elsewhere.
    """
    try:
        return _read(data.decode("utf-8"))
    except ValueError as error:
        raise ObjectCorrupt(f"this is not a tree: {error}") from error


def _read(text: str) -> list[Node]:
    _check_lines(text)
    # Columns: 100,000 names are to be read in a fraction of a second.
    fields = text[len(MAGIC) : -1].replace("\n", "\t").split("\t") if len(text) > len(MAGIC) else []
    kinds, sizes, files, digests, names = (fields[column::5] for column in range(5))
    kinds = list(map(_KIND.__getitem__, kinds))
    columns = names, kinds, map(Digest, digests), map(int, sizes), map(int, files), repeat("")
    nodes = list(map(Node._make, zip(*columns, strict=False)))
    if "\nlink\t" in text:
        nodes = [_link(node) if node.kind == LINK else node for node in nodes]
    if "\\" in text:
        nodes = [
            node._replace(name=_unescape(node.name)) if "\\" in node.name else node
            for node in nodes
        ]
    _check(nodes)
    return nodes


def _link(node: Node) -> Node:
    """What was read as a digest is where a link leads."""
    return node._replace(digest=Digest(""), target=_unescape(node.digest))


def _check_lines(text: str) -> None:
    if not text.startswith(MAGIC):
        raise ValueError("it does not begin like one")
    if not _LINES.fullmatch(text, len(MAGIC)):
        good = _LINES.match(text, len(MAGIC))
        begin = good.end() if good else len(MAGIC)
        line = text[begin : begin + 200].partition("\n")[0]
        raise ValueError(f"line {text.count(chr(10), 0, begin) + 1} is {line!r}")


def _check(nodes: list[Node]) -> None:
    names = [node.name for node in nodes]
    for name in _suspicious(names):
        wrong = problem(name)
        if wrong:
            raise ValueError(wrong)
    # Code points are in the order of their UTF-8.
    for one, other in pairwise(names):
        if one >= other:
            raise ValueError(f"the name {other!r} is there twice, or not in its place")
    if max(sum([node.size for node in nodes]), sum([node.files for node in nodes])) >= _TOO_MUCH:
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
