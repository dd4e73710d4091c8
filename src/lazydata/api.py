"""The Python API beside ``track``: what the command line does, as functions.

Paths are relative to the working directory, as for ``open``, and so are those that come back.
Nothing asks a question or prints; what is done goes to the logger ``lazydata``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import IO, Any, Literal, TypeVar, overload

from lazydata.calls import Scope, each, meant, public, refuse, scope_of
from lazydata.errors import UsageError
from lazydata.git import Commit
from lazydata.results import (
    ColumnInfo,
    Info,
    PartInfo,
    Pulled,
    Pushed,
    Rows,
    Status,
    VersionInfo,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.inspecting import Part as FoundPart
    from lazydata.workspace.history import Log

AnyPath = TypeVar("AnyPath", bound=str | os.PathLike[str])
_TEXT = ("r", "rt", "tr")


@public
def status(*paths: str | os.PathLike[str]) -> Rows[Status]:
    """Tell how entries stand.

    Args:
        paths: entries, or directories with entries below them; none means all that is
            listed below the working directory.

    Returns:
        One row for each entry; a tracked directory is one.

    Raises:
        NotAWorkspace: there is no ``lazydata.yml`` above a path.
        NotTracked: a path names nothing.

    Example:
        >>> _ = Path("x.csv").write_text("1,2")
        >>> _ = lazydata.track("x.csv")
        >>> [(row.path, row.state, row.size) for row in lazydata.status()]
        [('x.csv', 'ok', 3)]
    """
    from lazydata.workspace import status as standing

    def ask(scope: Scope) -> list[Status]:
        found = standing.status(scope.workspace, scope.entries(), scope.index)
        return [Status(**row._replace(path=scope.shown(row.path))._asdict()) for row in found]

    return Rows(row for some in each(paths, ask) for row in some)


@public
def info(path: str | os.PathLike[str], *, check: bool = False) -> Info:
    """Tell all that is known of one entry.

    Args:
        path: of the entry, or of something inside of a tracked directory.
        check: ask the remotes what they have; else it is what this clone knows.

    Returns:
        What it is, who made and uses it, where its versions are, and for some formats what
        is in it. ``pip install 'lazydata[inspect]'`` brings packages that read more of them.

    Raises:
        NotTracked: neither ``lazydata.yml`` nor git's history of it lists the path.
        UsageError: the path names several entries.

    Example:
        >>> _ = Path("x.csv").write_text("id,price\\n1,2.5\\n2,3.5\\n")
        >>> _ = lazydata.track("x.csv")
        >>> table = lazydata.info("x.csv").parts[0]
        >>> table.rows, [(column.name, column.type) for column in table.columns]
        (2, [('id', 'int'), ('price', 'float')])
    """
    from lazydata.workspace import info as known

    with scope_of(path) as scope:
        found = known.info(scope.workspace, scope.index, scope.part, scope.cwd, check=check)
        contents = found.contents
        return Info(
            scope.shown(found.entry.name),
            found.state,
            found.kind,
            str(found.digest),
            found.size,
            found.files,
            found.producer,
            found.usage,
            _when(found.first),
            _when(found.last),
            contents and contents.format,
            Rows(map(_part, contents.parts if contents else ())),
            contents and contents.problem,
            Rows(found.endings or ()),
            _versions(found.history),
            found.unasked,
        )


@public
def versions(path: str | os.PathLike[str]) -> Rows[VersionInfo]:
    """List the versions that one entry has had, the newest first.

    Args:
        path: of the entry, or of something inside of a tracked directory. It may be listed
            no more.

    Returns:
        Those that ``lazydata.yml`` lists, and those that only git's history of it lists.

    Raises:
        NotTracked: neither lists the path.
        UsageError: the path names several entries.

    Example:
        >>> for text in ("old", "newer"):
        ...     _ = Path("x.txt").write_text(text)
        ...     _ = lazydata.track("x.txt")
        >>> [(version.size, version.latest) for version in lazydata.versions("x.txt")]
        [(5, True), (3, False)]
    """
    from lazydata.workspace.history import log

    with scope_of(path) as scope:
        return _versions(log(scope.workspace, scope.index, scope.part, scope.cwd))


@overload
def open(  # noqa: A001  # as the built-in one is called
    path: str | os.PathLike[str],
    version: str | VersionInfo | None = None,
    mode: Literal["rb"] = "rb",
) -> IO[bytes]: ...


@overload
def open(  # noqa: A001  # as the built-in one is called
    path: str | os.PathLike[str],
    version: str | VersionInfo | None = None,
    *,
    mode: Literal["r", "rt"],
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> IO[str]: ...


@public
def open(  # noqa: A001
    path: str | os.PathLike[str],
    version: str | VersionInfo | None = None,
    mode: str = "rb",
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> IO[Any]:
    """Open any version of a file for reading; the workspace stays as it is.

    What the store lacks is fetched from a remote. The bytes are checked against their hash.

    Args:
        path: of an entry, or of a file inside of a tracked directory.
        version: the beginning of its hash, or a row of ``versions``; None for the latest.
        mode: ``rb`` for bytes, ``r`` for text.
        encoding: of text, as for the built-in ``open``; by default UTF-8.
        errors: of text, as for the built-in ``open``.
        newline: of text, as for the built-in ``open``.

    Returns:
        A file that is only read. Close it, or use ``with``.

    Raises:
        NotTracked: there is no such entry, or no such version.
        ObjectMissing: the version is neither stored nor on a remote.
        ObjectCorrupt: it is damaged everywhere.
        UsageError: a directory, several files, or a mode that would write.

    Example:
        >>> for text in ("old", "newer"):
        ...     _ = Path("x.txt").write_text(text)
        ...     _ = lazydata.track("x.txt")
        >>> with lazydata.open("x.txt", version=lazydata.versions("x.txt")[1], mode="r") as file:
        ...     file.read()
        'old'
    """
    from lazydata.workspace import upkeep

    if mode not in ("rb", "br", *_TEXT):
        raise UsageError(f"mode is {mode!r}: versions are only read", hint="'rb' or 'r'")
    if mode not in _TEXT and (encoding, errors, newline) != (None, None, None):
        raise UsageError("encoding, errors and newline are about text", hint="mode 'r'")
    with scope_of(path) as scope:
        entry, wanted = meant(scope, path, _prefix(version))
        file = upkeep.opened(scope.workspace, scope.index, entry, wanted)
        if mode not in _TEXT:
            return file
        try:
            return TextIOWrapper(file, encoding or "utf-8", errors, newline)
        except BaseException:
            file.close()
            raise


@public
def restore(path: AnyPath, version: str | VersionInfo | None = None) -> AnyPath:
    """Put a version in its place, whatever is there now, and return ``path``.

    What is there is stored first. An older version becomes the latest in ``lazydata.yml``.

    Args:
        path: of an entry, or of a directory with entries below it.
        version: the beginning of its hash, or a row of ``versions``; None for the latest.

    Returns:
        ``path`` itself.

    Raises:
        NotTracked: there is no such entry, or no such version.
        ObjectMissing: it is neither stored nor on a remote.
        FileBusy: a program writes to the file.
        UsageError: a version of several entries.

    Example:
        >>> for text in ("old", "newer"):
        ...     _ = Path("x.txt").write_text(text)
        ...     _ = lazydata.track("x.txt")
        >>> Path(lazydata.restore("x.txt", lazydata.versions("x.txt")[1])).read_text()
        'old'
    """
    from lazydata.workspace import upkeep

    with scope_of(path) as scope:
        if version is not None:
            upkeep.restore(scope.workspace, scope.index, *meant(scope, path, _prefix(version)))
            return path
        for entry in scope.entries():
            upkeep.restore(scope.workspace, scope.index, entry)
    return path


@public
def untrack(*paths: str | os.PathLike[str]) -> None:
    """Take entries, with all their versions, off the list; files and stored objects stay.

    Args:
        paths: entries, or directories with entries below them; one at least.

    Raises:
        NotTracked: a path names nothing.
        UsageError: a path is a part of a tracked directory, or there is none.

    Example:
        >>> _ = Path("x.csv").write_text("1,2")
        >>> _ = lazydata.track("x.csv")
        >>> lazydata.untrack("x.csv")
        >>> len(lazydata.status()), os.path.exists("x.csv")
        (0, True)
    """
    from lazydata.workspace import upkeep

    if not paths:
        raise UsageError("no path to untrack", hint="name a file or a directory")
    each(paths, lambda scope: upkeep.untrack(scope.workspace, scope.index, scope.entries()))


@public
def push(
    *paths: str | os.PathLike[str],
    remote: str | None = None,
    check: bool = False,
    jobs: int | None = None,
    dry_run: bool = False,
) -> Pushed:
    """Send every listed version that a remote lacks.

    Args:
        paths: entries, or directories with entries below them; none means all that is
            listed below the working directory.
        remote: its name; the first one by default.
        check: ask for every object, whatever was pushed before.
        jobs: how many transfers at once; by default what fits the remote.
        dry_run: send nothing, and say what would be sent.

    Raises:
        TransferIncomplete: some objects were not sent; its ``left`` names them.
        RemoteUnavailable: the remote can't be reached now.
        RemoteDenied: it refuses.
        UsageError: there is no such remote.

    Example:
        >>> _ = Path("x.csv").write_text("1,2")
        >>> _ = lazydata.track("x.csv")
        >>> lazydata.push(dry_run=True)
        Pushed(remote='origin', objects=1, size=3, already=0)
    """
    from lazydata.workspace import pushing

    def send(scope: Scope) -> pushing.Pushed:
        return pushing.push(
            scope.workspace,
            scope.index,
            scope.entries,
            scope=scope.part.scope,
            remote=remote,
            check=check,
            jobs=jobs,
            dry_run=dry_run,
        )

    rows = each(paths, send)
    refuse([line for row in rows for line in row.left], "pushed")
    names = ", ".join(dict.fromkeys(row.remote for row in rows))
    objects, size, already = (
        sum(getattr(row, name) for row in rows) for name in ("objects", "size", "already")
    )
    return Pushed(names, objects, size, already)


@public
def pull(
    *paths: str | os.PathLike[str],
    remote: str | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
) -> Pulled:
    """Bring files to their latest version; what was edited here is left alone.

    Args:
        paths: entries, directories, or scripts: then all that these use. None means what
            this clone had before, below the working directory.
        remote: name of the only one to ask; by default all are, in their order.
        jobs: how many transfers at once; by default what fits the remote.
        dry_run: change nothing, and say what would be done.

    Raises:
        TransferIncomplete: some files were not brought; its ``left`` says which, and why.
        RemoteUnavailable: nothing could be had, since no remote can be reached.
        RemoteDenied: a remote refuses.
        NotTracked: a path names nothing.

    Example:
        >>> _ = Path("x.csv").write_text("1,2")
        >>> _ = lazydata.track("x.csv")
        >>> os.remove("x.csv")
        >>> lazydata.pull()
        Pulled(paths=('x.csv',), objects=0, size=0)
    """
    from lazydata.workspace import pulling, scripts

    choose = scripts.wanted if paths else scripts.had

    def bring(scope: Scope) -> pulling.Pulled:
        view = scope.workspace.view(scope.index)
        done = pulling.pull(
            scope.workspace,
            scope.index,
            choose(scope.workspace, view, scope.part, scope.cwd),
            remote=remote,
            jobs=jobs,
            dry_run=dry_run,
            had_only=not paths,
        )
        return done._replace(paths=[scope.shown(path) for path in done.paths])

    rows = each(paths, bring, scripts=True)
    refuse([line for row in rows for line in row.left], "pulled")
    found = tuple(path for row in rows for path in row.paths)
    return Pulled(found, sum(row.objects for row in rows), sum(row.size for row in rows))


def _prefix(version: str | VersionInfo | None) -> str | None:
    return version.hash if isinstance(version, VersionInfo) else version


def _versions(found: Log) -> Rows[VersionInfo]:
    rows = []
    for row in found.rows:
        version, commit, node = row.version, row.commit, row.node
        rows.append(
            VersionInfo(
                str(version.digest),
                version.size if not found.entry.portion else node.size if node else None,
                version.files if not found.entry.portion else None,
                version in found.entry.versions[-1:],
                row.listed,
                _when(commit),
                commit and commit.id,
                commit and commit.author,
                row.here,
                row.stored,
                row.remotes,
                version.producer,
                version.usage,
            )
        )
    return Rows(rows)


def _part(part: FoundPart) -> PartInfo:
    columns = tuple(ColumnInfo(*column) for column in part.columns)
    return PartInfo(**{**part._asdict(), "columns": columns})


def _when(commit: Commit | None) -> datetime | None:
    return commit and datetime.fromtimestamp(commit.when, UTC)
