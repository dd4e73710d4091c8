"""The merge driver, called by the real git: merge, rebase, cherry-pick, revert, stash."""

import subprocess
import sys

import pytest

# Stands in for the merge: writes down what the sides are called, and takes theirs.
RECORDER = """
import sys, types
module = types.ModuleType("lazydata.manifest.merge")
def merge(base, ours, theirs, *, our_name, their_name, file):
    with open(r"{file}", "a") as told:
        print(our_name, their_name, file, sep=" | ", file=told)
    return types.SimpleNamespace(text=theirs, conflicts=())
module.merge = merge
sys.modules[module.__name__] = module
"""


def run_git(desk, *args, code=0, env=None):
    done = subprocess.run(
        ["git", *args],
        cwd=desk.root,
        env=desk.env | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert code is None or bool(done.returncode) == bool(code), done.stdout + done.stderr
    return done


def said(done):
    """What the driver said; a rebase passes it on behind its own progress."""
    lines = (done.stdout + done.stderr).replace("\r", "\n").splitlines()
    return [line for line in lines if line.startswith("lazydata: ")]


def commit(desk, message):
    desk.git("add", "-A")
    desk.git("commit", "-q", "-m", message)


@pytest.fixture
def repo(project):
    """A repository with the driver, and data/x.csv."""
    python = f'"{sys.executable}"'
    project.write(".gitignore", "data/\n")
    project.write(".gitattributes", "lazydata.yml merge=lazydata\n")
    project.git("init", "-q", "-b", "main")
    driver = f"{python} -m lazydata git merge-driver %O %A %B %L %P"
    project.git("config", "merge.lazydata.driver", driver)
    project.record(("data/x.csv", b"v1"))
    commit(project, "first")
    return project


@pytest.fixture
def diverged(repo):
    """Both branches have added a version to data/x.csv; topic is checked out."""
    repo.git("branch", "topic")
    repo.record(("data/x.csv", b"mine"))
    commit(repo, "mine")
    repo.git("switch", "-q", "topic")
    repo.record(("data/x.csv", b"theirs"))
    commit(repo, "theirs")
    return repo


# What the sides are called


@pytest.fixture
def names(diverged, tmp_path):
    """Run git with a driver that only writes down what the sides are called."""
    (tmp_path / "site").mkdir()
    told = tmp_path / "told"
    (tmp_path / "site/sitecustomize.py").write_text(RECORDER.format(file=told))
    path = f"{tmp_path / 'site'}:{diverged.env['PYTHONPATH']}"

    def run(*args, **more):
        told.write_text("")
        run_git(diverged, *args, env={"PYTHONPATH": path}, **more)
        return [tuple(line.split(" | ")[:2]) for line in told.read_text().splitlines()]

    return run


def test_merge_names_both_branches(diverged, names):
    diverged.git("switch", "-q", "main")
    assert names("merge", "--no-edit", "topic") == [("main", "topic")]


def test_merge_of_a_commit_names_the_branch_that_it_is_on(diverged, names):
    diverged.git("switch", "-q", "main")
    theirs = diverged.git("rev-parse", "topic").strip()
    assert names("merge", "--no-edit", theirs) == [("main", "topic")]


def test_commits_without_a_branch_have_short_ids(diverged, names):
    diverged.git("switch", "-q", "--detach", "main")
    ours = diverged.git("rev-parse", "HEAD").strip()
    theirs = diverged.git("rev-parse", "topic").strip()
    diverged.git("branch", "-qf", "main", "HEAD~1")
    diverged.git("branch", "-qD", "topic")
    short = (f"commit {ours[:10]}", f"commit {theirs[:10]}")
    assert names("merge", "--no-edit", theirs) == [short]


def test_pull_names_the_branch_that_came(diverged, names, new_desk):
    other = new_desk("other")
    other.git("clone", "-q", "-b", "main", str(diverged.root), ".")
    diverged.git("remote", "add", "up", str(other.root))
    assert names("pull", "-q", "--no-rebase", "--no-edit", "up", "main") == [("topic", "main")]


@pytest.mark.parametrize("how", ["--merge", "--apply"])
def test_rebase_names_what_is_put_on_what(names, how):
    """Git has swapped them: "ours" is the branch that the commits of the other are put on."""
    ((ours, theirs),) = names("rebase", how, "main")
    assert ours == "main"
    assert theirs == "topic"


def test_cherry_picks(diverged, names):
    diverged.record(("data/y.csv", b"y"))
    commit(diverged, "more")
    first = diverged.git("rev-parse", "topic~1").strip()
    diverged.git("switch", "-q", "main")
    assert names("cherry-pick", "topic~1", "topic")[0] == ("main", f"commit {first[:7]}")
    diverged.git("reset", "-q", "--hard", "HEAD~2")
    assert names("cherry-pick", "topic~1") == [("main", "what is applied")]


def test_stash_has_a_name(diverged, names):
    diverged.record(("data/x.csv", b"later"))
    diverged.git("stash", "-q")
    diverged.git("switch", "-q", "main")
    assert names("stash", "pop") == [("main", "the stash")]


# The merge


def state(desk):
    """Clean, or conflicted."""
    return desk.git("status", "--porcelain", "lazydata.yml")[:2].strip()


def test_different_paths_merge_without_a_word(repo):
    repo.git("switch", "-qc", "topic")
    repo.record(("data/y.csv", b"y"))
    commit(repo, "y")
    repo.git("switch", "-q", "main")
    repo.record(("data/z.csv", b"z"))
    commit(repo, "z")
    done = run_git(repo, "merge", "--no-edit", "topic")
    assert said(done) == []
    assert {item["path"] for item in repo.items()} == {"data/x.csv", "data/y.csv", "data/z.csv"}
    repo.run_cli("status", "--check")


@pytest.mark.parametrize(
    ("branch", "command", "names"),
    [
        ("main", ("merge", "--no-edit", "topic"), "main and on topic"),
        ("topic", ("rebase", "main"), "main and on topic"),
        ("main", ("cherry-pick", "topic"), "main and on what is applied"),
    ],
)
def test_both_versions_stay_where_both_sides_added_one(diverged, digest, branch, command, names):
    diverged.git("switch", "-q", branch)
    done = run_git(diverged, *command, code=1)
    (line,) = said(done)
    assert line.startswith(f"lazydata: lazydata.yml: data/x.csv was changed on {names};")
    assert state(diverged) == "UU"
    versions = [digest(each) for each in (b"v1", b"theirs", b"mine")]
    assert diverged.versions("data/x.csv") == versions
    text = diverged.read("lazydata.yml").decode()
    assert "<<<<" not in text
    assert "topic" in text or "what is applied" in text  # the note
    diverged.run_cli("pull", "data/x.csv")  # it works meanwhile
    assert diverged.read("data/x.csv") == b"mine"


def test_stash_pop(diverged, digest):
    diverged.record(("data/x.csv", b"later"))
    diverged.git("stash", "-q")
    diverged.git("switch", "-q", "main")
    done = run_git(diverged, "stash", "pop", code=1)
    assert "on main and on the stash" in said(done)[0]
    assert diverged.versions("data/x.csv")[-1] == digest(b"mine")
    assert digest(b"later") in diverged.versions("data/x.csv")


def test_merge_in_a_linked_work_tree(diverged, tmp_path):
    linked = tmp_path / "linked"
    diverged.git("worktree", "add", "-q", str(linked), "main")
    done = run_git(diverged, "-C", str(linked), "merge", "--no-edit", "topic", code=1)
    assert "on main and on topic" in said(done)[0]


def test_criss_cross_merge(diverged, digest):
    """Git merges the two bases first, and these diverge; that was settled since."""
    before = {name: diverged.git("rev-parse", name).strip() for name in ("main", "topic")}
    for branch, other in (("main", "topic"), ("topic", "main")):
        diverged.git("switch", "-q", branch)
        run_git(diverged, "merge", "--no-edit", before[other], code=1)
        lines = diverged.read("lazydata.yml").decode().splitlines(keepends=True)
        diverged.write("lazydata.yml", "".join(line for line in lines if "#" not in line))
        commit(diverged, "settled")
    assert len(diverged.git("merge-base", "--all", "main", "topic").split()) == 2
    done = run_git(diverged, "merge", "--no-edit", "main")
    assert said(done) == []
    assert diverged.versions("data/x.csv") == [digest(b) for b in (b"v1", b"mine", b"theirs")]
    assert "#" not in diverged.read("lazydata.yml").decode().partition("files:")[2]


# Where it can't be merged by entry


def broken(desk, text):
    desk.write("lazydata.yml", text)
    commit(desk, "broken")


def test_side_that_can_not_be_read_is_merged_by_lines(diverged):
    text = diverged.read("lazydata.yml").decode()
    broken(diverged, text + "files: again\n")
    diverged.git("switch", "-q", "main")
    done = run_git(diverged, "merge", "--no-edit", "topic", code=1)
    (line,) = said(done)
    assert line.startswith("lazydata: lazydata.yml is merged by lines, since ")
    assert state(diverged) == "UU"
    merged = diverged.read("lazydata.yml").decode()
    assert "<<<<<<< main" in merged
    assert ">>>>>>> topic" in merged
    assert "files: again" in merged


def test_lines_that_fit_are_looked_at_all_the_same(repo):
    """Git sees no conflict; nobody could read the result."""
    repo.git("switch", "-qc", "topic")
    text = repo.read("lazydata.yml").decode()
    broken(repo, text + "\n" * 9 + "files: again\n")
    repo.git("switch", "-q", "main")
    repo.write("lazydata.yml", "# mine\n" + text)
    commit(repo, "mine")
    done = run_git(repo, "merge", "--no-edit", "topic", code=1)
    assert "merged by lines" in said(done)[0]
    assert state(repo) == "UU"
    merged = repo.read("lazydata.yml").decode()
    assert "# mine" in merged
    assert "files: again" in merged


def test_side_that_is_no_text_is_left(repo):
    repo.git("switch", "-qc", "topic")
    broken(repo, b"\0\xff")
    repo.git("switch", "-q", "main")
    repo.record(("data/x.csv", b"v2"))
    commit(repo, "mine")
    before = repo.read("lazydata.yml")
    done = run_git(repo, "merge", "--no-edit", "topic", code=1)
    assert "is as it is on main" in said(done)[0]
    assert (repo.read("lazydata.yml"), state(repo)) == (before, "UU")


def test_driver_loads_no_command_framework_and_no_sdk(diverged):
    diverged.git("switch", "-q", "main")
    driver = diverged.git("config", "merge.lazydata.driver").strip()
    traced = driver.replace(" -m ", " -X importtime -m ")
    env = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
    change = f"merge.lazydata.driver={traced}"
    done = run_git(diverged, "-c", change, "merge", "--no-edit", "topic", code=1, env=env)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "lazydata.cli.plumbing" in loaded
    heavy = {"typer", "click", "rich", "boto3", "botocore", "asyncssh", "asyncio", "ruamel"}
    assert {name.partition(".")[0] for name in loaded}.isdisjoint(heavy)
    assert "lazydata.workspace" not in loaded
