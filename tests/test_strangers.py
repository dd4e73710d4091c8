"""What a stranger's manifest lists: it is written to no place but its own, and stops nothing."""

import os

import pytest

X = "data/x.csv"
GOOD, EVIL = b"a,b\n1,2\n", b"../evil\n"


@pytest.fixture
def remote(tmp_path, digest):
    """A remote that has both contents."""
    directory = tmp_path / "remote"
    for content in (GOOD, EVIL):
        name = digest(content).removeprefix("blake3:")
        path = directory / "objects" / "blake3" / name[:2] / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return directory


@pytest.fixture
def write_manifest(desk, remote, digest):
    """Write a manifest that lists a good file and some others."""

    def write(*bad):
        lines = ["version: 2\n", f"remotes:\n  origin:\n    url: file://{remote}\n", "files:\n"]
        for path, content in [(X, GOOD), *((path, EVIL) for path in bad)]:
            lines.append(f"  - path: {path}\n    hash: {digest(content)}\n")
            lines.append(f"    size: {len(content)}\n")
        desk.write("lazydata.yml", "".join(lines))

    return write


def holding(root, content):
    """Files below a directory that hold some content."""
    return [
        os.path.join(d, name)
        for d, _, names in os.walk(root)
        for name in names
        if not os.path.islink(os.path.join(d, name))
        and open_bytes(os.path.join(d, name)) == content
    ]


def open_bytes(path):
    with open(path, "rb") as f:
        return f.read()


# -- symlinks to where files are code

LINKS = {
    "git": ("d", ".git", "d/commondir"),
    "below git": ("d", ".git/hooks", "d/post-checkout"),
    "git of a submodule": ("d", "sub/.git", "d/commondir"),
    "in another spelling": ("d", ".GIT", "d/commondir"),
    "memory of lazydata": ("d", ".lazydata", "d/displaced"),
    "file in git": ("commondir", ".git/commondir", "commondir"),
    "chain": ("d", "e", "d/commondir"),
}


@pytest.mark.parametrize("link", LINKS)
def test_nothing_is_written_through_a_symlink_to_where_files_are_code(desk, write_manifest, link):
    name, target, path = LINKS[link]
    for directory in (".git/hooks", "sub/.git", ".GIT"):
        (desk.root / directory).mkdir(parents=True, exist_ok=True)
    (desk.root / name).symlink_to(target)
    (desk.root / "e").symlink_to(".git")
    write_manifest(path)
    before = desk.state()

    done = desk.run_cli("pull", ".", code=3)
    assert path in done.stderr
    assert desk.read(X) == GOOD
    reply = desk.tracker().refuse(path)
    assert (reply.error[0], reply.exit_code) == ("PathOutside", 2)
    assert path in reply.message
    assert reply.hint
    if link == "git":
        for command in ("restore", "unlock"):
            assert path in desk.run_cli(command, path, code=2).stderr

    assert holding(desk.root, EVIL) == []
    assert os.listdir(desk.root / ".git/hooks") == []
    assert os.listdir(desk.root / ".git") == ["hooks"]
    assert desk.state() == before


def test_file_in_git_is_not_read_through_a_symlink(desk, write_manifest):
    """It may hold a password, that the next push would give away."""
    desk.write(".git/config", "secret")
    (desk.root / "d").symlink_to(".git")
    write_manifest()
    reply = desk.tracker().refuse("d/config")
    assert (reply.error[0], reply.exit_code) == ("PathOutside", 2)
    assert not desk.holds(b"secret")
    assert len(desk.items()) == 1


# -- one bad entry among good ones

