"""A remote in a directory of another machine, reached over SSH."""

from __future__ import annotations

import asyncio
import os
import re
import stat as stat_module
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from posixpath import dirname

import asyncssh

from lazydata.errors import (
    FileChanged,
    LazydataError,
    RemoteObjectMissing,
    RemoteUnavailable,
)
from lazydata.progress import Progress, attempt
from lazydata.remotes.base import Stat, check_beginning, check_folder, check_key, local_file
from lazydata.remotes.copying import write_all
from lazydata.remotes.sftp_blocks import give_up, receive, send
from lazydata.remotes.sftp_errors import ABSENT, Teller, is_folder, is_lost
from lazydata.remotes.sftp_flushing import FlushingBeside
from lazydata.remotes.sftp_steps import (
    closing,
    entries_of,
    flush,
    flush_folder,
    make_folder,
    quietly,
    rename,
)
from lazydata.remotes.ssh_address import address_of
from lazydata.remotes.ssh_session import Session
from lazydata.remotes.threads import spread

# Temp files lie in one folder, so that what a dead writer left is found and
# removed without a walk. Its name is no key, so nothing ever lists it.
_INCOMING = b".incoming"
_TEMP = re.compile(rb"[0-9a-f]+-[0-9a-f]{16}\.tmp(\.old)?")
_STALE_SECONDS = 7 * 86400
_FLUSHED_AFTER = 32 << 20  # bytes
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_WRITE = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)


_Folder = tuple[list[Stat], list[str]]
_Fill = Callable[[asyncssh.SFTPClient, asyncssh.SFTPClientFile], Awaitable[None]]


@dataclass
class _Part:
    """A put under way, or interrupted.

    Args:
        temp: where its bytes are.
        source: what they come from.
        flushed: how many of them the server has on its disk.
    """

    temp: bytes
    source: object = None
    flushed: int = 0


