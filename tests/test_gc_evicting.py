"""gc --max-size: what a remote verifiably holds may go, and nothing else."""

import os
import shutil

import pytest

import gc_desk
from gc_desk import commands

X, Y = "data/x.csv", "data/y.csv"
ALL = ("--max-size", "0")


def text(label):
    return f"{label}\n".encode() * 500


def aged(desk, *args):
    return gc_desk.aged(desk, "--force", *args)


def evicted(done):
    return {row["name"] for row in done["evicted"]}


def there(remote, digest):
    """Where a remote keeps a whole object."""
    name = digest.removeprefix("blake3:")
    return remote / "objects" / "blake3" / name[:2] / name


@pytest.fixture
def remote(tmp_path):
    return tmp_path / "remote"


@pytest.fixture
def me(project, remote):
    """Two versions of one file, both pushed."""
    project.record((X, text("old")), (X, text("new")))
    commands(
        project,
        (
            "add-remote",
            remote,
        ),
    )
    commands(project, ("push",))
    return project


def test_what_a_remote_holds_goes_and_comes_back_when_it_is_wanted(me, digest):
    done = aged(me, *ALL)
    assert evicted(done) == {digest(text("old")), digest(text("new"))}
    assert done["over"] == 0
    assert not me.holds(text("new"))
    # An unchanged file does not bring it back, whoever asks, nor does gc.
    commands(
        me,
        (
            "track",
            X,
        ),
    )
    me.tracker().track(X)
    assert me.run_cli("status", "--check").stdout == "1 file: 1 ok\n"
    commands(me, ("push",))
    assert aged(me)["back"] == []
    assert not me.holds(text("new"))
    assert not me.holds(text("old"))
    commands(me, ("verify",))
    (me.root / X).unlink()
    me.tracker().track(X)
    assert me.read(X) == text("new")
    first = me.versions(X)[0].removeprefix("blake3:")
    assert me.cli_bytes("cat", X, "--version", first) == text("old")


def test_it_lies_in_the_trash_until_the_grace_period_is_over(me):
    aged(me, *ALL)
    for path in (X, X):
        (me.root / path).unlink()
        said = me.run_cli("track", path).stderr
        assert "Downloading" not in said
        assert me.read(X) == text("new")
    assert me.holds(text("new"))
    assert not me.holds(text("old"))
    assert aged(me)["trash"] != []
    assert not list((me.lazydata_home / "store").rglob("*-evicted"))


def test_only_so_much_goes_and_first_what_was_not_used_for_longest(me, digest):
    os.utime(me.object(text("new")), (1, 1))  # which moves the ctime: it was used now
    done = aged(me, "--max-size", f"{len(text('new'))}")
    assert evicted(done) == {digest(text("old"))}
    assert me.holds(text("new"))
    assert evicted(aged(me, "--max-size", "1G")) == set()


@pytest.mark.parametrize("how", ["gone", "short", "not pushed", "unclaimed", "unreachable"])
def test_what_no_remote_verifiably_holds_stays(me, remote, digest, how):
    kept = digest(text("new"))
    if how == "gone":
        there(remote, kept).unlink()
    elif how == "short":
        there(remote, kept).chmod(0o644)
        there(remote, kept).write_bytes(b"")
    elif how == "not pushed":
        me.record((X, text("newest")))
        kept = digest(text("newest"))
    elif how == "unclaimed":
        shutil.rmtree(remote / "index")
        (remote / "index").mkdir()
    else:
        remote.rename(remote.with_name("unmounted"))
    before = aged(me, *ALL)
    assert kept not in evicted(before)
    assert before["over"] > 0
    assert me.object(kept).exists()
    if how in ("unclaimed", "unreachable"):
        assert evicted(before) == set()


def test_an_index_file_that_somebody_else_wrote_is_no_proof(me, remote, new_desk):
    """Only what this machine sent, or got and hashed, may go."""
    you = new_desk("you")
    you.write("lazydata.yml", me.manifest_file.read_bytes())
    you.write(X, text("new"))
    commands(
        you,
        (
            "track",
            X,
        ),
    )
    assert you.holds(text("new"))
    assert evicted(aged(you, *ALL)) == set()
    commands(you, ("push",))
    assert len(evicted(aged(you, *ALL))) == 1


def test_what_two_workspaces_need_goes_only_if_both_can_have_it_back(me, new_manifest, remote):
    other = me.base / "other"
    other.mkdir()
    (other / "lazydata.yml").write_bytes(new_manifest)
    (other / "y.csv").write_bytes(text("new"))
    me.run_cli("track", "y.csv", cwd=other)
    assert len(evicted(aged(me, *ALL))) == 1
    assert me.holds(text("new"))
    me.run_cli("add-remote", remote, cwd=other)
    me.run_cli("push", cwd=other)
    assert len(evicted(aged(me, *ALL))) == 1
    assert not me.holds(text("new"))


def test_what_is_asked_again_before_it_goes_for_good(me, remote, digest):
    aged(me, *ALL)
    there(remote, digest(text("new"))).unlink()
    done = aged(me)
    assert [row["name"] for row in done["back"]] == [digest(text("new"))]
    assert [row["name"] for row in done["trash"]] == [digest(text("old"))]
    assert me.holds(text("new"))
    commands(
        me,
        (
            "push",
            "--check",
        ),
    )
    assert there(remote, digest(text("new"))).exists()


def test_a_remote_that_can_not_be_asked_again_changes_nothing(me, remote):
    aged(me, *ALL)
    away = remote.rename(remote.with_name("unmounted"))
    done = aged(me)
    assert (done["trash"], done["back"]) == ([], [])
    assert done["kept"]["trash"]["files"] == 2
    away.rename(remote)
    assert len(aged(me)["trash"]) == 2


def test_a_file_that_shares_its_bytes_with_an_object_keeps_it(me, no_reflink):
    """It would free nothing, and whoever writes to the file would not find the object."""
    commands(
        me,
        (
            "config",
            "set",
            "link",
            "hardlink",
        ),
    )
    me.record((Y, text("linked")))
    commands(me, ("push",))
    assert me.object(text("linked")).stat().st_nlink == 2
    done = aged(me, *ALL)
    assert len(evicted(done)) == 2
    assert me.holds(text("linked"))


def test_of_directories_the_lists_stay(project, remote):
    """They say what else is needed."""
    for n in range(40):
        project.write(f"images/{n % 3}/{n}", text(n) + os.urandom(300))
    project.write("images/large", os.urandom(100_000))
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    project.write("images/large", os.urandom(100_000))
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    commands(
        project,
        (
            "add-remote",
            remote,
        ),
    )
    commands(project, ("push",))
    done = aged(project, *ALL)
    assert {row["kind"] for row in done["evicted"]} == {"object", "pack"}
    shutil.rmtree(project.lazydata_home / "index")
    aged(project, *ALL)
    (left,) = list((project.lazydata_home / "store").rglob("*.pack")) or [None]
    assert left is None or left.stat().st_size < 5_000
    assert not (project.lazydata_home / "store/objects-v1/trash").exists()
    commands(project, ("verify",))
    images = project.root / "images"
    before = {path: path.read_bytes() for path in images.rglob("*") if path.is_file()}
    shutil.rmtree(images)
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    assert {path: path.read_bytes() for path in images.rglob("*") if path.is_file()} == before
