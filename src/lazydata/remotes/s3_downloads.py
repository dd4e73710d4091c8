"""Bytes out of a bucket: large objects in several pieces at once, written in order."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lazydata.errors import LazydataError, RemoteObjectMissing, RemoteUnavailable, from_os_error
from lazydata.progress import Progress
from lazydata.remotes.base import check_beginning
from lazydata.remotes.copying import write_all
from lazydata.remotes.s3_client import AnsweredError, Bucket
from lazydata.remotes.threads import Stop, in_thread, spread

PIECE = 8 << 20  # bytes that are asked for at once
_MEMORY = 128 << 20  # bytes at most that wait for those before them, over all objects
# More of one object would only wait for its first: in memory, and out of the caches.
_PIECES = 5
_CHUNK = 128 << 10
# Bytes a second from which on one connection keeps a processor busy: more of them would only
# wait for each other's turn in the interpreter. Networks are slower, and want several.
_FAST = 150e6
_RESUMED_AT_MOST = 4  # times that one piece goes on after its connection broke
_WRITE = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_BEYOND = ("416", "InvalidRange")


class _Answer(NamedTuple):
    """A body that has begun to arrive.

    Args:
        body: botocore's stream.
        first: offset of its first byte in the object.
        length: bytes it promises.
        total: bytes of the whole object.
    """

    body: Any
    first: int
    length: int
    total: int


class _Piece:
    """Some bytes of an object, and where those of them wait that came too early.

    Args:
        start, end: offsets in the object.
        buffer: room for all of it.
    """

    def __init__(self, start: int, end: int, buffer: bytearray) -> None:
        self.start = start
        self.end = end
        self.buffer = buffer
        self.filled = 0


class _InOrder:
    """A file that is written from its beginning on, whatever arrives first.

    So what is there after a failure is always the beginning of the bytes.
    """

    def __init__(self, path: Path, descriptor: int, report: Progress) -> None:
        self.path = path
        self._descriptor = descriptor
        self._report = report
        self._guard = threading.Lock()
        self._pieces: dict[int, _Piece] = {}
        self.speed = 0.0  # bytes a second, of the first piece
        self.end = os.lseek(descriptor, 0, os.SEEK_END)

    def expect(self, piece: _Piece) -> None:
        """A piece begins to arrive."""
        with self._guard:
            self._pieces[piece.start] = piece

    def add(self, piece: _Piece, data: bytes) -> None:
        """Take bytes that come next in their piece; the piece may not be next in the file."""
        with self._guard:
            self._report(len(data))
            filled = piece.filled + len(data)
            if piece.start + piece.filled == self.end:
                self._write(data)
            else:
                piece.buffer[piece.filled : filled] = data
            piece.filled = filled
            while piece.filled == piece.end - piece.start and self.end == piece.end:
                del self._pieces[piece.start]
                if self.end not in self._pieces:
                    return
                piece = self._pieces[self.end]
                self._write(memoryview(piece.buffer)[: piece.filled])

    def _write(self, data: bytes | memoryview) -> None:
        with _writing(self.path):
            write_all(self._descriptor, data)
        self.end += len(data)


async def get(bucket: Bucket, key: str, target: Path, report: Progress) -> None:
    """Fetch a key's bytes; see ``Remote.get``."""
    size = min(PIECE, max(_CHUNK, _MEMORY // bucket.concurrency))
    with _writing(target):
        descriptor = await in_thread(os.open, target, _WRITE, 0o666)
    try:
        out = _InOrder(target, descriptor, report)
        total = await bucket.run(lambda stop: _first(bucket, key, out, size, report, stop))
        if out.end < total and out.speed > _FAST:
            rest = _Piece(out.end, total, bytearray())
            await bucket.run(lambda stop: _fetch(bucket, key, out, rest, total, stop))
        elif out.end < total:
            await _rest(bucket, key, out, size, total)
    finally:
        os.close(descriptor)


def get_range(bucket: Bucket, key: str, start: int, length: int, stop: Stop) -> bytes:
    """Some bytes of a key; see ``Remote.get_range``."""
    try:
        answer = _ask(bucket, key, start, start + length)
    except AnsweredError:
        return b""
    found = bytearray()
    for chunk in _chunks(bucket, key, answer, start, min(start + length, answer.total), stop):
        found += chunk
    return bytes(found)


def _first(bucket: Bucket, key: str, out: _InOrder, size: int, report: Progress, stop: Stop) -> int:
    """Fetch what comes next, which also tells how long it is in all."""
    begin = out.end
    try:
        answer = _ask(bucket, key, begin, begin + size)
    except AnsweredError:  # there is nothing from here on
        total = _size(bucket, key)
        check_beginning(begin, total, out.path)
        report(begin)
        return total
    report(begin)
    end = min(begin + size, answer.total)
    if answer.first + answer.length > end:  # it knows no ranges: then all of it, from here
        end = answer.total
    since = time.monotonic()
    # What comes first never waits, so it needs no room.
    _fetch(bucket, key, out, _Piece(begin, end, bytearray()), answer.total, stop, answer)
    if end - begin >= size:
        out.speed = (end - begin) / max(time.monotonic() - since, 1e-6)
    return answer.total


async def _rest(bucket: Bucket, key: str, out: _InOrder, size: int, total: int) -> None:
    """Fetch several pieces at once.

    A piece keeps its slot until all before it is written: that bounds the memory. Slots
    are given in the order in which they were asked for, so the first one always has one.
    """
    spare: list[bytearray] = []  # used again: fresh memory costs more than to fill it

    def places() -> Iterator[tuple[int, asyncio.Event, asyncio.Event]]:
        before = asyncio.Event()
        before.set()
        for start in range(out.end, total, size):
            after = asyncio.Event()
            yield start, before, after
            before = after

    async def fetch(place: tuple[int, asyncio.Event, asyncio.Event]) -> None:
        start, before, after = place
        async with bucket.slots:
            buffer = spare.pop() if spare else bytearray(size)
            piece = _Piece(start, min(start + size, total), buffer)
            await bucket.run_now(lambda stop: _fetch(bucket, key, out, piece, total, stop))
            await before.wait()
            spare.append(buffer)
        after.set()

    await spread(places(), min(_PIECES, bucket.concurrency), fetch)


def _fetch(
    bucket: Bucket,
    key: str,
    out: _InOrder,
    piece: _Piece,
    total: int,
    stop: Stop,
    answer: _Answer | None = None,
) -> None:
    """Fetch one piece; where its connection breaks, only the rest of it is asked for again."""
    out.expect(piece)
    for left in reversed(range(_RESUMED_AT_MOST + 1)):
        begin = start = piece.start + piece.filled
        try:
            answer = answer or _ask(bucket, key, start, piece.end)
            if answer.total != total:
                answer.body.close()
                raise RemoteUnavailable(f"{bucket.url}: {key} was replaced while it was fetched")
            for chunk in _chunks(bucket, key, answer, start, piece.end, stop):
                out.add(piece, chunk)
            return
        except AnsweredError as error:
            raise error.error from None
        except RemoteUnavailable:
            # Without any progress it is the server, not this connection.
            if piece.start + piece.filled == begin or not left:
                raise
            answer = None


def _ask(bucket: Bucket, key: str, start: int, end: int) -> _Answer:
    answer = bucket.call(
        "get_object",
        key,
        telling=_BEYOND,
        needing=("ContentLength", "Body"),
        Range=f"bytes={start}-{end - 1}",
    )
    length = int(answer["ContentLength"])
    ranged = _RANGE.fullmatch(answer.get("ContentRange") or "")
    first, total = (int(ranged[1]), int(ranged[2])) if ranged else (0, length)
    if first > start:
        answer["Body"].close()
        raise RemoteUnavailable(f"{bucket.url}: other bytes of {key} came than were asked for")
    return _Answer(answer["Body"], first, length, total)


def _chunks(
    bucket: Bucket, key: str, answer: _Answer, start: int, end: int, stop: Stop
) -> Iterator[bytes]:
    """The bytes from ``start`` to ``end`` as they arrive: all of them, or it raises."""
    position = answer.first
    try:
        while position < end:
            stop.check()
            with bucket.translated("get_object", key):
                chunk = answer.body.read(min(_CHUNK, end - position))
            if not chunk:
                raise RemoteUnavailable(f"{bucket.url}: {key} ended before its size")
            position += len(chunk)
            if position > start:
                yield chunk[-(position - start) :]
                start = position
    finally:
        answer.body.close()


def _size(bucket: Bucket, key: str) -> int:
    """How long a key is that has nothing where bytes were asked for."""
    try:
        found = bucket.call("head_object", key, telling=("404",), needing=("ContentLength",))
    except AnsweredError:
        raise RemoteObjectMissing(f"{bucket.url} has no {key}") from None
    return int(found["ContentLength"])


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except LazydataError:
        raise  # NoSpace is an OSError as well
    except OSError as error:
        raise from_os_error(error, "write", str(path)) from error
