"""Push: every listed version that a remote lacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lazydata import config, heap, transfer
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
from lazydata.manifest import Entry, RemoteSpec
from lazydata.messages import warn
from lazydata.outgoing import Outgoing
from lazydata.packs import OBJECTS, SMALL
from lazydata.progress import Meter, shown
from lazydata.transfer.plan import FEW
from lazydata.trees import Trees
from lazydata.workspace import Workspace
from lazydata.workspace.inside import AT_ONCE, objects_of
from lazydata.workspace.last_push import LastPush, said
from lazydata.workspace.look import look
from lazydata.workspace.remotes import (
    ask,
    index_files,
    named,
    on_remotes,
    open_repository,
    remember_pushed,
)

_WHOLE = 3 * OBJECTS  # objects that go together in whole packs: it bounds the memory


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
    entries: Callable[[], Iterable[Entry]],
    *,
    scope: str = "",
    remote: str | None = None,
    check: bool = False,
    jobs: int | None = None,
    dry_run: bool = False,
) -> Pushed:
    """Store every version of some entries on a remote, unless it has it.

    Args:
        entries: all their versions are wanted there; called where that may be something new.
        scope: tells which part of all that is listed they are; empty if only the caller knows.
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
    if check and not dry_run:
        memory.forget(spec.url, memory.names(spec.url))  # index files are read again as well
    last = LastPush(workspace, index, spec, scope)
    known = None if check else last.find()
    if known and said(index_files(spec, memory)) == known[0]:
        return Pushed(spec.name, 0, 0, known[1], [])
    total = Pushed(spec.name, 0, 0, 0, [])
    later: set[int] = set()
    complete = True
    with shown(f"pushing to {spec.name}") as meter:
        sending = _Sending(workspace, spec, memory, later, meter, jobs, dry_run=dry_run)
        for wanted in _batches(Trees(workspace.store, index), list(entries()), later):
            done = sending.send(wanted, check=check)
            complete = complete and not done.failed
            total = Pushed(
                spec.name,
                total.objects + len(done.uploaded),
                total.size + done.bytes,
                total.already + done.already,
                total.left + _left(workspace, index, wanted, done.failed),
            )
    if complete and not dry_run:
        last.put(memory.names(spec.url), total.objects + total.already)
    return total


class _Wanted(NamedTuple):
    """An object that is to be on the remote.

    Args:
        path: of a file or tree that it is.
        size: its bytes, if known.
        entry: whose latest version has it; None if only others have.
    """

    path: str
    size: int | None
    entry: Entry | None


def _batches(
    trees: Trees, entries: Sequence[Entry], later: set[int]
) -> Iterator[dict[Digest, _Wanted]]:
    """The objects of all versions of some entries, each once, some ten thousand at a time.

    Args:
        later: kept up to date with the numbers of those that are still to come; whoever
            sends one of them before takes it out.
    """
    some: dict[Digest, _Wanted] = {}
    for digest, wanted in _objects(trees, entries):
        known = some.get(digest)
        if known is not None:
            if known.entry is None and wanted.entry is not None:
                some[digest] = known._replace(entry=wanted.entry)
        elif len(some) < AT_ONCE:
            some[digest] = wanted
        else:
            later.add(_number(digest))
    if later:
        heap.spare()
    yield some
    if not later:
        return
    some = {}
    for digest, wanted in _objects(trees, entries):
        if _number(digest) in later:
            later.discard(_number(digest))
            some[digest] = wanted
            if len(some) == AT_ONCE:
                yield some
                some = {}
    yield some


def _objects(trees: Trees, entries: Iterable[Entry]) -> Iterator[tuple[Digest, _Wanted]]:
    for entry in entries:
        for version in reversed(entry.versions):  # whose file may be there comes first
            latest = entry if version is entry.latest else None
            for digest, size, path in objects_of(trees, entry, version):
                yield digest, _Wanted(path, size, latest)


def _number(digest: Digest) -> int:
    """What tells an object from others in a third of its digest's memory."""
    return int(digest[-32:], 16)


