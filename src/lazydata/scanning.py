"""What is in a directory, as stat tells it: enough to see that nothing in it was touched."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from lazydata.errors import UsageError, from_os_error
from lazydata.ignoring import Ignore
from lazydata.stamp import Stamp
from lazydata.tree import DIR, EXEC, FILE, LINK

WIDTH = 5  # numbers a name: kind, inode, size (bytes), mtime, ctime (ns since the epoch)
KINDS = (FILE, EXEC, DIR, LINK)
_INODE = (1 << 63) - 1
# A time that no file has: a name whose stamp proves nothing is kept under it.
UNKNOWN = -1
_OURS = frozenset({".git", ".lazydata"})
_MANIFEST = "lazydata.yml"


class Listing(NamedTuple):
    """The names in one directory, in the order of the file system, and their stamps.

    Args:
        names: without those that are ignored.
        stats: ``WIDTH`` numbers for each of them; of a directory only the kind.
        device: that the directory is on.
    """

    names: list[str]
    stats: array[int]
    device: int

    def packed(self) -> tuple[bytes, bytes]:
        """The same as bytes, equal where nothing in the directory was touched."""
        return "\0".join(self.names).encode(), self.stats.tobytes()

    @classmethod
    def unpacked(cls, names: bytes, stats: bytes, device: int) -> Listing:
        """What ``packed`` gave."""
        numbers: array[int] = array("q")
        numbers.frombytes(stats)
        return cls(names.decode().split("\0") if names else [], numbers, device)

    def stamp(self, at: int) -> Stamp:
        """Of the name at a place in the list."""
        _, inode, size, mtime, ctime = self.stats[at * WIDTH : at * WIDTH + WIDTH]
        return Stamp((self.device, inode, size, mtime, ctime))

    def restamp(self, at: int, stamp: Stamp) -> None:
        """Set the stamp of a name."""
        _, inode, size, mtime, ctime = stamp
        self.stats[at * WIDTH + 1 : at * WIDTH + WIDTH] = array(
            "q", (inode & _INODE, size, mtime, ctime)
        )

    def kind(self, at: int) -> str:
        """One of the kinds of a tree."""
        return KINDS[self.stats[at * WIDTH]]

    def directories(self) -> list[str]:
        """The names of those in it."""
        kinds = self.stats[::WIDTH]
        return [name for name, kind in zip(self.names, kinds, strict=True) if kind == 2]


def same_stamp(one: Stamp, other: Stamp) -> bool:
    """Whether two stamps are equal, inodes as far as a listing keeps them."""
    return one[2:] == other[2:] and (one[1] ^ other[1]) & _INODE == 0


def scan(path: str, ignore: Ignore) -> Listing:
    """List one directory; what is ignored, and what is lazydata's or git's own, is left out.

    Args:
        path: absolute, of a directory that is no symlink.
        ignore: the rules that hold in it.

    Raises:
        UsageError: there is something that can't be tracked.
        FileDenied: it can't be read.
    """
    names: list[str] = []
    stats: array[int] = array("q")
    add, extend = names.append, stats.extend
    skips = None if ignore.is_empty else ignore.skips
    try:
        with os.scandir(path) as found:
            for each in found:
                name = each.name
                if name[0] == "." and (name in _OURS or _is_temporary(name)):
                    continue
                try:
                    status = each.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # it went just now
                mode = status.st_mode
                form = mode & 0o170000
                if skips is not None and skips(name, is_dir=form == 0o040000):
                    continue
                add(name)
                if form == 0o100000:
                    extend(
                        (
                            1 if mode & 0o100 else 0,
                            status.st_ino & _INODE,
                            status.st_size,
                            status.st_mtime_ns,
                            status.st_ctime_ns,
                        )
                    )
                elif form == 0o040000:
                    extend((2, 0, 0, 0, 0))
                elif form == 0o120000:
                    extend((3, status.st_ino & _INODE, 0, status.st_mtime_ns, status.st_ctime_ns))
                else:
                    raise UsageError(
                        f"{each.path} is neither a file, a directory nor a symlink",
                        hint="remove it, or list it in a .lazydataignore",
                    )
            device = os.stat(path).st_dev
    except OSError as error:
        raise from_os_error(error, "read", path) from error
    if _MANIFEST in names:
        raise UsageError(
            f"{path} is a workspace of its own, inside a tracked directory",
            hint="track what is in it from there, and list it in a .lazydataignore here",
        )
    try:
        "\0".join(names).encode()
    except UnicodeEncodeError:
        wrong = next(name for name in names if not _is_text(name))
        raise UsageError(
            f"{os.path.join(path, wrong)!r} has a name that is not UTF-8", hint="rename it"
        ) from None
    return Listing(names, stats, device)


def alike(names: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names that other systems may take for one: they differ by case or Unicode form."""
    joined = "\0".join(names)
    if joined.isascii() and len(set(joined.lower().split("\0"))) == len(names):
        return
    import unicodedata

    seen: dict[str, str] = {}
    for name in sorted(names):
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if plain in seen:
            yield seen[plain], name
        seen[plain] = name


def leads_out(target: str, depth: int) -> bool:
    """Whether a symlink leaves the tracked directory, as far as its text tells.

    Args:
        target: what the link says.
        depth: how many directories below the tracked one it lies in.
    """
    parts = target.split("/")
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    # A `..` after a name is where that name leads, and that may be anywhere.
    return not target or target.startswith("/") or up > depth or ".." in parts[up:]


def _is_temporary(name: str) -> bool:
    return name.startswith(".lazydata-") and name.endswith(".tmp")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
