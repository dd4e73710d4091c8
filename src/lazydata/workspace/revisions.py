"""The manifest as a revision of git has it, and what is meant in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from lazydata import manifest
from lazydata.errors import ManifestInvalid, NotTracked, UsageError
from lazydata.git import Git
from lazydata.index import Index
from lazydata.manifest import NAME, Entry, RemoteSpec, Version
from lazydata.messages import printable, typed
from lazydata.workspace import Workspace
from lazydata.workspace.names import enclosing, resolve
from lazydata.workspace.nested import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.manifest.view import MemoryView

_NAMED_AT_MOST = 5


class Revision(NamedTuple):
    """What the manifest of a workspace says at a revision.

    Args:
        name: as it was given, such as ``HEAD~3``.
        commit: its full hash.
        file: the manifest, as messages name it.
        view: what it says there.
    """

    name: str
    commit: str
    file: str
    view: MemoryView


def repository_of(workspace: Workspace) -> Git:
    """The repository that a workspace's manifest lies in.

    Raises:
        UsageError: it lies in none.
    """
    git = Git.holding(os.path.realpath(workspace.file))
    if git is None:
        raise UsageError(
            f"{workspace.file} is in no git repository, so there are no revisions of it",
            hint="`lazydata ls --versions` shows the versions that it lists",
        )
    return git


def revision_of(workspace: Workspace, name: str) -> Revision:
    """Read the manifest of a workspace as a revision has it, also where it lay elsewhere then.

    Args:
        name: as git understands it.

    Raises:
        UsageError: there is no such revision, or no repository.
        NotTracked: it has no such manifest.
        ManifestInvalid: it has one that can't be read.
        GitFailed: git can't be asked.
    """
    if not name:
        raise UsageError("a REV is empty", hint="such as HEAD~3, main, or part of a commit's hash")
    git = repository_of(workspace)
    commit = git.resolve(name)
    path = os.path.realpath(workspace.file)
    data = git.read([commit], path)[0]
    if data is None:
        moved = git.renamed(path, commit)
        if moved is not None:
            path, data = moved, git.read([commit], moved)[0]
    file = f"{name}:{git.relative(path)}"
    if data is None:
        there = [git.relative(each) for each in git.files(commit, NAME)][:_NAMED_AT_MOST]
        others = f"; it has {', '.join(map(printable, there))}" if there else ""
        raise NotTracked(
            f"the revision {name} has no {git.relative(path)}{others}",
            path=workspace.file,
            hint=f"`git log --oneline -- {typed(git.relative(path))}` shows the commits that "
            "changed it",
        )
    try:
        view = manifest.read(manifest.decode(data, file=file), file=file)
    except ManifestInvalid as error:
        error.hint = "that is how it was committed: name another revision"
        raise
    return Revision(name, commit, file, view)


def named_in(workspace: Workspace, revision: Revision, part: Part, cwd: str) -> list[Entry]:
    """The entries that a command means, as a revision lists them.

    Raises:
        NotTracked: a path that names nothing there.
    """
    try:
        return resolve(workspace, revision.view, part, cwd)
    except NotTracked as error:
        raise NotTracked(
            f"{revision.file} lists nothing at {error.filename}",
            path=error.filename,
            hint=f"`lazydata log {typed(error.filename)}` shows which commits list it",
        ) from None


def restorable(
    workspace: Workspace, index: Index, revision: Revision, part: Part, cwd: str
) -> Iterator[tuple[Entry, Version]]:
    """Entries as they are today, each with the version that was the latest at a revision.

    An entry that is listed no more has no versions.

    Raises:
        NotTracked: a path that the revision does not list.
        UsageError: what was listed there is a part, or the whole, of another entry today.
    """
    for then in named_in(workspace, revision, part, cwd):
        now = workspace.view(index).entry(then.path)
        if now is None:
            _check_free(workspace, index, revision, then)
            now = Entry(then.path, ())
        yield now._replace(portion=then.portion), then.latest


def _check_free(workspace: Workspace, index: Index, revision: Revision, then: Entry) -> None:
    view, bare = workspace.view(index), then.path.rstrip("/")
    above = enclosing(view, bare)
    taken = [above.path] if above else list(view.below(bare))
    taken += [path for path in (bare, bare + "/") if view.entry(path) is not None]
    if taken:
        raise UsageError(
            f"{revision.file} lists {then.path}, and {NAME} now lists "
            + ", ".join(taken[:_NAMED_AT_MOST]),
            hint="`lazydata untrack` that first (files stay), or get the old bytes with "
            f"`lazydata pull --rev {typed(revision.name)} {typed(then.name)}` and "
            f"`git show {typed(revision.file)}`",
        )
    if then.portion:
        raise UsageError(
            f"{NAME} lists {then.path} no more, so that no part of it can be restored",
            hint=f"`lazydata restore --from {typed(revision.name)} {typed(then.path)}` restores "
            "all of it",
        )


def remotes_of(workspace: Workspace, index: Index, *revisions: Revision) -> dict[str, RemoteSpec]:
    """The remotes of today's manifest; where it has none or can't be read, of some revisions."""
    try:
        known = workspace.view(index).remotes
    except ManifestInvalid:
        known = {}
    views = (revision.view for revision in revisions)
    return known or next((view.remotes for view in views if view.remotes), {})
