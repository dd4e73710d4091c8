"""What every backend promises; see ``lazydata.remotes.base.Remote``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lazydata.errors import ObjectCorrupt, RemoteObjectMissing
from lazydata.progress import silent
from lazydata.remotes.base import Remote


class Counted:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.total = 0

    def __call__(self, moved: int, /) -> None:
        self.total += moved


def go(main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()

    asyncio.run(whole())


async def keys_below(remote: Remote, prefix: str) -> set[str]:
    found = [stat.key async for stat in remote.list(prefix)]
    assert len(found) == len(set(found))
    return set(found)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 5000)
    return path


def test_what_was_put_comes_back(remote: Remote, source: Path, tmp_path: Path) -> None:
    async def main() -> None:
        up, down = Counted(), Counted()
        await remote.put("objects/ab/abc", source, up)
        await remote.get("objects/ab/abc", tmp_path / "target", down)
        assert (tmp_path / "target").read_bytes() == source.read_bytes()
        assert up.total == down.total == source.stat().st_size
        stat = await remote.stat("objects/ab/abc")
        assert stat is not None
        assert (stat.key, stat.size) == ("objects/ab/abc", source.stat().st_size)
        assert abs(stat.mtime - source.stat().st_mtime) < 60

    go(main)


def test_empty_bytes(remote: Remote, tmp_path: Path) -> None:
    async def main() -> None:
        await remote.put_bytes("e", b"")
        await remote.get("e", tmp_path / "target", silent)
        assert (tmp_path / "target").read_bytes() == b""
        assert await remote.get_range("e", 0, 10) == b""

    go(main)


def test_ranges_end_where_the_bytes_end(remote: Remote) -> None:
    async def main() -> None:
        await remote.put_bytes("k", b"0123456789")
        assert await remote.get_range("k", 2, 3) == b"234"
        assert await remote.get_range("k", 8, 100) == b"89"
        assert await remote.get_range("k", 10, 1) == b""

    go(main)


def test_put_twice_is_fine(remote: Remote, source: Path) -> None:
    async def main() -> None:
        for _ in range(2):
            await remote.put("k", source, silent)
            await remote.put_bytes("b", b"x")
        assert await keys_below(remote, "") == {"k", "b"}

    go(main)


def test_absent_is_said_plainly(remote: Remote, tmp_path: Path) -> None:
    async def main() -> None:
        assert await remote.stat("no/such") is None
        assert await keys_below(remote, "no/") == set()
        with pytest.raises(RemoteObjectMissing, match="no/such"):
            await remote.get("no/such", tmp_path / "t", silent)
        with pytest.raises(RemoteObjectMissing, match="no/such"):
            await remote.get_range("no/such", 0, 1)
        await remote.delete(["no/such", "nor-this"])
        # The folder of a key is no key.
        await remote.put_bytes("a/b/c", b"x")
        assert await remote.stat("a/b") is None
        with pytest.raises(RemoteObjectMissing):
            await remote.get("a/b", tmp_path / "t", silent)
        with pytest.raises(RemoteObjectMissing):
            await remote.get_range("a/b", 0, 1)

    go(main)


def test_an_interrupted_put_is_invisible(remote: Remote, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def interrupt(moved: int, /) -> None:
        if moved > 0:
            raise Stop

    big = tmp_path / "big"
    big.write_bytes(b"x" * (20 << 20))

    async def main() -> None:
        with pytest.raises(Stop):
            await remote.put("k", big, interrupt)
        assert await remote.stat("k") is None
        assert await keys_below(remote, "") == set()
        with pytest.raises(RemoteObjectMissing):
            await remote.get_range("k", 0, 1)
        # Nor does it touch what was there.
        await remote.put_bytes("k", b"old")
        with pytest.raises(Stop):
            await remote.put("k", big, interrupt)
        assert await remote.get_range("k", 0, 100) == b"old"
        task = asyncio.create_task(remote.put("k", big, silent))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await remote.get_range("k", 0, 10) in (b"old", b"x" * 10)

    go(main)


def test_get_resumes(remote: Remote, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    whole = source.read_bytes()

    async def main() -> None:
        await remote.put("k", source, silent)
        # Marked bytes show that the beginning was not fetched again.
        target.write_bytes(b"!" * 1000)
        counted = Counted()
        await remote.get("k", target, counted)
        assert target.read_bytes() == b"!" * 1000 + whole[1000:]
        assert counted.total == len(whole)
        await remote.get("k", target, silent)
        assert target.stat().st_size == len(whole)
        target.write_bytes(b"?" * (len(whole) + 1))
        with pytest.raises(ObjectCorrupt, match="already"):
            await remote.get("k", target, silent)
        assert target.read_bytes() == b"?" * (len(whole) + 1)

    go(main)


def test_names_that_begin_alike(remote: Remote) -> None:
    async def main() -> None:
        keys = {"a/b", "a/bc", "a/b.x", "ab", "a-b", "a/c/d", "a/cd"}
        for key in keys:
            await remote.put_bytes(key, key.encode())
        assert await keys_below(remote, "") == keys
        assert await keys_below(remote, "a/") == {"a/b", "a/bc", "a/b.x", "a/c/d", "a/cd"}
        assert await keys_below(remote, "a/c/") == {"a/c/d"}
        await remote.delete(["a/b"])
        assert await remote.stat("a/b") is None
        for key in keys - {"a/b"}:
            assert await remote.get_range(key, 0, 10) == key.encode()

    go(main)


def test_ten_thousand_keys(remote: Remote, bulk: Callable[[Remote, list[str]], None]) -> None:
    keys = [f"index/{number % 16:x}/{number:05}.idx" for number in range(10_000)]
    bulk(remote, keys)

    async def main() -> None:
        assert await keys_below(remote, "index/") == set(keys)
        await remote.delete(keys[:9_990])
        assert await keys_below(remote, "") == set(keys[9_990:])

    go(main)


@pytest.fixture
def bulk(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Remote, list[str]], None]:
    """Many keys at once, in the backend's own way: 10,000 flushes would take a minute."""

    def fill(remote: Remote, keys: list[str]) -> None:
        if remote.url.startswith("s3:"):
            prefix = remote.url.rpartition("/")[2]
            request.getfixturevalue("s3").fill(f"{prefix}/{key}" for key in keys)
            return
        if remote.url.startswith(("file:", "ssh:")):
            for key in keys:
                path = tmp_path / "a remote" / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            return

        async def main() -> None:
            for key in keys:
                await remote.put_bytes(key, b"")

        go(main)

    return fill


