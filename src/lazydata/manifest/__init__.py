"""Reading and editing ``lazydata.yml``: which versions each path has, and where copies are."""

from __future__ import annotations

from lazydata.errors import ManifestInvalid
from lazydata.manifest.edit import add_usage, record, remove, remove_remote, set_remote
from lazydata.manifest.model import NAME, Entry, Manifest, RemoteSpec, Version, View
from lazydata.manifest.text import scan
from lazydata.manifest.view import MemoryView

__all__ = [
    "NAME",
    "TEMPLATE",
    "Entry",
    "Manifest",
    "MemoryView",
    "RemoteSpec",
    "Version",
    "View",
    "add_usage",
    "decode",
    "read",
    "record",
    "remove",
    "remove_remote",
    "set_remote",
]

TEMPLATE = """\
# Data files of this project, by hash: https://github.com/rstojnic/lazydata
# Commit this file. Comments and order are yours: lazydata keeps them.
version: 2
files:
"""


def decode(data: bytes, *, file: str = NAME) -> str:
    """Turn the bytes of a manifest into text; a byte order mark stays in it.

    Args:
        data: all of the file.
        file: its path, for messages.

    Raises:
        ManifestInvalid: not UTF-8.

    Example:
        >>> decode(b"version: 2\\n")
        'version: 2\\n'
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        raise ManifestInvalid(
            f"not UTF-8: byte 0x{data[error.start]:02x}",
            file=file,
            line=before.count(b"\n") + 1,
            column=len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1,
            hint="save the file as UTF-8",
        ) from None


def read(text: str, *, file: str = NAME) -> MemoryView:
    """Read a manifest: the fast lane where it can, else ruamel.yaml.

    Args:
        text: all of it.
        file: its path, for messages.

    Raises:
        ManifestInvalid: with line and column.

    Example:
        >>> read("version: 2\\nfiles:\\n").manifest.files
        {}
    """
    manifest = scan(text)
    if manifest is not None:
        return MemoryView(manifest, file=file, is_plain=True)
    from lazydata.manifest.document import parse

    return MemoryView(parse(text, file=file), file=file, is_plain=False)
