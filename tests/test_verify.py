"""lazydata verify: damage here and on remotes is found, named, never handed out, and mended."""

import json
import os
import random
import shutil

import pytest

from gc_desk import commands

A, B = (random.Random(seed).randbytes(5000) for seed in (1, 2))
X, Y = "data/x.bin", "data/y.bin"
SMALL = {f"data/parts/{number}": b"part %d\n" % number * 30 for number in range(12)}

DAMAGE = {
    "flipped": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "truncated": lambda data: data[:120],
    "zeroed": lambda data: bytes(len(data)),
    "swapped": lambda data: A if data == B else B,
}


@pytest.fixture
def origin(tmp_path):
    return tmp_path / "origin"


@pytest.fixture
def me(project, origin):
    """Two files and a tracked directory, all pushed."""
    for path, content in {X: A, Y: B, **SMALL}.items():
        project.write(path, content)
    commands(
        project,
        ("track", X, Y, "data/parts"),
        ("add-remote", origin),
        ("push",),
    )
    return project


def alone(desk):
    """There is no remote any more."""
    commands(desk, ("remove-remote", "origin"))


def verify(desk, *words, code=0):
    found = json.loads(commands(desk, ("verify", *words, "--json"), code=code))
    return found["damage"]


def overwrite(path, data):
    os.chmod(path, 0o644)
    path.write_bytes(data)


def pack_of(desk):
    (pack,) = (desk.lazydata_home / "store/objects-v1/packs").iterdir()
    return pack


def everything(directory):
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


# -- the store


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_object_is_named_put_aside_and_mended_from_a_remote(me, digest, how):
    os.unlink(me.root / X)
    overwrite(me.object(A), DAMAGE[how](A))
    (row,) = verify(me, code=13)
    assert (row["digest"], row["problem"], row["paths"]) == (digest(A), "corrupt", [X])
    assert row["where"] == str(me.object(A))
    assert not me.object(A).exists()
    overwrite_again = DAMAGE[how](A)
    me.write(me.object(A), overwrite_again)
    (row,) = verify(me, "--repair")
    assert row["repaired"]
    assert me.holds(A)
    assert verify(me) == []


@pytest.mark.parametrize("how", ["flipped", "truncated", "zeroed"])
def test_a_damaged_pack_is_mended(me, how):
    pack = pack_of(me)
    shutil.rmtree(me.root / "data/parts")
    overwrite(pack, DAMAGE[how](pack.read_bytes()))
    rows = verify(me, "--repair")
    assert rows
    assert all(row["repaired"] for row in rows)
    assert all(row["where"] == str(pack) for row in rows)
    assert verify(me) == []
    shutil.rmtree(me.root.parent.parent / "origin")
    commands(me, ("restore", "data/parts"))
    for path, content in SMALL.items():
        assert me.read(path) == content


def test_a_file_of_the_workspace_is_a_good_copy_if_it_is_one(me, digest):
    alone(me)
    for content in (A, B):
        overwrite(me.object(content), DAMAGE["flipped"](content))
    me.write(Y, b"edited")
    rows = {row["digest"]: row for row in verify(me, "--repair", code=13)}
    assert rows[digest(A)]["repaired"]
    assert not rows[digest(B)]["repaired"]
    assert rows[digest(B)]["paths"] == [Y]
    assert me.holds(A)


def test_a_directory_of_the_workspace_is_a_good_copy_too(me):
    alone(me)
    pack = pack_of(me)
    overwrite(pack, bytes(pack.stat().st_size))
    assert all(row["repaired"] for row in verify(me, "--repair"))
    shutil.rmtree(me.root / "data/parts")
    commands(me, ("restore", "data/parts"))
    assert me.read("data/parts/7") == SMALL["data/parts/7"]


def test_a_file_that_shares_the_damage_is_no_good_copy(project, no_reflink, digest):
    project.write(project.lazydata_home / "config.yml", "link: hardlink\n")
    project.write(X, A)
    commands(project, ("track", X))
    assert os.path.samefile(project.root / X, project.object(A))
    overwrite(project.object(A), DAMAGE["flipped"](A))
    (row,) = verify(project, "--repair", code=13)
    assert (row["digest"], row["repaired"]) == (digest(A), False)
    assert not project.object(A).exists()


def test_repair_does_not_fetch_what_is_only_not_here(me):
    me.lose(B)
    assert verify(me, "--repair") == []
    assert not me.object(B).exists()


def test_repair_brings_a_listed_version_back_that_was_nowhere(me, digest):
    alone(me)
    me.lose(A)
    (row,) = verify(me, code=12)
    assert (row["digest"], row["problem"]) == (digest(A), "missing")
    (row,) = verify(me, "--repair")
    assert row["repaired"]
    assert me.holds(A)


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_object_is_never_handed_out(me, how):
    alone(me)
    for path in (X, Y):
        os.unlink(me.root / path)
    overwrite(me.object(A), DAMAGE[how](A))
    overwrite(me.object(B), DAMAGE[how](B))
    commands(me, ("cat", X), code=13)
    commands(me, ("restore", Y), code=13)
    assert not (me.root / Y).exists()
    if how == "swapped":  # by now its bytes were found under the other name
        me.in_process.track(X)
        assert me.read(X) == A
        return
    assert {"ObjectCorrupt", "ObjectMissing"} & set(me.in_process.refuse(X).error)
    assert not (me.root / X).exists()


