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
    "ssh": "lazydata.remotes.ssh:SftpRemote",
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

    scheme = _scheme_of(url)
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
    scheme = _scheme_of(argument)
    url = f"{scheme}://{argument.partition('://')[2]}"
    if scheme == "file":
        from lazydata.remotes.file import path_of

        return _url_of_path(path_of(url), cwd)
    return _checked(url)


def _scheme_of(url: str) -> str:
    if any(0xD800 <= ord(each) < 0xE000 for each in url):
        raise UsageError(
            "the remote's URL is not valid Unicode", hint="write each byte of the path as %XX"
        )
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in sorted(SCHEMES))
        where = "a remote's URL" if set(url) & set("@?#") else url  # it may hold a secret
        raise UsageError(
            f"{where}: no such kind of remote", hint=f"remotes of this lazydata begin with {known}"
        )
    return scheme


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

    quoted = quote(os.fsencode(path))
    return quoted if path.startswith("/") else f"/ABSOLUTE/PATH/OF/{quoted}"


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
    if parts.password is not None or (parts.username is not None and parts.scheme == "s3"):
        # The message must not repeat it either: it would end up in logs. Nor the path, which
        # may begin in the middle of a secret with a slash in it.
        raise UsageError(
            f"{parts.scheme}://{host}: the URL holds a secret, and a manifest is for everyone",
            hint="leave it out: credentials come from the usual places of the service",
        )
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise UsageError(  # not repeated: where one was in a password, the host is part of that
            "a remote's URL has no part after ? or #",
            hint="write %3F for ? and %23 for #; no token belongs into a URL",
        )
    if not host:
        raise UsageError(f"{url}: the URL names no host or bucket")
    if parts.scheme == "ssh":
        from lazydata.remotes.ssh_address import address_of

        address_of(url)
    return url.rstrip("/")
