"""Workspaces below workspaces: which one a path belongs to, and commands that cover several."""

import json
import os

import pytest

TOP, A, B = b"top\n", b"in a\n", b"in b\n"
BROKEN = "version: 2\nfiles: [\n"


@pytest.fixture
def mono(project):
    """A workspace with two nested ones, each with data/x.csv, and the shared one with y as well."""
    for place in ("libs/a", "libs/b"):
        project.run_cli("init", "--nested", place)
    for place, content in (("", TOP), ("libs/a/", A), ("libs/b/", B)):
        project.write(f"{place}data/x.csv", content)
    project.write("other/y.csv", b"y")
    project.run_cli("track", "data/x.csv", "other/y.csv", "libs/a/data/x.csv", "libs/b/data/x.csv")
    return project


@pytest.fixture
def listed(mono):
    def run(*arguments, cwd=".", code=0):
        found = mono.json_cli("ls", *arguments, cwd=mono.root / cwd, code=code)
        return found["root"], sorted(f["path"] for f in found["files"])

    return run


def manifest_of(desk, place):
    return (desk.root / place / "lazydata.yml").read_text()


# -- which workspace


def test_the_nearest_manifest_lists_a_file(mono, digest):
    assert mono.versions("data/x.csv") == [digest(TOP)]
    assert "libs" not in manifest_of(mono, ".")
    assert digest(A) in manifest_of(mono, "libs/a")
    assert digest(B) in manifest_of(mono, "libs/b")


def test_track_in_code_uses_the_nearest_manifest(mono, tracker, digest):
    mono.write("libs/a/data/new.csv", b"new")
    tracker.track("libs/a/data/new.csv")
    assert digest(b"new") in manifest_of(mono, "libs/a")
    assert digest(b"new") not in manifest_of(mono, ".")


def test_a_path_is_handled_by_the_workspace_that_governs_it(mono, digest):
    mono.write("libs/a/data/x.csv", b"edited")
    found = mono.json_cli("status", "libs/a/data/x.csv")
    assert found["root"] == str(mono.root / "libs" / "a")
    assert [(f["path"], f["state"]) for f in found["files"]] == [("data/x.csv", "modified")]
    mono.run_cli("restore", "libs/a/data/x.csv")
    assert mono.read("libs/a/data/x.csv") == A
    assert mono.cli_bytes("cat", "libs/a/data/x.csv") == A
    mono.run_cli("untrack", "libs/a/data/x.csv")
    assert digest(A) not in manifest_of(mono, "libs/a")
    assert mono.versions("data/x.csv") == [digest(TOP)]


def test_a_path_of_the_workspace_around_is_handled_there(listed):
    assert listed("../../data/x.csv", cwd="libs/a")[1] == ["data/x.csv"]
    assert listed("../b", cwd="libs/a")[1] == ["data/x.csv"]


def test_a_path_that_the_nested_manifest_does_not_list_names_that_manifest(mono):
    done = mono.run_cli("status", "libs/a/nope", code=12)
    assert "libs/a/lazydata.yml lists nothing at libs/a/nope" in done.stderr


def test_paths_of_several_workspaces_are_relative_to_the_working_directory(mono, listed):
    assert listed("data/x.csv", "libs/a") == (
        str(mono.root),
        ["data/x.csv", "libs/a/data/x.csv"],
    )
    assert listed("../b", ".", cwd="libs/a") == (
        str(mono.root / "libs" / "a"),
        ["../b/data/x.csv", "data/x.csv"],
    )


def test_one_path_reads_one_manifest(mono):
    mono.write("lazydata.yml", BROKEN)
    mono.write("libs/b/lazydata.yml", BROKEN)
    for command in ("status", "ls", "restore", "cat", "track", "unlock", "pull"):
        mono.run_cli(command, "libs/a/data/x.csv")


def test_one_path_reads_one_manifest_once(mono):
    mono.write("libs/a/lazydata.yml", manifest_of(mono, "libs/a") + "# moved\n")
    code = """
    import os, sys
    opened = []
    def look(event, args):
        if event == "open" and str(args[0]).endswith("lazydata.yml"):
            opened.append(os.path.relpath(args[0]))
    sys.addaudithook(look)
    from lazydata.cli.running import run
    assert run(["status", "libs/a/data/x.csv"]) == 0
    assert opened == ["libs/a/lazydata.yml"], opened
    """
    mono.run_code(code)


def test_one_path_costs_what_one_entry_costs(mono, tmp_path):
    mono.run_cli("add-remote", tmp_path / "remote")
    code = """
    import sys
    from lazydata.baseline import Baseline
    from lazydata.cli.running import run
    from lazydata.compiled import CompiledView
    def everything(_):
        raise AssertionError("all entries were asked for")
    CompiledView.files = property(everything)
    Baseline.all = everything
    for command in ("status", "ls", "restore", "cat", "unlock", "track", "push", "pull", "untrack"):
        assert run([command, "data/x.csv"]) == 0, command
    for named in ("other", "y.csv"):
        assert run(["ls", named]) == 0, named
    """
    mono.run_code(code)


