"""What a workspace must remember: ``.lazydata/`` beside the manifest.

The workspace's id, the baselines, the journal of displaced versions, and what
is known to be on remotes. Files of lines, appended under the manifest's lock;
the last line about a path wins, and a line torn by a crash is no line.
The directory ignores itself in git, but a stranger's repository may carry one
all the same: no symlink in it is followed, and an id is used only where it is one.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from lazydata.digest import Digest
from lazydata.errors import UsageError
from lazydata.fsutil import create_atomic, fsync_dir, make_dirs, write_atomic
from lazydata.lock import Lock
from lazydata.stamp import Stamp, stamp_of

NAME = ".lazydata"
JOURNAL_DAYS = 90
_COMPACT_STEP = 256 << 10
_ID = re.compile(rb"[0-9a-f]{32}\n?")
_HERE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Baseline:
    """The memory of one workspace.

    Args:
        root: directory of the workspace.

    Example:
        >>> Baseline("/nowhere").get("data/x.csv") is None
        True
    """

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, NAME)
        self._baselines = os.path.join(self.directory, "baselines")
        self._journal = os.path.join(self.directory, "displaced")
        self._pushed = os.path.join(self.directory, "pushed")

    def prepare(self) -> None:
        """Make the directory; it is ignored by git from its first moment on.

        Raises:
            UsageError: it is a symlink.
        """
        if os.path.islink(self.directory):
            raise _linked(self.directory)
        if os.path.exists(os.path.join(self.directory, "id")):
            return
        make_dirs(self.directory)
        write_atomic(os.path.join(self.directory, ".gitignore"), b"*\n")
        create_atomic(os.path.join(self.directory, "id"), os.urandom(16).hex().encode() + b"\n")

    @property
    def id(self) -> str:
        """Names this workspace in the store.

        Raises:
            FileNotFoundError: there is none yet.
            UsageError: what lies there is none.
        """
        path = os.path.join(self.directory, "id")
        with open(_open(path, os.O_RDONLY), "rb") as file:
            found = file.read(64)
        if not _ID.fullmatch(found):  # it becomes a file's name
            raise UsageError(f"{path} holds no id", hint="remove it; a new one is made")
        return found.decode("ascii").strip()

    def drop_pushed(self, url: str, digests: Collection[Digest]) -> None:
        """Forget that a remote has these."""
        if self.pushed([url], digests):
            gone = {b"%s\t%s" % (_escape(url), digest.encode()) for digest in digests}
            kept = [line for line in _read(self._pushed).split(b"\n") if line and line not in gone]
            write_atomic(self._pushed, b"".join(line + b"\n" for line in kept))

    def lock(self) -> Lock:
        """The manifest's lock; see ``Lock``."""
        self.prepare()
        return Lock(os.path.join(self.directory, "lock"))

    # Baselines

    def get(self, path: str) -> Digest | None:
        """The baseline of one path, or None where it is unknown."""
        return self.last(path)[1]

    def last(self, path: str) -> tuple[int, Digest | None]:
        """The same, with where its line begins: that moves whenever it is set, to the same too."""
        lines, key = _read(self._baselines), _escape(path) + b"\t"
        end = len(lines)
        while (at := lines.rfind(key, 0, end)) >= 0:
            if not at or lines[at - 1 : at] == b"\n":
                stop = lines.find(b"\n", at)
                found = _digest(lines[at + len(key) : stop if stop >= 0 else len(lines)])
                if found is not None:
                    return at, found or None
            end = at
        return -1, None

    def all(self) -> dict[str, Digest]:
        """Every path that has one, with its baseline."""
        return self._known(None)

    def some(self, paths: Iterable[str]) -> dict[str, Digest]:
        """Those of some paths that have one, with their baselines."""
        return self._known({_escape(path) for path in paths})

    def _known(self, wanted: Collection[bytes] | None) -> dict[str, Digest]:
        known: dict[str, Digest] = {}
        for line in _lines(self._baselines):
            key, _, text = line.rpartition(b"\t")
            if wanted is not None and key not in wanted:
                continue
            found = _digest(text)
            if found is None or not key:
                continue
            if found:
                known[_unescape(key)] = found
            else:
                known.pop(_unescape(key), None)
        return known

    def put(self, baselines: Mapping[str, Digest | None]) -> None:
        """Set baselines; None forgets one. Call it with the manifest's lock held.

        Raises:
            OSError: the workspace can't be written.
        """
        self.prepare()
        lines = b"".join(
            _escape(path) + b"\t" + (digest or "-").encode() + b"\n"
            for path, digest in baselines.items()
        )
        size = _append(self._baselines, lines)
        if size // _COMPACT_STEP != (size - len(lines)) // _COMPACT_STEP:
            last = dict(line.rpartition(b"\t")[::2] for line in _lines(self._baselines))
            if 2 * sum(len(key) + len(text) + 2 for key, text in last.items()) < size:
                live = self.all()
                text = b"".join(_escape(p) + b"\t" + d.encode() + b"\n" for p, d in live.items())
                write_atomic(self._baselines, text)

    # The journal of displaced versions

    def displaced(self, path: str, digest: Digest) -> None:
        """Note a recorded version that is about to leave the workspace; durable at once."""
        self.prepare()
        old = time.time() - JOURNAL_DAYS * 86400
        kept = [row for row in self.journal() if row[0] >= old]
        if len(kept) < len(self.journal()):
            lines = b"".join(_journal_line(*row) for row in kept)
            write_atomic(self._journal, lines)
        _append(self._journal, _journal_line(time.time(), path, digest), durable=True)

    def journal(self) -> list[tuple[float, str, Digest]]:
        """Displaced versions: when (seconds since the epoch), path, digest; oldest first."""
        rows = []
        for line in _lines(self._journal):
            when, _, rest = line.partition(b"\t")
            key, _, text = rest.rpartition(b"\t")
            digest = _digest(text)
            if digest and key and when.isdigit() and len(when) < 19:
                rows.append((float(when), _unescape(key), digest))
        return rows

    # What is known to be on remotes

    def pushed(self, urls: Collection[str], digests: Iterable[Digest]) -> set[Digest]:
        """Those of some objects that this workspace put on, or got from, any of these remotes."""
        starts = [_escape(url) + b"\t" for url in urls]
        wanted = {start + d.encode(): d for d in digests for start in starts}
        # In one go: every push asks this of all it sends. A torn line fits nothing.
        lines = _lines(self._pushed) if wanted else ()
        return {wanted[line] for line in lines if line in wanted}

    def pushed_stamp(self) -> Stamp | None:
        """What tells whether any of that has changed."""
        try:
            return stamp_of(self._pushed)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def add_pushed(self, url: str, digests: Iterable[Digest]) -> None:
        """Remember that a remote has these: sizes confirmed by it, or hashes by us."""
        digests = set(digests)
        new = sorted(digests - self.pushed([url], digests))
        if new:
            self.prepare()
            _append(self._pushed, b"".join(b"%s\t%s\n" % (_escape(url), d.encode()) for d in new))


