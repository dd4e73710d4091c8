"""What a gc writes down on a remote, and what others make of it.

::

    gc/<64 hex>.candidates    what no claim needed, and since when
    gc/<64 hex>.sweep         what a gc removes right now
    gc/<16 hex>.clock         asks the remote for the time, and is gone at once

The first two are text, one thing a line, and named by the BLAKE3 of their bytes::

    {"format":1,"id":"<16 hex>"}
    <key> TAB <size> TAB <mtime> TAB <since>

Times are seconds by the remote's own clock. A gc writes a sweep *before* it lists the
claims for the last time; who claims looks for sweeps *afterwards*. So one of the two
always sees the other, and no lock is needed.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from math import ceil
from typing import NamedTuple

from lazydata.digest import digest_of
from lazydata.errors import ObjectCorrupt, RemoteDenied, RemoteObjectMissing, RemoteUnavailable
from lazydata.messages import warn
from lazydata.remotes.base import Remote, Stat, check_key
from lazydata.remotes.claims import BYTES_AT_MOST, ROWS_AT_MOST
from lazydata.remotes.wrappers import Sleep

FOLDER = "gc/"
CANDIDATES, SWEEP, CLOCK = "candidates", "sweep", "clock"
GRACE_SECONDS = 7 * 86400
# What a push saw longer ago it looks at again: half of the shortest grace period that is
# safe while others push.
HALF_GRACE = 43200.0
SWEPT_FOR = 300.0  # seconds after it wrote a sweep, a gc removes nothing more that is in it
DEAD_AFTER = 900.0  # seconds by the remote's clock; whoever wrote such an old sweep is gone
_POLL = 1.0
_NAME = re.compile(r"gc/([0-9a-f]{64})\.(candidates|sweep)")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


class Candidate(NamedTuple):
    """A file of a remote that no claim needs.

    Args:
        key: where it lies.
        size: bytes.
        mtime: when it was written, seconds by the remote's clock.
        since: when it was first seen to be needed by nobody, seconds by the remote's clock.
    """

    key: str
    size: int
    mtime: int
    since: int

    @classmethod
    def of(cls, stat: Stat, since: float) -> Candidate:
        """A file as the remote lists it."""
        return cls(stat.key, stat.size, int(stat.mtime), ceil(since))


class Lasting:
    """How long something lasts, also where the machine sleeps meanwhile, or its clock is set."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.time()

    @property
    def seconds(self) -> float:
        """So far."""
        return max(time.monotonic() - self._began[0], time.time() - self._began[1])


