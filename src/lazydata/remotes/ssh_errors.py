"""What to say when nobody could log in."""

from __future__ import annotations

import os
import socket
from shlex import quote

import asyncssh

from lazydata.errors import LazydataError, RemoteDenied, RemoteUnavailable
from lazydata.remotes import ssh_hosts
from lazydata.remotes.ssh_address import Address
from lazydata.remotes.ssh_login import Attempt, Settings, fingerprint

_UNVERIFIED = (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed)
_NO_ENTRY = (asyncssh.PermissionDenied, asyncssh.IllegalUserName)
_NO_COMMON_GROUND = (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported)
_TOO_MANY = "authentication failures"  # what OpenSSH says
_SSHD_CONFIG = "`Subsystem sftp internal-sftp` in the server's sshd_config"


def unusable(url: str, to: Address, error: Exception) -> RemoteDenied:
    """The error for settings that can't be read."""
    return RemoteDenied(
        f"{url}: the SSH settings for {to.host} can't be used: {error}",
        hint=f"mend ~/.ssh/config; `{to.by_hand}` tries them by hand",
    )


def no_login(
    url: str, error: Exception, to: Address, settings: Settings, attempt: Attempt
) -> LazydataError:
    """The error of ours for a login that failed.

    Args:
        url: of the remote.
        error: what asyncssh or the system said.
        to: the host, as it was asked for.
        settings: what the user's configuration says of it.
        attempt: how far it came.
    """
    where = f"{settings.host}, port {settings.port}"
    text = str(error)
    if isinstance(error, _UNVERIFIED) and "host key" in text.lower():
        return _unverified(url, text, to, settings, attempt)
    if isinstance(error, _NO_ENTRY) or _TOO_MANY in text:
        return _no_entry(url, text, to, settings, attempt)
    if isinstance(error, _NO_COMMON_GROUND):
        return RemoteDenied(
            f"{url}: {where}, speaks no SSH that we do: {text}",
            hint=f"`{to.by_hand}` shows whether ssh does",
        )
    if isinstance(error, asyncssh.Error):
        return RemoteUnavailable(f"{url}: {where}, broke off the login: {text}")
    if isinstance(error, socket.gaierror):
        return RemoteUnavailable(
            f"{url}: the name {settings.host} can't be resolved: {error.strerror}",
            hint="is it spelled right, and are you online?",
        )
    if isinstance(error, TimeoutError):
        return RemoteUnavailable(
            f"{url}: {where}, does not answer",
            hint="is it switched on, and does a firewall or a VPN stand between?",
        )
    if isinstance(error, OSError):
        why = os.strerror(error.errno) if error.errno else text
        return RemoteUnavailable(f"{url}: can't connect to {where}: {why}")
    return unusable(url, to, error)


def no_sftp(url: str, to: Address, error: Exception) -> LazydataError:
    """The error for a server that lets us in but gives us no SFTP."""
    if isinstance(error, asyncssh.DisconnectError | TimeoutError | ConnectionError):
        return RemoteUnavailable(f"{url}: the connection was lost: {error}")
    return RemoteDenied(
        f"{url}: the server lets us in, but offers no SFTP ({error or 'it said something else'})",
        hint=f"it needs {_SSHD_CONFIG}, and no start-up file that prints something; "
        f"`{to.by_hand} true` must print nothing",
    )


def _unverified(
    url: str, text: str, to: Address, settings: Settings, attempt: Attempt
) -> RemoteDenied:
    port = settings.port
    shown = "a key that was revoked" if "revoked" in text else fingerprint(attempt.host_key)
    host_keys, signers, _ = settings.known.of(settings.name, port)
    if host_keys or signers or "revoked" in text:
        return ssh_hosts.changed(url, settings.host, port, shown)
    direct = not settings.jumps and settings.wire and settings.name == settings.host
    by_hand = "" if direct else to.by_hand
    return ssh_hosts.unknown(url, settings.host, port, shown, settings.known.file, by_hand)


def _no_entry(
    url: str, text: str, to: Address, settings: Settings, attempt: Attempt
) -> RemoteDenied:
    tried = ", ".join(attempt.tried) or "nothing that the server takes"
    locked = [*attempt.still_locked, *attempt.locked]
    asked = attempt.questions.may_ask
    hint = f"`{to.by_hand}` shows whether ssh can log in, and `ssh-add -l` what the agent has"
    if _TOO_MANY in text:
        hint = "too many keys were offered: name the right one in ~/.ssh/config, with "
        hint += "`IdentityFile` and `IdentitiesOnly yes`"
    elif attempt.unopened:
        hint = f"unlock the key for the agent first: `ssh-add {quote(attempt.unopened)}`"
    elif locked and not asked:
        hint = (
            f"a key needs its passphrase, and nobody is there to ask: `ssh-add {quote(locked[0])}`"
        )
    elif not asked and {"password", "keyboard-interactive"} & {*attempt.tried}:
        hint = (
            "nobody is there to ask for a password: run lazydata in a terminal, "
            f"or set up a key: `{to.by_hand.replace('ssh ', 'ssh-copy-id ', 1)}`"
        )
    return RemoteDenied(
        f"{url}: {settings.host} does not let {settings.user} in (tried: {tried})", hint=hint
    )
