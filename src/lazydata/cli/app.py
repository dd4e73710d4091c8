"""The commands: each reads its arguments, calls the workspace and renders what it gives."""

from __future__ import annotations

import copy
import os
from typing import Annotated

import typer

from lazydata import __version__
from lazydata.cli import (
    collecting,
    completing,
    examining,
    examples,
    git,
    history,
    keeping,
    render,
    sharing,
    standing,
    verifying,
)
from lazydata.cli.arguments import From, Json, Paths, Recursive, SomePaths, Version
from lazydata.cli.printing import print_line
from lazydata.cli.shared import Here, Span
from lazydata.errors import UsageError
from lazydata.manifest import Entry

app = typer.Typer(
    name="lazydata",
    help="Data dependencies of Python code: versioned by hash, fetched when the code needs them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(git.commands, name="git", help="Let git know of lazydata, in this repository.")
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
    nested: Annotated[
        bool, typer.Option("--nested", help="Also inside of another workspace.")
    ] = False,
) -> None:
    """Make a directory a workspace: write a lazydata.yml."""
    from lazydata import workspace

    root, created = workspace.init(directory, nested=nested)
    if created:
        print_line(f"Wrote {os.path.join(root, 'lazydata.yml')}; commit it with your code.")
    elif root == os.path.abspath(directory):
        print_line(f"{root} is a workspace already; nothing was changed.")
    else:
        print_line(
            f"{directory} is in the workspace {root} already; nothing was changed. "
            "With --nested it becomes one of its own."
        )


@app.command()
def track(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, or directories as a whole.")
    ],
) -> None:
    """Record files and directories as track() does."""
    keeping.track(paths)


@app.command()
def untrack(paths: SomePaths) -> None:
    """Take entries out of lazydata.yml; the files stay.

    So do the stored objects, until `gc`.
    """
    from lazydata.workspace import upkeep

    def take_out(here: Here) -> None:
        entries = here.entries()
        upkeep.untrack(here.workspace, here.index, entries)
        for entry in entries:
            print_line(f"{here.shown(entry.path)} is no longer tracked; the file stays")

    span = Span(paths)
    span.each(take_out)
    span.end()


@app.command()
def status(
    paths: Paths = None,
    recursive: Recursive = False,
    json: Json = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 4 if a file is not what lazydata.yml says.")
    ] = False,
) -> None:
    """Show which files changed, are missing, or are not pushed."""
    standing.show(paths, recursive=recursive, json=json, check=check)


@app.command()
def ls(
    paths: Paths = None,
    recursive: Recursive = False,
    json: Json = False,
    versions: Annotated[bool, typer.Option("--versions", help="One row a version.")] = False,
) -> None:
    """List what lazydata.yml lists."""
    from lazydata.workspace.inside_upkeep import list_inside

    entries: list[Entry] = []

    def ask(here: Here) -> None:
        name = span.label if json else Here.shown
        for entry in here.entries():
            found = list_inside(here.workspace, here.index, entry) if entry.portion else [entry]
            entries.extend(each._replace(path=name(here, each.path)) for each in found)

    span = Span(paths, recursive=recursive)
    span.each(ask)
    render.listing(span.root, entries, json=json, versions=versions)
    span.end()


@app.command()
def restore(
    paths: SomePaths,
    version: Version = None,
    revision: From = None,
    recursive: Recursive = False,
    json: Json = False,
) -> None:
    """Put the listed version in its place, or an older one.

    An older one becomes the newest in lazydata.yml. What is in its place is stored first.
    """
    keeping.restore(paths, version=version, revision=revision, recursive=recursive, json=json)


@app.command()
def cat(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="An entry.", autocompletion=completing.paths)
    ],
    version: Version = None,
) -> None:
    """Write a file's bytes, of any version, to standard output."""
    from lazydata.workspace import upkeep

    def write_out(here: Here) -> None:
        entries = here.entries()
        if len(entries) != 1:
            raise UsageError(f"{path} names {len(entries)} files", hint="name one of them")
        render.raw(upkeep.opened(here.workspace, here.index, entries[0], version))

    Span([path]).each(write_out)


@app.command()
def unlock(paths: SomePaths) -> None:
    """Make files writable for any program.

    The stored versions stay as they are.
    """
    from lazydata.workspace import upkeep

    def free(here: Here) -> None:
        for entry in here.entries():
            done = upkeep.unlock(here.workspace, here.index, entry)
            what = "may be written now" if done else "was writable already"
            print_line(f"{here.shown(entry.name)} {what}")

    span = Span(paths)
    span.each(free)
    span.end()


# In this order they are listed by --help.
app.registered_commands += history.commands.registered_commands
app.registered_commands += examining.commands.registered_commands
app.registered_commands += sharing.commands.registered_commands


app.registered_commands += verifying.commands.registered_commands
app.registered_commands += collecting.commands.registered_commands


@config_app.command("get")
def config_get(
    key: Annotated[str, typer.Argument(metavar="KEY", autocompletion=completing.settings)],
) -> None:
    """Print one setting; exit with 1 if it is not set."""
    from lazydata import config

    value = config.get(key)
    if value is None:
        raise typer.Exit(1)
    print_line(os.pathsep.join(value) if isinstance(value, list) else str(value))


@config_app.command("set")
def config_set(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="link, store, allow, remotes.NAME.profile",
            autocompletion=completing.settings,
        ),
    ],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Empty to unset.")],
) -> None:
    """Write one setting to your own file."""
    from lazydata import config

    print_line(f"Wrote {config.put(key, value)}")


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


examples.attach(app)


def command(arguments: list[str]) -> typer.Typer:
    """The command that is called, alone: typer takes 2 ms to build each of the others."""
    named = arguments[:1]
    one = copy.copy(app)
    one.registered_commands = [
        each
        for each in app.registered_commands
        if [each.name or getattr(each.callback, "__name__", "")] == named
    ]
    one.registered_groups = [group for group in app.registered_groups if [group.name] == named]
    return one if one.registered_commands or one.registered_groups else app
