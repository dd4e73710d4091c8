"""All that is known of one entry: what it is, who made and uses it, and where its versions are."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from lazydata import config, inspecting
from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest
from lazydata.errors import LazydataError, ObjectCorrupt, ObjectMissing, UsageError
from lazydata.git import Commit
from lazydata.index import Index
from lazydata.inspecting import Contents
from lazydata.manifest import Entry, RemoteSpec, Version
from lazydata.results import EndingInfo
from lazydata.tree import DIR, LINK, Node
from lazydata.trees import Trees
from lazydata.workspace import Workspace
from lazydata.workspace.graph import users_of
from lazydata.workspace.history import Log, Logged, log
from lazydata.workspace.inside import objects_of
from lazydata.workspace.nested import Part
from lazydata.workspace.remotes import ask, remember_pushed
from lazydata.workspace.status import status

UNLISTED = "not listed"


class Info(NamedTuple):
    """What is known of an entry, or of a path inside of a tracked directory.

    Args:
        entry: as it is listed; without versions if it is listed no more.
        state: as ``status`` tells it, or ``not listed``.
        kind: ``file`` or ``directory``.
        digest: of the latest version; empty for a symlink.
        size: its bytes, or None where the manifest does not say.
        files: how many are in a directory, where that is known.
        history: its versions, the newest first, with the remotes that have each.
        contents: what is in the file, if its format is known and it is here.
        endings: what is in the directory, the most bytes first, if its trees are here.
        unasked: one line for each remote that could not be asked.
    """

    entry: Entry
    state: str
    kind: str
    digest: str
    size: int | None
    files: int | None
    history: Log
    contents: Contents | None
    endings: tuple[EndingInfo, ...] | None
    unasked: tuple[str, ...]

    @property
    def first(self) -> Commit | None:
        """The commit of the oldest version that has one."""
        return next((row.commit for row in self.history.rows[::-1] if row.commit), None)

    @property
    def last(self) -> Commit | None:
        """The commit of the newest version; None where it is not committed yet."""
        return self.history.rows[0].commit

    @property
    def producer(self) -> tuple[str, ...]:
        """The scripts that made the latest version."""
        return self.history.rows[0].version.producer

    @property
    def usage(self) -> tuple[str, ...]:
        """The scripts that used any version, and did not only make it; of the latest one first."""
        return tuple(dict.fromkeys(u for row in self.history.rows for u in users_of(row.version)))


def info(workspace: Workspace, index: Index, part: Part, cwd: str, *, check: bool = False) -> Info:
    """Gather what is known of one entry.

    Args:
        part: names one entry, or one path inside of a tracked directory.
        cwd: the working directory, absolute.
        check: ask the remotes what they have; else it is what this clone knows.

    Raises:
        NotTracked: neither the manifest nor its history lists it.
        UsageError: the path names several entries.
    """
    found = log(workspace, index, part, cwd)
    entry, newest = found.entry, found.rows[0]
    unasked: list[str] = []
    if check:
        rows, unasked = _asked(workspace, index, found)
        found = found._replace(rows=rows)
    if not entry.versions:
        version = newest.version
        state, kind, digest, size = UNLISTED, entry.kind, str(version.digest), version.size
    else:
        (row,) = status(workspace, [entry], index)
        state, kind, digest, size = row.state, row.kind, row.hash, row.size
    is_directory = kind == "directory"
    files = newest.node.files if newest.node is not None else newest.version.files
    return Info(
        entry,
        state,
        kind,
        digest,
        size,
        files if is_directory else None,
        found,
        None if is_directory else _contents(workspace, index, entry, digest),
        _endings(workspace, index, entry, digest) if is_directory else None,
        tuple(unasked),
    )


def _contents(workspace: Workspace, index: Index, entry: Entry, digest: str) -> Contents | None:
    """Of the file as it is in the workspace, else of the latest version in the store."""
    if not digest or inspecting.format_of(entry.name) is None:
        return None
    try:
        path = workspace.place(entry.name).real
        if not os.path.exists(path):
            path = workspace.store.check(Digest(digest), index)
    except (LazydataError, OSError):
        return None  # it is nowhere here; or how it stands says what is wrong
    return inspecting.inspect(path, entry.name)


def _endings(
    workspace: Workspace, index: Index, entry: Entry, digest: str
) -> tuple[EndingInfo, ...] | None:
    trees = Trees(workspace.store, index, name=entry.path)
    try:
        counts = _count(trees, trees.root(Digest(digest)))
    except (ObjectMissing, ObjectCorrupt, UsageError):
        return None
    rows = [EndingInfo(ending, *numbers) for ending, numbers in counts.items()]
    return tuple(sorted(rows, key=lambda row: (-row.size, -row.files, row.ending)))


def _count(trees: Trees, root: Node) -> Mapping[str, tuple[int, int]]:
    """Files and bytes by ending. Each tree is counted once, however often it is listed."""
    known: dict[Digest, dict[str, tuple[int, int]]] = {}
    todo = [root]
    while todo:
        nodes = trees.read(todo[-1].digest)
        lacking = [n for n in nodes if n.kind == DIR and n.digest not in known]
        if lacking:
            todo += lacking
            continue
        total: dict[str, tuple[int, int]] = {}
        for node in nodes:
            if node.kind == DIR:
                inside = known[node.digest]
            else:
                ending = os.path.splitext(node.name)[1].lower()
                inside = {} if node.kind == LINK else {ending: (1, node.size)}
            for ending, (files, size) in inside.items():
                before = total.get(ending, (0, 0))
                total[ending] = (before[0] + files, before[1] + size)
        known[todo.pop().digest] = total
    return known[root.digest]


# What remotes have


def _asked(workspace: Workspace, index: Index, found: Log) -> tuple[list[Logged], list[str]]:
    """The rows, with the remotes that say that they have all of a version."""
    needed = {row.version.digest: _needed(workspace, index, found.entry, row) for row in found.rows}
    holders: dict[Digest, tuple[str, ...]] = dict.fromkeys(needed, ())
    unasked: list[str] = []
    known = {row.version.digest: row.remotes for row in found.rows}
    for spec in workspace.view(index).remotes.values():
        try:
            there = _ask(workspace, spec, needed.values())
            has = {digest for digest, objects in needed.items() if objects.keys() <= there}
        except LazydataError as error:
            unasked.append(f"{spec.name} can't be asked: {error.message}")
            has = {digest for digest, names in known.items() if spec.name in names}
        for digest in has:
            holders[digest] = (*holders[digest], spec.name)
    nowhere = {digest for digest, objects in needed.items() if not objects}
    rows = [
        row._replace(remotes=() if row.version.digest in nowhere else holders[row.version.digest])
        for row in found.rows
    ]
    return rows, unasked


def _needed(
    workspace: Workspace, index: Index, entry: Entry, row: Logged
) -> dict[Digest, int | None]:
    """The objects of a version, as far as its trees are here, with their bytes."""
    if entry.portion and row.node is None:
        return {}
    name, version = entry.path, row.version
    if row.node is not None:
        if row.node.kind != DIR:
            return {row.node.digest: row.node.size} if row.node.digest else {}
        name = entry.name.rstrip("/") + "/"
        version = Version(row.node.digest)
    trees = Trees(workspace.store, index, name=entry.path)
    one = Entry(name, (version,))
    return {digest: size for digest, size, _ in objects_of(trees, one, version)}


def _ask(
    workspace: Workspace, spec: RemoteSpec, needed: Iterable[Mapping[Digest, int | None]]
) -> set[Digest]:
    sizes = {digest: size for objects in needed for digest, size in objects.items()}
    there = ask(spec, IndexedMemory(config.index_dir()), sizes) if sizes else set()
    _remember(workspace, spec, there, sizes.keys() - there)
    return there


def _remember(
    workspace: Workspace, spec: RemoteSpec, there: Collection[Digest], gone: Collection[Digest]
) -> None:
    known = workspace.baseline.pushed([spec.url], [*there, *gone])
    remember_pushed(workspace, spec.url, [d for d in there if d not in known], known & {*gone})
