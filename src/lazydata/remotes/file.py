"""A remote in a directory: a shared disk, an NFS or SMB share, an external drive."""

from __future__ import annotations

import errno
import os
import stat as stat_module
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from lazydata import fsutil
from lazydata.errors import (
    FileChanged,
    LazydataError,
    NoSpace,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
)
from lazydata.progress import Progress, attempt
from lazydata.remotes.base import (
    Stat,
    check_beginning,
    check_folder,
    check_key,
    local_file,
    shown,
)
from lazydata.remotes.copying import EndedEarlyError, copy, write_all
from lazydata.remotes.threads import Stop, in_thread
from lazydata.scanner import is_temporary

# Temp files lie in one folder, so that what a dead writer left is found and
# removed without a walk. Its name is no key, so nothing ever lists it.
_INCOMING = ".incoming"
_STALE_SECONDS = 7 * 86400
_LISTED_AT_ONCE = 1000
# On a share lies what others put there: a pipe must not be waited for.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
_READ |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_WRITE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


class FileRemote:
    """Keys are paths below one directory; blocking calls run in threads.

    Args:
        url: ``file://`` and an absolute, percent-encoded path.
        options: none is known.

    Raises:
        UsageError: the URL is not one of a directory.

    Example:
        >>> remote = FileRemote("file:///mnt/share/lazydata")
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self.url = url
        # A flush is waited for, not worked for: several at once are worth it.
        self.concurrency = 8
        self._base = path_of(url)
        self._swept = False

    async def prepare(self) -> None:
        """See ``Remote.prepare``."""
        await in_thread(self._prepare)

    async def put(self, key: str, source: Path, progress: Progress) -> None:
        """See ``Remote.put``."""
        path, stop = self._path(key), Stop()

        def work() -> None:
            with attempt(progress) as report, _opened(source) as opened:
                size = os.fstat(opened).st_size
                with self._translated("write", key), _whole(source):
                    self._place(path, lambda temp: copy(opened, temp, 0, size, report, stop))

        await in_thread(work, stop=stop)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Remote.put_bytes``."""
        path = self._path(key)

        def work() -> None:
            with self._translated("write", key):
                self._place(path, lambda temp: write_all(temp, data))

        await in_thread(work)

    async def get(self, key: str, target: Path, progress: Progress) -> None:
        """See ``Remote.get``."""
        path, stop = self._path(key), Stop()

        def work() -> None:
            with attempt(progress) as report:
                with self._translated("read", key):
                    source = os.open(path, _READ)
                try:
                    with self._translated("read", key):
                        size = _size_of(source)
                    with local_file("write", target):
                        filled = os.open(target, _WRITE | os.O_RDWR | os.O_CREAT, 0o666)
                    try:
                        self._fill(source, filled, size, key, target, report, stop)
                    finally:
                        os.close(filled)
                finally:
                    os.close(source)

        await in_thread(work, stop=stop)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ``Remote.get_range``."""
        path = self._path(key)

        def work() -> bytes:
            with self._translated("read", key), open(os.open(path, _READ), "rb") as source:
                _size_of(source.fileno())
                source.seek(start)
                return source.read(length)

        return await in_thread(work)

    async def stat(self, key: str) -> Stat | None:
        """See ``Remote.stat``."""
        path = self._path(key)

        def work() -> Stat | None:
            try:
                with self._translated("look at", key):
                    found = os.stat(path)
            except RemoteObjectMissing:
                return None
            return _stat(key, found) if stat_module.S_ISREG(found.st_mode) else None

        return await in_thread(work)

    async def list(self, prefix: str) -> AsyncIterator[Stat]:
        """See ``Remote.list``."""
        check_folder(prefix)
        found = self._walk(prefix)
        while some := await in_thread(lambda: [*islice(found, _LISTED_AT_ONCE)]):
            for each in some:
                yield each

    async def delete(self, keys: Collection[str]) -> None:
        """See ``Remote.delete``."""
        paths = {key: self._path(key) for key in keys}
        stop = Stop()

        def work() -> None:
            for key, path in paths.items():
                stop.check()
                try:
                    with self._translated("delete", key):
                        os.unlink(path)
                except RemoteObjectMissing:
                    pass

        await in_thread(work, stop=stop)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _path(self, key: str) -> str:
        return os.path.join(self._base, *check_key(key).split("/"))

    def _prepare(self) -> None:
        with self._translated("create", ""):
            fsutil.make_dirs(self._base)

    def _place(self, path: str, fill: Callable[[int], None]) -> None:
        """Write a temp file, flush it, and give it its name in one step."""
        temp, descriptor = self._incoming()
        try:
            try:
                fill(descriptor)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                fsutil.replace(temp, path)
            except FileNotFoundError:
                self._make_folder(os.path.dirname(path))
                fsutil.replace(temp, path)
        except BaseException:
            try:
                fsutil.remove(temp)
            except OSError:
                pass  # the share is gone; the first writer after a week sweeps it
            raise

    def _incoming(self) -> tuple[str, int]:
        folder = os.path.join(self._base, _INCOMING)
        temp = fsutil.temp_name(folder)
        flags = _WRITE | os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(temp, flags, 0o666)
        except FileNotFoundError:
            self._make_folder(folder)
            descriptor = os.open(temp, flags, 0o666)
        if not self._swept:
            self._swept = True
            self._sweep(folder, os.fstat(descriptor).st_mtime)
        return temp, descriptor

    def _make_folder(self, folder: str) -> None:
        """Make a folder below the base, but never the base: it may just not be mounted."""
        if folder == self._base:
            os.stat(folder)
            return
        self._make_folder(os.path.dirname(folder))
        try:
            os.mkdir(folder)
        except FileExistsError:
            return
        fsutil.fsync_dir(os.path.dirname(folder))

    def _sweep(self, folder: str, now: float) -> None:
        """Remove what dead writers left, by the clock of the share itself."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    # Whoever may write to the share may have made the folder a symlink.
                    if not is_temporary(entry.name):
                        continue
                    if entry.stat(follow_symlinks=False).st_mtime < now - _STALE_SECONDS:
                        fsutil.remove(entry.path)
        except OSError:
            pass  # someone else's temp files, or someone else was faster

    def _fill(
        self,
        source: int,
        filled: int,
        size: int,
        key: str,
        target: Path,
        report: Progress,
        stop: Stop,
    ) -> None:
        with self._translated("read", key, writing=str(target)):
            begin = os.fstat(filled).st_size
            check_beginning(begin, size, target)
            report(begin)
            os.lseek(source, begin, os.SEEK_SET)
            os.lseek(filled, begin, os.SEEK_SET)
            try:
                copy(source, filled, begin, size, report, stop)
            except EndedEarlyError:
                raise RemoteUnavailable(f"{self.url}: {key} ended before its size") from None

    def _walk(self, prefix: str) -> Iterator[Stat]:
        waiting = [prefix]
        walked: set[tuple[int, int]] = set()  # symlinks may lead round and round
        while waiting:
            folder = waiting.pop()
            path = os.path.join(self._base, folder)
            try:
                with self._translated("list", folder):
                    place = os.stat(path)
                    entries = [*os.scandir(path)]
            except RemoteObjectMissing:
                continue
            if (place.st_dev, place.st_ino) in walked:
                continue
            walked.add((place.st_dev, place.st_ino))
            for entry in entries:
                key = folder + entry.name
                try:
                    check_key(key)
                    with self._translated("look at", key):
                        found = entry.stat()
                except (ValueError, RemoteObjectMissing):
                    continue  # not ours, or gone since
                if stat_module.S_ISDIR(found.st_mode):
                    waiting.append(key + "/")
                elif stat_module.S_ISREG(found.st_mode):
                    yield _stat(key, found)

    @contextmanager
    def _translated(self, doing: str, key: str, *, writing: str | None = None) -> Iterator[None]:
        """Turn what the system says into what a remote says.

        Args:
            doing: the work, as in "can't read".
            key: what it is about.
            writing: the local file that is being written, if there is one: then
                a full disk is this one.
        """
        try:
            yield
        except LazydataError:
            raise  # NoSpace is an OSError as well
        except OSError as error:
            raise self._error(error, doing, key, writing) from error

    def _error(self, error: OSError, doing: str, key: str, writing: str | None) -> LazydataError:
        what = f"{self.url}: can't {doing} {key or 'the directory'}"
        why = error.strerror or str(error)
        if error.errno in _FULL:
            return NoSpace(
                f"no space left to {'write ' + writing if writing else doing + ' ' + what}",
                path=writing or self._base,
                hint="free some space (or raise the quota) and run it again; nothing was lost",
            )
        if error.errno in _REFUSED:
            return RemoteDenied(
                f"{what}: {why}",
                hint=f"check the owner, the mode and the mount options of {self._base}",
            )
        if error.errno in _ABSENT and doing != "create":
            return self._absent(what, why, key, writing_to_us=doing == "write")
        return RemoteUnavailable(f"{what}: {why}")

    def _absent(self, what: str, why: str, key: str, *, writing_to_us: bool) -> LazydataError:
        """Tell a key that is not there from a share that is not there."""
        try:
            if stat_module.S_ISDIR(os.stat(self._base).st_mode):
                if writing_to_us:  # a folder went away meanwhile: the next attempt makes it
                    return RemoteUnavailable(f"{what}: {why}")
                return RemoteObjectMissing(f"{self.url} has no {key}")
            why = "is not a directory"
        except OSError as error:
            if error.errno in _REFUSED:
                return self._error(error, "look at", "", None)
            why = "is not there" if error.errno in _ABSENT else str(error.strerror)
        return RemoteUnavailable(
            f"{self.url}: {self._base} {why}", hint="is the disk or the share mounted?"
        )


