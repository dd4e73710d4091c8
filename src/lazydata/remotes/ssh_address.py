"""What an ``ssh://`` URL names; nothing is asked of anyone here."""

from __future__ import annotations

import re
from typing import NamedTuple

from lazydata.errors import UsageError

# The user's ssh configuration may put host and user into a command line. What has a
# meaning there, to a shell or to ssh, is kept out: a manifest may be a stranger's.
_HOST = re.compile(r"\w[\w.-]*")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\w[\w.-]*)?")
_USER = re.compile(r"[\w.+][\w.+@-]*(\\[\w.+][\w.+@-]*)?")
_ALIAS = "give it a name of its own in ~/.ssh/config (Host, HostName, User) and use that"
_FORM = "write ssh://user@host:port/absolute/path"


class Address(NamedTuple):
    """A directory on a host.

    Args:
        host: a name, an alias of the user's ssh configuration, or an IP address.
        user: None to leave it to the configuration.
        port: None to leave it to the configuration.
        path: absolute, without a ``/`` at its end.
    """

    host: str
    user: str | None
    port: int | None
    path: bytes

    @property
    def by_hand(self) -> str:
        """The shell command that logs in there."""
        from shlex import quote

        who = f"{self.user}@{self.host}" if self.user else self.host
        return f"ssh -p {self.port} {quote(who)}" if self.port else f"ssh {quote(who)}"


def address_of(url: str) -> Address:
    """Read the URL of a remote.

    What stands before the path is not repeated by any message: it may hold a secret.

    Args:
        url: ``ssh://[user@]host[:port]/path``, percent-encoded.

    Raises:
        UsageError: it is none, or has a part that might be taken for something else.

    Example:
        >>> address_of("ssh://me@[::1]:2222/my%20data")
        Address(host='::1', user='me', port=2222, path=b'/my data')
    """
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    login, at, where = place.rpartition("@")
    if scheme != "ssh":
        raise UsageError("that is no ssh:// URL", hint=_FORM)
    host, port = _host_and_port(where)
    return Address(host, _user(login) if at else None, port, _path(slash + path))


def _host_and_port(where: str) -> tuple[str, int | None]:
    from urllib.parse import unquote

    if where.startswith("["):
        host, closed, colon_port = where[1:].partition("]")
        host = unquote(host)
        right = bool(closed and _IPV6.fullmatch(host))
    else:
        host, colon, port = where.partition(":")
        colon_port = colon + port
        right = bool(_HOST.fullmatch(host))
    if not right:
        raise UsageError(
            "the URL of an SSH remote names no host that can be used",
            hint=f"{_FORM}; for another name, {_ALIAS}",
        )
    number = colon_port[1:]
    if not colon_port:
        return host, None
    if not (colon_port[0] == ":" and re.fullmatch(r"[0-9]{1,5}", number)) or not (
        0 < int(number) < 65536
    ):
        raise UsageError("the port of an SSH remote is a number from 1 to 65535", hint=_FORM)
    return host, int(number)


def _user(login: str) -> str:
    from urllib.parse import unquote

    if ":" in login:
        raise UsageError(
            "the URL of an SSH remote holds a password, and a manifest is for everyone to read",
            hint="leave it out: keys, the agent and ~/.ssh/config are used, or you are asked",
        )
    user = unquote(login)
    if not _USER.fullmatch(user):
        raise UsageError(
            "the URL of an SSH remote names a user that can't be used there", hint=_ALIAS
        )
    return user


def _path(encoded: str) -> bytes:
    from urllib.parse import unquote_to_bytes

    if "?" in encoded or "#" in encoded:
        raise UsageError(
            "the URL of an SSH remote has no part after ? or #",
            hint="write %3F for ? and %23 for #",
        )
    path = unquote_to_bytes(encoded).rstrip(b"/")
    if any(each < 32 or each == 127 for each in path):
        raise UsageError(
            "the path of an SSH remote holds a control character", hint="rename the directory"
        )
    first = path[1:].split(b"/")[0]
    if not path or first.startswith(b"~") or first == b".":
        raise UsageError(
            "an SSH remote needs the absolute path of a directory",
            hint=f"{_FORM}; `ssh HOST pwd` says where your home is",
        )
    if b"/-" in path:
        raise UsageError(
            "a directory in the path of an SSH remote begins with -", hint="rename the directory"
        )
    return path
