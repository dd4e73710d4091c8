"""Read files that may have changed, on every core, while those before them are stored."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from lazydata.digest import Digest, fingerprint_file, hash_file
from lazydata.errors import FileBusy, from_os_error
from lazydata.gathering import SMALL
from lazydata.helper import cores, may_start
from lazydata.lease import has_writer
from lazydata.packs import Encoded
from lazydata.progress import Meter
from lazydata.small_files import NotSmallError, Small, SmallFiles, SmallFilesElsewhere
from lazydata.stamp import Stamp, is_racy

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

AT_ONCE = 256  # files of a directory that are stored together
_AHEAD = 512  # files that are held in memory
_WAITING = 64  # directories that wait for files of those before them
_CHUNK = 64  # files that a thread reads in one go
_ALONE = 16  # files that are not worth a thread
_THREADS = 8
_LEAST = 1_000  # files; below that it is not worth a process
_PROCESSES = 4
_ATTEMPTS = 4


class Touched(NamedTuple):
    """A file that may have changed.

    Args:
        at: its place in the listing of its directory.
        name: of the file.
        fingerprint: what it had, if its size is still the same; else empty.
        digest: what it had; None if it is new.
    """

    at: int
    name: str
    fingerprint: bytes
    digest: Digest | None


class Read(NamedTuple):
    """One file, as it was read.

    Args:
        at: its place in the listing of its directory.
        stamp: that it had while it was read.
        digest: of its bytes.
        fingerprint: of its bytes.
        is_racy: it may change without another stamp.
        seen_ns: when it was opened, ns since the epoch.
        data: its bytes, encoded or not, if they are new and few.
    """

    at: int
    stamp: Stamp
    digest: Digest
    fingerprint: bytes
    is_racy: bool
    seen_ns: int
    data: bytes | Encoded | None


class Some(NamedTuple, Generic[T]):
    """Some of the touched files of a directory; none at all, too."""

    owner: T
    path: str
    touched: Sequence[Touched]


class Reader:
    """Reads files.

    Args:
        seed: of their fingerprints.
        audience: mode bits of those who may read packs: what they may not read gets an object
            of its own. None if nothing is stored.
        meter: told of bytes that were read.

    Example:
        with closing(Reader(seed)) as reader:
            for some, found in reader.read(batches):
                ...
    """

    def __init__(self, seed: int, audience: int | None = None, meter: Meter | None = None) -> None:
        self._small = SmallFiles(seed, SMALL, audience)
        self._meter = meter or Meter()
        self._seen = 0
        self._pool: ThreadPoolExecutor | None = None
        # Processes that wait for work; None stands for one that is not started yet.
        self._idle: list[SmallFilesElsewhere | None] = (
            [None] * min(_PROCESSES, cores()) if may_start() else []
        )

    def close(self) -> None:
        """Let threads and processes go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for process in self._idle:
            if process is not None:
                process.close()

    def read(self, batches: Iterable[Some[T]]) -> Iterator[tuple[Some[T], list[Read]]]:
        """Read all of them, some ahead of who asks; in their order.

        Raises:
            FileBusy, FileDenied: a file does not hold still, or can't be read.
        """
        ahead: deque[tuple[Some[T], Callable[[], list[Read]]]] = deque()
        held = 0

        def next_read() -> tuple[Some[T], list[Read]]:
            nonlocal held
            some, result = ahead.popleft()
            held -= len(some.touched)
            return some, result()

        for some in batches:
            while ahead and (held + len(some.touched) > _AHEAD or len(ahead) >= _WAITING):
                yield next_read()
            ahead.append((some, self._begin(some)))
            held += len(some.touched)
            if self._pool is None:  # nobody reads while we wait
                yield next_read()
        while ahead:
            yield next_read()

    def _begin(self, some: Some[T]) -> Callable[[], list[Read]]:
        """Begin to read, if that is worth a thread; what is returned waits for the end of it."""
        path, touched = some.path, some.touched
        self._seen += len(touched)
        if self._seen <= _ALONE or not touched:
            return lambda: self._read_some(path, touched)
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(min(_THREADS, cores()))
        begun = [
            self._pool.submit(self._read_some, path, touched[start : start + _CHUNK])
            for start in range(0, len(touched), _CHUNK)
        ]
        return lambda: [each for future in begun for each in future.result()]

    def _read_some(self, path: str, touched: Sequence[Touched]) -> list[Read]:
        found = []
        for each, small in zip(touched, self._read_elsewhere(path, touched), strict=True):
            file = f"{path}{os.sep}{each.name}"
            try:
                found.append(self._read_one(file, each, small))
            except OSError as error:
                raise from_os_error(error, "read", file) from error
        return found

    def _read_elsewhere(self, path: str, touched: Sequence[Touched]) -> Sequence[Small | None]:
        """What another process could read of these; nothing, where there is none to ask."""
        if self._seen < _LEAST:
            return [None] * len(touched)
        try:
            process = self._idle.pop()
        except IndexError:
            return [None] * len(touched)  # all are at work
        try:
            process = process or SmallFilesElsewhere(self._small)
        except OSError:
            return [None] * len(touched)  # no memory, no more processes
        try:
            return process.read(path, [(each.name, each.fingerprint) for each in touched])
        finally:
            self._idle.append(process)

    def _read_one(self, file: str, touched: Touched, small: Small | None) -> Read:
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(0.05 * 2**attempt)
            try:
                small = small or self._small.read(file, touched.fingerprint)
            except NotSmallError:
                return self._read_large(file, touched)
            if small is not None:
                digest = small.digest or touched.digest
                assert digest is not None
                if small.digest is not None:
                    self._meter(small.stamp.size)
                return Read(
                    touched.at,
                    small.stamp,
                    digest,
                    small.fingerprint,
                    small.is_racy,
                    small.seen_ns,
                    small.data,
                )
        raise FileBusy(f"{file} keeps changing while it is read", hint="wait for its writer")

    def _read_large(self, file: str, touched: Touched) -> Read:
        at, was = touched.at, touched.digest
        if was is not None and touched.fingerprint:
            found, stamp, seen_ns = fingerprint_file(file, self._small.seed)
            if found == touched.fingerprint:
                racy = is_racy(stamp, seen_ns) or has_writer(file)
                return Read(at, stamp, was, found, racy, seen_ns, None)
        done = hash_file(file, seed=self._small.seed)
        self._meter(done.stamp.size)
        racy = done.racy or has_writer(file)
        return Read(at, done.stamp, done.digest, done.fingerprint, racy, done.seen_ns, None)
