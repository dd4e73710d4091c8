"""From remotes into the store."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from lazydata.digest import Digest
from lazydata.errors import (
    LazydataError,
    NeedsUpgrade,
    ObjectCorrupt,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
    most_telling,
)
from lazydata.messages import warn
from lazydata.packs import PackedObject
from lazydata.progress import Meter
from lazydata.remotes.claims import Location
from lazydata.remotes.layout import pack_of
from lazydata.remotes.threads import in_thread, spread
from lazydata.repository import ObjectStore, Repository
from lazydata.transfer.limits import IN_FLIGHT, Bytes, Cause
from lazydata.transfer.plan import Job, jobs, ranges

T = TypeVar("T")

_LOCATED_AT_ONCE = 50_000
_LOOK = 0.05  # seconds between two looks at another process that fetches the same
_BEAT = 5.0  # seconds between two signs of life to those who wait for us


@dataclass(slots=True)
class Pulled:
    """What a pull did.

    Args:
        fetched: objects that are in the store now, verified, with the URL of
            the remote that each came from.
        already: how many were in the store before.
        failed: objects that no remote gave, and the most telling reason. Those
            that failed for one reason have the same error.
    """

    fetched: dict[Digest, str] = field(default_factory=dict)
    already: int = 0
    failed: dict[Digest, LazydataError] = field(default_factory=dict)


class Pulling:
    """One pull from some remotes; see ``pull`` for the arguments."""

    def __init__(
        self,
        store: ObjectStore,
        meter: Meter,
        jobs: int | None,
        sizes: Mapping[Digest, int | None] | None = None,
    ) -> None:
        self._sizes = sizes or {}
        self._store = store
        self._meter = meter
        self._jobs = jobs
        self._reasons: dict[Digest, list[LazydataError]] = {}
        self.done = Pulled()

    async def run(
        self, open_repositories: Sequence[Callable[[], Repository]], wanted: Iterable[Digest]
    ) -> Pulled:
        """Fetch what is wanted and not in the store."""
        needed = list(dict.fromkeys(wanted))
        left = await self._lacking(needed)
        self.done.already = len(needed) - len(left)
        self._meter.expect(files=len(left))
        causes: list[LazydataError] = []
        for number, open_repository in enumerate(open_repositories, 1):
            if not left:
                break
            try:
                await self._from(open_repository, left)
            except (RemoteUnavailable, RemoteDenied, UsageError) as error:
                causes.append(error)
                for digest in left:
                    if digest not in self.done.fetched:
                        self._reasons.setdefault(digest, []).append(error)
                if number < len(open_repositories):
                    warn(f"{error.message}; trying the next remote")
            left = [digest for digest in left if digest not in self.done.fetched]
        for digest in left:
            reasons = self._reasons.get(digest)
            self.done.failed[digest] = (
                most_telling(reasons)
                if reasons
                else RemoteObjectMissing(f"{digest} is not here, and there is no remote to ask")
            )
        self._raise_one_cause(causes)
        return self.done

    async def _lacking(self, digests: list[Digest]) -> list[Digest]:
        return await in_thread(self._store.lacking, digests)

    async def _from(
        self, open_repository: Callable[[], Repository], wanted: Collection[Digest]
    ) -> None:
        repository = open_repository()
        try:
            await repository.check()
            await repository.refresh()
            for some in _batches(wanted, _LOCATED_AT_ONCE):
                there = await repository.locate(some, absent=True)
                keys = {each.key for places in there.values() for each in places}
                extents = await repository.extents([key for key in keys if pack_of(key)])
                planned = list(jobs(some, there, extents))
                self._meter.expect(size=sum(b.size for job in planned for b in job.wanted))
                fetching = _Fetching(repository, self._store, self._meter, there, self._sizes)
                try:
                    await spread(planned, self._jobs or repository.concurrency, fetching.run)
                finally:
                    self.done.fetched.update(dict.fromkeys(fetching.arrived, repository.url))
                    for digest, error in fetching.failed.items():
                        self._reasons.setdefault(digest, []).append(error)
        finally:
            await repository.close()

    def _raise_one_cause(self, causes: list[LazydataError]) -> None:
        reasons = list(self.done.failed.values())
        if reasons and not self.done.fetched and all(each is reasons[0] for each in reasons):
            for cause in causes:
                if reasons[0] is cause:
                    raise cause


class _Fetching:
    """Jobs on one remote: what arrived, and why the rest did not."""

    def __init__(
        self,
        repository: Repository,
        store: ObjectStore,
        meter: Meter,
        located: Mapping[Digest, Sequence[Location]],
        sizes: Mapping[Digest, int | None],
    ) -> None:
        self._repository, self._store, self._meter = repository, store, meter
        self._located, self._sizes = located, sizes
        self._cause = Cause(repository, writing=False)
        self._in_flight = Bytes(IN_FLIGHT)
        self.arrived: list[Digest] = []
        self.failed: dict[Digest, LazydataError] = {}
        self._unreadable: set[str] = set()
        self._damaged: dict[tuple[Digest, str], LazydataError] = {}
        self._limit = repository.concurrency
        self._singles = asyncio.Semaphore(self._limit)  # over all jobs

    async def run(self, job: Job) -> None:
        """Do one, unless another process does it just now."""
        async with self._alone(job.name) as waited:
            # Somebody may have come and gone since we looked: then the first one is here.
            is_old = waited or not await self._lacking(job.wanted[:1])
            left = await self._lacking(job.wanted) if is_old else job.wanted
            self._arrived(set(job.wanted) - set(left))
            if left and job.key:
                async with self._in_flight.hold(job.size):
                    left = await self._together(job._replace(wanted=left), job.key)
            await spread(left, self._limit, self._single)

    async def _together(self, job: Job, key: str) -> list[PackedObject]:
        """Fetch from a pack; what did not come is left to be fetched one by one."""
        try:
            if job.whole:
                size = sum(each.size for each in job.wanted)
                await self._repository.fetch_pack(key, self._store, self._meter, size=size)
                left = await self._lacking(job.wanted)
            else:
                damaged = await self._repository.fetch_range(
                    key, job.wanted, self._store, self._meter
                )
                self._damaged.update({(each, key): why for each, why in damaged.items()})
                left = [each for each in job.wanted if each.digest in damaged]
        except (ObjectCorrupt, NeedsUpgrade) as error:
            if isinstance(error, ObjectCorrupt):
                warn(f"{self._repository.url} has damaged bytes in {key}: {error.message}")
            left = []
            for part in ranges(key, job.wanted):  # what is sound in it is still to be had
                left += await self._together(part, key)
            return left
        except (RemoteDenied, RemoteUnavailable, RemoteObjectMissing) as error:
            await self._cause.judge(error)
            self._unreadable.add(key)
            return job.wanted
        self._arrived(set(job.wanted) - set(left))
        return left

    async def _single(self, wanted: PackedObject) -> None:
        """Fetch one object from wherever it is, but not from packs that were no good."""
        digest = wanted.digest
        known = self._located.get(digest, ())
        damaged = [e for at in known if (e := self._damaged.get((digest, at.key)))]
        places = [
            at
            for at in known
            if at.key not in self._unreadable and (digest, at.key) not in self._damaged
        ]
        try:
            async with self._singles:
                await self._repository.fetch(
                    digest,
                    self._store,
                    self._meter,
                    locations=places,
                    size=self._sizes.get(digest),
                )
        except (
            ObjectCorrupt,
            NeedsUpgrade,
            RemoteDenied,
            RemoteUnavailable,
            RemoteObjectMissing,
        ) as error:
            await self._cause.judge(error)
            # Damaged in one place and absent from all others is damage.
            missing = isinstance(error, RemoteObjectMissing)
            self.failed[digest] = damaged[0] if damaged and missing else error
        else:
            self._arrived([wanted])

    def _arrived(self, packed: Collection[PackedObject]) -> None:
        self.arrived += [each.digest for each in packed]
        self._meter.done(len(packed))

    async def _lacking(self, packed: list[PackedObject]) -> list[PackedObject]:
        left = set(await in_thread(self._store.lacking, [each.digest for each in packed]))
        return [each for each in packed if each.digest in left]

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[bool]:
        """Wait while another process does this job: it then brings what we need.

        That spares work and is no more than that: where locks do nothing, all do it.
        Gives whether we had to wait.
        """
        waited = False
        while (lock := await in_thread(self._store.try_lock, name)) is None:
            waited = True
            await asyncio.sleep(_LOOK)

        async def beat() -> None:
            while True:
                await asyncio.sleep(_BEAT)
                await in_thread(lock.touch)

        beating = asyncio.create_task(beat())
        try:
            yield waited
        finally:
            beating.cancel()
            lock.release()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    waiting = iter(items)
    while some := [*islice(waiting, size)]:
        yield some
