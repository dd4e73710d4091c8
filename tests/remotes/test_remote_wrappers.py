"""Wrappers, and the way into a loop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from remote_faults import FaultyRemote

from lazydata.errors import (
    LazydataError,
    NoSpace,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
)
from lazydata.progress import silent
from lazydata.remotes.memory import MemoryRemote
from lazydata.remotes.threads import in_thread, run, spread
from lazydata.remotes.wrappers import Retrying


def retrying(faulty: FaultyRemote, waits: list[float]) -> Retrying:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return Retrying(faulty, attempts=4, sleep=sleep)


def test_outages_are_tried_again_with_longer_waits(tmp_path: Path) -> None:
    faulty = FaultyRemote(MemoryRemote())
    waits: list[float] = []
    remote = retrying(faulty, waits)
    down = RemoteUnavailable("down")
    for method in ("put_bytes", "get_range", "stat", "list", "delete", "get", "put", "prepare"):
        faulty.on(method).fail(down, times=3)

    async def main() -> None:
        await remote.prepare()
        await remote.put_bytes("k", b"x")
        assert await remote.get_range("k", 0, 1) == b"x"
        assert await remote.stat("k")
        assert [stat.key async for stat in remote.list("")] == ["k"]
        await remote.get("k", tmp_path / "t", silent)
        await remote.put("k", tmp_path / "t", silent)
        await remote.delete(["k"])
        await remote.close()

    asyncio.run(main())
    faulty.assert_all_faults_used()
    assert len(waits) == 8 * 3
    assert 0.125 <= waits[0] <= 0.375
    assert 0.5 <= waits[2] <= 1.5


def test_attempts_end() -> None:
    faulty = FaultyRemote(MemoryRemote())
    waits: list[float] = []
    faulty.on("stat").fail(RemoteUnavailable("down"), times=4)
    faulty.on("list").fail(RemoteUnavailable("down"), times=4)
    remote = retrying(faulty, waits)

    async def main() -> None:
        with pytest.raises(RemoteUnavailable):
            await remote.stat("k")
        with pytest.raises(RemoteUnavailable):
            async for _ in remote.list(""):
                pass

    asyncio.run(main())
    faulty.assert_all_faults_used()
    assert len(waits) == 6


@pytest.mark.parametrize(
    "error", [RemoteDenied("no"), NoSpace("full"), RemoteObjectMissing("gone"), KeyError("bug")]
)
def test_nothing_else_is(error: Exception) -> None:
    faulty = FaultyRemote(MemoryRemote())
    faulty.on("get_range").fail(error)
    waits: list[float] = []
    with pytest.raises(type(error)):
        asyncio.run(retrying(faulty, waits).get_range("k", 0, 1))
    assert not waits


def test_a_listing_that_began_is_not_begun_again() -> None:
    faulty = FaultyRemote(MemoryRemote())
    faulty.on("list_end").fail(RemoteUnavailable("down"))
    remote = retrying(faulty, [])
    seen: list[str] = []

    async def main() -> None:
        await remote.put_bytes("k", b"")
        async for each in remote.list(""):
            seen.append(each.key)

    with pytest.raises(RemoteUnavailable):
        asyncio.run(main())
    assert seen == ["k"]


def test_spread_is_bounded_and_stops_at_the_first_error() -> None:
    now, most, ended = 0, 0, []

    async def work(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            await asyncio.sleep(0.001)
            if number == 7:
                raise KeyError(number)
            await asyncio.sleep(0.001)
            ended.append(number)
        finally:
            now -= 1

    with pytest.raises(KeyError):
        asyncio.run(spread(range(100), 3, work))
    assert most == 3
    assert now == 0
    assert len(ended) < 10


def test_cancelled_spread_gives_time_to_clean_up() -> None:
    cleaned = []

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await in_thread(time.sleep, 0.05)
            cleaned.append(number)

    async def main() -> None:
        task = asyncio.create_task(spread(range(4), 2, work))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(cleaned) == [0, 1]

    asyncio.run(main())


def test_run_gives_back_and_raises() -> None:
    async def fine() -> int:
        return await in_thread(lambda: 42)

    async def bad() -> None:
        raise RemoteDenied("no")

    assert run(fine) == 42
    with pytest.raises(RemoteDenied):
        run(bad)
    assert not [each for each in threading.enumerate() if each.name.startswith("lazydata")]


def test_run_inside_a_running_loop() -> None:
    async def inner() -> int:
        await asyncio.sleep(0)
        return 1

    async def outer() -> int:
        return run(inner) + run(inner)

    assert asyncio.run(outer()) == 2


@contextmanager
def ending(code: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A child process that does not outlive the test."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


COMMON = """
import os, signal, sys, time, threading, asyncio
from pathlib import Path
from lazydata.digest import Digest, hash_file
from lazydata.remotes import open_remote
from lazydata.remotes.claims import VolatileMemory
from lazydata.outgoing import Outgoing
from lazydata.repository import Repository
from lazydata.progress import Meter
from lazydata import transfer
from lazydata.remotes.threads import run
class Told(Meter):
    def __init__(self, tell):
        super().__init__()
        self.tell = tell
    def __call__(self, moved, /):
        self.tell(moved)
