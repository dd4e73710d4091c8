"""The commands: each reads its arguments, calls the workspace and renders what it gives."""

from __future__ import annotations

import copy
import os
import sys
from typing import Annotated, Optional

import typer

from lazydata import __version__
from lazydata.cli import render
from lazydata.cli.shared import (
    DryRun,
    Here,
    Jobs,
    Json,
    Paths,
    Quiet,
    RemoteName,
    SomePaths,
    Version,
    for_each,
    incomplete,
    may_ask,
)
from lazydata.errors import LazydataError, UsageError, from_os_error
from lazydata.workspace import Workspace

app = typer.Typer(
    name="lazydata",
    help="Data dependencies of Python code: versioned by hash, fetched when the code needs them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(config_app, name="config", help="Read and write your own settings.")


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"lazydata {__version__}")
        raise typer.Exit


@app.command()
def init(
    directory: Annotated[str, typer.Argument(metavar="[DIR]", help="Top of the project.")] = ".",
) -> None:
    """Make a directory a workspace: write a lazydata.yml."""
    from lazydata import workspace

    root, created = workspace.init(directory)
    if created:
        print(f"Wrote {os.path.join(root, 'lazydata.yml')}; commit it with your code.")
    else:
        print(f"{root} is a workspace already; nothing was changed.")


@app.command()
def track(paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files.")]) -> None:
    """Record files as track() does, without running any code."""
    from lazydata.workspace import absolute
    from lazydata.workspace.settle import Settling

    def record(path: str) -> None:
        if not path:
            raise UsageError("a PATH is empty", hint="name a file")
        workspace = Workspace.governing(absolute(path))
        with workspace.index() as index:
            place = workspace.place(absolute(path))
            Settling(workspace, place, index, on_change="version").run()

    for_each(paths, record, "tracked")


@app.command()
def untrack(paths: SomePaths) -> None:
    """Take entries out of lazydata.yml; files and stored objects stay."""
    from lazydata.workspace import upkeep

    with Here() as here:
        entries = here.entries(paths)
        upkeep.untrack(here.workspace, here.index, entries)
        for entry in entries:
            print(f"{entry.path} is no longer tracked; the file stays")


@app.command()
def status(
    paths: Paths = None,
    json: Json = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 4 if a file is not what lazydata.yml says.")
    ] = False,
) -> None:
    """Show which files changed, are missing, or are not pushed."""
    from lazydata.workspace.status import FINE
    from lazydata.workspace.status import status as look

    with Here() as here:
        rows = look(here.workspace, here.entries(paths), here.index)
        render.status(here.workspace.root, rows, json=json)
    if check and any(row.state not in FINE for row in rows):
        raise typer.Exit(4)


@app.command()
def ls(
    paths: Paths = None,
    json: Json = False,
    versions: Annotated[bool, typer.Option("--versions", help="One row a version.")] = False,
) -> None:
    """List what lazydata.yml lists."""
    with Here() as here:
        render.listing(here.workspace.root, here.entries(paths), json=json, versions=versions)


@app.command()
def restore(paths: SomePaths, version: Version = None) -> None:
    """Put the listed version in its place, or an older one, which becomes the newest."""
    from lazydata.workspace import upkeep

    with Here() as here:
        entries = here.entries(paths)
        if version is not None and len(entries) != 1:
            raise UsageError("--version goes with one file", hint="restore the files one by one")

        def put_back(path: str) -> None:
            digest = upkeep.restore(here.workspace, here.index, named[path], version)
            print(f"{path} is {digest.hex[:12]}")

        named = {entry.path: entry for entry in entries}
        for_each(list(named), put_back, "restored")


@app.command()
def cat(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An entry.")], version: Version = None
) -> None:
    """Write a file's bytes, of any version, to standard output."""
    from lazydata.workspace import upkeep

    with Here() as here:
        entries = here.entries([path])
        if len(entries) != 1:
            raise UsageError(f"{path} names {len(entries)} files", hint="name one of them")
        file = upkeep.read(here.workspace, here.index, entries[0], version)
    render.raw(file)


@app.command()
def unlock(paths: SomePaths) -> None:
    """Make files writable for any program; the stored versions stay as they are."""
    from lazydata.workspace import upkeep

    with Here() as here:
        for entry in here.entries(paths):
            done = upkeep.unlock(here.workspace, here.index, entry)
            print(f"{entry.path} {'may be written now' if done else 'was writable already'}")


