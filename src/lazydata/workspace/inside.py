"""What is inside of tracked directories: the objects of a version, and how they are brought."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from lazydata import heap
from lazydata.digest import Digest
from lazydata.errors import (
    LazydataError,
    ObjectCorrupt,
    ObjectMissing,
    RemoteObjectMissing,
    UsageError,
)
from lazydata.ignoring import Ignore
from lazydata.index import Index
from lazydata.manifest import Entry, RemoteSpec, Version
from lazydata.messages import say, warn
from lazydata.tree import DIR, LINK, Node
from lazydata.trees import AT_MOST, Change, Trees
from lazydata.workspace import Workspace

# Objects that are asked for, moved and remembered together: it bounds the memory. More than half of
# what fits into an index file, so that these are not put together again.
AT_ONCE = 30_000


def objects_of(
    trees: Trees, entry: Entry, version: Version
) -> Iterator[tuple[Digest, int | None, str]]:
    """Digest, size (bytes, or None) and path of each object of a version.

    Of a directory these are its trees and files, as far as its trees can be had.
    """
    if entry.kind == "file":
        yield version.digest, version.size, entry.path
        return
    try:
        tree = trees.read(version.digest)  # held, so it is read once
        stack = [(entry.path, trees.root(version.digest))]
    except (ObjectMissing, ObjectCorrupt):
        yield version.digest, None, entry.path
        return
    while stack:
        path, directory = stack.pop()
        yield directory.digest, None, path
        try:
            tree = trees.below(directory)
        except (ObjectMissing, ObjectCorrupt):
            continue  # whoever needs the missing tree is told of it, by its own digest
        except UsageError as error:
            warn(f"{path}: {error}")
            continue
        below = []
        for node in tree:
            if node.kind == DIR:
                below.append((f"{path}{node.name}/", node))
            elif node.kind != LINK:
                yield node.digest, node.size, path + node.name
        stack += reversed(below)


class PassedOver:
    """What a tracked directory's own rules leave out: neither recorded, nor deleted, nor touched.

    Args:
        root: of the workspace.
        real: the directory, absolute.
    """

    def __init__(self, root: str, real: str) -> None:
        self._root, self._real = root, real
        self._rules: dict[str, Ignore | None] = {}  # by directory; None: it is left out itself

    def has(self, path: str, *, is_dir: bool) -> bool:
        """Whether a path in the directory is left out."""
        where, _, name = path.rpartition("/")
        rules = self._of(where)
        return rules is None or rules.skips(name, is_dir=is_dir)

    def others(self, changes: Iterable[Change]) -> Iterator[Change]:
        """Those changes that are about anything else."""
        for change in changes:
            node = change.old or change.new
            if not self.has(change.path, is_dir=node is not None and node.kind == DIR):
                yield change

    def _of(self, where: str) -> Ignore | None:
        if where not in self._rules:
            if where:
                parent, _, name = where.rpartition("/")
                above = self._of(parent)
                skipped = above is None or above.skips(name, is_dir=True)
                self._rules[where] = None if skipped or above is None else above.inside(name)
            else:
                self._rules[where] = Ignore.of(self._root, self._real)
        return self._rules[where]


class Fetching:
    """Brings what a tracked directory needs from remotes into the store.

    Args:
        name: of its entry, for messages.
        remotes: those to ask; by default all.
        jobs: how many transfers at once.
    """

    def __init__(
        self,
        workspace: Workspace,
        index: Index,
        name: str,
        remotes: Sequence[RemoteSpec] | None = None,
        jobs: int | None = None,
    ) -> None:
        self._workspace, self._index, self._name = workspace, index, name
        self._remotes, self._jobs = remotes, jobs

    def trees(self, digests: list[Digest]) -> None:
        """Bring trees, and say nothing of it.

        Raises:
            ObjectMissing, ObjectCorrupt: one can't be had.
        """
        self.check(self._bring(dict.fromkeys(digests, AT_MOST), f"the lists of {self._name}"))

    def files(self, nodes: Iterable[Node]) -> tuple[int, int]:
        """Bring the objects of files that the store lacks, some ten thousand at a time.

        Returns:
            How many were downloaded, and their bytes.

        Raises:
            ObjectMissing, ObjectCorrupt: one can't be had; the others are here.
        """
        count = size = 0
        failed: dict[Digest, LazydataError] = {}
        waiting, has_more = iter(nodes), False
        while some := list(islice(waiting, AT_ONCE)):
            if len(some) == AT_ONCE:
                heap.spare()
            sizes = {node.digest: node.size for node in some}
            wanted = {digest: sizes[digest] for digest in self._workspace.store.lacking(sizes)}
            if not wanted:
                continue
            if len(some) < AT_ONCE and not has_more:
                failed = self.objects(wanted, self._name)
            else:
                if not has_more:
                    say(f"Downloading stored files of {self._name} ...")
                has_more = True
                failed.update(self._bring(wanted, self._name))
            count += len(wanted)
            size += sum(wanted.values())
        self.check(failed)
        return count, size

    def objects(self, sizes: Mapping[Digest, int | None], what: str) -> dict[Digest, LazydataError]:
        """Bring objects of files, given with their sizes; why some of them did not come."""
        count = f"{len(sizes):,} stored files of " if len(sizes) > 1 else "stored file "
        say(f"Downloading {count}{what} ...")
        return self._bring(sizes, what)

    def check(self, failed: dict[Digest, LazydataError]) -> None:
        """Raise the first of the reasons why objects did not come, if there is one."""
        for digest, error in failed.items():
            message = f"{self._name}: {digest} can't be had: {error.message}"
            if isinstance(error, ObjectCorrupt):
                raise ObjectCorrupt(
                    message, expected=error.expected, actual=error.actual, hint=error.hint
                )
            if not isinstance(error, RemoteObjectMissing):
                raise type(error)(message, hint=error.hint)
            raise ObjectMissing(
                message, hint="whoever has it runs `lazydata push`, with --check if it was there"
            )

    def _bring(self, sizes: Mapping[Digest, int | None], doing: str) -> dict[Digest, LazydataError]:
        from lazydata.workspace.pulling import bring

        remotes = self._remotes
        if remotes is None:
            remotes = list(self._workspace.view(self._index).remotes.values())
        failed = bring(self._workspace, remotes, list(sizes), doing, self._jobs, sizes=sizes)
        self._index.hold()  # see what was noted of what came
        return failed
