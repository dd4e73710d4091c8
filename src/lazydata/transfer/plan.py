"""What travels with what. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.outgoing import Outgoing
from lazydata.packs import LARGEST, OBJECTS, SIZE, SMALL, PackedObject
from lazydata.remotes.claims import Location
from lazydata.remotes.layout import is_whole, pack_of

FEW = 4  # small objects that travel alone: a pack would save no request
RANGE = 4 << 20  # bytes read from a pack with one request
GAP = 64 << 10  # bytes that nobody wants, read rather than asked around


class Job(NamedTuple):
    """What one request brings, or one file.

    Args:
        wanted: the objects that are wanted of it, sorted by their offset.
        key: of the pack that they are in; None for an object that lies by itself.
        whole: take all of the pack.
        size: bytes that it takes on the way, 0 where that is not known.
    """

    wanted: list[PackedObject]
    key: str | None = None
    whole: bool = False
    size: int = 0

    @property
    def name(self) -> str:
        """What another process that does the same job calls it."""
        return self.wanted[0].digest.hex


def parcels(objects: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    """Objects as they go up: large ones alone, small ones together, in the order given.

    What fills a pack of the store goes as that. The same objects in the same order always
    make the same parcels. They are bounded by their number too: a footer has a line for
    each object, however small that is.
    """
    packs: dict[str, list[Outgoing]] = {}
    for each in objects:
        if each.pack is not None:
            packs.setdefault(each.pack, []).append(each)
    yield from packs.values()
    objects = [each for each in objects if each.pack is None]
    small = [each for each in objects if each.size <= SMALL]
    if len(small) <= FEW:
        small = []
    for each in objects:
        if not small or each.size > SMALL:
            yield [each]
    parcel: list[Outgoing] = []
    size = 0
    for each in small:
        if size + each.size > SIZE or len(parcel) == OBJECTS:
            yield parcel
            parcel, size = [], 0
        parcel.append(each)
        size += each.size
    if parcel:
        yield parcel


def jobs(
    wanted: Collection[Digest],
    located: Mapping[Digest, Sequence[Location]],
    extents: Mapping[str, int],
) -> Iterator[Job]:
    """Objects as they come down.

    Args:
        wanted: each once.
        located: where they lie, as far as that is known.
        extents: where the last known object of each pack ends, bytes from its start.
    """
    places_of = {digest: _packed(located.get(digest, ())) for digest in wanted}
    # Of several packs that have an object, the one that has most of the others too.
    shared = Counter(each.key for places in places_of.values() for each in places)
    packs: dict[str, list[PackedObject]] = {}
    for digest, places in places_of.items():
        if places:
            best = places[0]
            if len(places) > 1:
                best = max(places, key=lambda each: shared[each.key])
            packs.setdefault(best.key, []).append(
                PackedObject(digest, best.size, best.offset, best.stored, best.codec)
            )
        else:
            size = max((each.size for each in located.get(digest, ())), default=0)
            yield Job([PackedObject(digest, size, 0, size, "raw")])
    for key, packed in packs.items():
        packed.sort(key=lambda each: each.offset)
        extent = max(extents.get(key, 0), packed[-1].offset + packed[-1].stored)
        if len(packed) > FEW and 2 * sum(each.stored for each in packed) >= extent <= 2 * SIZE:
            yield Job(packed, key, whole=True, size=extent)
        else:
            yield from ranges(key, packed)


def ranges(key: str, packed: Sequence[PackedObject]) -> Iterator[Job]:
    """Objects of one pack, sorted by their offset, as requests of some megabytes."""
    some: list[PackedObject] = []
    begin = end = 0
    for each in packed:
        reach = max(end, each.offset + each.stored)
        if some and (each.offset > end + GAP or reach - begin > RANGE):
            yield Job(some, key, size=end - begin)
            some = []
        if not some:
            begin, reach = each.offset, each.offset + each.stored
        some.append(each)
        end = reach
    if some:
        yield Job(some, key, size=end - begin)


def _packed(places: Sequence[Location]) -> list[Location]:
    return [
        each
        for each in places
        if not is_whole(each)
        and pack_of(each.key)
        and max(each.size, each.stored) <= LARGEST  # no pack has larger ones: not lazydata's
    ]
