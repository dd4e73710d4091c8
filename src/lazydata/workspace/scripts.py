"""What a script uses: usages in the manifest, and literal ``track("…")`` calls in its code."""

from __future__ import annotations

import ast
import json
import os

from lazydata.errors import NotAWorkspace
from lazydata.manifest import Entry
from lazydata.messages import say, typed, warn
from lazydata.workspace import Workspace
from lazydata.workspace.names import find, find_bare, name_of, not_tracked, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View
    from lazydata.workspace.nested import Part


def used_by(workspace: Workspace, view: View, script: str, cwd: str) -> list[Entry]:
    """Entries of one workspace that a script uses, whether it ran here or not.

    Args:
        script: relative to the workspace; it may lie outside.
        cwd: a literal relative path may mean this directory, the script's, or the root's.
    """
    found = dict(view.used_by(script))
    path = os.path.normpath(os.path.join(workspace.root, script))
    own = _root_of(path) == workspace.root
    may_be_elsewhere = False
    for literal in _tracked_literals(path):
        roots = {each: _root_of(each) for each in _meant(literal, path, cwd)}
        names = [name_of(workspace, p, cwd) for p, root in roots.items() if root == workspace.root]
        listed = [e for name in names for e in find(view, name) if e.name.rstrip("/") == name]
        found.update((entry.name, entry) for entry in listed)
        governed_elsewhere = not {None, workspace.root}.issuperset(roots.values())
        may_be_elsewhere = may_be_elsewhere or governed_elsewhere
        if own and not listed and not governed_elsewhere:
            warn(f"{script} tracks {literal}, which lazydata.yml does not list")
    if own and not found and not may_be_elsewhere and os.path.isfile(path):
        say(f"{script} tracks nothing that lazydata.yml lists")
    return list(found.values())


def elsewhere(script: str, cwd: str) -> list[str]:
    """Roots of the workspaces, beside its own, that may list what a script uses.

    Those above its own may have recorded it, and it may track what others govern.

    Args:
        script: absolute.
        cwd: as for ``used_by``.
    """
    own = root = _root_of(script)
    found: dict[str, None] = {}
    while root is not None and (parent := os.path.dirname(root)) != root:
        root = _root_of(parent)
        if root is not None:
            found[root] = None
    for literal in _tracked_literals(script):
        roots = (_root_of(each) for each in _meant(literal, script, cwd))
        found.update((root, None) for root in roots if root is not None and root != own)
    return list(found)


def _meant(literal: str, script: str, cwd: str) -> list[str]:
    """Absolute paths that a literal in a script may mean."""
    root = _root_of(script) or cwd
    bases = (cwd, os.path.dirname(script), root)
    return list(dict.fromkeys(os.path.normpath(os.path.join(base, literal)) for base in bases))


def _root_of(path: str) -> str | None:
    try:
        return Workspace.above(path).root
    except NotAWorkspace:
        return None


def _tracked_literals(path: str) -> list[str]:
    """First arguments of ``track("…")`` calls, under any name that track was imported by."""
    found = []
    for source in _sources(path):
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            warn(f"{path} can't be read as Python: {error}")
            continue
        names = {"track"}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "lazydata":
                names |= {a.asname for a in node.names if a.name == "track" and a.asname}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            first = node.args[0]
            # Path("data/x.csv") is as literal as "data/x.csv".
            if isinstance(first, ast.Call) and len(first.args) == 1:
                first = first.args[0]
            if name in names and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append(first.value)
    return found


def _sources(path: str) -> list[str]:
    """The Python code in a script, or in the cells of a notebook (magics left out)."""
    try:
        with open(path, "rb") as file:
            data = file.read(16 << 20)
        if not path.endswith(".ipynb"):
            return [data.decode("utf-8")]
        cells = [c["source"] for c in json.loads(data)["cells"] if c["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError):
        return []
    texts = ["".join(cell) if isinstance(cell, list) else str(cell) for cell in cells]
    return [
        "\n".join("" if line.lstrip()[:1] in "%!?" and line.strip() else line for line in lines)
        for lines in (text.split("\n") for text in texts)
    ]


def wanted(workspace: Workspace, view: View, part: Part, cwd: str) -> list[Entry]:
    """The entries that ``pull`` means in one workspace.

    Args:
        part: its paths may be entries, directories, scripts or bare names.

    Raises:
        NotTracked: a path that names nothing.
    """
    found: dict[str, Entry] = {}
    for argument in part.paths:
        name = name_of(workspace, argument, cwd)
        entries = find(view, name) or used_by(workspace, view, name, cwd)
        entries = entries or find_bare(view, argument)
        if not entries and name and not os.path.isfile(os.path.join(workspace.root, name)):
            raise not_tracked(workspace, argument, cwd)
        found.update((entry.name, entry) for entry in entries)
    for script in part.scripts:
        name = os.path.relpath(script, workspace.root).replace(os.sep, "/")
        found.update((entry.name, entry) for entry in used_by(workspace, view, name, cwd))
    found.update((e.name, e) for e in resolve(workspace, view, part._replace(paths=[]), cwd))
    return list(found.values())


def had(workspace: Workspace, view: View, part: Part, cwd: str) -> list[Entry]:
    """Those entries of a part that this clone had before."""
    listed = resolve(workspace, view, part, cwd)
    known = workspace.baseline.some(entry.path for entry in listed)
    if listed and not known:
        area = os.path.relpath(part.areas[0], cwd)
        say(f"This clone has had no files yet; `lazydata pull {typed(area)}` gets all of them")
    return [entry for entry in listed if entry.path in known]
