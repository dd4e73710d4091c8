"""What CI does: other kinds of checkout, `LAZYDATA_ON_CHANGE=error`, and data out of a cache."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

X, D, CAT = "data/x.csv", "data/images/", "data/images/cats/1.jpg"
FILES = {
    X: b"one,two\n" * 900,
    CAT: b"cat 1\n",
    D + "cats/2.jpg": b"cat 2\n",
    D + "dogs/1.bin": bytes(range(256)) * 512,
}
SCRIPT = f"""
import os
from lazydata import track
print(os.path.getsize(track({X!r})), len(os.listdir(track({D!r}))))
"""
CI = {"CI": "true", "GITHUB_ACTIONS": "true", "LAZYDATA_ON_CHANGE": "error"}
PRINTED = f"{len(FILES[X])} 2\n"


def fill(desk, files=FILES):
    for path, content in files.items():
        desk.write(path, content)


def set_up(desk, remote):
    desk.git("init", "-q", "-b", "main")
    desk.write(".gitignore", "/data/\n")
    desk.write("my_script.py", SCRIPT)
    fill(desk)
    desk.run_cli("add-remote", remote)
    for number in "12":  # so that there is some history to be cut off
        desk.write("notes.txt", number)
        desk.run_script(desk.root / "my_script.py")
        desk.git("add", ".")
        desk.git("commit", "-qm", number)
    desk.run_cli("push")


@pytest.fixture(scope="module")
def origin(tmp_path_factory, desk_at, new_manifest):
    """A repository whose data is on a remote; no test changes it."""
    base = tmp_path_factory.mktemp("origin")
    desk = desk_at(base / "me")
    desk.write("lazydata.yml", new_manifest)
    set_up(desk, base / "remote")
    return desk


def shallow(origin, desk):
    desk.git("clone", "-q", "--depth", "1", f"file://{origin.root}", str(desk.root), cwd=desk.base)
    assert desk.git("rev-parse", "--is-shallow-repository") == "true\n"


def whole(origin, desk):
    desk.git("clone", "-q", str(origin.root), str(desk.root), cwd=desk.base)


def container(origin, desk):
    """As an image has it: the files of a commit, and no .git anywhere above."""
    archive = desk.base / "archive.tar"
    origin.git("archive", "-o", str(archive), "HEAD")
    subprocess.run(["tar", "-xf", archive, "-C", desk.root], check=True)


@pytest.fixture
def checked_out(origin, new_desk):
    """Check it out in another home, in one of several ways."""

    def make(how=whole, name="runner"):
        desk = new_desk(name)
        desk.env |= CI
        how(origin, desk)
        return desk

    return make


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, desk_at, origin):
    """A clone that has all of its data; no test changes it."""
    desk = desk_at(tmp_path_factory.mktemp("prepared") / "runner")
    desk.env |= CI
    whole(origin, desk)
    desk.run_cli("pull", ".")
    return desk


@pytest.fixture
def runner(prepared, checked_out):
    """The same, of this test."""

    def copy(_, desk):
        shutil.rmtree(desk.base)
        shutil.copytree(prepared.base, desk.base, symlinks=True)
        desk.git("update-index", "-q", "--refresh")

    return checked_out(copy)


def snapshot(*roots):
    """Every path below some directories, with all that moves when it is written."""
    return {
        path: (s.st_mode, s.st_ino, s.st_nlink, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
        for root in roots
        for path in [root, *root.rglob("*")]
        for s in [path.lstat()]
        if ".git" not in path.parts
    }


def run(desk, code=0, **more):
    return desk.run_script(desk.root / "my_script.py", code=code, **more)


def written(desk):
    """All that the project and the store are, down to the times."""
    return snapshot(desk.root, desk.lazydata_home / "store")


# -- kinds of checkout


@pytest.mark.parametrize("how", [whole, shallow, container])
def test_checkout_gets_its_data_and_writes_nothing_more(checked_out, how):
    desk = checked_out(how)
    before = desk.state()
    done = run(desk)
    assert done.stdout == PRINTED
    assert {path: desk.read(path) for path in FILES} == FILES
    assert desk.state() == before
    assert all(line.startswith("lazydata: ") for line in done.stderr.splitlines())
    assert not {"\r", "\x1b"} & set(done.stderr)
    after = written(desk)
    done = run(desk)
    assert (done.stdout, done.stderr) == (PRINTED, "")
    assert written(desk) == after
    if how is not container:
        assert desk.git("status", "--porcelain") == ""


@pytest.mark.parametrize("how", [shallow, container])
def test_commands_need_no_history(checked_out, how):
    desk = checked_out(how)
    before = desk.state()
    desk.run_cli("status", "--check")  # what never was here is fine
    desk.run_cli("pull", "my_script.py")
    assert {path: desk.read(path) for path in FILES} == FILES
    desk.run_cli("status", "--check")
    desk.run_cli("verify")
    assert desk.state() == before


def test_data_that_came_with_the_image_is_used_as_it_is(checked_out):
    """Nothing has to be remembered of it, and least of all is it copied into a store."""
    desk = checked_out(container)
    fill(desk)
    desk.run_cli("status", "--check")
    before = snapshot(desk.root)
    done = run(desk)
    assert (done.stdout, done.stderr) == (PRINTED, "")
    assert snapshot(desk.root) == before
    assert not [path for path in (desk.lazydata_home / "store").rglob("*") if path.is_file()]


def test_git_that_is_not_there_is_not_missed(checked_out, tmp_path):
    desk = checked_out(shallow)
    assert run(desk, env={"PATH": str(tmp_path)}).stdout == PRINTED


def test_git_directory_that_can_not_be_read_is_not_missed(checked_out):
    desk = checked_out()
    shutil.rmtree(desk.root / ".git")
    desk.write(".git", "gitdir: /nowhere/at/all\n")
    assert run(desk).stdout == PRINTED


# -- a change


CHANGES = {
    X: (X, b"another table\n"),
    "a file of a directory": (CAT, b"another cat\n"),
    "a file more in a directory": (D + "cats/3.jpg", b"cat 3\n"),
    "a file less in a directory": (CAT, None),
}


@pytest.fixture(params=CHANGES)
def changed(runner, request):
    """The clone with one change, and the path that has to be named."""
    path, content = CHANGES[request.param]
    if content is None:
        (runner.root / path).unlink()
    else:
        runner.write(path, content)
    return runner, X if path == X else D


def test_change_fails_loudly_and_nothing_is_written(changed):
    desk, named = changed
    before = written(desk)
    for _ in range(2):
        done = run(desk, code=1)
        assert "FileChanged" in done.stderr
        assert f"{named} has changed" in done.stderr.splitlines()[-1]
    assert written(desk) == before


def test_change_is_found_by_status_check(changed):
    desk, named = changed
    before = written(desk)
    states = {f["path"]: f["state"] for f in desk.json_cli("status", "--check", code=4)["files"]}
    assert states.pop(named) == "modified"
    assert set(states.values()) == {"ok"}
    assert named in desk.run_cli("status", "--check", code=4).stdout
    assert written(desk) == before


@pytest.mark.parametrize("path", ["data/y.csv", "data/more/"])
def test_data_that_is_not_listed_fails_and_nothing_is_written(runner, path):
    runner.write(path if path.endswith("csv") else path + "1", b"new\n")
    source = f"from lazydata import track\ntrack({path!r})\n"
    runner.write("other.py", source)
    before = written(runner)
    done = runner.run_script(runner.root / "other.py", code=1)
    assert f"{path} is not in lazydata.yml" in done.stderr.splitlines()[-1]
    assert written(runner) == before


def test_missing_data_that_no_remote_has_fails_and_names_it(checked_out, origin):
    desk = checked_out()
    remote = origin.base.parent / "remote"
    aside = remote.rename(remote.with_name("aside"))
    remote.mkdir()
    try:
        before = desk.state()
        done = run(desk, code=1)
    finally:
        shutil.rmtree(remote)
        aside.rename(remote)
    assert X in done.stderr.splitlines()[-1]
    assert desk.state() == before


def test_what_git_moved_is_updated(runner, origin):
    """Only what would be recorded is an error."""
    text = runner.read("lazydata.yml")
    runner.write(X, b"another table\n")
    runner.run_cli("track", X)
    newer = runner.read("lazydata.yml")
    for manifest, content in ((text, FILES[X]), (newer, b"another table\n")):
        runner.write("lazydata.yml", manifest)
        run(runner)
        assert (runner.read(X), runner.read("lazydata.yml")) == (content, manifest)


# -- a restored cache


CACHED = {
    "data": ["work/data"],
    "the store": ["home/lazydata/store"],
    "data and store": ["work/data", "home/lazydata/store"],
    "all there is": ["work/data", "work/.lazydata", "home/lazydata"],
    "data and memory": ["work/data", "work/.lazydata"],
}


@pytest.mark.parametrize(
    ("cached", "on_change"),
    [*((cached, "error") for cached in CACHED), ("data", "version"), ("all there is", "version")],
)
def test_restored_cache_is_settled_and_records_nothing(runner, checked_out, cached, on_change):
    """New inodes, new times, and the index of another machine."""
    desk = checked_out(shallow, "next")
    env = {"LAZYDATA_ON_CHANGE": on_change}
    for path in CACHED[cached]:
        shutil.copytree(
            runner.base / path,
            desk.base / path,
            symlinks=True,
            dirs_exist_ok=True,
            copy_function=shutil.copyfile,
        )
    now = time.time_ns()
    for path in desk.root.joinpath("data").rglob("*"):
        os.utime(path, ns=(now, now))
    before = desk.state()
    desk.run_cli("status", "--check", env=env)
    done = run(desk, env=env)
    assert done.stdout == PRINTED
    assert "recording" not in done.stderr
    if "work/data" in CACHED[cached]:
        assert done.stderr == ""
    assert desk.state() == before
    assert desk.git("status", "--porcelain") == ""
    assert {path: desk.read(path) for path in FILES} == FILES
    desk.run_cli("status", "--check", env=env)


def test_cache_of_another_commit_is_brought_up_to_date(runner, checked_out):
    """The data of an older version, and nothing that remembers where it came from."""
    runner.write(X, b"a newer table\n")
    runner.run_cli("track", X)
    desk = checked_out(shallow, "next")
    desk.write("lazydata.yml", runner.read("lazydata.yml"))
    fill(desk)
    shutil.copytree(
        runner.lazydata_home / "store", desk.lazydata_home / "store", dirs_exist_ok=True
    )
    desk.run_cli("status", "--check", code=4)
    before = desk.state()
    done = run(desk)
    assert f"Updating {X} to the version in lazydata.yml" in done.stderr
    assert desk.read(X) == b"a newer table\n"
    assert desk.state() == before
    desk.run_cli("status", "--check")


# -- a checkout that can't be written


@pytest.fixture(params=["known", "unknown"])
def belongs_to_another(ordinary, request):
    """A workspace with data, that the user may read; with its memory, or without."""
    ordinary.env |= CI
    ordinary.write("my_script.py", SCRIPT)
    fill(ordinary)
    ordinary.run_cli("track", X, D)
    if request.param == "unknown":
        ordinary.forget()
    owner = 0 if os.geteuid() == 0 else os.geteuid()
    for directory, _, names in os.walk(ordinary.root):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            os.chown(path, owner, -1)
            os.chmod(path, 0o555 if os.path.isdir(path) else 0o444)
    return ordinary


def test_read_only_checkout_of_another_user(belongs_to_another):
    desk = belongs_to_another
    before = snapshot(desk.root)
    for _ in range(2):
        done = run(desk)
        assert (done.stdout, done.stderr) == (PRINTED, "")
    desk.run_cli("status", "--check")
    assert snapshot(desk.root) == before


def test_change_in_a_read_only_checkout_fails_and_names_the_file(belongs_to_another):
    desk = belongs_to_another
    file = desk.root / X
    file.chmod(0o644)
    file.write_bytes(b"another table\n")
    file.chmod(0o444)
    before = snapshot(desk.root)
    done = run(desk, code=1)
    assert f"{X} has changed" in done.stderr.splitlines()[-1]
    desk.run_cli("status", "--check", code=4)
    assert snapshot(desk.root) == before


def test_missing_file_in_a_read_only_checkout_fails_and_names_the_file(belongs_to_another):
    desk = belongs_to_another
    directory = desk.root / "data"
    directory.chmod(0o755)
    (desk.root / X).unlink()
    directory.chmod(0o555)
    before = snapshot(desk.root)
    done = run(desk, code=1)
    assert X in done.stderr.splitlines()[-1]
    assert "FileDenied" in done.stderr
    assert snapshot(desk.root) == before


@pytest.fixture
def mounted_read_only():
    """Make a directory a read-only mount of itself."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount")
    mounted = []

    def mount(at):
        for options in (["--bind", at, at], ["-o", "remount,bind,ro", at]):
            done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
            if options[0] == "--bind":
                mounted.append(at)

    yield mount
    for at in mounted:
        subprocess.run(["umount", "-l", str(at)], check=True)


