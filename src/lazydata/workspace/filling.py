"""Objects of the store become temp files, some of them ahead of who gives these their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple, TypeVar

from lazydata import fsutil
from lazydata.digest import Digest
from lazydata.errors import LazydataError
from lazydata.helper import cores, may_start
from lazydata.index import Index
from lazydata.store import Store
from lazydata.unpacking import UnpackingElsewhere, Wanted

T = TypeVar("T")

_LEAST = 1_000  # files; below that it is not worth a process
_FIRST = 60  # percent of a batch: it has to do while the batch before gets its names
_MORE = 100  # files that it gets when it has done these
_OURS = 16  # files that we fill between two looks whether it has


class Filled(NamedTuple):
    """A temp file that holds an object's bytes, not flushed.

    Args:
        temp: its path.
        fingerprint: of its bytes.
    """

    temp: str
    fingerprint: bytes


class Batch:
    """Files that are being filled.

    Args:
        wanted: an object for each, and the directory that it goes to.
    """

    def __init__(self, wanted: Sequence[tuple[Digest, str]]) -> None:
        self.wanted = wanted
        self.filled: list[Filled | LazydataError | None] = [None] * len(wanted)
        self.packed: list[tuple[int, Wanted]] = []  # what another process may fill, or we
        self.told: list[tuple[int, Wanted]] = []  # what it fills now


class Filling(AbstractContextManager["Filling"]):
    """Fills files; at the end, those that were not given names are gone.

    Args:
        store: that has the objects.
        index: knows when they were last hashed.

    Example:
        with Filling(store, index) as filling:
            filling.in_turns(batches, wanted, ready, name)
    """

    def __init__(self, store: Store, index: Index) -> None:
        self._store, self._index = store, index
        self._temps: list[list[str]] = []
        self._process: UnpackingElsewhere | None = None
        self._may_start = may_start() and cores() > 1

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.close()
        self._store.packs.drop()
        for temp in [temp for temps in self._temps for temp in temps]:
            fsutil.remove(temp)

    def in_turns(
        self,
        batches: Iterable[T],
        wanted: Callable[[T], Sequence[tuple[Digest, str]]],
        ready: Callable[[T, Sequence[Filled | LazydataError]], Sequence[Filled]],
        name: Callable[[T, bool], None],
    ) -> None:
        """Fill and flush batches of files, each while those of the one before get their names.

        Where one fails, those before it get their names all the same.

        Args:
            batches: taken one after the other.
            wanted: what ``begin`` is to be given for a batch.
            ready: is told what became of it, and says what is to be flushed.
            name: gives what was flushed its names. It is told whether all of that was, and
                shall be, flushed together: see ``fsutil.flush_files``.
        """
        before: Callable[[], None] | None = None
        try:
            for some in batches:
                objects = wanted(some)
                together = len(objects) > fsutil.FLUSHED_ALONE
                batch = self.begin(objects)
                if before is not None:
                    named, before = before, None
                    named()
                flush = begin_flush(ready(some, self.finish(batch)), together=together)
                before = partial(self._name, flush, partial(name, some, together))
        except Exception:
            if before is not None:
                before()
            raise
        if before is not None:
            before()

    def _name(self, flush: Callable[[], None], name: Callable[[], None]) -> None:
        flush()
        name()
        self.settled()

    def begin(self, wanted: Sequence[tuple[Digest, str]]) -> Batch:
        """Begin to fill files, on another core if they are many; one batch after the other.

        Args:
            wanted: an object for each, and the directory that it goes to.
        """
        packs = self._store.packs
        packs.hold([digest for digest, _ in wanted])
        temps: list[str] = []
        self._temps.append(temps)
        batch = Batch(wanted)
        if len(wanted) < _LEAST or not self._started():
            return batch
        for number, (digest, directory) in enumerate(wanted):
            at = packs.held(digest)
            if at is not None and digest.startswith("blake3:"):
                temps.append(fsutil.temp_name(directory))
                batch.packed.append((number, Wanted(*at, temps[-1])))
        self._tell(batch, len(batch.packed) * _FIRST // 100)
        return batch

    def finish(self, batch: Batch) -> list[Filled | LazydataError]:
        """Wait until they are filled; in their order, or why one can't be."""
        try:
            while batch.told or batch.packed:
                if batch.told and (self._has_answered() or not batch.packed):
                    self._take(batch)
                    self._tell(batch, _MORE)
                for number, _ in batch.packed[-_OURS:]:
                    batch.filled[number] = self._fill(*batch.wanted[number])
                del batch.packed[-_OURS:]
            return [
                each or self._fill(*wanted)
                for each, wanted in zip(batch.filled, batch.wanted, strict=True)
            ]
        finally:
            self._store.packs.drop()

    def _fill(self, digest: Digest, directory: str) -> Filled | LazydataError:
        try:
            made = self._store.materialise(digest, directory, self._index, flush=False)
        except LazydataError as error:
            return error
        self._temps[-1].append(made[0])
        return Filled(*made)

    def _tell(self, batch: Batch, count: int) -> None:
        batch.told, batch.packed = batch.packed[:count], batch.packed[count:]
        if self._process is not None and batch.told:
            self._process.begin([wanted for _, wanted in batch.told])

    def _has_answered(self) -> bool:
        return self._process is not None and self._process.has_answered()

    def _take(self, batch: Batch) -> None:
        told, batch.told = batch.told, []
        prints = self._process.answer(len(told)) if self._process is not None else None
        if self._process is not None and prints is None:  # it has ended
            self._process.close()
            self._process, self._may_start = None, False
        for (number, wanted), fingerprint in zip(told, prints or [b""] * len(told), strict=True):
            if fingerprint:
                batch.filled[number] = Filled(wanted.temp, fingerprint)
            else:  # we meet what it met, and can tell; it may have ended after this one
                fsutil.remove(wanted.temp)

    def settled(self) -> None:
        """Say that the oldest batch has its names: nothing of it is left to be removed."""
        self._temps.pop(0)

    def _started(self) -> bool:
        if self._process is None and self._may_start:
            try:
                self._process = UnpackingElsewhere(self._index.seed)
            except OSError:
                self._may_start = False  # no memory, no more processes
        return self._process is not None


def begin_flush(ready: Sequence[Filled], *, together: bool) -> Callable[[], None]:
    """Flush filled files, beside other work where that is one wait for all of them.

    Returns:
        Waits for it, and raises what it did.
    """
    temps = [each.temp for each in ready]
    if not together:
        fsutil.flush_files(temps, together=False)
        return lambda: None
    from threading import Thread

    errors: list[BaseException] = []

    def flush() -> None:
        try:
            fsutil.flush_files(temps, together=True)
        except BaseException as error:
            errors.append(error)

    def wait() -> None:
        thread.join()
        if errors:
            raise errors.pop()

    thread = Thread(target=flush, name="lazydata", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # there are as many as there may be
        fsutil.flush_files(temps, together=True)
        return lambda: None
    return wait
