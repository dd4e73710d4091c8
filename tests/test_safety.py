"""Bytes are never lost: by writers at once, a damaged object, a late writer, the audit hook."""

import hashlib
import mmap
import os
import shutil
import stat
import time

import pytest

X = "data/x.csv"
A, B, C = (letter * 5000 for letter in (b"A", b"B", b"C"))


def write_manifest(desk, *versions, path=X):
    """A manifest with these versions of one file, given by content or by digest."""
    import blake3

    lines = ["version: 2\nfiles:\n"]
    for version in versions:
        if isinstance(version, bytes):
            version = f"blake3:{blake3.blake3(version).hexdigest()}"
        lines.append(f"  - path: {path}\n    hash: {version}\n    size: 5000\n")
    desk.write("lazydata.yml", "".join(lines))


def set_link(desk, how):
    desk.write(desk.lazydata_home / "config.yml", f"link: {how}\n")


@pytest.fixture
def linking(project, no_reflink):
    """A desk at which every file that is tracked becomes a hardlink of its object."""
    set_link(project, "hardlink")
    return project


@pytest.fixture
def linked(linking):
    """The same, with one file tracked."""
    linking.write(X, A)
    linking.run_cli("track", X)
    assert os.path.samefile(linking.root / X, linking.object(A))
    return linking


@pytest.fixture
def two(project, digest):
    """A desk whose file has the versions A and B, B being the last and in its place.

    Nothing is racy: both were still when they were hashed.
    """
    tracker = project.tracker()
    for content in (A, B):
        file = project.write(X, content)
        os.utime(file, (1_600_000_000, 1_600_000_000))
        time.sleep(0.05)
        tracker.track(X)
    assert project.versions(X) == [digest(A), digest(B)]
    return project


def is_writable(path):
    return bool(path.stat().st_mode & 0o222)


# -- several writers of one hardlinked file

# Each writer takes longer than the one before to give the file an inode of its own.
SLOW = """
import os, sys, time
import lazydata
def slow(number):
    def hook(event, args):
        if event == "os.rename" and os.path.basename(os.fsdecode(args[1])) == "x.csv":
            time.sleep(0.2 + 0.2 * number())
    sys.addaudithook(hook)
def write(number):
    with open("data/x.csv", "r+b") as f:
        f.seek(1000 * number)
        f.write(b"%d" % number * 1000)
"""

