"""What can be said of any remote, said once: a wrapper is a remote around a remote."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import TypeVar

from lazydata.errors import RemoteUnavailable
from lazydata.progress import Progress
from lazydata.remotes.base import Remote, Stat

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 8.0


class Retrying:
    """Tries again what failed with ``RemoteUnavailable``, after ever longer waits.

    Nothing else is tried again: a refusal, a full disk or an absent key stay
    what they are. The waits are jittered, so that many machines that met one
    outage do not come back in step.

    Args:
        remote: the one to ask.
        attempts: how often at most, the first included.
        sleep: takes seconds; tests give one that does not wait.

    Example:
        >>> from lazydata.remotes.memory import MemoryRemote
        >>> remote = Retrying(MemoryRemote(), attempts=3)
    """

    def __init__(self, remote: Remote, *, attempts: int = 5, sleep: Sleep = asyncio.sleep) -> None:
        self.url = remote.url
        self.concurrency = remote.concurrency
        self._remote = remote
        self._attempts = attempts
        self._sleep = sleep

    async def prepare(self) -> None:
        """See ``Remote.prepare``."""
        await self._try(self._remote.prepare)

    async def put(self, key: str, source: Path, progress: Progress) -> None:
        """See ``Remote.put``."""
        await self._try(lambda: self._remote.put(key, source, progress))

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Remote.put_bytes``."""
        await self._try(lambda: self._remote.put_bytes(key, data))

    async def get(self, key: str, target: Path, progress: Progress) -> None:
        """See ``Remote.get``; each attempt goes on where the last one stopped."""
        await self._try(lambda: self._remote.get(key, target, progress))

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ``Remote.get_range``."""
        return await self._try(lambda: self._remote.get_range(key, start, length))

    async def stat(self, key: str) -> Stat | None:
        """See ``Remote.stat``."""
        return await self._try(lambda: self._remote.stat(key))

    async def list(self, prefix: str) -> AsyncIterator[Stat]:
        """See ``Remote.list``.

        Tried again only until the first key came: to go on in the middle would
        mean to remember all keys that were given, or to give some twice.
        """
        for left in reversed(range(self._attempts)):
            begun = False
            try:
                async for each in self._remote.list(prefix):
                    begun = True
                    yield each
                return
            except RemoteUnavailable as error:
                if begun or not left:
                    raise
                await self._wait(left, error)

    async def delete(self, keys: Collection[str]) -> None:
        """See ``Remote.delete``."""
        await self._try(lambda: self._remote.delete(keys))

    async def close(self) -> None:
        """See ``Remote.close``."""
        await self._remote.close()

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T:
        for left in reversed(range(1, self._attempts)):
            try:
                return await call()
            except RemoteUnavailable as error:
                await self._wait(left, error)
        return await call()

    async def _wait(self, left: int, error: RemoteUnavailable) -> None:
        import logging

        tried = self._attempts - left
        logging.getLogger("lazydata").debug("%s; trying again (%d left)", error, left)
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (tried - 1))
        await self._sleep(wait * random.uniform(0.5, 1.5))
