"""What is newly tracked is ignored by git: a line in the ``.gitignore`` beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from lazydata.errors import GitFailed, LazydataError
from lazydata.git import Git
from lazydata.messages import say, warn
from lazydata.workspace import Workspace
from lazydata.workspace.git_files import add_lines

NAME = ".gitignore"
_SPECIAL = re.compile(r"[*?\[\\]")
_LITERAL = re.compile(r"[*?\[\]\\]|\A:")  # what a pathspec would not take as it is
_has_warned = False


class _New(NamedTuple):
    """What was newly tracked.

    Args:
        name: as the manifest has it.
        real: where it lies.
    """

    name: str
    real: str


def ignore(workspace: Workspace, names: Sequence[str]) -> None:
    """Let git ignore what was tracked just now; warn of what it has already.

    Nothing is raised: the files are recorded by now, and tracking works without git.

    Args:
        workspace: that tracks them.
        names: as the manifest has them; a directory ends in ``/``.

    Example:
        ignore(Workspace("/project"), ["data/x.csv", "data/images/"])
    """
    try:
        for git, found in _by_repository(workspace, names):
            try:
                _ignore(workspace, git, found)
            except GitFailed as error:
                _warn_once(error, found)
    except (LazydataError, OSError) as error:
        warn(f"whether git ignores what is tracked could not be looked at: {error}")


def _by_repository(workspace: Workspace, names: Sequence[str]) -> list[tuple[Git, list[_New]]]:
    found: dict[str, tuple[Git, list[_New]]] = {}
    for name in names:
        real = workspace.place(name).real
        git = Git.holding(os.path.dirname(real))
        if git is not None:
            found.setdefault(git.top, (git, []))[1].append(_New(name, real))
    if found:
        with workspace.index() as index:
            if not workspace.view(index).gitignore:
                return []
    return list(found.values())


def _ignore(workspace: Workspace, git: Git, found: list[_New]) -> None:
    ignored = git.ignored(new.real for new in found)
    left = [new for new in found if new.real not in ignored]
    if not left:
        return
    committed = git.committed(new.real for new in left)
    beside: dict[str, list[str]] = {}
    for new in left:
        if new.real not in committed:
            beside.setdefault(os.path.dirname(new.real), []).append(line_of(new))
    for directory, lines in beside.items():
        _add(workspace, os.path.join(directory, NAME), lines)
    _warn_of_committed(git, left, committed)


def line_of(new: _New) -> str:
    """The line in the ``.gitignore`` beside it that means just this."""
    name = _SPECIAL.sub(r"\\\g<0>", os.path.basename(new.real))
    # A line can't hold these; the sign stands for any one character.
    name = name.replace("\n", "?").replace("\r", "?")
    if new.name.endswith("/"):
        return f"/{name}/"
    return f"/{name[:-1]}\\ " if name.endswith(" ") else f"/{name}"


def _add(workspace: Workspace, path: str, lines: list[str]) -> None:
    shown = os.path.relpath(path, os.path.realpath(workspace.root))
    try:
        with workspace.baseline.lock():
            added = add_lines(path, lines)
    except (LazydataError, OSError) as error:
        why = error.message if isinstance(error, LazydataError) else str(error)
        warn(f"git does not ignore what is tracked: {why}. To be added there: {_listed(lines)}")
        return
    if added:
        say(f"Added {_listed(added)} to {shown}")


def _listed(lines: list[str]) -> str:
    more = f" and {len(lines) - 10} more" if len(lines) > 10 else ""
    return ", ".join(lines[:10]) + more


def _warn_of_committed(git: Git, left: list[_New], committed: set[str]) -> None:
    for new in left:
        if new.name.endswith("/"):
            count = sum(path.startswith(new.real + os.sep) for path in committed)
            what, more = f"of {new.name} {count} file{'s are' if count > 1 else ' is'}", ""
        else:
            count = int(new.real in committed)
            what = f"{new.name} is"
            more = f", and `{line_of(new)}` in the {NAME} beside it keeps it out"
        if count:
            warn(
                f"{what} committed in git already: `{_removal(git, new.real)}`, then `git commit`, "
                f"takes {'it' if count == 1 else 'them'} out (not from the disk){more}. "
                "The history of git keeps what was committed"
            )


def _removal(git: Git, path: str) -> str:
    """The command that takes a path out of git's index, as it is typed here."""
    import shlex

    here = os.path.realpath(os.getcwd())
    nearest = Git.holding(here)
    inside = nearest is not None and nearest.top == git.top
    shown = os.path.relpath(path, here if inside else git.top)
    words = ["git", *([] if inside else ["-C", git.top])]
    words += ["--literal-pathspecs"] if _LITERAL.search(shown) else []
    return shlex.join([*words, "rm", "--cached", "-r", "--", shown])


def _warn_once(error: GitFailed, found: list[_New]) -> None:
    global _has_warned
    if not _has_warned:
        _has_warned = True
        names = _listed([new.name for new in found])
        warn(
            f"{error.message}. So it is not known whether git ignores what is tracked "
            f"({names}): see to it, or say `gitignore: false` in lazydata.yml"
        )
