"""The commands: what they print, what they do, and how they end."""

import json
import re
import shutil

import pytest

X = "data/x.csv"
V1, V2, V3, Y1 = b"first\n", b"second\r\n\x00\xff", b"third", b"another"
COMMANDS = [
    *("init", "track", "untrack", "status", "ls", "restore", "cat", "unlock", "add-remote"),
    *("remove-remote", "remotes", "push", "pull", "verify", "config"),
]


@pytest.fixture
def two(project):
    """Two versions of data/x.csv, and one each of data/y.csv and other/z.txt."""
    project.record((X, V1), (X, V2), ("data/y.csv", Y1), ("other/z.txt", V3))
    return project


@pytest.fixture
def states(project):
    def run(*paths, cwd=None):
        files = project.json_cli("status", *paths, cwd=cwd)["files"]
        return {f["path"]: f["state"] for f in files}

    return run


def short(digest):
    return digest.removeprefix("blake3:")[:12]


# -- init, track, untrack


def test_init_writes_a_manifest_that_explains_itself(desk):
    desk.run_cli("init")
    assert desk.manifest_file.read_text().lstrip().startswith("#")
    assert not desk.manifest().get("files")


def test_init_makes_the_directory_that_it_is_given(desk):
    desk.run_cli("init", "deep/er")
    assert (desk.root / "deep" / "er" / "lazydata.yml").is_file()
    assert not desk.manifest_file.exists()


def test_init_in_a_workspace_says_so_and_changes_nothing(two):
    before = two.state()
    done = two.run_cli("init")
    assert (done.stdout + done.stderr).strip()
    assert two.state() == before


def test_track_records_files_without_a_usage(project, digest):
    project.write(X, V1)
    project.write("b", V2)
    done = project.run_cli("track", X, "b")
    assert f"lazydata: Tracking a new file {X}\n" in done.stderr
    assert project.versions(X) == [digest(V1)]
    assert project.versions("b") == [digest(V2)]
    assert project.usages(X) == []


def test_track_takes_paths_of_the_working_directory(project):
    project.write(X, V1)
    project.run_cli("track", "x.csv", cwd=project.root / "data")
    assert [item["path"] for item in project.items()] == [X]


def test_track_of_a_missing_file_fails(project):
    assert X in project.run_cli("track", X, code=12).stderr


def test_untrack_removes_the_entry_and_nothing_else(two):
    two.run_cli("untrack", X)
    assert two.versions(X) == []
    assert len(two.items()) == 2
    assert two.read(X) == V2
    assert two.holds(V1)
    assert two.holds(V2)
    two.run_cli("untrack", X, code=12)


def test_untrack_of_one_unknown_path_leaves_the_others(two):
    before = two.state()
    assert "nothing.csv" in two.run_cli("untrack", X, "nothing.csv", code=12).stderr
    assert two.state() == before


# -- status

KEYS = {"path", "state", "kind", "hash", "size", "stored", "pushed"}


def test_status_in_json(two, digest):
    told = two.json_cli("status")
    assert set(told) == {"root", "files"}
    assert told["root"] == str(two.root)
    assert all(set(f) == KEYS for f in told["files"])
    assert sorted(f["path"] for f in told["files"]) == [X, "data/y.csv", "other/z.txt"]
    assert next(f for f in told["files"] if f["path"] == X) == {
        "path": X,
        "state": "ok",
        "kind": "file",
        "hash": digest(V2),
        "size": len(V2),
        "stored": True,
        "pushed": False,
    }


def test_status_of_an_unchanged_workspace(two, states):
    assert set(states().values()) == {"ok"}
    two.run_cli("status", "--check")


def test_status_modified(two, states):
    two.write(X, V3)
    before = two.state()
    assert states()[X] == "modified"
    two.run_cli("status")
    two.run_cli("status", "--check", code=4)
    assert two.state() == before
    assert two.read(X) == V3


def test_status_modified_when_an_older_version_was_put_back(two, states):
    two.write(X, V1)
    assert states()[X] == "modified"


