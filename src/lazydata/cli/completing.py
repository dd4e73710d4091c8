"""What completion in the shell offers besides commands and options. An error offers nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lazydata.errors import LazydataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.index import Index
    from lazydata.workspace import View, Workspace

_Offer = Callable[[str], list[str]]

# A shell reads what is offered as code: zsh evaluates it twice, and what bash puts on the
# line is run with the next Enter. Names with anything else in them have to be typed.
_PLAIN = re.compile(r"(?![-=~])[\w./,%+@=~-]+")


def _quiet(offer: _Offer) -> _Offer:
    """A shell that waits for its user has no place for an error, nor for a stranger's code."""

    def offered(incomplete: str) -> list[str]:
        try:
            return [each for each in offer(incomplete) if _PLAIN.fullmatch(each)]
        except (LazydataError, OSError):
            return []

    return offered


@_quiet
def paths(incomplete: str) -> list[str]:
    """Listed paths that begin so, as far as the next slash.

    Inside of a tracked directory they are those of its latest version, as far as its lists
    are in the store.
    """
    typed, _, beginning = incomplete.rpartition("/")
    directory = typed or ("/" if incomplete.startswith("/") else ".")
    with _opened(directory) as (workspace, view, index):
        from lazydata.workspace.names import name_of

        def below(above: str) -> set[str]:
            return _listed(view, above) or _inside(workspace, view, index, above)

        above = name_of(workspace, directory, os.getcwd())
        found = sorted(name for name in below(above) if name.startswith(beginning))
        if len(found) == 1 and found[0].endswith("/"):
            # Alone it would be taken for all that was meant, and get a space after it.
            inside = below(f"{above}/{found[0]}".strip("/"))
            found += sorted(found[0] + name for name in inside)
    shown = incomplete[: len(incomplete) - len(beginning)]
    return [shown + name for name in found]


@_quiet
def remotes(incomplete: str) -> list[str]:
    """Names of remotes, in the order of lazydata.yml."""
    with _opened(".") as (_, view, _):
        return [name for name in view.remotes if name.startswith(incomplete)]


@_quiet
def settings(incomplete: str) -> list[str]:
    """Keys of the user's settings; those of remotes that lazydata.yml lists."""
    keys = ["link", "store", "allow", *(f"remotes.{name}.profile" for name in remotes(""))]
    return [key for key in keys if key.startswith(incomplete)]


@contextmanager
def _opened(directory: str) -> Iterator[tuple[Workspace, View, Index]]:
    from lazydata.workspace import Workspace

    workspace = Workspace.above(os.path.normpath(os.path.join(os.getcwd(), directory)))
    with workspace.index() as index:
        yield workspace, workspace.view(index), index


def _listed(view: View, above: str) -> set[str]:
    """Names right in a directory, with a slash where more follows."""
    entries = view.below(above) if above else view.files
    cut = len(above) + 1 if above else 0
    names = (path[cut:].partition("/") for path in entries if len(path) > cut)
    return {name + slash for name, slash, _ in names}


def _inside(workspace: Workspace, view: View, index: Index, above: str) -> set[str]:
    """The same in a tracked directory; no remote is asked."""
    from lazydata.tree import DIR
    from lazydata.trees import Trees
    from lazydata.workspace.names import find

    entries = find(view, above) if above else []
    if not entries:
        return set()
    trees = Trees(workspace.store, index)
    node = trees.find(entries[0].latest.digest, (entries[0].portion or "").strip("/"))
    if node is None or node.kind != DIR:
        return set()
    return {each.name + "/" * (each.kind == DIR) for each in trees.read(node.digest)}
