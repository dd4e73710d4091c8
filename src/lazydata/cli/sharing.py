"""The commands that speak with remotes: which there are, push and pull."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from lazydata.cli import completing, fetching, history, render, sending
from lazydata.cli.arguments import DryRun, Jobs, Json, Paths, Quiet, Recursive, RemoteName
from lazydata.cli.printing import print_line
from lazydata.cli.shared import Here, may_ask

commands = typer.Typer()


@commands.command("add-remote")
def add_remote(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="s3://bucket/prefix, ssh://user@host/path, or a path."),
    ],
    name: Annotated[
        Optional[str],  # noqa: UP045  # typer reads annotations at run time
        typer.Option(metavar="NAME", help="What to call it; by default origin."),
    ] = None,
    endpoint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="URL", help="Of a server that speaks S3 and is not Amazon's."),
    ] = None,
    region: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="Of the S3 bucket."),
    ] = None,
    profile: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="Of your AWS settings; kept in your own file."),
    ] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Try it first.")] = True,
) -> None:
    """Add a place where objects are shared to lazydata.yml."""
    from lazydata.workspace import remotes

    may_ask()
    with Here() as here:
        spec = remotes.add_remote(
            here.workspace,
            here.index,
            url,
            name=name,
            endpoint=endpoint,
            region=region,
            profile=profile,
            check=check,
            cwd=here.cwd,
        )
        print_line(f"{spec.name} is {spec.url}; commit lazydata.yml, then `lazydata push`.")


@commands.command("remove-remote")
def remove_remote(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=completing.remotes)],
) -> None:
    """Take a remote out of lazydata.yml.

    What it holds stays there.
    """
    from lazydata.workspace import remotes

    with Here() as here:
        remotes.remove_remote(here.workspace, here.index, name)
        print_line(f"{name} is no longer a remote; what it holds is still there.")


@commands.command()
def remotes(json: Json = False) -> None:
    """List the remotes."""
    with Here() as here:
        render.remotes(list(here.view.remotes.values()), json=json)


@commands.command()
def push(
    paths: Paths = None,
    recursive: Recursive = False,
    remote: RemoteName = None,
    jobs: Jobs = None,
    check: Annotated[
        bool, typer.Option("--check", help="Ask for every object, whatever was pushed before.")
    ] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Send every listed version that the remote lacks."""
    sending.push(
        paths,
        recursive=recursive,
        remote=remote,
        jobs=jobs,
        check=check,
        dry_run=dry_run,
        quiet=quiet,
        json=json,
    )


@commands.command()
def pull(
    paths: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[PATH]...",
            help="Entries, directories, or scripts.",
            autocompletion=completing.paths,
        ),
    ] = None,
    recursive: Recursive = False,
    remote: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--remote",
            metavar="NAME",
            help="Ask only this remote.",
            autocompletion=completing.remotes,
        ),
    ] = None,
    rev: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--rev", metavar="REV", help="Only store what a revision of git lists."),
    ] = None,
    jobs: Jobs = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Bring files to their latest version.

    PATH may be a file, a directory, or a script. Without one, the files that this
    clone had before are brought to their latest version. Files that were edited
    here are left alone. With --rev nothing in the workspace changes: what lazydata.yml
    lists at that revision is fetched into the store, so that it can be switched to offline.
    """
    if rev is not None:
        history.pull(
            rev,
            paths,
            recursive=recursive,
            remote=remote,
            jobs=jobs,
            dry_run=dry_run,
            quiet=quiet,
            json=json,
        )
        return
    fetching.pull(
        paths,
        recursive=recursive,
        remote=remote,
        jobs=jobs,
        dry_run=dry_run,
        quiet=quiet,
        json=json,
    )
