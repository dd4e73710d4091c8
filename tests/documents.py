"""What the pages show is typed: their blocks, in order, at a machine that is made for them.

A page's ``bash`` and ``python`` blocks are run; ``text``, ``yaml`` and ``json`` are shown only. All
bash blocks are one session; each Python block is a program. What a page takes for granted is in
``documents/``: ``world.sh`` for all pages, and ``NAME.sh`` for the one of that name. There, a line
``### FIRST LINE`` says that what follows comes right before the block that begins so (``### end``:
after the last one).
"""

from __future__ import annotations

import compileall
import fcntl
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BESIDE = ROOT / "tests" / "documents"
TIMEOUT = 120  # seconds, for one page

# These install from the network, or take hours. Each is played by a session of nox instead, which
# the test looks for in noxfile.py.
PLAYED_BY = {
    "python3 -m pip install nox && nox -s quickstart": "quickstart",
    "nox -s tests": "tests",
    "nox -s tests -- tests/remotes": "tests",
    "nox -s bench -- --peers git,dvc,git-lfs": "bench",
    "python3 -m venv .venv && . .venv/bin/activate": "build",
    "python3 -m venv ~/lazydata-env\n. ~/lazydata-env/bin/activate\n"
    "python -m pip install ~/lazydata pandas": "build",
}

# Exit codes that a page announces: of the block that begins with this line.
ENDS_WITH: dict[tuple[str, str], int] = {}

# Pages that are typed from the first line to the last by whoever begins: what they show is
# what is printed.
COMPARED = ("README.md", "docs/tutorial/")

RUN = ("bash", "python")
SHOWN = ("json", "text", "yaml")  # by their nature; no other name gets a block out of being run
_FENCE = re.compile(r"( *)(`{3,}|~{3,}) *([^\s`]*)")


@dataclass(frozen=True)
class Block:
    """Something to type.

    Args:
        where: page and line.
        language: of ``RUN``.
        text: without the fence.
        shown: what the page says that it prints, or some of these lines.
        code: what it ends with.
    """

    where: str
    language: str
    text: str
    shown: str = ""
    code: int = 0

    @property
    def first(self) -> str:
        return self.text.split("\n", 1)[0]


