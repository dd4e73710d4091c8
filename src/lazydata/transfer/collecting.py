"""gc of a remote: what no claim needs is written down, and removed once that was long ago.

Nothing is locked. A push that claims meanwhile either is seen, since the claims are listed
once more after a sweep was written down, or it sees that sweep (``remotes.candidates``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lazydata.digest import Digest
from lazydata.errors import NeedsUpgrade, ObjectCorrupt, RemoteObjectMissing, RemoteUnavailable
from lazydata.fsutil import remove, temp_name
from lazydata.messages import warn
from lazydata.packs import OBJECTS, SIZE, PackedObject, PackWriter, verified
from lazydata.progress import silent
from lazydata.remotes.base import Remote
from lazydata.remotes.candidates import (
    CANDIDATES,
    SWEEP,
    SWEPT_FOR,
    Candidate,
    Lasting,
    Watch,
)
from lazydata.remotes.claims import ClaimMemory, Row, key_of
from lazydata.remotes.layout import pack_key
from lazydata.remotes.threads import in_thread
from lazydata.remotes.wrappers import Sleep
from lazydata.transfer.plan import ranges
from lazydata.transfer.surveying import Surveying
from lazydata.transfer.unclaimed import RemoteSurvey, Thin

_SWEPT_AT_ONCE = 500
_DELETED_AT_ONCE = 100
_ATTEMPTS = 3


class RemoteCollector(Surveying):
    """The work on one remote, for one project.

    Args:
        remote: to be tidied.
        memory: what is known of its index files; it is not relied on.
        project: whose claims are written anew; empty for none.
        scratch: a local directory that packs are made in.
        sleep: takes seconds; tests give one that does not wait.
    """

    def __init__(
        self,
        remote: Remote,
        *,
        memory: ClaimMemory,
        project: str,
        scratch: str,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        super().__init__(remote, memory=memory, project=project)
        self._scratch, self._sleep = scratch, sleep

    async def sweep(self, survey: RemoteSurvey) -> None:
        """Carry out what a survey says.

        New packs first, then the claims, then what is to go is written down; what was written
        down long ago is removed last.

        Args:
            survey: made with ``force``; is told which packs stay as they are after all.

        Raises:
            RemoteDenied, RemoteUnavailable, NoSpace: what was done by then is consistent, and
                the next gc goes on from there.
        """
        watch = Watch(self._remote, sleep=self._sleep)
        await watch.look()
        moved = await self._rewrite(survey)
        await self._claim_anew(survey, moved, watch)
        for thin in survey.thin:
            survey.give_up(thin.stat, survey.now)
        await self._write_down(survey)
        for begin in range(0, len(survey.due), _SWEPT_AT_ONCE):
            await self._remove(survey, survey.due[begin : begin + _SWEPT_AT_ONCE])

    # Packs

    async def _rewrite(self, survey: RemoteSurvey) -> dict[tuple[str, Digest], Row]:
        """Put what is claimed of thin packs into new ones.

        Returns:
            Where each object lies now, by its old pack and its digest.
        """
        done: list[Thin] = []
        found: dict[tuple[str, Digest], Row] = {}
        group: list[tuple[str, Digest, bytes]] = []
        for thin in survey.thin:
            try:
                data = await self._bytes_of(thin)
            except (ObjectCorrupt, NeedsUpgrade, RemoteObjectMissing) as error:
                warn(f"{self.url}: {thin.stat.key} stays as it is: {error.message}")
                survey.keep("claimed", thin.stat)
                continue
            done.append(thin)
            size = sum(len(each) for _, _, each in (*group, *data))
            if group and (size > SIZE or len(group) + len(data) > OBJECTS):
                found.update(await self._pack(group))
                group = []
            group += data
        if group:
            found.update(await self._pack(group))
        survey.thin = done
        return found

    async def _bytes_of(self, thin: Thin) -> list[tuple[str, Digest, bytes]]:
        found = []
        key = thin.stat.key
        for job in ranges(key, thin.objects):
            begin = job.wanted[0].offset
            end = max(each.offset + each.stored for each in job.wanted)
            data = await self._remote.get_range(key, begin, end - begin)
            for each in job.wanted:
                stored = data[each.offset - begin : each.offset - begin + each.stored]
                whole = await in_thread(verified, each.digest, each.codec, stored, each.size)
                found.append((key, each.digest, whole))
        return found

    async def _pack(
        self, group: Sequence[tuple[str, Digest, bytes]]
    ) -> dict[tuple[str, Digest], Row]:
        path = temp_name(self._scratch)
        try:
            name, packed = await in_thread(_write, path, group)
            key = pack_key(name)
            await self._put(key, Path(path), os.path.getsize(path), silent)
        finally:
            remove(path)
        at = {p.digest: Row(p.digest, p.size, key, p.offset, p.stored, p.codec) for p in packed}
        return {(old, digest): at[digest] for old, digest, _ in group}

    # Claims

    async def _claim_anew(
        self, survey: RemoteSurvey, moved: Mapping[tuple[str, Digest], Row], watch: Watch
    ) -> None:
        """Write index files that say what is needed, then remove those that said more."""
        rows = [
            moved.get((row.key, row.digest), row) for kept in survey.claims.values() for row in kept
        ]
        written = await self.claim(set(rows), supersedes=survey.claims.keys())
        packs = {row.key for row in moved.values()}
        await watch.outlast(packs)
        for key in packs:
            # Another gc may have had a pack of the same name in its sweep.
            if await self._remote.stat(key) is None:
                raise RemoteUnavailable(f"{self.url}: {key} was taken away", hint="run it again")
        gone = [name for name in survey.claims if name not in written]
        await self._remote.delete([key_of(name) for name in gone])
        await self._remember(self._memory.forget, self.url, gone)

    # What goes

    async def _write_down(self, survey: RemoteSurvey) -> None:
        await self._notes.write(CANDIDATES, [*survey.due, *survey.waiting])
        await self._remote.delete(survey.notes)

    async def _remove(self, survey: RemoteSurvey, some: Sequence[Candidate]) -> None:
        """Remove what is still unclaimed, once it is written down that it goes now."""
        for _ in range(_ATTEMPTS):
            sweep = await self._notes.write(SWEEP, some)
            lasting = Lasting()
            await self.read_claims()
            claimed = {row.key for file in self._files.values() for row in file.claim.rows}
            going = [each.key for each in some if each.key not in claimed]
            # Whoever claims one of them from now on waits for this sweep. It stays if
            # something fails, since what was asked for may be done later.
            if await self._delete(going, lasting):
                await self._remote.delete(sweep)
                survey.saved += [each for each in some if each.key in claimed]
                return
        raise RemoteUnavailable(f"{self.url} is too slow", hint="run it again later")

    async def _delete(self, keys: Sequence[str], lasting: Lasting) -> bool:
        """Remove files as long as the sweep says so; whether all of them were."""
        for begin in range(0, len(keys), _DELETED_AT_ONCE):
            if lasting.seconds > SWEPT_FOR:
                return False
            await self._remote.delete(keys[begin : begin + _DELETED_AT_ONCE])
        return True


def _write(path: str, group: Sequence[tuple[str, Digest, bytes]]) -> tuple[str, list[PackedObject]]:
    with open(path, "xb") as file:
        writer = PackWriter(file)
        for digest, data in {digest: data for _, digest, data in group}.items():
            writer.add(digest, data)
        return writer.finish(), writer.objects
