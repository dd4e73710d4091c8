"""The engine: what arrives, what fails, and in which order things are written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from engine import digests, opener, push
from remote_faults import FaultyRemote

from lazydata.digest import Digest
from lazydata.errors import (
    LazydataError,
    NoSpace,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
)
from lazydata.outgoing import Outgoing
from lazydata.progress import Meter
from lazydata.remotes import open_remote
from lazydata.remotes.base import Remote
from lazydata.remotes.claims import VolatileMemory
from lazydata.remotes.memory import MemoryRemote
from lazydata.repository import Repository
from lazydata.store import Store
from lazydata.transfer import plan, pull

Make = Callable[[bytes], Outgoing]


class Moved(Meter):
    """What was moved, in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[int] = []

    def __call__(self, moved: int, /) -> None:
        super().__call__(moved)
        self.pieces.append(moved)


@pytest.fixture(autouse=True)
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small objects travel alone in these tests: packs have their own."""
    monkeypatch.setattr(plan, "FEW", 1000)


DOWN, NO = RemoteUnavailable("down"), RemoteDenied("no")


@pytest.fixture
def faulty() -> FaultyRemote:
    return FaultyRemote(MemoryRemote())


@pytest.fixture
def objects(make: Make) -> list[Outgoing]:
    return [make(b"object %d" % number * 100) for number in range(10)]


def key(outgoing: Outgoing) -> str:
    return f"objects/blake3/{outgoing.digest.hex[:2]}/{outgoing.digest.hex}"


def test_there_and_back(remote: Remote, objects: list[Outgoing], store: Store) -> None:
    memory, moved, total = VolatileMemory(), Moved(), sum(each.size for each in objects)
    done = push(opener(remote, memory), objects + objects[:3], meter=moved)
    assert sorted(done.uploaded) == sorted(done.confirmed) == sorted(digests(objects))
    assert (done.already, done.failed) == (0, {})
    assert done.bytes == moved.bytes_done == total
    moved = Moved()
    got = pull([opener(remote)], digests(objects), store, meter=moved)
    assert got.fetched == dict.fromkeys(digests(objects), remote.url)
    assert (got.failed, moved.bytes_done) == ({}, total)
    for each in objects:
        assert Path(store.path_of(each.digest)).read_bytes() == each.path.read_bytes()
    again = pull([opener(remote)], digests(objects), store)
    assert (again.fetched, again.already, again.failed) == ({}, 10, {})


def test_a_push_with_nothing_to_do_is_one_listing(
    faulty: FaultyRemote, objects: list[Outgoing]
) -> None:
    memory, moved = VolatileMemory(), Moved()
    push(opener(faulty, memory), objects)
    faulty.calls.clear()
    done = push(opener(faulty, memory), objects, meter=moved)
    assert faulty.calls == [("list", "index/"), ("list_end", "index/"), ("close", "")]
    assert (done.uploaded, done.already, moved.bytes_done) == ([], 10, 0)
    faulty.calls.clear()
    push(opener(faulty, memory), [])
    assert faulty.calls == [("close", "")]


def test_claims_come_last(faulty: FaultyRemote, objects: list[Outgoing]) -> None:
    push(opener(faulty), objects)
    writes = [called for called in faulty.calls if called[0] in ("put", "put_bytes")]
    assert writes[0] == ("put_bytes", "lazydata.json")
    assert sorted(writes[1:-1]) == sorted(("put", key(each)) for each in objects)
    assert writes[-1][0] == "put_bytes"
    assert writes[-1][1].startswith("index/")
    # The size of each was confirmed before it was claimed.
    last = faulty.calls.index(writes[-1])
    assert {k for c, k in faulty.calls[:last] if c == "stat"} == {key(each) for each in objects}
    assert 1 < faulty.most_at_once <= faulty.concurrency


def test_a_long_push_claims_now_and_then(faulty: FaultyRemote, objects: list[Outgoing]) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 40.0
        return now

    memory = VolatileMemory()
    push(opener(faulty, memory), objects, claim_every=100.0, clock=clock)
    index_files = [each for each in faulty.keys("put_bytes") if each.startswith("index/")]
    assert 2 <= len(index_files) < 10
    assert memory.claimed(faulty.url, "p", digests(objects)) == set(digests(objects))


def test_what_someone_else_claims_is_claimed_not_sent(
    faulty: FaultyRemote, objects: list[Outgoing]
) -> None:
    push(opener(faulty, project="theirs"), objects[:6])
    faulty.calls.clear()
    memory = VolatileMemory()
    done = push(opener(faulty, memory, "ours"), objects)
    assert sorted(done.uploaded) == sorted(digests(objects[6:]))
    assert done.already == 6
    assert memory.claimed(faulty.url, "ours", digests(objects)) == set(digests(objects))
    faulty.calls.clear()
    # A fresh machine of our project needs not even that.
    assert push(opener(faulty, None, "ours"), objects).already == 10
    assert not faulty.keys("put")
    assert not faulty.keys("put_bytes")


def test_an_outage_that_passes_is_not_seen(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store
) -> None:
    for method in ("list", "put", "stat", "put_bytes", "get_range", "get"):
        faulty.on(method).fail(DOWN, times=2)
    moved = Moved()
    done = push(opener(faulty), objects, meter=moved)
    assert len(done.confirmed) == 10
    got = pull([opener(faulty)], digests(objects), store, meter=moved)
    assert len(got.fetched) == 10
    assert moved.bytes_done == 2 * done.bytes
    faulty.assert_all_faults_used()


@pytest.mark.parametrize("error", [DOWN, NO])
def test_one_cause_is_one_error_on_push(
    faulty: FaultyRemote, objects: list[Outgoing], error: LazydataError
) -> None:
    asyncio.run(faulty.put_bytes("lazydata.json", b'{"format": 1}\n'))
    faulty.calls.clear()
    for method in ("put", "put_bytes"):
        faulty.on(method).fail(error, times=1000)
    with pytest.raises(type(error)) as caught:
        push(opener(faulty), objects)
    assert caught.value is error
    # Whoever was under way is let down; the others are not even asked for.
    assert len(faulty.keys("put")) <= 3 * faulty.concurrency
    assert not [each for each in faulty.keys("put_bytes") if each.startswith("index/")]
    assert faulty.calls[-1] == ("close", "")


@pytest.mark.parametrize("error", [DOWN, NO])
def test_one_cause_is_one_error_on_pull(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, error: LazydataError
) -> None:
    push(opener(faulty), objects)
    faulty.calls.clear()
    faulty.on("get").fail(error, times=1000)
    faulty.on("get_range").fail(error, times=1000)
    with pytest.raises(type(error)) as caught:
        pull([opener(faulty)], digests(objects), store)
    assert caught.value is error
    assert not faulty.keys("get")
    assert not list(store.objects())


def test_a_share_that_is_not_mounted_is_one_error(
    tmp_path: Path, objects: list[Outgoing], store: Store
) -> None:
    async def sleep(_: float) -> None:
        pass

    url = (tmp_path / "not mounted").as_uri()

    def opened() -> Repository:
        remote = open_remote(url)
        remote._sleep = sleep  # type: ignore[attr-defined]
        return Repository(remote, memory=VolatileMemory(), project="p")

    with pytest.raises(RemoteUnavailable, match="mounted"):
        push(opened, objects)
    with pytest.raises(RemoteUnavailable, match="mounted"):
        pull([opened], digests(objects), store)


@pytest.mark.parametrize("error", [DOWN, NO])
def test_an_object_that_is_refused_fails_alone(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, error: LazydataError
) -> None:
    bad = objects[4]
    faulty.on("put").fail(error, times=1000, key=key(bad))
    memory = VolatileMemory()
    done = push(opener(faulty, memory), objects)
    assert done.failed == {bad.digest: error}
    assert len(done.confirmed) == 9
    assert memory.claimed(faulty.url, "p", [bad.digest]) == set()
    push(opener(faulty.remote), objects)
    faulty.on("get").fail(error, times=1000, key=key(bad))
    got = pull([opener(faulty)], digests(objects), store)
    assert got.failed == {bad.digest: error}
    assert len(got.fetched) == 9


def test_a_local_object_that_is_damaged_fails_alone(
    faulty: FaultyRemote, objects: list[Outgoing]
) -> None:
    objects[3].path.write_bytes(b"cut")
    objects[5].path.unlink()
    done = push(opener(faulty), objects)
    assert isinstance(done.failed.pop(objects[3].digest), ObjectCorrupt)
    assert isinstance(done.failed.pop(objects[5].digest), ObjectMissing)
    assert (done.failed, len(done.confirmed)) == ({}, 8)


def test_a_full_remote_is_one_error(faulty: FaultyRemote, objects: list[Outgoing]) -> None:
    faulty.on("put").fail(NoSpace("full"))
    with pytest.raises(NoSpace):
        push(opener(faulty), objects)
    faulty.assert_all_faults_used()


def test_a_push_that_dies_is_taken_up_by_the_next(faulty: FaultyRemote, make: Make) -> None:
    objects = [make(bytes([number]) * (1 << 20)) for number in range(4)]
    faulty.on("put_bytes").fail(DOWN, times=3, key="index/")
    with pytest.raises(RemoteUnavailable):
        push(opener(faulty), objects)
    assert [stat for stat in faulty.keys("put") if stat]
    held = faulty.remote.held  # type: ignore[attr-defined]
    assert not any(each.startswith("index/") for each in held)
    faulty.calls.clear()
    memory, moved = VolatileMemory(), Moved()
    done = push(opener(faulty, memory), objects, meter=moved)
    assert (faulty.keys("put"), done.uploaded, done.already) == ([], [], 4)
    assert moved.bytes_done == 4 << 20
    assert memory.claimed(faulty.url, "p", digests(objects)) == set(digests(objects))
    faulty.assert_all_faults_used()


@pytest.mark.parametrize("how", ["corrupt", "truncate"])
def test_one_damaged_object_fails_alone(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, how: str, said: list[str]
) -> None:
    push(opener(faulty), objects)
    bad, moved = objects[7], Moved()
    if how == "corrupt":
        faulty.on("get").corrupt(key=key(bad))
    else:
        faulty.on("get").truncate(3, key=key(bad))
    got = pull([opener(faulty)], digests(objects), store, meter=moved)
    error = got.failed.pop(bad.digest)
    assert isinstance(error, ObjectCorrupt)
    assert error.expected == bad.digest
    assert (len(got.fetched), got.failed) == (9, {})
    assert moved.bytes_done == sum(each.size for each in objects) - bad.size
    assert len(list(store.objects())) == 9
    assert any("damaged" in line for line in said)
    faulty.assert_all_faults_used()


def test_each_object_comes_from_the_first_remote_that_has_it(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    second = FaultyRemote(MemoryRemote("memory://second"))
    push(opener(faulty), objects[:6])
    push(opener(second), objects[4:9])
    faulty.on("get").corrupt(key=key(objects[5]))
    wanted = digests(objects)
    got = pull([opener(faulty), opener(second)], wanted, store)
    assert got.fetched == {
        **dict.fromkeys(wanted[:5], faulty.url),
        **dict.fromkeys(wanted[5:9], second.url),
    }
    assert isinstance(got.failed.pop(wanted[9]), RemoteObjectMissing)
    assert not got.failed
    faulty.assert_all_faults_used()


def test_a_remote_that_is_down_gives_way_to_the_next(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    second = MemoryRemote("memory://second")
    push(opener(second), objects[:9])
    faulty.on("get_range").fail(DOWN, times=3)
    got = pull([opener(faulty), opener(second)], digests(objects), store)
    assert len(got.fetched) == 9
    # What the first may well have is not missing.
    assert got.failed == {objects[9].digest: DOWN}
    assert said == ["down; trying the next remote"]
    faulty.assert_all_faults_used()


def test_a_remote_of_no_use_gives_way_to_the_next(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    def unknown() -> Repository:
        return Repository(open_remote("gopher://x"), memory=VolatileMemory(), project="p")

    push(opener(faulty), objects)
    assert len(pull([unknown, opener(faulty)], digests(objects), store).fetched) == 10
    with pytest.raises(UsageError, match="gopher"):
        pull([unknown], [Digest("blake3:" + "00" * 32)], store)


def test_the_most_telling_reason_is_kept(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, said: list[str]
) -> None:
    second = FaultyRemote(MemoryRemote("memory://second"))
    for each in (faulty, second):
        push(opener(each), objects[:4])
    for number, (first, other) in enumerate([(NO, DOWN), (DOWN, NO)]):
        faulty.on("get").fail(first, times=9, key=key(objects[number]))
        second.on("get").fail(other, times=9, key=key(objects[number]))
    faulty.on("get").corrupt(key=key(objects[2]))
    second.on("get").fail(NO, key=key(objects[2]))
    got = pull([opener(faulty), opener(second)], digests(objects[:3]), store)
    kinds = [type(got.failed[each.digest]) for each in objects[:3]]
    assert kinds == [RemoteDenied, RemoteDenied, ObjectCorrupt]


def test_nothing_is_asked_of_remotes_that_are_not_needed(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store
) -> None:
    def never() -> Repository:
        raise AssertionError("opened")

    push(opener(faulty), objects)
    assert len(pull([opener(faulty), never], digests(objects), store).fetched) == 10
    assert pull([never], digests(objects), store).already == 10
    got = pull([], [Digest("blake3:" + "00" * 32)], store)
    assert isinstance(next(iter(got.failed.values())), RemoteObjectMissing)


def test_a_missing_object_heals_with_the_next_push(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store
) -> None:
    memory = VolatileMemory()
    push(opener(faulty, memory), objects)
    asyncio.run(faulty.delete([key(objects[0])]))
    got = pull([opener(faulty, memory)], digests(objects), store)
    assert list(got.failed) == [objects[0].digest]
    assert push(opener(faulty, memory), objects).uploaded == [objects[0].digest]
    assert len(pull([opener(faulty)], digests(objects), store).fetched) == 1


def test_a_full_store_ends_it(
    faulty: FaultyRemote, objects: list[Outgoing], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(opener(faulty), objects)
    faulty.on("get").fail(NoSpace("full"))
    with pytest.raises(NoSpace):
        pull([opener(faulty)], digests(objects), store)
    assert faulty.calls[-1] == ("close", "")


def test_inside_a_running_loop(faulty: FaultyRemote, objects: list[Outgoing], store: Store) -> None:
    async def notebook() -> int:
        push(opener(faulty), objects)
        return len(pull([opener(faulty)], digests(objects), store).fetched)

    assert asyncio.run(notebook()) == 10
