"""Many processes at once, processes that die at a bad moment, and processes that fork."""

import os
import signal
import time

import pytest

X = "data/x.csv"

TRACK_ONE = """
import sys
from lazydata import track
print("ready", flush=True)
sys.stdin.readline()
track(sys.argv[1])
"""

# All children come from one process, in which flock does nothing.
FORK_MANY = """
import fcntl, os, sys
fcntl.flock = lambda *args: None
fcntl.lockf = lambda *args: None
from lazydata import track
read, write = os.pipe()
children = []
for n in range({count}):
    pid = os.fork()
    if not pid:
        os.close(write)
        os.read(read, 1)
        try:
            track({path})
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(pid)
os.close(write)
failed = [pid for pid in children if os.waitpid(pid, 0)[1]]
sys.exit(len(failed))
"""


def all_at_once(desk, paths):
    """One fresh process for each path; all of them track in the same moment."""
    processes = [desk.popen(TRACK_ONE, path, stdin=-1) for path in paths]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [(p.communicate(timeout=120)[1], p.returncode) for p in processes]
    assert [err for err, code in ended if code] == []
    return [err for err, _ in ended]


def test_64_processes_that_track_64_new_files(project, digest):
    paths = [f"data/{n:02}.csv" for n in range(64)]
    for path in paths:
        project.write(path, f"content of {path}")
    all_at_once(project, paths)
    assert [item["path"] for item in project.items()] == paths
    assert all(project.versions(p) == [digest(project.read(p))] for p in paths)
    assert all(project.holds(project.read(p)) for p in paths)
    project.run_cli("status", "--check")


def test_64_processes_that_track_64_new_files_where_flock_does_nothing(project):
    paths = [f"data/{n:02}.csv" for n in range(64)]
    for path in paths:
        project.write(path, f"content of {path}")
    project.run_code(FORK_MANY.format(count=64, path="f'data/{n:02}.csv'"))
    assert [item["path"] for item in project.items()] == paths
    assert all(project.holds(project.read(p)) for p in paths)


def test_16_processes_that_track_one_new_file(project, digest):
    project.write(X, b"one content")
    said = all_at_once(project, [X] * 16)
    assert project.versions(X) == [digest(b"one content")]
    assert sum("Tracking a new file" in err for err in said) >= 1
    assert project.holds(b"one content")


def test_16_processes_that_track_one_changed_file_where_flock_does_nothing(project, digest):
    project.write(X, b"one content")
    project.run_cli("track", X)
    project.write(X, b"two contents")
    project.run_code(FORK_MANY.format(count=16, path=repr(X)))
    assert project.versions(X) == [digest(b"one content"), digest(b"two contents")]


def test_16_processes_that_need_one_missing_file(project, tmp_path):
    content = os.urandom(1 << 21)
    project.write(X, content)
    project.run_cli("track", X)
    project.run_cli("add-remote", tmp_path / "remote")
    project.run_cli("push")
    project.lose(content)
    (project.root / X).unlink()
    before = project.state()
    all_at_once(project, [X] * 16)
    assert project.read(X) == content
    assert project.holds(content)
    assert project.state() == before
    assert sorted(os.listdir(project.root / "data")) == ["x.csv"]


def test_threads_of_one_process(project):
    paths = [f"data/{n:02}.csv" for n in range(16)]
    for path in paths:
        project.write(path, f"content of {path}")
    project.run_code(
        """
        from concurrent.futures import ThreadPoolExecutor
        from lazydata import track
        paths = [f"data/{n:02}.csv" for n in range(16)]
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(track, paths)) == paths
            assert list(pool.map(track, paths)) == paths
        """
    )
    assert [item["path"] for item in project.items()] == paths


# -- processes that die

DIE = """
import os, signal, sys
sys.dont_write_bytecode = True
from lazydata import track
left = int(sys.argv[1])
def hook(event, args):
    global left
    writes = event in ("os.rename", "os.link", "os.remove", "os.mkdir") or (
        event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    )
    if writes:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
track(sys.argv[2])
"""

DIE_WITH_THE_LOCK = """
import os, signal, sys
sys.dont_write_bytecode = True
from lazydata import track
def hook(event, args):
    if event == "os.rename" and os.fsdecode(args[1]).endswith("lazydata.yml"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
track(sys.argv[1])
"""


def test_process_killed_while_it_holds_the_lock_holds_nobody_up(project):
    for name in ("a", "b"):
        project.write(name, name * 1000)
    process = project.popen(DIE_WITH_THE_LOCK, "a")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert project.items() == []
    began = time.monotonic()
    project.tracker().track("b")
    assert time.monotonic() - began < 5
    project.tracker().track("a")
    assert [item["path"] for item in project.items()] == ["a", "b"]


def test_process_killed_at_any_write_leaves_the_old_or_the_new(new_desk, new_manifest, digest):
    """Whatever step it dies at: the file is there, the manifest valid, the next run works."""
    old, content = b"old\n", b"new\n"
    died, n = True, 0
    while died:
        assert n < 100
        desk = new_desk(f"desk{n}")
        desk.write("lazydata.yml", new_manifest)
        desk.record((X, old))
        desk.write(X, content)
        process = desk.popen(DIE, str(n), X)
        _, err = process.communicate(timeout=60)
        died = process.returncode == -signal.SIGKILL
        assert died or process.returncode == 0, err
        assert desk.read(X) == content
        assert desk.versions(X) in ([digest(old)], [digest(old), digest(content)])
        assert all(desk.object(item["hash"]).is_file() for item in desk.items())
        began = time.monotonic()
        desk.run_code(f"from lazydata import track\ntrack({X!r})")
        assert time.monotonic() - began < 5
        assert desk.versions(X) == [digest(old), digest(content)]
        assert desk.holds(old)
        assert desk.holds(content)
        n += 1
    assert n > 3


# -- processes that fork

FORKING = """
import os, signal
from lazydata import track
track("large.bin")
pids = []
for n in range(3):
    pid = os.fork()
    if not pid:
        signal.alarm(30)
        try:
            track("large.bin")
            track(f"new{n}.bin")
            track("missing.bin")
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
        os._exit(1)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
track("new3.bin")
"""


def test_children_of_a_process_that_tracked_can_track(project, tmp_path):
    project.write("missing.bin", os.urandom(1 << 21))
    project.run_cli("track", "missing.bin")
    project.run_cli("add-remote", tmp_path / "remote")
    project.run_cli("push")
    project.lose(project.read("missing.bin"))
    (project.root / "missing.bin").unlink()
    for name in ("large", "new0", "new1", "new2", "new3"):
        project.write(f"{name}.bin", os.urandom(8 << 20))
    project.run_code(FORKING)
    assert len(project.items()) == 6
    assert (project.root / "missing.bin").exists()
    project.run_cli("verify")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pool_of_worker_processes_can_track(project, method):
    for n in range(8):
        project.write(f"{n}.bin", f"content {n}" * 1000)
    project.run_script(
        f"""
        import multiprocessing
        from lazydata import track
        if __name__ == "__main__":
            track("0.bin")
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                pool.map(track, [f"{{n}}.bin" for n in range(8)])
        """
    )
    assert len(project.items()) == 8
