"""Python processes that start quickly: one has the libraries already, and forks for each of them.

Most tests run lazydata in processes of their own, and more than half of what such a process does is
to start Python and to import what others wrote. Only that is shared: lazydata itself is imported by
each anew, except for a user who may read none of it. Who wants something else of Python when it
starts, gets a process that is started as usual (see ``Forks.fit``).

Run as a program, this is that process (``serve``), or the only one of a user (``once``).
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# All that a run can need of others. Some of it is read when a user may not do that any more:
# interpreter and packages may lie below /root.
LIBRARIES = """
    ast asyncio bisect codecs concurrent.futures.thread concurrent.futures.process contextlib copy
    csv ctypes ctypes.util dataclasses datetime difflib encodings.idna encodings.ascii
    encodings.latin_1 encodings.unicode_escape encodings.utf_16 encodings.utf_8_sig errno fcntl
    fnmatch functools getpass glob hashlib heapq hmac importlib.metadata importlib.resources inspect
    itertools json linecache locale logging mmap multiprocessing operator pathlib pickle platform
    pwd queue random re resource secrets select selectors shutil signal socket sqlite3 ssl stat
    string struct subprocess tempfile textwrap threading time tokenize traceback typing unicodedata
    urllib.parse urllib.request uuid warnings weakref zlib blake3 xxhash platformdirs
    platformdirs.unix ruamel.yaml typer rich.console rich.progress rich.table
