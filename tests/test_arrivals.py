"""Bytes from elsewhere: kept when it fails, gone on from, fetched by one process for all."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from blake3 import blake3

from lazydata.arrivals import take_turn
from lazydata.digest import Digest, blocks, hash_file
from lazydata.errors import NoSpace, ObjectCorrupt, RemoteUnavailable
from lazydata.following import Following
from lazydata.index import Index
from lazydata.store import Store

DATA = os.urandom(3 << 20)
HEX = blake3(DATA).hexdigest()
DIGEST = Digest(f"blake3:{HEX}")
X = "data/x.bin"


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def unfinished(store):
    return sorted((Path(store.directory) / "tmp").glob("*.part"))


def fill(store, data, error=None):
    with store.incoming(DIGEST) as temp:
        with open(temp, "ab") as file:
            begun = file.tell()
            file.write(data)
        if error:
            raise error
    return begun


def test_what_failed_is_gone_on_from(store):
    with pytest.raises(RemoteUnavailable):
        fill(store, DATA[: 2 << 20], RemoteUnavailable("down"))
    assert len(unfinished(store)) == 1
    assert fill(store, DATA[2 << 20 :]) == 2 << 20
    assert Path(store.find(DIGEST)).read_bytes() == DATA
    assert unfinished(store) == []


def test_what_came_is_not_hashed_again(tmp_path, monkeypatch):
    directory = str(tmp_path / "index")
    store = Store(str(tmp_path / "store"), index=directory)
    fill(store, DATA)

    def hash_again(path, **_):
        raise AssertionError(f"{path} was hashed when it came")

    monkeypatch.setattr("lazydata.store.hash_file", hash_again)
    with Index(directory) as index:
        assert store.check(DIGEST, index) == store.find(DIGEST)
        os.utime(store.find(DIGEST), ns=(1, 1))
        with pytest.raises(AssertionError):
            store.check(DIGEST, index)


def test_little_is_not_kept(store):
    with pytest.raises(RemoteUnavailable):
        fill(store, DATA[:1000], RemoteUnavailable("down"))
    assert unfinished(store) == []


@pytest.mark.parametrize("error", [NoSpace("full"), ObjectCorrupt("other")])
def test_what_is_of_no_use_is_not_kept(store, error):
    with pytest.raises(type(error)):
        fill(store, DATA[: 2 << 20], error)
    assert unfinished(store) == []


def test_other_bytes_never_become_the_object(store):
    with pytest.raises(ObjectCorrupt):
        fill(store, b"x" + DATA[1:])
    assert store.lacking([DIGEST]) == [DIGEST]
    assert unfinished(store) == []


CHILD = """
import os, signal, sys
from lazydata.digest import Digest, blocks, hash_file
from lazydata.store import Store
with Store(sys.argv[1]).incoming(Digest(sys.argv[2])) as temp:
    with open(temp, "ab") as file:
        print(file.tell(), flush=True)
        file.write(sys.stdin.buffer.read(2 << 20))
        file.flush()
    print("filled", flush=True)
    sys.stdin.buffer.read()
"""


def child(store):
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(Path(store.directory).parent), DIGEST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"0\n"
    process.stdin.write(DATA[: 2 << 20])
    process.stdin.flush()
    assert process.stdout.readline() == b"filled\n"
    return process


def test_what_a_killed_process_left_is_gone_on_from(store):
    process = child(store)
    # While it lives, its file is its own.
    with store.incoming(DIGEST) as temp:
        assert not temp.exists()
        temp.write_bytes(DATA)
    os.unlink(store.path_of(DIGEST))
    process.kill()
    process.communicate()
    assert fill(store, DATA[2 << 20 :]) == 2 << 20
    assert Path(store.find(DIGEST)).read_bytes() == DATA


def test_one_at_a_time(tmp_path):
    first = take_turn(str(tmp_path), "x")
    assert take_turn(str(tmp_path), "x") is None
    other = take_turn(str(tmp_path), "y")
    first.release()
    again = take_turn(str(tmp_path), "x")
    assert again is not None
    for each in (again, other):
        each.release()
    assert list(tmp_path.iterdir()) == []


def test_who_hangs_is_not_waited_for(tmp_path):
    first = take_turn(str(tmp_path), "x")
    os.utime(tmp_path / "x.lock", (time.time() - 60,) * 2)
    again = take_turn(str(tmp_path), "x")
    assert again is not None
    again.touch()
    again.release()  # it does not take the other's lock away
    first.touch()
    assert take_turn(str(tmp_path), "x") is None
    first.release()


def test_a_store_that_can_not_be_locked_is_no_reason_to_wait(tmp_path):
    (tmp_path / "file").write_text("")
    take_turn(str(tmp_path / "file" / "below"), "x").release()


@pytest.fixture
def shared(project, new_desk):
    """A file on a remote, and a second clone that lacks it."""
    project.write(X, DATA)
    project.run_cli("track", X)
    remote = project.base / "remote"
    project.run_cli("add-remote", remote)
    project.run_cli("push")
    other = new_desk("other")
    other.write("lazydata.yml", project.manifest_file.read_bytes())
    return other


CROWD = """
import asyncio, os, sys
from lazydata import track
from lazydata.remotes import file
if sys.argv[1] == "without":
    import fcntl
    fcntl.flock = lambda descriptor, operation: None
