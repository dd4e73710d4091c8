"""Logging in to one SSH server as the user's own settings say, and asking where they must be asked.

The user's ``~/.ssh/config`` is trusted, also where it runs programs; a URL is not, and
what of it may get there is checked in ``ssh_address``.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import asyncssh

from lazydata.remotes import base, ssh_hosts
from lazydata.remotes.ssh_address import Address
from lazydata.remotes.ssh_wire import Wire
from lazydata.remotes.threads import in_thread

_CONNECT_SECONDS = 15.0
_ALIVE_SECONDS, _ALIVE_MISSES = 15, 3
_FASTEST = "aes128-gcm@openssh.com"
_ANSWERS = 3  # to one question: the first one, and two more
_LASTING = re.compile("password|passphrase", re.IGNORECASE)
_ONCE = re.compile("one.?time|otp|token|code", re.IGNORECASE)
_USUAL_KEYS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")


@dataclass
class Settings:
    """What the user's configuration says of one host.

    Args:
        host: its address.
        name: under which its key is known.
        port: on that host.
        user: to log in as.
        jumps: hosts to go through, the first one first.
        wire: what connects; None if a program does.
        seconds: that connecting may take.
        known: the keys it may show.
        locked: key files that need a passphrase.
        more: further arguments of ``asyncssh.connect``.
    """

    host: str
    name: str
    port: int
    user: str
    jumps: list[Address]
    wire: Wire | None
    seconds: float
    known: ssh_hosts.KnownHosts
    locked: list[str]
    more: dict[str, Any]


class Questions:
    """Asks the user, and knows the passwords that were right for the next time."""

    def __init__(self) -> None:
        self._right: dict[str, str] = {}
        self._given: dict[str, str] = {}

    @property
    def may_ask(self) -> bool:
        """Whether there is anybody to ask."""
        return base.prompt is not None

    async def ask(self, question: str) -> str | None:
        """The answer; None if there is none to be had.

        Args:
            question: shown as it is.
        """
        answer = self._right.pop(question, None)
        if answer is None and base.prompt is not None:
            try:
                answer = await in_thread(base.prompt, question)
            except (EOFError, OSError):
                return None  # the terminal went away
        if answer is not None:
            self._given[question] = answer
        return answer

    def were_right(self) -> None:
        """Remember the last answers, but none that is good for one time only."""
        self._right = {
            question: answer
            for question, answer in self._given.items()
            if _LASTING.search(question) and not _ONCE.search(question)
        }


@dataclass(eq=False)
class Attempt(asyncssh.SSHClient):
    """One login: what the server asked for, and what came of it.

    Args:
        settings: what the user's configuration says of the host.
        questions: who is asked.
    """

    settings: Settings
    questions: Questions
    tried: list[str] = field(default_factory=list)
    host_key: asyncssh.SSHKey | None = None
    still_locked: list[str] = field(default_factory=list)
    unopened: str = ""
    _asked: int = 0
    _limit: asyncio.Timeout | None = None

    def __post_init__(self) -> None:
        self.locked = [*self.settings.locked]  # tried when all other keys were refused
        self._who = f"{self.settings.user}@{self.settings.host}"

    async def connect(
        self, to: Address, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        """Connect and log in.

        Args:
            to: the host, as it was asked for.
            tunnel: a connection to go through.

        Raises:
            asyncssh.Error, OSError, ValueError: it did not work.
        """
        async with asyncio.timeout(self.settings.seconds) as self._limit:
            try:
                return await asyncssh.connect(
                    to.host,
                    to.port or (),
                    username=to.user or (),
                    tunnel=tunnel or self.settings.wire,
                    client_factory=lambda: self,
                    known_hosts=self.settings.known,
                    compression_algs=None,
                    keepalive_interval=_ALIVE_SECONDS,
                    keepalive_count_max=_ALIVE_MISSES,
                    connect_timeout=None,  # the time in which the user thinks must not count
                    agent_forwarding=False,
                    x11_forwarding=False,
                    command=None,
                    request_pty=False,
                    **self.settings.more,
                )
            finally:
                self._limit = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Asked for a key that is not known: remember it for the message, and refuse."""
        self.host_key = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """The same for the key of who signed a host's certificate."""
        self.host_key = key
        return False

    async def public_key_auth_requested(self) -> Any:
        """Asked when the agent's keys and those without a passphrase were refused."""
        self._tries("public key")
        while self.locked:
            path = self.locked.pop(0)
            keys = await self._unlock(path)
            if keys:
                return keys
            self.still_locked.append(path)
        return None

    async def password_auth_requested(self) -> str | None:
        """Asked again for as long as passwords are refused."""
        self._tries("password")
        return await self._password(f"Password for {self._who}: ")

    def kbdint_auth_requested(self) -> str | None:
        """Whether the server may put questions of its own."""
        self._tries("keyboard-interactive")
        return "" if self.questions.may_ask else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Questions of the server's own."""
        answers = []
        for text, _ in prompts:
            printable = "".join(each for each in text if each.isprintable())
            answer = await self._password(f"{self._who}: {printable}")
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _unlock(self, path: str) -> Any:
        for _ in range(_ANSWERS):
            passphrase = await self._ask(f"Passphrase for {path}: ")
            if passphrase is None:
                return None
            try:
                return await in_thread(asyncssh.load_keypairs, path, passphrase)
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError) as error:
                if "bcrypt" in str(error):
                    self.unopened = path
                    return None
        return None

    async def _password(self, question: str) -> str | None:
        self._asked += 1
        return await self._ask(question) if self._asked <= _ANSWERS else None

    async def _ask(self, question: str) -> str | None:
        """Ask, and let the time not run while the user thinks."""
        if self._limit is None:
            return None
        self._limit.reschedule(None)
        answer = await self.questions.ask(question)
        if self._limit is not None:  # the connection may be gone by now
            self._limit.reschedule(asyncio.get_running_loop().time() + self.settings.seconds)
        return answer

    def _tries(self, method: str) -> None:
        if method not in self.tried:
            self.tried.append(method)


