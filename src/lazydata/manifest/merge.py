"""Merging of two manifests by entry: what theirs did since base is done to our text.

Lines of ours that need no change stay as they are. The result is read again, and where it
does not mean exactly what was intended, nothing is returned.
"""

from __future__ import annotations

import gc
from typing import NamedTuple

from lazydata.errors import ManifestInvalid
from lazydata.manifest import merge_items, read
from lazydata.manifest.block import NotSpliceable
from lazydata.manifest.edit_remotes import remove_remote, set_remote
from lazydata.manifest.join import both_changed, pick
from lazydata.manifest.lines import comments, missing, union
from lazydata.manifest.model import NAME, Entry, Manifest, RemoteSpec
from lazydata.manifest.parts import Part, part, together
from lazydata.manifest.splice import newline_of
from lazydata.manifest.woven import Woven

_BOM = "\ufeff"


class Merged(NamedTuple):
    """What a merge came to.

    Args:
        text: the manifest; it can be used as it is.
        conflicts: what a person has to look at: paths on which the sides differ, and keys
            such as ``on_change`` or ``remotes.origin``. Ours counts.
    """

    text: str
    conflicts: tuple[str, ...]


def merge(
    base: str,
    ours: str,
    theirs: str,
    *,
    our_name: str = "ours",
    their_name: str = "theirs",
    file: str = NAME,
) -> Merged:
    """Merge two manifests that come from one.

    Args:
        base: what both began with; may be empty.
        ours: the text that is edited.
        theirs: the other one.
        our_name: what a person calls our side, such as ``main``.
        their_name: the same for theirs.
        file: path of the manifest, for messages.

    Raises:
        ManifestInvalid: a side can't be read, or no safe merge was found.

    Example:
        >>> merge("version: 2\\n", "version: 2\\n# a\\n", "version: 2\\non_change: warn\\n").text
        'version: 2\\non_change: warn\\n# a\\n'
    """
    if theirs in (base, ours):
        read(ours, file=file)
        return Merged(ours, ())
    if ours == base:
        read(theirs, file=file)
        return Merged(theirs, ())
    was_on = gc.isenabled()
    gc.disable()  # of all that is made, nothing is garbage before the end: half of the time
    try:
        return _merged(base, ours, theirs, (our_name, their_name), file)
    finally:
        if was_on:
            gc.enable()


def _merged(base: str, ours: str, theirs: str, names: tuple[str, str], file: str) -> Merged:
    body = ours.removeprefix(_BOM)
    newline = newline_of(body if body else theirs)
    sides = [_lines(text, newline) for text in (base, theirs)]
    try:
        merging = _Merging(sides[0], _ended(body, newline), sides[1], names, file)
        text, intended = merging.run()
    except NotSpliceable:
        raise _unsafe(file) from None
    if body and not body.endswith("\n"):
        text = text.removesuffix("\n").removesuffix("\r")
    text = ours[: len(ours) - len(body)] + text
    try:
        found = read(text, file=file).manifest
    except ManifestInvalid:
        raise _unsafe(file) from None
    if found != intended:
        raise _unsafe(file)
    return Merged(text, tuple(merging.conflicts))


def _ended(text: str, newline: str) -> str:
    return text if not text or text.endswith("\n") else text + newline


def _lines(text: str, newline: str) -> str:
    """A side, as ours is written: its line breaks, no byte order mark."""
    plain = text.removeprefix(_BOM).replace("\r\n", "\n")
    return _ended(plain, "\n").replace("\n", newline)


def _unsafe(file: str) -> ManifestInvalid:
    return ManifestInvalid(
        "the two sides could not be merged safely in files written like these",
        file=file,
        hint="merge them by hand: keep the items of both sides, the latest version last",
    )


