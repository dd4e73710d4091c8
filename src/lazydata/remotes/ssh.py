"""The way to ``SftpRemote`` that does not wait for a compiler.

asyncssh asks, once it is imported, for a library that hardly anybody has (liboqs, for key
exchanges that it can do without). ``ctypes`` looks in the loader's list for it, then has gcc and
ld look too, which takes 40 ms: as much as a login.
"""

from __future__ import annotations

import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _only_the_loaders_list() -> Iterator[None]:
    found = ctypes.util.find_library
    ctypes.util.find_library = getattr(ctypes.util, "_findSoname_ldconfig", found)
    try:
        yield
    finally:
        ctypes.util.find_library = found


with _only_the_loaders_list():
    from lazydata.remotes.sftp import SftpRemote

__all__ = ["SftpRemote"]
