"""Requests for what is in files: many under way, with little to carry but the bytes.

They share a channel with those of asyncssh, from which their numbers tell them. The
messages: https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import asyncssh

from lazydata.remotes.ssh_packets import Packets

Answer = Sequence[bytes | memoryview]

_READ, _WRITE, _STATUS, _DATA = 5, 6, 101, 103
_OURS = 1 << 31  # asyncssh counts its requests from 0 on
_LONGEST_TEXT = 64 << 10  # bytes, of why the server says no
_HEAD = struct.Struct(">IBI")  # how many bytes follow these four; kind; number
_U32 = struct.Struct(">I")
DONE: Answer = (b"",)


class Requests:
    """Reads and writes by one SFTP channel.

    What the server refuses is answered with nothing: ask again by the methods of the file,
    which have words for it.

    Args:
        connection: that carries the channel.
        sftp: the channel, while no answer is under way.

    Attributes:
        most_read: bytes that the server gives for one request.
        most_written: bytes that it takes with one.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient) -> None:
        handler = getattr(sftp, "_handler", None)
        reader, writer = (getattr(handler, name, None) for name in ("_reader", "_writer"))
        self._packets: Packets | None = None
        self.most_read = sftp.limits.max_read_len
        self.most_written = sftp.limits.max_write_len
        if reader is not None and writer is not None:  # else of a make that is new to us
            self._answers = _Answers(reader.get_redirect_info()[0], writer.channel.abort)
            self._packets = Packets(connection, writer.channel, self._answers.take)
            self._answers.on_end = self._packets.wake

    @property
    def delay(self) -> float:
        """Seconds that the last answer took which had none before it in line; 0 before the first.

        It has no end where nobody can tell.
        """
        return inf if self._packets is None else self._answers.delay

    async def room(self, size: int) -> None:
        """Wait until so many bytes are worth to be written.

        Raises:
            asyncssh.Error: the connection is lost.
        """
        if self._packets is not None:
            await self._packets.room(size)
            self._answers.check()

    def write(
        self, file: asyncssh.SFTPClientFile, begin: int, data: bytes
    ) -> asyncio.Future[Answer]:
        """Write to a place of a file; the answer is ``DONE`` when the server has.

        Raises:
            asyncssh.Error, OSError: the connection is lost.
        """
        if self._packets is None:
            return asyncio.ensure_future(_write(file, begin, data))
        number = self._answers.number()
        self._packets.write(_message(_WRITE, number, file, begin, len(data), data), data)
        return self._answers.expect(number, 0)

    def read(self, file: asyncssh.SFTPClientFile, begin: int, size: int) -> asyncio.Future[Answer]:
        """Read from a place of a file: pieces of at most so many bytes.

        Raises:
            asyncssh.Error, OSError: the connection is lost.
        """
        if self._packets is None:
            return asyncio.ensure_future(_read(file, begin, size))
        number = self._answers.number()
        self._packets.write(_message(_READ, number, file, begin, size))
        return self._answers.expect(number, size)


