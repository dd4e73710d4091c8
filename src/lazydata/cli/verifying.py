"""The commands verify and doctor, and what they print."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Annotated, Optional

import typer

from lazydata import __version__
from lazydata.cli import completing
from lazydata.cli.arguments import Json, Recursive
from lazydata.cli.printing import count_of, print_json, print_line
from lazydata.cli.shared import Here, Span, may_ask
from lazydata.messages import typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace.verifying import Checked, Damage

commands = typer.Typer()

_PROBLEM = 4
# Of several problems, the first of these decides.
_CODES = {"corrupt": 13, "missing": 12, "denied": 15, "newer": 2, "unknown": 20}
_HERE = {
    "corrupt": "damaged, moved to the trash of the store",
    "missing": "neither stored nor on a remote",
    "unknown": "not stored, and a remote could not be asked",
    "denied": "stored, and this user may not read it",
}
_THERE = {
    "corrupt": "damaged",
    "missing": "gone",
    "unknown": "could not be read",
    "newer": "needs a newer lazydata",
}


@commands.command()
def verify(
    remote: Annotated[
        Optional[str],  # noqa: UP045  # typer reads annotations at run time
        typer.Option(
            metavar="NAME",
            help="Hash what this project has on a remote, not the store.",
            autocompletion=completing.remotes,
        ),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend it from wherever a good copy is.")
    ] = False,
    recursive: Recursive = False,
    json: Json = False,
) -> None:
    """Hash all that is stored again, and mend what is damaged.

    Looks for every listed version as well. With --remote all that this project has there is
    read and hashed instead. Nothing is mended without --repair.
    """
    span = Span(None, recursive=recursive)
    objects, found = 0, _Found()
    checked: Checked | None = None

    def look(here: Here) -> None:
        nonlocal objects, checked
        if remote is not None:
            from lazydata.workspace.verifying_remote import verify_remote

            there = verify_remote(here.workspace, here.index, remote, repair=repair)
            objects += there.objects
            found.add(there.damage, lambda path: span.label(here, path))
            return
        from lazydata.workspace.verifying import check_store, verify

        checked = checked or check_store(here.workspace.store, here.index)
        objects = checked.objects
        rows = verify(here.workspace, here.index, checked, repair=repair)
        found.add(rows, lambda path: span.label(here, path))

    may_ask()
    span.each(look)
    _show(remote, objects, found.rows(), json=json)
    problems = {row.problem for row in found.rows() if not row.repaired}
    span.end(next((code for name, code in _CODES.items() if name in problems), 0))


class _Found:
    """Damage of several workspaces: what is the same to them is told once."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, str, str], Damage] = {}

    def add(self, rows: Sequence[Damage], label: Callable[[str], str]) -> None:
        for row in rows:
            key = (row.digest, row.problem, row.where)
            known = self._by.get(key, row._replace(paths=(), repaired=False))
            self._by[key] = row._replace(
                paths=(*known.paths, *map(label, row.paths)),
                repaired=row.repaired or known.repaired,
            )

    def rows(self) -> list[Damage]:
        return list(self._by.values())


def _show(remote: str | None, objects: int, damage: Sequence[Damage], *, json: bool) -> None:
    if json:
        about = {} if remote is None else {"remote": remote}
        rows = [row._asdict() for row in damage]
        print_json({**about, "objects": objects, "damage": rows})
        return
    for row in damage:
        what = (_HERE if remote is None else _THERE)[row.problem]
        if remote is not None and row.where:
            what += f", {row.where}"
        listed = f" ({', '.join(row.paths)})" if row.paths else ""
        print_line(f"{row.digest}{listed}: {what}{'; mended' if row.repaired else ''}")
    left = sum(not row.repaired for row in damage)
    mended = f", {len(damage) - left} of them mended" if left < len(damage) else ""
    print_line(f"{count_of(objects, 'object')} hashed, {count_of(len(damage), 'problem')}{mended}.")
    if remote is not None and left:
        print_line(f"`lazydata verify --remote {typed(remote)} --repair` mends what can be mended.")


@commands.command()
def doctor(
    write: Annotated[
        bool, typer.Option("--write", help="Also write a small file to each remote, and remove it.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the set-up, and say what could be done.

    Looks at store, index, links, git, remotes, clock and permissions. Says
    what could be done about each finding, and does none of it.
    """
    from lazydata.workspace import doctor as looking
    from lazydata.workspace.findings import OK, PROBLEM, Finding

    may_ask()
    running = Finding("lazydata", OK, f"{__version__}, with Python {platform.python_version()}")
    found = []
    for each in chain([running], looking.doctor(os.getcwd(), write=write)):
        found.append(each)
        if not json:
            print_line(f"{each.state:8} {each.about}: {each.message}")
        if each.advice and not json:
            print_line(f"{'':8} -> {each.advice}")
    if json:
        print_json({"findings": [each._asdict() for each in found]})
    if any(each.state == PROBLEM for each in found):
        raise SystemExit(_PROBLEM)
