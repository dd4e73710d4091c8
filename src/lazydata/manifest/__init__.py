"""Reading and editing ``lazydata.yml``: which versions each path has, and where copies are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazydata.errors import ManifestInvalid
from lazydata.manifest.model import (
    NAME,
    Entry,
    Manifest,
    RemoteSpec,
    Version,
    View,
    is_used,
    knows,
)

if TYPE_CHECKING:
    from lazydata.manifest.edit import (
        add_usage,
        record,
        record_new,
        remove,
        remove_remote,
        set_remote,
        stays_plain,
    )
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
    "is_used",
    "knows",
    "read",
    "record",
    "record_new",
    "remove",
    "remove_remote",
    "set_remote",
    "stays_plain",
]

# A process that tracks only what is unchanged reads no YAML, and so must not
# wait for what reads and edits it.
_LATER = {"MemoryView": "view"}

TEMPLATE = """\
# The data files of this project, by hash: lazydata writes this list, git keeps it.
# Comments, order and style are yours; they stay as they are.
version: 2
files:
"""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER.get(name, 'edit')}"), name)


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
    from lazydata.manifest.text import scan
    from lazydata.manifest.view import MemoryView

    manifest = scan(text)
    if manifest is not None:
        return MemoryView(manifest, file=file, is_plain=True)
    from lazydata.manifest.document import parse

    return MemoryView(parse(text, file=file), file=file, is_plain=False)
