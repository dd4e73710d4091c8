"""Push and pull of more objects than are moved together: the same, some at a time."""

from __future__ import annotations

import json
import random
import sqlite3

import pytest

from directories_model import digest, files, objects_below, objects_of, on_disk, put

D = "data/images/"
# Ten of them twice; too many bytes for a pull to take them along with the trees.
FILES = {
    f"{n % 5}/{n % 3}/f{n:03}.bin": random.Random(n % 90).randbytes(20_000) for n in range(100)
}
TREE = files(FILES)
TOGETHER = """
import sys
from lazydata.workspace import applying, inside, pushing
inside.AT_ONCE = pushing.AT_ONCE = int(sys.argv[1])
applying.AT_ONCE = 3
pushing._WHOLE = int(sys.argv[2]) or pushing._WHOLE
del sys.argv[1:3]
from lazydata.cli import main
main()
"""


@pytest.fixture
def remote(tmp_path):
    return tmp_path / "remote"


@pytest.fixture
def me(project, remote):
    put(project, D, TREE)
    project.run_cli("track", D)
    project.run_cli("add-remote", remote)
    return project


def together(desk, count, *arguments, code=0, whole=0):
    """Run a command that moves so many objects together, and so many in whole packs."""
    process = desk.popen(TOGETHER, str(count), str(whole), *arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return json.loads(out) if "--json" in arguments else err


def packs(folder):
    return sorted(path.name for path in folder.rglob("*.pack"))


@pytest.mark.parametrize("count", [10, 40, 1_000])
def test_a_push_sends_each_object_once_and_packs_as_they_are(me, remote, count):
    every = set(objects_of(TREE)[1])
    assert together(me, count, "push", "--dry-run", "--json")["objects"] == len(every)
    done = together(me, count, "push", "--json")
    assert (done["objects"], done["already"]) == (len(every), 0)
    assert packs(remote) == packs(me.lazydata_home)
    done = together(me, count, "push", "--json")
    assert (done["objects"], done["already"]) == (0, len(every))


def test_a_pack_of_more_than_memory_is_meant_for_goes_in_parts(me, remote):
    every = set(objects_of(TREE)[1])
    done = together(me, 40, "push", "--json", whole=50)
    assert (done["objects"], done["already"]) == (len(every), 0)
    assert set(objects_below(remote)) == every
    assert packs(remote)
    assert not set(packs(remote)) & set(packs(me.lazydata_home))


def test_versions_share_what_they_share(me, remote):
    me.write(f"{D}0/0/f000.bin", b"changed")
    me.run_cli("track", D)
    done = together(me, 9, "push", "--json")
    every = {*objects_of(TREE)[1], *objects_of(on_disk(me.root / D))[1]}
    assert (done["objects"], done["already"]) == (len(every), 0)


def test_what_is_damaged_is_named_once_and_the_rest_is_sent(me, remote):
    (pack,) = me.lazydata_home.rglob("*.pack")
    data = bytearray(pack.read_bytes())
    data[data.index(FILES["0/0/f060.bin"]) + 7] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)
    (me.root / D / "0/0/f060.bin").unlink()
    done = together(me, 10, "push", "--json", code=3)
    # Only the batch that wanted to send the pack as it is has to wait for its repair.
    every = objects_of(TREE)[1]
    assert 1 <= len(done["left"]) <= 11
    assert done["objects"] + len(done["left"]) == len(every)
    there = objects_below(remote)
    assert digest(FILES["0/0/f060.bin"]) not in there
    assert len(every.keys() & there.keys()) == done["objects"]


@pytest.mark.parametrize("count", [1, 7, 40, 1_000])
def test_a_pull_brings_all_and_knows_it_then(me, new_desk, count):
    me.run_cli("push")
    you = new_desk("you")
    you.write("lazydata.yml", me.manifest_file.read_bytes())
    said = together(you, count, "pull", D)
    assert said.count("Downloading") == 1
    assert on_disk(you.root / D) == TREE
    assert you.run_cli("status").stdout == me.run_cli("status").stdout
    # Each directory is remembered as it was filled, so that no file is read again.
    database = next(iter(you.home.rglob("index.sqlite")))
    with sqlite3.connect(database) as connection:
        known = {path for (path,) in connection.execute("SELECT path FROM directories")}
    made = {str(path) for path in [you.root / D, *(you.root / D).rglob("*")] if path.is_dir()}
    assert {path.rstrip("/") for path in known} == made


def test_the_counts_of_a_pull_are_those_of_all(me, new_desk):
    me.run_cli("push")
    you = new_desk("you")
    you.write("lazydata.yml", me.manifest_file.read_bytes())
    done = together(you, 7, "pull", D, "--json")
    once = {content: len(content) for content in FILES.values()}
    assert (done["objects"], done["size"]) == (len(once), sum(once.values()))


def test_what_is_nowhere_stops_no_other(me, new_desk, remote):
    lost = random.Random(3).randbytes(5 << 20)  # no pack is as large
    me.write(f"{D}0/0/a.bin", lost)
    me.run_cli("track", D)
    me.run_cli("push")
    (gone,) = [
        path for path in remote.rglob("*") if path.is_file() and path.stat().st_size > 4 << 20
    ]
    gone.unlink()
    you = new_desk("you")
    you.write("lazydata.yml", me.manifest_file.read_bytes())
    said = together(you, 7, "pull", D, code=3)
    assert "0/0/a.bin" in said
    assert on_disk(you.root / D) == TREE
