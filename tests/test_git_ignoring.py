"""What is newly tracked is ignored by git; what git has already is told."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazydata.workspace.git_ignoring import _New, line_of

X = "data/x.csv"
D = "data/images/"


@pytest.fixture
def repo(project):
    """A workspace at the top of a repository, with one commit."""
    project.git("init", "-q")
    project.git("add", "lazydata.yml")
    project.git("commit", "-qm", "init")
    return project


def untracked(desk):
    """What `git add .` would take up, without lazydata's own file."""
    listed = desk.git("status", "--porcelain", "-z", "-uall").split("\0")
    return {row[3:] for row in listed if row} - {"lazydata.yml"}


def staged(desk):
    return desk.git("diff", "--cached", "--name-only")


def commands(text):
    """The commands that a message gives, without `git commit`."""
    return [each for each in re.findall(r"`(git [^`]+)`", text) if each != "git commit"]


# -- a line beside the file


def test_a_new_file_gets_a_line_beside_it(repo):
    repo.write(X, b"1")
    said = repo.tracker().track(X).said
    assert said == [f"Tracking a new file {X}", "Added /x.csv to data/.gitignore"]
    assert repo.read("data/.gitignore") == b"/x.csv\n"
    assert untracked(repo) == {"data/.gitignore"}
    assert staged(repo) == ""
    assert len(repo.git("log", "--oneline").splitlines()) == 1


def test_a_new_directory_gets_one_line(repo):
    repo.write(D + "1.jpg", b"1")
    repo.write("data/images.csv", b"1")
    assert repo.tracker().track(D).said[1:] == ["Added /images/ to data/.gitignore"]
    assert repo.read("data/.gitignore") == b"/images/\n"
    assert untracked(repo) == {"data/.gitignore", "data/images.csv"}


def test_a_file_at_the_top_and_one_of_the_same_name_below(repo):
    for path in ("x.csv", X):
        repo.write(path, b"1")
    repo.tracker().track("x.csv")
    assert repo.read(".gitignore") == b"/x.csv\n"
    assert untracked(repo) == {".gitignore", X}


def test_several_in_one_command(repo):
    names = [X, "data/y.csv", D, "other/z.csv"]
    for path in (X, "data/y.csv", D + "1.jpg", "other/z.csv"):
        repo.write(path, b"1")
    said = repo.run_cli("track", *names, "nope", code=3).stderr
    assert "Added /x.csv, /y.csv, /images/ to data/.gitignore" in said
    assert repo.read("data/.gitignore") == b"/x.csv\n/y.csv\n/images/\n"
    assert repo.read("other/.gitignore") == b"/z.csv\n"
    assert staged(repo) == ""


def test_a_version_more_adds_nothing(repo, record_twice):
    (repo.root / "data/.gitignore").unlink()
    repo.write(X, b"3")
    assert repo.tracker().track(X).said == [f"Tracked file {X} changed, recording a new version"]
    assert not (repo.root / "data/.gitignore").exists()


@pytest.fixture
def record_twice(repo):
    repo.record((X, b"1"), (X, b"2"))


@pytest.mark.parametrize("policy", ["warn", "error"])
def test_what_is_not_recorded_is_not_ignored(repo, policy):
    repo.write(X, b"1")
    repo.tracker().ask("track(path, on_change=policy)", path=X, policy=policy)
    assert not (repo.root / "data/.gitignore").exists()


ALPHABET = st.sampled_from("ab#! *?[]\\-^{}$\t\n\r:,é'\"\U0001f600\u0301")
NAMES = st.lists(
    st.text(ALPHABET, min_size=1, max_size=6).filter(lambda name: name.strip(". ")),
    min_size=2,
    max_size=30,
    unique=True,
)


@pytest.fixture(scope="module")
def bare_repo(tmp_path_factory):
    top = tmp_path_factory.mktemp("escaping")
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    return top


