"""A large file reaches the server's disk while it is sent, not after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Self

import asyncssh

from lazydata.remotes.sftp_blocks import give_up
from lazydata.remotes.sftp_steps import flush
from lazydata.remotes.ssh_session import Session


class FlushingBeside(AbstractAsyncContextManager["FlushingBeside"]):
    """Flushes by a second channel: a server does one thing after the other on each.

    Args:
        session: whose connection gets it.
        path: of the file.
        file: the same, opened on the first channel, for servers that give only one.
    """

    def __init__(self, session: Session, path: bytes, file: asyncssh.SFTPClientFile) -> None:
        self._session, self._path, self._file = session, path, file
        self._second: asyncssh.SFTPClient | None = None

    async def __aenter__(self) -> Self:
        self._opening = asyncio.create_task(self._open())
        self._under_way: asyncio.Task[None] | None = None
        return self

    async def __aexit__(self, *_: object) -> None:
        await give_up([self._opening, *([self._under_way] if self._under_way else [])])
        if self._second is not None:
            self._second.exit()

    async def begin(self, then: Callable[[], None]) -> None:
        """Flush what the server has now, after what is flushed already.

        Args:
            then: called when that is on its disk; never where it can't flush.
        """
        await self.settle()
        self._under_way = asyncio.create_task(self._flush(then))

    async def settle(self) -> None:
        """Wait for what is under way.

        Raises:
            asyncssh.Error, OSError: the disk or the connection failed.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            await under_way

    async def _open(self) -> asyncssh.SFTPClientFile:
        try:
            self._second = await self._session.another()
            return await self._second.open(self._path, "r+b", block_size=0)
        except (asyncssh.Error, OSError, EOFError):
            return self._file

    async def _flush(self, then: Callable[[], None]) -> None:
        if await flush(await asyncio.shield(self._opening)):
            then()
