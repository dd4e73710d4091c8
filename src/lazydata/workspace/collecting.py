"""gc: ask every workspace what it needs, and take the rest out of the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lazydata import config
from lazydata.collecting import Collector, Everything
from lazydata.digest import Digest
from lazydata.errors import NotAWorkspace, ObjectCorrupt, ObjectMissing, from_os_error
from lazydata.index import Index
from lazydata.packed import DamagedPackError
from lazydata.progress import shown
from lazydata.store import Store
from lazydata.survey import Survey, was_in
from lazydata.tree import DIR, LINK, Node, Tree
from lazydata.trees import Trees
from lazydata.workspace import Workspace, user_store
from lazydata.workspace.evicting import Eviction, evict, settle_evicted
from lazydata.workspace.roots import Blocked, Roots

GRACE_SECONDS = 86400

Fetch = Callable[[list[Digest]], Iterable[Digest]]


class Collected(NamedTuple):
    """What a gc did, or would do.

    Args:
        survey: all that is in the store, and what becomes of it.
        blocked: what can't be read, and so keeps everything.
        eviction: what was asked of remotes; None where nothing was to be evicted.
        failed: one line for each thing that could not be removed.
    """

    survey: Survey
    blocked: list[Blocked]
    eviction: Eviction | None
    failed: list[str]


def gc(*, force: bool, grace: float = GRACE_SECONDS, at_most: int | None = None) -> Collected:
    """Take out of the user's store what no workspace needs.

    Args:
        force: do it; else only say what would be done.
        grace: seconds; what is newer stays, and what is in the trash that long goes for good.
            0 only where nothing else uses the store.
        at_most: bytes; what remotes hold goes too, until no more than that is left.

    Raises:
        FileDenied, OSError: the store can't be read.
    """
    store = user_store()
    _join_here()
    try:
        with Index(config.index_dir()) as index, shown("looking for what is needed") as meter:
            meter.expect()
            collector = Collector(store, config.index_dir(), grace=int(grace * 1e9))
            roots = Roots(store.registry)
            needs = Needs(store, index, roots)
            if not roots.demands and not roots.blocked:
                roots.blocked += _nobody(store)
            known = not roots.blocked
            survey = collector.survey(needs.by if known else Everything(), known=known)
            eviction = settle_evicted(survey, roots.demands, needs.by) if known else None
            if known and at_most is not None:
                eviction = evict(survey, roots.demands, needs.by, needs.trees, at_most, eviction)
            failed = collector.sweep(survey) if force else []
    except OSError as error:
        raise from_os_error(error, "read", error.filename or store.directory) from error
    return Collected(survey, roots.blocked, eviction, failed)


def _join_here() -> None:
    """The workspace that we are in may have been moved since the store was told of it."""
    try:
        Workspace.above(os.getcwd()).join()
    except (NotAWorkspace, OSError):
        pass


def _nobody(store: Store) -> list[Blocked]:
    """A store that serves nobody, and has something: its list of workspaces was lost, perhaps."""
    if next(iter(store.objects()), None) is None and not store.packs.names():
        return []
    hint = f"if nobody needs what is in it, remove {store.directory}"
    return [Blocked(store.directory, "it is not known which workspaces need what is here", hint)]


class Needs:
    """What must stay: the roots, and all that trees among them list.

    Args:
        store: to be tidied.
        index: remembers trees of directories that were looked at.
        roots: of all workspaces; is told of trees that can't be read.
        fetch: brings trees into the store that are not here, and says which are nowhere; by
            default one that is not here keeps nothing more.

    Attributes:
        by: each object that is needed, and by which demands: a bit for each.
        trees: those among them that are trees.
        unknown: those that are nowhere.
    """

    def __init__(
        self, store: Store, index: Index, roots: Roots, fetch: Fetch | None = None
    ) -> None:
        self._store, self._roots, self._fetch = store, roots, fetch
        self.unknown: set[Digest] = set()
        self._source = Trees(store, index)
        self._damaged, self._unreadable = _damaged(store)
        self.by: dict[Digest, int] = {}
        self.trees: set[Digest] = set()
        for nr, demand in enumerate(roots.demands):
            for digest in demand.files:
                self._add(digest, 1 << nr)
            self._add_directories(demand.directories, 1 << nr)

    def _add(self, digest: Digest, bit: int) -> None:
        self.by[digest] = self.by.get(digest, 0) | bit

    def _add_directories(self, directories: set[Digest], bit: int) -> None:
        level, seen = sorted(directories), set(directories)
        while level:
            below: dict[Digest, None] = {}
            if self._fetch is not None and (lacking := self._store.lacking(level)):
                self.unknown.update(self._fetch(lacking))
            self._store.packs.hold(level)
            for digest in level:
                self._add(digest, bit)
                self.trees.add(digest)
                for node in self._nodes(digest):
                    if node.kind == DIR:
                        below[node.digest] = None
                    elif node.kind != LINK:
                        self._add(node.digest, bit)
            self._store.packs.drop()
            level = [digest for digest in below if digest not in seen]
            seen.update(level)

    def _nodes(self, digest: Digest) -> Iterable[Node]:
        """What a tree lists; nothing where it is not here, or is none."""
        try:
            data = self._source.data(digest)
        except ObjectMissing:
            where = self._damaged.get(digest, self._unreadable)
            if where is not None:
                self._lost(digest, where)
            return []
        except ObjectCorrupt as error:
            if error.actual or isinstance(error, DamagedPackError):
                self._lost(digest, os.path.join(self._store.directory, "trash"))
            return []  # or else it is larger than any tree
        try:
            return Tree(data)
        except ObjectCorrupt:
            return []  # its bytes are right, so that it never was one

    def _lost(self, digest: Digest, where: str) -> None:
        self._roots.blocked.append(
            Blocked(
                str(digest),
                "the list of a directory is damaged, so that nobody knows what was in it",
                "`lazydata pull` fetches a good copy, if any remote has one; if none has, "
                f"remove what is left of it, {where}",
            )
        )


def _damaged(store: Store) -> tuple[Mapping[Digest, str], str | None]:
    """What damage left in the trash: of which objects, and something that does not say of which."""
    found: dict[Digest, str] = {}
    unreadable = None
    for path in (path for folder in store.trash.folders() for path in folder.remains()):
        objects = was_in(path)
        if objects is None:
            unreadable = path
        found.update({each.digest: path for each in objects or ()})
    return found, unreadable
