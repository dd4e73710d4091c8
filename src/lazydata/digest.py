"""Digests (identity) and fingerprints (unchanged or not), from one read of a file.

BLAKE3 names objects: https://github.com/BLAKE3-team/BLAKE3-specs. XXH3-128
(https://xxhash.com) answers "same as when I looked?" at memory speed; its seed
is a secret of the index, so nobody can craft a file that answers yes.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from lazydata.errors import FileBusy
from lazydata.stamp import Stamp, is_racy, stamp_of

BLOCK = 4 << 20
_READ_AHEAD_FROM = 32 << 20
_SHAPE = re.compile(r"(blake3|sha256):[0-9a-f]{64}")
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
        if not _SHAPE.fullmatch(lowered):
            raise ValueError(f"{text!r} is not a digest (blake3:<64 hex digits>)")
        return cls(lowered)

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.partition(":")[2]
