"""From the store to a remote."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from lazydata.digest import Digest
from lazydata.errors import (
    FileChanged,
    FileDenied,
    LazydataError,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteUnavailable,
)
from lazydata.outgoing import Outgoing
from lazydata.progress import Meter
from lazydata.remotes.claims import ROWS_AT_MOST, Row
from lazydata.remotes.threads import in_thread, spread
from lazydata.repository import Placed, Repository
from lazydata.transfer.limits import IN_FLIGHT, Bytes, Cause
from lazydata.transfer.plan import parcels

CLAIM_EVERY = 300.0  # seconds between two claims of a long push

Find = Callable[[Collection[Digest]], tuple[list[Outgoing], dict[Digest, LazydataError]]]


@dataclass(slots=True)
class Pushed:
    """What a push did.

    Args:
        uploaded: objects that were sent now.
        confirmed: those of them whose size the remote confirmed.
        already: how many were there before.
        bytes: how many were sent, as the objects have them.
        failed: objects that did not get there, and why.
    """

    uploaded: list[Digest] = field(default_factory=list)
    confirmed: list[Digest] = field(default_factory=list)
    already: int = 0
    bytes: int = 0
    failed: dict[Digest, LazydataError] = field(default_factory=dict)


class Pushing:
    """One push to one remote; see ``push`` for the arguments."""

    def __init__(
        self,
        repository: Repository,
        scratch: str,
        meter: Meter,
        jobs: int | None,
        claim_every: float,
        clock: Callable[[], float],
    ) -> None:
        self._repository = repository
        self._scratch = scratch
        self._meter = meter
        self._jobs = jobs or repository.concurrency
        self._claim_every = claim_every
        self._clock = clock
        self._cause = Cause(repository, writing=True)
        self._in_flight = Bytes(IN_FLIGHT)
        self._rows: list[Row] = []
        self._claimed_at = clock()
        self.done = Pushed()

    async def run(self, wanted: Iterable[Digest], find: Find, *, dry_run: bool) -> Pushed:
        """Send what is wanted and not there."""
        needed = list(dict.fromkeys(wanted))
        if not needed:
            return self.done
        repository = self._repository
        await repository.refresh()
        new = await repository.unclaimed(needed)
        there = await repository.locate(new) if new else {}
        # What someone else claims is there already: our own claim makes it stay.
        self._rows = [Row.of(digest, there[digest][0]) for digest in needed if digest in there]
        self.done.already = len(needed) - len(new) + len(self._rows)
        missing = [digest for digest in needed if digest in new and digest not in there]
        sending, self.done.failed = await in_thread(find, missing) if missing else ([], {})
        if dry_run:
            self.done.uploaded = [each.digest for each in sending]
            self.done.bytes = sum(each.size for each in sending)
        elif sending or self._rows:
            self._meter.expect(files=len(sending), size=sum(each.size for each in sending))
            await repository.begin()
            await spread(parcels(sending), self._jobs, self._send)
            await self._claim()
            await repository.compact()
        return self.done

    async def _send(self, parcel: list[Outgoing]) -> None:
        try:
            if parcel[0].pack is not None:
                placed = await self._repository.upload_stored_pack(parcel, self._meter)
                failed: dict[Digest, LazydataError] = {}
            elif len(parcel) == 1:
                placed = [await self._repository.upload(parcel[0], self._meter)]
                failed = {}
            else:
                async with self._in_flight.hold(sum(each.size for each in parcel)):
                    placed, failed = await self._repository.upload_pack(
                        parcel, self._scratch, self._meter
                    )
        except (
            RemoteUnavailable,
            RemoteDenied,
            ObjectCorrupt,
            ObjectMissing,
            FileChanged,
            FileDenied,
        ) as error:
            await self._cause.judge(error)
            placed, failed = [], {each.digest: error for each in parcel}
        self._note(placed, failed)
        due = self._clock() - self._claimed_at >= self._claim_every
        if due or len(self._rows) >= ROWS_AT_MOST:
            await self._claim()

    def _note(self, placed: Iterable[Placed], failed: dict[Digest, LazydataError]) -> None:
        self.done.failed.update(failed)
        for row, sent, confirmed in placed:
            self._rows.append(row)
            if sent:
                self.done.uploaded.append(row.digest)
                self.done.bytes += row.size
            else:
                self.done.already += 1
            if confirmed:
                self.done.confirmed.append(row.digest)
            self._meter.done()

    async def _claim(self) -> None:
        rows, self._rows = self._rows, []
        self._claimed_at = self._clock()
        if rows:
            await self._repository.claim(rows)
