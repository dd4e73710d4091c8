"""What can go wrong: each error names the path, says what to do next, and loses nothing."""

import os
import re
import threading

import pytest

X = "data/x.csv"
V1, V2, V3 = b"first\n", b"second\n", b"third\n"
MIB = 1 << 20


@pytest.fixture
def record(project):
    tracker = project.tracker(fresh=True)

    def run(*contents):
        for content in contents:
            project.write(X, content)
            tracker.track(X)

    return run


def expect(reply, name, code, *words):
    assert reply.error[0] == name, (reply.error, reply.text)
    assert reply.exit_code == code
    for word in words:
        assert word in reply.message
    assert reply.hint


def tree(root):
    """Every path below a directory, and the bytes of each file."""
    return {
        os.path.relpath(os.path.join(d, name), root): (
            open_bytes(os.path.join(d, name)) if name in files else None
        )
        for d, directories, files in os.walk(root)
        for name in files + directories
    }


def open_bytes(path):
    with open(path, "rb") as f:
        return f.read()


# -- no workspace


def test_no_workspace(desk):
    desk.write(X, V1)
    reply = desk.tracker().refuse(X)
    expect(reply, "NotAWorkspace", 10)
    assert "lazydata init" in reply.hint
    assert X in reply.message or str(desk.root) in reply.message
    assert tree(desk.root) == {"data": None, X: V1}


# -- a manifest that can't be used


def hold(project, text, *words, line=None, column=None):
    """Tracking any file says what is wrong with the manifest, and writes nothing."""
    project.write(X, V1)
    project.write("lazydata.yml", text)
    before = tree(project.root)
    reply = project.tracker().refuse(X)
    expect(reply, "ManifestInvalid", 11, "lazydata.yml", *words)
    if line is not None:
        assert reply.line == line
        assert f":{line}" in reply.message
    if column is not None:
        assert reply.column is not None
        assert f":{line}:{reply.column}" in reply.message
    assert tree(project.root) == before
    done = project.run_cli("status", code=11)
    assert "error: " in done.stderr
    assert "hint: " in done.stderr
    return reply


ENTRY = "  - path: {}\n    hash: blake3:" + 64 * "0" + "\n    size: 1\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version: 2\nfiles:\n  - path: [data\n", 4),
        ("version: 2\nfiles:\n  - path: a\n hash: b\n", 4),
        ('version: 2\nremotes: "\n', 3),
        ("version: 2\n\tfiles: []\n", 2),
    ],
)
def test_broken_yaml_is_told_with_line_and_column(project, text, line):
    reply = hold(project, text)
    assert reply.line is not None
    assert abs(reply.line - line) <= 1
    assert reply.column is not None
    assert f":{reply.line}:{reply.column}" in reply.message


def test_conflict_markers_are_told(project):
    entry = ENTRY.format(X)
    text = f"version: 2\nfiles:\n<<<<<<< HEAD\n{entry}=======\n{entry}>>>>>>> theirs\n"
    reply = hold(project, text, line=3)
    assert "conflict" in reply.message + (reply.hint or "")


@pytest.mark.parametrize(
    "path",
    [
        *("../outside.csv", "a/../../outside.csv", "/tmp/outside.csv", "C:/outside.csv"),
        *("C:outside.csv", '"nul\\0.csv"', "..", "'../outside.csv'"),
    ],
)
def test_manifest_path_that_leads_out_is_refused(project, path):
    text = "version: 2\nfiles:\n" + ENTRY.format("a.csv") + ENTRY.format(path)
    hold(project, text, line=6, column=True)


@pytest.mark.parametrize("command", [["pull", "."], ["restore", "."], ["status"], ["ls"]])
def test_no_command_writes_outside_for_a_manifest_of_a_stranger(project, record, command):
    record(V1)
    text = project.manifest_file.read_text().replace(X, "../outside.csv")
    project.write("lazydata.yml", text)
    before, around = tree(project.root), os.listdir(project.root.parent)
    done = project.run_cli(*command, code=11)
    assert "../outside.csv" in done.stderr
    assert tree(project.root) == before
    assert os.listdir(project.root.parent) == around


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("version: 2\nversion: 2\n", 2),
        ("version: 99\n", 1),
        ("version: 2\nfiles: 7\n", 2),
        ("version: 2\nfiles:\n  - path: 7.5\n    hash: [x]\n", None),
        ("version: 2\nfiles:\n  - path: a\n    hash: md5:" + 32 * "0" + "\n", 4),
        ("version: 2\nfiles:\n  - path: a\n    hash: blake3:abc\n", 4),
        ("version: 2\nfiles:\n  - hash: blake3:" + 64 * "0" + "\n", 3),
        ("version: 2\nfiles:\n  - path: !!python/name:os.system a\n    hash: x\n", None),
        ("- a list\n", 1),
    ],
    ids=[
        *("duplicate key", "newer version", "files is a number", "hash is a list"),
        *("unknown algorithm", "short hash", "no path", "tag", "list"),
    ],
)
def test_manifest_that_means_nothing_is_refused(project, text, line):
    hold(project, text, line=line)


