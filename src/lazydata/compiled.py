"""The compiled manifest: entries as rows of the index, so that YAML is read only when it moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from lazydata.digest import Digest
from lazydata.index import Index, signed, unsigned
from lazydata.manifest import Entry, MemoryView, RemoteSpec, Version, is_used
from lazydata.stamp import Stamp

_COLUMNS = "path, digest, size, usage, files, source_url, producer"
_AT_ONCE = 500  # SQLite takes 999 values a statement in its oldest builds
_Row = tuple[str, str, int, str, int, str, str]


class CompiledView:
    """What the manifest says, answered from the index while the index is open.

    Args:
        index: open for as long as this is used; its reads see one state.
        file: path of the manifest.
        row: of the table ``manifests``, see ``find``.
        reread: parses the manifest itself, should the index fail half-way.
    """

    def __init__(
        self, index: Index, file: str, row: tuple[object, ...], reread: Callable[[], MemoryView]
    ) -> None:
        self._index, self.file, self._reread = index, file, reread
        self.stamp = Stamp(unsigned(v) if i < 2 else v for i, v in enumerate(row[:5]))  # type: ignore[arg-type]
        self.racy, self.is_plain, self.is_sorted = bool(row[5]), bool(row[7]), bool(row[8])
        self.text: bytes = row[6]  # type: ignore[assignment]
        self.id: int = row[9]  # type: ignore[assignment]
        self.on_change: str | None = row[10]  # type: ignore[assignment]
        self.gitignore = bool(row[12])
        self._remotes: str = row[11]  # type: ignore[assignment]
        self._memory: MemoryView | None = None

    def entry(self, path: str) -> Entry | None:
        """The entry of one path, or None."""
        rows = self._read("path = ? ORDER BY nr", path)
        if rows is None:
            return self.memory.entry(path)
        return Entry(path, tuple(map(_version, rows))) if rows else None

    def some(self, paths: Iterable[str]) -> dict[str, Entry]:
        """The entries of some paths, by path; those that are listed."""
        waiting, found = iter(paths), dict[str, Entry]()
        while some := [*islice(waiting, _AT_ONCE)]:
            rows = self._read(f"path IN ({','.join('?' * len(some))}) ORDER BY path, nr", *some)
            found.update(self.memory.some(some) if rows is None else _entries(rows))
        return found

    def preceding(self, path: str) -> str | None:
        """The greatest listed path that sorts before ``path``."""
        rows = self._read("path < ? ORDER BY path DESC LIMIT 1", path)
        if rows is None:
            return self.memory.preceding(path)
        return rows[0][0] if rows else None

    @property
    def files(self) -> dict[str, Entry]:
        """All entries by path, sorted by path."""
        rows = self._read("path > ? ORDER BY path, nr", "")
        return self.memory.files if rows is None else _entries(rows)

    def below(self, directory: str) -> dict[str, Entry]:
        """Entries below a directory, by path; sorted by path."""
        # "0" is what follows "/": the rows of one directory lie together.
        rows = self._read(
            "path > ? AND path < ? ORDER BY path, nr", directory + "/", directory + "0"
        )
        return self.memory.below(directory) if rows is None else _entries(rows)

    def called(self, name: str) -> dict[str, Entry]:
        """Entries of that name, in whatever directory, by path."""
        end = "/" + name
        rows = self._read(
            "substr('/' || rtrim(path, '/'), ?) = ? ORDER BY path, nr", -len(end), end
        )
        return self.memory.called(name) if rows is None else _entries(rows)

    def used_by(self, script: str) -> dict[str, Entry]:
        """Entries that a script is recorded to use, in any version, by path."""
        # Usages are joined by NUL, which only a blob may hold.
        rows = self._read(
            "path IN (SELECT path FROM versions WHERE manifest = ? AND usage != ''"
            " AND instr(CAST(usage AS BLOB), CAST(? AS BLOB))) ORDER BY path, nr",
            self.id,
            script,
        )
        if rows is None:
            return self.memory.used_by(script)
        return {path: entry for path, entry in _entries(rows).items() if is_used(entry, script)}

    @property
    def remotes(self) -> dict[str, RemoteSpec]:
        import json

        return {name: RemoteSpec(name, *rest) for name, *rest in json.loads(self._remotes)}

    @property
    def memory(self) -> MemoryView:
        if self._memory is None:
            self._memory = self._reread()
        return self._memory

    def _read(self, where: str, *values: object) -> list[_Row] | None:
        return self._index.read(
            f"SELECT {_COLUMNS} FROM versions WHERE manifest = ? AND {where}", (self.id, *values)
        )


def find(index: Index, file: str, reread: Callable[[], MemoryView]) -> CompiledView | None:
    """The compiled copy of a manifest, whatever text it was made from; None if there is none."""
    index.hold()
    rows = index.read(
        "SELECT device, inode, size, mtime, ctime, racy, text, plain, sorted, id, on_change,"
        " remotes, gitignore FROM manifests WHERE path = ? AND text IS NOT NULL",
        (file,),
        lambda row: CompiledView(index, file, row, reread),
    )
    return rows[0] if rows else None


def put(index: Index, view: MemoryView, stamp: Stamp, racy: bool, text: bytes) -> None:
    """Compile a whole manifest that was just read.

    Args:
        stamp: of the file when it was read.
        racy: whether a later write could hide behind that stamp.
        text: fingerprint of the text.
    """
    import json

    index.write("INSERT OR IGNORE INTO manifests (path) VALUES (?)", [(view.file,)])
    ids = index.read("SELECT id FROM manifests WHERE path = ?", (view.file,))
    if not ids:
        return
    (number,) = ids[0]
    manifest = view.manifest
    remotes = json.dumps([(s.name, s.url, s.options) for s in manifest.remotes.values()])
    says = (manifest.on_change, remotes, int(manifest.gitignore))
    flags = (int(racy), text, int(view.is_plain), int(view.is_sorted))
    index.write(
        "UPDATE manifests SET device=?, inode=?, size=?, mtime=?, ctime=?, racy=?, text=?,"
        " plain=?, sorted=?, on_change=?, remotes=?, gitignore=? WHERE id = ?",
        [(*map(signed, stamp), *flags, *says, number)],
        ("DELETE FROM versions WHERE manifest = ?", [(number,)]),
        (
            _INSERT,
            ((number, *row) for entry in manifest.files.values() for row in _rows(entry)),
        ),
    )


def patch(
    index: Index, view: CompiledView, stamp: Stamp, text: bytes, path: str, entry: Entry | None
) -> None:
    """Follow an edit of one entry that we made ourselves, in the fast lane.

    Args:
        view: the compiled copy of the text before the edit.
        stamp: of the manifest that was just written, so it is taken for racy.
        text: fingerprint of the new text.
        entry: as it is now; None where it was removed.
    """
    # The rows may meanwhile be those of another text, compiled by somebody else.
    ours = "(SELECT id FROM manifests WHERE id = ? AND text = ?)"
    index.write(
        "UPDATE manifests SET device=?, inode=?, size=?, mtime=?, ctime=?, racy=1, text=?"
        " WHERE id = ? AND text = ?",
        [(*map(signed, stamp), text, view.id, view.text)],
        (f"DELETE FROM versions WHERE manifest = {ours} AND path = ?", [(view.id, text, path)]),
        (
            f"INSERT OR REPLACE INTO versions ({_NAMES}) SELECT {ours}, ?,?,?,?,?,?,?,?",
            [(view.id, text, *row) for row in (_rows(entry) if entry else ())],
        ),
    )


def restamp(index: Index, view: CompiledView, stamp: Stamp, racy: bool) -> None:
    """The same text was found under another stamp."""
    index.write(
        "UPDATE manifests SET device=?, inode=?, size=?, mtime=?, ctime=?, racy=?"
        " WHERE id = ? AND text = ?",
        [(*map(signed, stamp), int(racy), view.id, view.text)],
    )


_NAMES = "manifest, path, nr, digest, size, usage, files, source_url, producer"
_INSERT = f"INSERT INTO versions ({_NAMES}) VALUES (?,?,?,?,?,?,?,?,?)"


def _rows(entry: Entry) -> list[tuple[object, ...]]:
    return [
        (
            *(entry.path, nr, v.digest, v.size, _joined(v.usage), v.files, v.source_url),
            _joined(v.producer),
        )
        for nr, v in enumerate(entry.versions)
    ]


def _joined(scripts: tuple[str, ...]) -> str:
    return "\0".join(scripts)  # which no path holds


def _parted(text: str) -> tuple[str, ...]:
    return tuple(text.split("\0")) if text else ()


def _entries(rows: list[_Row]) -> dict[str, Entry]:
    found: dict[str, list[Version]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(_version(row))
    return {path: Entry(path, tuple(versions)) for path, versions in found.items()}


def _version(row: _Row) -> Version:
    _, digest, size, usage, files, source_url, producer = row
    return Version(Digest(digest), size, _parted(usage), files, source_url, _parted(producer))
