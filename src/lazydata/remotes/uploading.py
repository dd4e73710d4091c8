"""Objects and packs on their way to a remote (``remotes.layout`` says where they lie there)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lazydata.digest import Digest, hash_file
from lazydata.errors import LazydataError, ObjectCorrupt, RemoteDenied, RemoteUnavailable
from lazydata.fsutil import remove, temp_name
from lazydata.outgoing import Outgoing, reading, write_pack
from lazydata.progress import Progress, attempt, silent
from lazydata.remotes.catalogue import Catalogue
from lazydata.remotes.claims import RAW, Row
from lazydata.remotes.layout import object_key, pack_key
from lazydata.remotes.threads import in_thread

# From here on it is cheaper to ask whether an object is there than to send it again.
_ASK_FIRST = 1 << 20


class Placed(NamedTuple):
    """An object that is on the remote now.

    Args:
        row: what to claim.
        sent: it was uploaded just now, else it was there already.
        confirmed: it was uploaded just now, and the remote says the right size.
    """

    row: Row
    sent: bool
    confirmed: bool


class Uploading(Catalogue):
    """Puts objects on one remote; nothing is claimed by that, see ``claim``."""

    async def upload(self, outgoing: Outgoing, progress: Progress = silent) -> Placed:
        """Put one object there, whole. It is not claimed by that, see ``claim``.

        Args:
            outgoing: what to put there.
            progress: told of bytes that need no longer be moved.

        Raises:
            ObjectCorrupt: the local file is not as long as its object.
            RemoteUnavailable: also where the remote says another size afterwards.
            RemoteDenied, NoSpace: the remote does not take it.
        """
        digest, size, path = outgoing[:3]
        key = object_key(digest)
        with reading(outgoing):
            local = await in_thread(os.path.getsize, path)
        if local != size:
            raise ObjectCorrupt(
                f"{path} has {local} bytes, and {digest} has {size}", expected=digest
            )
        with attempt(progress) as report:
            sent, confirmed = await self._put(key, path, size, report)
        return Placed(Row(digest, size, key, 0, size, RAW), sent, confirmed)

    async def upload_pack(
        self, objects: Sequence[Outgoing], scratch: str, progress: Progress = silent
    ) -> tuple[list[Placed], dict[Digest, LazydataError]]:
        """Put objects there together, in one pack. They are not claimed by that.

        The same objects in the same order make the same pack, so a push that died is
        taken up where it was.

        Args:
            objects: what to put there.
            scratch: a local directory that the pack is made in.
            progress: told of bytes of objects that need no longer be moved.

        Returns:
            What is there now, and the local files that are not what they should be.

        Raises:
            RemoteUnavailable, RemoteDenied, NoSpace: the remote does not take it.
        """
        path = temp_name(scratch)
        try:
            name, packed, failed = await in_thread(write_pack, path, objects)
            if not packed:
                return [], failed
            key, size = pack_key(name), os.path.getsize(path)
            with attempt(progress) as report:
                sent, confirmed = await self._put(key, Path(path), size, report)
                report(sum(each.size for each in packed) - size)
        finally:
            remove(path)
        rows = [Row(b.digest, b.size, key, b.offset, b.stored, b.codec) for b in packed]
        return [Placed(row, sent, confirmed) for row in rows], failed

    async def upload_stored_pack(
        self, objects: Sequence[Outgoing], progress: Progress = silent
    ) -> list[Placed]:
        """Put a pack of the store there, as it is. Its objects are not claimed by that.

        Args:
            objects: all that is in it.
            progress: told of bytes of objects that need no longer be moved.

        Raises:
            ObjectCorrupt, ObjectMissing: it is not what its name says, or is gone.
            RemoteUnavailable, RemoteDenied, NoSpace: the remote does not take it.
        """
        name, path = objects[0].pack or "", objects[0].path
        with reading(objects[0]):
            hashed = await in_thread(hash_file, str(path))
        if hashed.digest.hex != name:
            raise ObjectCorrupt(f"the pack {path} is damaged", hint="lazydata verify mends it")
        key, size = pack_key(name), hashed.stamp.size
        with attempt(progress) as report:
            sent, confirmed = await self._put(key, path, size, report)
            report(sum(each.size for each in objects) - size)
        packed = [each.packed for each in objects if each.packed is not None]
        rows = [Row(b.digest, b.size, key, b.offset, b.stored, b.codec) for b in packed]
        return [Placed(row, sent, confirmed) for row in rows]

    async def _put(self, key: str, path: Path, size: int, report: Progress) -> tuple[bool, bool]:
        """Put a file under a key that says what it holds.

        Returns:
            Whether it was sent, and whether the remote confirmed its size then.
        """
        if size >= _ASK_FIRST:
            found = await self._remote.stat(key)
            if found and found.size == size:
                report(size)
                return False, False
        await self._remote.put(key, path, report)
        try:
            found = await self._remote.stat(key)
        except RemoteDenied:  # it may be one that can be written to, but not read
            return True, False
        if found is None or found.size != size:
            says = "it is not there" if found is None else f"it has {found.size} bytes"
            raise RemoteUnavailable(f"{self.url}: {key} was uploaded with {size} bytes, but {says}")
        return True, True
