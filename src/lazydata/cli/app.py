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
    render,
    sharing,
    standing,
    verifying,
)
from lazydata.cli.arguments import From, Json, Paths, Recursive, SomePaths, Version
from lazydata.cli.printing import print_line
from lazydata.cli.shared import Here, Span, for_each
from lazydata.errors import UsageError
from lazydata.fsutil import FLUSHED_ALONE
from lazydata.manifest import Entry
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
    from lazydata.workspace import absolute
    from lazydata.workspace.git_ignoring import ignore
    from lazydata.workspace.settle import NEW, settle

    new: dict[str, tuple[Workspace, list[str]]] = {}

    def record(path: str) -> None:
        if not path:
            raise UsageError("a PATH is empty", hint="name a file or a directory")
        where = absolute(path)
        workspace = Workspace.governing(where)
        with workspace.index() as index:
            settled, _ = settle(workspace, where, index, on_change="version")
        if settled.action == NEW:
            name = workspace.place(where).name + "/" * os.path.isdir(where)
            new.setdefault(workspace.root, (workspace, []))[1].append(name)

    try:
        if len(paths) > FLUSHED_ALONE and all(map(os.path.isfile, paths)):
            from lazydata.workspace.recording import record_all

            paths = record_all(paths, new)
        for_each(paths, record, "tracked")
    finally:
        for workspace, names in new.values():
            ignore(workspace, names)


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
    from lazydata.workspace import upkeep

    rows: list[tuple[str, str]] = []

    def put_back_all(here: Here) -> None:
        if revision is not None:
            named = history.versions_at(here, revision)
        else:
            named = {entry.name: (entry, version) for entry in here.entries()}
        if version is not None and (len(named) != 1 or span.is_wide):
            raise UsageError("--version goes with one file", hint="restore the files one by one")

        together: set[str] = set()
        if version is None and revision is None:
            latest = [entry for entry, _ in named.values()]
            together = upkeep.restore_missing_files(here.workspace, here.index, latest)

        def put_back(path: str) -> None:
            if path in together:
                digest = named[path][0].latest.digest
            else:
                digest = upkeep.restore(here.workspace, here.index, *named[path])
            rows.append((span.label(here, path), digest))
            if not json:
                print_line(f"{here.shown(path)} is {digest.hex[:12]}")

        for_each(list(named), put_back, "restored")

    if version is not None and revision is not None:
        raise UsageError("--version and --from each name a version", hint="give one of them")
    span = Span(paths, recursive=recursive)
    span.each(put_back_all)
    if json:
        render.restored(span.root, rows)
    span.end()


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
