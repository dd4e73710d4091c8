"""Fewer packets, and fewer and larger writes to the socket, of an SSH connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncssh

_WAITS_FOR = 128 << 10  # bytes
_IGNORE = 2  # the message of that name, RFC 4253
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux has it


def unpadded(connection: asyncssh.SSHClientConnection) -> None:
    """Have no empty packet sent before each packet, where the cipher does not need it.

    asyncssh does that for the ciphers that chain blocks from packet to packet (RFC 4251,
    9.3.1), but does it for all of them. It took an eighth of the time of a large put.

    Args:
        connection: that is logged in.
    """
    if str(connection.get_extra_info("send_cipher")).endswith("cbc"):
        return
    send = connection.send_packet

    def send_packet(kind: int, *parts: bytes, **more: Any) -> None:
        if kind != _IGNORE:
            send(kind, *parts, **more)

    cast("Any", connection).send_packet = send_packet


class Wire:
    """Makes the connection for asyncssh, which takes it for a tunnel; its writes are gathered.

    asyncssh writes each packet of 32 KiB by itself. The system calls, and waking the server
    for each, were a tenth of what a large put costs.

    Args:
        family: of addresses, as ``socket`` has them; 0 for any.
        local: host and port to connect from.
    """

    def __init__(self, family: int = 0, local: tuple[str, int] | None = None) -> None:
        self._family = family
        self._local = local

    async def create_connection(
        self, factory: Callable[[], Any], host: str, port: int
    ) -> tuple[asyncio.Transport, Any]:
        """Connect, as ``SSHClientConnection.create_connection`` does."""
        _, opening = await asyncio.get_running_loop().create_connection(
            lambda: _Opening(factory), host, port, family=self._family, local_addr=self._local
        )
        return opening.gathering, opening.protocol


class _Opening(asyncio.Protocol):
    """Puts a transport that gathers between the socket and whom it is for, and goes."""

    def __init__(self, factory: Callable[[], asyncio.Protocol]) -> None:
        self._factory = factory

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        inner = cast("asyncio.Transport", transport)
        self.gathering = _Gathering(inner)
        self.protocol = self._factory()
        inner.set_protocol(self.protocol)
        self.protocol.connection_made(self.gathering)


class _Gathering(asyncio.Transport):
    """Holds what is written until the loop's next turn, or until it is enough."""

    def __init__(self, inner: asyncio.Transport) -> None:
        super().__init__()
        self._inner = inner
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> None:
        """See ``asyncio.Transport``."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _WAITS_FOR:
            self._flush()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See ``asyncio.Transport``; asked also for what a connection does not know itself."""
        if name == "wire":
            return self
        return self._inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See ``asyncio.Transport``."""
        self._inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See ``asyncio.Transport``."""
        return self._inner.get_protocol()

    def is_closing(self) -> bool:
        """See ``asyncio.Transport``."""
        return self._inner.is_closing()

    def close(self) -> None:
        """See ``asyncio.Transport``."""
        self._flush()
        self._inner.close()

    def abort(self) -> None:
        """See ``asyncio.Transport``."""
        self._flush()
        self._inner.abort()

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting, self._size = self._waiting, [], 0
            self._inner.writelines(waiting)
            self._acknowledge()

    def _acknowledge(self) -> None:
        """Have the answer's first packets acknowledged at once, not some 40 ms later.

        sshd holds small packets back until what it sent before was acknowledged (RFC 896):
        a login waited that long for what comes behind the server's keys. The system forgets
        it with each write (tcp(7)).
        """
        link = self._inner.get_extra_info("socket")
        if _QUICKACK is not None and link is not None:
            try:
                link.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            except OSError:
                pass  # it is no TCP, or closed
