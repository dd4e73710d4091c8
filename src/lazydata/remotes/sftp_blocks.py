"""Bytes to and from a file on an SFTP server: many blocks under way, in order at both ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import asyncssh

from lazydata.progress import Progress, silent

Read = Callable[[int, int], bytes]

# OpenSSH takes up to 255 KiB at a time; the fewer the requests, the less they cost.
# What is under way covers a line of 40 MB/s and 100 ms.
_BLOCK = 255 << 10
_UNDER_WAY = 4 << 20
_MOST_REQUESTS = 128


async def send(
    file: asyncssh.SFTPClientFile,
    read: Read,
    begin: int,
    end: int,
    block: int,
    report: Progress = silent,
) -> None:
    """Write a part of something to the same place of a remote file.

    Args:
        file: opened without a block size of its own.
        read: called with an offset and a size; gives at least one byte. It is called in
            the event loop, so it should be quick: a read of a local file is.
        begin: first byte.
        end: the byte after the last one.
        block: bytes that the server takes at a time.
        report: told of bytes that the server has.

    Raises:
        asyncssh.Error: the server said no, or nothing any more.
    """
    block = min(block, _BLOCK)
    waiting: deque[asyncio.Task[int]] = deque()
    try:
        while begin < end or waiting:
            while begin < end and len(waiting) < _depth(block):
                data = read(begin, min(block, end - begin))
                waiting.append(asyncio.create_task(file.write(data, begin)))
                begin += len(data)
            report(await waiting.popleft())
    finally:
        await give_up(waiting)


async def receive(
    file: asyncssh.SFTPClientFile, begin: int, end: int, block: int
) -> AsyncGenerator[bytes]:
    """The bytes of a part of a remote file, in order; fewer only where the file ends.

    Args:
        file: opened without a block size of its own.
        begin: first byte.
        end: the byte after the last one.
        block: bytes that the server gives at a time.

    Raises:
        asyncssh.Error: the server said no, or nothing any more.
    """
    block = min(block, _BLOCK)
    waiting: deque[tuple[int, asyncio.Task[bytes]]] = deque()
    try:
        while begin < end or waiting:
            while begin < end and len(waiting) < _depth(block):
                size = min(block, end - begin)
                waiting.append((size, asyncio.create_task(_whole(file, begin, size))))
                begin += size
            size, task = waiting.popleft()
            data = await task
            yield data
            if len(data) < size:
                return
    finally:
        await give_up(task for _, task in waiting)


async def _whole(file: asyncssh.SFTPClientFile, begin: int, size: int) -> bytes:
    data: bytes = await file.read(size, begin)
    while 0 < len(data) < size:  # a server may give less than it was asked for
        more: bytes = await file.read(size - len(data), begin + len(data))
        if not more:
            break
        data += more
    return data


def _depth(block: int) -> int:
    return max(1, min(_UNDER_WAY // block, _MOST_REQUESTS))


async def give_up(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Stop what is under way, and look at how it ended so that asyncio does not report it."""
    left = [*tasks]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
