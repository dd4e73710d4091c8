"""Portions of tracked directories: only what is asked for is fetched, checked and restored."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from lazydata import manifest
from lazydata.digest import Digest, hash_file
from lazydata.errors import (
    FileChanged,
    FileDenied,
    LazydataError,
    NoSpace,
    NotTracked,
    ObjectCorrupt,
    ObjectMissing,
    from_os_error,
)
from lazydata.gathering import Gathering
from lazydata.index import Index
from lazydata.manifest import Entry, RemoteSpec
from lazydata.messages import say, typed, warn
from lazydata.progress import shown
from lazydata.reconcile import Action
from lazydata.tree import DIR, EXEC, FILE, LINK, Node
from lazydata.trees import EMPTY, Change, Trees
from lazydata.workspace import Place, Workspace
from lazydata.workspace.applying import Applying, needed
from lazydata.workspace.directories import Looking
from lazydata.workspace.inside import Fetching
from lazydata.workspace.look import look
from lazydata.workspace.settle import Settled, policy_of


class PulledPortion(NamedTuple):
    """What became of a portion.

    Args:
        changes: names that were brought to the latest version.
        fetched: objects that were downloaded.
        left: paths in the directory that were left alone, and why.
    """

    changes: list[Change]
    fetched: list[Digest]
    left: dict[str, str]


class Portion:
    """One path inside of a tracked directory.

    Args:
        workspace, index: as elsewhere.
        entry: of the directory.
        path: relative to it; empty for all of it.
        remotes: those to ask; by default all.
        jobs: how many transfers at once.
    """

    def __init__(
        self,
        workspace: Workspace,
        index: Index,
        entry: Entry,
        path: str,
        *,
        remotes: Sequence[RemoteSpec] | None = None,
        jobs: int | None = None,
    ) -> None:
        self._workspace, self._index, self._entry = workspace, index, entry
        self.path = path
        self._fetching = Fetching(workspace, index, entry.path, remotes, jobs)
        self.trees = Trees(workspace.store, index, self._fetching.trees, name=entry.path)
        self._real = workspace.place(entry.path.rstrip("/")).real

    @property
    def name(self) -> str:
        return self._entry.path + self.path

    def listed(self, version: Digest | None = None) -> Node:
        """What a version of the directory, the latest by default, has there.

        Raises:
            NotTracked: nothing.
        """
        node = self.trees.find(version or self._entry.latest.digest, self.path)
        if node is None:
            which = f"version {version.hex[:12]}" if version else "version that lazydata.yml lists"
            raise NotTracked(
                f"{self._entry.path} has no {self.path} in the {which}",
                path=os.path.join(self._real, self.path),
                hint=f"`lazydata track {typed(self._entry.path)}` records what is new in it",
            )
        return node

    def here(self) -> Node | None:
        """What is there on disk."""
        real = self._workspace.place(self.name.rstrip("/")).real
        name = self.path.rpartition("/")[2]
        if os.path.islink(os.path.join(self._real, self.path)):
            target = os.readlink(os.path.join(self._real, self.path))
            return Node(name, LINK, Digest(""), 0, 0, target)
        if os.path.isdir(real):
            looking = Looking(self._index, self.trees, self._workspace.store)
            held = looking.look(self._workspace.root, real, self._real)
            return None if held is None else Node(name, DIR, held.digest, held.size, held.files)
        found = look(real, self._index)
        if found is None:
            return None
        kind = EXEC if os.stat(real).st_mode & 0o100 else FILE
        return Node(name, kind, found.digest, found.stamp.size, 1)

    def pull(self, *, dry_run: bool = False, had_only: bool = False) -> PulledPortion:
        """Bring the portion to the latest version; what was changed here is left alone.

        Args:
            dry_run: change nothing.
            had_only: bring only what was here before.

        Raises:
            NotTracked: the latest version has nothing there.
            ObjectMissing, ObjectCorrupt: none of it can be had.
        """
        wanted, there, had = self.listed(), self.here(), self._had()
        changes: list[Change] = []
        left: dict[str, str] = {}
        for change, state in self._judged(there, wanted, had):
            if state == "modified" or (state == "deleted" and not self.path):
                left[change.path] = "was changed here and is left alone"
            elif not (had_only and state == "never here"):
                changes.append(change)
        nodes = list(needed(changes))
        if dry_run:
            lacking = self._workspace.store.lacking(dict.fromkeys(n.digest for n in nodes))
            return PulledPortion(changes, lacking, left)
        lacking, failed = self._fetched(nodes)
        if len(nodes) == 1 or len(failed) == len(nodes):
            self._fetching.check(failed)
        for change in changes:
            error = failed.get(change.new.digest) if change.new is not None else None
            if error is not None:
                left[change.path] = error.message
        changes = [change for change in changes if change.path not in left]
        if changes and not lacking:
            say(f"Restoring {self.name} from the local store")
        self._apply(changes)
        if had_only:
            parts = self.trees.changed(had, {change.path: change.new for change in changes})
            self._put_parts(parts.digest, self._entry.latest.digest)
        else:
            self._remember(had, wanted, left)
        return PulledPortion(changes, [d for d in lacking if d not in failed], left)

    def state(self) -> str:
        """How the portion stands, as ``status`` says it.

        Raises:
            NotTracked: it is neither listed nor there.
        """
        there, had = self.here(), self._had()
        try:
            wanted = self.listed()
        except NotTracked:
            if there is None:
                raise
            return "modified"
        if there is None:
            return "missing" if self.trees.find(had, self.path) else "not-downloaded"
        states = {state for _, state in self._judged(there, wanted, had)}
        if states & {"modified", "deleted"}:
            return "modified"
        return "outdated" if "outdated" in states else "ok"

    def _judged(
        self, there: Node | None, wanted: Node, had: Digest
    ) -> Iterator[tuple[Change, str]]:
        """What differs from the latest version, and how that came about."""
        for change in self._diff(there, wanted):
            was = self.trees.find(had, change.path) if had != EMPTY else None
            if change.old is None:
                yield change, "never here" if was is None else "deleted"
            elif change.old.kind == DIR or change.old == was:
                yield change, "outdated"
            else:
                yield change, "modified"

    def restore(self, version: Digest) -> Digest:
        """Put what a version has there in its place; what is there is stored first.

        Raises:
            NotTracked: it has nothing there.
            ObjectMissing: something is nowhere.
        """
        self.trees.bring(version)
        wanted, there = self.listed(version), self.here()
        changes = self._diff(there, wanted)
        self.fetch(list(needed(changes)))
        self._place(changes)
        return wanted.digest

    def restore_file(self, digest: Digest) -> None:
        """Put a file's bytes in its place that were there once and are stored.

        Raises:
            ObjectMissing, ObjectCorrupt: they are not.
        """
        there = self.here()
        size = os.path.getsize(self._workspace.store.check(digest, self._index))
        kind = there.kind if there is not None and there.kind in (FILE, EXEC) else FILE
        self._place(self._diff(there, Node(self.path.rpartition("/")[2], kind, digest, size, 1)))

    def _place(self, changes: list[Change]) -> None:
        """Carry out what somebody wants to have here, though it may not be what is listed."""
        had = self._had()
        self._store([change for change in changes if change.old is not None])
        self._apply(changes)
        listed = self.trees.find(self._entry.latest.digest, self.path)
        if listed is not None:  # so what differs from it counts as changed here
            self._remember(had, listed, [])

    def fetch(self, nodes: Sequence[Node]) -> None:
        """Bring the objects of files into the store.

        Raises:
            ObjectMissing, ObjectCorrupt: one can't be had.
        """
        self._fetching.check(self._fetched(nodes)[1])

    def _fetched(self, nodes: Sequence[Node]) -> tuple[list[Digest], dict[Digest, LazydataError]]:
        sizes = {node.digest: node.size for node in nodes}
        lacking = self._workspace.store.lacking(sizes)
        wanted = {digest: sizes[digest] for digest in lacking}
        return lacking, self._fetching.objects(wanted, self.name) if lacking else {}

    def _apply(self, changes: list[Change]) -> None:
        with shown(f"restoring {self.name}") as meter:
            meter.expect(files=len(changes))
            applying = Applying(
                self._workspace, self._index, self.trees, self._real, self._entry.path, meter
            )
            applying.run([*self._way(), *changes], None)

    def _store(self, changes: Sequence[Change]) -> None:
        """Store files that are about to be replaced."""
        workspace = self._workspace
        workspace.baseline.prepare()
        workspace.store.register(workspace.baseline.id, workspace.root)
        for change in changes:
            old = change.old
            if old is None or old.kind in (DIR, LINK) or workspace.store.has(old.digest):
                continue
            real = os.path.join(self._real, *change.path.split("/"))
            hashed = hash_file(real, seed=self._index.seed)
            workspace.store.adopt(real, hashed, self._index, link=False)
            workspace.baseline.displaced(self._entry.path + change.path, hashed.digest)
            name = f"{self._entry.path}{change.path}"
            say(
                f"{name} was not recorded as it was: it is stored, and `lazydata restore "
                f"{typed(name)} --version {hashed.digest.hex[:12]}` gets it back"
            )

    def _had(self) -> Digest:
        """The tree of what was brought here so far."""
        if not any(files for _, _, files in os.walk(self._real)):
            return EMPTY  # where no file is left none was deleted
        baseline = self._workspace.baseline
        name = self._entry.path
        had = baseline.get(name + "/") or baseline.get(name) or EMPTY
        try:
            self.trees.read(had)
        except (ObjectMissing, ObjectCorrupt):
            return EMPTY  # nobody knows, so nothing was deleted
        return had

    def _diff(self, there: Node | None, wanted: Node) -> list[Change]:
        old = there.digest if there is not None and there.kind == DIR else None
        new = wanted.digest if wanted.kind == DIR else None
        changes: list[Change] = []
        if there == wanted:
            return changes
        if old is not None and new is not None:
            changes += self.trees.diff(old, new)
        elif old is None and new is None:
            changes.append(Change("", there, wanted))
        else:
            changes += self.trees.diff(old, None) if old is not None else ()
            changes += [Change("", there, None)] if there is not None else []
            changes.append(Change("", None, wanted))
            changes += self.trees.diff(None, new) if new is not None else ()
        return [c._replace(path="/".join(filter(None, (self.path, c.path)))) for c in changes]

    def _way(self) -> list[Change]:
        """The directories above the part, where they are missing."""
        found = []
        path = ""
        for name in self.path.split("/")[:-1]:
            path = f"{path}/{name}" if path else name
            if not os.path.lexists(os.path.join(self._real, path)):
                found.append(Change(path, None, Node(name, DIR, EMPTY, 0, 0)))
        return found

    def _remember(self, had: Digest, wanted: Node, left: Iterable[str]) -> None:
        """Note that this part is here now, so that its absence will mean something."""
        baseline, name = self._workspace.baseline, self._entry.path
        kept = {path: self.trees.find(had, path) for path in left}
        parts = self.trees.grafted(had, self.path, wanted)
        if kept:
            parts = self.trees.changed(parts, kept).digest
        whole = baseline.get(name) or self._entry.latest.digest
        if parts != had or baseline.get(name) is None:
            self._put_parts(parts, whole)

    def _put_parts(self, parts: Digest, whole: Digest) -> None:
        """Remember what is here of which version; the store keeps the trees that say so."""
        store, name = self._workspace.store, self._entry.path
        try:
            with Gathering(store) as gathering:
                lacking = store.lacking(self.trees.made)
                gathering.add([(digest, self.trees.made[digest]) for digest in lacking])
                gathering.finish()
        except OSError as error:
            failure = from_os_error(error, "write", store.directory)
            if isinstance(failure, (FileDenied, NoSpace)):
                return  # what is not noted was never here: if it goes, that is no deletion
            raise failure from error
        baseline = self._workspace.baseline
        with baseline.lock():
            # In this order: of a torn write the first line says that not all is here.
            all_of_it: dict[str, Digest | None] = {name: whole, name + "/": None}
            baseline.put(all_of_it if parts == whole else {name + "/": parts, name: whole})


def settle_portion(
    workspace: Workspace,
    place: Place,
    index: Index,
    entry: Entry,
    *,
    script: str | None,
    on_change: str | None,
) -> Settled:
    """Make one path in a tracked directory what the manifest means; nothing is recorded.

    Args:
        entry: of the directory.

    Raises:
        NotTracked: neither the manifest nor the disk has it.
        FileChanged: it was changed here, and ``on_change`` is ``error``.
    """
    portion = Portion(workspace, index, entry, place.name[len(entry.path) :])
    policy = policy_of(workspace, index, on_change)
    there = portion.here()
    wanted = portion.trees.find(entry.latest.digest, portion.path)
    left: Collection[str] = [portion.path] if wanted is None and there is not None else []
    action = Action.NOTHING
    if wanted is None and there is None:
        portion.listed()  # says what is wrong
    elif wanted is not None and there != wanted and policy != "version":
        left = portion.pull(dry_run=True).left
    if not left and wanted is not None and there != wanted:
        left, action = portion.pull().left, Action.RESTORE
    if left:
        message = f"{portion.name} is not what lazydata.yml lists"
        hint = f"`lazydata track {typed(entry.path)}` records it"
        if policy == "error":
            raise FileChanged(message, hint=hint)
        warn(f"{message} ({hint})")
        return Settled(action, there.digest if there else None, is_listed=False)
    if script is not None and script not in entry.latest.usage and policy == "version":
        with workspace.baseline.lock():
            workspace.edit(
                index,
                entry.path,
                lambda text, view: manifest.add_usage(text, view, entry.path, script),
            )
    if wanted is None or wanted.kind in (DIR, LINK):
        return Settled(action, wanted.digest if wanted else None)
    return Settled.at(action, look(place.real, index, [wanted.digest]))
