"""What git's history says of the data: log, diff, restore --from, pull --rev."""

import calendar
import json
import os
import shutil
import stat
import time

import pytest

from directories_model import LINK, contents, put, stored

X, Y, D = "data/x.csv", "data/y.csv", "data/images/"
V1, V2, V3 = b"one\n", b"two, two\n", b"three, three, three\n"
FILES = {"cats/1.jpg": b"cat 1\n", "cats/2.jpg": b"cat 2\n", "dogs/1.jpg": b"dog\n"}
MARKERS = b"<<<<<<< ours\nfiles:\n=======\nfiles: # theirs\n>>>>>>> theirs\n"


def commit(desk, subject, who="Ann", **more):
    env = {"GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": f"{who.lower()[:3]}@example.org"}
    desk.git("add", ".", **more)
    desk._run(["git", "commit", "-qm", subject], 0, more.get("cwd"), env)
    return desk.git("rev-parse", "HEAD", **more).strip()


def record(desk, content, path=X):
    desk.write(path, content)
    desk.run_cli("track", path)


def start(desk):
    desk.git("init", "-q", "-b", "main")
    desk.write(".gitignore", "/data/\n")


@pytest.fixture
def repo(project):
    """A git repository with a workspace that lists nothing yet."""
    start(project)
    return project


@pytest.fixture(scope="module")
def bare_versions(tmp_path_factory, desk_at, new_manifest):
    desk = desk_at(tmp_path_factory.mktemp("versions"))
    desk.write("lazydata.yml", new_manifest)
    start(desk)
    record(desk, V1)
    commit(desk, "first")
    record(desk, V2)
    commit(desk, "second", who="Bob")
    return desk


@pytest.fixture(scope="module")
def pushed_versions(tmp_path_factory, desk_at, new_manifest):
    desk = desk_at(tmp_path_factory.mktemp("pushed"))
    desk.write("lazydata.yml", new_manifest)
    start(desk)
    desk.run_cli("add-remote", desk.base / "remote")
    for number, content in enumerate((V1, V2)):
        desk.write(X, content)
        put(desk, D, {p: ("file", c + b"x" * 5 * number) for p, c in FILES.items()})
        if number:
            (desk.root / D / "cats/2.jpg").unlink()
            desk.write(D + "new.jpg", b"new\n")
        desk.run_cli("track", X, D)
        commit(desk, f"v{number + 1}")
    desk.run_cli("push")
    return desk


@pytest.fixture
def me(bare_versions, new_desk):
    """One file in two versions, each with a commit: by Ann, and by Bob."""
    return copied(bare_versions, new_desk("me"))


@pytest.fixture
def shared(pushed_versions, new_desk):
    """A file and a directory in two versions each, all on a remote that nobody writes to."""
    return copied(pushed_versions, new_desk("shared"))


@pytest.fixture
def you(request, new_desk):
    """A clone of that in another home, without any data."""
    own = "shared" if "shared" in request.fixturenames else "pushed_versions"
    return cloned(request.getfixturevalue(own), new_desk("you"))


@pytest.fixture
def unreachable(pushed_versions):
    """The remote is away."""
    remote = pushed_versions.base / "remote"
    remote.rename(remote.with_name("away"))
    yield
    remote.with_name("away").rename(remote)


def copied(source, desk):
    shutil.rmtree(desk.base)
    skipped = shutil.ignore_patterns("remote")
    shutil.copytree(source.base, desk.base, symlinks=True, ignore=skipped)
    return desk


def cloned(source, desk, *options):
    desk.root.rmdir()
    url = f"file://{source.root}"
    desk.git("clone", "-q", *options, url, str(desk.root), cwd=desk.base)
    return desk


def log(desk, path=X, **more):
    return desk.json_cli("log", path, **more)["versions"]


def tree(top):
    """All that is below a directory, but what git and lazydata remember."""
    return {
        path: (stat.S_IFMT(status.st_mode), status.st_mtime_ns, status.st_size)
        for directory, names, found in os.walk(top)
        for path in (os.path.join(directory, name) for name in found)
        if not names.clear() and (status := os.lstat(path))
    } | {
        str(path): path.stat().st_mtime_ns
        for path in top.rglob("*")
        if not {".git", ".lazydata"} & set(path.relative_to(top).parts)
    }


