"""Edits of the ``remotes:`` of a manifest."""

from __future__ import annotations

from lazydata.errors import ManifestInvalid
from lazydata.manifest.block import NotSpliceable, block_node, block_value
from lazydata.manifest.document import Document, last_of, load, place_field
from lazydata.manifest.grammar import quote
from lazydata.manifest.lanes import PlainLane, rewrite
from lazydata.manifest.model import RemoteSpec
from lazydata.manifest.nodes import Node
from lazydata.manifest.splice import (
    Splice,
    apply,
    content_end,
    insert,
    line_end,
    newline_of,
)
from lazydata.manifest.text import FILES, scan


def set_remote(text: str, spec: RemoteSpec, *, file: str) -> str:
    """Add a remote, or change the one of that name.

    Args:
        text: the manifest.
        spec: what the remote shall be.
        file: its path, for messages.

    Raises:
        ManifestInvalid: the manifest is, or no safe edit was found.

    Example:
        >>> set_remote("version: 2\\n", RemoteSpec("origin", "s3://b"), file="lazydata.yml")
        'version: 2\\nremotes:\\n  origin:\\n    url: s3://b\\n'
    """
    return _edit(text, spec.name, spec, file)


def remove_remote(text: str, name: str, *, file: str) -> str:
    """Take a remote off the manifest; its objects stay where they are.

    Args:
        text: the manifest.
        name: of the remote.
        file: its path, for messages.

    Raises:
        ManifestInvalid: there is no such remote, the manifest is broken, or no safe edit was found.
    """
    return _edit(text, name, None, file)


def _edit(text: str, name: str, spec: RemoteSpec | None, file: str) -> str:
    before, inside, after = _without_items(text)
    try:
        new = _change(load(before + after, file=file), name, spec, file)
    except NotSpliceable:
        raise ManifestInvalid(
            f"the remote {name} could not be edited safely in a file written like this",
            file=file,
            hint="edit remotes: by hand",
        ) from None
    if not inside:
        return new
    found = FILES.search(new)
    assert found is not None
    return new[: found.end()] + inside + new[found.end() :]


def _without_items(text: str) -> tuple[str, str, str]:
    """Part a plain text, so that ruamel.yaml need not read all of its items."""
    found = FILES.search(text)
    if found is None or found.end() == len(text) or scan(text) is None:
        return text, "", ""
    last = PlainLane(text, "").last()
    end = last.end if last else found.end()
    # The last item may be the end of a text that has no line break there.
    if end == len(text) and not text.endswith("\n"):
        return text, "", ""
    return text[: found.end()], text[found.end() : end], text[end:]


def _change(document: Document, name: str, spec: RemoteSpec | None, file: str) -> str:
    old = document.manifest
    if spec is None and name not in old.remotes:
        known = ", ".join(old.remotes) or "none"
        raise ManifestInvalid(
            f"there is no remote named {name}", file=file, hint=f"remotes here: {known}"
        )
    remotes = {key: value for key, value in old.remotes.items() if key != name}
    if spec is not None:
        remotes[name] = spec
        if old.remotes.get(name) == spec:
            return document.text
    document = _in_block_style(document, name, file)
    splices = [
        *_drop_legacy(document, name),
        *(_put(document, spec) if spec else _drop(document, name)),
    ]
    new = apply(document.text, splices)
    try:
        meaning = load(new, file=file).manifest
    except ManifestInvalid:
        raise NotSpliceable from None
    if meaning != old._replace(remotes=remotes):
        raise NotSpliceable
    return new


def _in_block_style(document: Document, name: str, file: str) -> Document:
    text, root, pair = document.text, document.root, document.pair("remotes")
    found = _remote(document, name)
    if root is not None and root.style == "flow":
        splice = block_node(text, root, 0) if root.pairs else Splice(root.start, root.end, "")
    elif pair is not None and (
        pair[1].style == "flow" or (pair[1].tag == "null" and pair[1].end > pair[1].start)
    ):
        splice = block_value(text, *pair, 2)
    elif found is not None and found[1].style == "flow":
        splice = block_value(text, *found, found[0].column + 1)
    else:
        return document
    return _in_block_style(rewrite(document, [splice], file), name, file)


