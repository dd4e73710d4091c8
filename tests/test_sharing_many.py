"""Pushing and pulling many small files, and the options that push and pull share."""

from __future__ import annotations

import os

import pytest

FILES = {f"data/{n % 3}/f{n:03}.bin": b"%d " % n * (n + 1) for n in range(60)}


@pytest.fixture
def remote(tmp_path):
    return tmp_path / "remote"


@pytest.fixture
def me(project, remote):
    """A workspace with many small files, and a remote."""
    for path, content in FILES.items():
        project.write(path, content)
    project.run_cli("track", *FILES)
    project.run_cli("add-remote", remote)
    return project


@pytest.fixture
def you(me, new_desk):
    me.run_cli("push")
    desk = new_desk("you")
    desk.write("lazydata.yml", me.manifest_file.read_bytes())
    return desk


def packs(folder):
    return sorted(folder.rglob("*.pack"))


def test_many_small_files_are_one_pack_in_both_directions(you, remote):
    assert len(packs(remote)) == 1
    assert not (remote / "objects").exists()
    done = you.run_cli("pull", ".")
    assert "Downloading 60 stored files" in done.stderr
    assert "Pulled 60 files." in done.stdout
    assert {path: you.read(path) for path in FILES} == FILES
    # The store keeps the pack as it came, and knows what is in it without the index too.
    assert [p.name for p in packs(you.lazydata_home)] == [p.name for p in packs(remote)]
    assert you.run_cli("status", "--check").stdout == "60 files: 60 ok\n"
    assert all(os.access(you.root / path, os.W_OK) for path in FILES)


def test_pulled_files_are_tracked_files(you):
    you.run_cli("pull", ".")
    state = you.state()
    path = next(iter(FILES))
    you.write(path, b"changed here")
    assert you.run_cli("pull", ".", code=3).stderr.count("left alone") == 1
    assert you.state() == state
    tracker = you.tracker()
    assert tracker.track(path).said == [f"Tracked file {path} changed, recording a new version"]
    for other in list(FILES)[1:4]:
        assert tracker.track(other).said == []
    you.run_cli("restore", path, "--version", you.versions(path)[0])
    assert you.read(path) == FILES[path]


@pytest.mark.parametrize("loss", ["files", "files and index"])
def test_files_come_back_from_the_packs_of_the_store(you, remote, loss):
    import shutil

    you.run_cli("pull", ".")
    shutil.rmtree(you.root / "data")
    if "index" in loss:
        shutil.rmtree(you.lazydata_home / "index")
    remote.rename(remote.with_name("away"))
    done = you.run_cli("pull")
    assert "Restoring 60 files from the local store" in done.stderr
    assert {path: you.read(path) for path in FILES} == FILES
    path = list(FILES)[5]
    assert you.cli_bytes("cat", path) == FILES[path]


@pytest.mark.parametrize("link", ["hardlink", "copy"])
def test_files_in_packs_can_be_linked_and_changed(you, link):
    you.run_cli("config", "set", "link", link)
    you.run_cli("pull", ".")
    path = list(FILES)[7]
    you.run_code(f"import lazydata; open({path!r}, 'a').write('more')")
    assert you.read(path) == FILES[path] + b"more"
    assert you.cli_bytes("cat", path) == FILES[path]


def test_a_damaged_pack_of_the_store_is_never_handed_out(you):
    you.run_cli("pull", ".")
    (pack,) = packs(you.lazydata_home)
    data = bytearray(pack.read_bytes())
    data[20] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)
    report = you.json_cli("verify", code=13)
    assert report["objects"] == 60
    assert [row["problem"] for row in report["damage"]] == ["corrupt"]
    (bad,) = report["damage"][0]["paths"]
    assert packs(you.lazydata_home / "store" / "objects-v1" / "packs") == []
    for path in FILES:
        (you.root / path).unlink()
    assert "Pulled 60 files" in you.run_cli("pull").stdout
    assert {path: you.read(path) for path in FILES} == FILES
    assert you.json_cli("verify")["damage"] == []
    assert bad in FILES


def test_pulling_one_file_brings_no_other(you):
    path = list(FILES)[11]
    you.run_cli("pull", path)
    assert [str(p.relative_to(you.root)) for p in you.root.glob("data/*/*")] == [path]
    assert packs(you.lazydata_home) == []


def test_push_again_sends_nothing_and_a_second_remote_gets_all(you, tmp_path):
    you.run_cli("pull", ".")
    assert "Nothing to push" in you.run_cli("push").stdout
    you.run_cli("add-remote", tmp_path / "second", "--name", "second")
    assert "Pushed 60 objects" in you.run_cli("push", "--remote", "second").stdout


