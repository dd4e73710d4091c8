"""Objects between store and remotes: many at once, each verified, each failing alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lazydata.digest import Digest
from lazydata.errors import (
    FileChanged,
    FileDenied,
    LazydataError,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
    most_telling,
)
from lazydata.messages import warn
from lazydata.progress import Progress, silent
from lazydata.remotes.claims import ROWS_AT_MOST, Row
from lazydata.remotes.threads import in_thread, run, spread
from lazydata.repository import Outgoing, Repository

T = TypeVar("T")

CLAIM_EVERY = 300.0  # seconds between two claims of a long push
_LOCATED_AT_ONCE = 2000


class ObjectStore(Protocol):
    """What a pull needs of the store."""

    def has(self, digest: Digest) -> bool:
        """Whether the object is there."""

    def incoming(self, digest: Digest) -> AbstractContextManager[Path]:
        """A temp file to fill; leaving it verifies, then gives it its name.

        Entered and left in different threads.

        Raises:
            ObjectCorrupt: the bytes are not the object's; the store is as it was.
        """


@dataclass(slots=True)
class Pushed:
    """What a push did.

    Args:
        uploaded: objects that were sent now.
        confirmed: those of them whose size the remote confirmed.
        already: how many were there before.
        bytes: how many were sent.
        failed: objects that did not get there, and why.
    """

    uploaded: list[Digest] = field(default_factory=list)
    confirmed: list[Digest] = field(default_factory=list)
    already: int = 0
    bytes: int = 0
    failed: dict[Digest, LazydataError] = field(default_factory=dict)


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


def push(
    open_repository: Callable[[], Repository],
    objects: Iterable[Outgoing],
    *,
    progress: Progress = silent,
    claim_every: float = CLAIM_EVERY,
    clock: Callable[[], float] = time.monotonic,
) -> Pushed:
    """Put objects on a remote, and claim them for the project.

    What the project has claimed before costs nothing but the listing of the
    remote's index files. An object that fails leaves the others alone.

    Args:
        open_repository: called in the loop that does the work.
        objects: what the project needs there, each digest once or several times.
        progress: told of bytes that need no longer be moved; in all, the sizes
            of the objects that did not fail.
        claim_every: seconds after which a long push claims what it has so far.
        clock: seconds that only go forward.

    Raises:
        RemoteUnavailable, RemoteDenied, NoSpace: the remote as a whole fails:
            one error for one cause. What was sent by then stays there,
            unclaimed, and the next push goes on from it.

    Example::

        done = push(lambda: Repository(open_remote(url), memory=memory, project=id), objects)
    """

    async def work() -> Pushed:
        repository = open_repository()
        try:
            return await _Push(repository, progress, claim_every, clock).run(objects)
        finally:
            await repository.close()

    return run(work)


def pull(
    open_repositories: Sequence[Callable[[], Repository]],
    wanted: Iterable[Digest],
    store: ObjectStore,
    *,
    progress: Progress = silent,
) -> Pulled:
    """Bring objects into the store, each from the first remote that gives it whole.

    Args:
        open_repositories: the remotes in the order to try them; each is called
            in the loop that does the work, and only if something is left for it.
        wanted: digests, each once or several times.
        store: where verified bytes go; what it has is left alone.
        progress: told of bytes that arrived.

    Raises:
        RemoteUnavailable, RemoteDenied, UsageError: nothing arrived, and this
            is the one cause of it all.
        NoSpace, FileDenied: the store can't take it.

    Example::

        done = pull([lambda: Repository(...)], [digest], store)
    """
    return run(lambda: _Pull(store, progress).run(open_repositories, wanted))


class _Cause:
    """Tells a remote that fails as a whole from objects that fail alone."""

    def __init__(self, repository: Repository, *, writing: bool) -> None:
        self._repository = repository
        self._writing = writing
        self._lock = asyncio.Lock()

    async def judge(self, error: LazydataError) -> None:
        """Return where only one object is concerned.

        Raises:
            RemoteUnavailable, RemoteDenied: the remote does not even answer a
                plain question; that ends the work, so the others are not asked.
        """
        if isinstance(error, RemoteUnavailable | RemoteDenied):
            async with self._lock:
                await self._repository.ask(writing=self._writing)


class _Push:
    def __init__(
        self,
        repository: Repository,
        progress: Progress,
        claim_every: float,
        clock: Callable[[], float],
    ) -> None:
        self._repository = repository
        self._progress = progress
        self._claim_every = claim_every
        self._clock = clock
        self._cause = _Cause(repository, writing=True)
        self._rows: list[Row] = []
        self._claimed_at = clock()
        self.done = Pushed()

    async def run(self, objects: Iterable[Outgoing]) -> Pushed:
        needed = {each.digest: each for each in objects}
        if not needed:
            return self.done
        repository = self._repository
        await repository.refresh()
        new = await repository.unclaimed(needed)
        self._skip(needed[digest] for digest in needed if digest not in new)
        if new:
            await repository.begin()
            sending = []
            there = await repository.locate(new)
            for digest, outgoing in needed.items():
                if digest in there:  # someone else's claim: ours makes it stay
                    self._skip([outgoing])
                    self._rows.append(Row.of(digest, there[digest][0]))
                elif digest in new:
                    sending.append(outgoing)
            await spread(sending, repository.concurrency, self._send)
            await self._claim()
        return self.done

    def _skip(self, objects: Iterable[Outgoing]) -> None:
        for each in objects:
            self.done.already += 1
            self._progress(each.size)

    async def _send(self, outgoing: Outgoing) -> None:
        try:
            placed = await self._repository.upload([outgoing], self._progress)
        except (
            RemoteUnavailable,
            RemoteDenied,
            ObjectCorrupt,
            ObjectMissing,
            FileChanged,
            FileDenied,
        ) as error:
            await self._cause.judge(error)
            self.done.failed[outgoing.digest] = error
            return
        for row, sent, confirmed in placed:
            self._rows.append(row)
            if sent:
                self.done.uploaded.append(row.digest)
                self.done.bytes += row.size
            else:
                self.done.already += 1
            if confirmed:
                self.done.confirmed.append(row.digest)
        due = self._clock() - self._claimed_at >= self._claim_every
        if due or len(self._rows) >= ROWS_AT_MOST:
            await self._claim()

    async def _claim(self) -> None:
        rows, self._rows = self._rows, []
        self._claimed_at = self._clock()
        if rows:
            await self._repository.claim(rows)


class _Pull:
    def __init__(self, store: ObjectStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress
        self._reasons: dict[Digest, list[LazydataError]] = {}
        self.done = Pulled()

    async def run(
        self, open_repositories: Sequence[Callable[[], Repository]], wanted: Iterable[Digest]
    ) -> Pulled:
        left = [digest for digest in dict.fromkeys(wanted) if not await self._has(digest)]
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

    async def _has(self, digest: Digest) -> bool:
        found = await in_thread(self._store.has, digest)
        self.done.already += found
        return found

    async def _from(
        self, open_repository: Callable[[], Repository], wanted: Collection[Digest]
    ) -> None:
        repository = open_repository()
        cause = _Cause(repository, writing=False)
        try:
            await repository.check()
            await repository.refresh()
            for some in _batches(wanted, _LOCATED_AT_ONCE):
                there = await repository.locate(some)

                async def fetch(digest: Digest, there: Any = there) -> None:
                    try:
                        await repository.fetch(
                            digest,
                            lambda: self._store.incoming(digest),
                            self._progress,
                            locations=there.get(digest, ()),
                        )
                        self.done.fetched[digest] = repository.url
                    except (
                        ObjectCorrupt,
                        RemoteDenied,
                        RemoteUnavailable,
                        RemoteObjectMissing,
                    ) as error:
                        await cause.judge(error)
                        self._reasons.setdefault(digest, []).append(error)

                await spread(some, repository.concurrency, fetch)
        finally:
            await repository.close()

    def _raise_one_cause(self, causes: list[LazydataError]) -> None:
        reasons = list(self.done.failed.values())
        if reasons and not self.done.fetched and all(each is reasons[0] for each in reasons):
            for cause in causes:
                if reasons[0] is cause:
                    raise cause


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    waiting = iter(items)
    while some := [*islice(waiting, size)]:
        yield some
