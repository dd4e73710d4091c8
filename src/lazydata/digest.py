"""Digests (identity) and fingerprints (unchanged or not), from one read of a file.

BLAKE3 names objects: https://github.com/BLAKE3-team/BLAKE3-specs. XXH3-128
(https://xxhash.com) answers "same as when I looked?" at memory speed; its seed
is a secret of the index, so nobody can craft a file that answers yes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from lazydata.errors import FileBusy
from lazydata.lease import Lease
from lazydata.stamp import Stamp, is_racy, stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from typing import Any

BLOCK = 4 << 20
_READ_AHEAD_FROM = 16 << 20
_ALGORITHMS = ("blake3", "sha256")
_HEX = frozenset("0123456789abcdef")
_ATTEMPTS = 4


class Digest(str):
    """``algorithm:hex``, lower case: the name of an object.

    Example:
        >>> Digest.parse("BLAKE3:" + "AB" * 32).hex[:4]
        'abab'
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read a digest; a bare 64-digit hex is SHA-256, as lazydata 1.x wrote it.

        Raises:
            ValueError: an unknown algorithm, or not 64 hex digits.
        """
        lowered = text.lower()
        if ":" not in lowered:
            lowered = "sha256:" + lowered
        algorithm, _, digits = lowered.partition(":")
        if algorithm not in _ALGORITHMS or len(digits) != 64 or not _HEX.issuperset(digits):
            raise ValueError(f"{text!r} is not a digest (blake3:<64 hex digits>)")
        return cls(lowered)

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.partition(":")[2]


class Hashed:
    """What one read of a file gave.

    Args:
        digest: of all its bytes.
        fingerprint: 16 bytes, seeded; comparable only under the same seed.
        stamp: of the file, equal before and after the read.
        seen_ns: the clock before the read began, ns since the epoch.
        racy: whether a write after the read could hide behind the stamp.
    """

    __slots__ = ("digest", "fingerprint", "racy", "seen_ns", "stamp")

    def __init__(
        self, digest: Digest, fingerprint: bytes, stamp: Stamp, seen_ns: int, racy: bool
    ) -> None:
        self.digest, self.fingerprint, self.stamp = digest, fingerprint, stamp
        self.seen_ns, self.racy = seen_ns, racy


_threading_process = 0


def _may_thread() -> bool:
    """BLAKE3's thread pool belongs to one process: a forked child would wait for it forever."""
    global _threading_process
    _threading_process = _threading_process or os.getpid()
    return _threading_process == os.getpid()


class Hasher:
    """Digest and fingerprint of a stream, fed in blocks.

    Args:
        algorithm: ``blake3``, or ``sha256`` to check what lazydata 1.x wrote.
        seed: of the fingerprint, 64 bits; None leaves the fingerprint out.
        threads: whether BLAKE3 may use all cores (worth it above some MiB).
    """

    def __init__(
        self, algorithm: str = "blake3", *, seed: int | None = None, threads: bool = False
    ) -> None:
        self._algorithm = algorithm
        self._identity: Any
        if algorithm == "blake3":
            from blake3 import blake3

            self._identity = blake3(max_threads=blake3.AUTO if threads and _may_thread() else 1)
        else:
            import hashlib

            self._identity = hashlib.new(algorithm)
        self._quick: Any = None
        if seed is not None:
            from xxhash import xxh3_128

            self._quick = xxh3_128(seed=seed)

    def update(self, block: bytes | memoryview) -> None:
        """Feed a block to the digest."""
        self._identity.update(block)

    def glance(self, block: bytes | memoryview) -> None:
        """Feed a block to the fingerprint; another thread may do it, a block ahead."""
        if self._quick is not None:
            self._quick.update(block)

    @property
    def digest(self) -> Digest:
        return Digest(f"{self._algorithm}:{self._identity.hexdigest()}")

    @property
    def fingerprint(self) -> bytes:
        return self._quick.digest() if self._quick is not None else b""


def blocks(
    descriptor: int, size: int, glance: Callable[[memoryview], None] | None = None
) -> Iterator[memoryview]:
    """The bytes of an open file, in blocks that are valid until the next one is asked for.

    A large file is read ahead by a thread, so that reading and hashing overlap.

    Args:
        descriptor: open for reading only; from where it stands.
        size: about how many bytes will come; it only chooses the way of reading.
        glance: called with each block, in order, by the thread that reads.
    """
    reader = _reader() if size >= _READ_AHEAD_FROM else None
    now = memoryview(bytearray(min(BLOCK, size + 1)))
    if reader is None:
        source = _Source(descriptor, None, glance)
        while block := source.next(now):
            yield block
        return
    ahead = memoryview(bytearray(BLOCK))
    with Lease(descriptor) as lease, reader:
        source = _Source(descriptor, lease, glance)
        block = source.next(now)
        while block:
            coming = reader.submit(source.next, ahead)
            try:
                yield block
            finally:
                block = coming.result()
            now, ahead = ahead, now


