"""The lock file: who holds it is respected, who is gone is followed, a full disk leaves none."""

import errno
import os
import shutil
import signal
import time

import pytest

from lazydata.errors import FileBusy
from lazydata.lock import Lock

OTHER = b"otherhost\t12\tthat-boot\t0123456789abcdef\n"

HOLD = """
import sys
from lazydata.lock import Lock
with Lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""

# Between reading and writing there is time enough for another one that holds the lock as well.
COUNT = """
import pathlib, sys, time
from lazydata.lock import Lock
counter = pathlib.Path("counter")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    with Lock(sys.argv[1]):
        count = int(counter.read_text())
        time.sleep(0.01)
        counter.write_text(str(count + 1))
"""


class Clock:
    """Stands in for ``time``: passes only when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.began = self.now
        self.at = []  # (after how many seconds, what happens then)

    @property
    def passed(self):
        return self.now - self.began

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        while self.at and self.at[0][0] <= self.passed:
            self.at.pop(0)[1]()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("lazydata.lock.time", clock)
    return clock


@pytest.fixture
def path(tmp_path):
    (tmp_path / "locks").mkdir()
    return tmp_path / "locks" / "lock"


@pytest.fixture
def mine(path):
    """What a lock of this very process says: host, pid, boot, nonce."""
    with Lock(str(path)):
        return path.read_bytes().rstrip(b"\n").split(b"\t")


@pytest.fixture
def holder(desk, path, end_process):
    """A process that holds the lock."""
    process = desk.popen(HOLD, str(path), stdin=-1)
    assert process.stdout.readline() == "held\n"
    yield process
    end_process(process)


@pytest.fixture
def dead(path, holder):
    """A lock whose holder was killed."""
    holder.send_signal(signal.SIGKILL)
    holder.wait(60)
    assert path.exists()


@pytest.fixture(params=[True, False], ids=["hardlinks", "no hardlinks"])
def hardlinks(request, monkeypatch):
    if not request.param:

        def refuse(*_, **__):
            raise OSError(errno.EPERM, "no hardlinks here")

        monkeypatch.setattr(os, "link", refuse)


def names(path):
    return sorted(os.listdir(path.parent))


def test_lock_is_there_while_it_is_held_and_gone_afterwards(path, hardlinks):
    with Lock(str(path)):
        host, pid, boot, nonce = path.read_bytes().split(b"\t")
        assert int(pid) == os.getpid()
        assert os.uname().nodename.encode() in host
        assert boot
        assert len(nonce) > 8
        assert names(path) == ["lock"]
    assert names(path) == []


def test_lock_is_let_go_when_its_block_fails(path):
    with pytest.raises(ZeroDivisionError), Lock(str(path)):
        raise ZeroDivisionError
    assert names(path) == []


# -- holders that are gone


def test_killed_holder_is_followed_at_once(path, dead, hardlinks):
    began = time.monotonic()
    with Lock(str(path)):
        assert time.monotonic() - began < 5
        assert int(path.read_bytes().split(b"\t")[1]) == os.getpid()
    assert names(path) == []


def test_holder_of_an_earlier_boot_is_followed_at_once(path, mine, clock):
    host, pid, _, nonce = mine  # of a process number that is taken again
    path.write_bytes(b"\t".join([host, pid, b"the-boot-before", nonce]) + b"\n")
    with Lock(str(path)):
        assert clock.passed < 1


def test_lock_that_somebody_else_followed_meanwhile_is_not_broken(path, mine, clock, monkeypatch):
    host, _, boot, nonce = mine
    path.write_bytes(b"\t".join([host, b"999999999", boot, nonce]) + b"\n")

    def gone(*_):
        path.write_bytes(OTHER)  # right after the look at the old holder
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)
    with Lock(str(path)):
        assert clock.passed > 60


def test_one_who_died_while_he_broke_a_lock_holds_nobody_up(path, dead, clock):
    (path.parent / "lock.break").touch()
    with Lock(str(path)):
        assert clock.passed < 60
    assert names(path) == []


