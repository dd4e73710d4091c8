"""The store's own packs: which there are, and where objects lie in them.

A pack is kept as it came from a remote. Its footer says what is in it; the index
remembers that, and is made anew from the footers where it knows nothing.
"""

from __future__ import annotations

import os
from _thread import allocate_lock  # `threading` takes long to import
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from lazydata.digest import Digest, hash_file
from lazydata.errors import NeedsUpgrade, ObjectCorrupt
from lazydata.index import Index
from lazydata.packs import CODECS, PackedObject, read_footer, verified

_SUFFIX = ".pack"
_OPEN = 16
_ATTEMPTS = 3


class Packs:
    """The packs in one directory.

    Args:
        directory: ``<hex>.pack`` in it; it need not exist.
        index: directory of the index, or None.

    Example:
        >>> Packs("/nowhere", None).locate([Digest("blake3:" + "ab" * 32)])
        {}
    """

    def __init__(self, directory: str, index: str | None) -> None:
        self.directory = directory
        self._index = index
        self._at_hand: dict[Digest, tuple[str, PackedObject]] = {}
        self._files: dict[str, int] = {}
        self._noting = os.getpid(), allocate_lock()

    def path_of(self, name: str) -> str:
        """Where a pack lies, or would lie."""
        return os.path.join(self.directory, name + _SUFFIX)

    def names(self) -> list[str]:
        """All packs that are here, by their 64 hex digits."""
        try:
            found = os.listdir(self.directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(each[: -len(_SUFFIX)] for each in found if len(each) == 64 + len(_SUFFIX))

    def objects(self, name: str) -> list[PackedObject]:
        """What a pack says that it has.

        Raises:
            ObjectCorrupt: it is damaged.
            OSError: it can't be read.
        """
        with open(self.path_of(name), "rb") as file:

            def read(offset: int, length: int) -> bytes:
                return os.pread(file.fileno(), length, offset)

            return read_footer(read, os.fstat(file.fileno()).st_size)

    def locate(self, digests: Collection[Digest]) -> dict[Digest, tuple[str, PackedObject]]:
        """Which pack has an object, and where; those that none has are left out."""
        if not self.names():
            return {}
        found: dict[Digest, tuple[str, PackedObject]] = {}
        with Index(self._index) as index:
            with self.noting():
                unknown = self._remember(index, self.names())
            for digest, size, offset, stored, codec, pack in index.read_each(
                "SELECT digest, size, start, stored, codec, pack FROM packed"
                " WHERE store = ? AND digest",
                (self.directory,),
                digests,
            ):
                each = PackedObject(Digest(digest), size, offset, stored, codec)
                found[each.digest] = pack, each
        if unknown:  # the index keeps nothing: every footer is read each time
            asked = set(digests)
            for pack, each in unknown:
                if each.digest in asked:
                    found[each.digest] = pack, each
        return found

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Between the name of a pack and the note of it no other thread looks what there is.

        It would read the footer once more, or forget what was noted just now.
        """
        if self._noting[0] != os.getpid():  # of a fork: nobody here will release it
            self._noting = os.getpid(), allocate_lock()
        with self._noting[1]:
            yield

    def note(self, name: str, packed: Collection[PackedObject]) -> bool:
        """Remember what is in a pack; False where the index does not keep it."""
        with Index(self._index) as index:
            return self._note(index, name, packed)

    def _note(self, index: Index, name: str, packed: Collection[PackedObject]) -> bool:
        here = self.directory
        return index.write(
            "INSERT OR REPLACE INTO packs VALUES (?,?)",
            [(here, name)],
            (
                "INSERT OR REPLACE INTO packed VALUES (?,?,?,?,?,?,?)",
                # In the order of the table's key: the pages that are written are few then.
                (
                    (here, b.digest, name, b.size, b.offset, b.stored, b.codec)
                    for b in sorted(packed)
                ),
            ),
        )

    def _remember(self, index: Index, names: Collection[str]) -> list[tuple[str, PackedObject]]:
        """Bring the index in step; what it would not keep is returned."""
        here = self.directory
        rows = index.read("SELECT name FROM packs WHERE store = ?", (here,))
        known = {name for (name,) in rows or ()}
        left: list[tuple[str, PackedObject]] = []
        for name in set(names) - known:
            try:
                packed = self.objects(name)
            except (ObjectCorrupt, OSError):
                continue  # it is of no use; `verify` says so
            if not self._note(index, name, packed):
                left += [(name, each) for each in packed]
        gone = [(here, name) for name in known - set(names)]
        if gone:
            index.write(
                "DELETE FROM packs WHERE store = ? AND name = ?",
                gone,
                ("DELETE FROM packed WHERE store = ? AND pack = ?", gone),
            )
        return left

    def hold(self, digests: Collection[Digest]) -> None:
        """Keep at hand where these lie, until ``drop``: many are to be read."""
        self.drop()
        self._at_hand = self.locate(digests)
        for name in sorted({name for name, _ in self._at_hand.values()})[:_OPEN]:
            try:
                self._files[name] = os.open(self.path_of(name), os.O_RDONLY)
            except OSError:
                pass  # it is gone: its objects are looked for one by one

    def drop(self) -> None:
        """Let go of what ``hold`` keeps."""
        self._at_hand = {}
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def read(self, digest: Digest) -> tuple[str, bytes] | None:
        """An object's bytes, hashed, and the name of its pack; None where no pack has it.

        Raises:
            ObjectCorrupt: the pack is damaged; its name is the error's ``pack``.
        """
        for _ in range(_ATTEMPTS):
            at = self.locate([digest]).get(digest)
            if at is None:
                return None
            name, each = at
            try:
                with open(self.path_of(name), "rb") as file:
                    stored = os.pread(file.fileno(), each.stored, each.offset)
                return name, verified(digest, each.codec, stored, each.size)
            except FileNotFoundError:
                continue  # gc has just written what is needed of it to another pack
            except ObjectCorrupt as error:
                raise DamagedPackError(name, error) from error
        return None

    def read_held(self, digest: Digest) -> bytes | None:
        """As ``read``, for what ``hold`` found; None also for what is damaged."""
        at = self._at_hand.get(digest)
        if at is None or at[0] not in self._files:
            return None
        name, each = at
        stored = os.pread(self._files[name], each.stored, each.offset)
        try:
            return verified(digest, each.codec, stored, each.size)
        except (ObjectCorrupt, NeedsUpgrade):
            return None

    def held(self, digest: Digest) -> tuple[str, PackedObject] | None:
        """Path of the pack of an object that ``hold`` found, and where it lies in it."""
        at = self._at_hand.get(digest)
        return at and (self.path_of(at[0]), at[1])

    def forget(self) -> None:
        """Let the index forget all that was here: the directory is gone."""
        here = [(self.directory,)]
        with Index(self._index) as index:
            index.write(
                "DELETE FROM packs WHERE store = ?",
                here,
                ("DELETE FROM packed WHERE store = ?", here),
            )

    def sound(self, name: str) -> Iterator[tuple[Digest, bytes]]:
        """All objects of a pack that are what they should be, as far as it can be read."""
        for each in self.objects(name):
            with open(self.path_of(name), "rb") as file:
                stored = os.pread(file.fileno(), each.stored, each.offset)
            try:
                yield each.digest, verified(each.digest, each.codec, stored, each.size)
            except (ObjectCorrupt, NeedsUpgrade):
                pass

    def damage(self, name: str) -> tuple[list[Digest], list[Digest]] | None:
        """Hash a pack and all that is in it.

        Returns:
            None if all is well; else what is sound, and what was in it and is not.
        """
        said = self._said(name)
        try:
            sound = [digest for digest, _ in self.sound(name)]
            objects = self.objects(name)
            said |= {each.digest for each in objects}
            # What a newer lazydata wrote is not damaged because we can't read it.
            sound += [each.digest for each in objects if each.codec not in CODECS]
        except ObjectCorrupt:
            sound = []
        if hash_file(self.path_of(name)).digest == f"blake3:{name}" and len(sound) == len(said):
            return None
        return sound, sorted(said - set(sound))

    def _said(self, name: str) -> set[Digest]:
        """What the index remembers of a pack: its footer may be what is damaged."""
        with Index(self._index) as index:
            rows = index.read(
                "SELECT digest FROM packed WHERE store = ? AND pack = ?", (self.directory, name)
            )
        return {Digest(digest) for (digest,) in rows or ()}


class DamagedPackError(ObjectCorrupt):
    """A pack of the store is damaged.

    Args:
        pack: its name.
        error: what is wrong with an object in it.
    """

    def __init__(self, pack: str, error: ObjectCorrupt) -> None:
        super().__init__(error.message, expected=error.expected, actual=error.actual)
        self.pack = pack