class Notes:
    """The files of gcs on one remote.

    Args:
        remote: where they are.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def clock(self) -> float:
        """What time it is there, seconds since the epoch.

        Raises:
            RemoteDenied: it can't be written to, or nothing can be removed there.
        """
        key = f"{FOLDER}{secrets.token_hex(8)}.{CLOCK}"
        await self._remote.put_bytes(key, b"")
        found = await self._remote.stat(key)
        await self._remote.delete([key])
        if found is None:
            raise RemoteUnavailable(f"{self._remote.url}: {key} is not there, and was just written")
        return found.mtime

    async def listed(self) -> list[Stat]:
        """All that gcs have left there."""
        return [each async for each in self._remote.list(FOLDER)]

    async def read(self, stat: Stat) -> list[Candidate] | None:
        """What one file says; nothing where it is gone by now, None where it makes no sense."""
        found = _NAME.fullmatch(stat.key)
        try:
            if found is None or stat.size > BYTES_AT_MOST:
                raise ObjectCorrupt(f"{stat.key} is none")
            return decode(found[1], await self._remote.get_range(stat.key, 0, BYTES_AT_MOST))
        except RemoteObjectMissing:
            return []
        except ObjectCorrupt:
            return None

    async def write(self, kind: str, candidates: Sequence[Candidate]) -> list[str]:
        """Write candidates down, in as many files as they need.

        Returns:
            The keys of these.
        """
        keys = []
        for begin in range(0, len(candidates), ROWS_AT_MOST):
            name, data = encode(candidates[begin : begin + ROWS_AT_MOST])
            keys.append(f"{FOLDER}{name}.{kind}")
            await self._remote.put_bytes(keys[-1], data)
        return keys


class Watch:
    """What gcs do to a remote while something is claimed there.

    Args:
        remote: where that is.
        sleep: takes seconds; tests give one that does not wait.
    """

    def __init__(self, remote: Remote, *, sleep: Sleep = asyncio.sleep) -> None:
        self._remote, self._sleep = remote, sleep
        self._notes = Notes(remote)
        self._read: dict[str, set[str] | None] = {}
        self.lasting = Lasting()

    async def look(self) -> list[Stat]:
        """Learn what gcs wrote down; called before anything is taken to be there.

        Returns:
            The sweeps there are.
        """
        listed = [each for each in await self._notes.listed() if kind_of(each.key)]
        for stat in listed:
            if stat.key not in self._read:
                rows = await self._notes.read(stat)
                self._read[stat.key] = None if rows is None else {each.key for each in rows}
        return [each for each in listed if kind_of(each.key) == SWEEP]

    async def outlast(self, keys: Collection[str]) -> set[str]:
        """Wait until nobody removes what was claimed by now.

        Args:
            keys: of all that was claimed.

        Returns:
            Those that may be gone nevertheless: they are to be asked for.
        """
        sweeps = await self._meeting(keys)
        if sweeps:
            now, waited = await self._now(), Lasting()
            warn(f"waiting for a gc that removes something from {self._remote.url}")
            while any(each.mtime > now + waited.seconds - DEAD_AFTER for each in sweeps):
                await self._sleep(_POLL)
                sweeps = await self._meeting(keys)
        return {key for key in keys if any(_has(each, key) for each in self._read.values())}

    async def _meeting(self, keys: Collection[str]) -> list[Stat]:
        """The sweeps that have some of these."""
        sweeps = await self.look()
        return [each for each in sweeps if any(_has(self._read[each.key], key) for key in keys)]

    async def _now(self) -> float:
        with suppress(RemoteDenied):  # it may be one that nothing can be removed from by us
            return await self._notes.clock()
        return time.time()


def kind_of(key: str) -> str | None:
    """Whether a key is that of candidates or of a sweep; None for anything else."""
    found = _NAME.fullmatch(key)
    return found[2] if found else None


def encode(candidates: Iterable[Candidate]) -> tuple[str, bytes]:
    """The name and the bytes of a file; each time another one, since two gcs may say the same."""
    head = {"format": 1, "id": secrets.token_hex(8)}
    lines = [json.dumps(head, sort_keys=True, separators=(",", ":"))]
    lines += ("\t".join(map(str, each)) for each in candidates)
    data = ("\n".join(lines) + "\n").encode("ascii")
    return digest_of(data).hex, data


def decode(name: str, data: bytes) -> list[Candidate]:
    """Read candidates.

    Args:
        name: the 64 hex digits of the file.
        data: all its bytes.

    Raises:
        ObjectCorrupt: the bytes do not fit the name, or make no sense; a newer lazydata may
            have written them.
    """
    try:
        head, *lines = data.decode("ascii").split("\n")
        if digest_of(data).hex != name or json.loads(head)["format"] != 1 or lines.pop():
            raise ValueError(head)
        return [_candidate(line) for line in lines]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ObjectCorrupt(f"the candidates {name} make no sense") from error


def _candidate(line: str) -> Candidate:
    key, *rest = line.split("\t")
    numbers = [int(each) for each in rest if _NUMBER.fullmatch(each)]
    if len(rest) != 3 or len(numbers) != 3:
        raise ValueError(line)
    return Candidate(check_key(key), *numbers)


def _has(keys: set[str] | None, key: str) -> bool:
    """What can't be read may be about anything."""
    return keys is None or key in keys
