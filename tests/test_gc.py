"""gc: what any workspace needs stays, all else goes; first to the trash, and later for good."""

import os
import shutil
import time
from pathlib import Path

import pytest

from gc_desk import SHORT, aged, commands

X = "data/x.csv"
NOW = ("gc", "--force", "--grace", "0")  # nothing else uses the store


def text(label):
    return f"{label}\n".encode() * 500


def store(desk):
    return desk.lazydata_home / "store" / "objects-v1"


def packs(desk):
    return sorted((store(desk) / "packs").glob("*.pack"))


def files(desk):
    """All files of a store, but those that say whom it serves."""
    found = [path for path in store(desk).rglob("*") if path.is_file()]
    return sorted(path for path in found if path.parent.name != "workspaces")


def untracked(desk, content, path="data/waste.csv"):
    """Store what no workspace needs any more."""
    desk.record((path, content))
    commands(desk, ("untrack", path))
    (desk.root / path).unlink()
    return content


@pytest.fixture
def me(project):
    """A workspace with one needed object, and one that nothing needs."""
    project.record((X, text("needed")))
    untracked(project, text("waste"))
    return project


def test_a_dry_run_says_and_changes_nothing(me):
    before = files(me)
    done = aged(me)
    assert done["dry_run"] is True
    assert [row["size"] for row in done["unneeded"]] == [len(text("waste"))]
    assert done["moved"] == len(text("waste"))
    assert done["kept"]["needed"] == {"files": 1, "size": len(text("needed"))}
    assert files(me) == before
    said = me.run_cli("gc", "--grace", f"{SHORT}s").stdout
    assert "Would move 2.9 KiB to the trash" in said
    assert "`lazydata gc --force` does it" in said


def test_what_nothing_needs_goes_to_the_trash_and_later_for_good(me):
    first = aged(me, "--force")
    assert first["moved"] == len(text("waste"))
    assert first["freed"] == 0
    assert not me.holds(text("waste"))
    assert [path for path in files(me) if "trash" in path.parts]
    second = aged(me, "--force")
    assert second["freed"] == len(text("waste"))
    assert not (store(me) / "trash").exists()
    assert files(me) == [me.object(text("needed"))]
    commands(me, ("verify",))


def test_what_is_newer_than_a_day_stays(me):
    done = me.json_cli("gc", "--force")
    assert done["unneeded"] == []
    assert done["kept"]["recent"]["files"] == 1
    assert me.holds(text("waste"))


def test_the_age_counts_from_when_it_came_whatever_the_file_says(me, digest):
    old = me.write("old.csv", text("old"))
    os.utime(old, (1, 1))
    commands(
        me,
        (
            "config",
            "set",
            "link",
            "hardlink",
        ),
    )
    commands(
        me,
        (
            "track",
            "old.csv",
        ),
    )
    commands(
        me,
        (
            "untrack",
            "old.csv",
        ),
    )
    assert me.json_cli("gc", "--force")["unneeded"] == []
    assert me.holds(text("old"))


def test_what_lies_in_the_trash_is_taken_back_by_a_look_up(me):
    aged(me, "--force")
    me.record(("again.csv", text("waste")))
    assert me.holds(text("waste"))
    for _ in range(2):
        aged(me, "--force")
    assert me.holds(text("waste"))
    commands(me, ("verify",))


def test_what_is_needed_again_is_taken_back_by_the_next_gc(me):
    listed = me.manifest_file.read_text()
    me.record(("again.csv", text("again")))
    with_it = me.manifest_file.read_text()
    me.write("lazydata.yml", listed)
    shutil.rmtree(me.root / ".lazydata")
    aged(me, "--force")
    assert not me.holds(text("again"))
    me.write("lazydata.yml", with_it)
    assert len(aged(me, "--force")["back"]) == 1
    assert me.holds(text("again"))
    aged(me, "--force")
    assert me.holds(text("again"))


def test_a_file_that_shares_its_bytes_with_an_object_keeps_it(me, no_reflink):
    commands(
        me,
        (
            "config",
            "set",
            "link",
            "hardlink",
        ),
    )
    me.record(("linked.csv", text("linked")))
    (me.root / "linked.csv").rename(me.root / "elsewhere.csv")
    commands(
        me,
        (
            "untrack",
            "linked.csv",
        ),
    )
    done = aged(me, "--force")
    assert done["kept"]["shared"]["files"] == 1
    (me.root / "elsewhere.csv").unlink()
    assert len(aged(me, "--force")["unneeded"]) == 1


