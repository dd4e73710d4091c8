"""What is in a directory, as stat tells it: enough to see that nothing in it was touched."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from lazydata import scanner
from lazydata.errors import UsageError, from_os_error
from lazydata.ignoring import Ignore
from lazydata.scanner import INODE, WIDTH
from lazydata.stamp import Stamp
from lazydata.tree import DIR, EXEC, FILE, LINK

__all__ = ["UNKNOWN", "WIDTH", "Listing", "alike", "checked", "leads_out", "scan"]

KINDS = (FILE, EXEC, DIR, LINK)
# A time that no file has: a name whose stamp proves nothing is kept under it.
UNKNOWN = -1
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

    def packed(self, begin: int = 0, end: int | None = None) -> tuple[bytes, bytes]:
        """Some of it, or all, as bytes; equal where nothing in the directory was touched."""
        names, stats = self.names, self.stats
        if begin or (end is not None and end < len(names)):
            end = len(names) if end is None else end
            names, stats = names[begin:end], stats[begin * WIDTH : end * WIDTH]
        return "\0".join(names).encode(), stats.tobytes()

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
            "q", (inode & INODE, size, mtime, ctime)
        )

    def kind(self, at: int) -> str:
        """One of the kinds of a tree."""
        return KINDS[self.stats[at * WIDTH]]

    def directories(self) -> list[str]:
        """The names of those in it."""
        return self._of(scanner.DIRECTORY)

    def links(self) -> list[str]:
        """The names of the symlinks in it."""
        return self._of(scanner.SYMLINK)

    def _of(self, wanted: int) -> list[str]:
        kinds = self.stats[::WIDTH]
        if not kinds.count(wanted):  # most have none, and to count is much quicker
            return []
        return [name for name, kind in zip(self.names, kinds, strict=True) if kind == wanted]


def scan(path: str, ignore: Ignore) -> Listing:
    """List one directory; what is ignored, and what is lazydata's or git's own, is left out.

    Args:
        path: absolute, of a directory that is no symlink.
        ignore: the rules that hold in it.

    Raises:
        UsageError: there is something that can't be tracked.
        FileDenied: it can't be read.
    """
    try:
        names, stats, device = scanner.stamps(path, None if ignore.is_empty else ignore.skips)
    except scanner.SpecialFile as special:
        raise UsageError(
            f"{os.path.join(path, str(special))} is neither a file, a directory nor a symlink",
            hint="remove it, or list it in a .lazydataignore",
        ) from None
    except OSError as error:
        raise from_os_error(error, "read", path) from error
    try:
        "\0".join(names).encode()
    except UnicodeEncodeError:
        wrong = next(name for name in names if not _is_text(name))
        raise UsageError(
            f"{os.path.join(path, wrong)!r} has a name that is not UTF-8", hint="rename it"
        ) from None
    return checked(path, Listing(names, stats, device))


def checked(path: str, listing: Listing) -> Listing:
    """A listing of a directory that a tracked one may contain.

    Raises:
        UsageError: the directory is a workspace.
    """
    if _MANIFEST in listing.names:
        raise UsageError(
            f"{path} is a workspace of its own, inside a tracked directory",
            hint="track what is in it from there, and list it in a .lazydataignore here",
        )
    return listing


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


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
