"""Which workspaces a command is about: those of its PATH arguments, and those nested below."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from lazydata.baseline import NAME as MEMORY
from lazydata.errors import NotAWorkspace, PathOutside, UsageError
from lazydata.manifest import NAME
from lazydata.messages import warn
from lazydata.workspace import Workspace

_SKIPPED = frozenset({".git", MEMORY})


class Part(NamedTuple):
    """What a command has to do in one workspace.

    Args:
        root: of the workspace.
        paths: arguments that must name something there, as they were given.
        areas: absolute paths; what is listed below them is meant, be it nothing.
        scripts: of other workspaces, absolute; what they use here is meant, be it nothing.
    """

    root: str
    paths: list[str]
    areas: list[str]
    scripts: list[str]

    @property
    def scope(self) -> str:
        """Names what is meant, where that follows from the manifest alone; else empty."""
        return "" if self.paths or self.scripts else "\0".join(self.areas)


def parts(
    arguments: Sequence[str], cwd: str, *, recursive: bool = False, scripts: bool = False
) -> list[Part]:
    """Share a command's arguments out to the workspaces that govern them.

    Args:
        arguments: paths relative to ``cwd``; none means all that is listed below it.
        cwd: the working directory, absolute.
        recursive: cover the workspaces below each directory as well.
        scripts: an argument may be a script, and stand for all that it uses.

    Raises:
        NotAWorkspace: no manifest governs an argument, and we are in no workspace.
        PathOutside: no manifest governs it, and we are in one.
        UsageError: one is empty, as an unset variable of a shell is.

    Example:
        >>> parts(["nowhere/x.csv"], "/")
        Traceback (most recent call last):
        lazydata.errors.NotAWorkspace: there is no lazydata.yml for /nowhere/x.csv, ...
    """
    found: dict[str, Part] = {}

    def part(root: str) -> Part:
        return found.setdefault(root, Part(root, [], [], []))

    for argument in arguments or (".",):
        if not argument:
            raise UsageError("a PATH is empty", hint="`.` means the working directory")
        path = os.path.normpath(os.path.join(cwd, argument))
        inner = below(path) if recursive else []
        try:
            root = Workspace.above(path).root
        except NotAWorkspace as error:
            if not inner:
                raise _explained(error, argument, cwd) from None
        else:
            if inner or not arguments:
                part(root).areas.append(path)
            else:
                part(root).paths.append(argument)
        for nested in inner:
            part(nested).areas.append(nested)
        if scripts and path.endswith((".py", ".ipynb")) and os.path.isfile(path):
            from lazydata.workspace.scripts import elsewhere  # reads code, which few commands do

            for other in elsewhere(path, cwd):
                part(other).scripts.append(path)
    return list(found.values())


def below(directory: str) -> list[str]:
    """Roots of the workspaces below a directory, sorted; symlinks are not followed.

    Args:
        directory: absolute. A path where none is has nothing below it.
    """
    found: list[str] = []
    todo = [directory]
    while todo:
        here = todo.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.name == NAME and here != directory and entry.is_file():
                        found.append(here)
                    elif entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            warn(f"{here} can't be searched for workspaces: {error.strerror}")
    return sorted(found)


def _explained(error: NotAWorkspace, argument: str, cwd: str) -> NotAWorkspace | PathOutside:
    try:
        root = Workspace.above(cwd).root
    except NotAWorkspace:
        return error
    return PathOutside(
        f"{argument} is outside the workspace {root}, and in no other",
        hint="change into the workspace that it belongs to",
    )
