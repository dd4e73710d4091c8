"""The data follows git: however git moves lazydata.yml, the next run has what it lists.

Each test has two branches: `main` lists v1 of the data, `other` a second version of it, v2. The
remote is a port that nobody may knock at, and git must find nothing to commit afterwards.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

KINDS = ("file", "directory")
WAYS = ("script", "living process", "track", "pull")
ABOVE = 'from lazydata import track\ntrack("{}")\n'
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}  # or nobody would even knock
FROM_HERE = ("-c", "protocol.file.allow=always")  # submodules by path


def text(label):
    return f"{label}\n".encode() * 900


class Data:
    """One tracked file or directory of a desk, in versions that go by a label."""

    def __init__(self, desk, kind):
        self.desk, self.kind = desk, kind
        self.path = "data/x.csv" if kind == "file" else "data/images/"

    def made(self, label):
        """What a version holds, by the path below; ``.`` for the file itself."""
        if self.kind == "file":
            return {".": text(label)}
        return {
            "same.jpg": text("the same"),
            "cats/1.jpg": text(label),
            f"only-{label}/1.jpg": text(label),
        }

    def put(self, label):
        self.lose()
        for path, content in self.made(label).items():
            self.desk.write(os.path.normpath(os.path.join(self.path, path)), content)

    def edit(self, content=b"an edit\n"):
        """Change what every version has, as another program would."""
        where = self.path if self.kind == "file" else self.path + "cats/1.jpg"
        self.desk.write(where, content)

    def edited(self):
        where = self.desk.root / self.path
        return (where if self.kind == "file" else where / "cats/1.jpg").read_bytes()

    def lose(self):
        where = self.desk.root / self.path
        if where.is_dir():
            shutil.rmtree(where)
        else:
            where.unlink(missing_ok=True)

    def there(self):
        where = self.desk.root / self.path
        if where.is_file():
            return {".": where.read_bytes()}
        return {
            path.relative_to(where).as_posix(): path.read_bytes()
            for path in where.rglob("*")
            if path.is_file()
        }


class Repo:
    """A desk at a git repository with data, and the way that its data is brought."""

    def __init__(self, desk, kind, way="script"):
        self.desk, self.data, self.way = desk, Data(desk, kind), way
        self.git, self.tracker = desk.git, None
        desk.env |= KEYS

    def run(self, code=0):
        """Run the script, or what stands for it."""
        if self.way == "living process":
            self.tracker = self.tracker or self.desk.tracker()
            reply = self.tracker.ask("value = track(path)", path=self.data.path)
            assert bool(reply.error) == bool(code), (reply.error, reply.text, reply.stderr)
            return SimpleNamespace(stderr=reply.stderr + reply.text)
        if self.way == "script":
            return self.desk.run_script(self.desk.root / "read.py", code=code)
        return self.desk.run_cli(self.way, self.data.path.rstrip("/"), code=code)

    def brings(self, label, *, dirty=False, twice=False):
        """The next run brings a version, and writes nothing of git's; one more says nothing."""
        before = self.desk.state()
        done = self.run()
        if twice:
            assert self.run().stderr == ""
        assert self.data.there() == self.data.made(label)
        assert self.desk.state() == before
        assert dirty or self.git("status", "--porcelain") == ""
        return done

    def records(self, label):
        self.data.put(label)
        self.desk.run_script(self.desk.root / "read.py")

    def commit(self, message="some work"):
        self.git("add", ".")
        self.git("commit", "-qm", message)


