"""Memory that was freed goes back to the system, in a process that is ours alone."""

from __future__ import annotations

import sys

_TRIM_FROM = 1 << 20  # bytes: a block of so many is the system's own, and goes back to it
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h
_is_ours = False


def own() -> None:
    """Say that nobody else's code runs in this process."""
    global _is_ours
    _is_ours = True


def spare() -> None:
    """Much is about to be done, piece by piece: let memory not grow with the number of pieces.

    glibc has a pool of memory for each thread, and keeps in all of them what one piece
    needed: https://man7.org/linux/man-pages/man3/mallopt.3.html. In a push of a million
    objects that was a third of all. It takes some milliseconds, so a small job has no use of it.
    """
    global _is_ours
    if not _is_ours or sys.platform != "linux":
        return
    _is_ours = False  # once is enough
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _TRIM_FROM)
