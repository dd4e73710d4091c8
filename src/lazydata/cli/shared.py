"""What commands have in common: the workspace they are in, and how they end. No typer here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence

from lazydata import messages
from lazydata.errors import LazydataError, TransferIncomplete, from_os_error, line
from lazydata.fsutil import is_inside
from lazydata.workspace import Workspace
from lazydata.workspace.nested import Part, parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.index import Index
    from lazydata.manifest import Entry
    from lazydata.workspace import View


class Here:
    """One workspace that a command works in, with its index open.

    Args:
        part: what the command means in it; by default it is that of the working directory.
    """

    def __init__(self, part: Part | None = None) -> None:
        self.cwd = os.getcwd()
        self.workspace = Workspace(part.root) if part else Workspace.above(self.cwd)
        self.part = part or Part(self.workspace.root, [], [self.cwd], [])
        inside = is_inside(self.cwd, self.workspace.root)
        # A listed path as seen from the working directory: the one cut off, the other put on.
        self._off = _slashed(os.path.relpath(self.cwd, self.workspace.root)) if inside else ""
        self._on = "" if inside else _slashed(os.path.relpath(self.workspace.root, self.cwd))

    def __enter__(self) -> Here:
        self.index: Index = self.workspace.index()
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()

    @property
    def view(self) -> View:
        return self.workspace.view(self.index)

    @property
    def name(self) -> str:
        """Of the workspace, for a line about it; empty for the one that we are in."""
        return self._on.rstrip("/")

    def entries(self) -> list[Entry]:
        from lazydata.workspace.names import resolve

        return resolve(self.workspace, self.view, self.part, self.cwd)

    def shown(self, path: str) -> str:
        """A listed path, relative to the working directory."""
        if path.startswith(self._off):
            return self._on + path[len(self._off) :]
        ending = "/" if path.endswith("/") else ""
        return os.path.relpath(os.path.join(self.workspace.root, path), self.cwd) + ending


def _slashed(path: str) -> str:
    return "" if path == "." else path.replace(os.sep, "/") + "/"


class Span:
    """The workspaces that a command covers, one after the other.

    Args:
        paths: the command's arguments; none means all that is listed below here.
        recursive: cover the workspaces below as well.
        scripts: an argument may be a script, and stand for all that it uses.
    """

    def __init__(
        self, paths: Sequence[str] | None, *, recursive: bool = False, scripts: bool = False
    ) -> None:
        cwd = os.getcwd()
        self._parts = parts(paths or (), cwd, recursive=recursive, scripts=scripts)
        self.is_wide = recursive or len(self._parts) > 1
        self.root = cwd if self.is_wide else self._parts[0].root
        above = not paths and not self.is_wide and cwd != self.root
        self.scope = _slashed(os.path.relpath(cwd, self.root)) if above else ""
        self._failed: list[tuple[str, LazydataError]] = []

    def each(self, work: Callable[[Here], None]) -> None:
        """Do something in each workspace; of several, one that fails does not stop the others."""
        for part in self._parts:
            here = Here(part)
            messages.about = here.name if self.is_wide else ""
            try:
                with here:
                    work(here)
            except (LazydataError, OSError) as error:
                told = (
                    error
                    if isinstance(error, LazydataError)
                    else from_os_error(error, "finish", error.filename or part.root)
                )
                if not isinstance(told, LazydataError):
                    raise
                if not self.is_wide and not isinstance(told, TransferIncomplete):
                    raise
                self._failed.append((here.name, told))
            finally:
                messages.about = ""

    def label(self, here: Here, path: str) -> str:
        """A path as ``--json`` gives it, relative to ``root``."""
        return here.shown(path) if self.is_wide else path

    def left(self, here: Here, lines: Iterable[str]) -> list[str]:
        """Lines about things that were left, with the workspace where there are several."""
        name = f"{here.name}: " if self.is_wide and here.name else ""
        return [name + each for each in lines]

    def end(self, code: int = 0) -> None:
        """End with an exit code, or with that of a workspace that failed, if that is higher."""
        if self._failed and not self.is_wide:
            raise self._failed[0][1]
        if self._failed:
            left: list[str] = []
            for name, error in self._failed:
                if isinstance(error, TransferIncomplete):
                    left += [f"{name}: {each}" if name else each for each in error.left]
                else:
                    left.append(line(name, error) if name else str(error))
            count = f"{len(self._failed)} of {len(self._parts)}"
            whole = TransferIncomplete(f"{count} workspaces not done completely", left=tuple(left))
            whole.exit_code = max(code, *(error.exit_code for _, error in self._failed))
            raise whole
        if code:
            raise SystemExit(code)


def may_ask(*, quiet: bool = False) -> None:
    """Let remotes ask for a password, if somebody is there; and say less if that is wanted."""
    from lazydata import progress
    from lazydata.remotes import base

    def ask(question: str) -> str | None:
        from getpass import getpass

        with progress.paused():
            return getpass(question)

    if sys.stdin is not None and sys.stdin.isatty():
        base.prompt = ask
    if quiet:
        progress.quiet = True
        os.environ["LAZYDATA_QUIET"] = "1"


def for_each(paths: Sequence[str], work: Callable[[str], None], done: str) -> None:
    """Do something to each path; what fails alone is told at the end."""
    left = []
    for path in paths:
        try:
            work(path)
        except LazydataError as error:
            if len(paths) == 1:
                raise
            left.append(line(path, error))
    if left:
        raise TransferIncomplete(f"{len(left)} of {len(paths)} not {done}", left=tuple(left))


def incomplete(left: Sequence[str], what: str) -> None:
    """Say what was left, and end with its exit code; nothing where nothing was."""
    if left:
        raise TransferIncomplete(f"{len(left)} {what}", left=tuple(left))
