"""A reader of remotes in a directory, written from ``docs/reference/remote-format.md`` alone.

It knows nothing of lazydata: if it can't read a remote, the page is wrong, or lazydata is.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import blake3
import zstandard

MAGIC = b"lazydata pack 1\n"
LARGEST = 16 << 20
PART = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
KEY = re.compile(rf"{PART}(?:/{PART})*")
DIGEST = re.compile(r"(blake3|sha256):[0-9a-f]{64}")
NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


def rows(base: Path) -> list[tuple[str, int, str, int, int, str]]:
    """All rows of all index files that are whole: digest, size, key, offset, stored, codec.

    Raises:
        ValueError: the remote has a newer format.
    """
    marker = base / "lazydata.json"
    if marker.exists() and json.loads(marker.read_bytes())["format"] > 1:
        raise ValueError("a newer format")
    found = []
    for path in sorted((base / "index").glob("*.idx")):
        data = path.read_bytes()
        if blake3.blake3(data).hexdigest() != path.stem or len(data) > 64 << 20:
            continue
        head, *lines = data.decode("ascii").split("\n")
        if json.loads(head)["format"] > 1:
            continue
        for line in lines[:-1]:
            digest, size, key, offset, stored, codec = line.split("\t")
            if not (DIGEST.fullmatch(digest) and KEY.fullmatch(key) and len(key) <= 512):
                continue
            if all(map(NUMBER.fullmatch, (size, offset, stored))):
                found.append((digest, int(size), key, int(offset), int(stored), codec))
    return found


def list_objects(base: Path) -> dict[str, int]:
    """All objects that the index files list, with their sizes."""
    return {digest: size for digest, size, *_ in rows(base)}


def list_pack(path: Path) -> list[tuple[str, int]]:
    """Digest and size of each object in a pack, by its footer.

    Raises:
        ValueError: it is no pack.
    """
    data = path.read_bytes()
    if data[:16] != MAGIC or data[-16:] != MAGIC:
        raise ValueError("no pack")
    length = int(data[-33:-17], 16)
    lines = data[-33 - length : -33].decode("ascii").splitlines()
    return [(line.split("\t")[0], int(line.split("\t")[1])) for line in lines]


def extract(base: Path, digest: str) -> bytes:
    """The bytes of an object, from the first place that has it whole.

    Raises:
        KeyError: it is nowhere.
        ValueError: all copies are damaged.
    """
    algorithm, _, digits = digest.partition(":")
    places = [row[1:] for row in rows(base) if row[0] == digest]
    for key in (f"objects/{algorithm}/{digits[:2]}/{digits}", f"data/{digits[:2]}/{digits[2:]}"):
        if (base / key).exists():
            places.append((-1, key, 0, -1, "raw"))
    damaged = False
    for size, key, offset, stored, codec in places:
        try:
            with (base / key).open("rb") as file:
                file.seek(offset)
                if key.startswith("packs/") and max(size, stored) > LARGEST:
                    raise ValueError("too large")
                data = decoded(file.read(stored), codec, size)
        except FileNotFoundError:
            continue
        except (ValueError, zstandard.ZstdError):
            damaged = True
            continue
        hasher = blake3.blake3(data) if algorithm == "blake3" else hashlib.sha256(data)
        if hasher.hexdigest() == digits:
            return data
        damaged = True
    raise ValueError(digest) if damaged else KeyError(digest)


def decoded(stored: bytes, codec: str, size: int) -> bytes:
    """The bytes that a codec makes of stored ones.

    Raises:
        ValueError: it is an unknown codec.
    """
    if codec == "raw":
        return stored
    if codec != "zstd":
        raise ValueError(codec)
    with zstandard.ZstdDecompressor(max_window_size=8 << 20).stream_reader(stored) as reader:
        return reader.read(size + 1)
