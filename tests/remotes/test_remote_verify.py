"""Bit rot on remotes of every kind: found, named, never handed out, and mended from good copies."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

import pytest
from engine import digests, opener, push
from hypothesis import given, settings
from hypothesis import strategies as st

from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest
from lazydata.errors import LazydataError, NeedsUpgrade, ObjectCorrupt, UsageError
from lazydata.outgoing import Outgoing
from lazydata.packs import Encoded, Encoder, read_footer
from lazydata.progress import Meter
from lazydata.remotes.base import Remote
from lazydata.remotes.claims import Claim, ClaimMemory, Row, VolatileMemory, encode, key_of
from lazydata.remotes.layout import MARKER, object_key
from lazydata.remotes.memory import MemoryRemote
from lazydata.repository import Repository
from lazydata.store import Store
from lazydata.transfer import pull
from lazydata.transfer.mending import Mending
from lazydata.transfer.pushing import Pushing

Make = Callable[[bytes], Outgoing]
LARGE = 1_200_000

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "flipped": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
    "truncated": lambda data: data[: len(data) // 3],
    "longer": lambda data: data + b"\0",
    "empty": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
}


@pytest.fixture
def objects(make: Make) -> list[Outgoing]:
    """Two that travel alone, then ten that travel together."""
    rng = random.Random(4)
    large = [make(rng.randbytes(LARGE)) for _ in range(2)]
    return large + [make(b"%d " % number * 300) for number in range(10)]


class Scene:
    """What was pushed to a remote, all of it in one loop."""

    def __init__(self, remote: Remote, scratch: Path, memory: ClaimMemory | None = None) -> None:
        self.remote, self.scratch = remote, scratch
        self.memory = memory or VolatileMemory()
        scratch.mkdir(exist_ok=True)

    async def push(self, objects: list[Outgoing], project: str = "p") -> None:
        files = {each.digest: each for each in objects}

        def find(
            wanted: Collection[Digest],
        ) -> tuple[list[Outgoing], dict[Digest, LazydataError]]:
            return [files[each] for each in wanted], {}

        repository = Repository(self.remote, memory=self.memory, project=project)
        pushing = Pushing(repository, str(self.scratch), Meter(), None, 300, time.monotonic)
        done = await pushing.run(files, find, dry_run=False)
        assert done.failed == {}

    def verifier(self, memory: ClaimMemory | None = None) -> Mending:
        return Mending(self.remote, memory=memory or self.memory, project="p")

    async def held(self) -> dict[str, bytes]:
        keys = [each.key async for each in self.remote.list("")]
        return {key: await self.remote.get_range(key, 0, 1 << 26) for key in keys}

    async def faults(
        self, objects: Collection[Outgoing] = (), **more: Collection[Digest]
    ) -> list[tuple[str, str, set[Digest]]]:
        checked = await self.verifier().examine([each.digest for each in objects], **more)
        return [
            (each.key, each.problem, {row.digest for row in each.rows}) for each in checked.faults
        ]

    async def mend(
        self, objects: Collection[Outgoing], good: Collection[Outgoing], **more: ClaimMemory
    ) -> None:
        needed = [each.digest for each in objects]
        checked = await self.verifier(**more).examine(needed)
        copies: Mapping[Digest, Outgoing] = {each.digest: each for each in good}
        await self.verifier(**more).mend(checked, copies, needed, str(self.scratch))


def in_loop(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_every_kind_of_damage_is_found_and_mended(
    remote: Remote, objects: list[Outgoing], tmp_path: Path
) -> None:
    async def work() -> None:
        scene = Scene(remote, tmp_path / "scratch")
        await scene.push(objects)
        before = await scene.held()
        assert await scene.faults(objects) == []
        (pack,) = (key for key in before if key.startswith("packs/"))
        (index,) = (key for key in before if key.startswith("index/"))
        one, other = (object_key(each.digest) for each in objects[:2])
        everything = set(digests(objects[2:]))
        for name, change in DAMAGE.items():
            for key in (one, pack, index):
                await remote.put_bytes(key, change(before[key]))
                rotten = await scene.held()
                (fault,) = await scene.faults(objects)
                assert fault[:2] == (key, "corrupt"), name
                if key == one:
                    assert fault[2] == {objects[0].digest}
                elif key == pack:
                    assert fault[2] <= everything
                    if name == "zeroed":
                        assert fault[2] == everything
                assert await scene.held() == rotten  # nothing is changed by looking
                await scene.mend(objects, objects)
                assert await scene.held() == before, (name, key)
                assert await scene.faults(objects) == []
        # What is gone
        await remote.delete([other, pack])
        found = await scene.faults(objects)
        assert found == [
            (other, "missing", {objects[1].digest}),
            (pack, "missing", everything),
        ]
        await scene.mend(objects, objects)
        # Swapped
        await remote.put_bytes(one, before[other])
        await remote.put_bytes(other, before[one])
        assert {key for key, _, _ in await scene.faults(objects)} == {one, other}
        await scene.mend(objects, objects)
        assert await scene.held() == before

    in_loop(work)


def test_a_pack_is_mended_from_what_is_sound_in_it(objects: list[Outgoing], tmp_path: Path) -> None:
    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        await scene.push(objects)
        before = await scene.held()
        (pack,) = (key for key in before if key.startswith("packs/"))
        hit = bytes([*before[pack][:20], before[pack][20] ^ 1, *before[pack][21:]])
        await scene.remote.put_bytes(pack, hit)
        ((_, _, bad),) = await scene.faults(objects)
        assert len(bad) == 1
        await scene.mend(objects, [each for each in objects if each.digest in bad])
        assert await scene.held() == before

    in_loop(work)


def test_a_pack_that_can_not_be_whole_again_is_left_for_another_one(
    objects: list[Outgoing], make: Make, tmp_path: Path
) -> None:
    """What another project had in it is not ours to bring; what is ours is claimed elsewhere."""
    theirs = [make(b"theirs %d " % number * 200) for number in range(3)]

    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        await scene.push([*objects, *theirs], project="q")
        await scene.push(objects)  # claims what is there
        before = await scene.held()
        (pack,) = (key for key in before if key.startswith("packs/"))
        packed = read_footer(lambda o, n: before[pack][o : o + n], len(before[pack]))
        lost = next(each for each in packed if each.digest == theirs[0].digest)
        mine = next(each for each in packed if each.digest == objects[5].digest)
        data = bytearray(before[pack])
        for each in (lost, mine):
            data[each.offset + each.stored // 2] ^= 1
        await scene.remote.put_bytes(pack, bytes(data))
        assert await scene.faults(objects) == [(pack, "corrupt", {objects[5].digest})]
        await scene.mend(objects, [objects[5]])
        assert await scene.faults(objects) == []
        after = await scene.held()
        assert after[pack] == bytes(data)  # theirs: they may still have what is sound in it
        (new,) = (key for key in after.keys() - before.keys() if key.startswith("packs/"))
        had = read_footer(lambda o, n: after[new][o : o + n], len(after[new]))
        assert {each.digest for each in had} == set(digests(objects[2:]))

    in_loop(work)


def test_what_there_is_no_good_copy_of_stays_found(objects: list[Outgoing], tmp_path: Path) -> None:
    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        await scene.push(objects)
        before = await scene.held()
        for key in before:
            if key.startswith(("packs/", "objects/")):
                await scene.remote.put_bytes(key, DAMAGE["zeroed"](before[key]))
        found = await scene.faults(objects)
        await scene.mend(objects, [objects[0], objects[4]])
        left = await scene.faults(objects)
        assert {d for _, _, some in found for d in some} == set(digests(objects))
        assert {d for _, _, some in left for d in some} == (
            set(digests(objects)) - {objects[0].digest, objects[4].digest}
        )

    in_loop(work)


# -- index files


@pytest.mark.parametrize("name", DAMAGE)
def test_an_index_file_is_made_anew_where_nobody_remembers_it(
    name: str, objects: list[Outgoing], tmp_path: Path
) -> None:
    """From what the workspace lists, and from the footers of packs."""

    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        await scene.push(objects)
        before = await scene.held()
        (index,) = (key for key in before if key.startswith("index/"))
        await scene.remote.put_bytes(index, DAMAGE[name](before[index]))
        listed = digests(objects[:-1])
        await scene.mend(objects[:-1], [], memory=VolatileMemory())
        checked = await scene.verifier().examine(listed)
        assert checked.claims.claimed() >= set(listed)
        # Of one that does not even say whose it is, somebody else may need what it claimed.
        known = name in ("flipped", "truncated", "longer")
        assert [each.key for each in checked.faults] == ([] if known else [index])
        if name == "longer":  # what is listed no more is claimed as long as that can be read
            assert checked.claims.claimed() == set(digests(objects))

    in_loop(work)


def test_an_index_file_of_another_project_is_written_as_it_is_remembered(
    objects: list[Outgoing], tmp_path: Path
) -> None:
    async def work() -> None:
        memory = IndexedMemory(str(tmp_path / "index"))
        scene = Scene(MemoryRemote(), tmp_path / "scratch", memory)
        await scene.push(objects[:6], project="q")
        await scene.push(objects[6:])
        before = await scene.held()
        for key in before:
            if key.startswith("index/"):
                await scene.remote.put_bytes(key, b"")
        await scene.mend(objects[6:], [])
        assert await scene.held() == before

    in_loop(work)


def test_what_was_pushed_and_is_claimed_no_more_is_claimed_again(
    objects: list[Outgoing], tmp_path: Path
) -> None:
    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        await scene.push(objects)
        held = await scene.held()
        await scene.remote.delete([key for key in held if key.startswith("index/")])
        await scene.remote.delete([object_key(objects[0].digest)])
        pushed = digests(objects)
        assert await scene.faults(objects, pushed=pushed) == [("index/", "missing", set(pushed))]
        checked = await scene.verifier().examine(pushed, pushed=pushed)
        good = {objects[0].digest: objects[0]}
        await scene.verifier().mend(checked, good, pushed, str(scene.scratch))
        assert await scene.faults(objects, pushed=pushed) == []

    in_loop(work)


@pytest.mark.parametrize("data", [b"", b"nonsense", None])
def test_the_marker_is_mended(data: bytes | None, objects: list[Outgoing], tmp_path: Path) -> None:
    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        await scene.push(objects)
        before = await scene.held()
        if data is None:
            await scene.remote.delete([MARKER])
        else:
            await scene.remote.put_bytes(MARKER, data)
        assert [key for key, _, _ in await scene.faults(objects)] == [MARKER]
        await scene.mend(objects, [])
        assert await scene.held() == before

    in_loop(work)


def test_what_is_not_ours_or_newer_is_refused(objects: list[Outgoing], tmp_path: Path) -> None:
    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        with pytest.raises(UsageError, match="not marked"):
            await scene.faults()
        await scene.remote.put_bytes(MARKER, b"nonsense")
        with pytest.raises(UsageError, match="no sense"):
            await scene.faults()
        await scene.remote.put_bytes(MARKER, b'{"format": 9}')
        with pytest.raises(NeedsUpgrade):
            await scene.faults()

    in_loop(work)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_damage_is_found_and_mended(data: st.DataObject) -> None:
    """Whatever happens to any file, and however much of it."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        rng = random.Random(1)
        objects = []
        for number in range(7):
            content = rng.randbytes(200) if number else rng.randbytes(LARGE)
            path = Path(directory, str(number))
            path.write_bytes(content)
            objects.append(Outgoing(_digest(content), len(content), path))

        async def work() -> None:
            scene = Scene(MemoryRemote(), Path(directory, "scratch"))
            await scene.push(objects)
            before = await scene.held()
            hit = data.draw(st.lists(st.sampled_from(sorted(before)), min_size=1, unique=True))
            for key in hit:
                await _hurt(scene.remote, key, before[key], data)
            rotten = await scene.held()
            found = {key for key, _, _ in await scene.faults(objects)}
            changed = {key for key in before if rotten.get(key) != before[key]} - {MARKER}
            if not any(key.startswith("index/") for key in changed):
                assert found - {MARKER} == changed
            for _ in range(2):
                await scene.mend(objects, objects)
            assert await scene.faults(objects) == []
            after = await scene.held()
            again = {key: after[key] for key in before if key != MARKER}
            assert again == {key: before[key] for key in again}

        in_loop(work)


