"""Files that are restored by the thousand, some by another process: the same as one by one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lazydata.digest import Digest, digest_of, fingerprint_of
from lazydata.errors import LazydataError, ObjectCorrupt
from lazydata.index import Index
from lazydata.packs import PackWriter
from lazydata.store import Store
from lazydata.unpacking import UnpackingElsewhere
from lazydata.workspace import filling
from lazydata.workspace.filling import Filled, Filling

MANY = 1_300  # so many are worth a process


def content(number: int) -> bytes:
    return (f"file {number}\n" * (1 + number % 50)).encode() if number % 3 else os.urandom(999)


class Place:
    """A store with one pack, and directories to fill."""

    def __init__(self, folder: Path) -> None:
        self.index = str(folder / "index")
        self.store = Store(str(folder / "store"), link="copy", index=self.index)
        self.data = {digest_of(data): data for data in map(content, range(MANY))}
        with (folder / "pack").open("xb") as file:
            writer = PackWriter(file)
            for digest, data in self.data.items():
                writer.add(digest, data)
            self.pack = writer.finish()
        with self.store.incoming_pack(self.pack) as temp:
            temp.write_bytes((folder / "pack").read_bytes())
        self.directories = [folder / name for name in ("a", "dé ta\udcff", "new\nline")]
        for each in self.directories:
            each.mkdir()

    def wanted(self) -> list[tuple[Digest, str]]:
        return [
            (digest, str(self.directories[number % len(self.directories)]))
            for number, digest in enumerate(self.data)
        ]

    def left(self) -> list[str]:
        return [name for each in self.directories for name in os.listdir(each)]

    def check(self, found: list[Filled | LazydataError], seed: int) -> None:
        for (digest, directory), each in zip(self.wanted(), found, strict=True):
            assert isinstance(each, Filled)
            assert os.path.dirname(each.temp) == directory
            assert Path(each.temp).read_bytes() == self.data[digest]
            assert each.fingerprint == fingerprint_of(self.data[digest], seed)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files the other process is told to fill, each time."""
    counts: list[int] = []
    begin = UnpackingElsewhere.begin

    def noted(self: UnpackingElsewhere, wanted: list[object]) -> None:
        counts.append(len(wanted))
        begin(self, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(UnpackingElsewhere, "begin", noted)
    return counts


def running() -> list[int]:
    """The processes that fill files for us."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [int(line.split()[0]) for line in listed if "unpacking" in line]


@pytest.mark.parametrize("cores", [1, 2])
def test_all_is_filled_whoever_does_it(
    place: Place, told: list[int], monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(filling, "cores", lambda: cores)
    with Index(place.index) as index, Filling(place.store, index) as fill:
        for _ in range(2):
            found = fill.finish(fill.begin(place.wanted()))
            place.check(found, index.seed)
        assert len(place.left()) == 2 * MANY
        fill.settled()
        fill.settled()
    assert len(place.left()) == 2 * MANY
    assert (sum(told) > MANY) == (cores > 1)
    assert running() == []


def test_few_are_not_worth_a_process(place: Place, told: list[int]) -> None:
    with Index(place.index) as index, Filling(place.store, index) as fill:
        found = fill.finish(fill.begin(place.wanted()[:20]))
        assert all(isinstance(each, Filled) for each in found)
    assert told == []
    assert place.left() == []  # none has got its name


@pytest.mark.parametrize("after", [0, 0.02, 0.1])
def test_one_that_was_killed_leaves_its_work_to_us(
    place: Place, told: list[int], after: float
) -> None:
    """And no file that it had made before."""
    with Index(place.index) as index, Filling(place.store, index) as fill:
        found = [*fill.finish(fill.begin(place.wanted()))]
        fill.settled()
        batch = fill.begin(place.wanted())
        time.sleep(after)
        for pid in running():
            os.kill(pid, signal.SIGKILL)
        again = fill.finish(batch)
        place.check(again, index.seed)
        fill.settled()
        last = fill.finish(fill.begin(place.wanted()))
        place.check(last, index.seed)
        fill.settled()
        made = [each.temp for each in (*found, *again, *last) if isinstance(each, Filled)]
    assert len(told) >= 2
    assert sorted(place.left()) == sorted(map(os.path.basename, made))


def test_nothing_is_left_where_it_is_given_up(place: Place, told: list[int]) -> None:
    with Index(place.index) as index:
        with Filling(place.store, index) as fill:
            fill.begin(place.wanted())
            time.sleep(0.3)
        assert told
        assert place.left() == []
        assert running() == []


def test_no_thread_can_be_started_to_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    (tmp_path / "file").write_bytes(b"data")
    monkeypatch.setattr(threading.Thread, "start", start)
    filling.begin_flush([Filled(str(tmp_path / "file"), b"")], together=True)()


def test_a_damaged_object_is_told_in_its_place(place: Place) -> None:
    where = dict(zip(place.data, range(MANY), strict=True))
    path = place.store.packs.path_of(place.pack)
    located = place.store.packs.locate(place.data)
    bad = next(d for d, (_, at) in located.items() if at.codec == "raw")
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.seek(located[bad][1].offset)
        file.write(b"\0\0\0\0")
    with Index(place.index) as index, Filling(place.store, index) as fill:
        found = fill.finish(fill.begin(place.wanted()))
        assert [each for each in found if not isinstance(each, Filled)] == [found[where[bad]]]
        assert isinstance(found[where[bad]], ObjectCorrupt)


def test_a_directory_that_went_is_told(place: Place) -> None:
    """By whoever fills there himself: the other process says only that it could not."""
    wanted = place.wanted()
    place.directories[0].rmdir()
    with (
        Index(place.index) as index,
        pytest.raises(OSError, match="No such file"),
        Filling(place.store, index) as fill,
    ):
        fill.finish(fill.begin(wanted))
    assert [name for each in place.directories[1:] for name in os.listdir(each)] == []
