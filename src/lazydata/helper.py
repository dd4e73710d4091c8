"""Processes of ours that work on other cores, and are told and answer through pipes.

Python's threads can't do what they do: each system call needs the GIL again when it is done.
Whatever goes wrong with one, who asked does the work itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from types import ModuleType

_PIPE = 1 << 20  # bytes that an answer may be ahead of who reads it


class Helper:
    """A Python program, started without ``site``.

    Args:
        arguments: of the interpreter.

    Attributes:
        stdin: of the program; not buffered.
        stdout: of it.

    Raises:
        OSError: there is no memory, or there are too many processes.
    """

    stdin: BinaryIO
    stdout: BinaryIO

    def __init__(self, arguments: Sequence[str]) -> None:
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
            program = [sys.executable, "-I", "-S", *arguments]
            self._pid = os.posix_spawn(sys.executable, program, os.environ, file_actions=actions)
        except OSError:
            os.close(writing)
            os.close(reading)
            raise
        finally:
            os.close(inlet)
            os.close(outlet)
        self.stdin = open(writing, "wb", buffering=0)  # noqa: SIM115  # see close
        self.stdout = open(reading, "rb", buffering=1 << 18)  # noqa: SIM115

    def tell(self, data: bytes) -> None:
        """Write all of it; a program that has ended shows that when it is to answer.

        Who waits here while the program waits to be read waits for ever: tell no more than
        it reads before it answers.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self.stdin.write(rest) :]
        except BrokenPipeError:
            pass

    def close(self) -> None:
        """End it, also if it is still at work."""
        self.stdin.close()
        self.stdout.close()
        try:
            if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                # A fork of ours may hold the other ends of its pipes: it need not notice.
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # somebody else has waited for it


def homes(*modules: ModuleType) -> set[str]:
    """The directories that a program without ``site`` needs to import us, and packages."""
    files = [__file__, *(str(each.__file__) for each in modules)]
    return {os.path.dirname(os.path.dirname(file)) for file in files}


def cores() -> int:
    """How many there are for us."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def may_start() -> bool:
    """Whether this is a Python that can be started once more; a frozen program is none."""
    name = os.path.basename(sys.executable or "")
    return hasattr(os, "posix_spawn") and name.startswith(("python", "pypy"))


def _widen(pipe: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except (ImportError, AttributeError, OSError):
        pass  # not on this system, or not allowed