@pytest.fixture(scope="module")
def wire():
    """A port at which whoever asks the remote would be seen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def offline(wire):
    yield
    with pytest.raises(BlockingIOError):
        wire.accept()[0].close()


def found(desk, kind, wire, manifest):
    """A repository: v1 on main, v2 on other, which is one commit ahead."""
    desk.write("lazydata.yml", manifest)
    desk.git("init", "-q", "-b", "main")
    repo = Repo(desk, kind)
    desk.write(".gitignore", "/data/\n__pycache__/\n")
    desk.write("read.py", ABOVE.format(repo.data.path))
    port = wire.getsockname()[1]
    desk.run_cli(
        *("add-remote", "s3://bucket/some", "--endpoint", f"http://127.0.0.1:{port}", "--no-check")
    )
    repo.records("v1")
    repo.commit("v1")
    desk.git("switch", "-qc", "other")
    repo.records("v2")
    repo.commit("v2")
    desk.git("switch", "-q", "main")
    assert repo.run().stderr  # the data is v1 again
    return repo


@pytest.fixture(scope="module")
def founded(tmp_path_factory, desk_at, new_manifest, wire):
    """Such a repository of each kind, which no test changes."""
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = found(desk_at(tmp_path_factory.mktemp(kind)), kind, wire, new_manifest)
        return made[kind]

    return get


@pytest.fixture
def repo_of(founded, new_desk, offline):
    """A copy of one, for this test."""

    def make(kind, way="script"):
        source = founded(kind).desk
        desk = new_desk("me")
        shutil.rmtree(desk.base)
        shutil.copytree(source.base, desk.base, symlinks=True)
        desk.git("update-index", "-q", "--refresh")
        repo = Repo(desk, kind, way)
        assert repo.data.there() == repo.data.made("v1")
        return repo

    return make


@pytest.fixture(params=[("file", "script"), ("directory", "living process")], ids=" in a ".join)
def repo(repo_of, request):
    """One of each kind: with a new process for each run, and with one that sees git move."""
    return repo_of(*request.param)


@pytest.fixture(params=KINDS)
def scripted(repo_of, request):
    """One of each kind, where a script tracks the data."""
    return repo_of(request.param)


# -- switching


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_switching_brings_the_version_of_each_branch(repo_of, kind, way):
    repo = repo_of(kind, way)
    for branch, label in (("other", "v2"), ("main", "v1")):
        repo.git("switch", "-q", branch)
        done = repo.brings(label, twice=True)
        assert repo.data.path in done.stderr


def test_data_that_is_missing_comes_in_the_version_of_the_branch(repo):
    repo.data.lose()
    repo.git("switch", "-q", "other")
    repo.brings("v2")
    repo.git("switch", "-q", "main")
    repo.data.lose()
    repo.brings("v1")


def test_status_tells_what_a_switch_has_outdated(scripted):
    repo = scripted
    repo.git("switch", "-q", "other")
    (row,) = repo.desk.json_cli("status", "--check", code=4)["files"]
    assert (row["path"], row["state"]) == (repo.data.path, "outdated")
    repo.run()
    (row,) = repo.desk.json_cli("status", "--check")["files"]
    assert row["state"] == "ok"


def test_detached_head(repo):
    repo.git("switch", "-q", "--detach", "other")
    repo.brings("v2")
    repo.git("switch", "-q", "--detach", "HEAD~1")
    repo.brings("v1")


def test_commit_from_before_the_data_was_tracked_and_back(scripted):
    repo = scripted
    repo.git("switch", "-q", "--orphan", "before")
    assert not repo.desk.manifest_file.exists()
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing yet")
    assert repo.data.there() == repo.data.made("v1")  # git leaves what it ignores
    repo.git("switch", "-q", "other")
    repo.brings("v2")


# -- an edit before the switch


SWITCHES = [("main", "other", "v1", "v2"), ("other", "main", "v2", "v1")]


@pytest.fixture(params=SWITCHES, ids=lambda case: f"{case[0]} to {case[1]}")
def edited(repo, request):
    """The data was changed on one branch, recorded nowhere, and then git went to the other."""
    was, now, label, repo.label = request.param
    repo.git("switch", "-q", was)
    repo.brings(label)
    repo.data.edit()
    repo.git("switch", "-q", now)
    return repo


def test_edit_before_the_switch_becomes_a_version_after_that_of_the_branch(edited):
    before = edited.desk.versions(edited.data.path)
    done = edited.run()
    after = edited.desk.versions(edited.data.path)
    assert after[:-1] == before  # the branch's own are all there, and it comes last
    assert edited.data.edited() == b"an edit\n"
    assert before[-1].removeprefix("blake3:")[:12] in done.stderr  # the one that is not there
    state = edited.desk.state()
    assert edited.run().stderr == ""
    assert edited.desk.state() == state

    edited.commit("my edit")
    for branch, label in (("other", "v2"), ("main", "v1")):
        if branch != edited.git("branch", "--show-current").strip():
            edited.git("switch", "-q", branch)
            edited.brings(label)
            edited.git("switch", "-q", "-")
            edited.run()
            assert edited.data.edited() == b"an edit\n"


def test_edit_before_the_switch_is_an_error_where_changes_are(edited):
    env = {"LAZYDATA_ON_CHANGE": "error"}
    there, state = edited.data.there(), edited.desk.state()
    done = edited.desk.run_script(edited.desk.root / "read.py", code=1, env=env)
    assert "FileChanged" in done.stderr
    assert edited.data.path in done.stderr
    assert edited.data.there() == there
    assert edited.desk.state() == state
    assert edited.git("status", "--porcelain") == ""


def test_edit_before_the_switch_is_left_alone_by_pull(edited):
    state = edited.desk.state()
    done = edited.desk.run_cli("pull", edited.data.path.rstrip("/"), code=3)
    assert edited.data.path in done.stderr
    assert edited.data.edited() == b"an edit\n"
    assert edited.desk.state() == state


def test_edits_that_touch_other_files_of_a_directory_are_joined(repo_of):
    repo = repo_of("directory")
    repo.desk.write("data/images/same.jpg", b"an edit\n")
    repo.git("switch", "-q", "other")
    repo.run()
    assert repo.data.there() == repo.data.made("v2") | {"same.jpg": b"an edit\n"}
    assert len(repo.desk.versions(repo.data.path)) == 3


def test_recorded_edit_whose_manifest_git_threw_away_can_be_had_back(repo, restore_command):
    repo.data.edit()
    repo.run()
    repo.git("switch", "-q", "--discard-changes", "other")
    done = repo.brings("v2")
    repo.desk.run_cli(*restore_command(done.stderr))
    assert repo.data.edited() == b"an edit\n"


def test_switch_that_leaves_conflict_markers_touches_no_data(repo):
    repo.data.edit()
    repo.run()
    subprocess.run(
        ["git", "switch", "-q", "-m", "other"],
        cwd=repo.desk.root,
        env=repo.desk.env,
        capture_output=True,
        check=False,
    )
    state = repo.desk.state()
    assert b"<<<<<<<" in state[0]
    done = repo.run(code=1)
    assert "lazydata.yml" in done.stderr
    assert repo.desk.state() == state
    assert repo.data.edited() == b"an edit\n"
    repo.git("checkout", "-q", "HEAD", "--", "lazydata.yml")
    repo.brings("v2")


# -- what moves commits


def test_rebase_stops_and_goes_on(repo):
    repo.desk.write("notes.txt", "main went on\n")
    repo.commit("notes")
    repo.git("switch", "-q", "other")
    repo.brings("v2")
    repo.git("-c", "sequence.editor=sed -i 1ibreak", "rebase", "-q", "-i", "main")
    repo.brings("v1")
    repo.git("rebase", "--continue")
    assert repo.git("branch", "--show-current").strip() == "other"
    repo.brings("v2")
    repo.git("reset", "-q", "--hard", "ORIG_HEAD")
    repo.brings("v2")


def test_rebase_whose_steps_run_the_script(repo_of):
    repo = repo_of("file")
    repo.desk.write("notes.txt", "main went on\n")
    repo.commit("notes")
    repo.git("switch", "-q", "other")
    words = repo.desk.python("script", "read.py")
    repo.git("rebase", "-q", "main", "--exec", " ".join(words) + " && cp data/x.csv ../seen")
    assert (repo.desk.base / "seen").read_bytes() == text("v2")
    repo.brings("v2")


def test_stash_and_stash_pop_of_a_recorded_edit(repo):
    repo.data.put("v3")
    repo.run()
    repo.git("stash", "-q")
    repo.brings("v1")
    repo.git("stash", "pop", "-q")
    repo.brings("v3", dirty=True)
    assert repo.git("status", "--porcelain") == " M lazydata.yml\n"


def test_stash_of_an_edit_that_was_not_recorded_leaves_it_where_it_is(repo):
    repo.desk.write("read.py", repo.desk.read("read.py") + b"# more\n")
    repo.data.edit()
    repo.git("stash", "-q")
    before = repo.desk.versions(repo.data.path)
    repo.run()
    assert repo.data.edited() == b"an edit\n"
    assert repo.desk.versions(repo.data.path)[:-1] == before


def test_stash_of_everything_that_is_ignored_as_well(repo):
    repo.git("stash", "-q", "--all")
    assert not (repo.desk.root / ".lazydata").exists()
    assert repo.data.there() == {}
    repo.brings("v1")


def test_cherry_pick_and_revert(repo):
    repo.git("cherry-pick", "other")
    repo.brings("v2")
    repo.git("revert", "--no-edit", "HEAD")
    repo.brings("v1")


def test_reset_hard_and_back(repo):
    repo.git("switch", "-q", "other")
    repo.brings("v2")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.brings("v1")
    repo.git("reset", "-q", "--hard", "ORIG_HEAD")
    repo.brings("v2")


def test_reset_hard_keeps_an_edit_that_was_not_recorded(repo):
    repo.data.edit()
    repo.git("reset", "-q", "--hard", "other")
    versions = repo.desk.versions(repo.data.path)
    repo.run()
    assert repo.data.edited() == b"an edit\n"
    assert repo.desk.versions(repo.data.path)[:-1] == versions


def test_reset_hard_of_a_recorded_edit_says_how_to_get_it_back(repo, restore_command):
    repo.data.edit()
    repo.run()
    repo.git("reset", "-q", "--hard")
    done = repo.brings("v1")
    repo.desk.run_cli(*restore_command(done.stderr))
    assert repo.data.edited() == b"an edit\n"


def test_clean_removes_all_that_git_ignores_and_the_next_run_brings_it(repo):
    repo.git("clean", "-qxdf")
    assert sorted(os.listdir(repo.desk.root)) == [".git", ".gitignore", "lazydata.yml", "read.py"]
    repo.brings("v1")
    repo.git("switch", "-q", "other")
    repo.git("clean", "-qxdf")
    repo.brings("v2")
    repo.git("switch", "-q", "main")
    repo.brings("v1")


def test_clean_of_the_memory_alone(repo):
    """`git clean -xdf -e /data/`: F is listed on the branch, or it is told how to undo that."""
    repo.git("clean", "-qxdf", "-e", "/data/")
    assert repo.data.there() == repo.data.made("v1")
    repo.git("switch", "-q", "other")
    repo.brings("v2")  # which lists v1 as well, so nothing is new
    repo.git("switch", "-q", "main")
    repo.brings("v1")


# -- a merge


@pytest.fixture
def diverged(repo):
    """Main has v3 where other has v2; v3 is in place."""
    repo.data.put("v3")
    repo.desk.run_script(repo.desk.root / "read.py")
    repo.commit("v3")
    return repo


@pytest.mark.parametrize("how", ["-Xtheirs", "-Xours"])
def test_merge_that_takes_one_side(diverged, how, restore_command, digest):
    diverged.git("merge", "-q", "--no-edit", how, "other")
    done = diverged.brings("v2" if how == "-Xtheirs" else "v3")
    if how == "-Xours":
        assert done.stderr == ""
        return
    diverged.desk.run_cli(*restore_command(done.stderr))  # ours was recorded, so it is not lost
    assert diverged.data.there() == diverged.data.made("v3")


def test_conflict_that_is_settled_with_theirs(diverged):
    merged = subprocess.run(
        ["git", "merge", "-q", "other"],
        cwd=diverged.desk.root,
        env=diverged.desk.env,
        capture_output=True,
        check=False,
    )
    assert merged.returncode == 1
    state = diverged.desk.state()
    done = diverged.run(code=1)
    assert "lazydata.yml" in done.stderr
    assert diverged.desk.state() == state
    assert diverged.data.there() == diverged.data.made("v3")

    diverged.git("checkout", "-q", "--theirs", "lazydata.yml")
    diverged.commit("theirs")
    diverged.brings("v2")
    diverged.git("reset", "-q", "--hard", "HEAD~1")
    diverged.brings("v3")


# -- more than one tree of files


def popen(desk, root):
    command = desk.python("script", str(root / "read.py"))
    return subprocess.Popen(command, cwd=root, env=desk.env, stderr=subprocess.PIPE, text=True)


def second_tree(repo, *words):
    """Another work tree of the same home, and so with the same store."""
    root = repo.desk.base / "second"
    repo.git("worktree", "add", "-q", *words, str(root), "other")
    desk = type(repo.desk)(repo.desk.base, root=root)
    return Repo(desk, repo.data.kind)


def test_two_worktrees_at_two_versions_at_once(scripted):
    first, second = scripted, second_tree(scripted)
    processes = [popen(first.desk, each.desk.root) for each in (first, second) for _ in range(2)]
    for process in processes:
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
    for each, label in ((first, "v1"), (second, "v2")):
        assert each.brings(label).stderr == ""


def test_edit_in_one_worktree_stays_there(repo):
    second = second_tree(repo)
    second.brings("v2")
    second.data.put("v3")
    second.run()
    second.commit("v3")
    repo.brings("v1")
    repo.git("switch", "-q", "--detach", "other")
    repo.brings("v3")
    second.git("switch", "-q", "--detach", "main")
    second.brings("v1")


@pytest.mark.usefixtures("no_reflink")
def test_worktrees_with_hardlinks_of_one_object_do_not_write_into_each_other(repo_of):
    repo = repo_of("file")
    repo.desk.run_cli("config", "set", "link", "hardlink")
    second = second_tree(repo, "--detach")
    for each in (repo, second):
        each.git("switch", "-q", "--detach", "other")
        each.data.lose()
        each.brings("v2")
    assert os.path.samefile(repo.desk.root / repo.data.path, second.desk.root / second.data.path)
    second.desk.run_code('import lazydata\nopen("data/x.csv", "r+").write("an edit")')
    assert second.data.edited() != text("v2")
    repo.brings("v2")
    assert repo.desk.holds(text("v2"))


def test_bare_clone_that_is_checked_out_elsewhere(repo):
    bare, root = repo.desk.base / "bare.git", repo.desk.base / "deployed"
    repo.git("clone", "-q", "--bare", str(repo.desk.root), str(bare))
    deployed = Repo(type(repo.desk)(repo.desk.base, root=root), repo.data.kind)

    def git(*words):
        return repo.git(f"--git-dir={bare}", f"--work-tree={root}", *words)

    deployed.git = git
    for branch, label in (("main", "v1"), ("other", "v2"), ("main", "v1")):
        git("checkout", "-q", "-f", branch)
        deployed.brings(label)
    assert not (root / ".git").exists()


def test_directory_without_any_git(repo):
    texts = {
        branch: repo.git("show", f"{branch}:lazydata.yml").encode() for branch in ("main", "other")
    }
    shutil.rmtree(repo.desk.root / ".git")
    repo.git = lambda *words: ""
    for branch, label in (("other", "v2"), ("main", "v1"), ("other", "v2")):
        repo.desk.write("lazydata.yml", texts[branch])
        repo.brings(label)


# -- parts of a repository


@pytest.fixture
def nested(repo):
    """A workspace in the workspace, with an entry of its own kind, committed on both branches."""
    team = Repo(type(repo.desk)(repo.desk.base, root=repo.desk.root / "teams/a"), repo.data.kind)
    repo.desk.run_cli("init", "--nested", "teams/a")
    team.desk.write("read.py", repo.desk.read("read.py"))
    team.desk.write(".gitignore", "/data/\n")
    team.records("t1")
    repo.commit("a team")
    repo.git("switch", "-q", "other")
    repo.git("cherry-pick", "main")
    team.records("t2")
    repo.commit("t2")
    repo.git("switch", "-q", "main")
    return team


def test_sparse_checkout_without_a_nested_workspace_and_with_it_again(repo, nested):
    nested.brings("t1")
    repo.git("sparse-checkout", "set", "docs")
    assert not nested.desk.manifest_file.exists()
    for branch, label in (("other", "v2"), ("main", "v1"), ("other", "v2")):
        repo.git("switch", "-q", branch)
        repo.brings(label)
    repo.git("sparse-checkout", "set", "teams/a")
    nested.brings("t2")
    repo.brings("v2")
    repo.git("sparse-checkout", "disable")
    repo.git("switch", "-q", "main")
    nested.brings("t1")
    repo.brings("v1")


def test_nested_workspaces_follow_one_switch(repo, nested):
    for branch, label, inner in (("other", "v2", "t2"), ("main", "v1", "t1")):
        repo.git("switch", "-q", branch)
        repo.brings(label)
        nested.brings(inner)
    repo.git("switch", "-q", "other")
    repo.desk.run_cli("pull", "-r")
    assert repo.data.there() == repo.data.made("v2")
    assert nested.data.there() == nested.data.made("t2")


def test_submodule_with_a_manifest_of_its_own(repo, founded):
    source = str(founded(repo.data.kind).desk.root)
    sub = Repo(type(repo.desk)(repo.desk.base, root=repo.desk.root / "sub"), repo.data.kind)
    shutil.rmtree(sub.desk.root)
    repo.git(*FROM_HERE, "submodule", "add", "-q", "-b", "main", source, "sub")
    repo.commit("a submodule")
    repo.git("switch", "-qc", "newer")
    sub.git("switch", "-q", "-C", "other", "origin/other")
    repo.commit("its newer commit")
    sub.brings("v2")
    repo.brings("v1")  # that of the workspace around it

    for branch, label in (("main", "v1"), ("newer", "v2"), ("main", "v1")):
        repo.git(*FROM_HERE, "switch", "-q", "--recurse-submodules", branch)
        sub.brings(label)
        repo.brings("v1")
    assert (sub.desk.root / ".git").is_file()
    assert (sub.desk.root / ".lazydata").is_dir()


def test_script_above_tracks_what_lies_in_a_submodule(repo_of, founded):
    repo = repo_of("file")
    source = str(founded("file").desk.root)
    repo.git(*FROM_HERE, "submodule", "add", "-q", source, "sub")
    repo.desk.write("both.py", ABOVE.format("data/x.csv") + 'track("sub/data/x.csv")\n')
    for branch, label in (("other", "v2"), ("main", "v1")):
        repo.git("switch", "-q", "-C", branch, f"origin/{branch}", cwd=repo.desk.root / "sub")
        before = repo.desk.read("sub/lazydata.yml")
        repo.desk.run_script(Path(repo.desk.root / "both.py"))
        assert repo.desk.read("sub/data/x.csv") == text(label)
        assert repo.desk.read("sub/lazydata.yml") == before
    assert repo.data.there() == repo.data.made("v1")


# -- one path, listed in two ways

APART = (
    "a file's baseline knows nothing of the directory that brought the file since, nor the reverse"
)


@pytest.fixture
def joined(repo_of):
    """Main lists two files one by one; the branch `joined` their directory, and one is changed."""
    repo = repo_of("file")
    for name in "ab":
        repo.desk.write(f"data/parts/{name}", text(f"main's {name}"))
    repo.desk.run_cli("track", "data/parts/a", "data/parts/b")
    repo.commit("one by one")
    repo.git("switch", "-qc", "joined")
    repo.desk.run_cli("untrack", "data/parts")
    repo.desk.write("data/parts/a", text("joined's a"))
    repo.desk.run_cli("track", "data/parts")
    repo.commit("as a whole")
    return repo


def test_files_of_a_joined_directory_are_never_lost(joined):
    for branch, paths in (("main", ["data/parts/a", "data/parts/b"]), ("joined", ["data/parts"])):
        joined.git("switch", "-q", branch)
        joined.desk.run_cli("track", *paths)
        joined.git("checkout", "-q", "lazydata.yml")
        joined.desk.run_cli("restore", *paths)
        assert joined.desk.read("data/parts/a") == text(f"{branch}'s a")
        assert joined.desk.read("data/parts/b") == text("main's b")
        assert joined.git("status", "--porcelain") == ""


@pytest.mark.xfail(reason=APART, strict=True)
@pytest.mark.parametrize("back", [False, True], ids=["one by one", "as a whole"])
def test_joined_directory_follows_a_switch(joined, back):
    joined.git("switch", "-q", "main")
    if back:
        joined.desk.run_cli("restore", "data/parts/a", "data/parts/b")
        joined.git("switch", "-q", "joined")
    joined.desk.run_cli("track", *(["data/parts"] if back else ["data/parts/a", "data/parts/b"]))
    assert joined.desk.read("data/parts/a") == text("joined's a" if back else "main's a")
    assert joined.git("status", "--porcelain") == ""


def test_file_on_one_branch_that_is_a_directory_on_the_other(repo_of):
    """No version of the one can take the place of the other: it is told, and nothing is lost."""
    repo = repo_of("file")
    repo.git("switch", "-qc", "directory")
    repo.desk.run_cli("untrack", "data/x.csv")
    repo.data.lose()
    repo.desk.write("data/x.csv/1", text("in a directory"))
    repo.desk.run_cli("track", "data/x.csv")
    repo.commit("a directory")
    repo.git("switch", "-q", "main")
    state = repo.desk.state()
    done = repo.run(code=1)
    assert "data/x.csv is a directory now" in done.stderr
    assert repo.desk.state() == state
    assert repo.desk.read("data/x.csv/1") == text("in a directory")
    shutil.rmtree(repo.desk.root / "data/x.csv")  # as the message says
    repo.brings("v1")
    repo.git("switch", "-q", "directory")
    done = repo.run(code=1)
    assert "data/x.csv" in done.stderr
    assert repo.data.there() == repo.data.made("v1")
