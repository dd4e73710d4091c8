"""The store: local objects by digest. It is not a cache: it may hold the only copy.

    objects-v1/
        blake3/ab/<64 hex>      an object; sha256/ for those of lazydata 1.x
        packs/<64 hex>.pack     small objects together, as they came from a remote
        tmp/                    arrivals; what a crash leaves here, gc removes
        trash/<time>/           what gc and damage put aside
        workspaces/<id>         a workspace whose objects these are (its directory)

An object gets its name in one step, after its bytes were hashed and flushed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader, BytesIO
from typing import cast

from lazydata import links
from lazydata.adopting import Adopting
from lazydata.digest import Digest, digest_of, fingerprint_of, hash_file
from lazydata.errors import ObjectCorrupt, ObjectMissing
from lazydata.fsutil import fsync_file, is_inside, remove, temp_name, write_new
from lazydata.index import FileRow, Index
from lazydata.packed import DamagedPackError
from lazydata.registry import Registry
from lazydata.stamp import Stamp, stamp_of
from lazydata.trash import Trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import RawIOBase
    from typing import BinaryIO, TypeVar

    T = TypeVar("T")

_ATTEMPTS = 3
_MANY = 100
TRUST_NS = 30 * 86400 * 1_000_000_000


class Store(Adopting):
    """The objects of one user, or of a group that shares them.

    Args:
        directory: of the store; ``objects-v1/`` is made below it when it is needed.
        link: ``auto``, ``reflink``, ``hardlink`` or ``copy``; a kind that is asked
            for and can't be had becomes a copy.
        older: directories of lazydata 1.x stores (``<hex[:2]>/<hex[2:]>``), read only.
        index: directory of the index, or None: it remembers what is in packs.
    """

    def __init__(
        self,
        directory: str,
        *,
        link: str = "auto",
        older: tuple[str, ...] = (),
        index: str | None = None,
    ) -> None:
        super().__init__(os.path.join(directory, "objects-v1"), index, link=link)
        self.trash = Trash(os.path.join(self.directory, "trash"), index)
        self.registry = Registry(self.directory)
        self._older = older

    # Looking

    def has(self, digest: Digest) -> bool:
        """Whether an object is here; one that gc put in the trash is taken back.

        What was evicted is not: who needs its bytes asks for them.
        """
        return not self.lacking([digest])

    def lacking(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those of some objects that are not here."""
        asked = list(digests)
        # What many small ones lie in is found sooner than that they have no files.
        packed = self.packs.locate(asked) if len(asked) > _MANY else {}
        left = [
            digest
            for digest in asked
            if digest not in packed and not os.path.exists(self.path_of(digest))
        ]
        elsewhere = self.trash.has_any()
        aside = set(self.trash.find(left)) if elsewhere and left else set()
        left = [
            digest
            for digest in left
            if not (digest in aside or digest.startswith("sha256")) or self._where(digest) is None
        ]
        if left and len(asked) <= _MANY:
            packed = self.packs.locate(left)
            left = [digest for digest in left if digest not in packed]
        if left and elsewhere and self.trash.take_back_packs(left, self.packs, evicted=False):
            packed = self.packs.locate(left)
            left = [digest for digest in left if digest not in packed]
        return left

    def find(self, digest: Digest) -> str:
        """The file of an object, to be read only after it was checked.

        One that lies in a pack gets a file of its own.

        Raises:
            ObjectMissing: it is not in the store.
            ObjectCorrupt: its pack is damaged; it lies in the trash now.
        """
        path = self._where(digest)
        if path is None:
            data = self._packed(digest)
            if data is None:
                raise ObjectMissing(f"{digest} is not in the store {self.directory}")
            self.put([(digest, data)])
            path = self.path_of(digest)
        return path

    def read(self, digest: Digest, *, at_most: int) -> bytes:
        """The bytes of an object, hashed.

        Args:
            digest: of the object.
            at_most: bytes; a larger one is refused before it is read.

        Raises:
            ObjectMissing, ObjectCorrupt: as ``check``; also for one that is too large.
        """
        return _again(lambda: self._read(digest, at_most))

    def _read(self, digest: Digest, at_most: int) -> bytes:
        data = self.packs.read_held(digest)
        if data is None and not os.path.exists(self.path_of(digest)):
            data = self._packed(digest)
        if data is None:
            path = self.find(digest)
            if os.path.getsize(path) > at_most:
                raise ObjectCorrupt(f"{digest} has {os.path.getsize(path):,} bytes: too many")
            with open(path, "rb") as file:
                data = file.read()
            actual = digest_of(data, digest.algorithm)
            if actual != digest:
                raise self._damaged(digest, path, actual)
        return data

    def _packed(self, digest: Digest) -> bytes | None:
        try:
            found = self.packs.read(digest)
            if found is None and self.trash.take_back_packs([digest], self.packs):
                found = self.packs.read(digest)
        except DamagedPackError as error:
            self._salvage(error.pack, error.message)
            raise
        return found[1] if found else None

    def _where(self, digest: Digest) -> str | None:
        path = self.path_of(digest)
        if os.path.exists(path) or self.trash.take_back(digest, path):
            return path
        if digest.algorithm == "sha256":
            for directory in self._older:
                old = os.path.join(directory, digest.hex[:2], digest.hex[2:])
                if os.path.exists(old):
                    return old
        return None

    def objects(self) -> Iterator[Digest]:
        """Every object's digest, shard by shard."""
        for algorithm in ("blake3", "sha256"):
            base = os.path.join(self.directory, algorithm)
            for shard in sorted(_names(base)):
                if len(shard) != 2:  # another user may be making one, and let nobody in yet
                    continue
                for digits in sorted(_names(os.path.join(base, shard))):
                    if len(digits) == 64 and digits.startswith(shard):
                        yield Digest(f"{algorithm}:{digits}")

    def check(self, digest: Digest, index: Index, *, fresh: bool = False) -> str:
        """The file of an object whose bytes were hashed and have not moved since.

        Args:
            digest: of an object that is here.
            index: remembers what was hashed.
            fresh: hash it now, whatever is remembered.

        Raises:
            ObjectMissing: it is not in the store.
            ObjectCorrupt: it was damaged; it lies in the trash now.
        """
        return _again(lambda: self._check(digest, index, fresh=fresh))

    def _check(self, digest: Digest, index: Index, *, fresh: bool) -> str:
        path = self.find(digest)
        if not fresh and _is_known(digest, stamp_of(path), index.file(path)):
            return path
        found = hash_file(path, algorithm=digest.algorithm, seed=index.seed)
        if found.digest != digest:
            raise self._damaged(digest, path, found.digest)
        row = FileRow(found.stamp, found.racy, digest, found.fingerprint, found.seen_ns)
        index.put_files([(path, row)])
        return path

    def known(self, digests: Iterable[Digest], index: Index) -> dict[Digest, tuple[str, int]]:
        """Files and sizes of those objects that ``check`` would not hash, at one look.

        Others may be here as well, also in packs.
        """
        paths = {digest: self.path_of(digest) for digest in digests}
        rows = index.files(paths.values())
        found = {}
        for digest, path in paths.items():
            try:
                if (row := rows.get(path)) and _is_known(digest, stamp_of(path), row):
                    found[digest] = path, row.stamp.size
            except OSError:
                continue  # told by who needs it
        return found

    def opened(self, digest: Digest, index: Index) -> BinaryIO:
        """An object that is here, checked, for reading; what lies in a pack stays there.

        Raises:
            ObjectMissing, ObjectCorrupt: as ``check``.
        """
        return _again(lambda: self._opened(digest, index))

    def _opened(self, digest: Digest, index: Index) -> BinaryIO:
        path = self.path_of(digest)
        data = None if os.path.exists(path) else self._packed(digest)
        if data is None:
            return open(self.check(digest, index), "rb")
        return cast("BinaryIO", BufferedReader(cast("RawIOBase", BytesIO(data))))

    # Arrival

    def register(self, workspace_id: str, root: str) -> None:
        """Name a workspace whose objects are to be kept, before the first one arrives."""
        self.registry.add(workspace_id, root)

    # Giving out

    def materialise(
        self,
        digest: Digest,
        directory: str,
        index: Index,
        *,
        like: str | None = None,
        flush: bool = True,
    ) -> tuple[str, bytes]:
        """Put an object's bytes into a new temp file in a directory of the workspace.

        Args:
            digest: of an object that is here.
            directory: where the temp file goes; it must exist.
            index: knows when the object was last hashed.
            like: the file that it will replace, whose mode it is to have: an object
                that others may read, or not execute, is then copied.
            flush: False where the caller flushes many at once.

        Returns:
            Path of the temp file, flushed and ready to be moved into its place, and
            the fingerprint of its bytes.

        Raises:
            ObjectMissing, ObjectCorrupt: as ``check``.
        """
        return _again(lambda: self._materialise(digest, directory, index, like, flush))

    def _materialise(
        self, digest: Digest, directory: str, index: Index, like: str | None, flush: bool
    ) -> tuple[str, bytes]:
        temp = temp_name(directory)
        try:
            data = self.packs.read_held(digest)
            if data is None and not os.path.exists(self.path_of(digest)):
                data = self._packed(digest)
            if data is not None:
                write_new(temp, data)
                if flush:
                    fsync_file(temp)
                return temp, fingerprint_of(data, index.seed)
            if self._link != "copy":
                path = self.check(digest, index)
                row = index.file(path)
                fingerprint = row.fingerprint if row else b""
                if self._link in ("auto", "reflink") and links.reflink(path, temp):
                    if flush:
                        fsync_file(temp)
                    return temp, fingerprint
                if self._may_share(path, like):
                    before = stamp_of(path)
                    if links.hardlink(path, temp):
                        index.restamp(before, stamp_of(path))
                        return temp, fingerprint
            path = self.find(digest)
            copied = links.copy(path, temp, algorithm=digest.algorithm, seed=index.seed)
            if copied.digest != digest:
                raise self._damaged(digest, path, copied.digest)
            if flush:
                fsync_file(temp)
        except BaseException:
            remove(temp)
            raise
        return temp, copied.fingerprint

    def _may_share(self, path: str, like: str | None) -> bool:
        if self._link not in ("auto", "hardlink") or not is_inside(path, self.directory):
            return False
        mode = os.stat(like).st_mode if like and os.path.exists(like) else os.stat(path).st_mode
        if (mode ^ os.stat(path).st_mode) & 0o555:
            return False
        return links.may_share(path, forced=self._link == "hardlink")

    # Putting aside

    def _damaged(self, digest: Digest, path: str, actual: Digest) -> ObjectCorrupt:
        """Put a damaged object in the trash, and what it really is under its true digest."""
        error = ObjectCorrupt(
            f"{digest} in the store is damaged: its bytes are {actual}",
            expected=digest,
            actual=actual,
            hint="lazydata pull fetches a good copy, if any remote has one",
        )
        if not is_inside(path, self.directory):
            return error  # a store of lazydata 1.x is only read
        try:
            why = f"It was stored as {digest}, and is {actual}."
            aside = self.trash.put(path, f"damaged-{digest.hex}", why)
            with self.incoming(actual) as temp:
                remove(str(temp))
                links.copy(aside, str(temp), algorithm=actual.algorithm)
        except OSError:
            pass  # somebody else was faster, or the store can't be written: it stays damaged
        return error

    def check_pack(self, name: str) -> tuple[int, list[Digest]]:
        """Hash a pack again, and all that is in it; a damaged one goes to the trash.

        Returns:
            How many objects were hashed, and which of them are damaged.

        Raises:
            OSError: it can't be read.
        """
        damage = self.packs.damage(name)
        if damage is None:
            return len(self.packs.objects(name)), []
        sound, bad = damage
        self._salvage(name, f"{len(bad)} of {len(bad) + len(sound)} objects are damaged")
        return len(sound) + len(bad), bad

    def _salvage(self, name: str, why: str) -> None:
        """Put a damaged pack in the trash; what is sound in it stays, each in its own file."""
        path = self.packs.path_of(name)
        try:
            try:
                self.put(list(self.packs.sound(name)))
            except ObjectCorrupt:
                pass  # not even its footer can be read
            self.trash.put(path, os.path.basename(path), why)
        except OSError:
            pass  # somebody else was faster, or the store can't be written: it stays damaged
        self.packs.drop()


def _is_known(digest: Digest, stamp: Stamp, row: FileRow | None) -> bool:
    """Whether a file of the store was hashed not long ago, and has not moved since."""
    return (
        row is not None
        and not row.racy
        and row.digest == digest
        and row.stamp == stamp
        and time.time_ns() - row.hashed_ns < TRUST_NS
    )


def _again(use: Callable[[], T]) -> T:
    """Use an object; gc may move it to the trash in that moment, where a look-up finds it."""
    for _ in range(_ATTEMPTS):
        try:
            return use()
        except FileNotFoundError:
            continue
    return use()


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
