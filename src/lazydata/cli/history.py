"""The commands that ask git's history of the manifest: log and diff; and pull of a revision."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from lazydata.cli import completing, render_history
from lazydata.cli.arguments import Json
from lazydata.cli.shared import Here, Span, incomplete, may_ask
from lazydata.errors import LazydataError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.git import Git
    from lazydata.manifest import Entry, Version
    from lazydata.workspace.diffing import Difference
    from lazydata.workspace.pulling import Pulled

commands = typer.Typer()

_SEPARATED = "lazydata.separated"
# What is hardly a path: HEAD~3, main^, @{upstream}, a part of a hash.
_LIKE_A_REVISION = re.compile(r".*[~^].*|.*@\{.*|[0-9a-f]{7,64}")


class _Separated(TyperCommand):
    """A command that is told which of its arguments stood after ``--``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_SEPARATED] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


@commands.command()
def log(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="An entry, or a path inside of one.",
            autocompletion=completing.paths,
        ),
    ],
    json: Json = False,
) -> None:
    """Show each version of an entry, and its commit.

    That is the first one that lists it; also when, by whom, and where the version is.
    """
    from lazydata.workspace import history

    def show(here: Here) -> None:
        found = history.log(here.workspace, here.index, here.part, here.cwd)
        name = span.label(here, found.entry.name) if json else here.shown(found.entry.name)
        render_history.log(span.root, name, found, json=json)

    span = Span([path])
    span.each(show)
    span.end()


@commands.command(cls=_Separated)
def diff(
    context: typer.Context,
    arguments: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[REV [REV]] [--] [PATH]...", help="Revisions of git, then paths."),
    ] = None,
    json: Json = False,
) -> None:
    """Show what differs between two revisions of git.

    Of one, or none (HEAD): between that and lazydata.yml as it is. Only lists are fetched
    for that, never data.
    """
    from lazydata.workspace import diffing, revisions

    named, paths = split(arguments or [], context.meta.get(_SEPARATED))
    names = named if len(named) == 2 else [*(named or ["HEAD"]), None]
    rows: list[tuple[str, Difference]] = []

    def compare(here: Here) -> None:
        at = {n: revisions.revision_of(here.workspace, n) for n in names if n is not None}
        old, new = (
            diffing.Side("lazydata.yml", here.view) if n is None else diffing.Side(*at[n][2:])
            for n in names
        )
        remotes = list(revisions.remotes_of(here.workspace, here.index, *at.values()).values())
        for row in diffing.diff(here.workspace, here.index, old, new, here.part, here.cwd, remotes):
            rows.append((here.shown(row.path), row._replace(path=span.label(here, row.path))))

    may_ask()
    span = Span(paths)
    span.each(compare)
    render_history.diff(span.root, names, rows, json=json, scope=span.scope)
    span.end()


def split(arguments: Sequence[str], separated: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Tell revisions from paths, as git does.

    Args:
        arguments: revisions first; all of them, if there was a ``--``.
        separated: what stood after it; None if there was none.

    Raises:
        UsageError: an argument may be either, or there are too many revisions.
    """
    from lazydata.git import Git

    git = Git.holding(os.path.realpath(os.getcwd()))
    named: list[str] = []
    paths = list(separated or ())
    for at, argument in enumerate(arguments):
        is_path = separated is None and _is_path(argument)
        found = _revisions(git, argument, may_be_path=is_path or separated is None)
        if not found:
            paths = list(arguments[at:])
            break
        if is_path:
            raise UsageError(
                f"{argument} is a revision of git, and a path",
                hint=f"`lazydata diff {argument} --` means the revision, "
                f"`lazydata diff -- {argument}` the path",
            )
        named += found
    if len(named) > 2:
        raise UsageError(
            f"{len(named)} revisions: {', '.join(named)}", hint="two of them can be compared"
        )
    return named, paths


def _is_path(argument: str) -> bool:
    from lazydata.workspace import Workspace
    from lazydata.workspace.names import find, name_of

    if not argument or os.path.lexists(argument):
        return True
    try:
        workspace = Workspace.above(os.path.abspath(argument))
        name = name_of(workspace, argument, os.getcwd())
        with workspace.index() as index:
            return bool(find(workspace.view(index), name))
    except LazydataError:
        return False  # whatever is wrong is told where it matters


def _revisions(git: Git | None, argument: str, *, may_be_path: bool) -> list[str]:
    """The revision, or both of ``A..B``, that an argument means; none if it means a path."""
    if git is None:
        return [] if may_be_path else [argument]  # where it is needed, the error says why
    old, _, new = argument.partition("..")
    try:
        git.resolve(argument)
    except UsageError:
        if old and new and not new.startswith("."):
            both = _revisions(git, old, may_be_path=True) + _revisions(git, new, may_be_path=True)
            if len(both) == 2:
                return both
        if not may_be_path or (_LIKE_A_REVISION.fullmatch(argument) and not _is_path(argument)):
            raise
        return []
    return [argument]


def versions_at(here: Here, revision: str) -> dict[str, tuple[Entry, Version | str | None]]:
    """The entries that ``restore --from`` means, by name, and the version that each shall have."""
    from lazydata.workspace import revisions

    then = revisions.revision_of(here.workspace, revision)
    found = revisions.restorable(here.workspace, here.index, then, here.part, here.cwd)
    return {entry.name: (entry, version) for entry, version in found}


def pull(
    revision: str,
    paths: Sequence[str] | None,
    *,
    recursive: bool,
    remote: str | None,
    jobs: int | None,
    dry_run: bool,
    quiet: bool,
    json: bool,
) -> None:
    """Bring what a revision lists into the store; see the command ``pull``."""
    from lazydata.workspace import pulling_revision, revisions

    rows: list[Pulled] = []
    asked = 0

    def bring(here: Here) -> None:
        nonlocal asked
        at = revisions.revision_of(here.workspace, revision)
        entries = revisions.named_in(here.workspace, at, here.part, here.cwd)
        asked += len(entries)
        done = pulling_revision.pull_revision(
            here.workspace, here.index, at, entries, remote=remote, jobs=jobs, dry_run=dry_run
        )
        name = span.label if json else Here.shown
        named = [name(here, path) for path in done.paths]
        rows.append(done._replace(paths=named, left=span.left(here, done.left)))
        incomplete(done.left, "not brought")

    may_ask(quiet=quiet)
    span = Span(paths, recursive=recursive)
    span.each(bring)
    render_history.pulled_revision(
        revision, rows, asked, json=json, dry_run=dry_run, quiet=quiet, scope=span.scope
    )
    span.end()