@settings(max_examples=60, deadline=None)
@given(NAMES, st.data())
def test_a_line_means_the_one_name(bare_repo, names, data):
    chosen = data.draw(st.sampled_from(names))
    line = line_of(_New(chosen, str(bare_repo / chosen)))
    # What a line can't hold is one character, whichever.
    odd = [n for n in names if n != chosen and re.sub("[\n\r]", "?", chosen) == n]
    (bare_repo / ".gitignore").write_bytes(os.fsencode(line) + b"\n")
    asked = [n for n in names if n not in odd]
    done = subprocess.run(
        ["git", "check-ignore", "-z", "--stdin"],
        input=b"".join(b"./" + os.fsencode(name) + b"\0" for name in asked),
        cwd=bare_repo,
        capture_output=True,
        check=False,
    )
    found = {os.fsdecode(each)[2:] for each in done.stdout.split(b"\0") if each}
    if "\n" not in chosen and "\r" not in chosen:
        assert found == {chosen}
    else:
        assert chosen in found


@pytest.mark.parametrize(
    "name", ["a b ", "#x", "!x", "a*", "[a]", "back\\slash", "?", "a\tb", ":x", "*", "  "]
)
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_names_that_mean_something_to_git(repo, name, kind):
    for other in ("a b", "x", "ab", "a", "b"):
        repo.write(f"data/{other}", b"1")
    repo.write(f"data/{name}" if kind == "file" else f"data/{name}/1", b"1")
    repo.git("add", "data/ab")
    repo.tracker().track(f"data/{name}")
    assert untracked(repo) == {"data/.gitignore"} | {
        f"data/{other}" for other in ("a b", "x", "ab", "a", "b")
    }


# -- a file that is there


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"/x.csv\n"),
        (b"*.tmp\n", b"*.tmp\n/x.csv\n"),
        (b"*.tmp", b"*.tmp\n/x.csv\n"),
        (b"# a\r\n*.tmp\r\n", b"# a\r\n*.tmp\r\n/x.csv\r\n"),
        (b"# a\r\n*.tmp", b"# a\r\n*.tmp\r\n/x.csv\r\n"),
        (b"\xff\xfe\n", b"\xff\xfe\n/x.csv\n"),
        (b"z\na\n", b"z\na\n/x.csv\n"),
        (b"!*.csv\n", b"!*.csv\n/x.csv\n"),
        (b"/x.csv\n!/x.csv\n", b"/x.csv\n!/x.csv\n"),  # somebody wants it otherwise
    ],
)
def test_what_is_in_the_file_stays(repo, before, after):
    repo.write(X, b"1")
    repo.write("data/.gitignore", before)
    (repo.root / "data/.gitignore").chmod(0o640)
    repo.tracker().track(X)
    assert repo.read("data/.gitignore") == after
    assert stat.S_IMODE((repo.root / "data/.gitignore").stat().st_mode) == 0o640


@pytest.mark.parametrize("rule", ["data/", "/data/x.csv", "*.csv", "x.csv"])
def test_what_git_ignores_already_gets_no_line(repo, rule):
    repo.write(".gitignore", rule + "\n")
    repo.write(X, b"1")
    assert repo.tracker().track(X).said == [f"Tracking a new file {X}"]
    assert not (repo.root / "data/.gitignore").exists()
    assert repo.read(".gitignore") == (rule + "\n").encode()


def test_only_the_users_own_ignore_file_is_enough(repo):
    repo.write(".git/info/exclude", "*.csv\n")
    repo.write(X, b"1")
    repo.tracker().track(X)
    assert not (repo.root / "data/.gitignore").exists()


@pytest.mark.parametrize("kind", ["symlink", "dangling", "directory"])
def test_an_ignore_file_that_is_none(repo, kind):
    elsewhere = repo.base / "elsewhere"
    there = repo.root / "data/.gitignore"
    repo.write(X, b"1")
    if kind == "symlink":
        elsewhere.write_bytes(b"mine\n")
    if kind in ("symlink", "dangling"):
        there.symlink_to(elsewhere)
    else:
        there.mkdir()
    said = repo.tracker().track(X).said
    assert len(said) == 2
    assert "/x.csv" in said[1]
    assert "data/.gitignore is" in said[1]
    assert repo.versions(X)
    assert elsewhere.read_bytes() == b"mine\n" if kind == "symlink" else not elsewhere.exists()


