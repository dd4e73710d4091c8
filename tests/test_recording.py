"""Many files tracked by one command: what each by itself would have been, and one flush."""

from __future__ import annotations

import os
import subprocess
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazydata import manifest
from lazydata.digest import Digest
from lazydata.errors import ManifestInvalid
from lazydata.manifest import Version

NAMES = [f"data/{n % 3}/f{n:02}.csv" for n in range(30)]


def content(name):
    return f"content of {name}".encode()


@pytest.fixture
def me(project):
    for name in NAMES:
        project.write(name, content(name))
    return project


def singly(desk, names):
    for start in range(0, len(names), 8):
        desk.run_cli("track", *names[start : start + 8])


def test_many_are_as_if_each_came_by_itself(me, new_desk):
    said = me.run_cli("track", *reversed(NAMES))
    assert sorted(said.stderr.splitlines()) == sorted(
        f"lazydata: Tracking a new file {name}" for name in NAMES
    )
    other = new_desk("other")
    other.write("lazydata.yml", (manifest.TEMPLATE))
    for name in NAMES:
        other.write(name, content(name))
    singly(other, NAMES)
    assert me.manifest_file.read_text() == other.manifest_file.read_text()
    assert all(me.holds(content(name)) for name in NAMES)
    assert me.run_cli("status").stdout == other.run_cli("status").stdout
    before = me.state()
    assert me.run_cli("track", *NAMES).stderr == ""
    assert me.state() == before


def test_they_are_known_from_then_on(me):
    me.run_cli("track", *NAMES)
    me.run_cli("status")  # what was racy is settled
    (me.root / NAMES[0]).unlink()
    assert "Restoring" in me.run_cli("track", NAMES[0]).stderr
    assert me.read(NAMES[0]) == content(NAMES[0])


def test_what_is_as_it_is_listed_is_not_settled_one_by_one(me):
    me.run_cli("track", *NAMES)
    settled = """
        import sys
        from lazydata.workspace import settle
        real = settle.settle
        def told(workspace, path, *args, **more):
            print(path, file=sys.stderr)
            return real(workspace, path, *args, **more)
        settle.settle = told
        from lazydata.cli import main
        main()
    """
    me.write(NAMES[7], "changed")
    os.utime(me.root / NAMES[8])
    process = me.popen(textwrap.dedent(settled), "track", *NAMES)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 0, err
    singly = [line for line in err.splitlines() if line.startswith("/")]
    assert singly == [str(me.root / NAMES[7])]
    assert len(me.versions(NAMES[7])) == 2


def test_many_missing_files_are_restored_together(me):
    me.run_cli("track", *NAMES)
    for name in NAMES[1:]:
        (me.root / name).unlink()
    me.write(NAMES[0], "edited")
    me.lose(content(NAMES[9]))
    said = me.run_cli("restore", "data", code=3)
    back = {name for name in NAMES if (me.root / name).exists()}
    assert back == {*NAMES} - {NAMES[9]}
    assert all(me.read(name) == content(name) for name in back)
    assert {line.partition(" is ")[0] for line in said.stdout.splitlines()} == back
    assert NAMES[9] in said.stderr
    assert me.holds(b"edited")  # what was in the way can be had back
    assert f"{len(back)} ok" in me.run_cli("status").stdout


def test_there_is_one_flush_for_all(me):
    count = """
        import os, sys
        flushes = []
        for name in ("fsync", "fdatasync"):
            def counted(*args, real=getattr(os, name)):
                flushes.append(1)
                return real(*args)
            setattr(os, name, counted)
        end = os._exit
        def told(code):
            print(len(flushes), flush=True)
            end(code)
        os._exit = told
        from lazydata.cli import main
        main()
    """
    process = me.popen(textwrap.dedent(count), "track", *NAMES)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert int(out.split()[-1]) < len(NAMES)


def test_the_rest_is_settled_singly_and_named_as_it_was_given(me):
    me.run_cli("track", NAMES[0], NAMES[1])
    me.write(NAMES[0], "changed")
    (me.root / "link.csv").symlink_to(NAMES[5])
    os.mkfifo(me.root / "data/pipe")
    outside = me.root.parent / "outside.csv"
    outside.write_text("x")
    wrong = "data/0/../../../outside.csv"
    said = me.run_cli("track", *NAMES, "link.csv", wrong, "data/.git", code=3)
    assert f"{NAMES[0]} changed, recording a new version" in said.stderr
    assert wrong in said.stderr
    assert "1 of 2" in said.stderr or "2 of" in said.stderr
    assert {item["path"] for item in me.items()} == {*NAMES, "link.csv"}
    assert len(me.versions(NAMES[0])) == 2


@pytest.mark.parametrize("gone", [NAMES[3], NAMES[-1]])
def test_one_that_is_not_there_stops_no_other(me, gone):
    (me.root / gone).unlink()
    said = me.run_cli("track", *NAMES, code=3)
    assert gone in said.stderr
    assert {item["path"] for item in me.items()} == {*NAMES} - {gone}


def test_a_directory_among_them_takes_what_is_in_it(me):
    """As it did before: paths are then settled in their order."""
    me.run_cli("track", "data", *NAMES)
    assert [item["path"] for item in me.items()] == ["data/"]


