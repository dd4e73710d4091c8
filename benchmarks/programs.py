"""The programs that are compared. Each is a small class with the same verbs.

All of them run with their defaults, in a home of their own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import peers
from datasets import DataSet, Target
from harness import BenchmarkError, command_path
from peers import Ran

TRACKED = "*.bin"  # what git-lfs takes


class Program:
    """Something that keeps versions of data files.

    Args:
        base: everything is below it: the project, and a home.
    """

    name = ""

    def __init__(self, base: Path) -> None:
        self.root, self.home = base / "project", base / "home"
        self.root.mkdir(parents=True)
        self.home.mkdir()
        self.env = {"HOME": str(self.home), "LAZYDATA_QUIET": "1", "DVC_NO_ANALYTICS": "1"}
        found = self.find()
        if found is None:
            raise BenchmarkError(f"{self.name} is not installed")
        self.command = found

    @classmethod
    def find(cls) -> str | None:
        return peers.find(cls.name)

    @classmethod
    def version(cls) -> str:
        done = subprocess.run([str(cls.find()), "--version"], capture_output=True, text=True)
        found = re.search(r"\d[\w.]*", done.stdout)
        return found[0] if found else "of unknown version"

    def run(self, target: Target, *words: str) -> Ran:
        """Run a command where the target is."""
        return peers.run([self.command, *words], self.root / target.where, self.env)

    def start(self, data: DataSet, target: Target) -> None:
        """Begin, and track all the target's neighbours; nobody's time."""
        raise NotImplementedError

    def track(self, target: Target) -> Ran:
        """Keep the files as they are now."""
        raise NotImplementedError

    def settle(self, target: Target) -> None:
        """What one does once after that; nobody's time. Fails if a file is said to differ."""
        raise NotImplementedError

    def check(self, target: Target) -> Ran:
        """Say what differs from what was kept."""
        raise NotImplementedError

    def restore(self, target: Target) -> Ran:
        """Bring files back that are gone."""
        raise NotImplementedError

    def recorded(self, target: Target) -> tuple[int, str]:
        """How many files are kept, and a text that is another one if other bytes are."""
        raise NotImplementedError


class Lazydata(Program):
    name = "lazydata"

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.env["LAZYDATA_HOME"] = str(self.home)

    @classmethod
    def find(cls) -> str | None:
        return str(command_path())

    def start(self, data: DataSet, target: Target) -> None:
        self.run(target, "init")
        others = data.others(target)
        for other in others:
            shutil.copy(self.root / target.where / "lazydata.yml", self.root / other)
        if others:
            self.run(Target("", (), ()), "track", *(f"{other}/data" for other in others))

    def track(self, target: Target) -> Ran:
        return self.run(target, "track", *target.paths)

    def settle(self, target: Target) -> None:
        self.run(target, "status", "--check")

    def check(self, target: Target) -> Ran:
        return self.run(target, "status")

    def restore(self, target: Target) -> Ran:
        return self.run(target, "restore", "data")

    def recorded(self, target: Target) -> tuple[int, str]:
        text = (self.root / target.where / "lazydata.yml").read_text(encoding="utf-8")
        latest: dict[str, int] = {}
        for block in re.split(r"^ *- path: ", text, flags=re.MULTILINE)[1:]:
            files = re.search(r"^ *files: (\d+)$", block, re.MULTILINE)
            latest[block.split("\n")[0]] = int(files[1]) if files else 1
        return sum(latest.values()), text


class Git(Program):
    name = "git"

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        config = self.home / "gitconfig"
        config.write_text(
            "[user]\n\tname = nobody\n\temail = nobody@example.org\n"
            "[init]\n\tdefaultBranch = main\n"
            "[gc]\n\tauto = 0\n",  # it would run behind our back, while others are measured
            encoding="utf-8",
        )
        self.env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(config)}

    def start(self, data: DataSet, target: Target) -> None:
        top = Target("", (), ())
        self.run(top, "init", "-q")
        others = data.others(target)
        if others:
            self.run(top, "add", *(f"{other}/data" for other in others))
            self.run(top, "commit", "-q", "-m", "the others")

    def track(self, target: Target) -> Ran:
        return self.run(target, "add", *target.paths)

    def settle(self, target: Target) -> None:
        self.run(target, "commit", "-q", "-m", "data")
        self.run(target, "update-index", "--refresh")
        self.check(target)
        self.run(target, "diff", "--quiet")

    def check(self, target: Target) -> Ran:
        return self.run(target, "status", *(["."] if target.where else []))

    def restore(self, target: Target) -> Ran:
        return self.run(target, "checkout", "-q", "--", ".")

    def recorded(self, target: Target) -> tuple[int, str]:
        said = subprocess.run(
            [self.command, "ls-files", "-s", "--", "data"],
            cwd=self.root / target.where,
            env={**os.environ, **self.env},
            capture_output=True,
            check=True,
        ).stdout
        return said.count(b"\n"), hashlib.sha256(said).hexdigest()


class GitLfs(Git):
    name = "git-lfs"

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.command = str(Git.find())

    @classmethod
    def find(cls) -> str | None:
        return peers.find(cls.name) if Git.find() else None

    def start(self, data: DataSet, target: Target) -> None:
        top = Target("", (), ())
        self.run(top, "init", "-q")
        self.run(top, "lfs", "install", "--local")
        self.run(top, "lfs", "track", TRACKED)
        super().start(data, target)

    def recorded(self, target: Target) -> tuple[int, str]:
        if not (self.root / ".git" / "lfs" / "objects").is_dir():
            raise BenchmarkError("git-lfs has no objects")
        return super().recorded(target)


class Dvc(Program):
    name = "dvc"

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.env["DVC_SITE_CACHE_DIR"] = str(self.home / "site")

    def start(self, data: DataSet, target: Target) -> None:
        top = Target("", (), ())
        self.run(top, "init", "-q", "--no-scm")
        others = data.others(target)
        if others:
            self.run(top, "add", "-q", *(f"{other}/data" for other in others))

    def track(self, target: Target) -> Ran:
        return self.run(target, "add", "-q", *target.paths)

    def settle(self, target: Target) -> None:
        self.check(target)

    def check(self, target: Target) -> Ran:
        return self.run(target, "status", "-q", *self._scope(target))

    def restore(self, target: Target) -> Ran:
        return self.run(target, "checkout", "-q", *self._scope(target))

    def recorded(self, target: Target) -> tuple[int, str]:
        top = self.root / target.where
        texts = [(top / f"{path}.dvc").read_text(encoding="utf-8") for path in target.paths]
        counts = [re.search(r"nfiles: (\d+)", text) for text in texts]
        return sum(int(count[1]) if count else 1 for count in counts), "".join(texts)

    def _scope(self, target: Target) -> list[str]:
        """All of the repository, as with nothing said, or one project of it."""
        return [f"{path}.dvc" for path in target.paths] if target.where else []


PEERS: dict[str, type[Program]] = {each.name: each for each in (Git, Dvc, GitLfs)}


def forget_settings() -> None:
    """Drop what whoever runs this has set for any of them."""
    peers.forget_settings()
    for name in [name for name in os.environ if name.startswith(("GIT_", "DVC_"))]:
        del os.environ[name]