def pages() -> list[str]:
    """The pages that have something to run, relative to the repository."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return [name for name in names if not name.startswith("docs/design/") and blocks(name)]


def blocks(page: str) -> list[Block]:
    """Those of a page that are run."""
    found: list[Block] = []
    lines = iter(enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1))
    right_after = False
    for number, line in lines:
        opening = _FENCE.match(line)
        if not opening:
            right_after = right_after and not line.strip()
            continue
        end = opening[1] + opening[2]
        text = textwrap.dedent("\n".join(_until(lines, end)))
        kind = opening[3]
        if kind == "text" and right_after and page.startswith(COMPARED):
            found[-1] = replace(found[-1], shown=text)
        right_after = kind == "bash"
        if kind not in SHOWN and not kind.startswith("{"):
            block = Block(f"{page}:{number}", kind, text)
            found.append(replace(block, code=ENDS_WITH.get((page, block.first), 0)))
    return found


def _until(lines: Iterator[tuple[int, str]], end: str) -> list[str]:
    taken: list[str] = []
    for _, line in lines:
        if line.rstrip() == end:
            return taken
        taken.append(line)
    raise ValueError(f"a block does not end with {end.strip()}")


def prepared(page: str) -> list[tuple[str, Block]]:
    """The page's own preparations, each with the first line of the block that it comes before."""
    path = BESIDE / page.removeprefix("docs/").replace(".md", ".sh")
    if not path.exists():
        return []
    parts = re.split(r"^### (.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    pairs = [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    name = path.relative_to(ROOT)
    return [
        (first, Block(f"{name} ({first or 'at first'})", "bash", text)) for first, text in pairs
    ]


def steps(page: str) -> list[Block]:
    """All that is run for a page, in order."""
    ahead, found = prepared(page), []

    def prepare(first: str) -> None:
        while ahead and ahead[0][0] in ("", first):
            found.append(ahead.pop(0)[1])

    for block in blocks(page):
        assert block.language in RUN, f"{block.where}: what is a {block.language!r} block?"
        prepare(block.first)
        if block.text not in PLAYED_BY:
            found.append(block)
    prepare("end")
    assert not ahead, f"{ahead[0][1].where}: the page has no such block (any more)"
    return found


def played(page: str) -> list[str]:
    """The sessions of nox that play blocks of a page."""
    return [PLAYED_BY[block.text] for block in blocks(page) if block.text in PLAYED_BY]


class Machine:
    """Sandboxes that begin with one world, which is made when the first one wants it.

    Args:
        folder: a directory that all processes of this test run share.
    """

    def __init__(self, folder: Path) -> None:
        self._world = folder / "documents-world"
        with open(folder / "documents-lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._world.exists():
                # The sandbox can't write what it imports from here.
                compileall.compile_dir(ROOT / "src", quiet=2)
                self._make(folder / "documents-making")

    def _make(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "made").mkdir(parents=True)
        world = Block("tests/documents/world.sh", "bash", (BESIDE / "world.sh").read_text())
        kept = Block("the end of the world", "bash", 'cp -a /home /srv "$folder/made/"')
        self.run([world, kept], folder)
        (folder / "made").rename(self._world)

    def run(self, todo: list[Block], folder: Path) -> None:
        """Type blocks, one after the other.

        Args:
            todo: the blocks.
            folder: an empty directory, for what they print.

        Raises:
            AssertionError: a block ended otherwise than it should, or did not print what is shown.
        """
        files = [folder / f"{number:02}.{block.language}" for number, block in enumerate(todo)]
        script = [f"folder={folder} world={self._world}", f". {BESIDE}/session.sh"]
        for block, file in zip(todo, files, strict=True):
            file.write_text(block.text + "\n", encoding="utf-8")
            script += [f"block {file}", f"ended {file} $? {block.code}"]
        (folder / "session").write_text("\n".join(script) + "\n")
        keep = [self._world] if self._world.exists() else []
        done = _in_sandbox(folder, [*keep, *_needed()], "bash", str(folder / "session"))
        if (folder / "skip").exists():
            pytest.skip((folder / "skip").read_text().strip())
        for block, file in zip(todo, files, strict=True):
            _check(block, file, f"{done.stderr}the session ended with {done.returncode}")
        assert done.returncode == 0, done


def _check(block: Block, file: Path, end: str) -> None:
    output, code = file.with_name(file.name + ".out"), file.with_name(file.name + ".code")
    printed = output.read_text(errors="replace") if output.exists() else ""
    told = f"\n{block.where}\n\n{textwrap.indent(block.text, '    ')}\n\nprinted:\n\n{printed}"
    assert code.exists(), f"{end}{told}"
    ended = int(code.read_text())
    assert ended == block.code, f"exit code {ended}, not {block.code}{told}"
    rest = iter(_comparable(printed))
    for line in _comparable(block.shown):
        assert line in rest, f"not printed: {line}{told}"


def _comparable(text: str) -> list[str]:
    """The lines, without what is another one each time: dates, and names of commits."""
    text = re.sub(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b", "DATE", text)
    text = re.sub(r"(?<=DATE  )[0-9a-f]{10}\b", "COMMIT", text)
    return [line.rstrip() for line in text.splitlines()]


def _needed() -> list[Path]:
    """Where this Python and this repository are, which may be anywhere."""
    return [ROOT, *{Path(p).resolve() for p in (sys.prefix, sys.base_prefix) if p != "/usr"}]


def _in_sandbox(folder: Path, keep: list[Path], *command: str) -> subprocess.CompletedProcess[str]:
    real = os.geteuid() == 0
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
    env = {
        "PATH": path,
        "HOME": "/home/me",
        "USER": "me",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "120",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", ""),
        "SANDBOX_ROOT": "real" if real else "mapped",
    }
    sandbox = [*UNSHARE, "bash", str(BESIDE / "sandbox.sh"), str(folder), *map(str, keep), "--"]
    try:
        return subprocess.run(
            [*sandbox, *command],
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            start_new_session=True,  # nobody asks the terminal of whoever runs the tests
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(sandbox, 124, "", f"after {TIMEOUT} seconds")


UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
if os.geteuid() != 0:
    UNSHARE.insert(1, "--map-root-user")


def why_not() -> str:
    """Why there can be no sandbox here, if so."""
    for program in ("unshare", "bash", "git"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"namespaces are not permitted here: {done.stderr.strip()}" if done.returncode else ""
