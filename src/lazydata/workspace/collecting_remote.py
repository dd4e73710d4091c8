"""gc of a remote: this project claims there what its whole history needs, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lazydata import config
from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest
from lazydata.errors import LazydataError, RemoteObjectMissing, from_os_error
from lazydata.git import Git
from lazydata.index import Index
from lazydata.manifest import RemoteSpec
from lazydata.progress import shown
from lazydata.remotes.candidates import GRACE_SECONDS
from lazydata.remotes.threads import run
from lazydata.transfer.collecting import RemoteCollector
from lazydata.transfer.unclaimed import RemoteSurvey
from lazydata.workspace import Workspace
from lazydata.workspace.collecting import Needs
from lazydata.workspace.pulling import bring
from lazydata.workspace.remotes import named, open_spec, project_of, remember_pushed
from lazydata.workspace.roots import Blocked, Demand, Roots


class CollectedRemote(NamedTuple):
    """What a gc of a remote did, or would do.

    Args:
        remote: its name.
        survey: what is there, and what becomes of it; None where it was not looked at.
        blocked: what can't be read, and so keeps everything.
    """

    remote: str
    survey: RemoteSurvey | None
    blocked: list[Blocked]


def gc_remote(
    workspace: Workspace, remote: str, *, force: bool, grace: float = GRACE_SECONDS
) -> CollectedRemote:
    """Take from a remote what no claim on it needs.

    Args:
        workspace: whose project claims there; that is, all workspaces of it that the user's
            store knows.
        remote: its name.
        force: do it; else only say what would be done.
        grace: seconds; what is newer stays, and what is found to be needed by nobody stays so
            long after that was written down there.

    Raises:
        UsageError: there is no such remote, or nothing was ever pushed there.
        RemoteUnavailable, RemoteDenied: it can't be reached, or nothing can be removed there.
        ObjectCorrupt: an index file can't be read, so that all may be needed.
    """
    try:
        with Index(config.index_dir()) as index:
            spec = named(workspace, index, remote)
            # Here what it needs is looked for: that must not fail silently.
            workspace.baseline.prepare()
            workspace.store.register(workspace.baseline.id, workspace.root)
            needs, roots = _needs(workspace, index, spec)
            if roots.blocked:
                return CollectedRemote(spec.name, None, roots.blocked)
            survey = _collect(workspace, spec, needs, force=force, grace=grace)
    except LazydataError:
        raise  # some are an OSError as well
    except OSError as error:
        raise from_os_error(error, "read", error.filename or workspace.root) from error
    if survey.unknown:
        return CollectedRemote(spec.name, None, [_nowhere(each) for each in survey.unknown])
    if force:
        for demand in roots.demands:
            for served in demand.workspaces:
                remember_pushed(served.workspace, spec.url, (), survey.dropped)
    return CollectedRemote(spec.name, survey, [])


def _needs(workspace: Workspace, index: Index, spec: RemoteSpec) -> tuple[Needs, Roots]:
    """What this project needs, as far as git and the workspaces of the store know."""
    roots = Roots(workspace.store.registry)
    project = project_of(spec)
    if project:
        roots.demands = [each for each in roots.demands if project in each.projects]
    roots.blocked += _incomplete(roots.demands)
    others = [each for each in workspace.view(index).remotes.values() if each.url != spec.url]

    def fetch(trees: list[Digest]) -> Iterable[Digest]:
        failed = bring(workspace, [spec, *others], trees, "lists of directories")
        index.hold()  # see what was noted of what came
        for digest, error in failed.items():
            if isinstance(error, RemoteObjectMissing):
                yield digest
            else:
                hint = error.hint or "see that it can be had"
                roots.blocked.append(Blocked(str(digest), error.message, hint))

    # Nothing is asked of a remote for what is going to be refused.
    return Needs(workspace.store, index, roots, None if roots.blocked else fetch), roots


def _collect(
    workspace: Workspace, spec: RemoteSpec, needs: Needs, *, force: bool, grace: float
) -> RemoteSurvey:
    async def work() -> RemoteSurvey:
        collector = RemoteCollector(
            open_spec(spec),
            memory=IndexedMemory(config.index_dir()),
            project=project_of(spec),
            scratch=workspace.store.scratch(),
        )
        try:
            survey = await collector.survey(
                needs.by, grace=grace, unknown=needs.unknown, force=force
            )
            if force and not survey.unknown:
                await collector.sweep(survey)
            return survey
        finally:
            await collector.close()

    with shown(f"looking at what is on {spec.name}") as meter:
        meter.expect()
        return run(work)


def _nowhere(digest: Digest) -> Blocked:
    return Blocked(
        str(digest),
        "the list of a directory is nowhere to be had, so that nobody knows what was in it",
        "`lazydata push --check` where it was recorded sends it again",
    )


def _incomplete(demands: Sequence[Demand]) -> list[Blocked]:
    """Clones that have not all of the history, and so do not know what it needs."""
    found: dict[str, Blocked] = {}
    for served in (served for demand in demands for served in demand.workspaces):
        git = Git.holding(os.path.realpath(served.workspace.file))
        if git is None or git.top in found:
            continue
        if git.is_shallow():
            why, hint = "this clone has only the newest commits", "`git fetch --unshallow`"
        elif narrow := git.narrow_remotes():
            why = f"this clone fetches only some branches of {', '.join(narrow)}"
            hint = f"`git remote set-branches {narrow[0]} '*' && git fetch {narrow[0]}`"
        else:
            continue
        hint = f"{hint}, or run gc in a clone that has all of it"
        found[git.top] = Blocked(git.top, f"{why}, and does not know what the others need", hint)
    return list(found.values())
