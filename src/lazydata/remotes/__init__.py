"""Where remotes are: what a user typed, the URL in the manifest, and what answers to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lazydata.errors import UsageError

if TYPE_CHECKING:
    from lazydata.remotes.base import Remote

# Names, not classes: an SDK is imported when a remote of its kind is opened.
SCHEMES = {
    "file": "lazydata.remotes.file:FileRemote",
    "s3": "lazydata.remotes.s3:S3Remote",
    "ssh": "lazydata.remotes.sftp:SftpRemote",
}


def open_remote(
    url: str, options: Mapping[str, str] | None = None, *, jobs: int | None = None
) -> Remote:
    """The remote that a URL names, one that tries again what may pass.

    Nothing is asked of it yet, and the URL may name a place that is not there.

    Args:
        url: as the manifest has it.
        options: the other keys the manifest has for it.
        jobs: how many calls at once; by default what fits the kind of remote.

    Raises:
        UsageError: no backend for such a URL.

    Example:
        >>> open_remote("file:///mnt/share").url
        'file:///mnt/share'
    """
    from importlib import import_module

    from lazydata.remotes.wrappers import Retrying

    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in sorted(SCHEMES))
        raise UsageError(
            f"{url}: no such kind of remote", hint=f"remotes of this lazydata begin with {known}"
        )
    module, _, name = SCHEMES[scheme].partition(":")
    remote: Remote = getattr(import_module(module), name)(url, dict(options or {}))
    if jobs is not None:
        remote.concurrency = max(1, jobs)
    return Retrying(remote)


def url_of(argument: str, cwd: str) -> str:
    """The URL to write into a manifest for what a user typed.

    Args:
        argument: a path, absolute or not, with ``~`` or not; or a URL.
        cwd: the absolute directory that a relative path means.

    Raises:
        UsageError: it holds a secret, which a manifest must not; it names a
            file on another host; or it is no URL at all.

    Example:
        >>> url_of("../my data", "/home/me/project")
        'file:///home/me/my%20data'
        >>> url_of("S3://bucket/lazydata/", "/")
        's3://bucket/lazydata'
    """
    if not argument.strip() or any(ord(each) < 32 for each in argument):
        raise UsageError("a remote needs a path or a URL", hint="such as file:///srv/share")
    if "://" not in argument:
        return _url_of_path(argument, cwd)
    scheme, _, rest = argument.partition("://")
    url = f"{scheme.lower()}://{rest}"
    if scheme.lower() == "file":
        from lazydata.remotes.file import path_of

        return _url_of_path(path_of(url), cwd)
    return _checked(url)


def _url_of_path(argument: str, cwd: str) -> str:
    from pathlib import Path

    head = argument.partition(":")[0]
    if "@" in head and head != argument and os.sep not in head and "/" not in head:
        raise UsageError(
            f"{argument} is a path on another machine, as scp writes it",
            hint=f"write it as a URL: ssh://{head}{_absolute(argument.partition(':')[2])}",
        )
    path = os.path.normpath(os.path.join(cwd, os.path.expanduser(argument)))
    return Path(path).as_uri()


def _absolute(path: str) -> str:
    from urllib.parse import quote

    return quote(path) if path.startswith("/") else f"/ABSOLUTE/PATH/OF/{quote(path)}"


def _checked(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError:
        # What could not be read may be a secret: it is not repeated.
        raise UsageError(
            "the remote's URL can't be read", hint="write scheme://host/path, without any secret"
        ) from None
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.password is not None or (parts.username is not None and parts.scheme == "s3"):
        # The message must not repeat it either: it would end up in logs.
        raise UsageError(
            f"{where}: the URL holds a secret, and a manifest is for everyone to read",
            hint="leave it out: credentials come from the usual places of the service",
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise UsageError(
            f"{where}: a remote's URL has no part after ? or #",
            hint="write %3F for ? and %23 for #; no token belongs into a URL",
        )
    if not host:
        raise UsageError(f"{where}: the URL names no host or bucket")
    if parts.scheme == "ssh":
        from lazydata.remotes.ssh_address import address_of

        address_of(url)
    return url.rstrip("/")
