"""Lines that two sides changed, put together: for what has no entries of its own."""

from __future__ import annotations

from collections import Counter


def union(base: str, ours: str, theirs: str) -> str:
    """Do to our lines what theirs did to those of base. Where both added, ours come first.

    Args:
        base: what both began with.
        ours: what is edited; its lines stay as they are written.
        theirs: lines are compared without their indentation and line breaks.

    Example:
        >>> union("a\\nb\\n", "a\\nx\\nb\\n", "a\\ny\\n")
        'a\\nx\\ny\\n'
    """
    if theirs == base or ours == theirs:
        return ours
    if ours == base:
        return theirs
    old, mine, other = (text.splitlines(keepends=True) for text in (base, ours, theirs))
    here, there = _matching(old, mine), _matching(old, other)
    dropped = {mine_at for at, mine_at in here.items() if at not in there}
    kept = {mine_at for at, mine_at in here.items() if at in there}
    out: list[str] = []
    done = 0
    for place, lines in _insertions(len(mine), here, there, other):
        out += (line for at, line in enumerate(mine[done:place], done) if at not in dropped)
        done = max(done, place)
        beside = place
        while beside > 0 and beside - 1 not in kept:
            beside -= 1
        known = Counter(line.strip() for line in mine[beside:place])
        for line in lines:
            known[line.strip()] -= 1
            if known[line.strip()] < 0:
                out.append(line)
    out += (line for at, line in enumerate(mine[done:], done) if at not in dropped)
    return "".join(out)


def _matching(old: list[str], new: list[str]) -> dict[int, int]:
    """Which line of the old ones is which of the new ones."""
    from difflib import SequenceMatcher

    before, after = ([line.strip() for line in lines] for lines in (old, new))
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in blocks for n in range(block.size)}


def _insertions(
    end: int, here: dict[int, int], there: dict[int, int], other: list[str]
) -> list[tuple[int, list[str]]]:
    """What theirs added, and before which of our lines that belongs."""
    origin = {at: old for old, at in there.items()}
    following = end
    places: list[tuple[int, list[str]]] = []
    last = max(here, default=-1)
    wanted = last + 1
    for at in range(len(other) - 1, -1, -1):
        if at in origin:
            wanted = origin[at]
            while wanted <= last and wanted not in here:
                wanted += 1
            following = here.get(wanted, end)
        elif places and places[-1][0] == following:
            places[-1][1].insert(0, other[at])
        else:
            places.append((following, [other[at]]))
    return places[::-1]


def comments(text: str) -> list[str]:
    """The lines of a block that are comments, and nothing else."""
    return [line for line in text.splitlines(keepends=True) if line.lstrip(" \t").startswith("#")]


def missing(lines: list[str], *texts: str) -> str:
    """Those of some lines that some texts do not have, as often as they are there.

    Args:
        lines: with their line breaks.
        texts: where to look for them.
    """
    known = Counter(line.strip() for text in texts for line in text.splitlines())
    left: list[str] = []
    for line in lines:
        known[line.strip()] -= 1
        if known[line.strip()] < 0:
            left.append(line)
    return "".join(left)