# -- log


def test_log_tells_when_and_by_whom_each_version_came(me, digest):
    first, second = (me.git("rev-parse", name).strip() for name in ("HEAD~1", "HEAD"))
    newest, oldest = log(me)
    assert (newest["hash"], oldest["hash"]) == (digest(V2), digest(V1))
    assert (newest["commit"], oldest["commit"]) == (second, first)
    assert (newest["author"], oldest["author"]) == ("Bob", "Ann")
    assert (newest["email"], newest["subject"]) == ("bob@example.org", "second")
    assert (newest["size"], newest["latest"], oldest["latest"]) == (len(V2), True, False)
    seconds = calendar.timegm(time.strptime(newest["when"], "%Y-%m-%dT%H:%M:%SZ"))
    assert seconds == int(me.git("log", "-1", "--format=%ct"))


def test_log_has_a_row_for_people_for_each_version(me, digest):
    newest, oldest = me.run_cli("log", X).stdout.splitlines()
    commit_id = me.git("rev-parse", "HEAD").strip()
    when = me.git("log", "-1", "--format=%cd", "--date=format-local:%F %H:%M").strip()
    assert newest.startswith(f"{digest(V2)[7:19]} * ")
    assert f"9 B  {when}" in newest
    assert newest.endswith(f"{commit_id[:10]}  Bob  here, stored")
    assert oldest.startswith(f"{digest(V1)[7:19]}   ")
    assert oldest.endswith("Ann  stored")


def test_version_that_no_commit_lists_is_not_committed(me):
    record(me, V3)
    newest, second, _ = log(me)
    assert newest["commit"] is newest["when"] is newest["author"] is None
    assert newest["here"]
    assert not second["here"]
    assert "not committed" in me.run_cli("log", X).stdout.splitlines()[0]


def test_log_tells_where_versions_are_without_a_request(shared, you, unreachable):
    record(shared, V3)
    rows = log(shared)
    assert [row["remotes"] for row in rows] == [[], ["origin"], ["origin"]]
    assert [row["stored"] for row in rows] == [True, True, True]
    shared.lose(V1)
    assert "stored" not in shared.run_cli("log", X).stdout.splitlines()[2]
    for row in log(you):
        assert not row["here"]
        assert not row["stored"]
        assert row["remotes"] == []
    assert "nowhere known" in you.run_cli("log", X).stdout


def test_log_of_an_edited_file_has_it_nowhere(me):
    me.write(X, b"an edit\n")
    assert [row["here"] for row in log(me)] == [False, False]


def test_version_that_is_listed_no_more_is_marked(me, new_manifest, digest):
    text = me.manifest_file.read_text()
    first = text[: text.index("  - path:", text.index("  - path:") + 1)]
    me.write("lazydata.yml", first)
    rows = {row["hash"]: row for row in log(me)}
    assert rows[digest(V1)]["listed"]
    assert rows[digest(V1)]["latest"]
    assert not rows[digest(V2)]["listed"]
    assert rows[digest(V2)]["author"] == "Bob"
    lines = me.run_cli("log", X).stdout.splitlines()
    assert [line.endswith("(listed no more)") for line in lines] == [True, False]


def test_untracked_path_has_the_log_that_it_had(me, digest):
    me.run_cli("untrack", X)
    rows = log(me)
    assert [row["hash"] for row in rows] == [digest(V2), digest(V1)]
    assert not any(row["listed"] or row["latest"] for row in rows)
    assert rows[0]["here"]
    commit(me, "untracked")
    assert log(me) == rows
    assert me.run_cli("log", Y, code=12).stderr.startswith("error: lazydata.yml lists nothing")


def test_older_version_that_became_the_latest_comes_first(me, digest):
    record(me, V3)
    commit(me, "third")
    me.run_cli("restore", X, "--version", digest(V1))
    assert [row["hash"] for row in log(me)] == [digest(v) for v in (V1, V3, V2)]
    assert log(me)[0]["author"] == "Ann"


