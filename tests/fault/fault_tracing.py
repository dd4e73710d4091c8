"""Run lazydata under strace, stopped at or refused one chosen system call.

Nothing in the product knows of it. A server process imports lazydata once and forks for each
command, which waits until strace is attached: a start costs milliseconds, so thousands of crash
points can be tried.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT = 60
KILLED = -signal.SIGKILL

# Calls that change what is on a disk, or make it durable. A machine lacks some of them.
CHANGES = (
    *("write", "pwrite64", "writev", "pwritev", "openat", "open", "creat", "link", "linkat"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
    *("ftruncate", "truncate", "fallocate", "fsync", "fdatasync", "syncfs", "symlink"),
    *("symlinkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "utimensat"),
    *("copy_file_range", "sendfile", "ioctl"),
)
_OPENS = ("openat", "open")
_LINE = re.compile(r"(\d+)\s+(\w+)\((.*)")
_NAMES = re.compile(r"[<\"](/[^>\"]*)[>\"]")

_SERVER = r"""
import ctypes, faulthandler, json, os, runpy, signal, sys
import lazydata.cli.app, lazydata.cli.sharing, lazydata.cli.history, lazydata.cli.render
import lazydata.cli.plumbing, lazydata.cli.sending, lazydata.cli.standing
import lazydata.workspace.settle_directory, lazydata.workspace.pushing, sqlite3, asyncio, ctypes
import lazydata.workspace.pulling, lazydata.workspace.upkeep, lazydata.remotes.file, blake3, xxhash
import lazydata.manifest.edit, lazydata.manifest.document, lazydata.compiled, lazydata.repository

def run(ask):
    os.chdir(ask["cwd"])
    os.environ.update(ask["env"])
    for number, name in ((1, ask["out"]), (2, ask["err"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    faulthandler.register(signal.SIGUSR1)
    ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # anybody may trace us
    if ask["user"]:
        os.setgroups([]); os.setgid(ask["user"]); os.setuid(ask["user"])
    return ask["argv"]

argv = None
for line in sys.stdin:
    ask = json.loads(line)
    wait, go = os.pipe()
    child = os.fork()
    if not child:
        os.close(go)
        argv = run(ask)
        os.read(wait, 1)
        os.close(wait)
        break
    os.close(wait)
    print(child, flush=True)
    sys.stdin.readline()
    os.write(go, b".")
    os.close(go)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
if argv is not None and argv[0].endswith(".py"):
    sys.argv[:] = argv
    runpy.run_path(argv[0], run_name="__main__")
elif argv is not None:
    from lazydata.cli import main
    sys.argv[:] = ["lazydata", *argv]
    sys.exit(main())
"""


class Point(NamedTuple):
    """One system call of a run: the ``nth`` of its kind in its thread.

    Args:
        call: its name.
        nth: from 1 on.
        line: as strace printed it, for messages.
    """

    call: str
    nth: int
    line: str

    def __str__(self) -> str:
        return f"{self.call} #{self.nth}: {self.line}"

    @property
    def path(self) -> str:
        """The file that it is about; the target of two."""
        names = _NAMES.findall(self.line) or [""]
        return names[0 if "write" in self.call else -1]


class Done(NamedTuple):
    """How a command ended.

    Args:
        code: its exit code; negative for a signal.
        stdout, stderr: what it printed.
        points: calls that touched the scene, in their order, if they were asked for.
    """

    code: int
    stdout: str
    stderr: str
    points: list[Point]


def missing() -> str | None:
    """Why nothing can be traced here, or None."""
    if sys.platform != "linux" or not shutil.which("strace"):
        return "strace is not installed"
    tried = subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True, check=False)
    return "this place lets no process trace another" if tried.returncode else None


class Runner:
    """Runs commands, each in a process of its own.

    Args:
        logs: a directory for what they print, apart from what they work on.
        env: their environment.
    """

    def __init__(self, logs: Path, env: dict[str, str]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
            cwd=logs,
        )

    def close(self) -> None:
        """End the server; nothing else is left running."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        try:
            self._server.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server.stdout.close()

    def run(
        self,
        argv: tuple[str, ...],
        cwd: Path,
        *,
        trace: bool = False,
        inject: str = "",
        at: Point | None = None,
        below: Path | None = None,
        user: int = 0,
        **env: str,
    ) -> Done:
        """Run a command, or a script (its name ends in ``.py``).

        Args:
            argv: its arguments.
            cwd: its working directory.
            trace: list the calls that touch something ``below``.
            inject: what happens at a point, as strace spells it.
            at: that point.
            below: defaults to ``cwd``.
            user: another uid to run as.
            env: added to its environment.
        """
        out, err, log = (self._logs / name for name in ("out", "err", "log"))
        names = {"out": str(out), "err": str(err)}
        ask = {"argv": argv, "cwd": str(cwd), "env": env, "user": user, **names}
        self._tell(json.dumps(ask))
        pid = self._answer()
        tracer = None
        if trace or inject:
            options = ["-e", f"trace={','.join('?' + name for name in CHANGES)}"]
            if at is not None:
                options += ["-e", f"inject={at.call}:{inject}:when={at.nth}"]
            tracer = _attach(pid, log, options)
        self._tell("go")
        code = self._end_of(pid)
        if tracer is not None:
            tracer.wait(TIMEOUT)
            assert tracer.stderr is not None
            tracer.stderr.close()
        if code is None:
            why = err.read_text("utf-8", "replace")
            raise AssertionError(f"{argv} hung, with {inject} at {at}:\n{why}")
        points = _points(log.read_text("latin-1"), str(below or cwd)) if trace else []
        return Done(
            code, out.read_text("utf-8", "replace"), err.read_text("utf-8", "replace"), points
        )

    def _tell(self, text: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(text + "\n")
        self._server.stdin.flush()

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

    def _end_of(self, pid: int) -> int | None:
        """The exit code of a process; None if it hung: it said where, and was killed."""
        assert self._server.stdout is not None
        if select.select([self._server.stdout], [], [], TIMEOUT)[0]:
            return self._answer()
        os.kill(pid, signal.SIGUSR1)
        time.sleep(1)
        os.kill(pid, signal.SIGKILL)
        self._answer()
        return None


def _attach(pid: int, log: Path, options: list[str]) -> subprocess.Popen[str]:
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "8", "-o", str(log), "-p", str(pid), *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    line = tracer.stderr.readline()
    assert "attached" in line, line
    return tracer


def _points(log: str, below: str) -> list[Point]:
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], Point] = {}
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, call, rest = match.groups()
        seen[thread, call] += 1
        point = Point(call, seen[thread, call], rest)
        if _changes(call, rest) and point.path.startswith(below + "/"):
            # Of several threads the first to come so far is the one that is hit.
            found.setdefault(point[:2], point)
    return list(found.values())


def _changes(call: str, rest: str) -> bool:
    if call in _OPENS:
        return "O_CREAT" in rest or "O_TRUNC" in rest
    return call != "ioctl" or "FICLONE" in rest


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a user who lives below ``home``, and of nobody's coverage."""
    keep: dict[str, Any] = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LAZYDATA", "GIT_", "COVERAGE_", "XDG_"))
    }
    return keep | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "LAZYDATA_HOME": str(home / "lazydata"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "300",
        **more,
    }
