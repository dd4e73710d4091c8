"""Local objects on their way out: files that hold them, and packs made of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lazydata.digest import Digest, digest_of
from lazydata.errors import (
    FileDenied,
    LazydataError,
    NeedsUpgrade,
    ObjectCorrupt,
    ObjectMissing,
    from_os_error,
)
from lazydata.packs import PackedObject, PackWriter, verified


class Outgoing(NamedTuple):
    """An object to push.

    Args:
        digest: its name.
        size: bytes.
        path: a local file that holds it, as long as the push lasts.
        packed: where it lies in that file, if that is a pack.
        pack: name of that pack, if all that is in it is to be pushed.
    """

    digest: Digest
    size: int
    path: Path
    packed: PackedObject | None = None
    pack: str | None = None

    def read(self) -> bytes:
        """Its bytes, hashed.

        Raises:
            ObjectCorrupt, ObjectMissing, FileDenied: they can't be had from the file.
        """
        with reading(self), open(self.path, "rb") as file:
            if self.packed is None:
                data = file.read()
            else:
                at = self.packed
                file.seek(at.offset)
                return verified(self.digest, at.codec, file.read(at.stored), at.size)
        actual = digest_of(data, self.digest.algorithm)
        if actual != self.digest:
            raise ObjectCorrupt(f"{self.path} is {actual}", expected=self.digest, actual=actual)
        return data


def write_pack(
    path: str, objects: Sequence[Outgoing]
) -> tuple[str, list[PackedObject], dict[Digest, LazydataError]]:
    """Make a pack of objects, each of which is hashed again.

    Returns:
        Its name, what is in it, and why others are not.
    """
    failed: dict[Digest, LazydataError] = {}
    with open(path, "xb") as file:
        writer = PackWriter(file)
        for each in objects:
            try:
                writer.add(each.digest, each.read())
            except (ObjectCorrupt, NeedsUpgrade, ObjectMissing, FileDenied) as error:
                failed[each.digest] = error
        return writer.finish(), writer.objects, failed


@contextmanager
def reading(outgoing: Outgoing) -> Iterator[None]:
    """Turn what the system says of its file into what we say of the object."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing(f"{outgoing.digest} is not at {outgoing.path} any more") from error
    except OSError as error:
        raise from_os_error(error, "read", str(outgoing.path)) from error
