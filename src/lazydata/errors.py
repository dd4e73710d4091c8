"""Every error that lazydata raises, with its exit code and its hint.

One place, so that the table of exit codes in the reference can be read off it.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def printable(text: str) -> str:
    """Text for a terminal: names in a stranger's manifest may hold control characters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


_TOLD = 5  # lines about what was left: a traceback is all that some see of an error


class LazydataError(Exception):
    """Base of all errors of lazydata. As text it is printable, whatever its message holds.

    Args:
        message: what is wrong, naming the path, object or remote.
        hint: what to do next, one line, or None.

    Example:
        >>> try:
        ...     lazydata.info("nowhere.csv")
        ... except lazydata.LazydataError as error:
        ...     error.message, error.hint, error.exit_code
        ('lazydata.yml lists nothing at nowhere.csv', '`lazydata ls` shows what it lists', 12)
    """

    exit_code = 1
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return printable(f"{self.message} ({self.hint})" if self.hint else self.message)


class UsageError(LazydataError):
    """The call or the command line can't be carried out as it is written."""

    exit_code = 2


class PathOutside(UsageError):
    """A path leads out of the workspace."""


class NeedsUpgrade(UsageError):
    """Something that only a newer lazydata can read; it may well be whole."""


class TransferIncomplete(LazydataError):
    """Some of what was to be moved was not.

    Args:
        message: how many, and why.
        left: one line for each thing that was left, naming it.
    """

    exit_code = 3

    def __init__(self, message: str, *, left: tuple[str, ...] = (), hint: str | None = None):
        super().__init__(message, hint=hint)
        self.left = left

    def __str__(self) -> str:
        lines = [super().__str__(), *map(printable, self.left[:_TOLD])]
        if len(self.left) > _TOLD:
            lines.append(f"and {len(self.left) - _TOLD:,} more, in `left`")
        return "\n  ".join(lines)


class NotAWorkspace(LazydataError):
    """No lazydata.yml governs the path."""

    exit_code = 10


class ManifestInvalid(LazydataError):
    """The manifest can't be used as it is.

    Args:
        message: what is wrong.
        file: path of the manifest.
        line: 1-based line, or None where the whole file is meant.
        column: 1-based column, or None.
        shown: lines of the file, or to put there, as they are.
    """

    exit_code = 11

    def __init__(
        self,
        message: str,
        *,
        file: str = "lazydata.yml",
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        shown: tuple[str, ...] = (),
    ) -> None:
        where = "".join(f":{n}" for n in (line, column) if n is not None)
        fallback = f"mend it by hand; `git diff {os.path.basename(file)}` shows what changed"
        super().__init__(f"{file}{where}: {message}", hint=hint or fallback)
        self.file, self.line, self.column, self.shown = file, line, column, shown

    def __str__(self) -> str:
        return "\n".join((super().__str__(), *map(printable, self.shown)))


class ManifestChanged(LazydataError):
    """The manifest was changed by someone else while it was being written."""

    exit_code = 11


class NotTracked(LazydataError, FileNotFoundError):
    """A path that the manifest does not list, and that is not there to be recorded."""

    exit_code = 12

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno, self.strerror, self.filename = errno.ENOENT, os.strerror(errno.ENOENT), path


class ObjectMissing(LazydataError):
    """An object that is neither in the store nor on any remote."""

    exit_code = 12


class RemoteObjectMissing(LazydataError):
    """A remote does not have what was asked for."""

    exit_code = 12