@app.command("add-remote")
def add_remote(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="s3://bucket/prefix, ssh://user@host/path, or a path."),
    ],
    name: Annotated[Optional[str], typer.Option(help="Default: origin.")] = None,  # noqa: UP045
    endpoint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="URL of an S3-compatible server."),
    ] = None,
    region: Annotated[Optional[str], typer.Option(help="Of the S3 bucket.")] = None,  # noqa: UP045
    profile: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Of your AWS settings; kept in your own file."),
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
        print(f"{spec.name} is {spec.url}; commit lazydata.yml, then `lazydata push`.")


@app.command("remove-remote")
def remove_remote(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Take a remote out of lazydata.yml; what it holds stays there."""
    from lazydata.workspace import remotes

    with Here() as here:
        remotes.remove_remote(here.workspace, here.index, name)
        print(f"{name} is no longer a remote; what it holds is still there.")


@app.command()
def remotes(json: Json = False) -> None:
    """List the remotes."""
    with Here() as here:
        render.remotes(list(here.view.remotes.values()), json=json)


@app.command()
def push(
    paths: Paths = None,
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
    from lazydata.workspace import pushing

    may_ask(quiet=quiet)
    with Here() as here:
        entries = here.entries(paths)
        done = pushing.push(
            here.workspace,
            here.index,
            entries,
            remote=remote,
            check=check,
            jobs=jobs,
            dry_run=dry_run,
        )
    render.pushed(done, json=json, dry_run=dry_run, quiet=quiet)
    incomplete(done.left, "not pushed")


@app.command()
def pull(
    paths: Paths = None,
    remote: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--remote", metavar="NAME", help="Ask only this remote."),
    ] = None,
    jobs: Jobs = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Bring files to their latest version: those named, those a script uses, or those had before.

    PATH may be a file, a directory, or a script. Without one, the files that this
    clone had before are brought to their latest version. Files that were edited
    here are left alone.
    """
    from lazydata.workspace import pulling
    from lazydata.workspace.scripts import wanted

    may_ask(quiet=quiet)
    with Here() as here:
        entries = wanted(here.workspace, here.view, paths or [], here.cwd)
        done = pulling.pull(
            here.workspace, here.index, entries, remote=remote, jobs=jobs, dry_run=dry_run
        )
    render.pulled(done, len(entries), json=json, dry_run=dry_run, quiet=quiet)
    incomplete(done.left, "not pulled")


@app.command()
def verify(json: Json = False) -> None:
    """Hash every stored object again, and look for every listed version."""
    from lazydata.workspace import upkeep

    with Here() as here:
        count, damage = upkeep.verify(here.workspace, here.index)
    render.verified(count, damage, json=json)
    problems = {row.problem for row in damage}
    for problem, code in (("corrupt", 13), ("missing", 12), ("unknown", 20)):
        if problem in problems:
            raise typer.Exit(code)


@config_app.command("get")
def config_get(key: Annotated[str, typer.Argument(metavar="KEY")]) -> None:
    """Print one setting; exit with 1 if it is not set."""
    from lazydata import config

    value = config.get(key)
    if value is None:
        raise typer.Exit(1)
    print(os.pathsep.join(value) if isinstance(value, list) else value)


@config_app.command("set")
def config_set(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="link, store, allow, remotes.NAME.profile")
    ],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Empty to unset.")],
) -> None:
    """Write one setting to your own file."""
    from lazydata import config

    print(f"Wrote {config.put(key, value)}")


@config_app.command("list")
def config_list(json: Json = False) -> None:
    """Print all settings, and where things lie."""
    from lazydata import config

    render.settings(
        config.load(),
        {
            "config file": config.config_file(),
            "store": config.store_dir(),
            "index": config.index_dir() or "none",
        },
        json=json,
    )


def _app(named: list[str]) -> typer.Typer:
    """The command that is called, alone: typer takes 2 ms to build each of the others."""
    one = copy.copy(app)
    one.registered_commands = [
        command
        for command in app.registered_commands
        if [command.name or getattr(command.callback, "__name__", "")] == named
    ]
    one.registered_groups = [group for group in app.registered_groups if [group.name] == named]
    return one if one.registered_commands or one.registered_groups else app


def run(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    from lazydata import audit

    with audit.OwnWork():
        try:
            _app(arguments[:1])(arguments, prog_name="lazydata")
        except (LazydataError, OSError) as error:
            told = (
                from_os_error(error, "finish", error.filename or "the output")
                if isinstance(error, OSError)
                else error
            )
            if not isinstance(told, LazydataError):
                raise
            render.error(told, json="--json" in arguments)
            return told.exit_code
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0
            if code == 130:
                print("interrupted: run it again to go on from here", file=sys.stderr)
            return code
    return 0
