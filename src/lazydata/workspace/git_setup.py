"""What git is told of lazydata: how ``lazydata.yml`` is merged, and hooks where they are wanted."""

from __future__ import annotations

import os
import shlex
import sys

from lazydata.errors import UsageError
from lazydata.git import Git
from lazydata.workspace.git_files import add_lines, take_lines

ATTRIBUTES = ("lazydata.yml merge=lazydata", ".gitignore merge=union")
_FILE = ".gitattributes"
_NAME = "merge.lazydata.name"
_DRIVER = "merge.lazydata.driver"


def install(directory: str, *, hooks: bool) -> list[str]:
    """Tell the repository that holds a directory how to merge ``lazydata.yml``.

    Nothing is staged or committed. What is there already stays as it is.

    Args:
        directory: in the work tree.
        hooks: also pre-push, post-checkout and post-merge.

    Returns:
        Lines that say what was done.

    Raises:
        UsageError: the directory is in no repository; a hook can't be put beside those there.
        GitFailed: git can't be run, or refuses.
        FileDenied: something may not be written.

    Example:
        print("\\n".join(install("/project", hooks=True)))
    """
    git, running = _repository(directory), starting()
    from lazydata.workspace import git_hook_files

    # What may refuse comes before anything is written.
    where = git_hook_files.prepare(git) if hooks else ""
    said = [_added(git), _configured(git, running)]
    if hooks:
        said += git_hook_files.install(git, where, running)
    return said


def uninstall(directory: str) -> list[str]:
    """Take back what ``install`` did.

    Args:
        directory: in the work tree.

    Returns:
        Lines that say what was done.

    Raises:
        UsageError, GitFailed, FileDenied: as for ``install``.
    """
    from lazydata.workspace import git_hook_files

    git = _repository(directory)
    said = []
    taken = take_lines(os.path.join(git.top, _FILE), ATTRIBUTES)
    if taken:
        said.append(f"{_FILE}: took out {_quoted(taken)}; commit that")
    known = [key for key in (_NAME, _DRIVER) if _own(git, key) is not None]
    for key in known:
        git.put(key, None)
    if known:
        said.append("git's configuration: took out the merge driver")
    return said + git_hook_files.uninstall(git) or ["nothing of lazydata's was there"]


def starting() -> tuple[str, str]:
    """How a shell finds lazydata again: the condition that it is there, and its command.

    Raises:
        UsageError: this interpreter does not know where it lies.
    """
    if not sys.executable:
        raise UsageError("it is not known where this Python lies", hint="start it by its path")
    python = os.path.abspath(sys.executable)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    ours = os.path.join(package, "__main__.py")
    there = f"test -x {shlex.quote(python)} && test -e {shlex.quote(ours)}"
    # Git runs it in the work tree. What lies there must not be taken for a module: -P.
    return there, f"{shlex.quote(python)} -P -m lazydata git"


def _repository(directory: str) -> Git:
    real = os.path.realpath(directory)
    git = Git.holding(real)
    if git is None:
        raise UsageError(
            f"{real} is in no work tree of git",
            hint="change into your repository, or make it one with `git init`",
        )
    return git


def _added(git: Git) -> str:
    added = add_lines(os.path.join(git.top, _FILE), ATTRIBUTES)
    if not added:
        return f"{_FILE}: has what it needs already"
    return f"{_FILE}: added {_quoted(added)}; commit that file, so that it holds in every clone"


def _quoted(lines: list[str]) -> str:
    return " and ".join(f"`{line}`" for line in lines)


def _configured(git: Git, running: tuple[str, str]) -> str:
    wanted = {_NAME: "lazydata.yml, merged by entry", _DRIVER: driver(*running)}
    known = {key: _own(git, key) for key in wanted}
    if known == wanted:
        return "git's configuration: has the merge driver already"
    for key, value in wanted.items():
        git.put(key, value)
    if known[_DRIVER] is None:
        return "git's configuration: set the merge driver up, for this clone alone"
    return "git's configuration: brought the merge driver up to date"


def driver(there: str, command: str) -> str:
    """The merge driver, as git's configuration has it.

    Git puts names for what follows a percent sign, each as one word of the shell. Where
    lazydata is gone, lines are merged as git would: ours alone would look like a merge.
    """
    there, command = (text.replace("%", "%%") for text in (there, command))
    return (
        f"if {there}; then {command} merge-driver %O %A %B %L %P; else "
        "echo 'lazydata: it is not where it was: `lazydata git install` finds it again' >&2; "
        "git merge-file --marker-size=%L %A %O %B; fi"
    )


def _own(git: Git, key: str) -> str | None:
    """A setting of this repository itself."""
    return git.text("config", "--local", "--get", key, fine=(0, 1)) or None
