"""Two ways to find an item in a text: by search in a plain one, by ruamel.yaml in any other."""

from __future__ import annotations

import re

from lazydata.digest import Digest
from lazydata.errors import ManifestInvalid
from lazydata.manifest import grammar
from lazydata.manifest.block import NotSpliceable, block_node, block_value
from lazydata.manifest.document import Document, load
from lazydata.manifest.item import Item, item_at
from lazydata.manifest.model import Entry
from lazydata.manifest.splice import Splice, apply, line_end, newline_of
from lazydata.manifest.text import FILES, gather

_DASH = re.compile(r" *+(?=- )")
_DEFAULT = (2, 4)


class Lane:
    """A text, and where its items are.

    Args:
        text: the manifest.
        file: its path, for messages.
    """

    text: str
    newline: str
    file: str
    under_files: int | None  # just past the line of ``files:``, if there is one
    columns: tuple[int, int]  # of the dashes and of the keys

    def items_of(self, path: str) -> list[Item]:
        """The items of one path, in the order of the text."""
        raise NotImplementedError

    def last(self) -> Item | None:
        """The last item of all."""
        raise NotImplementedError

    def touchable(self, path: str, digest: Digest) -> Lane:
        """The same manifest, with the item of this digest in block style."""
        raise NotImplementedError

    def verify(self, text: str, path: str, entry: Entry | None, splices: list[Splice]) -> bool:
        """Whether a new text says that a path has this entry, and for the rest what it said.

        Args:
            text: the new text.
            path: what was edited.
            entry: what it shall be now, or None.
            splices: what made the new text out of this one.
        """
        raise NotImplementedError

    def entry(self, path: str) -> Entry | None:
        """What the text says of a path."""
        found = self.items_of(path)
        return gather([path] * len(found), [item.version for item in found]).get(path)


class PlainLane(Lane):
    """Finds items without reading the others: in a text that ``text.scan`` accepts, any line
    that starts with the list's indentation and a dash is the start of an item.
    """

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file, self.newline = text, file, newline_of(text)
        self.under_files, self.columns = None, _DEFAULT
        self._found: dict[str, list[Item]] = {}
        found = FILES.search(text)
        if found is None:
            return
        self.under_files = found.end()
        start = self._skip(found.end())
        dash = _DASH.match(text, start)
        first = item_at(text, start, dash.end() - start) if dash else None
        if first is not None:
            self.columns = (first.dash, first.keys)

    def _skip(self, offset: int) -> int:
        found = grammar.gap.match(self.text, offset)
        return found.end() if found else offset

    def items_of(self, path: str) -> list[Item]:
        if path not in self._found:  # to look takes milliseconds in a very long text
            items: dict[int, Item] = {}
            for offset in self._mentions(path):
                item = self._around(offset)
                if item is not None and item.path == path and offset < item.end:
                    items[item.start] = item
            self._found[path] = [items[start] for start in sorted(items)]
        return list(self._found[path])

    def _mentions(self, path: str) -> list[int]:
        text, found = self.text, []
        spellings = [path, "'" + path.replace("'", "''") + "'", f'"{path}"']
        if "path:  " in text:
            either = "|".join(re.escape(spelling) for spelling in spellings)
            return [match.start() for match in re.finditer(rf"path: +(?:{either})", text)]
        for spelling in spellings:
            needle = "path: " + spelling
            offset = text.find(needle)
            while offset >= 0:
                end = offset + len(needle)
                if text[end : end + 1] in " \r\n":
                    found.append(offset)
                offset = text.find(needle, end)
        return found

    def _around(self, offset: int) -> Item | None:
        dash = self.columns[0]
        start = self.text.rfind("\n" + " " * dash + "- ", 0, offset) + 1
        return item_at(self.text, start, dash) if start else None

    def _after(self, offset: int) -> Item | None:
        return item_at(self.text, self._skip(offset), self.columns[0])

    def last(self) -> Item | None:
        return self._around(len(self.text))

    def touchable(self, path: str, digest: Digest) -> Lane:
        return self

    def verify(self, text: str, path: str, entry: Entry | None, splices: list[Splice]) -> bool:
        new = PlainLane(text, self.file)
        if new.entry(path) != entry:
            return False
        shift = 0
        for start, end, piece in sorted(splices, key=lambda splice: splice.start):
            at = start + shift
            shift += len(piece) - (end - start)
            for old_item, new_item in (
                (self._before(start, path), new._before(at, path)),
                (self._behind(end, path), new._behind(end + shift, path)),
            ):
                if old_item != new_item:
                    return False
        return True

    def _before(self, offset: int, path: str) -> tuple[object, ...] | None:
        item = self._around(offset)
        while item is not None and item.path == path:
            item = self._around(item.start)
        return item and (item.path, item.version)

    def _behind(self, offset: int, path: str) -> tuple[object, ...] | None:
        around = self._around(offset)
        if around is not None:  # another splice may follow in the same item
            offset = max(offset, around.end)
        item = self._after(offset)
        while item is not None and item.path == path:
            item = self._after(item.end)
        return item and (item.path, item.version)


