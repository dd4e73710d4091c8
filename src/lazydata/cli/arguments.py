"""Arguments and options that several commands have, as typer reads them."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from lazydata.cli import completing

Paths = Annotated[
    Optional[list[str]],  # noqa: UP045  # typer reads annotations at run time
    typer.Argument(
        metavar="[PATH]...",
        help="Entries, or directories with entries below them.",
        autocompletion=completing.paths,
    ),
]
SomePaths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", help="Entries, or directories.", autocompletion=completing.paths
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Version = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--version", metavar="DIGEST-PREFIX", help="As `ls --versions` shows it."),
]
From = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--from", metavar="REV", help="The latest version at a revision of git."),
]
RemoteName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--remote",
        metavar="NAME",
        help="Another remote than the first.",
        autocompletion=completing.remotes,
    ),
]

Jobs = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--jobs", "-j", min=1, metavar="N", help="How many transfers at once."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Change nothing; say what would move.")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Also the workspaces below.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors and warnings.")]
