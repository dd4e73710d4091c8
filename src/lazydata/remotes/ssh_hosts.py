"""Host keys: which are known, and what to say of one that is not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from shlex import quote

import asyncssh

from lazydata.errors import RemoteDenied

USUAL = "~/.ssh/known_hosts"
_OF_USER = (USUAL, "~/.ssh/known_hosts2")
_OF_SYSTEM = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_USUAL_PORT = 22
_KINDS = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)


class KnownHosts:
    """The keys that the user, or who runs this machine, vouches for.

    Unlike asyncssh and like ssh, a line that can't be read and a file that is not there
    count for nothing, and a host is known by the name that is asked for only.

    Args:
        of_user: files, as ``UserKnownHostsFile`` has them; None for the usual ones.
        of_system: files, as ``GlobalKnownHostsFile`` has them; None for the usual ones.
        tokens: what ``%h`` and so on mean in their names.
    """

    def __init__(
        self,
        of_user: Sequence[str] | None,
        of_system: Sequence[str] | None,
        tokens: Mapping[str, str],
    ) -> None:
        user = _OF_USER if of_user is None else of_user
        system = _OF_SYSTEM if of_system is None else of_system
        self.file = user[0] if user else USUAL
        self._known = asyncssh.SSHKnownHosts()
        for name in (*user, *system):
            self._load(os.path.expanduser(_expanded(name, tokens)))

    def __call__(
        self, host: str, address: str, port: int | None
    ) -> tuple[Sequence[asyncssh.SSHKey], ...]:
        """The keys of a host, of those who may sign such keys, and those revoked."""
        host_keys, signers, revoked, *_ = self._known.match(host, "", port)
        return tuple(host_keys), tuple(signers), tuple(revoked)

    def of(self, host: str, port: int) -> tuple[Sequence[asyncssh.SSHKey], ...]:
        """The same, for any port."""
        return self(host, "", None if port == _USUAL_PORT else port)

    def kinds(self, host: str, port: int) -> Sequence[str]:
        """Algorithms to ask a host for: those of its known keys first.

        The others as well: a host that has no such key any more would else just hang up,
        and nobody would learn that its key is another one.
        """
        keys, signers, _ = self.of(host, port)
        if signers or not keys:
            return ()
        known = [each.decode() for key in keys for each in key.sig_algorithms]
        return [*dict.fromkeys([*known, *_KINDS])]

    def _load(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    try:
                        self._known.load(line)
                    except ValueError:
                        continue
        except OSError:
            pass


def unknown(url: str, host: str, port: int, shown: str, file: str, by_hand: str) -> RemoteDenied:
    """The error for a host that nobody vouched for.

    Args:
        url: of the remote.
        host: its address, as ``known_hosts`` has it.
        port: on that host.
        shown: the fingerprint of the key that it showed.
        file: where the key has to be written.
        by_hand: a command that shows and writes it, where ssh-keyscan does not get there.
    """
    where = USUAL if file == USUAL else quote(os.path.expanduser(file))
    scan = by_hand or f"ssh-keyscan -p {port} {quote(host)} >> {where}"
    return RemoteDenied(
        f"{url}: the host key of {host}, port {port}, is not known: {shown}",
        hint=f"compare this fingerprint with what the owner of the server says, then: {scan}",
    )


def changed(url: str, host: str, port: int, shown: str) -> RemoteDenied:
    """The error for a host that shows another key than the known one."""
    return RemoteDenied(
        f"{url}: the host key of {host}, port {port}, IS NOT THE ONE THAT IS KNOWN: {shown}. "
        "Somebody may stand between you and the server; nothing was sent",
        hint="ask whoever runs the server whether it has a new key, and compare the fingerprint; "
        "until then treat this as an attack",
    )


def _expanded(name: str, tokens: Mapping[str, str]) -> str:
    return re.sub("%(.)", lambda found: tokens.get(found[1], found[0]), name)