def test_version_from_a_branch_has_that_branchs_commit(me, digest):
    me.git("switch", "-qc", "other", "HEAD~1")
    me.run_cli("restore", X)
    record(me, V3)
    theirs = commit(me, "on a branch", who="Cy")
    me.git("switch", "-q", "main")
    me.git("merge", "-q", "-s", "ours", "-m", "merge", "other")
    rows = {row["hash"]: row for row in log(me)}
    assert rows[digest(V3)]["commit"] == theirs
    assert not rows[digest(V3)]["listed"]


def test_log_follows_a_manifest_that_moved(repo, digest):
    repo.run_cli("init", "--nested", "old")
    for content in (V1, V2):
        repo.write("old/x.csv", content)
        repo.run_cli("track", "old/x.csv")
        commit(repo, "in old")
    committed = [row["commit"] for row in log(repo, "old/x.csv")]
    assert None not in committed
    repo.git("mv", "old/lazydata.yml", "new.yml")  # by way of another name, as some do
    (repo.root / "old").rename(repo.root / "new")
    repo.git("mv", "new.yml", "new/lazydata.yml")
    assert [row["commit"] for row in log(repo, "new/x.csv")] == committed
    commit(repo, "moved")
    record(repo, V3, "new/x.csv")
    commit(repo, "in new")
    rows = log(repo, "new/x.csv")
    assert [row["hash"] for row in rows] == [digest(v) for v in (V3, V2, V1)]
    assert [row["commit"] for row in rows[1:]] == committed
    entries = differing(repo, "HEAD~2", "HEAD", "--", "new")
    assert [(e["path"], e["old"]["hash"]) for e in entries] == [("x.csv", digest(V2))]


def test_log_works_without_git(project, digest):
    record(project, V1)
    record(project, V2)
    told = project.json_cli("log", X)
    assert told["git"] is False
    assert [(v["hash"], v["commit"], v["here"]) for v in told["versions"]] == [
        (digest(V2), None, True),
        (digest(V1), None, False),
    ]
    lines = project.run_cli("log", X).stdout.splitlines()
    assert lines[0].split()[2:] == ["9", "B", "here,", "stored"]


@pytest.mark.parametrize("env", [{"PATH": "/nowhere"}, {}], ids=["no git", "no HEAD"])
def test_log_where_git_cannot_be_asked_has_the_versions(me, env):
    (me.root / ".git/HEAD").unlink()
    done = me.run_cli("log", X, env=env)
    assert len(done.stdout.splitlines()) == 2
    (warning,) = done.stderr.splitlines()
    assert "no commits are shown: git" in warning


def test_repository_further_up_is_not_asked_instead(desk, new_manifest):
    start(desk)
    desk.write("inner/lazydata.yml", new_manifest)
    inner = desk.root / "inner"
    commit(desk, "outer")
    desk.git("init", "-q", cwd=inner)
    (inner / ".git/HEAD").unlink()
    done = desk.run_cli("diff", cwd=inner, code=16)
    assert "git rev-parse failed" in done.stderr


def test_shallow_clone_says_what_it_does_not_know(me, new_desk, digest):
    record(me, V3)
    commit(me, "third")
    you = cloned(me, new_desk("you"), "--depth=2")
    told = you.json_cli("log", X)
    assert told["shallow"]
    assert [(v["hash"], v["or_before"]) for v in told["versions"]] == [
        (digest(V3), False),
        (digest(V2), True),
        (digest(V1), True),
    ]
    out = you.run_cli("log", X).stdout
    assert out.count("or before") == 2
    assert "git fetch --unshallow" in out.splitlines()[-1]
    assert "unshallow" in you.run_cli("diff", "HEAD~2", code=2).stderr
    assert not me.json_cli("log", X)["shallow"]


def test_manifest_that_cannot_be_read_is_skipped_with_one_warning(me, digest):
    good = me.manifest_file.read_bytes()
    for number, bad in enumerate((MARKERS, b"files: [\n", b"\xff\xfe")):
        me.write("lazydata.yml", bad)
        commit(me, f"bad {number}")
    me.write("lazydata.yml", good)
    commit(me, "good again")
    done = me.run_cli("log", X, "--json")
    assert done.stdout.count(digest(V2)) == 1
    assert done.stdout.count(digest(V1)) == 1
    (warning,) = done.stderr.splitlines()
    assert "can't be read" in warning
    assert "(and 2 more)" in warning


