"""The last resort of lazydata 1.x: a URL that the manifest names. A stranger chose the host."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from contextlib import closing
from typing import IO, Any
from urllib.parse import urlsplit

from lazydata.errors import LazydataError
from lazydata.manifest import Version
from lazydata.messages import warn
from lazydata.workspace import Workspace

_SECONDS = 60  # without a byte


def fetch(workspace: Workspace, path: str, version: Version) -> bool:
    """Fetch a version from its ``source_url``; its hash must fit.

    Args:
        workspace: whose store gets it.
        path: of the entry, for messages.
        version: one with a ``source_url``.

    Returns:
        Whether the store has it now; if not, a warning says why.
    """
    try:
        with (
            workspace.store.incoming(version.digest) as temp,
            closing(_opened(version.source_url or "")) as response,
            open(temp, "wb") as file,
        ):
            # One byte more than it may have shows that it is something else.
            left = 1 + (version.size if version.size is not None else 1 << 40)
            while left and (block := response.read(min(left, 1 << 20))):
                left -= file.write(block)
    except (OSError, ValueError, LazydataError, http.client.HTTPException) as error:
        warn(f"{path} could not be had from its source_url: {_why(error)}")
        return False
    return True


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Takes nothing along that was meant for a proxy: the next host may be asked without one."""

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        request = super().redirect_request(*args)
        if request is not None:
            request.remove_header("Proxy-authorization")
        return request


def _opened(url: str) -> IO[bytes]:
    """The answer of a web server; of files on this machine, and other hosts, nothing is read."""
    if "@" in urlsplit(url).netloc:
        raise LazydataError("it holds a user or a password, which is not sent")
    opener = urllib.request.OpenerDirector()
    opener.addheaders = [("User-Agent", "lazydata")]
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    found: IO[bytes] | None = opener.open(url, timeout=_SECONDS)
    if found is None:
        raise LazydataError("it is no http:// or https:// URL")
    return found


def _why(error: Exception) -> str:
    """In words of ours: what a server says, or a URL that can't be read, may be anything."""
    if isinstance(error, LazydataError):
        return error.message
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError):
        error = error.reason
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, http.client.InvalidURL | ValueError):
        return "it is no URL that can be asked for"
    return "the server does not speak as web servers do, or broke off"