def test_push_that_only_knows_others_claims_asks_once(you):
    first = you.json_cli("push")
    assert (first["objects"], first["already"], first["left"]) == (0, 60, [])
    assert [row["pushed"] for row in you.json_cli("status")["files"]] == [True] * 60


def test_lost_packs_are_sent_again(me, you, remote):
    for pack in packs(remote):
        pack.unlink()
    you.run_cli("pull", ".", code=3)
    assert "Nothing to push" in me.run_cli("push").stdout  # it does not ask again by itself
    assert "Pushed 60 objects" in me.run_cli("push", "--check").stdout
    assert "Pulled 60 files" in you.run_cli("pull", ".").stdout


def test_a_damaged_index_file_is_healed_by_a_push_with_check(me, you, remote):
    (index_file,) = (remote / "index").iterdir()
    whole = index_file.read_bytes()
    index_file.write_bytes(whole[:-9])
    assert "damaged" in you.run_cli("pull", ".", code=3).stderr
    assert "Nothing to push" in me.run_cli("push").stdout
    me.run_cli("push", "--check")
    assert index_file.read_bytes() == whole
    assert "Pulled 60 files" in you.run_cli("pull", ".").stdout


def test_a_dry_run_of_push(me, remote):
    report = me.json_cli("push", "--dry-run")
    size = sum(map(len, FILES.values()))
    assert (report["objects"], report["size"], report["dry_run"]) == (60, size, True)
    assert not packs(remote)
    assert [row["pushed"] for row in me.json_cli("status")["files"]] == [False] * 60
    assert me.run_cli("push", "-n").stdout.startswith("Would push 60 objects (")
    me.run_cli("push", "data/0")
    assert me.json_cli("push", "-n")["objects"] == 40


def test_a_dry_run_of_pull(you):
    report = you.json_cli("pull", "data/1", "--dry-run")
    assert (report["objects"], len(report["paths"])) == (20, 20)
    assert report["size"] == sum(len(c) for p, c in FILES.items() if p.startswith("data/1/"))
    assert not (you.root / "data").exists()
    assert not packs(you.lazydata_home)
    assert "Would bring 20 files" in you.run_cli("pull", "data/1", "-n").stdout


def test_pull_from_one_remote_only(me, you, tmp_path):
    me.run_cli("add-remote", tmp_path / "second", "--name", "second")
    me.run_cli("push", "data/2", "--remote", "second")
    you.write("lazydata.yml", me.manifest_file.read_bytes())
    you.run_cli("pull", ".", "--remote", "second", code=3)
    assert {p.parent.name for p in you.root.glob("data/*/*")} == {"2"}
    you.run_cli("pull", ".", "--remote", "nowhere", code=2)


@pytest.mark.parametrize("command", [["push"], ["pull", "."]])
def test_quiet_says_nothing(you, command):
    done = you.run_cli(*command, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert you.json_cli(*command, "-q")["left"] == []


@pytest.mark.parametrize("jobs", ["1", "7"])
def test_jobs(me, you, jobs):
    assert "Pulled" in you.run_cli("pull", ".", "--jobs", jobs).stdout
    you.run_cli("pull", ".", "--jobs", "0", code=2)


def test_files_that_come_meanwhile_are_not_overwritten(you):
    path = list(FILES)[3]
    code = f"""
        import pathlib, sys
        from lazydata.workspace import restoring
        name = restoring._Restoring.name
        def late(*args, **more):
            pathlib.Path({path!r}).write_bytes(b"came meanwhile")
            name(*args, **more)
        restoring._Restoring.name = late
        sys.argv = ["lazydata", "pull", "."]
        from lazydata.cli import main
        main()
    """
    done = you.run_code(code, code=3)
    assert you.read(path) == b"came meanwhile"
    assert done.stderr.count("left alone") == 1
    assert sum(you.read(p) == c for p, c in FILES.items()) == 59
    assert not list(you.root.rglob(".lazydata-*.tmp"))


def test_a_full_disk_in_the_middle_of_a_pull(me, remote, new_desk, small_disk):
    me.write("data/big.bin", os.urandom(3 << 20))
    me.run_cli("track", "data/big.bin")
    me.run_cli("push")
    desk = new_desk("small")
    disk = small_disk("2m", desk.root)
    desk.write("lazydata.yml", me.manifest_file.read_bytes())
    done = desk.run_cli("pull", ".", code=None)
    assert done.returncode in (3, 28), done.stderr
    assert "no space left" in done.stderr
    assert not list(disk.rglob(".lazydata-*.tmp"))
    os.system(f"mount -o remount,size=20m {disk}")
    desk.run_cli("pull", ".")
    assert {path: desk.read(path) for path in FILES} == FILES
    assert desk.read("data/big.bin") == me.read("data/big.bin")
