"""Objects and packs on a remote, and the claims to them (``remotes.layout`` says where).

Data is written first and claimed afterwards: what dies in between leaves data
that nobody claims, and the next push takes it up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from lazydata.digest import Digest, hash_file
from lazydata.errors import (
    LazydataError,
    NeedsUpgrade,
    ObjectCorrupt,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    most_telling,
)
from lazydata.fsutil import remove, temp_name
from lazydata.messages import warn
from lazydata.outgoing import Outgoing, reading, write_pack
from lazydata.packs import FOOTER_AT_MOST, SIZE, PackedObject, check_claimed, verified
from lazydata.progress import Progress, attempt, silent
from lazydata.remotes.base import Remote
from lazydata.remotes.candidates import Watch
from lazydata.remotes.catalogue import Catalogue
from lazydata.remotes.claims import RAW, ClaimMemory, Location, Row
from lazydata.remotes.layout import is_whole, object_key, pack_key, pack_of, unclaimed_keys
from lazydata.remotes.threads import flushing, in_thread, leaving_in_thread, spread

# From here on it is cheaper to ask whether an object is there than to send it again.
_ASK_FIRST = 1 << 20
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

    def incoming(self, digest: Digest) -> AbstractContextManager[Path]:
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


class Repository(Catalogue):
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
                        async with leaving_in_thread(store.incoming(digest)) as target:
                            begun = target.exists()
                            async with flushing(target):
                                most = place.size or None if size is None else size
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

    # Up

    async def upload(self, outgoing: Outgoing, progress: Progress = silent) -> Placed:
        """Put one object there, whole. It is not claimed by that, see ``claim``.

        Args:
            outgoing: what to put there.
            progress: told of bytes that need no longer be moved.

        Raises:
            ObjectCorrupt: the local file is not as long as its object.
            RemoteUnavailable: also where the remote says another size afterwards.
            RemoteDenied, NoSpace: the remote does not take it.
        """
        digest, size, path = outgoing[:3]
        key = object_key(digest)
        with reading(outgoing):
            local = await in_thread(os.path.getsize, path)
        if local != size:
            raise ObjectCorrupt(
                f"{path} has {local} bytes, and {digest} has {size}", expected=digest
            )
        with attempt(progress) as report:
            sent, confirmed = await self._put(key, path, size, report)
        return Placed(Row(digest, size, key, 0, size, RAW), sent, confirmed)

    async def upload_pack(
        self, objects: Sequence[Outgoing], scratch: str, progress: Progress = silent
    ) -> tuple[list[Placed], dict[Digest, LazydataError]]:
        """Put objects there together, in one pack. They are not claimed by that.

        The same objects in the same order make the same pack, so a push that died is
        taken up where it was.

        Args:
            objects: what to put there.
            scratch: a local directory that the pack is made in.
            progress: told of bytes of objects that need no longer be moved.

        Returns:
            What is there now, and the local files that are not what they should be.

        Raises:
            RemoteUnavailable, RemoteDenied, NoSpace: the remote does not take it.
        """
        path = temp_name(scratch)
        try:
            name, packed, failed = await in_thread(write_pack, path, objects)
            if not packed:
                return [], failed
            key, size = pack_key(name), os.path.getsize(path)
            with attempt(progress) as report:
                sent, confirmed = await self._put(key, Path(path), size, report)
                report(sum(each.size for each in packed) - size)
        finally:
            remove(path)
        rows = [Row(b.digest, b.size, key, b.offset, b.stored, b.codec) for b in packed]
        return [Placed(row, sent, confirmed) for row in rows], failed

    async def upload_stored_pack(
        self, objects: Sequence[Outgoing], progress: Progress = silent
    ) -> list[Placed]:
        """Put a pack of the store there, as it is. Its objects are not claimed by that.

        Args:
            objects: all that is in it.
            progress: told of bytes of objects that need no longer be moved.

        Raises:
            ObjectCorrupt, ObjectMissing: it is not what its name says, or is gone.
            RemoteUnavailable, RemoteDenied, NoSpace: the remote does not take it.
        """
        name, path = objects[0].pack or "", objects[0].path
        with reading(objects[0]):
            hashed = await in_thread(hash_file, str(path))
        if hashed.digest.hex != name:
            raise ObjectCorrupt(f"the pack {path} is damaged", hint="lazydata verify mends it")
        key, size = pack_key(name), hashed.stamp.size
        with attempt(progress) as report:
            sent, confirmed = await self._put(key, path, size, report)
            report(sum(each.size for each in objects) - size)
        packed = [each.packed for each in objects if each.packed is not None]
        rows = [Row(b.digest, b.size, key, b.offset, b.stored, b.codec) for b in packed]
        return [Placed(row, sent, confirmed) for row in rows]

    async def _put(self, key: str, path: Path, size: int, report: Progress) -> tuple[bool, bool]:
        """Put a file under a key that says what it holds.

        Returns:
            Whether it was sent, and whether the remote confirmed its size then.
        """
        if size >= _ASK_FIRST:
            found = await self._remote.stat(key)
            if found and found.size == size:
                report(size)
                return False, False
        await self._remote.put(key, path, report)
        try:
            found = await self._remote.stat(key)
        except RemoteDenied:  # it may be one that can be written to, but not read
            return True, False
        if found is None or found.size != size:
            says = "it is not there" if found is None else f"it has {found.size} bytes"
            raise RemoteUnavailable(f"{self.url}: {key} was uploaded with {size} bytes, but {says}")
        return True, True


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