class _Answers:
    """Takes out of what a channel brings what was asked for here, and gives on the rest.

    Args:
        session: of the channel, to which it is brought.
        abort: ends the channel.
    """

    def __init__(self, session: Any, abort: Callable[[], None]) -> None:
        self._give_on, self._lost = session.data_received, session.connection_lost
        session.data_received, session.connection_lost = self._received, self._ended
        self._abort = abort
        self.on_end: Callable[[], None] = lambda: None
        self._waiting: dict[int, tuple[int, asyncio.Future[Answer]]] = {}
        self._number = 0
        self._alone: tuple[int, float] | None = None  # a request before any other, and when
        self.delay = 0.0
        self._error: asyncssh.SFTPError | None = None
        self._head = bytearray()
        self._left = 0
        self._pieces: list[memoryview] = []

    def check(self) -> None:
        """Raise what ended the channel."""
        if self._error is not None:
            raise self._error

    def number(self) -> int:
        """A number for a request.

        Raises:
            asyncssh.Error: the connection is lost.
        """
        self.check()
        number = _OURS | self._number
        self._number = (self._number + 1) % _OURS
        return number

    def expect(self, number: int, size: int) -> asyncio.Future[Answer]:
        """The answer to a request that was sent, of at most so many bytes."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        if not self._waiting:
            self._alone = number, loop.time()
        self._waiting[number] = size, answer
        return answer

    def take(self, data: memoryview) -> None:
        """Bytes of the channel, from where the last ones ended."""
        at = 0
        while at < len(data) and self._error is None:
            if not self._left:
                more = data[at : at + self._lacking()]
                self._head += more
                at += len(more)
                if not self._lacking():
                    self._begin()
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._is_ours():
                self._pieces.append(piece)
            else:
                self._give_on(bytes(piece), None)
            if not self._left:
                self._finish()

    def _lacking(self) -> int:
        """Bytes until it is clear what to do with a message; ours have a number more there."""
        if len(self._head) < _HEAD.size:
            return _HEAD.size - len(self._head)
        return _HEAD.size + self._is_ours() * _U32.size - len(self._head)

    def _is_ours(self) -> bool:
        _, kind, number = _HEAD.unpack_from(self._head)
        return kind in (_STATUS, _DATA) and number >= _OURS

    def _begin(self) -> None:
        size, kind, number = _HEAD.unpack_from(self._head)
        self._left = size + _U32.size - len(self._head)
        if not self._is_ours():
            self._give_on(bytes(self._head), None)
        elif not self._fits(kind, number):
            self._left = -1
        if self._left < 0:
            self._end(asyncssh.SFTPConnectionLost("the server answers what was not asked"))
            self._abort()
        elif not self._left:
            self._finish()

    def _fits(self, kind: int, number: int) -> bool:
        asked, _ = self._waiting.get(number, (-1, None))
        if kind == _STATUS:
            return asked >= 0 and self._left <= _LONGEST_TEXT
        (said,) = _U32.unpack_from(self._head, _HEAD.size)
        return bool(said == self._left <= asked)

    def _finish(self) -> None:
        pieces, self._pieces = self._pieces, []
        if self._is_ours():
            _, kind, number = _HEAD.unpack_from(self._head)
            _, answer = self._waiting.pop(number)
            if self._alone is not None and self._alone[0] == number:
                self.delay = asyncio.get_running_loop().time() - self._alone[1]
            if not answer.done():  # who asked may have gone
                is_done = kind == _STATUS and not any(self._head[_HEAD.size :])
                answer.set_result(DONE if is_done else pieces if kind == _DATA else ())
        self._head.clear()

    def _received(self, data: bytes, datatype: int | None) -> None:
        if datatype is None:
            self.take(memoryview(data))
        else:
            self._give_on(data, datatype)

    def _ended(self, error: Exception | None) -> None:
        why = str(error or "the server closed the channel")
        self._end(asyncssh.SFTPConnectionLost(why))
        self._lost(error)

    def _end(self, error: asyncssh.SFTPError) -> None:
        self._error = self._error or error
        waiting, self._waiting = self._waiting, {}
        for _, answer in waiting.values():
            if not answer.done():
                answer.set_exception(error)
        self.on_end()


def _message(
    kind: int,
    number: int,
    file: asyncssh.SFTPClientFile,
    begin: int,
    size: int,
    data: bytes = b"",
) -> bytes:
    """A request without its data."""
    handle: Any = file._handle
    length = 21 + len(handle) + len(data)
    fields = (length, kind, number, len(handle), handle, begin, size)
    return struct.pack(f">IBII{len(handle)}sQI", *fields)


async def _read(file: asyncssh.SFTPClientFile, begin: int, size: int) -> Answer:
    data: bytes = await file.read(size, begin)
    return [data]


async def _write(file: asyncssh.SFTPClientFile, begin: int, data: bytes) -> Answer:
    await file.write(data, begin)
    return DONE
