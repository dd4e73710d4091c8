"""Objects and the claims to them on a remote (``remotes.layout`` says where what lies).

Data is written first and claimed afterwards: what dies in between leaves data
that nobody claims, and the next push takes it up.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, TypeVar

from lazydata.digest import Digest
from lazydata.errors import (
    LazydataError,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
    from_os_error,
    most_telling,
)
from lazydata.messages import warn
from lazydata.progress import Progress, attempt, silent
from lazydata.remotes.base import Remote, step
from lazydata.remotes.claims import (
    BYTES_AT_MOST,
    FOLDER,
    RAW,
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
from lazydata.remotes.layout import (
    MARKER,
    MARKER_AT_MOST,
    MARKER_BYTES,
    check_marker,
    is_whole,
    object_key,
    unclaimed_keys,
)
from lazydata.remotes.threads import in_thread, leaving_in_thread, spread

T = TypeVar("T")

# From here on it is cheaper to ask whether an object is there than to send it again.
_ASK_FIRST = 1 << 20
_MERGED_AT_ONCE = 4
_LISTINGS = 3


class Outgoing(NamedTuple):
    """An object to push.

    Args:
        digest: its name.
        size: bytes.
        path: a local file that holds it, as long as the push lasts.
    """

    digest: Digest
    size: int
    path: Path


class Placed(NamedTuple):
    """An object that is on the remote now.

    Args:
        row: what to claim.
        sent: it was uploaded just now, else it was there already.
        confirmed: it was uploaded just now, and the remote says the right size.
    """

    row: Row
    sent: bool
    confirmed: bool


class Repository:
    """Objects on one remote, for one project.

    It belongs to one event loop: whoever needs it opens it there, and closes it.

    Args:
        remote: where the bytes are.
        memory: what is known of its index files.
        project: id of the project, under which pushes claim.

    Example:
        >>> from lazydata.remotes.claims import VolatileMemory
        >>> from lazydata.remotes.memory import MemoryRemote
        >>> repository = Repository(MemoryRemote(), memory=VolatileMemory(), project="p1")
    """

    def __init__(self, remote: Remote, *, memory: ClaimMemory, project: str) -> None:
        self.url = remote.url
        self.concurrency = remote.concurrency
        self._remote = remote
        self._memory = memory
        self._project = project
        self._marked: bool | None = None
        self._remembering = asyncio.Lock()

    async def close(self) -> None:
        """Let go of the remote."""
        await self._remote.close()

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
        async with step("create it"):
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

    async def locate(self, digests: Collection[Digest]) -> Mapping[Digest, Sequence[Location]]:
        """Where objects lie, by the index files merged so far."""
        return await self._remember(self._memory.lookup, self.url, digests)

    async def unclaimed(self, digests: Collection[Digest]) -> set[Digest]:
        """Those that no push of this project has claimed, by the index files merged so far."""
        return set(digests) - await self._remember(
            self._memory.claimed, self.url, self._project, digests
        )

    async def fetch(
        self,
        digest: Digest,
        into: Callable[[], AbstractContextManager[Path]],
        progress: Progress = silent,
        *,
        locations: Iterable[Location] = (),
    ) -> None:
        """Fetch an object from the first place that has it whole.

        After the locations, the places are tried where it may lie unclaimed.
        Absent from all of them, it is remembered as absent, so that the next
        push puts it there again.

        Args:
            digest: of the object.
            into: gives a file to fill; leaving it verifies, and raises
                ``ObjectCorrupt`` where the bytes are not what they should be.
            progress: told of bytes that arrive.
            locations: as ``locate`` gave them.

        Raises:
            RemoteObjectMissing: it is nowhere on this remote.
            ObjectCorrupt, RemoteDenied, RemoteUnavailable: no place gave it;
                the most telling of their reasons.
        """
        keys = [each.key for each in locations if is_whole(each)]
        failures: list[LazydataError] = []
        for key in dict.fromkeys([*keys, *unclaimed_keys(digest)]):
            try:
                with attempt(progress) as report:
                    async with leaving_in_thread(into()) as target:
                        await self._remote.get(key, target, report)
                return
            except ObjectCorrupt as error:
                warn(f"{self.url} has damaged bytes in {key}: they are not {digest}")
                failures.append(error)
            except (RemoteObjectMissing, RemoteDenied, RemoteUnavailable) as error:
                failures.append(error)
        worst = most_telling(failures)
        if isinstance(worst, RemoteObjectMissing):
            await self._remember(self._memory.absent, self.url, digest)
            raise RemoteObjectMissing(f"{digest} is not on {self.url}")
        raise worst

    async def confirm(self, sizes: Mapping[Digest, int | None]) -> set[Digest]:
        """Ask the remote itself which objects it has.

        One that an index file lists and that is not there is remembered as
        absent, so that the next push puts it there again.

        Args:
            sizes: of the objects; None where any size will do.

        Raises:
            RemoteUnavailable, RemoteDenied: it can't be asked.
        """
        there: set[Digest] = set()
        located = await self.locate(sizes)

        async def ask(digest: Digest) -> None:
            keys = [each.key for each in located.get(digest, ()) if is_whole(each)]
            for key in dict.fromkeys([*keys, *unclaimed_keys(digest)]):
                found = await self._remote.stat(key)
                if found is not None and sizes[digest] in (None, found.size):
                    there.add(digest)
                    return
            await self._remember(self._memory.absent, self.url, digest)

        await spread(sizes, self.concurrency, ask)
        return there

    async def begin(self) -> None:
        """What must be there before the first data is: call it once before ``upload``.

        Raises:
            UsageError: see ``check``.
        """
        if not await self.check():
            await self._mark()

    async def upload(
        self, objects: Sequence[Outgoing], progress: Progress = silent
    ) -> list[Placed]:
        """Put objects there that travel together: all of them arrive, or it raises.

        They are not claimed by that, see ``claim``.

        Args:
            objects: what to put there.
            progress: told of bytes that need no longer be moved.

        Raises:
            ObjectCorrupt: a local file is not as long as its object.
            RemoteUnavailable: also where the remote says another size afterwards.
            RemoteDenied, NoSpace: the remote does not take it.
        """
        with attempt(progress) as report:
            return [await self._upload(each, report) for each in objects]

    async def claim(self, rows: Collection[Row]) -> None:
        """Write index files that claim objects; only what is there already may be claimed."""
        for part in split(rows):
            name, data = encode(Claim(self._project, part))
            await self._remote.put_bytes(key_of(name), data)
            await self._remember(self._memory.merge, self.url, name, self._project, part)

    async def _upload(self, outgoing: Outgoing, progress: Progress) -> Placed:
        digest, size, path = outgoing
        key = object_key(digest)
        row = Row(digest, size, key, 0, size, RAW)
        try:
            local = await in_thread(os.path.getsize, path)
        except FileNotFoundError as error:
            raise ObjectMissing(f"{digest} is not at {path} any more") from error
        except OSError as error:
            raise from_os_error(error, "read", str(path)) from error
        if local != size:
            raise ObjectCorrupt(
                f"{path} has {local} bytes, and {digest} has {size}", expected=digest
            )
        if size >= _ASK_FIRST:
            found = await self._remote.stat(key)
            if found and found.size == size:
                progress(size)
                return Placed(row, sent=False, confirmed=False)
        await self._remote.put(key, path, progress)
        try:
            found = await self._remote.stat(key)
        except RemoteDenied:  # it may be one that can be written to, but not read
            return Placed(row, sent=True, confirmed=False)
        if found is None or found.size != size:
            says = "it is not there" if found is None else f"it has {found.size} bytes"
            raise RemoteUnavailable(
                f"{self.url}: {digest} was uploaded with {size} bytes, but {says}"
            )
        return Placed(row, sent=True, confirmed=True)

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
        async for stat in self._remote.list(FOLDER):
            name = name_of(stat.key)
            if name:
                yield name, stat.size

    async def _merge(self, index_files: Iterable[tuple[str, int]]) -> list[str]:
        """Merge index files of given names and sizes; those that are gone are returned."""
        vanished: list[str] = []

        async def merge(each: tuple[str, int]) -> None:
            name, size = each
            try:
                if size > BYTES_AT_MOST:
                    raise ObjectCorrupt(f"index file {name} is too large to be one")
                data = await self._remote.get_range(key_of(name), 0, BYTES_AT_MOST)
                claim = await in_thread(decode, name, data)
            except RemoteObjectMissing:
                vanished.append(name)
            except (ObjectCorrupt, UsageError) as error:
                warn(f"{self.url}: {error.message}; going on without it")
            else:
                await self._remember(self._memory.merge, self.url, name, claim.project, claim.rows)

        await spread(index_files, _MERGED_AT_ONCE, merge)
        return vanished

    async def _remember(self, call: Callable[..., T], *args: object) -> T:
        """Ask the memory: it may be a database, so in a thread, and one call at a time."""
        async with self._remembering:
            return await in_thread(call, *args)
