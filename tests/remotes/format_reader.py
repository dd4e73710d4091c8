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
PACKED = re.compile(rf"({DIGEST})\t({NUMBER})\t({NUMBER})\t({NUMBER})\t([^\t]*)")
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
        if (_is_whole(row) or _is_range(row)) and os.path.isfile(base / row.key):
            try:
                return _read(base, row)
            except (ValueError, zstandard.ZstdError):
                damaged = True
    raise ValueError(f"all copies are damaged: {digest}") if damaged else KeyError(digest)


def _object(text: str | bytes) -> dict[str, object]:
    try:
        found = loads(text)
    except RecursionError:
        found = None
    # isinstance would take a bool
    if not isinstance(found, dict) or type(found.get("format")) is not int:
        raise ValueError("not a JSON object with an integer format")
    return found


def _index_files(base: Path) -> Iterator[tuple[str, bytes]]:
    done: set[Path] = set()
    again = True
    while again:
        again = False
        for path in sorted(set(base.glob("index/*.idx")) - done):
            done.add(path)
            try:
                yield path.stem, path.read_bytes() if path.stat().st_size <= 64 * MIB else b""
            except FileNotFoundError:  # put together with others meanwhile
                again = True
            except IsADirectoryError:
                continue


def _index_rows(base: Path) -> Iterator[Row]:
    marker = base / "lazydata.json"
    data = marker.read_bytes() if marker.exists() else b'{"format": 1}'
    if _object(data)["format"] != 1:
        raise ValueError("lazydata.json is of another format")
    for name, data in _index_files(base):
        try:
            yield from _claimed(name, data)
        except ValueError:
            continue  # left out whole


def _claimed(name: str, data: bytes) -> list[Row]:
    if blake3(data).hexdigest() != name:
        raise ValueError(f"the bytes do not fit the name: {name}")
    first, *lines, rest = data.decode("ascii").split("\n")
    head = _object(first)
    superseded = head.get("supersedes")
    fits = head["format"] == 1 and isinstance(head.get("project"), str) and not rest
    if not fits or not isinstance(superseded, list):
        raise ValueError(f"its first line makes no sense: {name}")
    matches = [ROW.fullmatch(line) for line in lines]
    if not all(matches) or not all(isinstance(each, str) for each in superseded):
        raise ValueError(f"it makes no sense: {name}")
    return [_row(*match.groups()) for match in matches if match]


def _row(digest: str, size: str, key: str, offset: str, stored: str, codec: str) -> Row:
    return Row(digest, int(size), key, int(offset), int(stored), codec)


def _is_whole(row: Row) -> bool:
    return row.key.startswith(("objects/", "data/")) and row.offset == 0 and row.codec == "raw"


def _is_range(row: Row) -> bool:
    fits = max(row.size, row.stored) <= 16 * MIB
    return fits and (row.codec == "zstd" or (row.codec == "raw" and row.stored == row.size))


def _pack_rows(path: Path, key: str) -> list[Row]:
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size - 33
        file.seek(max(end, 0))
        tail = re.fullmatch(rb"([0-9a-f]{16})\n" + MAGIC, file.read(33))
        length = int(tail[1], 16) if tail else -1
        if not 0 <= length <= min(4 * MIB, end - 16):
            raise ValueError(f"not a pack: {path}")
        file.seek(end - length)
        *lines, rest = file.read(length).decode("ascii").split("\n")
    matches = [PACKED.fullmatch(line) for line in lines]
    rows = [_row(*match.group(1, 2), key, *match.group(3, 4, 5)) for match in matches if match]
    inside = all(row.offset + row.stored <= end - length for row in rows)
    if rest or not inside or len(rows) != len(lines):
        raise ValueError(f"the footer is damaged: {path}")
    return rows


def _places(base: Path, digest: str) -> Iterator[Row]:
    algorithm, digits = digest.split(":")
    yield from (row for row in _index_rows(base) if row.digest == digest)
    own = [f"objects/{algorithm}/{digits[:2]}/{digits}", f"data/{digits[:2]}/{digits[2:]}"]
    for key in own if algorithm == "sha256" else own[:1]:
        yield Row(digest, 0, key, 0, 0, "raw")
    for path in filter(Path.is_file, sorted(base.glob(PACKS))):
        try:
            rows = _pack_rows(path, path.relative_to(base).as_posix())
        except ValueError:
            continue
        yield from (row for row in rows if row.digest == digest)


def _read(base: Path, row: Row) -> bytes:
    with (base / row.key).open("rb") as file:
        if row.offset + row.stored > os.fstat(file.fileno()).st_size and not _is_whole(row):
            raise ValueError(f"it ends too early: {row.key}")
        file.seek(row.offset)
        data = file.read() if _is_whole(row) else file.read(row.stored)
    if row.codec == "zstd":
        # It takes a single-segment frame of any size: such a frame goes into the result at once.
        decoder = zstandard.ZstdDecompressor(max_window_size=8 * MIB)
        data = decoder.stream_reader(data).read(row.size + 1)
    if not _is_whole(row) and len(data) != row.size:
        raise ValueError(f"not as long as it should be: {row.key}")
    if HASHES[row.digest[:6]](data).hexdigest() != row.digest[7:]:
        raise ValueError(f"the hash does not fit: {row.key}")
    return data
