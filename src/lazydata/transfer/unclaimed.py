"""What lies on a remote, who claims it, and what is to become of it. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.packs import LARGEST, SIZE, PackedObject
from lazydata.remotes.base import Stat
from lazydata.remotes.candidates import Candidate
from lazydata.remotes.claims import Claim, Row
from lazydata.remotes.layout import pack_of
from lazydata.survey import packed_size


class IndexFile(NamedTuple):
    """One index file.

    Args:
        mtime: when it was written, seconds by the remote's clock.
        claim: what it says.
    """

    mtime: float
    claim: Claim


class Thin(NamedTuple):
    """A pack that is mostly waste.

    Args:
        stat: of the pack.
        objects: what is claimed of it, sorted by offset.
    """

    stat: Stat
    objects: list[PackedObject]

    @property
    def gain(self) -> int:
        """Bytes that go."""
        return self.stat.size - packed_size(self.objects)


class RemoteSurvey:
    """What is on a remote, and what is to become of it.

    Args:
        now: seconds by the remote's clock.
        grace: seconds; what is not older stays.

    Attributes:
        due: what nothing needs, and was written down as such long enough ago.
        waiting: what nothing needs, written down since, or to be written down now.
        thin: packs that are mostly waste.
        claims: index files of this project that say too much, with the rows that stay.
        dropped: objects that this project does not claim any more.
        unknown: trees that it claims, and that are nowhere to be had.
        kept: all else, by the reason: ``claimed``, ``recent``, ``needed`` though no claim has
            it, or ``damaged``.
        saved: what was due, and was claimed at the last moment.
        notes: keys of what earlier gcs wrote down.
    """

    def __init__(self, now: float, grace: float) -> None:
        self.now, self.grace = now, grace
        self.due: list[Candidate] = []
        self.waiting: list[Candidate] = []
        self.thin: list[Thin] = []
        self.claims: dict[str, list[Row]] = {}
        self.dropped: set[Digest] = set()
        self.unknown: set[Digest] = set()
        self.kept: dict[str, list[Stat]] = {}
        self.saved: list[Candidate] = []
        self.notes: list[str] = []

    def keep(self, why: str, stat: Stat) -> None:
        """Note why something stays."""
        self.kept.setdefault(why, []).append(stat)

    def is_recent(self, mtime: float) -> bool:
        """Whether something was written within the grace period."""
        return mtime > self.now - self.grace

    def give_up(self, stat: Stat, since: float) -> None:
        """Note what nothing needs, and since when that was written down."""
        since = min(since, self.now)
        is_due = since <= self.now - self.grace
        (self.due if is_due else self.waiting).append(Candidate.of(stat, since))


class Claimed:
    """Who claims what, once this project claims only what it needs.

    Args:
        files: all index files, by name.
        project: this one; empty for none.
        needed: what it needs.
        unknown: trees that are nowhere to be had.
        survey: is told what index files say too much, and of claimed files what becomes of them.

    Attributes:
        rows: what is still claimed, by key.
        before: keys of all that is claimed as it is.
    """

    def __init__(
        self,
        files: Mapping[str, IndexFile],
        project: str,
        needed: Container[Digest],
        unknown: Container[Digest],
        survey: RemoteSurvey,
    ) -> None:
        self.rows: dict[str, set[Row]] = {}
        self.before: set[str] = set()
        self._fixed: set[str] = set()
        self._ours: dict[str, list[Row]] = {}
        self._survey = survey
        said: set[Digest] = set()
        for name, (mtime, claim) in files.items():
            rows = list(claim.rows)
            self.before.update(row.key for row in rows)
            # Somebody may have pushed just now what we have not heard of. What was only put
            # together anew says nothing new.
            is_new = survey.is_recent(mtime) and not claim.supersedes
            is_ours = bool(project) and claim.project == project
            if is_ours:
                survey.unknown.update(row.digest for row in rows if row.digest in unknown)
            if is_new or not is_ours:
                self._fixed.update(row.key for row in rows)
            else:
                said.update(row.digest for row in rows)
                rows = [row for row in rows if row.digest in needed]
                if len(rows) < len(claim.rows):
                    survey.claims[name] = rows
                self._ours[name] = rows
            for row in rows:
                self.rows.setdefault(row.key, set()).add(row)
        survey.dropped = said - {row.digest for rows in self._ours.values() for row in rows}

    def place(self, stat: Stat) -> None:
        """Note what becomes of a file that is claimed."""
        objects = self._objects(stat.key)
        can_shrink = bool(pack_of(stat.key)) and stat.key not in self._fixed
        if can_shrink and not self._survey.is_recent(stat.mtime) and _is_thin(stat, objects):
            self._survey.thin.append(Thin(stat, objects))
        else:
            self._survey.keep("claimed", stat)

    def rows_of(self, keys: Container[str]) -> dict[str, list[Row]]:
        """The index files of this project that are about some packs, and what stays in them."""
        return {
            name: rows for name, rows in self._ours.items() if any(row.key in keys for row in rows)
        }

    def held(self, digests: Collection[Digest], keys: Container[str]) -> set[Digest]:
        """Those of some objects that are claimed in one of these files."""
        rows = (row for key, some in self.rows.items() if key in keys for row in some)
        return {row.digest for row in rows if row.digest in digests}

    def _objects(self, key: str) -> list[PackedObject]:
        """What is claimed of a pack, sorted by offset."""
        found = {
            PackedObject(row.digest, row.size, row.offset, row.stored, row.codec)
            for row in self.rows[key]
        }
        return sorted(found, key=lambda each: (each.offset, each))


def _is_thin(stat: Stat, objects: Collection[PackedObject]) -> bool:
    """Whether most of a pack is waste; what no pack of lazydata can be is left alone."""
    largest = max(max(each.size, each.stored) for each in objects)
    return 2 * packed_size(objects) < stat.size <= 2 * SIZE and largest <= LARGEST
