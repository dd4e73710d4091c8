"""What ``push`` does and shows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from lazydata.cli import render
from lazydata.cli.shared import Here, Span, incomplete, may_ask
from lazydata.workspace import pushing


def push(
    paths: Sequence[str] | None = None,
    *,
    recursive: bool = False,
    remote: str | None = None,
    jobs: int | None = None,
    check: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
    json: bool = False,
) -> None:
    """Send every listed version that the remote lacks.

    Args:
        paths: entries or directories; None for all below the working directory.
        recursive: cover the workspaces below as well.
        remote: another one than the first.
        jobs: how many transfers at once.
        check: ask for every object, whatever was pushed before.
        dry_run: change nothing; say what would move.
        quiet: only errors and warnings.
        json: print one JSON object.
    """
    rows: list[pushing.Pushed] = []

    def send(here: Here) -> None:
        entries = cache(here.entries)
        if span.is_wide and not entries():
            return  # it may well have no remote
        done = pushing.push(
            here.workspace,
            here.index,
            entries,
            scope=here.part.scope,
            remote=remote,
            check=check,
            jobs=jobs,
            dry_run=dry_run,
        )
        rows.append(done._replace(left=span.left(here, done.left)))
        incomplete(done.left, "not pushed")

    may_ask(quiet=quiet)
    span = Span(paths, recursive=recursive)
    span.each(send)
    render.pushed(rows, json=json, dry_run=dry_run, quiet=quiet, scope=span.scope)
    span.end()
