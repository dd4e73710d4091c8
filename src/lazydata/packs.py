"""Packs: one file that carries many small objects.

::

    lazydata pack 1 LF                                     16 bytes
    the objects' bytes, back to back, each as its codec says
    <digest> TAB <size> TAB <offset> TAB <stored> TAB <codec> LF      a line for each
    <length of these lines, 16 hex digits> LF lazydata pack 1 LF      33 bytes

A pack is named by the BLAKE3 of all its bytes. Its lines (the footer) say what an index
file says of it, so an index file that is lost can be made anew. Codecs are ``raw`` and
``zstd`` (RFC 8878); the latter only where it saves at least 5 %.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from lazydata.digest import Digest, Hasher, digest_of
from lazydata.errors import NeedsUpgrade, ObjectCorrupt

MAGIC = b"lazydata pack 1\n"
RAW, ZSTD = "raw", "zstd"
CODECS = (RAW, ZSTD)
# What goes into a pack, and how large one gets: a request costs as much as a megabyte.
SMALL = 1 << 20
SIZE = 32 << 20
OBJECTS = 25_000
LARGEST = 16 << 20  # of an object in a pack; what is claimed above it is refused
FOOTER_AT_MOST = 4 << 20  # what so many lines take, and some more
_TRAILER = 17 + len(MAGIC)
_AT_ONCE = 256 << 10  # bytes: BLAKE3 is far quicker on these than on a few kilobytes
_WINDOW = 8 << 20  # zstd asks for so much memory before it gives a byte
_LEVEL = 3
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_LENGTH = re.compile(rb"[0-9a-f]{16}")


class PackedObject(NamedTuple):
    """Where one object lies in a pack.

    Args:
        digest: of the object.
        size: its bytes.
        offset: where it begins in the pack, bytes.
        stored: how many bytes it takes there.
        codec: ``raw`` or ``zstd``.
    """

    digest: Digest
    size: int
    offset: int
    stored: int
    codec: str


class Encoded(NamedTuple):
    """The bytes of an object as they lie in a pack.

    Args:
        codec: ``raw`` or ``zstd``.
        stored: the bytes.
        size: of the object, bytes.
    """

    codec: str
    stored: bytes
    size: int


class Encoder:
    """Encodes objects for packs; for one thread.

    Example:
        >>> Encoder().encode(b"a" * 1000).codec
        'zstd'
    """

    def __init__(self) -> None:
        self._compressor: Any = None

    def encode(self, data: bytes) -> Encoded:
        """Compress an object, if that saves enough."""
        if self._compressor is None:
            from zstandard import ZstdCompressor

            self._compressor = ZstdCompressor(level=_LEVEL)
        packed = self._compressor.compress(data)
        if len(packed) * 20 <= len(data) * 19:
            return Encoded(ZSTD, packed, len(data))
        return Encoded(RAW, data, len(data))


class PackWriter:
    """Writes a pack into an open file, from its start.

    Args:
        file: binary, empty; it stays open.

    Example:
        >>> import io
        >>> len(PackWriter(io.BytesIO()).finish())
        64
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hasher = Hasher()
        self._encoder = Encoder()
        self._pieces: list[bytes] = []  # to be written and hashed in one go
        self._held = 0
        self.size = 0
        self.objects: list[PackedObject] = []
        self._write(MAGIC)

    def add(self, digest: Digest, data: bytes | Encoded) -> None:
        """Append an object; who calls has made sure that these are its bytes."""
        encoded = data if isinstance(data, Encoded) else self._encoder.encode(data)
        codec, stored, size = encoded
        self.objects.append(PackedObject(digest, size, self.size, len(stored), codec))
        self._write(stored)

    def finish(self) -> str:
        """Write the footer.

        Returns:
            The pack's name, 64 hex digits.
        """
        footer = "".join("\t".join(map(str, each)) + "\n" for each in self.objects).encode("ascii")
        self._write(footer)
        self._write(b"%016x\n" % len(footer) + MAGIC)
        self._flush()
        return self._hasher.digest.hex

    def _write(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held += len(data)
        self.size += len(data)
        if self._held >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._pieces)
        self._file.write(data)
        self._hasher.update(data)
        self._pieces, self._held = [], 0


