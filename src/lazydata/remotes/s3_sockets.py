"""Calls that can be stopped while they wait for a server that does not answer, or without end.

botocore has no way to end a call from outside: whoever presses Ctrl-C would wait
for a time-out. So each call knows its connection, and stopping it shuts that down.
Nor has it a limit for answers that it reads as a whole: a listing, or what an error says.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lazydata.errors import RemoteDenied
from lazydata.remotes.threads import Stop, StoppedError

_ANSWER_AT_MOST = 64 << 20  # bytes; a page of a listing has some hundred thousand

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
    """Let calls of a botocore client be stopped, and its answers end; before its first call."""
    client.meta.events.register_first("needs-retry.s3", _at_once_if_stopped)
    try:
        pools = client._endpoint.http_session._pool_classes_by_scheme
    except AttributeError:
        return  # another botocore: stopping waits for what is in flight, or a time-out
    for scheme, pool in [*pools.items()]:
        connection = type("Connection", (_Noted, pool.ConnectionCls), {})
        pools[scheme] = type("Pool", (_Bounded, pool), {"ConnectionCls": connection})


class _Noted:
    """Mixed into botocore's connections: tells the call that uses it."""

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _note(self)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        _note(self)
        return super().request(*args, **kwargs)  # type: ignore[misc]


class _Bounded:
    """Mixed into the pools of these: what is read as a whole may not fill the memory."""

    host: str

    def urlopen(self, *args: Any, **kwargs: Any) -> Any:
        response = super().urlopen(*args, **kwargs)  # type: ignore[misc]
        stream = response.stream  # a file's bytes are read in another way
        response.stream = lambda *args, **kwargs: self._bounded(response, stream(*args, **kwargs))
        return response

    def _bounded(self, response: Any, chunks: Iterator[bytes]) -> Iterator[bytes]:
        left = _ANSWER_AT_MOST
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                response.close()  # the rest of it has no reader: the connection is of no more use
                reason = f"{self.host} gave an answer of more than {_ANSWER_AT_MOST >> 20} MiB"
                raise AbandonedError(RemoteDenied(reason, hint="is the endpoint one of S3?"))
            yield chunk


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
