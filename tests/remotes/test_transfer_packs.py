"""Small objects travel together: what goes into packs, what comes out, what if it fails."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine import digests, opener, push
from hypothesis import given
from hypothesis import strategies as st
from remote_faults import FaultyRemote

from lazydata.digest import Digest, hash_file
from lazydata.errors import (
    LazydataError,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
)
from lazydata.outgoing import Outgoing
from lazydata.packs import FOOTER_AT_MOST, OBJECTS, SIZE, SMALL, read_footer
from lazydata.progress import Meter
from lazydata.remotes.claims import Location, Row, VolatileMemory, decode, name_of
from lazydata.remotes.layout import object_key, pack_key
from lazydata.remotes.memory import MemoryRemote
from lazydata.repository import Repository
from lazydata.store import Store
from lazydata.transfer import plan, pull

Make = Callable[[bytes], Outgoing]


@pytest.fixture
def faulty() -> FaultyRemote:
    return FaultyRemote(MemoryRemote())


@pytest.fixture
def objects(make: Make) -> list[Outgoing]:
    return [make(b"%d" % number * 500) for number in range(40)]


def held(faulty: FaultyRemote, prefix: str) -> list[str]:
    return sorted(k for k in faulty.remote.held if k.startswith(prefix))  # type: ignore[attr-defined]


def bytes_of(store: Store, objects: Sequence[Outgoing]) -> None:
    for each in objects:
        assert Path(store.find(each.digest)).read_bytes() == each.path.read_bytes()


def test_many_small_objects_are_one_pack(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store
) -> None:
    up, down = Meter(), Meter()
    done = push(opener(faulty), objects, meter=up)
    size = sum(each.size for each in objects)
    assert sorted(done.confirmed) == sorted(digests(objects))
    assert (done.bytes, up.bytes_done, up.bytes_total, up.files_done) == (size, size, size, 40)
    (key,) = held(faulty, "packs/")
    assert held(faulty, "objects/") == []
    data = faulty.remote.held[key][0]  # type: ignore[attr-defined]
    assert [b.digest for b in read_footer(lambda o, n: data[o : o + n], len(data))] == digests(
        objects
    )
    # Data, then its size confirmed, then the claim.
    assert [c for c in faulty.calls if c[0] in ("put", "stat", "put_bytes")][1:3] == [
        ("put", key),
        ("stat", key),
    ]
    faulty.calls.clear()
    got = pull([opener(faulty)], digests(objects), store, meter=down)
    assert (len(got.fetched), got.failed) == (40, {})
    assert (down.bytes_done, down.bytes_total, down.files_done) == (size, size, 40)
    assert faulty.keys("get") == [key]
    assert store.packs.names() == [key[-69:-5]]
    bytes_of(store, objects)


def test_a_few_of_many_are_ranges_and_files_of_their_own(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store
) -> None:
    push(opener(faulty), objects)
    faulty.calls.clear()
    some = [objects[3], objects[4], objects[30]]
    got = pull([opener(faulty)], digests(some), store)
    assert len(got.fetched) == 3
    # So near to each other that one request is cheaper than two.
    assert len([k for k in faulty.keys("get_range") if k.startswith("packs/")]) == 1
    assert (store.packs.names(), sorted(store.objects())) == ([], sorted(digests(some)))
    bytes_of(store, some)


def test_a_few_objects_travel_alone(faulty: FaultyRemote, objects: list[Outgoing]) -> None:
    push(opener(faulty), objects[: plan.FEW])
    assert (len(held(faulty, "objects/")), held(faulty, "packs/")) == (plan.FEW, [])


def test_large_objects_go_whole(faulty: FaultyRemote, make: Make, store: Store) -> None:
    large = [make(bytes([n]) * (SMALL + 1)) for n in range(2)]
    small = [make(b"%d" % n) for n in range(10)]
    push(opener(faulty), [*small[:5], *large, *small[5:]])
    assert held(faulty, "objects/") == sorted(object_key(each.digest) for each in large)
    assert len(held(faulty, "packs/")) == 1
    got = pull([opener(faulty)], digests([*small, *large]), store)
    assert len(got.fetched) == 12
    bytes_of(store, [*small, *large])


def test_a_push_that_died_is_taken_up_without_sending_its_packs_again(
    faulty: FaultyRemote, make: Make
) -> None:
    objects = [make(os.urandom(SMALL // 2)) for _ in range(8)]
    faulty.on("put_bytes").fail(RemoteUnavailable("down"), times=3, key="index/")
    with pytest.raises(RemoteUnavailable):
        push(opener(faulty), objects)
    assert len(held(faulty, "packs/")) == 1
    faulty.calls.clear()
    done = push(opener(faulty), objects)
    assert (faulty.keys("put"), done.already, done.uploaded) == ([], 8, [])
    faulty.assert_all_faults_used()


def test_a_damaged_local_object_fails_alone_in_its_pack(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store
) -> None:
    objects[3].path.write_bytes(b"other")
    objects[5].path.unlink()
    gone = {objects[7].digest: ObjectMissing("never was here")}
    done = push(opener(faulty), objects, gone)
    assert {d: type(e) for d, e in done.failed.items()} == {
        objects[3].digest: ObjectCorrupt,
        objects[5].digest: ObjectMissing,
        objects[7].digest: ObjectMissing,
    }
    assert len(done.confirmed) == 37
    wanted = [each.digest for each in objects if each.digest in done.confirmed]
    assert len(pull([opener(faulty)], wanted, store).fetched) == 37


def test_what_nobody_can_send_makes_no_pack(faulty: FaultyRemote, objects: list[Outgoing]) -> None:
    for each in objects:
        each.path.unlink()
    done = push(opener(faulty), objects)
    assert (len(done.failed), held(faulty, "packs/"), held(faulty, "index/")) == (40, [], [])


def change(faulty: FaultyRemote, key: str, at: int) -> None:
    data, when = faulty.remote.held[key]  # type: ignore[attr-defined]
    faulty.remote.held[key] = (  # type: ignore[attr-defined]
        data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        when,
    )


def test_a_flipped_byte_in_a_pack_fails_one_object(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    push(opener(faulty), objects)
    (key,) = held(faulty, "packs/")
    change(faulty, key, _places(faulty, objects[9].digest)[0].offset + 5)
    meter = Meter()
    got = pull([opener(faulty)], digests(objects), store, meter=meter)
    error = got.failed.pop(objects[9].digest)
    assert isinstance(error, ObjectCorrupt)
    assert (len(got.fetched), got.failed) == (39, {})
    assert meter.bytes_done == sum(each.size for each in objects) - objects[9].size
    assert store.packs.names() == []  # a pack is kept only if all of it is sound
    assert any(key in line and "damaged" in line for line in said)
    # A whole copy of it heals that.
    asyncio.run(faulty.put(object_key(objects[9].digest), objects[9].path, lambda moved: None))
    assert len(pull([opener(faulty)], digests(objects), store).fetched) == 1


def _places(faulty: FaultyRemote, digest: Digest) -> Sequence[Location]:
    async def look() -> Sequence[Location]:
        repository = opener(faulty)()
        await repository.refresh()
        return (await repository.locate([digest]))[digest]

    return asyncio.run(look())


def test_a_damaged_footer_harms_nobody(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    push(opener(faulty), objects)
    (key,) = held(faulty, "packs/")
    change(faulty, key, -1)
    got = pull([opener(faulty)], digests(objects), store)
    assert (len(got.fetched), got.failed) == (40, {})
    bytes_of(store, objects)


@pytest.mark.parametrize("how", ["truncated", "gone"])
def test_a_pack_that_is_not_there_is_absence_and_heals(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str], how: str
) -> None:
    memory = VolatileMemory()
    push(opener(faulty, memory), objects)
    (key,) = held(faulty, "packs/")
    if how == "gone":
        asyncio.run(faulty.delete([key]))
    else:
        asyncio.run(faulty.put_bytes(key, b""))
    got = pull([opener(faulty, memory)], digests(objects), store)
    kind = RemoteObjectMissing if how == "gone" else ObjectCorrupt
    assert (got.fetched, {type(e) for e in got.failed.values()}) == ({}, {kind})
    if how == "gone":
        assert len(push(opener(faulty, memory), objects).confirmed) == 40
        assert len(pull([opener(faulty, memory)], digests(objects), store).fetched) == 40


def test_of_two_packs_the_sound_one_is_taken(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    push(opener(faulty, project="one"), objects)
    (bad,) = held(faulty, "packs/")
    # Another project has packed some of them in another way, knowing of no index file.
    index = held(faulty, "index/")
    hidden = {key: faulty.remote.held.pop(key) for key in index}  # type: ignore[attr-defined]
    push(opener(faulty, project="two"), objects[:20])
    faulty.remote.held.update(hidden)  # type: ignore[attr-defined]
    asyncio.run(faulty.delete([bad]))
    got = pull([opener(faulty)], digests(objects[:20]), store)
    assert (len(got.fetched), got.failed) == (20, {})


@pytest.mark.parametrize("error", [RemoteUnavailable("down"), RemoteDenied("no")])
def test_a_pack_that_is_refused_fails_alone(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, error: LazydataError
) -> None:
    push(opener(faulty), objects[:20])
    push(opener(faulty), objects[20:])
    first = decode_all(faulty)[objects[0].digest]
    for method in ("get", "get_range"):
        faulty.on(method).fail(error, times=1000, key=first)
    got = pull([opener(faulty)], digests(objects), store)
    assert sorted(got.fetched) == sorted(digests(objects[20:]))
    assert sorted(got.failed) == sorted(digests(objects[:20]))


def decode_all(faulty: FaultyRemote) -> dict[Digest, str]:
    found = {}
    for key in held(faulty, "index/"):
        name = name_of(key)
        assert name
        for row in decode(name, faulty.remote.held[key][0]).rows:  # type: ignore[attr-defined]
            found[row.digest] = row.key
    return found


def test_sizes_that_no_pack_has_are_not_believed(
    faulty: FaultyRemote, store: Store, make: Make, said: list[str]
) -> None:
    liar = make(b"x" * 100)
    key = pack_key("ab" * 32)

    async def claim() -> None:
        await faulty.put_bytes(key, b"x" * 100)
        await opener(faulty)().claim([Row(liar.digest, 1 << 40, key, 0, 1 << 40, "zstd")])

    asyncio.run(claim())
    faulty.calls.clear()
    got = pull([opener(faulty)], [liar.digest], store)
    assert isinstance(got.failed[liar.digest], ObjectCorrupt)
    assert not [k for k in faulty.keys("get_range") if k == key]


def test_a_dry_run_sends_nothing(faulty: FaultyRemote, objects: list[Outgoing]) -> None:
    push(opener(faulty), objects[:10])
    faulty.calls.clear()
    before = dict(faulty.remote.held)  # type: ignore[attr-defined]
    done = push(opener(faulty), objects, dry_run=True)
    assert sorted(done.uploaded) == sorted(digests(objects[10:]))
    assert done.bytes == sum(each.size for each in objects[10:])
    assert faulty.remote.held == before  # type: ignore[attr-defined]
    assert {method for method, _ in faulty.calls} <= {"list", "list_end", "get_range", "close"}


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_jobs_bound_what_is_under_way(
    faulty: FaultyRemote, make: Make, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    objects = [make(bytes([n]) * (SMALL + 1)) for n in range(12)]
    put = faulty.remote.put

    async def slow(*args: Any) -> None:
        await asyncio.sleep(0.1)
        await put(*args)

    monkeypatch.setattr(faulty.remote, "put", slow)
    push(opener(faulty), objects, jobs=jobs)
    assert faulty.most_at_once == jobs
    assert len(held(faulty, "objects/")) == 12


# Plans


sizes = st.integers(0, SMALL + 5) | st.sampled_from([0, 1, SMALL, SMALL + 1, SIZE])


@given(st.lists(sizes, max_size=120))
def test_parcels_have_everything_once_and_in_order(some: list[int]) -> None:
    objects = [
        Outgoing(Digest(f"blake3:{number:064x}"), size, Path("x"))
        for number, size in enumerate(some)
    ]
    made = list(plan.parcels(objects))
    assert sorted(each for parcel in made for each in parcel) == sorted(objects)
    assert made == list(plan.parcels(objects))
    for parcel in made:
        assert parcel == sorted(parcel)
        assert len(parcel) == 1 or sum(each.size for each in parcel) <= SIZE
        assert len(parcel) == 1 or all(each.size <= SMALL for each in parcel)


def test_a_pack_has_so_many_objects_that_its_footer_can_be_read() -> None:
    tiny = [Outgoing(Digest(f"blake3:{n:064x}"), 1, Path("x")) for n in range(2 * OBJECTS + 7)]
    made = list(plan.parcels(tiny))
    assert [len(parcel) for parcel in made] == [OBJECTS, OBJECTS, 7]
    longest = len("\t".join(map(str, (tiny[0].digest, SMALL, SIZE + SMALL, SMALL, "zstd\n"))))
    assert OBJECTS * longest <= FOOTER_AT_MOST


def test_an_object_that_is_damaged_in_one_pack_comes_from_another(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    push(opener(faulty, project="one"), objects)
    (first,) = held(faulty, "packs/")
    index = held(faulty, "index/")
    hidden = {key: faulty.remote.held.pop(key) for key in index}  # type: ignore[attr-defined]
    push(opener(faulty, project="two"), objects[:20])
    faulty.remote.held.update(hidden)  # type: ignore[attr-defined]
    place = next(at for at in _places(faulty, objects[3].digest) if at.key == first)
    change(faulty, first, place.offset + 5)
    got = pull([opener(faulty)], digests(objects), store)
    assert (len(got.fetched), got.failed) == (40, {})
    # Once for the pack, and once for the object in it: it is not asked for there again.
    assert len([line for line in said if first in line]) == 2


@given(st.data())
def test_jobs_have_everything_once(draw: st.DataObject) -> None:
    packs = [pack_key(f"{number:064x}") for number in range(3)]
    wanted = [Digest(f"blake3:{number:064x}") for number in range(draw.draw(st.integers(1, 40)))]
    located = {}
    for digest in wanted:
        places = []
        for key in draw.draw(st.lists(st.sampled_from(packs), max_size=2, unique=True)):
            stored = draw.draw(st.integers(0, 1 << 20))
            offset = draw.draw(st.integers(0, 40 << 20))
            places.append(Location(key, offset, stored, "raw", stored))
        if draw.draw(st.booleans()):
            places.append(Location(object_key(digest), 0, 7, "raw", 7))
        located[digest] = places
    extents = dict.fromkeys(packs, draw.draw(st.integers(0, 64 << 20)))
    made = list(plan.jobs(wanted, located, extents))
    assert sorted(b.digest for job in made for b in job.wanted) == sorted(wanted)
    for job in made:
        assert job.whole or job.size <= plan.RANGE + (1 << 20)
        assert job.key or len(job.wanted) == 1
        for each in job.wanted:
            if job.key:
                place = Location(job.key, each.offset, each.stored, each.codec, each.size)
                assert place in located[each.digest]


# Index files are put together


def test_many_index_files_become_one(faulty: FaultyRemote, make: Make) -> None:
    memory = VolatileMemory()
    objects = [make(b"object %d" % n) for n in range(30)]
    for each in objects:
        push(opener(faulty, memory), [each])
    assert len(held(faulty, "index/")) < 14
    reader = VolatileMemory()
    got = asyncio.run(_claimed(faulty, reader, objects))
    assert got == set(digests(objects))
    faulty.calls.clear()
    push(opener(faulty, memory), objects)
    assert [m for m, _ in faulty.calls] == ["list", "list_end", "close"]


async def _claimed(
    faulty: FaultyRemote, memory: VolatileMemory, objects: Sequence[Outgoing]
) -> set[Digest]:
    repository = opener(faulty, memory)()
    await repository.refresh()
    return set(digests(objects)) - await repository.unclaimed(digests(objects))


def test_other_projects_index_files_stay(faulty: FaultyRemote, make: Make) -> None:
    for number in range(20):
        push(opener(faulty, project="theirs" + str(number)), [make(b"theirs %d" % number)])
    theirs = held(faulty, "index/")
    memory = VolatileMemory()
    for number in range(20):
        push(opener(faulty, memory), [make(b"ours %d" % number)])
    assert set(theirs) <= set(held(faulty, "index/"))
    assert len(held(faulty, "index/")) < 20 + 14


def test_no_right_to_delete_is_no_error(faulty: FaultyRemote, make: Make) -> None:
    faulty.on("delete").fail(RemoteDenied("no"), times=1000)
    memory = VolatileMemory()
    objects = [make(b"object %d" % n) for n in range(14)]
    for each in objects:
        assert not push(opener(faulty, memory), [each]).failed
    got = asyncio.run(_claimed(faulty, VolatileMemory(), objects))
    assert got == set(digests(objects))
    # They are not put together again with each push.
    before = len(held(faulty, "index/"))
    faulty.calls.clear()
    push(opener(faulty, memory), [make(b"one more")])
    assert len(held(faulty, "index/")) == before + 1
    assert not [key for key in faulty.keys("get_range") if key.startswith("index/")]


def test_two_machines_put_index_files_together_at_once(faulty: FaultyRemote, make: Make) -> None:
    objects = [make(b"object %d" % n) for n in range(12)]
    one, two = VolatileMemory(), VolatileMemory()
    for each in objects[:10]:
        push(opener(faulty, one), [each])
    push(opener(faulty, two), [objects[10]])
    raced = []

    def other() -> None:
        raced.append(asyncio.run(_compact(faulty, two)))

    async def _compact(faulty: FaultyRemote, memory: VolatileMemory) -> int:
        repository = Repository(faulty.remote, memory=memory, project="p")
        await repository.refresh()
        return await repository.compact()

    def beside() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    faulty.on("delete").then(beside)
    push(opener(faulty, one), [objects[11]])
    assert raced
    got = asyncio.run(_claimed(faulty, VolatileMemory(), objects))
    assert got == set(digests(objects))


def test_what_a_pack_in_the_store_loses_is_fetched_again(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store
) -> None:
    push(opener(faulty), objects)
    pull([opener(faulty)], digests(objects), store)
    (name,) = store.packs.names()
    path = Path(store.packs.path_of(name))
    at = store.packs.locate([objects[0].digest])[objects[0].digest][1]
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at.offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(ObjectCorrupt):
        store.find(objects[0].digest)
    # What is sound in it stays, and what is not is no longer said to be here.
    assert store.packs.names() == []
    assert store.lacking(digests(objects)) == [objects[0].digest]
    bytes_of(store, objects[1:])
    assert len(pull([opener(faulty)], digests(objects), store).fetched) == 1
    assert hash_file(store.find(objects[0].digest)).digest == objects[0].digest
