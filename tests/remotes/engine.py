"""Repositories whose retries do not wait, and pushes of objects whose files are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lazydata.digest import Digest
from lazydata.errors import LazydataError
from lazydata.outgoing import Outgoing
from lazydata.remotes.base import Remote
from lazydata.remotes.claims import ClaimMemory, VolatileMemory
from lazydata.remotes.wrappers import Retrying
from lazydata.repository import Repository
from lazydata.transfer import Pushed
from lazydata.transfer import push as push_digests


def opener(
    remote: Remote, memory: ClaimMemory | None = None, project: str = "p"
) -> Callable[[], Repository]:
    """Open a remote as a repository, as often as it is called."""
    memory = memory or VolatileMemory()

    async def sleep(_: float) -> None:
        pass

    return lambda: Repository(
        Retrying(remote, attempts=3, sleep=sleep), memory=memory, project=project
    )


def push(
    open_it: Callable[[], Repository],
    objects: Sequence[Outgoing],
    failed: dict[Digest, LazydataError] | None = None,
    **more: Any,
) -> Pushed:
    """Push objects; some of them may have no file. Nothing is left where packs are made."""
    files = {each.digest: each for each in objects}

    def find(digests: Collection[Digest]) -> tuple[list[Outgoing], dict[Digest, LazydataError]]:
        return [files[each] for each in digests if each not in (failed or {})], failed or {}

    with TemporaryDirectory() as scratch:
        done = push_digests(open_it, list(files), find, scratch=scratch, **more)
        assert list(Path(scratch).iterdir()) == []
        return done


def digests(objects: Sequence[Outgoing]) -> list[Digest]:
    """Their names."""
    return [each.digest for each in objects]
