"""Many processes at once on one store: nothing is lost or torn, and all come to an end."""

from __future__ import annotations

import os
import random
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crowd_content import content
from crowds import GRACE, KINDS, USERS, Ask, Crowd, Kind, Outcome, Server, checked, mixed, prepare
from fault_cases import FOLDER

from lazydata import fsutil

SEED = 20261128
PROCESSES = 64
SECONDS = 1.5
FILE = "data/one.csv"
SEVERAL = tuple(f"data/{n:02}.csv" for n in range(PROCESSES - 6))
LINES = 60000  # more than a megabyte, which is hardlinked where it can be
APART = Kind("two users, each in a workspace", USERS, apart=True)

several_users = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
NewCrowd = Callable[..., Crowd]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """What forks the members of all crowds."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture
def new_crowd(server: Server) -> Iterator[NewCrowd]:
    """Make a crowd: ``new_crowd(kind, umasks)``, where other users can get to."""
    base = Path(tempfile.mkdtemp(prefix="lazydata-crowd-"))
    base.chmod(0o755)
    yield lambda kind, umasks=(0o002,): Crowd(server, kind, base / "crowd", umasks)
    shutil.rmtree(base)


@pytest.fixture(params=[True, False], ids=["flock works", "flock does nothing"])
def crowd(request: pytest.FixtureRequest, new_crowd: NewCrowd) -> Crowd:
    """Processes of one user in one workspace."""
    crowd = new_crowd(Kind("one user", flock=request.param))
    crowd.lazydata("init")
    (crowd.works[0] / "spare").mkdir()
    return crowd


def survived(crowd: Crowd, *members: Ask) -> Outcome:
    """What a crowd did that left everything as it should be."""
    outcome = checked(crowd, crowd.run(*members))
    assert not outcome.wrong, crowd.said(outcome)
    return outcome


def collectors(crowd: Crowd, seconds: float = SECONDS) -> list[Ask]:
    """Two gcs at once."""
    return [crowd.member("collector", grace=GRACE, seconds=seconds) for _ in range(2)]


# -- one user


def test_64_processes_that_track_one_file_while_it_changes(crowd: Crowd) -> None:
    crowd.write(FILE, content("first", 30))
    crowd.lazydata("track", FILE)
    writer = crowd.member("writer", paths=[FILE], seconds=SECONDS)
    trackers = [crowd.member("tracker", paths=[FILE], seconds=SECONDS) for _ in range(61)]
    outcome = survived(crowd, writer, *trackers, *collectors(crowd))
    assert outcome.processes == PROCESSES
    assert outcome.did["version"] > 1


def test_64_processes_that_track_different_files_while_they_change(crowd: Crowd) -> None:
    for path in SEVERAL:
        crowd.write(path, content(path, 30))
    trackers = [crowd.member("tracker", paths=[path], seconds=SECONDS) for path in SEVERAL]
    writers = [crowd.member("writer", paths=SEVERAL[at::4], seconds=SECONDS) for at in range(4)]
    outcome = survived(crowd, *writers, *trackers, *collectors(crowd))
    assert outcome.processes == PROCESSES
    listed = crowd.lazydata("ls")
    assert all(path in listed for path in SEVERAL)


@pytest.mark.parametrize("path", [FILE, FOLDER], ids=["file", "directory"])
def test_64_processes_that_want_what_is_missing(crowd: Crowd, path: str) -> None:
    inside = [FILE] if path == FILE else [f"{FOLDER}/{n // 4}/{n}.csv" for n in range(24)]
    for each in inside:
        crowd.write(each, content(each, LINES if path == FILE else 30))
    for command in (["track", path], ["add-remote", str(crowd.remote)], ["push", "--quiet"]):
        crowd.lazydata(*command)
    shutil.rmtree(crowd.works[0] / "data")
    (crowd.works[0] / "data").mkdir()
    for algorithm in ("blake3", "packs"):
        shutil.rmtree(crowd.store / "objects-v1" / algorithm, ignore_errors=True)
    trackers = [crowd.member("tracker", paths=[path]) for _ in range(62)]
    outcome = survived(crowd, *trackers, *collectors(crowd, seconds=0))
    assert outcome.processes == PROCESSES
    assert outcome.did["version"] == 1
    for each in inside:
        data = (crowd.works[0] / each).read_bytes()
        assert data == content(each, LINES if path == FILE else 30)


# -- two users who share a store


@several_users
@pytest.mark.parametrize("kind", KINDS[-3:], ids=lambda kind: kind.name)
def test_crowd_of_two_users_that_does_everything(kind: Kind, new_crowd: NewCrowd) -> None:
    crowd = new_crowd(kind, (0o077, 0o022) if kind.apart else (0o002,))
    prepare(crowd)
    outcome = survived(crowd, *mixed(crowd, random.Random(SEED), 24, SECONDS))
    assert {"track", "write", "restore", "unlink", "gc"} <= outcome.did.keys()


@several_users
@pytest.mark.parametrize("umasks", [(0o077, 0o077), (0o022, 0o002)], ids=["077", "022, 002"])
def test_what_one_user_stored_is_there_for_the_other(
    umasks: tuple[int, ...], new_crowd: NewCrowd
) -> None:
    """Whatever the umask: what counts is who may read the files."""
    crowd = new_crowd(APART, umasks)
    paths = {FILE: 30, "data/large.bin": LINES, **{f"{FOLDER}/{n}.csv": 30 for n in range(12)}}
    for user in (0, 1):
        for path, lines in paths.items():
            crowd.write(path, content(f"{path} of {user}", lines), user, mode=0o644)
        crowd.lazydata("init", user=user)
        crowd.lazydata("track", FILE, "data/large.bin", FOLDER, user=user)
        shutil.rmtree(crowd.works[user] / "data")
    manifests = [(work / "lazydata.yml").read_bytes() for work in crowd.works]
    for user in (0, 1):
        crowd.write("lazydata.yml", manifests[1 - user], user)
        crowd.lazydata("gc", "--force", user=user)
        crowd.lazydata("pull", ".", user=user)
        for path, lines in paths.items():
            data = (crowd.works[user] / path).read_bytes()
            assert data == content(f"{path} of {1 - user}", lines)
        crowd.lazydata("verify", user=user)


@several_users
def test_store_that_one_user_may_only_read(new_crowd: NewCrowd) -> None:
    """He restores what is there, while the other goes on; what is new is refused."""
    crowd = new_crowd(APART, (0o022, 0o022))
    paths = [FILE, *(f"{FOLDER}/{n}.csv" for n in range(12))]
    for path in paths:
        crowd.write(path, content(path, 30), mode=0o644)
    crowd.lazydata("init")
    crowd.lazydata("track", FILE, FOLDER)
    (crowd.works[0] / "spare").mkdir()
    os.chown(crowd.works[0] / "spare", USERS[0], USERS[0])
    listed = (crowd.works[0] / "lazydata.yml").read_bytes()
    manifest = crowd.write("lazydata.yml", listed, 1)
    his: dict[str, Any] = {"user": 1, "groups": []}
    crowd.lazydata("pull", paths[1], **his)
    readers = [crowd.member("tracker", paths=[FOLDER], **his) for _ in range(8)]
    for path in [FILE, paths[-1]] * 4:
        readers.append(crowd.member("tracker", paths=[path], must_be_there=True, **his))
    writer = crowd.member("writer", 0, paths=[FILE])
    others = [crowd.member("tracker", 0, paths=[FILE, FOLDER]) for _ in range(8)]
    outcome = crowd.run(*readers, writer, *others)
    assert not outcome.wrong, crowd.said(outcome)
    for path in paths:
        assert (crowd.works[1] / path).read_bytes() == content(path, 30)
    crowd.write("data/new.csv", b"new\n", 1)
    said = crowd.lazydata("track", "data/new.csv", code=15, **his)
    assert str(crowd.store) in said
    assert manifest.read_bytes() == listed


# -- what a crowd once got wrong


def test_directory_of_a_group_is_its_own_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment nobody else could write in it."""
    target, modes, make = tmp_path / "aa", [], os.mkdir

    def mkdir(path: str, *more: Any) -> None:
        make(path, *more)
        modes.extend([target.stat().st_mode] if target.exists() else [])

    tmp_path.chmod(0o2770)
    monkeypatch.setattr(os, "mkdir", mkdir)
    before = os.umask(0o077)
    try:
        fsutil.make_dirs(str(target), shared=True)
    finally:
        os.umask(before)
    modes.append(target.stat().st_mode)
    assert {stat.S_IMODE(mode) for mode in modes} == {0o2770}
    assert os.listdir(tmp_path) == ["aa"]