@pytest.mark.parametrize("what", ["file", "directory"])
def test_an_ignore_file_that_may_not_be_written(ordinary, what):
    ordinary.write(X, b"1")
    ordinary.write("data/.gitignore", "*.tmp\n")
    ordinary.write(".git/HEAD", "ref: refs/heads/main\n")
    for name in (".git/objects/x", ".git/refs/x"):
        ordinary.write(name, b"")
    target = ordinary.root / ("data/.gitignore" if what == "file" else "data")
    target.chmod(0o444 if what == "file" else 0o555)
    said = ordinary.tracker().track(X).said
    assert said[0] == f"Tracking a new file {X}"
    assert "permission denied" in said[1]
    assert "/x.csv" in said[1]
    assert ordinary.read("data/.gitignore") == b"*.tmp\n"
    assert ordinary.versions(X)


def test_two_processes_at_once_lose_no_line(repo):
    names = [f"data/{who}{n}" for who in "ab" for n in range(12)]
    for name in names:
        repo.write(name, name.encode())
    code = "import sys\nfrom lazydata import track\nfor name in sys.argv[1:]: track(name)"
    running = [repo.popen(code, *(n for n in names if n[5] == who)) for who in "ab"]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    lines = repo.read("data/.gitignore").decode().splitlines()
    assert sorted(lines) == sorted(f"/{name[5:]}" for name in names)


# -- what is in git already


def test_a_committed_file_gets_a_warning_and_no_line(repo):
    repo.write(X, b"1")
    repo.git("add", "-f", X)
    repo.git("commit", "-qm", "data")
    warned = repo.tracker().track(X).said[1]
    assert not (repo.root / "data/.gitignore").exists()
    assert commands(warned) == [f"git rm --cached -r -- {X}"]
    assert "`git commit`" in warned
    assert "history" in warned
    assert repo.git("ls-files", X).strip() == X
    repo._run(["sh", "-c", commands(warned)[0]], 0, None, None)
    assert repo.git("ls-files", X) == ""
    assert repo.read(X) == b"1"


@pytest.mark.parametrize("name", ["*.csv", ":x", "a b", "it's", "[ab]"])
@pytest.mark.parametrize("cwd", ["data", ".", "/", "nested"])
def test_the_command_takes_out_just_that_file(repo, name, cwd):
    for each in (name, "other.csv", "a", "b"):
        repo.write(f"data/{each}", b"1")
    repo.git("add", "data")
    repo.git("commit", "-qm", "data")
    where = repo.root / cwd
    if cwd == "nested":  # a repository of its own
        repo.git("init", "-q", cwd)
    warned = repo.tracker(cwd=where).track(str(repo.root / "data" / name)).said[1]
    (command,) = commands(warned)
    repo._run(["sh", "-c", command], 0, where, None)
    assert repo.git("diff", "--cached", "--name-only", "-z") == f"data/{name}\0"


def test_of_a_directory_the_committed_files_are_counted(repo):
    for number in range(5):
        repo.write(f"{D}{number}.jpg", b"1")
    repo.git("add", D + "1.jpg", D + "2.jpg")
    repo.git("commit", "-qm", "data")
    added, warned = repo.tracker().track(D).said[1:]
    assert added == "Added /images/ to data/.gitignore"
    assert warned.startswith(f"of {D} 2 files are committed in git already")
    assert commands(warned) == ["git rm --cached -r -- data/images"]
    repo._run(["sh", "-c", commands(warned)[0]], 0, None, None)
    assert untracked(repo) == {"data/.gitignore"} | {f"{D}{n}.jpg" for n in (1, 2)}  # as deleted


