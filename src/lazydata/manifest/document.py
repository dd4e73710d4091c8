"""Reads any manifest, through ruamel.yaml: the judge of what it means and where its parts lie."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from lazydata.digest import Digest
from lazydata.errors import ManifestInvalid
from lazydata.manifest import conflicts, grammar, paths
from lazydata.manifest.item import Field, Item
from lazydata.manifest.model import Manifest, RemoteSpec, Version
from lazydata.manifest.nodes import Node, compose
from lazydata.manifest.text import POLICIES, gather

_NEWEST = 2
_NUMBER = re.compile(r"0|[1-9][0-9]*")
_CORE = {"str", "int", "float", "bool", "null", "timestamp", "value"}
_LARGEST = 2**63 - 1


class Document(NamedTuple):
    """A parsed manifest, with the places that an edit needs.

    Args:
        text: what was parsed.
        manifest: what it says.
        root: the mapping at the top, or None for an empty text.
        items: each item under ``files:``, in the order of the text.
        item_nodes: their nodes.
    """

    text: str
    manifest: Manifest
    root: Node | None
    items: list[Item]
    item_nodes: list[Node]

    def pair(self, name: str) -> tuple[Node, Node] | None:
        """The key and value nodes of a top-level key, or None."""
        for key, value in self.root.pairs if self.root else ():
            if key.value == name:
                return key, value
        return None


def parse(text: str, *, file: str) -> Manifest:
    """Read a manifest.

    Args:
        text: all of it.
        file: its path, for messages.

    Raises:
        ManifestInvalid: with line and column.

    Example:
        >>> parse("remotes: {origin: 's3://b'}", file="lazydata.yml").remotes["origin"].url
        's3://b'
    """
    return load(text, file=file).manifest


def load(text: str, *, file: str, mending: bool = True) -> Document:
    """Read a manifest, and where its parts lie.

    Args:
        text: all of it.
        file: its path, for messages.
        mending: where git has mixed items, find out how to mend them, and say so.

    Raises:
        ManifestInvalid: with line and column.
    """
    return _Reader(text, file, mending=mending).document()


class _Reader:
    def __init__(self, text: str, file: str, *, mending: bool) -> None:
        self.text, self.file, self.mending = text, file, mending

    def fail(
        self, node: Node, message: str, hint: str | None = None, shown: tuple[str, ...] = ()
    ) -> NoReturn:
        raise ManifestInvalid(
            message, file=self.file, line=node.line, column=node.column, hint=hint, shown=shown
        )

    def document(self) -> Document:
        root = compose(self.text, file=self.file)
        if root is None or _is_null(root):
            return Document(self.text, Manifest(), None, [], [])
        if root.kind != "mapping":
            self.fail(root, "a manifest is a mapping (version:, files:, …)")
        top = self.mapping(root)
        version = self.version(top)
        on_change = top.get("on_change")
        if on_change is not None and self.string(on_change, "on_change") not in POLICIES:
            self.fail(on_change, f"on_change is one of {', '.join(POLICIES)}")
        nodes = self.files(top.get("files"))
        items = [
            self.item(node, following)
            for node, following in zip(nodes, [*nodes[1:], None], strict=False)
        ]
        manifest = Manifest(
            files=gather([item.path for item in items], [item.version for item in items]),
            remotes=self.remotes(top, version),
            version=version,
            on_change=on_change.value if on_change else None,
            gitignore="gitignore" not in top or self.truth(top["gitignore"], "gitignore"),
        )
        return Document(self.text, manifest, root, items, nodes)

    def mapping(self, node: Node) -> dict[str, Node]:
        if node.tag != "map":
            self.fail(node, f"the tag {node.tag} has no meaning here", "remove the tag")
        found: dict[str, Node] = {}
        for key, value in node.pairs:
            if key.tag == "merge":
                self.fail(key, "merge keys (<<) are not read", "write the keys out")
            if key.kind != "scalar" or key.tag not in _CORE:
                self.fail(key, "a key must be text")
            if key.value in found:
                self.fail(key, f"the key {key.value!r} is there twice", "remove one of them")
            found[key.value] = value
        return found

    def version(self, top: dict[str, Node]) -> int:
        node = top.get("version")
        if node is None:
            return _NEWEST
        version = self.number(node, "version")
        if version > _NEWEST:
            self.fail(
                node,
                f"written by a newer lazydata (format {version}; this one reads {_NEWEST})",
                "upgrade lazydata",
            )
        if version < 1:
            self.fail(node, f"there is no manifest format {version}")
        return version

    def files(self, node: Node | None) -> list[Node]:
        if node is None or _is_null(node) or (node.kind == "mapping" and not node.pairs):
            return []
        if node.kind != "list" or node.tag != "seq":
            self.fail(node, "files must be a list of items", "write each as: - path: data/x.csv")
        found: list[Node] = node.value
        return found

    def item(self, node: Node, following: Node | None) -> Item:
        if node.kind != "mapping":
            self.fail(node, "an item must be a mapping", "write it as: - path: … and hash: …")
        if self.mending:
            self.mixed(node, following)
        keys = self.mapping(node)
        if "path" not in keys:
            self.fail(node, "this item has no path", "add path: and hash:, or remove it")
        path = self.string(keys["path"], "path")
        wrong = paths.problem(path)
        if wrong:
            self.fail(keys["path"], *wrong)
        if "hash" not in keys:
            self.fail(node, f"the item of {path!r} has no hash", "add hash: blake3:…, or remove it")
        version = Version(
            self.digest(keys["hash"]),
            self.number(keys["size"], "size") if "size" in keys else None,
            self.scripts(keys.get("usage"), "usage"),
            self.number(keys["files"], "files") if "files" in keys else None,
            self.string(keys["source_url"], "source_url") if "source_url" in keys else None,
            self.scripts(keys.get("producer"), "producer"),
        )
        return place(self.text, node, path, version)

    def mixed(self, node: Node, following: Node | None) -> None:
        """Fail where git's merge by lines took lines of several items for one."""
        names = [key.value for key, _ in node.pairs]
        twice = next((key for key, _ in node.pairs if names.count(key.value) > 1), None)
        if twice is not None:
            again = [key for key, _ in node.pairs if key.value == twice.value][1]
            repair = conflicts.part_mixed(self.text, node, self.end(node))
            if repair is not None:
                self.fail(
                    again,
                    f"the key {twice.value!r} is there twice: git has mixed several items",
                    repair.hint,
                    repair.lines,
                )
        elif names == ["path"] and following is not None and following.kind == "mapping":
            repair = conflicts.complete(self.text, node, following, self.end(following))
            if repair is not None:
                self.fail(
                    node,
                    "this item has no hash: git may have mixed it with the next one",
                    repair.hint,
                    repair.lines,
                )

    def end(self, node: Node) -> int:
        return line_end(self.text, last_of(self.text, node))

    def digest(self, node: Node) -> Digest:
        if node.kind != "scalar" or node.tag not in _CORE:
            self.fail(node, "hash must be text: blake3:<64 hex digits>")
        value: str = node.value
        algorithm, colon, _ = value.partition(":")
        if colon and algorithm.lower() not in ("blake3", "sha256"):
            self.fail(node, f"unknown hash algorithm {algorithm!r}", "upgrade lazydata?")
        try:
            return Digest.parse(value)
        except ValueError:
            self.fail(
                node,
                f"malformed hash {value[:80]!r}",
                "blake3:<64 hex digits>; take it from git, or remove the item and track it again",
            )

    def scripts(self, node: Node | None, name: str) -> tuple[str, ...]:
        if node is None or _is_null(node):
            return ()
        if node.kind == "list" and node.tag == "seq":
            return tuple(self.string(child, name) for child in node.value)
        return (self.string(node, name),)

    def remotes(self, top: dict[str, Node], version: int) -> dict[str, RemoteSpec]:
        remotes: dict[str, RemoteSpec] = {}
        if version == 1 and "remote" in top:
            options = {}
            if "endpoint" in top:
                options["endpoint"] = self.option(top["endpoint"], "endpoint")
            remotes["origin"] = RemoteSpec("origin", self.url(top["remote"], "remote"), options)
        node = top.get("remotes")
        if node is None or _is_null(node):
            return remotes
        if node.kind != "mapping":
            self.fail(node, "remotes must be a mapping of names", "write it as: origin: {url: …}")
        for name, value in self.mapping(node).items():
            if name in remotes:
                self.fail(value, f"the remote {name!r} is there twice", "remove one of them")
            if value.kind != "mapping":
                remotes[name] = RemoteSpec(name, self.url(value, name), {})
                continue
            keys = self.mapping(value)
            if "url" not in keys:
                self.fail(
                    value,
                    f"the remote {name!r} has no url",
                    "add one, such as url: file:///srv/share",
                )
            url = self.url(keys.pop("url"), "url")
            options = {key: self.option(found, key) for key, found in keys.items()}
            remotes[name] = RemoteSpec(name, url, options)
        return remotes

    def url(self, node: Node, name: str) -> str:
        url = self.string(node, name)
        if not url:
            self.fail(node, f"{name} is empty", "write a URL such as file:///srv/share")
        return url

    def option(self, node: Node, name: str) -> str:
        if node.kind != "scalar" or node.tag not in _CORE or node.tag == "null":
            self.fail(node, f"{name} must be text")
        return str(node.value)

    def string(self, node: Node, name: str) -> str:
        if node.kind != "scalar" or node.tag != "str":
            hint = None
            if node.kind == "scalar" and node.tag in _CORE and node.value:
                hint = f'put it in quotes: "{node.value}"'
            self.fail(node, f"{name} must be text", hint)
        return str(node.value)

    def truth(self, node: Node, name: str) -> bool:
        truth = grammar.truth(node.value) if node.kind == "scalar" and node.tag == "bool" else None
        if truth is None:
            self.fail(node, f"{name} is true or false", f"write {name}: false, without quotes")
        return truth

    def number(self, node: Node, name: str) -> int:
        fits = node.kind == "scalar" and node.tag == "int" and _NUMBER.fullmatch(node.value)
        if not fits or len(node.value) > 19 or int(node.value) > _LARGEST:
            self.fail(node, f"{name} must be a whole number")
        return int(node.value)


