"""Bytes to and from a file on an SFTP server: many blocks under way, in order at both ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from math import inf
from typing import Any

import asyncssh

from lazydata.progress import Progress, silent
from lazydata.remotes.sftp_requests import DONE, Answer, Requests

Read = Callable[[int, int], bytes]

# OpenSSH takes up to 255 KiB at a time; the fewer the requests, the less they cost.
# What is under way covers a line of 40 MB/s and 100 ms. But what sshd takes before it can
# give it on costs more the more it is: for each packet it copies all of it anew.
_BLOCK = 255 << 10
_UNDER_WAY = 4 << 20
_UNDER_WAY_AT_LEAST = 512 << 10
_BYTES_A_SECOND = 200e6  # that a line may take
_MOST_REQUESTS = 128


async def send(
    requests: Requests,
    file: asyncssh.SFTPClientFile,
    read: Read,
    begin: int,
    end: int,
    report: Progress = silent,
) -> None:
    """Write a part of something to the same place of a remote file.

    Args:
        requests: by which it is asked for.
        file: opened without a block size of its own.
        read: called with an offset and a size; gives at least one byte. It is called in
            the event loop, so it should be quick: a read of a local file is.
        begin: first byte.
        end: the byte after the last one.
        report: told of bytes that the server has.

    Raises:
        asyncssh.Error: the server said no, or nothing any more.
    """
    block = min(requests.most_written, _BLOCK)
    waiting: deque[tuple[int, bytes, asyncio.Future[Answer]]] = deque()
    try:
        while begin < end or waiting:
            while begin < end and len(waiting) < _depth(block, requests.delay):
                await requests.room(min(block, end - begin))
                data = read(begin, min(block, end - begin))
                waiting.append((begin, data, requests.write(file, begin, data)))
                begin += len(data)
            at, data, answer = waiting.popleft()
            if await answer is not DONE:
                await file.write(data, at)
            report(len(data))
    finally:
        await give_up(answer for *_, answer in waiting)


async def receive(
    requests: Requests, file: asyncssh.SFTPClientFile, begin: int, end: int
) -> AsyncGenerator[Answer]:
    """The bytes of a part of a remote file, in order; fewer only where the file ends.

    Args:
        requests: by which it is asked for.
        file: opened without a block size of its own.
        begin: first byte.
        end: the byte after the last one.

    Raises:
        asyncssh.Error: the server said no, or nothing any more.
    """
    block = min(requests.most_read, _BLOCK)
    waiting: deque[tuple[int, int, asyncio.Future[Answer]]] = deque()
    try:
        while begin < end or waiting:
            while begin < end and len(waiting) < _depth(block, inf):
                size = min(block, end - begin)
                waiting.append((begin, size, requests.read(file, begin, size)))
                begin += size
            at, size, answer = waiting.popleft()
            pieces = await answer
            yield pieces
            got = sum(map(len, pieces))
            while got < size:  # a server may give less than it was asked for
                more: bytes = await file.read(size - got, at + got)
                if not more:
                    return
                yield [more]
                got += len(more)
    finally:
        await give_up(answer for *_, answer in waiting)


def _depth(block: int, delay: float) -> int:
    worth = min(max(_UNDER_WAY_AT_LEAST, delay * _BYTES_A_SECOND), _UNDER_WAY)
    return max(1, min(int(worth) // block, _MOST_REQUESTS))


async def give_up(under_way: Iterable[asyncio.Future[Any]]) -> None:
    """Stop what is under way, and look at how it ended so that asyncio does not report it."""
    left = [*under_way]
    for each in left:
        each.cancel()
    await asyncio.gather(*left, return_exceptions=True)
