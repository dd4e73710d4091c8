"""A TCP proxy before a real server, which fails as a test's script says.

It changes no byte that it is not told to: a signature that covers the name of the host
holds as long as the client's endpoint is the proxy. Where it speaks HTTP, a fault befalls
a request; elsewhere a whole connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

from link_faults import Fault, On, Request

T = TypeVar("T")

_CHUNK = 64 << 10  # bytes that are passed on at once
# What waits here when a connection is reset was counted, and never arrives.
_WAITING = 64 << 10
_READY = 10.0  # seconds
_LINGER = 2.0  # seconds that a client has for reading an answer before the end


class _BrokenError(Exception):
    """A fault ended the connection."""


class FaultProxy:
    """Passes everything on to a server, and notes it; a context manager.

    Args:
        host: of the server.
        port: of the server; both may be changed while it runs.
        http: whether that is what passes; else it is just bytes.

    Attributes:
        port: its own, on 127.0.0.1.
        connections: how many were accepted.
        requests: all that were made, in their order.
        rate: bytes per second that the link carries, None for any.

    Example:
        >>> with FaultProxy("127.0.0.1", 8333) as proxy:
        ...     fault = proxy.on("GET", "/packs/").reset(got=1000)
        ...     proxy.assert_all_faults_used()
    """

    def __init__(self, host: str, port: int, *, http: bool = True) -> None:
        self.server = (host, port)
        self.port = 0
        self.connections = 0
        self.requests: list[Request] = []
        self.rate: float | None = None
        self.http = http
        self._queues: list[On] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._free_at = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        assert self._ready.wait(_READY)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_READY)
        assert not self._thread.is_alive()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # What a test says and asks

    def on(self, method: str = "", part: str = "") -> On:
        """The queue of requests with a method (any, if empty), and this in their target."""
        self._queues.append(On(method, part))
        return self._queues[-1]

    def clear(self) -> None:
        """Nothing fails from here on; see ``assert_all_faults_used`` for what did not."""
        queues, self._queues = self._queues, []
        for queue in queues:
            for fault in queue.faults:
                fault.release()
        _assert_used(queues)

    def refuse(self) -> None:
        """Break all connections, and listen no more."""
        self._call(self._refuse())

    def accept(self) -> None:
        """Listen again, at the same port."""
        self._call(self._listen())

    def asked(self, method: str = "", part: str = "") -> list[Request]:
        """The requests so far with a method, and this in their target."""
        return [
            each
            for each in list(self.requests)
            if method in ("", each.method) and part in each.target
        ]

    def assert_all_faults_used(self) -> None:
        """Each happened as often as it was told to; one without a limit at least once."""
        _assert_used(self._queues)

    # In the loop's thread

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        await self._listen()
        self._ready.set()
        await self._end.wait()
        await self._refuse()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(
            self._accepted, "127.0.0.1", self.port, limit=_CHUNK, reuse_address=True
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        self._listener.close()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = self._loop.create_task(_Connection(self, reader, writer).run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def next_fault(self, request: Request, length: int | None, *, sending: bool) -> Fault | None:
        """What befalls a body of so many bytes."""
        for queue in self._queues:
            if queue.method not in ("", request.method) or queue.part not in request.target:
                continue
            for fault in queue.faults:
                if fault.takes(sending, length):
                    return fault if fault.take() else None
        return None

    async def carry(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Pass bytes on, as fast as the link is."""
        if self.rate:
            now = self._loop.time()
            self._free_at = max(now, self._free_at) + len(data) / self.rate
            await asyncio.sleep(self._free_at - now)
        writer.write(data)
        await writer.drain()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_READY)


def _assert_used(queues: Iterable[On]) -> None:
    left = [each for queue in queues for each in queue.faults if each.is_due()]
    assert not left, f"faults that never happened: {left}"


