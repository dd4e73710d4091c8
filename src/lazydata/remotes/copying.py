"""Bytes from one open file into another."""

from __future__ import annotations

import errno
import os

from lazydata.progress import Progress
from lazydata.remotes.threads import Stop

STEP = 8 << 20  # bytes between two looks at Stop, and two reports
_MOST_PIECES = 512  # POSIX has at least 16, all systems that have writev() have 1024
# What a copy through user space would meet as well; anything else means that
# the kernel can't copy between these two files.
_REAL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)


class EndedEarlyError(Exception):
    """The source has fewer bytes than it had when the copy began."""


def write_all(target: int, *pieces: bytes | memoryview) -> None:
    """Write all of some bytes, however little the system takes at a time."""
    if 1 < len(pieces) <= _MOST_PIECES and hasattr(os, "writev"):
        count = os.writev(target, pieces)
        if count == sum(map(len, pieces)):
            return
        pieces = (b"".join(pieces)[count:],)
    for piece in pieces:
        left = memoryview(piece)
        while left:
            left = left[os.write(target, left) :]


def copy(source: int, target: int, begin: int, size: int, report: Progress, stop: Stop) -> None:
    """Copy from where both stand, in the kernel where it can.

    ``copy_file_range`` lets the file system share blocks, or the server of a
    share copy by itself; where it does nothing for us, bytes go through here.

    Args:
        begin: bytes that are there already.
        size: bytes there are in all.

    Raises:
        EndedEarlyError: the source ended before ``size``.
        StoppedError: ``stop`` was set.
        OSError: as the system says.
    """
    in_kernel = hasattr(os, "copy_file_range")
    left = size - begin
    while left:
        stop.check()
        count = 0
        if in_kernel:
            try:
                count = os.copy_file_range(source, target, min(left, STEP))
            except OSError as error:
                if error.errno in _REAL:
                    raise
            in_kernel = count > 0  # some file systems say 0 instead of "I can't"
        if not count:
            block = os.read(source, min(left, STEP >> 3))
            write_all(target, block)
            count = len(block)
        if not count:
            raise EndedEarlyError
        left -= count
        report(count)
