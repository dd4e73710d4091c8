"""From the store to a remote."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from lazydata.digest import Digest
from lazydata.errors import (
    FileChanged,
    FileDenied,
    LazydataError,
    NeedsUpgrade,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteUnavailable,
)
from lazydata.outgoing import Outgoing
from lazydata.progress import Meter
from lazydata.remotes.candidates import HALF_GRACE
from lazydata.remotes.claims import ROWS_AT_MOST, Row
from lazydata.remotes.threads import in_thread, spread
from lazydata.remotes.uploading import Placed
from lazydata.repository import Repository
from lazydata.transfer.limits import IN_FLIGHT, Bytes, Cause
from lazydata.transfer.plan import parcels

CLAIM_EVERY = 300.0  # seconds between two claims of a long push
_ROUNDS = 3  # of sending again what a gc took

Find = Callable[[Collection[Digest]], tuple[list[Outgoing], dict[Digest, LazydataError]]]


@dataclass(slots=True)
class Pushed:
    """What a push did.

    Args:
        uploaded: objects that were sent now.
        confirmed: those that the remote says it has, of the right size.
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
        self._watch = repository.watch()
        self._claimed: list[Row] = []
        self._skipped: set[Digest] = set()
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
        self._skipped.update(row.digest for row in self._rows)
        self.done.already = len(needed) - len(new) + len(self._rows)
        missing = [digest for digest in needed if digest in new and digest not in there]
        sending, self.done.failed = await in_thread(find, missing) if missing else ([], {})
        if dry_run:
            self.done.uploaded = [each.digest for each in sending]
            self.done.bytes = sum(each.size for each in sending)
        elif sending or self._rows:
            await repository.begin()
            await self._watch.look()
            await self._send_all(sending)
            await self._settle(needed, find)
            await repository.compact()
        return self.done

    async def _send_all(self, sending: list[Outgoing]) -> None:
        self._meter.expect(files=len(sending), size=sum(each.size for each in sending))
        await spread(parcels(sending), self._jobs, self._send)
        await self._claim()

    async def _settle(self, needed: list[Digest], find: Find) -> None:
        """Send again what a gc took before it could see that it is claimed."""
        for _ in range(_ROUNDS):
            doubtful = await self._doubtful(needed)
            there = await self._repository.confirm(doubtful)
            self.done.confirmed += there.difference(self.done.confirmed)
            lacking = [digest for digest in doubtful if digest not in there]
            if not lacking:
                return
            self._take_back(lacking)
            sending, failed = await in_thread(find, lacking)
            self.done.failed.update(failed)
            await self._send_all(sending)
        self._take_back(lacking)
        error = RemoteUnavailable(f"{self._repository.url} loses what is sent there")
        self.done.failed.update(dict.fromkeys(lacking, error))

    async def _doubtful(self, needed: list[Digest]) -> dict[Digest, int | None]:
        """What is claimed, and may be gone: it was not sent, or a gc was about to take it."""
        rows, self._claimed = self._claimed, []
        skipped, self._skipped = self._skipped, set()
        risky = await self._watch.outlast({row.key for row in rows})
        found: dict[Digest, int | None] = {
            row.digest: row.size for row in rows if row.key in risky or row.digest in skipped
        }
        if self._watch.lasting.seconds > HALF_GRACE:
            left = (digest for digest in needed if digest not in self.done.failed)
            found = {**dict.fromkeys(left), **found}
        return found

    def _take_back(self, lacking: list[Digest]) -> None:
        """What was counted as there is not."""
        gone = set(lacking)
        self.done.already -= len(gone.difference(self.done.uploaded))
        self.done.uploaded = [each for each in self.done.uploaded if each not in gone]
        self.done.confirmed = [each for each in self.done.confirmed if each not in gone]

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
            NeedsUpgrade,
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
                self._skipped.add(row.digest)
            if confirmed:
                self.done.confirmed.append(row.digest)
            self._meter.done()

    async def _claim(self) -> None:
        rows, self._rows = self._rows, []
        self._claimed_at = self._clock()
        if rows:
            await self._repository.claim(rows)
        self._claimed += rows