def test_names_in_the_log_are_printable(me):
    record(me, V3)
    commit(me, "x", who="Eve\x1b[31m\x07l")
    out = me.run_cli("log", X).stdout
    assert "Eve\\x1b[31m\\x07l" in out
    assert "\x1b" not in out
    assert log(me)[0]["author"] == "Eve\x1b[31m\x07l"


def test_log_of_a_path_inside_of_a_directory(shared, you, digest):
    new, old = log(shared, D + "cats/1.jpg")
    assert new["part"] == {"hash": digest(b"cat 1\nxxxxx"), "size": 11}
    assert old["part"] == {"hash": digest(b"cat 1\n"), "size": 6}
    assert (new["hash"], old["hash"]) == (shared.versions(D)[1], shared.versions(D)[0])
    assert (new["here"], old["here"]) == (True, False)
    assert new["remotes"] == old["remotes"] == ["origin"]
    assert [row["subject"] for row in (new, old)] == ["v2", "v1"]
    gone, there = log(shared, D + "cats/2.jpg")
    assert (gone["part"], gone["part_known"]) == (None, True)
    assert there["part"]["size"] == 6
    assert shared.run_cli("log", D + "cats").stdout.count("here") == 1
    assert f"no version of {D} has typo" in shared.run_cli("log", D + "typo", code=12).stderr
    unknown = log(you, D + "cats/1.jpg")
    assert [(row["part"], row["part_known"]) for row in unknown] == [(None, False)] * 2
    assert you.run_cli("log", D + "cats/1.jpg").stdout.count("not here") == 2


def test_log_of_a_directory(shared):
    rows = log(shared, D)
    assert [row["files"] for row in rows] == [3, 3]
    assert [row["here"] for row in rows] == [True, False]
    assert shared.json_cli("log", D)["kind"] == "directory"


def test_log_is_about_one_entry(shared):
    assert "names 2 entries" in shared.run_cli("log", "data", code=2).stderr
    assert log(shared, "x.csv", cwd=shared.root / "data") == log(shared)


# -- diff


def differing(desk, *args, **more):
    return json.loads(desk.run_cli("diff", "--json", *args, **more).stdout)["entries"]


def changes(desk, *args, **more):
    return {e["path"]: e["change"] for e in differing(desk, *args, **more)}


def test_diff_of_the_manifest_as_it_is_and_a_commit(me, digest):
    assert changes(me) == {}
    assert me.run_cli("diff").stdout == "No difference between HEAD and lazydata.yml\n"
    record(me, V3)
    record(me, V1, Y)
    told = me.json_cli("diff")
    assert (told["from"], told["to"], told["root"]) == ("HEAD", None, str(me.root))
    assert told["entries"] == [
        {
            "path": X,
            "kind": "file",
            "change": "changed",
            "old": {"hash": digest(V2), "size": len(V2), "files": None},
            "new": {"hash": digest(V3), "size": len(V3), "files": None},
            "inside": [],
        },
        {
            "path": Y,
            "kind": "file",
            "change": "added",
            "old": None,
            "new": {"hash": digest(V1), "size": len(V1), "files": None},
            "inside": [],
        },
    ]
    assert me.run_cli("diff").stdout.splitlines() == [
        "changed  9 B -> 20 B  data/x.csv",
        "added    4 B          data/y.csv",
        "1 added, 1 changed between HEAD and lazydata.yml",
    ]
    me.run_cli("untrack", X)
    assert changes(me, "HEAD~1") == {X: "removed", Y: "added"}


def test_diff_of_two_revisions(me):
    record(me, V1, Y)
    commit(me, "third")
    me.write("lazydata.yml", b"not: [to be read\n")  # it is not asked
    for two in (("HEAD~2", "main"), ("HEAD~2..main",), ("HEAD~2", "main", "--")):
        assert changes(me, *two) == {X: "changed", Y: "added"}
    assert changes(me, "main", "HEAD~2") == {X: "changed", Y: "removed"}
    assert changes(me, "HEAD~2", "HEAD", "--", Y) == {Y: "added"}
    assert me.run_cli("diff", "HEAD", code=11).stderr.startswith("error: ")


