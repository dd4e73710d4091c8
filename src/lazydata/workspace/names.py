"""What the PATH arguments of a command mean: entries of the manifest, there or not on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lazydata.digest import Digest
from lazydata.errors import NotTracked, PathOutside, UsageError
from lazydata.manifest import Entry
from lazydata.messages import say
from lazydata.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View


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
    """Entries that a name means: that very path, or all below it."""
    if not name:
        return list(view.files.values())
    exact = view.entry(name) or view.entry(name + "/")
    if exact is not None:
        return [exact]
    return [entry for path, entry in view.files.items() if path.startswith(name + "/")]


def find_bare(view: View, argument: str) -> list[Entry]:
    """The one entry whose file name is the argument, said aloud; none if there is none.

    Raises:
        UsageError: there are several.
    """
    if not argument or "/" in argument or os.sep in argument:
        return []
    fits = [e for path, e in view.files.items() if path.rstrip("/").rpartition("/")[2] == argument]
    if len(fits) > 1:
        raise UsageError(
            f"{argument} could be {', '.join(e.path for e in fits[:5])}",
            hint="give the path of the one you mean",
        )
    if fits:
        say(f"Taking {fits[0].path} for {argument}")
    return fits


def resolve(workspace: Workspace, view: View, arguments: Iterable[str], cwd: str) -> list[Entry]:
    """The entries that arguments name, each once; all of them where there is no argument.

    Args:
        workspace: of the working directory.
        view: of its manifest.
        arguments: paths or prefixes of paths, relative to ``cwd``, or bare file names.
        cwd: the working directory, absolute.

    Raises:
        NotTracked: one that names nothing.
        UsageError: one that leads outside, or could mean several.
    """
    arguments = list(arguments)
    if not arguments:
        return list(view.files.values())
    found: dict[str, Entry] = {}
    for argument in arguments:
        name = name_of(workspace, argument, cwd)
        entries = find(view, name) or find_bare(view, argument)
        if not entries and name:
            raise not_tracked(argument)
        found.update((entry.path, entry) for entry in entries)
    return list(found.values())


def not_tracked(argument: str) -> NotTracked:
    """The error for an argument that names no entry."""
    return NotTracked(
        f"lazydata.yml lists nothing at {argument}",
        path=argument,
        hint="`lazydata ls` shows what it lists",
    )


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
    journal = [d for _, path, d in workspace.baseline.journal() if path == entry.path]
    known = dict.fromkeys([v.digest for v in entry.versions] + journal)
    fits = [d for d in known if d.startswith(wanted) or d.hex.startswith(wanted)]
    if not wanted or len(fits) > 1:
        raise UsageError(
            f"{prefix!r} fits {len(known) if not wanted else len(fits)} versions of {entry.path}",
            hint=f"give more digits; `lazydata ls --versions {entry.path}` shows them",
        )
    if not fits:
        raise NotTracked(
            f"{entry.path} has no version {prefix}",
            path=entry.path,
            hint=f"`lazydata ls --versions {entry.path}` shows them",
        )
    return fits[0]
