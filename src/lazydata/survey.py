"""What is in a store, file by file, and what is to become of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.errors import ObjectCorrupt
from lazydata.packs import RAW, PackedObject, read_footer


class Found(NamedTuple):
    """One file of the store.

    Args:
        kind: ``object``, ``pack``, ``unfinished`` or ``damaged``.
        path: where it lies.
        size: bytes.
        moved: device, inode and ctime; another file has others.
        used: when it was last read or linked, ns since the epoch.
        names: how many it has; a file of a workspace may share its bytes.
        digest: of an object.
        objects: what is needed, of a pack, or of what lies in the trash.
    """

    kind: str
    path: str
    size: int
    moved: tuple[int, int, int]
    used: int
    names: int
    digest: Digest | None = None
    objects: tuple[PackedObject, ...] = ()


class Survey:
    """What is in a store, and what is to become of it.

    Args:
        began: when the question was asked what is needed, ns by the store's clock.
        grace: what is not older than that stays, ns.

    Attributes:
        going: objects and packs that nothing needs.
        rewriting: packs that are mostly waste, each with what is needed of it.
        evicting: objects and packs that a remote has.
        keeping: of packs among these, what stays, by their paths.
        unfinished: what processes left that were killed.
        due: in the trash long enough.
        evicted: the same, but needed; a remote is to be asked.
        back: in the trash, and needed.
        waiting: in the trash, not long enough.
        kept: all else, by the reason: ``needed``, ``recent``, ``shared`` with a file, of a
            ``damaged`` pack, or ``unknown``.
    """

    def __init__(self, began: int, grace: int) -> None:
        self.began, self.grace = began, grace
        self.going: list[Found] = []
        self.rewriting: list[Found] = []
        self.evicting: list[Found] = []
        self.keeping: dict[str, tuple[PackedObject, ...]] = {}
        self.unfinished: list[Found] = []
        self.due: list[Found] = []
        self.evicted: list[Found] = []
        self.back: list[Found] = []
        self.waiting: list[Found] = []
        self.kept: dict[str, list[Found]] = {}

    def keep(self, why: str, found: Found) -> None:
        """Note why something stays."""
        self.kept.setdefault(why, []).append(found)

    @property
    def size(self) -> int:
        """Bytes of what stays where it is."""
        stays = sum(found.size for some in self.kept.values() for found in some)
        return stays + sum(packed_size(found.objects) for found in self.rewriting)


def look_at(kind: str, path: str) -> Found | None:
    """A regular file; None where there is none."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    # Anybody may set the mtime, and a file that was linked into the store has its old one.
    moved = status.st_dev, status.st_ino, status.st_ctime_ns
    used = max(status.st_atime_ns, status.st_ctime_ns)
    return Found(kind, path, status.st_size, moved, used, status.st_nlink)


def whole(found: Found) -> tuple[PackedObject, ...]:
    """What is needed of a pack; an object that has a file of its own is all of it."""
    if found.digest is None:
        return found.objects
    return (PackedObject(found.digest, found.size, 0, found.size, RAW),)


def was_in(path: str) -> list[PackedObject] | None:
    """What a damaged file of the trash was to be, or to hold; None where it does not say."""
    name = os.path.basename(path)
    try:
        if name.endswith(".pack"):
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                return read_footer(lambda at, length: os.pread(file.fileno(), length, at), size)
        digits = name.removeprefix("damaged-")
        both = (Digest.parse(f"{algorithm}:{digits}") for algorithm in ("blake3", "sha256"))
        return [PackedObject(digest, 0, 0, 0, RAW) for digest in both]
    except (ObjectCorrupt, OSError, ValueError):
        return None


def packed_size(objects: Iterable[PackedObject]) -> int:
    """Bytes that some objects take in a pack, with what its footer says of them."""
    return sum(each.stored + len("\t".join(map(str, each))) + 1 for each in objects)
