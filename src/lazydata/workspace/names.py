"""What the PATH arguments of a command mean: entries of the manifest, there or not on disk."""

from __future__ import annotations

import os

from lazydata import fsutil
from lazydata.digest import Digest
from lazydata.errors import NotTracked, PathOutside, UsageError
from lazydata.manifest import NAME, Entry, Version
from lazydata.messages import say, typed
from lazydata.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View
    from lazydata.workspace.nested import Part


def name_of(workspace: Workspace, argument: str, cwd: str) -> str:
    """An argument as the manifest would name it; "" for the whole workspace.

    Raises:
        PathOutside: it lies outside.
        UsageError: it is empty, as an unset variable of a shell is.
    """
    if not argument:
        raise UsageError("a PATH is empty", hint="`.` means the working directory")
    absolute = os.path.normpath(os.path.join(cwd, argument))
    name = os.path.relpath(absolute, workspace.root).replace(os.sep, "/")
    if name == ".." or name.startswith("../"):
        raise PathOutside(
            f"{argument} is outside the workspace {workspace.root}",
            hint="change into the workspace that it belongs to",
        )
    return "" if name == "." else name


def find(view: View, name: str) -> list[Entry]:
    """Entries that a name means: that very path, all below it, or what it is inside of."""
    if not name:
        return list(view.files.values())
    exact = view.entry(name) or view.entry(name + "/")
    if exact is not None:
        return [exact]
    found = list(view.below(name).values())
    above = None if found else enclosing(view, name)
    return [above._replace(portion=name[len(above.path) :])] if above else found


def enclosing(view: View, name: str) -> Entry | None:
    """The tracked directory that a path lies in, if it lies in one."""
    while "/" in name:
        name = name.rpartition("/")[0]
        entry = view.entry(name + "/")
        if entry is not None:
            return entry
    return None


def find_bare(view: View, argument: str) -> list[Entry]:
    """The one entry whose file name is the argument, said aloud; none if there is none.

    Raises:
        UsageError: there are several.
    """
    if not argument or "/" in argument or os.sep in argument:
        return []
    fits = list(view.called(argument).values())
    if len(fits) > 1:
        raise UsageError(
            f"{argument} could be {', '.join(e.path for e in fits[:5])}",
            hint="give the path of the one you mean",
        )
    if fits:
        say(f"Taking {fits[0].path} for {argument}")
    return fits


def resolve(workspace: Workspace, view: View, part: Part, cwd: str) -> list[Entry]:
    """The entries that a command means in one workspace, each once.

    Args:
        workspace: that the part is about.
        view: of its manifest.
        part: its paths may also be bare file names.
        cwd: the working directory, absolute.

    Raises:
        NotTracked: a path that names nothing.
        UsageError: one that could mean several.
    """
    found: dict[str, Entry] = {}
    for argument in part.paths:
        name = name_of(workspace, argument, cwd)
        entries = find(view, name) or find_bare(view, argument)
        if not entries and name:
            raise not_tracked(workspace, argument, cwd)
        found.update((entry.name, entry) for entry in entries)
    for area in part.areas:
        found.update((e.name, e) for e in find(view, name_of(workspace, area, cwd)))
    return list(found.values())


def not_tracked(workspace: Workspace, argument: str, cwd: str) -> NotTracked:
    """The error for an argument that names no entry."""
    inside = fsutil.is_inside(cwd, workspace.root)
    file = NAME if inside else os.path.relpath(workspace.file, cwd)
    return NotTracked(
        f"{file} lists nothing at {argument}",
        path=argument,
        hint="`lazydata ls` shows what it lists",
    )


def wanted_version(workspace: Workspace, entry: Entry, version: str | Version | None) -> Version:
    """The version of an entry that is meant, with all that the manifest says of it.

    Args:
        version: a digest's prefix, or None, as for ``version_of``; or one that the entry
            had in another state of the manifest.

    Raises:
        NotTracked, UsageError: as ``version_of``.
    """
    if not isinstance(version, Version):
        version = Version(version_of(workspace, entry, version))
    return {each.digest: each for each in entry.versions}.get(version.digest, version)


def version_of(workspace: Workspace, entry: Entry, prefix: str | None) -> Digest:
    """The version of an entry that a digest's prefix names; the latest where there is none.

    Versions that were displaced here count as well: they are stored, and this is
    the way back to them.

    Args:
        workspace: whose journal is looked at.
        entry: whose version is meant.
        prefix: of the hex digits, with or without the algorithm.

    Raises:
        NotTracked: it fits no version.
        UsageError: it fits several.
    """
    if prefix is None:
        return entry.latest.digest
    wanted = prefix.lower()
    journal = [d for _, path, d in workspace.baseline.journal() if path == entry.name]
    known = dict.fromkeys([v.digest for v in entry.versions] + journal)
    fits = [d for d in known if d.startswith(wanted) or d.hex.startswith(wanted)]
    if not wanted or len(fits) > 1:
        raise UsageError(
            f"{prefix!r} fits {len(known) if not wanted else len(fits)} versions of {entry.path}",
            hint=f"give more digits; `lazydata ls --versions {typed(entry.path)}` shows them",
        )
    if not fits:
        raise NotTracked(
            f"{entry.path} has no version {prefix}",
            path=entry.path,
            hint=f"`lazydata ls --versions {typed(entry.path)}` shows them",
        )
    return fits[0]