def test_status_outdated_when_the_manifest_moved(two, states):
    text = two.manifest_file.read_bytes()
    two.record((X, V3))
    two.manifest_file.write_bytes(text)
    assert states()[X] == "outdated"
    two.run_cli("status", "--check", code=4)
    assert two.read(X) == V3


def test_status_outdated_when_an_older_version_is_in_a_fresh_clone(two, states):
    two.forget()
    two.write(X, V1)
    assert states()[X] == "outdated"


def test_status_missing_when_this_clone_had_the_file(two, states):
    (two.root / X).unlink()
    assert states()[X] == "missing"
    two.run_cli("status", "--check", code=4)


def test_status_not_downloaded_when_this_clone_never_had_it(two, states):
    two.forget()
    (two.root / X).unlink()
    assert states()[X] == "not-downloaded"
    two.run_cli("status", "--check")


def test_status_stored_tells_whether_the_latest_is_in_the_store(two):
    two.lose(V2)
    told = {f["path"]: f["stored"] for f in two.json_cli("status")["files"]}
    assert told == {X: False, "data/y.csv": True, "other/z.txt": True}


def test_status_pushed_tells_whether_a_remote_has_it(two, tmp_path):
    two.run_cli("add-remote", tmp_path / "remote")
    two.run_cli("push", X)
    told = {f["path"]: f["pushed"] for f in two.json_cli("status")["files"]}
    assert told == {X: True, "data/y.csv": False, "other/z.txt": False}


def test_status_of_touched_file_is_ok(two, states):
    (two.root / X).touch()
    assert states()[X] == "ok"


def test_status_check_looks_at_the_given_paths_only(two):
    two.write(X, V3)
    two.run_cli("status", "--check", "other")
    two.run_cli("status", "--check", "data", code=4)


def test_status_writes_for_people_what_it_writes_for_programs(two):
    two.write(X, V3)
    line = next(ln for ln in two.run_cli("status").stdout.splitlines() if X in ln)
    assert "modified" in line


# -- ls


def test_ls_in_json(two, digest):
    two.run_script(f"from lazydata import track\ntrack({X!r})\n")
    told = two.json_cli("ls")
    assert set(told) == {"root", "files"}
    assert told["root"] == str(two.root)
    assert [f["path"] for f in told["files"]] == [X, "data/y.csv", "other/z.txt"]
    assert told["files"][0] == {
        "path": X,
        "kind": "file",
        "hash": digest(V2),
        "size": len(V2),
        "usage": ["my_script.py"],
        "producer": [],
        "latest": True,
    }
    assert told["files"][1]["usage"] == []


def test_ls_versions_has_one_row_for_each(two, digest):
    files = two.json_cli("ls", "--versions", X)["files"]
    assert [(f["hash"], f["latest"]) for f in files] == [(digest(V1), False), (digest(V2), True)]
    assert [f["size"] for f in files] == [len(V1), len(V2)]


def test_ls_for_people_names_every_file_and_version(two, digest):
    out = two.run_cli("ls").stdout
    assert all(path in out for path in (X, "data/y.csv", "other/z.txt"))
    out = two.run_cli("ls", "--versions").stdout
    assert digest(V1).removeprefix("blake3:")[:8] in out
    assert digest(V2).removeprefix("blake3:")[:8] in out


def test_ls_in_an_empty_workspace(project):
    assert project.json_cli("ls")["files"] == []


# -- PATH


@pytest.fixture
def listed(two):
    def run(*paths, cwd=".", code=0):
        done = two.run_cli("ls", *paths, "--json", cwd=two.root / cwd, code=code)
        return sorted(f["path"] for f in json.loads(done.stdout)["files"])

    return run


@pytest.mark.parametrize("prefix", ["data", "data/", "./data", "other/../data"])
def test_path_may_be_a_prefix(listed, prefix):
    assert listed(prefix) == [X, "data/y.csv"]


def test_prefix_ends_at_a_slash(two, listed):
    two.record(("database/x", V1))
    assert listed("data") == [X, "data/y.csv"]


def test_path_is_relative_to_the_working_directory(listed):
    assert listed("x.csv", cwd="data") == [X]
    assert listed(".", cwd="data") == [X, "data/y.csv"]
    assert listed("../other", cwd="data") == ["other/z.txt"]