def test_manifest_that_is_no_utf8_is_refused(project):
    project.write(X, V1)
    project.write("lazydata.yml", b"version: 2\n# caf\xe9\n")
    before = tree(project.root)
    reply = project.tracker().refuse(X)
    expect(reply, "ManifestInvalid", 11, "lazydata.yml")
    assert tree(project.root) == before


# -- paths that lead out


@pytest.mark.parametrize("entry", [[], ["track"]], ids=["api", "command"])
def test_path_outside_the_workspace(project, entry):
    outside = project.root.parent / "outside.csv"
    outside.write_bytes(V1)
    before = tree(project.root)
    if entry:
        done = project.run_cli("track", "../outside.csv", code=None)
        assert done.returncode in (2, 10)
        assert "outside.csv" in done.stderr
        assert "hint: " in done.stderr
    else:
        reply = project.tracker().refuse("../outside.csv")
        assert reply.exit_code in (2, 10)
        assert "outside.csv" in reply.message
        assert reply.hint
    assert tree(project.root) == before
    assert outside.read_bytes() == V1


@pytest.fixture
def scratch(project, tmp_path):
    """A directory elsewhere, to which a symlink in the workspace leads."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    (directory / "x.csv").write_bytes(V1)
    (project.root / "link").symlink_to(directory)
    return directory


def test_symlink_that_leads_out_is_refused(project, scratch):
    before = project.state()
    reply = project.tracker().refuse("link/x.csv")
    expect(reply, "PathOutside", 2, "link/x.csv")
    assert "allow" in reply.hint
    assert project.state() == before
    assert tree(scratch) == {"x.csv": V1}


def test_symlink_to_a_file_that_leads_out_is_refused(project, scratch):
    (project.root / "x.csv").symlink_to(scratch / "x.csv")
    before = project.state()
    reply = project.tracker().refuse("x.csv")
    assert reply.exit_code == 2
    assert project.state() == before
    assert (project.root / "x.csv").is_symlink()
    assert tree(scratch) == {"x.csv": V1}


@pytest.mark.parametrize("command", ["pull", "restore"])
def test_nothing_is_restored_through_a_symlink_that_leads_out(project, record, scratch, command):
    record(V1)
    text = project.manifest_file.read_text().replace(X, "link/new.csv")
    project.write("lazydata.yml", text)
    done = project.run_cli(command, "link/new.csv", code=None)
    assert done.returncode in (2, 3, 11)
    assert "link/new.csv" in done.stderr
    assert project.tracker().refuse("link/new.csv").exit_code in (2, 11)
    assert tree(scratch) == {"x.csv": V1}


def test_symlink_that_leads_out_is_allowed_by_the_users_config(project, scratch):
    project.run_cli("config", "set", "allow", scratch)
    tracker = project.tracker(fresh=True)
    tracker.track("link/x.csv")
    assert [item["path"] for item in project.items()] == ["link/x.csv"]
    (scratch / "x.csv").unlink()
    tracker.track("link/x.csv")
    assert tree(scratch) == {"x.csv": V1}
    assert (project.root / "link").is_symlink()


def test_allowed_root_allows_nothing_beside_it(project, scratch, tmp_path):
    project.run_cli("config", "set", "allow", scratch)
    beside = tmp_path / "scratch-too"
    beside.mkdir()
    (beside / "x.csv").write_bytes(V1)
    (project.root / "beside").symlink_to(beside)
    project.tracker().refuse("beside/x.csv")
    assert project.items() == []


def test_symlink_inside_the_workspace_is_no_way_out(project):
    project.write(X, V1)
    (project.root / "alias").symlink_to("data")
    project.tracker().track("alias/x.csv")
    assert len(project.items()) == 1
    assert project.holds(V1)


# -- the wrong thing in the place of a file


@pytest.mark.parametrize("baseline", ["known", "unknown"])
def test_directory_where_a_file_was(project, record, baseline):
    record(V1)
    (project.root / X).unlink()
    project.write(f"{X}/inside.txt", V2)
    if baseline == "unknown":
        project.forget()
    before = project.state()
    reply = project.tracker().refuse(X)
    assert X in reply.message
    assert reply.hint
    assert project.read(f"{X}/inside.txt") == V2
    assert project.state() == before


@pytest.mark.parametrize("command", [["pull"], ["pull", X], ["restore", X]], ids=" ".join)
def test_no_command_replaces_a_directory(project, record, command):
    record(V1)
    (project.root / X).unlink()
    project.write(f"{X}/inside.txt", V2)
    done = project.run_cli(*command, code=None)
    assert done.returncode not in (0, 1)
    assert X in done.stderr
    assert project.read(f"{X}/inside.txt") == V2


def test_file_where_a_directory_was(project, record):
    record(V1)
    (project.root / X).unlink()
    (project.root / "data").rmdir()
    project.write("data", V2)
    before = project.state()
    reply = project.tracker().refuse(X)
    assert "data" in reply.message
    assert reply.hint
    assert project.read("data") == V2
    assert project.state() == before


def test_pipe_is_not_read(project):
    os.mkfifo(project.root / "pipe")
    before = project.state()
    reply = project.tracker().refuse("pipe")
    assert "pipe" in reply.message
    assert project.state() == before


# -- permissions


@pytest.mark.parametrize("recorded", [False, True], ids=["new", "tracked"])
def test_file_without_read_permission(ordinary, recorded):
    file = ordinary.write(X, V1)
    if recorded:
        ordinary.tracker().track(X)
        ordinary.write(X, V2)
    file.chmod(0)
    before = ordinary.state()
    reply = ordinary.tracker().refuse(X)
    expect(reply, "FileDenied", 15, X)
    assert "PermissionError" in reply.error
    assert ordinary.state() == before
    file.chmod(0o644)
    assert file.read_bytes() == (V2 if recorded else V1)


def test_manifest_that_may_not_be_written(ordinary):
    ordinary.write(X, V1)
    before = ordinary.state()
    ordinary.root.chmod(0o555)
    reply = ordinary.tracker().refuse(X)
    assert reply.exit_code == 15
    assert reply.hint
    assert ordinary.state() == before
    assert ordinary.read(X) == V1


def test_store_that_may_not_be_written(ordinary):
    ordinary.write(X, V1)
    ordinary.lazydata_home.mkdir(exist_ok=True)
    ordinary.own(ordinary.lazydata_home)
    ordinary.lazydata_home.chmod(0o555)
    before = ordinary.state()
    reply = ordinary.tracker().refuse(X)
    assert reply.exit_code == 15
    assert reply.hint
    assert ordinary.state() == before
    assert ordinary.read(X) == V1


def test_directory_that_may_not_be_restored_into(ordinary):
    ordinary.write(X, V1)
    ordinary.tracker().track(X)
    (ordinary.root / X).unlink()
    (ordinary.root / "data").chmod(0o555)
    before = ordinary.state()
    reply = ordinary.tracker().refuse(X)
    assert reply.exit_code == 15
    assert "data" in reply.message
    assert ordinary.state() == before


# -- no space left


def test_no_space_in_the_store(project, small_disk):
    store = small_disk("8m")
    env = {"LAZYDATA_STORE": str(store)}
    content = os.urandom(16 * MIB)
    project.write(X, content)
    before = project.state()
    reply = project.tracker(env=env).refuse(X)
    expect(reply, "NoSpace", 28)
    assert "OSError" in reply.error
    assert X in reply.message or str(store) in reply.message
    assert project.read(X) == content
    assert project.state() == before
    assert "hint: " in project.run_cli("track", X, code=28, env=env).stderr
    # What was begun does not stay in the way of what fits.
    project.write("small.bin", os.urandom(4 * MIB))
    project.run_cli("track", "small.bin", env=env)
    assert len(project.items()) == 1


@pytest.mark.parametrize("there", [False, True], ids=["missing", "older version"])
def test_no_space_in_the_workspace(new_desk, small_disk, there):
    other = new_desk("other")
    other.run_cli("init")
    big = os.urandom(12 * MIB)
    for content in (V1, big):
        other.write("x.bin", content)
        other.run_cli("track", "x.bin")
    full = new_desk("full", root=small_disk("8m"))
    full.env["LAZYDATA_HOME"] = str(other.lazydata_home)
    full.write("lazydata.yml", other.manifest_file.read_bytes())
    if there:
        full.write("x.bin", V1)
    before = full.state()
    reply = full.tracker().refuse("x.bin")
    expect(reply, "NoSpace", 28, "x.bin")
    assert full.state() == before
    left = {p.name for p in full.root.iterdir()} - {".lazydata"}
    assert left == ({"lazydata.yml", "x.bin"} if there else {"lazydata.yml"})
    if there:
        assert full.read("x.bin") == V1
    # Nothing half-written takes the room that is left.
    full.write("room", os.urandom(6 * MIB))


def test_no_space_for_the_manifest(new_desk, small_disk):
    full = new_desk("full", root=small_disk("1m"))
    full.run_cli("init")
    full.write(X, V1)
    before = full.state()
    try:
        with open(full.root / "filler", "wb", buffering=0) as f:
            while f.write(bytes(4096)):
                pass
    except OSError:
        pass
    reply = full.tracker().refuse(X)
    expect(reply, "NoSpace", 28)
    assert full.state() == before
    assert full.read(X) == V1
    (full.root / "filler").unlink()
    full.tracker().track(X)
    assert len(full.versions(X)) == 1


# -- a file that does not stand still


def test_file_that_changes_while_it_is_read(project):
    file = project.write(X, b"")
    os.truncate(file, 64 * MIB)
    before = project.state()
    stop = threading.Event()

    def keep_writing():
        count = 0
        with open(file, "r+b", buffering=0) as f:
            while not stop.wait(0.0002):
                count += 1
                os.pwrite(f.fileno(), count.to_bytes(8, "big"), (count * 4099 * 4096) % (64 * MIB))

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        reply = project.tracker().refuse(X)
    finally:
        stop.set()
        writer.join()
    expect(reply, "FileBusy", 14, X)
    assert project.state() == before
    assert file.stat().st_size == 64 * MIB

    project.tracker().track(X)
    assert len(project.versions(X)) == 1
    project.run_cli("verify")


# -- objects that are damaged or nowhere


def test_damaged_object_is_never_handed_out(project, record, digest):
    record(V1, V2)
    project.damage(project.object(V2))
    damaged = project.object(V2).read_bytes()
    (project.root / X).unlink()
    before = project.state()
    reply = project.tracker().refuse(X)
    expect(reply, "ObjectCorrupt", 13)
    assert X in reply.message or digest(V2).removeprefix("blake3:")[:8] in reply.message
    assert reply.expected == digest(V2)
    assert reply.actual == digest(damaged)
    assert not (project.root / X).exists()
    assert project.state() == before
    done = project.run_cli("cat", X, code=None)
    assert done.returncode in (12, 13)
    assert done.stdout == ""


def test_damaged_object_is_moved_aside_and_kept(project, record):
    record(V1, V2)
    project.damage(project.object(V2))
    damaged = project.object(V2).read_bytes()
    (project.root / X).unlink()
    project.tracker().refuse(X)
    assert not project.object(V2).exists()
    kept = [d for d in tree(project.lazydata_home / "store").values() if d == damaged]
    assert kept


def test_damaged_object_does_not_replace_the_file(project, record):
    record(V1, V2)
    project.damage(project.object(V2))
    project.forget()
    project.write(X, V1)
    before = project.state()
    project.tracker().refuse(X)
    assert project.read(X) == V1
    assert project.state() == before


def test_damage_that_keeps_size_and_mtime_is_found(project, record):
    record(V1)
    found = project.object(V1)
    stamp = found.stat()
    project.damage(found)
    os.utime(found, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (project.root / X).unlink()
    expect(project.tracker().refuse(X), "ObjectCorrupt", 13)


def test_damaged_object_is_healed_from_a_remote(project, record, tmp_path):
    record(V1)
    project.run_cli("add-remote", tmp_path / "remote")
    project.run_cli("push")
    project.damage(project.object(V1))
    (project.root / X).unlink()
    project.tracker().track(X)
    assert project.read(X) == V1
    assert project.holds(V1)


def test_damaged_object_is_healed_by_the_file_that_is_tracked_again(project, record):
    record(V1)
    project.damage(project.object(V1))
    project.run_cli("verify", code=13)
    project.forget()
    project.write(X, V1)
    project.tracker().track(X)
    assert project.holds(V1)


@pytest.mark.parametrize("remote", [False, True], ids=["no remote", "remote without it"])
@pytest.mark.parametrize("there", [None, V1], ids=["missing", "older version"])
def test_object_that_is_nowhere(project, record, tmp_path, remote, there):
    record(V1, V2)
    project.forget()
    project.lose(V2)
    (project.root / X).unlink()
    if there:
        project.write(X, there)
    if remote:
        project.run_cli("add-remote", tmp_path / "remote")
    before = project.state()
    reply = project.tracker().refuse(X)
    assert reply.error[0] in ("ObjectMissing", "RemoteObjectMissing")
    assert reply.exit_code == 12
    assert X in reply.message
    assert reply.hint
    assert project.state() == before
    assert (project.root / X).exists() == bool(there)
    if there:
        assert project.read(X) == there


def test_errors_of_commands_name_the_path_and_the_way_on(project, record):
    record(V1)
    project.lose(V1)
    (project.root / X).unlink()
    done = project.run_cli("restore", X, code=12)
    assert re.search(rf"(?m)^error: .*{re.escape(X)}", done.stderr)
    assert re.search(r"(?m)^hint: \S", done.stderr)
