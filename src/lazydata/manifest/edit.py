"""Edits of a manifest's text. Each byte that a person wrote stays: an edit is a splice.

What was spliced is read again, and where it does not mean exactly what was
intended, nothing is returned.
"""

from __future__ import annotations

from collections.abc import Mapping

from lazydata.errors import ManifestChanged, ManifestInvalid, NotTracked
from lazydata.manifest import grammar, paths
from lazydata.manifest.block import NotSpliceable
from lazydata.manifest.edit_remotes import remove_remote, set_remote
from lazydata.manifest.item import Item
from lazydata.manifest.lanes import Lane, lane
from lazydata.manifest.model import Entry, Version, View, knows
from lazydata.manifest.splice import Splice, amend, apply, insert, item_lines

__all__ = [
    "add_usage",
    "record",
    "record_new",
    "remove",
    "remove_remote",
    "set_remote",
    "stays_plain",
]


def record(text: str, view: View, path: str, version: Version) -> tuple[str, Entry]:
    """Make a version the latest of a path.

    A new digest gets an item right after the path's last one; one that the
    entry has had moves to the end of the path's items. A new path goes to its
    sorted place if the list is sorted, else to the end.

    Args:
        text: the manifest.
        view: what it says.
        path: may be new.
        version: what to record; its usages and producers are added to those that the digest has.

    Returns:
        The new text, and the path's entry in it.

    Raises:
        ManifestInvalid: the path can't be listed, or no safe edit was found.
        ManifestChanged: the view is of another text.

    Example:
        >>> text = "files:\\n"
        >>> record(text, read(text), "a.csv", Version(Digest("blake3:" + "0" * 64), 5))[0]
        'files:\\n  - path: a.csv\\n    hash: blake3:000…\\n    size: 5\\n'
    """
    wrong = paths.problem(path)
    if wrong:
        raise ManifestInvalid(wrong[0], file=view.file, hint=wrong[1])
    try:
        return _record(text, view, path, version)
    except NotSpliceable:
        raise _unsafe(view, path, version) from None


def record_new(text: str, view: View, versions: Mapping[str, Version]) -> str:
    """List many paths that are not listed, as if each were recorded by itself.

    Args:
        text: the manifest.
        view: what it says.
        versions: by path.

    Returns:
        The new text.

    Raises:
        ManifestInvalid: a path can't be listed, or no safe edit was found.
        ManifestChanged: the view is of another text, or one of them is listed.
    """
    from lazydata.manifest import read

    if not versions:
        return text
    plain = view.is_plain
    for path, version in versions.items():
        wrong = paths.problem(path)
        if wrong:
            raise ManifestInvalid(wrong[0], file=view.file, hint=wrong[1])
        plain = plain and stays_plain(path, version)
    try:
        found = lane(text, plain, view.file)
        splices: list[Splice] = []
        for path in sorted(versions):
            _fresh(found, view, path, None)
            has_list = bool(splices) or found.under_files is not None
            splices.append(_new_item(found, view, path, versions[path], has_list=has_list))
        new = apply(found.text, splices)
        old, now = read(text, file=view.file).manifest, read(new, file=view.file).manifest
        entries = {path: Entry(path, (version,)) for path, version in versions.items()}
        if now != old._replace(files={**old.files, **entries}):
            raise NotSpliceable
    except NotSpliceable:
        raise ManifestInvalid(
            f"{len(versions):,} paths could not be recorded safely in a file written like this",
            file=view.file,
            hint="edit it by hand",
        ) from None
    return new


def add_usage(
    text: str, view: View, path: str, script: str, *, produced: bool = False
) -> tuple[str, Entry]:
    """Note that a script uses the latest version of a path.

    Args:
        text: the manifest.
        view: what it says.
        path: a listed one.
        script: relative to the workspace.
        produced: it made that version, too.

    Returns:
        The new text, and the path's entry in it.

    Raises:
        NotTracked: the path is not listed.
        ManifestInvalid: no safe edit was found.
        ManifestChanged: the view is of another text.
    """
    entry = _listed(view, path)
    latest = entry.latest
    if knows(latest, script, produced=produced):
        return text, entry
    makers = (script,) if produced else ()
    return record(text, view, path, latest._replace(usage=(script,), producer=makers))


