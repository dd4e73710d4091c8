"""A dependency graph as text: a tree for a terminal, mermaid, dot, and what ``--json`` prints.

Names come from a manifest that a stranger may have written: each form escapes them its own way.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lazydata.cli import printing
from lazydata.cli.printing import columns_of, count_of, size, styled
from lazydata.messages import printable
from lazydata.workspace.graph import MAKES, Edge, Graph, Node, cycles

_CHILDREN = 20  # so many of one node are shown, unless all are asked for
_DEPTH = 24  # so many levels; a line has an end


class Style(NamedTuple):
    """How a tree is drawn.

    Args:
        width: of a line, in columns of a terminal; None for no limit.
        colour: as ``styled`` makes it.
        lines: the four pieces that branches are drawn with.
        everything: leave nothing out.
    """

    width: int | None = None
    colour: bool = False
    lines: tuple[str, str, str, str] = ("├── ", "└── ", "│   ", "    ")
    everything: bool = False


def style(*, everything: bool = False) -> Style:
    """What fits standard output.

    Args:
        everything: leave nothing out.
    """
    made = Style(printing.width(), printing.is_coloured(sys.stdout), everything=everything)
    try:
        "├└│…".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        made = made._replace(lines=("|-- ", "`-- ", "|   ", "    "))
    return made


# A tree


def tree(
    graph: Graph,
    roots: Sequence[str],
    links: Mapping[str, list[str]],
    absent: Collection[str],
    how: Style,
) -> Iterator[str]:
    """Lines of a tree; what is below a node is shown once, however often it is met.

    Args:
        graph: all its nodes may be met.
        roots: each begins a tree.
        links: ``graph.up`` or ``graph.down``.
        absent: names of scripts that are not there.
        how: to draw it.
    """
    older = _older(graph)
    done: set[str] = set()
    for root in roots:
        path: list[tuple[str, str, str, str | None]] = [(root, "", "", None)]
        open_: list[str] = []
        while path:
            name, before, branch, parent = path.pop()
            del open_[_depth(before, branch) :]
            if parent is None and branch:  # not a node: how many more there are
                yield _line(before + branch, name, "", "faint", how)
                continue
            again = "cycle" if name in open_ else "above" if name in done and links[name] else ""
            node = graph.nodes[name]
            about = _about(node, name in absent, parent is not None and (parent, name) in older)
            notes = ", ".join(each for each in (about, again) if each)
            text = f"  ({notes})" if notes else ""
            yield _line(before + branch, name, text, _tone(node), how)
            if again:
                continue
            done.add(name)
            open_.append(name)
            below = before + (how.lines[3 if branch == how.lines[1] else 2] if branch else "")
            path += reversed(_children(name, below, links, how))


def _children(
    name: str, before: str, links: Mapping[str, list[str]], how: Style
) -> list[tuple[str, str, str, str | None]]:
    found = sorted(dict.fromkeys(links[name]), key=lambda each: (not links[each], each))
    shown = len(found)
    if not how.everything:
        shown = 0 if len(before) >= 4 * _DEPTH else _CHILDREN if shown > _CHILDREN + 1 else shown
    more = len(found) - shown
    rows: list[tuple[str, str, str, str | None]] = [
        (each, before, how.lines[0], name) for each in found[:shown]
    ]
    if more:
        what = f"{more:,} more" if shown else f"{more:,} here, and what is below"
        rows.append((f"… {what} (--all shows them)", before, how.lines[0], None))
    if rows:
        last = rows[-1]
        rows[-1] = (last[0], last[1], how.lines[1], last[3])
    return rows


def _depth(before: str, branch: str) -> int:
    return (len(before) + len(branch)) // 4


def _older(graph: Graph) -> set[tuple[str, str]]:
    """Pairs that have to do with each other in earlier versions only, in both directions."""
    latest = {pair for e in graph.edges if e.latest for pair in _both(e)}
    return {pair for e in graph.edges if not e.latest for pair in _both(e)} - latest


def _both(edge: Edge) -> list[tuple[str, str]]:
    return [(edge.script, edge.path), (edge.path, edge.script)]


def _about(node: Node, absent: bool, older: bool) -> str:
    if node.entry is None:
        return ", ".join(["an earlier version"] * older + ["not there"] * absent)
    if older:
        return "an earlier version"  # a size would be that of the latest one
    latest = node.entry.latest
    files = f", {latest.files:,} files" if latest.files is not None else ""
    return size(latest.size) + files if latest.size is not None else ""


def _tone(node: Node) -> str:
    return "strong" if node.is_script else ""


def _line(branch: str, name: str, notes: str, tone: str, how: Style) -> str:
    name = printable(name)
    if how.width is not None:
        room = how.width - len(branch)
        if room < 16:  # too deep to say where it hangs
            branch, room = "… " + branch[-4:], how.width - 6
        if columns_of(name) + len(notes) > room:
            notes = notes if room - len(notes) >= 16 else ""
            name = shortened(name, room - len(notes))
    if how.colour:
        return styled(branch, "faint") + styled(name, tone) + styled(notes, "faint")
    return branch + name + notes


def unused(names: Sequence[str], how: Style) -> Iterator[str]:
    """Lines about entries that no script is recorded to use or to make.

    Args:
        names: of the entries.
        how: to draw it.
    """
    if not names:
        return
    yield f"No script is recorded of {count_of(len(names), 'entry')}:"
    shown = names if how.everything or len(names) <= _CHILDREN + 1 else names[:_CHILDREN]
    for name in shown:
        yield _line(how.lines[3], name, "", "", how)
    if len(names) > len(shown):
        yield f"{how.lines[3]}… {len(names) - len(shown):,} more (--all shows them)"


def shortened(text: str, room: int) -> str:
    """A printable text in so many columns; its middle goes first."""
    if columns_of(text) <= room:
        return text
    end = text[len(text) - max(2 * (room - 1) // 3, 0) :]
    while end and columns_of(end) > room - 1:
        end = end[1:]
    begin = text[: max(room - 1 - columns_of(end), 0)]
    while begin and columns_of(begin) + columns_of(end) > room - 1:
        begin = begin[:-1]
    return f"{begin}…{end}"


# For other programs


def mermaid(graph: Graph, absent: Collection[str]) -> Iterator[str]:
    """The lines of a flowchart for Mermaid, as GitHub and GitLab draw it in Markdown."""
    ids = {name: f"n{at}" for at, name in enumerate(graph.nodes)}
    shapes = {"script": ("([", "])"), "file": ("[", "]"), "directory": ("[(", ")]")}
    yield "flowchart LR"
    for name, node in graph.nodes.items():
        begin, end = shapes[node.kind]
        style = "absent" if name in absent else node.kind
        yield f'  {ids[name]}{begin}"{_for_mermaid(name)}"{end}:::{style}'
    for edge in graph.edges:
        arrow = "-.->" if not edge.latest else "==>" if edge.kind == MAKES else "-->"
        yield f"  {ids[edge.begin]} {arrow} {ids[edge.end]}"
    yield "  classDef script font-weight:bold"
    yield "  classDef absent stroke-dasharray:4"


_PLAIN = frozenset("/._-+=, ()")


def _for_mermaid(name: str) -> str:
    """A text between double quotes; Mermaid takes ``#60;`` for the character of that number."""
    text = printable(name)
    return "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in text)