def test_absolute_path_is_taken(two, listed):
    assert listed(str(two.root / X)) == [X]


def test_path_need_not_exist_on_disk(two, listed):
    shutil.rmtree(two.root / "data")
    assert listed("data") == [X, "data/y.csv"]
    assert listed(X) == [X]


def test_several_paths_name_each_entry_once(listed):
    assert listed(X, "data", X) == [X, "data/y.csv"]


def test_bare_name_of_one_entry_is_taken_and_said(two):
    done = two.run_cli("ls", "x.csv", "--json")
    assert [f["path"] for f in json.loads(done.stdout)["files"]] == [X]
    assert X in done.stderr


def test_bare_name_of_two_entries_is_not_guessed(two):
    two.record(("other/x.csv", V1))
    done = two.run_cli("untrack", "x.csv", code=None)
    assert done.returncode in (2, 12)
    assert len(two.items()) == 5


@pytest.mark.parametrize(
    "command", ["status", "ls", "restore", "cat", "untrack", "unlock", "push", "pull"]
)
def test_path_that_names_nothing_is_not_tracked(two, command, tmp_path):
    two.run_cli("add-remote", tmp_path / "remote")
    before = two.state()
    done = two.run_cli(command, "data/nothing.csv", code=12)
    assert "data/nothing.csv" in done.stderr
    assert two.state() == before


# -- restore, cat


@pytest.mark.parametrize("content", [None, V2], ids=["missing", "unchanged"])
def test_restore_brings_the_latest_back(two, content):
    before = two.state()
    if content is None:
        (two.root / X).unlink()
    two.run_cli("restore", X)
    assert two.read(X) == V2
    assert two.state() == before
    assert two.run_cli("track", X).stderr == ""


def test_restore_of_a_directory_brings_all_below_back(two):
    shutil.rmtree(two.root / "data")
    two.run_cli("restore", "data")
    assert two.read(X) == V2
    assert two.read("data/y.csv") == Y1


@pytest.mark.parametrize("form", ["hex", "blake3:hex", "full", "UPPER"])
def test_restored_version_is_recorded_as_the_newest(two, digest, form):
    wanted = digest(V1)
    prefix = {
        "hex": short(wanted),
        "blake3:hex": f"blake3:{short(wanted)}",
        "full": wanted,
        "UPPER": short(wanted).upper(),
    }[form]
    two.run_cli("restore", X, "--version", prefix)
    assert two.read(X) == V1
    assert two.versions(X) == [digest(V2), digest(V1)]
    before = two.state()
    assert two.run_cli("track", X).stderr == ""
    assert two.state() == before


def test_restore_of_an_unknown_version_changes_nothing(two):
    before = two.state()
    done = two.run_cli("restore", X, "--version", "0123456789ab", code=None)
    assert done.returncode in (2, 12)
    assert two.read(X) == V2
    assert two.state() == before


def test_restore_never_loses_an_unrecorded_edit(two):
    two.write(X, V3 + b" and more")
    two.run_cli("restore", X, code=None)
    assert two.read(X) == V3 + b" and more" or two.holds(V3 + b" and more")


def test_restore_version_never_loses_an_unrecorded_edit(two, digest):
    two.write(X, V3 + b" and more")
    two.run_cli("restore", X, "--version", short(digest(V1)), code=None)
    assert two.read(X) == V3 + b" and more" or two.holds(V3 + b" and more")


def test_restore_and_cat_fetch_what_the_store_lacks(two, tmp_path, digest):
    two.run_cli("add-remote", tmp_path / "remote")
    two.run_cli("push")
    shutil.rmtree(two.lazydata_home / "store")
    assert two.cli_bytes("cat", X) == V2
    shutil.rmtree(two.lazydata_home / "store", ignore_errors=True)
    two.run_cli("restore", X, "--version", short(digest(V1)))
    assert two.read(X) == V1


def test_cat_is_exact_and_touches_nothing(two, digest):
    before = two.state()
    (two.root / X).unlink()
    assert two.cli_bytes("cat", X) == V2
    assert two.cli_bytes("cat", X, "--version", short(digest(V1))) == V1
    assert two.cli_bytes("cat", X, "--version", "blake3:" + short(digest(V1))) == V1
    assert not (two.root / X).exists()
    assert two.state() == before


