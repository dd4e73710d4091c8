"""Doctor: whether each remote can be reached, read and, if that is wanted, written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from lazydata import config
from lazydata.claimed import IndexedMemory
from lazydata.manifest import RemoteSpec
from lazydata.messages import typed
from lazydata.remotes.candidates import Notes
from lazydata.remotes.threads import run
from lazydata.workspace import Workspace
from lazydata.workspace.doctor_local import skew
from lazydata.workspace.findings import OK, WARNING, Finding, guarded
from lazydata.workspace.remotes import open_repository, open_spec


def check_remotes(workspace: Workspace, *, write: bool) -> Iterator[Finding]:
    """All remotes of a workspace.

    Args:
        write: also write a small file to each, and remove it.
    """
    with workspace.index() as index:
        remotes = list(workspace.view(index).remotes.values())
    if not remotes:
        advice = "`lazydata add-remote URL`; until then your data is on this machine alone"
        yield Finding("remotes", WARNING, "there is none", advice)
    for spec in remotes:
        about = f"remote {spec.name}"
        yield from guarded(about, partial(_check_reading, about, spec))
        if write:
            yield from guarded(about, partial(_check_writing, about, spec))


def _check_reading(about: str, spec: RemoteSpec) -> Iterator[Finding]:
    async def work() -> bool:
        repository = open_repository(spec, IndexedMemory(config.index_dir()))
        try:
            marked = await repository.check()
            await repository.refresh()
            return marked
        finally:
            await repository.close()

    if run(work):
        yield Finding(about, OK, f"{spec.url} can be read")
    else:
        message = f"{spec.url} can be read, and nothing was pushed there yet"
        yield Finding(about, WARNING, message, f"`lazydata push --remote {typed(spec.name)}`")
    if not spec.options.get("project"):
        message = "it has no project id, so that gc of it can't tell whose is what"
        yield Finding(
            about, WARNING, message, f"`lazydata add-remote {typed(spec.url)}` gives it one"
        )


def _check_writing(about: str, spec: RemoteSpec) -> Iterator[Finding]:
    async def work() -> tuple[float, float, float]:
        remote = open_spec(spec)
        try:
            before = time.time()
            there = await Notes(remote).clock()
            return there, before, time.time()
        finally:
            await remote.close()

    clock = run(work)
    yield Finding(about, OK, "a file was written there, and removed")
    yield from skew(about, spec.name, *clock)
