"""Listings that other processes make ahead: the same as one's own, or none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lazydata.ahead import Ahead
from lazydata.ignoring import Ignore
from lazydata.scanning import scan

BLOCK = 4_000  # names, as is claimed of each directory: so each goes to another process


def ignore_nothing(path: Path) -> Ignore:
    return Ignore.of(str(path), str(path))


@pytest.fixture
def directories(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("a", "b", "c", "d", "e")]
    for number, path in enumerate(made):
        path.mkdir()
        for each in range(number * 3):
            (path / f"{each}é").write_bytes(b"x" * each)
        (path / "tool").write_bytes(b"")
        (path / "tool").chmod(0o755)
        (path / "below").mkdir()
        (path / "link").symlink_to("tool")
        (path / ".lazydata-x.tmp").write_bytes(b"")
    return made


def claimed(directories: list[Path]) -> list[tuple[str, int]]:
    return [(str(path), BLOCK) for path in directories]


@pytest.mark.parametrize("helpers", [1, 2, 3])
def test_what_is_listed_ahead_is_what_a_scan_gives(directories: list[Path], helpers: int) -> None:
    with Ahead(claimed(directories), helpers) as ahead:
        found = [ahead.take(str(path)) for path in directories]
    scanned = [scan(str(path), ignore_nothing(path)) for path in directories]
    assert any(found)
    for listing, own in zip(found, scanned, strict=True):
        assert listing is None or (listing.packed(), listing.device) == (own.packed(), own.device)


def test_the_work_is_shared_out_where_there_is_enough(directories: list[Path]) -> None:
    with Ahead(claimed(directories), 1) as ahead:
        taken = [ahead.take(str(path)) is not None for path in directories]
    assert taken == [False, True, False, True, False]
    with Ahead([(str(path), 5) for path in directories], 1) as ahead:
        assert not any(ahead.take(str(path)) for path in directories)


def test_what_can_not_be_listed_is_left_to_the_caller(
    directories: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, special, fine = directories[1], directories[2], directories[3]
    gone.rename(gone.with_name("moved"))
    monkeypatch.chdir(special)  # the path of a socket has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with Ahead([(os.devnull, BLOCK), *claimed([gone, special, fine, fine])], 2) as ahead:
            assert ahead.take(str(gone)) is None
            assert ahead.take(str(special)) is None
            assert ahead.take(str(fine)) is not None


def test_directories_that_are_not_asked_for_are_passed_over(directories: list[Path]) -> None:
    with Ahead(claimed(directories), 1) as ahead:
        listing = ahead.take(str(directories[3]))
        own = scan(str(directories[3]), ignore_nothing(directories[3]))
        assert listing is not None
        assert listing.packed() == own.packed()
        assert ahead.take(str(directories[1])) is None


def test_a_helper_that_is_killed_leaves_the_work_to_us(directories: list[Path]) -> None:
    many = [directories[3]] * 50_000 + [directories[4]] * 2  # more than its pipe holds
    with Ahead(claimed(many), 1) as ahead:
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())],
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        (helper,) = (line.split()[0] for line in listed if "scanner.py" in line)
        os.kill(int(helper), signal.SIGKILL)
        assert ahead.take(str(directories[4])) is None


def test_nothing_is_started_where_python_is_no_python(
    directories: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/somebody/program")
    with Ahead(claimed(directories), 2) as ahead:
        assert not any(ahead.take(str(path)) for path in directories)