def settings_of(to: Address) -> Settings:
    """Read what the user's configuration says of a host; blocks while it reads.

    Raises:
        ValueError, OSError: it can't be used.
    """
    told = asyncssh.SSHClientConnectionOptions(
        config=(), host=to.host, username=to.user or (), port=to.port or (), client_keys=None
    )
    name = told.host_key_alias or told.host
    tokens = {
        "%": "%",
        "d": os.path.expanduser("~"),
        "h": told.host,
        "k": name,
        "n": to.host,
        "p": str(told.port),
        "r": told.username,
        "u": getpass.getuser(),
    }
    keys, locked, more = _keys(told)
    known = ssh_hosts.KnownHosts(
        cast("Sequence[str] | None", told.config.get("UserKnownHostsFile")),
        cast("Sequence[str] | None", told.config.get("GlobalKnownHostsFile")),
        tokens,
    )
    if not told.config.get("Ciphers"):
        more["encryption_algs"] = f"^{_FASTEST}"
    if not told.config.get("HostKeyAlgorithms"):
        more["server_host_key_algs"] = known.kinds(name, told.port)
    return Settings(
        told.host,
        name,
        told.port,
        told.username,
        jumps=_jumps(cast("str | None", told.tunnel) or ""),
        wire=None if told.proxy_command else Wire(told.family, told.local_addr),
        seconds=float(cast("float | None", told.config.get("ConnectTimeout")) or _CONNECT_SECONDS),
        known=known,
        locked=locked,
        more={"client_keys": keys, **more},
    )


def _jumps(text: str) -> list[Address]:
    """The hosts of a ``ProxyJump``: ``[user@]host[:port]`` or URLs of them."""
    found = []
    for each in filter(None, text.split(",")):
        user, _, where = each.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
        host, colon, port = where.rpartition(":")
        if not colon or where.endswith("]"):
            host, port = where, ""
        found.append(Address(host.strip("[]"), user or None, int(port) if port else None, b""))
    return found


def _keys(
    told: asyncssh.SSHClientConnectionOptions,
) -> tuple[list[Any], list[str], dict[str, Any]]:
    """Keys that are ready, key files that are locked, and what follows for the agent.

    asyncssh would give up over a key file that is not there, and with ``IdentitiesOnly``
    would not find in the agent what lies locked on disk.
    """
    named = cast("Sequence[str] | None", told.config.get("IdentityFile"))
    files = [f"~/.ssh/{each}" for each in _USUAL_KEYS] if named is None else named
    ready: list[Any] = []
    locked: list[str] = []
    public: list[asyncssh.SSHKey] = []
    for path in map(os.path.expanduser, files):
        try:
            ready += asyncssh.load_keypairs(path)
        except OSError:
            pass
        except ValueError as error:
            if str(error).startswith("Passphrase"):
                locked.append(path)
        public += _public_key(path)
    more: dict[str, Any] = {}
    if told.config.get("IdentitiesOnly"):
        more = {"agent_identities": public} if public else {"agent_path": None}
    return ready, locked, more


def _public_key(path: str) -> list[asyncssh.SSHKey]:
    for name in (f"{path}.pub", path):
        try:
            return [asyncssh.read_public_key(name)]
        except (OSError, ValueError):
            continue
    return []


def fingerprint(key: asyncssh.SSHKey | None) -> str:
    """A host key as ssh shows it."""
    return f"{key.algorithm.decode()} {key.get_fingerprint()}" if key else "a key of another kind"
