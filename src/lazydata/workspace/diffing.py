"""What differs between two states of the manifest; data is never fetched for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lazydata.errors import LazydataError, NotTracked
from lazydata.index import Index
from lazydata.manifest import Entry, RemoteSpec, Version
from lazydata.messages import warn
from lazydata.tree import DIR, Node
from lazydata.trees import EMPTY, Change, Trees
from lazydata.workspace import Workspace
from lazydata.workspace.inside import Fetching
from lazydata.workspace.names import find, find_bare, name_of
from lazydata.workspace.nested import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View


class Side(NamedTuple):
    """One of the two that are compared.

    Args:
        file: the manifest, as messages name it.
        view: what it says.
    """

    file: str
    view: View


class Difference(NamedTuple):
    """One entry, or portion of a tracked directory, whose latest version differs.

    Args:
        path: as in the manifest.
        kind: ``file`` or ``directory``.
        old, new: the latest version on each side; None where it is not listed.
        inside: of a directory on both sides, the files that differ; None where that is not
            known, since its lists can't be had.
    """

    path: str
    kind: str
    old: Version | None
    new: Version | None
    inside: list[Change] | None

    @property
    def change(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return change_of(self.old, self.new)


def change_of(old: object, new: object) -> str:
    """``added``, ``removed`` or ``changed``."""
    return "added" if old is None else "removed" if new is None else "changed"


def diff(
    workspace: Workspace,
    index: Index,
    old: Side,
    new: Side,
    part: Part,
    cwd: str,
    remotes: Sequence[RemoteSpec],
) -> Iterator[Difference]:
    """Compare the latest versions that two states of the manifest list, path by path.

    Args:
        part: what is compared: entries, directories, or paths inside of tracked ones.
        cwd: the working directory, absolute.
        remotes: are asked for the lists of directories that are not here.

    Raises:
        NotTracked: a path that neither side lists.
        LazydataError: a path inside of a directory was named whose lists can't be had.
    """
    for path, portion in _meant(workspace, part, cwd, old, new):
        was, now = (_latest(side.view.entry(path)) for side in (old, new))
        if was is not None and now is not None and was.digest == now.digest:
            continue
        fetching = Fetching(workspace, index, path, remotes)
        trees = Trees(workspace.store, index, fetching.trees, name=path)
        if portion:
            nodes = [trees.find(side.digest, portion) if side else None for side in (was, now)]
            if nodes[0] != nodes[1]:
                yield _inside(trees, path + portion, nodes[0], nodes[1])
        else:
            yield _whole(trees, path, was, now)


def _latest(entry: Entry | None) -> Version | None:
    return None if entry is None else entry.latest


def _whole(trees: Trees, path: str, was: Version | None, now: Version | None) -> Difference:
    if not path.endswith("/"):
        return Difference(path, "file", was, now, [])
    try:
        inside = _files(trees, was, now)
    except LazydataError as error:
        warn(f"which files of {path} differ is not known: {error}")
        return Difference(path, "directory", was, now, None)
    return Difference(path, "directory", was, now, inside)


def _inside(trees: Trees, name: str, was: Node | None, now: Node | None) -> Difference:
    old, new = _version(was), _version(now)
    if any(node is not None and node.kind != DIR for node in (was, now)):
        return Difference(name, "file", old, new, [])
    name = name.rstrip("/") + "/"
    return Difference(name, "directory", old, new, _files(trees, old, new))


def _version(node: Node | None) -> Version | None:
    if node is None:
        return None
    return Version(node.digest, node.size, (), node.files if node.kind == DIR else None)


def _files(trees: Trees, was: Version | None, now: Version | None) -> list[Change]:
    """Files that differ, and directories of which nothing else tells."""
    if was is None or now is None:
        return []
    changes = trees.diff(was.digest, now.digest)
    found = [c for c in changes if not all(_is_full(node) for node in (c.old, c.new))]
    return sorted(found, key=lambda change: change.path)


def _is_full(node: Node | None) -> bool:
    return node is None or (node.kind == DIR and node.digest != EMPTY)


def _meant(
    workspace: Workspace, part: Part, cwd: str, old: Side, new: Side
) -> list[tuple[str, str]]:
    """Paths of entries that either side lists, each with the portion that is meant."""
    found: list[Entry] = []
    for argument in part.paths:
        name = name_of(workspace, argument, cwd)
        entries = find(old.view, name) + find(new.view, name)
        entries = entries or find_bare(new.view, argument) or find_bare(old.view, argument)
        if not entries and name:
            raise NotTracked(
                f"neither {old.file} nor {new.file} lists anything at {argument}",
                path=argument,
                hint="`git branch --all` lists the branches, if a REV was meant; REVs come before "
                "PATHs, and -- between them where that is not clear",
            )
        found += entries
    for area in part.areas:
        name = name_of(workspace, area, cwd)
        found += find(old.view, name) + find(new.view, name)
    return sorted({(entry.path, entry.portion) for entry in found})
