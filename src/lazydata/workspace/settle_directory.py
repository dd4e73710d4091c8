"""Settle one tracked directory: the table that holds for a file, and a merge file by file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lazydata import heap, manifest
from lazydata.digest import Digest
from lazydata.errors import (
    FileBusy,
    FileChanged,
    FileDenied,
    LazydataError,
    NoSpace,
    NotTracked,
    ObjectCorrupt,
    ObjectMissing,
    UsageError,
    from_os_error,
)
from lazydata.gathering import Gathering
from lazydata.index import Index
from lazydata.manifest import Entry, RemoteSpec, Version, paths
from lazydata.messages import say, typed, warn
from lazydata.progress import shown
from lazydata.reconcile import RECORDS, REPLACES, Action, reconcile
from lazydata.tree import DIR, Node
from lazydata.trees import EMPTY, Change, Trees
from lazydata.workspace import Place, Workspace
from lazydata.workspace.applying import Applying, needed
from lazydata.workspace.directories import Held, Looking
from lazydata.workspace.inside import AT_ONCE, Fetching, PassedOver
from lazydata.workspace.merging import count_of, effective, merged, told_of
from lazydata.workspace.settle import NEW, Settled, policy_of
from lazydata.workspace.storing import Storing

_ATTEMPTS = 6
_NAMED_AT_MOST = 5


class SettlingDirectory:
    """The work on one directory; for the arguments see ``settle.Settling``.

    The baseline has two parts: the version that the directory was last brought to, or
    recorded as, and, where only parts of that were brought here, the tree of these.
    """

    def __init__(
        self,
        workspace: Workspace,
        place: Place,
        index: Index,
        *,
        script: str | None = None,
        output: bool = False,
        link: bool = True,
        on_change: str | None = None,
        only: frozenset[str] | None = None,
        remotes: Sequence[RemoteSpec] | None = None,
        jobs: int | None = None,
    ) -> None:
        self._workspace, self._index, self._real = workspace, index, place.real
        self._name = place.name + "/"
        self._script, self._output, self._link, self._only = script, output, link, only
        self._on_change = on_change
        self._store = workspace.store
        self._fetching = Fetching(workspace, index, self._name, remotes, jobs)
        self.trees = Trees(self._store, index, self._fetching.trees, name=self._name)
        self._passed_over = PassedOver(workspace.root, place.real)
        self._storing = Storing(workspace, index, self.trees, place.real, self._name, link=link)
        self.fetched = self.fetched_size = 0
        self._held: Held | None = None
        self._before: tuple[object, ...] = ()

    def run(self) -> Settled:
        """Carry out what the table says.

        Raises:
            LazydataError: of many kinds; nothing was lost.
        """
        try:
            for _ in range(_ATTEMPTS):
                try:
                    settled = self._once()
                except FileNotFoundError as error:
                    if isinstance(error, LazydataError):
                        raise
                    settled = None  # something in it was removed just now
                if settled is not None:
                    return settled
        except OSError as error:
            raise from_os_error(error, "track", self._name) from error
        raise FileBusy(
            f"{self._name} keeps changing while it is tracked",
            hint="wait until its writer is done, then run it again",
        )

    def store_again(self, entry: Entry) -> None:
        """Store what is right here, and that the store has lost."""
        held = self.look(take=False)
        if held is not None and held.digest == entry.latest.digest:
            self._storing.all_of(held, None, held.digest)

    def state(self, entry: Entry) -> str:
        """How the directory stands, as ``status`` says it; nothing is changed or stored."""
        held = self.look(take=False)
        baseline = self._workspace.baseline.get(self._name)
        now = self.effective(held, entry)
        latest = entry.latest.digest
        if now is None:
            return "not-downloaded" if baseline is None else "missing"
        if now.digest == latest:
            return "ok"
        versions = [version.digest for version in entry.versions]
        action = reconcile(now.digest, baseline, versions, latest)
        return "modified" if action in RECORDS else "outdated"

    # Deciding

    def _once(self) -> Settled | None:
        """One attempt; None if it has to be looked at again."""
        entry = self._entry()
        if entry is None:
            self._check_new_name()
        policy = policy_of(self._workspace, self._index, self._on_change)
        self._before = self._remembered()
        self._held = held = self.look_first(take=policy == "version" and self._only is None)
        if entry is None:
            if held is None:
                raise NotTracked(
                    f"{self._name} is not there, and lazydata.yml does not list it",
                    path=self._real,
                    hint="check the path, or `git pull` for a newer lazydata.yml",
                )
            if policy != "version":
                return self._refuse(policy, f"{self._name} is not in lazydata.yml")
            self._storing.all_of(held, None, held.digest)
            say(f"Tracking a new directory {self._name} ({count_of(held.files, 'file')})")
            return self._record(NEW, held, None)
        latest = entry.latest.digest
        now = self.effective(held, entry)
        versions = [version.digest for version in entry.versions]
        baseline = self._workspace.baseline.get(self._name)
        action = reconcile(
            now.digest if now else None, baseline, versions, latest, output=self._output
        )
        if self._only is not None and action not in self._only:
            return Settled(action, now.digest if now else None, is_listed=False)
        if action == Action.MISSING_OUTPUT:
            raise NotTracked(
                f"{self._name} was to be tracked as an output, but is not there",
                path=self._real,
                hint="write it before it is tracked",
            )
        if action in RECORDS:
            assert now is not None
            assert held is not None
            if self._remembered() != self._before:
                return None  # somebody was bringing it: what was not there yet was not deleted
            if policy != "version":
                changes = told_of(self.trees.diff(latest, now.digest))
                return self._refuse(policy, f"{self._name} has changed ({changes})")
            return self._changed(action, now, held, entry, baseline)
        if action in REPLACES or self._lacks_parts(held, latest):
            return self._bring(action, held, entry)
        return self._right(action, entry)

    def look_first(self, *, take: bool) -> Held | None:
        """As ``look``; where nothing can be stored, what is right may still be looked at."""
        if take:
            try:
                return self.look(take=True)
            except OSError as error:
                if not isinstance(from_os_error(error, "store", self._name), FileDenied):
                    raise
            except FileDenied:
                pass
        return self.look(take=False)

    def _lacks_parts(self, held: Held | None, latest: Digest) -> bool:
        if held is None or held.digest == latest:
            return False
        return any(self._passed_over.others(self.trees.diff(held.digest, latest)))

    def _entry(self) -> Entry | None:
        return self._workspace.view(self._index).entry(self._name)

    def _check_new_name(self) -> None:
        wrong = paths.problem(self._name)
        if wrong is not None:
            raise UsageError(wrong[0], hint=wrong[1])
        view = self._workspace.view(self._index)
        inside = list(view.below(self._name.rstrip("/")))
        if inside:
            raise UsageError(
                f"{self._name} has entries of their own in it: "
                + ", ".join(inside[:_NAMED_AT_MOST]),
                hint="`lazydata untrack` them first",
            )

    def look(self, *, take: bool) -> Held | None:
        """What the directory holds now, stored too if that is wanted; None if it is not there."""
        with (
            shown(f"looking at {self._name}") as meter,
            Gathering(self._store, self._storing.register) as gathering,
        ):
            looking = Looking(
                self._index,
                self.trees,
                self._store,
                gathering if take else None,
                link=self._link,
                meter=meter,
            )
            held = looking.look(self._workspace.root, self._real)
            gathering.finish()
        return held

    def effective(self, held: Held | None, entry: Entry) -> Node | None:
        """What the directory stands for: parts of it that never were here are as recorded.

        Returns:
            Digest, size and files; None where it is missing.
        """
        baseline = self._workspace.baseline
        return effective(
            self.trees,
            self._passed_over,
            Node("", DIR, held.digest, held.size, held.files) if held else None,
            entry,
            baseline.get(self._name),
            baseline.get(self._name + "/"),
        )

    def _refuse(self, policy: str, message: str) -> Settled:
        hint = f"`lazydata track {typed(self._name)}` records it"
        if policy == "error":
            raise FileChanged(message, hint=hint)
        warn(f"{message} ({hint})")
        return Settled(Action.RECORD, None, is_listed=False)

    # Doing

    def _changed(
        self, action: str, now: Node, held: Held, entry: Entry, baseline: Digest | None
    ) -> Settled | None:
        """Record what it is now; with what the manifest got meanwhile, where that can be."""
        before = entry.latest.digest
        if action == Action.RECORD_OVER and baseline is not None:
            now = merged(self.trees, self._name, baseline, now, before)
            if now.digest == before:
                return self._bring(Action.UPDATE, held, entry)
        try:
            told = told_of(self.trees.diff(before, now.digest))
            self._storing.all_of(held, before, now.digest)
        except (ObjectMissing, ObjectCorrupt):  # nobody knows what the last version was
            told = count_of(now.files, "file")
            self._storing.all_of(held, None, now.digest)
        say(f"Tracked directory {self._name} changed, recording a new version ({told})")
        if action == Action.RECORD_UNKNOWN:
            warn(
                f"if {self._name} was not meant to change, `lazydata restore {typed(self._name)} "
                f"--version {before.hex[:12]}` gets the version before it back"
            )
        settled = self._record(action, Held(now.digest, now.size, now.files, False), entry)
        # If the manifest has more than what is here, the directory is to follow.
        return settled if now.digest == held.digest else None

    def _bring(self, action: str, held: Held | None, entry: Entry) -> Settled | None:
        """Make the directory the latest version."""
        latest = entry.latest
        if (latest.files or 0) > AT_ONCE:
            heap.spare()
        self.trees.bring(latest.digest)
        here = held.digest if held else None
        root = Node("", DIR, latest.digest, latest.size or 0, latest.files or 0)
        fetched = self.prepare(held, root)
        if action == Action.DISPLACE and here is not None:
            self._workspace.baseline.displaced(self._name, here)
            say(
                f"{self._name} was {here.hex[:12]}, which lazydata.yml lists no more; "
                f"`lazydata restore {typed(self._name)} --version {here.hex[:12]}` gets it back"
            )
        if action in (Action.UPDATE, Action.DISPLACE):
            say(f"Updating {self._name} to the version in lazydata.yml")
        elif not fetched:
            say(f"Restoring {self._name} from the local store")
        with self._workspace.baseline.lock():
            now = self._entry()
            if now is None or now.latest != latest:
                return None
        self.replace(held, root)
        if self._lacks_usage(entry):
            with self._workspace.baseline.lock():
                self._add_usage(entry)
        return Settled(action if action in REPLACES else Action.RESTORE, latest.digest)

    def _changes(self, held: Held | None, latest: Digest) -> Iterator[Change]:
        """What is to be done to have a version here."""
        here = held.digest if held else None
        changes = self._passed_over.others(self.trees.diff(here, latest))
        if held is not None and held.files:
            yield from changes
            return
        # Where no file is left all are brought. What else is there is the user's, and stays
        # unless its name is needed.
        removal: Change | None = None
        for change in changes:
            if removal is not None and change.path == removal.path:
                yield removal
            removal = change if change.new is None else None
            if change.new is not None:
                yield change

    def prepare(self, held: Held | None, root: Node) -> int:
        """Have in the store what is to come, and what is to go.

        Args:
            held: what is there now.
            root: what it is to be.

        Returns:
            How many objects were downloaded.

        Raises:
            ObjectMissing: something is nowhere; nothing was changed.
        """
        fetched = self._fetch(self._changes(held, root.digest))
        if held is not None:
            try:
                self._storing.all_of(held, root.digest, held.digest)
            except FileDenied:
                # The list of what is here is worth a store, but not a refusal.
                going = (change.old for change in self._changes(held, root.digest))
                if any(old is not None and old.kind != DIR for old in going):
                    raise
        return fetched

    def replace(self, held: Held | None, root: Node) -> None:
        """Make the directory what a tree says, once that was prepared.

        Raises:
            FileBusy, FileChanged: somebody works in it.
        """
        with self._workspace.baseline.lock():
            # Should this end half-way, what is not there yet was not deleted.
            self._set_baseline(root.digest, held.digest if held else EMPTY)
        with shown(f"restoring {self._name}") as meter:
            meter.expect(files=root.files)
            applying = Applying(
                self._workspace, self._index, self.trees, self._real, self._name, meter
            )
            applying.run(self._changes(held, root.digest), root)
        with self._workspace.baseline.lock():
            self._set_baseline(root.digest)

    def _right(self, action: str, entry: Entry) -> Settled:
        """It is what the manifest says: only what is known of it may be behind."""
        parts = self._workspace.baseline.get(self._name + "/")
        if action == Action.NOTHING and parts is None and not self._lacks_usage(entry):
            return Settled(action, entry.latest.digest)
        policy = policy_of(self._workspace, self._index, self._on_change)
        if policy == "error" and self._only is None:
            return Settled(Action.NOTHING, entry.latest.digest)  # as for a file
        try:
            if action == Action.SETTLE and self._held is not None:
                self._storing.all_of(self._held, None, self._held.digest)
            with self._workspace.baseline.lock():
                self._set_baseline(entry.latest.digest)
                self._add_usage(entry)
        except (OSError, LazydataError) as error:
            failure = (
                from_os_error(error, "write", self._name) if isinstance(error, OSError) else error
            )
            if not isinstance(failure, (FileDenied, NoSpace)):
                raise
        return Settled(action, entry.latest.digest)

    def _record(self, action: str, now: Held, entry: Entry | None) -> Settled | None:
        """Under the lock: list a version, unless the manifest moved meanwhile."""
        workspace, name = self._workspace, self._name
        usage = (self._script,) if self._script else ()
        with workspace.baseline.lock():
            if self._entry() != entry or self._remembered() != self._before:
                return None
            producer = usage if self._output else ()
            version = Version(now.digest, now.size, usage, now.files, producer=producer)
            workspace.edit(
                self._index, name, lambda text, view: manifest.record(text, view, name, version)
            )
            here = self._held.digest if self._held is not None else EMPTY
            # A merge is the baseline only once the directory follows it.
            if action != Action.RECORD_OVER or here == now.digest:
                self._set_baseline(now.digest, here)
        return Settled(action, now.digest)

    def _remembered(self) -> tuple[object, ...]:
        """What is known of it; another one whenever somebody has begun or ended to bring it."""
        baseline = self._workspace.baseline
        return baseline.last(self._name), baseline.last(self._name + "/")

    def _set_baseline(self, digest: Digest, parts: Digest | None = None) -> None:
        """Remember a version, and the tree of what is here of it, if that is not all."""
        baseline, key = self._workspace.baseline, self._name + "/"
        if parts is not None and parts != digest:
            if not self._store.has(parts):
                parts = EMPTY  # a store that is only read lacks it: nobody would know what it was
            # In this order: of a torn write the first line says that not all is here.
            baseline.put({key: parts, self._name: digest})
            return
        new: dict[str, Digest | None] = {}
        if baseline.get(self._name) != digest:
            new[self._name] = digest
        if baseline.get(key) is not None:
            new[key] = None
        if new:
            baseline.put(new)

    def _lacks_usage(self, entry: Entry) -> bool:
        if self._script is None or manifest.knows(
            entry.latest, self._script, produced=self._output
        ):
            return False
        return policy_of(self._workspace, self._index, self._on_change) == "version"

    def _add_usage(self, entry: Entry) -> None:
        script, name, produced = self._script, self._name, self._output
        if script is not None and self._lacks_usage(entry):
            self._workspace.edit(
                self._index,
                name,
                lambda text, view: manifest.add_usage(text, view, name, script, produced=produced),
            )

    # Objects

    def _fetch(self, changes: Iterable[Change]) -> int:
        """Bring what changes need into the store; how many objects were downloaded."""
        count, size = self._fetching.files(needed(changes))
        self.fetched += count
        self.fetched_size += size
        return count
