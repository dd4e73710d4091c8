"""Which workspaces a store serves: each is named in it before its first object arrives.

    workspaces/<id>      a directory a line; a copy of a workspace has the same id

Line breaks and backslashes in a path are escaped. Whoever tidies the store asks them all.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from lazydata.fsutil import make_dirs, remove, write_atomic
from lazydata.lock import Lock

_ID = re.compile(r"[0-9a-f]{32}")


class Known(NamedTuple):
    """One directory that a store serves.

    Args:
        id: of the workspace.
        root: its directory, absolute.
    """

    id: str
    root: str


class Registry:
    """The workspaces of one store.

    Args:
        directory: of the store's objects; nothing in it need exist.

    Example:
        >>> Registry("/nowhere").all()
        []
    """

    def __init__(self, directory: str) -> None:
        self._directory = os.path.join(directory, "workspaces")
        self._locks = os.path.join(directory, "tmp")

    def add(self, workspace_id: str, root: str) -> None:
        """Name a directory, durably; one that is named already costs a read.

        Raises:
            OSError: the store can't be written.
        """
        path, line = os.path.join(self._directory, workspace_id), _escape(root)
        if line in _lines(path):
            return
        make_dirs(self._directory, shared=True)
        with self._lock(workspace_id):
            known = _lines(path)
            if line not in known:
                write_atomic(path, _joined([*known, line]), shared=True)

    def all(self) -> list[Known]:
        """Every directory of every workspace.

        Raises:
            OSError: they can't be read.
        """
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return []
        ids = [name for name in names if _ID.fullmatch(name)]
        return [
            Known(each, _unescape(line))
            for each in ids
            for line in _lines(os.path.join(self._directory, each))
        ]

    def forget(self, root: str) -> bool:
        """Take a directory out; whether it was named.

        Raises:
            OSError: the store can't be written.
        """
        found = [known for known in self.all() if known.root == root]
        for known in found:
            path, line = os.path.join(self._directory, known.id), _escape(root)
            with self._lock(known.id):
                left = [each for each in _lines(path) if each != line]
                if left:
                    write_atomic(path, _joined(left), shared=True)
                else:
                    remove(path)
        return bool(found)

    def _lock(self, workspace_id: str) -> Lock:
        """One writer at a time: each puts back what the others wrote."""
        make_dirs(self._locks, shared=True)
        return Lock(os.path.join(self._locks, f"{workspace_id}.lock"))


def _lines(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            return [line for line in file.read().split(b"\n") if line]
    except FileNotFoundError:
        return []


def _joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def _escape(path: str) -> bytes:
    return os.fsencode(path).replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def _unescape(line: bytes) -> str:
    return os.fsdecode(b"\\".join(p.replace(b"\\n", b"\n") for p in line.split(b"\\\\")))
