"""The commands that explain: the dependency graph, why and impact, and the report."""

from __future__ import annotations

import enum
from typing import Annotated, Optional

import typer

from lazydata.cli.arguments import Json
from lazydata.cli.shared import Here

commands = typer.Typer()


class Format(enum.StrEnum):
    """How a graph is printed."""

    tree = "tree"
    mermaid = "mermaid"
    dot = "dot"
    json = "json"
    html = "html"


One = Annotated[
    Optional[str],  # noqa: UP045  # typer reads annotations at run time
    typer.Argument(metavar="[PATH]", help="An entry, a script, or a directory with some below."),
]
Path = Annotated[str, typer.Argument(metavar="PATH", help="An entry or a script.")]
All = Annotated[bool, typer.Option("--all", help="Leave nothing out of the tree.")]
HowToPrint = Annotated[Format, typer.Option("--format", "-f", help="How to print it.")]


@commands.command()
def graph(
    path: One = None,
    how: HowToPrint = Format.tree,
    everything: All = False,
    json: Json = False,
) -> None:
    """Draw which scripts use and make which data; of PATH, all that it has to do with.

    In the tree each line was made from those below it.
    """
    from lazydata.cli import lineage

    lineage.graph(path, "json" if json else how.value, everything=everything)


@commands.command()
def why(path: Path, everything: All = False, json: Json = False) -> None:
    """Show what something was made from, up to the sources."""
    from lazydata.cli import lineage

    lineage.why(path, everything=everything, json=json)


@commands.command()
def impact(path: Path, everything: All = False, json: Json = False) -> None:
    """Show which scripts and which data depend on something."""
    from lazydata.cli import lineage

    lineage.impact(path, everything=everything, json=json)


@commands.command()
def report(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="- for standard output.")
    ] = "report.html",
) -> None:
    """Write one HTML page about the workspace: graph, bytes, timeline, what is not pushed."""
    from lazydata.cli import page
    from lazydata.cli.printing import print_line
    from lazydata.workspace import reporting

    with Here() as here:
        text = page.page(reporting.report(here.workspace, here.index))
    if output == "-":
        print(text, end="")
        return
    page.write(output, text)
    print_line(f"Wrote {output}; any browser shows it, and it loads nothing from anywhere.")