# What is needed


class Lists:
    """Objects of a desk that only such a manifest needs as a test puts somewhere."""

    def __init__(self, desk):
        self.desk = desk
        self.template = desk.manifest_file.read_text()
        self.labels = []

    def make(self, label):
        """Store an object; a manifest that lists it alone."""
        self.desk.write("lazydata.yml", self.template)
        self.desk.record((f"data/{label}.csv", text(label)))
        self.labels.append(label)
        return self.desk.manifest_file.read_text()

    def left(self):
        """Those that are still there once nothing more goes."""
        assert aged(self.desk, "--force")["blocked"] == []
        aged(self.desk, "--force")
        return {label for label in self.labels if self.desk.holds(text(label))}


def commit(desk, manifest, message):
    desk.write("lazydata.yml", manifest)
    desk.git("add", "-f", "lazydata.yml")
    desk.git("commit", "-qm", message)


def test_all_that_git_has_is_needed(project, digest):
    git, lists = project.git, Lists(project)
    made = {
        label: lists.make(label)
        for label in (
            *("main", "older", "branch", "tag", "remote", "reset", "stash-0", "stash-1"),
            *("staged", "disk", "detached", "worktree-staged", "worktree-disk", "elsewhere"),
            *("copied", "rebase", "baseline", "displaced", "waste"),
        )
    }
    git("init", "-q", "-b", "main")
    commit(project, made["older"], "1")
    commit(project, made["main"], "2")
    for label in ("branch", "tag", "remote", "reset"):
        git("checkout", "-qb", label)
        commit(project, made[label], label)
        git("checkout", "-q", "main")
    git("tag", "-a", "-m", "a tag", "v1", "tag")
    git("update-ref", "refs/remotes/origin/theirs", "remote")
    git("branch", "-q", "-D", "tag", "remote", "reset")
    # It lay elsewhere once, and there was a copy of it by another name.
    (project.root / "a").mkdir()
    project.write("a/copy.yml", made["copied"])
    for name, label in (("a/lazydata.yml", "elsewhere"), ("a/b.txt", "copied")):
        project.write(name, made[label])
        git("add", "-f", name)
        git("commit", "-qm", name)
    git("rm", "-qf", "a/lazydata.yml", "a/b.txt")
    project.write("lazydata.yml", made["copied"])
    git("add", "-f", "lazydata.yml")
    git("commit", "-qm", "copied")
    commit(project, made["main"], "back")
    for label in ("stash-1", "stash-0"):
        project.write("lazydata.yml", made[label])
        git("stash", "-q")
    project.write("lazydata.yml", made["rebase"])
    autostash = git("stash", "create").strip()
    git("checkout", "-q", "--", "lazydata.yml")
    project.write(".git/rebase-merge/autostash", autostash + "\n")
    other = project.base / "worktree"
    git("worktree", "add", "-q", "--detach", str(other))
    (other / "lazydata.yml").write_text(made["detached"])
    git("commit", "-qam", "detached", cwd=other)
    (other / "lazydata.yml").write_text(made["worktree-staged"])
    git("add", "lazydata.yml", cwd=other)
    (other / "lazydata.yml").write_text(made["worktree-disk"])
    project.write("lazydata.yml", made["staged"])
    git("add", "lazydata.yml")
    project.write("lazydata.yml", made["disk"])
    project.forget()
    now = int(time.time())
    project.write(".lazydata/baselines", f"x\t{digest(text('baseline'))}\n")
    project.write(".lazydata/displaced", f"{now}\tx\t{digest(text('displaced'))}\n")
    assert lists.left() == set(made) - {"waste"}


def test_what_git_has_lost_is_not_needed(project):
    """The test above would miss it if gc kept everything."""
    lists = Lists(project)
    made = {label: lists.make(label) for label in ("main", "merged", "gone")}
    project.git("init", "-q", "-b", "main")
    commit(project, made["main"], "1")
    for label in ("gone", "merged"):
        project.git("checkout", "-qb", label)
        commit(project, made[label], label)
        project.git("checkout", "-q", "main")
    project.git("merge", "-q", "--no-edit", "-s", "ours", "merged")
    project.git("branch", "-qD", "gone", "merged")
    project.forget()
    assert lists.left() == {"main", "merged", "gone"}
    project.git("reflog", "expire", "--expire=now", "--all")
    assert lists.left() == {"main", "merged"}


