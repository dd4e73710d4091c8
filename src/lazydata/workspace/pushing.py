"""Push: every listed version that a remote lacks."""

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
    LazydataError,
    NeedsUpgrade,
    ObjectCorrupt,
    ObjectMissing,
    from_os_error,
)
from lazydata.index import Index
from lazydata.manifest import Entry
from lazydata.messages import warn
from lazydata.outgoing import Outgoing
from lazydata.packs import SMALL
from lazydata.progress import Meter, shown
from lazydata.store import Store
from lazydata.transfer.plan import FEW
from lazydata.trees import Trees
from lazydata.workspace import Workspace
from lazydata.workspace.inside import objects_of
from lazydata.workspace.look import look
from lazydata.workspace.remotes import ask, named, on_remotes, open_repository, remember_pushed


class Pushed(NamedTuple):
    """What a push did, or would do.

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


def push(
    workspace: Workspace,
    index: Index,
    entries: Iterable[Entry],
    *,
    remote: str | None = None,
    check: bool = False,
    jobs: int | None = None,
    dry_run: bool = False,
) -> Pushed:
    """Store every version of some entries on a remote, unless it has it.

    Args:
        entries: all their versions are wanted there.
        remote: its name; the first one by default.
        check: ask it for every object, also for those that it is known to have had.
        jobs: how many transfers at once; by default what fits the remote.
        dry_run: send nothing, and say what would be sent.

    Raises:
        UsageError: there is no such remote.
        RemoteUnavailable, RemoteDenied: the remote as a whole fails.
    """
    spec = named(workspace, index, remote)
    memory = IndexedMemory(config.index_dir())
    wanted: dict[Digest, str] = {}
    sizes: dict[Digest, int | None] = {}
    latest: dict[Digest, Entry] = {}
    trees = Trees(workspace.store, index)
    for entry in entries:
        for version in entry.versions:
            is_latest = version is entry.latest
            for digest, size, path in objects_of(trees, entry, version):
                wanted.setdefault(digest, path)
                sizes.setdefault(digest, size)
                if is_latest:
                    latest[digest] = entry

    def find(digests: Collection[Digest]) -> tuple[list[Outgoing], dict[Digest, LazydataError]]:
        return _outgoing(workspace, digests, latest)

    def send(digests: Iterable[Digest], meter: Meter) -> transfer.Pushed:
        return transfer.push(
            partial(open_repository, spec, memory, jobs),
            digests,
            find,
            scratch=workspace.store.scratch(),
            meter=meter,
            jobs=jobs,
            dry_run=dry_run,
        )

    if check and not dry_run:
        memory.forget(spec.url, memory.names(spec.url))  # index files are read again as well
    with shown(f"pushing to {spec.name}") as meter:
        done = send(wanted, meter)
        known = workspace.baseline.pushed([spec.url], wanted)
        confirmed = {*done.confirmed, *(() if check else known)}
        # What was claimed before this push is asked for once: somebody may have removed it.
        unsure = {d: sizes[d] for d in wanted if d not in confirmed and d not in done.failed}
        if unsure and not dry_run:
            there = ask(spec, memory, unsure)
            again = send([d for d in unsure if d not in there], meter)
            done.uploaded += again.uploaded
            done.bytes += again.bytes
            done.already -= len(again.uploaded) + len(again.failed)
            done.failed.update(again.failed)
            confirmed |= {*there, *again.confirmed}
    if not dry_run:
        remember_pushed(workspace, spec.url, confirmed - known, known & unsure.keys() - confirmed)
    left = _left(workspace, index, wanted, done.failed)
    return Pushed(spec.name, len(done.uploaded), done.bytes, done.already, left)


def _outgoing(
    workspace: Workspace, digests: Collection[Digest], latest: Mapping[Digest, Entry]
) -> tuple[list[Outgoing], dict[Digest, LazydataError]]:
    """Files of the store that hold these objects, checked, and why others have none."""
    store = workspace.store
    found: list[Outgoing] = []
    failed: dict[Digest, LazydataError] = {}
    with workspace.index() as index:
        lacking = [digest for digest in store.lacking(digests) if digest in latest]
        for entry in {latest[digest].path: latest[digest] for digest in lacking}.values():
            _store_again(workspace, index, entry)
        packed = _in_packs(store, digests)
        for digest in digests:
            if digest in packed:
                found.append(packed[digest])
                continue
            try:
                file = store.check(digest, index)
                found.append(Outgoing(digest, os.path.getsize(file), Path(file)))
            except (ObjectMissing, ObjectCorrupt, NeedsUpgrade) as error:
                failed[digest] = error
            except OSError as error:
                raise from_os_error(error, "read", store.path_of(digest)) from error
    return found, failed


def _in_packs(store: Store, digests: Collection[Digest]) -> dict[Digest, Outgoing]:
    """Objects that lie in packs of the store, to be read from there.

    A pack is named where all that is in it is asked for: it may go as it is. Who gets it
    must not get what another project put into it.
    """
    alone = [digest for digest in digests if not os.path.exists(store.path_of(digest))]
    located = store.packs.locate(alone) if len(alone) > FEW else {}
    asked = set(digests)
    found: dict[Digest, Outgoing] = {}
    for name in {name for name, _ in located.values()}:
        try:
            objects = store.packs.objects(name)
        except (ObjectCorrupt, OSError):
            continue  # told when its objects are looked for
        path = Path(store.packs.path_of(name))
        if all(each.digest in asked for each in objects):
            for each in objects:
                found[each.digest] = Outgoing(each.digest, each.size, path, each, name)
    for digest, (name, each) in located.items():
        if digest not in found and each.size <= SMALL:
            path = Path(store.packs.path_of(name))
            found[digest] = Outgoing(digest, each.size, path, each)
    return found


def _left(
    workspace: Workspace,
    index: Index,
    wanted: Mapping[Digest, str],
    failed: Mapping[Digest, LazydataError],
) -> list[str]:
    """One line for each object that is not on the remote now."""
    lacking = [digest for digest, error in failed.items() if isinstance(error, ObjectMissing)]
    there, failure = on_remotes(workspace, index, lacking) if lacking else (set(), None)
    why = f", as far as could be asked: {failure.message}" if failure else ""
    lines = []
    for digest, error in failed.items():
        if digest not in lacking:
            lines.append(f"{wanted[digest]}: {error.message}")
        elif digest not in there:
            lines.append(f"{wanted[digest]}: {digest} is neither here nor on a remote{why}")
    return lines


def _store_again(workspace: Workspace, index: Index, entry: Entry) -> None:
    """A file that is right, and that the store has lost, is the object."""
    try:
        if entry.kind == "directory":
            from lazydata.workspace.settle_directory import SettlingDirectory

            place = workspace.place(entry.path.rstrip("/"))
            SettlingDirectory(workspace, place, index).store_again(entry)
            return
        real = workspace.place(entry.path).real
        found = look(real, index, [entry.latest.digest])
        if found is not None and found.digest == entry.latest.digest:
            workspace.baseline.prepare()
            workspace.store.register(workspace.baseline.id, workspace.root)
            workspace.store.adopt(real, found, index)
    except (LazydataError, OSError) as error:
        warn(f"{entry.path} could not be stored: {error}")
