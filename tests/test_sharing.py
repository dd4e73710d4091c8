"""From one clone to another, by way of git and a directory remote."""

import os
import shutil
from pathlib import Path

import pytest

X, Y, Z = "data/x.csv", "data/deep/y.csv", "other/z.csv"
CONTENT = {X: b"x,1\n", Y: b"y,22\n", Z: b"z,333\n"}
SCRIPT = f"""\
from lazydata import track
with open(track({X!r})) as file:
    print(file.read(), end="")
"""


@pytest.fixture
def remote(tmp_path):
    return tmp_path / "srv" / "share" / "lazydata"


@pytest.fixture
def me(project, remote):
    """A git repository with three tracked files, all pushed, and a script that uses one."""
    set_up(project, remote)
    return project


@pytest.fixture(scope="module")
def origin(tmp_path_factory, desk_at, new_manifest):
    """The same, which no test changes."""
    base = tmp_path_factory.mktemp("origin")
    desk = desk_at(base / "me")
    desk.write("lazydata.yml", new_manifest)
    set_up(desk, base / "remote")
    return desk


@pytest.fixture
def you(request, new_desk):
    """A clone, in another home: of `me` where the test has to do with it, else of `origin`."""
    mine = {"me", "remote"} & set(request.fixturenames)
    return clone(request.getfixturevalue("me" if mine else "origin"), new_desk("you"))


def clone(source, desk):
    desk.root.rmdir()
    desk.git("clone", "-q", str(source.root), str(desk.root), cwd=desk.base)
    return desk


def set_up(desk, remote):
    desk.git("init", "-q", "-b", "main")
    desk.record((Y, CONTENT[Y]), (Z, CONTENT[Z]))
    desk.write(X, CONTENT[X])
    desk.run_script(SCRIPT)
    desk.run_cli("add-remote", remote)
    desk.run_cli("push")
    commit(desk)


def commit(desk):
    desk.git("add", "lazydata.yml", "*.py")
    desk.git("commit", "-qm", "some work")


def publish(me, path, content):
    """Record, push and commit a new version."""
    me.write(path, content)
    me.run_cli("track", path)
    me.run_cli("push")
    commit(me)


def have(desk):
    return [path for path in (X, Y, Z) if (desk.root / path).exists()]


def files_below(directory):
    return sorted(os.path.join(d, f) for d, _, files in os.walk(directory) for f in files)


def holders(remote, content):
    """The files of a remote in which some content lies."""
    return [f for f in files_below(remote) if content in Path(f).read_bytes()]


def spoil(remote, content):
    found = holders(remote, content)
    assert found
    for name in found:
        os.chmod(name, 0o644)
        with open(name, "r+b") as f:
            data = f.read().replace(content, content[::-1])
            f.seek(0)
            f.write(data)


# -- the way there and back


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_collaborator_runs_the_script_and_gets_the_file(project, new_desk, remote, form):
    project.git("init", "-q", "-b", "main")
    project.write(X, CONTENT[X])
    assert project.run_script(SCRIPT).stderr.splitlines() == [
        f"lazydata: Tracking a new file {X}",
        "lazydata: Added /x.csv to data/.gitignore",
    ]
    project.run_cli("add-remote", form.format(remote))
    project.run_cli("push")
    commit(project)

    you = clone(project, new_desk("you"))
    before = you.state()
    done = you.run_script(you.root / "my_script.py")
    assert done.stderr == f"lazydata: Downloading stored file {X} ...\n"
    assert done.stdout == "x,1\n"
    assert you.holds(CONTENT[X])
    done = you.run_script(you.root / "my_script.py")
    assert done.stderr == ""
    assert you.state() == before
    assert you.git("status", "--porcelain", "lazydata.yml") == ""