def test_what_was_displaced_long_ago_is_not_needed(project, digest):
    lists = Lists(project)
    made = {label: lists.make(label) for label in ("main", "long ago")}
    project.write("lazydata.yml", made["main"])
    project.forget()
    then = int(time.time()) - 91 * 86400
    project.write(".lazydata/displaced", f"{then}\tx\t{digest(text('long ago'))}\n")
    assert lists.left() == {"main"}


def test_a_branch_without_a_manifest_changes_nothing(project):
    lists = Lists(project)
    made = lists.make("main")
    project.git("init", "-q", "-b", "main")
    commit(project, made, "1")
    project.git("checkout", "-q", "--orphan", "empty")
    project.git("rm", "-qf", "lazydata.yml")
    project.git("commit", "-qm", "2", "--allow-empty")
    assert not project.manifest_file.exists()
    assert lists.left() == {"main"}


def test_a_manifest_that_is_a_symlink(project):
    lists = Lists(project)
    made = {label: lists.make(label) for label in ("committed", "disk", "waste")}
    project.git("init", "-q", "-b", "main")
    project.manifest_file.unlink()
    project.write("lists/main.yml", made["committed"])
    project.manifest_file.symlink_to("lists/main.yml")
    project.git("add", "-f", "lazydata.yml", "lists/main.yml")
    project.git("commit", "-qm", "1")
    project.write("lists/main.yml", made["disk"])
    project.forget()
    assert lists.left() == {"committed", "disk"}
    (project.root / "lists").rename(project.root / "unmounted")
    done = aged(project, "--force")
    assert len(done["blocked"]) == 1
    assert project.holds(text("disk"))


def test_two_workspaces_need_one_object(me, new_manifest):
    other = me.base / "other"
    other.mkdir()
    (other / "lazydata.yml").write_bytes(new_manifest)
    (other / "y.csv").write_bytes(text("needed"))
    me.run_cli("track", "y.csv", cwd=other)
    commands(
        me,
        (
            "untrack",
            X,
        ),
    )
    for _ in range(2):
        aged(me, "--force")
    assert me.holds(text("needed"))


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_workspace_that_only_restored_is_known(me, kind):
    """All that it needed was here already, so nothing arrived for it."""
    path = "images/" if kind == "directory" else X
    if kind == "directory":
        for n in range(20):
            me.write(f"images/{n}.jpg", text(n))
        commands(
            me,
            (
                "track",
                "images",
            ),
        )
    clone = me.base / "clone"
    clone.mkdir()
    shutil.copy(me.manifest_file, clone)
    me.run_cli("track", path, cwd=clone)
    shutil.rmtree(me.root)
    me.root.mkdir()
    me.run_cli("gc", "--forget", me.root)
    for _ in range(2):
        assert aged(me, "--force")["blocked"] == []
    shutil.rmtree(clone / path) if kind == "directory" else (clone / path).unlink()
    me.run_cli("restore", path, cwd=clone)


def test_a_copy_of_a_workspace_needs_its_own(me):
    copy = me.base / "copy"
    shutil.copytree(me.root, copy)
    me.run_cli("gc", cwd=copy)  # it has the same id, and is told apart by its place
    commands(
        me,
        (
            "untrack",
            X,
        ),
    )
    for _ in range(2):
        aged(me, "--force")
    assert me.holds(text("needed"))
    me.run_cli("untrack", X, cwd=copy)
    aged(me, "--force")
    assert not me.holds(text("needed"))


def test_a_workspace_whose_name_is_two_lines(new_desk, new_manifest, tmp_path):
    desk = new_desk("me", root=tmp_path / "two\nlines \\n here")
    desk.write("lazydata.yml", new_manifest)
    desk.record((X, text("needed")), ("y.csv", text("too")))
    untracked(desk, text("waste"))
    (known,) = (store(desk) / "workspaces").iterdir()
    assert len(known.read_bytes().splitlines()) == 1
    done = aged(desk, "--force")
    assert done["blocked"] == []
    assert len(done["unneeded"]) == 1
    assert desk.holds(text("needed"))