def test_puts_of_one_key_at_once(remote: Remote, tmp_path: Path) -> None:
    async def main() -> None:
        sources = []
        for number in range(8):
            path = tmp_path / f"s{number}"
            path.write_bytes(bytes([number]) * 100_000)
            sources.append(path)
        await asyncio.gather(*(remote.put("d/k", each, silent) for each in sources))
        data = await remote.get_range("d/k", 0, 200_000)
        assert data in {each.read_bytes() for each in sources}
        assert await keys_below(remote, "") == {"d/k"}

    go(main)


def test_delete(remote: Remote) -> None:
    async def main() -> None:
        for key in ("a", "b", "c"):
            await remote.put_bytes(key, b"")
        await remote.delete(["a", "gone", "b"])
        await remote.delete([])
        assert await keys_below(remote, "") == {"c"}

    go(main)


@pytest.mark.parametrize(
    "key",
    [
        *("", "/a", "a/", "a//b", "..", "a/../b", ".", "a/./b", ".a"),
        *("A", "ä", "a b", "a\0", "a\\b", "a\n", "x" * 600),
    ],
)
def test_what_is_no_key(remote: Remote, key: str, tmp_path: Path, source: Path) -> None:
    async def main() -> None:
        for call in (
            remote.put(key, source, silent),
            remote.put_bytes(key, b""),
            remote.get(key, tmp_path / "t", silent),
            remote.get_range(key, 0, 1),
            remote.stat(key),
            remote.delete([key]),
        ):
            with pytest.raises(ValueError, match="not a key"):
                await call
        with pytest.raises(ValueError, match="not a folder"):
            await keys_below(remote, key + "x")

    go(main)


def test_prepare_may_be_repeated(remote: Remote) -> None:
    async def main() -> None:
        await remote.prepare()
        await remote.prepare()
        await remote.put_bytes("k", b"")
        await remote.close()

    go(main)
