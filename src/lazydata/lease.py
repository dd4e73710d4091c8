"""Leases: while one is held, whoever opens the file to write, or cuts it, has to wait for us.

Linux only (https://man7.org/linux/man-pages/man2/F_SETLEASE.2const.html), for files of
our own and for root. Elsewhere, and on network file systems, there is none to be had.
"""

from __future__ import annotations

import errno
import os

from lazydata.fsutil import is_network

_F_SETSIG, _F_SETLEASE, _F_GETLEASE = 10, 1024, 1025  # linux/fcntl.h; the first is not in fcntl


class Lease:
    """A read lease on an open file, if there is one to be had.

    Args:
        descriptor: open for reading only; it stays open as long as this is used.

    Attributes:
        is_held: writers have to wait for us.
        has_writer: it was refused, because somebody has the file open for writing, or
            mapped writable. A lease that was refused for another reason says nothing.

    Example:
        with Lease(descriptor) as lease:
            if lease.is_held: ...
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.is_held = self.has_writer = False

    def __enter__(self) -> Lease:
        try:
            import fcntl
            import signal

            # Some network file systems refuse with the very error that tells of a writer.
            if is_network("", os.fstat(self._descriptor).st_dev):
                return self
            # A lease that is broken sends SIGIO, which kills; SIGURG is ignored.
            fcntl.fcntl(self._descriptor, _F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self._descriptor, _F_SETLEASE, fcntl.F_RDLCK)
            self.is_held = True
        except (ImportError, AttributeError, ValueError):
            pass  # another system
        except OSError as error:
            self.has_writer = error.errno == errno.EAGAIN
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def is_wanted(self) -> bool:
        """Whether somebody waits for us: they get the file in 45 s, whatever we do then."""
        import fcntl

        return self.is_held and fcntl.fcntl(self._descriptor, _F_GETLEASE) != fcntl.F_RDLCK

    def release(self) -> None:
        """Let writers go on."""
        if self.is_held:
            import fcntl

            self.is_held = False
            fcntl.fcntl(self._descriptor, _F_SETLEASE, fcntl.F_UNLCK)


def is_written(descriptor: int, device: int) -> bool:
    """As ``has_writer``, of a file that is open for reading only; for many files in a row.

    Args:
        descriptor: of the file.
        device: that it is on.
    """
    if is_network("", device):
        return False
    try:
        import fcntl
        import signal

        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, _F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, _F_SETLEASE, fcntl.F_UNLCK)
    except (ImportError, AttributeError, ValueError):  # another system
        return False
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def has_writer(path: str) -> bool:
    """Whether anybody holds a file open for writing, or mapped writable.

    Where no lease can be had the answer is no.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        with Lease(descriptor) as lease:
            return lease.has_writer
    finally:
        os.close(descriptor)
