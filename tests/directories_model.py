"""What a directory holds, told without lazydata: on disk, in the store, and as a digest.

A tree is a dict: each file and link by its path, and each directory that is empty.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import zstandard
from blake3 import blake3

Kept = tuple[str, bytes]  # a kind, and the content or where a link leads
Tree = dict[str, Kept]

FILE, EXEC, DIR, LINK = "file", "exec", "dir", "link"
EMPTY: Kept = (DIR, b"")
MAGIC = "lazydata tree 1\n"
PACK = b"lazydata pack 1\n"
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def files(contents: dict[str, bytes]) -> Tree:
    """A tree of plain files."""
    return {path: (FILE, content) for path, content in contents.items()}


def digest(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


# -- on disk


def put(desk: Any, top: str, tree: Tree) -> None:
    """Write a tree below a directory of the workspace, as another program would."""
    make_directory(desk, desk.root / top)
    for path, (kind, content) in tree.items():
        target = desk.root / top / path
        if kind == DIR:
            make_directory(desk, target)
        elif kind == LINK:
            make_directory(desk, target.parent)
            target.symlink_to(os.fsdecode(content))
        else:
            desk.write(target, content)
            target.chmod(0o755 if kind == EXEC else 0o644)


def make_directory(desk: Any, path: Path) -> None:
    for directory in [d for d in reversed([path, *path.parents]) if not d.exists()]:
        directory.mkdir()
        desk.own(directory)


def on_disk(top: Path) -> Tree:
    """All that lies below a directory; nothing where there is none."""
    found: Tree = {}

    def look(directory: Path, prefix: str) -> None:
        names = sorted(os.listdir(directory))
        if not names and prefix:
            found[prefix.rstrip("/")] = EMPTY
        for name in names:
            path = directory / name
            if path.is_symlink():
                found[prefix + name] = LINK, os.fsencode(os.readlink(path))
            elif path.is_dir():
                look(path, f"{prefix}{name}/")
            else:
                kind = EXEC if path.stat().st_mode & 0o100 else FILE
                found[prefix + name] = kind, path.read_bytes()

    if top.is_dir():
        look(top, "")
    return found


def contents(top: Path) -> dict[str, bytes]:
    """The same, of files alone."""
    return {path: data for path, (kind, data) in on_disk(top).items() if kind in (FILE, EXEC)}


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


# -- as objects


def objects_of(tree: Tree) -> tuple[str, dict[str, bytes]]:
    """The digest of a tree, and every object that it consists of."""
    objects: dict[str, bytes] = {}

    def walk(here: Tree) -> tuple[str, int, int]:
        below: dict[str, Tree] = {}
        lines: dict[str, tuple[str, int, int, str]] = {}
        for path, (kind, content) in here.items():
            name, _, rest = path.partition("/")
            if rest or kind == DIR:
                below.setdefault(name, {}).update({rest: (kind, content)} if rest else {})
            elif kind == LINK:
                lines[name] = LINK, 0, 0, _escape(os.fsdecode(content))
            else:
                objects[digest(content)] = content
                lines[name] = kind, len(content), 1, digest(content)
        for name, part in below.items():
            inner, size, count = walk(part)
            lines[name] = DIR, size, count, inner
        text = "".join(
            f"{kind}\t{size}\t{count}\t{what}\t{_escape(name)}\n"
            for name, (kind, size, count, what) in sorted(
                lines.items(), key=lambda item: item[0].encode()
            )
        )
        data = (MAGIC + text).encode()
        objects[digest(data)] = data
        sizes, counts = ([line[n] for line in lines.values()] for n in (1, 2))
        return digest(data), sum(sizes), sum(counts)

    return walk(tree)[0], objects


def digest_of(tree: Tree) -> str:
    return objects_of(tree)[0]


def stored(desk: Any) -> dict[str, bytes]:
    """Every sound object of a desk's store, loose or in a pack."""
    return objects_below(desk.lazydata_home / "store")


def objects_below(base: Path) -> dict[str, bytes]:
    """Every sound object below the folder of a store or a remote, by its digest."""
    found: dict[str, bytes] = {}
    for path in base.rglob("*"):
        if path.suffix == ".pack":
            for name, data in _packed(path.read_bytes()):
                if digest(data) == name:
                    found[name] = data
        elif re.fullmatch(r"[0-9a-f]{64}", path.name) and path.is_file():
            data = path.read_bytes()
            if digest(data) == f"blake3:{path.name}":
                found[f"blake3:{path.name}"] = data
    return found


def _packed(pack: bytes) -> list[tuple[str, bytes]]:
    if not pack.startswith(PACK) or not pack.endswith(b"\n" + PACK):
        return []
    end = len(pack) - 33
    length = int(pack[end : end + 16], 16)
    found = []
    for line in pack[end - length : end].decode().splitlines():
        name, size, offset, stored, codec = line.split("\t")
        data = pack[int(offset) : int(offset) + int(stored)]
        if codec == "zstd":
            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=int(size))
        found.append((name, data))
    return found


def version(objects: dict[str, bytes], root: str) -> Tree:
    """What a version holds, put together again from objects. KeyError: one is not there."""
    found: Tree = {}

    def walk(name: str, prefix: str) -> None:
        text = objects[name].decode()
        assert text.startswith(MAGIC)
        lines = text.removeprefix(MAGIC).split("\n")[:-1]
        if not lines and prefix:
            found[prefix.rstrip("/")] = EMPTY
        for line in lines:
            kind, _, _, what, name = line.split("\t")
            path = prefix + _unescape(name)
            if kind == DIR:
                walk(what, path + "/")
            elif kind == LINK:
                found[path] = LINK, os.fsencode(_unescape(what))
            else:
                found[path] = kind, objects[what]

    walk(root, "")
    return found


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def _unescape(text: str) -> str:
    plain = {escaped: letter for letter, escaped in _ESCAPES.items()}
    return re.sub(r"\\.", lambda found: plain[found[0]], text)
