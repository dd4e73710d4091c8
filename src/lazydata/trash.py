"""The store's trash: what damage and gc put aside, and the way back.

    trash/<time>/damaged-<64 hex>       a damaged object or pack, and why (.why)
    trash/<time>/blake3/<64 hex>        an object that nothing needed; sha256/ likewise
    trash/<time>/packs/<64 hex>.pack    a pack that nothing needed
    trash/<time>-evicted/...            the same, of what a remote has

The time is in ns since the epoch.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.fsutil import add_name, make_dirs, replace, write_atomic
from lazydata.packed import Packs

EVICTED = "-evicted"
_FOLDER = re.compile(r"(\d{1,19})(-evicted)?")
_ALGORITHMS = ("blake3", "sha256")
_PACKS = "packs"


class Folder(NamedTuple):
    """What was put aside at one time.

    Args:
        path: of the folder.
        when: ns since the epoch.
        is_evicted: a remote has what is in it.
    """

    path: str
    when: int
    is_evicted: bool

    def objects(self) -> list[Digest]:
        """Whole objects in it."""
        return [
            Digest(f"{algorithm}:{name}")
            for algorithm in _ALGORITHMS
            for name in _names(os.path.join(self.path, algorithm))
            if len(name) == 64
        ]

    def path_of(self, digest: Digest) -> str:
        """Where an object lies in it, or would lie."""
        return os.path.join(self.path, digest.algorithm, digest.hex)

    def packs(self, index: str | None) -> Packs:
        """The packs in it."""
        return Packs(os.path.join(self.path, _PACKS), index)

    def remains(self) -> list[str]:
        """What damage left, without the reasons; paths."""
        names = [name for name in _names(self.path) if name not in (*_ALGORITHMS, _PACKS)]
        return [os.path.join(self.path, name) for name in names if not name.endswith(".why")]


class Trash:
    """Folders named by the time that something was put there.

    Args:
        directory: of them all; it need not exist.
        index: directory of the index, or None: it remembers what is in packs.
    """

    def __init__(self, directory: str, index: str | None = None) -> None:
        self._directory, self._index = directory, index

    def put(self, path: str, name: str, why: str) -> str:
        """Put a file aside, with the reason beside it.

        Returns:
            Where it is now.

        Raises:
            OSError: somebody else was faster, or the store can't be written.
        """
        aside = os.path.join(self._directory, str(time.time_ns()), name)
        make_dirs(os.path.dirname(aside), shared=True)
        replace(path, aside)
        write_atomic(aside + ".why", f"{why}\n".encode(), shared=True)
        return aside

    def folder(self, when: int, *, evicted: bool = False) -> Folder:
        """The folder of a time; it need not exist."""
        name = f"{when}{EVICTED if evicted else ''}"
        return Folder(os.path.join(self._directory, name), when, evicted)

    def move(self, path: str, folder: Folder, digest: Digest | None = None) -> None:
        """Put an object aside, or a pack, where a look-up finds it.

        Not durable: after a crash it may lie where it was.

        Args:
            path: where it lies.
            folder: where it goes.
            digest: of the object; None for a pack.

        Raises:
            OSError: it is gone, or the store can't be written.
        """
        aside = os.path.join(folder.path, _PACKS, os.path.basename(path))
        aside = folder.path_of(digest) if digest else aside
        for last in (False, True):
            try:
                make_dirs(os.path.dirname(aside), durable=False, shared=True)
                replace(path, aside, durable=False)
                return
            except FileNotFoundError:
                if last:  # else somebody just removed the empty folder
                    raise

    def has_any(self) -> bool:
        """Whether there is anything in it."""
        return os.path.isdir(self._directory)

    def folders(self) -> Iterator[Folder]:
        """All of them, in no order."""
        for name in _names(self._directory):
            found = _FOLDER.fullmatch(name)
            if found:
                path = os.path.join(self._directory, name)
                yield Folder(path, int(found[1]), found[2] is not None)

    def take_back(self, digest: Digest, path: str) -> bool:
        """Give an object that gc put aside its name again; whether it has it now."""
        for folder in self.folders():
            aside = folder.path_of(digest)
            if os.path.exists(aside):
                put_back(aside, path)
                return os.path.exists(path)
        return False

    def find(self, digests: Collection[Digest]) -> list[Digest]:
        """Those of some objects that nothing needed, each in a file of its own.

        What was evicted is not counted: only who needs its bytes takes it back.
        """
        folders = [folder for folder in self.folders() if not folder.is_evicted]
        there = {digest for folder in folders for digest in folder.objects()}
        return [digest for digest in digests if digest in there]

    def take_back_packs(
        self, digests: Collection[Digest], packs: Packs, *, evicted: bool = True
    ) -> bool:
        """Take back the packs that have some of these objects; whether any came.

        Args:
            digests: of objects that are nowhere else.
            packs: where they go.
            evicted: also from among what a remote has.
        """
        came = False
        for folder in self.folders():
            if folder.is_evicted and not evicted:
                continue
            theirs = folder.packs(self._index)
            for name in {name for name, _ in theirs.locate(digests).values()}:
                put_back(theirs.path_of(name), packs.path_of(name))
                came = True
        return came


def put_back(aside: str, path: str) -> None:
    """Move something back, unless somebody was faster, or the store is only read."""
    try:
        make_dirs(os.path.dirname(path), shared=True)
        add_name(aside, path)
    except OSError:
        pass


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
