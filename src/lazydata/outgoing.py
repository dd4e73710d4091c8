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
    ObjectCorrupt,
    ObjectMissing,
    from_os_error,
)
from lazydata.packs import PackedObject, PackWriter


class Outgoing(NamedTuple):
    """An object to push.

    Args:
        digest: its name.
        size: bytes.
        path: a local file that holds it, as long as the push lasts.
    """

    digest: Digest
    size: int
    path: Path


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
                with reading(each):
                    data = each.path.read_bytes()
                actual = digest_of(data, each.digest.algorithm)
                if actual != each.digest:
                    raise ObjectCorrupt(
                        f"{each.path} is {actual}", expected=each.digest, actual=actual
                    )
                writer.add(each.digest, data)
            except (ObjectCorrupt, ObjectMissing, FileDenied) as error:
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
