"""Tracked directories from one clone to another: whole, in parts, and merged file by file."""

import json
import os
import random
import shutil

import pytest

from directories_model import (
    EXEC,
    FILE,
    LINK,
    contents,
    digest_of,
    files,
    objects_below,
    objects_of,
    on_disk,
    put,
    stored,
    version,
)

D = "data/images/"
C1, C2, D1, E1 = "cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "elks/1.bin"
BIG = random.Random(1).randbytes(2 << 20)  # more than a pack takes, and not to be compressed
FILES = {C1: b"cat 1\n", C2: b"cat 2\n", D1: b"dog 1\n", E1: BIG}
TREE = files(FILES)
MINE, THEIRS = b"my edit\n", b"their edit\n"


@pytest.fixture
def remote(tmp_path):
    return tmp_path / "remote"


@pytest.fixture
def me(project, remote):
    """A git repository with a tracked directory, pushed and committed."""
    set_up(project, remote)
    return project


@pytest.fixture(scope="module")
def origin(tmp_path_factory, desk_at, new_manifest):
    """The same, which no test changes."""
    base = tmp_path_factory.mktemp("origin")
    desk = desk_at(base / "me")
    desk.write("lazydata.yml", new_manifest)
    set_up(desk, base / "remote")
    return desk


@pytest.fixture
def you(request, new_desk):
    """A clone in another home, with nothing of the directory yet.

    Of `me` where the test has to do with it, else of `origin`.
    """
    mine = {"me", "remote", "spoil"} & set(request.fixturenames)
    source = request.getfixturevalue("me" if mine else "origin")
    desk = new_desk("you")
    desk.root.rmdir()
    desk.git("clone", "-q", str(source.root), str(desk.root), cwd=desk.base)
    return desk


@pytest.fixture
def both(you):
    """A clone that has all of it."""
    you.run_cli("pull", D)
    return you


def set_up(desk, remote):
    desk.git("init", "-q", "-b", "main")
    desk.write(".gitignore", "/data/\n")
    put(desk, D, TREE)
    desk.run_cli("track", D)
    desk.run_cli("add-remote", remote)
    publish(desk)


def publish(desk):
    desk.run_cli("push")
    desk.git("add", ".")
    desk.git("commit", "-qm", "some work")


def edit(desk, changes):
    for path, content in changes.items():
        if content is None:
            (desk.root / D / path).unlink()
            if not os.listdir((desk.root / D / path).parent):
                (desk.root / D / path).parent.rmdir()
        else:
            desk.write(D + path, content)


def move_on(me, changes):
    """Somebody else's next version: recorded, pushed, committed."""
    edit(me, changes)
    me.run_cli("track", D)
    publish(me)


def have(desk):
    return sorted(contents(desk.root / D))


def held(desk, number=-1):
    return version(stored(desk), desk.versions(D)[number])


# -- push and pull of the whole


def test_directory_arrives_as_it_was(me, you):
    put(me, D, {"run.sh": (EXEC, b"#!\n"), "cats/best": (LINK, b"1.jpg"), "none": ("dir", b"")})
    me.run_cli("track", D)
    publish(me)
    you.git("pull", "-q")
    before = you.state()
    you.run_cli("pull", D)
    assert on_disk(you.root / D) == on_disk(me.root / D)
    assert (you.root / D / "run.sh").stat().st_mode & 0o111 == 0o111
    assert you.state() == before
    assert you.tracker().track(D).stderr == ""
    assert you.state() == before


def test_script_of_a_collaborator_gets_the_directory(me, you):
    me.run_script(f"from lazydata import track\ntrack({D!r})\n")
    publish(me)
    you.git("pull", "-q")
    before = you.state()
    assert "data/images" in you.run_script(you.root / "my_script.py").stderr
    assert on_disk(you.root / D) == TREE
    assert you.run_script(you.root / "my_script.py").stderr == ""
    assert you.state() == before


def test_pull_of_a_script_gets_the_directory_that_it_tracks(you):
    you.write("reader.py", f"from lazydata import track\ntrack({D!r})\n")
    you.run_cli("pull", "reader.py")
    assert on_disk(you.root / D) == TREE


def test_push_stores_every_object_of_every_version(me, remote):
    move_on(me, {C1: b"newer\n", D1: None})
    shared = objects_below(remote)
    for number in range(2):
        version(shared, me.versions(D)[number])
    assert set(objects_of(TREE)[1]) <= set(shared)


