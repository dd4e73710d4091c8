"""gc of a remote: what a claim needs stays, whoever is at work there at the same moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazydata.digest import Digest, digest_of
from lazydata.errors import (
    LazydataError,
    ObjectCorrupt,
    RemoteDenied,
    RemoteUnavailable,
    UsageError,
)
from lazydata.outgoing import Outgoing
from lazydata.progress import Meter
from lazydata.remotes.base import Remote
from lazydata.remotes.candidates import (
    CANDIDATES,
    DEAD_AFTER,
    SWEEP,
    Candidate,
    Lasting,
    Notes,
    Watch,
    decode,
    encode,
)
from lazydata.remotes.claims import VolatileMemory
from lazydata.remotes.layout import object_key
from lazydata.remotes.memory import MemoryRemote
from lazydata.repository import Repository
from lazydata.transfer.collecting import RemoteCollector
from lazydata.transfer.pushing import Pushing
from lazydata.transfer.unclaimed import RemoteSurvey

DAY = 86400.0
Make = Callable[[bytes], Outgoing]


class Clocked(MemoryRemote):
    """A remote with a clock of its own, which has nothing to do with ours."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1e9
        self.hooks: dict[str, list[Callable[[], Awaitable[None]]]] = {}

    async def put_bytes(self, key: str, data: bytes) -> None:
        await super().put_bytes(key, data)
        self.held[key] = (bytes(data), self.now)
        await self._meanwhile("put " + key)

    async def delete(self, keys: Collection[str]) -> None:
        await self._meanwhile("delete " + " ".join(sorted(keys)))
        await super().delete(keys)

    def once(self, call: str, hook: Callable[[], Awaitable[None]]) -> None:
        """Do something after a put, or right before a delete."""
        self.hooks.setdefault(call, []).append(hook)

    async def _meanwhile(self, call: str) -> None:
        for begins, hooks in self.hooks.items():
            if hooks and call.startswith(begins):
                await hooks.pop()()


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


def keys(remote: Clocked, *folders: str) -> list[str]:
    return sorted(key for key in remote.held if key.startswith(folders or ("objects/", "packs/")))


async def push(
    remote: Remote,
    objects: Iterable[Outgoing],
    scratch: Path,
    project: str = "p",
    memory: VolatileMemory | None = None,
) -> Any:
    files = {each.digest: each for each in objects}
    repository = Repository(remote, memory=memory or VolatileMemory(), project=project)

    def find(wanted: Collection[Digest]) -> tuple[list[Outgoing], dict[Digest, LazydataError]]:
        return [files[each] for each in wanted], {}

    pushing = Pushing(repository, str(scratch), Meter(), None, 300.0, time.monotonic)
    pushing._watch = Watch(remote, sleep=no_sleep)
    return await pushing.run(files, find, dry_run=False)


async def gc(
    remote: Remote,
    needed: Iterable[Outgoing],
    scratch: Path,
    *,
    project: str = "p",
    grace: float = DAY,
    force: bool = True,
    **more: Any,
) -> RemoteSurvey:
    collector = RemoteCollector(
        remote, memory=VolatileMemory(), project=project, scratch=str(scratch), sleep=no_sleep
    )
    wanted = {each.digest for each in needed}
    survey = await collector.survey(wanted, grace=grace, force=force, **more)
    if force:
        await collector.sweep(survey)
    return survey


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()

    asyncio.run(whole())


def key(each: Outgoing) -> str:
    return object_key(each.digest)


# Two phases


