"""Which scripts use and make which entries, as a graph: what a manifest says of it, and no more."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from lazydata.manifest import Entry, Version
from lazydata.messages import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View, Workspace
    from lazydata.workspace.nested import Part

USES, MAKES = "uses", "makes"


class Node(NamedTuple):
    """A script, or an entry; an entry that is run as a script is both, in one node.

    Args:
        name: path relative to the workspace, or the label of a usage.
        kind: ``script``, ``file`` or ``directory``.
        is_script: it is recorded to use or to make something.
        entry: what the manifest lists there; None for a script that is not listed.
    """

    name: str
    kind: str
    is_script: bool
    entry: Entry | None


class Edge(NamedTuple):
    """What one script has to do with one entry.

    Args:
        script: its name.
        path: of the entry.
        kind: ``uses`` or ``makes``.
        latest: it is recorded of the latest version, not of earlier ones only.
    """

    script: str
    path: str
    kind: str
    latest: bool

    @property
    def begin(self) -> str:
        """Where the bytes come from."""
        return self.path if self.kind == USES else self.script

    @property
    def end(self) -> str:
        """Where they go."""
        return self.script if self.kind == USES else self.path


class Graph:
    """Scripts and entries, and the edges between them.

    Args:
        nodes: by name.
        edges: each joins two of them; at most one of each kind between a script and an entry.

    Example:
        >>> graph = build([Entry("x.csv", (Version(Digest("blake3:00"), usage=("a.py",)),))])
        >>> graph.down["x.csv"]
        ['a.py']
    """

    def __init__(self, nodes: dict[str, Node], edges: list[Edge]) -> None:
        self.nodes, self.edges = nodes, edges
        self.up: dict[str, list[str]] = {name: [] for name in nodes}
        self.down: dict[str, list[str]] = {name: [] for name in nodes}
        for edge in edges:
            self.down[edge.begin].append(edge.end)
            self.up[edge.end].append(edge.begin)

    @property
    def scripts(self) -> list[str]:
        """Names of all scripts."""
        return [node.name for node in self.nodes.values() if node.is_script]

    def part(self, names: Collection[str]) -> Graph:
        """The same with some of the nodes only."""
        kept = set(names)
        nodes = {name: node for name, node in self.nodes.items() if name in kept}
        edges = [edge for edge in self.edges if edge.script in kept and edge.path in kept]
        return Graph(nodes, edges)


def users_of(version: Version) -> tuple[str, ...]:
    """The scripts that are recorded to use a version; a usage of who made it says no more."""
    return tuple(script for script in version.usage if script not in version.producer)


def makers_of(version: Version) -> tuple[str, ...]:
    """The scripts that are recorded to have made a version."""
    return version.producer


def build(
    entries: Iterable[Entry], *, makers: Callable[[Version], Iterable[str]] = makers_of
) -> Graph:
    """Make the graph of some entries, from all their versions.

    Args:
        entries: usually all that a manifest lists.
        makers: tells the scripts that made a version.
    """
    by_path = sorted(entries, key=lambda entry: entry.path)  # the same graph, the same text
    listed = {entry.path: entry._replace(portion="") for entry in by_path}
    found: dict[tuple[str, str, str], bool] = {}
    for path, entry in listed.items():
        for version in entry.versions:
            latest = version is entry.latest
            for kind, scripts in ((USES, users_of(version)), (MAKES, makers(version))):
                for script in scripts:
                    key = (script, path, kind)
                    found[key] = latest or found.get(key, False)
    scripts = sorted({script for script, _, _ in found})
    nodes = {path: Node(path, entry.kind, path in scripts, entry) for path, entry in listed.items()}
    for script in scripts:
        known = nodes.get(script, Node(script, "script", True, None))
        nodes[script] = known._replace(is_script=True)
    return Graph(nodes, [Edge(*key, found[key]) for key in sorted(found)])


def reach(links: Mapping[str, Iterable[str]], starts: Iterable[str]) -> dict[str, int]:
    """What can be reached from some nodes, these included, with the number of steps to each.

    Args:
        links: ``graph.up`` or ``graph.down``.
        starts: names.
    """
    steps = dict.fromkeys(starts, 0)
    todo = list(steps)
    for name in todo:
        for other in links[name]:
            if other not in steps:
                steps[other] = steps[name] + 1
                todo.append(other)
    return steps


def around(graph: Graph, names: Iterable[str]) -> Graph:
    """What some nodes were made from, and what depends on them."""
    names = list(names)
    return graph.part({*reach(graph.up, names), *reach(graph.down, names)})


def knots(graph: Graph) -> list[list[str]]:
    """Groups of nodes that lead to each other; mostly of one. What comes first is made first."""
    seen: set[str] = set()
    found: list[list[str]] = []
    for first in reversed(_finished(graph)):
        if first in seen:
            continue
        seen.add(first)
        group = [first]
        for name in group:
            new = [other for other in dict.fromkeys(graph.up[name]) if other not in seen]
            seen.update(new)
            group += new
        found.append(group)
    return found


def _finished(graph: Graph) -> list[str]:
    """All nodes, each after whatever is reached from it (but for cycles)."""
    seen: set[str] = set()
    found: list[str] = []
    for first in graph.nodes:
        if first in seen:
            continue
        seen.add(first)
        todo = [(first, iter(graph.down[first]))]
        while todo:
            name, rest = todo[-1]
            for other in rest:
                if other not in seen:
                    seen.add(other)
                    todo.append((other, iter(graph.down[other])))
                    break
            else:
                todo.pop()
                found.append(name)
    return found


def cycles(graph: Graph) -> list[list[str]]:
    """Groups of nodes that are made from each other, such as a file that is changed in place."""
    return [sorted(group) for group in knots(graph) if len(group) > 1 or _is_own(graph, group[0])]


def _is_own(graph: Graph, name: str) -> bool:
    return name in graph.down[name]


def layers(graph: Graph) -> dict[str, int]:
    """A column for each node: right of all that it was made from, as far as there is no cycle."""
    found: dict[str, int] = {}
    for group in knots(graph):
        inside = set(group)
        base = 1 + max(
            (found[up] for name in group for up in graph.up[name] if up not in inside), default=-1
        )
        entered = [n for n in group if not inside.issuperset(graph.up[n])]
        first = min(entered or group, key=lambda name: (not graph.nodes[name].is_script, name))
        links = {n: [down for down in graph.down[n] if down in inside] for n in group}
        found.update((name, base + step) for name, step in reach(links, [first]).items())
    return found


def sources(graph: Graph) -> list[str]:
    """Nodes that nothing leads to; of a cycle that nothing leads to, one."""
    return _ends(graph, graph.up, knots(graph))


def results(graph: Graph) -> list[str]:
    """Nodes that lead to nothing; of a cycle that leads to nothing, one."""
    return _ends(graph, graph.down, knots(graph))


def _ends(graph: Graph, links: Mapping[str, list[str]], groups: list[list[str]]) -> list[str]:
    found = []
    for group in groups:
        inside = set(group)
        if all(inside.issuperset(links[name]) for name in group):
            found.append(min(group, key=lambda name: (graph.nodes[name].is_script, name)))
    return sorted(found)


def named(graph: Graph, workspace: Workspace, view: View, part: Part, cwd: str) -> list[str]:
    """The nodes that a command means in one workspace.

    Args:
        graph: of all that the manifest lists.
        part: its paths may be entries, scripts, directories with some below, or bare names.
        cwd: the working directory, absolute.

    Raises:
        NotTracked: a path that names nothing.
        UsageError: one that could mean several.
    """
    from lazydata.workspace.names import find_bare, name_of, not_tracked

    found: dict[str, None] = {}
    for argument in part.paths:
        name = name_of(workspace, argument, cwd)
        names = _at(graph, view, name) or [entry.path for entry in find_bare(view, argument)]
        names = names or _bare_script(graph, argument)
        if not names and name:
            raise not_tracked(workspace, argument, cwd)
        found.update(dict.fromkeys(names))
    for area in part.areas:
        found.update(dict.fromkeys(_at(graph, view, name_of(workspace, area, cwd))))
    return list(found)


def _at(graph: Graph, view: View, name: str) -> list[str]:
    from lazydata.workspace.names import find

    if not name:
        return list(graph.nodes)
    if name in graph.nodes:
        return [name]
    below = [script for script in graph.scripts if script.startswith(name + "/")]
    return list(dict.fromkeys([*(entry.path for entry in find(view, name)), *below]))


def _bare_script(graph: Graph, argument: str) -> list[str]:
    fits = [script for script in graph.scripts if os.path.basename(script) == argument]
    if len(fits) == 1:
        say(f"Taking {fits[0]} for {argument}")
        return fits
    return []
