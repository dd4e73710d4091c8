"""A home, a workspace and a remote, put back as often as need be, and what must hold of them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3
from fault_tracing import Done, Runner, environment

from lazydata.baseline import Baseline
from lazydata.packs import read_footer, verified


class State(NamedTuple):
    """What an undisturbed run leaves, as far as anybody can tell.

    Args:
        manifest: see ``Scene.listed``.
        files: of the workspace, by path: mode, and content or target.
        objects: BLAKE3 of all that the store holds.
        remote: the same of the remote.
        claims: what its index files say is there, line by line.
        baselines: what the workspace remembers of listed paths.
    """

    manifest: bytes
    files: dict[str, tuple[int, str]]
    objects: frozenset[str]
    remote: frozenset[str]
    claims: frozenset[str]
    baselines: dict[str, str]

    def differs(self, other: State, *, copies: bool = False) -> str:
        """What is wrong with another state that should be this one; empty for nothing.

        It may hold more objects: what was half done was looked at, too.

        Args:
            copies: where this one has a read-only hardlink, the other may have a copy.
        """
        said = []
        for name in State._fields:
            one, two = getattr(self, name), getattr(other, name)
            if copies and name == "files":
                one, two = _writable(one), _writable(two)
            if one - two if isinstance(one, frozenset) else one != two:
                said.append(f"{name}: {_apart(one, two)}")
        return "\n".join(said)


class Scene:
    """Where a case takes place.

    Args:
        base: directory of all of it; a file system of its own, perhaps.
        logs: a directory elsewhere.
    """

    def __init__(self, base: Path, logs: Path) -> None:
        self.base, self._saved = base, logs / "saved"
        self.home, self.work, self.remote = base / "home", base / "work", base / "remote"
        self.store = self.home / "lazydata" / "store" / "objects-v1"
        self.manifest = self.work / "lazydata.yml"
        for each in (self.home, self.work):
            each.mkdir(parents=True)
        self.runner = Runner(logs, environment(self.home))

    def close(self) -> None:
        """End what runs."""
        self.runner.close()

    # Bringing something about

    def lazydata(self, *argv: str) -> Done:
        """Run a command that has to end well."""
        done = self.runner.run(argv, self.work)
        assert done.code == 0, (argv, done)
        return done

    def write(self, path: str, data: bytes) -> Path:
        """Write a file of the workspace."""
        target = self.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # it may share its inode with an object
        target.write_bytes(data)
        return target

    def script(self, *paths: str) -> None:
        """Write a script that tracks these."""
        calls = "".join(f"track({path!r})\n" for path in paths)
        self.write("step.py", f"from lazydata import track\n{calls}".encode())

    # Going back

    def save(self) -> None:
        """Keep all of it as it is now."""
        self._saved.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", "--", *self._all(self.base), self._saved], check=True)

    def reset(self) -> None:
        """Be as it was kept."""
        for each in self._all(self.base):
            shutil.rmtree(each)
        subprocess.run(["cp", "-a", "--", *self._all(self._saved), self.base], check=True)

    def cut(self) -> None:
        """What happens to the disk when a process is killed: nothing, with this kind of scene."""

    @staticmethod
    def _all(directory: Path) -> list[Path]:
        return [each for each in directory.iterdir() if each.name != "lost+found"]

    # Looking

    def state(self) -> State:
        """Of all that counts; what is in the store and on the remote is hashed.

        Raises:
            AssertionError: something there is not what its name says.
        """
        listed = self.listed()
        known = Baseline(str(self.work)).all().items()
        return State(
            listed,
            {name: found for name, found in self._files() if not _is_ours(name)},
            frozenset(_held(self.store)),
            frozenset(_held(self.remote)),
            frozenset(_claims(self.remote)),
            {path: str(digest) for path, digest in known if path.encode() in listed},
        )

    def listed(self) -> bytes:
        """The manifest, without the ids that are drawn anew each time."""
        data = self.manifest.read_bytes() if self.manifest.exists() else b""
        return re.sub(rb"(?m)(project: )\S+$", rb"\1?", data)

    def bytes_of_user(self) -> frozenset[str]:
        """BLAKE3 of every file in the workspace that is no script."""
        return frozenset(
            found for name, (mode, found) in self._files() if stat.S_ISREG(mode) and _is_data(name)
        )

    def temps(self) -> list[Path]:
        """Unfinished files that somebody left, anywhere."""
        found = [each for each in self.base.rglob("*") if is_temp(each.name)]
        return found + [each for each in (self.store / "tmp").glob("*") if not is_temp(each.name)]

    def _files(self) -> Iterator[tuple[str, tuple[int, str]]]:
        for directory, names, files in os.walk(self.work):
            if ".lazydata" in names:
                names.remove(".lazydata")
            for name in (*names, *files):
                path = os.path.join(directory, name)
                mode = os.lstat(path).st_mode
                if stat.S_ISLNK(mode):
                    found = os.readlink(path)
                else:
                    found = "" if stat.S_ISDIR(mode) else _digest(Path(path).read_bytes())
                yield os.path.relpath(path, self.work), (mode, found)


def is_temp(name: str) -> bool:
    """Whether this is an unfinished file."""
    base = os.path.basename(name)
    return base.startswith(".lazydata-") and base.endswith(".tmp")


def _is_ours(name: str) -> bool:
    return is_temp(name) or name == "lazydata.yml"


def _is_data(name: str) -> bool:
    return not name.endswith(".py") and not _is_ours(name)


def _digest(data: bytes) -> str:
    return blake3(data).hexdigest()


def _held(directory: Path) -> Iterator[str]:
    """The BLAKE3 digests of objects, whole or in packs, each of them hashed."""
    for path in directory.rglob("*"):
        inside = path.relative_to(directory).parts[0]
        if inside in ("tmp", "trash", "workspaces", "index", ".incoming") or not path.is_file():
            continue
        if path.suffix == ".pack":
            data = path.read_bytes()
            assert _digest(data) == path.stem, f"{path} is torn"
            footer = read_footer(lambda at, n, data=data: data[at : at + n], len(data))
            for each in footer:
                verified(each.digest, each.codec, data[each.offset :][: each.stored], each.size)
                yield each.digest.hex
        elif len(path.name) == 64:
            assert _digest(path.read_bytes()) == path.name, f"{path} is torn"
            yield path.name


def _claims(remote: Path) -> Iterator[str]:
    """What index files say, without where in packs things lie: that is by chance."""
    for path in (remote / "index").glob("*.idx"):
        data = path.read_bytes()
        assert _digest(data) == path.stem, f"{path} is torn"
        for line in data.decode().splitlines()[1:]:
            digest, _, key, *_ = line.split("\t")
            assert (remote / key).is_file(), f"{path.name} claims {key}, which is not there"
            yield digest


def _writable(files: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    return {name: (mode | 0o200, found) for name, (mode, found) in files.items()}


def _apart(one: object, two: object) -> str:
    if isinstance(one, dict) and isinstance(two, dict):
        keys = [key for key in one.keys() | two.keys() if one.get(key) != two.get(key)]
        return ", ".join(f"{key}: {one.get(key)} or {two.get(key)}" for key in keys)
    if isinstance(one, frozenset) and isinstance(two, frozenset):
        return f"only here {sorted(one - two)}, only there {sorted(two - one)}"
    return f"{one!r} or {two!r}"
