"""What is damaged on a remote, put there again from good copies.

A good copy is there, and claimed, before anything that spoke of the bad one goes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lazydata.digest import Digest
from lazydata.errors import ObjectCorrupt, RemoteDenied, RemoteObjectMissing, RemoteUnavailable
from lazydata.fsutil import remove, temp_name
from lazydata.outgoing import Outgoing, write_pack
from lazydata.packs import SMALL, PackedObject
from lazydata.progress import silent
from lazydata.remotes.claims import (
    BYTES_AT_MOST,
    FOLDER,
    RAW,
    Row,
    encode,
    key_of,
    name_of,
    salvage,
)
from lazydata.remotes.layout import (
    MARKER,
    object_key,
    pack_key,
    pack_of,
    unclaimed_keys,
)
from lazydata.remotes.threads import in_thread, spread
from lazydata.transfer.faults import NEWER, Fault, is_sound, moved, packed_of
from lazydata.transfer.verifying import RemoteChecked, Verifying

_MENDED_AT_ONCE = 2
_HEAD = 4096  # bytes of an index file that say whose it is


class Mending(Verifying):
    """Repairs of one remote, for one project; see ``Verifying``."""

    async def mend(
        self,
        checked: RemoteChecked,
        good: Mapping[Digest, Outgoing],
        needed: Collection[Digest],
        scratch: str,
    ) -> set[str]:
        """Put good copies in the place of what is damaged, and say where they lie.

        What there is no good copy of stays as it is.

        Args:
            checked: what ``examine`` found.
            good: local files of good copies, hashed.
            needed: what this project needs there.
            scratch: a local directory for packs.

        Returns:
            Keys of all that was put there.

        Raises:
            RemoteDenied, RemoteUnavailable, NoSpace: what was done by then is consistent.
        """
        watch = self.watch()
        await watch.look()
        places: dict[tuple[str, Digest], Row] = {}
        written: set[str] = set()

        async def mend(fault: Fault) -> None:
            mine = {row.digest for row in wanted.get(fault.key, ())}
            found = await self._mend_file(fault, good, mine, scratch)
            places.update({(fault.key, row.digest): row for row in found})
            written.update(row.key for row in found)

        wanted = checked.claims.by_key()
        faults = [each for each in checked.faults if each.problem != NEWER]
        if any(fault.key == MARKER for fault in faults):
            await self._mark()
        await spread([each for each in faults if _is_data(each)], _MENDED_AT_ONCE, mend)
        await self._claim_moved(checked, places)
        rows = await self._claim_lost(checked, places, good, needed)
        written.update(row.key for row in rows)
        await watch.outlast(written)
        return written

    # Data

    async def _mend_file(
        self,
        fault: Fault,
        good: Mapping[Digest, Outgoing],
        mine: Collection[Digest],
        scratch: str,
    ) -> list[Row]:
        """Put good copies there; where each object lies now."""
        if pack_of(fault.key):
            return await self._mend_pack(fault, good, mine, scratch)
        return [await self._put_whole(good[row.digest]) for row in fault.rows if row.digest in good]

    async def _put_whole(self, outgoing: Outgoing) -> Row:
        digest, size, path = outgoing[:3]
        await self._put_anew(object_key(digest), path, size)
        return Row(digest, size, object_key(digest), 0, size, RAW)

    async def _mend_pack(
        self,
        fault: Fault,
        good: Mapping[Digest, Outgoing],
        mine: Collection[Digest],
        scratch: str,
    ) -> list[Row]:
        """The same objects in the same order make the same pack; else they make another one."""
        damaged = temp_name(scratch)
        try:
            there = await self._sound_of(fault, damaged) if fault.packed else {}
            packed = fault.packed or tuple(sorted(map(packed_of, fault.rows), key=_offset))
            some = {**good, **there}
            whole = [some[each.digest] for each in packed if each.digest in some]
            if len(whole) == len(packed) and (
                rows := await self._put_pack(whole, scratch, only=pack_of(fault.key))
            ):
                return rows
            # No more of others than has to be: they may not be meant to go on.
            again = [each for each in whole if each.digest in mine]
            large = [each for each in again if each.packed is None and each.size > SMALL]
            small = [each for each in again if each not in large]
            rows = [await self._put_whole(each) for each in large]
            return rows + await self._put_pack(small, scratch)
        finally:
            remove(damaged)

    async def _sound_of(self, fault: Fault, path: str) -> dict[Digest, Outgoing]:
        """What can still be had from a damaged pack, which is fetched to a file."""
        try:
            await self._remote.get(fault.key, Path(path), silent)
        except (RemoteObjectMissing, RemoteDenied, RemoteUnavailable):
            return {}

        def look() -> dict[Digest, Outgoing]:
            data = Path(path).read_bytes()
            return {
                each.digest: Outgoing(each.digest, each.size, Path(path), each)
                for each in fault.packed
                if is_sound(each, data)
            }

        return await in_thread(look)

    async def _put_pack(
        self, objects: Sequence[Outgoing], scratch: str, *, only: str | None = None
    ) -> list[Row]:
        """Put a pack there, if it gets that name; where its objects lie."""
        path = temp_name(scratch)
        try:
            name, packed, _ = await in_thread(write_pack, path, objects)
            if not packed or only not in (None, name):
                return []
            key = pack_key(name)
            await self._put_anew(key, Path(path), os.path.getsize(path))
            return [Row(b.digest, b.size, key, b.offset, b.stored, b.codec) for b in packed]
        finally:
            remove(path)

    async def _put_anew(self, key: str, path: Path, size: int) -> None:
        """Put a file there whatever is there now, which may well have the right size."""
        await self._remote.put(key, path, silent)
        found = await self._remote.stat(key)
        if found is None or found.size != size:
            raise RemoteUnavailable(f"{self.url}: {key} did not arrive whole", hint="run it again")

    # Claims

    async def _claim_moved(
        self, checked: RemoteChecked, places: Mapping[tuple[str, Digest], Row]
    ) -> None:
        """Say where objects lie now, then remove the index files that said otherwise."""
        ours = checked.claims.ours
        old = {
            name: rows
            for name, rows in ours.items()
            if any(places.get((row.key, row.digest), row) != row for row in rows)
        }
        rows = {row for each in old.values() for row in moved(each, places)}
        mine = checked.claims.claimed()
        rows.update(row for row in places.values() if row.digest not in mine)
        if not rows:
            return
        written = await self.claim(rows, supersedes=old.keys())
        await self._drop([name for name in old if name not in written])

    async def _claim_lost(
        self,
        checked: RemoteChecked,
        places: Mapping[tuple[str, Digest], Row],
        good: Mapping[Digest, Outgoing],
        needed: Collection[Digest],
    ) -> set[Row]:
        """Say again what index files said that are damaged or gone; what is claimed now."""
        lost = {row.digest for each in checked.faults if each.key == FOLDER for row in each.rows}
        names = [name for each in checked.faults if (name := name_of(each.key))]
        left = [name for name in names if not await self._mend_index_file(name, places)]
        # Only ours may go: of another one nobody knows what it claimed.
        ours = [name for name in left if await self._is_ours(name)]
        rows = {row for name in ours for row in await self._salvage(name)}
        wanted = lost | (set(needed) if left else set())
        wanted -= checked.claims.claimed() | {row.digest for row in rows}
        rows |= await self._find(wanted, checked)
        gone = lost - {row.digest for row in rows}
        rows.update([await self._put_whole(good[each]) for each in gone if each in good])
        written = await self.claim(rows)
        await self._drop([name for name in ours if name not in written])
        return rows

    async def _salvage(self, name: str) -> list[Row]:
        """What can still be read in an index file of ours, and is so."""
        by_key: dict[str, list[Row]] = {}
        for row in salvage(await self._remote.get_range(key_of(name), 0, BYTES_AT_MOST)):
            by_key.setdefault(row.key, []).append(row)
        found: list[Row] = []

        async def look(key: str) -> None:
            fault = await self._fault_of(key, by_key[key])
            bad = fault.rows if fault else ()
            found.extend(row for row in by_key[key] if row not in bad)

        await spread(sorted(by_key), self.concurrency, look)
        return found

    async def _mend_index_file(self, name: str, places: Mapping[tuple[str, Digest], Row]) -> bool:
        """Write an index file as this machine remembers it; False where it does not."""
        known = await self._remember(self._memory.remembered, self.url, name)
        if known is None:
            return False
        if known.project == self._project:
            known = known._replace(rows=tuple(moved(known.rows, places)))
        again, data = encode(known)
        await self._remote.put_bytes(key_of(again), data)
        await self._remember(self._memory.merge, self.url, again, known.project, known.rows)
        if again != name:
            await self._drop([name])
        return True

    async def _drop(self, names: Collection[str]) -> None:
        await self._remote.delete([key_of(name) for name in names])
        await self._remember(self._memory.forget, self.url, names)

    async def _is_ours(self, name: str) -> bool:
        """Whether what is left of an index file says that this project wrote it."""
        try:
            head = await self._remote.get_range(key_of(name), 0, _HEAD)
            found = json.loads(head.partition(b"\n")[0])["project"]
        except (RemoteObjectMissing, ValueError, KeyError, TypeError, RecursionError):
            return False
        return bool(self._project) and found == self._project

    async def _find(self, digests: Collection[Digest], checked: RemoteChecked) -> set[Row]:
        """Where objects lie that no index file of ours claims any more."""
        others = [row for rows in checked.claims.others.values() for row in rows]
        found = {row.digest: row for row in others if row.digest in digests}

        async def ask(digest: Digest) -> None:
            for key in unclaimed_keys(digest):
                stat = await self._remote.stat(key)
                if stat is not None:
                    found[digest] = Row(digest, stat.size, key, 0, stat.size, RAW)
                    return

        await spread([each for each in digests if each not in found], self.concurrency, ask)
        left = {digest for digest in digests if digest not in found}
        if left:
            found.update(await self._in_footers(left))
        return set(found.values())

    async def _in_footers(self, digests: Collection[Digest]) -> dict[Digest, Row]:
        """Where packs say that they have objects."""
        found: dict[Digest, Row] = {}
        packs = [each async for each in self._remote.list("packs/") if pack_of(each.key)]
        for stat in packs:
            try:
                packed = await self._footer(stat)
            except (ObjectCorrupt, RemoteObjectMissing):
                continue
            for b in packed:
                if b.digest in digests:
                    found[b.digest] = Row(b.digest, b.size, stat.key, b.offset, b.stored, b.codec)
        return found


def _is_data(fault: Fault) -> bool:
    return bool(fault.rows or fault.packed) and fault.key != FOLDER


def _offset(packed: PackedObject) -> int:
    return packed.offset