def test_push_again_changes_nothing_on_the_remote(me, remote):
    before = {path: path.stat().st_mtime_ns for path in remote.rglob("*")}
    assert me.json_cli("push")["objects"] == 0
    assert {path: path.stat().st_mtime_ns for path in remote.rglob("*")} == before


def test_push_of_a_new_version_sends_what_is_new(me):
    edit(me, {C1: b"newer\n"})
    me.run_cli("track", D)
    done = me.json_cli("push")
    assert done["objects"] == 3  # the file, and the trees of cats/ and of the whole
    assert done["size"] < 2000


def test_push_names_what_is_nowhere_and_sends_the_rest(me, remote):
    lost = random.Random(2).randbytes(100_000)
    edit(me, {"elks/2.bin": lost, C1: b"newer\n"})
    me.run_cli("track", D)
    me.lose(lost)
    (me.root / D / "elks/2.bin").unlink()
    done = me.run_cli("push", code=3)
    assert "data/images" in done.stderr
    assert b"newer\n" in objects_below(remote).values()


def test_status_says_what_is_pushed(me):
    (row,) = me.json_cli("status")["files"]
    assert (row["stored"], row["pushed"]) == (True, True)
    edit(me, {C1: b"newer\n"})
    me.run_cli("track", D)
    assert not me.json_cli("status")["files"][0]["pushed"]


def test_pull_again_does_nothing(both):
    stamps = {path: path.stat().st_mtime_ns for path in (both.root / D).rglob("*")}
    done = both.json_cli("pull", D)
    assert (done["objects"], done["left"]) == (0, [])
    assert {path: path.stat().st_mtime_ns for path in (both.root / D).rglob("*")} == stamps


def test_pull_brings_a_new_version_and_fetches_what_is_new(me, both):
    move_on(me, {C1: b"newer\n", D1: None, "birds/1.jpg": b"bird\n"})
    both.git("pull", "-q")
    before = both.state()
    done = both.json_cli("pull", D)
    assert on_disk(both.root / D) == on_disk(me.root / D)
    assert done["size"] < 5000
    assert both.state() == before


def test_bare_pull_of_a_fresh_clone_gets_nothing(you):
    you.run_cli("pull")
    assert not (you.root / D).exists()


def test_bare_pull_follows_the_manifest_to_another_branch(me, both):
    both.git("switch", "-qc", "experiment")
    edit(both, {C1: b"an experiment\n"})
    both.run_cli("track", D)
    both.git("commit", "-qam", "an experiment")
    both.git("switch", "-q", "main")
    both.run_cli("pull")
    assert on_disk(both.root / D) == TREE
    both.git("switch", "-q", "experiment")
    both.run_cli("pull")
    assert on_disk(both.root / D) == TREE | {C1: (FILE, b"an experiment\n")}


def test_restore_cat_and_ls_fetch_what_they_need(you, digest):
    assert you.cli_bytes("cat", D + C1) == FILES[C1]
    (row,) = you.json_cli("ls", D + D1)["files"]
    assert row["hash"] == digest(FILES[D1])
    assert not (you.root / D).exists()
    you.run_cli("restore", D + C2)
    assert have(you) == [C2]
    assert not you.holds(BIG)


# -- parts

PARTS = [(["cats"], [C1, C2]), ([C1], [C1]), ([C2, "dogs"], [C2, D1])]


@pytest.mark.parametrize(("parts", "expected"), PARTS, ids=["directory", "file", "both"])
def test_pull_of_a_part_fetches_that_part(you, parts, expected):
    before = you.state()
    done = you.json_cli("pull", *(D + part for part in parts))
    assert have(you) == expected
    assert {path: you.read(D + path) for path in expected} == {p: FILES[p] for p in expected}
    assert done["left"] == []
    assert done["size"] < 5000
    assert not you.holds(BIG)
    assert you.state() == before


def test_counts_tell_files_from_directories(you):
    assert you.run_cli("pull", D + "cats").stdout == "Pulled 1 directory.\n"
    assert you.run_cli("pull", D + D1).stdout == "Pulled 1 file.\n"
    assert you.run_cli("status", D + "cats", D + D1).stdout == "1 file and 1 directory: 2 ok\n"
    assert you.run_cli("status").stdout == "1 directory: 1 ok\n"


def test_part_of_a_clone_is_no_change(you):
    you.run_cli("pull", D + C1)
    you.run_cli("status", "--check")
    you.run_cli("status", "--check", D + "cats")
    told = {r["path"]: r["state"] for r in you.json_cli("status", D + C1, D + D1)["files"]}
    assert told == {D + C1: "ok", D + D1: "not-downloaded"}