class _Sending:
    """Sends objects to a remote; see ``push`` and ``_batches`` for the arguments."""

    def __init__(
        self,
        workspace: Workspace,
        spec: RemoteSpec,
        memory: IndexedMemory,
        later: set[int],
        meter: Meter,
        jobs: int | None,
        *,
        dry_run: bool,
    ) -> None:
        self._workspace, self._spec, self._memory = workspace, spec, memory
        self._later, self._meter, self._jobs = later, meter, jobs
        self._dry_run = dry_run
        self._wanted: Mapping[Digest, _Wanted] = {}

    def send(self, wanted: Mapping[Digest, _Wanted], *, check: bool) -> transfer.Pushed:
        """Send those that the remote lacks."""
        self._wanted = wanted
        done = self._send(wanted)
        if self._dry_run:
            return done
        url = self._spec.url
        known = self._workspace.baseline.pushed([url], wanted)
        confirmed = {*done.confirmed, *(() if check else known)}
        # What was claimed before this push is asked for once: somebody may have removed it.
        unsure = {
            digest: each.size
            for digest, each in wanted.items()
            if digest not in confirmed and digest not in done.failed
        }
        if unsure:
            there = ask(self._spec, self._memory, unsure)
            again = self._send([d for d in unsure if d not in there])
            done.uploaded += again.uploaded
            done.bytes += again.bytes
            done.already -= len(again.uploaded) + len(again.failed)
            done.failed.update(again.failed)
            confirmed |= {*there, *again.confirmed}
        gone = known & unsure.keys() - confirmed
        remember_pushed(self._workspace, url, confirmed - known, gone)
        for digest in done.failed.keys() - wanted.keys():  # their turn comes once more
            self._later.add(_number(digest))
            del done.failed[digest]
        return done

    def _send(self, digests: Iterable[Digest]) -> transfer.Pushed:
        return transfer.push(
            partial(open_repository, self._spec, self._memory, self._jobs),
            digests,
            self._find,
            scratch=self._workspace.store.scratch(),
            meter=self._meter,
            jobs=self._jobs,
            dry_run=self._dry_run,
        )

    def _find(
        self, digests: Collection[Digest]
    ) -> tuple[list[Outgoing], dict[Digest, LazydataError]]:
        """Files of the store that hold these objects, checked, and why others have none."""
        store = self._workspace.store
        found: list[Outgoing] = []
        failed: dict[Digest, LazydataError] = {}
        with self._workspace.index() as index:
            known = store.known(digests, index)
            others = [digest for digest in digests if digest not in known]
            owners = (self._wanted[digest].entry for digest in store.lacking(others))
            for entry in {owner.path: owner for owner in owners if owner is not None}.values():
                _store_again(self._workspace, index, entry)
            packed = self._in_packs(digests, others)
            for digest in digests:
                if digest in packed:
                    found.append(packed.pop(digest))
                    continue
                if digest in known:
                    file, size = known[digest]
                    found.append(Outgoing(digest, size, Path(file)))
                    continue
                try:
                    file = store.check(digest, index)
                    found.append(Outgoing(digest, os.path.getsize(file), Path(file)))
                except (ObjectMissing, ObjectCorrupt, NeedsUpgrade) as error:
                    failed[digest] = error
                except OSError as error:
                    raise from_os_error(error, "read", store.path_of(digest)) from error
        return [*found, *packed.values()], failed

    def _in_packs(
        self, digests: Iterable[Digest], others: Iterable[Digest]
    ) -> dict[Digest, Outgoing]:
        """Objects that lie in packs of the store, to be read from there.

        A pack is named where all that is in it is to be sent, now or later: it may go as it
        is. Who gets it must not get what another project put into it.

        Args:
            digests: what is to be sent now.
            others: those of them that are not known to have a file.
        """
        store = self._workspace.store
        alone = [digest for digest in others if not os.path.exists(store.path_of(digest))]
        located = store.packs.locate(alone) if len(alone) > FEW else {}
        asked = set(digests)
        found: dict[Digest, Outgoing] = {}
        for name in {name for name, _ in located.values()}:
            try:
                objects = store.packs.objects(name)
            except (ObjectCorrupt, OSError):
                continue  # told when its objects are looked for
            rest = [_number(each.digest) for each in objects if each.digest not in asked]
            if len(found) + len(objects) <= _WHOLE and self._later.issuperset(rest):
                self._later.difference_update(rest)
                path = Path(store.packs.path_of(name))
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
    wanted: Mapping[Digest, _Wanted],
    failed: Mapping[Digest, LazydataError],
) -> list[str]:
    """One line for each object that is not on the remote now."""
    lacking = [digest for digest, error in failed.items() if isinstance(error, ObjectMissing)]
    there, failure = on_remotes(workspace, index, lacking) if lacking else (set(), None)
    why = f", as far as could be asked: {failure.message}" if failure else ""
    lines = []
    for digest, error in failed.items():
        if digest not in lacking:
            lines.append(f"{wanted[digest].path}: {error.message}")
        elif digest not in there:
            lines.append(f"{wanted[digest].path}: {digest} is neither here nor on a remote{why}")
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
