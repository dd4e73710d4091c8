"""A tracked directory in one workspace: what is recorded of it, and what comes back."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from directories_model import (
    EMPTY,
    EXEC,
    FILE,
    LINK,
    contents,
    digest_of,
    files,
    make_directory,
    on_disk,
    put,
    remove,
    stored,
    version,
)

D = "data/images/"
CATS, DOGS = "cats/1.jpg", "dogs/1.jpg"
FILES = {CATS: b"cat 1\n", "cats/2.jpg": b"cat 2\n", DOGS: b"dog 1\n"}
TREE = files(FILES)
MANY = files({f"{n % 7}/{n % 5}/f{n}": b"number %d" % n for n in range(100)})
NEW = b"another picture\n"
LARGE = bytes(range(256)) * 8192  # 2 MiB: no pack takes it, and it may be hardlinked


def tracking(count):
    return f"Tracking a new directory {D} ({count} files)"


TRACKING = tracking(3)


def changed(*parts):
    return f"Tracked directory {D} changed, recording a new version ({', '.join(parts)})"


@pytest.fixture
def images(project):
    """Three files in two directories, not tracked."""
    put(project, D, TREE)
    return project


@pytest.fixture
def calls(images):
    return images.tracker()


@pytest.fixture
def tracked(images, calls):
    """The same, tracked."""
    calls.track(D)
    return images


@pytest.fixture
def edit(tracked):
    """Write files of the directory (None: delete), as another program would."""

    def change(changes):
        for path, content in changes.items():
            if content is None:
                remove(tracked.root / D / path)
            else:
                tracked.write(D + path, content)
        return on_disk(tracked.root / D)

    return change


@pytest.fixture
def older(tracked, calls, edit):
    """The manifest of the first version; a second one was recorded after it.

    It has a changed, a deleted and an added file.
    """
    text = tracked.manifest_file.read_bytes()
    edit({CATS: NEW, DOGS: None, "birds/1.jpg": b"bird\n"})
    calls.track(D)
    assert len(tracked.versions(D)) == 2
    return text


SECOND = {CATS: NEW, "cats/2.jpg": FILES["cats/2.jpg"], "birds/1.jpg": b"bird\n"}
SECOND_TREE = files(SECOND) | {"dogs": EMPTY}


def held(desk, number=-1):
    """What the store holds of a version, by its place in the manifest."""
    return version(stored(desk), desk.versions(D)[number])


def usage_error(reply, *words):
    assert "UsageError" in reply.error, (reply.error, reply.text)
    assert reply.exit_code == 2
    for word in words:
        assert word in reply.text, reply.text


def snapshot(root):
    """Every path below a directory, with what moves when it is written."""
    return {
        path: (status.st_ino, status.st_size, status.st_mtime_ns)
        for path in root.rglob("*")
        for status in [path.lstat()]
    }


# -- a new directory


def test_new_directory_is_one_entry_and_announced(images, tracker):
    assert tracker.track(D).said == [TRACKING]
    (item,) = images.items()
    assert item["path"] == D
    assert item["hash"] == digest_of(TREE)
    assert item["size"] == sum(map(len, FILES.values()))
    assert item["files"] == 3
    assert on_disk(images.root / D) == TREE


def test_directory_is_the_same_with_and_without_a_slash(images, calls):
    for spoken in ("data/images", "./data/images/", "data/../data/images"):
        assert calls.track(spoken).value == spoken
        assert [item["path"] for item in images.items()] == [D]
    before = images.state()
    assert calls.track(D).stderr == ""
    assert images.state() == before


def test_directory_may_be_a_path_object(images, calls):
    reply = calls.run("from pathlib import Path\nvalue = repr(track(Path('data/images')))")
    assert reply.value == "PosixPath('data/images')"
    assert images.versions(D) == [digest_of(TREE)]


@pytest.mark.parametrize(("spoken", "cwd"), [(D, "."), ("images", "data"), (".", D)])
def test_command_tracks_a_directory(images, spoken, cwd):
    done = images.run_cli("track", spoken, cwd=images.root / cwd)
    assert f"lazydata: {TRACKING}\n" in done.stderr
    assert images.versions(D) == [digest_of(TREE)]
    assert images.usages(D) == []


def test_script_is_a_usage_of_the_directory(images):
    images.run_script(f"from lazydata import track\ntrack({D!r})\n")
    assert images.usages(D) == ["my_script.py"]


def test_tree_is_as_documented_and_the_store_holds_all_of_it(images, calls):
    odd = {
        "empty": EMPTY,
        "deep/er/empty": EMPTY,
        "run.sh": (EXEC, b"#!/bin/sh\n"),
        "latest": (LINK, b"cats/1.jpg"),
        "tab\tline\nback\\slash\rend": (FILE, b"odd"),
        "- été 🐈": (FILE, b""),
        "large.bin": (FILE, LARGE),
    }
    put(images, D, odd)
    calls.track(D)
    assert images.versions(D) == [digest_of(TREE | odd)]
    assert held(images) == TREE | odd
    shutil.rmtree(images.root / D)
    calls.track(D)
    assert on_disk(images.root / D) == TREE | odd


def test_small_files_and_trees_lie_in_packs_and_large_ones_alone(project):
    small, large = (LARGE[: (64 << 10) - less] for less in (1, 0))
    tree = MANY | files({"small.bin": small, "large.bin": large})
    put(project, D, tree)
    project.tracker().track(D)
    assert held(project) == tree
    assert project.holds(large)
    assert not project.object(small).exists()
    assert len(list((project.lazydata_home / "store").rglob("*.pack"))) == 1
    loose = list((project.lazydata_home / "store").rglob("*/blake3/??/*"))
    assert loose == [project.object(large)]


def test_many_files_some_of_them_alike(project):
    tree = files({f"{n % 7}/{n % 5}/f{n}": b"%d" % (n % 300) * (n % 300) for n in range(900)})
    tree |= files({f"large/{n}": LARGE for n in range(3)})
    put(project, D, tree)
    calls = project.tracker()
    assert calls.track(D).said == [tracking(903)]
    assert held(project) == tree
    for n in (3, 5, 8):
        (project.root / D / f"{n % 7}/{n % 5}/f{n}").unlink()
    assert changed("3 deleted") in calls.track(D).said
    shutil.rmtree(project.root / D)
    calls.track(D)
    assert contents(project.root / D).keys() == tree.keys() - {"3/3/f3", "5/0/f5", "1/3/f8"}


def test_deep_directory(project):
    path = "d/" * 300 + "x"
    os.makedirs(project.root / D / os.path.dirname(path))
    project.write(D + path, NEW)
    calls = project.tracker()
    calls.track(D)
    assert project.versions(D) == [digest_of({path: (FILE, NEW)})]
    shutil.rmtree(project.root / D)
    calls.track(D)
    assert project.read(D + path) == NEW


def test_empty_directory_is_recorded_and_restored(project):
    make_directory(project, project.root / D)
    calls = project.tracker()
    calls.track(D)
    assert project.versions(D) == [digest_of({})]
    (project.root / D).rmdir()
    calls.track(D)
    assert (project.root / D).is_dir()
    assert project.versions(D) == [digest_of({})]


def test_missing_directory_without_an_entry_is_not_tracked(project):
    before = project.state()
    reply = project.tracker().refuse(D)
    assert reply.error[0] == "NotTracked"
    assert reply.exit_code == 12
    assert "data/images" in reply.message
    assert project.state() == before
    project.run_cli("track", D, code=12)


def test_the_workspace_itself_is_no_entry(images):
    before = images.state()
    images.run_cli("track", ".", code=2)
    assert images.state() == before


# -- unchanged


def test_unchanged_directory_says_and_writes_nothing(tracked, tracker):
    tracker.track(D)
    before, journal = tracked.state(), snapshot(tracked.root)
    store = snapshot(tracked.lazydata_home / "store")
    for _ in range(3):
        assert tracker.track(D).stderr == ""
    assert tracked.state() == before
    assert snapshot(tracked.root) == journal
    assert snapshot(tracked.lazydata_home / "store") == store


def test_touched_files_are_unchanged(tracked, calls):
    before = tracked.state()
    for path in FILES:
        os.utime(tracked.root / D / path, (1_000_000_000, 1_000_000_000))
    for _ in range(2):
        assert calls.track(D).stderr == ""
    assert tracked.state() == before


def test_copied_tree_is_unchanged(tracked, calls):
    before = tracked.state()
    shutil.copytree(tracked.root / D, tracked.root / "copy")
    shutil.rmtree(tracked.root / D)
    (tracked.root / "copy").rename(tracked.root / D)
    assert calls.track(D).stderr == ""
    assert tracked.state() == before


def test_unchanged_directory_in_a_read_only_workspace_and_store(ordinary):
    put(ordinary, D, TREE)
    ordinary.tracker().track(D)
    everything = [path for path in ordinary.base.rglob("*") if not path.is_symlink()]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    before = snapshot(ordinary.base)
    calls = ordinary.tracker()
    for _ in range(2):
        assert calls.track(D).stderr == ""
    assert snapshot(ordinary.base) == before


def test_unknown_baseline_in_a_read_only_workspace_is_no_error(ordinary):
    put(ordinary, D, TREE)
    ordinary.tracker().track(D)
    ordinary.forget()
    before = ordinary.state()
    ordinary.root.chmod(0o555)
    assert ordinary.tracker().track(D).value == D
    assert ordinary.state() == before


@pytest.mark.parametrize("lost", [["index"], [".lazydata"], ["index", ".lazydata"]], ids=" ".join)
def test_unchanged_directory_is_known_again_without(tracked, lost):
    before = tracked.state()
    for name in lost:
        shutil.rmtree((tracked.lazydata_home if name == "index" else tracked.root) / name)
    assert tracked.tracker().track(D).stderr == ""
    assert tracked.state() == before
    assert on_disk(tracked.root / D) == TREE


def test_store_that_was_lost_is_filled_again_when_the_baseline_is_unknown(tracked, calls):
    tracked.write(f"{D}large.bin", LARGE)
    calls.track(D)
    before = tracked.state()
    shutil.rmtree(tracked.lazydata_home / "store")
    tracked.forget()
    assert tracked.tracker().track(D).stderr == ""
    assert tracked.state() == before
    assert held(tracked) == TREE | {"large.bin": (FILE, LARGE)}


def test_lost_store_does_not_stop_a_new_version(tracked, edit):
    shutil.rmtree(tracked.lazydata_home / "store")
    now = edit({CATS: NEW})
    tracked.tracker().track(D)
    assert tracked.versions(D) == [digest_of(TREE), digest_of(now)]
    assert on_disk(tracked.root / D) == now


# -- changed

CHANGES = {
    "changed": ({CATS: NEW}, ["1 changed"]),
    "added": ({"cats/3.jpg": NEW}, ["1 added"]),
    "added in a new directory": ({"birds/1.jpg": NEW, "birds/2.jpg": NEW}, ["2 added"]),
    "deleted": ({CATS: None}, ["1 deleted"]),
    "deleted with its directory": ({"cats": None}, ["2 deleted"]),
    "moved": ({CATS: None, "dogs/2.jpg": FILES[CATS]}, ["1 added", "1 deleted"]),
    "all": (
        {"cats/3.jpg": NEW, CATS: b"1", "cats/2.jpg": b"2", DOGS: None},
        ["1 added", "2 changed", "1 deleted"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_is_one_new_version_of_the_directory(tracked, calls, edit, name):
    changes, told = CHANGES[name]
    now = edit(changes)
    said = calls.track(D).said
    assert changed(*told) in said
    assert len(said) == 1 or "deleted" in name or name in ("moved", "all")
    assert tracked.versions(D) == [digest_of(TREE), digest_of(now)]
    assert (held(tracked, 0), held(tracked)) == (TREE, now)
    assert on_disk(tracked.root / D) == now
    assert calls.track(D).stderr == ""


def test_new_version_counts_its_files_and_bytes(tracked, calls, edit):
    edit({CATS: None, DOGS: NEW})
    calls.track(D)
    item = tracked.items(D)[-1]
    assert item["files"] == 2
    assert item["size"] == len(NEW) + len(FILES["cats/2.jpg"])


def test_change_of_the_same_size_and_mtime_is_recorded(tracked, calls):
    file = tracked.root / D / CATS
    before = file.stat()
    tracked.write(file, b"CAT 1\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert calls.track(D).said == [changed("1 changed")]
    assert held(tracked)[CATS] == (FILE, b"CAT 1\n")


def test_two_files_that_change_places_are_recorded(tracked, calls):
    one, two = tracked.root / D / CATS, tracked.root / D / DOGS
    one.rename(tracked.root / "aside")
    two.rename(one)
    (tracked.root / "aside").rename(two)
    assert calls.track(D).said == [changed("2 changed")]
    assert held(tracked) == TREE | {CATS: TREE[DOGS], DOGS: TREE[CATS]}


def test_new_version_shares_all_that_is_unchanged(tracked, calls, edit):
    before = stored(tracked)
    edit({CATS: NEW})
    calls.track(D)
    new = stored(tracked).keys() - before.keys()
    assert len(new) == 3  # the file, and the trees of cats/ and of the whole
    edit({"cats/moved.jpg": NEW, CATS: None})
    calls.track(D)
    assert len(stored(tracked).keys() - before.keys() - new) == 2


def test_executable_bit_is_a_change_and_comes_back(tracked, calls):
    (tracked.root / D / CATS).chmod(0o755)
    assert calls.track(D).said == [changed("1 changed")]
    now = TREE | {CATS: (EXEC, FILES[CATS])}
    assert tracked.versions(D)[-1] == digest_of(now)
    shutil.rmtree(tracked.root / D)
    calls.track(D)
    assert on_disk(tracked.root / D) == now


def test_other_bits_of_the_mode_are_no_change(tracked, calls):
    before = tracked.state()
    for mode in (0o600, 0o640, 0o654, 0o444):
        (tracked.root / D / CATS).chmod(mode)
        assert calls.track(D).stderr == ""
    assert tracked.state() == before


def test_empty_directories_are_recorded_and_come_and_go(tracked, calls):
    first = tracked.manifest_file.read_bytes()
    (tracked.root / D / "cats" / "kittens").mkdir()
    calls.track(D)
    now = TREE | {"cats/kittens": EMPTY}
    assert tracked.versions(D)[-1] == digest_of(now)
    second = tracked.manifest_file.read_bytes()
    tracked.manifest_file.write_bytes(first)
    calls.track(D)
    assert on_disk(tracked.root / D) == TREE
    tracked.manifest_file.write_bytes(second)
    calls.track(D)
    assert on_disk(tracked.root / D) == now
    (tracked.root / D / "cats" / "kittens").rmdir()
    calls.track(D)
    assert tracked.versions(D)[-1] == digest_of(TREE)


KINDS = {
    "file to directory": {CATS + "/inner": (FILE, NEW)},
    "directory to file": {"cats": (FILE, NEW)},
    "file to link": {CATS: (LINK, b"2.jpg")},
    "directory to link": {"cats": (LINK, b"dogs")},
    "directory to empty one": {"cats": EMPTY},
}


@pytest.mark.parametrize("name", KINDS)
def test_name_that_becomes_of_another_kind_is_recorded_and_comes_back(tracked, calls, name):
    ((path, kept),) = KINDS[name].items()
    remove(tracked.root / D / path.removesuffix("/inner"))
    put(tracked, D, {path: kept})
    now = on_disk(tracked.root / D)
    assert now != TREE
    first = tracked.manifest_file.read_bytes()
    calls.track(D)
    assert held(tracked) == now
    second = tracked.manifest_file.read_bytes()
    for text, tree in ((first, TREE), (second, now)):
        tracked.manifest_file.write_bytes(text)
        calls.track(D)
        assert on_disk(tracked.root / D) == tree
        assert tracked.manifest_file.read_bytes() == text


def test_older_version_put_back_on_purpose_is_recorded(tracked, calls, older):
    shutil.rmtree(tracked.root / D)
    put(tracked, D, TREE)
    assert calls.track(D).said[-1] == changed("1 added", "1 changed", "1 deleted")
    assert tracked.versions(D) == [digest_of(SECOND_TREE), digest_of(TREE)]
    assert on_disk(tracked.root / D) == TREE


# -- what is kept, and what is refused


LINKS = {
    "cats/latest": "1.jpg",
    "cats/dog": "../dogs/1.jpg",
    "pets": "dogs",
    "cats/nowhere": "not/there",
    "cats/top": "..",
}


def test_links_that_stay_inside_are_kept_as_they_are(images, calls):
    links = {path: (LINK, target.encode()) for path, target in LINKS.items()}
    put(images, D, links)
    assert calls.track(D).said == [TRACKING]
    assert images.versions(D) == [digest_of(TREE | links)]
    shutil.rmtree(images.root / D)
    calls.track(D)
    assert on_disk(images.root / D) == TREE | links


@pytest.mark.parametrize("target", ["1.jpg", "nowhere"])
def test_link_inside_is_restored_alone(tracked, calls, target):
    put(tracked, D, {"cats/link": (LINK, target.encode())})
    calls.track(D)
    before = tracked.state()
    shutil.rmtree(tracked.root / D)
    calls.track(D + "cats/link")
    assert on_disk(tracked.root / D)["cats/link"] == (LINK, target.encode())
    assert tracked.state() == before
    calls.track(D + "cats/link")


def test_part_may_have_a_link_to_elsewhere_in_the_directory(tracked, calls):
    put(tracked, D, {"cats/link": (LINK, b"../dogs/1.jpg")})
    calls.track(D)
    (tracked.root / D / "cats/link").unlink()
    calls.track(D + "cats")
    assert on_disk(tracked.root / D)["cats/link"] == (LINK, b"../dogs/1.jpg")
    assert "ok" in tracked.run_cli("status", D + "cats").stdout


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("out", "../other.csv"),
        ("cats/out", "../../other.csv"),
        ("out", "/etc/hostname"),
        ("out", "cats/../../images2/x"),
        ("out", ".."),
    ],
)
def test_link_that_leads_out_is_refused(images, calls, path, target):
    images.write("data/other.csv", NEW)
    put(images, D, {path: (LINK, target.encode())})
    before = images.state()
    usage_error(calls.refuse(D), path)
    assert images.state() == before


def test_link_that_leads_out_by_way_of_another_is_refused(images, calls):
    put(images, D, {"cats/top": (LINK, b".."), "way": (LINK, b"cats/top/../other.csv")})
    before = images.state()
    usage_error(calls.refuse(D), "way")
    assert images.state() == before


def test_link_out_is_refused_in_a_tracked_directory_too(tracked, calls):
    put(tracked, D, {"cats/out": (LINK, b"/etc/hostname")})
    before = tracked.state()
    usage_error(calls.refuse(D), "cats/out")
    assert tracked.state() == before
    assert "cats/out" in tracked.run_cli("track", D, code=2).stderr


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK], ids=["fifo", "socket"])
def test_what_is_no_file_is_refused(images, calls, kind):
    os.mknod(images.root / D / "cats" / "odd", kind | 0o600)
    before = images.state()
    usage_error(calls.refuse(D), "cats/odd")
    assert images.state() == before


def test_name_that_is_not_utf8_is_refused(images):
    images.write(D + os.fsdecode(b"cats/\xff.jpg"), NEW)
    before = images.state()
    assert "cats/" in images.run_cli("track", D, code=2).stderr
    assert images.state() == before


@pytest.mark.parametrize(
    "names", [("Readme", "README"), ("é", "e\u0301"), ("ß", "SS")], ids=["case", "form", "fold"]
)
def test_names_that_other_systems_confuse_are_warned_of_and_kept(images, calls, names):
    for number, name in enumerate(names):
        images.write(f"{D}cats/{name}", b"%d" % number)
    now = on_disk(images.root / D)
    reply = calls.track(D)
    (warning,) = [line for line in reply.said if line != tracking(5)]
    assert "may not be told apart on other systems" in warning
    assert all(name in warning for name in names)
    assert held(images) == now


def test_names_alike_in_different_directories_are_no_trouble(images, calls):
    images.write(f"{D}dogs/CATS", NEW)
    assert calls.track(D).said == [tracking(4)]


@pytest.mark.parametrize("path", ["cats", CATS], ids=["directory", "file"])
def test_what_may_not_be_read_is_an_error_and_nothing_is_recorded(ordinary, path):
    put(ordinary, D, TREE)
    (ordinary.root / D / path).chmod(0o000)
    before = ordinary.state()
    reply = ordinary.tracker().refuse(D)
    assert reply.exit_code == 15
    assert path in reply.message
    assert ordinary.state() == before


def test_unreadable_directory_is_no_deletion(ordinary):
    put(ordinary, D, TREE)
    calls = ordinary.tracker()
    calls.track(D)
    before = ordinary.state()
    (ordinary.root / D / "cats").chmod(0o000)
    assert calls.refuse(D).exit_code == 15
    assert ordinary.state() == before


def test_directory_that_is_a_link_out_of_the_workspace_is_refused(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_bytes(NEW)
    (project.root / "data").mkdir()
    (project.root / "data" / "images").symlink_to(tmp_path / "elsewhere")
    before = project.state()
    usage_error(project.tracker().refuse(D), "data/images")
    assert project.state() == before


def test_directory_with_tracked_files_in_it_is_refused(images, calls):
    calls.track(D + CATS)
    calls.track(D + DOGS)
    before = images.state()
    reply = calls.refuse(D)
    usage_error(reply, D + CATS, D + DOGS, "untrack")
    assert images.state() == before
    images.run_cli("untrack", D + CATS, D + DOGS)
    assert calls.track(D).said == [TRACKING]


def test_directory_around_a_tracked_one_is_refused(tracked, calls):
    before = tracked.state()
    usage_error(calls.refuse("data/"), D, "untrack")
    assert tracked.state() == before


def test_neighbours_with_the_same_beginning_are_no_trouble(images, calls):
    images.write("data/images2/x", NEW)
    calls.track("data/images2/x")
    assert calls.track(D).said == [TRACKING]
    assert [item["path"] for item in images.items()] == [D, "data/images2/x"]


def test_directory_where_a_file_is_listed_is_an_error(project):
    project.record(("data/images", NEW))
    (project.root / "data" / "images").unlink()
    put(project, D, TREE)
    before = project.state()
    for spoken in ("data/images", D):
        assert project.tracker().refuse(spoken).exit_code in (2, 14)
    assert project.state() == before
    assert on_disk(project.root / D) == TREE


def test_file_where_a_directory_is_listed_is_an_error(tracked, calls):
    shutil.rmtree(tracked.root / D)
    tracked.write("data/images", NEW)
    before = tracked.state()
    for spoken in ("data/images", D):
        reply = calls.refuse(spoken)
        assert reply.exit_code in (2, 14)
        assert "data/images" in reply.message
    assert tracked.state() == before
    assert tracked.read("data/images") == NEW


# -- what is passed over


def test_ignored_files_are_not_recorded(images, calls):
    images.write(".lazydataignore", "*.log\n!keep.log\n/data/images/raw/\n")
    kept = {**FILES, "cats/keep.log": b"kept"}
    images.write(D + "cats/keep.log", b"kept")
    for path in ("x.log", "cats/x.log", "raw/1", "raw/deep/2"):
        images.write(D + path, NEW)
    calls.track(D)
    assert images.versions(D) == [digest_of(files(kept))]
    before = images.state()
    images.write(D + "dogs/new.log", NEW)
    (images.root / D / "x.log").unlink()
    assert calls.track(D).stderr == ""
    assert images.state() == before


def test_ignore_file_counts_from_where_it_lies(images, calls):
    images.write(D + "cats/.lazydataignore", "/1.jpg\n")
    images.write(D + "dogs/cats/1.jpg", NEW)
    calls.track(D)
    found = set(held(images)) - {"cats/.lazydataignore"}
    assert found == {"cats/2.jpg", DOGS, "dogs/cats/1.jpg"}


def test_ignored_is_not_looked_at(images, calls):
    images.write(".lazydataignore", "odd*\n")
    os.mkfifo(images.root / D / "odd.fifo")
    put(images, D, {"odd.link": (LINK, b"/etc/hostname"), "odd/out": (LINK, b"../../..")})
    assert calls.track(D).said == [TRACKING]
    assert images.versions(D) == [digest_of(TREE)]


PASSED_OVER = [
    *("cats/x.log", "cats/.git/config", ".git/HEAD", "cats/.lazydata/id"),
    "cats/.lazydata-0a1b2c.tmp",
]


def test_what_is_passed_over_is_no_part_of_the_directory(images, calls):
    images.write(".lazydataignore", "*.log\n")
    for path in PASSED_OVER:
        images.write(D + path, NEW)
    assert calls.track(D).said == [TRACKING]
    assert images.versions(D) == [digest_of(TREE)]
    for path in PASSED_OVER:
        (images.root / D / path).unlink()
    assert calls.track(D).stderr == ""


def test_what_is_passed_over_stays_when_its_directory_goes(tracked, calls, edit):
    tracked.write(".lazydataignore", "*.log\n")
    first = tracked.manifest_file.read_bytes()
    edit({"birds/1.jpg": NEW, "birds/2.jpg": NEW})
    calls.track(D)
    paths = ["birds/x.log", "birds/.git/config"]
    for path in paths:
        tracked.write(D + path, b"mine")
    tracked.manifest_file.write_bytes(first)
    calls.track(D)
    assert not (tracked.root / D / "birds/1.jpg").exists()
    assert all(tracked.read(D + path) == b"mine" for path in paths)
    assert tracked.manifest_file.read_bytes() == first


def test_what_is_listed_and_ignored_settles(tracked, calls):
    tracked.write(".lazydataignore", "dogs/\n")
    shutil.rmtree(tracked.root / D)
    calls.track(D)
    tracked.run_cli("status", "--check")
    before = tracked.state()
    assert calls.track(D).stderr == ""
    assert tracked.state() == before


def test_ignored_file_in_the_way_of_a_listed_one_stays_and_is_told(tracked, calls, edit):
    first = tracked.manifest_file.read_bytes()
    edit({"x.log": NEW})
    calls.track(D)
    second = tracked.manifest_file.read_bytes()
    tracked.manifest_file.write_bytes(first)
    calls.track(D)
    tracked.write(".lazydataignore", "*.log\n")
    tracked.write(D + "x.log", b"precious")
    tracked.manifest_file.write_bytes(second)
    reply = calls.ask("value = track(path)", path=D)
    assert tracked.read(D + "x.log") == b"precious"
    assert tracked.manifest_file.read_bytes() == second
    assert reply.error[:1] != ["FileBusy"]  # it would say to run it again, for ever


# -- the manifest moves


def test_directory_follows_a_manifest_that_moved(tracked, tracker, older, restore_command):
    newer = tracked.manifest_file.read_bytes()
    second = tracked.versions(D)[-1]
    tracked.manifest_file.write_bytes(older)
    reply = tracker.track(D)
    assert D in reply.stderr
    assert second.removeprefix("blake3:")[:6] in reply.stderr
    assert on_disk(tracked.root / D) == TREE
    assert tracked.manifest_file.read_bytes() == older
    assert version(stored(tracked), second) == SECOND_TREE
    assert tracker.track(D).stderr == ""

    tracked.run_cli(*restore_command(reply.stderr))
    assert on_disk(tracked.root / D) == SECOND_TREE
    assert tracked.versions(D)[-1] == second
    tracked.manifest_file.write_bytes(newer)
    assert tracker.track(D).stderr == ""


def test_branches_can_be_switched(tracked, calls):
    tracked.git("init", "-q", "-b", "main")
    tracked.write(".gitignore", "data/\n")
    tracked.git("add", ".")
    tracked.git("commit", "-qm", "first")
    tracked.git("switch", "-qc", "experiment")
    tracked.write(D + CATS, NEW)
    (tracked.root / D / DOGS).unlink()
    calls.track(D)
    now = on_disk(tracked.root / D)
    tracked.git("commit", "-qam", "second")
    for _ in range(2):
        for branch, tree in (("main", TREE), ("experiment", now)):
            tracked.git("switch", "-q", branch)
            calls.track(D)
            assert on_disk(tracked.root / D) == tree
            assert tracked.git("status", "--porcelain") == ""


def test_older_version_with_unknown_baseline_is_updated(tracked, calls, older):
    newer = tracked.manifest_file.read_bytes()
    tracked.forget()
    shutil.rmtree(tracked.root / D)
    put(tracked, D, TREE)
    assert f"Updating {D} to the version in lazydata.yml" in calls.track(D).said
    assert on_disk(tracked.root / D) == SECOND_TREE
    assert tracked.manifest_file.read_bytes() == newer


def test_unknown_content_with_unknown_baseline_is_recorded_with_a_hint(tracked, calls, edit):
    tracked.forget()
    now = edit({CATS: NEW})
    reply = calls.track(D)
    assert D in reply.stderr
    assert "restore" in reply.stderr
    assert on_disk(tracked.root / D) == now
    assert tracked.versions(D) == [digest_of(TREE), digest_of(now)]


def test_file_that_is_missing_with_unknown_baseline_was_never_here(tracked, calls, edit):
    tracked.forget()
    edit({DOGS: None})
    text = tracked.manifest_file.read_bytes()
    calls.track(D)
    assert on_disk(tracked.root / D) == TREE
    assert tracked.manifest_file.read_bytes() == text


def test_missing_and_changed_with_unknown_baseline_records_the_change_alone(tracked, calls, edit):
    tracked.forget()
    edit({DOGS: None, CATS: NEW})
    calls.track(D)
    now = TREE | {CATS: (FILE, NEW)}
    assert on_disk(tracked.root / D) == now
    assert tracked.versions(D)[-1] == digest_of(now)


def test_edit_is_merged_with_a_manifest_that_moved(tracked, calls, older, edit):
    second = tracked.versions(D)[-1]
    edit({"cats/2.jpg": b"my edit\n"})
    tracked.manifest_file.write_bytes(older)
    calls.track(D)
    now = TREE | {"cats/2.jpg": (FILE, b"my edit\n")}
    assert on_disk(tracked.root / D) == now
    assert tracked.versions(D) == [digest_of(TREE), digest_of(now)]
    assert version(stored(tracked), second) == SECOND_TREE


def test_edit_of_what_the_manifest_moved_as_well_stays_with_a_warning(tracked, calls, older, edit):
    edit({CATS: b"my edit\n"})
    tracked.manifest_file.write_bytes(older)
    assert D + CATS in calls.track(D).stderr
    now = TREE | {CATS: (FILE, b"my edit\n")}
    assert on_disk(tracked.root / D) == now
    assert tracked.versions(D) == [digest_of(TREE), digest_of(now)]


def test_output_is_recorded_whatever_the_baseline(tracked, calls, older):
    tracked.manifest_file.write_bytes(older)
    calls.track(D, output=True)
    assert on_disk(tracked.root / D) == SECOND_TREE
    assert tracked.versions(D) == [digest_of(TREE), digest_of(SECOND_TREE)]


def test_file_that_is_open_for_writing_is_not_replaced(tracked, calls, older, end_process):
    writer = tracked.popen(
        """
        import sys
        file = open(sys.argv[1], "ab", buffering=0)
        print("open", flush=True)
        sys.stdin.readline()
        file.write(b"late")
        """,
        str(tracked.root / D / CATS),
        stdin=-1,
    )
    try:
        assert writer.stdout.readline() == "open\n"
        tracked.manifest_file.write_bytes(older)
        calls.ask("value = track(path)", path=D)
        writer.stdin.write("\n")
        writer.stdin.flush()
        writer.wait(60)
    finally:
        end_process(writer)
    assert tracked.read(D + CATS) == NEW + b"late"
    assert tracked.manifest_file.read_bytes() == older


def test_processes_at_once_lose_no_file(tracked):
    code = """
        import sys
        from lazydata import track
        name = sys.argv[1]
        print("ready", flush=True)
        sys.stdin.readline()
        open(f"data/images/cats/{name}.jpg", "w").write(name)
        track("data/images/")
    """
    several = [tracked.popen(code, f"p{n}", stdin=-1) for n in range(4)]
    for process in several:
        assert process.stdout.readline() == "ready\n"
    for process in several:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in several]
    assert [code for _, code in ended] == [0] * 4, ended
    tracked.tracker().track(D)
    now = TREE | files({f"cats/p{n}.jpg": b"p%d" % n for n in range(4)})
    assert on_disk(tracked.root / D) == now
    assert held(tracked) == now


def test_full_disk_in_the_middle_of_a_pack_leaves_nothing_of_it(images, small_disk):
    disk = small_disk("4m", images.lazydata_home / "store")
    for number in range(100):
        images.write(f"{D}many/{number}.bin", os.urandom(60_000))
    done = images.run_cli("track", D, code=28)
    assert "no space left" in done.stderr
    assert not list(disk.rglob("*.tmp"))


def test_full_disk_records_nothing(images, small_disk):
    small_disk("256k", images.lazydata_home / "store")
    images.write(D + "large.bin", LARGE)
    before, now = images.state(), on_disk(images.root / D)
    assert images.tracker().refuse(D).exit_code == 28
    assert images.state() == before
    assert on_disk(images.root / D) == now


def test_quiet_silences_all_but_warnings(images):
    calls = images.tracker(env={"LAZYDATA_QUIET": "1"})
    assert calls.track(D).stderr == ""
    images.write(D + CATS, NEW)
    assert calls.track(D).stderr == ""
    (images.root / D / DOGS).unlink()
    assert calls.track(D).stderr == ""
    shutil.rmtree(images.root / D)
    assert calls.track(D).stderr == ""
    assert len(images.versions(D)) == 3


# -- missing


@pytest.mark.parametrize("left", ["nothing", "empty directories", "an ignored file"])
def test_directory_whose_files_are_all_missing_is_restored(tracked, calls, left):
    calls.track(D)
    before = tracked.state()
    if left == "nothing":
        shutil.rmtree(tracked.root / "data")
    else:
        for path in FILES:
            (tracked.root / D / path).unlink()
    if left == "an ignored file":
        tracked.write(".lazydataignore", "*.log\n")
        tracked.write(D + "cats/x.log", NEW)
    assert "data/images" in calls.track(D).stderr
    assert {path: tracked.read(D + path) for path in FILES} == FILES
    assert tracked.state() == before


@pytest.mark.parametrize("moved", [False, True], ids=["same manifest", "older manifest"])
def test_restore_that_was_killed_is_never_a_deletion(project, end_process, moved):
    tree = files({f"{n % 40}/{n}": b"%d" % n for n in range(2000)})
    put(project, D, tree)
    project.run_cli("track", D)
    text = project.manifest_file.read_bytes()
    if moved:
        project.write(D + "1/1", NEW)
        project.run_cli("track", D)
        project.manifest_file.write_bytes(text)
    shutil.rmtree(project.root / D)
    process = project.popen(f"from lazydata import track\ntrack({D!r})")
    first = [project.root / D / path for path in list(tree)[:400]]
    while process.poll() is None and not any(path.exists() for path in first):
        pass
    end_process(process)
    project.run_cli("track", D)
    now = on_disk(project.root / D)
    assert {path: kept for path, kept in now.items() if not path.endswith(".tmp")} == tree
    assert project.manifest_file.read_bytes() == text


def test_version_that_is_nowhere_is_an_error_and_never_a_deletion(tracked, calls):
    tracked.write(D + "large.bin", LARGE)
    calls.track(D)
    tracked.lose(LARGE)
    shutil.rmtree(tracked.root / D)
    before = tracked.state()
    for _ in range(2):
        reply = calls.refuse(D)
        assert "images/large.bin" in reply.text or D in reply.text
        assert reply.exit_code in (3, 12)
        assert tracked.state() == before


# -- on_change


@pytest.mark.parametrize(
    ("how", "case"),
    [
        *(("argument", "new"), ("argument", "changed"), ("argument", "added")),
        *(("argument", "deleted"), ("environment", "deleted")),
    ],
)
def test_on_change_error_raises_and_writes_nothing(images, how, case):
    if case != "new":
        images.tracker().track(D)
    put_one = {"changed": CATS, "added": "cats/3.jpg"}.get(case)
    if put_one:
        images.write(D + put_one, NEW)
    elif case == "deleted":
        (images.root / D / DOGS).unlink()
    now, before = on_disk(images.root / D), images.state()
    options, env = {"on_change": "error"}, {}
    if how == "environment":
        options, env = {}, {"LAZYDATA_ON_CHANGE": "error"}
    reply = images.tracker(env=env).refuse(D, **options)
    assert reply.error[0] == "FileChanged"
    assert reply.exit_code == 14
    assert "data/images" in reply.message
    assert images.state() == before
    assert on_disk(images.root / D) == now


@pytest.mark.parametrize("case", ["new", "changed"])
def test_on_change_warn_says_so_and_records_nothing(images, calls, case):
    if case == "changed":
        calls.track(D)
        images.write(D + CATS, NEW)
    now, before = on_disk(images.root / D), images.state()
    for _ in range(2):
        reply = calls.track(D, on_change="warn")
        assert reply.value == D
        assert "data/images" in reply.stderr
        assert images.state() == before
    assert on_disk(images.root / D) == now


@pytest.mark.parametrize("value", ["warn", "error"])
def test_on_change_still_restores_and_updates(tracked, calls, older, value):
    shutil.rmtree(tracked.root / D)
    calls.track(D, on_change=value)
    assert on_disk(tracked.root / D) == SECOND_TREE
    tracked.manifest_file.write_bytes(older)
    calls.track(D, on_change=value)
    assert on_disk(tracked.root / D) == TREE
    assert tracked.manifest_file.read_bytes() == older
    assert calls.track(D, on_change=value).stderr == ""


# -- a path inside


def test_unchanged_file_inside_says_and_writes_nothing(tracked, tracker):
    tracker.track(D + CATS)
    before, journal = tracked.state(), snapshot(tracked.root)
    reply = tracker.track(D + CATS)
    assert (reply.value, reply.stderr) == (D + CATS, "")
    assert tracked.state() == before
    assert snapshot(tracked.root) == journal


@pytest.mark.parametrize("lost", ["file", "directory", "directory and memory"])
def test_missing_file_inside_is_restored_alone(tracked, calls, lost):
    calls.track(D + CATS)
    before = tracked.state()
    if lost == "file":
        (tracked.root / D / CATS).unlink()
    else:
        shutil.rmtree(tracked.root / D)
    if lost == "directory and memory":
        tracked.forget()
    assert D + CATS in calls.track(D + CATS).stderr
    assert contents(tracked.root / D) == (FILES if lost == "file" else {CATS: FILES[CATS]})
    assert tracked.state() == before


def test_missing_directory_inside_is_restored_alone(tracked, calls):
    shutil.rmtree(tracked.root / D)
    before = tracked.state()
    calls.track(D + "cats")
    assert sorted(contents(tracked.root / D)) == [CATS, "cats/2.jpg"]
    assert tracked.state() == before


def test_whole_is_complete_again_after_a_part_of_it(tracked, calls):
    shutil.rmtree(tracked.root / D)
    tracked.forget()
    before = tracked.state()
    calls.track(D + CATS)
    calls.track(D)
    assert on_disk(tracked.root / D) == TREE
    assert tracked.state() == before


@pytest.mark.parametrize("spoken", [D + CATS, D + "cats"])
def test_change_inside_is_told_and_not_recorded(tracked, calls, edit, spoken):
    now, before = edit({CATS: NEW}), tracked.state()
    reply = calls.track(spoken)
    assert spoken in reply.stderr
    assert "data/images" in reply.stderr.replace(spoken, "")
    assert "track" in reply.stderr
    assert tracked.state() == before
    assert on_disk(tracked.root / D) == now
    assert calls.track(D).said == [changed("1 changed")]


def test_change_inside_is_an_error_where_changes_are(tracked, calls, edit):
    edit({CATS: NEW})
    before = tracked.state()
    reply = calls.refuse(D + CATS, on_change="error")
    assert reply.error[0] == "FileChanged"
    assert D + CATS in reply.message
    assert tracked.state() == before
    calls.track(D + DOGS, on_change="error")


def test_new_file_inside_is_told_and_not_recorded(tracked, calls, edit):
    edit({"cats/3.jpg": NEW})
    before = tracked.state()
    assert D + "cats/3.jpg" in calls.track(D + "cats/3.jpg").stderr
    assert tracked.state() == before
    assert tracked.read(D + "cats/3.jpg") == NEW
    assert calls.refuse(D + "cats/3.jpg", on_change="error").error[0] == "FileChanged"


def test_file_inside_that_no_version_has_is_not_tracked(tracked, calls):
    before = tracked.state()
    reply = calls.refuse(D + "cats/9.jpg")
    assert reply.error[0] == "NotTracked"
    assert "data/images/" in reply.message
    assert "cats/9.jpg" in reply.message
    assert tracked.state() == before


def test_file_inside_follows_a_manifest_that_moved(tracked, calls, older):
    tracked.manifest_file.write_bytes(older)
    calls.track(D + CATS)
    assert tracked.read(D + CATS) == FILES[CATS]
    assert sorted(contents(tracked.root / D)) == sorted(SECOND)
    calls.track(D)
    assert on_disk(tracked.root / D) == TREE
    assert tracked.manifest_file.read_bytes() == older


@pytest.mark.parametrize("spoken", [D + CATS, D + "cats/", D + "cats/3.jpg"])
def test_command_adds_no_entry_inside(tracked, edit, spoken):
    now, before = edit({CATS: NEW, "cats/3.jpg": NEW}), tracked.state()
    done = tracked.run_cli("track", spoken, code=None)
    assert done.returncode != 1
    assert "data/images" in done.stderr
    assert tracked.state() == before
    assert on_disk(tracked.root / D) == now


# -- ls, status, restore, cat, untrack, unlock, verify


def test_ls_lists_the_directory_once(tracked):
    assert tracked.json_cli("ls")["files"] == [
        {
            "path": D,
            "kind": "directory",
            "hash": digest_of(TREE),
            "size": sum(map(len, FILES.values())),
            "usage": [],
            "producer": [],
            "latest": True,
        }
    ]
    assert D in tracked.run_cli("ls").stdout


def test_ls_of_a_path_inside(tracked, digest):
    (told,) = tracked.json_cli("ls", D + CATS)["files"]
    assert told["path"] == D + CATS
    assert told["hash"] == digest(FILES[CATS])
    assert told["size"] == len(FILES[CATS])
    told = tracked.json_cli("ls", "cats", cwd=tracked.root / D)["files"]
    assert told
    assert all(row["path"].startswith(D + "cats") for row in told)


@pytest.fixture
def state(tracked):
    def run(*paths):
        return {row["path"]: row["state"] for row in tracked.json_cli("status", *paths)["files"]}

    return run


@pytest.mark.parametrize("name", ["changed", "added", "deleted"])
def test_status_modified(tracked, state, edit, name):
    edit(CHANGES[name][0])
    before = tracked.state()
    assert state(D)[D] == "modified"
    assert D in tracked.run_cli("status", "--check", code=4).stdout
    assert tracked.state() == before


def test_status_of_an_unchanged_directory(tracked, state):
    (tracked.root / D / CATS).touch()
    (row,) = tracked.json_cli("status", "--check")["files"]
    assert row == {
        "path": D,
        "state": "ok",
        "kind": "directory",
        "hash": digest_of(TREE),
        "size": sum(map(len, FILES.values())),
        "stored": True,
        "pushed": False,
    }


def test_status_outdated_missing_and_not_downloaded(tracked, state, older):
    newer = tracked.manifest_file.read_bytes()
    tracked.manifest_file.write_bytes(older)
    assert state()[D] == "outdated"
    tracked.run_cli("status", "--check", code=4)
    tracked.manifest_file.write_bytes(newer)
    assert state()[D] == "ok"
    shutil.rmtree(tracked.root / D)
    assert state()[D] == "missing"
    tracked.run_cli("status", "--check", code=4)
    tracked.forget()
    assert state()[D] == "not-downloaded"
    tracked.run_cli("status", "--check")


def test_status_of_paths_inside(tracked, state, edit):
    edit({CATS: NEW})
    assert state(D + CATS) == {D + CATS: "modified"}
    assert state(D + DOGS) == {D + DOGS: "ok"}
    tracked.run_cli("status", "--check", D + "dogs")
    tracked.run_cli("status", "--check", D + "cats/2.jpg")
    tracked.run_cli("status", "--check", D + "cats", code=4)
    assert "cats/9.jpg" in tracked.run_cli("status", D + "cats/9.jpg", code=12).stderr


def test_restore_brings_the_latest_back_and_loses_nothing(tracked, edit):
    edit({CATS: b"an edit\n", DOGS: None, "cats/3.jpg": b"added\n"})
    before = tracked.state()
    tracked.run_cli("restore", D)
    assert {path: tracked.read(D + path) for path in FILES} == FILES
    assert tracked.state() == before
    kept = {*stored(tracked).values(), *contents(tracked.root / D).values()}
    assert {b"an edit\n", b"added\n"} <= kept


@pytest.mark.parametrize("spoken", [D + CATS, D + "cats"])
def test_restore_of_a_path_inside_leaves_the_rest(tracked, edit, spoken):
    edit({CATS: b"an edit\n", DOGS: NEW})
    before = tracked.state()
    tracked.run_cli("restore", spoken)
    assert contents(tracked.root / D) == FILES | {DOGS: NEW}
    assert tracked.state() == before
    assert b"an edit\n" in stored(tracked).values()


def test_restored_version_is_recorded_as_the_newest(tracked, calls, older):
    first = tracked.versions(D)[0]
    tracked.run_cli("restore", D, "--version", first.removeprefix("blake3:")[:12])
    assert on_disk(tracked.root / D) == TREE
    assert tracked.versions(D) == [digest_of(SECOND_TREE), first]
    before = tracked.state()
    assert calls.track(D).stderr == ""
    assert tracked.state() == before


def test_restore_of_an_unknown_version_changes_nothing(tracked):
    before = tracked.state()
    done = tracked.run_cli("restore", D, "--version", "0123456789ab", code=None)
    assert done.returncode in (2, 12)
    assert tracked.state() == before
    assert on_disk(tracked.root / D) == TREE


def test_restore_never_writes_through_a_link(tracked, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "2.jpg").write_bytes(b"not yours\n")
    shutil.rmtree(tracked.root / D / "cats")
    (tracked.root / D / "cats").symlink_to(outside)
    for spoken in (D, D + CATS):
        tracked.run_cli("restore", spoken, code=None)
        assert on_disk(outside) == {"2.jpg": (FILE, b"not yours\n")}


def test_cat_of_a_file_inside(tracked):
    before = tracked.state()
    shutil.rmtree(tracked.root / D)
    assert tracked.cli_bytes("cat", D + CATS) == FILES[CATS]
    assert not (tracked.root / D).exists()
    assert tracked.state() == before
    tracked.run_cli("cat", D + "cats/9.jpg", code=12)


@pytest.mark.parametrize("spoken", [D, D + "cats"])
def test_cat_of_a_directory_is_a_usage_error(tracked, spoken):
    done = tracked.run_cli("cat", spoken, code=2)
    assert done.stdout == ""


def test_untrack_takes_the_entry_and_nothing_else(tracked, older):
    tracked.run_cli("untrack", "data/images")
    assert tracked.items() == []
    assert on_disk(tracked.root / D) == SECOND_TREE
    assert version(stored(tracked), digest_of(TREE)) == TREE


def test_untrack_of_a_path_inside_leaves_the_directory_tracked(tracked):
    before = tracked.state()
    done = tracked.run_cli("untrack", D + CATS, code=None)
    assert done.returncode in (2, 12)
    assert tracked.state() == before


def test_verify_looks_at_every_object_of_a_directory(tracked, calls):
    tracked.write(D + "large.bin", LARGE)
    calls.track(D)
    tracked.run_cli("verify")
    tracked.lose(LARGE)
    done = tracked.run_cli("verify", code=12)
    assert "data/images" in done.stdout + done.stderr


def test_verify_finds_damage_in_the_packs_of_a_directory(project):
    put(project, D, MANY)
    project.tracker().track(D)
    (pack,) = (project.lazydata_home / "store").rglob("*.pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes().replace(b"number 42", b"24 rebmun"))
    assert b"number 42" not in stored(project).values()
    project.run_cli("verify", code=13)
    assert project.cli_bytes("cat", D + "1/3/f8") == b"number 8"


# -- links to the store


@pytest.fixture(params=["forced"])
def hard(request):
    """A desk at which a file of 1 MiB or more is hardlinked: by its config, or as it comes."""
    request.getfixturevalue("no_reflink")
    desk = request.getfixturevalue("ordinary" if request.param == "by default" else "project")
    if request.param == "forced":
        desk.write(desk.lazydata_home / "config.yml", "link: hardlink\n")
    put(desk, D, TREE | {"large.bin": (FILE, LARGE)})
    return desk


both_ways = pytest.mark.parametrize("hard", ["forced", "by default"], indirect=True)


def is_linked(desk):
    return os.path.samefile(desk.root / D / "large.bin", desk.object(LARGE))


@both_ways
def test_large_file_inside_shares_its_object(hard):
    calls = hard.tracker()
    calls.track(D)
    assert is_linked(hard)
    assert not (hard.root / D / "large.bin").stat().st_mode & 0o222
    before = hard.state()
    assert calls.track(D).stderr == ""
    hard.run_cli("status", "--check")
    assert hard.state() == before
    shutil.rmtree(hard.root / D)
    calls.track(D)
    assert is_linked(hard)
    assert contents(hard.root / D) == FILES | {"large.bin": LARGE}


@both_ways
def test_writing_into_a_shared_file_leaves_the_old_version(hard):
    hard.tracker().track(D)
    hard.run_script(
        f"from lazydata import track\nopen(track({D!r}) + 'large.bin', 'a').write('more')\n"
    )
    assert hard.read(D + "large.bin") == LARGE + b"more"
    assert hard.holds(LARGE)
    assert hard.tracker().track(D).said == [changed("1 changed")]
    assert hard.holds(LARGE)
    assert hard.holds(LARGE + b"more")


def test_unlocked_directory_may_be_written_by_any_program(hard):
    hard.tracker().track(D)
    hard.run_cli("unlock", D)
    assert not is_linked(hard)
    assert (hard.root / D / "large.bin").stat().st_mode & 0o200
    assert hard.tracker().track(D).stderr == ""


def test_untracked_directory_shares_nothing_any_more(hard):
    hard.tracker().track(D)
    hard.run_cli("untrack", D)
    assert not is_linked(hard)
    assert hard.holds(LARGE)


def test_small_files_are_never_shared(hard):
    hard.tracker().track(D)
    assert all((hard.root / D / path).stat().st_nlink == 1 for path in FILES)
    assert all((hard.root / D / path).stat().st_mode & 0o200 for path in FILES)


def test_copies_share_nothing(images, calls):
    images.write(images.lazydata_home / "config.yml", "link: copy\n")
    images.write(D + "large.bin", LARGE)
    calls.track(D)
    shutil.rmtree(images.root / D)
    calls.track(D)
    assert not is_linked(images)
    assert all(path.stat().st_nlink == 1 for path in Path(images.root / D).rglob("*.*"))


# -- what must not be taken for a deletion, or lost


@pytest.mark.parametrize("how", ["pull", "track"])
def test_part_that_is_asked_for_after_a_full_loss_deletes_nothing(tracked, calls, how):
    before = tracked.manifest_file.read_bytes()
    shutil.rmtree(tracked.root / D)
    if how == "pull":
        tracked.run_cli("pull", D + CATS)
    else:
        calls.track(D + CATS)
    assert contents(tracked.root / D) == {CATS: FILES[CATS]}
    calls.track(D)
    assert contents(tracked.root / D) == FILES
    assert tracked.manifest_file.read_bytes() == before


def test_older_version_of_a_part_is_a_change(tracked, calls, edit):
    first = tracked.versions(D)[0]
    edit({CATS: NEW})
    calls.track(D)
    tracked.run_cli("restore", D + CATS, "--version", first[7:19])
    assert tracked.read(D + CATS) == FILES[CATS]
    assert "modified" in tracked.run_cli("status", D).stdout
    calls.track(D)
    assert tracked.read(D + CATS) == FILES[CATS]
    assert held(tracked)[CATS] == (FILE, FILES[CATS])


def test_edit_that_a_restore_replaced_can_be_had_back(tracked, edit):
    edit({CATS: NEW})
    told = tracked.run_cli("restore", D + CATS).stderr
    assert tracked.read(D + CATS) == FILES[CATS]
    command = told.split("`")[1].split()[1:]
    tracked.run_cli(*command)
    assert tracked.read(D + CATS) == NEW


def test_link_of_the_user_stays_where_all_files_were_missing(tracked, calls):
    for path in FILES:
        (tracked.root / D / path).unlink()
    (tracked.root / D / "mine").symlink_to("cats")
    calls.track(D)
    assert contents(tracked.root / D) == FILES
    assert os.readlink(tracked.root / D / "mine") == "cats"


def test_fresh_output_is_never_replaced_by_an_older_version(tracked, calls, edit):
    first = tracked.manifest_file.read_bytes()
    edit({CATS: NEW})
    calls.track(D)
    tracked.manifest_file.write_bytes(first)
    reply = calls.ask(f"open(path + {CATS!r}, 'wb').write({NEW!r})\nvalue = track(path)", path=D)
    assert reply.error is None or not reply.error
    assert tracked.read(D + CATS) == NEW
    assert held(tracked)[CATS] == (FILE, NEW)


# -- what a second reading found


def merge_of(project, base, ours, theirs):
    """What ``track`` leaves where both sides moved on from one version, and its warnings."""

    def have(tree):
        shutil.rmtree(project.root / D, ignore_errors=True)
        put(project, D, tree)

    have(base)
    project.run_cli("track", D)
    first = project.manifest_file.read_bytes()
    have(theirs)
    project.run_cli("track", D)
    second = project.manifest_file.read_bytes()
    project.manifest_file.write_bytes(first)
    project.run_cli("track", D)
    have(ours)
    project.manifest_file.write_bytes(second)
    told = project.run_cli("track", D).stderr
    return on_disk(project.root / D), told


def test_directory_that_one_side_removed_stays_with_what_the_other_put_in(project):
    base = {"a": (FILE, b"a"), "x": EMPTY}
    ours, theirs = {"a": (FILE, b"a")}, {"a": (FILE, b"a"), "x/new": (FILE, b"n")}
    assert merge_of(project, base, ours, theirs)[0] == theirs


def test_file_in_the_way_of_the_others_directory_is_told(project):
    base = files({"a": b"a", "x/old": b"o"})
    ours = files({"a": b"a", "x": b"ours"})
    theirs = files({"a": b"a", "x/old": b"o", "x/new": b"n"})
    now, told = merge_of(project, base, ours, theirs)
    assert now == ours
    assert D + "x" in told


def test_entry_that_does_not_say_how_many_files_is_restored(tracked, calls):
    text = "".join(
        line
        for line in tracked.manifest_file.read_text().splitlines(keepends=True)
        if "files: 3" not in line
    )
    tracked.manifest_file.write_text(text)
    for path in FILES:
        (tracked.root / D / path).unlink()
    calls.track(D)
    assert contents(tracked.root / D) == FILES
    assert tracked.manifest_file.read_text() == text


def test_execute_bit_arrives_with_other_content(tracked, calls, edit):
    first = tracked.manifest_file.read_bytes()
    edit({CATS: NEW})
    (tracked.root / D / CATS).chmod(0o755)
    calls.track(D)
    second = tracked.manifest_file.read_bytes()
    for text, kind in ((first, FILE), (second, EXEC)):
        tracked.manifest_file.write_bytes(text)
        calls.track(D)
        assert on_disk(tracked.root / D)[CATS][0] == kind
        assert tracked.manifest_file.read_bytes() == text


def test_edit_during_a_restore_is_seen(project):
    put(project, D, files({f"{n % 9}/{n}": b"number %d" % n for n in range(3000)}))
    project.run_cli("track", D)
    shutil.rmtree(project.root / D)
    process = project.popen(f"from lazydata import track\ntrack({D!r})")
    path = project.root / D / "0/0"
    while not path.exists():
        assert process.poll() is None
    path.write_bytes(b"edited meanwhile")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "modified" in project.run_cli("status", D).stdout
    project.run_cli("track", D)
    assert path.read_bytes() == b"edited meanwhile"
    assert held(project)["0/0"] == (FILE, b"edited meanwhile")


def test_processes_that_miss_one_directory_all_get_it(project):
    put(project, D, MANY)
    project.run_cli("track", D)
    shutil.rmtree(project.root / D)
    code = f"from lazydata import track\ntrack({D!r})"
    processes = [project.popen(code) for _ in range(4)]
    told = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, told
    assert on_disk(project.root / D) == MANY


@pytest.mark.parametrize("target", ["2.jpg", "../dogs"])
def test_link_to_what_is_there_is_fine(images, calls, target):
    (images.root / D / "cats/link").symlink_to(target)
    calls.track(D)
    assert calls.track(D + "cats/link").stderr == ""
    assert calls.track(D + "cats/link").value == D + "cats/link"


def test_push_sends_what_is_on_disk_though_the_store_lost_it(tracked, tmp_path):
    tracked.run_cli("add-remote", str(tmp_path / "remote"))
    shutil.rmtree(tracked.lazydata_home / "store")
    tracked.run_cli("push")
    assert version(stored(tracked), tracked.versions(D)[-1]) == TREE


def test_part_that_was_changed_is_refused_before_the_rest_is_restored(tracked, calls, edit):
    edit({CATS: NEW, "cats/2.jpg": None})
    reply = calls.ask("value = track(path, on_change='error')", path=D + "cats")
    assert "FileChanged" in reply.error
    assert not (tracked.root / D / "cats/2.jpg").exists()


def test_version_that_can_not_be_had_is_not_made_the_newest(tracked, calls, edit):
    first = tracked.versions(D)[0]
    edit({CATS: None, "large.bin": LARGE})
    calls.track(D)
    second = tracked.versions(D)[1]
    tracked.run_cli("restore", D, "--version", first[7:19])
    tracked.lose(LARGE)
    before = tracked.state()
    done = tracked.run_cli("restore", D, "--version", second[7:19], code=12)
    assert "Traceback" not in done.stderr
    assert tracked.state() == before
    assert contents(tracked.root / D) == FILES
