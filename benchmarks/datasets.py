"""The data sets: seeded, so that everybody who makes one has the same bytes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness import BenchmarkError

SEED = 20_011  # of all data sets
PER_DIRECTORY = 1_000
PIECE = 16 << 20
DAY = 86_400 * 10**9  # nanoseconds
COMPARED = 500  # files of which every byte is compared; of the others it is the size


@dataclass(frozen=True)
class Target:
    """What a command is about.

    Args:
        where: the directory it is run in, relative to the root; empty for the root.
        paths: what is tracked, relative to that directory.
        files: all files below those, likewise.
    """

    where: str
    paths: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class DataSet:
    """Files that are the same whenever they are made.

    Args:
        count: of files.
        size: bytes of each, at most.
        least: bytes of each, at least; by default all have the same size.
        entries: each file is tracked for itself, not the directory that holds them.
        projects: how many projects share them; with more than one, a command is about one.
        flat: all files of a project are in one directory.
    """

    count: int
    size: int
    least: int | None = None
    entries: bool = False
    projects: int = 1
    flat: bool = False

    def scaled(self, factor: float) -> DataSet:
        """The same with more files or fewer; one file stays one file."""
        if self.count == 1:
            return self
        projects = 1 if self.projects == 1 else max(3, round(self.projects * factor))
        each = self.count // self.projects if projects > 1 else 0
        return replace(
            self, count=each * projects or max(10, round(self.count * factor)), projects=projects
        )

    @property
    def room(self) -> int:
        """Bytes on a disk, in blocks of 4 KiB."""
        return self.count * -(-self.size // 4096) * 4096

    def project(self, number: int) -> str:
        return f"p{number:04}"

    def below(self, project: int = 0) -> tuple[str, ...]:
        """The files of one project, relative to it."""
        return tuple(
            "data/" + f"{number // PER_DIRECTORY:03}/" * (not self.flat) + f"f{number:06}.bin"
            for number in range(self.count // self.projects)
        )

    def target(self, number: int) -> Target:
        """What the commands of a round are about."""
        files = self.below()
        if self.projects > 1:
            middle = (self.projects // 2 + number) % self.projects
            return Target(self.project(middle), ("data",), files)
        return Target("", files if self.entries else ("data",), files)

    def others(self, target: Target) -> list[str]:
        """The directories of all other projects."""
        if self.projects == 1:
            return []
        names = map(self.project, range(self.projects))
        return [name for name in names if name != target.where]

    def make(self, root: Path) -> None:
        """Write all of it below a directory."""
        chance = random.Random(SEED)
        for file in self._all(root):
            file.parent.mkdir(parents=True, exist_ok=True)
            least = self.size if self.least is None else self.least
            write(file, chance.randint(least, self.size), chance)

    def _all(self, root: Path) -> Iterator[Path]:
        for number in range(self.projects):
            top = root / self.project(number) if self.projects > 1 else root
            for file in self.below():
                yield top / file


def write(file: Path, size: int, chance: random.Random) -> None:
    """Random bytes, which nothing can make smaller."""
    with file.open("wb") as out:
        while size:
            size -= out.write(chance.randbytes(min(size, PIECE)))


def change(top: Path, target: Target, number: int) -> None:
    """Put another file of that size in the place of the middle one, as most programs save."""
    file = top / target.files[len(target.files) // 2]
    fresh = top / "fresh"
    write(fresh, max(file.stat().st_size, 8), random.Random(SEED + 1 + number))
    fresh.replace(file)


def touch(top: Path, target: Target) -> None:
    """Move the mtime of every file, and nothing else."""
    for name in target.files:
        path = os.path.join(top, name)
        status = os.stat(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - DAY))


def set_aside(top: Path, target: Target, aside: Path) -> None:
    """Take the files away, without the cost of removing them."""
    for path in target.paths:
        (aside / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).rename(aside / path)


def compare(one: Path, other: Path, target: Target) -> None:
    """Fail unless the files below two directories are the same."""
    step = max(1, len(target.files) // COMPARED)
    for number, name in enumerate(target.files):
        mine, theirs = one / name, other / name
        if not theirs.is_file():
            raise BenchmarkError(f"{theirs} did not come back")
        same = mine.stat().st_size == theirs.stat().st_size
        if not same or (number % step == 0 and not _same_bytes(mine, theirs)):
            raise BenchmarkError(f"{theirs} came back as something else")


def _same_bytes(one: Path, other: Path) -> bool:
    with one.open("rb") as mine, other.open("rb") as theirs:
        while block := mine.read(PIECE):
            if block != theirs.read(PIECE):
                return False
        return not theirs.read(1)


def warm(*directories: Path) -> None:
    """Have every byte in the page cache."""
    block = bytearray(4 << 20)
    for directory in directories:
        for top, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(top, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb", buffering=0) as file:
                        while file.readinto(block):
                            pass
