"""What lies on a remote, and what becomes of it: the first half of a gc there."""

from __future__ import annotations

import time
from collections.abc import Collection, Container, Sequence
from functools import partial

from lazydata.digest import Digest
from lazydata.errors import ObjectCorrupt, RemoteObjectMissing, RemoteUnavailable, UsageError
from lazydata.messages import warn
from lazydata.packs import FOOTER_AT_MOST, PackedObject, read_footer
from lazydata.remotes.base import Remote, Stat, step
from lazydata.remotes.candidates import (
    CANDIDATES,
    CLOCK,
    DEAD_AFTER,
    SWEEP,
    Candidate,
    Notes,
    kind_of,
)
from lazydata.remotes.claims import BYTES_AT_MOST, FOLDER, ClaimMemory, name_of
from lazydata.remotes.layout import object_of, pack_of
from lazydata.remotes.threads import spread
from lazydata.repository import Repository
from lazydata.transfer.unclaimed import Claimed, IndexFile, RemoteSurvey

_FOLDERS = ("objects/", "packs/")
_LISTINGS = 5
_READ_AT_ONCE = 4
_TAILS = (64 << 10, FOOTER_AT_MOST + 64)  # bytes of a pack, with its footer at their end


class Surveying(Repository):
    """One remote, looked at for one project.

    Args:
        remote: to be looked at.
        memory: what is known of its index files; it is not relied on.
        project: whose claims may shrink; empty for none.
    """

    def __init__(self, remote: Remote, *, memory: ClaimMemory, project: str) -> None:
        super().__init__(remote, memory=memory, project=project)
        self._notes = Notes(remote)
        self._files: dict[str, IndexFile] = {}

    async def survey(
        self,
        needed: Container[Digest],
        *,
        grace: float,
        unknown: Collection[Digest] = (),
        force: bool = False,
    ) -> RemoteSurvey:
        """Look at all that is there.

        Args:
            needed: what this project needs.
            grace: seconds; what is newer stays.
            unknown: trees that are nowhere to be had.
            force: ask the remote what time it is there; that writes to it.

        Raises:
            UsageError: nothing was ever pushed there, or a newer lazydata did.
            ObjectCorrupt: an index file can't be read, so that all may be needed.
            RemoteDenied: also where nothing can be removed.
        """
        if not await self.check():
            raise UsageError(
                f"{self.url} is not marked as a remote of lazydata",
                hint="nothing was pushed there yet. Or is the share not mounted?",
            )
        survey = RemoteSurvey(await self._now() if force else time.time(), grace)
        await self.read_claims()
        claimed = Claimed(self._files, self._project, needed, unknown, survey)
        earlier = await self._earlier(survey)
        listed = [each for folder in _FOLDERS async for each in self._remote.list(folder)]
        unclaimed: list[Stat] = []
        for stat in listed:
            if object_of(stat.key) is None and pack_of(stat.key) is None:
                continue  # somebody else's
            if stat.key in claimed.rows:
                claimed.place(stat)
            elif survey.is_recent(stat.mtime):
                survey.keep("recent", stat)
            else:
                unclaimed.append(stat)
        survey.claims.update(claimed.rows_of({thin.stat.key for thin in survey.thin}))
        there = {stat.key for stat in listed}
        await self._place_unclaimed(survey, unclaimed, needed, claimed, there, earlier)
        return survey

    async def _place_unclaimed(
        self,
        survey: RemoteSurvey,
        unclaimed: Sequence[Stat],
        needed: Container[Digest],
        claimed: Claimed,
        there: Container[str],
        earlier: dict[Candidate, int],
    ) -> None:
        objects = await self._objects_of(unclaimed)
        wanted = {each for some in objects.values() for each in some or () if each in needed}
        wanted -= claimed.held(wanted, there)
        for stat in unclaimed:
            some = objects.get(stat.key)
            if some is None:
                survey.keep("damaged", stat)
            elif not wanted.isdisjoint(some):
                survey.keep("needed", stat)
            else:
                known = earlier.get(Candidate.of(stat, 0), survey.now)
                survey.give_up(stat, survey.now if stat.key in claimed.before else known)

    async def _now(self) -> float:
        async with step("write to it, and remove that"):
            return await self._notes.clock()

    async def read_claims(self) -> None:
        """Learn what is claimed now; an index file is read once, since its name is its hash.

        Two listings have to agree: one alone may miss both a file that was deleted while it
        was made and the file that has taken the place of that.
        """
        for _ in range(_LISTINGS):
            listed = await self._index_files_now()
            new = [each for name, each in listed.items() if name not in self._files]
            await spread(new, _READ_AT_ONCE, self._read_claim)
            again = await self._index_files_now()
            if again.keys() == listed.keys() and listed.keys() <= self._files.keys():
                self._files = {name: self._files[name] for name in listed}
                return
        raise RemoteUnavailable(
            f"{self.url}: its index files change all the time", hint="run it again later"
        )

    async def _index_files_now(self) -> dict[str, Stat]:
        listed = [each async for each in self._remote.list(FOLDER)]
        return {name: each for each in listed if (name := name_of(each.key))}

    async def _read_claim(self, stat: Stat) -> None:
        name = name_of(stat.key) or ""
        try:
            if stat.size > BYTES_AT_MOST:
                raise ObjectCorrupt(f"index file {name} is too large to be one")
            self._files[name] = IndexFile(stat.mtime, await self._read(name))
        except RemoteObjectMissing:
            pass  # it is listed again
        except ObjectCorrupt as error:
            raise ObjectCorrupt(
                f"{self.url}: {error.message}, so that nobody knows what it claims",
                hint="`lazydata push --check` in each project that uses this remote claims anew "
                f"what it needs; then remove {stat.key} there",
            ) from error

    async def _earlier(self, survey: RemoteSurvey) -> dict[Candidate, int]:
        """What was written down before, and since when each file is a candidate."""
        found: dict[Candidate, int] = {}
        for stat in await self._notes.listed():
            kind = kind_of(stat.key)
            is_over = kind == SWEEP or stat.key.endswith(f".{CLOCK}")
            if kind == CANDIDATES or (is_over and stat.mtime <= survey.now - DEAD_AFTER):
                survey.notes.append(stat.key)
            rows = await self._notes.read(stat) if kind == CANDIDATES else []
            if rows is None:
                warn(f"{self.url}: {stat.key} can't be read; what is in it waits once more")
            for each in rows or ():
                file = each._replace(since=0)
                found[file] = max(each.since, found.get(file, 0))
        return found

    async def _objects_of(self, stats: Sequence[Stat]) -> dict[str, list[Digest] | None]:
        """What is in some files; None for a pack that can't be read."""
        found: dict[str, list[Digest] | None] = {}

        async def look(stat: Stat) -> None:
            digest = object_of(stat.key)
            if digest is not None:
                found[stat.key] = [digest]
                return
            try:
                packed = await self._footer(stat)
                found[stat.key] = [each.digest for each in packed]
            except ObjectCorrupt:
                found[stat.key] = None
            except RemoteObjectMissing:
                found[stat.key] = []  # another gc was faster

        await spread(stats, self.concurrency, look)
        return found

    async def _footer(self, stat: Stat) -> list[PackedObject]:
        """What a pack says that it has; a short footer takes one request."""
        for length in _TAILS:
            begin = max(0, stat.size - length)
            tail = await self._remote.get_range(stat.key, begin, length)
            try:
                return read_footer(partial(_cut, tail, begin), stat.size)
            except ObjectCorrupt:
                if length == _TAILS[-1]:
                    raise
        raise AssertionError("not reached")


def _cut(tail: bytes, begin: int, at: int, length: int) -> bytes:
    if at < begin:
        raise ValueError("it begins before what was read")
    return tail[at - begin : at - begin + length]
