"""All that a project needs on a remote, read and hashed again."""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import dataclass, field

from lazydata.digest import Digest, Hasher
from lazydata.errors import (
    LazydataError,
    NeedsUpgrade,
    ObjectCorrupt,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
)
from lazydata.packs import SIZE, check_claimed, verified
from lazydata.progress import Meter
from lazydata.remotes.base import Remote, Stat
from lazydata.remotes.claims import BYTES_AT_MOST, FOLDER, RAW, ClaimMemory, Row, name_of
from lazydata.remotes.layout import MARKER, is_whole, pack_of
from lazydata.remotes.threads import in_thread, spread
from lazydata.transfer.faults import CORRUPT, MISSING, NEWER, UNKNOWN, Claims, Fault, judge_pack
from lazydata.transfer.limits import IN_FLIGHT, Bytes, Cause
from lazydata.transfer.surveying import Surveying

_CHUNK = 8 << 20  # bytes that one request brings
_LARGEST_PACK = 2 * SIZE
_READ_AT_ONCE = 4
_LISTINGS = 3


@dataclass(slots=True)
class RemoteChecked:
    """What hashing a remote again came to.

    Args:
        claims: what its index files say.
        objects: how many were hashed.
        faults: what is not as it should be.
    """

    claims: Claims
    objects: int = 0
    faults: list[Fault] = field(default_factory=list)


