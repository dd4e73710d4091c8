"""Pull: bring files to their latest version, from the store or from remotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
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
from lazydata.manifest import Entry, RemoteSpec, Version
from lazydata.messages import say, typed
from lazydata.progress import shown
from lazydata.reconcile import REPLACES, Action, reconcile
from lazydata.workspace import Workspace
from lazydata.workspace.look import look
from lazydata.workspace.pulling_directories import PULLS, pull_directory
from lazydata.workspace.remotes import named, open_repository, remember_pushed
from lazydata.workspace.restoring import restore_missing
from lazydata.workspace.settle import Settling

_NAMED_AT_MOST = 20  # files that get a line each


class Pulled(NamedTuple):
    """What a pull did, or would do.

    Args:
        paths: entries whose files were restored or updated.
        objects: how many objects were downloaded.
        size: their bytes, as far as the manifest says.
        left: one line for each entry that was left alone, and why.
    """

    paths: list[str]
    objects: int
    size: int
    left: list[str]


def pull(
    workspace: Workspace,
    index: Index,
    entries: Iterable[Entry],
    *,
    remote: str | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
    had_only: bool = False,
) -> Pulled:
    """Bring entries' files to their latest version, recording and overwriting nothing.

    Args:
        entries: those that are wanted.
        remote: name of the only one to ask; by default all are, in their order.
        jobs: how many transfers at once; by default what fits the remote.
        dry_run: change nothing, and say what would be done.
        had_only: of directories, bring only the parts that were here before.

    Raises:
        UsageError: there is no such remote.
        RemoteUnavailable, RemoteDenied: nothing could be had, for one cause.
    """
    remotes = [named(workspace, index, remote)] if remote else None
    entries = list(entries)
    directories = [entry for entry in entries if entry.kind == "directory"]
    files = [entry for entry in entries if entry.kind == "file"]
    done = _pull_files(workspace, index, files, remotes, jobs, dry_run=dry_run)
    for entry in directories:
        try:
            one = pull_directory(
                workspace,
                index,
                entry,
                remotes=remotes,
                jobs=jobs,
                dry_run=dry_run,
                had_only=had_only,
            )
        except LazydataError as error:
            if len(entries) == 1 or isinstance(error, (RemoteUnavailable, RemoteDenied)):
                raise
            done.left.append(line(entry.name, error))
            continue
        done = Pulled(
            done.paths + one.changed,
            done.objects + one.objects,
            done.size + one.size,
            done.left + one.left,
        )
    return done


def _pull_files(
    workspace: Workspace,
    index: Index,
    entries: Sequence[Entry],
    remotes: Sequence[RemoteSpec] | None,
    jobs: int | None,
    *,
    dry_run: bool,
) -> Pulled:
    todo, left = _look_at_all(workspace, index, entries)
    lacking_now = set(workspace.store.lacking({e.latest.digest for e, _, _ in todo}))
    lacking = {e.path: e.latest for e, _, _ in todo if e.latest.digest in lacking_now}
    size = sum({v.digest: v.size or 0 for v in lacking.values()}.values())
    if dry_run:
        return Pulled([e.path for e, _, _ in todo], len(lacking_now), size, list(left.values()))
    failed = fetch(workspace, index, lacking, remotes, jobs) if lacking else {}
    index.hold()  # see what was noted of the objects that came
    left.update({path: line(path, error) for path, error in failed.items()})
    there = [each for each in todo if each[0].path not in failed]
    missing = [(entry, real) for entry, action, real in there if action == Action.RESTORE]
    _say_restoring([entry.path for entry, _ in missing if entry.path not in lacking])
    with shown("restoring files") as meter:
        meter.expect(files=len(missing))
        restored = restore_missing(workspace, index, missing, meter)
    done = restored.paths
    others = [entry for entry, action, _ in there if action != Action.RESTORE]
    for entry in [*restored.left, *others]:
        was_fetched = entry.path in lacking
        try:
            place = workspace.place(entry.path)
            settled = Settling(workspace, place, index, only=PULLS, was_fetched=was_fetched).run()
        except LazydataError as error:
            left[entry.path] = line(entry.path, error)
            continue
        if settled.action in REPLACES:
            done.append(entry.path)
        elif settled.action not in PULLS:
            left[entry.path] = _left_alone(entry.path)
    fetched = {v.digest: v.size or 0 for path, v in lacking.items() if path not in failed}
    return Pulled(done, len(fetched), sum(fetched.values()), list(left.values()))


def _look_at_all(
    workspace: Workspace, index: Index, entries: Iterable[Entry]
) -> tuple[list[tuple[Entry, str, str]], dict[str, str]]:
    """Entries that something is to be done for, what, and where; and those left alone."""
    entries = list(entries)
    baselines = workspace.baseline.some(entry.path for entry in entries)
    todo: list[tuple[Entry, str, str]] = []
    left: dict[str, str] = {}
    for entry in entries:
        versions = [version.digest for version in entry.versions]
        try:
            real = workspace.place(entry.path).real
            found = look(real, index, versions)
        except (FileBusy, FileChanged, FileDenied, UsageError) as error:
            left[entry.path] = line(entry.path, error)
            continue
        file = found.digest if found else None
        action = reconcile(file, baselines.get(entry.path), versions, entry.latest.digest)
        if action not in PULLS:
            left[entry.path] = _left_alone(entry.path)
        elif action != Action.NOTHING:
            todo.append((entry, action, real))
    return todo, left


def _left_alone(path: str) -> str:
    return (
        f"{path} was changed here and is left alone: `lazydata track {typed(path)}` "
        f"records it, `lazydata restore {typed(path)}` replaces it"
    )


def _say_restoring(paths: Sequence[str]) -> None:
    if len(paths) > _NAMED_AT_MOST:
        say(f"Restoring {len(paths):,} files from the local store")
    else:
        for path in paths:
            say(f"Restoring {path} from the local store")


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
        failed = fetch(workspace, index, wanted)
    except (RemoteDenied, RemoteUnavailable) as error:
        raise type(error)(f"{names} can't be had: {error.message}", hint=error.hint) from error
    for failure in failed.values():
        raise failure


def bring(
    workspace: Workspace,
    remotes: Sequence[RemoteSpec],
    digests: Sequence[Digest],
    doing: str,
    jobs: int | None = None,
    *,
    sizes: Mapping[Digest, int | None] | None = None,
) -> dict[Digest, LazydataError]:
    """Bring objects into the store, from whichever remote has them.

    Args:
        doing: what is downloaded, for the display.
        jobs: how many transfers at once.
        sizes: bytes that they have at most, as far as that is known.

    Returns:
        Why some did not come.

    Raises:
        RemoteUnavailable, RemoteDenied: nothing could be had, for one cause.
    """
    memory = IndexedMemory(config.index_dir())
    store = workspace.store
    where = workspace.baseline.directory
    try:
        workspace.baseline.prepare()
        where = store.directory
        store.register(workspace.baseline.id, workspace.root)
    except OSError as error:
        raise from_os_error(error, "write", where) from error
    with shown(f"downloading {doing}") as meter:
        done = transfer.pull(
            [partial(open_repository, spec, memory, jobs) for spec in remotes],
            digests,
            store,
            sizes=sizes,
            meter=meter,
            jobs=jobs,
        )
    for url in {*done.fetched.values()}:
        remember_pushed(workspace, url, [d for d, by in done.fetched.items() if by == url])
    return done.failed


def fetch(
    workspace: Workspace,
    index: Index,
    wanted: Mapping[str, Version],
    remotes: Sequence[RemoteSpec] | None = None,
    jobs: int | None = None,
) -> dict[str, LazydataError]:
    """Bring the objects of some versions into the store, and say so.

    Args:
        wanted: versions by the path of their entry.
        remotes: those to ask; by default all.
        jobs: how many transfers at once.

    Returns:
        The errors of what did not come, by path.

    Raises:
        RemoteUnavailable, RemoteDenied: nothing could be had, for one cause.
    """
    if remotes is None:
        remotes = list(workspace.view(index).remotes.values())
    if len(wanted) > _NAMED_AT_MOST:
        say(f"Downloading {len(wanted):,} stored files ...")
    else:
        for path in wanted:
            say(f"Downloading stored file {path} ...")
    doing = next(iter(wanted)) if len(wanted) == 1 else f"{len(wanted):,} files"
    sizes = {version.digest: version.size for version in wanted.values()}
    done = bring(workspace, remotes, list(sizes), doing, jobs, sizes=sizes)
    failed: dict[str, LazydataError] = {}
    for path, version in wanted.items():
        why = done.get(version.digest)
        if why is None or (version.source_url and _from_source(workspace, path, version)):
            continue
        if isinstance(why, RemoteObjectMissing):
            for spec in remotes:
                remember_pushed(workspace, spec.url, (), [version.digest])
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
    from lazydata.workspace import sources  # urllib is slow to import, and hardly ever needed

    return sources.fetch(workspace, path, version)