def test_diff_tells_revisions_from_paths_as_git_does(me):
    record(me, V3)
    me.git("branch", "data")
    hint = me.run_cli("diff", "data", code=2).stderr
    assert "data is a revision of git, and a path" in hint
    assert "`lazydata diff -- data`" in hint
    assert changes(me, "data", "--") == changes(me, "--", "data") == {X: "changed"}
    assert changes(me, X) == {X: "changed"}
    assert changes(me, "main", "data/x.csv") == {X: "changed"}
    assert changes(me, "../data", cwd=me.root / "data") == {X: "changed"}
    assert "3 revisions" in me.run_cli("diff", "HEAD", "main", "HEAD", code=2).stderr
    assert "no revision nosuch" in me.run_cli("diff", "nosuch", "--", code=2).stderr
    assert "no revision HEAD~9" in me.run_cli("diff", "HEAD~9", code=2).stderr
    nothing = "neither HEAD:lazydata.yml nor lazydata.yml lists anything at nosuch"
    assert nothing in me.run_cli("diff", "nosuch", code=12).stderr
    assert "PATH is empty" in me.run_cli("diff", "", code=2).stderr


def test_diff_of_a_directory_names_the_files(shared, digest):
    (entry,) = differing(shared, "HEAD~1", "--", D)
    assert (entry["change"], entry["kind"]) == ("changed", "directory")
    assert {e["path"]: e["change"] for e in entry["inside"]} == {
        "cats/1.jpg": "changed",
        "cats/2.jpg": "removed",
        "dogs/1.jpg": "changed",
        "new.jpg": "added",
    }
    one = entry["inside"][0]
    assert one["old"] == {"kind": "file", "hash": digest(b"cat 1\n"), "size": 6, "target": ""}
    assert one["new"]["size"] == 11
    out = shared.run_cli("diff", "HEAD~1").stdout.splitlines()
    assert out[0].endswith(f"{D}  (1 added, 2 changed, 1 removed)")
    assert "  changed  6 B -> 11 B  cats/1.jpg" in out


def test_diff_of_a_directory_sees_kinds_and_empty_directories(repo):
    put(repo, D, {"a": ("file", b"a\n"), "b": ("file", b"#!\n"), "c": (LINK, b"a")})
    repo.run_cli("track", D)
    commit(repo, "first")
    (repo.root / D / "b").chmod(0o755)
    (repo.root / D / "c").unlink()
    (repo.root / D / "c").symlink_to("b")
    (repo.root / D / "empty").mkdir()
    (repo.root / D / "full").mkdir()
    (repo.root / D / "full/d").write_bytes(b"d\n")
    repo.run_cli("track", D)
    (entry,) = differing(repo)
    inside = {e["path"]: e for e in entry["inside"]}
    assert sorted(inside) == ["b", "c", "empty", "full/d"]
    assert inside["b"]["old"]["hash"] == inside["b"]["new"]["hash"]
    assert [inside["b"][side]["kind"] for side in ("old", "new")] == ["file", "exec"]
    assert [inside["c"][side]["target"] for side in ("old", "new")] == ["a", "b"]
    assert inside["empty"]["new"]["kind"] == "dir"


def test_diff_shows_people_a_screenful_of_a_directory(repo):
    put(repo, D, {f"{n:03}": ("file", b"%d\n" % n) for n in range(50)})
    repo.run_cli("track", D)
    commit(repo, "first")
    put(repo, D, {f"{n:03}": ("file", b"%d!\n" % n) for n in range(50)})
    repo.run_cli("track", D)
    lines = repo.run_cli("diff").stdout.splitlines()
    assert len(lines) == 23
    assert lines[-2:] == ["  and 30 more", "1 changed between HEAD and lazydata.yml"]
    assert len(differing(repo)[0]["inside"]) == 50


def test_diff_of_a_path_inside_of_a_directory(shared):
    assert changes(shared, "HEAD~1", D + "cats") == {D + "cats/": "changed"}
    assert changes(shared, "HEAD~1", D + "cats/1.jpg") == {D + "cats/1.jpg": "changed"}
    assert changes(shared, "HEAD~1", D + "new.jpg") == {D + "new.jpg": "added"}
    assert changes(shared, "HEAD", D + "new.jpg") == {}


def test_diff_fetches_lists_and_no_data(you):
    (entry,) = differing(you, "HEAD~1", "--", D)
    assert len(entry["inside"]) == 4
    held = stored(you).values()
    assert held
    assert all(content.startswith(b"lazydata tree") for content in held)
    assert not (you.root / "data").exists()


