"""Desks to work at: each has a home, a workspace and processes of its own.

What is under test runs in child processes only: `track()` treats what its own process wrote as a
result of that process, so files are written here, in a process that never imports lazydata.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import blake3
import pytest
from ruamel.yaml import YAML

import forking

Completed = subprocess.CompletedProcess[str]

NOBODY = 65534
TIMEOUT = 60
_SPEC = importlib.util.find_spec("lazydata")
assert _SPEC is not None
assert _SPEC.submodule_search_locations is not None
SOURCE = Path(_SPEC.submodule_search_locations[0]).resolve().parent

WORKER = r"""
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from lazydata import track
space = {"track": track}
for line in sys.stdin:
    ask = json.loads(line)
    space.update(ask["names"], value=None)
    reply = {}
    try:
        exec(compile(ask["code"], "<told>", "exec"), space)
    except BaseException as e:
        reply["error"] = [c.__name__ for c in type(e).__mro__]
        reply["text"] = str(e)
        for name in ("message", "hint", "exit_code", "line", "column", "expected", "actual"):
            reply[name] = getattr(e, name, None)
    sys.stdout.flush()
    sys.stderr.flush()
    answers.write(json.dumps({"value": space["value"], **reply}, default=repr) + "\n")
    answers.flush()
"""


@dataclass
class Reply:
    """What one request to a tracking process came to."""

    value: Any
    stderr: str
    error: list[str] = field(default_factory=list)
    text: str = ""
    message: str = ""
    hint: str | None = None
    exit_code: int | None = None
    line: int | None = None
    column: int | None = None
    expected: str = ""
    actual: str = ""

    @property
    def said(self) -> list[str]:
        """The lines on stderr, each without the ``lazydata: `` that it must begin with."""
        lines = self.stderr.splitlines()
        assert all(line.startswith("lazydata: ") for line in lines), self.stderr
        return [line.removeprefix("lazydata: ") for line in lines]


class Tracker:
    """A Python process that lives on between calls of ``track()``."""

    def __init__(self, desk: Desk, env: dict[str, str], cwd: Path) -> None:
        self._desk, self._env, self._cwd = desk, env, cwd
        self._start()

    def _start(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._read = 0
        self._process = self._desk.start(WORKER, self._env, self._cwd, self._log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.wait(TIMEOUT)
        self._process.stdout.close()
        self._log.close()

    def restart(self) -> None:
        """Go on in a new process."""
        self.close()
        self._start()

    def ask(self, code: str, **names: Any) -> Reply:
        """Run code in the process; what it assigns to ``value`` comes back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        code = textwrap.dedent(code)
        self._process.stdin.write(json.dumps({"code": code, "names": names}) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], TIMEOUT)[0]:
            self._process.kill()
            pytest.fail(f"no answer within {TIMEOUT} s to {code} with {names}")
        answer = self._process.stdout.readline()
        log = os.pread(self._log.fileno(), 1 << 20, self._read)
        self._read += len(log)
        assert answer, f"the tracking process died: {log.decode()}"
        return Reply(stderr=log.decode(), **json.loads(answer))

    def run(self, code: str, **names: Any) -> Reply:
        reply = self.ask(code, **names)
        assert not reply.error, (reply.error[0], reply.text, reply.stderr)
        return reply

    def fail(self, code: str, **names: Any) -> Reply:
        reply = self.ask(code, **names)
        assert reply.error, f"nothing was raised; stderr: {reply.stderr!r}"
        assert "LazydataError" in reply.error, (reply.error, reply.text)
        return reply

    def track(self, path: str, **options: Any) -> Reply:
        return self.run("value = track(path, **options)", path=path, options=options)

    def refuse(self, path: str, **options: Any) -> Reply:
        return self.fail("value = track(path, **options)", path=path, options=options)


class FreshTracker(Tracker):
    """One that starts a new process for every request."""

    _used = False

    def ask(self, code: str, **names: Any) -> Reply:
        if self._used:
            self.restart()
        self._used = True
        return super().ask(code, **names)