def test_directories_keep_all_that_they_list(project, new_manifest):
    for n in range(20):
        project.write(f"images/{n % 3}/{n}.jpg", text(n))
    project.write("images/large.jpg", text("large") * 40)
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    project.write("images/0/0.jpg", text("changed"))
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    shutil.rmtree(project.lazydata_home / "index")
    for _ in range(2):
        assert aged(project, "--force")["unneeded"] == []
    first = project.versions("images/")[0]
    commands(
        project,
        (
            "restore",
            "images",
            "--version",
            first,
        ),
    )
    assert project.read("images/0/0.jpg") == text(0)


def test_parts_and_trees_that_are_not_here(project, new_desk, tmp_path):
    for n in range(20):
        project.write(f"images/{n % 3}/{n}.jpg", text(n))
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
            tmp_path / "remote",
        ),
    )
    commands(project, ("push",))
    you = new_desk("you")
    you.write("lazydata.yml", project.manifest_file.read_bytes())
    you.run_cli("pull", "images/1")
    for _ in range(2):  # the list of an empty directory is made anew whenever it is needed
        assert {row["size"] for row in aged(you, "--force")["unneeded"]} <= {16}
    shutil.rmtree(you.root / "images")
    shutil.rmtree(tmp_path / "remote")
    you.run_cli("restore", "images/1")
    assert you.read("images/1/4.jpg") == text(4)


# What can't be read


def test_a_workspace_that_is_gone_keeps_everything_until_it_is_forgotten(me, tmp_path):
    gone = me.root.rename(tmp_path / "unmounted")
    done = aged(me, "--force")
    assert [row["what"] for row in done["blocked"]] == [str(me.root)]
    assert done["unneeded"] == []
    assert f"lazydata gc --forget {me.root}" in done["blocked"][0]["hint"]
    assert me.holds(text("waste"))
    gone.rename(me.root)
    assert "is a workspace" in me.run_cli("gc", "--forget", me.root, code=2).stderr
    unknown = me.run_cli("gc", "--forget", "nowhere", code=2).stderr
    assert f"it knows {me.root}" in unknown
    me.root.rename(gone)
    me.run_cli("gc", "--forget", "work", cwd=me.base)
    # Now nobody is known, which is no reason to remove all.
    (blocked,) = aged(me, "--force")["blocked"]
    assert "not known which workspaces" in blocked["why"]
    assert me.holds(text("needed"))


def test_a_workspace_that_was_moved_says_so_with_gc(me, tmp_path):
    moved = me.root.rename(me.base / "moved")
    assert aged(me, "--force")["blocked"]
    me.run_cli("gc", cwd=moved)
    me.run_cli("gc", "--forget", me.root, cwd=moved)
    done = aged(me, "--force")
    assert done["blocked"] == []
    assert len(done["unneeded"]) == 1
    assert me.holds(text("needed"))


@pytest.mark.parametrize("where", ["disk", "branch", "stash", "staged", "reflog"])
def test_a_manifest_that_can_not_be_read_keeps_everything(me, where):
    me.git("init", "-q", "-b", "main")
    commit(me, me.manifest_file.read_text(), "1")
    me.write("lazydata.yml", me.manifest_file.read_bytes() + b"<<<<<<< ours\n")
    if where == "branch":
        me.git("checkout", "-qb", "broken")
        me.git("commit", "-qam", "broken")
        me.git("checkout", "-q", "main")
        named = ("lazydata.yml of commit " + me.git("rev-parse", "broken")[:10], "to it: broken.")
    elif where == "stash":
        me.git("stash", "-q")
        named = ("lazydata.yml of commit", "`git stash drop`")
    elif where == "staged":
        me.git("add", "lazydata.yml")
        me.git("restore", "--source=HEAD", "lazydata.yml")
        named = ("lazydata.yml (", "`git status`")
    elif where == "reflog":
        me.git("commit", "-qam", "broken")
        me.git("reset", "-q", "--hard", "HEAD~1")
        named = ("lazydata.yml of commit", "`git reflog expire")
    else:
        named = ("", "delete the marker lines")
    (blocked,) = aged(me, "--force")["blocked"]
    assert "lazydata.yml" in blocked["what"] + blocked["why"]
    assert named[0] in blocked["what"]
    assert named[1] in blocked["hint"]
    assert me.holds(text("waste"))
    said = me.run_cli("gc", "--force", "--grace", f"{SHORT}s")
    assert "so that all is kept" in said.stderr
    assert "Nothing to free." in said.stdout