"""
REMOTES = "boto3 botocore.session asyncssh"
# What Python, and who is imported before the fork, look at as soon as they start.
LOOKED_AT = ("PYTHON", "LC_", "LANG", "LD_", "TYPER_", "_TYPER_", "OPENSSL_", "SSL_")
MEASURED = ("COV_", "COVERAGE_")  # each process has to say what it did
NOBODY_ASKS = b""


class Forked:
    """A process that was forked; as much of ``subprocess.Popen`` as the tests need.

    Args:
        answer: tells its number, and how it ended.
        stdin, stdout, stderr: our ends of pipes to it.
    """

    def __init__(
        self,
        answer: IO[bytes],
        stdin: IO[str] | None = None,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self._answer = answer
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.pid = int(answer.readline())
        self.returncode: int | None = None

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        if self.returncode is None:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._answer, selectors.EVENT_READ)
                if not waiting.select(timeout):
                    raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self.returncode = int(self._answer.readline())
            self._answer.close()
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """All that it prints, until it and whoever else has its pipes have ended."""
        end = time.monotonic() + timeout
        said: dict[int, bytearray] = {}
        with selectors.DefaultSelector() as waiting:
            for pipe in (self.stdout, self.stderr):
                assert pipe is not None
                said[pipe.fileno()] = bytearray()
                waiting.register(pipe, selectors.EVENT_READ)
            while waiting.get_map():
                found = waiting.select(max(0.0, end - time.monotonic()))
                if not found:
                    self.kill()
                    raise subprocess.TimeoutExpired(str(self.pid), timeout)
                for key, _ in found:
                    data = os.read(key.fd, 1 << 16)
                    said[key.fd] += data
                    if not data:
                        waiting.unregister(key.fileobj)
        self.wait(max(0.1, end - time.monotonic()))
        texts = []
        for pipe in (self.stdout, self.stderr):
            assert pipe is not None
            text = said[pipe.fileno()].decode(pipe.encoding, pipe.errors or "strict")
            texts.append(text.replace("\r\n", "\n").replace("\r", "\n"))
            pipe.close()
        return texts[0], texts[1]


class Forks:
    """Forks processes of one user.

    Args:
        env: what Python has to find in its environment when it starts.
        user: whose they are; None for our own.
        preload: names of more libraries that they need.
    """

    def __init__(self, env: Mapping[str, str], user: int | None = None, preload: str = "") -> None:
        self._env = looked_at(env)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._socket = ours
            self._process = subprocess.Popen(
                [sys.executable, __file__, "serve", str(theirs.fileno()), _said(user), preload],
                pass_fds=[theirs.fileno()],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """Fork no more; what was forked goes on."""
        self._socket.close()
        self._process.wait()

    def fit(self, env: Mapping[str, str]) -> bool:
        """Whether a process with this environment can be forked."""
        return looked_at(env) == self._env and not any(key.startswith(MEASURED) for key in env)

    def start(
        self,
        kind: str,
        args: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: int | None = None,
        stderr: int | None = None,
    ) -> Forked:
        """Start a process whose output can be read.

        Args:
            kind: ``code``, ``cli`` or ``script``.
            args: the code or script first, if it is one.
            cwd: where it runs.
            env: all of its environment.
            stdin: None for ours, or ``subprocess.PIPE``.
            stderr: where that goes; None for a pipe.
        """
        ask = {"kind": kind, "args": list(args), "cwd": str(cwd), "env": dict(env)}
        request = os.memfd_create("request")
        told, answer = os.pipe()
        out = os.pipe()
        into = os.pipe() if stdin is not None else None
        err = os.pipe() if stderr is None else None
        theirs = [
            request,
            into[0] if into else 0,
            out[1],
            err[1] if err else stderr,
            answer,
        ]
        os.write(request, json.dumps(ask).encode())
        socket.send_fds(self._socket, [b"\0"], theirs)  # type: ignore[list-item]
        for each in (
            request,
            answer,
            out[1],
            *(into[:1] if into else ()),
            *(err[1:] if err else ()),
        ):
            os.close(each)
        return Forked(
            os.fdopen(told, "rb", buffering=0),
            os.fdopen(into[1], "w") if into else None,
            os.fdopen(out[0]),
            os.fdopen(err[0]) if err else None,
        )


def looked_at(env: Mapping[str, str]) -> dict[str, str]:
    """What of an environment matters when a process starts."""
    return {key: value for key, value in env.items() if key.startswith(LOOKED_AT)}


def once(user: int, kind: str, preload: str, args: Sequence[str]) -> list[str]:
    """The command that runs something as another user, in a process that is not forked."""
    return [sys.executable, __file__, "once", _said(user), preload, kind, *args]


def _said(user: int | None) -> str:
    return "" if user is None else str(user)


# What follows runs in the processes themselves


def _load(names: str) -> None:
    for name in names.split():
        try:
            __import__(name)
        except (ImportError, AssertionError):  # of another system's modules
            pass


def _load_all(package: str) -> None:
    _load(package)
    for found in pkgutil.walk_packages(sys.modules[package].__path__, package + "."):
        if not found.name.endswith("__main__"):
            _load(found.name)


def _serve(asked: socket.socket) -> list[int]:
    """Fork for whoever asks; what was sent is returned in the child."""
    gc.collect()
    gc.freeze()
    with selectors.DefaultSelector() as waiting:
        waiting.register(asked, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.data is not None:
                    pid, answer = key.data
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    waiting.unregister(key.fd)
                    os.close(key.fd)
                    _tell(answer, code)
                    os.close(answer)
                    continue
                message, sent, _, _ = socket.recv_fds(asked, 1, 5)
                if message == NOBODY_ASKS:
                    os._exit(0)
                pid = os.fork()
                if not pid:
                    return sent
                _tell(sent[-1], pid)
                for each in sent[:-1]:
                    os.close(each)
                waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, sent[-1]))


def _tell(answer: int, number: int) -> None:
    try:
        os.write(answer, b"%d\n" % number)
    except BrokenPipeError:
        pass  # nobody waits for it


def _become(sent: Sequence[int]) -> tuple[str, list[str]]:
    """Be the process that was asked for: what it is to run, and with what."""
    size = os.fstat(sent[0]).st_size
    ask = json.loads(os.pread(sent[0], size, 0))
    for number, each in enumerate(sent[1:4]):
        os.dup2(each, number)
    os.closerange(3, 1 << 20)
    os.chdir(ask["cwd"])
    os.environ.clear()
    os.environ.update(ask["env"])
    return ask["kind"], ask["args"]


def _run(kind: str, args: list[str], *, may_read: bool) -> None:
    """What Python does at its start."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    if kind == "cli":
        sys.argv[:] = ["lazydata", *args]
        sys.path[0] = os.getcwd()
        if may_read:
            runpy._run_module_as_main("lazydata")  # type: ignore[attr-defined]
        else:
            import lazydata.cli

            lazydata.cli.main()
        return
    if kind == "code":
        sys.argv[:] = ["-c", *args[1:]]
        sys.path[0] = ""
        source, file = args[0].encode(), "<string>"
    else:
        sys.argv[:] = args
        sys.path[0] = os.path.dirname(os.path.realpath(args[0]))
        source, file = Path(args[0]).read_bytes(), args[0]
        main.__file__ = file
    exec(compile(source, file, "exec"), main.__dict__)


def _end(code: int) -> None:
    """As Python ends, but without taking apart what was imported: that takes longer than it all."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.modules["__main__"].__dict__.clear()
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _main(how: str, *given: str) -> None:
    if how == "serve":
        number, user, preload = given
    else:
        user, preload, kind, *args = given
    _load(f"{LIBRARIES} {preload}")
    if user:
        _load("typer.rich_utils shellingham")
        for package in ("lazydata", "typer", "rich"):
            _load_all(package)
    if how == "serve":
        _load(REMOTES)
        with socket.socket(fileno=int(number)) as asked:
            sent = _serve(asked)
            asked.detach()
        kind, args = _become(sent)
    if user and os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    code = 0
    try:
        _run(kind, args, may_read=not user)
    except SystemExit as error:
        code = error.code or 0 if isinstance(error.code, int | None) else 1
        if code == 1 and error.code != 1:
            print(error.code, file=sys.stderr)
    except Exception:
        sys.excepthook(*sys.exc_info())
        code = 1
    _end(code)


if __name__ == "__main__":
    _main(*sys.argv[1:])