class ObjectCorrupt(LazydataError):
    """Bytes that are not what their digest says.

    Args:
        message: which object, and where it lies.
        expected: the digest it goes by.
        actual: the digest of its bytes.
    """

    exit_code = 13

    def __init__(
        self, message: str, *, expected: str = "", actual: str = "", hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.expected, self.actual = expected, actual


class FileBusy(LazydataError):
    """A file that keeps changing while it is read, or a lock that is not let go."""

    exit_code = 14


class FileChanged(LazydataError):
    """A file is not what it was, or not what the manifest says, and must not be replaced."""

    exit_code = 14


class FileDenied(LazydataError, PermissionError):
    """A local file or directory that this user may not read or write."""

    exit_code = 15

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno, self.strerror, self.filename = errno.EACCES, os.strerror(errno.EACCES), path


class GitFailed(LazydataError):
    """Git can't be run, or refuses."""

    exit_code = 16


class DiskFailed(LazydataError, OSError):
    """A disk, or whatever a file system lies on, does not do what it was asked."""

    exit_code = 17

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno, self.strerror, self.filename = errno.EIO, os.strerror(errno.EIO), path


class RemoteUnavailable(LazydataError):
    """A remote can't be reached now; trying again may help."""

    exit_code = 20


class RemoteDenied(LazydataError):
    """A remote refuses; trying again does not help."""

    exit_code = 21


class NoSpace(LazydataError, OSError):
    """A file system is full, or a quota is used up."""

    exit_code = 28

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno, self.strerror, self.filename = errno.ENOSPC, os.strerror(errno.ENOSPC), path


# What a disk that breaks says, one that was unplugged, and a share whose server is gone.
_BROKEN = tuple(
    getattr(errno, name)
    for name in ("EIO", "ENXIO", "ENODEV", "ESTALE", "ENOTCONN", "EUCLEAN", "ESHUTDOWN")
    if hasattr(errno, name)
)


def from_os_error(error: OSError, doing: str, path: str) -> LazydataError | OSError:
    """Turn an OS error into the error of ours that says what to do, where there is one.

    Args:
        error: what the system said.
        doing: the work that failed, such as ``"read"`` or ``"store"``.
        path: what it was about.

    Returns:
        The error to raise (``raise from_os_error(e, ...) from e``).
    """
    if isinstance(error, LazydataError):
        return error
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(
            f"no space left to {doing} {path}",
            path=path,
            hint="free some space (or raise the quota) and run it again; nothing was lost",
        )
    if error.errno == errno.EFBIG:
        return NoSpace(
            f"can't {doing} {path}: the file would be too large",
            path=path,
            hint="its file system, or a limit (`ulimit -f`), allows no file of that size",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        why = "the file system is read-only" if error.errno == errno.EROFS else "permission denied"
        return FileDenied(
            f"can't {doing} {path}: {why}",
            path=path,
            hint=f"check {_owner(error, path)} (ls -l), and those of its directory",
        )
    if error.errno in _BROKEN:
        return DiskFailed(
            f"can't {doing} {path}: {error.strerror}",
            path=path,
            hint="look at the disk, or the mount (`dmesg`, `mount`), then run it again",
        )
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        why = "its name is too long" if error.errno == errno.ENAMETOOLONG else "its symlinks loop"
        return UsageError(f"can't {doing} {path}: {why}", hint="rename it, or remove its item")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return FileChanged(
            f"can't {doing} {path}: there is a file where a directory should be",
            hint="move that file away, then run it again",
        )
    return error


def _owner(error: OSError, path: str) -> str:
    """Whose owner is to be looked at: it may be another file than the work was about."""
    place = error.filename if isinstance(error.filename, str) else path
    while not os.path.lexists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    return "its owner and mode" if place == path else f"the owner and mode of {place}"


def most_telling(errors: Sequence[LazydataError]) -> LazydataError:
    """Of several reasons for one failure, the one to tell.

    Corrupt before denied (or otherwise of no use), before unavailable, before
    missing; the first one of its kind.
    """

    def telling(error: LazydataError) -> int:
        if isinstance(error, ObjectCorrupt):
            return 3
        if isinstance(error, RemoteObjectMissing):
            return 0
        return 1 if isinstance(error, RemoteUnavailable) else 2

    return max(errors, key=telling)


def line(path: str, error: LazydataError) -> str:
    """One line on what failed for a path, naming it once."""
    return str(error) if str(error).startswith(path) else f"{path}: {error}"
