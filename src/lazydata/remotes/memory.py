"""A remote in a dict, for tests: strict where others are lenient."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

from lazydata.errors import RemoteObjectMissing
from lazydata.progress import Progress, attempt
from lazydata.remotes.base import Stat, check_beginning, check_folder, check_key


class MemoryRemote:
    """Holds bytes in this process; lists them out of order, lets go of the loop at every call.

    Example:
        >>> remote = MemoryRemote("memory://x")
    """

    def __init__(self, url: str = "memory://", options: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.concurrency = 4
        self.held: dict[str, tuple[bytes, float]] = {}

    async def prepare(self) -> None:
        """Nothing to create."""

    async def put(self, key: str, source: Path, progress: Progress) -> None:
        """See ``Remote.put``."""
        with attempt(progress) as report:
            data = source.read_bytes()
            report(len(data))
            await self.put_bytes(key, data)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Remote.put_bytes``."""
        check_key(key)
        await asyncio.sleep(0)
        self.held[key] = (bytes(data), time.time())

    async def get(self, key: str, target: Path, progress: Progress) -> None:
        """See ``Remote.get``."""
        with attempt(progress) as report:
            data = await self._bytes_of(key)
            with open(target, "ab") as out:
                check_beginning(out.tell(), len(data), target)
                report(out.tell())
                report(out.write(data[out.tell() :]))

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ``Remote.get_range``."""
        return (await self._bytes_of(key))[start : start + length]

    async def stat(self, key: str) -> Stat | None:
        """See ``Remote.stat``."""
        check_key(key)
        await asyncio.sleep(0)
        found = self.held.get(key)
        return Stat(key, len(found[0]), found[1]) if found else None

    async def list(self, prefix: str) -> AsyncIterator[Stat]:
        """See ``Remote.list``."""
        check_folder(prefix)
        found = [Stat(k, len(d), t) for k, (d, t) in self.held.items() if k.startswith(prefix)]
        random.shuffle(found)
        for number, each in enumerate(found):
            if number % 100 == 0:
                await asyncio.sleep(0)
            yield each

    async def delete(self, keys: Collection[str]) -> None:
        """See ``Remote.delete``."""
        for key in keys:
            check_key(key)
        await asyncio.sleep(0)
        for key in keys:
            self.held.pop(key, None)

    async def close(self) -> None:
        """Nothing to let go of: the bytes stay, as they would elsewhere."""

    async def _bytes_of(self, key: str) -> bytes:
        check_key(key)
        await asyncio.sleep(0)
        if key not in self.held:
            raise RemoteObjectMissing(f"{self.url} has no {key}")
        return self.held[key][0]