class JudgedLane(Lane):
    """Finds items by ruamel.yaml's marks, in any text that it reads.

    Args:
        document: the manifest, parsed.
        file: its path, for messages.

    Raises:
        NotSpliceable: the list is written in a way that no splice fits.
    """

    def __init__(self, document: Document, file: str) -> None:
        self.file = file
        self.document = _spliceable(document, file)
        self.text = self.document.text
        self.newline = newline_of(self.text)
        self.under_files, self.columns = None, _DEFAULT
        files = self.document.pair("files")
        if files is not None:
            colon = self.text.find(":", files[0].end)
            self.under_files = line_end(self.text, colon)
        if self.document.items:
            first = self.document.items[0]
            self.columns = (first.dash, max(first.keys, first.dash + 2))

    def items_of(self, path: str) -> list[Item]:
        return [item for item in self.document.items if item.path == path]

    def last(self) -> Item | None:
        return self.document.items[-1] if self.document.items else None

    def touchable(self, path: str, digest: Digest) -> Lane:
        splices = [
            block_node(self.text, node, item.keys)
            for item, node in zip(self.document.items, self.document.item_nodes, strict=True)
            if item.is_flow and item.path == path and item.version.digest == digest
        ]
        if not splices:
            return self
        return JudgedLane(rewrite(self.document, splices, self.file), self.file)

    def verify(self, text: str, path: str, entry: Entry | None, splices: list[Splice]) -> bool:
        old = self.document.manifest
        try:
            new = load(text, file=self.file).manifest
        except ManifestInvalid:
            return False
        files = {name: found for name, found in old.files.items() if name != path}
        if entry is not None:
            files[path] = entry
        return new == old._replace(files=files)


def _spliceable(document: Document, file: str) -> Document:
    """Write the list of items in block style, if it isn't."""
    text, root = document.text, document.root
    files = document.pair("files")
    if root is not None and root.style == "flow":
        splice = block_node(text, root, 0) if root.pairs else Splice(root.start, root.end, "")
    elif files is not None and (
        files[1].style == "flow" or (files[1].tag == "null" and files[1].end > files[1].start)
    ):
        splice = block_value(text, *files, 2)
    else:
        for item in document.items:
            if item.dash < 0 or item.dash != document.items[0].dash:
                raise NotSpliceable
        return document
    return _spliceable(rewrite(document, [splice], file), file)


def rewrite(document: Document, splices: list[Splice], file: str) -> Document:
    """Write a manifest in another style.

    Args:
        document: the manifest.
        splices: what must not change its meaning.
        file: its path, for messages.

    Raises:
        NotSpliceable: the meaning changed.
    """
    try:
        new = load(apply(document.text, splices), file=file)
    except ManifestInvalid:
        raise NotSpliceable from None
    if new.manifest != document.manifest:
        raise NotSpliceable
    return new


def lane(text: str, is_plain: bool, file: str) -> Lane:
    """The quickest way through a text.

    Args:
        text: the manifest.
        is_plain: ``text.scan`` accepts it.
        file: its path, for messages.

    Raises:
        ManifestInvalid: with line and column.
        NotSpliceable: the list is written in a way that no splice fits.
    """
    return PlainLane(text, file) if is_plain else JudgedLane(load(text, file=file), file)