# -- init


def test_init_below_a_workspace_needs_to_be_told(project):
    done = project.run_cli("init", "inner")
    assert "--nested" in done.stdout
    assert not (project.root / "inner").exists()
    project.run_cli("init", "--nested", "inner")
    assert (project.root / "inner" / "lazydata.yml").is_file()


def test_a_workspace_is_not_made_over_files_that_another_lists(project):
    project.record(("inner/x.csv", TOP))
    done = project.run_cli("init", "--nested", "inner", code=2)
    assert "untrack" in done.stderr
    assert not (project.root / "inner" / "lazydata.yml").exists()
    project.run_cli("untrack", "inner")
    project.run_cli("init", "--nested", "inner")


def test_init_nested_says_when_there_is_one_already(mono):
    before = manifest_of(mono, "libs/a")
    assert "already" in mono.run_cli("init", "--nested", "libs/a").stdout
    assert manifest_of(mono, "libs/a") == before


# -- the working directory


def test_commands_without_a_path_are_about_the_working_directory(mono, listed):
    assert listed(cwd="data") == (str(mono.root), ["data/x.csv"])
    assert listed(cwd="libs") == (str(mono.root), [])
    assert listed(cwd="libs/a")[1] == ["data/x.csv"]
    assert "1 file in data/: 1 ok" in mono.run_cli("status", cwd=mono.root / "data").stdout


def test_push_and_pull_without_a_path_are_about_the_working_directory(mono, tmp_path):
    mono.run_cli("add-remote", tmp_path / "remote")
    done = mono.run_cli("push", cwd=mono.root / "data")
    assert done.stdout.startswith("Pushed 1 object in data/ ")
    assert [f["path"] for f in mono.json_cli("status")["files"] if not f["pushed"]] == [
        "other/y.csv"
    ]
    for path in ("data/x.csv", "other/y.csv"):
        (mono.root / path).unlink()
    mono.run_cli("pull", cwd=mono.root / "data")
    assert mono.read("data/x.csv") == TOP
    assert not (mono.root / "other/y.csv").exists()


def test_people_see_paths_as_they_can_type_them(mono):
    (mono.root / "data/x.csv").unlink()
    assert "missing         x.csv\n" in mono.run_cli("status", cwd=mono.root / "data").stdout
    done = mono.run_cli("status", "../data", cwd=mono.root / "other")
    assert "missing         ../data/x.csv\n" in done.stdout
    done = mono.run_cli("ls", "libs/a/data/x.csv")
    assert done.stdout.split()[-1] == "libs/a/data/x.csv"


# -- --recursive


def test_recursive_covers_the_workspaces_below(mono, listed):
    everything = ["data/x.csv", "libs/a/data/x.csv", "libs/b/data/x.csv", "other/y.csv"]
    assert listed("--recursive") == (str(mono.root), everything)
    assert listed("-r", "libs") == (str(mono.root), everything[1:3])
    assert listed("-r", cwd="libs") == (
        str(mono.root / "libs"),
        ["a/data/x.csv", "b/data/x.csv"],
    )
    assert listed("-r", cwd="data")[1] == ["x.csv"]
    assert listed()[1] == ["data/x.csv", "other/y.csv"]


def test_recursive_works_above_all_workspaces(mono):
    found = mono.json_cli("ls", "-r", cwd=mono.base)
    assert found["files"][0]["path"] == "work/data/x.csv"
    empty = mono.base / "empty"
    empty.mkdir()
    mono.run_cli("ls", "-r", cwd=empty, code=10)


def test_recursive_finds_workspaces_in_workspaces(mono, listed):
    mono.run_cli("init", "--nested", "libs/a/deep")
    mono.write("libs/a/deep/z.csv", b"z")
    mono.run_cli("track", "libs/a/deep/z.csv")
    assert "libs/a/deep/z.csv" in listed("-r")[1]


def test_recursive_looks_neither_into_git_nor_through_symlinks(mono, listed, tmp_path):
    before = listed("-r")
    for place in (".git/modules/sub", ".lazydata/sub"):
        mono.write(f"{place}/lazydata.yml", BROKEN)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lazydata.yml").write_text(BROKEN)
    os.symlink(elsewhere, mono.root / "link")
    os.symlink(mono.root, mono.root / "libs" / "loop")
    assert listed("-r") == before


def test_recursive_status_gives_one_summary(mono):
    mono.write("libs/b/data/x.csv", b"edited")
    done = mono.run_cli("status", "-r")
    assert "modified        libs/b/data/x.csv\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("4 files: 3 ok, 1 modified")
    mono.run_cli("status", "-r", "--check", code=4)
    mono.run_cli("status", "--check")


