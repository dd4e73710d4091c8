"""Small objects that come in one after the other: into packs of the store, durable all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import IO

from lazydata.arrivals import Inbox
from lazydata.digest import Digest
from lazydata.fsutil import (
    FLUSHED_ALONE,
    add_name,
    flush_files,
    flush_names,
    hand_on,
    make_dirs,
    remove,
    temp_name,
)
from lazydata.links import protect
from lazydata.packs import OBJECTS, SIZE, Encoded, PackedObject, PackWriter, decoded

SMALL = 64 << 10  # bytes below which an object of a tracked directory goes into a pack
_PACKS_AT_ONCE = 4  # that are flushed and named together: what is in them is held in memory


class Gathering(AbstractContextManager["Gathering"]):
    """Takes in small objects; they are in the store once ``finish`` returns.

    Only a few of them get files of their own: a pack for each changed file would
    soon be more packs than a look-up can bear.

    Args:
        store: where they go.
        begin: called before the first of them arrives, if any does.

    Example:
        with Gathering(store) as gathering:
            gathering.add([(digest, data)])
            gathering.finish()
    """

    def __init__(self, store: Inbox, begin: Callable[[], None] | None = None) -> None:
        self._store, self._begin = store, begin
        self._few: list[tuple[Digest, bytes | Encoded]] = []
        self._seen: set[Digest] = set()  # of those that the store does not show yet
        self._many = False
        self._file: IO[bytes] | None = None
        self._writer: PackWriter | None = None
        self._temp = ""
        self._written: list[tuple[str, str, list[PackedObject]]] = []  # temp file, name, objects

    def begin(self) -> None:
        """Something is about to arrive in the store."""
        begin, self._begin = self._begin, None
        if begin is not None:
            begin()

    def add(self, objects: Sequence[tuple[Digest, bytes | Encoded]]) -> None:
        """Take in objects that the store lacks, whose bytes were hashed.

        Args:
            objects: the bytes of each; encoded or not; encoded ones are small.

        Raises:
            OSError: no space, or no right to write.
        """
        if objects:
            self.begin()
        for digest, data in objects:
            if digest in self._seen:
                continue
            self._seen.add(digest)
            if isinstance(data, bytes) and len(data) >= SMALL:  # the tree of a large directory
                self._store.put([(digest, data)])
                continue
            if self._writer is None and not self._many and len(self._few) < FLUSHED_ALONE:
                self._few.append((digest, data))
                continue
            self._many = True
            for few, its in self._few:
                self._add(few, its)
            self._few = []
            self._add(digest, data)
        if len(self._written) >= _PACKS_AT_ONCE:
            self._name_packs()

    def finish(self) -> None:
        """Make all of it durable, then give it names.

        Raises:
            OSError: as ``add``; what has no name by then is gone.
        """
        if self._few:
            self._store.put([(digest, decoded(data)) for digest, data in self._few])
            self._few = []
        self._close()
        self._name_packs()

    def _name_packs(self) -> None:
        if not self._written:
            return
        flush_files([temp for temp, _, _ in self._written])
        packs = self._store.packs
        make_dirs(packs.directory, shared=True)
        for temp, name, _ in self._written:
            protect(temp)
            hand_on(temp)
            if not add_name(temp, packs.path_of(name), durable=False):
                remove(temp)  # somebody else has just gathered the same
        flush_names([packs.path_of(name) for _, name, _ in self._written])
        for _, name, packed in self._written:
            packs.note(name, packed)
        self._written = []
        self._seen = {each.digest for each in self._writer.objects} if self._writer else set()
        self._many = True

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass  # a full disk, which was told when it was written to
            remove(self._temp)
        for written in self._written:
            remove(written[0])

    def _add(self, digest: Digest, data: bytes | Encoded) -> None:
        if self._writer is None:
            self._temp = temp_name(self._store.scratch())
            self._file = open(self._temp, "xb", buffering=1 << 20)  # noqa: SIM115
            self._writer = PackWriter(self._file)
        self._writer.add(digest, data)
        if self._writer.size >= SIZE or len(self._writer.objects) >= OBJECTS:
            self._close()

    def _close(self) -> None:
        if self._writer is not None and self._file is not None:
            name = self._writer.finish()
            self._file.close()
            self._written.append((self._temp, name, self._writer.objects))
            self._file = self._writer = None
