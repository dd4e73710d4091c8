"""Read small files whole. Also a program of its own, which reads them on another core."""

import os
import sys
import time
from array import array

from lazydata.digest import Digest, digest_of, fingerprint_of
from lazydata.helper import Helper, homes
from lazydata.lease import is_written
from lazydata.packs import CODECS, Encoded, Encoder
from lazydata.stamp import Stamp, is_racy, stamp_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PRINT = 16  # bytes of a fingerprint
_WIDTH = 9  # numbers a file in an answer: how it went, when, codec, bytes stored, and its stamp
_READ, _RACY, _NEW, _DATA = 1, 2, 4, 8
_DIGEST = len("blake3:") + 64
_READING = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_PROGRAM = "import sys; sys.path += sys.argv[4:]; from lazydata.small_files import main; main()"


class NotSmallError(Exception):
    """The file is large, or may not lie among others' bytes."""


class Small:
    """One file, as it was read.

    Args:
        stamp: that it had while it was read.
        fingerprint: of its bytes.
        seen_ns: the clock before it was opened, ns since the epoch.
        is_racy: it may change without another stamp.
        digest: of its bytes; None if it still has the fingerprint that was asked about.
        data: its bytes, if they have a digest and are wanted; encoded, if another process did so.
    """

    __slots__ = ("data", "digest", "fingerprint", "is_racy", "seen_ns", "stamp")

    def __init__(
        self,
        stamp: Stamp,
        fingerprint: bytes,
        seen_ns: int,
        is_racy: bool,
        digest: "Digest | None" = None,
        data: "bytes | Encoded | None" = None,
    ) -> None:
        self.stamp, self.fingerprint, self.seen_ns = stamp, fingerprint, seen_ns
        self.is_racy, self.digest, self.data = is_racy, digest, data


class SmallFiles:
    """What is to be known to read small files.

    Args:
        seed: of their fingerprints.
        limit: bytes; a file that has so many is not small.
        audience: mode bits that a file has to have; None if nobody wants its bytes.

    Example:
        SmallFiles(seed, limit=64 << 10).read("/data/x.csv")
    """

    def __init__(self, seed: int, limit: int, audience: "int | None" = None) -> None:
        self.seed, self.limit, self.audience = seed, limit, audience

    def read(self, file: str, was: bytes = b"") -> "Small | None":
        """Read a file; None if it is changed meanwhile.

        Args:
            file: its path.
            was: the fingerprint that it had; empty if it had none.

        Raises:
            NotSmallError: it is to be read in another way.
            OSError: it can't be read.
        """
        seen_ns = time.time_ns()
        descriptor = os.open(file, _READING)
        try:
            status = os.fstat(descriptor)
            if status.st_size >= self.limit or (self.audience or 0) & ~status.st_mode:
                raise NotSmallError
            data = os.read(descriptor, self.limit)
            after = os.fstat(descriptor)
            if len(data) != after.st_size or after.st_mtime_ns != status.st_mtime_ns:
                return None
            written = is_written(descriptor, after.st_dev)
        finally:
            os.close(descriptor)
        stamp = stamp_from(after)
        found = fingerprint_of(data, self.seed)
        racy = written or is_racy(stamp, seen_ns)
        if found == was:
            return Small(stamp, found, seen_ns, racy)
        kept = None if self.audience is None else data
        return Small(stamp, found, seen_ns, racy, digest_of(data), kept)


class SmallFilesElsewhere:
    """The same, done by another process for many files at once.

    Args:
        files: what is to be known.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, files: SmallFiles) -> None:
        import blake3
        import xxhash
        import zstandard

        audience = -1 if files.audience is None else files.audience
        settings = map(str, (files.seed, files.limit, audience))
        self._helper = Helper(["-c", _PROGRAM, *settings, *homes(blake3, xxhash, zstandard)])

    def read(self, directory: str, files: "Sequence[tuple[str, bytes]]") -> "list[Small | None]":
        """Read files of a directory; None stands for each that the caller has to read.

        Args:
            directory: absolute.
            files: the name of each, and the fingerprint that it had or nothing.
        """
        names = "\0".join([directory, *(name for name, _ in files)])
        text = names.encode("utf-8", "surrogateescape")
        prints = b"".join(was or bytes(_PRINT) for _, was in files)
        self._helper.tell(array("q", (len(text), len(files))).tobytes() + text + prints)
        try:
            return self._answer(len(files))
        except EOFError:
            return [None] * len(files)  # it has ended

    def _answer(self, count: int) -> "list[Small | None]":
        numbers = array("q", self._receive(8 * _WIDTH * count))
        prints = self._receive(_PRINT * count)
        digests = self._receive(_DIGEST * count).decode("ascii")
        found: list[Small | None] = []
        for at in range(count):
            went, seen_ns, codec, stored, *numbered = numbers[at * _WIDTH : at * _WIDTH + _WIDTH]
            stamp, data = Stamp(numbered), None
            if went & _DATA:
                data = Encoded(CODECS[codec], self._receive(stored), stamp.size)
            digest = digests[at * _DIGEST : at * _DIGEST + _DIGEST]
            small = Small(
                stamp,
                prints[at * _PRINT : at * _PRINT + _PRINT],
                seen_ns,
                bool(went & _RACY),
                Digest(digest) if went & _NEW else None,
                data,
            )
            found.append(small if went else None)
        return found

    def _receive(self, size: int) -> bytes:
        data = self._helper.stdout.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def close(self) -> None:
        """End the process."""
        self._helper.close()


def main() -> None:
    """Read the files that stdin asks for, until it ends."""
    seed, limit, audience = map(int, sys.argv[1:4])
    files = SmallFiles(seed, limit, None if audience < 0 else audience)
    encoder = Encoder()
    asked, out = sys.stdin.buffer, sys.stdout.buffer
    try:
        while len(head := asked.read(16)) == 16:
            length, count = memoryview(head).cast("q")
            path, *names = asked.read(length).decode("utf-8", "surrogateescape").split("\0")
            prints = asked.read(_PRINT * count)
            found = [
                _try(files, f"{path}{os.sep}{name}", prints[at * _PRINT : at * _PRINT + _PRINT])
                for at, name in enumerate(names)
            ]
            out.writelines(_answer(found, encoder))
            out.flush()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)  # nobody wants the rest


def _try(files: SmallFiles, file: str, was: bytes) -> "Small | None":
    try:
        small = files.read(file, was)
        array("q", small.stamp if small else ())  # raises where a number is too large for it
    except (OSError, NotSmallError, OverflowError):
        return None  # the caller sees it too, and says so
    return small


def _answer(found: "Sequence[Small | None]", encoder: Encoder) -> "list[bytes]":
    numbers: array[int] = array("q")
    prints: list[bytes] = []
    digests: list[str] = []
    data: list[bytes] = []
    for small in found:
        if small is None:
            numbers.extend([0] * _WIDTH)
            prints.append(bytes(_PRINT))
            digests.append(" " * _DIGEST)
            continue
        went = _READ | _RACY * small.is_racy
        codec = stored = 0
        if small.digest is not None:
            went |= _NEW
        if isinstance(small.data, bytes):
            went |= _DATA
            encoded = encoder.encode(small.data)
            codec, stored = CODECS.index(encoded.codec), len(encoded.stored)
            data.append(encoded.stored)
        numbers.extend((went, small.seen_ns, codec, stored, *small.stamp))
        prints.append(small.fingerprint)
        digests.append(small.digest or " " * _DIGEST)
    return [numbers.tobytes(), *prints, "".join(digests).encode("ascii"), *data]
