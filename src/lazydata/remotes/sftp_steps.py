"""Steps on the server: names given, folders made and listed, bytes and names flushed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from posixpath import dirname

import asyncssh

from lazydata.errors import RemoteDenied
from lazydata.remotes.sftp_errors import ABSENT, is_folder, is_lost

_GOODBYE_SECONDS = 2.0
_LISTED_AT_MOST = 1_000_000  # names in one folder: a server may go on for ever


async def entries_of(sftp: asyncssh.SFTPClient, url: str, folder: bytes) -> list[asyncssh.SFTPName]:
    """All names in a folder.

    Raises:
        RemoteDenied: they are more than a folder of lazydata's can have.
        asyncssh.Error: it can't be listed.
    """
    found: list[asyncssh.SFTPName] = []
    async for each in sftp.scandir(folder):
        found.append(each)
        if len(found) > _LISTED_AT_MOST:
            raise RemoteDenied(
                f"{url}: {os.fsdecode(folder)} has more than {_LISTED_AT_MOST:,} names",
                hint="it is none of lazydata's; ask whoever runs the server",
            )
    return found


async def make_folder(sftp: asyncssh.SFTPClient, url: str, folder: bytes, top: bytes) -> None:
    """Make a folder below ``top``, and those between, but never ``top``: it may not be mounted.

    Raises:
        RemoteDenied: there is a file in the way.
        asyncssh.Error: it can't be made, or ``top`` is missing.
    """
    try:
        await sftp.mkdir(folder)
    except ABSENT:
        if dirname(folder) == top:
            raise
        await make_folder(sftp, url, dirname(folder), top)
        await make_folder(sftp, url, folder, dirname(folder))
    except asyncssh.SFTPError as error:
        if is_lost(error):
            raise
        try:
            found = await sftp.stat(folder)
        except ABSENT:
            raise error from None
        if not is_folder(found):
            raise RemoteDenied(
                f"{url}: {os.fsdecode(folder)} is a file where a directory should be",
                hint="move it away on the server",
            ) from error
    else:
        await flush_folder(sftp, dirname(folder))


async def rename(sftp: asyncssh.SFTPClient, temp: bytes, path: bytes) -> None:
    """Give a temp file its name, whatever has that name now."""
    try:
        await sftp.posix_rename(temp, path)
        return
    except asyncssh.SFTPOpUnsupported:
        pass
    # Any other rename fails where there is a file: that one is put aside, not removed.
    aside = temp + b".old"
    try:
        await sftp.rename(temp, path)
        return
    except asyncssh.SFTPFailure:
        if is_folder(await sftp.stat(path)):
            raise
        await sftp.rename(path, aside)
    try:
        await sftp.rename(temp, path)
    except BaseException:
        await quietly(sftp.rename(aside, path))
        raise
    await sftp.remove(aside)


async def flush(file: asyncssh.SFTPClientFile) -> bool:
    """Have the server write a file to its disk; False where it can't be told to."""
    try:
        await file.fsync()
    except asyncssh.SFTPOpUnsupported:
        return False
    return True


async def flush_folder(sftp: asyncssh.SFTPClient, folder: bytes) -> None:
    """The same for the names in a folder; OpenSSH opens one as if it were a file."""
    try:
        file = await sftp.open(folder, "rb", block_size=0)
        async with closing(file):
            await file.fsync()
    except asyncssh.SFTPError as error:
        if is_lost(error):
            raise


@asynccontextmanager
async def closing(file: asyncssh.SFTPClientFile) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        await quietly(file.close())
        raise
    await file.close()


async def quietly(work: Awaitable[object]) -> None:
    """Clean up, if the server still listens."""
    try:
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await work
    except (asyncssh.Error, OSError):
        pass