def test_diff_of_a_directory_whose_lists_are_nowhere(you, unreachable):
    done = you.run_cli("diff", "HEAD~1", "--json")
    assert '"inside": null' in done.stdout
    assert f"which files of {D} differ is not known" in done.stderr
    out = you.run_cli("diff", "HEAD~1").stdout
    assert f"{D}  (which files is not known here)" in out
    assert "2 changed between HEAD~1 and lazydata.yml" in out


def test_diff_is_about_what_is_below_the_working_directory(me):
    record(me, V3)
    record(me, V3, "more/z.csv")
    done = me.run_cli("diff", cwd=me.root / "more").stdout.splitlines()
    assert done == ["added  20 B  z.csv", "1 added in more/ between HEAD and lazydata.yml"]


def test_diff_in_a_workspace_below_the_top_of_the_repository(repo):
    repo.run_cli("init", "--nested", "teams/a")
    record(repo, V1, "teams/a/x.csv")
    commit(repo, "first")
    record(repo, V2, "teams/a/x.csv")
    assert changes(repo, "teams/a/x.csv") == {"x.csv": "changed"}
    assert changes(repo, "HEAD", cwd=repo.root / "teams/a") == {"x.csv": "changed"}
    assert changes(repo) == {}


# -- bad input, for all that take a revision

ASKING = [
    ("diff", "{rev}", "--", X),
    ("restore", "--from", "{rev}", X),
    ("pull", "--rev", "{rev}", X),
]


def ask(desk, words, rev, code, env=None):
    before = tree(desk.root)
    done = desk.run_cli(*(word.format(rev=rev) for word in words), code=code, env=env)
    assert tree(desk.root) == before
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("words", ASKING, ids=lambda words: words[0])
def test_revision_that_cannot_be_used_is_told(me, words):
    start_of_it = me.git("rev-parse", "HEAD").strip()
    assert "git knows no revision nosuch" in ask(me, words, "nosuch", 2)
    for odd in ("^HEAD", "HEAD^{tree}", "main...HEAD", "f" * 40):
        assert f"git knows no revision {odd}" in ask(me, words, odd, 2)
    me.git("switch", "-q", "--orphan", "empty")
    me.write("README", "nothing\n")
    empty = commit(me, "no manifest")
    me.git("switch", "-q", "main")
    told = ask(me, words, empty, 12)
    assert f"the revision {empty} has no lazydata.yml" in told
    good = me.manifest_file.read_bytes()
    me.write("lazydata.yml", MARKERS)
    commit(me, "conflict")
    me.write("lazydata.yml", good)
    commit(me, "good")
    told = ask(me, words, "HEAD~1", 11)
    assert "error: HEAD~1:lazydata.yml:1:1: " in told
    assert "name another revision" in told
    me.git("reset", "-q", "--hard", start_of_it)
    gone = me.git("commit-tree", "HEAD^{tree}", "-m", "gone").strip()
    me.git("prune", "--expire=now")
    assert f"git knows no revision {gone}" in ask(me, words, gone, 2)


@pytest.mark.parametrize("words", ASKING, ids=lambda words: words[0])
def test_git_that_cannot_be_asked_is_told(me, words):
    told = ask(me, words, "HEAD", 16, {"PATH": "/nowhere"})
    assert told.startswith("error: git was not found")
    assert "PATH" in told
    (me.root / ".git/HEAD").unlink()
    assert ask(me, words, "HEAD", 16).startswith("error: git ")


def test_git_directory_that_may_not_be_read_is_told(ordinary):
    start(ordinary)
    record(ordinary, V1)
    git = ordinary.root / ".git"
    for path in (git, *git.rglob("*")):  # git refuses what belongs to somebody else
        ordinary.own(path)
    assert ordinary.run_cli("log", X).stderr == ""
    git.chmod(0)
    assert ask(ordinary, ASKING[0], "HEAD", 16).startswith("error: git ")
    done = ordinary.run_cli("log", X)
    assert "here, stored" in done.stdout
    assert "no commits are shown: git" in done.stderr


@pytest.mark.parametrize("words", ASKING, ids=lambda words: words[0])
def test_without_a_repository_there_are_no_revisions(project, words):
    record(project, V1)
    assert "is in no git repository" in ask(project, words, "HEAD", 2)