def test_track_of_a_file_inside_fetches_that_file(you):
    calls = you.tracker()
    before = you.state()
    assert D + C1 in calls.track(D + C1).stderr
    assert have(you) == [C1]
    assert not you.holds(BIG)
    assert calls.track(D + C1).stderr == ""
    assert you.state() == before


def test_script_that_reads_one_file_inside_gets_that_file(you):
    you.write("reader.py", f"from lazydata import track\ntrack({D + C1!r})\n")
    you.run_cli("pull", "reader.py")
    assert have(you) == [C1]


@pytest.mark.parametrize("how", ["track", "pull"])
def test_rest_of_the_directory_is_fetched_and_no_deletion_recorded(you, how):
    you.run_cli("pull", D + C1)
    before = you.state()
    if how == "track":
        you.tracker().track(D)
    else:
        you.run_cli("pull", D)
    assert on_disk(you.root / D) == TREE
    assert you.state() == before


def test_parts_one_after_the_other_are_the_whole(you):
    before = you.state()
    for part in (C1, "dogs", "elks", "cats"):
        you.run_cli("pull", D + part)
    assert on_disk(you.root / D) == TREE
    assert you.tracker().track(D).stderr == ""
    assert you.state() == before


def test_deleted_part_is_restored_when_nothing_else_was_here(you):
    you.run_cli("pull", D + C1)
    before = you.state()
    edit(you, {C1: None})
    you.tracker().track(D)
    assert on_disk(you.root / D) == TREE
    assert you.state() == before


def test_file_deleted_from_a_part_is_the_only_deletion(you):
    you.run_cli("pull", D + "cats")
    edit(you, {C2: None})
    said = you.tracker().track(D).said
    assert f"Tracked directory {D} changed, recording a new version (1 deleted)" in said
    now = {path: kept for path, kept in TREE.items() if path != C2}
    assert on_disk(you.root / D) == now
    assert you.versions(D) == [digest_of(TREE), digest_of(now)]


def test_file_changed_in_a_part_is_the_only_change(you):
    you.run_cli("pull", D + C1)
    edit(you, {C1: MINE, "cats/3.jpg": b"added\n"})
    said = you.tracker().track(D).said
    told = f"Tracked directory {D} changed, recording a new version (1 added, 1 changed)"
    assert told in said
    assert you.versions(D)[-1] == digest_of(TREE | files({C1: MINE, "cats/3.jpg": b"added\n"}))


def test_change_in_a_part_is_no_deletion_when_the_remote_is_away(you, remote):
    you.run_cli("pull", D + C1)
    edit(you, {C1: MINE})
    remote.rename(remote.with_name("away"))
    you.tracker().ask("track(path)", path=D)
    listed = you.versions(D)
    assert listed in ([digest_of(TREE)], [digest_of(TREE), digest_of(TREE | files({C1: MINE}))])
    assert you.read(D + C1) == MINE


def test_part_follows_the_manifest_and_the_rest_later(me, you):
    you.run_cli("pull", D + "cats")
    move_on(me, {C1: b"newer 1\n", C2: b"newer 2\n", D1: b"newer dog\n"})
    you.git("pull", "-q")
    before = you.state()
    you.run_cli("pull", D + C1)
    assert contents(you.root / D) == {C1: b"newer 1\n", C2: FILES[C2]}
    you.tracker().track(D)
    assert on_disk(you.root / D) == on_disk(me.root / D)
    assert you.state() == before


def test_bare_pull_brings_what_was_had_and_no_more(me, you):
    you.run_cli("pull", D + "cats")
    move_on(me, {C1: b"newer 1\n", D1: b"newer dog\n"})
    you.git("pull", "-q")
    you.run_cli("pull")
    assert contents(you.root / D) == {C1: b"newer 1\n", C2: FILES[C2]}
    assert not you.holds(BIG)


def test_push_from_a_part_needs_nothing_else(you, remote):
    you.run_cli("pull", D + C1)
    you.run_cli("push")
    edit(you, {C1: MINE})
    you.tracker().track(D)
    you.run_cli("push")
    assert version(objects_below(remote), you.versions(D)[-1]) == TREE | files({C1: MINE})


@pytest.mark.parametrize("spoken", ["cats/9.jpg", "nothing"])
def test_pull_of_what_no_version_has_is_not_tracked(you, spoken):
    done = you.run_cli("pull", D + spoken, code=12)
    assert spoken in done.stderr
    assert not (you.root / D).exists()


# -- edits and pulls


