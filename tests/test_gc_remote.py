"""gc of a remote, from the command line: what any state of the project needs stays there."""

import json
import os
import re
import shutil
import time

import pytest

from gc_desk import commands

X, Y = "data/x.csv", "data/y.csv"
OLD = 8 * 86400  # seconds; more than the grace period
MINE, THEIRS, WASTE = b"mine\n" * 500, b"theirs\n" * 500, b"waste\n" * 500


@pytest.fixture
def remote(project):
    """What is there is old, as far as its clock tells."""
    project.run_cli("add-remote", project.base / "remote")
    return project.base / "remote"


def age(remote):
    for path in remote.rglob("*"):
        os.utime(path, (time.time() - OLD,) * 2)


def there(remote):
    return sorted(path.name for path in (remote / "objects").rglob("*") if path.is_file())


def names(digest, *contents):
    return sorted(digest(content).removeprefix("blake3:") for content in contents)


def pushed(desk, *files):
    for path, content in files:
        desk.write(path, content)
    commands(desk, ("track", *(path for path, _ in files)), ("push",))


def gc(desk, *args, grace="0", code=0):
    said = commands(
        desk, ("gc", "--remote", "origin", "--grace", grace, *args, "--json"), code=code
    )
    return json.loads(said)


def commit(desk, message="x"):
    desk.git("add", "lazydata.yml")
    desk.git("commit", "-qm", message)


def test_a_dry_run_says_and_force_does(project, remote, digest):
    pushed(project, (X, MINE), (Y, WASTE))
    commands(project, ("untrack", Y))
    (project.root / Y).unlink()
    age(remote)
    before = sorted(remote.rglob("*"))
    said = commands(project, ("gc", "--remote", "origin"))
    assert "1 object to be claimed no longer" in said
    assert "Would write down 2.9 KiB, which a gc after 7d frees" in said
    assert "`lazydata gc --remote origin --force` does it" in said
    assert sorted(remote.rglob("*")) == before
    done = gc(project, "--force", grace="7d")
    assert (done["freed"], done["noted"], done["unclaimed"]) == (0, 3000, [digest(WASTE)])
    assert there(remote) == names(digest, MINE, WASTE)
    said = commands(project, ("gc", "--remote", "origin", "--force", "--grace", "0"))
    assert "Freed 2.9 KiB." in said
    assert there(remote) == names(digest, MINE)
    assert commands(project, ("gc", "--remote", "origin", "--grace", "0")).endswith(
        "Nothing to free.\n"
    )


def test_short_grace_periods_are_kept_by_the_clock_of_the_remote(project, remote, digest):
    pushed(project, (X, WASTE))
    commands(project, ("untrack", X))
    (project.root / X).unlink()
    age(remote)
    assert gc(project, "--force", grace="1s")["freed"] == 0
    assert gc(project, "--force", grace="1s")["freed"] == 0
    time.sleep(2.1)
    assert gc(project, "--force", grace="1s")["freed"] == len(WASTE)
    assert there(remote) == []


def test_what_any_state_of_git_lists_stays(project, remote, digest):
    """A branch, a stash, a reflog, git's index, and the file as it is."""
    project.git("init", "-q", "-b", "main")
    contents = {name: f"{name}\n".encode() * 500 for name in ("branch", "stash", "staged", "disk")}
    pushed(project, (X, MINE))
    commit(project)
    project.git("checkout", "-qb", "side")
    pushed(project, ("data/branch", contents["branch"]))
    commit(project)
    project.git("checkout", "-q", "main")
    pushed(project, ("data/stash", contents["stash"]))
    project.git("stash", "-q")
    pushed(project, ("data/staged", contents["staged"]))
    project.git("add", "lazydata.yml")
    pushed(project, ("data/disk", contents["disk"]))
    shutil.rmtree(project.root / ".lazydata")  # what was recorded here keeps it, too
    age(remote)
    done = gc(project, "--force")
    assert (done["unclaimed"], done["freed"]) == ([], 0)
    assert there(remote) == names(digest, MINE, *contents.values())
    project.git("stash", "drop", "-q")
    assert gc(project, "--force")["unclaimed"] == [digest(contents["stash"])]
    assert there(remote) == names(
        digest, MINE, *(each for name, each in contents.items() if name != "stash")
    )
    commands(project, ("push", "--check"))


def test_other_projects_count(project, remote, new_desk, digest):
    other = new_desk("other")
    text = project.read("lazydata.yml").decode()
    other.write("lazydata.yml", re.sub("(project: .*)[0-9a-f]{4}", r"\1beef", text).encode())
    pushed(other, (X, THEIRS))
    pushed(project, (X, THEIRS), (Y, WASTE))
    commands(project, ("untrack", X, Y))
    for path in (X, Y):
        (project.root / path).unlink()
    age(remote)
    assert gc(project, "--force")["unclaimed"] == sorted([digest(THEIRS), digest(WASTE)])
    assert there(remote) == names(digest, THEIRS)
    commands(other, ("push", "--check"))


