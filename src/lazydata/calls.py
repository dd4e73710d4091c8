"""What the functions of the Python API have in common: the workspaces that their paths mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from lazydata import audit
from lazydata.errors import NotTracked, TransferIncomplete, UsageError
from lazydata.index import Index
from lazydata.manifest import Entry, Version
from lazydata.workspace import Workspace
from lazydata.workspace.nested import Part, parts

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Scope:
    """One workspace that a call is about.

    Args:
        part: what is meant in it.
        index: open.
        cwd: the working directory, absolute.
    """

    def __init__(self, part: Part, index: Index, cwd: str) -> None:
        self.workspace, self.index, self.part, self.cwd = Workspace(part.root), index, part, cwd

    def entries(self) -> list[Entry]:
        """What the paths mean."""
        from lazydata.workspace.names import resolve

        return resolve(self.workspace, self.workspace.view(self.index), self.part, self.cwd)

    def shown(self, name: str) -> str:
        """A listed path, relative to the working directory."""
        path = os.path.relpath(os.path.join(self.workspace.root, name), self.cwd)
        return path + "/" * name.endswith("/")


def each(
    paths: Sequence[str | os.PathLike[str]], work: Callable[[Scope], T], *, scripts: bool = False
) -> list[T]:
    """Do something in each of the workspaces that some paths mean.

    Args:
        paths: relative to the working directory; none means all that is listed below it.
        work: is given one workspace after the other.
        scripts: a path may be a script, and stand for all that it uses.
    """
    cwd = os.getcwd()
    done = []
    for part in parts([os.fspath(path) for path in paths], cwd, scripts=scripts):
        with Workspace(part.root).index() as index:
            done.append(work(Scope(part, index, cwd)))
    return done


@contextmanager
def scope_of(path: str | os.PathLike[str]) -> Iterator[Scope]:
    """The workspace that one path means."""
    (found,) = parts([os.fspath(path)], os.getcwd())
    with Workspace(found.root).index() as index:
        yield Scope(found, index, os.getcwd())


def public(function: Callable[P, R]) -> Callable[P, R]:
    """What a function writes is lazydata's work, and no output of the program."""

    @wraps(function)
    def call(*args: P.args, **more: P.kwargs) -> R:
        with audit.OwnWork():
            return function(*args, **more)

    return call


def refuse(left: Sequence[str], done: str) -> None:
    """Raise ``TransferIncomplete`` if something was left."""
    if left:
        raise TransferIncomplete(f"{len(left)} not {done}", left=tuple(left))


def meant(
    scope: Scope, path: str | os.PathLike[str], prefix: str | None
) -> tuple[Entry, Version | str | None]:
    """The one entry, and its version; one that only git's history lists is found as well."""
    from lazydata.workspace.history import log
    from lazydata.workspace.names import version_of

    try:
        entries = scope.entries()
        if len(entries) != 1:
            raise UsageError(f"{path} names {len(entries)} entries", hint="name one of them")
        version_of(scope.workspace, entries[0], prefix)
        return entries[0], prefix
    except NotTracked:
        if not prefix:
            raise
        found = log(scope.workspace, scope.index, scope.part, scope.cwd)
        wanted = prefix.lower()
        fits = [
            row.version
            for row in found.rows
            if row.version.digest.startswith(wanted) or row.version.digest.hex.startswith(wanted)
        ]
        if len(fits) != 1:
            raise
        return found.entry, fits[0]