@pytest.mark.parametrize("spoken", [[], [D], [D + C1]])
def test_pull_leaves_an_edit_alone_and_names_it(both, spoken):
    edit(both, {C1: MINE})
    before = both.state()
    done = both.run_cli("pull", *spoken, code=3)
    assert "data/images" in done.stderr
    assert both.read(D + C1) == MINE
    assert both.state() == before


def test_pull_of_a_part_does_not_mind_an_edit_elsewhere(both):
    edit(both, {C1: MINE})
    (both.root / D / D1).unlink()
    both.run_cli("pull", D + D1)
    assert both.read(D + D1) == FILES[D1]
    assert both.read(D + C1) == MINE


def test_pull_leaves_an_edit_alone_when_the_manifest_moved_too(me, both):
    edit(both, {C1: MINE})
    move_on(me, {C1: THEIRS, D1: THEIRS})
    both.git("pull", "-q")
    before = both.state()
    both.run_cli("pull", D, code=3)
    assert both.read(D + C1) == MINE
    assert both.state() == before


# -- merges

MERGES = {
    "changed here, changed there": ({C1: MINE}, {D1: THEIRS}),
    "in one directory": ({C1: MINE}, {C2: THEIRS}),
    "added here, added there": ({"new/1": MINE}, {"new/2": THEIRS}),
    "deleted here, changed there": ({C1: None}, {D1: THEIRS}),
    "changed here, deleted there": ({C1: MINE}, {C2: None, D1: None}),
    "the same on both sides, and more": ({C1: MINE, C2: MINE}, {C1: MINE, D1: THEIRS}),
}


def result(*sides):
    merged = dict(FILES)
    for side in sides:
        merged |= side
    return files({path: content for path, content in merged.items() if content is not None})


@pytest.mark.parametrize("name", MERGES)
def test_changes_of_different_files_are_merged(me, both, name):
    mine, theirs = MERGES[name]
    edit(both, mine)
    move_on(me, theirs)
    both.git("pull", "-q")
    both.tracker().track(D)
    merged = result(mine, theirs)
    assert on_disk(both.root / D) == merged
    assert both.versions(D) == [
        digest_of(TREE),
        digest_of(result(theirs)),
        digest_of(merged),
    ]
    assert held(both) == merged
    assert both.tracker().track(D).stderr == ""


def test_merged_version_goes_back_to_the_other_side(me, both):
    edit(both, {C1: MINE})
    move_on(me, {D1: THEIRS})
    both.git("pull", "-q")
    both.tracker().track(D)
    publish(both)
    me.git("pull", "-q", str(both.root), "main")
    me.run_cli("pull", D)
    assert on_disk(me.root / D) == result({C1: MINE}, {D1: THEIRS})


@pytest.mark.parametrize(
    ("mine", "theirs"), [(MINE, THEIRS), (None, THEIRS), (MINE, None)], ids=["both", "del", "edit"]
)
def test_file_that_both_touched_stays_as_it_is_here_with_a_warning(me, both, mine, theirs):
    edit(both, {C1: mine, C2: b"another edit\n"})
    move_on(me, {C1: theirs, D1: THEIRS})
    both.git("pull", "-q")
    assert D + C1 in both.tracker().track(D).stderr
    merged = result({D1: THEIRS}, {C1: mine, C2: b"another edit\n"})
    assert on_disk(both.root / D) == merged
    assert both.versions(D)[-1] == digest_of(merged)
    assert len(both.versions(D)) == 3


def test_file_added_on_both_sides_stays_as_it_is_here(me, both):
    edit(both, {"new/1": MINE})
    move_on(me, {"new/1": THEIRS})
    both.git("pull", "-q")
    assert D + "new/1" in both.tracker().track(D).stderr
    assert both.read(D + "new/1") == MINE
    assert THEIRS in objects_below(me.lazydata_home / "store").values()


def test_same_change_on_both_sides_is_no_change(me, both):
    edit(both, {C1: MINE, D1: None})
    move_on(me, {C1: MINE, D1: None})
    both.git("pull", "-q")
    before = both.state()
    both.tracker().track(D)
    assert both.state() == before
    assert on_disk(both.root / D) == on_disk(me.root / D)


def test_part_with_an_edit_is_merged_with_changes_elsewhere(me, you):
    you.run_cli("pull", D + "cats")
    edit(you, {C1: MINE})
    move_on(me, {D1: THEIRS, E1: None})
    you.git("pull", "-q")
    you.tracker().track(D)
    merged = result({C1: MINE}, {D1: THEIRS, E1: None})
    assert on_disk(you.root / D) == merged
    assert you.versions(D)[-1] == digest_of(merged)