def test_what_no_claim_needs_goes_after_the_grace_period_of_the_server(
    make: Make, tmp_path: Path
) -> None:
    remote = Clocked()
    needed, waste, theirs = make(b"needed"), make(b"waste"), make(b"theirs")

    async def main() -> None:
        await push(remote, [needed, waste], tmp_path)
        await push(remote, [theirs], tmp_path, "another")
        remote.now += 2 * DAY
        first = await gc(remote, [needed], tmp_path)
        assert [each.key for each in first.waiting] == [key(waste)]
        assert first.dropped == {waste.digest}
        assert keys(remote) == sorted(map(key, (needed, waste, theirs)))
        remote.now += DAY - 1
        early = await gc(remote, [needed], tmp_path)
        assert [each.key for each in early.waiting] == [key(waste)]
        remote.now += 2
        late = await gc(remote, [needed], tmp_path)
        assert [each.key for each in late.due] == [key(waste)]
        assert keys(remote) == sorted(map(key, (needed, theirs)))
        assert [each for each in keys(remote, "gc/") if SWEEP in each] == []
        assert (await gc(remote, [needed], tmp_path)).waiting == []
        assert keys(remote, "gc/") == []

    go(main)


def test_a_dry_run_writes_nothing(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    waste = make(b"waste")

    async def main() -> None:
        await push(remote, [waste], tmp_path)
        remote.now += 2 * DAY
        before = dict(remote.held)
        survey = await gc(remote, [], tmp_path, force=False)
        assert [each.key for each in survey.waiting] == [key(waste)]
        assert remote.held == before

    go(main)


def test_what_is_claimed_in_between_stays_and_waits_anew(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    waste = make(b"waste")

    async def main() -> None:
        await push(remote, [waste], tmp_path)
        remote.now += 2 * DAY
        await gc(remote, [], tmp_path)
        await push(remote, [waste], tmp_path, "another")
        remote.now += 2 * DAY
        survey = await gc(remote, [], tmp_path)
        assert (survey.due, survey.waiting) == ([], [])
        # Its project lets go of it: that begins to count only now.
        after = await gc(remote, [], tmp_path, project="another")
        assert (after.due, len(after.waiting)) == ([], 1)
        assert keys(remote) == [key(waste)]

    go(main)


def test_a_push_of_just_now_is_not_judged_by_what_this_clone_knows(
    make: Make, tmp_path: Path
) -> None:
    remote = Clocked()
    new = make(b"of another clone, of the same project")

    async def main() -> None:
        await push(remote, [new], tmp_path)
        survey = await gc(remote, [], tmp_path)
        assert (survey.waiting, survey.dropped) == ([], set())
        remote.now += 2 * DAY
        assert len((await gc(remote, [], tmp_path)).waiting) == 1

    go(main)


def test_without_a_project_only_what_nobody_claims_goes(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    one = make(b"claimed by who has no id")

    async def main() -> None:
        await push(remote, [one], tmp_path, "")
        remote.now += 2 * DAY
        survey = await gc(remote, [], tmp_path, project="", grace=0)
        assert (survey.due, survey.dropped) == ([], set())

    go(main)


def test_keys_of_strangers_are_never_touched(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    name = "ab" * 32
    theirs = {
        "objects/readme.txt": b"hello",
        f"objects/blake3/cd/{name}": b"in the wrong folder",
        f"objects/md5/ab/{name}": b"of another kind",
        f"objects/blake3/ab/{name}.bak": b"a copy",
        f"packs/ab/{name}.zip": b"no pack",
        f"data/ab/{name[2:]}": b"of lazydata 1.x",
        "gc/notes.txt": b"mine",
        "index/readme.md": b"mine",
        "backup/x.csv": b"mine",
    }

    async def main() -> None:
        await push(remote, [make(b"waste")], tmp_path)
        for each, data in theirs.items():
            await remote.put_bytes(each, data)
        remote.now += 2 * DAY
        await gc(remote, [], tmp_path, grace=0)
        assert {each: remote.held[each][0] for each in theirs} == theirs
        assert not [each for each in keys(remote) if each not in theirs]

    go(main)


def test_an_index_file_that_cannot_be_read_keeps_everything(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    one = make(b"one")

    async def main() -> None:
        await push(remote, [one], tmp_path, "another")
        (name,) = keys(remote, "index/")
        remote.held[name] = (remote.held[name][0] + b"x", remote.now)
        remote.now += 2 * DAY
        before = keys(remote)
        with pytest.raises(ObjectCorrupt, match="nobody knows what it claims") as caught:
            await gc(remote, [], tmp_path, grace=0)
        assert name in (caught.value.hint or "")
        assert keys(remote) == before

    go(main)


def test_a_place_that_is_no_remote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not marked"):
        go(lambda: gc(MemoryRemote(), [], tmp_path))  # type: ignore[arg-type]


def test_no_right_to_delete_is_told_before_anything_is_done(make: Make, tmp_path: Path) -> None:
    class Append(Clocked):
        async def delete(self, keys: Collection[str]) -> None:
            raise RemoteDenied("no")

    remote = Append()

    async def main() -> None:
        await push(remote, [make(b"waste")], tmp_path)
        remote.now += 2 * DAY
        before = set(remote.held)
        with pytest.raises(RemoteDenied, match="remove"):
            await gc(remote, [], tmp_path, grace=0)
        assert all(each.endswith(".clock") for each in remote.held.keys() - before)
        await gc(remote, [], tmp_path, force=False)

    go(main)


def test_what_is_needed_and_not_claimed_stays(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    alone, small = make(b"alone"), [make(b"%d" % nr) for nr in range(9)]

    async def main() -> None:
        await push(remote, [alone], tmp_path)
        await push(remote, small, tmp_path)
        for name in keys(remote, "index/"):
            del remote.held[name]
        remote.now += 2 * DAY
        survey = await gc(remote, [alone, small[3]], tmp_path, grace=0)
        assert len(survey.kept["needed"]) == 2
        assert len(keys(remote)) == 2

    go(main)


def test_a_tree_that_is_claimed_and_nowhere_to_be_had_is_told(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    tree, other = make(b"a tree"), make(b"never there")

    async def main() -> None:
        await push(remote, [tree], tmp_path)
        unknown = {tree.digest, other.digest}
        survey = await gc(remote, [], tmp_path, force=False, unknown=unknown)
        assert survey.unknown == {tree.digest}

    go(main)


# Packs


def test_a_pack_that_is_mostly_waste_is_written_anew(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    packed = [make(b"%d" % nr * 999) for nr in range(20)]
    needed = packed[3:6]

    async def main() -> None:
        await push(remote, packed, tmp_path)
        (old,) = keys(remote)
        remote.now += 2 * DAY
        planned = await gc(remote, needed, tmp_path, force=False)
        assert [each.stat.key for each in planned.thin] == [old]
        await gc(remote, needed, tmp_path)
        (new,) = set(keys(remote)) - {old}
        repository = Repository(remote, memory=VolatileMemory(), project="p")
        await repository.refresh()
        located = await repository.locate([each.digest for each in packed])
        assert {d: [at.key for at in places] for d, places in located.items()} == {
            each.digest: [new] for each in needed
        }
        assert await repository.confirm({each.digest: each.size for each in needed}) == set(located)
        remote.now += 2 * DAY
        await gc(remote, needed, tmp_path)
        assert keys(remote) == [new]
        unchanged = await gc(remote, needed, tmp_path)
        assert (unchanged.thin, unchanged.claims) == ([], {})
        for each in needed:
            (at,) = located[each.digest]
            stored = await remote.get_range(at.key, at.offset, at.stored)
            assert len(stored) == at.stored

    go(main)


def test_a_pack_that_another_project_claims_too_is_left_alone(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    packed = [make(b"%d" % nr * 999) for nr in range(20)]

    async def main() -> None:
        await push(remote, packed, tmp_path)
        await push(remote, packed[:1], tmp_path, "another")
        remote.now += 2 * DAY
        before = keys(remote)
        survey = await gc(remote, packed[:2], tmp_path, grace=0)
        assert survey.thin == []
        assert len(survey.dropped) == 18
        assert keys(remote) == before

    go(main)


def test_a_thin_pack_with_damaged_bytes_stays_as_it_is(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    packed = [make(bytes([nr]) + b"%d" % nr * 999) for nr in range(20)]

    async def main() -> None:
        await push(remote, packed, tmp_path)
        (old,) = keys(remote)
        data, when = remote.held[old]
        remote.held[old] = (data[:16] + bytes(len(data) // 2) + data[16 + len(data) // 2 :], when)
        remote.now += 2 * DAY
        survey = await gc(remote, packed[:2], tmp_path, grace=0)
        assert survey.thin == []
        assert keys(remote) == [old]
        repository = Repository(remote, memory=VolatileMemory(), project="p")
        await repository.refresh()
        assert not await repository.unclaimed([each.digest for each in packed[:2]])

    go(main)


# At the same moment


@pytest.mark.parametrize("moment", ["put gc/", "put gc/sweep", "delete objects/"])
@pytest.mark.parametrize("size", [10, 2 << 20])
def test_a_push_in_the_middle_of_a_gc_ends_with_all_it_needs(
    make: Make, tmp_path: Path, moment: str, size: int
) -> None:
    """Right before the sweep, right after it was written down, and right before the delete."""
    remote = Clocked()
    wanted = make(b"x" * size)

    async def main() -> None:
        await push(remote, [wanted], tmp_path)
        remote.now += 2 * DAY
        await gc(remote, [], tmp_path)
        remote.now += 2 * DAY
        running: list[asyncio.Task[Any]] = []

        async def meanwhile() -> None:
            running.append(asyncio.create_task(push(remote, [wanted], tmp_path)))
            for _ in range(100):  # as far as it gets without the gc
                await asyncio.sleep(0)

        if moment == "put gc/sweep":

            async def at_the_sweep(call: str, seen: Any = remote._meanwhile) -> None:
                if call.endswith(f".{SWEEP}") and not running:
                    await meanwhile()
                await seen(call)

            remote._meanwhile = at_the_sweep  # type: ignore[method-assign]
        else:
            remote.once(moment, meanwhile)
        await gc(remote, [], tmp_path)
        (task,) = running
        done = await task
        assert done.failed == {}
        assert key(wanted) in remote.held
        # And the next gc sees the claim.
        remote.now += DAY / 2
        assert (await gc(remote, [], tmp_path)).due == []

    go(main)


def test_a_push_waits_for_a_sweep_no_longer_than_a_gc_can_live(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    one, other = make(b"one"), make(b"other")
    slept: list[float] = []

    async def main() -> None:
        await push(remote, [one], tmp_path)
        await Notes(remote).write(SWEEP, [Candidate(key(one), 3, 0, 0)])

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            for each, (data, when) in list(remote.held.items()):
                remote.held[each] = (data, when - 200)

        assert await Watch(remote, sleep=sleep).outlast({key(other)}) == set()
        assert slept == []
        assert await Watch(remote, sleep=sleep).outlast({key(one), key(other)}) == {key(one)}
        assert 0 < len(slept) <= DEAD_AFTER / 200 + 1

    go(main)


def test_what_a_dead_gc_left_is_tidied_by_the_next(make: Make, tmp_path: Path) -> None:
    remote = Clocked()

    async def main() -> None:
        await push(remote, [make(b"one")], tmp_path)
        notes = Notes(remote)
        await notes.write(SWEEP, [Candidate("objects/x", 3, 0, 0)])
        await remote.put_bytes("gc/0123456789abcdef.clock", b"")
        await gc(remote, [], tmp_path)
        assert len(keys(remote, "gc/")) == 2
        remote.now += DEAD_AFTER + 1
        await gc(remote, [], tmp_path)
        assert keys(remote, "gc/") == []

    go(main)


@pytest.mark.parametrize("lasted", [43_000, 44_000])
def test_a_push_that_lasted_half_the_grace_period_looks_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasted: int
) -> None:
    remote = Clocked()
    first, second = make(b"first"), make(b"second")
    monkeypatch.setattr(Lasting, "seconds", lasted)

    async def main() -> None:
        await push(remote, [first], tmp_path)

        async def gone() -> None:
            del remote.held[key(first)]  # by a gc, long after this push saw it claimed

        remote.once(f"put {key(second)}", gone)
        done = await push(remote, [first, second], tmp_path)
        assert (key(first) in remote.held) == (lasted > 43_200)
        assert done.uploaded == [second.digest, first.digest][: 1 + (lasted > 43_200)]

    go(main)


def test_what_another_project_had_there_is_asked_for_once_it_is_claimed(
    make: Make, tmp_path: Path
) -> None:
    remote = Clocked()
    one, two = make(b"one"), make(b"two")

    async def main() -> None:
        await push(remote, [one], tmp_path, "another")

        async def gone() -> None:
            for each in (key(one), *keys(remote, "index/")):
                del remote.held[each]

        remote.once(f"put {key(two)}", gone)
        done = await push(remote, [one, two], tmp_path)
        assert set(done.uploaded) == {one.digest, two.digest}
        assert keys(remote) == sorted([key(one), key(two)])

    go(main)


MOMENTS = ["put gc/", "put packs/", "put index/", "delete index/", "delete gc/", "delete objects/"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("runs", [1, 2])
def test_a_gc_in_the_middle_of_a_gc(make: Make, tmp_path: Path, moment: str, runs: int) -> None:
    remote = Clocked()
    alone, waste = make(b"alone"), [make(b"waste 1"), make(b"waste 2")]
    packed = [make(b"%d" % nr * 999) for nr in range(20)]
    needed = [alone, *packed[:3]]

    async def main() -> None:
        await push(remote, [alone, waste[0]], tmp_path)
        remote.now += 2 * DAY
        await gc(remote, [alone], tmp_path)
        await push(remote, [waste[1], *packed], tmp_path)
        remote.now += 2 * DAY
        met: list[str] = []

        async def meanwhile() -> None:
            met.append(moment)
            for _ in range(runs):
                await gc(remote, needed, tmp_path)
                remote.now += DAY

        remote.once(moment, meanwhile)
        try:
            await gc(remote, needed, tmp_path)
        except RemoteUnavailable:
            assert runs == 2  # what it had just written was days old, so that the others took it
        assert met == [moment]
        for _ in range(2):
            remote.now += 2 * DAY
            await gc(remote, needed, tmp_path)
        repository = Repository(remote, memory=VolatileMemory(), project="p")
        await repository.refresh()
        wanted = {each.digest for each in needed}
        assert await repository.unclaimed(wanted) == set()
        for digest, places in (await repository.locate(wanted)).items():
            assert [remote.held[at.key] for at in places], digest
        assert len(keys(remote)) == 2

    go(main)


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(0, 3), max_size=120))
def test_whatever_the_order_a_push_that_ended_has_all_it_claims(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    """Two pushes and two gcs take turns, call by call, as hypothesis says."""
    tmp_path = tmp_path_factory.mktemp("order")
    remote = Clocked()
    objects = []
    for nr in range(7):
        data = b"%d" % nr * (3 if nr else 2 << 20)
        path = tmp_path / str(nr)
        path.write_bytes(data)
        objects.append(Outgoing(digest_of(data), len(data), path))

    async def main() -> None:
        await push(remote, objects, tmp_path)
        remote.now += 2 * DAY
        await gc(remote, [], tmp_path)
        remote.now += 2 * DAY
        turns = Turns(remote, order)
        wanted = {"p": objects, "q": objects[:1]}
        pushes = [
            push(turns.of(nr), some, tmp_path, project)
            for nr, (project, some) in enumerate(wanted.items())
        ]
        gcs = [gc(turns.of(nr), [], tmp_path, grace=DAY) for nr in (2, 3)]
        done = await asyncio.gather(*pushes, *gcs, return_exceptions=True)
        assert [each for each in done if isinstance(each, Exception)] == []
        for pushed, some in zip(done, wanted.values(), strict=False):
            repository = Repository(remote, memory=VolatileMemory(), project="p")
            await repository.refresh()
            sizes = {each.digest: each.size for each in some if each.digest not in pushed.failed}
            assert await repository.confirm(sizes) == set(sizes)
            for error in pushed.failed.values():  # it was taken before it was claimed
                assert "it is not there" in error.message

    go(main)


class Turns:
    """Lets one of several tasks make its next call, as a list says."""

    def __init__(self, remote: Remote, order: list[int]) -> None:
        self._remote, self._order = remote, list(order)
        self._waiting: dict[int, asyncio.Event] = {}

    def of(self, nr: int) -> Remote:
        return Turn(self, self._remote, nr)  # type: ignore[return-value]

    async def take(self, nr: int) -> None:
        """Wait a number of loop rounds that depends on whose turn it is."""
        while self._order and self._order[0] != nr:
            self._order.pop(0) if self._idle() else None
            await asyncio.sleep(0)
        if self._order:
            self._order.pop(0)

    def _idle(self) -> bool:
        self._rounds = getattr(self, "_rounds", 0) + 1
        return self._rounds % 50 == 0


class Turn:
    def __init__(self, turns: Turns, remote: Remote, nr: int) -> None:
        self._turns, self._remote, self._nr = turns, remote, nr
        self.url, self.concurrency = remote.url, 1

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any) -> Any:
            await self._turns.take(self._nr)
            return await getattr(self._remote, name)(*args)

        return call

    async def list(self, prefix: str) -> Any:
        await self._turns.take(self._nr)
        async for each in self._remote.list(prefix):
            yield each


# Real remotes


def test_on_every_kind_of_remote(remote: Remote, make: Make, tmp_path: Path) -> None:
    """Times of these come in whole seconds, or not at all before the next look."""
    needed, large = make(b"needed"), make(bytes(2 << 20))
    packed = [make(b"%d" % nr * 999) for nr in range(20)]

    async def main() -> None:
        await push(remote, [needed, large], tmp_path)
        await push(remote, packed, tmp_path)
        stays = [needed, *packed[:2]]
        survey = await gc(remote, stays, tmp_path, grace=0)
        assert {large.digest} <= survey.dropped
        assert len(survey.thin) == 1
        repository = Repository(remote, memory=VolatileMemory(), project="p")
        await repository.refresh()
        sizes: dict[Digest, int | None] = {each.digest: each.size for each in [*stays, large]}
        assert await repository.confirm(sizes) == {each.digest for each in stays}
        listed = [each.key async for each in remote.list("")]
        assert len([each for each in listed if each.startswith(("objects/", "packs/"))]) == 2

    go(main)


# What is written down


def test_candidates_come_back() -> None:
    rows = [Candidate("objects/blake3/ab/cd", 5, 7, 9), Candidate("packs/x.pack", 0, 0, 0)]
    name, data = encode(rows)
    assert decode(name, data) == rows
    assert encode(rows)[0] != name  # two gcs may say the same


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b'{"format":2}\n',
        b'{"format":1}',
        b'{"format":1}\nobjects/x\t1\t2\n',
        b'{"format":1}\n../x\t1\t2\t3\n',
        b'{"format":1}\nobjects/x\t-1\t2\t3\n',
        b"[" * 100_000 + b"\n",
        b"\xff\n",
    ],
)
def test_what_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(ObjectCorrupt):
        decode(digest_of(data).hex, data)


def test_damaged_candidates_wait_once_more(make: Make, tmp_path: Path) -> None:
    remote = Clocked()
    waste = make(b"waste")

    async def main() -> None:
        await push(remote, [waste], tmp_path)
        remote.now += 2 * DAY
        await gc(remote, [], tmp_path)
        (note,) = [each for each in keys(remote, "gc/") if CANDIDATES in each]
        remote.held[note] = (b"rot", remote.now)
        remote.now += 2 * DAY
        survey = await gc(remote, [], tmp_path)
        assert (survey.due, len(survey.waiting)) == ([], 1)
        assert note not in remote.held

    go(main)
