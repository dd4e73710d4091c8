"""What a remote says of itself: its format, and its index files, which are read once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TypeVar

from lazydata.digest import Digest
from lazydata.errors import (
    ObjectCorrupt,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
)
from lazydata.messages import warn
from lazydata.remotes.base import Remote, step
from lazydata.remotes.claims import (
    BYTES_AT_MOST,
    FOLDER,
    ROWS_AT_MOST,
    Claim,
    ClaimMemory,
    Location,
    Row,
    decode,
    encode,
    key_of,
    name_of,
    split,
)
from lazydata.remotes.layout import MARKER, MARKER_AT_MOST, MARKER_BYTES, check_marker
from lazydata.remotes.threads import in_thread, spread

T = TypeVar("T")

_MERGED_AT_ONCE = 4
_LARGE = 2 << 20  # bytes of an index file that is read alone: its rows take six times the memory
_LISTINGS = 3
# Compaction keeps them few; a server that lists without end must not fill the memory.
_FILES_AT_MOST = 100_000
# So many index files of one project are put together into one. A clone reads each of
# them with a request of its own, so there must not be one for each push ever made.
COMPACT_FROM = 12


class Catalogue:
    """The index files of one remote, for one project.

    Args:
        remote: where the bytes are.
        memory: what is known of its index files.
        project: id of the project, under which pushes claim.
    """

    def __init__(self, remote: Remote, *, memory: ClaimMemory, project: str) -> None:
        self.url = remote.url
        self._remote = remote
        self._memory = memory
        self._project = project
        self._marked: bool | None = None
        self._remembering = asyncio.Lock()

    async def check(self) -> bool:
        """Look whether this lazydata can use what lies there; asked once.

        Returns:
            Whether the remote says its format; one that is empty does not yet.

        Raises:
            UsageError: a newer lazydata wrote it, or it is something else.
            RemoteUnavailable, RemoteDenied: it can't be asked.
        """
        if self._marked is None:
            self._marked = await self._read_marker()
        return self._marked

    async def begin(self) -> None:
        """What must be there before the first data is: call it once before uploads.

        Raises:
            UsageError: see ``check``.
        """
        if not await self.check():
            await self._mark()

    async def refresh(self) -> None:
        """Learn which index files there are: one listing, and those that are new.

        A damaged one is left out, with a warning.

        Raises:
            RemoteUnavailable: also where all that was there before is gone,
                which is how a share looks that is not mounted.
        """
        url = self.url
        for _ in range(_LISTINGS):
            listed = {name: stat async for name, stat in self._index_files()}
            known = await self._remember(self._memory.names, url)
            if known and not listed and not await self._read_marker():
                raise RemoteUnavailable(
                    f"{url} is empty, and was not when it was last used",
                    hint="is the share mounted? If it was emptied on purpose, add it once more",
                )
            new = [(name, size) for name, size in listed.items() if name not in known]
            if new:
                await self.check()
            vanished = await self._merge(new)
            # Only now: what a compaction put together has been merged by then.
            if gone := known - listed.keys():
                await self._remember(self._memory.forget, url, gone)
            if not vanished:
                return
        # A compaction is faster than we are; what it wrote is merged next time.

    async def locate(
        self, digests: Collection[Digest], *, absent: bool = False
    ) -> Mapping[Digest, Sequence[Location]]:
        """Where objects lie, by the index files merged so far.

        Args:
            digests: of the objects.
            absent: also those that turned out not to be there when they were last wanted.
        """
        return await self._remember(partial(self._memory.lookup, absent=absent), self.url, digests)

    async def extents(self, keys: Collection[str]) -> Mapping[str, int]:
        """How many bytes of packs are known to be in use, by the index files merged so far."""
        return await self._remember(self._memory.extents, self.url, keys)

    async def unclaimed(self, digests: Collection[Digest]) -> set[Digest]:
        """Those that no push of this project has claimed, by the index files merged so far."""
        return set(digests) - await self._remember(
            self._memory.claimed, self.url, self._project, digests
        )

    async def claim(self, rows: Collection[Row], *, supersedes: Collection[str] = ()) -> set[str]:
        """Write index files that claim objects; only what is there already may be claimed.

        Args:
            rows: one for each place where an object lies.
            supersedes: names of index files whose rows are among these.

        Returns:
            Their names.
        """
        names: set[str] = set()
        for part in split(rows):
            name, data = encode(Claim(self._project, part, tuple(supersedes)))
            await self._remote.put_bytes(key_of(name), data)
            await self._remember(self._memory.merge, self.url, name, self._project, part)
            names.add(name)
        return names

    async def mark(self, digests: Collection[Digest], *, absent: bool) -> None:
        """Remember that objects turned out not to be there, or to be there after all."""
        await self._remember(partial(self._memory.mark, absent=absent), self.url, digests)

    async def compact(self) -> int:
        """Put this project's small index files together, once there are many of them.

        The new ones are written first, and exactly the files whose rows are in them are
        deleted then. Two machines may do it at once: what both write is what both need.

        Returns:
            How many were replaced.
        """
        small = await self._remember(self._memory.small, self.url, self._project, ROWS_AT_MOST // 2)
        if len(small) < COMPACT_FROM:
            return 0
        rows: set[Row] = set()
        replaced: list[str] = []
        for name in sorted(small):
            # Read again: what is remembered is disposable, and this is not.
            try:
                claim = await self._read(name)
            except (RemoteObjectMissing, ObjectCorrupt):
                continue  # somebody else was faster, or it says nothing any more
            if claim.project == self._project:
                rows.update(claim.rows)
                replaced.append(name)
        kept = await self.claim(rows, supersedes=replaced)
        gone = [name for name in replaced if name not in kept]
        try:
            await self._remote.delete([key_of(name) for name in gone])
        except RemoteDenied:
            # No right to delete is no error: all of it stays true. But what the old ones say
            # is said by the new one, so they are not put together again with every push.
            for name in gone:
                await self._remember(self._memory.merge, self.url, name, None, ())
            return 0
        await self._remember(self._memory.forget, self.url, gone)
        return len(gone)

    async def ask(self, *, writing: bool) -> None:
        """Ask the remote for next to nothing, to tell its fault from an object's.

        Args:
            writing: whether it must take something, too.

        Raises:
            RemoteUnavailable, RemoteDenied, NoSpace: the remote as a whole fails.
        """
        if writing:
            await self._remote.put_bytes(MARKER, MARKER_BYTES)
        else:
            try:
                await self._remote.get_range(MARKER, 0, MARKER_AT_MOST)
            except RemoteObjectMissing:
                pass

    async def probe(self) -> None:
        """Try all that a remote is needed for, and mark it as one: for ``add-remote``.

        Creates the place where it is missing.

        Raises:
            RemoteDenied, RemoteUnavailable: saying which step failed.
            UsageError: see ``check``.
        """
        # Below the folder that every push writes to, and no name of an index file.
        key, data = f"{FOLDER}probe-{secrets.token_hex(8)}", secrets.token_bytes(16)
        async with step("prepare it"):
            await self._remote.prepare()
        async with step("read it"):
            marked = await self.check()
        async with step("list it"):
            async for _ in self._remote.list(FOLDER):
                pass
        async with step("write to it"):
            await self._remote.put_bytes(key, data)
        async with step("read back what was written"):
            back = await self._remote.get_range(key, 0, 2 * len(data))
        if back != data:
            raise RemoteUnavailable(f"{self.url}: it gave back other bytes than were written")
        async with step("delete what was written"):
            await self._remote.delete([key])
        if not marked:
            async with step("write to it"):
                await self._mark()

    async def _read_marker(self) -> bool:
        try:
            data = await self._remote.get_range(MARKER, 0, MARKER_AT_MOST)
        except RemoteObjectMissing:
            return False
        check_marker(self.url, data)
        return True

    async def _mark(self) -> None:
        await self._remote.put_bytes(MARKER, MARKER_BYTES)
        self._marked = True

    async def _index_files(self) -> AsyncIterator[tuple[str, int]]:
        count = 0
        async for stat in self._remote.list(FOLDER):
            count += 1
            if count > _FILES_AT_MOST:
                raise RemoteDenied(
                    f"{self.url} lists more than {_FILES_AT_MOST:,} index files",
                    hint="it is none of lazydata's; ask whoever runs it",
                )
            name = name_of(stat.key)
            if name:
                yield name, stat.size

    async def _read(self, name: str) -> Claim:
        """An index file; once more where it is damaged, since that may be the line's fault."""
        for last in (False, True):
            data = await self._remote.get_range(key_of(name), 0, BYTES_AT_MOST)
            try:
                return await in_thread(decode, name, data)
            except ObjectCorrupt:
                if last:
                    raise
        raise AssertionError("not reached")

    async def _merge(self, index_files: Iterable[tuple[str, int]]) -> list[str]:
        """Merge index files of given names and sizes; those that are gone are returned."""
        vanished: list[str] = []
        large = asyncio.Lock()

        async def merge(each: tuple[str, int]) -> None:
            name, size = each
            try:
                if size > BYTES_AT_MOST:
                    raise ObjectCorrupt(f"index file {name} is too large to be one")
                async with large if size > _LARGE else nullcontext():
                    claim = await self._read(name)
                    await self._remember(
                        self._memory.merge, self.url, name, claim.project, claim.rows
                    )
            except RemoteObjectMissing:
                vanished.append(name)
            except (ObjectCorrupt, UsageError) as error:
                warn(f"{self.url}: {error.message}; going on without it")

        await spread(index_files, _MERGED_AT_ONCE, merge)
        return vanished

    async def _remember(self, call: Callable[..., T], *args: object) -> T:
        """Ask the memory: it may be a database, so in a thread, and one call at a time."""
        async with self._remembering:
            return await in_thread(call, *args)
