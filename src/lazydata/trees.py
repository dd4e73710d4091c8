"""Trees of whole directories: read, compared, and changed; only what differs is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

from lazydata.digest import Digest, digest_of
from lazydata.errors import ObjectCorrupt, ObjectMissing, UsageError
from lazydata.index import Index
from lazydata.store import Store
from lazydata.tree import DIR, MAGIC, Node, Sums, Tree, encode

EMPTY = digest_of(encode([]))
_NOTHING = Tree(MAGIC.encode())
AT_MOST = 256 << 20  # bytes of a tree: some million names
_MANY = 10_000  # names in a tree, to be checked once
_MOST_FILES = 100_000_000  # in a directory with all below it
_MOST_HOLLOW = 1_000_000  # directories and links in one without files


class Change(NamedTuple):
    """One name that differs between two trees.

    Args:
        path: relative to the root, separated by ``/``.
        old, new: the name there; None where it is not.
    """

    path: str
    old: Node | None
    new: Node | None


class Trees:
    """Trees by digest: those just made, those of the store, those that the index remembers.

    Args:
        store: has those that were recorded.
        index: has those of directories that were looked at.
        fetch: brings trees into the store that are nowhere here; raises if it can't.
        name: of the directory, for messages.
    """

    def __init__(
        self,
        store: Store,
        index: Index,
        fetch: Callable[[list[Digest]], None] | None = None,
        name: str = "",
    ) -> None:
        self._store, self._index, self._fetch, self._name = store, index, fetch, name
        self._hollow: set[Digest] = set()  # trees without files that were counted
        self._read: WeakValueDictionary[Digest, Tree] = WeakValueDictionary()
        self._sums: dict[Digest, Sums] = {}  # of large trees that were checked
        self.made: dict[Digest, bytes] = {EMPTY: encode([])}

    def data(self, digest: Digest) -> bytes:
        """The bytes of one tree.

        Raises:
            ObjectMissing, ObjectCorrupt: it is nowhere, or damaged.
        """
        found = self.made.get(digest) or self._index.tree(digest)
        if found is not None and digest_of(found) == digest:
            return found
        try:
            return self._store.read(digest, at_most=AT_MOST)
        except ObjectMissing:
            if self._fetch is None:
                raise
            self._fetch([digest])
            return self._store.read(digest, at_most=AT_MOST)

    def bring(self, root: Digest) -> None:
        """Fetch all trees of a directory that the store lacks, level by level.

        Raises:
            ObjectMissing: one is nowhere.
        """
        if self._fetch is None or self._is_here(root):
            return  # whoever brought it brought all; what is missing after all comes singly
        level, seen = [root], {root}
        while level:
            lacking = [digest for digest in level if not self._is_here(digest)]
            if lacking:
                self._fetch(lacking)
            nodes = (node for digest in level for node in self.read(digest))
            below = dict.fromkeys(node.digest for node in nodes if node.kind == DIR)
            level = [digest for digest in below if digest not in seen]
            seen.update(level)

    def _is_here(self, digest: Digest) -> bool:
        return digest in self.made or self._store.has(digest)

    def read(self, digest: Digest | None) -> Tree:
        """What a tree lists; nothing for None.

        Raises:
            ObjectMissing, ObjectCorrupt: as ``data``, or it is no tree.
        """
        if not digest:
            return _NOTHING
        tree = self._read.get(digest)
        if tree is not None:
            return tree  # somebody holds it
        try:
            tree = self._read[digest] = Tree(self.data(digest), self._sums.get(digest))
        except ObjectCorrupt as error:
            raise ObjectCorrupt(
                f"{self._name}: {digest}: {error.message}",
                expected=error.expected or digest,
                actual=error.actual,
                hint=error.hint or "whoever recorded it should do so again",
            ) from error
        if len(tree) > _MANY:
            self._sums[digest] = tree.sums
        return tree

    def below(self, node: Node) -> Tree:
        """What is in a directory, if it is what the tree above says of it.

        A few trees that list each other can stand for more paths than a disk holds. What they
        say of their files gives that away; where there are no files the paths are counted.

        Raises:
            ObjectMissing, ObjectCorrupt: as ``read``, or it is not as large as was said.
            UsageError: no directory is as large as that.
        """
        tree = self.read(node.digest)
        names, size, files = tree.sums
        if (size, files) != (node.size, node.files):
            raise ObjectCorrupt(
                f"{self._name}: {node.digest} has {files} files of {size} bytes, and "
                f"the tree above it says {node.files} of {node.size}",
                expected=node.digest,
                hint="whoever recorded it should do so again",
            )
        if files > _MOST_FILES:
            raise self._too_large(f"{files:,} files")
        if not files and names and node.digest not in self._hollow:
            self._count(node.digest)
        return tree

    def _count(self, root: Digest) -> None:
        """See that a directory without files stands for a number of paths that there can be."""
        level, names = {root: 1}, 0  # each tree, and how many paths lead to it
        while level:
            below: dict[Digest, int] = {}
            for digest, paths in level.items():
                tree = self.read(digest)
                names += paths * len(tree)
                for node in tree:
                    if node.kind == DIR:
                        below[node.digest] = below.get(node.digest, 0) + paths
            if names > _MOST_HOLLOW:
                raise self._too_large(f"more than {_MOST_HOLLOW:,} directories without a file")
            self._hollow.update(level)
            level = below

    def _too_large(self, what: str) -> UsageError:
        return UsageError(
            f"{self._name or 'a directory'} is said to have {what}",
            hint="ask whoever recorded it what it is",
        )

    def make(self, nodes: list[Node]) -> Digest:
        """A new tree, to be read from here until the store has it."""
        data = encode(nodes)
        digest = digest_of(data)
        self.made[digest] = data
        return digest

    def root(self, digest: Digest) -> Node:
        """A whole tree as a node: its size and files, all that is below it."""
        _, size, files = self.read(digest).sums
        return Node("", DIR, digest, size, files)

    def find(self, root: Digest, path: str) -> Node | None:
        """What a path means in a tree; None if there is nothing."""
        node: Node | None = Node("", DIR, root, 0, 0)
        for name in path.split("/") if path else ():
            if node is None or node.kind != DIR:
                return None
            node = next((each for each in self.read(node.digest) if each.name == name), None)
        return node

    def diff(
        self, old: Digest | None, new: Digest | None, *, seen: list[Digest] | None = None
    ) -> Iterator[Change]:
        """What differs; new directories before what is in them, removed ones after it.

        Args:
            old, new: roots; None for nothing.
            seen: gets the trees of the new side that differ.
        """
        stack: list[tuple[str, Node | None, Node | None] | Change] = []
        if old != new:
            olds, news = self.read(old), self.read(new)  # held, so they are read once
            stack.append(("", self.root(old) if old else None, self.root(new) if new else None))
        while stack:
            top = stack.pop()
            if isinstance(top, Change):
                yield top
                continue
            path, one, other = top
            if seen is not None and other is not None:
                seen.append(other.digest)
            olds = self.below(one) if one else _NOTHING
            news = self.below(other) if other else _NOTHING
            later: list[tuple[str, Node | None, Node | None] | Change] = []
            for was, now in olds.differing(news):
                where = path + _name(was, now)
                was_dir = was if was is not None and was.kind == DIR else None
                now_dir = now if now is not None and now.kind == DIR else None
                if was_dir and now_dir:
                    if was_dir.digest != now_dir.digest:
                        later.append((f"{where}/", was_dir, now_dir))
                elif now_dir:
                    if was is not None:
                        yield Change(where, was, None)
                    yield Change(where, None, now)
                    later.append((f"{where}/", None, now_dir))
                elif was_dir:
                    later.append((f"{where}/", was_dir, None))
                    later.append(Change(where, was, None))
                    if now is not None:
                        later.append(Change(where, None, now))
                else:
                    yield Change(where, was, now)
            stack += reversed(later)

    def changed(self, base: Digest | None, changes: Mapping[str, Node | None]) -> Node:
        """A tree with some names set, or removed (None).

        A directory is removed only if nothing is left in it.

        Returns:
            Its root: digest, size and files.
        """
        directories = {""}
        for path, node in changes.items():
            if node is not None and node.kind == DIR:
                directories.add(path)
            while "/" in path:
                path = path.rpartition("/")[0]
                directories.add(path)
        ordered = sorted(directories, key=lambda path: (path.count("/") + bool(path), path))
        tables: dict[str, dict[str, Node]] = {}
        existed: set[str] = {""}
        for path in ordered:
            digest = base
            if path:
                parent, _, name = path.rpartition("/")
                there = tables[parent].get(name)
                digest = there.digest if there is not None and there.kind == DIR else None
                if digest:
                    existed.add(path)
            tables[path] = {node.name: node for node in self.read(digest)}
        leaves: dict[str, list[str]] = {}
        for path in changes:
            leaves.setdefault(path.rpartition("/")[0], []).append(path)
        root = Node("", DIR, EMPTY, 0, 0)
        for path in reversed(ordered):
            table = tables[path]
            for leaf in leaves.get(path, ()):
                name, node = leaf.rpartition("/")[2], changes[leaf]
                if node is not None and node.kind != DIR:
                    table[name] = node
                elif node is None and leaf not in tables:
                    there = table.get(name)
                    if there is not None and (there.kind != DIR or there.digest == EMPTY):
                        table.pop(name)
            wanted = changes.get(path)
            parent, _, name = path.rpartition("/")
            made = self._directory(name, list(table.values()))
            if not path:
                root = made
            elif table or (path in existed and path not in changes) or wanted is not None:
                if wanted is None or wanted.kind == DIR:
                    tables[parent][name] = made
            else:
                there = tables[parent].get(name)
                if there is not None and there.kind == DIR:
                    tables[parent].pop(name)
        return root

    def grafted(self, base: Digest, path: str, node: Node) -> Digest:
        """A tree with all of what is at a path taken from elsewhere."""
        if not path:
            return node.digest
        *above, last = path.split("/")
        tables: list[dict[str, Node]] = []
        digest = base
        for name in above:
            tables.append({each.name: each for each in self.read(digest)})
            there = tables[-1].get(name)
            digest = there.digest if there is not None and there.kind == DIR else EMPTY
        table = {each.name: each for each in self.read(digest)}
        table[last] = node
        for parent, name in zip(reversed(tables), reversed(above), strict=True):
            parent[name] = self._directory(name, list(table.values()))
            table = parent
        return self.make(list(table.values()))

    def _directory(self, name: str, nodes: list[Node]) -> Node:
        size, files = sum(node.size for node in nodes), sum(node.files for node in nodes)
        return Node(name, DIR, self.make(nodes), size, files)


def _name(*nodes: Node | None) -> str:
    return next(node.name for node in nodes if node is not None)
