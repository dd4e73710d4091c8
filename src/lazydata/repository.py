"""Objects and packs on a remote, and the claims to them (``remotes.layout`` says where).

Data is written first and claimed afterwards: what dies in between leaves data
that nobody claims, and the next push takes it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from lazydata.digest import Digest
from lazydata.errors import (
    LazydataError,
    NeedsUpgrade,
    ObjectCorrupt,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    most_telling,
)
from lazydata.messages import warn
from lazydata.packs import FOOTER_AT_MOST, SIZE, PackedObject, check_claimed, verified
from lazydata.progress import Progress, attempt, silent
from lazydata.remotes.base import Remote
from lazydata.remotes.candidates import Watch
from lazydata.remotes.claims import RAW, ClaimMemory, Location
from lazydata.remotes.layout import is_whole, pack_of, unclaimed_keys
from lazydata.remotes.threads import flushing, in_thread, leaving_in_thread, spread
from lazydata.remotes.uploading import Uploading

# Larger ones are not fetched as a whole.
_PACK_AT_MOST = 2 * SIZE + FOOTER_AT_MOST


class Turn(Protocol):
    """This process is the one that does something."""

    def touch(self) -> None:
        """Show those who wait that it is still done."""

    def release(self) -> None:
        """Let the others look."""


class ObjectStore(Protocol):
    """What a pull needs of the store. Everything is called from worker threads."""

    def lacking(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those of some objects that are not there."""

    def incoming(self, digest: Digest, *, grows_to: int = 0) -> AbstractContextManager[Path]:
        """A file to fill; leaving it verifies, then gives it its name.

        It may hold the beginning already, which an earlier attempt left.

        Raises:
            ObjectCorrupt: the bytes are not the object's; the store is as it was.
        """

    def incoming_pack(self, name: str) -> AbstractContextManager[Path]:
        """The same for a whole pack, by its 64 hex digits."""

    def put(self, objects: Sequence[tuple[Digest, bytes]]) -> None:
        """Take in small objects whose bytes were hashed, all of them durable at once."""

    def try_lock(self, name: str) -> Turn | None:
        """Be the one process that fetches something; None while another one does."""