@pytest.mark.parametrize("how", ["ref", "object", "missing"])
def test_a_repository_that_git_can_not_read_keeps_everything(me, how):
    me.git("init", "-q", "-b", "main")
    commit(me, me.manifest_file.read_text(), "1")
    env = {}
    if how == "ref":
        me.write(".git/refs/heads/lost", "12" * 20 + "\n")
    elif how == "object":
        blob = me.git("rev-parse", "HEAD:lazydata.yml").strip()
        (me.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    else:
        env = {"PATH": "/nowhere"}
    assert aged(me, "--force", env=env)["blocked"]
    assert me.holds(text("waste"))


def test_what_may_not_be_read_or_removed(ordinary):
    if ordinary.user is None and os.geteuid() == 0:
        pytest.skip("mode bits do not bind root")
    paths = [ordinary.write(f"{label}.csv", text(label)) for label in ("needed", "waste")]
    ordinary.run_cli("track", *paths)
    ordinary.run_cli("untrack", "waste.csv")
    for what in (ordinary.root / ".lazydata/baselines", ordinary.manifest_file):
        what.chmod(0)
        assert aged(ordinary, "--force")["blocked"]
        what.chmod(0o644)
    assert ordinary.holds(text("waste"))
    shard = ordinary.object(text("waste")).parent
    shard.chmod(0o555)
    said = ordinary.run_cli(*NOW, code=3).stderr
    assert str(ordinary.object(text("waste"))) in said
    shard.chmod(0o755)
    ordinary.run_cli(*NOW)
    assert not ordinary.holds(text("waste"))


def test_the_list_of_a_directory_that_is_damaged_keeps_everything(project, tmp_path):
    for n in range(20):
        project.write(f"images/{n}.jpg", text(n))
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
            tmp_path / "remote",
        ),
    )
    commands(project, ("push",))
    tree = project.versions("images/")[0]
    shutil.rmtree(project.lazydata_home / "index")
    for pack in packs(project):
        data = pack.read_bytes()
        at = data.rindex(f"{tree}\t".encode())
        offset = int(data[at:].split(b"\t")[2])
        pack.chmod(0o644)
        pack.write_bytes(data[:offset] + b"\xff" + data[offset + 1 :])
    shutil.rmtree(project.root / "images")
    for _ in range(3):
        (blocked,) = aged(project, "--force")["blocked"]
        assert blocked["what"] == tree
    commands(
        project,
        (
            "pull",
            "images",
        ),
    )
    assert aged(project, "--force")["blocked"] == []
    assert all(project.read(f"images/{n}.jpg") == text(n) for n in range(20))


def test_what_is_no_tree_keeps_nothing_more(me, digest):
    listed = me.manifest_file.read_text()
    item = f"  - path: dir/\n    hash: {digest(text('needed'))}\n    size: 1\n    files: 1\n"
    me.write("lazydata.yml", listed + item)
    done = aged(me, "--force")
    assert done["blocked"] == []
    assert len(done["unneeded"]) == 1


# Packs


def test_packs_go_when_nothing_in_them_is_needed(project):
    for n in range(30):
        project.write(f"a/{n}", text(f"a{n}"))
        project.write(f"b/{n}", text(f"b{n}"))
    commands(
        project,
        (
            "track",
            "a",
        ),
    )
    commands(
        project,
        (
            "track",
            "b",
        ),
    )
    shutil.rmtree(project.root / "a")
    commands(
        project,
        (
            "untrack",
            "a",
        ),
    )
    assert len(packs(project)) == 2
    done = aged(project, "--force")
    assert [row["kind"] for row in done["unneeded"]] == ["pack"]
    assert len(packs(project)) == 1
    # Taken back by a look-up, with or without the index.
    for n in range(30):
        project.write(f"a/{n}", text(f"a{n}"))
    commands(
        project,
        (
            "track",
            "a",
        ),
    )
    assert len(packs(project)) == 2
    commands(project, ("verify",))
    commands(
        project,
        (
            "untrack",
            "a",
        ),
    )
    aged(project, "--force")
    aged(project, "--force")
    assert len(packs(project)) == 1
    commands(project, ("verify",))


