"""List directories with stamps. Also a program of its own, which lists many on another core.

As a program it is started without ``site``, and imports nothing that takes long: it must be
listing within some milliseconds.
"""

import os
import stat
import sys
from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH = 5  # numbers a name: kind, inode, size (bytes), mtime, ctime (ns since the epoch)
INODE = (1 << 63) - 1
LENGTHS = 3  # numbers before each directory in what the program prints; see ``main``
DIRECTORY, SYMLINK = 2, 3
_OURS = frozenset({".git", ".lazydata"})
_BATCH = 1 << 15  # numbers
_OPENING = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


class SpecialFile(Exception):  # it is what was found
    """There is something that is neither a file, a directory nor a symlink: its name."""


def stamps(
    path: str, skips: "Callable[..., bool] | None" = None
) -> "tuple[list[str], array[int], int]":
    """The names in a directory, ``WIDTH`` numbers for each of them, and the device.

    What is lazydata's or git's own is left out. Of a directory only the kind is told.

    Args:
        path: absolute, of a directory that is no symlink.
        skips: tells what else to leave out, by name and whether it is a directory.

    Raises:
        SpecialFile, OSError: it can't be listed.
    """
    if os.scandir not in os.supports_fd:
        with os.scandir(path) as found:
            return *_stamps(found, skips), os.stat(path).st_dev
    # With a descriptor the system need not walk the whole path for each name.
    descriptor = os.open(path, _OPENING)
    try:
        with os.scandir(descriptor) as found:
            return *_stamps(found, skips), os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


def _stamps(
    found: "Iterator[os.DirEntry[str]]", skips: "Callable[..., bool] | None"
) -> "tuple[list[str], array[int]]":
    names: list[str] = []
    stats: array[int] = array("q")
    numbers: list[int] = []  # filled faster than an array is
    add, extend = names.append, numbers.extend
    for each in found:
        name = each.name
        if name[0] == "." and (name in _OURS or is_temporary(name)):
            continue
        try:
            status = each.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # it went just now
        mode = status.st_mode
        form = mode & 0o170000
        if skips is not None and skips(name, is_dir=form == stat.S_IFDIR):
            continue
        add(name)
        if form == stat.S_IFREG:
            extend(
                (
                    1 if mode & 0o100 else 0,
                    status.st_ino & INODE,
                    status.st_size,
                    status.st_mtime_ns,
                    status.st_ctime_ns,
                )
            )
        elif form == stat.S_IFDIR:
            extend((DIRECTORY, 0, 0, 0, 0))
        elif form == stat.S_IFLNK:
            extend((SYMLINK, status.st_ino & INODE, 0, status.st_mtime_ns, status.st_ctime_ns))
        else:
            raise SpecialFile(name)
        if len(numbers) > _BATCH:
            stats.extend(numbers)
            numbers.clear()
    stats.extend(numbers)
    return names, stats


def is_temporary(name: str) -> bool:
    """Whether a name is one of lazydata's own temporary files."""
    return name.startswith(".lazydata-") and name.endswith(".tmp")


def main() -> None:
    """List the directories that stdin names, each ended by a NUL.

    For each of them stdout gets three numbers of 8 bytes in the machine's order: the device,
    and how many bytes of names and of numbers follow; -1 for a directory that can't be listed.
    """
    directories = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\0")[:-1]
    out = sys.stdout.buffer
    for path in directories:
        try:
            names, stats, device = stamps(path)
            text = "\0".join(names).encode()
        except (OSError, SpecialFile, UnicodeEncodeError):
            out.write(array("q", (0, -1, 0)).tobytes())
            continue
        data = stats.tobytes()
        device = device - (1 << 64) if device >> 63 else device
        out.write(array("q", (device, len(text), len(data))).tobytes() + text + data)
    out.flush()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)  # nobody wants the rest