class Repository(Uploading):
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
        super().__init__(remote, memory=memory, project=project)
        self.concurrency = remote.concurrency

    async def close(self) -> None:
        """Let go of the remote."""
        await self._remote.close()

    def watch(self) -> Watch:
        """Learn what gcs do there while something is claimed."""
        return Watch(self._remote)

    # Down

    async def fetch(
        self,
        digest: Digest,
        store: ObjectStore,
        progress: Progress = silent,
        *,
        locations: Iterable[Location] = (),
        size: int | None = None,
    ) -> None:
        """Fetch an object from the first place that has it whole.

        After the locations, the places are tried where it may lie unclaimed.
        Absent from all of them, it is remembered as absent, so that the next
        push puts it there again.

        Args:
            digest: of the object.
            store: where it goes.
            progress: told of bytes that arrive.
            locations: as ``locate`` gave them.
            size: bytes that it has at most; None to believe what is claimed.

        Raises:
            RemoteObjectMissing: it is nowhere on this remote.
            ObjectCorrupt, NeedsUpgrade, RemoteDenied, RemoteUnavailable: no place gave
                it; the most telling of their reasons.
        """
        places = list(locations)
        # A stranger's row may name the same file, and only some bytes of it.
        known = {each.key for each in places if is_whole(each)}
        places += [each for each in self._unclaimed_places(digest) if each.key not in known]
        failures: list[LazydataError] = []
        while places:
            place, begun = places.pop(0), False
            try:
                with attempt(progress) as report:
                    if is_whole(place):
                        most = place.size or None if size is None else size
                        arrival = store.incoming(digest, grows_to=most or 0)
                        async with leaving_in_thread(arrival) as target:
                            begun = target.exists()
                            async with flushing(target):
                                await self._remote.get(place.key, target, _until(most, report))
                    else:
                        await self._fetch_small(digest, place, store, report)
                return
            except ObjectCorrupt as error:
                if begun:  # what an earlier attempt had left may be to blame: it is gone now
                    places.insert(0, place)
                    continue
                warn(f"{self.url} has damaged bytes in {place.key}: they are not {digest}")
                failures.append(error)
            except (
                NeedsUpgrade,
                RemoteObjectMissing,
                RemoteDenied,
                RemoteUnavailable,
            ) as error:
                failures.append(error)
        worst = most_telling(failures)
        if isinstance(worst, RemoteObjectMissing):
            await self.mark([digest], absent=True)
            raise RemoteObjectMissing(f"{digest} is not on {self.url}")
        raise worst

    async def _fetch_small(
        self, digest: Digest, place: Location, store: ObjectStore, report: Progress
    ) -> None:
        check_claimed(place.size, place.stored)
        stored = await self._remote.get_range(place.key, place.offset, place.stored)
        data = verified(digest, place.codec, stored, place.size)
        await in_thread(store.put, [(digest, data)])
        report(len(data))

    async def fetch_range(
        self,
        key: str,
        packed: Sequence[PackedObject],
        store: ObjectStore,
        progress: Progress = silent,
    ) -> dict[Digest, LazydataError]:
        """Fetch objects that lie near to each other in a pack, with one request.

        Args:
            key: of the pack.
            packed: sorted by their offset.
            store: where they go.
            progress: told of the bytes of the objects that are in the store now.

        Returns:
            Those that can't be had from there, and why: damaged, or written by a newer
            lazydata. They are to be fetched from elsewhere.

        Raises:
            RemoteObjectMissing, RemoteDenied, RemoteUnavailable: the pack can't be read.
        """
        begin = packed[0].offset
        length = max(each.offset + each.stored for each in packed) - begin
        data = memoryview(await self._remote.get_range(key, begin, length))

        damaged: dict[Digest, LazydataError] = {}

        def unpack() -> list[tuple[Digest, bytes]]:
            whole = []
            for each in packed:
                at = each.offset - begin
                try:
                    stored = data[at : at + each.stored]
                    whole.append(
                        (each.digest, verified(each.digest, each.codec, stored, each.size))
                    )
                except ObjectCorrupt as error:
                    warn(f"{self.url} has damaged bytes in {key}: they are not {each.digest}")
                    damaged[each.digest] = error
                except NeedsUpgrade as error:
                    damaged[each.digest] = error
            store.put(whole)
            return whole

        whole = await in_thread(unpack)
        progress(sum(len(each) for _, each in whole))
        return damaged

    async def fetch_pack(
        self, key: str, store: ObjectStore, progress: Progress = silent, *, size: int = 0
    ) -> None:
        """Fetch a whole pack, which the store keeps as it came.

        Args:
            key: of the pack.
            store: where it goes.
            progress: told of bytes that arrive, as many as ``size`` in all.
            size: of the objects in it that are wanted, bytes.

        Raises:
            ObjectCorrupt: its bytes are not what its name says.
            RemoteObjectMissing, RemoteDenied, RemoteUnavailable: it can't be had.
        """
        with attempt(progress) as report:
            async with leaving_in_thread(store.incoming_pack(pack_of(key) or "")) as target:
                await self._remote.get(key, target, _until(_PACK_AT_MOST, report))
                report(size - target.stat().st_size)

    async def confirm(self, sizes: Mapping[Digest, int | None]) -> set[Digest]:
        """Ask the remote itself which objects it has.

        One that an index file lists and that is not there is remembered as
        absent, so that the next push puts it there again.

        Args:
            sizes: of the objects; None where any size will do.

        Raises:
            RemoteUnavailable, RemoteDenied: it can't be asked.
        """
        located = await self.locate(sizes, absent=True)
        places = {
            digest: [*located.get(digest, ()), *self._unclaimed_places(digest)] for digest in sizes
        }
        found: dict[str, int | None] = {}

        async def ask(key: str) -> None:
            stat = await self._remote.stat(key)
            found[key] = stat.size if stat else None

        # The likeliest place of each first: one question for all that lie in one pack.
        for turn in range(max(map(len, places.values()), default=0)):
            keys = {
                each[turn].key
                for digest, each in places.items()
                if turn < len(each) and not self._is_there(sizes[digest], each[:turn], found)
            }
            await spread(sorted(keys - found.keys()), self.concurrency, ask)
        there = {d for d, each in places.items() if self._is_there(sizes[d], each, found)}
        await self.mark(there, absent=False)
        await self.mark(sizes.keys() - there, absent=True)
        return there

    @staticmethod
    def _unclaimed_places(digest: Digest) -> list[Location]:
        return [Location(key, 0, 0, RAW, 0) for key in unclaimed_keys(digest)]

    @staticmethod
    def _is_there(
        size: int | None, places: Iterable[Location], found: Mapping[str, int | None]
    ) -> bool:
        for place in places:
            has = found.get(place.key)
            if has is None:
                continue
            if size is None or (
                has == size if is_whole(place) else has >= place.offset + place.stored
            ):
                return True
        return False


def _until(most: int | None, progress: Progress) -> Progress:
    """Progress that ends a transfer of more bytes than there can be: it must not fill the disk."""
    if most is None:
        return progress
    left = most

    def report(moved: int, /) -> None:
        nonlocal left
        left -= moved
        progress(moved)
        if left < 0:
            raise ObjectCorrupt(f"it has more than the {most:,} bytes that are recorded")

    return report
