"""What must hold of what a crowd leaves: every version is there and whole, and so is every file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from crowd_content import content, is_beginning, label_of


def check(me: Any) -> None:
    """Note what is wrong with a workspace, once nobody works in it any more.

    Args:
        me: the member who looks; it is asked with ``torn``, beginnings of paths that may hold a
            content as far as it was written, ``always``, paths that every version of their
            directory has, and ``written``, contents that were replaced.
    """
    from lazydata.workspace import Workspace

    me.cli("verify", fine=(0,))
    workspace = Workspace(os.getcwd())
    _check_versions(me, workspace)
    _check_files(me)
    if os.path.lexists(os.path.join(".lazydata", "lock")):
        me.wrong.append("the manifest's lock is held")
    left = os.listdir(os.path.join(workspace.store.directory, "tmp"))
    if left:
        me.wrong.append(f"left in the store: {left}")
    for entry in _entries(workspace):
        me.cli("track", entry.path, fine=(0,))
    me.cli("status", "--check", fine=(0,))


def _check_versions(me: Any, workspace: Any) -> None:
    from lazydata.digest import digest_of
    from lazydata.trees import Trees
    from lazydata.workspace.inside import objects_of

    seen: set[str] = set()
    with workspace.index() as index:
        trees = Trees(workspace.store, index)
        for entry in _entries(workspace):
            digests = [version.digest for version in entry.versions]
            if len(set(digests)) != len(digests):
                me.wrong.append(f"{entry.path} lists a version twice")
            for version in entry.versions:
                me.did["version"] += 1
                objects = list(objects_of(trees, entry, version))
                _check_names(me, entry.path, {path for _, _, path in objects})
                for digest, _, path in objects:
                    if digest not in seen:
                        seen.add(digest)
                        _check_object(me, workspace.store, digest, path)
    for label, lines in me.ask["written"]:
        if workspace.store.lacking([digest_of(content(label, lines))]):
            me.wrong.append(f"what was written as {label} was replaced, and is nowhere")


def _check_names(me: Any, entry: str, names: set[str]) -> None:
    """Nobody has removed any of these."""
    for path in me.ask["always"]:
        if entry.endswith("/") and path.startswith(entry) and path not in names:
            me.wrong.append(f"a version of {entry} lacks {path}")


def _check_object(me: Any, store: Any, digest: str, path: str) -> None:
    from lazydata.errors import LazydataError

    try:
        data = store.read(digest, at_most=1 << 30)
    except LazydataError as error:
        me.wrong.append(f"{path}: {error}")
        return
    is_sound = label_of(data) is not None or (_may_be_torn(me, path) and is_beginning(data))
    if not (is_sound or path.endswith("/")):
        me.wrong.append(f"a version of {path} is torn: {data[:60]!r}")


def _check_files(me: Any) -> None:
    for directory, _, names in os.walk("."):
        for name in names:
            path = os.path.relpath(os.path.join(directory, name))
            if name.startswith(".lazydata-"):
                me.wrong.append(f"{path} was left")
            elif path.startswith("data"):
                me.look(path, torn=_may_be_torn(me, path))


def _may_be_torn(me: Any, path: str) -> bool:
    return any(path.startswith(each) for each in me.ask["torn"])


def _entries(workspace: Any) -> Iterator[Any]:
    from lazydata.index import Index

    for _, entry in sorted(workspace.view(Index(None)).files.items()):
        yield entry
