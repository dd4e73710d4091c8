"""What every call of a remote comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

from lazydata.progress import silent
from lazydata.remotes.base import Remote


async def everything(remote: Remote, tmp_path: Path) -> set[type[BaseException] | None]:
    """What the calls raise, None for one that succeeds."""
    source = tmp_path / "source"
    source.write_bytes(b"x")

    async def listed() -> None:
        async for _ in remote.list(""):
            pass

    calls: list[Awaitable[object]] = [
        remote.get("k", tmp_path / "t", silent),
        remote.get_range("k", 0, 1),
        remote.stat("k"),
        listed(),
        remote.put("d/k", source, silent),
        remote.put_bytes("d/k", b""),
        remote.delete(["k"]),
    ]
    done = await asyncio.gather(*calls, return_exceptions=True)
    return {type(each) if isinstance(each, BaseException) else None for each in done}


def files(base: Path) -> set[str]:
    """All files below a directory, by their paths in it."""
    return {str(p.relative_to(base)) for p in base.rglob("*") if p.is_file()}
