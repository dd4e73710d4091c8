"""Share objects through remotes: push, pull, download."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lazydata import config, transfer
from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest
from lazydata.errors import (
    FileBusy,
    FileChanged,
    FileDenied,
    LazydataError,
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
    from_os_error,
    line,
)
from lazydata.index import Index
from lazydata.manifest import Entry, Version
from lazydata.messages import say, warn
from lazydata.reconcile import REPLACES, Action
from lazydata.repository import Outgoing
from lazydata.workspace import Workspace
from lazydata.workspace.look import look
from lazydata.workspace.remotes import ask, named, on_remotes, open_repository
from lazydata.workspace.settle import Settling

_PULLS = frozenset({*REPLACES, Action.NOTHING, Action.SETTLE})


class Pushed(NamedTuple):
    """What a push did.

    Args:
        remote: name of the remote.
        objects: how many were sent.
        size: their bytes.
        already: how many were there before.
        left: one line for each version that is not there now, and why.
    """

    remote: str
    objects: int
    size: int
    already: int
    left: list[str]


class Pulled(NamedTuple):
    """What a pull did.

    Args:
        paths: entries whose files were restored or updated.
        left: one line for each entry that was left alone, and why.
    """

    paths: list[str]
    left: list[str]


# Push


def push(
    workspace: Workspace,
    index: Index,
    entries: Iterable[Entry],
    *,
    remote: str | None = None,
    check: bool = False,
) -> Pushed:
    """Store every version of some entries on a remote, unless it has it.

    Args:
        entries: all their versions are wanted there.
        remote: its name; the first one by default.
        check: ask it for every object, also for those that it is known to have had.

    Raises:
        UsageError: there is no such remote.
        RemoteUnavailable, RemoteDenied: the remote as a whole fails.
    """
    spec = named(workspace, index, remote)
    memory = IndexedMemory(config.index_dir())
    wanted: dict[Digest, str] = {}
    for entry in entries:
        for version in entry.versions:
            wanted.setdefault(version.digest, entry.path)
            if version is entry.latest:
                _store_again(workspace, index, entry)
    objects, left, lacking = [], [], []
    for digest, path in wanted.items():
        try:
            file = workspace.store.check(digest, index)
            objects.append(Outgoing(digest, os.path.getsize(file), Path(file)))
        except ObjectMissing:
            lacking.append(digest)
        except ObjectCorrupt as error:
            left.append(f"{path}: {error.message}")
        except OSError as error:
            raise from_os_error(error, "read", path) from error
    if lacking:
        there, failure = on_remotes(workspace, index, lacking)
        why = f", as far as could be asked: {failure.message}" if failure else ""
        left += [
            f"{wanted[digest]}: {digest} is neither here nor on a remote{why}"
            for digest in lacking
            if digest not in there
        ]
    done = transfer.push(partial(open_repository, spec, memory), objects)
    confirmed = {*done.confirmed, *(() if check else workspace.baseline.pushed([spec.url]))}
    # What was there before this push is asked for once: somebody may have removed it.
    unsure = [o for o in objects if o.digest not in confirmed and o.digest not in done.failed]
    if unsure:
        there = ask(spec, memory, {each.digest: each.size for each in unsure})
        again = transfer.push(
            partial(open_repository, spec, memory), [o for o in unsure if o.digest not in there]
        )
        done.uploaded += again.uploaded
        done.bytes += again.bytes
        done.already -= len(again.uploaded)
        done.failed.update(again.failed)
        confirmed |= {*there, *again.confirmed}
    _remember_pushed(workspace, spec.url, confirmed, {o.digest for o in unsure} - confirmed)
    left += [f"{wanted[digest]}: {error.message}" for digest, error in done.failed.items()]
    return Pushed(spec.name, len(done.uploaded), done.bytes, done.already, left)


def _store_again(workspace: Workspace, index: Index, entry: Entry) -> None:
    """A file that is right, and that the store has lost, is the object."""
    if workspace.store.has(entry.latest.digest):
        return
    try:
        real = workspace.place(entry.path).real
        found = look(real, index, [entry.latest.digest])
        if found is not None and found.digest == entry.latest.digest:
            workspace.baseline.prepare()
            workspace.store.register(workspace.baseline.id, workspace.root)
            workspace.store.adopt(real, found, index)
    except (LazydataError, OSError) as error:
        warn(f"{entry.path} could not be stored: {error}")


def _remember_pushed(
    workspace: Workspace, url: str, there: Collection[Digest], gone: Collection[Digest] = ()
) -> None:
    if not there and not gone:
        return
    try:
        with workspace.baseline.lock():
            workspace.baseline.add_pushed(url, there)
            workspace.baseline.drop_pushed(url, gone)
    except OSError:
        pass  # a read-only workspace: `status` will not know, and that is all


# Pull


def pull(workspace: Workspace, index: Index, entries: Iterable[Entry]) -> Pulled:
    """Bring entries' files to their latest version, recording and overwriting nothing.

    Raises:
        RemoteUnavailable, RemoteDenied: nothing could be had, for one cause.
    """
    entries = list(entries)
    store = workspace.store
    lacking: dict[str, Version] = {}
    left: dict[str, str] = {}
    for entry in entries:
        try:
            real = workspace.place(entry.path).real
            found = look(real, index, [v.digest for v in entry.versions])
        except (FileBusy, FileChanged, FileDenied, UsageError) as error:
            left[entry.path] = line(entry.path, error)
            continue
        if (found is None or found.digest != entry.latest.digest) and not store.has(
            entry.latest.digest
        ):
            lacking[entry.path] = entry.latest
    failed = _fetch(workspace, index, lacking) if lacking else {}
    done = []
    for entry in entries:
        if entry.path in failed:
            left[entry.path] = line(entry.path, failed[entry.path])
        if entry.path in left:
            continue
        try:
            place = workspace.place(entry.path)
            was_fetched = entry.path in lacking
            settled = Settling(workspace, place, index, only=_PULLS, was_fetched=was_fetched).run()
        except LazydataError as error:
            left[entry.path] = line(entry.path, error)
            continue
        if settled.action in REPLACES:
            done.append(entry.path)
        elif settled.action not in _PULLS:
            left[entry.path] = (
                f"{entry.path} was changed here and is left alone: `lazydata track {entry.path}` "
                f"records it, `lazydata restore {entry.path}` replaces it"
            )
    return Pulled(done, list(left.values()))


def download(workspace: Workspace, index: Index, wanted: Mapping[str, Version]) -> None:
    """Bring the objects of some versions into the store, from whichever remote has them.

    Args:
        wanted: versions by the path of their entry.

    Raises:
        ObjectMissing: one is nowhere.
        LazydataError: why it could not be had.
    """
    names = ", ".join(wanted)
    try:
        failed = _fetch(workspace, index, wanted)
    except (RemoteDenied, RemoteUnavailable) as error:
        raise type(error)(f"{names} can't be had: {error.message}", hint=error.hint) from error
    for failure in failed.values():
        raise failure


def _fetch(
    workspace: Workspace, index: Index, wanted: Mapping[str, Version]
) -> dict[str, LazydataError]:
    """Download; the errors of what did not come, by path."""
    remotes = list(workspace.view(index).remotes.values())
    memory = IndexedMemory(config.index_dir())
    store = workspace.store
    for path in wanted:
        say(f"Downloading stored file {path} ...")
    try:
        workspace.baseline.prepare()
        store.register(workspace.baseline.id, workspace.root)
    except OSError as error:
        raise from_os_error(error, "write", workspace.baseline.directory) from error
    done = transfer.pull(
        [partial(open_repository, spec, memory) for spec in remotes],
        {version.digest for version in wanted.values()},
        store,
    )
    for url in {*done.fetched.values()}:
        _remember_pushed(workspace, url, [d for d, by in done.fetched.items() if by == url])
    failed: dict[str, LazydataError] = {}
    for path, version in wanted.items():
        why = done.failed.get(version.digest)
        if why is None or (version.source_url and _from_source(workspace, path, version)):
            continue
        if isinstance(why, RemoteObjectMissing):
            for spec in remotes:
                _remember_pushed(workspace, spec.url, (), [version.digest])
            why = ObjectMissing(
                f"{path} ({version.digest}) is neither here nor on a remote",
                hint="whoever has it runs `lazydata push` (with --check if it was there before)"
                if remotes
                else "there is no remote to ask; `lazydata add-remote URL` adds one",
            )
        elif isinstance(why, ObjectCorrupt):
            why = ObjectCorrupt(
                f"{path} is damaged on the remote: {why.message}",
                expected=why.expected,
                actual=why.actual,
                hint="remove it there; whoever has it then runs `lazydata push --check`",
            )
        failed[path] = why
    return failed


def _from_source(workspace: Workspace, path: str, version: Version) -> bool:
    """The last resort of lazydata 1.x: a URL that the manifest names; its hash must fit."""
    import urllib.request

    url = version.source_url or ""
    if not url.startswith(("http://", "https://")):
        return False  # a cloned manifest must not make us read local files
    try:
        with (
            workspace.store.incoming(version.digest) as temp,
            urllib.request.urlopen(url, timeout=60) as response,
            open(temp, "wb") as file,
        ):
            # One byte more than it may have shows that it is something else.
            left = 1 + (version.size if version.size is not None else 1 << 40)
            while left and (block := response.read(min(left, 1 << 20))):
                left -= file.write(block)
    except (OSError, ValueError, LazydataError) as error:
        warn(f"{path} could not be had from its source_url: {error}")
        return False
    return True