async def _hurt(remote: Remote, key: str, held: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(held) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "zero"]))
    if how == "flip":
        held = held[:at] + bytes([held[at] ^ data.draw(st.integers(1, 255))]) + held[at + 1 :]
    elif how == "cut":
        held = held[:at]
    else:
        held = held[:at] + bytes(len(held) - at)
    await remote.put_bytes(key, held)


def _digest(content: bytes) -> Digest:
    from lazydata.digest import digest_of

    return digest_of(content)


# -- what a stranger's index file says


def claim(remote: MemoryRemote, *rows: Row, project: str = "stranger") -> None:
    name, data = encode(Claim(project, rows))
    asyncio.run(remote.put_bytes(key_of(name), data))


@pytest.mark.parametrize("codec", ["raw", "zstd", "later"])
def test_a_row_about_some_bytes_of_an_object_does_not_hide_the_whole(
    codec: str, objects: list[Outgoing], store: Store
) -> None:
    remote = MemoryRemote()
    one = objects[2]
    push(opener(remote), [one])
    held = asyncio.run(_keys(remote, "index/"))
    asyncio.run(remote.delete(held))
    claim(remote, Row(one.digest, one.size, object_key(one.digest), 4, 10, codec))
    done = pull([opener(remote)], [one.digest], store)
    assert done.failed == {}
    assert Path(store.find(one.digest)).read_bytes() == one.path.read_bytes()


