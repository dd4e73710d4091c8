"""What lies on a remote, byte by byte, and what is made of it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from remote_faults import FaultyRemote

from lazydata.digest import Digest
from lazydata.errors import (
    ObjectCorrupt,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
    most_telling,
)
from lazydata.outgoing import Outgoing
from lazydata.remotes import claims
from lazydata.remotes.base import Remote, Stat
from lazydata.remotes.claims import Claim, Location, Row, VolatileMemory, decode, encode
from lazydata.remotes.memory import MemoryRemote
from lazydata.repository import Repository
from lazydata.store import Store

A, B = Digest("blake3:" + "aa" * 32), Digest("blake3:" + "bb" * 32)
S = Digest("sha256:" + "cc" * 32)
Make = Callable[[bytes], Outgoing]


def row(digest: Digest, size: int = 5) -> Row:
    algorithm, digits = digest.split(":")
    return Row(digest, size, f"objects/{algorithm}/{digits[:2]}/{digits}", 0, size, "raw")


def repository(remote: Remote, project: str = "p1", memory: Any = None) -> Repository:
    return Repository(remote, memory=memory or VolatileMemory(), project=project)


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()

    asyncio.run(whole())


def test_the_bytes_of_format_1(make: Make) -> None:
    one, two = make(b"one"), make(b"two")
    remote = MemoryRemote()

    async def main() -> None:
        ours = repository(remote, "7f3c")
        await ours.begin()
        await ours.claim([(await ours.upload(each)).row for each in (two, one)])

    go(main)
    one_hex = "d33fb48ab5adff269ae172b29a6913ff04f6f266207a7a8e976f2ecd571d4492"
    two_hex = "dc770fff53f50835f8cc957e01c0d5731d3c2ed544c375493a28c09be5e09763"
    index_file = (
        '{"format":1,"project":"7f3c","supersedes":[]}\n'
        f"blake3:{one_hex}\t3\tobjects/blake3/d3/{one_hex}\t0\t3\traw\n"
        f"blake3:{two_hex}\t3\tobjects/blake3/dc/{two_hex}\t0\t3\traw\n"
    )
    name = "a7f0df23d4ac48dc680c09b35c396cd021487332f3f6be7b286ea454da4a3ae4"
    assert {key: data for key, (data, _) in remote.held.items()} == {
        "lazydata.json": b'{"format": 1}\n',
        f"objects/blake3/d3/{one_hex}": b"one",
        f"objects/blake3/dc/{two_hex}": b"two",
        f"index/{name}.idx": index_file.encode(),
    }


def test_an_index_file_comes_back() -> None:
    packed = Row(B, 7, "packs/ab/" + "ab" * 32 + ".pack", 4096, 3, "zstd")
    claim = Claim("p", (row(A), packed, row(S)), ("ab" * 32,))
    name, data = encode(Claim("p", (row(S), packed, row(A), row(A)), ("ab" * 32,)))
    assert decode(name, data) == claim
    assert packed.location == Location(packed.key, 4096, 3, "zstd", 7)
    assert Row.of(B, packed.location) == packed


def named(data: bytes) -> tuple[str, bytes]:
    return claims._blake3(data), data


HEAD = b'{"format":1,"project":"p","supersedes":[]}\n'
LINE = "\t".join(map(str, row(A))).encode() + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]\n",
        b"{\n",
        b'{"format":0,"project":"p","supersedes":[]}\n',
        b'{"format":"1","project":"p","supersedes":[]}\n',
        b'{"format":1,"project":1,"supersedes":[]}\n',
        b'{"format":1,"project":"p","supersedes":[1]}\n',
        b'{"format":1,"project":"p"}\n',
        HEAD + LINE[:-1],
        HEAD + b"\n",
        HEAD + LINE.replace(b"\traw", b""),
        HEAD + LINE.replace(b"raw", b"raw\t"),
        HEAD + LINE.replace(b"raw", b"RAW"),
        HEAD + LINE.replace(b"\t5\t", b"\t-5\t"),
        HEAD + LINE.replace(b"\t5\t", b"\t05\t"),
        HEAD + LINE.replace(b"\t5\t", b"\t5555555555555555555\t"),
        HEAD + LINE.replace(b"objects/", b"../objects/"),
        HEAD + LINE.replace(b"objects/", b"/objects/"),
        HEAD + LINE.replace(b"blake3:aa", b"blake3:AA"),
        HEAD + LINE.replace(b"blake3:", b"md5:"),
        HEAD + LINE.replace(b"raw", "ä".encode()),
        b"\xff" * 100,
        b"[" * 100_000 + b"\n",
    ],
)
def test_nonsense_is_damage(data: bytes) -> None:
    with pytest.raises(ObjectCorrupt):
        decode(*named(data))


def test_other_bytes_than_the_name_says_are_damage() -> None:
    name, data = encode(Claim("p", (row(A),)))
    with pytest.raises(ObjectCorrupt) as caught:
        decode(name, data[:-1])
    assert caught.value.expected == f"blake3:{name}"


def test_a_newer_index_file_says_so() -> None:
    with pytest.raises(UsageError, match="upgrade"):
        decode(*named(HEAD.replace(b"1", b"2")))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b'{"format": 2}', "upgrade"),
        (b'{"format": 0}', "makes no sense"),
        (b'{"format": "1"}', "makes no sense"),
        (b"{}", "makes no sense"),
        (b"<html>", "makes no sense"),
        (b"", "makes no sense"),
        (b"\xff\xfe", "makes no sense"),
        (b"[]", "makes no sense"),
    ],
)
def test_what_lazydata_can_not_use(data: bytes, match: str) -> None:
    async def main() -> None:
        remote = MemoryRemote()
        await remote.put_bytes("lazydata.json", data)
        with pytest.raises(UsageError, match=match):
            await repository(remote).begin()
        with pytest.raises(UsageError, match=match):
            await repository(remote).probe()
        # Not even its index files are looked at.
        await remote.put_bytes("index/" + "ab" * 32 + ".idx", b"who knows")
        with pytest.raises(UsageError, match=match):
            await repository(remote).refresh()
        assert remote.held["lazydata.json"][0] == data

    go(main)


def test_later_fields_are_no_error() -> None:
    async def main() -> None:
        remote = MemoryRemote()
        assert not await repository(remote).check()
        await remote.put_bytes("lazydata.json", b'{"format": 1, "more": []}')
        assert await repository(remote).check()

    go(main)


def test_refresh_reads_what_is_new_and_forgets_what_is_gone() -> None:
    remote = FaultyRemote(MemoryRemote())

    async def main() -> None:
        theirs = repository(remote, "p2")
        await theirs.claim([row(A)])
        ours = repository(remote)
        await ours.refresh()
        assert await ours.locate([A, B]) == {A: [row(A).location]}
        assert await ours.unclaimed([A, B]) == {A, B}
        await theirs.claim([row(B)])
        remote.calls.clear()
        await ours.refresh()
        assert len(remote.keys("get_range")) == 1
        assert (await ours.locate([A, B])).keys() == {A, B}
        remote.calls.clear()
        await ours.refresh()
        assert remote.calls == [("list", "index/"), ("list_end", "index/")]
        await remote.delete([claims.key_of(encode(Claim("p2", (row(A),)))[0])])
        await ours.refresh()
        assert (await ours.locate([A, B])).keys() == {B}

    go(main)


def test_a_listing_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazydata.remotes.catalogue._FILES_AT_MOST", 1000)

    class Endless(MemoryRemote):
        async def list(self, prefix: str) -> AsyncIterator[Stat]:
            for number in itertools.count():
                yield Stat(f"{prefix}{number:064x}.idx", 1, 0.0)

    async def main() -> None:
        with pytest.raises(RemoteDenied, match="more than 1,000 index files"):
            await repository(Endless()).refresh()

    go(main)


def test_damaged_index_files_are_left_out_with_a_warning(said: list[str]) -> None:
    async def main() -> None:
        remote = MemoryRemote()
        await repository(remote, "p2").claim([row(A)])
        await remote.put_bytes("index/" + "ab" * 32 + ".idx", b"damaged")
        await remote.put_bytes("index/readme.txt", b"not an index file")
        await remote.put_bytes(*_key_and_data(HEAD.replace(b"1", b"2")))
        ours = repository(remote)
        await ours.refresh()
        assert (await ours.locate([A])).keys() == {A}

    go(main)
    assert len(said) == 2
    assert any("ab" * 32 in line and "damaged" in line for line in said)


def _key_and_data(data: bytes) -> tuple[str, bytes]:
    name, data = named(data)
    return claims.key_of(name), data


def test_an_index_file_that_vanishes_is_looked_for_again() -> None:
    remote = FaultyRemote(MemoryRemote())
    both = _key_and_data(encode(Claim("p2", (row(A), row(B))))[1])

    def compact() -> None:
        held = remote.remote.held  # type: ignore[attr-defined]
        for key in [key for key in held if key.startswith("index/")]:
            del held[key]
        held[both[0]] = (both[1], 0.0)

    async def main() -> None:
        theirs = repository(remote, "p2")
        await theirs.claim([row(A)])
        await theirs.claim([row(B)])
        remote.on("list_end").then(compact)
        ours = repository(remote)
        await ours.refresh()
        assert (await ours.locate([A, B])).keys() == {A, B}
        assert len(remote.keys("list")) == 2

    go(main)
    remote.assert_all_faults_used()


def test_listing_again_has_an_end(said: list[str]) -> None:
    remote = FaultyRemote(MemoryRemote())

    async def main() -> None:
        await repository(remote, "p2").claim([row(A)])
        remote.on("get_range").fail(RemoteObjectMissing("gone"), times=3, key="index/")
        ours = repository(remote)
        await ours.refresh()
        assert await ours.locate([A]) == {}

    go(main)
    remote.assert_all_faults_used()


def test_a_mount_point_without_its_share_is_an_outage() -> None:
    async def main() -> None:
        remote, memory = MemoryRemote(), VolatileMemory()
        ours = repository(remote, memory=memory)
        await ours.begin()
        await ours.claim([row(A)])
        before = dict(remote.held)
        remote.held.clear()
        with pytest.raises(RemoteUnavailable, match="mounted"):
            await repository(remote, memory=memory).refresh()
        remote.held.update(before)
        ours = repository(remote, memory=memory)
        await ours.refresh()
        assert (await ours.locate([A])).keys() == {A}
        # Emptied on purpose: adding it once more marks it, and it may be empty then.
        remote.held.clear()
        await repository(remote, memory=memory).probe()
        await ours.refresh()
        assert await ours.locate([A]) == {}

    go(main)


def test_large_claims_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "ROWS_AT_MOST", 3)

    async def main() -> None:
        remote = MemoryRemote()
        digests = [Digest(f"blake3:{number:064x}") for number in range(8)]
        await repository(remote).claim([row(each) for each in digests])
        assert len(remote.held) == 3
        reader = repository(remote)
        await reader.refresh()
        assert await reader.unclaimed(digests) == set()

    go(main)


def test_index_files_that_are_too_large_are_not_read(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    async def main() -> None:
        remote = FaultyRemote(MemoryRemote())
        await repository(remote).claim([row(A)])
        monkeypatch.setattr("lazydata.remotes.catalogue.BYTES_AT_MOST", 10)
        await repository(remote).refresh()
        assert not any(key.startswith("index/") for key in remote.keys("get_range"))

    go(main)
    assert "too large" in said[0]


async def _fetch(ours: Repository, digest: Digest, store: Store) -> bytes:
    await ours.refresh()
    there = await ours.locate([digest])
    await ours.fetch(digest, store, locations=there.get(digest, ()))
    return Path(store.path_of(digest)).read_bytes()


def test_objects_without_a_claim_are_found(make: Make, store: Store) -> None:
    async def main() -> None:
        remote = MemoryRemote()
        one = make(b"one")
        await repository(remote).upload(one)
        assert await _fetch(repository(remote), one.digest, store) == b"one"

    go(main)


def test_objects_of_lazydata_1_are_found(make: Any, store: Store) -> None:
    async def main() -> None:
        remote = MemoryRemote()
        old = make(b"old", "sha256")
        await remote.put_bytes(f"data/{old.digest.hex[:2]}/{old.digest.hex[2:]}", b"old")
        assert await _fetch(repository(remote), old.digest, store) == b"old"

    go(main)


def test_a_bad_copy_gives_way_to_the_next(make: Make, store: Store, said: list[str]) -> None:
    async def main() -> None:
        remote = MemoryRemote()
        one = make(b"one")
        copy = f"objects/blake3/{'00'}/{one.digest.hex}"
        await remote.put_bytes(copy, b"bad")
        ours = repository(remote)
        placed = await ours.upload(one)
        await ours.claim([placed.row])
        await repository(remote, "p2").claim([Row(one.digest, 3, copy, 0, 3, "raw")])
        remote.held.pop(placed.row.key)
        with pytest.raises(ObjectCorrupt):
            await _fetch(repository(remote), one.digest, store)
        await ours.upload(one)
        assert await _fetch(repository(remote), one.digest, store) == b"one"
        assert not list((Path(store.directory) / "tmp").iterdir())

    go(main)
    assert any("damaged" in line for line in said)


def test_absence_is_remembered_until_it_is_healed(make: Make, store: Store) -> None:
    async def main() -> None:
        remote, memory = MemoryRemote(), VolatileMemory()
        one = make(b"one")
        ours = repository(remote, memory=memory)
        placed = await ours.upload(one)
        await ours.claim([placed.row])
        remote.held.pop(placed.row.key)
        with pytest.raises(RemoteObjectMissing, match=one.digest):
            await _fetch(ours, one.digest, store)
        assert await ours.unclaimed([one.digest]) == {one.digest}
        assert await ours.locate([one.digest]) == {}
        assert one.digest in await ours.locate([one.digest], absent=True)
        await ours.claim([(await ours.upload(one)).row])
        assert await ours.unclaimed([one.digest]) == set()
        assert await _fetch(ours, one.digest, store) == b"one"

    go(main)


def test_an_outage_is_never_remembered_as_absence(make: Make, store: Store) -> None:
    async def main() -> None:
        remote = FaultyRemote(MemoryRemote())
        one = make(b"one")
        ours = repository(remote)
        await ours.claim([(await ours.upload(one)).row])
        remote.on("get").fail(RemoteUnavailable("down"))
        with pytest.raises(RemoteUnavailable):
            await _fetch(ours, one.digest, store)
        assert await ours.unclaimed([one.digest]) == set()

    go(main)


def test_upload_confirms_the_size(make: Make) -> None:
    async def main() -> None:
        remote = FaultyRemote(MemoryRemote())
        ours, moved = repository(remote), []
        one = make(b"one")
        assert (await ours.upload(one, moved.append)).confirmed
        remote.on("stat").truncate(2)
        with pytest.raises(RemoteUnavailable, match="2 bytes"):
            await ours.upload(one, moved.append)
        remote.on("stat").fail(RemoteDenied("no HEAD"))
        assert (await ours.upload(one))[1:] == (True, False)
        assert sum(moved) == 3
        one.path.write_bytes(b"longer")
        with pytest.raises(ObjectCorrupt, match="6 bytes"):
            await ours.upload(one)

    go(main)


def test_large_objects_that_are_there_are_not_sent_again(make: Make) -> None:
    async def main() -> None:
        remote = FaultyRemote(MemoryRemote())
        ours, moved = repository(remote), []
        big = make(b"x" * (1 << 20))
        assert (await ours.upload(big)).sent
        again = await ours.upload(big, moved.append)
        assert (again.sent, again.confirmed, sum(moved)) == (False, False, 1 << 20)
        assert len(remote.keys("put")) == 1

    go(main)


def test_probe(remote: Remote) -> None:
    async def main() -> None:
        await repository(remote).probe()
        assert [stat.key async for stat in remote.list("")] == ["lazydata.json"]
        await repository(remote).probe()

    go(main)


@pytest.mark.parametrize(
    ("method", "step"),
    [
        ("prepare", "prepare"),
        ("list", "list"),
        ("put_bytes", "write"),
        ("delete", "delete"),
        ("get_range", "read"),
    ],
)
@pytest.mark.parametrize("kind", [RemoteDenied, RemoteUnavailable])
def test_probe_says_what_failed(method: str, step: str, kind: type[RemoteDenied]) -> None:
    remote = FaultyRemote(MemoryRemote())
    remote.on(method).fail(kind("because", hint="do this"))
    with pytest.raises(kind, match=f"can't {step}.*because") as caught:
        asyncio.run(repository(remote).probe())
    assert caught.value.hint == "do this"


def test_the_most_telling_reason() -> None:
    missing, down = RemoteObjectMissing("m"), RemoteUnavailable("u")
    denied, corrupt = RemoteDenied("d"), ObjectCorrupt("c")
    assert most_telling([missing, down, denied, corrupt]) is corrupt
    assert most_telling([missing, down, denied]) is denied
    assert most_telling([missing, down]) is down
    assert most_telling([missing, RemoteObjectMissing("2")]) is missing


def test_headers_are_canonical() -> None:
    head = encode(Claim("ä", (), ("b", "a")))[1]
    assert head == b'{"format":1,"project":"\\u00e4","supersedes":["a","b"]}\n'
    assert json.loads(head)["project"] == "ä"


def test_the_memory_keeps_remotes_apart() -> None:
    memory = VolatileMemory()
    memory.merge("u1", "n", "p", [row(A)])
    memory.merge("u2", "n", "q", [row(A), row(B)])

    def known(url: str, digests: Collection[Digest]) -> set[Digest]:
        return set(memory.lookup(url, digests, absent=False))

    assert (known("u1", [A, B]), known("u2", [A, B])) == ({A}, {A, B})
    assert memory.claimed("u1", "q", [A]) == set()
    memory.mark("u2", [A], absent=True)
    assert (known("u1", [A]), known("u2", [A])) == ({A}, set())
    memory.forget("u2", ["n", "other"])
    assert (memory.names("u1"), memory.names("u2")) == ({"n"}, set())
