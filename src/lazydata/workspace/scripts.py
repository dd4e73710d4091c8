"""What a script uses: usages in the manifest, and literal ``track("…")`` calls in its code."""

from __future__ import annotations

import ast
import json
import os

from lazydata.manifest import Entry
from lazydata.messages import say, warn
from lazydata.workspace import Workspace
from lazydata.workspace.names import find, find_bare, name_of, not_tracked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View


def used_by(workspace: Workspace, view: View, script: str, cwd: str) -> list[Entry]:
    """Entries that a script uses, whether it ran here or not.

    Args:
        script: relative to the workspace.
        cwd: a literal relative path may mean this directory, the script's, or the root's.
    """
    files = view.files
    found = {
        path: entry
        for path, entry in files.items()
        if any(script in version.usage for version in entry.versions)
    }
    path = os.path.join(workspace.root, script)
    for literal in _tracked_literals(path):
        bases = (cwd, os.path.dirname(path), workspace.root)
        names = [os.path.relpath(os.path.join(b, literal), workspace.root) for b in bases]
        meant = [files[n] for n in (name.replace(os.sep, "/") for name in names) if n in files]
        found.update((entry.path, entry) for entry in meant)
        if not meant:
            warn(f"{script} tracks {literal}, which lazydata.yml does not list")
    if not found and os.path.isfile(path):
        say(f"{script} tracks nothing that lazydata.yml lists")
    return list(found.values())


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


def wanted(workspace: Workspace, view: View, arguments: list[str], cwd: str) -> list[Entry]:
    """The entries that the arguments of ``pull`` mean.

    Args:
        arguments: entries, directories, scripts or bare names; none means all that
            this clone had before.

    Raises:
        NotTracked: one that names nothing.
    """
    files = view.files
    if not arguments:
        had = [files[path] for path in workspace.baseline.all() if path in files]
        if not had and files:
            say("This clone has had no files yet; `lazydata pull .` gets all of them")
        return had
    found: dict[str, Entry] = {}
    for argument in arguments:
        name = name_of(workspace, argument, cwd)
        entries = find(view, name) or used_by(workspace, view, name, cwd)
        entries = entries or find_bare(view, argument)
        if not entries and name and not os.path.isfile(os.path.join(workspace.root, name)):
            raise not_tracked(argument)
        found.update((entry.path, entry) for entry in entries)
    return list(found.values())
