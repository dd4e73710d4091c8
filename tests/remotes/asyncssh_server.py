"""asyncssh's own server: it takes passwords, can lack what OpenSSH has, and is there always."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import openssh


class Server(openssh.Server):
    """The same as ``openssh.Server``, in a thread.

    Args:
        folder: see there.
        name: see there.
        passwords: of users that may log in with one; None for keys only.
        questions: what users are asked besides, by keyboard-interactive, and the answers.
        sftp: what answers SFTP; None for a server without it.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "asyncssh",
        *,
        passwords: dict[str, str] | None = None,
        questions: dict[str, str] | None = None,
        sftp: Callable[..., asyncssh.SFTPServer] | None = asyncssh.SFTPServer,
    ) -> None:
        self.offered: list[str] = []
        self._passwords = passwords
        self._questions = questions or {}
        self._sftp = sftp
        self._connections: list[asyncssh.SSHServerConnection] = []
        super().__init__(folder, name)

    def run(self) -> None:
        """Start it, on the port it had before."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asyncssh server")
        self._thread.start()
        self._acceptor = self._do(self._listen())

    def drop(self) -> None:
        """Cut every connection; new ones are welcome."""
        self._do(self._abort())

    def stop(self) -> None:
        """End it, and every connection with it."""
        if self._thread.is_alive():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> asyncssh.SSHAcceptor:
        outer = self

        class Door(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                outer._connections.append(conn)

            def password_auth_supported(self) -> bool:
                return outer._passwords is not None and not outer._questions

            def validate_password(self, username: str, password: str) -> bool:
                outer.offered.append(password)
                return (outer._passwords or {}).get(username) == password

            def kbdint_auth_supported(self) -> bool:
                return bool(outer._questions)

            def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
                return "", "", "", [(question, False) for question in outer._questions]

            def validate_kbdint_response(self, username: str, responses: Any) -> bool:
                outer.offered += responses
                return [*responses] == [*outer._questions.values()]

        return await asyncssh.listen(
            self.host,
            self.port,
            server_factory=Door,
            server_host_keys=[str(self._host_key)],
            authorized_client_keys=None if self._passwords is not None else f"{self.key}.pub",
            sftp_factory=self._sftp,
            agent_forwarding=False,
        )

    async def _abort(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(each.wait_closed() for each in connections))

    async def _end(self) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()
        await self._abort()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
