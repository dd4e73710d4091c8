"""What this machine remembers of the index files of remotes, in the index."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lazydata.digest import Digest
from lazydata.index import Index
from lazydata.remotes.claims import Claim, Location, Row, VolatileMemory


class IndexedMemory:
    """A ``ClaimMemory`` in the index; what the index refuses is kept as long as this lives.

    Args:
        directory: of the index, opened anew for each call; None for none.

    Example:
        >>> IndexedMemory(None).names("file:///mnt/share")
        set()
    """

    def __init__(self, directory: str | None) -> None:
        self._directory = directory
        self._volatile = VolatileMemory()

    def names(self, url: str) -> set[str]:
        """See ``ClaimMemory.names``."""
        with Index(self._directory) as index:
            rows = index.read("SELECT name FROM claims WHERE remote = ?", (url,))
        return {name for (name,) in rows or ()} | self._volatile.names(url)

    def merge(self, url: str, name: str, project: str | None, rows: Sequence[Row]) -> None:
        """See ``ClaimMemory.merge``."""
        with Index(self._directory) as index:
            kept = index.write(
                "DELETE FROM located WHERE remote = ? AND name = ?",
                [(url, name)],
                ("INSERT OR REPLACE INTO claims VALUES (?,?,?)", [(url, name, project)]),
                (
                    "INSERT INTO located VALUES (?,?,?,?,?,?,?,?,0)",
                    (
                        (url, name, r.digest, at.size, at.key, at.offset, at.stored, at.codec)
                        for r in rows
                        for at in (r.location,)
                    ),
                ),
            )
        if not kept:
            self._volatile.merge(url, name, project, rows)

    def remembered(self, url: str, name: str) -> Claim | None:
        """See ``ClaimMemory.remembered``."""
        with Index(self._directory) as index:
            whose = index.read(
                "SELECT project FROM claims WHERE remote = ? AND name = ?", (url, name)
            )
            rows = index.read(
                "SELECT digest, size, key, start, stored, codec FROM located"
                " WHERE remote = ? AND name = ? ORDER BY digest, size, key, start",
                (url, name),
            )
        if not whose or whose[0][0] is None or rows is None:
            return self._volatile.remembered(url, name)
        return Claim(whose[0][0], tuple(Row(Digest(row[0]), *row[1:]) for row in rows))

    def forget(self, url: str, names: Collection[str]) -> None:
        """See ``ClaimMemory.forget``."""
        rows = [(url, name) for name in names]
        with Index(self._directory) as index:
            index.write(
                "DELETE FROM claims WHERE remote = ? AND name = ?",
                rows,
                ("DELETE FROM located WHERE remote = ? AND name = ?", rows),
            )
        self._volatile.forget(url, names)

    def lookup(
        self, url: str, digests: Collection[Digest], *, absent: bool
    ) -> dict[Digest, list[Location]]:
        """See ``ClaimMemory.lookup``."""
        found = self._volatile.lookup(url, digests, absent=absent)
        columns = "digest, key, start, stored, codec, size"
        for digest, key, offset, stored, codec, size in self._rows(
            f"SELECT DISTINCT {columns} FROM located WHERE remote = ? AND absent <= ?",
            (url, int(absent)),
            digests,
        ):
            at = Location(key=key, offset=offset, stored=stored, codec=codec, size=size)
            places = found.setdefault(Digest(digest), [])
            if at not in places:
                places.append(at)
        return found

    def claimed(self, url: str, project: str, digests: Collection[Digest]) -> set[Digest]:
        """See ``ClaimMemory.claimed``."""
        rows = self._rows(
            "SELECT digest FROM located JOIN claims USING (remote, name)"
            " WHERE remote = ? AND project = ? AND absent = 0",
            (url, project),
            digests,
        )
        return {Digest(row[0]) for row in rows} | self._volatile.claimed(url, project, digests)

    def extents(self, url: str, keys: Collection[str]) -> dict[str, int]:
        """See ``ClaimMemory.extents``."""
        found = self._volatile.extents(url, keys)
        with Index(self._directory) as index:
            for key in keys:
                rows = index.read(
                    "SELECT MAX(start + stored) FROM located WHERE remote = ? AND key = ?",
                    (url, key),
                )
                found[key] = max(found[key], (rows and rows[0][0]) or 0)
        return found

    def small(self, url: str, project: str, rows: int) -> set[str]:
        """See ``ClaimMemory.small``."""
        with Index(self._directory) as index:
            found = index.read(
                "SELECT name FROM claims WHERE remote = ? AND project = ? AND"
                " (SELECT COUNT(*) FROM located WHERE located.remote = claims.remote"
                " AND located.name = claims.name) <= ?",
                (url, project, rows),
            )
        return {name for (name,) in found or ()} | self._volatile.small(url, project, rows)

    def mark(self, url: str, digests: Collection[Digest], *, absent: bool) -> None:
        """See ``ClaimMemory.mark``."""
        with Index(self._directory) as index:
            index.write(
                "UPDATE located SET absent = ? WHERE remote = ? AND digest = ?",
                [(int(absent), url, digest) for digest in digests],
                ("DELETE FROM pushes WHERE remote = ?", [(url,)]),
            )
        self._volatile.mark(url, digests, absent=absent)

    def _rows(
        self, sql: str, values: tuple[str | int, ...], digests: Collection[Digest]
    ) -> list[tuple[str, str, int, int, str, int]]:
        with Index(self._directory) as index:
            return index.read_each(f"{sql} AND digest", values, digests)
