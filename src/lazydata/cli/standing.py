"""How the entries stand: what ``status`` shows."""

from __future__ import annotations

from collections.abc import Sequence

from lazydata.cli import render
from lazydata.cli.shared import Here, Span
from lazydata.workspace.status import FINE, FileStatus, status


def show(
    paths: Sequence[str] | None = None,
    *,
    recursive: bool = False,
    json: bool = False,
    check: bool = False,
) -> None:
    """Print how each entry stands.

    Args:
        paths: entries or directories; None for all below the working directory.
        recursive: cover the workspaces below as well.
        json: print one JSON object.
        check: end with 4 if a file is not what ``lazydata.yml`` says.
    """
    rows: list[tuple[str, FileStatus]] = []

    def ask(here: Here) -> None:
        for row in status(here.workspace, here.entries(), here.index):
            rows.append((here.shown(row.path), row._replace(path=span.label(here, row.path))))

    span = Span(paths, recursive=recursive)
    span.each(ask)
    render.status(span.root, rows, json=json, scope=span.scope)
    span.end(4 if check and any(row.state not in FINE for _, row in rows) else 0)