class Desk:
    """Someone's home and workspace, and what they run there."""

    def __init__(self, base: Path, *, root: Path | None = None, user: int | None = None) -> None:
        self.user = user
        self.base = base
        self.home = base / "home"
        self.lazydata_home = self.home / "lazydata"
        self.root = root or base / "work"
        for directory in (self.home, self.root):
            directory.mkdir(parents=True, exist_ok=True)
            self.own(directory)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("LAZYDATA", "GIT_"))}
        if user is not None:
            keep = {k: v for k, v in keep.items() if not k.startswith(forking.MEASURED)}
        path = keep.get("PYTHONPATH")
        self.env = keep | {
            "HOME": str(self.home),
            "IPYTHONDIR": str(self.home / "ipython"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "LAZYDATA_HOME": str(self.lazydata_home),
            "PYTHONPATH": os.pathsep.join([str(SOURCE), *([path] if path else [])]),
            "COLUMNS": "300",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        self._trackers: list[Tracker] = []

    # -- processes

    def python(self, kind: str, *args: str, preload: str = "") -> list[str]:
        """The command that runs Python code, a script, or lazydata as this desk's user."""
        if self.user is not None:
            return forking.once(self.user, kind, preload, args)
        first = {"code": ["-c"], "cli": ["-m", "lazydata"], "script": []}[kind]
        return [sys.executable, *first, *args]

    def _run(
        self,
        command: list[str],
        code: int | None,
        cwd: Path | None,
        env: dict[str, str] | None,
        **more: Any,
    ) -> Completed:
        done = subprocess.run(
            command,
            cwd=cwd or self.root,
            env=self.env | (env or {}),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            **more,
        )
        return _checked(done, code)

    def _run_python(
        self,
        kind: str,
        args: list[str],
        code: int | None,
        cwd: Path | None,
        env: dict[str, str] | None,
        preload: str = "",
    ) -> Completed:
        command = self.python(kind, *args, preload=preload)
        whole = self.env | (env or {})
        forks = _forks(self, whole, preload)
        if forks is None:
            return self._run(command, code, cwd, env)
        process = forks.start(kind, args, cwd=cwd or self.root, env=whole)
        out, err = process.communicate(TIMEOUT)
        return _checked(Completed(command, process.wait(TIMEOUT), out, err), code)

    def start(
        self, code: str, env: dict[str, str], cwd: Path, log: IO[bytes]
    ) -> forking.Forked | subprocess.Popen[str]:
        """Start code that is talked to, and that writes its errors to a file."""
        forks = _forks(self, env)
        if forks is not None:
            pipe, file = subprocess.PIPE, log.fileno()
            return forks.start("code", [code], cwd=cwd, env=env, stdin=pipe, stderr=file)
        return subprocess.Popen(
            self.python("code", code),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=env,
            cwd=cwd,
        )

    def run_cli(
        self,
        *args: str | Path,
        code: int | None = 0,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Completed:
        return self._run_python("cli", [*map(str, args)], code, cwd, env)

    def cli_bytes(self, *args: str) -> bytes:
        return subprocess.run(
            self.python("cli", *args),
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            timeout=TIMEOUT,
            check=True,
        ).stdout

    def json_cli(self, *args: str, code: int | None = 0, **more: Any) -> Any:
        return json.loads(self.run_cli(*args, "--json", code=code, **more).stdout)

    def run_script(
        self,
        source: str | Path,
        name: str = "my_script.py",
        *,
        code: int | None = 0,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        preload: str = "",
    ) -> Completed:
        """Run a file, or write it into the workspace (if it is new) and run it."""
        if isinstance(source, str):
            text = textwrap.dedent(source)
            source = self.root / name
            if not source.exists() or source.read_text() != text:
                self.write(source, text)
        return self._run_python("script", [str(source)], code, cwd, env, preload)

    def record(self, *files: tuple[str, bytes]) -> None:
        """Write each content and track it, in one process that is no script."""
        spoken = [(path, content.decode("latin-1")) for path, content in files]
        self.run_code(
            f"""
            import pathlib
            from lazydata import track
            for path, content in {spoken!r}:
                pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
                pathlib.Path(path).write_bytes(content.encode("latin-1"))
                track(path)
            """
        )

    def run_code(
        self, source: str, code: int | None = 0, *, bare: bool = False, **more: Any
    ) -> Completed:
        """``python -c``; a bare one has imported nothing before."""
        env, cwd = more.pop("env", None), more.pop("cwd", None)
        source = textwrap.dedent(source)
        if bare or more:
            return self._run(self.python("code", source), code, cwd, env, **more)
        return self._run_python("code", [source], code, cwd, env)

    def git(self, *args: str, cwd: Path | None = None) -> str:
        return self._run(["git", *args], 0, cwd, None).stdout

    def popen(self, source: str, *args: str, **more: Any) -> subprocess.Popen[str]:
        """Start ``python -c`` and go on."""
        return subprocess.Popen(
            [*self.python("code", textwrap.dedent(source)), *args],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def tracker(
        self,
        *,
        fresh: bool = False,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Tracker:
        kind = FreshTracker if fresh else Tracker
        made = kind(self, self.env | (env or {}), cwd or self.root)
        self._trackers.append(made)
        return made

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.close()

    # -- files

    def own(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user, self.user)

    def write(self, path: str | Path, content: bytes | str) -> Path:
        """Write a file as another program would: in place, without lazydata's knowledge."""
        target = self.root / path
        for directory in [d for d in reversed(target.parents) if not d.exists()]:
            directory.mkdir()
            self.own(directory)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        self.own(target)
        return target

    def read(self, path: str | Path) -> bytes:
        return (self.root / path).read_bytes()

    @property
    def manifest_file(self) -> Path:
        return self.root / "lazydata.yml"

    def manifest(self) -> dict[str, Any]:
        return YAML(typ="safe", pure=True).load(self.manifest_file.read_bytes()) or {}

    def items(self, path: str | None = None) -> list[dict[str, Any]]:
        found = self.manifest().get("files") or []
        return [item for item in found if path is None or item["path"] == path]

    def versions(self, path: str) -> list[str]:
        return [item["hash"] for item in self.items(path)]

    def usages(self, path: str) -> list[str]:
        found: list[str] = []
        for item in self.items(path):
            usage = item.get("usage") or []
            found += [usage] if isinstance(usage, str) else usage
        return list(dict.fromkeys(found))

    def state(self) -> tuple[bytes, int]:
        """The manifest's bytes and mtime: equal when nothing wrote it."""
        return self.manifest_file.read_bytes(), self.manifest_file.stat().st_mtime_ns

    def object(self, content: bytes | str) -> Path:
        """Where the store keeps this content, or what has this digest."""
        name = content if isinstance(content, str) else digest(content)
        name = name.removeprefix("blake3:")
        return self.lazydata_home / "store" / "objects-v1" / "blake3" / name[:2] / name

    def holds(self, content: bytes) -> bool:
        found = self.object(content)
        return found.is_file() and found.read_bytes() == content

    def lose(self, content: bytes) -> None:
        """Take an object out of the store."""
        self.object(content).unlink()

    def damage(self, path: Path) -> None:
        """Change bytes of a file as a failing disk would, whatever its mode."""
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IWUSR)
        with open(path, "r+b") as f:
            first = f.read(1)
            f.seek(0)
            f.write(bytes([first[0] ^ 0xFF]))
        path.chmod(mode)

    def forget(self) -> None:
        """Lose what the workspace remembers, as a fresh clone would not have it."""
        shutil.rmtree(self.root / ".lazydata")


_kept: dict[tuple[int | None, str], forking.Forks] = {}


def _forks(desk: Desk, env: dict[str, str], preload: str = "") -> forking.Forks | None:
    """What forks processes with this environment; None where they have to be started."""
    if not hasattr(os, "pidfd_open") or any(key.startswith(forking.MEASURED) for key in env):
        return None
    known = desk.user, preload
    if known not in _kept:
        _kept[known] = forking.Forks(desk.env, desk.user, preload)
    return _kept[known] if _kept[known].fit(env) else None


def pytest_sessionfinish() -> None:
    while _kept:
        _kept.popitem()[1].close()


def _checked(done: Completed, code: int | None) -> Completed:
    assert code is None or done.returncode == code, (
        f"{done.args[-4:]} ended with {done.returncode}, not {code}\n"
        f"stdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-4000:]}"
    )
    return done


def digest(content: bytes) -> str:
    return f"blake3:{blake3.blake3(content).hexdigest()}"


def _remove(base: Path) -> None:
    for directory, _, _ in os.walk(base):
        os.chmod(directory, 0o700)
    shutil.rmtree(base)


@pytest.fixture(name="digest", scope="session")
def _digest() -> Callable[[bytes], str]:
    return digest


@pytest.fixture(scope="session")
def desk_at() -> Callable[[Path], Desk]:
    """Make a desk for more than one test, at a directory that is there to stay."""
    return Desk


@pytest.fixture
def new_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Make desks: ``new_desk("name")``, each with its own home."""
    made: list[Desk] = []

    def make(name: str, **more: Any) -> Desk:
        made.append(Desk(tmp_path / name, **more))
        return made[-1]

    yield make
    for desk in made:
        desk.close()


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """A home and an empty directory: no workspace yet."""
    return new_desk("me")


@pytest.fixture(scope="session")
def new_manifest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What ``lazydata init`` writes."""
    desk = Desk(tmp_path_factory.mktemp("init"))
    desk.run_cli("init")
    return desk.manifest_file.read_bytes()


@pytest.fixture
def project(desk: Desk, new_manifest: bytes) -> Desk:
    """A workspace, as ``lazydata init`` makes it."""
    desk.write("lazydata.yml", new_manifest)
    return desk


@pytest.fixture
def ordinary(new_manifest: bytes) -> Iterator[Desk]:
    """A workspace of a user whom mode bits bind, also where the tests run as root."""
    base = Path(tempfile.mkdtemp(prefix="lazydata-test-"))
    base.chmod(0o755)
    user = NOBODY if os.geteuid() == 0 else None
    desk = Desk(base, user=user)
    try:
        desk.write("lazydata.yml", new_manifest)
        yield desk
    finally:
        desk.close()
        _remove(base)


@pytest.fixture(params=["same process", "new process"])
def tracker(request: pytest.FixtureRequest, project: Desk) -> Tracker:
    """Calls ``track()``, in one process or in a new one each time."""
    return project.tracker(fresh=request.param == "new process")


def _mount(*options: str) -> None:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a file system of a few bytes: ``small_disk("8m")``, or over a given directory."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    mounted: list[Path] = []

    def make(size: str, at: Path | None = None) -> Path:
        at = at or tmp_path / f"disk{len(mounted)}"
        at.mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(at))
        mounted.append(at)
        return at

    yield make
    for at in reversed(mounted):
        subprocess.run(["umount", "-l", str(at)], check=True)


@pytest.fixture(scope="session")
def reflink_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system that can share extents between files."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system with reflinks")
    if not shutil.which("mkfs.xfs"):
        pytest.skip("mkfs.xfs is not installed")
    base = tmp_path_factory.mktemp("xfs")
    image, at = base / "image", base / "disk"
    at.mkdir()
    with open(image, "wb") as f:
        f.truncate(512 << 20)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(image)], check=True)
    _mount("-o", "loop", str(image), str(at))
    yield at
    subprocess.run(["umount", "-l", str(at)], check=True)


@pytest.fixture(scope="session")
def no_reflink(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where the default link is a reflink, so that no hardlink is ever made."""
    base = tmp_path_factory.mktemp("clone")
    (base / "a").write_bytes(b"x" * 4096)
    with open(base / "a", "rb") as source, open(base / "b", "wb") as target:
        try:
            fcntl.ioctl(target.fileno(), 0x40049409, source.fileno())  # FICLONE
        except OSError:
            return
    pytest.skip("this file system has reflinks: they come before hardlinks")


@pytest.fixture(scope="session")
def restore_command() -> Callable[[str], list[str]]:
    """Find the ``lazydata restore …`` that a message tells the user to run."""

    def find(text: str) -> list[str]:
        match = re.search(r"lazydata (restore [^`'\"\n]+)", text)
        assert match, f"no restore command in: {text}"
        return match[1].rstrip(" .),;").split()

    return find


@pytest.fixture(scope="session")
def end_process() -> Callable[[subprocess.Popen[str]], None]:
    """Kill a process that a test started, and take it in."""

    def end(process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=TIMEOUT)

    return end