@pytest.mark.parametrize("words", ASKING[1:], ids=lambda words: words[0])
def test_path_that_the_revision_does_not_list_is_told(me, words):
    record(me, V1, Y)
    assert "is empty" in ask(me, words, "", 2)
    words = [*words[:-1], Y]
    assert f"HEAD:lazydata.yml lists nothing at {Y}" in ask(me, words, "HEAD", 12)


# -- restore --from


def test_restore_from_a_revision_makes_it_the_newest(me, digest):
    assert me.run_cli("restore", "--from", "HEAD~1", X).stdout == f"{X} is {digest(V1)[7:19]}\n"
    assert me.read(X) == V1
    assert me.versions(X) == [digest(V2), digest(V1)]
    before = me.state()
    assert me.tracker().track(X).stderr == ""
    assert me.state() == before


def test_restore_tells_programs_what_is_there_now(me, digest):
    done = me.run_cli("restore", "--from", "HEAD", "--json", X)
    said = json.loads(done.stdout)
    assert said == {"root": str(me.root), "files": [{"path": X, "hash": me.versions(X)[-1]}]}


def test_restore_from_a_revision_what_is_listed_no_more(me, digest):
    text = me.manifest_file.read_text()
    me.write("lazydata.yml", text[: text.index("  - path:")] + text[text.rindex("  - path:") :])
    me.run_cli("restore", "--from", "HEAD~1", X)
    assert me.versions(X) == [digest(V2), digest(V1)]
    assert me.items(X)[1]["size"] == len(V1)
    me.run_cli("untrack", X)
    me.run_cli("restore", "--from", "HEAD", X)
    assert (me.read(X), me.versions(X)) == (V2, [digest(V2)])
    before = me.state()
    assert me.tracker().track(X).stderr == ""
    assert me.state() == before


def test_restore_from_a_revision_loses_no_edit(me, restore_command):
    me.write(X, b"an edit\n")
    done = me.run_cli("restore", "--from", "HEAD~1", X)
    assert me.read(X) == V1
    assert me.holds(b"an edit\n")
    me.run_cli(*restore_command(done.stderr))
    assert me.read(X) == b"an edit\n"


def test_restore_from_the_same_version_records_nothing(me):
    before = me.state()
    me.run_cli("restore", "--from", "HEAD", X)
    assert me.state() == before


def test_restore_a_directory_from_a_revision(shared):
    first, second = shared.versions(D)
    shared.run_cli("restore", "--from", "HEAD~1", D)
    assert contents(shared.root / D) == FILES
    assert shared.versions(D) == [second, first]
    before = shared.state()
    assert shared.tracker().track(D).stderr == ""
    assert shared.state() == before
    text = shared.manifest_file.read_text()
    at = text.index("  - path: data/images/")
    end = text.index("  - path:", at + 1)
    shared.write("lazydata.yml", text[:at] + text[end:])  # without the second
    shared.run_cli("restore", "--from", "HEAD", D)
    assert shared.versions(D) == [first, second]
    assert "new.jpg" in contents(shared.root / D)
    shared.run_cli("untrack", D)
    shared.run_cli("restore", "--from", "HEAD~1", D)
    assert shared.versions(D) == [first]
    assert contents(shared.root / D) == FILES
    assert shared.tracker().track(D).stderr == ""


def test_restore_a_part_of_a_directory_from_a_revision(shared):
    before = shared.state()
    shared.run_cli("restore", "--from", "HEAD~1", D + "cats")
    assert contents(shared.root / D / "cats") == {"1.jpg": b"cat 1\n", "2.jpg": b"cat 2\n"}
    assert shared.read(D + "new.jpg") == b"new\n"
    assert shared.state() == before
    told = shared.run_cli("restore", "--from", "HEAD~1", D + "new.jpg", code=12).stderr
    assert f"{D} has no new.jpg in the version {shared.versions(D)[0][7:19]}" in told


def test_restore_from_a_revision_fetches(you):
    you.run_cli("restore", "--from", "HEAD~1", X, D)
    assert you.read(X) == V1
    assert contents(you.root / D) == FILES


