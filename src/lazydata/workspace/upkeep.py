"""Single files on request: restore, read, unlock, untrack."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from lazydata import fsutil, links, manifest
from lazydata.adopting import MovedError
from lazydata.digest import Digest
from lazydata.errors import (
    FileBusy,
    LazydataError,
    NotTracked,
    UsageError,
    from_os_error,
)
from lazydata.index import FileRow, Index
from lazydata.manifest import Entry, Version
from lazydata.messages import say, typed
from lazydata.progress import shown
from lazydata.stamp import stamp_of
from lazydata.workspace import Workspace
from lazydata.workspace.look import look
from lazydata.workspace.names import wanted_version
from lazydata.workspace.placing import put_in_place, refuse_if_open, sound
from lazydata.workspace.restoring import restore_missing
from lazydata.workspace.unsharing import unshare_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from lazydata.workspace import View

_ATTEMPTS = 4


def restore(
    workspace: Workspace, index: Index, entry: Entry, version: str | Version | None = None
) -> Digest:
    """Put a recorded version in its place, whatever is there now.

    What is there is stored first, if no version of it is, and can be had back. An
    older version becomes the newest in the manifest, so that ``track`` agrees.

    Args:
        entry: to be restored; without versions where it is listed no more.
        version: a digest's prefix, or a version that the entry need not list any more; None
            for the latest.

    Returns:
        The digest of what is there now.

    Raises:
        NotTracked: there is no such version.
        ObjectMissing: it is neither stored nor on a remote.
        FileBusy: the file does not hold still.
    """
    if entry.kind == "directory":
        from lazydata.workspace.inside_upkeep import restore_inside

        try:
            return restore_inside(workspace, index, entry, version)
        except FileNotFoundError as error:
            if isinstance(error, LazydataError):
                raise
            raise FileBusy(f"{error.filename} went just now", hint="run it again") from error
        except OSError as error:
            raise from_os_error(error, "restore", entry.name) from error
    name = entry.path
    wanted = wanted_version(workspace, entry, version)
    place = workspace.place(name)
    try:
        for _ in range(_ATTEMPTS):
            try:
                if _restore_once(workspace, index, entry, wanted, place.real):
                    return wanted.digest
            except FileNotFoundError as error:
                if error.filename != place.real:
                    raise
    except OSError as error:
        raise from_os_error(error, "restore", name) from error
    raise FileBusy(f"{name} keeps changing", hint="wait until its writer is done")


def restore_missing_files(workspace: Workspace, index: Index, entries: Iterable[Entry]) -> set[str]:
    """Put the latest versions of many files in their places together, where nothing is.

    Returns:
        Paths of those; all others are for ``restore``.
    """
    missing: dict[str, tuple[Entry, str]] = {}
    for entry in entries:
        try:
            real = workspace.place(entry.path).real
            if entry.kind == "file" and not os.path.lexists(real):
                missing.setdefault(real, (entry, real))
        except LazydataError:
            pass  # told when it is restored by itself
    lacking = set(workspace.store.lacking(entry.latest.digest for entry, _ in missing.values()))
    there = [each for each in missing.values() if each[0].latest.digest not in lacking]
    if len(there) <= fsutil.FLUSHED_ALONE:
        return set()
    with shown("restoring files") as meter:
        meter.expect(files=len(there))
        return set(restore_missing(workspace, index, there, meter).paths)


def _restore_once(
    workspace: Workspace, index: Index, entry: Entry, wanted: Version, real: str
) -> bool:
    name, digest = entry.path, wanted.digest
    listed = [v.digest for v in entry.versions]
    found = look(real, index, [*listed, digest])
    temp = ""
    try:
        if found is None or found.digest != digest:
            if found is not None:
                # Its bytes are to be in the store before they leave the workspace.
                workspace.baseline.prepare()
                workspace.store.register(workspace.baseline.id, workspace.root)
                try:
                    found.stamp = workspace.store.adopt(real, found, index)
                except MovedError:
                    return False
            directory = os.path.dirname(real)
            fsutil.make_dirs(directory)
            temp, _ = sound(
                workspace,
                index,
                name,
                wanted,
                lambda: workspace.store.materialise(digest, directory, index, like=real),
            )
        with workspace.baseline.lock():
            now = look(real, index, [*listed, digest])
            if (now.digest if now else None) != (found.digest if found else None):
                return False
            if temp:
                refuse_if_open(real, name)
            if digest not in listed[-1:]:
                size = wanted.size if wanted.size is not None else os.stat(temp or real).st_size
                newest = Version(digest, size, wanted.usage, producer=wanted.producer)
                workspace.edit(
                    index, name, lambda text, view: manifest.record(text, view, name, newest)
                )
            if temp:
                if found is not None and found.digest not in listed:
                    workspace.baseline.displaced(name, found.digest)
                    say(
                        f"{name} was not recorded as it was: it is stored, and `lazydata restore "
                        f"{typed(name)} --version {found.digest.hex[:12]}` gets it back"
                    )
                put_in_place(workspace, index, temp, real, now, name)
            workspace.baseline.put({name: digest})
    finally:
        if temp:
            fsutil.remove(temp)
    return True


def opened(
    workspace: Workspace, index: Index, entry: Entry, version: str | Version | None = None
) -> BinaryIO:
    """One version, checked, for reading only.

    Args:
        version: a digest's prefix, or a version that the entry need not list any more; None
            for the latest.

    Raises:
        ObjectMissing: it is neither stored nor on a remote.
        ObjectCorrupt: it is damaged everywhere.
    """
    if entry.kind == "directory":
        from lazydata.workspace.inside_upkeep import read_inside

        inside = read_inside(workspace, index, entry, version)
        return workspace.store.opened(inside, index)
    workspace.place(entry.path)
    wanted = wanted_version(workspace, entry, version)
    digest = wanted.digest
    store = workspace.store
    return sound(workspace, index, entry.path, wanted, lambda: store.opened(digest, index))


def untrack(workspace: Workspace, index: Index, entries: Iterable[Entry]) -> None:
    """Take entries out of the manifest; files and objects stay, and share nothing any more.

    Raises:
        ManifestInvalid: it can't be edited; nothing was written for that entry.
    """
    with workspace.baseline.lock():
        for entry in entries:
            if entry.portion:
                raise UsageError(
                    f"{entry.name} is a part of the tracked directory {entry.path}",
                    hint="list it in a .lazydataignore, and track the directory again",
                )

            def change(text: str, view: View, name: str = entry.path) -> tuple[str, None]:
                return manifest.remove(text, view, name), None

            for path in _files_of(workspace, entry):
                _unshare_if_shared(path)
            workspace.edit(index, entry.path, change)
            workspace.baseline.put({entry.path: None})
            if entry.kind == "directory":
                workspace.baseline.put({entry.path + "/": None})


def _files_of(workspace: Workspace, entry: Entry) -> list[str]:
    """Where an entry's files are; an entry that leads out of the workspace has none."""
    from lazydata.workspace.inside_upkeep import files_inside

    try:
        if entry.kind == "directory":
            return list(files_inside(workspace, entry))
        return [workspace.place(entry.path).real]
    except LazydataError:
        return []


