"""All that a report shows of a workspace: its graph, where the bytes are, when versions came."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.errors import GitFailed
from lazydata.git import Commit, Git
from lazydata.index import Index
from lazydata.manifest import Entry, Version
from lazydata.messages import warn
from lazydata.workspace import Workspace
from lazydata.workspace.graph import Graph, build
from lazydata.workspace.status import status

_HEX = re.compile(rb"[0-9a-f]{64}", re.IGNORECASE)


class VersionRow(NamedTuple):
    """One version of an entry, and where it is.

    Args:
        version: as the manifest lists it.
        commit: the first one whose manifest lists these bytes; None where none does.
        stored: the store has it.
        remotes: names of those that are known to have it.
    """

    version: Version
    commit: Commit | None
    stored: bool
    remotes: tuple[str, ...]


class EntryRow(NamedTuple):
    """One entry.

    Args:
        entry: as the manifest lists it.
        state: as ``status`` tells it.
        versions: the oldest first.
    """

    entry: Entry
    state: str
    versions: list[VersionRow]


class Report(NamedTuple):
    """What a report shows.

    Args:
        name: of the workspace's directory.
        made: when, in seconds since the epoch.
        has_git: whether there is a history to look at.
        shallow: older history is not in this clone.
        remotes: names of all remotes.
        rows: the entries.
        graph: of them and the scripts.
        absent: names of scripts that are not there.
    """

    name: str
    made: float
    has_git: bool
    shallow: bool
    remotes: list[str]
    rows: list[EntryRow]
    graph: Graph
    absent: set[str]


def report(workspace: Workspace, index: Index) -> Report:
    """Gather what a report shows; asks no remote.

    Args:
        workspace: all of it is meant.
        index: open.
    """
    view = workspace.view(index)
    entries = list(view.files.values())
    states = {row.path: row.state for row in status(workspace, entries, index)}
    digests = list(dict.fromkeys(v.digest for entry in entries for v in entry.versions))
    lacking = set(workspace.store.lacking(digests))
    pushed = {
        name: workspace.baseline.pushed([spec.url], digests) for name, spec in view.remotes.items()
    }
    commits, has_git, shallow = _history(workspace, digests)

    def row(version: Version) -> VersionRow:
        digest = version.digest
        remotes = tuple(name for name, there in pushed.items() if digest in there)
        return VersionRow(version, commits.get(digest), digest not in lacking, remotes)

    rows = [EntryRow(e, states[e.path], [row(v) for v in e.versions]) for e in entries]
    graph = build(entries)
    name = os.path.basename(workspace.root) or workspace.root
    return Report(
        name,
        time.time(),
        has_git,
        shallow,
        list(view.remotes),
        rows,
        graph,
        absent(workspace, graph.scripts),
    )


def absent(workspace: Workspace, scripts: Iterable[str]) -> set[str]:
    """Those of some scripts that are not there; a label without an ending is no file's name."""
    return {
        script
        for script in scripts
        if os.path.splitext(script)[1] and not os.path.lexists(os.path.join(workspace.root, script))
    }


def _history(
    workspace: Workspace, digests: Iterable[Digest]
) -> tuple[dict[Digest, Commit], bool, bool]:
    """Commits by digest, whether git is there, and whether its history is cut off."""
    file = os.path.realpath(workspace.file)
    git = Git.holding(file)
    if git is None:
        return {}, False, False
    try:
        return first_listed(git, file, digests), True, bool(git.boundary())
    except GitFailed as error:
        warn(f"the history can't be read, so no dates are shown: {error}")
        return {}, False, False


def first_listed(git: Git, file: str, digests: Iterable[Digest]) -> dict[Digest, Commit]:
    """Find the first commit whose manifest names each digest, under whatever path.

    No manifest is parsed for that: a thousand long ones are only searched for hex digits.

    Args:
        git: the repository.
        file: the manifest, absolute.
        digests: that are looked for.

    Raises:
        GitFailed: git can't be asked.
    """
    from lazydata.workspace.history import each_manifest

    wanted: dict[bytes, list[Digest]] = {}
    for digest in digests:
        wanted.setdefault(digest.hex.encode(), []).append(digest)
    found: dict[Digest, Commit] = {}
    for commit, _, data in each_manifest(git, file):
        here = {digits.lower() for digits in _HEX.findall(data)}
        for digits in here & wanted.keys():
            found.update((digest, commit) for digest in wanted.pop(digits))
        if not wanted:
            break
    return found
