"""Read a remote in a local directory by docs/reference/remote-format.md, without lazydata."""

import hashlib
import os
import re
from collections import namedtuple
from collections.abc import Iterator
from json import loads
from pathlib import Path

import zstandard
from blake3 import blake3

MIB = 1 << 20
MAGIC = b"lazydata pack 1\n"
HASHES = {"blake3": blake3, "sha256": hashlib.sha256}
DIGEST = r"(?:blake3|sha256):[0-9a-f]{64}"
NUMBER = r"0|[1-9][0-9]{0,17}"
KEY = r"(?=[^\t]{1,512}\t)[a-z0-9]+(?:(?:/|[._-]+)[a-z0-9]+)*"
ROW = re.compile(rf"({DIGEST})\t({NUMBER})\t({KEY})\t({NUMBER})\t({NUMBER})\t([a-z0-9]{{1,16}})")
PACKS = "packs/[0-9a-f][0-9a-f]/" + "[0-9a-f]" * 64 + ".pack"
Row = namedtuple("Row", "digest size key offset stored codec")


def list_objects(base: Path) -> dict[str, int]:
    """Map the digest of each object that the index files list to its size.

    Args:
        base: the directory of the remote. Damaged and too new index files in it are left out.

    Raises:
        ValueError: lazydata.json is damaged or of a newer format.
    """
    return {row.digest: row.size for row in _index_rows(base)}


def list_pack(path: Path) -> list[tuple[str, int]]:
    """List the digest and the size of each object in a pack, in the order of their bytes.

    Args:
        path: the pack. Neither its name nor its objects are verified.

    Raises:
        ValueError: it is not a pack, or its footer is damaged.
    """
    return [(row.digest, row.size) for row in _pack_rows(path, "packs/this")]


def extract(base: Path, digest: str) -> bytes:
    """Return the verified bytes of an object, from the first place that has them undamaged.

    Args:
        base: the directory of the remote.
        digest: `blake3:` or `sha256:`, and 64 lower-case hex digits.

    Raises:
        KeyError: the object is nowhere, or only in a codec that the page does not define.
        ValueError: all its copies are damaged, it is no digest, or as for `list_objects`.
    """
    if not re.fullmatch(DIGEST, digest):
        raise ValueError(f"not a digest: {digest!r}")
    damaged = False
    for row in _places(base, digest):
        if row.codec in ("raw", "zstd") and os.path.isfile(base / row.key):
            try:
                return _read(base, row)
            except (ValueError, zstandard.ZstdError):
                damaged = True
    raise ValueError(f"all copies are damaged: {digest}") if damaged else KeyError(digest)


def _format(text: str | bytes) -> int:
    try:
        number = loads(text)["format"]
    except (ValueError, LookupError, TypeError, RecursionError):
        number = None
    if type(number) is not int:  # isinstance would take a bool
        raise ValueError("not a JSON object with an integer format")
    return number


def _row(line: str) -> Row | None:
    if not (match := ROW.fullmatch(line)):
        return None
    digest, key, codec = match.group(1, 3, 6)
    size, offset, stored = map(int, match.group(2, 4, 5))
    packed = key.startswith("packs/") and max(size, stored) <= 16 * MIB
    fits = packed or (key.startswith("objects/") and codec == "raw" and offset == 0)
    fits = fits and (codec != "raw" or stored == size)
    return Row(digest, size, key, offset, stored, codec) if fits else None


def _index_rows(base: Path) -> Iterator[Row]:  # superseded files too: they say nothing else
    marker = base / "lazydata.json"
    if marker.exists() and (marker.stat().st_size > MIB or _format(marker.read_bytes()) > 1):
        raise ValueError("lazydata.json is too large or of a newer format")
    for path in sorted(base.glob("index/*.idx")):
        data = path.read_bytes() if path.is_file() and path.stat().st_size <= 64 * MIB else b""
        if blake3(data).hexdigest() == path.stem and data.count(b"\n") <= 50_001:
            try:
                first, *lines, rest = data.decode("ascii").split("\n")
                if _format(first) == 1 and not rest:
                    yield from filter(None, map(_row, lines))
            except ValueError:
                continue


def _pack_rows(path: Path, key: str) -> list[Row]:
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size - 33
        magic = file.read(16)
        file.seek(max(end, 0))
        tail = re.fullmatch(rb"([0-9a-f]{16})\n" + MAGIC, file.read(33))
        begin = end - int(tail[1], 16) if tail else 0
        if magic != MAGIC or begin < 16:
            raise ValueError(f"not a pack: {path}")
        file.seek(begin)
        *lines, rest = file.read(end - begin).decode("ascii").split("\n")
    rows, at = [], 16
    for line in lines:
        fields = line.split("\t")
        row = _row("\t".join([*fields[:2], key, *fields[2:]]))
        if row and row.offset == at:
            rows.append(row)
            at += row.stored
    if rest or at != begin or len(rows) != len(lines):
        raise ValueError(f"the footer is damaged: {path}")
    return rows


def _places(base: Path, digest: str) -> Iterator[Row]:
    algorithm, digits = digest.split(":")
    own = [f"objects/{algorithm}/{digits[:2]}/{digits}", f"data/{digits[:2]}/{digits[2:]}"]
    yield from (row for row in _index_rows(base) if row.digest == digest and row.key not in own)
    for key in own if algorithm == "sha256" else own[:1]:
        size = os.path.getsize(base / key) if os.path.isfile(base / key) else 0
        yield Row(digest, size, key, 0, size, "raw")
    for path in filter(Path.is_file, sorted(base.glob(PACKS))):
        try:
            rows = _pack_rows(path, path.relative_to(base).as_posix())
        except ValueError:
            continue
        yield from (row for row in rows if row.digest == digest)


def _read(base: Path, row: Row) -> bytes:
    with (base / row.key).open("rb") as file:
        spare = os.fstat(file.fileno()).st_size - row.offset - row.stored
        if spare < 0 or (spare > 0 and not row.key.startswith("packs/")):
            raise ValueError(f"not as long as it should be: {row.key}")
        file.seek(row.offset)
        data = file.read(row.stored)
    if row.codec == "zstd":
        if zstandard.get_frame_parameters(data).window_size > 8 * MIB:
            raise ValueError(f"its window is too large: {row.key}")
        data = zstandard.ZstdDecompressor().stream_reader(data).read(row.size)
    if HASHES[row.digest[:6]](data).hexdigest() != row.digest[7:]:
        raise ValueError(f"the hash does not fit: {row.key}")
    return data
