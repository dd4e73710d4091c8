"""Which paths a manifest may list: it is input from strangers."""

from __future__ import annotations

import posixpath
import re

from lazydata.manifest.model import NAME

STATE = ".lazydata"

_DRIVE = re.compile(r"[A-Za-z]:")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Writing below .git is running code of the manifest's author (hooks, config);
# git itself refuses these names, with what NTFS makes of them.
_GIT = {".git", "git~1"}
_SPELLINGS = ("//", "/.", "\\", "~", ":", "\x00")


def problem(path: str) -> tuple[str, str | None] | None:
    """Say why a manifest may not list a path.

    Args:
        path: as the manifest has it.

    Returns:
        What is wrong and a hint (or None), or None where nothing is wrong.

    Example:
        >>> problem("data/../x")[0]
        "the path 'data/../x' climbs with '..'"
        >>> problem("data/x.csv")
    """
    if not path:
        return "the path is empty", "write it relative to the manifest: data/x.csv"
    if "\0" in path:
        return f"the path {path!r} holds a NUL", None
    if _SURROGATE.search(path):
        return f"the path {path!r} is not valid Unicode", "rename the file"
    relative = "write it relative to the manifest: data/x.csv"
    if path[0] in "/\\":
        return f"the path {path!r} is absolute", relative
    if _DRIVE.match(path):
        return f"the path {path!r} names a drive", relative
    # Windows takes either slash, and a manifest is for every machine.
    parts = re.split(r"[/\\]", path)
    if ".." in parts:
        return f"the path {path!r} climbs with '..'", "only what lies below the manifest is tracked"
    plain = posixpath.normpath(path) + ("/" if path.endswith("/") else "")
    if plain in (".", "./"):
        return f"the path {path!r} is the workspace itself", "track what lies in it"
    if plain != path:
        return f"the path {path!r} is not in its plain form", f"write it as {plain}"
    names = [part.casefold().rstrip(" .") for part in parts]
    if STATE in names or (names[0] == NAME and len(names) == 1):
        return f"the path {path!r} belongs to lazydata itself", "remove this item"
    if not _GIT.isdisjoint(names):
        return f"the path {path!r} belongs to git", "remove this item"
    return None


def all_fine(paths: list[str]) -> bool:
    """Whether no path has a problem; at memory speed where none looks like one.

    Args:
        paths: none of them with a line break in it.
    """
    joined = "\n" + "\n".join(paths).casefold() + "\n"
    if (
        "\n\n" not in joined
        and "\n." not in joined
        and "\n/" not in joined
        and f"\n{NAME}" not in joined
        and not any(spelling in joined for spelling in _SPELLINGS)
    ):
        return True
    return all(problem(path) is None for path in paths)
