"""Settle one path: decide by the table, carry it out, and look again under the lock."""

from __future__ import annotations

import os

from lazydata import fsutil, manifest
from lazydata.adopting import MovedError
from lazydata.digest import Digest, Hashed
from lazydata.errors import (
    FileBusy,
    FileChanged,
    FileDenied,
    LazydataError,
    NoSpace,
    NotTracked,
    UsageError,
    from_os_error,
)
from lazydata.index import Index
from lazydata.manifest import Entry, Version, paths
from lazydata.messages import say, typed, warn
from lazydata.reconcile import RECORDS, REPLACES, Action, reconcile
from lazydata.stamp import Stamp, stamp_from
from lazydata.workspace import Place, Workspace
from lazydata.workspace.look import look, remember, stat
from lazydata.workspace.names import enclosing
from lazydata.workspace.placing import put_in_place, refuse_if_open, sound

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

NEW = "new"
ON_CHANGE = ("version", "warn", "error")
_ATTEMPTS = 6


class Settled:
    """How a path was left.

    Args:
        action: what was done, as in ``reconcile.Action``, or ``new``.
        digest: what the file holds now; None where it is missing.
        stamp: under which it is known to hold that; None where a stamp proves nothing yet.
        is_listed: whether that is the latest version in the manifest now.
    """

    __slots__ = ("action", "digest", "is_listed", "stamp")

    def __init__(
        self,
        action: str,
        digest: Digest | None,
        stamp: Stamp | None = None,
        *,
        is_listed: bool = True,
    ) -> None:
        self.action, self.digest, self.stamp = action, digest, stamp
        self.is_listed = is_listed

    @classmethod
    def at(cls, action: str, found: Hashed | None) -> Settled:
        """As it was found."""
        if found is None:
            return cls(action, None)
        return cls(action, found.digest, None if found.racy else found.stamp)


def _chosen(on_change: str | None) -> str | None:
    """What the caller, or else the environment, says of changes."""
    chosen = on_change or os.environ.get("LAZYDATA_ON_CHANGE") or None
    if chosen not in (None, *ON_CHANGE):
        raise UsageError(f"on_change is {chosen!r}", hint=f"one of {', '.join(ON_CHANGE)}")
    return chosen


def policy_of(workspace: Workspace, index: Index, on_change: str | None) -> str:
    """What is to become of changes: ``version``, ``warn`` or ``error``."""
    return _chosen(on_change) or workspace.view(index).on_change or "version"


def settle(
    workspace: Workspace,
    path: str,
    index: Index,
    *,
    script: str | None = None,
    output: bool = False,
    link: bool = True,
    on_change: str | None = None,
) -> tuple[Settled, str]:
    """Settle whatever a path is: a file, a directory, or a file in a tracked directory.

    Args:
        path: absolute.
        script, output, link, on_change: see ``Settling``.

    Returns:
        How it was left, and where it really lies.
    """
    place = workspace.place(path.rstrip("/") if len(path) > 1 else path)
    view, name = workspace.view(index), place.name
    if view.entry(name) is None:
        above = None if view.entry(name + "/") is not None else enclosing(view, name)
        if above is not None:
            from lazydata.workspace.portions import settle_portion

            settled = settle_portion(
                workspace, place, index, above, script=script, on_change=on_change
            )
            return settled, place.real
        is_directory = path.endswith("/") or os.path.isdir(place.real)
        if is_directory or view.entry(name + "/") is not None:
            from lazydata.workspace.settle_directory import SettlingDirectory

            of_directory = SettlingDirectory(
                workspace,
                place,
                index,
                script=script,
                output=output,
                link=link,
                on_change=on_change,
            )
            return of_directory.run(), place.real
    settling = Settling(
        workspace, place, index, script=script, output=output, link=link, on_change=on_change
    )
    return settling.run(), place.real


