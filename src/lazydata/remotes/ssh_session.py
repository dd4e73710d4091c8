"""One SSH connection that is opened when it is needed, and again when it was lost."""

from __future__ import annotations

import asyncio
import logging
import os

import asyncssh

from lazydata.errors import RemoteDenied
from lazydata.remotes import ssh_errors
from lazydata.remotes.sftp_requests import Requests
from lazydata.remotes.ssh_address import Address
from lazydata.remotes.ssh_login import Attempt, Questions, Settings, settings_of
from lazydata.remotes.ssh_wire import unpadded
from lazydata.remotes.threads import in_thread

_GOODBYE_SECONDS = 2.0
_CHANNEL_SECONDS = 15.0
_STEP = 0.01  # seconds
_MOST_JUMPS = 8
# Without a handler of its own its warnings would go to stderr.
logging.getLogger("asyncssh").addHandler(logging.NullHandler())


class Session:
    """SFTP over one connection, for all calls of one remote.

    One channel is enough: with one, both ends are busy, and it may have as much in flight
    as ``sftp`` and ``rsync``. A forked child opens a connection of its own.

    Args:
        url: of the remote, for messages.
        address: where to log in.
    """

    def __init__(self, url: str, address: Address) -> None:
        self._url = url
        self._address = address
        self._questions = Questions()
        self._home: tuple[int, object] = (0, None)
        self._inherited: list[object] = []
        self._begin()

    def _begin(self) -> None:
        self._opening = asyncio.Lock()
        self._hops: list[asyncssh.SSHClientConnection] = []
        self._sftp: asyncssh.SFTPClient | None = None
        self._requests: Requests | None = None
        self._guard: asyncio.Task[None] | None = None

    async def sftp(self) -> asyncssh.SFTPClient:
        """The channel, opened if there is none that works.

        Raises:
            RemoteUnavailable, RemoteDenied: nobody answers, or we may not come in.
        """
        home = (os.getpid(), asyncio.get_running_loop())
        if home != self._home:
            if home[0] != self._home[0]:
                # What a fork inherits is its parent's: to let it be collected is to end it.
                self._inherited += self._hops, self._sftp, self._guard
            self._begin()
            self._home = home
        async with self._opening:
            if self._sftp is None or any(hop.is_closed() for hop in self._hops):
                await self._let_go()
                self._sftp = await self._open()
            return self._sftp

    def requests(self, sftp: asyncssh.SFTPClient) -> Requests:
        """What reads and writes by a channel that ``sftp`` gave.

        Raises:
            asyncssh.SFTPConnectionLost: it is no more.
        """
        if sftp is not self._sftp or self._requests is None:
            raise asyncssh.SFTPConnectionLost("the connection was lost meanwhile")
        return self._requests

    async def another(self) -> asyncssh.SFTPClient:
        """One more channel, which has a process of its own on the server.

        Raises:
            asyncssh.Error, OSError, EOFError: the server gives no more than one, or is gone.
        """
        async with asyncio.timeout(_CHANNEL_SECONDS):
            return await self._hops[-1].start_sftp_client()

    def lost(self, sftp: asyncssh.SFTPClient) -> None:
        """Say that a channel does not work any more; the next call gets a new one."""
        if sftp is self._sftp:
            self._sftp = None

    async def close(self) -> None:
        """Let go of the connection."""
        if self._home == (os.getpid(), asyncio.get_running_loop()):
            async with self._opening:
                await self._let_go()

    async def _let_go(self) -> None:
        hops, self._hops, self._sftp, self._requests = self._hops, [], None, None
        guard, self._guard = self._guard, None
        for hop in reversed(hops):
            program = hop.get_extra_info("subprocess")  # of a ProxyCommand
            hop.close()
            try:
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await hop.wait_closed()
                    while program is not None and program.returncode is None:
                        await asyncio.sleep(_STEP)  # some versions of asyncssh don't wait
            except TimeoutError:
                hop.abort()
        if guard is not None:
            guard.cancel()
            await asyncio.wait([guard])

    async def _end_with_the_loop(self, hops: list[asyncssh.SSHClientConnection]) -> None:
        """Hold the connection: it must not outlive the loop, also where nobody closes it."""
        pid = os.getpid()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for hop in reversed(hops if os.getpid() == pid else []):
                hop.abort()

    async def _open(self) -> asyncssh.SFTPClient:
        self._guard = asyncio.create_task(self._end_with_the_loop(self._hops))
        try:
            await self._reach(self._address, 0)
            self._questions.were_right()
            return await self._start_sftp()
        except BaseException:
            await self._let_go()
            raise

    async def _reach(self, to: Address, depth: int) -> None:
        """Connect to a host, through others where the user's settings say so.

        As with ssh, only the first of several jump hosts may need one itself.
        """
        settings = await self._settings(to)
        if settings.jumps and depth == _MOST_JUMPS:
            raise RemoteDenied(
                f"{self._url}: the jump hosts for {to.host} never come to an end",
                hint="give the jump host an entry with `ProxyJump none` in ~/.ssh/config",
            )
        for number, jump in enumerate(settings.jumps):
            if number:
                await self._hop(jump, await self._settings(jump))
            else:
                await self._reach(jump, depth + 1)
        await self._hop(to, settings)

    async def _hop(self, to: Address, settings: Settings) -> None:
        tunnel = self._hops[-1] if self._hops else None
        attempt = Attempt(settings, self._questions)
        try:
            connection = await attempt.connect(to, tunnel)
        except (asyncssh.Error, OSError, ValueError) as error:
            raise ssh_errors.no_login(self._url, error, to, settings, attempt) from error
        unpadded(connection)
        self._hops.append(connection)

    async def _settings(self, to: Address) -> Settings:
        try:
            return await in_thread(settings_of, to)
        except (ValueError, OSError, KeyError) as error:
            raise ssh_errors.unusable(self._url, to, error) from error

    async def _start_sftp(self) -> asyncssh.SFTPClient:
        try:
            async with asyncio.timeout(_CHANNEL_SECONDS):
                sftp = await self._hops[-1].start_sftp_client()
            self._requests = Requests(self._hops[-1], sftp)
            return sftp
        except (asyncssh.Error, EOFError, OSError) as error:
            raise ssh_errors.no_sftp(self._url, self._address, error) from error
