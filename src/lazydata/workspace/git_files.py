"""Lines of ours in files that git reads and people write: added once, and taken out again."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable

from lazydata import fsutil
from lazydata.errors import UsageError, from_os_error


def add_lines(path: str, lines: Iterable[str]) -> list[str]:
    """Add those lines to the end of a file that it does not have yet.

    Args:
        path: of the file; made where it is missing.
        lines: without line breaks. Those of the file are followed.

    Returns:
        The lines that were added.

    Raises:
        UsageError: it is no plain file, so git would not read it.
        FileDenied, OSError: it can't be written.

    Example:
        add_lines("/project/data/.gitignore", ["/x.csv"])
    """
    before = _read(path) or b""
    there = set(map(_bare, before.split(b"\n")))
    missing = {os.fsencode(line): line for line in lines}
    missing = {raw: line for raw, line in missing.items() if raw not in there}
    if missing:
        end = b"\r\n" if b"\r\n" in before else b"\n"
        close = end if before and not before.endswith(b"\n") else b""
        _write(path, before + close + b"".join(raw + end for raw in missing))
    return list(missing.values())


def take_lines(path: str, lines: Iterable[str]) -> list[str]:
    """Take lines out of a file, and the file away if nothing is left in it.

    Args:
        path: of the file, which need not be there.
        lines: without line breaks.

    Returns:
        The lines that were taken out.

    Raises:
        UsageError, FileDenied, OSError: as for ``add_lines``.
    """
    before = _read(path) or b""
    wanted = {os.fsencode(line): line for line in lines}
    rows = before.split(b"\n")
    found = [wanted[_bare(row)] for row in rows if _bare(row) in wanted]
    if found:
        kept = b"\n".join(row for row in rows if _bare(row) not in wanted)
        if kept:
            _write(path, kept)
        else:
            try:
                fsutil.remove(path)
            except OSError as error:
                raise from_os_error(error, "remove", path) from error
    return found


def _bare(row: bytes) -> bytes:
    return row.rstrip(b"\r")


def _read(path: str) -> bytes | None:
    """All of a file; None where there is none."""
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a symlink, which git does not follow" if stat.S_ISLNK(mode) else "no plain file"
            raise UsageError(f"{path} is {kind}", hint="put a plain file there")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise from_os_error(error, "read", path) from error


def _write(path: str, data: bytes) -> None:
    try:
        # Replacing a file asks for no right to write to it; somebody took that away on purpose.
        if os.path.exists(path) and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        fsutil.write_atomic(path, data)
    except OSError as error:
        raise from_os_error(error, "write", path) from error
