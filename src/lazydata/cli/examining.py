"""The commands that explain: info, the dependency graph, why and impact, and the report."""

from __future__ import annotations

import enum
from typing import Annotated, Optional

import typer

from lazydata.cli import completing
from lazydata.cli.arguments import Json
from lazydata.cli.shared import Here, Span, incomplete, may_ask

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
    typer.Argument(
        metavar="[PATH]",
        help="An entry, a script, or a directory with some below.",
        autocompletion=completing.paths,
    ),
]
Path = Annotated[
    str,
    typer.Argument(metavar="PATH", help="An entry or a script.", autocompletion=completing.paths),
]
All = Annotated[bool, typer.Option("--all", help="Leave nothing out of the tree.")]
HowToPrint = Annotated[Format, typer.Option("--format", "-f", help="How to print it.")]


@commands.command()
def info(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="An entry, or a path inside of one.",
            autocompletion=completing.paths,
        ),
    ],
    check: Annotated[bool, typer.Option("--check", help="Ask the remotes what they have.")] = False,
    json: Json = False,
) -> None:
    """Show what something is, who uses it, and where it is.

    Of tables, arrays, images and databases also what is in them: `pip install 'lazydata[inspect]'`
    brings what reads the formats that Python does not know.
    """
    from lazydata.cli import render_info
    from lazydata.workspace import info as known

    def show(here: Here) -> None:
        found = known.info(here.workspace, here.index, here.part, here.cwd, check=check)
        name = span.label(here, found.entry.name) if json else here.shown(found.entry.name)
        render_info.show(span.root, name, found, json=json)
        incomplete(found.unasked, "not asked")

    may_ask()
    span = Span([path])
    span.each(show)
    span.end()


@commands.command()
def graph(
    path: One = None,
    how: HowToPrint = Format.tree,
    everything: All = False,
    json: Json = False,
) -> None:
    """Draw which scripts use and make which data.

    Of PATH, all that it has to do with. In the tree each line was made from those below it.
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
        str,
        typer.Option("--output", "-o", metavar="FILE", help="What to write; - is standard output."),
    ] = "report.html",
) -> None:
    """Write a page about the workspace, to be browsed.

    It shows the graph, where the bytes are, a timeline, and what is not pushed.
    """
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