@pytest.mark.parametrize("count", [3, 501, 20_000])
def test_however_many_are_asked_for_at_once(repo, count):
    for name in ("data/7", D + "1", D + "deep/2", "data/imagesx", "other"):
        repo.write(name, b"1")
    repo.git("add", ".")
    asked = [f"data/{number}" for number in range(7, 7 + count)] + [D]
    done = repo.run_code(
        """
        import os, sys
        from lazydata.git import Git
        git = Git.holding(os.getcwd())
        asked = sys.stdin.read().split()
        print(*sorted(map(git.relative, git.committed(map(os.path.abspath, asked)))))
        """,
        input=" ".join(asked),
    )
    assert done.stdout.split() == ["data/7", D + "1", D + "deep/2"]


# -- whose repository


def test_outside_of_a_repository_nothing_is_written(project):
    project.write(X, b"1")
    assert project.tracker().track(X).said == [f"Tracking a new file {X}"]
    assert sorted(p.name for p in (project.root / "data").iterdir()) == ["x.csv"]


def test_a_repository_inside_of_the_workspace(repo):
    inner = repo.root / "vendor"
    repo.write("vendor/data/x.csv", b"1")
    repo.git("init", "-q", cwd=inner)
    repo.tracker().track("vendor/data/x.csv")
    assert repo.read("vendor/data/.gitignore") == b"/x.csv\n"
    assert repo.git("check-ignore", "data/x.csv", cwd=inner)


def test_a_workspace_below_the_top(desk, new_manifest):
    desk.git("init", "-q")
    desk.write("team/lazydata.yml", new_manifest)
    desk.write("team/data/x.csv", b"1")
    said = desk.tracker().track("team/data/x.csv").said
    assert said[1] == "Added /x.csv to data/.gitignore"
    assert desk.read("team/data/.gitignore") == b"/x.csv\n"


def test_a_linked_worktree(repo):
    other = repo.base / "other"
    repo.git("worktree", "add", "-q", str(other))
    (other / "data").mkdir()
    (other / X).write_bytes(b"1")
    repo.tracker(cwd=other).track(X)
    assert (other / "data/.gitignore").read_bytes() == b"/x.csv\n"


def test_where_a_symlink_leads_is_what_counts(repo):
    repo.write("big/x.csv", b"1")
    (repo.root / "data").symlink_to("big")
    repo.tracker().track(X)
    assert repo.read("big/.gitignore") == b"/x.csv\n"
    scratch = repo.base / "scratch"
    scratch.mkdir()
    (scratch / "y.csv").write_bytes(b"1")
    (repo.root / "far").symlink_to(scratch)
    repo.run_cli("config", "set", "allow", str(scratch))
    assert repo.tracker().track("far/y.csv").said == ["Tracking a new file far/y.csv"]
    assert [p.name for p in scratch.iterdir()] == ["y.csv"]


# -- git says no


def test_without_git_a_warning_once_a_process(repo, tmp_path):
    for path in (X, "data/y.csv"):
        repo.write(path, b"1")
    calls = repo.tracker(env={"PATH": str(tmp_path)})
    said = calls.track(X).said
    assert len(said) == 2
    assert "git was not found" in said[1]
    assert X in said[1]
    assert calls.track("data/y.csv").said == ["Tracking a new file data/y.csv"]
    assert repo.versions(X)
    assert repo.versions("data/y.csv")


def test_a_git_directory_that_is_broken(repo):
    (repo.root / ".git/HEAD").unlink()
    repo.write(X, b"1")
    said = repo.tracker().track(X).said
    assert "not a git repository" in said[1]
    assert repo.versions(X)
    assert repo.run_cli("track", X).stderr == ""


def test_a_git_directory_of_somebody_else(ordinary):
    if ordinary.user is None:
        pytest.skip("only root can make one")
    subprocess.run(["git", "init", "-q", str(ordinary.root)], check=True, env=ordinary.env)
    (ordinary.root / ".git").chmod(0o700)
    ordinary.write(X, b"1")
    said = ordinary.tracker().track(X).said
    assert len(said) == 2
    assert "git check-ignore failed" in said[1]
    assert ordinary.versions(X)


