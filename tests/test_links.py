"""No extra space where that is possible, and an old version survives what is done to the file."""

import os
import stat

import pytest

MIB = 1 << 20
X = "data/x.csv"
OLD = b"a,b\n" + b"1,2\n" * (MIB // 2)
NEW = b"c,d\n3,4\n"


@pytest.fixture(params=["forced", "by default"])
def hard(request):
    """A desk at which a file of 1 MiB or more is hardlinked: by its config, or as it comes."""
    request.getfixturevalue("no_reflink")
    if request.param == "by default":
        return request.getfixturevalue("ordinary")
    project = request.getfixturevalue("project")
    project.run_cli("config", "set", "link", "hardlink")
    return project


def is_linked(desk, path=X, content=OLD):
    found = desk.object(content)
    return os.path.samefile(desk.root / path, found)


def is_writable(path):
    return bool(path.stat().st_mode & 0o222)


def old_version_is_intact(desk, content=OLD):
    found = desk.object(content)
    return desk.holds(content) and not is_writable(found)


# -- hardlinks: what they are


def test_file_and_object_are_one_and_read_only(hard):
    hard.write(X, OLD)
    hard.tracker().track(X)
    assert is_linked(hard)
    assert not is_writable(hard.root / X)
    assert hard.read(X) == OLD


def test_linked_file_is_unchanged_for_track_and_status(hard):
    hard.write(X, OLD)
    tracker = hard.tracker(fresh=True)
    tracker.track(X)
    before = hard.state()
    assert tracker.track(X).stderr == ""
    hard.run_cli("status", "--check")
    assert hard.state() == before


def test_restored_file_is_linked_too(hard):
    hard.write(X, OLD)
    tracker = hard.tracker(fresh=True)
    tracker.track(X)
    (hard.root / X).unlink()
    tracker.track(X)
    assert hard.read(X) == OLD
    assert is_linked(hard)
    assert not is_writable(hard.root / X)


def test_replaced_file_leaves_the_object_alone(hard):
    hard.write(X, OLD)
    tracker = hard.tracker(fresh=True)
    tracker.track(X)
    (hard.root / X).unlink()
    hard.write(X, NEW)
    tracker.track(X)
    assert old_version_is_intact(hard)
    assert hard.holds(NEW)


# -- hardlinks: what is written into the file

WRITERS = {
    "open w": "open(path, 'w').write('c,d\\n3,4\\n')",
    "open wb": "open(path, 'wb').write(b'c,d\\n3,4\\n')",
    "open w+": "open(path, 'w+').write('c,d\\n3,4\\n')",
    "absolute path": "open(os.path.abspath(path), 'w').write('c,d\\n3,4\\n')",
    "bytes path": "open(os.fsencode(path), 'w').write('c,d\\n3,4\\n')",
    "append": "open(path, 'a').write('more')",
    "r+": "open(path, 'r+').write('X')",
    "os.open": "fd = os.open(path, os.O_WRONLY); os.write(fd, b'X'); os.close(fd)",
    "os.open truncating": "fd = os.open(path, os.O_RDWR | os.O_TRUNC); os.close(fd)",
    "os.truncate": "os.truncate(path, 5)",
    "pathlib": "import pathlib; pathlib.Path(path).write_bytes(b'new')",
    "shutil": "import shutil; open('n', 'w').write('new'); shutil.copyfile('n', path)",
    "pandas": "import pandas; pandas.DataFrame({'c': [3]}).to_csv(path, index=False)",
    "numpy tofile": "import numpy; numpy.arange(9).tofile(path)",
    "numpy memmap": "import numpy; m = numpy.memmap(path, mode='r+'); m[0] = 88; m.flush()",
    "chmod, then open": "os.chmod(path, 0o644); open(path, 'a').write('more')",
    "symlink": "os.symlink(os.path.basename(path), path + '.l'); open(path + '.l', 'a').write('m')",
}
HEAD = "import gc, os\nfrom lazydata import track\npath = 'data/x.csv'\n"


@pytest.mark.parametrize("writer", WRITERS)
def test_writing_in_the_tracking_process_leaves_the_old_version_intact(hard, writer):
    hard.write(X, OLD)
    needed = " ".join(name for name in ("pandas", "numpy") if name in WRITERS[writer])
    code = f"{HEAD}track(path)\n{WRITERS[writer]}\ngc.collect()\n"
    hard.run_script(code, "writer.py", preload=needed)
    changed = hard.read(X)
    assert changed != OLD
    assert old_version_is_intact(hard)
    assert is_writable(hard.root / X)
    assert not is_linked(hard)

    hard.run_script(HEAD + "track(path)\n", "second.py")
    assert hard.read(X) == changed
    assert len(hard.versions(X)) == 2
    assert old_version_is_intact(hard)


@pytest.mark.parametrize("writer", ["open w", "append", "os.open", "os.truncate", "pandas"])
def test_writing_in_a_process_that_imports_lazydata_leaves_it_intact_too(hard, writer):
    hard.write(X, OLD)
    hard.run_script(HEAD + "track(path)\n", "first.py")
    assert is_linked(hard)
    needed = "pandas" if "pandas" in WRITERS[writer] else ""
    hard.run_script(f"{HEAD}{WRITERS[writer]}\ngc.collect()\n", "writer.py", preload=needed)
    assert hard.read(X) != OLD
    assert old_version_is_intact(hard)
    assert is_writable(hard.root / X)
    assert not is_linked(hard)


def test_append_and_update_start_from_the_old_bytes(hard):
    hard.write(X, OLD)
    hard.run_script(HEAD + "track(path)\nwith open(path, 'a') as f: f.write('more')\n", "a.py")
    assert hard.read(X) == OLD + b"more"
    hard.run_script(HEAD + "track(path)\nwith open(path, 'r+') as f: f.write('Z')\n", "b.py")
    assert hard.read(X) == b"Z" + OLD[1:] + b"more"


def test_reading_leaves_the_link(hard):
    hard.write(X, OLD)
    hard.run_script(
        HEAD + "track(path)\nopen(path).read()\nopen(path, 'rb').read()\n"
        "import pandas, numpy\npandas.read_csv(path)\nnumpy.memmap(path, mode='r')\n"
        "os.close(os.open(path, os.O_RDONLY))\n",
        preload="pandas numpy",
    )
    assert is_linked(hard)


def test_chmod_of_the_file_is_none_of_the_object(hard):
    hard.write(X, OLD)
    hard.run_script(HEAD + "track(path)\nos.chmod(path, 0o600)\n")
    assert stat.S_IMODE((hard.root / X).stat().st_mode) == 0o600
    assert hard.read(X) == OLD
    assert old_version_is_intact(hard)


def test_utime_of_the_file_is_none_of_the_object(hard):
    hard.write(X, OLD)
    hard.run_script(HEAD + "track(path)\nos.utime(path, (1000, 1000))\n")
    assert (hard.root / X).stat().st_mtime == 1000
    assert hard.object(OLD).stat().st_mtime != 1000
    assert hard.read(X) == OLD


def test_write_through_one_workspace_leaves_the_other_alone(hard):
    hard.write(X, OLD)
    hard.write("second/lazydata.yml", hard.manifest_file.read_bytes())
    hard.write(f"second/{X}", OLD)
    hard.run_script(HEAD + "track(path)\ntrack('second/data/x.csv')\n", "first.py")
    hard.run_script(HEAD + "open('second/data/x.csv', 'w').write('c,d\\n3,4\\n')\n", "second.py")
    assert hard.read(f"second/{X}") == NEW
    assert hard.read(X) == OLD
    assert old_version_is_intact(hard)


def test_other_programs_see_a_read_only_file(ordinary, no_reflink):
    ordinary.write(X, OLD)
    ordinary.tracker().track(X)
    done = ordinary.run_code(
        f"""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.open({X.encode()!r}, os.O_WRONLY) == -1
        assert ctypes.get_errno() == 13
        """
    )
    assert done.returncode == 0


# -- unlock


def test_unlocked_file_is_free_to_be_written_by_any_program(hard):
    hard.write(X, OLD)
    tracker = hard.tracker(fresh=True)
    tracker.track(X)
    hard.run_cli("unlock", X)
    assert not is_linked(hard)
    assert is_writable(hard.root / X)
    assert hard.read(X) == OLD
    before = hard.state()
    assert tracker.track(X).stderr == ""
    assert hard.state() == before
    hard.run_cli("unlock", X)
    hard.write(X, NEW)
    tracker.track(X)
    assert old_version_is_intact(hard)
    assert hard.holds(NEW)


def test_unchanged_file_stays_unlocked(hard):
    hard.write(X, OLD)
    tracker = hard.tracker(fresh=True)
    tracker.track(X)
    hard.run_cli("unlock", X)
    tracker.track(X)
    assert not is_linked(hard)
    assert is_writable(hard.root / X)


def test_unlock_of_a_directory_takes_all_below(hard):
    hard.write(X, OLD)
    hard.write("data/y.csv", OLD[::-1])
    hard.run_cli("track", X, "data/y.csv")
    hard.run_cli("unlock", "data")
    assert is_writable(hard.root / X)
    assert is_writable(hard.root / "data/y.csv")


# -- what is copied instead


def test_output_is_never_hardlinked(hard):
    hard.write(X, OLD)
    hard.tracker().track(X, output=True)
    assert not is_linked(hard)
    assert is_writable(hard.root / X)
    assert hard.holds(OLD)


def test_small_file_is_copied_by_default(ordinary, no_reflink):
    small = OLD[: MIB - 1]
    ordinary.write(X, small)
    ordinary.tracker().track(X)
    assert not is_linked(ordinary, content=small)
    assert is_writable(ordinary.root / X)


def test_file_of_one_mebibyte_is_linked_by_default(ordinary, no_reflink):
    ordinary.write(X, OLD[:MIB])
    ordinary.tracker().track(X)
    assert is_linked(ordinary, content=OLD[:MIB])


def test_file_with_another_link_is_copied_by_default(ordinary, no_reflink):
    ordinary.write(X, OLD)
    os.link(ordinary.root / X, ordinary.root / "twin")
    ordinary.tracker().track(X)
    assert not is_linked(ordinary)
    assert is_writable(ordinary.root / X)
    assert os.path.samefile(ordinary.root / X, ordinary.root / "twin")


def test_file_that_another_process_holds_open_for_writing_is_copied(
    ordinary, no_reflink, end_process
):
    ordinary.write(X, OLD)
    writer = ordinary.popen(
        f"f = open({X!r}, 'r+b')\nprint('open', flush=True)\ninput()\n"
        "f.write(b'X'); f.close(); print('closed', flush=True)\n",
        stdin=-1,
    )
    try:
        assert writer.stdout.readline() == "open\n"
        tracker = ordinary.tracker(fresh=True)
        tracker.track(X)
        assert not is_linked(ordinary)
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "closed\n"
        assert ordinary.holds(OLD)
        tracker.track(X)
        assert len(ordinary.versions(X)) == 2
    finally:
        end_process(writer)


def test_file_of_someone_else_is_copied(ordinary, no_reflink):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to someone else")
    file = ordinary.write(X, OLD)
    os.chown(file, 0, 0)
    file.chmod(0o666)
    ordinary.tracker().track(X)
    assert not is_linked(ordinary)
    assert ordinary.holds(OLD)


def test_root_never_hardlinks_by_default(project, no_reflink):
    if os.geteuid() != 0:
        pytest.skip("these tests do not run as root")
    project.write(X, OLD)
    project.tracker().track(X)
    assert not is_linked(project)
    assert is_writable(project.root / X)


@pytest.mark.parametrize("size", [len(OLD), 10], ids=["large", "small"])
def test_copy_can_be_forced(ordinary, size):
    ordinary.run_cli("config", "set", "link", "copy")
    file = ordinary.write(X, OLD[:size])
    file.chmod(0o640)
    before = file.stat()
    ordinary.tracker().track(X)
    assert not is_linked(ordinary, content=OLD[:size])
    assert (file.stat().st_ino, file.stat().st_mode) == (before.st_ino, before.st_mode)
    assert ordinary.holds(OLD[:size])
    ordinary.write(X, NEW)
    assert ordinary.holds(OLD[:size])


def test_small_file_can_be_forced_to_be_linked(project, no_reflink):
    project.run_cli("config", "set", "link", "hardlink")
    project.write(X, NEW)
    project.run_script(HEAD + "track(path)\nassert os.stat(path).st_nlink == 2\n")
    assert is_linked(project, content=NEW)
    project.run_script(HEAD + "open(path, 'a').write('more')\n", "writer.py")
    assert old_version_is_intact(project, NEW)


def test_store_on_another_file_system_gets_a_copy(ordinary, small_disk, digest):
    store = small_disk("32m", ordinary.base / "disk")
    ordinary.own(store)
    ordinary.write(X, OLD)
    ordinary.tracker(env={"LAZYDATA_STORE": str(store)}).track(X)
    name = digest(OLD).removeprefix("blake3:")
    found = store / "objects-v1" / "blake3" / name[:2] / name
    assert found.read_bytes() == OLD
    assert is_writable(ordinary.root / X)


# -- reflinks


@pytest.fixture(params=["auto", "reflink"])
def cow(request, reflink_disk, new_desk):
    """A desk on a file system that shares extents."""
    base = reflink_disk / f"{request.param}-{os.urandom(4).hex()}"
    desk = new_desk("other", root=base / "work")
    desk.lazydata_home = base / "home"
    desk.env["LAZYDATA_HOME"] = str(desk.lazydata_home)
    desk.run_cli("init")
    desk.run_cli("config", "set", "link", request.param)
    return desk


def used(directory):
    for _ in range(2):
        os.sync()
    found = os.statvfs(directory)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def test_reflinked_file_takes_no_space_and_stays_free_to_change(cow):
    content = os.urandom(32 * MIB)
    file = cow.write(X, content)
    before = used(cow.root)
    cow.tracker().track(X)
    assert used(cow.root) - before < 8 * MIB
    assert not is_linked(cow, content=content)
    assert is_writable(file)
    assert cow.holds(content)
    with open(file, "r+b") as f:
        f.write(b"another program writes here")
    assert cow.holds(content)


def test_reflinked_restore_takes_no_space(cow):
    content = os.urandom(32 * MIB)
    file = cow.write(X, content)
    tracker = cow.tracker(fresh=True)
    tracker.track(X)
    file.unlink()
    before = used(cow.root)
    tracker.track(X)
    assert used(cow.root) - before < 8 * MIB
    assert cow.read(X) == content
    assert is_writable(file)
    assert not is_linked(cow, content=content)


def test_small_file_is_reflinked_or_copied_never_hardlinked(cow):
    cow.write(X, NEW)
    cow.tracker().track(X)
    assert not is_linked(cow, content=NEW)
    assert is_writable(cow.root / X)
    assert cow.holds(NEW)


def test_reflink_where_there_is_none_is_an_error_or_a_copy(project, no_reflink):
    project.run_cli("config", "set", "link", "reflink")
    project.write(X, OLD)
    project.tracker().ask("track(path)", path=X)
    assert project.read(X) == OLD
    assert not project.versions(X) or (project.holds(OLD) and not is_linked(project))


def test_temp_files_without_a_name_are_no_concern(project):
    """The hook is told the directory of such a file, and a directory has many links."""
    project.run_code(
        """
        import sys, tempfile
        import lazydata
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
        assert "lazydata.workspace" not in sys.modules
        """
    )