def test_remote_is_laid_out_as_documented(me, remote, digest):
    large = bytes(range(256)) * 8192
    publish(me, "large.bin", large)
    name = digest(large).removeprefix("blake3:")
    assert (remote / "lazydata.json").read_bytes().replace(b" ", b"").strip() == b'{"format":1}'
    assert (remote / "objects" / "blake3" / name[:2] / name).read_bytes() == large
    index = list((remote / "index").iterdir())
    assert index
    for file in index:
        assert file.name == f"{digest(file.read_bytes()).removeprefix('blake3:')}.idx"


def test_collaborator_changes_the_file_and_it_comes_back(me, you):
    you.run_cli("pull", X)
    you.write(X, b"theirs\n")
    you.run_script(you.root / "my_script.py")
    you.run_cli("push")
    commit(you)
    me.git("pull", "-q", str(you.root), "main")
    done = me.run_script(me.root / "my_script.py")
    assert done.stdout == "theirs\n"
    assert me.read(X) == b"theirs\n"


def test_two_workspaces_of_one_home_share_the_store(me, remote, new_desk):
    other = new_desk("other", root=me.root.parent / "second")
    other.env["LAZYDATA_HOME"] = str(me.lazydata_home)
    clone(me, other)
    shutil.rmtree(remote)
    done = other.run_script(other.root / "my_script.py")
    assert done.stderr == f"lazydata: Restoring {X} from the local store\n"


def test_clone_without_a_push_gets_an_error_that_names_the_file(project, new_desk, remote):
    project.git("init", "-q", "-b", "main")
    project.write(X, CONTENT[X])
    project.run_script(SCRIPT)
    project.run_cli("add-remote", remote)
    commit(project)
    you = clone(project, new_desk("you"))
    done = you.run_script(you.root / "my_script.py", code=1)
    assert "ObjectMissing" in done.stderr
    assert X in done.stderr
    assert have(you) == []


# -- push


def test_push_stores_every_version(me, you, digest):
    for content in (b"second", b"third"):
        me.write(X, content)
        me.run_cli("track", X)
    me.run_cli("push")
    commit(me)
    you.git("pull", "-q")
    for content in (CONTENT[X], b"second", b"third"):
        assert you.cli_bytes("cat", X, "--version", digest(content)) == content


def test_push_again_changes_nothing_on_the_remote(me, remote):
    before = {f: os.stat(f).st_mtime_ns for f in files_below(remote)}
    me.run_cli("push")
    assert {f: os.stat(f).st_mtime_ns for f in files_below(remote)} == before


def test_push_does_not_depend_on_the_index(me, you, remote):
    shutil.rmtree(me.lazydata_home / "index")
    publish(me, X, b"second")
    you.git("pull", "-q")
    assert you.run_script(you.root / "my_script.py").stdout == "second"


def test_push_of_a_path_stores_nothing_else(me, remote):
    for path in (X, Z):
        me.write(path, f"only {path}")
        me.run_cli("track", path)
    me.run_cli("push", "data")
    assert holders(remote, f"only {X}".encode())
    assert not holders(remote, f"only {Z}".encode())


def test_push_names_the_versions_that_are_nowhere_and_stores_the_rest(me, remote):
    me.write(X, b"lost and gone")
    me.run_cli("track", X)
    me.write(Z, b"here and well")
    me.run_cli("track", Z)
    me.lose(b"lost and gone")
    (me.root / X).unlink()
    done = me.run_cli("push", code=3)
    assert X in done.stderr
    assert holders(remote, b"here and well")


def test_push_needs_no_local_copy_of_what_a_remote_has(you):
    you.run_cli("push")


def test_push_of_a_damaged_object_does_not_spread_it(me, remote):
    me.write(X, b"this will be damaged")
    me.run_cli("track", X)
    me.damage(me.object(b"this will be damaged"))
    damaged = me.object(b"this will be damaged").read_bytes()
    (me.root / X).unlink()
    done = me.run_cli("push", code=None)
    assert done.returncode in (3, 13)
    assert X in done.stderr
    assert not holders(remote, damaged)


