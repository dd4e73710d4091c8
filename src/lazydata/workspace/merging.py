"""Two sides of one directory joined, file by file; and how changes are counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lazydata.digest import Digest
from lazydata.errors import ObjectCorrupt, ObjectMissing
from lazydata.messages import warn
from lazydata.tree import DIR, Node
from lazydata.trees import Change, Trees

_NAMED_AT_MOST = 5


def merged(trees: Trees, name: str, base: Digest, ours: Node, theirs: Digest) -> Node:
    """Both sides' changes; ours where both touched a file, with a warning.

    Args:
        trees: has ours, and can have the others.
        name: of the directory, for messages.
        base: what both sides began with.
        ours: what it is here.
        theirs: what the manifest got meanwhile.

    Returns:
        The root of what holds both.
    """
    try:
        for digest in (base, theirs):
            trees.bring(digest)
        mine = {change.path: change.new for change in trees.diff(base, ours.digest)}
        yours = {change.path: change.new for change in trees.diff(base, theirs)}
    except (ObjectMissing, ObjectCorrupt) as error:
        warn(
            f"{name} was changed here and in lazydata.yml, and {error.message}: what "
            "either side deleted is kept, and your files where both have one"
        )
        found = trees.diff(theirs, ours.digest)
        return trees.changed(theirs, {c.path: c.new for c in found if c.new is not None})
    both = [p for p, node in mine.items() if p in yours and yours[p] != node]
    both += _in_the_way(mine, yours) + _in_the_way(yours, mine)
    files = [p for p in both if not _are_directories(mine.get(p), yours.get(p))]
    if files:
        more = f" and {len(files) - _NAMED_AT_MOST:,} more" * (len(files) > _NAMED_AT_MOST)
        warn(
            f"{', '.join(name + each for each in files[:_NAMED_AT_MOST])}{more}: changed "
            f"here and in lazydata.yml, yours are kept; `lazydata restore {name} "
            f"--version {theirs.hex[:12]}` gets the others"
        )
    return trees.changed(theirs, mine)


def _in_the_way(some: Mapping[str, Node | None], others: Mapping[str, Node | None]) -> list[str]:
    """Paths that one side made a file, and the other a directory with something in it."""
    above = set()
    for path in others:
        while "/" in path:
            path = path.rpartition("/")[0]
            above.add(path)
    return [p for p, node in some.items() if node and node.kind != DIR and p in above]


def _are_directories(*nodes: Node | None) -> bool:
    return all(node is not None and node.kind == DIR for node in nodes)


def count_of(number: int, what: str) -> str:
    """Such as "3 files"."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def told_of(changes: Iterable[Change]) -> str:
    """How many files were added, changed and deleted."""
    added = changed = deleted = 0
    for _, old, new in changes:
        is_file = [node is not None and node.kind != DIR for node in (old, new)]
        if is_file == [True, True]:
            changed += 1
        else:
            added += is_file[1]
            deleted += is_file[0]
    told = [
        f"{n:,} {what}"
        for n, what in ((added, "added"), (changed, "changed"), (deleted, "deleted"))
        if n
    ]
    return ", ".join(told) or "directories only"
