"""Doctor: whether git knows of lazydata, and keeps data out of its history."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from lazydata.errors import GitFailed, UsageError
from lazydata.git import Git
from lazydata.manifest import NAME
from lazydata.workspace import Workspace
from lazydata.workspace.findings import OK, PROBLEM, WARNING, Finding
from lazydata.workspace.git_hook_files import HOOKS, script
from lazydata.workspace.git_setup import driver, starting

_NAMED_AT_MOST = 3


def check_git(workspace: Workspace) -> Iterator[Finding]:
    """Git itself, what it knows of lazydata.yml, and whether it has data that it should not."""
    git = Git.holding(os.path.realpath(workspace.file))
    if git is None:
        advice = "`git init`, and commit lazydata.yml with your code"
        yield Finding("git", WARNING, f"{workspace.root} is in no repository", advice)
        return
    try:
        version = git.text("--version").removeprefix("git version ")
        git.text("rev-parse", "--git-dir")
    except GitFailed as error:
        yield Finding("git", PROBLEM, error.message, error.hint or "")
        return
    yield Finding("git", OK, f"{version}, {git.top}")
    yield from _check_manifest(git, workspace)
    yield from _check_driver(git, workspace)
    yield from _check_hooks(git)
    yield from _check_data(git, workspace)


def _check_manifest(git: Git, workspace: Workspace) -> Iterator[Finding]:
    file = os.path.realpath(workspace.file)
    if git.committed([file]):
        return
    if git.ignored([file]):
        advice = f"`git check-ignore -v {NAME}` shows the rule: take it out"
        yield Finding("git", PROBLEM, f"{NAME} is ignored, so that nobody else gets it", advice)
    else:
        advice = f"`git add {NAME}`, and commit it with your code"
        yield Finding("git", WARNING, f"{NAME} is not in git yet", advice)


def _check_driver(git: Git, workspace: Workspace) -> Iterator[Finding]:
    file = git.relative(os.path.realpath(workspace.file))
    said = git.text("check-attr", "merge", "--", file).rpartition(": ")[2]
    known = git.get("merge.lazydata.driver")
    advice = "`lazydata git install`"
    if said != "lazydata":
        message = f"{NAME} is merged line by line, which makes conflicts that are none"
        yield Finding("git", WARNING, message, advice)
    elif known is None:
        message = "the merge driver is not set up in this clone"
        yield Finding("git", WARNING, message, advice)
    elif known != driver(*starting()):
        message = "the merge driver starts another lazydata than this one"
        yield Finding("git", WARNING, message, f"{advice} brings it up to date")
    else:
        yield Finding("git", OK, f"{NAME} is merged by entry")


def _check_hooks(git: Git) -> Iterator[Finding]:
    advice = "`lazydata git install --hooks`"
    here = {name: _read(os.path.join(git.path("hooks"), name)) for name in HOOKS}
    ours = {name: data for name, data in here.items() if b"lazydata" in data}
    if not ours:
        message = f"no hooks; {advice} checks that what you push is on a remote"
        yield Finding("git", OK, message)
        return
    try:
        wanted = {name: script(name, starting()) for name in HOOKS}
    except UsageError as error:
        yield Finding("git", WARNING, error.message, error.hint or "")
        return
    if any(here[name] != wanted[name] for name in HOOKS):
        yield Finding("git", WARNING, "some hooks are missing, or not up to date", advice)
    else:
        yield Finding("git", OK, "hooks are up to date")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def _check_data(git: Git, workspace: Workspace) -> Iterator[Finding]:
    """Data is for the store; in git it would stay in the history for good."""
    with workspace.index() as index:
        view = workspace.view(index)
        names, adds = list(view.files), view.gitignore
    paths: dict[str, str] = {}
    for name in names:
        real = os.path.join(os.path.realpath(workspace.root), name.rstrip("/"))
        if _is_below(real, git.top):
            paths[real] = name
    committed = git.committed(paths)
    inside = {n for p, n in paths.items() if any(_is_below(each, p) for each in committed)}
    memory = workspace.baseline.directory
    if git.committed([memory]):
        advice = f"git rm -r --cached {os.path.basename(memory)}"
        yield Finding("git", PROBLEM, f"{memory} is in git; it is this clone's alone", advice)
    if inside:
        advice = "`git rm -r --cached PATH`, and commit (the files stay)"
        yield Finding("git", PROBLEM, f"{_named(inside)} in git's index as data", advice)
    left = {path for path in paths if paths[path] not in inside}
    there = [path for path in left - git.ignored(left) if os.path.exists(path)] if left else []
    if there and adds:
        message = f"{_named({paths[each] for each in there})} not ignored by git"
        yield Finding("git", WARNING, message, "add a line for it to .gitignore")
    elif not inside:
        yield Finding("git", OK, "no data is in git")


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top + os.sep)


def _named(names: Collection[str]) -> str:
    first = sorted(names)[:_NAMED_AT_MOST]
    more = f" and {len(names) - len(first)} more" if len(names) > len(first) else ""
    return f"{', '.join(first)}{more} {'is' if len(names) == 1 else 'are'}"