def test_directories_whose_lists_are_not_here(project, remote, new_desk):
    """A clone that never pulled a directory knows what is in it before it lets go of anything."""
    project.git("init", "-q", "-b", "main")
    for nr in range(3):
        project.write(f"data/images/{nr}", b"%d\n" % nr * 999)
    commands(project, ("track", "data/images/"), ("push",))
    commit(project)
    you = new_desk("you")
    you.git("clone", "-q", str(project.root), str(you.root))
    age(remote)
    before = sorted(path for path in remote.rglob("*") if path.is_file())
    done = gc(you, "--force")
    assert (done["unclaimed"], done["freed"], done["blocked"]) == ([], 0, [])
    assert sorted(path for path in remote.rglob("*") if path.is_file()) == before
    # What is nowhere to be had keeps everything.
    shutil.rmtree(you.lazydata_home)
    for path in (*(remote / "objects").rglob("*"), *(remote / "packs").rglob("*")):
        if path.is_file():
            path.unlink()
    done = gc(you, "--force")
    assert [row["why"].split(",")[0] for row in done["blocked"]] == [
        "the list of a directory is nowhere to be had"
    ]


def test_a_clone_that_does_not_know_everything_keeps_everything(project, remote, new_desk):
    project.git("init", "-q", "-b", "main")
    pushed(project, (X, MINE))
    commit(project)
    pushed(project, (X, WASTE))
    commit(project)
    age(remote)
    for name, option, why in (
        ("shallow", "--depth=1", "has only the newest commits"),
        ("narrow", "--single-branch", "fetches only some branches of origin"),
    ):
        you = new_desk(name)
        you.git("clone", "-q", option, f"file://{project.root}", str(you.root))
        done = gc(you, "--force")
        assert why in done["blocked"][0]["why"]
        assert done["kept"] == {}
        said = you.run_cli("gc", "--remote", "origin")
        assert "so that all is kept" in said.stderr
        assert said.stdout == "Nothing to free.\n"


def test_a_workspace_that_is_not_there_keeps_everything(project, remote, new_desk, digest):
    pushed(project, (X, MINE))
    other = new_desk("other", root=project.base / "second")
    other.write("lazydata.yml", project.read("lazydata.yml"))
    other.env["LAZYDATA_HOME"] = str(project.lazydata_home)
    pushed(other, (X, THEIRS))
    shutil.rmtree(other.root)
    age(remote)
    done = gc(project, "--force")
    assert done["blocked"][0]["what"] == str(other.root)
    assert there(remote) == names(digest, MINE, THEIRS)


def test_what_is_let_go_of_is_pushed_again_when_it_is_needed(project, remote, digest):
    pushed(project, (X, WASTE))
    text = project.read("lazydata.yml")
    commands(project, ("untrack", X))
    (project.root / X).unlink()
    age(remote)
    gc(project, "--force")
    assert there(remote) == []
    project.write("lazydata.yml", text)
    assert "1 not pushed" in commands(project, ("status",))
    commands(project, ("push",))
    assert there(remote) == names(digest, WASTE)


def test_what_cannot_be_meant(project, remote):
    for words in (("--max-size", "1G"), ("--forget", "/x")):
        said = project.run_cli("gc", "--remote", "origin", *words, code=2).stderr
        assert "about the store" in said
    assert "no remote 'x'" in project.run_cli("gc", "--remote", "x", code=2).stderr
    (remote / "lazydata.json").unlink()
    assert "is not marked" in project.run_cli("gc", "--remote", "origin", code=2).stderr


def test_no_right_to_remove_is_told_before_anything_is_done(ordinary):
    base = ordinary.root / "remote"
    ordinary.run_cli("add-remote", base)
    ordinary.write(X, WASTE)
    ordinary.run_cli("track", X)
    ordinary.run_cli("push")
    ordinary.run_cli("untrack", X)
    (ordinary.root / X).unlink()
    age(base)
    before = sorted(base.rglob("*"))
    for path in (base, *(each for each in base.rglob("*") if each.is_dir())):
        path.chmod(0o555)
    said = ordinary.json_cli("gc", "--remote", "origin", "--grace", "0")
    assert said["freed"] == len(WASTE)
    done = ordinary.run_cli("gc", "--remote", "origin", "--force", "--grace", "0", code=21)
    assert "can't write to it, and remove that" in done.stderr
    assert sorted(base.rglob("*")) == before