class _Merging:
    """One merge, of texts with the same line breaks.

    Args:
        base, ours, theirs: each ends with a line break, if it is not empty.
        names: what a person calls ours and theirs.
        file: path of the manifest, for messages.
    """

    def __init__(self, base: str, ours: str, theirs: str, names: tuple[str, str], file: str):
        self.conflicts: list[str] = []
        self._by_theirs: set[str] = set()  # the keys that are as theirs has them
        self._names, self._file = names, file
        self._base = part(base, file=f"{file} (before both)")
        self._theirs = part(theirs, file=f"{file} ({names[1]})")
        touched = self._base.items != self._theirs.items
        self._ours = part(ours, file=f"{file} ({names[0]})", keep_list=not touched)
        self._newline = newline_of(ours if ours else theirs)

    def run(self) -> tuple[str, Manifest]:
        """The new text, and what it has to mean."""
        items = merge_items.merge(
            self._base, self._ours, self._theirs, names=self._names, newline=self._newline
        )
        self.conflicts += items.conflicts
        keys, carried = self._keys(bool(items.text)).parts()
        tail = carried + union(self._base.tail, self._ours.tail, self._theirs.tail)
        text = together(keys, items.text + items.carried, tail)
        return text, self._intended(items.files)

    def _keys(self, has_items: bool) -> Woven:
        woven = Woven(self._ours.keys)
        base, theirs = ({p.name: p for p in side.keys} for side in (self._base, self._theirs))
        places = {p.name: at for at, p in enumerate(self._ours.keys)}
        for at, ours in enumerate(self._ours.keys):
            old, other = base.get(ours.name), theirs.get(ours.name)
            if old != other and not (other is None and ours.name == "files" and has_items):
                woven.put(at, self._key(old, ours, other))
        before = -1
        for other in self._theirs.keys:
            before = places.get(other.name, before)
            if other.name not in places:
                old = None if other.name == "files" and has_items else base.get(other.name)
                woven.below(before, self._key(old, None, other))
        return woven

    def _key(self, base: Part | None, ours: Part | None, theirs: Part | None) -> Part:
        """One top-level key; without a body where it goes."""
        sides = [Part("", "", "") if side is None else side for side in (base, ours, theirs)]
        name = next(side.name for side in sides if side.name)
        old, mine, other = (side.body for side in sides)
        body = pick(old, mine, other)
        if both_changed(old, mine, other):
            body = self._both(name, old, mine, other)
        elif mine == old:
            self._by_theirs.add(name)
        if not body:
            return Part(name, "".join(_added(side, sides[0]) for side in sides[1:]), "")
        base_lead, lead, their_lead = (side.lead for side in sides)
        if mine and other:
            lead = union(base_lead, lead, their_lead)
        lost = missing(comments(mine), body) + missing(comments(other), old, body)
        return Part(name, (lead or their_lead) + lost, body)

    def _both(self, name: str, base: str, ours: str, theirs: str) -> str:
        if name == "remotes":
            return self._remotes(base, ours, theirs)
        said = [getattr(side.manifest, name, None) for side in (self._ours, self._theirs)]
        if name != "files" and (said[0] != said[1] or name not in Manifest._fields):
            self.conflicts.append(name)
        return ours

    def _remotes(self, base: str, ours: str, theirs: str) -> str:
        sides = [self._read_remotes(text) for text in (base, ours, theirs)]
        wanted = _by_name(*sides)
        self.conflicts += (
            f"remotes.{name}"
            for name in {**sides[1], **sides[2]}
            if both_changed(*(side.get(name) for side in sides))
        )
        text = union(base, ours, theirs)
        try:
            if self._read_remotes(text) == wanted:
                return text
        except NotSpliceable:
            pass
        text = ours
        for name in {**sides[1], **wanted}:
            if name not in wanted:
                text = remove_remote(text, name, file=self._file)
            elif wanted[name] != sides[1].get(name):
                text = set_remote(text, wanted[name], file=self._file)
        return text

    def _read_remotes(self, text: str) -> dict[str, RemoteSpec]:
        try:
            return read(text, file=self._file).manifest.remotes
        except ManifestInvalid:
            raise NotSpliceable from None

    def _intended(self, files: dict[str, Entry]) -> Manifest:
        base, ours, theirs = (side.manifest for side in (self._base, self._ours, self._theirs))
        scalars = {
            name: getattr(theirs, name) for name in self._by_theirs if name in Manifest._fields
        }
        remotes = _by_name(base.remotes, ours.remotes, theirs.remotes)
        return ours._replace(**{**scalars, "files": files, "remotes": remotes})


def _by_name(
    base: dict[str, RemoteSpec], ours: dict[str, RemoteSpec], theirs: dict[str, RemoteSpec]
) -> dict[str, RemoteSpec]:
    """The remotes of both sides, by what each changed."""
    picked = {
        name: pick(base.get(name), ours.get(name), theirs.get(name)) for name in {**ours, **theirs}
    }
    return {name: spec for name, spec in picked.items() if spec is not None}


def _added(side: Part, base: Part) -> str:
    return missing(comments(side.lead + side.body), base.lead, base.body)
