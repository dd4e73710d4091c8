"""Watch this process's own writers: remember what they wrote, and unshare it first.

A hardlinked file and its object in the store are one inode. Before anything in
Python opens such a file for writing, an audit hook gives the path an inode of
its own, so that the old version survives (https://docs.python.org/3/library/audit_events.html).
The hook sees every event of the process, so all it does for most is one dict look-up.
"""

import os
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT = 100_000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_TRUNC
_KIND, _REGULAR = 0o170000, 0o100000  # of a mode; the module stat would cost an import
_written: "dict[str, None]" = {}
_own_threads: "set[int]" = set()


def wrote(path: str) -> bool:
    """Whether this process opened a file for writing since ``forget`` (its real path)."""
    return path in _written


def wrote_in(directory: str) -> bool:
    """The same for any file in a directory, at any depth."""
    return any(path.startswith(directory + os.sep) for path in list(_written))


def forget(path: str) -> None:
    """What was written to a path is settled."""
    _written.pop(path, None)


def forget_in(directory: str) -> None:
    """The same for all files in a directory."""
    for path in list(_written):
        if path.startswith(directory + os.sep):
            _written.pop(path, None)


class OwnWork:
    """While the block runs, this thread's writers are lazydata's own, and not watched."""

    def __enter__(self) -> None:
        self._outer = get_ident() in _own_threads
        _own_threads.add(get_ident())

    def __exit__(self, *_: object) -> None:
        if not self._outer:
            _own_threads.discard(get_ident())


def hook(event: str, args: "tuple[object, ...]") -> None:
    """The audit hook; never raises, whatever it is given."""
    if event in _HANDLERS and get_ident() not in _own_threads:
        try:
            _HANDLERS[event](*args)
        except Exception:
            pass  # the writer itself will report what is wrong with the path


def _opened(path: object, mode: object, flags: int) -> None:
    if flags & _WRITES and not isinstance(path, int):
        # By where it leads: the path may go through a symlink.
        name = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        if len(_written) >= _LIMIT:
            _written.clear()
        _written[name] = None
        # os.open tells no mode, and its path may be relative to another directory; what
        # is made exclusively is not truncated. Only what surely will be may be emptied.
        emptied = isinstance(mode, str) and flags & os.O_TRUNC and not flags & os.O_EXCL
        _unshare(name, keep_bytes=not emptied)


def _changed(path: object, *_: object) -> None:
    if not isinstance(path, int):
        _unshare(os.path.realpath(os.fsdecode(path)), keep_bytes=True)  # type: ignore[arg-type]


def _unshare(path: str, *, keep_bytes: bool) -> None:
    status = os.stat(path)
    # Of a temp file that will have no name the hook is told the directory.
    if status.st_nlink > 1 and status.st_mode & _KIND == _REGULAR:
        with OwnWork():
            from lazydata.workspace.unsharing import unshare_object

            unshare_object(path, status, keep_bytes=keep_bytes)


_HANDLERS: "dict[str, Callable[..., None]]" = {
    "open": _opened,
    "os.truncate": _changed,
    "os.chmod": _changed,
    "os.utime": _changed,
}

if hasattr(os, "register_at_fork"):
    # A thread of the child may get the number that a thread of the parent had.
    os.register_at_fork(after_in_child=_own_threads.clear)
