"""The last push that left nothing to do, and what that rested on.

While all of that is the same, so is its end. So a push with nothing to do costs one listing
of the remote, however many entries there are.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from lazydata.compiled import CompiledView
from lazydata.digest import digest_of
from lazydata.index import Index
from lazydata.manifest import RemoteSpec
from lazydata.workspace import Workspace
from lazydata.workspace.remotes import project_of


class LastPush:
    """What is remembered of pushes of one scope to one remote.

    Args:
        workspace: whose manifest it is.
        index: that remembers it.
        spec: the remote.
        scope: tells what was pushed of all that is listed; empty where that is not for
            another time.
    """

    def __init__(self, workspace: Workspace, index: Index, spec: RemoteSpec, scope: str) -> None:
        self._workspace, self._index, self._spec, self._scope = workspace, index, spec, scope
        self._text = self._listed()

    def find(self) -> tuple[str, int] | None:
        """What the remote said of itself then, and of how many objects, if all here is the same."""
        if not self._text:
            return None
        rows = self._index.read(
            "SELECT here, there, objects FROM pushes WHERE manifest = ? AND scope = ?"
            " AND remote = ?",
            self._key,
        )
        return rows[0][1:] if rows and rows[0][0] == self._here() else None

    def put(self, names: Collection[str], objects: int) -> None:
        """Remember that all objects are on the remote, unless the manifest was edited meanwhile.

        Args:
            names: of the index files that are there.
            objects: how many are wanted there.
        """
        if self._text and self._text == self._listed():
            self._index.write(
                "INSERT OR REPLACE INTO pushes VALUES (?,?,?,?,?,?)",
                [(*self._key, self._here(), said(names), objects)],
            )

    @property
    def _key(self) -> tuple[str, str, str]:
        return self._workspace.file, self._scope, self._spec.url

    def _listed(self) -> bytes:
        """The text of the manifest, as its fingerprint; empty where nothing may be remembered."""
        view = self._workspace.view(self._index) if self._scope else None
        return view.text if isinstance(view, CompiledView) else b""

    def _here(self) -> str:
        pushed = self._workspace.baseline.pushed_stamp()
        return _digest(self._text.hex(), project_of(self._spec), *map(str, pushed or ()))


def said(names: Collection[str]) -> str:
    """Index files of a remote, in short."""
    return _digest(*sorted(names))


def _digest(*parts: str) -> str:
    return digest_of(os.fsencode("\0".join(parts)))
