"""Bounds for one input: processor time, and memory of the process."""

from __future__ import annotations

import hashlib
import resource
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fuzz_targets import Target

from lazydata.errors import LazydataError

SECONDS = 5.0  # of the processor, for one input; a megabyte of YAML takes that long
MEGABYTES = 512  # above what the process has when it begins


class OverTimeError(BaseException):
    """An input took too long. No parser may catch it, so it is no ``Exception``."""


class Finding(NamedTuple):
    """An input that did what none may.

    Args:
        where: what was raised, and the place: findings of one place are one.
        story: the traceback.
        data: the input.
    """

    where: str
    story: str
    data: bytes

    @property
    def name(self) -> str:
        """For a file: the same place has the same name."""
        return hashlib.sha256(self.where.encode()).hexdigest()[:12]


def attempt(target: Target, data: bytes) -> Finding | None:
    """Give one input to a target; None where all went as it should."""
    try:
        with in_time(SECONDS):
            target.check(data)
    except LazydataError:
        return None
    except (Exception, OverTimeError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        inner = [frame for frame in frames if "lazydata" in frame.filename] or frames
        where = f"{type(error).__name__} in {inner[-1].name}: {inner[-1].line}"
        return Finding(where, traceback.format_exc(), data)
    return None


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Raise ``OverTimeError`` after so much work; time spent waiting does not count."""

    def over(*_: object) -> None:
        raise OverTimeError

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def in_memory(megabytes: int) -> Iterator[None]:
    """Let nothing have more memory than this above what there is: it gets a ``MemoryError``."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit_memory(megabytes)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def limit_memory(megabytes: int) -> None:
    """The same for the rest of the process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (megabytes << 20), hard))
