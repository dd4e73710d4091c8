"""The items of two manifests, merged path by path."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.manifest import notes
from lazydata.manifest.block import NotSpliceable, block_node
from lazydata.manifest.document import load
from lazydata.manifest.grammar import quote
from lazydata.manifest.item import Item
from lazydata.manifest.join import Joined, join
from lazydata.manifest.lines import comments, missing, union
from lazydata.manifest.model import SCRIPTS, Entry, Version
from lazydata.manifest.parts import Part, Parts, read_item
from lazydata.manifest.splice import Splice, amend, apply, insert, line_end, newline_of
from lazydata.manifest.woven import Woven

_NONE = Part("", "", "")


class Items(NamedTuple):
    """What belongs below ``files:``.

    Args:
        text: the items, with the lines above each.
        carried: comment lines of items that are gone, for what follows.
        files: what the items mean.
        conflicts: the paths on which the sides differ.
    """

    text: str
    carried: str
    files: dict[str, Entry]
    conflicts: list[str]


class _Made(NamedTuple):
    part: Part
    version: Version


def merge(
    base: Parts, ours: Parts, theirs: Parts, *, names: tuple[str, str], newline: str
) -> Items:
    """Do to our items what theirs did to those of base.

    Args:
        base: what both began with.
        ours: what is edited.
        theirs: the other side.
        names: what a person calls ours and theirs.
        newline: the line break of all of them.

    Raises:
        NotSpliceable: an item is written in a way that can't be edited.
    """
    return _Merging(base, ours, theirs, names, newline).run()


class _Side:
    """One side's items by path, each with its number in the text."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.groups: dict[str, list[int]] = {}
        if parts.items:
            for at, part in enumerate(parts.items):
                self.groups.setdefault(part.name, []).append(at)

    def group(self, path: str) -> list[Part]:
        return [self.parts.items[at] for at in self.groups.get(path, ())]

    def versions(self, path: str) -> tuple[Version, ...]:
        entry = self.parts.manifest.files.get(path)
        return entry.versions if entry else ()

    def digests(self, path: str) -> list[tuple[Digest, int]]:
        """What each of a path's items is about; of several on one version the last counts."""
        found, versions = self.groups.get(path, []), self.versions(path)
        if len(found) == 1:
            return [(versions[0].digest, found[0])]
        items, dash = self.parts.items, self.parts.dash
        return [(read_item(items[at].body, dash).version.digest, at) for at in found]


