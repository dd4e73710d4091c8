"""How a remote is laid out below its URL (format 1).

::

    lazydata.json                 {"format": 1}: a newer format is refused
    objects/blake3/ab/<hex>       a whole object, raw, so that other tools can read it
    packs/ab/<hex>.pack           small objects together, see ``lazydata.packs``
    index/<hex>.idx               a claim, see ``lazydata.remotes.claims``
    gc/<hex>.candidates, .sweep   what a gc wrote down, see ``lazydata.remotes.candidates``
    data/<2 hex>/<62 hex>         a whole object of lazydata 1.x (SHA-256), read only
"""

from __future__ import annotations

import json
import re

from lazydata.digest import Digest
from lazydata.errors import NeedsUpgrade, UsageError
from lazydata.remotes.claims import RAW, Location

FORMAT = 1
MARKER = "lazydata.json"
MARKER_BYTES = b'{"format": 1}\n'
_OBJECT = re.compile(r"objects/(blake3|sha256)/[0-9a-f]{2}/([0-9a-f]{64})")
_PACK = re.compile(r"packs/[0-9a-f]{2}/([0-9a-f]{64})\.pack")
MARKER_AT_MOST = 64 << 10  # bytes of it that are read


def check_marker(url: str, data: bytes) -> None:
    """Look whether this lazydata can use a remote that is marked so.

    Args:
        url: of the remote, for the message.
        data: what its ``lazydata.json`` holds.

    Raises:
        NeedsUpgrade: a newer lazydata wrote it.
        UsageError: it makes no sense.
    """
    try:
        found = json.loads(data)["format"]
        if type(found) is not int or found < 1:
            raise ValueError(found)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            f"{url}: its {MARKER} makes no sense",
            hint=f"if lazydata wrote to this place, put {MARKER_BYTES.decode().strip()} there",
        ) from None
    if found > FORMAT:
        raise NeedsUpgrade(
            f"{url} has format {found}, and this lazydata knows up to {FORMAT}",
            hint="upgrade lazydata",
        )


def object_key(digest: Digest) -> str:
    """Where a whole object lies.

    Example:
        >>> object_key(Digest("blake3:" + "ab" * 32))[:20]
        'objects/blake3/ab/ab'
    """
    return f"objects/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}"


def pack_key(name: str) -> str:
    """Where a pack lies, by its 64 hex digits."""
    return f"packs/{name[:2]}/{name}.pack"


def pack_of(key: str) -> str | None:
    """The name of the pack under a key; None where that is something else."""
    found = _PACK.fullmatch(key)
    return found[1] if found and key == pack_key(found[1]) else None


def object_of(key: str) -> Digest | None:
    """The object that a key has as a whole; None where that is something else.

    What lazydata 1.x put there is only read, so it is something else.
    """
    found = _OBJECT.fullmatch(key)
    digest = Digest(f"{found[1]}:{found[2]}") if found else None
    return digest if digest and key == object_key(digest) else None


def unclaimed_keys(digest: Digest) -> list[str]:
    """Where an object may lie whole although no index file says so."""
    keys = [object_key(digest)]
    if digest.algorithm == "sha256":
        keys.append(f"data/{digest.hex[:2]}/{digest.hex[2:]}")
    return keys


def is_whole(location: Location) -> bool:
    """Whether the file at a location is the object, and nothing else."""
    begins = location.codec == RAW and location.offset == 0
    return begins and location.key.startswith(("objects/", "data/"))
