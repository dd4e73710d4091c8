"""The fast lane: reads what lazydata itself writes, without YAML's machinery.

Anything that it is not sure of it leaves to ``document``, the judge.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from functools import lru_cache

from lazydata.digest import Digest
from lazydata.manifest import grammar, paths
from lazydata.manifest.item import Item, item_at
from lazydata.manifest.model import Entry, Manifest, RemoteSpec, Version

# Smaller texts are done before the collector would have a second look.
_LARGE = 1 << 20
FILES = re.compile(rf"(?m)^\ufeff?files:{grammar.END}")
_DASH = re.compile(r" *+(?=- )")
POLICIES = ("version", "warn", "error")


def scan(text: str) -> Manifest | None:
    """Read a manifest of the plain style.

    Args:
        text: all of it.

    Returns:
        What it says, or None: let ``document.parse`` decide. Never raises.

    Example:
        >>> scan("version: 2\\n").version
        2
        >>> scan("files: []") is None
        True
    """
    # Hundreds of thousands of new tuples, none of them garbage, would make the
    # collector look at all of them again and again: that is 40 % of the time.
    if len(text) < _LARGE or not gc.isenabled():
        return _scan(text)
    gc.disable()
    try:
        return _scan(text)
    finally:
        gc.enable()


def _scan(text: str) -> Manifest | None:
    values: dict[str, str] = {}
    seen: set[str] = set()
    files: dict[str, Entry] = {}
    remotes: dict[str, RemoteSpec] | None = {}
    position = _skip(text, 1 if text.startswith("\ufeff") else 0)
    while position < len(text):
        found = grammar.line.match(text, position)
        if found is None or found["lead"] or found["dash"]:
            return None
        key, raw = found["key"], found["value"]
        if key is None or key in seen or key in grammar.WORDS or len(seen) > grammar.KEYS:
            return None
        seen.add(key)
        position = _skip(text, found.end())
        if raw is not None:
            values[key] = raw
        elif key == "files":
            done = _scan_files(text, position)
            if done is None:
                return None
            files, position = done
        elif key == "remotes":
            remotes, position = _scan_remotes(text, position)
            if remotes is None:
                return None
        else:
            return None
    return _manifest(values, files, remotes or {})


def _skip(text: str, position: int) -> int:
    found = grammar.gap.match(text, position)
    return found.end() if found else position


def _manifest(
    values: dict[str, str], files: dict[str, Entry], remotes: dict[str, RemoteSpec]
) -> Manifest | None:
    version = grammar.number(values.get("version", "2"))
    policy = grammar.string(values["on_change"]) if "on_change" in values else None
    gitignore = grammar.truth(values.get("gitignore", "true"))
    if (
        version not in (1, 2)
        or ("on_change" in values and policy not in POLICIES)
        or gitignore is None
        or "files" in values
        or "remotes" in values
    ):
        return None
    if version == 1 and "remote" in values:
        url, options = grammar.string(values["remote"]), {}
        if "endpoint" in values:
            endpoint = grammar.word(values["endpoint"])
            if endpoint is None:
                return None
            options["endpoint"] = endpoint
        if not url or "origin" in remotes:
            return None
        remotes = {"origin": RemoteSpec("origin", url, options), **remotes}
    return Manifest(files, remotes, version, policy, gitignore)


def _scan_remotes(text: str, position: int) -> tuple[dict[str, RemoteSpec] | None, int]:
    remotes: dict[str, RemoteSpec] = {}
    name = ""
    outer = inner = -1
    settings: dict[str, dict[str, str]] = {}
    left = grammar.KEYS
    while position < len(text):
        left -= 1
        if left < 0:
            return None, position
        found = grammar.line.match(text, position)
        if found is None or found["dash"] or found["key"] is None:
            return None, position
        lead, key, raw = len(found["lead"]), found["key"], found["value"]
        if lead == 0:
            break
        if key in grammar.WORDS:
            return None, position
        if outer in (-1, lead):
            url = grammar.string(raw)
            if key in settings or (raw is not None and not url):
                return None, position
            outer, name, inner = lead, key, -1 if url is None else lead
            settings[name] = {} if url is None else {"url": url}
        elif lead > outer and inner in (-1, lead):
            value = (grammar.string if key == "url" else grammar.word)(raw)
            if value is None or key in settings[name]:
                return None, position
            settings[name][key], inner = value, lead
        else:
            return None, position
        position = _skip(text, found.end())
    for name, options in settings.items():
        url = options.pop("url", "")
        if not url:
            return None, position
        remotes[name] = RemoteSpec(name, url, options)
    return remotes, position


@lru_cache(maxsize=16)
def _pattern(dash: int, keys: int) -> re.Pattern[str]:
    lead, key = " " * dash, " " * keys
    # The plainest line end and the next item come first: that alone is half the time.
    end = rf"(?:\n|{grammar.END})"
    after = rf"(?:(?={lead}- )|{grammar.GAP}(?={lead}- |[^ \r\n#-]|\Z))"
    inner, size = grammar.INNER, grammar.SIZE
    plain = (
        rf"(?:(?!{grammar.WORD}{end})[A-Za-z_]|(?!{grammar.NUMBER}{end})(?:{grammar.FIRST}))"
        rf"{inner}*+"
    )
    words = grammar.many(rf" ++{inner}++")
    single = grammar.many(rf"(?!'){grammar.PRINTABLE}")
    double = grammar.many(rf"(?![\"\\]){grammar.PRINTABLE}")
    quoted = rf"'{single}'(?!')|\"{double}\""
    listed = grammar.many(rf"{key} *+- [^\n]*+(?:\n|\Z)")
    scripts = rf"([^\n]*+(?:\n|\Z){listed})"
    return re.compile(
        rf"{lead}-{' ' * (keys - dash - 1)}path: ++({plain}{words}|{quoted}){end}"
        rf"{key}hash: ++({grammar.DIGEST}){end}"
        rf"(?>(?:{key}size: ++({size}){end})?)"
        rf"(?>(?:{key}files: ++({size}){end})?)"
        rf"(?>(?:{key}usage:{scripts})?)"
        rf"(?>(?:{key}producer:{scripts})?)"
        rf"{after}"
    )


def _scan_files(text: str, position: int) -> tuple[dict[str, Entry], int] | None:
    found = _DASH.match(text, position)
    if found is None:
        return {}, position
    dash = found.end() - position
    first = item_at(text, position, dash)
    if first is None:
        return None
    # Most items are written alike: one pattern reads each in one go, and the
    # rest of them line by line.
    pattern = _pattern(dash, first.keys)
    known: dict[str | None, tuple[str, ...] | None] = {None: ()}
    listed: list[str] = []
    versions: list[Version] = []
    make, cls = tuple.__new__, Version
    while position < len(text):
        for match in iter(pattern.scanner(text, position).match, None):  # type: ignore[attr-defined]
            path, digest, size, files, lines, made = match.groups()
            usage = known.get(lines)
            if usage is None:
                usage = known[lines] = _scripts(lines)
                if usage is None:
                    return None
            producer = known.get(made)
            if producer is None:
                producer = known[made] = _scripts(made)
                if producer is None:
                    return None
            if path[0] in "'\"":
                path = path[1:-1]
            digest = digest.lower()
            listed.append(path)
            versions.append(
                make(
                    cls,
                    (
                        Digest(digest if len(digest) > 64 else "sha256:" + digest),
                        size if size is None else int(size),
                        usage,
                        files if files is None else int(files),
                        None,
                        producer,
                    ),
                )
            )
            position = match.end()
        if position >= len(text) or text[position] not in " -":
            break
        item = item_at(text, position, dash)
        if item is None:
            return None
        listed.append(item.path)
        versions.append(item.version)
        position = _skip(text, item.end)
    if not paths.all_fine(listed):
        return None
    return gather(listed, versions), position


def _scripts(lines: str) -> tuple[str, ...] | None:
    """What follows ``usage:`` or ``producer:``, read as the lines of an item of their own."""
    item = item_at(f"- path: x\n  hash: {'0' * 64}\n  usage:{lines}", 0, 0)
    return item.version.usage if item and len(item.fields) == 3 else None


def gather(listed: list[str], versions: list[Version]) -> dict[str, Entry]:
    """Join the items of each path into its entry.

    Args:
        listed: the path of each item, in the order of the file.
        versions: what each item says.
    """
    make, cls = tuple.__new__, Entry
    entries = {
        path: make(cls, (path, (version,), ""))
        for path, version in zip(listed, versions, strict=True)
    }
    if len(entries) == len(listed):
        return entries
    several: dict[str, list[Version]] = {}
    for path, version in zip(listed, versions, strict=True):
        several.setdefault(path, []).append(version)
    return {path: Entry(path, latest_of_each(found)) for path, found in several.items()}


def latest_of_each(versions: list[Version]) -> tuple[Version, ...]:
    """Drop all but the last of those versions that have the same digest."""
    if len(versions) == 1:
        return (versions[0],)
    last = {version.digest: number for number, version in enumerate(versions)}
    return tuple(v for number, v in enumerate(versions) if last[v.digest] == number)


def items(text: str) -> Iterator[Item]:
    """Each item of a text that ``scan`` accepts, with its place.

    Args:
        text: the manifest.
    """
    found = FILES.search(text)
    if found is None:
        return
    position = _skip(text, found.end())
    first = _DASH.match(text, position)
    dash = first.end() - position if first else 0
    while first and position < len(text) and text[position] in " -":
        item = item_at(text, position, dash)
        if item is None:
            return
        yield item
        position = _skip(text, item.end)
