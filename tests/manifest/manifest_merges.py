"""Manifests that come from one, and what their merge has to mean: a model of sets and dicts."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st
from manifest_styles import PATHS, SCRIPTS, Style, styles, versions, write

from lazydata.digest import Digest
from lazydata.manifest import Version, document, edit, read, text
from lazydata.manifest.merge import merge
from lazydata.manifest.splice import line_end

FEW = [PATHS[0], PATHS[3], PATHS[6]]
few_items = st.lists(st.tuples(st.sampled_from(FEW), versions), min_size=2, max_size=6)


# Random edits, and what their merge has to mean


def lines_of_comments(source: str) -> list[str]:
    lines = [line.strip() for line in source.splitlines()]
    return [line for line in lines if line.startswith("#")]


def places(source: str) -> list[int]:
    """Where a comment line may be put: above each line that begins an item or a top-level key."""
    if text.scan(source) is None:
        return []
    tops = [item.start for item in text.items(source)]
    return [*tops, len(source)] if source.endswith("\n") else tops


@st.composite
def edited(draw: st.DrawFn, source: str, side: str) -> str:
    """A manifest after a few edits, by lazydata and by hand."""
    numbers = itertools.count()
    kinds = ["record", "back", "usage", "remove", "drop", "comment", "uncomment", "policy"]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)):
        view = read(source)
        listed = sorted(view.manifest.files)
        if kind == "record":
            path = draw(st.sampled_from([*FEW, *FEW, "b/new.csv", "zz", "0"]))
            source, _ = edit.record(source, view, path, draw(versions))
        elif kind == "policy":
            old = view.on_change
            if old and f"on_change: {old}" in source:
                new = draw(st.sampled_from(["error", "version"]))
                source = source.replace(f"on_change: {old}", f"on_change: {new}")
        elif kind in ("comment", "uncomment", "drop"):
            if kind == "comment" and (spots := places(source)):
                at = draw(st.sampled_from(spots))
                mine = f"# {side} {next(numbers)}" + ("\r\n" if "\r\n" in source else "\n")
                source = source[:at] + mine + source[at:]
            elif kind == "drop" and text.scan(source) is not None and listed:
                item = draw(st.sampled_from(list(text.items(source))))
                source = source[: item.start] + source[item.end :]
            elif kind == "uncomment" and "# note" in source:
                at = source.rindex("# note")
                at = source.rfind("\n", 0, at) + 1
                if source[at:].lstrip(" ").startswith("#"):
                    source = source[:at] + source[line_end(source, at) :]
        elif listed:
            path = draw(st.sampled_from(listed))
            entry = view.manifest.files[path]
            if kind == "back":
                version = draw(st.sampled_from(entry.versions))
                source, _ = edit.record(source, view, path, Version(version.digest))
            elif kind == "usage":
                script, produced = draw(st.sampled_from(SCRIPTS)), draw(st.booleans())
                source, _ = edit.add_usage(source, view, path, script, produced=produced)
            else:
                source = edit.remove(source, view, path)
    return source


@st.composite
def forks(draw: st.DrawFn, look: st.SearchStrategy[Style] = styles) -> tuple[str, str, str]:
    base = write(draw(few_items), draw(look))
    return base, draw(edited(base, "ours")), draw(edited(base, "theirs"))


def histories(*sources: str) -> list[dict[str, dict[Digest, Version]]]:
    return [
        {path: {v.digest: v for v in e.versions} for path, e in read(source).manifest.files.items()}
        for source in sources
    ]


def last(versions: dict[Digest, Version]) -> Digest | None:
    return list(versions)[-1] if versions else None


def surviving(base, ours, theirs) -> set[Digest]:
    """What is on the list in the end: sets, without any order."""
    new = (set(ours) | set(theirs)) - set(base)
    kept = set(ours) & set(theirs)
    used_again = {
        digest
        for side in (ours, theirs)
        for digest in set(side) & set(base)
        if side[digest] != base[digest] or (last(side) == digest != last(base))
    }
    return new | kept | used_again


def is_behind(versions, digest, old) -> bool:
    order = list(versions)
    return digest in order and (old not in order or order.index(digest) > order.index(old))


def expected_latest(base, ours, theirs) -> set[Digest]:
    """What may be the latest; two where a person has to decide, the first one ours."""
    left = surviving(base, ours, theirs)
    if not ours or not theirs:
        return [d for d in (*ours, *theirs) if d in left][-1:]
    old, mine, other = last(base), last(ours), last(theirs)
    if mine == other or other == old:
        return [mine]
    if mine == old:
        return [other]
    if is_behind(ours, other, old) != is_behind(theirs, mine, old):
        return [mine if is_behind(ours, other, old) else other]
    return [mine, other]


def is_undecided(base, ours, theirs) -> bool:
    if not surviving(base, ours, theirs):
        return False
    if not ours or not theirs:
        return bool(base)
    latest = expected_latest(base, ours, theirs)
    revived = latest[0] in base and not (latest[0] in ours and latest[0] in theirs)
    return len(latest) > 1 or revived


def check(base: str, ours: str, theirs: str) -> tuple[str, set[str]]:
    """Compare a merge with what the model says.

    Returns:
        The merged text, and the paths about which it has to have a note.
    """
    merged = merge(base, ours, theirs)
    after = document.parse(merged.text, file="f")
    b, o, t = histories(base, ours, theirs)
    undecided = set()
    for path in {*b, *o, *t}:
        sides = [side.get(path, {}) for side in (b, o, t)]
        left = surviving(*sides)
        entry = after.files.get(path)
        found = entry.versions if entry else ()
        assert {v.digest for v in found} == left
        assert len(found) == len(left)
        if is_undecided(*sides):
            undecided.add(path)
        if not left:
            continue
        assert entry.latest.digest == expected_latest(*sides)[0]
        for version in found:
            for name in ("usage", "producer"):
                old, mine, other = (
                    set(getattr(side[version.digest], name)) if version.digest in side else None
                    for side in sides
                )
                present = [side for side in (mine, other) if side is not None]
                gone = {u for u in old or () if any(u not in side for side in present)}
                assert set(getattr(version, name)) == set().union(*present) - gone
    assert not set(after.files) - {*b, *o, *t}
    policies = [read(source).on_change for source in (base, ours, theirs)]
    changed = [policy for policy in policies[1:] if policy != policies[0]]
    assert after.on_change == (changed[0] if changed else policies[0])
    expected = undecided | ({"on_change"} if len(set(changed)) > 1 else set())
    if theirs in (base, ours) or ours == base:
        expected = set()
    assert set(merged.conflicts) == expected
    assert len(merged.conflicts) == len(expected)
    return merged.text, undecided & expected