def test_cat_of_a_large_file(project):
    content = bytes(range(256)) * 20_000
    project.write("large.bin", content)
    project.run_cli("track", "large.bin")
    assert project.cli_bytes("cat", "large.bin") == content


def test_cat_of_an_object_that_is_nowhere(two):
    two.lose(V2)
    done = two.run_cli("cat", X, code=12)
    assert X in done.stderr
    assert done.stdout == ""


# -- config, remotes


def test_config_set_get_list(project):
    before = project.state()
    project.run_cli("config", "set", "link", "copy")
    assert project.run_cli("config", "get", "link").stdout.strip() == "copy"
    assert re.search(r"link\W+copy", project.run_cli("config", "list").stdout)
    assert "copy" in (project.lazydata_home / "config.yml").read_text()
    project.run_cli("config", "set", "link", "auto")
    assert project.run_cli("config", "get", "link").stdout.strip() == "auto"
    assert project.state() == before


def test_config_works_without_a_workspace(desk, tmp_path):
    desk.run_cli("config", "set", "store", tmp_path / "store")
    assert desk.run_cli("config", "get", "store").stdout.strip() == str(tmp_path / "store")


def test_config_of_a_remotes_profile(project):
    project.run_cli("config", "set", "remotes.origin.profile", "work")
    assert project.run_cli("config", "get", "remotes.origin.profile").stdout.strip() == "work"


@pytest.mark.parametrize(
    "pair", [("nothing", "x"), ("link", "sometimes"), ("on_change", "warn"), ("gitignore", "true")]
)
def test_config_refuses_what_it_does_not_know(project, pair):
    before = project.state()
    done = project.run_cli("config", "set", *pair, code=2)
    assert pair[0] in done.stderr
    assert project.state() == before
    config = project.lazydata_home / "config.yml"
    assert not config.exists() or pair[1] not in config.read_text()


def test_config_keeps_what_a_person_wrote(project):
    config = project.lazydata_home / "config.yml"
    config.parent.mkdir(exist_ok=True)
    config.write_text("# mine\nlink: copy  # for now\n")
    project.run_cli("config", "set", "remotes.origin.profile", "work")
    text = config.read_text()
    assert text.startswith("# mine\nlink: copy  # for now\n")


def test_store_of_the_config_is_used(project, tmp_path, digest):
    project.run_cli("config", "set", "store", tmp_path / "store")
    project.write(X, V1)
    project.run_cli("track", X)
    name = digest(V1).removeprefix("blake3:")
    assert (tmp_path / "store" / "objects-v1" / "blake3" / name[:2] / name).read_bytes() == V1
    assert not project.object(V1).exists()


def test_store_of_the_environment_wins(project, tmp_path, digest):
    project.run_cli("config", "set", "store", tmp_path / "store")
    project.write(X, V1)
    project.run_cli("track", X, env={"LAZYDATA_STORE": str(tmp_path / "other")})
    name = digest(V1).removeprefix("blake3:")
    assert (tmp_path / "other" / "objects-v1" / "blake3" / name[:2] / name).read_bytes() == V1
    assert not (tmp_path / "store").exists()


def test_first_remote_is_origin(project, tmp_path):
    project.run_cli("add-remote", tmp_path / "one")
    remotes = project.manifest()["remotes"]
    assert list(remotes) == ["origin"]
    assert str(tmp_path / "one") in remotes["origin"]["url"]
    out = project.run_cli("remotes").stdout
    assert "origin" in out
    assert str(tmp_path / "one") in out


def test_remotes_are_added_by_name_and_removed(two, tmp_path):
    two.run_cli("add-remote", tmp_path / "one")
    two.run_cli("add-remote", f"file://{tmp_path / 'two'}", "--name", "backup")
    assert list(two.manifest()["remotes"]) == ["origin", "backup"]
    two.run_cli("remove-remote", "origin")
    assert list(two.manifest()["remotes"]) == ["backup"]
    assert len(two.items()) == 4
    out = two.run_cli("remotes").stdout
    assert "backup" in out
    assert "origin" not in out