@pytest.mark.parametrize("what", ["work", "."], ids=["the checkout", "the home as well"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_read_only_mount(runner, mounted_read_only, what, known):
    if not known:
        runner.forget()
    mounted_read_only(runner.base / what)
    done = run(runner)
    assert (done.stdout, done.stderr) == (PRINTED, "")
    runner.run_cli("status", "--check")


def test_read_only_mount_without_the_data_fails_and_names_it(runner, mounted_read_only):
    (runner.root / X).unlink()
    mounted_read_only(runner.root)
    done = run(runner, code=1)
    last = done.stderr.splitlines()[-1]
    assert X in last
    assert "read-only" in last


# -- the examples of the how-to

HOW_TO = Path(__file__).parent.parent / "docs" / "how-to"


def examples(page):
    """The YAML blocks of a page, each read, by the headings that they stand below."""
    found, heading = {}, ""
    for part in re.split(r"^(#+ .*)$", (HOW_TO / page).read_text(), flags=re.MULTILINE):
        heading = part.lstrip("# ") if part.startswith("#") else heading
        for block in re.findall(r"```yaml\n(.*?)```", part, re.DOTALL):
            found.setdefault(heading, []).append(YAML(typ="safe", pure=True).load(block))
    return found


def github():
    (workflow,) = examples("continuous-integration.md")["GitHub Actions"]
    (job,) = workflow["jobs"].values()
    (cached,) = [step["with"] for step in job["steps"] if "cache" in step.get("uses", "")]
    lines = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
    assert "lazydata.yml" in cached["key"]
    assert {"push", "pull_request"} == set(workflow["on"])
    return job["env"], lines, [cached["path"]]


def gitlab():
    (pipeline,) = examples("continuous-integration.md")["GitLab CI"]
    (job,) = pipeline.values()
    assert job["cache"]["key"]["files"] == ["lazydata.yml"]
    return job["variables"], job["script"], job["cache"]["paths"]


def play(desk, variables, lines):
    """Run what can be run of a job, as its service would; the exit codes, up to a failure."""
    root = str(desk.root)
    for key, value in variables.items():
        desk.env[key] = value.replace("${{ github.workspace }}", root).replace(
            "$CI_PROJECT_DIR", root
        )
    codes = []
    for line in lines:
        program, *words = shlex.split(line)
        if program == "pip":
            continue
        command = {"python": [sys.executable], "lazydata": [sys.executable, "-m", "lazydata"]}
        done = subprocess.run(
            [*command[program], *words], cwd=root, env=desk.env, capture_output=True, check=False
        )
        codes.append(done.returncode)
        if done.returncode:
            break
    return codes


@pytest.mark.parametrize("service", [github, gitlab])
def test_example_of_a_service_does_what_the_page_says(service, checked_out, origin):
    variables, lines, cached = service()
    first = checked_out(shallow)
    assert play(first, variables, lines) == [0, 0, 0]
    assert {path: first.read(path) for path in FILES} == FILES
    assert first.lazydata_home.exists() is False  # all of it is in the directory of the job
    before = first.state()
    first.write(CAT, b"another cat\n")
    assert play(first, variables, lines)[-1] != 0
    assert first.state() == before

    # The next job has the cache, so it asks no remote: there is none.
    second = checked_out(shallow, "next")
    for path in cached:
        shutil.copytree(first.root / path, second.root / path)
    remote = origin.base.parent / "remote"
    aside = remote.rename(remote.with_name("aside"))
    try:
        assert play(second, variables, lines) == [0, 0, 0]
    finally:
        aside.rename(remote)
    assert {path: second.read(path) for path in FILES} == FILES


def test_hooks_for_pre_commit_are_those_that_the_page_names(runner):
    offered = YAML(typ="safe", pure=True).load(HOW_TO.parent.parent / ".pre-commit-hooks.yaml")
    local, named = examples("pre-commit.md")["Hooks for pre-commit"]
    ids = {"lazydata-check", "lazydata-push-check"}
    assert {hook["id"] for hook in offered} == ids
    assert {hook["id"] for repo in named["repos"] for hook in repo["hooks"]} == ids
    assert set(named["default_install_hook_types"]) == {"pre-commit", "pre-push"}
    ours = {hook["id"]: hook for repo in local["repos"] for hook in repo["hooks"]}
    for hook in offered:
        for key in ("entry", "stages", "pass_filenames", "always_run"):
            assert ours[hook["id"]][key] == hook[key]
    assert play(runner, {}, [ours["lazydata-check"]["entry"]]) == [0]
    runner.write(X, b"another table\n")
    assert play(runner, {}, [ours["lazydata-check"]["entry"]]) == [4]
