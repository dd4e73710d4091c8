"""What bounds a transfer: one cause is told once, and so many bytes are in flight at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lazydata.errors import LazydataError, RemoteDenied, RemoteUnavailable
from lazydata.repository import Repository

# Packs that are made or fetched at once take so many bytes of disk or memory.
IN_FLIGHT = 96 << 20


class Cause:
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


class Bytes:
    """So many bytes may be in flight at once; what is larger than all of it goes alone."""

    def __init__(self, limit: int) -> None:
        self._limit = self._free = limit
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait until so many are free."""
        size = min(size, self._limit)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            async with self._changed:
                self._changed.notify_all()
