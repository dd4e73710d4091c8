"""What can be wrong with what lies on a remote. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from lazydata.digest import Digest, digest_of
from lazydata.errors import NeedsUpgrade, ObjectCorrupt
from lazydata.packs import CODECS, PackedObject, read_footer, verified
from lazydata.remotes.claims import Claim, Row

CORRUPT, MISSING, UNKNOWN, NEWER = "corrupt", "missing", "unknown", "newer"


class Fault(NamedTuple):
    """One file of a remote that is not as it should be.

    Args:
        key: where it lies.
        problem: ``corrupt``, ``missing``, ``unknown`` (it could not be read) or ``newer`` (only
            a newer lazydata can).
        why: what is wrong with it.
        rows: what index files say of it and that can't be had from it.
        packed: of a pack, all that is known to be in it.
    """

    key: str
    problem: str
    why: str
    rows: tuple[Row, ...] = ()
    packed: tuple[PackedObject, ...] = ()


class Claims:
    """What index files say, as far as one project is concerned.

    Args:
        project: its id.
        needed: objects that matter also where only others claim them.

    Attributes:
        ours: rows of the index files of the project, by their name.
        others: rows of those of other projects, about what is needed.
    """

    def __init__(self, project: str, needed: Collection[Digest]) -> None:
        self._project, self._needed = project, needed
        self.ours: dict[str, tuple[Row, ...]] = {}
        self.others: dict[str, tuple[Row, ...]] = {}

    def take(self, name: str, claim: Claim) -> None:
        """Learn what an index file says."""
        if claim.project == self._project:
            self.ours[name] = claim.rows
        else:
            self.others[name] = tuple(row for row in claim.rows if row.digest in self._needed)

    def keep(self, names: Collection[str]) -> None:
        """Forget all index files but these."""
        for known in (self.ours, self.others):
            for name in known.keys() - names:
                del known[name]

    def claimed(self) -> set[Digest]:
        """What the project claims."""
        return {row.digest for rows in self.ours.values() for row in rows}

    def by_key(self) -> dict[str, set[Row]]:
        """What is to be had from each file: what we claim, and of others what we do not."""
        found: dict[str, set[Row]] = {}
        mine = self.claimed()
        rows = [row for some in self.ours.values() for row in some]
        rows += [row for some in self.others.values() for row in some if row.digest not in mine]
        for row in rows:
            found.setdefault(row.key, set()).add(row)
        return found


def judge_pack(key: str, name: str, data: bytes, rows: Collection[Row]) -> Fault | None:
    """Hash a pack, and all in it that index files name.

    Args:
        key: where it lies.
        name: what it should hash to, 64 hex digits.
        data: all its bytes.
        rows: what index files say of it.
    """
    actual = digest_of(data).hex
    is_whole = actual == name
    try:
        said = set(read_footer(partial(_cut, data), len(data)))
    except ObjectCorrupt:
        said = set()  # only what index files say of it is known
    # What a newer lazydata wrote can't be read, and is as it wrote it.
    newer = {each for each in said if is_whole and each.codec not in CODECS}
    bad = tuple(
        row
        for row in sorted(rows)
        if packed_of(row) not in newer and not is_sound(packed_of(row), data)
    )
    if is_whole and not bad:
        return None
    packed = said | {packed_of(row) for row in rows}
    why = (
        "an index file says other things of it than it has"
        if is_whole
        else f"its bytes are blake3:{actual}; {len(bad)} of {len(rows)} objects in it are damaged"
    )
    ordered = sorted(packed, key=lambda each: (each.offset, each))
    return Fault(key, CORRUPT, why, bad, tuple(ordered))


def is_sound(packed: PackedObject, data: bytes) -> bool:
    """Whether an object can be had from a pack."""
    stored = data[packed.offset : packed.offset + packed.stored]
    try:
        verified(packed.digest, packed.codec, stored, packed.size)
    except (ObjectCorrupt, NeedsUpgrade):
        return False
    return True


def packed_of(row: Row) -> PackedObject:
    """A row as a line of a pack's footer."""
    return PackedObject(row.digest, row.size, row.offset, row.stored, row.codec)


def moved(rows: Sequence[Row], places: Mapping[tuple[str, Digest], Row]) -> list[Row]:
    """Rows with the objects that lie elsewhere now, by their old key and digest."""
    return [places.get((row.key, row.digest), row) for row in rows]


def _cut(data: bytes, begin: int, length: int) -> bytes:
    return data[begin : begin + length]
