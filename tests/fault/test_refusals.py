"""Full disks, refusals and dead disks: a clear error, nothing half-written, and it works again."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fault_tracing
import pytest
from fault_cases import FILE, FIRST, FOLDER
from fault_scene import Scene
from fault_trials import ERRORS, REFUSED, Trial, sample

from lazydata import fsutil

SEED = 20261125
POINTS = 2  # of each case
CASES = tuple(
    case
    for case in REFUSED
    if case.name
    in (
        "track() of a new file, hardlinked",
        "track() that displaces",
        "track() of a new directory",
        "track() that updates a directory",
        "restore over an edit",
        "push",
        "pull",
    )
)

_missing = fault_tracing.missing()
traced = pytest.mark.skipif(_missing is not None, reason=str(_missing))


# -- any single call is refused


@traced
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_any_call_refused(case: Any, tmp_path: Path) -> None:
    draw = random.Random(SEED + len(case.name))
    scene = Scene(tmp_path / "scene", tmp_path / "logs")
    try:
        trial = Trial(case, scene)
        for point in sample(trial.points, POINTS, draw):
            trial.refuse(point, draw.choice(ERRORS))
    finally:
        scene.close()


@traced
def test_directory_that_can_not_be_removed_is_told(tmp_path: Path) -> None:
    """The next call took it for one that the user had made, and recorded it."""
    (case,) = (each for each in CASES if each.name == "track() that updates a directory")
    scene = Scene(tmp_path / "scene", tmp_path / "logs")
    try:
        trial = Trial(case, scene)
        points = [each for each in trial.points if each.call == "rmdir"]
        assert points
        assert all(trial.refuse(point, "EACCES") for point in points)
    finally:
        scene.close()


@traced
def test_what_made_way_is_named_when_its_directory_can_not_be_flushed(tmp_path: Path) -> None:
    """It was left beside the file, and nobody was told."""
    (case,) = (
        each for each in REFUSED if each.name == "track() after the manifest moved, hardlinked"
    )
    scene = Scene(tmp_path / "scene", tmp_path / "logs")
    try:
        trial = Trial(case, scene)
        points = [
            each for each in trial.points if "work/data>)" in each.line and "fsync" in each.call
        ]
        assert points
        for point in points:
            trial.refuse(point, "EDQUOT")
    finally:
        scene.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EINVAL])
def test_directory_that_can_not_be_flushed_is_told_unless_the_system_never_can(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if number == errno.EINVAL:
        fsutil.fsync_dir(str(tmp_path))
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            fsutil.fsync_dir(str(tmp_path))


# -- no room


def _fill(disk: Path, leave: int = 0) -> None:
    (disk / "filler").write_bytes(bytes(max(0, shutil.disk_usage(disk).free - leave)))


@pytest.mark.parametrize("place", ["store", "workspace", "remote"])
def test_no_space_left(place: str, project: Any, small_disk: Callable[..., Path]) -> None:
    where = {"store": project.lazydata_home, "workspace": project.root / "data"}
    disk = small_disk("2m", at=where.get(place))
    project.write("data/x.csv", FIRST)
    if place == "remote":
        project.run_cli("track", FILE)
        project.run_cli("add-remote", disk)
        _fill(disk, leave=8192)
        done = project.run_cli("push", code=None)
        assert done.returncode in (3, 28)
    elif place == "store":
        _fill(disk, leave=65536)
        done = project.run_cli("track", FILE, code=28)
        assert project.versions(FILE) == []
    else:
        project.run_cli("track", FILE)
        (project.root / FILE).unlink()
        _fill(disk, leave=8192)
        done = project.run_cli("restore", FILE, code=28)
        assert not (project.root / FILE).exists()
        assert os.listdir(disk) == ["filler"]
    assert "no space left" in done.stderr
    (disk / "filler").unlink()
    again = {"remote": ("push",), "store": ("track", FILE), "workspace": ("restore", FILE)}
    project.run_cli(*again[place])
    project.run_cli("verify")


@pytest.fixture
def no_inodes(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Mount a file system with few inodes over a directory, and use them up."""
    mounted: list[Path] = []

    def make(at: Path) -> None:
        at.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=64", "tmpfs", str(at)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("only root can mount a small file system")
        mounted.append(at)
        try:
            for number in range(64):
                (at / f"filler{number}").touch()
        except OSError:
            pass

    yield make
    for at in mounted:
        subprocess.run(["umount", "-l", str(at)], check=True)


