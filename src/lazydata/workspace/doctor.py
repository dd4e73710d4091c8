"""Doctor: look at all that lazydata rests on here, and say what could be done about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from lazydata.errors import NotAWorkspace
from lazydata.messages import typed
from lazydata.workspace import Workspace, user_store
from lazydata.workspace.doctor_git import check_git
from lazydata.workspace.doctor_local import check_clock, check_index, check_links, check_store
from lazydata.workspace.doctor_remotes import check_remotes
from lazydata.workspace.findings import OK, PROBLEM, WARNING, Finding, guarded
from lazydata.workspace.roots import is_gone


def doctor(directory: str, *, write: bool = False) -> Iterator[Finding]:
    """All findings about the set-up in a directory, in a workspace or not.

    Nothing of the user's is changed.

    Args:
        directory: absolute.
        write: also write a small file to each remote, and remove it.
    """
    try:
        workspace = Workspace.above(directory)
    except NotAWorkspace as error:
        workspace = None
        yield Finding("workspace", WARNING, error.message, error.hint or "")
    root = workspace.root if workspace else directory
    # The index first: whoever opens a damaged one moves it aside.
    yield from guarded("index", check_index)
    yield from guarded("store", partial(check_store, root))
    yield from guarded("links", partial(check_links, root))
    yield from guarded("clock", check_clock)
    yield from guarded("store", _check_served)
    if workspace is not None:
        yield from guarded("workspace", partial(_check_workspace, workspace))
        yield from guarded("git", partial(check_git, workspace))
        yield from guarded("remotes", partial(check_remotes, workspace, write=write))


def _check_workspace(workspace: Workspace) -> Iterator[Finding]:
    with workspace.index() as index:
        count = len(workspace.view(index).files)
    listed = f"{count} entries" if count != 1 else "1 entry"
    denied = [path for path in _written(workspace) if not os.access(path, os.W_OK)]
    if denied:
        advice = "track() can't record there; `ls -l` shows whose it is"
        yield Finding("workspace", PROBLEM, f"{denied[0]} may not be written", advice)
        return
    yield Finding("workspace", OK, f"{workspace.root}, with {listed}")
    if not os.path.isdir(workspace.baseline.directory):
        return
    known = {each.root for each in workspace.store.registry.all()}
    if workspace.root not in known:
        advice = "`lazydata pull`, or any track(), names it there; gc asks only what is named"
        yield Finding("workspace", WARNING, "the store does not know this workspace", advice)


def _written(workspace: Workspace) -> Iterator[str]:
    """What has to be writable so that something can be recorded."""
    for path in (workspace.root, workspace.file, workspace.baseline.directory):
        if os.path.exists(path):
            yield path


def _check_served() -> Iterator[Finding]:
    for known in user_store().registry.all():
        try:
            if is_gone(known.root):
                advice = f"if it is gone for good, `lazydata gc --forget {typed(known.root)}`"
                message = f"gc keeps everything, since {known.root} is not there"
                yield Finding("store", WARNING, message, advice)
        except OSError as error:
            message = f"gc keeps everything, since {known.root} can't be read: {error.strerror}"
            yield Finding("store", WARNING, message, "see that it can be read")
