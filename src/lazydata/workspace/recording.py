"""Settle many files at once: one look at the manifest, and one flush and one edit for the new."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from lazydata import manifest
from lazydata.digest import Hashed
from lazydata.errors import LazydataError
from lazydata.index import FileRow, Index
from lazydata.manifest import Version, paths
from lazydata.messages import say
from lazydata.progress import Meter, shown
from lazydata.reconcile import Action, reconcile
from lazydata.stamp import stamp_from
from lazydata.workspace import Place, Workspace, absolute
from lazydata.workspace.look import look, stat
from lazydata.workspace.names import enclosing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View

AT_ONCE = 2000
Names = dict[str, tuple[Workspace, list[str]]]  # by root of their workspace


class Recorded(NamedTuple):
    """What became of files.

    Args:
        names: of those that are listed now, and were not.
        left: paths that are to be settled singly, as they were given.
    """

    names: list[str]
    left: list[str]


class _New(NamedTuple):
    path: str
    place: Place
    found: Hashed


def record_all(files: Sequence[str], new: Names) -> list[str]:
    """List files of any workspaces that are not listed yet, all of one workspace together.

    Args:
        files: paths as somebody gave them.
        new: gets the names that are listed now and were not.

    Returns:
        Those that are to be settled singly: that tells what is wrong, too.

    Raises:
        FileBusy: somebody does not let go of the lock.
    """
    governing = cache(Workspace.governing)
    given = {absolute(path): path for path in files}
    shares: dict[str, tuple[Workspace, list[str]]] = {}
    left: list[str] = []
    for path in given:
        try:
            workspace = governing(os.path.dirname(path))
            shares.setdefault(workspace.root, (workspace, []))[1].append(path)
        except LazydataError:
            left.append(given[path])
    with shown("tracking") as meter:
        meter.expect(files=len(files))
        for workspace, some in shares.values():
            with workspace.index() as index:
                done = record_new(workspace, index, some, meter)
            left += [given[path] for path in done.left]
            if done.names:
                new[workspace.root] = workspace, done.names
    return left


def record_new(workspace: Workspace, index: Index, files: Sequence[str], meter: Meter) -> Recorded:
    """List files that are not listed yet; leave alone what is as it is listed.

    Args:
        files: absolute paths, below that workspace and no other.
        meter: told of each file.

    Raises:
        FileBusy: somebody does not let go of the lock.
    """
    done = Recorded([], [])
    for start in range(0, len(files), AT_ONCE):
        some = files[start : start + AT_ONCE]
        new = _look_at_all(workspace, index, some, done)
        if new:
            _record(workspace, index, _store_all(workspace, index, new, done), done)
        meter.done(len(some))
    return done


def _look_at_all(
    workspace: Workspace, index: Index, files: Sequence[str], done: Recorded
) -> list[_New]:
    """Files that are new; of those that are listed, what is as it should be is done with that."""
    view = workspace.view(index)
    places: dict[str, tuple[str, Place]] = {}
    for path in files:
        try:
            place = workspace.place(path)
            places[place.name] = path, place
        except LazydataError:
            done.left.append(path)  # what is wrong is told when it is settled by itself
    listed, baselines = view.some(places), workspace.baseline.some(places)
    found: dict[str, _New] = {}
    for name, (path, place) in places.items():
        entry = listed.get(name)
        versions = [version.digest for version in entry.versions] if entry else []
        try:
            hashed = look(place.real, index, versions)
        except (LazydataError, OSError):
            hashed = None
        if hashed is None:
            done.left.append(path)
        elif entry is None and place.real not in found and _may_be_listed(view, name):
            found[place.real] = _New(path, place, hashed)  # another name of it has its own turn
        elif (
            entry is None
            or reconcile(hashed.digest, baselines.get(name), versions, entry.latest.digest)
            != Action.NOTHING
        ):
            done.left.append(path)
    return list(found.values())


def _may_be_listed(view: View, name: str) -> bool:
    """Whether nothing is listed there, nor above or below it."""
    if view.entry(name) or view.entry(name + "/") or enclosing(view, name):
        return False
    return paths.problem(name) is None


def _store_all(
    workspace: Workspace, index: Index, new: Sequence[_New], done: Recorded
) -> list[_New]:
    """Store files; those that moved meanwhile are left."""
    try:
        workspace.baseline.prepare()
        workspace.store.register(workspace.baseline.id, workspace.root)
        files = [(each.place.real, each.found) for each in new]
        stamps = workspace.store.adopt_many(files, index)
    except (LazydataError, OSError):
        stamps = [None] * len(new)  # singly it is told which of them it is about
    stored: list[_New] = []
    rows: list[tuple[str, FileRow]] = []
    for each, stamp in zip(new, stamps, strict=True):
        if stamp is None:
            done.left.append(each.path)
            continue
        found = each.found
        found.stamp = stamp
        row = FileRow(stamp, found.racy, found.digest, found.fingerprint, found.seen_ns)
        rows.append((each.place.real, row))
        stored.append(each)
    index.put_files(rows)
    return stored


def _is_as_it_was(new: _New) -> bool:
    try:
        status = stat(new.place.real)
    except LazydataError:  # it is no file any more, which is told when it is settled by itself
        return False
    return status is not None and stamp_from(status) == new.found.stamp


def _record(workspace: Workspace, index: Index, stored: Sequence[_New], done: Recorded) -> None:
    """Under the lock: list files that are still what they were, and still new."""
    new: dict[str, _New] = {}
    with workspace.baseline.lock():
        view = workspace.view(index)
        for each in stored:
            if _is_as_it_was(each) and _may_be_listed(view, each.place.name):
                new[each.place.name] = each
            else:
                done.left.append(each.path)
        versions = {
            name: Version(each.found.digest, each.found.stamp.size) for name, each in new.items()
        }
        try:
            workspace.edit(
                index, "", lambda text, view: (manifest.record_new(text, view, versions), None)
            )
        except LazydataError:
            done.left.extend(each.path for each in new.values())
            return
        workspace.baseline.put({name: each.found.digest for name, each in new.items()})
    for name in new:
        say(f"Tracking a new file {name}")
    done.names.extend(new)
