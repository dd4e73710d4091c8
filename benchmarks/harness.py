"""What the benchmarks share: a place to work in, clocks, and a word for the machine."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# Longer than any clock's grain: a file that is this old is not taken for one
# that may still be changing.
SETTLE = 2.2

SCRIPT = "my_script.py"


@dataclass(frozen=True)
class Options:
    """How much to do.

    Args:
        quick: small sizes, few repeats: shows that it runs, not how fast.
        size: bytes of the big file.
        directory: where to work.
    """

    quick: bool
    size: int
    directory: Path | None = None


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Args:
        name: what was measured.
        measured: the figure, or None where it was not measured.
        unit: of the figure and of the limit.
        limit: the budget, or None for a figure that stands beside another.
        note: what one needs to judge it.
    """

    name: str
    measured: float | None
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "skipped"
        if self.limit is None:
            return ""
        return "ok" if self.measured <= self.limit else "OVER"


class BenchmarkError(Exception):
    """A benchmark whose work did not come out right: its time means nothing."""


@dataclass
class Place:
    """A directory with a lazydata of its own: store, index and config are inside.

    Args:
        base: everything is below it.
        config: text of the user's config file.
    """

    base: Path
    config: str = ""
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        ours = ("LAZYDATA_", "PYTHON", "COVERAGE_")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        self.env["LAZYDATA_HOME"] = str(self.base / "lazydata")
        self.env["HOME"] = str(self.base / "home")
        self.env["LAZYDATA_QUIET"] = "1"
        self.clear()

    @property
    def workspace(self) -> Path:
        return self.base / "workspace"

    def clear(self) -> None:
        """Make everything anew: nothing is tracked, stored or remembered."""
        for name in ("lazydata", "home"):
            shutil.rmtree(self.base / name, ignore_errors=True)
            (self.base / name).mkdir(parents=True)
        shutil.rmtree(self.workspace / ".lazydata", ignore_errors=True)
        (self.base / "lazydata" / "config.yml").write_text(self.config, encoding="utf-8")
        (self.workspace / "data").mkdir(parents=True, exist_ok=True)
        self.manifest.write_text("version: 2\n", encoding="utf-8")

    @property
    def manifest(self) -> Path:
        return self.workspace / "lazydata.yml"

    def script(self, text: str, name: str = SCRIPT) -> Path:
        """Write a script into the workspace."""
        path = self.workspace / name
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *command: str | Path) -> str:
        """Run a command in the workspace.

        Returns:
            Its stdout.

        Raises:
            BenchmarkError: it failed.
        """
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.workspace,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            what = " ".join(str(word) for word in command)
            raise BenchmarkError(f"{what}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def python(self, script: Path, *arguments: str | Path) -> str:
        return self.run(sys.executable, script, *arguments)


@contextmanager
def place(options: Options, config: str = "") -> Iterator[Place]:
    """A place that is gone afterwards."""
    base = tempfile.mkdtemp(prefix="lazydata-bench-", dir=options.directory)
    try:
        yield Place(Path(base).resolve(), config)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def interleaved(rounds: int, *works: Callable[[], object]) -> list[list[float]]:
    """Time several things in turns, so that a busy moment hits all of them.

    Returns:
        The seconds of each round, one list for each of the works.
    """
    for work in works:
        work()  # whatever is slow only once
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, figures in zip(works, times, strict=True):
            figures.append(seconds(work))
    return times


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def between(values: Sequence[float], scale: float = 1.0) -> str:
    """The spread of some figures, as text."""
    return f"{min(values) * scale:.3g} to {max(values) * scale:.3g}"


def command_path() -> Path:
    """The installed ``lazydata`` command of this Python.

    Raises:
        BenchmarkError: it is not installed.
    """
    found = shutil.which("lazydata", path=sysconfig.get_path("scripts"))
    if found is None:
        raise BenchmarkError(
            f"no `lazydata` command beside {sys.executable}: install the project first"
        )
    return Path(found)


def manifest_text(tracked: str, content: bytes, entries: int) -> str:
    """A manifest of many entries, of which one can be tracked.

    Args:
        tracked: the path that exists; it gets the digest of ``content``. It must
            sort among ``data/f000000.csv`` and those that follow it.
        content: what is in it.
        entries: how many there are in all.
    """
    from blake3 import blake3

    lines = [
        "# Written for a benchmark; every thousandth entry has a comment.",
        "version: 2",
        "files:",
    ]
    for number in range(entries):
        path, told = f"data/f{number:06}.csv", str(number).encode()
        if path == tracked:
            told = content
        if number % 1000 == 0:
            lines.append(f"  # from here on: {path}")
        lines += [
            f"  - path: {path}",
            f"    hash: blake3:{blake3(told).hexdigest()}",
            f"    size: {len(told)}",
            f"    usage: {SCRIPT}",
        ]
    return "\n".join(lines) + "\n"


def machine(directory: Path | None) -> str:
    """In words: cores, processor, memory, file system, Python."""
    model = platform.processor() or platform.machine()
    memory = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = f", {total / 2**30:.0f} GiB of memory"
    except (OSError, ValueError, AttributeError):
        pass
    where = directory or Path(tempfile.gettempdir())
    return (
        f"{os.cpu_count()} cores ({model}){memory}; {file_system(where)}; "
        f"{platform.system()} {platform.release()}; Python {platform.python_version()}; "
        f"{'root' if hasattr(os, 'geteuid') and os.geteuid() == 0 else 'not root'}"
    )


def file_system(path: Path) -> str:
    """The type of file system that a path is on, or ``unknown file system``."""
    best, kind = "", "unknown file system"
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return kind
    resolved = path.resolve()
    for mount in mounts:
        _, point, this, *_ = mount.split()
        if len(point) >= len(best) and resolved.is_relative_to(point):
            best, kind = point, this
    return kind
