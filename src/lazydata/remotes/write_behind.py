"""A file that is written in a thread, while the event loop takes in what comes next."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from lazydata.remotes.base import local_file
from lazydata.remotes.copying import write_all
from lazydata.remotes.threads import in_thread

_AT_ONCE = 1 << 20  # bytes: to wake a thread costs as much as to write some ten thousand


class WriteBehind(AbstractAsyncContextManager["WriteBehind"]):
    """Writes in order, and a little later; all is written when the block ends.

    Also when it ends with an exception, so that what came can be gone on from.

    Args:
        opened: descriptor of the file, where the first byte goes.
        path: of the file, for messages.
    """

    def __init__(self, opened: int, path: Path) -> None:
        self._opened, self._path = opened, path
        self._waiting: list[bytes] = []
        self._size = 0
        self._under_way: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        """Take bytes that come next.

        Raises:
            LazydataError: some that came before could not be written.
        """
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _AT_ONCE:
            await self._settle()
            waiting, self._waiting, self._size = self._waiting, [], 0
            self._under_way = asyncio.create_task(in_thread(self._write, waiting))

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            await self._settle()
            self._write(self._waiting)
        except Exception:
            if kind is None:
                raise

    async def _settle(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            try:
                await under_way
            except BaseException:
                self._waiting = []  # after a gap they would be other bytes than they are
                raise

    def _write(self, waiting: list[bytes]) -> None:
        with local_file("write", self._path):
            for data in waiting:
                write_all(self._opened, data)
