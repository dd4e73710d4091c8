"""What a directory stands for, and two sides of it joined, file by file. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lazydata.digest import Digest
from lazydata.errors import ObjectCorrupt, ObjectMissing
from lazydata.manifest import Entry
from lazydata.messages import typed, warn
from lazydata.tree import DIR, Node
from lazydata.trees import EMPTY, Change, Trees
from lazydata.workspace.inside import PassedOver

_NAMED_AT_MOST = 5


def effective(
    trees: Trees,
    passed_over: PassedOver,
    held: Node | None,
    entry: Entry,
    baseline: Digest | None,
    parts: Digest | None,
) -> Node | None:
    """What a directory stands for: parts of it that never were here are as recorded.

    Args:
        trees: has what is here, and can have the rest.
        passed_over: what is no change, whatever became of it.
        held: the root of what is here; None where nothing is.
        entry: of the directory.
        baseline: the version that it was brought to, or recorded as; None if unknown.
        parts: the tree of what was brought here of that, where it was not all.

    Returns:
        Its root; None where it is missing.
    """
    latest = entry.latest
    was_empty = latest.digest == EMPTY or latest.files == 0
    if held is None or not (held.files or was_empty):
        return None  # where no file is left none was deleted: all are to be had again
    if held.digest == latest.digest:
        return held
    if baseline is None:
        if any(held.digest == version.digest for version in entry.versions):
            return held
        trees.bring(latest.digest)
        return _with_additions(trees, latest.digest, held.digest)
    try:
        if parts is not None:
            trees.bring(baseline)
        found = list(trees.diff(parts or baseline, held.digest))
    except (ObjectMissing, ObjectCorrupt):
        if parts is None:
            return held  # nobody knows what it was before
        # Nor which parts were here: then none that is not here was deleted.
        return _with_additions(trees, baseline, held.digest)
    edits = {c.path: c.new for c in passed_over.others(found)}
    if parts is None and len(edits) == len(found):
        return held
    return trees.changed(baseline, edits)


def _with_additions(trees: Trees, base: Digest, other: Digest) -> Node:
    """A tree with what differs from it in another one, and nothing removed."""
    found = trees.diff(base, other)
    return trees.changed(base, {c.path: c.new for c in found if c.new is not None})


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
        return _with_additions(trees, theirs, ours.digest)
    both = [p for p, node in mine.items() if p in yours and yours[p] != node]
    both += _in_the_way(mine, yours) + _in_the_way(yours, mine)
    files = [p for p in both if not _are_directories(mine.get(p), yours.get(p))]
    if files:
        more = f" and {len(files) - _NAMED_AT_MOST:,} more" * (len(files) > _NAMED_AT_MOST)
        warn(
            f"{', '.join(name + each for each in files[:_NAMED_AT_MOST])}{more}: changed "
            f"here and in lazydata.yml, yours are kept; `lazydata restore {typed(name)} "
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
