"""lazydata doctor: what it looks at, what it says of it, and that it changes nothing."""

import json
import os
import shutil

import pytest

from gc_desk import commands
from lazydata.workspace.doctor_local import skew
from lazydata.workspace.findings import OK, PROBLEM, WARNING, Finding, guarded

X = "data/x.csv"


@pytest.fixture
def me(project, tmp_path):
    """A workspace in a repository that knows of lazydata, with one file that was pushed."""
    project.git("init", "-q")
    project.write(X, b"data")
    commands(
        project,
        ("git", "install", "--hooks"),
        ("track", X),
        ("add-remote", tmp_path / "origin"),
        ("push",),
    )
    project.git("add", ".")
    project.git("commit", "-q", "-m", "first")
    return project


def doctor(desk, *words, code=0, cwd=None):
    found = json.loads(commands(desk, ("doctor", *words, "--json"), code=code, cwd=cwd))
    return [tuple(each.values()) for each in found["findings"]]


def about(found, name, *states):
    return [each for each in found if each[0] == name and each[1] in states]


def of_root(each):
    """What is only said where the tests run as root."""
    return each[0] == "links"


def test_nothing_to_say_of_a_good_set_up(me):
    found = doctor(me, "--write")
    assert [each for each in found if each[1] != OK and not of_root(each)] == []
    assert {each[0] for each in found} == {
        *("lazydata", "index", "store", "links", "clock", "workspace", "git", "remote origin")
    }


def test_lines_for_people_say_what_to_do(me):
    me.git("rm", "-q", "--cached", "lazydata.yml")
    said = commands(me, ("doctor",))
    assert (
        "warning  git: lazydata.yml is not in git yet\n         -> `git add lazydata.yml`" in said
    )


def test_it_works_where_nothing_is_set_up(desk, tmp_path):
    found = doctor(desk, cwd=tmp_path)
    assert [each[0] for each in found if each[1] != OK and not of_root(each)] == ["workspace"]
    assert not desk.lazydata_home.exists()


def test_nothing_is_written_to_a_remote_unless_that_is_wanted(me, tmp_path):
    def listing():
        return sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "origin").rglob("*"))

    before = listing()
    doctor(me)
    assert listing() == before
    doctor(me, "--write")
    assert [p for p, _ in listing() if p.is_file()] == [p for p, _ in before if p.is_file()]


# -- what is wrong


def test_data_that_was_committed(me):
    me.git("add", "-f", X)
    (row,) = about(doctor(me, code=4), "git", PROBLEM)
    assert X in row[2]
    assert "git rm" in row[3]


def test_data_that_is_not_ignored(me):
    (me.root / "data/.gitignore").unlink()
    (row,) = about(doctor(me), "git", WARNING)
    assert X in row[2]


def test_a_manifest_that_git_ignores(me):
    me.git("rm", "-q", "--cached", "lazydata.yml")
    me.write(".gitignore", "*.yml\n")
    (row,) = about(doctor(me, code=4), "git", PROBLEM)
    assert "ignored" in row[2]


@pytest.mark.parametrize("what", ["driver", "attributes", "hook", "path"])
def test_what_git_knows_no_more(me, what):
    if what == "driver":
        me.git("config", "--unset", "merge.lazydata.driver")
    elif what == "attributes":
        me.write(".gitattributes", "")
    elif what == "hook":
        (me.root / ".git/hooks/pre-push").unlink()
    else:
        me.git("config", "merge.lazydata.driver", "/old/python -m lazydata git merge-driver")
    (row,) = about(doctor(me), "git", WARNING)
    assert "lazydata git install" in row[3]


def test_no_git_at_all(me, monkeypatch):
    empty = me.base / "empty"
    empty.mkdir()
    done = me.run_cli("doctor", code=4, env={"PATH": str(empty)})
    assert "git was not found" in done.stdout


def test_a_manifest_that_can_not_be_read(me):
    me.write("lazydata.yml", "files: [")
    found = doctor(me, code=4)
    assert "lazydata.yml" in about(found, "workspace", PROBLEM)[0][2]


