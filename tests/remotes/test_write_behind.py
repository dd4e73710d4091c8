"""Writes that come a little later: all of them, in order, and nothing after a gap."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lazydata.errors import NoSpace
from lazydata.remotes import write_behind
from lazydata.remotes.write_behind import WriteBehind

PIECES = [bytes([n]) * (n * 400) for n in range(60)]


@pytest.fixture(autouse=True)
def little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_behind, "_AT_ONCE", 30_000)


def fill(path: Path, error: Exception | None = None) -> None:
    async def work(opened: int) -> None:
        async with WriteBehind(opened, path) as behind:
            for piece in PIECES:
                await behind.write(piece)
            if error is not None:
                raise error

    opened = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        asyncio.run(work(opened))
    finally:
        os.close(opened)


def test_all_is_written_in_order(tmp_path: Path) -> None:
    fill(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"".join(PIECES)


def test_what_came_before_an_error_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cut off"):
        fill(tmp_path / "file", ValueError("cut off"))
    assert (tmp_path / "file").read_bytes() == b"".join(PIECES)


@pytest.mark.parametrize("room", [0, 50_000, 100_000])
def test_nothing_is_written_after_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    left = room

    def write_all(opened: int, data: bytes) -> None:
        nonlocal left
        if left < len(data):
            left = 1 << 30  # there is room again, but not for what comes after this
            raise OSError(28, "No space left on device")
        left -= len(data)
        os.write(opened, data)

    monkeypatch.setattr(write_behind, "write_all", write_all)
    with pytest.raises(NoSpace):
        fill(tmp_path / "file")
    found = (tmp_path / "file").read_bytes()
    assert len(found) <= room
    assert b"".join(PIECES).startswith(found)


def test_a_cancelled_fill_leaves_no_thread_that_writes(tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def work() -> bytes:
        opened = os.open(path, os.O_RDWR | os.O_CREAT)

        async def filling() -> None:
            async with WriteBehind(opened, path) as behind:
                for piece in PIECES * 50:
                    await behind.write(piece)
                    await asyncio.sleep(0)

        task = asyncio.create_task(filling())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        os.close(opened)
        return path.read_bytes()

    found = asyncio.run(work())
    assert b"".join(PIECES * 50).startswith(found)
    assert path.read_bytes() == found