def test_those_who_follow_a_killed_holder_hold_the_lock_one_at_a_time(desk, path, dead):
    desk.write("counter", "0")
    processes = [desk.popen(COUNT, str(path), stdin=-1) for _ in range(8)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [(p.communicate(timeout=60)[1], p.returncode) for p in processes]
    assert ended == [("", 0)] * 8
    assert desk.read("counter") == b"24"
    assert names(path) == []


# -- holders that may live


def test_living_holder_is_never_robbed(path, holder, clock):
    os.utime(path, (0, 0))
    before = path.read_bytes()
    with pytest.raises(FileBusy, match=f"process {holder.pid} on") as caught, Lock(str(path)):
        pass
    assert caught.value.exit_code == 14
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert clock.passed > 100
    assert path.read_bytes() == before
    assert names(path) == ["lock"]


@pytest.mark.parametrize("age", [1 << 30, 61, 0, -(1 << 20)])
def test_lock_of_another_host_is_taken_once_it_stood_for_a_minute_here(path, clock, age):
    """By our clock alone: the file's times come from a clock that may be wrong."""
    path.write_bytes(OTHER)
    os.utime(path, (time.time() - age,) * 2)
    with Lock(str(path)):
        assert 60 < clock.passed < 62
        assert path.read_bytes() != OTHER
    assert names(path) == []


def test_process_number_of_another_container_says_nothing(path, mine, clock):
    """The host has the same name there, and the numbers mean other processes."""
    host, _, boot, nonce = mine
    if not os.path.exists("/proc/self/ns/pid"):
        pytest.skip("this system does not tell containers apart")
    assert b"pid:[" in host
    other = host.partition(b"pid:[")[0] + b"pid:[1]"
    path.write_bytes(b"\t".join([other, b"999999999", boot, nonce]) + b"\n")
    with Lock(str(path)):
        assert 60 < clock.passed < 62


def test_lock_that_another_host_lets_go_is_taken_then(path, clock):
    path.write_bytes(OTHER)
    clock.at = [(30, path.unlink)]
    with Lock(str(path)):
        assert 30 <= clock.passed < 31


def test_lock_that_changes_hands_has_its_minute_anew(path, clock):
    path.write_bytes(OTHER)
    clock.at = [(50, lambda: path.write_bytes(OTHER.replace(b"\t12\t", b"\t13\t")))]
    with Lock(str(path)):
        assert 110 < clock.passed < 112


def test_lock_that_is_never_free_is_waited_for_two_minutes(path, clock):
    path.write_bytes(OTHER)
    last = OTHER.replace(b"\t12\t", b"\t14\t")
    clock.at = [
        (50, lambda: path.write_bytes(OTHER.replace(b"\t12\t", b"\t13\t"))),
        (100, lambda: path.write_bytes(last)),
    ]
    with pytest.raises(FileBusy, match="process 14 on otherhost"), Lock(str(path)):
        pass
    assert 120 < clock.passed < 122
    assert path.read_bytes() == last
    assert names(path) == ["lock"]


def test_lock_that_makes_no_sense_is_taken_once_it_stood_for_a_minute(path, clock):
    path.write_bytes(b"no lock of ours")
    with Lock(str(path)):
        assert 60 < clock.passed < 62


@pytest.mark.parametrize("text", [b"", bytes(80)], ids=["empty", "zeros"])
def test_lock_that_says_nothing_is_taken_after_ten_seconds(path, clock, text):
    """A power cut leaves such a one, and a crash where there are no hardlinks."""
    path.write_bytes(text)
    with Lock(str(path)):
        assert 10 < clock.passed < 12


def test_lock_that_was_taken_away_is_not_let_go_for_its_new_holder(path):
    with Lock(str(path)):
        path.write_bytes(OTHER)
    assert path.read_bytes() == OTHER


def test_temp_file_that_can_not_be_removed_leaves_no_lock_held(path, monkeypatch):
    def refuse(name):
        if ".tmp" in str(name):
            raise PermissionError(errno.EACCES, "denied", name)
        unlink(name)

    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", refuse)
    for _ in range(2):
        with Lock(str(path)):
            assert path.exists()
        assert not path.exists()


# -- a disk that is full


@pytest.mark.parametrize("left", [0, 4096])
def test_full_disk_leaves_no_lock(small_disk, hardlinks, request, left):
    """Where there are no hardlinks the lock is a second file, that may be the one too much."""
    disk = small_disk("1m")
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - left))
    lock = disk / "lock"
    if left and "no hardlinks" not in request.node.callspec.id:
        with Lock(str(lock)):  # one file is enough
            assert names(lock) == ["filler", "lock"]
    else:
        with pytest.raises(OSError, match="space"), Lock(str(lock)):
            pass
    assert names(lock) == ["filler"]
    os.unlink(disk / "filler")
    with Lock(str(lock)):
        pass


def test_limit_on_file_sizes_leaves_no_lock(desk, path):
    done = desk.run_code(
        f"""
        import resource
        from lazydata.lock import Lock
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            with Lock({str(path)!r}):
                pass
        except OSError:
            raise SystemExit(7)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        """,
        code=7,
    )
    assert done.stderr == ""
    assert names(path) == []


@pytest.mark.parametrize("is_another", [False, True])
def test_a_lock_that_cannot_be_read_is_let_go_if_it_is_ours(tmp_path, monkeypatch, is_another):
    path = tmp_path / "lock"

    def no_descriptor(_):
        raise OSError(errno.EMFILE, "too many open files")

    with Lock(str(path)):
        if is_another:  # whoever took ours for stale
            path.unlink()
            path.write_bytes(b"somebody else's")
        monkeypatch.setattr("lazydata.lock._read", no_descriptor)
    assert path.exists() == is_another


def test_a_lock_that_could_not_be_removed_is_not_waited_for(path, clock, monkeypatch):
    """Its holder is alive: it is ourselves."""

    def denied(_):
        raise PermissionError(errno.EACCES, "not just now")

    with monkeypatch.context() as patch, pytest.raises(PermissionError), Lock(str(path)):
        patch.setattr("lazydata.lock.remove", denied)
    assert path.exists()
    with Lock(str(path)):
        assert path.exists()
    assert not path.exists()
