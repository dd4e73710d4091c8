"""What can go wrong on the way to a server, for ``fault_proxy``."""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """What a client asked for; outside HTTP, one connection.

    Args:
        method: upper case.
        target: path and query, decoded.
        length: bytes of its body, None where that is not said.
        range: what it asked for, without the unit.
        sent, got: bytes of the two bodies that were passed on so far.
    """

    method: str = ""
    target: str = ""
    length: int | None = None
    range: str = ""
    sent: int = 0
    got: int = 0


@dataclass
class Fault:
    """Something that goes wrong. It is queued with ``on``; see there for what there is.

    Args:
        kind: which of them.
        sending: on the way to the server, else on the way back.
        after: bytes of the body that pass before; with none, nothing of the request does.
        at_least: only bodies of so many bytes.
        times: how often it happens, None for ever.
        skip: so many requests are spared before.
        status, body: of an answer.
        seconds, reset: how long a stall lasts, and how it ends.
        taken, happened: to how many requests it was dealt, and how often it came to that.
    """

    kind: str
    sending: bool
    after: int = 0
    at_least: int = 0
    times: int | None = 1
    skip: int = 0
    status: int = 0
    body: bytes = b""
    seconds: float = math.inf
    reset: bool = False
    taken: int = 0
    happened: int = 0
    _begun: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 30.0) -> None:
        """Until it happens; the client may not know it yet."""
        assert self._begun.wait(seconds), f"it did not happen within {seconds} s: {self}"

    def release(self) -> None:
        """Let a stalled connection go on."""
        self._over.set()

    def takes(self, sending: bool, length: int | None) -> bool:
        """Whether there is some of it left for a body of such a length, on such a way."""
        least = max(self.at_least, self.after + 1 if self.after else 0)
        return (
            self.sending == sending
            and (length is None or length >= least)
            and (self.times is None or self.taken < self.times)
        )

    def take(self) -> bool:
        """Deal it to a request, unless that is to be spared."""
        if self.skip:
            self.skip -= 1
            return False
        self.taken += 1
        return True

    def at(self, length: int | None) -> int:
        """Where in a body of such a length it happens."""
        return (length or 0) // 2 if self.kind == "flip" else self.after

    def begins(self) -> None:
        self.happened += 1
        self._begun.set()

    def is_due(self) -> bool:
        """Whether it has not happened as often as it was told to."""
        return self.happened < (self.times or 1)

    async def ends(self) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + self.seconds
        while not self._over.is_set() and clock() < end:
            await asyncio.sleep(0.01)


class On:
    """The queue of some requests: ``proxy.on("PUT", "/packs/").reset(sent=1000)``.

    One of ``sent`` and ``got`` says how much of the body passes before, on which way.
    """

    def __init__(self, method: str, part: str) -> None:
        self.method, self.part = method, part
        self.faults: list[Fault] = []

    def reset(self, sent: int | None = None, got: int | None = None, **more: Any) -> Fault:
        """The connection is reset, towards both sides."""
        return self._add("reset", sent, got, **more)

    def truncate(self, got: int, **more: Any) -> Fault:
        """The connection is closed in the middle of an answer, as if that was all."""
        return self._add("truncate", None, got, **more)

    def stall(self, sent: int | None = None, got: int | None = None, **more: Any) -> Fault:
        """Nothing more passes, for ``seconds`` or until it is released; ``reset`` ends it so."""
        return self._add("stall", sent, got, **more)

    def flip(self, at_least: int = 1, **more: Any) -> Fault:
        """One byte in the middle of an answer's body is changed."""
        return self._add("flip", None, 0, at_least=at_least, **more)

    def answer(self, status: int, code: str = "", **more: Any) -> Fault:
        """The proxy answers itself, as S3 says an error."""
        text = f"<Error><Code>{code}</Code><Message>from the proxy</Message></Error>"
        return self._add("answer", 0, None, status=status, body=text.encode(), **more)

    def _add(self, kind: str, sent: int | None, got: int | None, **more: Any) -> Fault:
        assert (sent is None) != (got is None), "say one of sent= and got="
        sending = sent is not None
        fault = Fault(kind, sending, (sent if sent is not None else got) or 0, **more)
        self.faults.append(fault)
        return fault
