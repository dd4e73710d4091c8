"""Claims: the index files by which a push says what it needs on a remote.

Text, one thing a line, so that it can be read, compared and repaired by hand::

    {"format":1,"project":"<id>","supersedes":[]}
    <digest> TAB <size> TAB <key> TAB <offset> TAB <stored length> TAB <codec>

Lines are sorted by digest and end in LF; the file is named by the BLAKE3 of its
bytes, ``index/<hex>.idx``, so what is damaged shows itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from lazydata.digest import Digest
from lazydata.errors import NeedsUpgrade, ObjectCorrupt
from lazydata.remotes.base import check_key

FORMAT = 1
FOLDER = "index/"
RAW = "raw"
# Bounds the memory that writing or reading one index file takes.
ROWS_AT_MOST = 50_000
BYTES_AT_MOST = 64 << 20

_KEY = re.compile(r"index/([0-9a-f]{64})\.idx")
_NUMBER = "(0|[1-9][0-9]{0,17})"
_ROW = re.compile(
    "\t".join(
        (
            "((?:blake3|sha256):[0-9a-f]{64})",
            *(_NUMBER, "([^\t]*)", _NUMBER, _NUMBER, "([a-z0-9]{1,16})"),
        )
    ),
    re.ASCII,
)


class Location(NamedTuple):
    """Where one copy of an object lies on a remote.

    Args:
        key: the file that has it: the object itself, or a pack.
        offset: where it begins in there, bytes.
        stored: how many bytes it takes there.
        codec: how these are to be decoded; ``raw`` means not at all.
        size: bytes of the object.
    """

    key: str
    offset: int
    stored: int
    codec: str
    size: int


class Row(NamedTuple):
    """One line of an index file: an object and where it lies; see ``Location``."""

    digest: Digest
    size: int
    key: str
    offset: int
    stored: int
    codec: str

    @classmethod
    def of(cls, digest: Digest, at: Location) -> Row:
        """The line that says that an object lies at a location."""
        return cls(digest, at.size, at.key, at.offset, at.stored, at.codec)

    @property
    def location(self) -> Location:
        """All but the digest."""
        return Location(self.key, self.offset, self.stored, self.codec, self.size)


class Claim(NamedTuple):
    """What an index file says.

    Args:
        project: whose push it was.
        rows: sorted by digest.
        supersedes: hex names of the index files that this one takes the place of.
    """

    project: str
    rows: tuple[Row, ...]
    supersedes: tuple[str, ...] = ()


class ClaimMemory(Protocol):
    """What this machine remembers of the index files of remotes, row by row with their file.

    Disposable: without it everything is read again. It is called from worker
    threads, one call at a time for one ``Repository``.

    Args:
        url: of the remote.
        name: of an index file, its 64 hex digits.
    """

    def names(self, url: str) -> set[str]:
        """The index files that were merged and not forgotten."""

    def merge(self, url: str, name: str, project: str | None, rows: Sequence[Row]) -> None:
        """Remember an index file, all or nothing; one that is known is put anew.

        Args:
            url: of the remote.
            name: of the index file.
            project: whose push it was; None where another file says all that it says.
            rows: what it says.
        """

    def remembered(self, url: str, name: str) -> Claim | None:
        """What an index file said; None for one that was not merged, or said nothing of its own."""

    def forget(self, url: str, names: Collection[str]) -> None:
        """Forget index files and their rows."""

    def lookup(
        self, url: str, digests: Collection[Digest], *, absent: bool
    ) -> Mapping[Digest, Sequence[Location]]:
        """Where objects lie, each place once; those that no index file lists are left out.

        Args:
            url: of the remote.
            digests: of the objects.
            absent: also those that turned out not to be there: somebody may have sent
                them again, under an index file that is known.
        """

    def claimed(self, url: str, project: str, digests: Collection[Digest]) -> set[Digest]:
        """Those that an index file of this project lists, and that are not marked as absent."""

    def extents(self, url: str, keys: Collection[str]) -> Mapping[str, int]:
        """Where the last known object in each of these files ends, bytes from its start."""

    def small(self, url: str, project: str, rows: int) -> set[str]:
        """The index files of a project that have at most so many rows."""

    def mark(self, url: str, digests: Collection[Digest], *, absent: bool) -> None:
        """Remember that objects turned out not to be there, or to be there after all."""


class VolatileMemory:
    """A ``ClaimMemory`` that lasts as long as this object.

    Example:
        >>> VolatileMemory().names("file:///mnt/share")
        set()
    """

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], tuple[str | None, dict[Digest, Location]]] = {}
        self._absent: set[tuple[str, Digest]] = set()

    def names(self, url: str) -> set[str]:
        """See ``ClaimMemory.names``."""
        return {name for at, name in self._files if at == url}

    def merge(self, url: str, name: str, project: str | None, rows: Sequence[Row]) -> None:
        """See ``ClaimMemory.merge``."""
        self._files[url, name] = project, {row.digest: row.location for row in rows}
        self._absent.difference_update((url, row.digest) for row in rows)

    def remembered(self, url: str, name: str) -> Claim | None:
        """See ``ClaimMemory.remembered``."""
        project, rows = self._files.get((url, name), (None, {}))
        if project is None:
            return None
        return Claim(project, tuple(sorted(Row.of(digest, at) for digest, at in rows.items())))

    def forget(self, url: str, names: Collection[str]) -> None:
        """See ``ClaimMemory.forget``."""
        for name in names:
            self._files.pop((url, name), None)

    def lookup(
        self, url: str, digests: Collection[Digest], *, absent: bool
    ) -> dict[Digest, list[Location]]:
        """See ``ClaimMemory.lookup``."""
        found: dict[Digest, list[Location]] = {}
        digests = [each for each in digests if absent or (url, each) not in self._absent]
        for (at, _), (_, rows) in self._files.items():
            for digest in digests if at == url else ():
                place = rows.get(digest)
                if place and place not in found.setdefault(digest, []):
                    found[digest].append(place)
        return found

    def claimed(self, url: str, project: str, digests: Collection[Digest]) -> set[Digest]:
        """See ``ClaimMemory.claimed``."""
        ours = [rows for (at, _), (by, rows) in self._files.items() if at == url and by == project]
        return {
            digest
            for digest in digests
            if (url, digest) not in self._absent and any(digest in rows for rows in ours)
        }

    def extents(self, url: str, keys: Collection[str]) -> dict[str, int]:
        """See ``ClaimMemory.extents``."""
        found = dict.fromkeys(keys, 0)
        for (at, _), (_, rows) in self._files.items():
            for place in rows.values() if at == url else ():
                if place.key in found:
                    found[place.key] = max(found[place.key], place.offset + place.stored)
        return found

    def small(self, url: str, project: str, rows: int) -> set[str]:
        """See ``ClaimMemory.small``."""
        return {
            name
            for (at, name), (by, known) in self._files.items()
            if at == url and by == project and len(known) <= rows
        }

    def mark(self, url: str, digests: Collection[Digest], *, absent: bool) -> None:
        """See ``ClaimMemory.mark``."""
        for digest in digests:
            (self._absent.add if absent else self._absent.discard)((url, digest))


def encode(claim: Claim) -> tuple[str, bytes]:
    """The name and the bytes of an index file.

    Args:
        claim: its rows in any order; a row that occurs twice is written once.

    Example:
        >>> encode(Claim("p", ()))[1]
        b'{"format":1,"project":"p","supersedes":[]}\\n'
    """
    header = {
        "format": FORMAT,
        "project": claim.project,
        "supersedes": sorted(claim.supersedes),
    }
    lines = [json.dumps(header, sort_keys=True, separators=(",", ":"))]
    lines += ("\t".join(map(str, row)) for row in sorted(set(claim.rows)))
    data = ("\n".join(lines) + "\n").encode("ascii")
    return _blake3(data), data


def decode(name: str, data: bytes) -> Claim:
    """Read an index file.

    Args:
        name: its 64 hex digits.
        data: all its bytes.

    Raises:
        ObjectCorrupt: the bytes do not fit the name, or make no sense.
        NeedsUpgrade: a newer lazydata wrote it.
    """
    actual = _blake3(data)
    if actual != name:
        raise ObjectCorrupt(
            f"index file {name} is damaged", expected=f"blake3:{name}", actual=f"blake3:{actual}"
        )
    head, _, body = data.partition(b"\n")
    number = 1
    try:
        header = json.loads(head)
        if type(header["format"]) is int and header["format"] > FORMAT:
            raise NeedsUpgrade(
                f"index file {name} has format {header['format']}, this lazydata reads {FORMAT}",
                hint="upgrade lazydata",
            )
        project, supersedes = header["project"], header["supersedes"]
        is_ours = type(header["format"]) is int and header["format"] == FORMAT
        if not is_ours or not isinstance(project, str) or not isinstance(supersedes, list):
            raise ValueError(head)
        if not all(isinstance(each, str) for each in supersedes):
            raise ValueError(head)
        rows = []
        keys: dict[str, str] = {}
        lines = body.decode("ascii").split("\n")
        if lines.pop():
            raise ValueError("no newline at the end")
        for number, line in enumerate(lines, 2):  # noqa: B007  # the error names it
            rows.append(_row(line, keys))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ObjectCorrupt(f"index file {name} makes no sense in line {number}") from error
    return Claim(project, tuple(rows), tuple(supersedes))


def salvage(data: bytes) -> list[Row]:
    """What makes sense in a damaged index file, line by line; each may be wrong all the same."""
    rows = []
    for line in data.split(b"\n"):
        try:
            rows.append(_row(line.decode("ascii")))
        except ValueError:
            continue
    return rows


def split(rows: Iterable[Row]) -> Iterable[tuple[Row, ...]]:
    """Rows in as many parts as they need index files; sorted, so that parts do not overlap."""
    ordered = sorted(rows)
    for begin in range(0, len(ordered), ROWS_AT_MOST):
        yield tuple(ordered[begin : begin + ROWS_AT_MOST])


def key_of(name: str) -> str:
    """The key of an index file."""
    return f"{FOLDER}{name}.idx"


def name_of(key: str) -> str | None:
    """The name of the index file under a key; ``None`` where that is something else."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def _row(line: str, keys: dict[str, str] | None = None) -> Row:
    """Read a line.

    Args:
        line: without its end.
        keys: those that were read before, since many rows name one pack.
    """
    fields = _ROW.fullmatch(line)
    if fields is None:
        raise ValueError(line)
    digest, size, key, offset, stored, codec = fields.groups()
    known = keys.get(key) if keys is not None else None
    if known is None:
        # It comes from someone else: it is checked before a remote is asked for it.
        known = check_key(key)
        if keys is not None:
            keys[key] = known
    return Row(Digest(digest), int(size), known, int(offset), int(stored), codec)


def _blake3(data: bytes) -> str:
    from blake3 import blake3

    return blake3(data).hexdigest()
