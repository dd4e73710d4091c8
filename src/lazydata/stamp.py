"""Stamps: what stat says of a file, enough to tell that nobody touched it."""

import os

FINE_GRAIN_NS = 20_000_000
COARSE_GRAIN_NS = 2_000_000_000


class Stamp(tuple):  # type: ignore[type-arg]  # a NamedTuple would import typing
    """Device, inode, size (bytes), mtime and ctime (ns since the epoch) of a file."""

    __slots__ = ()

    @property
    def device(self) -> int:
        return self[0]  # type: ignore[no-any-return]

    @property
    def inode(self) -> int:
        return self[1]  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return self[2]  # type: ignore[no-any-return]

    @property
    def mtime_ns(self) -> int:
        return self[3]  # type: ignore[no-any-return]

    @property
    def ctime_ns(self) -> int:
        return self[4]  # type: ignore[no-any-return]


def stamp_from(status: os.stat_result) -> Stamp:
    """The stamp in a stat result."""
    return Stamp(
        (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )


def stamp_of(path: "str | bytes | int") -> Stamp:
    """Look at a file (symlinks followed), or at an open descriptor.

    Raises:
        OSError: as ``os.stat`` does.
    """
    return stamp_from(os.stat(path))


def grain_of(stamp: Stamp) -> int:
    """How coarse the file system's clock is, in ns, judged by the stamp itself.

    ctime is set by the kernel alone, so digits below 10 ms show a fine clock;
    mtime proves nothing, since anybody may set it.
    """
    return FINE_GRAIN_NS if stamp.ctime_ns % 10_000_000 else COARSE_GRAIN_NS


def is_racy(stamp: Stamp, seen_ns: int) -> bool:
    """Whether a write after ``seen_ns`` could hide behind this very stamp.

    The racy-timestamp rule, as in git's index and jujutsu's working copy.

    Args:
        stamp: what stat said.
        seen_ns: the clock (ns since the epoch) before the file was read.
    """
    return max(stamp.mtime_ns, stamp.ctime_ns) >= seen_ns - grain_of(stamp)