def test_push_refuses_a_newer_format(me, remote):
    (remote / "lazydata.json").chmod(0o644)
    (remote / "lazydata.json").write_text('{"format": 99}')
    me.write(X, b"second")
    me.run_cli("track", X)
    before = files_below(remote)
    done = me.run_cli("push", code=None)
    assert done.returncode not in (0, 1)
    assert "99" in done.stderr or "newer" in done.stderr
    assert files_below(remote) == before


# -- pull


def test_pull_of_a_file(you):
    before = you.state()
    you.run_cli("pull", X)
    assert have(you) == [X]
    assert you.read(X) == CONTENT[X]
    assert you.state() == before


def test_pull_of_a_bare_name_that_is_unique_is_taken_and_said(you):
    done = you.run_cli("pull", "y.csv")
    assert have(you) == [Y]
    assert Y in done.stderr


def test_pull_of_a_script_gets_what_it_is_recorded_to_use(you):
    (you.root / "my_script.py").write_text("print('its text says nothing')\n")
    you.run_cli("pull", "my_script.py")
    assert have(you) == [X]


def test_pull_of_a_script_gets_what_its_text_tracks(you):
    you.write(
        "new_script.py",
        f"""
import lazydata
from lazydata import track
def never_called():
    return lazydata.track("{Y}")
# track("{X}")
text = 'track("{X}")'
name = "{X}"
if never_called is None:
    track(name)
    track("not/listed.csv")
""",
    )
    you.run_cli("pull", "new_script.py")
    assert have(you) == [Y]


def test_pull_of_a_script_with_usages_and_text_gets_both(you):
    script = you.root / "my_script.py"
    script.write_text(script.read_text() + f"track('{Z}')\n")
    you.run_cli("pull", "my_script.py")
    assert have(you) == [X, Z]


def test_pull_of_a_script_that_is_no_valid_python_gets_its_usages(you):
    (you.root / "my_script.py").write_text("print 'python 2'\n")
    you.run_cli("pull", "my_script.py")
    assert have(you) == [X]


def test_pull_of_a_directory_gets_all_below_it(you):
    you.run_cli("pull", "data")
    assert have(you) == [X, Y]


def test_pull_of_the_working_directory_gets_all_below_it(you):
    (you.root / "data").mkdir()
    you.run_cli("pull", ".", cwd=you.root / "data")
    assert have(you) == [X, Y]
    you.run_cli("pull", ".")
    assert have(you) == [X, Y, Z]


def test_bare_pull_of_a_fresh_clone_gets_nothing(you):
    you.run_cli("pull")
    assert have(you) == []


def test_bare_pull_gets_the_latest_of_what_was_there_before(me, you):
    you.run_cli("pull", X)
    for path in (X, Y):
        publish(me, path, b"newer " + CONTENT[path])
    you.git("pull", "-q")
    you.run_cli("pull")
    assert have(you) == [X]
    assert you.read(X) == b"newer " + CONTENT[X]


def test_bare_pull_restores_what_was_tracked_here_and_deleted(me):
    shutil.rmtree(me.root / "data")
    me.run_cli("pull")
    assert have(me) == [X, Y, Z]


def test_bare_pull_knows_without_the_index_what_was_there_before(you):
    you.run_cli("pull", X, Z)
    shutil.rmtree(you.lazydata_home / "index")
    shutil.rmtree(you.root / "data")
    shutil.rmtree(you.root / "other")
    you.run_cli("pull")
    assert have(you) == [X, Z]


def test_pull_again_does_nothing(you):
    you.run_cli("pull", ".")
    stamps = [(you.root / p).stat().st_mtime_ns for p in (X, Y, Z)]
    you.run_cli("pull", ".")
    assert [(you.root / p).stat().st_mtime_ns for p in (X, Y, Z)] == stamps


def test_pull_follows_the_manifest_to_another_branch(you):
    you.run_cli("pull", X)
    you.git("switch", "-qc", "experiment")
    you.write(X, b"an experiment\n")
    you.run_script(you.root / "my_script.py")
    commit(you)
    you.git("switch", "-q", "main")
    you.run_cli("pull")
    assert you.read(X) == CONTENT[X]
    assert you.holds(b"an experiment\n")
    you.git("switch", "-q", "experiment")
    you.run_cli("pull")
    assert you.read(X) == b"an experiment\n"