def _remote(document: Document, name: str) -> tuple[Node, Node] | None:
    pair = document.pair("remotes")
    for key, value in pair[1].pairs if pair else ():
        if key.value == name:
            return key, value
    return None


def _legacy(document: Document, name: str) -> list[tuple[Node, Node]]:
    """What lazydata 1.x says of its one remote."""
    if name != "origin" or document.manifest.version != 1:
        return []
    return [pair for key in ("remote", "endpoint") if (pair := document.pair(key))]


def _drop_legacy(document: Document, name: str) -> list[Splice]:
    return [Splice(*_lines_of(document.text, *pair), "") for pair in _legacy(document, name)]


def _lines_of(text: str, key: Node, value: Node) -> tuple[int, int]:
    start = text.rfind("\n", 0, key.start) + 1
    if start == 0 and text.startswith("\ufeff"):
        start = 1
    return start, line_end(text, place_field(text, key, value).end)


def _drop(document: Document, name: str) -> list[Splice]:
    found, pair = _remote(document, name), document.pair("remotes")
    if found is None or pair is None:
        return []
    start, end = _lines_of(document.text, *found)
    if len(pair[1].pairs) == 1:
        line = document.text[pair[0].start : line_end(document.text, pair[0].end)]
        if line.strip() == "remotes:":
            return [
                Splice(pair[0].start, pair[0].start + len(line), ""),
                Splice(start, end, ""),
            ]
    return [Splice(start, end, "")]


def _put(document: Document, spec: RemoteSpec) -> list[Splice]:
    text, newline = document.text, newline_of(document.text)
    pair, found = document.pair("remotes"), _remote(document, spec.name)
    settings = {"url": spec.url, **spec.options}
    if found is not None:
        return _update(text, found, settings, newline)
    if pair is None:
        lines = ["remotes:", *_remote_lines(spec.name, settings, 2, 4)]
        return [insert(text, _place_for_remotes(document), lines, newline)]
    if not pair[1].pairs:
        offset = line_end(text, text.find(":", pair[0].end))
        return [insert(text, offset, _remote_lines(spec.name, settings, 2, 4), newline)]
    key, value = pair[1].pairs[-1]
    outer = key.column - 1
    inner = value.pairs[0][0].column - 1 if value.pairs and value.style != "flow" else outer + 2
    offset = line_end(text, place_field(text, key, value).end)
    return [insert(text, offset, _remote_lines(spec.name, settings, outer, inner), newline)]


def _remote_lines(name: str, settings: dict[str, str], outer: int, inner: int) -> list[str]:
    return [" " * outer + f"{quote(name)}:", *_setting_lines(settings, inner)]


def _setting_lines(settings: dict[str, str], column: int) -> list[str]:
    return [" " * column + f"{quote(key)}: {quote(value)}" for key, value in settings.items()]


def _update(
    text: str, found: tuple[Node, Node], settings: dict[str, str], newline: str
) -> list[Splice]:
    key, value = found
    field = place_field(text, key, value)
    if value.kind == "scalar":
        if len(settings) == 1:
            return [Splice(field.start, field.end, quote(settings["url"]))]
        end = content_end(text, field.end)
        lines = _setting_lines(settings, key.column + 1)
        return [Splice(field.colon, end, newline.join([text[field.end : end].rstrip(), *lines]))]
    splices: list[Splice] = []
    missing = dict(settings)
    for name, old in value.pairs:
        new = missing.pop(name.value, None)
        if new is None:
            splices.append(Splice(*_lines_of(text, name, old), ""))
        elif new != old.value:
            place = place_field(text, name, old)
            splices.append(Splice(place.colon, place.end, f" {quote(new)}"))
    if missing:
        lines = _setting_lines(missing, value.pairs[0][0].column - 1)
        splices.append(insert(text, line_end(text, last_of(text, value)), lines, newline))
    return splices


def _place_for_remotes(document: Document) -> int:
    """Before ``files:``, right behind what is there, so that the comment of files stays its own."""
    text, files = document.text, document.pair("files")
    if document.root is None or files is None:
        return len(text)
    before = [pair for pair in document.root.pairs if pair[0].start < files[0].start]
    legacy = {key.start for key, _ in _legacy(document, "origin")}
    if not before or before[-1][0].start in legacy:
        return files[0].start
    return line_end(text, place_field(text, *before[-1]).end)
