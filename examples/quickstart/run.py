"""The quickstart from beginning to end, each step as you would type it.

It tracks a table, pushes it to a directory that stands for a shared disk, and
reads it again in a clone that has nothing but what git carries. All of it
happens in a temporary directory; your own git and lazydata are left alone. A
step that does not do what the README promises ends it with exit code 1.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
TABLE = "data/my_big_table.csv"
SHAPE = "Data shape: (10000, 100)"


def fail(message: str) -> NoReturn:
    sys.stdout.flush()
    sys.exit(f"\nquickstart failed: {message}")


class Person:
    """Someone at a computer: a home of their own, and a directory they work in."""

    def __init__(self, name: str, base: Path) -> None:
        self.name = name
        self.home = base / "home"
        self.where = base
        self.home.mkdir(parents=True)

    @property
    def env(self) -> dict[str, str]:
        """The environment without a trace of whoever runs this."""
        ours = ("GIT_", "LAZYDATA_", "XDG_", "COVERAGE_")
        env = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        home = str(self.home)
        env.update({"HOME": home, "USERPROFILE": home, "PYTHONUNBUFFERED": "1"})
        for kind in ("DATA", "CACHE", "CONFIG", "STATE"):
            env[f"XDG_{kind}_HOME"] = str(self.home / kind.lower())
        env.update({"LOCALAPPDATA": home, "APPDATA": home})
        env.update({"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"})
        settings = {"init.defaultBranch": "main", "advice.detachedHead": "false"}
        env["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (key, value) in enumerate(settings.items()):
            env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
        for role in ("AUTHOR", "COMMITTER"):
            env[f"GIT_{role}_NAME"] = self.name
            env[f"GIT_{role}_EMAIL"] = f"{self.name.lower()}@example.com"
        return env

    def types(self, command: str, *, says: tuple[str, ...] = (), only: str | None = None) -> str:
        """Run one command, show it with what it printed, and hold it to that.

        Args:
            command: as the user types it.
            says: what its output must contain.
            only: all that its output may be, where that is known.

        Returns:
            What it printed: stdout and stderr, in the order they came.
        """
        print(f"$ {command}", flush=True)
        words = shlex.split(command)
        python = {"lazydata": [sys.executable, "-m", "lazydata"], "python": [sys.executable]}
        done = subprocess.run(
            [*python.get(words[0], words[:1]), *words[1:]],
            cwd=self.where,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        print(done.stdout, end="", flush=True)
        if done.returncode:
            fail(f"`{command}` ended with exit code {done.returncode}")
        for text in says:
            if text not in done.stdout:
                fail(f"`{command}` should have said: {text}")
        if only is not None and done.stdout.strip() != only:
            fail(f"`{command}` should have said nothing but: {only}")
        return done.stdout

    def goes_to(self, directory: Path) -> None:
        print(f"$ cd {shlex.quote(str(directory))}", flush=True)
        self.where = directory


def at_home(you: Person, project: Path, share: Path) -> None:
    """Track a file and hand it on."""
    manifest = project / "lazydata.yml"
    print("# You: a project, and a table that is too big for git")
    you.types(f"git init --quiet {shlex.quote(str(project))}")
    you.goes_to(project)
    for name in ("make_data.py", "my_script.py"):
        shutil.copy(HERE / name, project / name)
    you.types("python make_data.py")
    you.types("lazydata init")
    if not manifest.is_file():
        fail("`lazydata init` wrote no lazydata.yml")

    print("\n# The first run tracks the table, the second has nothing to do")
    print("$ cat my_script.py")
    print((project / "my_script.py").read_text(encoding="utf-8"), end="", flush=True)
    you.types("python my_script.py", says=(f"lazydata: Tracking a new file {TABLE}", SHAPE))
    before = manifest.read_bytes()
    you.types("python my_script.py", only=SHAPE)
    if manifest.read_bytes() != before:
        fail("the second run changed lazydata.yml")
    you.types("lazydata status")

    print("\n# Data goes to where your collaborators can get it, the rest into git")
    you.types(f"lazydata add-remote {shlex.quote(str(share))}")
    you.types("lazydata push")
    you.types("git add .")
    you.types("git commit --quiet --message 'Read the big table'")
    wanted = ["data/.gitignore", "lazydata.yml", "make_data.py", "my_script.py"]
    if you.types("git ls-files").split() != wanted:
        fail(f"git should have these and no others: {', '.join(wanted)}")


def elsewhere(friend: Person, project: Path) -> None:
    """Read the file where there is only a clone."""
    print("\n# Your collaborator: a clone has no data until the script asks for it")
    clone = friend.where / "project"
    friend.types(f"git clone --quiet {shlex.quote(str(project))} {shlex.quote(str(clone))}")
    friend.goes_to(clone)
    if (clone / TABLE).exists():
        fail(f"{TABLE} came with git")
    friend.types("lazydata status")
    friend.types(
        "python my_script.py", says=(f"lazydata: Downloading stored file {TABLE} ...", SHAPE)
    )
    friend.types("python my_script.py", only=SHAPE)
    friend.types("lazydata status")
    if (clone / TABLE).read_bytes() != (project / TABLE).read_bytes():
        fail("the collaborator's table is not yours")
    if friend.types("git status --short"):
        fail("reading the data changed the clone")


def main() -> None:
    if not shutil.which("git"):
        fail("git is needed, and not on the PATH")
    base = Path(tempfile.mkdtemp(prefix="lazydata-quickstart-")).resolve()
    try:
        you, friend = Person("You", base / "you"), Person("Friend", base / "friend")
        project = you.where / "project"
        at_home(you, project, base / "share")
        elsewhere(friend, project)
        print("\nAll of it worked. Nothing is left of it on this machine.")
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