class Settling:
    """The work on one path.

    Args:
        workspace: that governs it.
        place: of the path.
        index: open for as long as this works.
        script: to be recorded as usage; None for none.
        output: whether this process made the file, so that it is the newest there is, and
            the script is recorded as producer, too.
        link: False where the file will be written again, so it is not hardlinked.
        on_change: what the caller wants, or None for what environment and manifest say.
        only: actions that may be carried out; all others leave the file alone.
        was_fetched: its object was downloaded just now, and that was told.
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
        was_fetched: bool = False,
    ) -> None:
        self._workspace, self._place, self._index = workspace, place, index
        self._script, self._output, self._link, self._only = script, output, link, only
        self._was_fetched = was_fetched
        self._on_change = _chosen(on_change)
        self._temp: tuple[str, bytes, Digest] | None = None

    def run(self) -> Settled:
        """Carry out what the table says.

        Raises:
            LazydataError: of many kinds; nothing was lost and nothing half done.
        """
        name = self._place.name
        try:
            for _ in range(_ATTEMPTS):
                settled = self._once()
                if settled is not None:
                    return settled
            raise FileBusy(
                f"{name} keeps changing while it is tracked",
                hint="wait until its writer is done, then run it again",
            )
        except LazydataError:
            raise
        except OSError as error:
            raise from_os_error(error, "track", name) from error
        finally:
            if self._temp is not None:
                fsutil.remove(self._temp[0])

    def _once(self) -> Settled | None:
        """One attempt; None if it has to be looked at again."""
        action, found, entry = self._decide()
        if self._only is not None and action not in self._only:
            return Settled(action, found.digest if found else None, is_listed=False)
        if action == Action.NOTHING and not self._lacks_usage(entry):
            return Settled.at(action, found)
        if action == Action.SETTLE and self._only is None and self._policy() == "error":
            # CI is promised that nothing is written for what is right.
            return Settled.at(Action.NOTHING, found)
        if action in RECORDS or action == NEW:
            refused = self._refused(action, found, entry)
            if refused is not None:
                return refused
        try:
            self._prepare(action, found, entry)
        except MovedError:
            return None
        except FileNotFoundError as error:
            if error.filename != self._place.real:
                raise
            return None  # it was removed just now
        return self._act(action, found, entry)

    # Deciding

    def _decide(self, before: Hashed | None = None) -> tuple[str, Hashed | None, Entry | None]:
        name, real = self._place.name, self._place.real
        entry = self._workspace.view(self._index).entry(name)
        versions = [v.digest for v in entry.versions] if entry else []
        status = stat(real)
        # Under the lock the stamp must do: what it may hide is found, and kept, next time.
        if before is not None and status is not None and stamp_from(status) == before.stamp:
            found: Hashed | None = before
        else:
            found = look(real, self._index, versions)
        if entry is None:
            self._check_new_name()
            if found is None:
                raise NotTracked(
                    f"{name} is not there, and lazydata.yml does not list it",
                    path=os.path.join(self._workspace.root, name),
                    hint="check the path, or `git pull` for a newer lazydata.yml",
                )
            return NEW, found, None
        action = reconcile(
            found.digest if found else None,
            self._workspace.baseline.get(name),
            versions,
            entry.latest.digest,
            output=self._output,
        )
        if action == Action.MISSING_OUTPUT:
            raise NotTracked(
                f"{name} was to be tracked as an output, but is not there",
                path=os.path.join(self._workspace.root, name),
                hint="write it before it is tracked",
            )
        return action, found, entry

    def _check_new_name(self) -> None:
        """Refuse what the manifest can't list, before anything is stored."""
        wrong = paths.problem(self._place.name)
        if wrong is not None:
            raise UsageError(wrong[0], hint=wrong[1])

    def _lacks_usage(self, entry: Entry | None) -> bool:
        if self._script is None or entry is None:
            return False
        if manifest.knows(entry.latest, self._script, produced=self._output):
            return False
        return self._policy() == "version"

    def _policy(self) -> str:
        return policy_of(self._workspace, self._index, self._on_change)

    def _refused(self, action: str, found: Hashed | None, entry: Entry | None) -> Settled | None:
        policy = self._policy()
        if policy == "version":
            return None
        assert found is not None
        name = self._place.name
        hint = f"`lazydata track {typed(name)}` records it"
        if action == NEW:
            message = f"{name} is not in lazydata.yml"
        else:
            assert entry is not None
            message = (
                f"{name} has changed: it is {found.digest.hex[:12]}, and lazydata.yml says "
                f"{entry.latest.digest.hex[:12]}"
            )
            hint += f"; `lazydata restore {typed(name)}` gets the listed version back"
        if policy == "error":
            raise FileChanged(message, hint=hint)
        warn(f"{message} ({hint})")
        return Settled(action, found.digest, is_listed=False)

    # Doing

    def _prepare(self, action: str, found: Hashed | None, entry: Entry | None) -> None:
        """All that takes long, before the lock: store the file, fetch and copy the object."""
        workspace, name, real = self._workspace, self._place.name, self._place.real
        store = workspace.store
        # Bytes that are recorded, or leave the workspace, must be in the store first.
        if found is not None and action != Action.NOTHING:
            try:
                doing, where = f"record {name} in", workspace.baseline.directory
                workspace.baseline.prepare()
                doing, where = f"store {name} in", store.directory
                store.register(workspace.baseline.id, workspace.root)
                after = store.adopt(real, found, self._index, link=self._link)
                found.stamp = after
                remember(real, found, after, self._index)
            except OSError as error:
                failure = from_os_error(error, doing, where)
                if action != Action.SETTLE or not isinstance(failure, (FileDenied, NoSpace)):
                    raise failure from error
        if action in REPLACES:
            assert entry is not None
            latest = entry.latest.digest
            if self._temp is not None:
                if self._temp[2] == latest:
                    return
                fsutil.remove(self._temp[0])
            directory = os.path.dirname(real)
            fsutil.make_dirs(directory)
            if action == Action.RESTORE and store.has(latest) and not self._was_fetched:
                say(f"Restoring {name} from the local store")
            temp, fingerprint = sound(
                workspace,
                self._index,
                name,
                entry.latest,
                lambda: store.materialise(latest, directory, self._index, like=real),
            )
            self._temp = temp, fingerprint, latest

    def _act(self, action: str, found: Hashed | None, entry: Entry | None) -> Settled | None:
        """Under the lock: decide again, and do it if nothing has moved. None: it has."""
        name = self._place.name
        quiet = action in (Action.NOTHING, Action.SETTLE)
        try:
            with self._workspace.baseline.lock():
                again, now, entry_now = self._decide(found)
                same = (now.digest if now else None) == (found.digest if found else None)
                latest = entry_now.latest.digest if entry_now else None
                was = entry.latest.digest if entry else None
                if again != action or not same or latest != was:
                    return None
                if action in REPLACES:
                    return self._replace(action, now, entry_now)
                assert now is not None
                self._record(action, now, entry_now)
                return Settled.at(action, now)
        except OSError as error:
            unwritable = isinstance(from_os_error(error, "write", name), (FileDenied, NoSpace))
            if not quiet or not unwritable:
                raise
            # Nothing must be written for a file that is right.
            return Settled.at(Action.NOTHING, found)

    def _record(self, action: str, now: Hashed, entry: Entry | None) -> None:
        workspace, name = self._workspace, self._place.name
        usage = (self._script,) if self._script and self._policy() == "version" else ()
        if action == NEW:
            say(f"Tracking a new file {name}")
        elif action == Action.RECORD:
            say(f"Tracked file {name} changed, recording a new version")
        elif action == Action.RECORD_OVER:
            assert entry is not None
            say(f"Tracked file {name} changed, recording a new version")
            warn(
                f"{name} was edited here, and lazydata.yml got {entry.latest.digest} meanwhile: "
                f"yours is recorded after it; `lazydata restore {typed(name)} --version "
                f"{entry.latest.digest.hex[:12]}` gets that one"
            )
        elif action == Action.RECORD_UNKNOWN:
            assert entry is not None
            say(f"Tracked file {name} changed, recording a new version")
            warn(
                f"if {name} was not meant to change, `lazydata restore {typed(name)} --version "
                f"{entry.latest.digest.hex[:12]}` gets the version before it back"
            )
        if action in RECORDS or action == NEW:
            producer = usage if self._output else ()
            version = Version(now.digest, now.stamp.size, usage, producer=producer)
            workspace.edit(
                self._index, name, lambda text, view: manifest.record(text, view, name, version)
            )
        else:
            self._add_usage(entry)
        if workspace.baseline.get(name) != now.digest:
            workspace.baseline.put({name: now.digest})

    def _add_usage(self, entry: Entry | None) -> None:
        script, name, produced = self._script, self._place.name, self._output
        if script is not None and self._lacks_usage(entry):
            self._workspace.edit(
                self._index,
                name,
                lambda text, view: manifest.add_usage(text, view, name, script, produced=produced),
            )

    def _replace(self, action: str, now: Hashed | None, entry: Entry | None) -> Settled:
        workspace, name, real = self._workspace, self._place.name, self._place.real
        assert entry is not None
        assert self._temp is not None
        temp, fingerprint, latest = self._temp
        refuse_if_open(real, name)
        if action == Action.DISPLACE and now is not None:
            workspace.baseline.displaced(name, now.digest)
        put_in_place(workspace, self._index, temp, real, now, name)
        self._temp = None
        if action == Action.DISPLACE and now is not None:
            say(
                f"{name} was {now.digest.hex[:12]}, which lazydata.yml lists no more; "
                f"`lazydata restore {typed(name)} --version {now.digest.hex[:12]}` gets it back"
            )
        if action != Action.RESTORE:
            say(f"Updating {name} to the version in lazydata.yml")
        self._add_usage(entry)
        workspace.baseline.put({name: latest})
        status = stat(real)
        if fingerprint and status is not None:
            stamp = stamp_from(status)
            # Just written, so a later write could hide behind its stamp: racy.
            remember(real, Hashed(latest, fingerprint, stamp, 0, True), stamp, self._index)
        return Settled(action, latest)
