"""Which versions a path has after a merge, and which one is the latest. No text, no I/O."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from lazydata.digest import Digest
from lazydata.manifest.model import Version

_T = TypeVar("_T")
Versions = tuple[Version, ...]


class Joined(NamedTuple):
    """One path after a merge.

    Args:
        versions: in their order; none where the path is removed.
        diverged: each side made something else the latest, and neither knew of the other's.
        by_theirs: the latest version is the one that theirs has for its latest.
    """

    versions: Versions
    diverged: bool
    by_theirs: bool


def pick(base: _T, ours: _T, theirs: _T) -> _T:
    """What one side changed; ours where both did.

    Example:
        >>> pick(1, 1, 2), pick(1, 3, 2)
        (2, 3)
    """
    return theirs if ours == base else ours


def both_changed(base: object, ours: object, theirs: object) -> bool:
    """Whether the sides changed something into two different things."""
    return ours != base and theirs != base and ours != theirs


def join(base: Versions, ours: Versions, theirs: Versions) -> Joined:
    """Join the versions that two sides give one path.

    Args:
        base: what both began with, oldest first, no digest twice.
        ours: may be empty, where the path is removed or was never there.
        theirs: likewise.
    """
    sides = _Sides(base, ours, theirs)
    by_theirs, diverged = sides.latest()
    first, second = (theirs, ours) if by_theirs else (ours, theirs)
    order = _weave(sides.kept(first), sides.kept(second))
    return Joined(tuple(sides.version(digest) for digest in order), diverged, by_theirs)


class _Sides:
    def __init__(self, base: Versions, ours: Versions, theirs: Versions) -> None:
        self.lists = (base, ours, theirs)
        self.base, self.ours, self.theirs = (
            {version.digest: version for version in side} for side in self.lists
        )

    def version(self, digest: Digest) -> Version:
        ours, theirs = self.ours.get(digest), self.theirs.get(digest)
        if ours is None or theirs is None:
            found = ours or theirs
            assert found is not None
            return found
        return join_version(self.base.get(digest), ours, theirs)

    def kept(self, side: Versions) -> list[Digest]:
        return [version.digest for version in side if self._stays(version.digest)]

    def _stays(self, digest: Digest) -> bool:
        """One that a side took out goes, unless the other side did something with it."""
        if digest not in self.base or (digest in self.ours and digest in self.theirs):
            return True
        base, ours, theirs = self.lists
        side = ours if digest in self.ours else theirs
        changed = next(v for v in side if v.digest == digest) != self.base[digest]
        return changed or (side[-1].digest == digest != base[-1].digest)

    def latest(self) -> tuple[bool, bool]:
        """Whether theirs is last, and whether that is for a person to decide."""
        base, ours, theirs = (side[-1].digest if side else None for side in self.lists)
        if ours is None or theirs is None:
            left = self.lists[2] if ours is None else self.lists[1]
            return ours is None, bool(base and self.kept(left))
        if ours == theirs:
            return False, False
        if base in (ours, theirs):
            by_theirs = ours == base
            latest, other = (theirs, self.ours) if by_theirs else (ours, self.theirs)
            return by_theirs, latest in self.base and latest not in other
        ours_knows = _follows(self.lists[1], theirs, base)
        theirs_knows = _follows(self.lists[2], ours, base)
        return theirs_knows and not ours_knows, ours_knows == theirs_knows


def _follows(side: Versions, latest: Digest, base: Digest | None) -> bool:
    """Whether a side had the other's latest version for its own, before it went on.

    Where it only has it from before both began, the other side went back to it.
    """
    order = [version.digest for version in side]
    if latest not in order:
        return False
    return base not in order or order.index(latest) > order.index(base)


def _weave(first: list[Digest], second: list[Digest]) -> list[Digest]:
    """All of both: what only the second has comes behind what it has before it there."""
    if not first:
        return second
    *older, last = first
    known = set(first)
    behind: dict[Digest | None, list[Digest]] = {}
    before: Digest | None = None
    for digest in second:
        if digest in known:
            before = digest
        else:
            behind.setdefault(before, []).append(digest)
    order = behind.pop(None, [])
    for digest in older:
        order += [digest, *behind.get(digest, ())]
    return [*order, *behind.get(last, ()), last]


def join_version(base: Version | None, ours: Version, theirs: Version) -> Version:
    """One version that both sides have.

    Args:
        base: as both began with it, or None where each added it.
        ours: the same digest.
        theirs: the same digest.
    """
    if base in (ours, theirs):
        return pick(base, ours, theirs)
    old = base or Version(ours.digest)
    return Version(
        ours.digest,
        _number(old.size, ours.size, theirs.size),
        _scripts(old.usage, ours.usage, theirs.usage),
        _number(old.files, ours.files, theirs.files),
        pick(old.source_url, ours.source_url, theirs.source_url),
        _scripts(old.producer, ours.producer, theirs.producer),
    )


def _scripts(
    base: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...]
) -> tuple[str, ...]:
    gone = {script for script in base if script not in ours or script not in theirs}
    return tuple(script for script in dict.fromkeys((*ours, *theirs)) if script not in gone)


def _number(base: int | None, ours: int | None, theirs: int | None) -> int | None:
    return theirs if ours is None else ours if theirs is None else pick(base, ours, theirs)
