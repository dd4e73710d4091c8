"""Good copies of objects, from wherever they are to be had: store, workspace, remotes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from lazydata.adopting import MovedError
from lazydata.digest import Digest, hash_file
from lazydata.errors import (
    FileDenied,
    LazydataError,
    ObjectCorrupt,
    ObjectMissing,
    UsageError,
    from_os_error,
)
from lazydata.index import Index
from lazydata.manifest import RemoteSpec
from lazydata.messages import warn
from lazydata.outgoing import Outgoing
from lazydata.store import Store
from lazydata.workspace import Workspace

Listing = Mapping[Digest, Sequence[str]]


def good_copies(
    workspace: Workspace,
    index: Index,
    digests: Collection[Digest],
    listing: Listing,
    remotes: Sequence[RemoteSpec],
) -> dict[Digest, Outgoing]:
    """Objects in the store, hashed just now; those that are not there are brought first.

    Args:
        digests: of the objects that are wanted.
        listing: which files of the workspace may be these objects.
        remotes: where the others are looked for, in this order.
    """
    found = _in_store(workspace.store, index, digests)
    left = [digest for digest in digests if digest not in found]
    if left:
        _take_files(workspace, index, left, listing)
        found.update(_in_store(workspace.store, index, left))
        left = [digest for digest in left if digest not in found]
    if left and remotes:
        _bring(workspace, left, remotes)
        index.hold()  # see what was noted of what came
        found.update(_in_store(workspace.store, index, left))
    return found


def _in_store(store: Store, index: Index, digests: Iterable[Digest]) -> dict[Digest, Outgoing]:
    found: dict[Digest, Outgoing] = {}
    for digest in digests:
        try:
            path = store.check(digest, index, fresh=True)
            found[digest] = Outgoing(digest, os.path.getsize(path), Path(path))
        except (ObjectMissing, ObjectCorrupt, UsageError):
            continue
        except OSError as error:
            raise from_os_error(error, "read", store.path_of(digest)) from error
    return found


def _take_files(
    workspace: Workspace, index: Index, digests: Collection[Digest], listing: Listing
) -> None:
    """Files of the workspace that are these objects go into the store.

    They are hashed, whatever is remembered of them: they may share the damage.
    """
    try:
        workspace.baseline.prepare()
        workspace.store.register(workspace.baseline.id, workspace.root)
    except OSError as error:
        raise from_os_error(error, "write", workspace.store.directory) from error
    directories: set[str] = set()
    for digest in digests:
        for path in listing.get(digest, ()):
            if path.endswith("/"):
                directories.add(path)
                continue
            try:
                real = workspace.place(path).real
                hashed = hash_file(real, algorithm=digest.algorithm, seed=index.seed)
                if hashed.digest == digest:
                    workspace.store.adopt(real, hashed, index)
                    break
            except (FileNotFoundError, NotADirectoryError, FileDenied, UsageError, MovedError):
                continue
            except OSError as error:
                raise from_os_error(error, "store", path) from error
    for entry in workspace.view(index).files.values():
        if entry.kind == "directory" and any(each.startswith(entry.path) for each in directories):
            _take_directory(workspace, index, entry.path)


def _take_directory(workspace: Workspace, index: Index, name: str) -> None:
    from lazydata.workspace.settle_directory import SettlingDirectory

    try:
        place = workspace.place(name.rstrip("/"))
        entry = workspace.view(index).files[name]
        SettlingDirectory(workspace, place, index).store_again(entry)
    except (LazydataError, OSError) as error:
        warn(f"{name} could not be stored: {error}")


def _bring(workspace: Workspace, digests: Sequence[Digest], remotes: Sequence[RemoteSpec]) -> None:
    from lazydata.workspace.pulling import bring

    try:
        bring(workspace, remotes, digests, "good copies")
    except LazydataError as error:
        warn(str(error))