def remove(text: str, view: View, path: str) -> str:
    """Take all versions of a path off the list. Comment lines stay.

    Args:
        text: the manifest.
        view: what it says.
        path: a listed one.

    Raises:
        NotTracked: the path is not listed.
        ManifestInvalid: no safe edit was found.
        ManifestChanged: the view is of another text.
    """
    entry = _listed(view, path)
    try:
        found = lane(text, view.is_plain, view.file)
        _fresh(found, view, path, entry)
        splices = [
            Splice(item.start, item.end, _comments(found.text, item))
            for item in found.items_of(path)
        ]
        new = apply(found.text, splices)
        if not found.verify(new, path, None, splices):
            raise NotSpliceable
    except NotSpliceable:
        raise ManifestInvalid(
            f"{path} could not be removed safely",
            file=view.file,
            hint="remove its items by hand",
        ) from None
    return new


def stays_plain(path: str, version: Version) -> bool:
    """Whether a text that ``text.scan`` accepts is still one with this item in it.

    Args:
        path: what is recorded.
        version: its version.
    """
    strings = (path, *version.usage, *version.producer, version.source_url or "")
    return all(grammar.is_plain(string) for string in strings)


def _record(text: str, view: View, path: str, version: Version) -> tuple[str, Entry]:
    found = lane(text, view.is_plain and stays_plain(path, version), view.file)
    old = view.entry(path)
    _fresh(found, view, path, old)
    had = old.versions if old else ()
    before = next((v for v in had if v.digest == version.digest), None)
    if before is None:
        entry = Entry(path, (*had, version))
        splices = [_new_item(found, view, path, version)]
    else:
        merged = _merge(before, version)
        entry = Entry(path, (*(v for v in had if v is not before), merged))
        if merged != before:
            found = found.touchable(path, version.digest)
        splices = _move(found, path, merged)
    if not splices:
        return text, entry
    new = apply(found.text, splices)
    if not found.verify(new, path, entry, splices):
        raise NotSpliceable
    return new, entry


def _merge(before: Version, version: Version) -> Version:
    return before._replace(
        size=before.size if version.size is None else version.size,
        files=before.files if version.files is None else version.files,
        usage=_united(before.usage, version.usage),
        producer=_united(before.producer, version.producer),
    )


def _united(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    return old + tuple(dict.fromkeys(script for script in new if script not in old))


def _new_item(
    found: Lane, view: View, path: str, version: Version, *, has_list: bool | None = None
) -> Splice:
    lines = item_lines(path, version, *found.columns)
    siblings = found.items_of(path)
    last = found.last()
    if siblings:
        offset = siblings[-1].end
    elif found.under_files is None:
        offset, lines = len(found.text), lines if has_list else ["files:", *lines]
    elif last is None:
        offset = found.under_files
    elif not view.is_sorted:
        offset = last.end
    else:
        before = view.preceding(path)
        placed = found.items_of(before) if before is not None else []
        if before is not None and not placed:
            raise _changed(view)
        offset = placed[-1].end if placed else found.under_files
    return insert(found.text, offset, lines, found.newline)


def _move(found: Lane, path: str, merged: Version) -> list[Splice]:
    items = found.items_of(path)
    item = [i for i in items if i.version.digest == merged.digest][-1]
    splices = amend(found.text, item, merged, found.newline)
    if item is items[-1]:
        return splices
    inside = [Splice(s.start - item.start, s.end - item.start, s.new) for s in splices]
    block = apply(found.text[item.start : item.end], inside)
    block = block.removesuffix("\n").removesuffix("\r")
    return [
        Splice(item.start, item.end, ""),
        insert(found.text, items[-1].end, [block], found.newline),
    ]


def _comments(text: str, item: Item) -> str:
    """The comment lines between an item's lines."""
    kept: list[str] = []
    offset = item.start
    for line in text[item.start : item.end].splitlines(keepends=True):
        # A multi-line scalar may hold lines that only look like comments.
        in_scalar = any(
            f.start < offset < f.end for f in item.fields.values() if f.shape == "scalar"
        )
        if line.lstrip(" \t").startswith("#") and not in_scalar:
            kept.append(line)
        offset += len(line)
    return "".join(kept)


def _listed(view: View, path: str) -> Entry:
    entry = view.entry(path)
    if entry is None:
        raise NotTracked(f"{path} is not in {view.file}", path=path)
    return entry


def _fresh(found: Lane, view: View, path: str, entry: Entry | None) -> None:
    if found.entry(path) != entry:
        raise _changed(view)


def _changed(view: View) -> ManifestChanged:
    return ManifestChanged(f"{view.file} changed while it was being edited", hint="run it again")


def _unsafe(view: View, path: str, version: Version) -> ManifestInvalid:
    lines = item_lines(path, version, 2, 4)
    return ManifestInvalid(
        f"{path} could not be recorded safely in a file written like this",
        file=view.file,
        hint="edit it by hand: " + ", ".join(line.strip(" ") for line in lines),
    )