# -- remotes


def remote_files(origin):
    return [p for p in origin.rglob("*") if p.is_file() and p.name != "lazydata.json"]


@pytest.mark.parametrize("how", ["flipped", "truncated", "zeroed"])
@pytest.mark.parametrize("what", ["objects", "packs", "index"])
def test_damage_on_a_remote_is_found_named_and_mended(me, origin, what, how, digest):
    before = everything(origin)
    (file, *_) = sorted(p for p in remote_files(origin) if p.parts[len(origin.parts)] == what)
    overwrite(file, DAMAGE[how](file.read_bytes()))
    rotten = everything(origin)
    rows = verify(me, "--remote", "origin", code=13)
    assert {row["where"] for row in rows} == {str(file.relative_to(origin))}
    assert everything(origin) == rotten  # nothing is changed without --repair
    if what == "objects":
        named = {digest(A): X, digest(B): Y}
        (row,) = rows
        assert row["paths"] == [named[row["digest"]]]
    if what == "packs" and how == "zeroed":
        assert set(SMALL) < {path for row in rows for path in row["paths"]}
    rows = verify(me, "--remote", "origin", "--repair")
    assert all(row["repaired"] for row in rows)
    assert everything(origin) == before
    assert verify(me, "--remote", "origin") == []


def test_a_remote_is_mended_from_another_one(me, origin, tmp_path):
    commands(me, ("add-remote", tmp_path / "two", "--name", "two"), ("push", "--remote", "two"))
    before = everything(origin)
    for path in remote_files(origin):
        if path.suffix != ".idx":
            overwrite(path, bytes(path.stat().st_size))
    shutil.rmtree(me.lazydata_home / "store")
    for path in (X, Y, *SMALL):
        os.unlink(me.root / path)
    assert all(row["repaired"] for row in verify(me, "--remote", "origin", "--repair"))
    assert everything(origin) == before


def test_what_can_not_be_mended_is_listed(me, origin, digest):
    shutil.rmtree(me.lazydata_home / "store")
    os.unlink(me.root / X)
    name = digest(A).removeprefix("blake3:")
    there = origin / "objects" / "blake3" / name[:2] / name
    if not there.exists():
        pytest.skip("it travels in a pack")
    overwrite(there, DAMAGE["flipped"](A))
    (row,) = verify(me, "--remote", "origin", "--repair", code=13)
    assert (row["digest"], row["paths"], row["repaired"]) == (digest(A), [X], False)
    there.unlink()
    (row,) = verify(me, "--remote", "origin", "--repair", code=12)
    assert row["problem"] == "missing"


def test_what_is_damaged_there_is_not_taken_to_be_pushed(me, origin, digest):
    """Else gc --max-size would let go of the good copy."""
    name = digest(A).removeprefix("blake3:")
    there = origin / "objects" / "blake3" / name[:2] / name

    def pushed():
        found = json.loads(commands(me, ("status", "--json")))["files"]
        return {each["path"]: each["pushed"] for each in found}[X]

    assert pushed()
    overwrite(there, DAMAGE["flipped"](A))
    verify(me, "--remote", "origin", code=13)
    assert not pushed()
    verify(me, "--remote", "origin", "--repair")
    commands(me, ("push",))
    assert pushed()


def test_a_fresh_clone_finds_and_mends_as_well(me, origin, new_desk, digest):
    """It has nothing but what the remote still has, and its own files."""
    you = new_desk("you")
    you.write("lazydata.yml", me.manifest_file.read_bytes())
    (index,) = origin.glob("index/*.idx")
    overwrite(index, DAMAGE["truncated"](index.read_bytes()))
    commands(you, ("pull", "."), code=3)
    rows = verify(me, "--remote", "origin", "--repair")
    assert [row["repaired"] for row in rows] == [True]
    commands(you, ("pull", "."))
    assert you.read(X) == A
    assert you.read("data/parts/3") == SMALL["data/parts/3"]


def test_an_unknown_remote_is_refused(me):
    commands(me, ("verify", "--remote", "nowhere"), code=2)


def test_a_shard_that_another_user_is_making_is_none_yet(ordinary):
    ordinary.write("x", "x")
    ordinary.run_cli("track", "x")
    made = ordinary.object(b"x").parent.parent / ".lazydata-1f-0123456789abcdef.tmp"
    made.mkdir(mode=0o700)
    made.chmod(0o700 if ordinary.user is not None else 0)  # ours, where it is not the user's
    ordinary.run_cli("verify")
    ordinary.run_cli("gc")
    assert ordinary.holds(b"x")