def test_restore_from_takes_several_paths_and_no_version(shared, digest):
    shared.run_cli("restore", "--from", "HEAD~1", "data")
    assert shared.read(X) == V1
    assert contents(shared.root / D) == FILES
    args = ("restore", X, "--from", "HEAD", "--version", digest(V1)[7:15])
    assert "--version and --from" in shared.run_cli(*args, code=2).stderr


def test_restore_from_does_not_list_what_is_part_of_another_entry(shared):
    shared.run_cli("untrack", X, D)
    shared.run_cli("track", "data")
    for path in (X, D):
        told = shared.run_cli("restore", "--from", "HEAD", path, code=2).stderr
        assert f"HEAD:lazydata.yml lists {path}, and lazydata.yml now lists data/" in told
    shared.run_cli("untrack", "data")
    shared.run_cli("track", D + "new.jpg")
    told = shared.run_cli("restore", "--from", "HEAD", D, code=2).stderr
    assert f"lazydata.yml now lists {D}new.jpg" in told


# -- pull --rev


def test_pull_of_a_revision_fills_the_store_only(you, request):
    before = tree(you.root)
    told = you.json_cli("pull", "--rev", "HEAD~1")
    assert tree(you.root) == before
    assert told == {
        "rev": "HEAD~1",
        "paths": [X, D],
        "objects": 4,
        "size": told["size"],
        "left": [],
        "dry_run": False,
    }
    assert told["size"] == len(V1) + sum(map(len, FILES.values()))
    request.getfixturevalue("unreachable")
    you.git("switch", "-q", "--detach", "HEAD~1")
    you.tracker().track(X)
    you.tracker().track(D)
    assert you.read(X) == V1
    assert contents(you.root / D) == FILES


def test_pull_of_a_revision_says_what_came(you):
    out = you.run_cli("pull", "--rev", "HEAD~1").stdout
    assert out.startswith("Fetched 4 objects (")
    assert "for 2 entries as HEAD~1 lists them" in out
    again = you.run_cli("pull", "--rev", "HEAD~1").stdout
    assert again == "Nothing to fetch: the store has the 2 entries that HEAD~1 lists.\n"
    assert you.run_cli("pull", "--rev", "HEAD", "--quiet").stdout == ""


def test_pull_of_a_revision_by_path(you, digest):
    assert you.json_cli("pull", "--rev", "HEAD~1", X)["paths"] == [X]
    assert you.holds(V1)
    assert not you.holds(V2)
    part = you.json_cli("pull", "--rev", "HEAD~1", D + "cats/2.jpg")
    assert (part["paths"], part["objects"]) == ([D + "cats/2.jpg"], 1)
    assert digest(b"cat 2\n") in {digest(content) for content in stored(you).values()}
    assert digest(b"dog\n") not in {digest(content) for content in stored(you).values()}
    assert "has no typo" in you.run_cli("pull", "--rev", "HEAD", D + "typo", code=12).stderr


def test_dry_run_of_a_revision_fetches_no_data(you):
    told = you.json_cli("pull", "--rev", "HEAD~1", "--dry-run")
    assert (told["paths"], told["dry_run"]) == ([X, D], True)
    assert all(content.startswith(b"lazydata tree") for content in stored(you).values())
    assert not you.holds(V1)


def test_pull_of_a_revision_names_what_cannot_be_had(you, shared):
    record(shared, V3)
    commit(shared, "not pushed")
    you.git("fetch", "-q")
    done = you.run_cli("pull", "--rev", "origin/main", code=3)
    assert f"error: {X} (" in done.stderr
    assert "is neither here nor on a remote" in done.stderr
    assert "for 1 entry as origin/main lists them" in done.stdout


def test_pull_of_a_revision_asks_its_own_remotes_where_there_are_none_today(shared, new_desk):
    shared.run_cli("remove-remote", "origin")
    commit(shared, "no remote")
    you = cloned(shared, new_desk("you"))
    assert you.json_cli("pull", "--rev", "HEAD~1", X)["paths"] == [X]
    assert you.holds(V2)
    assert you.json_cli("pull", "--rev", "HEAD~2", X, "--remote", "origin")["objects"] == 1
    told = you.run_cli("pull", "--rev", "HEAD~2", D, "--remote", "other", code=2).stderr
    assert "there is no remote 'other'" in told