def _unshare_if_shared(path: str) -> None:
    try:
        status = os.stat(path)
    except OSError:
        return
    if status.st_nlink > 1:
        unshare_object(path, status)


def unlock(workspace: Workspace, index: Index, entry: Entry) -> bool:
    """Make a file writable for any program, with the old version safe in the store.

    Returns:
        Whether there was anything to do.

    Raises:
        NotTracked: there is no file.
    """
    if entry.kind == "directory":
        from lazydata.workspace.inside_upkeep import files_inside

        paths = list(files_inside(workspace, entry))
        return sum(_unlock_file(path, index, entry.name) for path in paths) > 0
    return _unlock_file(workspace.place(entry.path).real, index, entry.path)


def _unlock_file(real: str, index: Index, name: str) -> bool:
    found = look(real, index)
    if found is None:
        raise NotTracked(
            f"{name} is not there",
            path=real,
            hint=f"`lazydata restore {typed(name)}` brings it",
        )
    try:
        status = os.stat(real)
        done = False
        if status.st_nlink > 1:
            done = unshare_object(real, status)
            if not done and links.is_shared(status):
                links.unshare(real)  # whatever it shares with, it is protected
                done = True
        if not os.stat(real).st_mode & stat.S_IWUSR:
            os.chmod(real, stat.S_IMODE(os.stat(real).st_mode) | stat.S_IWUSR)
            done = True
    except OSError as error:
        raise from_os_error(error, "unlock", name) from error
    if done:
        stamp = stamp_of(real)
        row = FileRow(stamp, True, found.digest, found.fingerprint, found.seen_ns)
        index.put_files([(real, row)])
    return done