def test_a_workspace_that_fails_is_named_and_stops_no_other(mono):
    mono.write("libs/a/lazydata.yml", BROKEN)
    mono.write("libs/b/data/x.csv", b"edited")
    done = mono.run_cli("status", "-r", "--check", code=11)
    assert "libs/b/data/x.csv" in done.stdout
    assert "error: libs/a: " in done.stderr
    assert "1 of 3 workspaces" in done.stderr
    done = mono.run_cli("status", "-r", "--json", code=11)
    assert [f["path"] for f in json.loads(done.stdout)["files"]] == [
        "data/x.csv",
        "other/y.csv",
        "libs/b/data/x.csv",
    ]
    told = json.loads(done.stderr)
    assert told["code"] == 11
    assert len(told["left"]) == 1
    assert told["left"][0].startswith("libs/a: ")


def test_recursive_push_and_pull(mono, tmp_path):
    for place, name in ((".", "all"), ("libs/a", "all"), ("libs/b", "b")):
        mono.run_cli("add-remote", tmp_path / name, "--name", name, cwd=mono.root / place)
    done = mono.json_cli("push", "-r")
    assert done == {
        "remote": "all, b",
        "objects": 4,
        "size": len(TOP + A + B) + 1,
        "already": 0,
        "left": [],
        "dry_run": False,
    }
    assert mono.run_cli("push", "-r").stdout == "Nothing to push: all, b has all 4 objects.\n"
    for content, path in ((TOP, "data/x.csv"), (A, "libs/a/data/x.csv"), (B, "libs/b/data/x.csv")):
        mono.lose(content)
        (mono.root / path).unlink()
    done = mono.run_cli("pull", "-r", cwd=mono.root / "libs")
    assert "Pulled 2 files.\n" in done.stdout
    assert "lazydata: a: Downloading stored file data/x.csv" in done.stderr
    assert mono.read("libs/b/data/x.csv") == B
    assert not (mono.root / "data/x.csv").exists()
    assert mono.json_cli("pull", "-r")["paths"] == ["data/x.csv"]


def test_recursive_push_says_what_is_left_where(mono, tmp_path):
    mono.run_cli("add-remote", tmp_path / "remote", cwd=mono.root)
    mono.run_cli("add-remote", tmp_path / "remote", cwd=mono.root / "libs" / "a")
    mono.lose(A)
    (mono.root / "libs/a/data/x.csv").unlink()
    mono.run_cli("untrack", "libs/b")  # nothing is listed there, so no remote is needed
    done = mono.run_cli("push", "-r", code=3)
    assert "error: libs/a: data/x.csv: " in done.stderr
    assert "Pushed 2 objects" in done.stdout


def test_recursive_restore(mono):
    for path in ("data/x.csv", "libs/a/data/x.csv", "libs/b/data/x.csv"):
        (mono.root / path).unlink()
    mono.run_cli("restore", "-r", "libs")
    assert mono.read("libs/a/data/x.csv") == A
    assert mono.read("libs/b/data/x.csv") == B
    assert not (mono.root / "data/x.csv").exists()
    mono.run_cli("restore", "-r", "libs", "--version", "00", code=2)


def test_recursive_verify_hashes_the_store_once(mono):
    for content, path in ((A, "libs/a/data/x.csv"), (B, "libs/b/data/x.csv")):
        mono.lose(content)
        (mono.root / path).unlink()
    assert mono.json_cli("verify")["damage"] == []
    found = mono.json_cli("verify", "-r", code=12)
    assert found["objects"] == 2
    assert sorted((*d["paths"], d["problem"]) for d in found["damage"]) == [
        ("libs/a/data/x.csv", "missing"),
        ("libs/b/data/x.csv", "missing"),
    ]


def test_recursive_verify_tells_all_paths_of_one_object(mono):
    mono.write("libs/a/data/same.csv", TOP)
    mono.run_cli("track", "libs/a/data/same.csv")
    mono.damage(mono.object(TOP))
    (row,) = mono.json_cli("verify", "-r", code=13)["damage"]
    assert row["paths"] == ["data/x.csv", "libs/a/data/same.csv"]


# -- scripts


def test_pull_of_a_script_gets_what_the_workspace_around_lists(mono):
    mono.run_script("from lazydata import track\ntrack('data/x.csv')\n", "libs/a/train.py")
    assert "libs/a/train.py" in manifest_of(mono, ".")
    (mono.root / "data/x.csv").unlink()
    mono.run_cli("pull", "train.py", cwd=mono.root / "libs" / "a")
    assert mono.read("data/x.csv") == TOP


def test_pull_of_a_script_gets_what_nested_workspaces_list(mono):
    mono.write("all.py", "track('libs/a/data/x.csv')\ntrack('libs/b/data/x.csv')\n")
    for path in ("libs/a/data/x.csv", "libs/b/data/x.csv"):
        (mono.root / path).unlink()
    done = mono.json_cli("pull", "all.py")
    assert sorted(done["paths"]) == ["libs/a/data/x.csv", "libs/b/data/x.csv"]
    assert mono.read("libs/b/data/x.csv") == B