class _Merging:
    def __init__(
        self, base: Parts, ours: Parts, theirs: Parts, names: tuple[str, str], newline: str
    ) -> None:
        self._base, self._ours, self._theirs = _Side(base), _Side(ours), _Side(theirs)
        self._names, self._newline = names, newline
        self._dash = ours.dash if ours.items else theirs.dash
        self._woven = Woven(ours.items)
        self._files = dict(ours.manifest.files)
        self._conflicts: list[str] = []
        self._new: list[tuple[str, list[Part]]] = []

    def run(self) -> Items:
        for path in self._touched():
            self._merge(path)
        self._place_new()
        parts, carried = self._woven.parts()
        text = "".join([piece for part in parts for piece in (part.lead, part.body)])
        return Items(text, carried, self._files, self._conflicts)

    def _touched(self) -> list[str]:
        """The paths that theirs did something about, in the order in which they list them."""
        base, theirs = self._base, self._theirs
        if base.parts.items == theirs.parts.items:
            return []
        paths = dict.fromkeys((*theirs.groups, *base.groups))
        return [path for path in paths if base.group(path) != theirs.group(path)]

    def _merge(self, path: str) -> None:
        sides = (self._base, self._ours, self._theirs)
        joined = join(*(side.versions(path) for side in sides))
        digests = [side.digests(path) for side in sides]
        places = [dict(found) for found in digests]
        made = self._made(path, joined, places)
        if made:
            self._files[path] = Entry(path, tuple(each.version for each in made))
        else:
            self._files.pop(path, None)
        kept = {version.digest for version in joined.versions}
        self._take_out(path, kept, digests, places)
        if places[1]:
            self._arrange(path, made, places[1])
        elif made:
            self._new.append((path, [each.part for each in made]))

    # What each item is

    def _made(self, path: str, joined: Joined, places: list[dict[Digest, int]]) -> list[_Made]:
        people = self._people(path, joined)
        what = notes.about(path, *people)
        known = self._new_notes(path, {what} if joined.diverged else set())
        made: list[_Made] = []
        for version in joined.versions:
            base, ours, theirs = (
                side.parts.items[at[version.digest]] if version.digest in at else None
                for side, at in zip((self._base, self._ours, self._theirs), places, strict=True)
            )
            if theirs is not None:
                theirs = theirs._replace(lead=notes.without(theirs.lead, known))
            made.append(self._item(version, base, ours, theirs))
        if joined.diverged:
            self._conflicts.append(path)
            if not any(what in notes.found(each.part.lead) for each in made):
                (name, lead, body), version = made[-1]
                lines = notes.write(path, *people, self._dash)
                lead += "".join(line + self._newline for line in lines)
                made[-1] = _Made(Part(name, lead, body), version)
        return made

    def _people(self, path: str, joined: Joined) -> tuple[notes.Side, notes.Side]:
        """Who says what the latest version is: first the side whose version it is now."""
        ours, theirs = (
            notes.Side(name, versions[-1].digest if versions else None)
            for name, versions in zip(
                self._names, (self._ours.versions(path), self._theirs.versions(path)), strict=True
            )
        )
        first, second = (theirs, ours) if joined.by_theirs else (ours, theirs)
        return first._replace(
            latest=joined.versions[-1].digest if joined.versions else None
        ), second

    def _new_notes(self, path: str, due: set[notes.Note]) -> set[notes.Note]:
        """The notes that our text will have of itself, and that base has not."""
        base, ours = (
            {note for part in side.group(path) for note in notes.found(part.lead)}
            for side in (self._base, self._ours)
        )
        return (ours | due) - base

    def _item(
        self, version: Version, base: Part | None, ours: Part | None, theirs: Part | None
    ) -> _Made:
        old = base or _NONE
        if theirs is None:
            assert ours is not None
            return _Made(ours, version)
        by = self._dash - self._theirs.parts.dash
        if ours is None:
            lead = missing(theirs.lead.splitlines(keepends=True), old.lead) if base else theirs.lead
            return _Made(Part(theirs.name, _shifted(lead, by), _shifted(theirs.body, by)), version)
        lead = union(old.lead, ours.lead, theirs.lead)
        if theirs.body in (old.body, ours.body):
            return _Made(ours._replace(lead=lead), version)
        other = _shifted(theirs.body, by)
        if ours.body == old.body:
            return _Made(Part(ours.name, lead, other), version)
        body, found = self._both(ours.name, version, (old.body, ours.body, other))
        lost = missing(comments(ours.body), body) + missing(comments(other), old.body, body)
        return _Made(Part(ours.name, lead + lost, body), found)

    def _both(
        self, path: str, wanted: Version, bodies: tuple[str, str, str]
    ) -> tuple[str, Version]:
        """An item that both sides changed: by lines, and if that isn't it, by what it says."""
        text = union(*bodies)
        found = self._says(text, path, wanted)
        if found is None:
            text = _revised(bodies[1], self._dash, wanted)
            found = self._says(text, path, wanted)
        if found is None:
            raise NotSpliceable
        return text, found

    def _says(self, body: str, path: str, wanted: Version) -> Version | None:
        try:
            item = read_item(body, self._dash)
        except NotSpliceable:
            return None
        return item.version if item.path == path and _same(item.version, wanted) else None

    # Where it belongs, and what is left where it was

    def _take_out(
        self,
        path: str,
        kept: set[Digest],
        digests: list[list[tuple[Digest, int]]],
        places: list[dict[Digest, int]],
    ) -> None:
        """Items that go. What comment lines one side added to them does not."""
        base = self._base.parts.items
        for digest, at in digests[1]:
            if digest not in kept:
                self._woven.drop(at, _added(self._ours.parts.items[at], base[places[0][digest]]))
        for digest, at in digests[2]:
            if at != places[2][digest]:  # repeats a version, and means nothing
                old = self._base.group(path)
            elif digest not in kept and digest not in places[1]:
                old = [base[places[0][digest]]]
            else:
                continue
            self._new.append((path, [Part(path, _added(self._theirs.parts.items[at], *old), "")]))

    def _arrange(self, path: str, made: list[_Made], ours: dict[Digest, int]) -> None:
        """Put a path's items in order, moving as few of ours as can be."""
        order = [ours.get(each.version.digest, -1) for each in made]
        # Read backwards, so that where either of two may move it is the later version.
        fixed = {-at for at in _increasing([-at for at in order[::-1] if at >= 0])}
        if len(fixed) < sum(at >= 0 for at in order):
            self._take_out_moved(path, order, fixed)
        anchor: int | None = None
        first = min(fixed, default=None)
        for at, (part, _) in zip(order, made, strict=True):
            if at in fixed:
                self._woven.put(at, part)
                anchor = at
            elif anchor is not None:
                self._woven.below(anchor, part)
            elif first is not None:
                self._woven.above(first, part)
            else:
                self._woven.below(max(self._ours.groups[path]), part)

    def _take_out_moved(self, path: str, order: list[int], fixed: set[int]) -> None:
        for at in set(self._ours.groups[path]) - fixed:
            if at in order:
                self._woven.drop(at)
            elif not self._woven.is_dropped(at):  # repeats a version, and means nothing
                part = self._ours.parts.items[at]
                self._woven.drop(at, "".join(comments(part.lead + part.body)))

    def _place_new(self) -> None:
        """Paths that ours does not list: to their sorted place, else behind what theirs has before.

        Also comment lines of items that we took out.
        """
        ours = list(self._ours.groups)
        is_sorted = ours == sorted(ours)
        if is_sorted:
            self._new.sort(key=lambda each: each[0])
        before = {} if is_sorted else self._predecessors()
        for path, parts in self._new:
            if is_sorted:
                at = bisect_left(ours, path)
                above = ours[at - 1] if at else None
            else:
                above = before.get(path)
            anchor = max(self._ours.groups[above]) if above is not None else -1
            for part in parts:
                self._woven.below(anchor, part)

    def _predecessors(self) -> dict[str, str | None]:
        """For each path of theirs, the one before it there that ours lists, too."""
        before: dict[str, str | None] = {}
        last: str | None = None
        for path in self._theirs.groups:
            before[path] = last
            last = path if path in self._ours.groups else last
        return before