@pytest.mark.parametrize("left", [0, 3, 6])
def test_no_inodes_left(left: int, project: Any, no_inodes: Callable[[Path], None]) -> None:
    project.write(FILE, FIRST)
    no_inodes(project.lazydata_home / "store")
    store = project.lazydata_home / "store"
    for number in range(left):
        (store / f"filler{number}").unlink()
    done = project.run_cli("track", FILE, code=28)
    assert "no space left" in done.stderr
    assert project.versions(FILE) == []
    for filler in store.glob("filler*"):
        filler.unlink()
    project.run_cli("track", FILE)
    project.run_cli("verify")


def test_limit_on_file_sizes_is_no_traceback(project: Any) -> None:
    project.write(FILE, FIRST)
    done = project.run_code(
        f"""
        import resource, signal
        from lazydata import track
        from lazydata.errors import LazydataError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
        try:
            track({FILE!r})
        except LazydataError as error:
            print(error.exit_code)
        """,
    )
    assert done.stdout == "28\n"
    assert project.versions(FILE) == []


# -- no right


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Make a directory a read-only file system, as it is now."""
    mounted: list[Path] = []

    def make(at: Path) -> None:
        commands = (
            ["mount", "--bind", str(at), str(at)],
            ["mount", "-o", "remount,ro,bind", str(at)],
        )
        for command in commands:
            if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
                pytest.skip("only root can mount a file system read-only")
            if at not in mounted:
                mounted.append(at)

    yield make
    for at in mounted:
        subprocess.run(["umount", "-l", str(at)], check=True)


def test_read_only_store(project: Any, read_only: Callable[[Path], None]) -> None:
    project.write(FILE, FIRST)
    project.run_cli("track", FILE)
    read_only(project.lazydata_home / "store")
    project.run_cli("track", FILE)
    project.write("data/new.csv", b"new\n")
    project.write("data/images/new.bin", b"new\n")
    for path in ("data/new.csv", "data/images"):
        done = project.run_cli("track", path, code=15)
        assert "read-only" in done.stderr
    assert {item["path"] for item in project.items()} == {FILE}
    (project.root / FILE).unlink()
    project.run_cli("restore", FILE)
    assert project.read(FILE) == FIRST


def test_read_only_workspace(project: Any, read_only: Callable[[Path], None]) -> None:
    project.write(FILE, FIRST)
    project.run_cli("track", FILE)
    project.write("data/new.csv", b"new\n")
    read_only(project.root)
    project.run_cli("track", FILE)
    done = project.run_cli("track", "data/new.csv", code=15)
    assert "read-only" in done.stderr
    project.run_cli("verify")


@pytest.mark.parametrize("fresh", [True, False], ids=["new", "changed"])
def test_directory_is_not_listed_when_the_store_refuses_it(ordinary: Any, fresh: bool) -> None:
    """The look that stores failed, and the one after it took everything for stored."""
    ordinary.write(f"{FOLDER}/first.bin", FIRST)
    ordinary.run_cli("track", FILE, code=12)
    if not fresh:
        ordinary.run_cli("track", FOLDER)
    ordinary.write(f"{FOLDER}/second.bin", FIRST * 2)
    store = ordinary.lazydata_home / "store" / "objects-v1"
    before = ordinary.manifest_file.read_bytes()
    store.mkdir(parents=True, exist_ok=True)
    ordinary.own(store.parent)
    ordinary.own(store)
    inside = [store, *(each for each in store.rglob("*") if each.is_dir())]
    for each in inside:
        each.chmod(0o555)
    ordinary.run_cli("track", FOLDER, code=15)
    assert ordinary.manifest_file.read_bytes() == before
    for each in inside:
        each.chmod(0o755)
    ordinary.run_cli("track", FOLDER)
    ordinary.run_cli("verify")


def test_name_too_long(project: Any) -> None:
    name = "data/" + "x" * 250
    project.write(name, FIRST)
    project.run_cli("track", name)
    (project.root / name).unlink()
    project.run_cli("restore", name)
    done = project.run_cli("track", "data/" + "x" * 300, code=2)
    assert "too long" in done.stderr
    project.run_cli("verify")


# -- an index that is of no use


def _full(index: Path, small_disk: Callable[..., Path]) -> None:
    shutil.rmtree(index)
    _fill(small_disk("1m", at=index))


def _garbage(index: Path, small_disk: Callable[..., Path]) -> None:
    for each in index.rglob("*.sqlite*"):
        each.write_bytes(os.urandom(len(each.read_bytes())))


def _file(index: Path, small_disk: Callable[..., Path]) -> None:
    shutil.rmtree(index)
    index.write_text("no directory\n")


def _endless(index: Path, small_disk: Callable[..., Path]) -> None:
    shutil.rmtree(index)
    index.symlink_to(index.name)


@pytest.mark.parametrize("harm", [_full, _garbage, _file, _endless])
def test_index_of_no_use(harm: Any, project: Any, small_disk: Callable[..., Path]) -> None:
    project.write(FILE, FIRST)
    project.write(f"{FOLDER}/x.bin", FIRST)
    project.run_cli("track", FILE, FOLDER)
    index = project.lazydata_home / "index"
    assert index.is_dir()
    harm(index, small_disk)
    project.write(FILE, FIRST * 2)
    (project.root / FOLDER / "x.bin").unlink()
    project.run_cli("track", FILE)
    project.run_cli("restore", FOLDER)
    assert len(project.versions(FILE)) == 2
    assert project.read(f"{FOLDER}/x.bin") == FIRST
    assert project.json_cli("status")
    project.run_cli("verify")


def test_index_on_a_read_only_disk(project: Any, read_only: Callable[[Path], None]) -> None:
    project.write(FILE, FIRST)
    project.run_cli("track", FILE)
    read_only(project.lazydata_home / "index")
    project.write(FILE, FIRST * 2)
    project.run_cli("track", FILE)
    assert len(project.versions(FILE)) == 2
    project.run_cli("verify")


# -- what a killed process left in the workspace


DEAD = f".lazydata-{1 << 22:x}-{'ab' * 8}.tmp"
ASIDE = f".lazydata-aside-{1 << 22:x}-{'cd' * 8}.tmp"
UNKNOWN = f".lazydata-aside-{1 << 22:x}-{'ef' * 8}.tmp"
LIVE = f".lazydata-{os.getpid():x}-{'ab' * 8}.tmp"


@pytest.mark.parametrize(
    ("hours", "left"),
    [(0, {DEAD, ASIDE, UNKNOWN, LIVE}), (1, {UNKNOWN, LIVE}), (25, {UNKNOWN})],
)
def test_what_a_killed_process_left_is_swept(project: Any, hours: int, left: set[str]) -> None:
    project.write(FILE, FIRST)
    project.run_cli("track", FILE)
    (project.root / FILE).unlink()
    data = project.root / "data"
    for name, content in ((DEAD, b"torn"), (ASIDE, FIRST), (UNKNOWN, b"only copy"), (LIVE, b"")):
        (data / name).write_bytes(content)
    project.run_code(
        f"""
        import time
        real = time.time
        time.time = lambda: real() + {hours} * 3600
        from lazydata import track
        track({FILE!r})
        """
    )
    assert {each.name for each in data.iterdir()} == {"x.csv", *left}
    assert project.read(FILE) == FIRST