def dot(graph: Graph, absent: Collection[str]) -> Iterator[str]:
    """The lines of a graph for Graphviz."""
    ids = {name: f"n{at}" for at, name in enumerate(graph.nodes)}
    shapes = {"script": "box", "file": "note", "directory": "folder"}
    yield "digraph lazydata {"
    yield "  rankdir=LR;"
    yield '  node [fontname="sans-serif", fontsize=11];'
    for name, node in graph.nodes.items():
        style = "dashed" if name in absent else "filled" if node.is_script else "solid"
        label = f"label={_for_dot(name)}, shape={shapes[node.kind]}"
        yield f'  {ids[name]} [{label}, style="{style}"];'
    for edge in graph.edges:
        style = "solid" if edge.latest else "dashed"
        yield f'  {ids[edge.begin]} -> {ids[edge.end]} [style="{style}", tooltip="{edge.kind}"];'
    yield "}"


def _for_dot(name: str) -> str:
    """A quoted string: backslashes begin escapes there, and ``&`` an entity of HTML."""
    text = printable(name).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def as_data(root: str, graph: Graph, absent: Collection[str]) -> dict[str, Any]:
    """What ``--json`` prints of a graph.

    Args:
        root: of the workspace.
        absent: names of scripts that are not there.
    """
    return {
        "root": root,
        "nodes": [_node(node, node.name in absent) for node in graph.nodes.values()],
        "edges": [edge._asdict() for edge in graph.edges],
        "cycles": cycles(graph),
    }


def _node(node: Node, absent: bool) -> dict[str, Any]:
    latest = node.entry.latest if node.entry else None
    return {
        "name": node.name,
        "kind": node.kind,
        "script": node.is_script,
        "absent": absent,
        "hash": latest and latest.digest,
        "size": latest and latest.size,
        "versions": len(node.entry.versions) if node.entry else 0,
    }


def depending(graph: Graph, roots: Collection[str]) -> tuple[list[str], list[str]]:
    """Scripts and other nodes of a part of the graph, without those that it is about."""
    left = set(roots)
    others = [node for name, node in graph.nodes.items() if name not in left]
    scripts = sorted(node.name for node in others if node.is_script)
    return scripts, sorted(node.name for node in others if not node.is_script)


def summary(scripts: Sequence[str], files: Sequence[str], name: str, roots: int) -> str:
    """Such as: 2 scripts and 1 entry depend on x.csv.

    Args:
        scripts, files: what depends.
        name: on this,
        roots: or on so many.
    """
    counts = [(len(scripts), "script"), (len(files), "entry")]
    told = " and ".join(count_of(count, noun) for count, noun in counts if count)
    what = name if roots == 1 else f"these {roots:,}"
    ending = "s" if len(scripts) + len(files) == 1 else ""
    return f"{told} depend{ending} on {what}." if told else f"Nothing recorded depends on {what}."