class SftpRemote:
    """Keys are paths below one directory of the server.

    One connection carries all calls, opened with the first one and again after it was
    lost. Who logs in, and how, is up to ``~/.ssh/config``, the keys and the agent.

    A large put that loses the connection is resumed when this very instance is asked
    again, from what the server had flushed to its disk. Another process never goes on
    with it: it could not know that the bytes are whole, nor that their writer is dead.

    Where the server has no ``posix-rename``, a key that is written again is absent for a
    moment. OpenSSH has it.

    Args:
        url: ``ssh://[user@]host[:port]/absolute/path``, percent-encoded.
        options: none is known.

    Raises:
        UsageError: the URL is not one of a directory on a host.

    Example:
        >>> remote = SftpRemote("ssh://me@example.org/srv/data")
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        address = address_of(url)
        self.url = url
        # A flush is waited for, not worked for: several at once are worth it.
        self.concurrency = 8
        self._base = address.path
        self._session = Session(url, address)
        self._teller = Teller(url, address.path)
        self._swept = False
        self._parts: dict[str, _Part] = {}

    async def prepare(self) -> None:
        """See ``Remote.prepare``."""
        async with self._asking("create", "") as sftp:
            await make_folder(sftp, self.url, self._base, b"/")

    async def put(self, key: str, source: Path, progress: Progress) -> None:
        """See ``Remote.put``."""
        check_key(key)
        with attempt(progress) as report, _opened(source, _READ, "read") as opened:
            stamp = _stamp(opened)
            part = self._parts.pop(key, None)
            if part is None or part.source != stamp:
                part = _Part(self._temp(), stamp)

            def read(begin: int, size: int) -> bytes:
                with local_file("read", source):
                    data = os.pread(opened, size, begin)
                if not data:
                    raise FileChanged(f"{source} got shorter while it was read")
                return data

            async def fill(sftp: asyncssh.SFTPClient, file: asyncssh.SFTPClientFile) -> None:
                size, requests = stamp[2], self._session.requests(sftp)
                report(part.flushed)
                ends = [*range(part.flushed + _FLUSHED_AFTER, size, _FLUSHED_AFTER), size]
                if len(ends) == 1:
                    await send(requests, file, read, part.flushed, size, report)
                    await flush(file)
                    return
                async with FlushingBeside(self._session, part.temp, file) as beside:
                    for begin, end in pairwise([part.flushed, *ends]):
                        await send(requests, file, read, begin, end, report)
                        await beside.begin(partial(setattr, part, "flushed", end))
                    await beside.settle()

            await self._store(key, part, fill)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Remote.put_bytes``."""
        check_key(key)

        async def fill(sftp: asyncssh.SFTPClient, file: asyncssh.SFTPClientFile) -> None:
            requests = self._session.requests(sftp)
            await send(requests, file, lambda at, size: data[at : at + size], 0, len(data))
            await flush(file)

        await self._store(key, _Part(self._temp()), fill)

    async def get(self, key: str, target: Path, progress: Progress) -> None:
        """See ``Remote.get``."""
        check_key(key)
        with attempt(progress) as report:
            async with self._asking("read", key) as sftp, self._reading(sftp, key) as file:
                found = await file.stat()
                if is_folder(found):
                    raise RemoteObjectMissing(f"{self.url} has no {key}: that is a directory")
                size = found.size or 0
                with _opened(target, _WRITE, "write") as filled:
                    begin = _resumed(filled, size, target)
                    report(begin)
                    blocks = receive(self._session.requests(sftp), file, begin, size)
                    async with aclosing(blocks):
                        async for pieces in blocks:
                            with local_file("write", target):
                                write_all(filled, *pieces)
                            begin += (count := sum(map(len, pieces)))
                            report(count)
                if begin < size:
                    raise RemoteUnavailable(f"{self.url}: {key} ended before its size")

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ``Remote.get_range``."""
        check_key(key)
        async with (
            self._asking("read", key) as sftp,
            self._reading(sftp, key) as file,
            aclosing(receive(self._session.requests(sftp), file, start, start + length)) as blocks,
        ):
            return b"".join([piece async for pieces in blocks for piece in pieces])

    async def stat(self, key: str) -> Stat | None:
        """See ``Remote.stat``."""
        check_key(key)
        try:
            async with self._asking("look at", key) as sftp:
                return _stat(key, await sftp.stat(self._teller.path(key)))
        except RemoteObjectMissing:
            return None

    async def list(self, prefix: str) -> AsyncIterator[Stat]:
        """See ``Remote.list``."""
        waiting = [check_folder(prefix)]
        running: set[asyncio.Task[_Folder]] = set()
        followed: set[bytes] = set()  # symlinks may lead round and round
        try:
            while waiting or running:
                while waiting and len(running) < self.concurrency:
                    running.add(asyncio.create_task(self._folder(waiting.pop(), followed)))
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in [each for each in running if each.done()]:
                    found, below = task.result()
                    running.remove(task)
                    waiting += below
                    for each in found:
                        yield each
        finally:
            await give_up(running)

    async def delete(self, keys: Collection[str]) -> None:
        """See ``Remote.delete``."""

        async def one(key: str) -> None:
            try:
                async with self._asking("delete", key) as sftp:
                    await sftp.remove(self._teller.path(key))
            except RemoteObjectMissing:
                pass

        await spread([check_key(key) for key in keys], self.concurrency, one)

    async def close(self) -> None:
        """See ``Remote.close``."""
        await self._session.close()

    @asynccontextmanager
    async def _asking(self, doing: str, key: str) -> AsyncIterator[asyncssh.SFTPClient]:
        """The channel to the server, and what it says turned into what a remote says."""
        sftp = await self._session.sftp()
        async with self._told(sftp, doing, key):
            yield sftp

    @asynccontextmanager
    async def _told(self, sftp: asyncssh.SFTPClient, doing: str, key: str) -> AsyncIterator[None]:
        try:
            yield
        except LazydataError:
            raise  # NoSpace is an OSError as well
        except (asyncssh.Error, OSError) as error:
            if is_lost(error):
                self._session.lost(sftp)
            raise await self._teller.explain(sftp, error, doing, key) from error

    @asynccontextmanager
    async def _reading(
        self, sftp: asyncssh.SFTPClient, key: str
    ) -> AsyncIterator[asyncssh.SFTPClientFile]:
        file = await sftp.open(self._teller.path(key), "rb", block_size=0)
        async with closing(file):
            yield file

    async def _store(self, key: str, part: _Part, fill: _Fill) -> None:
        """Fill a temp file, and give it its name in one step."""
        sftp = None
        try:
            sftp = await self._session.sftp()
            async with self._told(sftp, "write", key):
                file = await self._incoming(sftp, part)
                async with closing(file):
                    await fill(sftp, file)
                await self._place(sftp, part.temp, key)
        except BaseException as error:
            if part.flushed and isinstance(error, RemoteUnavailable):
                self._parts[key] = part
            elif sftp is not None:
                await quietly(sftp.remove(part.temp))
            raise

    def _temp(self) -> bytes:
        name = f"{os.getpid():x}-{os.urandom(8).hex()}.tmp"
        return b"/".join((self._base, _INCOMING, name.encode()))

    async def _incoming(self, sftp: asyncssh.SFTPClient, part: _Part) -> asyncssh.SFTPClientFile:
        """Open the temp file of a put: the one that was begun, or a new one."""
        if part.flushed:
            try:
                file = await sftp.open(part.temp, "r+b", block_size=0)
                if ((await file.stat()).size or 0) >= part.flushed:
                    return file
                await file.close()
            except ABSENT:
                pass
            part.temp, part.flushed = self._temp(), 0
        try:
            file = await sftp.open(part.temp, "xb", block_size=0)
        except ABSENT:
            await make_folder(sftp, self.url, dirname(part.temp), self._base)
            file = await sftp.open(part.temp, "xb", block_size=0)
        if not self._swept:
            self._swept = True
            await self._sweep(sftp, file)
        return file

    async def _sweep(self, sftp: asyncssh.SFTPClient, file: asyncssh.SFTPClientFile) -> None:
        """Remove what dead writers left, by the clock of the server itself."""
        folder = self._base + b"/" + _INCOMING
        try:
            now = (await file.stat()).mtime or 0
            for entry in await entries_of(sftp, self.url, folder):
                # Whoever may write there may have made the folder a symlink.
                if not _TEMP.fullmatch(_name(entry)):
                    continue
                written = entry.attrs.mtime
                if written and written < now - _STALE_SECONDS and not is_folder(entry.attrs):
                    await sftp.remove(folder + b"/" + _name(entry))
        except asyncssh.SFTPError:
            pass  # someone else's temp files, or someone else was faster

    async def _place(self, sftp: asyncssh.SFTPClient, temp: bytes, key: str) -> None:
        path = self._teller.path(key)
        try:
            await rename(sftp, temp, path)
        except ABSENT:
            await make_folder(sftp, self.url, dirname(path), self._base)
            await rename(sftp, temp, path)
        await flush_folder(sftp, dirname(path))

    async def _folder(self, prefix: str, followed: set[bytes]) -> _Folder:
        """The keys right in a folder, and the folders in it.

        Args:
            prefix: of the folder.
            followed: where symlinks to folders led so far, each to be listed once.
        """
        keys: list[Stat] = []
        folders: list[str] = []
        try:
            async with self._asking("list", prefix) as sftp:
                path = self._teller.path(prefix)
                entries = await entries_of(sftp, self.url, path)
                if all(_name(each) != b"." for each in entries):
                    # OpenSSH leaves out, and says nothing of, what it may not look at.
                    await sftp.stat(path.rstrip(b"/") + b"/.")
                for entry in entries:
                    key = prefix + _name(entry).decode("ascii", "replace")
                    found = await self._followed(sftp, key, entry.attrs)
                    if found and is_folder(found):
                        if found is not entry.attrs:
                            real = await sftp.realpath(self._teller.path(key))
                            if real in followed:
                                continue
                            followed.add(real)
                        folders.append(key + "/")
                    elif found and (stat := _stat(key, found)):
                        keys.append(stat)
        except RemoteObjectMissing:
            pass
        return keys, folders

    async def _followed(
        self, sftp: asyncssh.SFTPClient, key: str, found: asyncssh.SFTPAttrs
    ) -> asyncssh.SFTPAttrs | None:
        """What a name in a listing stands for; None if that is nothing of ours."""
        try:
            check_key(key)
            if found.permissions is not None and stat_module.S_ISLNK(found.permissions):
                return await sftp.stat(self._teller.path(key))
        except (ValueError, *ABSENT):
            return None
        return found


def _stat(key: str, found: asyncssh.SFTPAttrs) -> Stat | None:
    if found.permissions is not None and not stat_module.S_ISREG(found.permissions):
        return None
    return Stat(key, found.size or 0, float(found.mtime or 0))


def _name(entry: asyncssh.SFTPName) -> bytes:
    return entry.filename if isinstance(entry.filename, bytes) else entry.filename.encode()


def _stamp(opened: int) -> tuple[int, int, int, int]:
    found = os.fstat(opened)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _resumed(filled: int, size: int, target: Path) -> int:
    """How much of a target is there, with its descriptor at the end of that."""
    with local_file("write", target):
        begin = os.fstat(filled).st_size
        check_beginning(begin, size, target)
        os.lseek(filled, begin, os.SEEK_SET)
    return begin


@contextmanager
def _opened(path: Path, flags: int, doing: str) -> Iterator[int]:
    with local_file(doing, path):
        descriptor = os.open(path, flags, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