def test_remove_remote_that_does_not_exist_changes_nothing(two):
    two.run_cli("add-remote", two.base / "remote")
    before = two.state()
    done = two.run_cli("remove-remote", "nothing", code=None)
    assert done.returncode not in (0, 1)
    assert "nothing" in done.stderr
    assert two.state() == before


def test_remote_of_a_name_that_is_taken_is_not_replaced(project, tmp_path):
    project.run_cli("add-remote", tmp_path / "one")
    before = project.state()
    done = project.run_cli("add-remote", tmp_path / "two", "--name", "origin", code=None)
    assert done.returncode not in (0, 1)
    assert project.state() == before


def test_push_without_a_remote_says_how_to_add_one(two):
    done = two.run_cli("push", code=None)
    assert done.returncode not in (0, 1)
    assert "add-remote" in done.stderr


# -- verify


def test_verify_of_a_good_store(two):
    two.run_cli("verify")


def test_verify_finds_damage(two, digest):
    two.damage(two.object(V1))
    done = two.run_cli("verify", code=13)
    assert short(digest(V1))[:8] in done.stdout + done.stderr


def test_verify_finds_a_listed_version_that_is_nowhere(two, digest):
    two.lose(V1)
    done = two.run_cli("verify", code=12)
    assert X in done.stdout + done.stderr


def test_verify_counts_what_a_remote_has(two, tmp_path):
    two.run_cli("add-remote", tmp_path / "remote")
    two.run_cli("push")
    two.lose(V1)
    two.run_cli("verify")


# -- the program


def test_version(desk):
    assert re.search(r"\b2\.0\.0", desk.run_cli("--version").stdout)


def test_help_names_every_command(desk):
    out = desk.run_cli("--help").stdout
    assert [name for name in COMMANDS if name not in out] == []


def test_every_command_has_help(desk):
    done = desk.run_code(
        f"""
        from lazydata.cli.running import run
        for name in {COMMANDS!r}:
            assert run([name, "--help"]) == 0, name
        """
    )
    assert done.stdout.count("Usage") == len(COMMANDS)


@pytest.mark.parametrize("args", [["nothing"], ["ls", "--nothing"], ["restore"], ["add-remote"]])
def test_usage_errors_end_with_2(project, args):
    assert project.run_cli(*args, code=2).stderr


def test_errors_and_hints_are_lines_on_stderr(desk):
    done = desk.run_cli("ls", code=10)
    assert done.stdout == ""
    assert re.search(r"(?m)^error: \S", done.stderr)
    assert re.search(r"(?m)^hint: .*lazydata init", done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["ls", "status"])
def test_error_is_one_json_object_with_json(two, command):
    done = two.run_cli(command, "nothing.csv", "--json", code=12)
    said = [text for text in (done.stdout, done.stderr) if text.strip()]
    assert len(said) == 1
    told = json.loads(said[0])
    assert isinstance(told, dict)
    assert "nothing.csv" in said[0]
    assert "hint" in said[0]


@pytest.mark.parametrize(
    "args",
    [
        *(["ls"], ["status"], ["push"], ["pull"], ["verify"], ["remotes"], ["track", "x"]),
        *(["add-remote", "/nowhere"], ["untrack", "x"], ["restore", "x"], ["cat", "x"]),
    ],
    ids=lambda args: args[0],
)
def test_outside_a_workspace_every_command_says_so(desk, args):
    desk.write("x", V1)
    assert "lazydata init" in desk.run_cli(*args, code=10).stderr
    assert sorted(p.name for p in desk.root.iterdir()) == ["x"]


def test_commands_work_in_a_subdirectory(two):
    assert two.json_cli("ls", cwd=two.root / "data")["root"] == str(two.root)


def test_stdout_that_is_closed_early_is_no_traceback(two):
    done = two.run_code(
        """
        import os, subprocess, sys
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([sys.executable, "-m", "lazydata", "ls"], stdout=write,
                              stderr=subprocess.PIPE, text=True)
        assert "Traceback" not in done.stderr, done.stderr
        """
    )
    assert done.returncode == 0