# -- gitignore: in the manifest


@pytest.mark.parametrize("said", ["false", "False", "FALSE # ours"])
@pytest.mark.parametrize("style", ["plain", "flow"])
def test_the_manifest_turns_it_off(repo, said, style):
    head = f"version: 2\ngitignore: {said}\n" + ("note: [a]\n" if style == "flow" else "")
    repo.write("lazydata.yml", head + "files:\n")
    for path in (X, "data/y.csv"):
        repo.write(path, b"1")
        assert repo.tracker().track(path).said == [f"Tracking a new file {path}"]
    assert not (repo.root / "data/.gitignore").exists()
    assert repo.read("lazydata.yml").decode().startswith(head)
    repo.write("lazydata.yml", repo.read("lazydata.yml").replace(said.encode(), b"true"))
    repo.write("data/z.csv", b"1")
    repo.tracker().track("data/z.csv")
    assert repo.read("data/.gitignore") == b"/z.csv\n"


def test_it_is_off_where_the_index_is_gone_too(repo):
    repo.write("lazydata.yml", "version: 2\ngitignore: false\nfiles:\n")
    (repo.lazydata_home / "index").parent.mkdir(exist_ok=True)
    (repo.lazydata_home / "index").write_bytes(b"")
    repo.write(X, b"1")
    repo.tracker().track(X)
    assert not (repo.root / "data/.gitignore").exists()


@pytest.mark.parametrize("value", ["no", "'false'", "0", "[]", "maybe", "~", "off"])
def test_only_true_and_false_are_read(repo, value):
    repo.write("lazydata.yml", f"version: 2\ngitignore: {value}\nfiles:\n")
    repo.write(X, b"1")
    failed = repo.tracker().refuse(X)
    assert failed.error[0] == "ManifestInvalid"
    assert (failed.line, failed.column) == (2, 12)
    assert "gitignore is true or false" in failed.message


# -- what it costs


@pytest.fixture
def counted(repo):
    """Run git through a program that notes each call; how many there were since the last time."""
    programs, log = repo.base / "bin", repo.base / "calls"
    programs.mkdir()
    real = shutil.which("git")
    (programs / "git").write_text(f'#!/bin/sh\necho "$@" >> "{log}"\nexec "{real}" "$@"\n')
    (programs / "git").chmod(0o755)

    def since():
        calls = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return len(calls)

    return {"PATH": f"{programs}:{os.environ['PATH']}"}, since


def test_one_process_where_nothing_is_to_be_done_and_two_at_most(repo, counted):
    env, calls = counted
    names = [f"data/{number}.csv" for number in range(20)]
    for name in [*names, "data/a.txt", "data/b.txt", "data/c.txt"]:
        repo.write(name, b"1")
    repo.write(".gitignore", "*.csv\n")
    repo.run_cli("track", *names, env=env)
    assert calls() == 1
    repo.git("add", "data/c.txt")
    repo.run_cli("track", "data/a.txt", "data/b.txt", "data/c.txt", env=env)
    assert calls() == 2
    assert repo.read("data/.gitignore") == b"/a.txt\n/b.txt\n"
    repo.run_cli("track", *names, "data/a.txt", env=env)
    repo.write("data/1.csv", b"2")
    repo.run_cli("track", "data/1.csv", env=env)
    repo.tracker(env=env).track("data/2.csv")
    assert calls() == 0


def test_a_call_on_what_is_unchanged_knows_no_git(repo):
    repo.record((X, b"1"))
    done = repo.run_code(
        f"import sys\nfrom lazydata import track\ntrack({X!r})\nprint(*sys.modules)", bare=True
    )
    assert {"lazydata.git", "lazydata.workspace.git_ignoring", "subprocess"}.isdisjoint(
        done.stdout.split()
    )
