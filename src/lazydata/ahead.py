"""Other cores list directories ahead of us. Python's threads can't: each stat needs the GIL."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import BinaryIO

from lazydata import scanner
from lazydata.scanning import Listing

_LEAST = 20_000  # names; below that it is not worth a process
_BLOCK = 4_000  # names in a row that one process lists
_MOST = 3  # processes
_PIPE = 1 << 20  # bytes that are listed ahead


class Ahead:
    """Listings of directories that were made ahead, each to be taken once, in order.

    Blocks of directories go to the caller and to each helper in turn. A helper waits while
    its pipe is full. Whatever goes wrong with one, the caller lists by itself.

    Args:
        directories: absolute paths and about how many names are in each, in the order in
            which they will be asked for.
        helpers: how many processes; by default as many as there are other cores, up to 3.

    Example:
        with Ahead([("/data/a", 20_000), ("/data/b", 20_000)]) as ahead:
            listing = ahead.take("/data/b") or scan("/data/b", ignore)
    """

    def __init__(self, directories: Iterable[tuple[str, int]], helpers: int | None = None) -> None:
        if helpers is None:
            helpers = min(_MOST, _cores() - 1)
        shares: list[list[str]] = [[] for _ in range(helpers + 1)]
        total = 0
        for path, names in directories:
            shares[total // _BLOCK % len(shares)].append(path)
            total += names + 1
        self._helpers: list[_Helper] = []
        self._at: dict[str, _Helper] = {}
        if total < _LEAST or not _may_start():
            return
        for share in filter(None, shares[1:]):
            try:
                helper = _Helper(share)
            except OSError:
                return  # no memory, no more processes: it was only to be quicker
            self._helpers.append(helper)
            self._at.update(dict.fromkeys(share, helper))

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        for helper in self._helpers:
            helper.close()

    def take(self, path: str) -> Listing | None:
        """What a directory holds, if it was listed ahead."""
        helper = self._at.pop(path, None)
        return None if helper is None else helper.take(path)


class _Helper:
    def __init__(self, directories: list[str]) -> None:
        self._left = iter(directories)
        inlet, writing = os.pipe()
        reading, outlet = os.pipe()
        _widen(writing)
        _widen(outlet)
        try:
            actions = [
                (os.POSIX_SPAWN_DUP2, inlet, 0),
                (os.POSIX_SPAWN_DUP2, outlet, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            program = [sys.executable, "-I", "-S", scanner.__file__]
            self._pid = os.posix_spawn(sys.executable, program, os.environ, file_actions=actions)
        except OSError:
            os.close(writing)
            os.close(reading)
            raise
        finally:
            os.close(inlet)
            os.close(outlet)
        self._out: BinaryIO = open(reading, "rb", buffering=1 << 18)  # noqa: SIM115  # see close
        text = "".join(f"{path}\0" for path in directories)
        try:
            with open(writing, "wb") as stdin:
                stdin.write(text.encode("utf-8", "surrogateescape"))
        except BrokenPipeError:
            pass  # it ended at once; to take from it shows that

    def take(self, path: str) -> Listing | None:
        for each in self._left:  # those before it are gone by now
            head = self._out.read(8 * scanner.LENGTHS)
            if len(head) < 8 * scanner.LENGTHS:
                return None
            device, names, stats = memoryview(head).cast("q")
            text, data = (self._out.read(max(0, length)) for length in (names, stats))
            if each == path:
                return None if names < 0 or len(data) < stats else _listing(device, text, data)
        return None

    def close(self) -> None:
        self._out.close()  # ends it, if it is still at work
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # somebody else has waited for it


def _listing(device: int, names: bytes, stats: bytes) -> Listing:
    return Listing.unpacked(names, stats, device % (1 << 64))


def _widen(pipe: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except (ImportError, AttributeError, OSError):
        pass  # not on this system, or not allowed


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _may_start() -> bool:
    """Whether this is a Python that can be started once more; a frozen program is none."""
    name = os.path.basename(sys.executable or "")
    return hasattr(os, "posix_spawn") and name.startswith(("python", "pypy"))
