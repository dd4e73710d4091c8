"""Give workspace files that share an inode with an object one of their own again."""

from __future__ import annotations

import os

from lazydata import config, fsutil, links
from lazydata.digest import hash_file
from lazydata.errors import FileBusy, LazydataError
from lazydata.fsutil import is_inside
from lazydata.index import Index
from lazydata.lock import Lock
from lazydata.stamp import stamp_of
from lazydata.store import Store
from lazydata.workspace import Workspace

_PATIENCE = 30  # times the two minutes that a lock is waited for


def unshare_object(path: str, status: os.stat_result, *, keep_bytes: bool = True) -> bool:
    """Unshare a file, if what it shares its inode with is an object of the store.

    Args:
        path: absolute.
        status: of the file, which has several links.
        keep_bytes: False where the next step is to truncate it.

    Returns:
        Whether it was an object, and now is not.
    """
    store = Store(config.store_dir())
    with Index(config.index_dir()) as index:
        shared = _object_of(path, status, store, index)
        if shared is None:
            return False
        # Two writers at once: the second must not replace the file that the first one writes.
        lock = os.path.join(store.directory, "tmp", f"unshare-{status.st_dev}-{status.st_ino}")
        for _ in range(_PATIENCE):
            try:
                with Lock(lock):
                    _unshare_once(path, status, shared, index, keep_bytes=keep_bytes)
                break
            except FileBusy:
                continue  # a large file is still being copied
            except FileNotFoundError:
                fsutil.make_dirs(os.path.dirname(lock), shared=True)
            except OSError:
                # A store that is only read: what is left is the race between two writers.
                _unshare_once(path, status, shared, index, keep_bytes=keep_bytes)
                break
    return True


def _unshare_once(
    path: str, status: os.stat_result, shared: str, index: Index, *, keep_bytes: bool
) -> None:
    if not _is_same(path, status):
        return  # somebody else has done it
    before = stamp_of(shared)
    links.unshare(path, keep_bytes=keep_bytes)
    index.restamp(before, stamp_of(shared))


def _object_of(path: str, status: os.stat_result, store: Store, index: Index) -> str | None:
    """The object whose inode this is: the index may know, or the baseline."""
    for other in index.paths_of(status.st_dev, status.st_ino):
        if is_inside(other, store.directory) and _is_same(other, status):
            return other
    try:
        workspace = Workspace.above(path)
        digest = workspace.baseline.get(workspace.place(path).name)
    except LazydataError:
        digest = None
    if digest is not None and _is_same(store.path_of(digest), status):
        return store.path_of(digest)
    # Moved, or tracked no more, and the index is lost: its bytes tell its name.
    if not status.st_mode & 0o222:
        for algorithm in ("blake3", "sha256"):
            if os.path.isdir(os.path.join(store.directory, algorithm)):
                named = store.path_of(hash_file(path, algorithm=algorithm).digest)
                if _is_same(named, status):
                    return named
    return None


def _is_same(path: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)
    except OSError:
        return False