@pytest.mark.parametrize(
    ("args", "known"),
    [
        *(([], True), ([X], True), (["."], True), (["my_script.py"], True)),
        *(([X], False), (["."], False), (["my_script.py"], False)),
    ],
)
def test_pull_leaves_an_edit_alone_and_names_it(you, known, args):
    you.run_cli("pull", X)
    you.write(X, b"my edit, not recorded")
    if not known:
        you.forget()
    before = you.state()
    done = you.run_cli("pull", *args, code=3)
    assert X in done.stderr
    assert you.read(X) == b"my edit, not recorded"
    assert you.state() == before


@pytest.mark.parametrize(("args", "known"), [([], True), ([X], True), ([X], False)])
def test_pull_leaves_an_edit_alone_when_the_manifest_moved_too(me, you, known, args):
    you.run_cli("pull", X)
    you.write(X, b"my edit, not recorded")
    publish(me, X, b"newer")
    you.git("pull", "-q")
    if not known:
        you.forget()
    before = you.state()
    done = you.run_cli("pull", *args, code=3)
    assert X in done.stderr
    assert you.read(X) == b"my edit, not recorded"
    assert you.state() == before


def test_pull_leaves_an_older_version_that_was_put_back_on_purpose(me, you):
    publish(me, X, b"newer")
    you.git("pull", "-q")
    you.run_cli("pull", X)
    you.write(X, CONTENT[X])
    done = you.run_cli("pull", code=3)
    assert X in done.stderr
    assert you.read(X) == CONTENT[X]


def test_pull_gets_the_rest_when_it_leaves_an_edit_alone(you):
    you.write(X, b"my edit, not recorded")
    you.run_cli("pull", ".", code=3)
    assert have(you) == [X, Y, Z]
    assert you.read(X) == b"my edit, not recorded"


def test_pull_updates_an_older_version_in_a_clone_without_memory(me, you):
    publish(me, X, b"newer")
    you.git("pull", "-q")
    you.write(X, CONTENT[X])
    you.run_cli("pull", X)
    assert you.read(X) == b"newer"


def test_pull_without_a_remote_restores_what_the_store_has(me):
    me.run_cli("remove-remote", "origin")
    shutil.rmtree(me.root / "data")
    me.run_cli("pull", ".")
    assert have(me) == [X, Y, Z]


# -- damage and loss on the remote


def test_corrupt_object_never_arrives_and_the_rest_does(you, remote):
    spoil(remote, CONTENT[Y])
    done = you.run_cli("pull", ".", code=3)
    assert Y in done.stderr
    assert have(you) == [X, Z]
    assert you.read(X) == CONTENT[X]
    assert not you.object(CONTENT[Y]).exists()


def test_corrupt_object_is_an_error_of_track(you, remote):
    spoil(remote, CONTENT[X])
    done = you.run_script(you.root / "my_script.py", code=1)
    assert "ObjectCorrupt" in done.stderr
    assert X in done.stderr
    assert have(you) == []
    assert not you.object(CONTENT[X]).exists()


def test_truncated_object_never_arrives(me, you, remote, digest):
    large = bytes(range(256)) * 8192
    publish(me, X, large)
    you.git("pull", "-q")
    name = digest(large).removeprefix("blake3:")
    file = remote / "objects" / "blake3" / name[:2] / name
    file.chmod(0o644)
    os.truncate(file, 1 << 20)
    done = you.run_cli("pull", X, code=3)
    assert X in done.stderr
    assert have(you) == []


def test_version_that_is_nowhere_is_named_and_the_rest_arrives(me, you, remote):
    for name in holders(remote, CONTENT[Z]):
        os.unlink(name)
    if not holders(remote, CONTENT[X]):
        pytest.skip("one file of this remote carries them all")
    done = you.run_cli("pull", ".", code=3)
    assert Z in done.stderr
    assert have(you) == [X, Y]