@several_users
def test_download_that_another_user_gave_up(new_crowd: NewCrowd) -> None:
    """What he left could be moved, and not be written to."""
    crowd = new_crowd(APART, (0o022, 0o022))
    data = content("large", LINES)
    crowd.write(FILE, data, mode=0o644)
    for command in (["init"], ["track", FILE], ["add-remote", str(crowd.remote)], ["push"]):
        crowd.lazydata(*command)
    (held,) = (crowd.store / "objects-v1" / "blake3").glob("*/*")
    left = crowd.store / "objects-v1" / "tmp" / f"{held.name}.free-0-0123abcd.part"
    left.write_bytes(data[: len(data) // 2])
    os.chown(left, USERS[0], USERS[0])
    held.unlink()
    crowd.write("lazydata.yml", (crowd.works[0] / "lazydata.yml").read_bytes(), 1)
    crowd.lazydata("pull", ".", user=1)
    assert (crowd.works[1] / FILE).read_bytes() == data


WHILE_ANOTHER_LOOKS = """
import subprocess, sys
from lazydata.workspace import settle_directory
decide = settle_directory.reconcile

def meanwhile(*args, **more):
    settle_directory.reconcile = decide
    with open("data/images/a/1.csv", "w") as file:
        file.write("1")
    subprocess.run([sys.executable, "-m", "lazydata", "status"], check=True)
    return decide(*args, **more)

settle_directory.reconcile = meanwhile
track("data/images")
"""


WHILE_ANOTHER_RESTORES = """
import os, subprocess, sys
from lazydata.workspace.settle_directory import SettlingDirectory
look = SettlingDirectory.look_first

def half_way(self, **more):
    SettlingDirectory.look_first = look
    subprocess.run([sys.executable, "-m", "lazydata", "restore", "data/images"], check=True)
    os.rename("data/images/b", "not yet")
    found = look(self, **more)
    os.rename("not yet", "data/images/b")
    return found

SettlingDirectory.look_first = half_way
track("data/images")
"""


def test_directory_that_another_process_is_just_restoring(project: Any) -> None:
    """What was not there yet when it was looked at was taken for deleted, and recorded so."""
    for path in ("a/1.csv", "b/2.csv"):
        project.write(f"{FOLDER}/{path}", path)
    calls = project.tracker()
    calls.track(FOLDER)
    listed = project.manifest_file.read_bytes()
    shutil.rmtree(project.root / FOLDER)
    calls.run(WHILE_ANOTHER_RESTORES)
    assert project.manifest_file.read_bytes() == listed
    project.run_cli("status", "--check")


def test_directory_that_another_process_looks_at_meanwhile(project: Any) -> None:
    """Of a list that only the index had, nothing was left after the other's look."""
    for path in ("a/1.csv", "a/2.csv", "b/3.csv"):
        project.write(f"{FOLDER}/{path}", path[2:3])
    calls = project.tracker()
    calls.track(FOLDER)
    (project.root / FOLDER / "a" / "1.csv").unlink()
    project.run_cli("status")
    project.write(f"{FOLDER}/b/3.csv", "another")
    calls.run(WHILE_ANOTHER_LOOKS)
    calls.track(FOLDER)
    project.run_cli("status", "--check")
    project.run_cli("verify")