def decoded(data: bytes | Encoded) -> bytes:
    """The bytes of an object that may be encoded."""
    return decode(*data) if isinstance(data, Encoded) else data


def decode(codec: str, stored: bytes | memoryview, size: int) -> bytes:
    """The bytes of an object; decoding stops at the size that is claimed.

    Nothing is hashed: who asks verifies.

    Raises:
        ObjectCorrupt: they can't be had from these bytes, or are not so many.
        NeedsUpgrade: a newer lazydata wrote them.

    Example:
        >>> decode("raw", b"abc", 3)
        b'abc'
    """
    data = b""
    check_claimed(size, len(stored))
    if codec == RAW:
        data = bytes(stored)
    elif codec == ZSTD:
        from zstandard import ZstdDecompressor, ZstdError

        try:
            with ZstdDecompressor(max_window_size=_WINDOW).stream_reader(stored) as reader:
                data = reader.read(size + 1)
        except ZstdError as error:
            raise ObjectCorrupt(f"compressed bytes can't be decoded: {error}") from error
    else:
        raise NeedsUpgrade(
            f"an object is stored with the codec {codec!r}, which this lazydata does not know",
            hint="upgrade lazydata",
        )
    if len(data) != size:
        raise ObjectCorrupt(f"the object has {len(data)} bytes or more, not {size}")
    return data


def check_claimed(size: int, stored: int) -> None:
    """Refuse sizes that no pack's object has, before any memory is asked for.

    Raises:
        ObjectCorrupt: who wrote this means harm, or is not lazydata.
    """
    if size > LARGEST or stored > LARGEST:
        raise ObjectCorrupt(f"an object in a pack can't have {max(size, stored)} bytes")


def verified(digest: Digest, codec: str, stored: bytes | memoryview, size: int) -> bytes:
    """The bytes of an object, decoded and hashed.

    Raises:
        ObjectCorrupt: they are not the object's.
        NeedsUpgrade: a newer lazydata wrote them.
    """
    data = decode(codec, stored, size)
    actual = digest_of(data, digest.algorithm)
    if actual != digest:
        raise ObjectCorrupt(f"what was to be {digest} is {actual}", expected=digest, actual=actual)
    return data


def read_footer(read: Callable[[int, int], bytes], size: int) -> list[PackedObject]:
    """What a pack says that it has.

    Args:
        read: takes an offset and a length, gives these bytes of the pack.
        size: of the pack, bytes.

    Raises:
        ObjectCorrupt: it is no pack, or not a whole one.
    """
    try:
        if size < len(MAGIC) + _TRAILER:
            raise ValueError("it is too short")
        trailer = read(size - _TRAILER, _TRAILER)
        if trailer[16:] != b"\n" + MAGIC:
            raise ValueError("it does not end as one")
        if not _LENGTH.fullmatch(trailer[:16]):
            raise ValueError("its footer has no length")
        length = int(trailer[:16], 16)
        begin = size - _TRAILER - length
        if begin < len(MAGIC) or length > FOOTER_AT_MOST:
            raise ValueError("its footer has an impossible length")
        lines = read(begin, length).decode("ascii").split("\n")
        if lines.pop():
            raise ValueError("its footer is torn")
        return [_packed_object(line, begin) for line in lines]
    except (ValueError, OverflowError) as error:
        raise ObjectCorrupt(f"this is not a whole pack: {error}") from error


def _packed_object(line: str, end: int) -> PackedObject:
    digest, size, offset, stored, codec = line.split("\t")
    parsed = Digest.parse(digest)
    numbers = [int(each) for each in (size, offset, stored) if _NUMBER.fullmatch(each)]
    if parsed != digest or len(numbers) != 3 or numbers[1] + numbers[2] > end:
        raise ValueError(f"its footer says {line!r}")
    return PackedObject(parsed, numbers[0], numbers[1], numbers[2], codec)