def push(opened, objects, progress=lambda moved: None):
    files = {each.digest: each for each in objects}
    return transfer.push(
        opened, list(files), lambda wanted: ([files[d] for d in wanted], {}),
        scratch=sys.argv[1], meter=Told(progress),
    )
base, local = map(Path, sys.argv[1:3])
def opened():
    return Repository(open_remote(base.as_uri()), memory=VolatileMemory(), project="p")
objects = []
for path in sorted(local.iterdir()):
    objects.append(Outgoing(hash_file(str(path)).digest, path.stat().st_size, path))
"""


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, str]:
    for name in ("base", "local"):
        (tmp_path / name).mkdir()
    for number in range(4):
        (tmp_path / "local" / str(number)).write_bytes(bytes([number]) * (24 << 20))
    return str(tmp_path / "base"), str(tmp_path / "local")


def test_ctrl_c(places: tuple[str, str]) -> None:
    with ending(
        COMMON
        + """
def slow(moved):
    if moved > 0:
        os.write(1, b"moving\\n")  # in one piece: several threads report
        time.sleep(0.3)
try:
    push(opened, objects, progress=slow)
except KeyboardInterrupt:
    left = [p for p in base.rglob("*") if p.is_file() and p.name != "lazydata.json"]
    print("interrupted", time.time(), len(left), threading.active_count(), flush=True)
""",
        *places,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "moving\n"
        sent = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        word, when, left, threads = out.splitlines()[-1].split()
        assert word == "interrupted"
        assert float(when) - sent < 1.5
        assert left == "0"
        assert threads == "1"
        assert err == ""


def test_ctrl_c_does_not_wait_for_a_server_that_hangs() -> None:
    with ending("""
import asyncio, threading, time
from lazydata.remotes.threads import in_thread, run
begun = threading.Event()
def hang():
    print("hanging", flush=True)
    time.sleep(60)
async def main():
    await in_thread(hang)
try:
    run(main)
except KeyboardInterrupt:
    print("interrupted", flush=True)
""") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - sent < 10
        assert (process.returncode, out, err) == (0, "interrupted\n", "")


def test_forked_children_start_anew(places: tuple[str, str]) -> None:
    with ending(
        COMMON
        + """
assert len(push(opened, objects[:1]).uploaded) == 1
inside = threading.Event()
def slow(moved):
    inside.set()
    time.sleep(0.05)
busy = threading.Thread(target=lambda: push(opened, objects[:3], progress=slow))
busy.start()
inside.wait()
pid = os.fork()
if not pid:
    done = push(opened, objects[2:])
    os._exit(0 if len(done.uploaded) + done.already == 2 and not done.failed else 1)
code = os.waitpid(pid, 0)[1]
busy.join()
sys.exit(code)
""",
        *places,
    ) as process:
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_waiting_does_not_hang() -> None:
    def fork(*_: object) -> None:
        if pid := os.fork():
            codes.append(os.waitpid(pid, 0)[1])
        else:
            signal.alarm(10)  # a child that hangs dies of it

    async def wait() -> None:
        await asyncio.sleep(0.3)

    codes: list[int] = []
    parent = os.getpid()
    before = signal.signal(signal.SIGUSR1, fork)
    timer = threading.Timer(0.1, os.kill, [parent, signal.SIGUSR1])
    timer.start()
    try:
        run(wait)
    except LazydataError as error:
        os._exit(0 if "forked" in error.message else 1)
    finally:
        if os.getpid() != parent:
            os._exit(2)
        signal.signal(signal.SIGUSR1, before)
        timer.join()
    assert codes == [0]