async def _keys(remote: Remote, prefix: str) -> list[str]:
    return [each.key async for each in remote.list(prefix)]


@pytest.mark.parametrize("number", [1, 8])
def test_a_codec_of_later_needs_a_newer_lazydata_and_is_no_damage(
    number: int,
    objects: list[Outgoing],
    store: Store,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote, memory = MemoryRemote(), VolatileMemory()
    with monkeypatch.context() as later:
        later.setattr(Encoder, "encode", lambda _, data: Encoded("later", data[::-1], len(data)))
        push(opener(remote), objects)
    wanted = digests(objects[2 : 2 + number])
    done = pull([opener(remote)], wanted, store)
    assert done.failed.keys() == set(wanted)
    for error in done.failed.values():
        assert isinstance(error, NeedsUpgrade), error
        assert error.hint == "upgrade lazydata"
    assert not any("damaged" in line for line in said)
    assert asyncio.run(Mending(remote, memory=memory, project="p").examine(wanted)).faults == []


def test_a_row_that_says_other_things_than_the_pack_is_found(
    objects: list[Outgoing], tmp_path: Path
) -> None:
    async def work() -> None:
        scene = Scene(MemoryRemote(), tmp_path / "scratch")
        await scene.push(objects, project="q")
        (pack,) = await _keys(scene.remote, "packs/")
        one = objects[4]
        await scene.verifier().claim([Row(one.digest, one.size, pack, 16, 40, "later")])
        assert await scene.faults([one]) == [(pack, "corrupt", {one.digest})]
        await scene.mend([one], [one])
        assert await scene.faults([one]) == []

    in_loop(work)


def test_damage_is_never_handed_out(objects: list[Outgoing], store: Store) -> None:
    remote = MemoryRemote()
    push(opener(remote), objects)
    for change in DAMAGE.values():
        hurt = MemoryRemote()
        hurt.held = {
            key: (data if key.startswith("index/") or key == MARKER else change(data), when)
            for key, (data, when) in remote.held.items()
        }
        done = pull([opener(hurt)], digests(objects), store)
        for each in objects:
            if each.digest in done.failed:
                assert isinstance(done.failed[each.digest], LazydataError)
            else:
                assert Path(store.find(each.digest)).read_bytes() == each.path.read_bytes()
    assert isinstance(done.failed[objects[0].digest], ObjectCorrupt)  # the zeroed one, the last