class _Source:
    """An open file, block by block: mapped where that is safe, else read into a buffer.

    Mapping spares a copy, a third of the time that hashing takes. But a file that is cut
    while it is mapped kills the process that looks at it, and so does a disk that fails.
    So a block is mapped only under a lease, and only if it is in memory already.
    """

    def __init__(
        self,
        descriptor: int,
        lease: Lease | None,
        glance: Callable[[memoryview], None] | None,
    ) -> None:
        self._descriptor, self._lease, self._glance = descriptor, lease, glance
        self._at = os.lseek(descriptor, 0, os.SEEK_CUR)
        self._mapped: memoryview | None = None

    def next(self, buffer: memoryview) -> memoryview:
        """The next block, in ``buffer`` or mapped; empty at the end."""
        block = self._map(len(buffer))
        if block is None:
            block = buffer[: os.readv(self._descriptor, [buffer])]
        self._at += len(block)
        if self._glance is not None:
            self._glance(block)
        return block

    def _map(self, length: int) -> memoryview | None:
        """The next block mapped; None where it has to be read."""
        lease, last = self._lease, self._mapped
        self._mapped = None
        if lease is None or not lease.is_held:
            return None
        if lease.is_wanted():
            if last is None:  # what was mapped before is no longer looked at
                lease.release()
            return None
        if not _is_in_memory(self._descriptor, self._at, length):
            return None
        import mmap

        try:
            pages = mmap.mmap(
                self._descriptor,
                length,
                flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0),
                prot=mmap.PROT_READ,
                offset=self._at,
            )
        except (OSError, ValueError):  # some file systems can't
            return None
        os.lseek(self._descriptor, length, os.SEEK_CUR)
        self._mapped = memoryview(pages)
        return self._mapped


def _is_in_memory(descriptor: int, begin: int, length: int) -> bool:
    """Whether part of a file can be had without a disk; looked at here and there."""
    byte = bytearray(1)
    try:
        return all(
            os.preadv(descriptor, [byte], begin + at, os.RWF_NOWAIT)
            for at in (0, length // 2, length - 1)
        )
    except (OSError, AttributeError):  # not in memory, or a system that can't tell
        return False


def _reader() -> ThreadPoolExecutor | None:
    """A thread to read ahead with; None while the interpreter shuts down."""
    from concurrent.futures import ThreadPoolExecutor

    reader = ThreadPoolExecutor(1)
    try:
        reader.submit(int)
    except RuntimeError:
        return None
    return reader


def hash_open(descriptor: int, size: int, algorithm: str, seed: int | None) -> Hasher:
    """Hash an open file from where it stands to its end."""
    hasher = Hasher(algorithm, seed=seed, threads=size >= _READ_AHEAD_FROM)
    for block in blocks(descriptor, size, hasher.glance):
        hasher.update(block)
    return hasher


def hash_file(path: str, *, algorithm: str = "blake3", seed: int | None = None) -> Hashed:
    """Hash a file that holds still: stat, read, stat.

    Args:
        path: of a regular file; symlinks are followed.
        algorithm: of the digest.
        seed: of the fingerprint; None leaves the fingerprint empty.

    Raises:
        FileBusy: it changed while it was read, several times over.
        OSError: it can't be read.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(0.05 * 2**attempt)
        seen_ns = time.time_ns()
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            before = stamp_of(descriptor)
            hasher = hash_open(descriptor, before.size, algorithm, seed)
            if stamp_of(descriptor) == before:
                racy = is_racy(before, seen_ns)
                return Hashed(hasher.digest, hasher.fingerprint, before, seen_ns, racy)
        finally:
            os.close(descriptor)
    raise FileBusy(f"{path} keeps changing while it is read", hint="wait until its writer is done")


def digest_of(data: bytes, algorithm: str = "blake3") -> Digest:
    """The digest of bytes that are in memory."""
    if algorithm == "blake3":
        from blake3 import blake3

        return Digest(f"blake3:{blake3(data).hexdigest()}")
    hasher = Hasher(algorithm)
    hasher.update(data)
    return hasher.digest


def fingerprint_of(data: bytes, seed: int) -> bytes:
    """The fingerprint of bytes that are in memory."""
    from xxhash import xxh3_128_digest

    return xxh3_128_digest(data, seed=seed)


def fingerprint_file(path: str, seed: int) -> tuple[bytes, Stamp, int]:
    """The fingerprint of a file, its stamp, and the clock before the read.

    A file that moves meanwhile gives a fingerprint that fits nothing: empty.
    """
    from xxhash import xxh3_128

    seen_ns = time.time_ns()
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        before = stamp_of(descriptor)
        quick = xxh3_128(seed=seed)
        for _ in blocks(descriptor, before.size, quick.update):
            pass
        same = stamp_of(descriptor) == before
    finally:
        os.close(descriptor)
    return (quick.digest() if same else b""), before, seen_ns
