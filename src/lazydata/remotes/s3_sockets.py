"""Calls that can be stopped while they wait for a server that does not answer.

botocore has no way to end a call from outside: whoever presses Ctrl-C would wait
for a time-out. So each call knows its connection, and stopping it shuts that down.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lazydata.remotes.threads import Stop, StoppedError

_here = threading.local()


class AbandonedError(BaseException):
    """Carries an exception of ours through botocore.

    It is no ``Exception``: botocore takes every one of those for a fault of the
    network, and sends the request again.

    Args:
        reason: what to raise once botocore is left.
    """

    def __init__(self, reason: BaseException) -> None:
        super().__init__(reason)
        self.reason = reason


class BreakingStop(Stop):
    """A stop that also shuts down the connection that its call waits for."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._connection: Any = None

    def set(self) -> None:
        """Stop the call, and whatever it waits for."""
        super().set()
        with self._guard:
            sock = getattr(self._connection, "sock", None)
            if isinstance(sock, socket.socket):
                try:
                    # Not SSLSocket's own: it is no place for a second thread.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    pass  # it is closed already

    @contextmanager
    def around(self) -> Iterator[None]:
        """This thread's calls are stopped by it from here on."""
        _here.stop = self
        try:
            yield
        finally:
            _here.stop = None
            self.waits_for(None)

    def waits_for(self, connection: Any) -> None:
        """Remember the connection that is in use now."""
        with self._guard:
            self._connection = connection


def make_stoppable(client: Any) -> None:
    """Let calls of a botocore client be stopped; before its first call."""
    client.meta.events.register_first("needs-retry.s3", _at_once_if_stopped)
    try:
        pools = client._endpoint.http_session._pool_classes_by_scheme
    except AttributeError:
        return  # another botocore: stopping waits for what is in flight, or a time-out
    for scheme, pool in [*pools.items()]:
        connection = type("Connection", (_Noted, pool.ConnectionCls), {})
        pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})


class _Noted:
    """Mixed into botocore's connections: tells the call that uses it."""

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _note(self)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        _note(self)
        return super().request(*args, **kwargs)  # type: ignore[misc]


def _note(connection: Any) -> None:
    stop = getattr(_here, "stop", None)
    if stop is not None:
        stop.waits_for(connection)
        if stop.is_set():
            raise AbandonedError(StoppedError())


def _at_once_if_stopped(caught_exception: Exception | None = None, **_: Any) -> int | None:
    """What botocore asks before it waits and tries again; trying again finds the stop.

    It asks after a success too, and would drop an answer whose body nobody closes then.
    """
    stop = getattr(_here, "stop", None)
    return 0 if caught_exception and stop is not None and stop.is_set() else None