def test_a_remote_that_is_gone_or_no_remote(me, tmp_path):
    (tmp_path / "origin/lazydata.json").write_text("nonsense")
    (row,) = about(doctor(me, code=4), "remote origin", PROBLEM)
    assert "no sense" in row[2]
    commands(me, ("remove-remote", "origin"))
    (row,) = about(doctor(me), "remotes", WARNING)
    assert "add-remote" in row[3]


def test_a_damaged_index(me):
    commands(me, ("status",))
    (index,) = me.lazydata_home.glob("index/*/index.sqlite")
    for path in index.parent.iterdir():
        path.write_bytes(b"nonsense" * 1000)
    (row,) = about(json_of(me.run_cli("doctor", "--json")), "index", WARNING)
    assert "damaged" in row[2]
    command = row[3].partition(" (")[0].split()
    assert command == ["rm", "-r", str(index.parent)]
    shutil.rmtree(command[2])
    assert not about(json_of(me.run_cli("doctor", "--json")), "index", WARNING)


def json_of(done):
    return [tuple(each.values()) for each in json.loads(done.stdout)["findings"]]


def test_places_that_others_may_write(me):
    (index,) = me.lazydata_home.glob("index/*")
    objects = me.lazydata_home / "store/objects-v1"
    for path in (index, objects):
        os.chmod(path, 0o777)
    found = doctor(me, code=4)
    (of_index,), (of_store,) = about(found, "index", PROBLEM), about(found, "store", PROBLEM)
    assert of_index[3] == f"chmod go-w {index}"
    assert of_store[3] == f"chmod o-w {objects}"


def test_a_store_elsewhere_or_full(me, small_disk):
    disk = small_disk("4m")
    os.mkdir(disk / "objects-v1")
    commands(me, ("config", "set", "store", disk))
    found = doctor(me)
    said = [each[2] for each in about(found, "store", WARNING)]
    assert any("another file system" in each for each in said)
    assert any("MiB are free" in each for each in said)
    assert "copies" in about(found, "links", OK, WARNING)[0][2]


def test_a_workspace_that_is_gone(me, new_desk):
    other = me.root.parent / "other"
    other.mkdir()
    (other / "lazydata.yml").write_bytes(me.manifest_file.read_bytes())
    (other / "y").write_bytes(b"y")
    commands(me, ("track", "y"), cwd=other)
    shutil.rmtree(other)
    (row,) = about(doctor(me), "store", WARNING)
    assert f"lazydata gc --forget {other}" in row[3]


def test_an_ordinary_user_who_may_not_write(ordinary):
    ordinary.write(X, b"data")
    ordinary.run_cli("track", X)
    objects = ordinary.lazydata_home / "store/objects-v1"
    os.chmod(objects / "tmp", 0o500)
    os.chmod(ordinary.root, 0o500)
    try:
        found = json_of(ordinary.run_cli("doctor", "--json", code=4))
    finally:
        os.chmod(ordinary.root, 0o700)
        os.chmod(objects / "tmp", 0o700)
    assert about(found, "store", PROBLEM)
    assert about(found, "workspace", PROBLEM)
    assert not any("this check failed" in each[2] for each in found)


# -- parts


def test_a_check_that_crashes_is_a_finding():
    def check():
        yield Finding("a", OK, "so far")
        raise ZeroDivisionError("never thought of")

    found = list(guarded("a", check))
    assert [each.state for each in found] == [OK, PROBLEM]
    assert "ZeroDivisionError: never thought of" in found[1].message


@pytest.mark.parametrize(
    ("there", "state"), [(99.0, OK), (101.5, OK), (107.0, WARNING), (94.0, WARNING)]
)
def test_clocks_that_differ(there, state):
    (found,) = skew("clock", "the server", there, 100.0, 101.0)
    assert found.state == state


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is not bound by read-only bits")
def test_root_is_never_told_to_choose_hardlinks(me):
    me.run_cli("config", "set", "link", "hardlink")
    (row,) = about(doctor(me), "links", OK, WARNING)
    if "reflinks" not in row[2]:
        assert (row[1], row[3]) == (WARNING, "`lazydata config set link auto`")
    me.run_cli("config", "set", "link", "auto")
    (row,) = about(doctor(me), "links", OK, WARNING)
    assert "config set link hardlink" not in row[3]
