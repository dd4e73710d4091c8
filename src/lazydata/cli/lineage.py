"""What ``graph``, ``why`` and ``impact`` show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lazydata.cli import drawing
from lazydata.cli.printing import print_json, print_line
from lazydata.cli.shared import Here, Span
from lazydata.workspace import reporting
from lazydata.workspace.graph import Graph, around, build, named, reach, results, sources


def graph(path: str | None, form: str, *, everything: bool = False) -> None:
    """Print the graph, or what of it has to do with a path.

    Args:
        path: an entry, a script, or a directory; None for the working directory.
        form: ``tree``, ``mermaid``, ``dot``, ``json`` or ``html``.
        everything: leave nothing out of the tree.
    """

    def draw(here: Here, whole: Graph, names: list[str]) -> None:
        part = around(whole, names)
        if form == "tree":
            _forest(here, part, everything)
        elif form == "html":
            _html(here, part)
        elif form == "json":
            print_json(drawing.as_data(here.workspace.root, part, _absent(here, part)))
        else:
            lines = drawing.mermaid if form == "mermaid" else drawing.dot
            for line in lines(part, _absent(here, part)):
                print(line)

    _with_graph(path, draw)


def why(path: str, *, everything: bool = False, json: bool = False) -> None:
    """Print what a path was made from.

    Args:
        path: an entry, a script, or a directory.
        everything: leave nothing out of the tree.
        json: print one JSON object.
    """

    def explain(here: Here, whole: Graph, names: list[str]) -> None:
        part = whole.part(reach(whole.up, names))
        if json:
            data = drawing.as_data(here.workspace.root, part, _absent(here, part))
            print_json(data | {"paths": names, "sources": sources(part)})
            return
        _trees(here, part, [n for n in names if part.up[n]], part.up, everything)
        for name in names:
            if not part.up[name]:
                print_line(f"Nothing is recorded of what {here.shown(name)} was made from.")

    _with_graph(path, explain)


def impact(path: str, *, everything: bool = False, json: bool = False) -> None:
    """Print what depends on a path.

    Args:
        path: an entry, a script, or a directory.
        everything: leave nothing out of the tree.
        json: print one JSON object.
    """

    def explain(here: Here, whole: Graph, names: list[str]) -> None:
        part = whole.part(reach(whole.down, names))
        scripts, files = drawing.depending(part, names)
        if json:
            data = drawing.as_data(here.workspace.root, part, _absent(here, part))
            print_json(data | {"paths": names, "scripts": scripts, "files": files})
            return
        _trees(here, part, [n for n in names if part.down[n]], part.down, everything)
        print_line(drawing.summary(scripts, files, here.shown(names[0]), len(names)))

    _with_graph(path, explain)


def _with_graph(path: str | None, work: Callable[[Here, Graph, list[str]], None]) -> None:
    """Do something with the graph of a workspace, and the names in it that a path means."""

    def ask(here: Here) -> None:
        view = here.view
        whole = build(view.files.values())
        work(here, whole, named(whole, here.workspace, view, here.part, here.cwd))

    span = Span([path] if path is not None else None)
    span.each(ask)
    span.end()


def _absent(here: Here, part: Graph) -> set[str]:
    return reporting.absent(here.workspace, part.scripts)


def _trees(
    here: Here,
    part: Graph,
    roots: Sequence[str],
    links: Mapping[str, list[str]],
    everything: bool,
) -> None:
    how = drawing.style(everything=everything)
    for line in drawing.tree(part, roots, links, _absent(here, part), how):
        print(line)


def _forest(here: Here, part: Graph, everything: bool) -> None:
    alone = [name for name in part.nodes if not part.up[name] and not part.down[name]]
    left = set(alone)
    _trees(here, part, [n for n in results(part) if n not in left], part.up, everything)
    for line in drawing.unused(alone, drawing.style(everything=everything)):
        print(line)
    if not part.nodes:
        print_line("lazydata.yml lists nothing here.")


def _html(here: Here, part: Graph) -> None:
    from lazydata.cli.page import page

    made = reporting.report(here.workspace, here.index)
    rows = [row for row in made.rows if row.entry.path in part.nodes]
    print(page(made._replace(graph=part, rows=rows), only_graph=True), end="")
