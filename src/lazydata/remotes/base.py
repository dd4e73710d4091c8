"""The seam between lazydata and whatever holds bytes elsewhere: bytes under keys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from lazydata.errors import (
    ObjectCorrupt,
    ObjectMissing,
    RemoteDenied,
    RemoteUnavailable,
    from_os_error,
)
from lazydata.progress import Progress

_PART = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*")
_FOLDER = re.compile(rf"(?:{_PART}/)*")
_LONGEST = 512
# Where what is shown of a URL holds no secret. Only a user of SSH is none.
_USER = r"(?:(?!%3[aA])[^:/?#])*@"
_PUBLIC = re.compile(
    rf"(?:ssh://(?:{_USER})?|\w+://)"
    r"(?:\[[^]@/?#]*\]|[^:@/?#]*)(?::[0-9]*)?(?:/[^?#]*)?"  # host, port, path
    r"|(?!\w+://)[^@?#]*"
)


# How a backend asks the user for a password. The command line sets it; a program that
# calls track() is not asked anything.
prompt: Callable[[str], str | None] | None = None


class Stat(NamedTuple):
    """What a remote says of one key.

    Args:
        key: its whole key, from the remote's root.
        size: bytes.
        mtime: seconds since the epoch by the remote's own clock.
    """

    key: str
    size: int
    mtime: float


class Remote(Protocol):
    """A place that holds bytes under keys.

    Every backend keeps this contract, and one suite of tests holds each to it
    (``tests/remotes/test_remote_contract.py``).

    **Keys** are ``/``-joined parts of lower-case ASCII letters, digits, ``.``,
    ``_`` and ``-``; a part begins and ends with a letter or a digit. So no key
    climbs out, is absolute, or means something else to a file system that
    folds case, and names that begin with a dot are free for a backend's own
    temp files. A key is never the folder of another one (``a`` and ``a/b``
    are not both used), but may well be its beginning (``a/b`` and ``a/bc``).
    Anything else is a ``ValueError`` before the remote is asked.

    **Atomic.** A key shows its old bytes or its new ones, never a part, and
    never anything under another key: also where the writer dies, the link
    breaks or the disk fills up in the middle.

    **Idempotent.** Every call may be repeated after any failure. A ``put`` of
    what is there already succeeds; so does a ``delete`` of what is gone.

    **Absence is not an outage.** ``RemoteObjectMissing`` (or ``None`` from
    ``stat``) is said only by a remote that was reached and has no such key.
    Everything that may pass is ``RemoteUnavailable``: no route, a time-out, a
    server error, a share that is not mounted. A refusal that will not pass by
    itself is ``RemoteDenied``, and a full disk or quota ``NoSpace``. No other
    exception of an SDK or of the system leaves a backend.

    **Concurrent.** All calls may run at once, in one event loop, on the same
    or on other keys; two puts of one key leave the bytes of one of them. Other
    processes and hosts do the same at the same time. An instance belongs to
    the loop that first used it, and is never used after a fork.

    **Cancelled** calls stop soon, and have stopped when they return: nothing
    of them runs on behind the caller's back.

    **Not promised**, so nobody may rely on it: the order of a listing,
    conditional writes, locks, modification times that fit our own clock.

    **Progress** gets the object's size in all from a call that succeeds, bytes
    of a resumed target included, and nothing in all from one that fails.

    Attributes:
        url: printable: there is no secret in it.
        concurrency: how many calls are worth having in flight; whoever opens the
            remote may set another number before its first call, and it is then also a
            limit on what the remote does at once by itself (parts of a large object).
    """

    url: str
    concurrency: int

    async def prepare(self) -> None:
        """Create the place that the URL names, where that is missing.

        Only ``lazydata add-remote`` calls it: anywhere else a missing place is
        an outage. A backend that can't create it leaves that to its owner.
        """

    async def put(self, key: str, source: Path, progress: Progress) -> None:
        """Store a local file's bytes; they are durable when this returns.

        Large ones may resume what an earlier call left.

        Raises:
            ObjectMissing, FileDenied: about ``source``.
            RemoteUnavailable, RemoteDenied, NoSpace: about the remote.
        """

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Store a few bytes, as ``put`` does."""

    async def get(self, key: str, target: Path, progress: Progress) -> None:
        """Fetch a key's bytes into a local file.

        A ``target`` that is there already is taken as the beginning of the
        bytes, and only the rest is fetched. Bytes of it are never written twice,
        so it may be read while it grows. What arrived before a failure stays,
        for the next call. Nothing is hashed: who asks verifies.

        Raises:
            RemoteObjectMissing: there is no such key.
            ObjectCorrupt: ``target`` is longer than the bytes, so no beginning of them.
            NoSpace: the disk of ``target`` is full.
        """

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``start``; fewer only where the bytes end.

        Raises:
            RemoteObjectMissing: there is no such key.
        """

    async def stat(self, key: str) -> Stat | None:
        """What is there under a key; ``None`` only if it is truly absent."""

    def list(self, prefix: str) -> AsyncIterator[Stat]:
        """All keys below a folder, each once, in any order.

        Args:
            prefix: empty for all, else a folder, with its ``/`` at the end.
        """

    async def delete(self, keys: Collection[str]) -> None:
        """Remove keys; one that is absent counts as removed."""

    async def close(self) -> None:
        """Let go of connections; the instance is not used afterwards."""


def shown(url: str) -> str:
    """A URL of a manifest as it may be printed: no more than its scheme, if it may hold a secret.

    Example:
        >>> shown("ssh://me@host:22/data"), shown("s3://key:secret@bucket")
        ('ssh://me@host:22/data', 's3://...')
    """
    if _PUBLIC.fullmatch(url):
        return url
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://..." if separator and scheme.isalnum() else "..."


def check_key(key: str) -> str:
    """The key itself, if it is one.

    Raises:
        ValueError: it is not (see ``Remote``).

    Example:
        >>> check_key("index/ab.idx")
        'index/ab.idx'
    """
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not a key")
    return key


def check_folder(prefix: str) -> str:
    """The prefix itself, if it is one that ``list`` takes.

    Raises:
        ValueError: it is neither empty nor a folder with its ``/``.
    """
    if len(prefix) > _LONGEST or not _FOLDER.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is not a folder of keys")
    return prefix


def check_beginning(begin: int, size: int, target: Path) -> None:
    """See that a target can be the beginning of what is fetched into it.

    Args:
        begin: bytes that it has.
        size: bytes that are fetched, in all.
        target: for the message.

    Raises:
        ObjectCorrupt: it can't.
    """
    if begin > size:
        raise ObjectCorrupt(f"{target} has {begin:,} bytes already, and {size:,} are all there are")


@asynccontextmanager
async def step(doing: str) -> AsyncIterator[None]:
    """Say which step of several on a remote failed."""
    try:
        yield
    except (RemoteDenied, RemoteUnavailable) as error:
        raise type(error)(f"can't {doing}: {error.message}", hint=error.hint) from error


@contextmanager
def local_file(doing: str, path: Path) -> Iterator[None]:
    """Turn what the system says of a local file into our words.

    Args:
        doing: ``"read"`` or ``"write"``.
        path: of the file.

    Raises:
        ObjectMissing: it is not there.
        LazydataError: see ``errors.from_os_error``.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing(f"can't {doing} {path}: it is not there") from error
    except OSError as error:
        raise from_os_error(error, doing, str(path)) from error