get = file.FileRemote.get
async def noted(self, key, target, progress):
    with open("gets", "a") as out:
        out.write(key + "\\n")
    await asyncio.sleep(0.5)
    await get(self, key, target, progress)
file.FileRemote.get = noted
sys.stdin.readline()
track("data/x.bin")
"""


@pytest.mark.parametrize("locks", ["with", "without"])
def test_16_processes_that_miss_one_file(shared, locks):
    crowd = [shared.popen(textwrap.dedent(CROWD), locks, stdin=subprocess.PIPE) for _ in range(16)]
    for each in crowd:
        each.stdin.write("\n")
        each.stdin.flush()
    for each in crowd:
        _, said = each.communicate(timeout=60)
        assert each.returncode == 0, said
    assert shared.read(X) == DATA
    gets = (shared.root / "gets").read_text().splitlines()
    assert len(gets) == 1 if locks == "with" else 1 <= len(gets) <= 16
    left = list((shared.lazydata_home / "store" / "objects-v1" / "tmp").iterdir())
    assert left == []


def follow(path, seed=7):
    return Following(str(path), "blake3", lambda: seed)


def grow(path, data, pieces=8):
    with path.open("ab", buffering=0) as file:
        for at in range(0, len(data), len(data) // pieces):
            file.write(data[at : at + len(data) // pieces])
            time.sleep(0.03)


def test_what_was_hashed_as_it_grew_is_what_it_is(tmp_path):
    path = tmp_path / "x"
    following = follow(path)
    grow(path, DATA)
    hashed = following.finish()
    whole = hash_file(str(path), seed=7)
    assert (hashed.digest, hashed.fingerprint) == (whole.digest, whole.fingerprint)
    assert hashed.stamp == whole.stamp


def test_little_is_left_to_hash_when_a_file_is_whole(tmp_path, monkeypatch):
    path, left = tmp_path / "x", []

    def counted(descriptor, size, glance):
        left.append(size)
        return blocks(descriptor, size, glance)

    monkeypatch.setattr("lazydata.following.blocks", counted)
    following = follow(path)
    grow(path, DATA)
    time.sleep(0.2)
    assert following.finish().digest == DIGEST
    assert left == [0]


def test_a_file_that_never_came_or_was_cut_is_not_vouched_for(tmp_path):
    path = tmp_path / "x"
    assert follow(path).finish() is None
    following = follow(path)
    grow(path, DATA)
    os.truncate(path, 5)
    assert following.finish() is None


def test_a_seed_that_cannot_be_had_spoils_nothing(tmp_path):
    def no_seed():
        raise OSError("no index")

    path = tmp_path / "x"
    following = Following(str(path), "blake3", no_seed)
    grow(path, DATA)
    assert following.finish() is None


@pytest.mark.parametrize("data", [DATA, b"x" + DATA[1:], DATA[:-1], DATA + b"x"])
def test_only_the_object_gets_its_name_however_it_was_hashed(tmp_path, data, monkeypatch):
    monkeypatch.setattr("lazydata.arrivals._WORTH_FOLLOWING", 1)
    directory = str(tmp_path / "index")
    store = Store(str(tmp_path / "store"), index=directory)
    told = nullcontext() if data == DATA else pytest.raises(ObjectCorrupt)
    with told, store.incoming(DIGEST, grows_to=len(DATA)) as temp:
        grow(temp, data)
    assert (store.lacking([DIGEST]) == []) == (data == DATA)
    assert unfinished(store) == []
    if data == DATA:
        with Index(directory) as index:
            monkeypatch.setattr("lazydata.store.hash_file", None)
            assert store.check(DIGEST, index) == store.find(DIGEST)


def test_a_follower_ends_with_what_it_follows(tmp_path, monkeypatch):
    monkeypatch.setattr("lazydata.arrivals._WORTH_FOLLOWING", 1)
    store = Store(str(tmp_path / "store"))
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with suppress(RemoteUnavailable), store.incoming(DIGEST, grows_to=len(DATA)) as temp:
        grow(temp, DATA[: 2 << 20])
        raise RemoteUnavailable("down")
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, descriptors)
    with store.incoming(DIGEST, grows_to=len(DATA)) as temp:
        assert temp.stat().st_size == 2 << 20
        grow(temp, DATA[2 << 20 :])
    assert Path(store.find(DIGEST)).read_bytes() == DATA
