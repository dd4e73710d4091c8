"""The index: what was already looked at, so that nothing unchanged is read twice.

One SQLite file per user and host, disposable at any time: without it lazydata
is slower, never wrong. So no method of ``Index`` raises for SQLite's reasons:
a read that fails knows nothing, a write that fails is not made. A connection
lives as long as one call, so that a fork inherits none.
"""

import os
from io import BytesIO

from lazydata.stamp import Stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from typing import Any

    Rows = Iterable[tuple[Any, ...]]

_BUSY_SECONDS = 0.25
_AT_ONCE = 500  # SQLite takes 999 values a statement in its oldest builds
_CACHE_KIB = 16 << 10  # at most; the default of 2 MiB reads pages again in large indexes
_SCHEMA = """
CREATE TABLE secret (seed INTEGER NOT NULL);
CREATE TABLE files (
    path TEXT PRIMARY KEY, device INTEGER, inode INTEGER, size INTEGER, mtime INTEGER,
    ctime INTEGER, racy INTEGER, digest TEXT, fingerprint BLOB, hashed INTEGER
) WITHOUT ROWID;
CREATE INDEX files_inode ON files (inode, device);
CREATE TABLE manifests (
    id INTEGER PRIMARY KEY, path TEXT UNIQUE, device INTEGER, inode INTEGER, size INTEGER,
    mtime INTEGER, ctime INTEGER, racy INTEGER, text BLOB, plain INTEGER, sorted INTEGER,
    on_change TEXT, remotes TEXT, gitignore INTEGER
);
CREATE TABLE versions (
    manifest INTEGER, path TEXT, nr INTEGER, digest TEXT, size INTEGER, usage TEXT,
    files INTEGER, source_url TEXT, producer TEXT, PRIMARY KEY (manifest, path, nr)
) WITHOUT ROWID;
CREATE TABLE claims (remote TEXT, name TEXT, project TEXT, PRIMARY KEY (remote, name));
CREATE TABLE located (
    remote TEXT, name TEXT, digest TEXT, size INTEGER, key TEXT, start INTEGER,
    stored INTEGER, codec TEXT, absent INTEGER DEFAULT 0
);
CREATE INDEX located_digest ON located (remote, digest);
CREATE INDEX located_key ON located (remote, key);
CREATE INDEX located_name ON located (remote, name);
CREATE TABLE pushes (
    manifest TEXT, scope TEXT, remote TEXT, here TEXT, there TEXT, objects INTEGER,
    PRIMARY KEY (manifest, scope, remote)
) WITHOUT ROWID;
CREATE TABLE directories (
    path TEXT, piece INTEGER, device INTEGER, digest TEXT, size INTEGER, files INTEGER, below TEXT,
    names BLOB, stats BLOB, fingerprints BLOB, digests BLOB, tree BLOB, PRIMARY KEY (path, piece)
);
CREATE INDEX directories_digest ON directories (digest);
CREATE TABLE packs (store TEXT, name TEXT, PRIMARY KEY (store, name)) WITHOUT ROWID;
CREATE TABLE packed (
    store TEXT, digest TEXT, pack TEXT, size INTEGER, start INTEGER, stored INTEGER, codec TEXT,
    PRIMARY KEY (store, digest, pack)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


class FileRow:
    """What is known of one file: its stamp, whether that is racy, and what it held.

    Args:
        stamp: when it was last looked at.
        racy: a later write could hide behind the stamp, so compare the fingerprint.
        digest: of its bytes then.
        fingerprint: of its bytes then, under this index's seed.
        hashed_ns: when all of it was last hashed, ns since the epoch.
    """

    __slots__ = ("digest", "fingerprint", "hashed_ns", "racy", "stamp")

    def __init__(
        self, stamp: Stamp, racy: bool, digest: str, fingerprint: bytes, hashed_ns: int
    ) -> None:
        self.stamp, self.racy, self.digest = stamp, racy, digest
        self.fingerprint, self.hashed_ns = fingerprint, hashed_ns


class Index:
    """One open index; use it as a context manager, for one call.

    Args:
        directory: where it lies; made where it is missing. None gives an index
            that knows and keeps nothing.

    Example:
        >>> with Index(None) as index:
        ...     index.file("/data/x.csv") is None
        True
    """

    def __init__(self, directory: "str | None") -> None:
        self._directory = directory
        self._connection: sqlite3.Connection | None = None
        self.seed = 0
        if directory is not None:
            self._open(directory)
        if not self.seed:
            # Fits nothing that was ever written: a fingerprint of no use, but no harm.
            self.seed = int.from_bytes(os.urandom(8), "big") >> 1

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the index then knows nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception:  # closing checkpoints, which may fail like any write
                pass

    # Files

    def file(self, path: str) -> "FileRow | None":
        """What is known of one file, by absolute path."""
        rows = self.read(f"SELECT {_FILE} FROM files WHERE path = ?", (path,), _file_row)
        return rows[0] if rows else None

    def files(self, paths: "Iterable[str]") -> "dict[str, FileRow]":
        """What is known of many files, by absolute path."""
        sql = f"SELECT {_FILE}, path FROM files WHERE path"
        return dict(self.read_each(sql, (), paths, lambda row: (row[9], _file_row(row))))

    def paths_of(self, device: int, inode: int) -> "list[str]":
        """Paths that were seen on an inode; some may since have gone elsewhere."""
        rows = self.read(
            "SELECT path FROM files WHERE inode = ? AND device = ?", (signed(inode), signed(device))
        )
        return [row[0] for row in rows or ()]

    def put_files(self, rows: "list[tuple[str, FileRow]]") -> None:
        """Remember files, by absolute path."""
        self.write(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (path, *map(signed, r.stamp), int(r.racy), r.digest, r.fingerprint, r.hashed_ns)
                for path, r in rows
            ],
        )

    def restamp(self, before: Stamp, after: Stamp) -> None:
        """Follow our own link, unlink or chmod, which moves the ctime of every path it names.

        Args:
            before: the inode's stamp just before.
            after: just after; of the same inode, size and mtime.
        """
        if before[:4] == after[:4] and before != after:
            self.write(
                "UPDATE files SET ctime = ? WHERE inode = ? AND device = ? AND size = ?"
                " AND mtime = ? AND ctime = ?",
                [(after[4], signed(before[1]), signed(before[0]), *before[2:])],
            )

    # Directories

    def directory(
        self, path: str, columns: str, make: "Callable[[tuple[Any, ...]], Any]" = tuple
    ) -> "list[Any]":
        """What is known of one directory, piece by piece; nothing where it is unknown.

        Args:
            path: absolute.
            columns: those that are wanted.
            make: gets them of each piece, and makes what is returned.
        """
        sql = f"SELECT {columns} FROM directories WHERE path = ? ORDER BY piece"
        return self.read(sql, (path,), make) or []

    def piece(self, path: str, piece: int, columns: str) -> "tuple[Any, ...] | None":
        """One piece of what is known of a directory."""
        sql = f"SELECT {columns} FROM directories WHERE path = ? AND piece = ?"
        rows = self.read(sql, (path, piece))
        return rows[0] if rows else None

    def directories_in(self, path: str) -> "list[tuple[str, int]]":
        """Directories that are known below a path, and how many bytes their stamps take."""
        sql = (
            "SELECT path, sum(length(stats)) FROM directories WHERE path > ? AND path < ?"
            " GROUP BY path"
        )
        return self.read(sql, (f"{path}{os.sep}", f"{path}{chr(ord(os.sep) + 1)}")) or []

    def put_directories(self, paths: "Iterable[str]", pieces: "Rows") -> None:
        """Remember directories.

        Args:
            paths: whose pieces they are; what was known of these is forgotten.
            pieces: all columns of each; of a large directory there need be only one at a time.
        """
        self.write(
            "DELETE FROM directories WHERE path = ?",
            ((path,) for path in paths),
            ("INSERT INTO directories VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", pieces),
        )

    def tree(self, digest: str) -> "bytes | None":
        """The tree that some directory had when it was looked at."""
        found = BytesIO()
        sql = (
            "SELECT tree FROM directories WHERE path ="
            " (SELECT path FROM directories WHERE digest = ? LIMIT 1) ORDER BY piece"
        )
        rows = self.read(sql, (digest,), lambda row: found.write(row[0]))
        return found.getvalue() if rows else None

    # SQLite, kept at arm's length

    def read(
        self,
        sql: str,
        values: "tuple[object, ...]" = (),
        make: "Callable[[tuple[Any, ...]], Any]" = tuple,
    ) -> "list[Any] | None":
        """Rows of a query, each made into what is wanted; None where the index can't answer."""
        if self._connection is None:
            return None
        try:
            return [make(row) for row in self._connection.execute(sql, values)]
        except Exception as error:
            self._failed(error)
            return None

    def read_each(
        self,
        sql: str,
        values: "tuple[object, ...]",
        wanted: "Iterable[str]",
        make: "Callable[[tuple[Any, ...]], Any]" = tuple,
    ) -> "list[Any]":
        """Rows of a query that ends with a column, in which it has one of some texts.

        Args:
            sql: as for ``read``.
            values: for its other question marks.
            wanted: as many texts as there may be: some hundred are asked for at a time.
            make: as for ``read``.
        """
        found: list[Any] = []
        keys = sorted(wanted)  # neighbours lie together
        for at in range(0, len(keys), _AT_ONCE):
            some = keys[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            found += self.read(f"{sql} IN ({marks})", (*values, *some), make) or ()
        return found

    def hold(self) -> None:
        """Let all reads from here to the next write, hold or close see one state."""
        if self._connection is not None:
            if self._connection.in_transaction:
                self.read("COMMIT")
            self.read("BEGIN")

    def write(self, sql: str, rows: "Rows", *more: "tuple[str, Rows]") -> bool:
        """Run statements over rows as one transaction; False where it could not be."""
        connection = self._connection
        if connection is None:
            return False
        try:
            if connection.in_transaction:
                connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            for statement, values in ((sql, rows), *more):
                connection.executemany(statement, values)
            connection.execute("COMMIT")
        except Exception as error:
            try:
                connection.execute("ROLLBACK")
            except Exception:
                pass
            self._failed(error)
            return False
        return True

    def _open(self, directory: str) -> None:
        import sqlite3

        file = os.path.join(directory, "index.sqlite")
        quoted = "file:" + "".join(
            c if c.isalnum() or c in "/-._" else "".join(f"%{b:02X}" for b in os.fsencode(c))
            for c in file
        )
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError:
            pass
        for mode in ("mode=rwc", "mode=ro", "mode=ro&immutable=1"):
            try:
                self._connection = connection = sqlite3.connect(
                    f"{quoted}?{mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
                )
                if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                    self._create(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
                self.seed = connection.execute("SELECT seed FROM secret").fetchone()[0]
                return
            except Exception as error:
                self._failed(error)
                self.close()
                if _is_corrupt(error):
                    return

    @staticmethod
    def _create(connection: "sqlite3.Connection") -> None:
        execute = connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("BEGIN IMMEDIATE")
        if execute("PRAGMA user_version").fetchone()[0] == 0:  # nobody was faster
            for statement in _SCHEMA.split(";\n"):
                execute(statement)
            seed = int.from_bytes(os.urandom(8), "big") >> 1 or 1
            execute("INSERT INTO secret VALUES (?)", (seed,))
        execute("COMMIT")

    def _failed(self, error: Exception) -> None:
        """Go on without; a damaged index is moved aside, and the next call starts afresh."""
        import sqlite3

        if not isinstance(error, (sqlite3.Error, TypeError, OverflowError, ValueError)):
            raise error
        if _is_corrupt(error) and self._directory is not None:
            self.close()
            aside = f"{self._directory}.damaged-{os.getpid()}-{os.urandom(4).hex()}"
            try:
                os.rename(self._directory, aside)
            except OSError:
                pass


def _is_corrupt(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # SQLITE_CORRUPT and SQLITE_NOTADB; rows of the wrong type count as well, and so
    # does a schema that lacks what ours has.
    lacks = any(said in str(error) for said in ("no such ", "no column "))
    return code in (11, 26) or isinstance(error, TypeError) or lacks


_FILE = "device, inode, size, mtime, ctime, racy, digest, fingerprint, hashed"


def _file_row(row: "tuple[Any, ...]") -> FileRow:
    stamp = Stamp(unsigned(value) if place < 2 else value for place, value in enumerate(row[:5]))
    return FileRow(stamp, bool(row[5]), row[6], row[7], row[8])


def unsigned(number: int) -> int:
    """A device or inode number as it was before ``signed``."""
    return number & (1 << 64) - 1


def signed(number: int) -> int:
    """A number of up to 64 bits as SQLite can hold it: device and inode numbers may be large."""
    return number - (1 << 64) if number >= 1 << 63 else number
