"""One item of the list under ``files:``, and where its parts lie in the text."""

from __future__ import annotations

from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.manifest import grammar
from lazydata.manifest.model import SCRIPTS, Version


class Field(NamedTuple):
    """One key of an item.

    Args:
        key: where the key starts.
        colon: just past its colon.
        start: where the value starts.
        end: past the value's last character.
        shape: ``scalar``, ``list`` (block style), ``flow``, ``null`` or ``other``.
        dash: column of the list's dashes, for a list.
    """

    key: int
    colon: int
    start: int
    end: int
    shape: str
    dash: int = -1


class Item(NamedTuple):
    """One item, in whole lines: from its dash's line to the end of its last line with content.

    Args:
        path: what it lists.
        version: the version that it gives the path.
        start: offset of the first line's first character.
        end: offset just past the last line, its line break included.
        dash: column of its dash.
        keys: column of its keys.
        fields: its keys.
        is_flow: written as ``{...}``.
    """

    path: str
    version: Version
    start: int
    end: int
    dash: int
    keys: int
    fields: dict[str, Field]
    is_flow: bool = False


def item_at(text: str, start: int, dash: int) -> Item | None:
    """Read the item whose line starts at an offset, by the grammar of the fast lane.

    Args:
        text: the manifest.
        start: offset of the line with the item's dash.
        dash: the column that the dash must have.

    Returns:
        The item, or None where these lines are not of the grammar.
    """
    fields: dict[str, Field] = {}
    values: dict[str, str] = {}
    scripts: dict[str, list[str]] = {name: [] for name in SCRIPTS}
    position = end = start
    keys = listed = -1
    in_list = ""  # the key whose list may go on
    while position < len(text):
        found = grammar.line.match(text, position)
        if found is None:
            return None
        lead = found.end("lead") - position
        key, raw = found["key"], found["value"]
        if found["dash"]:
            if end == start and lead == dash:
                keys = found.end("dash") - position
            elif in_list and key is None and lead >= keys and listed in (-1, lead):
                script = grammar.string(found["bare"])
                if script is None:
                    return None
                listed = lead
                scripts[in_list].append(script)
                old = fields[in_list]
                at = found.end("lead") if old.shape == "null" else old.start
                fields[in_list] = Field(old.key, old.colon, at, found.end("bare"), "list", lead)
                end = found.end()
                position = grammar.gap.match(text, end).end()  # type: ignore[union-attr]
                continue
            elif lead == dash and key is not None:
                break
            else:
                return None
        elif end == start:
            return None
        elif lead == 0 and key is not None:
            break
        elif lead != keys:
            return None
        if key is None or key in fields or key in grammar.WORDS:
            return None
        if len(fields) > grammar.KEYS:
            return None
        in_list, listed = key if raw is None else "", -1
        if in_list and key not in SCRIPTS:
            return None
        colon = found.end("key") + 1
        if raw is None:
            fields[key] = Field(found.start("key"), colon, colon, colon, "null")
        else:
            values[key] = raw
            span = found.span("value")
            fields[key] = Field(found.start("key"), colon, *span, "scalar")
        end = found.end()
        position = grammar.gap.match(text, end).end()  # type: ignore[union-attr]
    for name, listing in scripts.items():
        if name in fields and not listing:
            script = grammar.string(values.get(name))
            if script is None:
                return None
            listing.append(script)
    path = grammar.string(values.get("path"))
    version = _version(values, *map(tuple, scripts.values()))
    if path is None or version is None:
        return None
    return Item(path, version, start, end, dash, keys, fields)


def _version(
    values: dict[str, str], usage: tuple[str, ...], producer: tuple[str, ...]
) -> Version | None:
    digest = grammar.digest(values.get("hash"))
    size = grammar.number(values.get("size"))
    files = grammar.number(values.get("files"))
    source = grammar.string(values.get("source_url"))
    if (
        digest is None
        or (size is None and "size" in values)
        or (files is None and "files" in values)
        or (source is None and "source_url" in values)
    ):
        return None
    return Version(Digest(digest), size, usage, files, source, producer)
