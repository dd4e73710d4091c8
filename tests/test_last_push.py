"""A push with nothing to do rests on the last one, for as long as nothing has changed."""

from __future__ import annotations

import json
import shutil

import pytest

from directories_model import objects_below

# Says on stderr that the entries had to be looked at.
WATCHED = """
import os, sys
os.chdir(sys.argv.pop(1))
from lazydata.workspace import names
resolve = names.resolve
def told(*args):
    print("looked", file=sys.stderr, flush=True)
    return resolve(*args)
names.resolve = told
from lazydata.cli import main
main()
"""


@pytest.fixture
def remote(tmp_path):
    return tmp_path / "remote"


@pytest.fixture
def me(project, remote):
    for name in ("a/1.csv", "a/2.csv", "b/3.csv"):
        project.write(name, name)
        project.run_cli("track", name)
    project.run_cli("add-remote", remote)
    return project


def push(desk, *arguments, cwd=None, code=0):
    """What a push says, and whether it rested on the last one."""
    process = desk.popen(WATCHED, str(cwd or desk.root), "push", "--json", *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    done = json.loads(out)
    return done["objects"], done["already"], "looked" if "looked" in err else "rested"


def test_the_second_push_rests_on_the_first(me):
    assert push(me) == (3, 0, "looked")
    assert push(me) == (0, 3, "rested")
    assert push(me, "--dry-run") == (0, 3, "rested")
    assert push(me, "--check") == (0, 3, "looked")
    assert push(me) == (0, 3, "rested")


def test_what_is_new_is_sent(me, remote):
    push(me)
    me.write("a/1.csv", "changed")
    me.run_cli("track", "a/1.csv")
    assert push(me) == (1, 3, "looked")
    assert push(me) == (0, 4, "rested")


def test_a_manifest_of_before_is_looked_at_again(me):
    """It says what it said, but what rests on it is that of another."""
    push(me)
    before = me.manifest_file.read_bytes()
    me.write("a/1.csv", "changed")
    me.run_cli("track", "a/1.csv")
    push(me)
    me.write("lazydata.yml", before)
    assert push(me)[:2] == (0, 3)


def test_each_scope_and_each_remote_is_its_own(me, tmp_path):
    assert push(me, cwd=me.root / "a") == (2, 0, "looked")
    assert push(me, cwd=me.root / "a") == (0, 2, "rested")
    assert push(me) == (1, 2, "looked")
    assert push(me, "a/1.csv") == (0, 1, "looked")
    assert push(me, "a/1.csv") == (0, 1, "looked")
    me.run_cli("add-remote", tmp_path / "other", "--name", "other")
    assert push(me, "--remote", "other") == (3, 0, "looked")
    assert push(me) == (0, 3, "looked")  # the manifest was edited
    assert push(me) == (0, 3, "rested")
    assert push(me, "--remote", "other") == (0, 3, "rested")


def test_a_dry_run_is_nothing_to_rest_on(me):
    assert push(me, "--dry-run") == (3, 0, "looked")
    assert push(me) == (3, 0, "looked")


def test_a_push_that_left_something_is_nothing_to_rest_on(me, tmp_path):
    me.lose(b"b/3.csv")
    (me.root / "b/3.csv").unlink()
    assert push(me, code=3) == (2, 0, "looked")
    assert push(me, code=3) == (0, 2, "looked")
    me.write("b/3.csv", "b/3.csv")
    assert push(me) == (1, 2, "looked")


def test_what_only_another_remote_has_is_still_to_be_sent(me, tmp_path):
    push(me)
    me.run_cli("add-remote", tmp_path / "other", "--name", "other")
    me.lose(b"b/3.csv")
    (me.root / "b/3.csv").unlink()
    assert push(me, "--remote", "other") == (2, 0, "looked")
    me.write("b/3.csv", "b/3.csv")
    assert push(me, "--remote", "other") == (1, 2, "looked")


def test_a_remote_that_says_something_else_is_asked(me, new_desk, remote):
    push(me)
    you = new_desk("you")
    you.write("lazydata.yml", me.manifest_file.read_bytes())
    you.write("yours.csv", "yours")
    you.run_cli("track", "yours.csv")
    you.run_cli("push", "yours.csv")
    assert push(me) == (0, 3, "looked")
    assert push(me) == (0, 3, "rested")
    for index_file in remote.rglob("*.idx"):
        index_file.unlink()
    assert push(me) == (3, 0, "looked")  # nobody claims them any more
    assert len([*remote.rglob("*.idx")]) == 1


def test_what_was_found_to_be_gone_is_sent_again(me, remote):
    push(me)
    there = objects_below(remote)
    for path in [*(remote / "objects").rglob("*"), *(remote / "packs").rglob("*")]:
        if path.is_file():
            path.unlink()
    assert push(me)[2] == "rested"
    me.run_cli("verify", "--remote", "origin", code=None)
    assert push(me) == (3, 0, "looked")
    assert objects_below(remote) == there


def test_without_an_index_or_a_memory_all_is_looked_at(me):
    push(me)
    me.forget()
    assert push(me) == (0, 3, "looked")
    assert push(me)[2] == "rested"
    (me.root / ".lazydata/pushed").unlink()
    assert push(me)[2] == "looked"
    shutil.rmtree(me.root / ".lazydata")
    assert push(me) == (0, 3, "looked")


def test_an_edit_while_it_is_pushed_is_not_taken_for_pushed(me):
    during = WATCHED.replace(
        "from lazydata.cli import main",
        """
from lazydata.workspace import pushing
send = pushing._Sending.send
def sending(self, *args, **more):
    with open("lazydata.yml", "a") as file:
        file.write("# a note\\n")
    return send(self, *args, **more)
pushing._Sending.send = sending
from lazydata.cli import main""",
    )
    process = me.popen(during, str(me.root), "push")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert me.manifest_file.read_text().endswith("# a note\n")
    assert push(me)[2] == "looked"
