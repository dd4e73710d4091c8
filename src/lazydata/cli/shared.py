"""What commands have in common: their arguments, the workspace they are in, how they end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from lazydata.errors import LazydataError, TransferIncomplete, line
from lazydata.workspace import Workspace

if TYPE_CHECKING:
    from lazydata.index import Index
    from lazydata.manifest import Entry
    from lazydata.workspace import View

Paths = Annotated[
    Optional[list[str]],  # noqa: UP045  # typer reads annotations at run time
    typer.Argument(metavar="[PATH]...", help="Entries, or directories with entries below them."),
]
SomePaths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Entries, or directories.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Version = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--version", metavar="DIGEST-PREFIX", help="As `ls --versions` shows it."),
]
RemoteName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--remote", metavar="NAME", help="Another remote than the first."),
]

Jobs = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--jobs", "-j", min=1, metavar="N", help="How many transfers at once."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Change nothing; say what would move.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors and warnings.")]


class Here:
    """The workspace of the working directory, with its index open."""

    def __enter__(self) -> Here:
        self.cwd = os.getcwd()
        self.workspace = Workspace.above(self.cwd)
        self.index: Index = self.workspace.index()
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()

    @property
    def view(self) -> View:
        return self.workspace.view(self.index)

    def entries(self, paths: Sequence[str] | None) -> list[Entry]:
        from lazydata.workspace.names import resolve

        return resolve(self.workspace, self.view, paths or (), self.cwd)


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


def incomplete(left: list[str], what: str) -> None:
    """Say what was left, and end with its exit code; nothing where nothing was."""
    if left:
        raise TransferIncomplete(f"{len(left)} {what}", left=tuple(left))