class Verifying(Surveying):
    """One remote, read for one project. Nothing is changed there.

    Args:
        remote: to be read.
        memory: what is known of its index files; it is not relied on.
        project: whose claims count; what only others claim counts where it is needed.
        meter: told of bytes that were read.
    """

    def __init__(
        self, remote: Remote, *, memory: ClaimMemory, project: str, meter: Meter | None = None
    ) -> None:
        super().__init__(remote, memory=memory, project=project)
        self._meter = meter or Meter()
        self._in_flight = Bytes(IN_FLIGHT)
        self._cause = Cause(self, writing=False)

    async def examine(
        self,
        needed: Collection[Digest],
        *,
        pushed: Collection[Digest] = (),
        only: Container[str] | None = None,
    ) -> RemoteChecked:
        """Hash what this project claims, and what it needs and others claim.

        Args:
            needed: what it needs.
            pushed: what it is known to have pushed, so that it must be claimed.
            only: keys of the files to read; all by default.

        Raises:
            UsageError: nothing was ever pushed there.
            RemoteUnavailable, RemoteDenied: the remote as a whole fails.
        """
        checked = RemoteChecked(Claims(self._project, needed))
        is_used = await self._read_index_files(checked)
        await self._look_at_marker(checked, is_used=is_used)
        if not checked.faults:  # else it is no wonder
            self._look_for_claims(checked, pushed)
        wanted = checked.claims.by_key()
        keys = [key for key in sorted(wanted) if only is None or key in only]
        self._meter.expect(files=len(keys))

        async def look(key: str) -> None:
            fault = await self._fault_of(key, wanted[key])
            checked.objects += len(wanted[key])
            checked.faults += [fault] if fault else []
            self._meter.done()

        await spread(keys, self.concurrency, look)
        checked.faults.sort()
        return checked

    # Index files and the marker

    async def _read_index_files(self, checked: RemoteChecked) -> bool:
        """Read them all; whether there are any."""
        read: set[str] = set()
        for _ in range(_LISTINGS):
            listed = await self._index_files_now()
            new = [stat for name, stat in listed.items() if name not in read]
            if not new:
                break

            async def look(stat: Stat) -> None:
                await self._read_index_file(stat, checked)

            await spread(new, _READ_AT_ONCE, look)
            read.update(listed)
        checked.claims.keep(listed)  # what was put together meanwhile is in the new ones
        return bool(listed)

    async def _read_index_file(self, stat: Stat, checked: RemoteChecked) -> None:
        name = name_of(stat.key) or ""
        try:
            if stat.size > BYTES_AT_MOST:
                raise ObjectCorrupt(f"index file {name} is too large to be one")
            checked.claims.take(name, await self._read(name))
        except RemoteObjectMissing:
            pass  # it was put together with others, which are listed again
        except UsageError as error:
            checked.faults.append(Fault(stat.key, NEWER, error.message))
        except ObjectCorrupt as error:
            checked.faults.append(Fault(stat.key, CORRUPT, error.message))
        except (RemoteDenied, RemoteUnavailable) as error:
            await self._cause.judge(error)
            checked.faults.append(Fault(stat.key, UNKNOWN, error.message))

    async def _look_at_marker(self, checked: RemoteChecked, *, is_used: bool) -> None:
        """The format of a remote that holds something must be known."""
        try:
            if await self.check():
                return
        except NeedsUpgrade:
            raise
        except UsageError as error:
            if not is_used:
                raise
            checked.faults.append(Fault(MARKER, CORRUPT, error.message))
            return
        if not is_used:
            raise UsageError(
                f"{self.url} is not marked as a remote of lazydata",
                hint="nothing was pushed there yet. Or is the share not mounted?",
            )
        checked.faults.append(Fault(MARKER, MISSING, "the remote does not say its format"))

    def _look_for_claims(self, checked: RemoteChecked, pushed: Collection[Digest]) -> None:
        """What was pushed is claimed, or else a gc would take it."""
        lost = sorted(set(pushed) - checked.claims.claimed())
        if lost:
            rows = tuple(Row(each, 0, FOLDER, 0, 0, RAW) for each in lost)
            checked.faults.append(Fault(FOLDER, MISSING, "no index file lists it any more", rows))

    # Objects and packs

    async def _fault_of(self, key: str, rows: Collection[Row]) -> Fault | None:
        every = tuple(sorted(rows))
        try:
            stat = await self._remote.stat(key)
            if stat is None:
                raise RemoteObjectMissing("it is not there")
            name = pack_of(key)
            if name and stat.size <= _LARGEST_PACK:
                async with self._in_flight.hold(stat.size):
                    data = await self._remote.get_range(key, 0, _LARGEST_PACK)
                    self._meter(len(data))
                    return await in_thread(judge_pack, key, name, data, rows)
            return await self._fault_of_rows(key, every)
        except RemoteObjectMissing as error:
            return Fault(key, MISSING, error.message, every)
        except (RemoteDenied, RemoteUnavailable) as error:
            await self._cause.judge(error)
            return Fault(key, UNKNOWN, error.message, every)

    async def _fault_of_rows(self, key: str, rows: Collection[Row]) -> Fault | None:
        """Of a file that is no pack: it is an object, or a stranger says that parts of it are."""
        bad: dict[Row, LazydataError] = {}
        for row in rows:
            try:
                await (self._hash if is_whole(row.location) else self._unpack)(row)
            except (ObjectCorrupt, NeedsUpgrade) as error:
                bad[row] = error
        if not bad:
            return None
        first = next(iter(bad.values()))
        is_newer = all(isinstance(each, NeedsUpgrade) for each in bad.values())
        return Fault(key, NEWER if is_newer else CORRUPT, first.message, tuple(bad))

    async def _hash(self, row: Row) -> None:
        hasher, at = Hasher(row.digest.algorithm), 0
        while at <= row.size:  # one byte more than it may have shows that it is longer
            length = min(_CHUNK, row.size + 1 - at)
            async with self._in_flight.hold(length):
                data = await self._remote.get_range(row.key, at, length)
                await in_thread(hasher.update, data)
            at += len(data)
            self._meter(len(data))
            if len(data) < length:
                break
        if at != row.size:
            more = " or more" if at > row.size else ""
            raise ObjectCorrupt(f"it has {at:,} bytes{more}, not {row.size:,}")
        if hasher.digest != row.digest:
            raise ObjectCorrupt(f"its bytes are {hasher.digest}")

    async def _unpack(self, row: Row) -> None:
        check_claimed(row.size, row.stored)
        stored = await self._remote.get_range(row.key, row.offset, row.stored)
        await in_thread(verified, row.digest, row.codec, stored, row.size)