class _Connection:
    """One client, and its connection to the server."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = reader, writer
        _hold_little(writer)

    async def run(self) -> None:
        try:
            await self._connected()
        except (OSError, EOFError, _BrokenError):
            _abort(self._to_client)
        finally:
            self._to_client.close()

    async def _connected(self) -> None:
        self._from_server, self._to_server = await asyncio.open_connection(
            *self._proxy.server, limit=_CHUNK
        )
        _hold_little(self._to_server)
        try:
            if self._proxy.http:
                while await self._one_request():
                    pass
            else:
                await self._tunnel()
        except BaseException:
            _abort(self._to_server)
            raise
        finally:
            self._to_server.close()

    async def _tunnel(self) -> None:
        request = Request()
        self._proxy.requests.append(request)
        ways = [asyncio.create_task(self._way(request, sending=way)) for way in (True, False)]
        await self._both(*ways)

    async def _way(self, request: Request, *, sending: bool) -> None:
        reader = self._from_client if sending else self._from_server
        fault = self._proxy.next_fault(request, None, sending=sending)
        await self._pass(_until_end(reader), None, request, fault, sending=sending)
        (self._to_server if sending else self._to_client).write_eof()

    async def _one_request(self) -> bool:
        """Pass on a request and its answer; False after the last one."""
        head = await _head(self._from_client)
        if not head:
            return False
        line, headers = _parsed(head)
        length = int(headers.get("content-length", 0))
        method, target = line.split()[:2]
        request = Request(
            method, unquote(target), length, headers.get("range", "").removeprefix("bytes=")
        )
        self._proxy.requests.append(request)
        waits = headers.get("expect", "").lower() == "100-continue"
        fault = self._proxy.next_fault(request, length, sending=True)
        body = _body(self._from_client, length)
        if fault and fault.kind == "answer":
            await self._answer(fault, request, None if waits else body)
            return False
        if fault and not fault.after:
            await self._befall(fault)
            fault = None
        await self._proxy.carry(self._to_server, head)
        sending = asyncio.create_task(self._pass(body, length, request, fault, sending=True))
        answering = asyncio.create_task(self._response(request))
        # A server that was asked first may answer without having let the body come.
        return await self._both(sending, answering, unsent=waits) and answering.result()

    async def _both(
        self, sending: asyncio.Task[Any], answering: asyncio.Task[Any], *, unsent: bool = False
    ) -> bool:
        """Until both ways have ended; one that fails ends the other.

        Returns:
            False if one of them was not waited for, as may be where ``unsent`` is.
        """
        left = {sending, answering}
        try:
            while left and not (unsent and left == {sending}):
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
            return not left
        finally:
            for each in (sending, answering):
                each.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)

    async def _response(self, request: Request) -> bool:
        """Pass on an answer; False if the server closes the connection then."""
        while True:
            head = await _head(self._from_server)
            if not head:
                raise EOFError
            line, headers = _parsed(head)
            status = int(line.split()[1])
            if status >= 200:
                break
            await self._proxy.carry(self._to_client, head)
        length: int | None = int(headers["content-length"]) if "content-length" in headers else None
        pieces = _body(self._from_server, length)
        if request.method == "HEAD" or status in (204, 304):
            length, pieces = 0, _body(self._from_server, 0)
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            pieces = _chunked(self._from_server)
        fault = self._proxy.next_fault(request, length, sending=False)
        if fault and not fault.after and fault.kind != "flip":
            await self._befall(fault)
            fault = None
        await self._proxy.carry(self._to_client, head)
        await self._pass(pieces, length, request, fault, sending=False)
        return headers.get("connection", "").lower() != "close"

    async def _pass(
        self,
        pieces: AsyncIterator[tuple[bytes, bool]],
        length: int | None,
        request: Request,
        fault: Fault | None,
        *,
        sending: bool,
    ) -> None:
        """Pass a body on, in which a fault may lie."""
        writer = self._to_server if sending else self._to_client
        passed, at = 0, fault.at(length) if fault else 0
        async for data, counts in pieces:
            if fault and counts and passed + len(data) > at:
                before, data = data[: at - passed], data[at - passed :]
                passed += len(before)
                self._count(request, len(before), sending)
                await self._proxy.carry(writer, before)
                data = await self._befall(fault, data)
                fault = None
            await self._proxy.carry(writer, data)
            if counts:
                passed += len(data)
                self._count(request, len(data), sending)

    def _count(self, request: Request, passed: int, sending: bool) -> None:
        if sending:
            request.sent += passed
        else:
            request.got += passed

    async def _befall(self, fault: Fault, data: bytes = b"") -> bytes:
        """Let it happen; what is to be passed on instead of some bytes."""
        fault.begins()
        if fault.kind == "flip":
            return bytes([data[0] ^ 1]) + data[1:]
        if fault.kind == "stall":
            await fault.ends()
            if not fault.reset:
                return data
        if fault.kind == "truncate":
            _abort(self._to_server)
            self._to_client.close()
            await self._to_client.wait_closed()
        raise _BrokenError(fault.kind)

    async def _answer(
        self, fault: Fault, request: Request, body: AsyncIterator[tuple[bytes, bool]] | None
    ) -> None:
        """Answer instead of the server, and close."""
        fault.begins()
        if body is not None:
            async for data, _ in body:
                request.sent += len(data)
        said = b"" if request.method == "HEAD" else fault.body
        head = (
            f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}\r\n"
            f"Content-Type: application/xml\r\nContent-Length: {len(fault.body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        self._to_client.write(head.encode() + said)
        self._to_client.write_eof()
        # Closed at once with bytes unread, it would be a reset.
        try:
            await asyncio.wait_for(self._from_client.read(), _LINGER)
        except (TimeoutError, OSError):
            pass


async def _head(reader: asyncio.StreamReader) -> bytes:
    """A request or an answer up to its body; nothing where there is none any more."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    """The first line, and the headers in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return first, headers


async def _until_end(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bool]]:
    while data := await reader.read(_CHUNK):
        yield data, True


async def _body(
    reader: asyncio.StreamReader, length: int | None
) -> AsyncIterator[tuple[bytes, bool]]:
    """A body, as it comes; with what is no part of it (False) where it is in chunks."""
    if length is None:
        async for piece in _until_end(reader):
            yield piece
        return
    while length:
        data = await reader.read(min(_CHUNK, length))
        if not data:
            raise EOFError
        length -= len(data)
        yield data, True


async def _chunked(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bool]]:
    while True:
        line = await reader.readuntil(b"\r\n")
        yield line, False
        size = int(line.split(b";")[0], 16)
        if not size:
            break
        async for piece in _body(reader, size):
            yield piece
        yield await reader.readexactly(2), False
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        yield line, False
    yield line, False


def _hold_little(writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(high=_WAITING)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WAITING)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, whatever was read and written."""
    found = writer.get_extra_info("socket")
    if found is not None and not writer.transport.is_closing():
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