THREADS = """
import threading
numbers = {}
slow(lambda: numbers[threading.get_ident()])
barrier = threading.Barrier(4)
def run(number):
    numbers[threading.get_ident()] = number
    barrier.wait()
    write(number)
threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

PROCESS = """
number = int(sys.argv[1])
slow(lambda: number)
print("ready", flush=True)
sys.stdin.readline()
write(number)
"""


def test_threads_that_open_a_hardlinked_file_at_once_keep_their_bytes(linked):
    linked.run_code(SLOW + THREADS)
    assert linked.read(X) == b"".join(b"%d" % n * 1000 for n in range(4)) + A[4000:]
    assert linked.holds(A)


def test_processes_that_open_a_hardlinked_file_at_once_keep_their_bytes(linked):
    processes = [linked.popen(SLOW + PROCESS, str(n), stdin=-1) for n in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [(p.communicate(timeout=60)[1], p.returncode) for p in processes]
    assert ended == [("", 0)] * 4
    assert linked.read(X) == b"".join(b"%d" % n * 1000 for n in range(4)) + A[4000:]
    assert linked.holds(A)


# -- a file whose stored object is damaged


@pytest.mark.parametrize("listed", [[B, A], [A]], ids=["updated", "displaced"])
def test_replaced_file_whose_object_is_damaged_is_stored_again(two, listed):
    two.damage(two.object(B))
    write_manifest(two, *listed)
    two.tracker().track(X)
    assert two.read(X) == A
    assert two.holds(B)


def test_restored_version_leaves_a_good_copy_of_the_file_whose_object_is_damaged(two, digest):
    two.damage(two.object(B))
    two.run_cli("restore", X, "--version", digest(A))
    assert two.read(X) == A
    assert two.holds(B)
    two.run_cli("restore", X, "--version", digest(B))
    assert two.read(X) == B


def test_unrecorded_file_whose_object_is_damaged_is_stored_before_a_restore(two, restore_command):
    write_manifest(two, A)
    two.forget()
    two.damage(two.object(B))
    done = two.run_cli("restore", X)
    assert two.read(X) == A
    assert two.holds(B)
    two.run_cli(*restore_command(done.stderr))
    assert two.read(X) == B


def test_content_that_is_recorded_anew_replaces_its_damaged_object(two):
    two.damage(two.object(B))
    two.write("data/y.csv", B)
    tracker = two.tracker(fresh=True)
    tracker.track("data/y.csv")
    assert two.holds(B)
    (two.root / X).unlink()
    (two.root / "data/y.csv").unlink()
    tracker.track(X)
    assert two.read(X) == B


# -- a writer in the last moment, and one that does not stop

# The copy that will replace the file gets its mode: the last but one step before it does.
LATE = """
import os, sys
from lazydata import track
left = [1]
def hook(event, args):
    if event == "os.chmod" and os.path.dirname(os.fsdecode(args[0])) == os.path.abspath("data"):
        if left:
            left.pop()
            before = os.stat("data/x.csv")
            with open("data/x.csv", "r+b") as f:
                f.write(b"C" * 5000)
            if {keep}:
                os.utime("data/x.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
sys.addaudithook(hook)
try:
    track("data/x.csv")
except BaseException as error:
    print(type(error).__name__, error.exit_code)
    print(error)
"""


@pytest.mark.parametrize("keep", [True, False], ids=["mtime kept", "mtime moved"])
def test_writer_just_before_the_file_is_replaced_loses_nothing(two, restore_command, keep):
    write_manifest(two, B, A)
    done = two.run_code(LATE.format(keep=keep))
    name, _, text = done.stdout.partition("\n")
    assert name == "FileChanged 14"
    assert X in text
    assert two.read(X) == A
    assert two.holds(C)
    assert two.holds(B)
    assert sorted(os.listdir(two.root / "data")) == ["x.csv"]
    two.run_cli(*restore_command(text))
    assert two.read(X) == C


def test_file_that_stays_mapped_is_looked_at_again(project, tracker, digest):
    """Its pages may change while its stamp stands still."""
    with open(project.write(X, A), "r+b") as f, mmap.mmap(f.fileno(), len(A)) as mapped:
        mapped[:3] = b"one"
        time.sleep(0.1)
        tracker.track(X)
        first = bytes(mapped)
        time.sleep(0.1)
        mapped[:3] = b"two"
        second = bytes(mapped)
    tracker.track(X)
    assert project.versions(X) == [digest(first), digest(second)]
    assert project.holds(second)


@pytest.mark.parametrize("command", ["track", "restore", "pull"])
@pytest.mark.parametrize("how", ["open", "mapped"])
def test_file_that_a_program_writes_to_is_not_replaced(two, command, how):
    """Recorded, but listed no more: it would be displaced, with a line in the journal."""
    write_manifest(two, A)
    before = two.state()
    with open(two.root / X, "r+b") as f:
        mapped = mmap.mmap(f.fileno(), len(B)) if how == "mapped" else None
        if mapped:
            f.close()
        if command == "track":
            reply = two.tracker().refuse(X)
            assert (reply.error[0], reply.exit_code) == ("FileBusy", 14)
            assert X in reply.message
            assert reply.hint
        else:
            done = two.run_cli(command, X, code={"restore": 14, "pull": 3}[command])
            assert X in done.stderr
        assert two.read(X) == B
        assert not (two.root / ".lazydata" / "displaced").exists()
        assert two.state() == before
        assert sorted(os.listdir(two.root / "data")) == ["x.csv"]
        if mapped:
            mapped[:1] = b"C"
            mapped.close()
        else:
            f.write(b"C")
    assert two.read(X) == b"C" + B[1:]


# -- what the audit hook must not do


@pytest.mark.parametrize(
    "code",
    [
        "d = os.open('other', os.O_RDONLY)\n"
        "os.open('x.csv', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=d)\n"
        "assert os.path.getsize('other/x.csv') == 0\n",
        "try:\n"
        "    os.open('x.csv', os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_TRUNC)\n"
        "except FileExistsError:\n"
        "    pass\n"
        "else:\n"
        "    sys.exit('not refused')\n",
        "try:\n"
        "    open('x.csv', 'x')\n"
        "except FileExistsError:\n"
        "    pass\n"
        "else:\n"
        "    sys.exit('not refused')\n",
    ],
    ids=["of another directory", "made exclusively", "open x"],
)
def test_file_of_the_same_name_is_not_emptied(linked, code):
    linked.write("data/other/x.csv", b"of the other directory")
    linked.run_code(f"import os, sys\nos.chdir('data')\nimport lazydata\n{code}")
    assert linked.read(X) == A
    assert linked.holds(A)


OBJECTS = {
    "blake3": lambda desk: desk.object(A),
    "sha256": lambda desk: next((desk.lazydata_home / "store").glob("objects-v1/sha256/*/*")),
}


@pytest.fixture(params=OBJECTS)
def stray(request, linking):
    """A hardlinked file of either algorithm, and its object, with the index lost."""
    if request.param == "sha256":
        write_manifest(linking, f"sha256:{hashlib.sha256(A).hexdigest()}")
    file = linking.write(X, A)
    linking.run_cli("track", X)
    found = OBJECTS[request.param](linking)
    assert os.path.samefile(file, found)
    shutil.rmtree(linking.lazydata_home / "index")
    return found


def test_moved_file_is_unshared_before_it_is_written(linking, stray):
    os.rename(linking.root / X, linking.root / "moved.csv")
    linking.run_code("import lazydata\nwith open('moved.csv', 'r+b') as f: f.write(b'new')\n")
    assert linking.read("moved.csv") == b"new" + A[3:]
    assert stray.read_bytes() == A
    assert not is_writable(stray)


def test_unlock_needs_neither_index_nor_memory(linking, stray):
    linking.forget()
    linking.run_cli("unlock", X)
    assert is_writable(linking.root / X)
    assert not os.path.samefile(linking.root / X, stray)
    assert linking.read(X) == A
    assert not is_writable(stray)


def test_untracked_file_is_free_to_be_written(linking, stray):
    linking.run_cli("untrack", X)
    assert linking.items() == []
    assert is_writable(linking.root / X)
    assert not os.path.samefile(linking.root / X, stray)
    assert linking.read(X) == A
    linking.write(X, B)
    assert stray.read_bytes() == A
    assert linking.run_cli("unlock", X, code=12).stderr


# -- what this process wrote


def test_warning_does_not_settle_what_this_process_wrote(two, digest):
    """Else the older version, that was written on purpose, would be taken for an old clone's."""
    two.forget()
    two.run_code(
        f"""
        from lazydata import track
        with open({X!r}, "w") as f:
            f.write("A" * 5000)
        track({X!r}, on_change="warn")
        track({X!r})
        """
    )
    assert two.read(X) == A
    assert two.versions(X) == [digest(B), digest(A)]


@pytest.mark.parametrize("target", ["data", "data/x.csv"])
def test_what_is_written_through_a_symlink_was_written_by_this_process(two, digest, target):
    two.forget()
    (two.root / "link").symlink_to(target)
    name = "link/x.csv" if target == "data" else "link"
    two.run_code(
        f"""
        from lazydata import track
        with open({name!r}, "w") as f:
            f.write("A" * 5000)
        track({X!r})
        """
    )
    assert two.read(X) == A
    assert two.versions(X) == [digest(B), digest(A)]


# -- permissions


def private_and_back(desk, mode, contents):
    """Record a file that all may read, then a private one; go back to the first."""
    first, second = contents
    tracker = desk.tracker(fresh=True)
    desk.write(X, first).chmod(0o644)
    tracker.track(X)
    (desk.root / X).unlink()
    desk.write(X, second).chmod(mode)
    tracker.track(X)
    write_manifest(desk, second, first)
    tracker.track(X)
    assert desk.read(X) == first
    now = stat.S_IMODE((desk.root / X).stat().st_mode)
    assert now & 0o077 == 0, oct(now)
    assert now & 0o500 == mode & 0o500, oct(now)
    assert desk.holds(second)


@pytest.mark.parametrize("mode", [0o600, 0o700])
@pytest.mark.parametrize("how", ["hardlink", "copy"])
def test_private_file_stays_private_when_it_is_updated(project, how, mode, request):
    if how == "hardlink":
        request.getfixturevalue("no_reflink")
    set_link(project, how)
    private_and_back(project, mode, (A, B))


def test_private_large_file_of_a_user_stays_private_when_it_is_updated(ordinary, no_reflink):
    private_and_back(ordinary, 0o700, (A * 250, B * 250))


def test_executable_file_stays_executable_when_it_is_updated(linked):
    file = linked.root / X
    file.unlink()
    linked.write(X, B).chmod(0o755)
    tracker = linked.tracker(fresh=True)
    tracker.track(X)
    write_manifest(linked, B, A)
    tracker.track(X)
    assert linked.read(X) == A
    assert os.access(file, os.X_OK)


# -- verify


def away(desk, tmp_path):
    with open(desk.manifest_file, "a") as f:
        f.write(f"remotes:\n  origin:\n    url: file://{tmp_path}/not-mounted\n")


def problems(desk, code):
    done = desk.json_cli("verify", code=code)
    return [(row["digest"], row["problem"]) for row in done["damage"]]


def test_verify_names_damage_when_a_version_can_not_be_looked_for(two, digest, tmp_path):
    two.damage(two.object(B))
    two.lose(A)
    away(two, tmp_path)
    found = problems(two, 13)
    assert (digest(B), "corrupt") in found
    assert (digest(A), "unknown") in found


def test_verify_tells_what_it_can_not_ask_for_from_what_is_nowhere(two, digest, tmp_path):
    two.lose(A)
    assert problems(two, 12) == [(digest(A), "missing")]
    away(two, tmp_path)
    assert problems(two, 20) == [(digest(A), "unknown")]
    (tmp_path / "not-mounted").mkdir()
    assert problems(two, 12) == [(digest(A), "missing")]
