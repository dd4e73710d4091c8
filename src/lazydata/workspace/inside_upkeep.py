"""Tracked directories and what is inside of them, on request: restored, read, listed."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lazydata import manifest
from lazydata.digest import Digest
from lazydata.errors import FileBusy, UsageError
from lazydata.ignoring import Ignore
from lazydata.index import Index
from lazydata.manifest import Entry, Version
from lazydata.messages import say, typed
from lazydata.scanning import scan
from lazydata.tree import DIR, LINK, Node
from lazydata.workspace import Workspace
from lazydata.workspace.names import wanted_version
from lazydata.workspace.portions import Portion
from lazydata.workspace.settle_directory import SettlingDirectory


def restore_inside(
    workspace: Workspace, index: Index, entry: Entry, version: str | Version | None
) -> Digest:
    """Put a version of a directory, or of a portion of it, in its place.

    What is there is stored first. An older version of the whole becomes the newest in the
    manifest; that of a portion is a change, and recorded as such when it is tracked.

    Raises:
        NotTracked: there is no such version, or nothing there in it.
        ObjectMissing: something of it is nowhere.
    """
    wanted = wanted_version(workspace, entry, version)
    digest, listed = wanted.digest, [each.digest for each in entry.versions]
    if entry.portion:
        portion = Portion(workspace, index, entry, entry.portion)
        if digest in listed or isinstance(version, Version):  # else of a file in it
            return portion.restore(digest)
        portion.restore_file(digest)
        return digest
    place = workspace.place(entry.path.rstrip("/"))
    settling = SettlingDirectory(workspace, place, index)
    held = settling.look_first(take=True)
    settling.trees.bring(digest)
    root = settling.trees.root(digest)
    settling.prepare(held, root)  # what can't be had is told before anything is written
    if held is not None and held.digest not in listed and workspace.store.has(held.digest):
        workspace.baseline.displaced(entry.path, held.digest)
        say(
            f"{entry.path} was not recorded as it was: it is stored, and `lazydata restore "
            f"{typed(entry.path)} --version {held.digest.hex[:12]}` gets it back"
        )
    if digest not in listed[-1:]:
        newest = wanted._replace(size=root.size, files=root.files)
        with workspace.baseline.lock():
            now = workspace.view(index).entry(entry.path)
            if (now.versions if now else ()) != entry.versions:
                raise FileBusy(f"{entry.path} was recorded just now", hint="run it again")
            workspace.edit(
                index,
                entry.path,
                lambda text, view: manifest.record(text, view, entry.path, newest),
            )
    settling.replace(held, root)
    return digest


def read_inside(
    workspace: Workspace, index: Index, entry: Entry, version: str | Version | None
) -> Digest:
    """The digest of a file in a directory, whose object the store has now.

    Raises:
        UsageError: it is no file.
        NotTracked: that version has nothing there.
    """
    portion = Portion(workspace, index, entry, entry.portion)
    node = portion.listed(wanted_version(workspace, entry, version).digest)
    if node.kind in (DIR, LINK):
        what = "directory" if node.kind == DIR else f"symlink to {node.target}"
        raise UsageError(f"{entry.name} is a {what}", hint="name a file in it")
    portion.fetch([node])
    return node.digest


def list_inside(workspace: Workspace, index: Index, entry: Entry) -> Iterator[Entry]:
    """What a portion is: a file, or all that lies right in a directory."""
    portion = Portion(workspace, index, entry, entry.portion)
    node = portion.listed()
    if node.kind != DIR:
        yield _as_entry(entry.name, node)
        return
    for each in portion.trees.read(node.digest):
        yield _as_entry(f"{entry.name.rstrip('/')}/{each.name}", each)


def files_inside(workspace: Workspace, entry: Entry) -> Iterator[str]:
    """Where the files of a directory, or a portion of it, are on disk; no symlink is followed."""
    real = workspace.place(entry.name.rstrip("/")).real
    if not os.path.isdir(real):
        yield real
        return
    stack = [(real, Ignore.of(workspace.root, real))]
    while stack:
        directory, ignore = stack.pop()
        listing = scan(directory, ignore)
        for at, name in enumerate(listing.names):
            path = os.path.join(directory, name)
            if listing.kind(at) == DIR:
                stack.append((path, ignore.inside(name)))
            elif listing.kind(at) != LINK:
                yield path


def state_of_portion(workspace: Workspace, index: Index, entry: Entry) -> tuple[str, Node]:
    """How a portion stands, as ``status`` says it, and what is listed there, or is there."""
    portion = Portion(workspace, index, entry, entry.portion)
    state = portion.state()
    node = portion.trees.find(entry.latest.digest, entry.portion) or portion.here()
    assert node is not None
    return state, node


def _as_entry(path: str, node: Node) -> Entry:
    if node.kind == DIR:
        return Entry(path + "/", (Version(node.digest, node.size, (), node.files),))
    return Entry(path, (Version(node.digest, node.size),))
