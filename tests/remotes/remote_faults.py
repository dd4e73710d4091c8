"""A remote that fails as a test's script says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from lazydata.progress import Progress
from lazydata.remotes.base import Remote, Stat


@dataclass
class Fault:
    """What happens instead of, or after, a call."""

    error: Exception | None = None
    left: int = 1
    key: str | None = None
    truncate: int | None = None
    corrupt: bool = False
    hang: bool = False
    effect: Callable[[], None] | None = None


class On:
    """The queue of one method: ``remote.on("put").fail(error, times=2)``."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fail(self, error: Exception, *, times: int = 1, key: str | None = None) -> On:
        self.faults.append(Fault(error, times, key))
        return self

    def truncate(self, length: int, *, key: str | None = None) -> On:
        self.faults.append(Fault(key=key, truncate=length))
        return self

    def corrupt(self, *, times: int = 1, key: str | None = None) -> On:
        self.faults.append(Fault(left=times, key=key, corrupt=True))
        return self

    def hang(self) -> On:
        self.faults.append(Fault(hang=True))
        return self

    def then(self, effect: Callable[[], None]) -> On:
        self.faults.append(Fault(effect=effect))
        return self

    def next(self, key: str) -> Fault | None:
        for fault in self.faults:
            if fault.left and (fault.key is None or fault.key in key):
                fault.left -= 1
                return fault
        return None


class FaultyRemote:
    """Passes everything on, notes it in ``calls``, and fails where it was told to."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.url = remote.url
        self.concurrency = remote.concurrency
        self.calls: list[tuple[str, str]] = []
        self.most_at_once = 0
        self._now = 0
        self._queues: dict[str, On] = {}

    def on(self, method: str) -> On:
        return self._queues.setdefault(method, On())

    def keys(self, method: str) -> list[str]:
        return [key for called, key in self.calls if called == method]

    def assert_all_faults_used(self) -> None:
        left = {m: f for m, q in self._queues.items() for f in q.faults if f.left}
        assert not left, f"faults that never happened: {left}"

    async def prepare(self) -> None:
        await self._fault("prepare", "")
        await self.remote.prepare()

    async def put(self, key: str, source: Path, progress: Progress) -> None:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await self._fault("put", key)
            await self.remote.put(key, source, progress)
        finally:
            self._now -= 1

    async def put_bytes(self, key: str, data: bytes) -> None:
        await self._fault("put_bytes", key)
        await self.remote.put_bytes(key, data)

    async def get(self, key: str, target: Path, progress: Progress) -> None:
        fault = await self._fault("get", key)
        await self.remote.get(key, target, progress)
        if fault and fault.truncate is not None:
            with open(target, "r+b") as file:
                file.truncate(fault.truncate)
        if fault and fault.corrupt:
            with open(target, "r+b") as file:
                file.write(b"\0corrupt")

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        fault = await self._fault("get_range", key)
        data = await self.remote.get_range(key, start, length)
        return data[: fault.truncate] if fault and fault.truncate is not None else data

    async def stat(self, key: str) -> Stat | None:
        fault = await self._fault("stat", key)
        found = await self.remote.stat(key)
        if fault and fault.truncate is not None and found:
            return found._replace(size=fault.truncate)
        return found

    async def list(self, prefix: str) -> AsyncIterator[Stat]:
        await self._fault("list", prefix)
        async for each in self.remote.list(prefix):
            yield each
        await self._fault("list_end", prefix)

    async def delete(self, keys: Collection[str]) -> None:
        await self._fault("delete", ",".join(keys))
        await self.remote.delete(keys)

    async def close(self) -> None:
        self.calls.append(("close", ""))
        await self.remote.close()

    async def _fault(self, method: str, key: str) -> Fault | None:
        self.calls.append((method, key))
        queue = self._queues.get(method)
        fault = queue.next(key) if queue else None
        if fault and fault.error:
            raise fault.error
        if fault and fault.effect:
            fault.effect()
        if fault and fault.hang:
            await asyncio.Event().wait()
        return fault
