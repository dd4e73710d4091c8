"""What ``pull`` does and shows."""

from __future__ import annotations

from collections.abc import Sequence

from lazydata.cli import render
from lazydata.cli.shared import Here, Span, incomplete, may_ask
from lazydata.workspace import pulling, scripts


def pull(
    paths: Sequence[str] | None = None,
    *,
    recursive: bool = False,
    remote: str | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    json: bool = False,
) -> None:
    """Bring files to their latest version.

    Args:
        paths: entries, directories, or scripts; None for what this clone had before.
        recursive: cover the workspaces below as well.
        remote: ask only this one.
        jobs: how many transfers at once.
        dry_run: change nothing; say what would move.
        quiet: only errors and warnings.
        json: print one JSON object.
    """
    rows: list[pulling.Pulled] = []
    asked = 0

    def bring(here: Here) -> None:
        nonlocal asked
        choose = scripts.wanted if paths else scripts.had
        entries = choose(here.workspace, here.view, here.part, here.cwd)
        asked += len(entries)
        if span.is_wide and not entries:
            return
        done = pulling.pull(
            here.workspace,
            here.index,
            entries,
            remote=remote,
            jobs=jobs,
            dry_run=dry_run,
            had_only=not paths,
        )
        name = span.label if json else Here.shown
        named = [name(here, path) for path in done.paths]
        rows.append(done._replace(paths=named, left=span.left(here, done.left)))
        incomplete(done.left, "not pulled")

    may_ask(quiet=quiet)
    span = Span(paths, recursive=recursive, scripts=True)
    span.each(bring)
    render.pulled(rows, asked, json=json, dry_run=dry_run, quiet=quiet, scope=span.scope)
    span.end()
