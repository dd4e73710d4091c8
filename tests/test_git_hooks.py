"""Hooks of git: what a push would publish without its data, and what a checkout made outdated."""

import os
import shutil
import subprocess
import sys

import pytest

HOOKS = ("pre-push", "post-checkout", "post-merge")


def install(desk, *names, repository=".git"):
    """Write hooks as `lazydata git install --hooks` does."""
    directory = desk.root / repository / "hooks"
    directory.mkdir(exist_ok=True)
    for name in names or HOOKS:
        hook = directory / name
        hook.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lazydata git hook {name} "$@"\n')
        hook.chmod(0o755)


def run_git(desk, *args, cwd=None, env=None):
    """A git command, with what it and its hooks said, and how it ended."""
    return subprocess.run(
        ["git", *args],
        cwd=cwd or desk.root,
        env=desk.env | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def said(done):
    return [line for line in done.stderr.splitlines() if line.startswith("lazydata: ")]


def commit(desk, message="x", cwd=None):
    desk.git("add", "-A", cwd=cwd)
    desk.git("commit", "-q", "-m", message, cwd=cwd)


@pytest.fixture
def repo(project, tmp_path):
    """A repository with hooks, a git remote, and a lazydata remote that has data/x.csv at v1."""
    (tmp_path / "remote").mkdir()
    remote = f"remotes:\n  origin:\n    url: {(tmp_path / 'remote').as_uri()}\n    project: p\n"
    project.write("lazydata.yml", project.read("lazydata.yml") + remote.encode())
    project.write("data/x.csv", "v1")
    project.write(".gitignore", "data/\n")
    project.run_code(
        """
        from lazydata.cli.running import run
        assert run(["track", "data/x.csv"]) == run(["push"]) == 0
        """
    )
    script = """
        git init -q -b main && git init -q -b main --bare "$1" && git remote add origin "$1" &&
        git add -A && git commit -q -m first && git push -q origin main
    """
    origin = str(tmp_path / "origin.git")
    subprocess.run(
        ["sh", "-e", "-c", script, "sh", origin], cwd=project.root, env=project.env, check=True
    )
    install(project)
    return project


def refs(desk):
    return desk.git("for-each-ref", cwd=desk.base.parent / "origin.git")


# Before a push


def test_push_of_a_version_that_no_remote_has_is_refused(repo, digest):
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    before = refs(repo)
    done = run_git(repo, "push", "origin", "main")
    assert done.returncode != 0
    assert said(done) == [
        "lazydata: this push would publish a version that no remote is known to have:",
        f"lazydata:   data/x.csv {digest(b'v2')[7:19]}",
        "lazydata: `lazydata push` uploads it; "
        "`git push --no-verify` publishes lazydata.yml without it",
    ]
    assert refs(repo) == before


def test_push_goes_on_once_the_data_was_pushed(repo):
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    repo.run_cli("push")
    done = run_git(repo, "push", "origin", "main")
    assert (done.returncode, said(done)) == (0, [])


def test_push_without_the_hook_publishes(repo):
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    assert run_git(repo, "push", "--no-verify", "origin", "main").returncode == 0


def test_push_makes_no_request(repo, tmp_path):
    """The remote can't be reached: what is known of it is enough, for a yes and for a no."""
    repo.record(("data/x.csv", b"v2"))
    repo.run_cli("push")
    commit(repo)
    shutil.rmtree(tmp_path / "remote")
    assert run_git(repo, "push", "origin", "main").returncode == 0
    repo.record(("data/x.csv", b"v3"))
    commit(repo)
    done = run_git(repo, "push", "origin", "main")
    assert done.returncode != 0
    assert "data/x.csv" in done.stderr


def test_push_of_a_manifest_without_a_remote_is_nobodys_business(repo):
    repo.run_cli("remove-remote", "origin")
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    done = run_git(repo, "push", "origin", "main")
    assert (done.returncode, said(done)) == (0, [])


def test_push_knows_nothing_of_what_was_never_here(repo, new_desk, tmp_path):
    other = new_desk("other")
    other.git("clone", "-q", str(tmp_path / "origin.git"), ".")
    install(other)
    other.write("lazydata.yml", other.read("lazydata.yml") + b"# mine\n")
    commit(other)
    done = run_git(other, "push", "origin", "main")
    assert (done.returncode, said(done)) == (0, [])


def test_push_that_does_not_change_the_manifest_is_not_looked_at(repo):
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    repo.git("push", "-q", "--no-verify", "origin", "main")
    repo.write("code.py", "pass\n")
    commit(repo)
    assert run_git(repo, "push", "origin", "main").returncode == 0


def test_push_of_a_new_branch_is_looked_at_whole(repo):
    repo.git("switch", "-qc", "topic")
    repo.record(("data/x.csv", b"v2"), ("data/y.csv", b"y"))
    commit(repo)
    done = run_git(repo, "push", "origin", "topic")
    assert done.returncode != 0
    assert "2 versions" in done.stderr
    assert "data/y.csv" in done.stderr


def test_push_over_a_history_that_is_not_known_here(repo, new_desk, tmp_path):
    other = new_desk("other")
    other.git("clone", "-q", str(tmp_path / "origin.git"), ".")
    other.write("code.py", "pass\n")
    commit(other)
    other.git("push", "-q", "origin", "main")
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    assert "data/x.csv" in run_git(repo, "push", "--force", "origin", "main").stderr
    repo.run_cli("push")
    assert run_git(repo, "push", "--force", "origin", "main").returncode == 0


def test_deletion_is_let_through(repo):
    repo.git("push", "-q", "origin", "main:old")
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    assert run_git(repo, "push", "origin", ":old").returncode == 0


def test_push_of_tags(repo):
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    repo.git("tag", "-a", "v2", "-m", "v2")
    assert "data/x.csv" in run_git(repo, "push", "origin", "v2").stderr
    blob = repo.git("rev-parse", "HEAD:lazydata.yml").strip()
    repo.git("tag", "text", blob)
    assert run_git(repo, "push", "origin", "text").returncode == 0


def test_push_of_a_branch_that_is_not_checked_out(repo, digest, tmp_path, new_desk):
    """What it lists is read from git, and `lazydata push` would not send it."""
    repo.git("switch", "-qc", "topic")
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    repo.git("switch", "-q", "main")
    done = run_git(repo, "push", "origin", "topic")
    assert done.returncode != 0
    assert "`git -c lazydata.hooks.push=auto push …` uploads it" in done.stderr
    done = run_git(repo, "-c", "lazydata.hooks.push=auto", "push", "origin", "topic")
    assert done.returncode == 0, done.stderr
    assert said(done) == ["lazydata: uploaded 1 object to origin"]
    other = new_desk("other")
    other.git("clone", "-q", "-b", "topic", str(tmp_path / "origin.git"), ".")
    other.run_cli("pull", "data/x.csv")
    assert other.read("data/x.csv") == b"v2"


def test_upload_that_fails_refuses_the_push(repo):
    repo.git("config", "lazydata.hooks.push", "auto")
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    (repo.root / "data/x.csv").unlink()
    repo.damage(repo.object(b"v2"))
    before = refs(repo)
    done = run_git(repo, "push", "origin", "main")
    assert done.returncode != 0
    assert "not pushed, since the data could not be uploaded" in done.stderr
    assert refs(repo) == before


def test_upload_of_a_directory(repo, tmp_path, new_desk):
    repo.git("config", "lazydata.hooks.push", "auto")
    for name in "abc":
        repo.write(f"data/images/{name}.jpg", name)
    repo.run_cli("track", "data/images")
    commit(repo)
    assert run_git(repo, "push", "origin", "main").returncode == 0
    other = new_desk("other")
    other.git("clone", "-q", str(tmp_path / "origin.git"), ".")
    other.run_cli("pull", "data/images")
    assert other.read("data/images/b.jpg") == b"b"


def test_unknown_setting_is_told_and_refuses(repo):
    repo.git("config", "lazydata.hooks.push", "maybe")
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    done = run_git(repo, "push", "origin", "main")
    assert done.returncode != 0
    assert "lazydata.hooks.push is maybe, and may be refuse or auto" in done.stderr


def test_paths_beyond_ten_are_counted(repo):
    repo.record(*((f"data/{n:02}.csv", b"%d" % n) for n in range(12)))
    commit(repo)
    lines = said(run_git(repo, "push", "origin", "main"))
    assert len([line for line in lines if ".csv" in line]) == 10
    assert lines[-2] == "lazydata:   and 2 more paths"


def test_older_versions_count_as_well(repo):
    repo.record(("data/x.csv", b"v2"))
    repo.record(("data/x.csv", b"v3"))
    commit(repo)
    lines = said(run_git(repo, "push", "origin", "main"))
    assert "2 versions" in lines[0]
    assert lines[1].endswith("and 1 older")


def test_nested_workspaces_are_looked_at_where_they_changed(repo, tmp_path):
    repo.run_cli("init", "--nested", "team")
    repo.run_cli("add-remote", tmp_path / "remote", cwd=repo.root / "team")
    repo.record(("data/x.csv", b"v2"), ("team/data/z.csv", b"z"))
    commit(repo)
    repo.run_cli("push")
    lines = said(run_git(repo, "push", "origin", "main", cwd=repo.root / "team"))
    assert [line for line in lines if "data/" in line] == [lines[1]]
    assert lines[1].startswith("lazydata:   data/z.csv ")  # as seen from where one is
    assert "`lazydata push`" in lines[2]
    lines = said(run_git(repo, "push", "origin", "main"))
    assert lines[1].startswith("lazydata:   team/data/z.csv ")
    assert "`lazydata push team`" in lines[2]


def test_workspace_that_is_not_checked_out(repo, tmp_path):
    """The directory is gone, and so is what it remembers; the store is what is left to ask."""
    repo.git("switch", "-qc", "topic")
    repo.run_cli("init", "--nested", "team")
    repo.run_cli("add-remote", tmp_path / "remote", cwd=repo.root / "team")
    repo.record(("team/data/z.csv", b"z"))
    commit(repo)
    repo.git("switch", "-q", "main")
    shutil.rmtree(repo.root / "team")
    assert "team/data/z.csv" in run_git(repo, "push", "origin", "topic").stderr
    done = run_git(repo, "-c", "lazydata.hooks.push=auto", "push", "origin", "topic")
    assert done.returncode != 0
    assert "check that branch out" in done.stderr


def test_what_another_work_tree_pushed_is_pushed(repo, tmp_path):
    repo.record(("data/x.csv", b"v2"))
    repo.run_cli("push")
    commit(repo)
    linked = tmp_path / "linked"
    repo.git("worktree", "add", "-q", "-b", "other", str(linked))
    assert run_git(repo, "push", "origin", "other", cwd=linked).returncode == 0
    repo.run_code("from lazydata import track; track('data/x.csv')", cwd=linked)
    (linked / "data/x.csv").unlink()
    (linked / "data/x.csv").write_bytes(b"v3")
    repo.run_code("from lazydata import track; track('data/x.csv')", cwd=linked)
    commit(repo, cwd=linked)
    lines = said(run_git(repo, "push", "origin", "other", cwd=linked))
    assert "a version" in lines[0]


def test_manifest_that_can_not_be_read_is_told(repo):
    repo.write("sub/lazydata.yml", "version: 2\nfiles: 3\n")
    commit(repo)
    done = run_git(repo, "push", "origin", "main")
    assert done.returncode == 0
    (line,) = said(done)
    assert "sub/lazydata.yml" in line
    assert "nobody can tell" in line


def test_file_that_is_no_manifest_is_none(repo):
    (repo.root / "sub").mkdir()
    os.symlink("../lazydata.yml", repo.root / "sub/lazydata.yml")
    repo.write("lazydata.yml.orig", "x")
    repo.write("other/lazydata.yml/file", "x")
    commit(repo)
    done = run_git(repo, "push", "origin", "main")
    assert (done.returncode, said(done)) == (0, [])


def test_pre_commit_gives_its_revisions_in_its_own_way(repo):
    before = repo.git("rev-parse", "HEAD").strip()
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    after = repo.git("rev-parse", "HEAD").strip()

    def check(code, **env):
        return repo.run_cli("git", "hook", "pre-push", code=code, env={"PRE_COMMIT": "1"} | env)

    both = {"PRE_COMMIT_FROM_REF": before, "PRE_COMMIT_TO_REF": after}
    assert "data/x.csv" in check(1, **both).stderr
    assert check(0, PRE_COMMIT_FROM_REF=after, PRE_COMMIT_TO_REF=after).stderr == ""
    assert "data/x.csv" in check(1, PRE_COMMIT_LOCAL_BRANCH="refs/heads/main").stderr
    repo.git("switch", "-qc", "old", before)
    assert check(0).stderr == ""


def test_push_from_a_bare_repository(repo, tmp_path):
    repo.git("clone", "-q", "--bare", str(tmp_path / "origin.git"), str(tmp_path / "bare.git"))
    install(repo, "pre-push", repository=tmp_path / "bare.git")
    done = run_git(repo, "push", "origin", "main:other", cwd=tmp_path / "bare.git")
    assert (done.returncode, said(done)) == (0, [])


# After a checkout or a merge


@pytest.fixture
def branches(repo):
    """data/x.csv is v1 on main, and v2 on topic, which is checked out."""
    repo.git("switch", "-qc", "topic")
    repo.record(("data/x.csv", b"v2"))
    commit(repo)
    return repo


TOLD = "lazydata: outdated now: data/x.csv; track() or `lazydata pull` updates it"


def test_switch_tells_what_is_outdated(branches):
    done = run_git(branches, "switch", "main")
    assert (done.returncode, said(done)) == (0, [TOLD])
    assert branches.read("data/x.csv") == b"v2"
    branches.run_cli("pull")
    assert branches.read("data/x.csv") == b"v1"
    assert said(run_git(branches, "switch", "topic")) == [TOLD]


def test_switch_back_says_nothing_of_what_is_right(branches):
    branches.git("switch", "-q", "main")
    assert said(run_git(branches, "switch", "topic")) == []


def test_silence_where_nothing_became_outdated(branches, tmp_path):
    assert said(run_git(branches, "switch", "-c", "more")) == []
    branches.write("code.py", "pass\n")
    commit(branches)
    assert said(run_git(branches, "switch", "topic")) == []
    assert said(run_git(branches, "checkout", "main", "--", "lazydata.yml")) == []
    assert said(run_git(branches, "checkout", "topic", "--", "lazydata.yml")) == []
    assert said(run_git(branches, "worktree", "add", str(tmp_path / "linked"), "main")) == []
    (branches.root / "data/x.csv").unlink()  # track() restores it, whatever it is to be
    assert said(run_git(branches, "switch", "-d", "main")) == []


def test_file_that_was_edited_is_none_of_ours(branches):
    """Its edit is newer than both; track() records it."""
    branches.git("switch", "-q", "main")
    branches.run_cli("pull")
    branches.write("data/x.csv", b"edited, and looked at")
    branches.run_cli("status")
    assert said(run_git(branches, "switch", "topic")) == []


def test_merge_tells_what_is_outdated(branches):
    branches.git("switch", "-q", "main")
    branches.run_cli("pull")
    assert said(run_git(branches, "merge", "topic")) == [TOLD]
    branches.git("reset", "-q", "--hard", "HEAD@{1}")
    branches.write("code.py", "pass\n")
    commit(branches)
    assert said(run_git(branches, "merge", "--no-edit", "topic")) == [TOLD]
    branches.git("reset", "-q", "--hard", "HEAD~1")
    assert said(run_git(branches, "merge", "--squash", "topic")) == [TOLD]


def test_rebase_is_left_in_peace(branches):
    branches.git("switch", "-q", "main")
    branches.write("code.py", "pass\n")
    commit(branches)
    branches.git("switch", "-q", "topic")
    done = run_git(branches, "rebase", "main")
    assert (done.returncode, said(done)) == (0, [])


def test_names_beyond_five_are_counted(branches):
    branches.record(*((f"data/{n}.csv", b"1") for n in range(7)))
    commit(branches)
    branches.git("switch", "-qc", "more")
    branches.record(*((f"data/{n}.csv", b"2") for n in range(7)))
    commit(branches)
    (line,) = said(run_git(branches, "switch", "topic"))
    assert line.count(".csv") == 5
    assert "and 2 more" in line


def test_tracked_directory_is_told_as_a_whole(repo):
    repo.write("data/images/a.jpg", "1")
    repo.run_cli("track", "data/images")
    commit(repo)
    repo.git("switch", "-qc", "topic")
    repo.write("data/images/a.jpg", "2")
    repo.run_cli("track", "data/images")
    commit(repo)
    (line,) = said(run_git(repo, "switch", "main"))
    assert "outdated now: data/images/;" in line


def test_nested_workspaces_are_in_one_line(repo):
    repo.run_cli("init", "--nested", "team")
    repo.record(("team/z.csv", b"1"))
    commit(repo)
    repo.git("switch", "-qc", "topic")
    repo.record(("team/z.csv", b"2"), ("data/x.csv", b"v2"))
    commit(repo)
    (line,) = said(run_git(repo, "switch", "main"))
    assert "data/x.csv, team/z.csv; track() or `lazydata pull . team` updates them" in line


def test_restore_brings_what_is_outdated_from_the_store(branches, tmp_path):
    branches.git("config", "lazydata.hooks.checkout", "restore")
    shutil.rmtree(tmp_path / "remote")  # nobody asks it
    before = branches.git("show", "main:lazydata.yml").encode()
    assert said(run_git(branches, "switch", "main")) == [
        "lazydata: updated from the store: data/x.csv"
    ]
    assert branches.read("data/x.csv") == b"v1"
    assert branches.read("lazydata.yml") == before
    branches.git("merge", "-q", "topic")
    assert branches.read("data/x.csv") == b"v2"
    assert branches.json_cli("status")["files"][0]["state"] == "ok"


def test_restore_leaves_an_edit_alone(branches):
    branches.git("config", "lazydata.hooks.checkout", "restore")
    branches.write("data/x.csv", b"edited, which nobody saw")
    (line,) = said(run_git(branches, "switch", "main"))
    assert line == "lazydata: edited here, and left alone: data/x.csv"
    assert branches.read("data/x.csv") == b"edited, which nobody saw"
    assert b"v2" not in branches.read("lazydata.yml")
    assert branches.versions("data/x.csv") == branches.versions("data/x.csv")[:1]


def test_restore_says_what_the_store_lacks_and_asks_no_remote(branches):
    branches.git("config", "lazydata.hooks.checkout", "restore")
    branches.lose(b"v1")
    (line,) = said(run_git(branches, "switch", "main"))
    assert line == "lazydata: still outdated: data/x.csv (`lazydata pull` tells why)"
    assert branches.read("data/x.csv") == b"v2"
    assert not branches.holds(b"v1")


def test_restore_never_puts_damage_in_place(branches):
    branches.git("config", "lazydata.hooks.checkout", "restore")
    branches.damage(branches.object(b"v1"))
    done = run_git(branches, "switch", "main")
    assert done.returncode == 0
    assert "still outdated: data/x.csv" in done.stderr
    assert branches.read("data/x.csv") == b"v2"


def test_restore_of_a_directory(repo, tmp_path):
    repo.git("config", "lazydata.hooks.checkout", "restore")
    repo.write("data/images/a.jpg", "1")
    repo.write("data/images/b.jpg", "1")
    repo.run_cli("track", "data/images")
    commit(repo)
    repo.git("switch", "-qc", "topic")
    repo.write("data/images/a.jpg", "2")
    repo.run_cli("track", "data/images")
    commit(repo)
    shutil.rmtree(tmp_path / "remote")
    assert said(run_git(repo, "switch", "main")) == [
        "lazydata: updated from the store: data/images/"
    ]
    assert repo.read("data/images/a.jpg") == b"1"
    repo.write("data/images/b.jpg", "edited")
    (line,) = said(run_git(repo, "switch", "topic"))
    assert "left alone: data/images/" in line
    assert repo.read("data/images/b.jpg") == b"edited"


def test_hook_never_fails_a_checkout(branches):
    branches.git("switch", "-qc", "broken", "main")
    branches.write("sub/lazydata.yml", "version: 2\nfiles: 3\n")
    commit(branches)
    branches.git("switch", "-q", "topic")
    done = run_git(branches, "switch", "broken")
    assert done.returncode == 0
    broken, others = said(done)
    assert "could not be told" in broken
    assert "sub/lazydata.yml" in broken
    assert others == TOLD
    branches.write("lazydata.yml", "version: 2\nfiles: 3\n")
    commit(branches)
    done = run_git(
        branches, "switch", "main"
    )  # what it was can't be compared with: all is looked at
    assert (done.returncode, said(done)) == (0, [TOLD])


def test_unknown_hook_is_refused(repo):
    done = repo.run_cli("git", "hook", "pre-commit", code=2)
    assert "pre-push, post-checkout and post-merge" in done.stderr
    repo.run_cli("git", "hook", code=2)
    repo.run_cli("git", "merge-driver", "one", code=2)


def test_hook_outside_of_a_repository_does_nothing(project):
    assert project.run_cli("git", "hook", "post-checkout", "a", "b", "1").stderr == ""


def test_hooks_load_no_command_framework_and_no_sdk(branches):
    """Neither those that find nothing nor those that tell."""
    heavy = "typer|click|rich|boto3|botocore|asyncssh|asyncio|ruamel"
    hook = branches.root / ".git/hooks/post-checkout"
    text = hook.read_text().replace(" -m lazydata", " -X importtime -m lazydata")
    hook.write_text(
        text.replace("exec", "export COVERAGE_PROCESS_START= COVERAGE_PROCESS_CONFIG=\nexec")
    )
    done = run_git(branches, "switch", "main")
    assert TOLD in done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lazydata.workspace.git_outdated" in loaded
    assert {name.partition(".")[0] for name in loaded}.isdisjoint(heavy.split("|"))