def _read(path: str) -> bytes:
    try:
        with open(_open(path, os.O_RDONLY), "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _lines(path: str) -> Iterator[bytes]:
    """One by one: a stranger's repository may bring a file of nothing but line breaks."""
    try:
        with open(_open(path, os.O_RDONLY), "rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        pass


def _open(path: str, flags: int) -> int:
    """Open a file, and nothing that a symlink would lead to."""
    try:
        return os.open(path, flags | _HERE, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _linked(path) from None
        raise


def _linked(path: str) -> UsageError:
    return UsageError(
        f"{path} is a symlink, and lazydata does not follow it", hint="remove the link"
    )


def _append(path: str, lines: bytes, *, durable: bool = False) -> int:
    """Append whole lines; a torn last line is closed off first. Returns the new size."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    with open(_open(path, flags), "ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                lines = b"\n" + lines
        rest = memoryview(lines)
        while rest:
            rest = rest[file.write(rest) :]  # a short write, then the error that caused it
        if durable:
            os.fsync(file.fileno())
    if durable and not end:
        fsync_dir(os.path.dirname(path))
    return end + len(lines)


_FORGOTTEN = Digest("")


def _digest(text: bytes) -> Digest | None:
    """A digest, an empty one for a forgotten baseline, None for anything else (a torn line)."""
    if text == b"-":
        return _FORGOTTEN
    try:
        return Digest.parse(text.decode("ascii")) if b":" in text else None
    except (ValueError, UnicodeDecodeError):
        return None


def _journal_line(when: float, path: str, digest: Digest) -> bytes:
    return b"%d\t%s\t%s\n" % (int(when), _escape(path), digest.encode())


def _escape(path: str) -> bytes:
    raw = path.encode("utf-8", "surrogateescape")
    return raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")


def _unescape(raw: bytes) -> str:
    if b"\\" in raw:
        pieces = raw.split(b"\\\\")
        raw = b"\\".join(p.replace(b"\\n", b"\n").replace(b"\\t", b"\t") for p in pieces)
    return raw.decode("utf-8", "surrogateescape")