BAD = {
    "long name": "n" * 300,
    "long path": "d/" * 2100 + "x",
    "loop": "loop",
    "leading out": "out/x",
    "leading to nowhere": "nowhere",
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_entry_stops_no_other_and_can_be_taken_out(desk, write_manifest, tmp_path, bad):
    path = BAD[bad]
    (tmp_path / "outside").mkdir()
    (desk.root / "loop").symlink_to("loop")
    (desk.root / "out").symlink_to(tmp_path / "outside")
    (desk.root / "nowhere").symlink_to(tmp_path / "not there")
    write_manifest(path)

    rows = desk.json_cli("status")["files"]
    assert {row["path"]: row["state"] for row in rows} == {X: "not-downloaded", path: "modified"}
    done = desk.run_cli("pull", ".", code=3)
    assert path in done.stderr
    assert desk.read(X) == GOOD
    assert holding(desk.root, EVIL) == []
    assert os.listdir(tmp_path / "outside") == []
    assert not (tmp_path / "not there").exists()

    desk.run_cli("untrack", path)
    assert [item["path"] for item in desk.items()] == [X]
    assert desk.run_cli("status", "--check").stderr == ""


# -- names that no manifest may list


@pytest.mark.parametrize(
    "name", [b"caf\xe9.csv", b"caf\xe9/x.csv", b".git/x.csv", b"sub/.git/x.csv", b".GIT/x.csv"]
)
def test_name_that_can_not_be_listed_is_refused_before_anything_is_stored(project, name):
    path = os.path.join(os.fsencode(project.root), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(GOOD)
    before = project.state()
    reply = project.tracker().fail("track(bytes.fromhex(name))", name=name.hex())
    assert "UsageError" in reply.error
    assert reply.exit_code == 2
    assert reply.hint
    assert project.state() == before
    assert holding(project.lazydata_home, GOOD) == []
    assert open_bytes(path) == GOOD


# -- tracked directories, of a newer lazydata


@pytest.fixture
def images(desk, write_manifest):
    write_manifest("imgs/")
    with open(desk.manifest_file, "a") as f:
        f.write("    files: 2\n")
    return desk


def test_directory_that_is_no_tree_is_told_and_the_others_arrive(images):
    before = images.state()
    done = images.run_cli("pull", ".", code=3)
    assert "imgs/" in done.stderr
    assert "not a tree" in done.stderr
    assert images.read(X) == GOOD
    done = images.run_cli("restore", "imgs", code=13)
    assert "imgs/" in done.stderr
    assert "not a tree" in done.stderr
    assert done.stdout == ""
    assert not (images.root / "imgs").exists()
    assert images.state() == before


@pytest.mark.parametrize("path", ["imgs/a.png", "imgs/deep/a.png"])
def test_file_in_a_directory_that_is_no_tree_stays(images, path):
    images.write(path, b"a picture")
    before = images.state()
    reply = images.tracker().refuse(path)
    assert reply.exit_code == 13
    assert "imgs/" in reply.message
    assert images.state() == before
    assert images.read(path) == b"a picture"
    assert not images.holds(b"a picture")
    assert "not a tree" in images.run_cli("track", path, code=13).stderr


def test_a_cloned_manifest_does_not_choose_the_profile(project):
    """Whose credentials are used is said in the user's own settings alone."""
    project.write(
        "lazydata.yml",
        "version: 2\nremotes:\n  origin:\n    url: s3://bucket/prefix\n"
        "    endpoint: http://127.0.0.1:9\n    profile: theirs\n",
    )
    code = """
        from lazydata.claimed import IndexedMemory
        from lazydata.workspace import Workspace, remotes
        seen = []
        real = remotes.open_remote
        def spy(url, options=None, **more):
            seen.append(dict(options or {}))
            return real(url, options, **more)
        remotes.open_remote = spy
        workspace = Workspace.above(".")
        with workspace.index() as index:
            (spec,) = workspace.view(index).remotes.values()
        remotes.open_repository(spec, IndexedMemory(None))
        print(seen[0].get("profile"), seen[0]["endpoint"])
    """.replace('above(".")', f"above({str(project.root)!r})")
    assert project.run_code(code).stdout == "None http://127.0.0.1:9\n"
    project.run_cli("config", "set", "remotes.origin.profile", "mine")
    assert project.run_code(code).stdout == "mine http://127.0.0.1:9\n"


# -- directories without end


@pytest.mark.parametrize("files", [0, 1])
def test_a_few_trees_that_stand_for_more_paths_than_a_disk_holds(desk, remote, digest, files):
    tree = b"lazydata tree 1\n"
    size = count = 0
    if files:
        tree += f"file\t{len(GOOD)}\t1\t{digest(GOOD)}\tx\n".encode()
        size, count = len(GOOD), 1
    for level in range(45):
        name = put_object(remote, tree, digest)
        if level < 44:
            lines = [f"dir\t{size}\t{count}\t{name}\t{each}\n" for each in "ab"]
            tree = b"lazydata tree 1\n" + "".join(lines).encode()
            size, count = 2 * size, 2 * count
    desk.write(
        "lazydata.yml",
        f"version: 2\nremotes:\n  origin:\n    url: file://{remote}\nfiles:\n"
        f"  - path: d/\n    hash: {name}\n    size: {size}\n    files: {count}\n",
    )
    said = f"{count:,} files" if files else "more than 1,000,000 directories without a file"
    for command in (["pull", "d"], ["pull", "d"], ["pull", "d/a"], ["restore", "d"], ["verify"]):
        done = desk.run_cli(*command, code=None)
        assert done.returncode in ((0, 12) if command == ["verify"] else (2, 3))
        assert "is said to have" in done.stderr
        assert said in done.stderr or command == ["pull", "d/a"]
        assert not (desk.root / "d").exists()


def put_object(remote, data, digest):
    name = digest(data)
    path = remote / "objects" / "blake3" / name.partition(":")[2][:2] / name.partition(":")[2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


# -- a manifest that is somebody else's file


@pytest.mark.parametrize("target", ["../notes.yml", ".git/info/exclude"])
def test_a_manifest_that_is_a_symlink_is_not_written_where_it_leads(desk, target):
    """A file with only comments is a manifest; a shell that reads it would run what we add."""
    there = (desk.root / target).resolve()
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text("# mine\n")
    desk.manifest_file.symlink_to(target)
    desk.write("$(id).csv", GOOD)
    done = desk.run_cli("track", "$(id).csv", code=2)
    assert "lazydata.yml leads" in done.stderr
    assert there.read_text() == "# mine\n"
    assert desk.manifest_file.is_symlink()


def test_a_manifest_may_be_a_symlink_within_the_workspace(desk):
    desk.write("conf/data.yml", "version: 2\nfiles:\n")
    desk.manifest_file.symlink_to("conf/data.yml")
    desk.record((X, GOOD))
    assert b"data/x.csv" in desk.read("conf/data.yml")
    assert desk.manifest_file.is_symlink()


# -- the memory of a workspace, that a repository brought along

MEMORY = ["baselines", "displaced", "pushed", "id", "lock", ".gitignore"]


@pytest.mark.parametrize("name", ["", *MEMORY])
def test_a_memory_of_symlinks_is_not_written_where_they_lead(desk, remote, tmp_path, name):
    """What is appended there holds names that the stranger chose: to a shell it is code."""
    there = tmp_path / "home" / "there"
    there.mkdir(parents=True)
    (there / "file").write_text("# mine\n")
    desk.write(
        "lazydata.yml",
        f"version: 2\nremotes:\n  origin:\n    url: {remote.as_uri()}\nfiles:\n",
    )
    if name:
        (desk.root / ".lazydata").mkdir()
        (desk.root / ".lazydata" / name).symlink_to(there / "file")
    else:
        (desk.root / ".lazydata").symlink_to(there)
    for content in (b"one", b"two"):
        desk.write("$(id).csv", content)
        for command in (["track", "$(id).csv"], ["push"], ["pull", "."], ["status"], ["gc"]):
            done = desk.run_cli(*command, code=None)
            assert "Traceback" not in done.stderr
    assert os.listdir(there) == ["file"]
    assert (there / "file").read_text() == "# mine\n"


@pytest.mark.parametrize("told", ["../../../out", "a" * 31, "A" * 32, "\0" * 32, ""])
def test_an_id_that_is_none_names_no_file(project, told):
    project.write(".lazydata/id", told)
    project.write(X, GOOD)
    done = project.run_cli("track", X, code=2)
    assert ".lazydata/id holds no id" in done.stderr
    assert not list(project.base.rglob("out"))


# -- what is written beside data


@pytest.mark.parametrize("kind", ["to nothing", "to an empty file"])
def test_a_report_is_not_written_where_a_symlink_leads(desk, write_manifest, tmp_path, kind):
    """A shell that reads the page runs what a name in it says."""
    write_manifest("$(id)")
    there = tmp_path / "profile"
    if kind == "to an empty file":
        there.write_bytes(b"")
    (desk.root / "report.html").symlink_to(there)
    for arguments in ([], ["-o", "report.html"]):
        done = desk.run_cli("report", *arguments, code=None)
        assert done.returncode == 2, done.stdout
    assert not there.exists() or there.read_bytes() == b""
