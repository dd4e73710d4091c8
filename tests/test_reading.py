"""Files that are read ahead, by threads and other processes: the same as one reads oneself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lazydata import reading
from lazydata.digest import digest_of, fingerprint_of
from lazydata.errors import FileBusy, LazydataError
from lazydata.packs import Encoded, decoded
from lazydata.reading import Read, Reader, Some, Touched
from lazydata.small_files import SmallFiles, SmallFilesElsewhere

SEED, LIMIT = 11, 64 << 10
MANY = 1_200  # so many are worth a process


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "dé ta\udcff"
    made.mkdir()
    for size in (0, 1, 4_096, LIMIT - 1):
        (made / f"random {size}").write_bytes(os.urandom(size))
    (made / "alike").write_bytes(b"a" * 5_000)
    (made / "new\nline").write_bytes(b"x")
    (made / "old").write_bytes(b"y")
    os.utime(made / "old", ns=(-1_000_000_000, -1_000_000_000))  # before 1970
    return made


def running() -> list[int]:
    """The processes that read for us."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [int(line.split()[0]) for line in listed if "small_files" in line]


@pytest.mark.parametrize("audience", [None, 0, 0o444])
def test_another_process_reads_the_same(directory: Path, audience: int | None) -> None:
    (directory / "private").write_bytes(b"mine")
    (directory / "private").chmod(0o600)
    (directory / "large").write_bytes(bytes(LIMIT))
    (directory / "future").write_bytes(b"racy")
    os.utime(directory / "future", ns=(0, time.time_ns() + 3_600_000_000_000))
    time.sleep(0.1)  # no other is racy by now
    files = SmallFiles(SEED, LIMIT, audience)
    names = sorted(each.name for each in directory.iterdir())
    known = {"alike": fingerprint_of(b"a" * 5_000, SEED), "old": fingerprint_of(b"not y", SEED)}
    with closing(SmallFilesElsewhere(files)) as elsewhere:
        asked = [(name, known.get(name, b"")) for name in names]
        found = dict(zip(names, elsewhere.read(str(directory), asked), strict=True))
        assert elsewhere.read(str(directory), []) == []
    left = {"large", "private"} if audience else {"large"}
    assert {name for name, small in found.items() if small is None} == left
    for name in set(names) - left:
        small, own = found[name], files.read(str(directory / name), known.get(name, b""))
        assert small is not None
        assert own is not None
        assert (small.stamp, small.fingerprint) == (own.stamp, own.fingerprint)
        assert (small.digest, small.is_racy) == (own.digest, own.is_racy)
        assert (small.data is None) == (own.data is None)
        if small.data is not None:
            assert isinstance(small.data, Encoded)
            assert decoded(small.data) == own.data == (directory / name).read_bytes()
    racy = {name for name, small in found.items() if small is not None and small.is_racy}
    assert racy == {"future"}
    alike = found["alike"]
    assert alike is not None
    assert alike.digest is None
    assert alike.data is None


def test_what_another_process_can_not_read_is_left_to_the_caller(directory: Path) -> None:
    (directory / "link").symlink_to("alike")
    os.mkfifo(directory / "pipe")
    asked = [(name, b"") for name in ("gone", "link", "alike")]
    with closing(SmallFilesElsewhere(SmallFiles(SEED, LIMIT, 0))) as elsewhere:
        found = elsewhere.read(str(directory), asked)
        assert [small is None for small in found] == [True, True, False]
        assert [*elsewhere.read(str(directory / "nowhere"), asked)] == [None] * 3
        os.kill(running()[0], signal.SIGKILL)
        assert elsewhere.read(str(directory), asked) == [None] * 3
        assert elsewhere.read(str(directory), asked) == [None] * 3


def some(directory: Path, names: list[str], owner: str = "") -> Some[str]:
    return Some(owner, str(directory), [Touched(at, n, b"", None) for at, n in enumerate(names)])


def check(directory: Path, names: list[str], found: list[Read]) -> None:
    assert [each.at for each in found] == [*range(len(names))]
    for name, each in zip(names, found, strict=True):
        data = (directory / name).read_bytes()
        assert each.digest == digest_of(data)
        assert each.fingerprint == fingerprint_of(data, SEED)
        assert (None if each.data is None else decoded(each.data)) in (data, None)
        assert (each.data is None) == (len(data) >= LIMIT)


@pytest.fixture
def many(tmp_path: Path) -> dict[Path, list[str]]:
    made: dict[Path, list[str]] = {}
    for number, count in enumerate([3, 0, 700, 1, 0, 500, 90]):
        path = tmp_path / f"d{number}"
        path.mkdir()
        made[path] = [f"f{at}" for at in range(count)]
        for at, name in enumerate(made[path]):
            (path / name).write_bytes(b"%d of %d" % (at, number))
    (tmp_path / "d2" / "f600").write_bytes(bytes(LIMIT + 5))
    return made


def test_all_are_read_in_their_order(many: dict[Path, list[str]]) -> None:
    begun: list[str] = []

    def batches() -> Iterator[Some[str]]:
        for path, names in many.items():
            begun.append(path.name)
            yield some(path, names, path.name)

    with closing(Reader(SEED, 0)) as reader:
        for (path, names), (batch, found) in zip(many.items(), reader.read(batches()), strict=True):
            assert batch.owner == path.name
            if path.name in ("d0", "d1"):
                assert begun[-1] == path.name  # few files: nothing is read ahead of who asks
            check(path, names, found)
        assert running()
    assert not running()


def test_where_no_process_can_be_started_threads_read(
    many: dict[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/somebody/python-that-is-gone")
    with closing(Reader(SEED, 0)) as reader:
        batches = (some(path, names) for path, names in many.items())
        for (path, names), (_, found) in zip(many.items(), reader.read(batches), strict=True):
            check(path, names, found)
        assert not running()


def test_a_process_that_is_killed_costs_nothing_but_time(many: dict[Path, list[str]]) -> None:
    with closing(Reader(SEED, 0)) as reader:
        batches = (some(path, names) for path, names in [*many.items()] * 2)
        for at, (_, found) in enumerate(reader.read(batches)):
            path, names = [*many.items()][at % len(many)]
            check(path, names, found)
            if at == 5:
                for process in running():
                    os.kill(process, signal.SIGKILL)


def test_a_fork_of_ours_does_not_keep_it_alive(directory: Path) -> None:
    elsewhere = SmallFilesElsewhere(SmallFiles(SEED, LIMIT, 0))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.read(reading, 1)  # it has all that is open here, until it is told to end
        os._exit(0)
    elsewhere.close()
    assert not running()
    os.write(writing, b"x")
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)


def test_errors_are_those_of_who_reads_oneself(
    many: dict[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, names = [*many.items()][2]
    (path / "f650").unlink()
    with closing(Reader(SEED, 0)) as reader, pytest.raises(FileNotFoundError, match="f650"):
        [*reader.read([some(path, names), some(path, names)])]
    (path / "f650").symlink_to("f1")  # between the listing and the reading
    with closing(Reader(SEED, 0)) as reader, pytest.raises(LazydataError, match="f650"):
        [*reader.read([some(path, names), some(path, names)])]
    monkeypatch.setattr(SmallFiles, "read", lambda *_: None)  # as if it were written all the time
    monkeypatch.setattr(reading.time, "sleep", lambda _: None)
    with closing(Reader(SEED, 0)) as reader, pytest.raises(FileBusy, match="f1 keeps changing"):
        [*reader.read([some(path, ["f1"])])]