def _is_null(node: Node) -> bool:
    return node.kind == "scalar" and node.tag == "null"


def place(text: str, node: Node, path: str, version: Version) -> Item:
    """Where an item lies: whole lines, from the one with its dash.

    Args:
        text: the manifest.
        node: the item's mapping.
        path: what it lists.
        version: what it says.
    """
    fields = {key.value: place_field(text, key, value) for key, value in node.pairs}
    dash = node.start - 1
    while dash >= 0 and text[dash] in " \t\r\n":
        dash -= 1
    start = text.rfind("\n", 0, dash + 1) + 1
    column = dash - start
    if start == 0 and text.startswith("\ufeff"):
        column = -1
    if column < 0 or text[dash] != "-" or text[start:dash].strip(" "):
        column = -1
    last = node.end if node.style == "flow" else max(f.end for f in fields.values())
    return Item(
        path,
        version,
        start,
        line_end(text, last),
        column,
        node.column - 1,
        fields,
        node.style == "flow",
    )


def place_field(text: str, key: Node, value: Node) -> Field:
    """Where a key and its value lie.

    Args:
        text: the manifest.
        key: the key's node.
        value: the value's node.
    """
    colon = text.find(":", key.end) + 1
    if value.start < key.end:
        # An alias: its node lies where the anchor is.
        end = colon
        while end < len(text) and text[end] not in "\r\n,}]":
            end += 1
        return Field(key.start, colon, colon, end, "other")
    if _is_null(value) and value.start == value.end:
        return Field(key.start, colon, colon, colon, "null")
    if value.kind == "scalar":
        shape = "null" if value.tag == "null" else "scalar"
        return Field(key.start, colon, value.start, last_of(text, value), shape)
    if value.style == "flow":
        return Field(key.start, colon, value.start, value.end, "flow")
    shape = "list" if value.kind == "list" else "other"
    return Field(key.start, colon, value.start, last_of(text, value), shape, value.column - 1)


def last_of(text: str, node: Node) -> int:
    """Offset past a node's last character: ruamel.yaml ends blocks where the next token starts.

    Args:
        text: the manifest.
        node: any node of it.
    """
    if node.style == "flow":
        return node.end
    if node.kind == "mapping":
        return max(place_field(text, key, value).end for key, value in node.pairs)
    if node.kind == "list":
        return max(
            [node.start + 1]
            + [last_of(text, child) for child in node.value if child.start > node.start]
        )
    end = node.end
    if node.style in "|>":
        while end > node.start and text[end - 1] in " \r\n":
            end -= 1
    return end


def line_end(text: str, offset: int) -> int:
    """Offset of the start of the line after the one that an offset is on.

    Args:
        text: the manifest.
        offset: any place in it.
    """
    found = text.find("\n", offset)
    return len(text) if found < 0 else found + 1