def test_merge_is_an_error_where_changes_are(me, both):
    edit(both, {C1: MINE})
    move_on(me, {D1: THEIRS})
    both.git("pull", "-q")
    before = both.state()
    assert both.tracker().refuse(D, on_change="error").error[0] == "FileChanged"
    assert both.state() == before
    assert both.read(D + C1) == MINE


# -- damage and loss on the remote


@pytest.fixture
def spoil(remote):
    def run(content):
        for path in remote.rglob("*"):
            if path.is_file() and content in path.read_bytes():
                os.chmod(path, 0o644)
                path.write_bytes(path.read_bytes().replace(content, content[::-1]))
        assert content not in objects_below(remote).values()

    return run


@pytest.mark.parametrize("content", [BIG, FILES[C2]], ids=["large", "small"])
def test_corrupt_object_never_arrives_and_is_no_deletion(you, spoil, content):
    spoil(content)
    before = you.state()
    path = next(path for path in FILES if FILES[path] == content)
    assert "data/images" in you.run_cli("pull", D, code=None).stderr
    assert not (you.root / D / path).exists()
    reply = you.tracker().refuse(D)
    assert reply.exit_code in (3, 13)
    assert not (you.root / D / path).exists()
    assert you.state() == before


def test_rest_arrives_when_one_object_is_corrupt(you, spoil):
    spoil(BIG)
    done = you.run_cli("pull", D, code=3)
    assert D + E1 in done.stderr
    assert have(you) == [C1, C2, D1]
    before = you.state()
    you.run_cli("status", "--check")
    edit(you, {C1: MINE})
    you.tracker().ask("track(path)", path=D)
    assert you.state() == before or you.versions(D)[-1] == digest_of(TREE | files({C1: MINE}))


def test_tree_that_is_damaged_is_told(you, remote, me):
    tree = objects_of(TREE)[1][me.versions(D)[0]]
    assert tree in objects_below(remote).values()
    for path in remote.rglob("*"):
        if path.is_file() and (path.suffix == ".pack" or "objects" in path.parts):
            path.chmod(0o644)
            path.write_bytes(bytes(path.stat().st_size))
    assert tree not in objects_below(remote).values()
    done = you.run_cli("pull", D, code=None)
    assert done.returncode in (3, 12, 13)
    assert "Traceback" not in done.stderr
    assert have(you) == []


def test_remote_that_is_away_is_named_and_is_no_absence(you, remote):
    before = you.state()
    remote.rename(remote.with_name("away"))
    done = you.run_cli("pull", D + C1, code=None)
    assert done.returncode in (3, 20)
    assert str(remote) in done.stderr
    assert you.state() == before
    remote.with_name("away").rename(remote)
    you.run_cli("pull", D + C1)
    assert have(you) == [C1]


def test_two_clones_of_one_home_share_the_store(me, remote, new_desk):
    other = new_desk("other", root=me.root.parent / "second")
    other.env["LAZYDATA_HOME"] = str(me.lazydata_home)
    other.root.rmdir()
    other.git("clone", "-q", str(me.root), str(other.root), cwd=other.base)
    shutil.rmtree(remote)
    other.tracker().track(D)
    assert on_disk(other.root / D) == TREE


def test_hostile_tree_writes_nothing_outside(me, new_desk, remote, digest):
    """A tree whose link leads out: nothing is written by way of it."""
    from blake3 import blake3

    out = me.base / "out"
    out.mkdir()
    inner = f"lazydata tree 1\nlink\t0\t0\t{out}\tsub\n".encode()
    name = blake3(inner).hexdigest()
    place = remote / "objects" / "blake3" / name[:2] / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(inner)
    you = new_desk("you")
    text = f"version: 2\nremotes:\n  origin:\n    url: {remote.as_uri()}\nfiles:\n"
    text += f"  - path: {D}\n    hash: blake3:{name}\n    size: 0\n    files: 0\n"
    you.write("lazydata.yml", text)
    you.run_cli("pull", D, code=None)
    reply = you.tracker().ask("track(path)", path=D)
    assert "LazydataError" in reply.error
    assert not (you.root / D / "sub").is_symlink()


def test_pull_tells_programs_what_it_did(you):
    told = json.loads(you.run_cli("pull", D + "cats", "--json").stdout)
    assert told["left"] == []
    assert told["objects"] >= 2
    assert all(path.startswith("data/images/") for path in told["paths"])
    assert you.json_cli("pull", D, "--dry-run")["objects"] >= 1
    assert have(you) == [C1, C2]