def test_remote_that_is_away_is_named_and_is_no_absence(you, remote):
    remote.rename(remote.with_name("elsewhere"))
    done = you.run_cli("pull", X, code=None)
    assert done.returncode in (3, 20)
    assert str(remote) in done.stderr
    remote.with_name("elsewhere").rename(remote)
    you.run_cli("pull", X)
    assert have(you) == [X]


# -- several remotes


def test_push_goes_to_the_first_remote_unless_told(me, remote, tmp_path):
    second = tmp_path / "second"
    me.run_cli("add-remote", second, "--name", "backup")
    me.write(X, b"to the first")
    me.run_cli("track", X)
    me.run_cli("push")
    assert holders(remote, b"to the first")
    assert not holders(second, b"to the first")
    me.run_cli("push", "--remote", "backup")
    assert holders(second, b"to the first")


def test_pull_tries_every_remote(me, you, tmp_path, remote):
    me.run_cli("add-remote", tmp_path / "second", "--name", "backup")
    me.write(X, b"on the second only")
    me.run_cli("track", X)
    me.run_cli("push", "--remote", "backup")
    commit(me)
    you.git("pull", "-q")
    you.run_cli("pull", X, Y)
    assert you.read(X) == b"on the second only"
    assert you.read(Y) == CONTENT[Y]


def test_pull_takes_the_good_copy_of_another_remote(me, you, tmp_path, remote):
    me.run_cli("add-remote", tmp_path / "second", "--name", "backup")
    me.run_cli("push", "--remote", "backup")
    commit(me)
    you.git("pull", "-q")
    spoil(remote, CONTENT[X])
    you.run_cli("pull", X)
    assert you.read(X) == CONTENT[X]


def test_status_says_pushed_when_any_remote_has_it(me, tmp_path):
    me.run_cli("add-remote", tmp_path / "second", "--name", "backup")
    me.write(X, b"on the second only")
    me.run_cli("track", X)
    me.run_cli("push", "--remote", "backup")
    assert all(f["pushed"] for f in me.json_cli("status")["files"])


# -- add-remote


def test_add_remote_creates_the_base_path(project, remote):
    project.run_cli("add-remote", remote)
    assert remote.is_dir()


def test_add_remote_whose_check_fails_writes_nothing(project, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    before = project.state()
    done = project.run_cli("add-remote", tmp_path / "file" / "below", code=None)
    assert done.returncode not in (0, 1)
    assert str(tmp_path / "file") in done.stderr
    assert project.state() == before


def test_add_remote_without_a_check_writes_what_it_is_told(project, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    url = f"file://{tmp_path / 'file' / 'below'}"
    project.run_cli("add-remote", url, "--no-check")
    assert project.manifest()["remotes"]["origin"]["url"] == url


@pytest.mark.parametrize(
    "url", ["ssh://me:sEcret@example.org/srv/data", "s3://key:sEcret@bucket/data"]
)
@pytest.mark.parametrize("check", [[], ["--no-check"]], ids=["check", "no check"])
def test_url_with_a_password_is_refused_and_not_repeated(project, url, check):
    before = project.state()
    done = project.run_cli("add-remote", url, *check, code=2)
    assert "sEcret" not in done.stdout + done.stderr
    assert project.state() == before


def test_unknown_scheme_is_refused(project):
    before = project.state()
    done = project.run_cli("add-remote", "gopher://example.org/data", code=2)
    assert "gopher" in done.stderr
    assert project.state() == before


def test_add_remote_keeps_what_a_person_wrote(me):
    me.manifest_file.write_text("# mine\n" + me.manifest_file.read_text())
    before = me.items()
    me.run_cli("add-remote", me.base / "second", "--name", "backup")
    assert me.manifest_file.read_text().startswith("# mine\n")
    assert me.items() == before
