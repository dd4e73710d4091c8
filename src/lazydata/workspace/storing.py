"""Store what is in a tracked directory, as far as the store lacks it."""

from __future__ import annotations

import os
from itertools import islice

from lazydata.digest import Digest, digest_of, hash_file
from lazydata.errors import FileBusy, from_os_error
from lazydata.fsutil import is_inside
from lazydata.gathering import SMALL, Gathering
from lazydata.index import Index
from lazydata.stamp import stamp_of
from lazydata.tree import DIR, LINK
from lazydata.trees import Trees
from lazydata.workspace import Workspace
from lazydata.workspace.directories import Held
from lazydata.workspace.inside import AT_ONCE


class Storing:
    """The way from one directory into the store.

    Args:
        workspace, index: as elsewhere.
        trees: has those of the directory.
        real: where it is, absolute.
        name: of the directory, for messages.
        link: whether its files may be hardlinked into the store.
    """

    def __init__(
        self, workspace: Workspace, index: Index, trees: Trees, real: str, name: str, *, link: bool
    ) -> None:
        self._workspace, self._index, self._trees = workspace, index, trees
        self._real, self._name, self._link = real, name, link
        self._store = workspace.store

    def register(self) -> None:
        """Name the workspace in the store, before its first object arrives."""
        self._workspace.baseline.prepare()
        self._store.register(self._workspace.baseline.id, self._workspace.root)

    def all_of(self, held: Held, old: Digest | None, new: Digest) -> None:
        """See that the store has all that distinguishes one version from another.

        Args:
            held: what the directory holds now: all files that ``new`` has and ``old`` has not.
            old, new: trees; None for nothing.

        Raises:
            FileBusy: a file was changed since it was looked at.
            FileDenied, NoSpace: the store can't be written.
        """
        if held.is_stored and held.digest == new:
            return
        try:
            self._all_of(old, new)
        except OSError as error:
            if not is_inside(error.filename or "", self._store.directory):
                raise
            doing = f"store {self._name} in"
            raise from_os_error(error, doing, self._store.directory) from error

    def _all_of(self, old: Digest | None, new: Digest) -> None:
        lists: list[Digest] = [new]
        paths = (
            (change.new.digest, change.path)
            for change in self._trees.diff(old, new, seen=lists)
            if change.new is not None and change.new.kind not in (DIR, LINK)
        )
        with Gathering(self._store, self.register) as gathering:
            while files := dict(islice(paths, AT_ONCE)):
                for digest in self._store.lacking(files):
                    self._file(digest, files[digest], gathering)
            gathering.add([(d, self._trees.data(d)) for d in self._store.lacking(lists)])
            gathering.finish()

    def _file(self, digest: Digest, path: str, gathering: Gathering) -> None:
        real = os.path.join(self._real, *path.split("/"))
        busy = FileBusy(f"{real} was changed just now", hint="run it again")
        if stamp_of(real).size < SMALL:
            with open(real, "rb") as file:
                data = file.read(SMALL)
            if digest_of(data, digest.algorithm) != digest:
                raise busy
            gathering.add([(digest, data)])
            return
        hashed = hash_file(real, seed=self._index.seed)
        if hashed.digest != digest:
            raise busy
        gathering.begin()
        self._store.adopt(real, hashed, self._index, link=self._link)