def test_each_goes_to_the_workspace_that_governs_it(me):
    me.write("data/1/lazydata.yml", manifest.TEMPLATE)
    me.run_cli("track", *NAMES)
    inner = [name for name in NAMES if name.startswith("data/1/")]
    assert [item["path"] for item in me.items()] == sorted({*NAMES} - {*inner})
    text = (me.root / "data/1/lazydata.yml").read_text()
    assert sorted(manifest.read(text).files) == sorted(name[len("data/1/") :] for name in inner)


def test_comments_stay_and_a_flow_list_does_too(me):
    me.write("lazydata.yml", "# mine\nversion: 2\nfiles: # listed\n  # first\n# last\n")
    me.run_cli("track", *NAMES)
    text = me.manifest_file.read_text()
    for line in ("# mine", "files: # listed", "  # first", "# last"):
        assert line in text.splitlines()
    assert len(me.items()) == len(NAMES)


def test_an_edit_in_between_is_not_lost(me):
    """Whoever writes the manifest without the lock is seen, and all is recorded nevertheless."""
    edit = """
        from lazydata.workspace import recording
        store = recording._store_all
        def stored(workspace, *args):
            found = store(workspace, *args)
            with open(workspace.file, "a") as file:
                file.write("# theirs\\n")
            return found
        recording._store_all = stored
        from lazydata.cli import main
        main()
    """
    process = me.popen(textwrap.dedent(edit), "track", *NAMES)
    assert process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert "# theirs" in me.manifest_file.read_text()
    assert len(me.items()) == len(NAMES)


def test_a_file_that_changes_in_between_is_recorded_as_it_is(me):
    edit = f"""
        from lazydata.workspace import recording
        look = recording._look_at_all
        def looked(*args):
            found = look(*args)
            with open({NAMES[4]!r}, "w") as file:
                file.write("changed meanwhile")
            return found
        recording._look_at_all = looked
        from lazydata.cli import main
        main()
    """
    process = me.popen(textwrap.dedent(edit), "track", *NAMES)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 0, err
    assert me.holds(b"changed meanwhile")
    assert me.json_cli("status", "--json", "--check")


def test_a_store_that_is_full_keeps_what_was_there(me, small_disk):
    me.run_cli("track", *NAMES[:2])
    small_disk("64k", at=me.root.parent / "tiny")
    me.run_cli("config", "set", "store", str(me.root.parent / "tiny/store"))
    big = [f"big/{n}" for n in range(12)]
    for name in big:
        me.write(name, os.urandom(20_000))
    said = me.run_cli("track", *big, code=None)
    assert said.returncode
    assert "space" in said.stderr
    listed = {item["path"] for item in me.items()}
    assert {*NAMES[:2]} <= listed < {*NAMES[:2], *big}


def test_a_killed_command_leaves_a_manifest_of_before_or_after(me):
    for delay in (0.15, 0.25, 0.3, 0.35, 0.4):
        process = me.popen("from lazydata.cli import main; main()", "track", *NAMES)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        assert len(me.items()) in (0, len(NAMES))
    me.run_cli("track", *NAMES)
    assert all(me.holds(content(name)) for name in NAMES)
    assert len(me.items()) == len(NAMES)


NAME = st.from_regex(r"[a-c]{1,3}(/[a-c .#'-]{1,4}x)?", fullmatch=True).filter(
    lambda name: name == name.strip()
)
TEXTS = [
    "version: 2\nfiles:\n",
    "version: 2\n",
    "",
    "files:\n  - path: b\n    hash: blake3:" + "1" * 64 + "\n    size: 1 # one\n# end",
    "files: [{path: b, hash: 'blake3:" + "1" * 64 + "', size: 1}]\n",
    "files:\r\n- path: c\r\n  hash: blake3:" + "1" * 64 + "\r\n- path: a\r\n  hash: blake3:"
    + "2" * 64 + "\r\n",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@given(names=st.sets(NAME, max_size=8))
def test_one_edit_says_what_many_would(text, names):
    view = manifest.read(text)
    new = {
        name: Version(Digest(f"blake3:{number:064x}"), number)
        for number, name in enumerate(names)
        if name not in view.files
    }
    try:
        at_once = manifest.record_new(text, view, new)
    except ManifestInvalid:
        at_once = None
    step = text
    try:
        for name in sorted(new):
            step, _ = manifest.record(step, manifest.read(step), name, new[name])
    except ManifestInvalid:
        assert at_once is None
        return
    assert at_once == step


def test_a_file_that_becomes_a_directory_in_between_stops_no_other(me):
    edit = f"""
        import os
        from lazydata.workspace import recording
        store = recording._store_all
        def stored(*args):
            found = store(*args)
            os.unlink({NAMES[4]!r})
            os.mkdir({NAMES[4]!r})
            return found
        recording._store_all = stored
        from lazydata.cli import main
        main()
    """
    process = me.popen(textwrap.dedent(edit), "track", *NAMES)
    process.communicate(timeout=60)
    assert {*NAMES} - {NAMES[4]} <= {item["path"] for item in me.items()}
