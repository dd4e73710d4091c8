"""``lazydata git``: what git is told of lazydata. What git itself calls is in ``plumbing``."""

from __future__ import annotations

from typing import Annotated

import typer

from lazydata.messages import printable

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@commands.command()
def install(
    hooks: Annotated[
        bool, typer.Option("--hooks", help="Also pre-push, post-checkout and post-merge.")
    ] = False,
) -> None:
    """Let git merge lazydata.yml by entry.

    In the repository that we are in; each clone needs it once.
    """
    from lazydata.workspace import git_setup

    _tell(git_setup.install(".", hooks=hooks))


@commands.command()
def uninstall() -> None:
    """Take back what install did, hooks included."""
    from lazydata.workspace import git_setup

    _tell(git_setup.uninstall("."))


def _tell(lines: list[str]) -> None:
    for line in lines:
        print(printable(line))
