"""Fewer and larger writes to the socket of an SSH connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

_WAITS_FOR = 128 << 10  # bytes


class Wire:
    """Makes the connection for asyncssh, which takes it for a tunnel; its writes are gathered.

    asyncssh writes each packet of 32 KiB by itself, and an empty one before each. The
    system calls, and waking the server for each, were a tenth of what a large put costs.

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
        """See ``asyncio.Transport``."""
        return self._inner.get_extra_info(name, default)

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