def test_a_pack_that_is_mostly_waste_is_written_anew(project):
    for n in range(40):
        project.write(f"images/{n}", text(n) + os.urandom(500))
    wanted = {n: project.read(f"images/{n}") for n in range(12)}
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    for n in range(12, 40):
        (project.root / f"images/{n}").unlink()
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    (old,) = packs(project)
    _, last = project.versions("images/")
    listed = project.manifest_file.read_text()
    head, _, tail = listed.partition("  - path: images/\n")
    project.write("lazydata.yml", head + "  - path" + tail.partition("  - path")[2])
    assert project.versions("images/") == [last]
    done = aged(project)
    assert [row["name"] for row in done["rewritten"]] == [old.name]
    done = aged(project, "--force")
    (new,) = packs(project)
    assert new.stat().st_size * 2 < (size := done["moved"] + new.stat().st_size)
    assert size > 40 * 500
    shutil.rmtree(project.root / "images")
    for n in range(3):
        if n:
            shutil.rmtree(project.lazydata_home / "index")
        aged(project, "--force")
        commands(
            project,
            (
                "restore",
                "images",
            ),
        )
        assert {n: project.read(f"images/{n}") for n in range(12)} == wanted
        shutil.rmtree(project.root / "images")
    assert packs(project) == [new]
    assert not (store(project) / "trash").exists()
    commands(project, ("verify",))


def test_a_damaged_object_does_not_take_the_place_of_the_packed_one(project):
    """Rewriting a pack must not trust a file only since it has the right name."""
    for n in range(40):
        project.write(f"images/{n}", text(n) + os.urandom(500))
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    wanted = project.read("images/0")
    for n in range(1, 40):
        (project.root / f"images/{n}").unlink()
    commands(
        project,
        (
            "track",
            "images",
        ),
    )
    listed = project.manifest_file.read_text()
    head, _, tail = listed.partition("  - path: images/\n")
    project.write("lazydata.yml", head + "  - path" + tail.partition("  - path")[2])
    project.object(wanted).parent.mkdir(parents=True, exist_ok=True)
    project.object(wanted).write_bytes(b"damage")
    commands(project, NOW)
    commands(project, NOW)
    assert project.holds(wanted)


# What was left behind


def test_what_killed_processes_left_goes(me):
    temp = store(me) / "tmp"
    temp.mkdir(exist_ok=True)
    here = os.uname().nodename
    left = [f".lazydata-{1 << 22:x}-{'ab' * 8}.tmp", f"ab.{here}-{1 << 22}-00000000.part"]
    left += ["ab.free-0-00000000.part", "ab.lock"]
    live = [f".lazydata-{os.getpid():x}-{'ab' * 8}.tmp", f"ab.{here}-{os.getpid()}-00000000.part"]
    for name in left + live:
        (temp / name).write_bytes(b"half")
    assert me.json_cli("gc", "--force")["unfinished"] == []
    assert {Path(row["name"]).name for row in aged(me)["unfinished"]} == set(left)
    assert aged(me, "--force")["unfinished"]
    assert sorted(os.listdir(temp)) == sorted(live)


def test_what_damage_left_stays_as_long_as_there_is_no_good_copy(me):
    commands(
        me,
        (
            "untrack",
            X,
        ),
    )
    me.record((X, text("needed")))
    damaged = me.object(text("needed"))
    (me.root / X).unlink()
    me.damage(damaged)
    me.run_cli("verify", code=13)
    for _ in range(3):
        aged(me, "--force")
    (left,) = (store(me) / "trash").rglob("damaged-*[0-9a-f]")
    me.record(("good.csv", text("needed")))
    assert me.holds(text("needed"))
    aged(me, "--force")
    aged(me, "--force")
    assert not left.exists()
    assert not left.with_name(left.name + ".why").exists()


def test_an_empty_store_and_no_workspace(desk):
    assert desk.run_cli("gc", "--force").stdout == "Nothing to free.\n"
    assert desk.run_cli("gc", "--max-size", "1G").stdout == "Nothing to free.\n"


@pytest.mark.parametrize(
    "words", [("--grace", "soon"), ("--max-size", "much"), ("--max-size", "-1"), ("--forget", "")]
)
def test_options_that_mean_nothing(me, words):
    me.run_cli("gc", *words, code=2)


@pytest.mark.parametrize(
    ("said", "meant"), [("0", 0), ("1.5K", 1536), ("100G", 100 << 30), ("2 MiB", 2 << 20)]
)
def test_sizes(said, meant):
    from lazydata.cli.collecting import parse_size

    assert parse_size(said) == meant