def _added(part: Part, *base: Part) -> str:
    """Comment lines that some parts of base did not have."""
    old = [piece for part in base for piece in (part.lead, part.body)]
    return missing(comments(part.lead + part.body), *old)


def _increasing(numbers: list[int]) -> list[int]:
    """A longest part of some numbers that is in order."""
    ends: list[int] = []  # the smallest end of a run of each length, as a place in `numbers`
    previous: list[int] = []
    for place, number in enumerate(numbers):
        at = bisect_left(ends, number, key=numbers.__getitem__)
        previous.append(ends[at - 1] if at else -1)
        ends[at : at + 1] = [place]
    found: list[int] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        found.append(numbers[place])
        place = previous[place]
    return found[::-1]


def _same(found: Version, wanted: Version) -> bool:
    return _in_order(found) == _in_order(wanted)


def _in_order(version: Version) -> Version:
    usage, producer = tuple(sorted(version.usage)), tuple(sorted(version.producer))
    return version._replace(usage=usage, producer=producer)


def _shifted(text: str, by: int) -> str:
    """Lines with another indentation."""
    if by == 0:
        return text
    lines = text.splitlines(keepends=True)
    if by > 0:
        return "".join(" " * by + line if line.strip() else line for line in lines)
    return "".join(line[min(-by, len(line) - len(line.lstrip(" "))) :] for line in lines)


def _revised(body: str, dash: int, wanted: Version) -> str:
    """Our item, made to say what it shall by as few changes as can be."""
    item = read_item(body, dash)
    if item.is_flow:
        prefix = "files:\n"
        node = load(prefix + body, file="").item_nodes[0]
        body = apply(prefix + body, [block_node(prefix + body, node, item.keys)])[len(prefix) :]
        item = read_item(body, dash)
    for name in ("size", "files", "source_url", *SCRIPTS):
        if not _is_kept(getattr(item.version, name), getattr(wanted, name)):
            body = apply(body, _without(body, item, name))
            item = read_item(body, dash)
    if wanted.source_url is not None and item.version.source_url is None:
        line = " " * item.keys + f"source_url: {quote(wanted.source_url)}"
        body = apply(body, [insert(body, item.end, [line], newline_of(body))])
        item = read_item(body, dash)
    scripts = {}
    for name in SCRIPTS:
        has = getattr(item.version, name)
        scripts[name] = has + tuple(each for each in getattr(wanted, name) if each not in has)
    return apply(body, amend(body, item, wanted._replace(**scripts), newline_of(body)))


def _is_kept(old: object, new: object) -> bool:
    """Whether a key can stay where it is: numbers are changed in their place."""
    if isinstance(old, tuple) and isinstance(new, tuple):
        return set(old) <= set(new)
    return old is None or old == new or (isinstance(old, int) and new is not None)


def _without(body: str, item: Item, name: str) -> list[Splice]:
    """Take out the lines of a key. Behind the dash the next one takes its place."""
    field = item.fields[name]
    start, end = body.rfind("\n", 0, field.key) + 1, line_end(body, field.end)
    if not body[start : field.key].strip():
        return [Splice(start, end, "")]
    _, after = sorted(item.fields.values())[:2]
    below = Splice(body.rfind("\n", 0, after.key) + 1, line_end(body, after.end), "")
    return [Splice(field.key, end, body[after.key : below.end]), below]