def path_of(url: str) -> str:
    """The local path that a ``file://`` URL names.

    Raises:
        UsageError: it names another host, or no absolute path.

    Example:
        >>> path_of("file:///mnt/my%20share")
        '/mnt/my share'
    """
    from urllib.parse import unquote_to_bytes, urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:  # brackets, where a host would be
        parts = urlsplit("")
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if os.name == "nt":
        path = path.lstrip("/")
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise UsageError(
            f"{shown(url)} does not name a directory of this machine",
            hint="write file:///absolute/path, of a place that is mounted on this machine",
        )
    if not os.path.isabs(path) or "\0" in path or parts.query or parts.fragment:
        raise UsageError(
            f"{shown(url)} is not the URL of a directory",
            hint="write file:///absolute/path, with %3F for ? and %23 for #",
        )
    return os.path.normpath(path)


def _size_of(descriptor: int) -> int:
    found = os.fstat(descriptor)
    if not stat_module.S_ISREG(found.st_mode):  # also a pipe, or a device
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return found.st_size


def _stat(key: str, found: os.stat_result) -> Stat:
    return Stat(key, found.st_size, found.st_mtime)


@contextmanager
def _whole(source: Path) -> Iterator[None]:
    try:
        yield
    except EndedEarlyError:
        raise FileChanged(f"{source} got shorter while it was read") from None


@contextmanager
def _opened(source: Path) -> Iterator[int]:
    with local_file("read", source):
        descriptor = os.open(source, _READ)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
