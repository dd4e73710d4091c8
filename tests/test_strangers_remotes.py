"""A remote that a stranger runs, or may write to: it costs a clone no file, no disk and no end."""

import os

import pytest

X, DATA = "data/x.csv", b"a,b\n1,2\n"
LONG_AGO = 1_000_000_000


def key(digest, content):
    name = digest(content).partition(":")[2]
    return f"objects/blake3/{name[:2]}/{name}"


@pytest.fixture
def share(project, tmp_path):
    """A directory that others write to; the workspace has a remote there."""
    directory = tmp_path / "share"
    directory.mkdir()
    project.write(
        "lazydata.yml",
        f"version: 2\nremotes:\n  origin:\n    url: {directory.as_uri()}\nfiles:\n",
    )
    return directory


def lists(desk, *lines):
    with open(desk.manifest_file, "a") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.mark.parametrize("url", ["", "file:///proc/self/cwd/share"])
def test_a_symlink_on_a_share_has_no_old_file_removed(project, share, tmp_path, url):
    """What dead writers left is swept: in the folder for that, which may lead anywhere."""
    kept = tmp_path / "home" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    os.utime(kept, (LONG_AGO, LONG_AGO))
    (share / ".incoming").symlink_to(kept.parent)
    if url:  # a remote that is part of the clone itself
        (project.root / "share").symlink_to(share)
        text = project.manifest_file.read_text().replace(share.as_uri(), url)
        project.write("lazydata.yml", text)
    project.record((X, DATA))
    project.run_cli("push")
    assert kept.read_text() == "years of work"
    assert os.listdir(kept.parent) == ["thesis.txt"]


def test_a_share_of_symlinks_that_lead_round_and_round(project, share):
    index = share / "index"
    index.mkdir()
    for name in "ab":
        (index / name).symlink_to(index)
        (index / f"up{name}").symlink_to("..")
    project.record((X, DATA))
    project.run_cli("push")
    assert len([*index.glob("*.idx")]) == 1


def test_a_share_of_pipes_is_not_waited_for(project, share, digest):
    path = share / key(digest, DATA)
    path.parent.mkdir(parents=True)
    (share / "index").mkdir()
    for each in (path, share / "lazydata.json", share / "index" / f"{'0' * 64}.idx"):
        os.mkfifo(each)
    lists(project, f"  - path: {X}", f"    hash: {digest(DATA)}")
    done = project.run_cli("pull", ".", code=3)
    assert "neither here nor on a remote" in done.stderr


@pytest.mark.parametrize("listed", ["file", "directory", "list of a directory"])
def test_a_remote_that_gives_more_than_is_listed_fills_no_disk(project, share, digest, listed):
    """A petabyte of nothing, of which a disk would be full before it is hashed."""
    tree = f"lazydata tree 1\nfile\t{len(DATA)}\t1\t{digest(DATA)}\tx\n".encode()
    endless = tree if listed == "list of a directory" else DATA
    for content in (tree, DATA):
        path = share / key(digest, content)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        if content == endless:
            os.truncate(path, 1 << 42)
    if listed == "file":
        lists(project, f"  - path: {X}", f"    hash: {digest(DATA)}", f"    size: {len(DATA)}")
    else:
        lists(project, "  - path: d/", f"    hash: {digest(tree)}", f"    size: {len(DATA)}")
        lists(project, "    files: 1")
    code = f"""
        import resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, ({1 << 30}, {1 << 30}))
        from lazydata.cli.running import run
        sys.exit(run(["pull", "."]))
    """
    done = project.run_code(code, code=None)
    assert done.returncode in (3, 13), done.stderr
    assert "bytes that are recorded" in done.stderr
    objects = project.lazydata_home / "store" / "objects-v1"
    assert not list(objects.rglob("*.part"))
    assert not (project.root / X).exists()
