"""What `track()` does to a file, and what it says.

F is the file, L the latest version in the manifest, H all its versions, and B the baseline: the
digest that lazydata last recorded from the path or wrote to it in this workspace.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

X = "data/x.csv"
V1, V2, V3, V4 = (f"content {n}\n".encode() for n in "1234")

TRACKING = f"Tracking a new file {X}"
CHANGED = f"Tracked file {X} changed, recording a new version"
DOWNLOADING = f"Downloading stored file {X} ..."
RESTORING = f"Restoring {X} from the local store"
UPDATING = f"Updating {X} to the version in lazydata.yml"


@pytest.fixture
def record(project, tracker):
    """Record contents of data/x.csv, one after the other."""

    def run(*contents):
        for content in contents:
            project.write(X, content)
            tracker.track(X)
        return project.manifest_file.read_bytes()

    return run


@pytest.fixture
def check(project, digest):
    """The file's content and its versions, oldest first."""

    def run(content, *versions):
        assert project.read(X) == content
        assert project.versions(X) == [digest(v) for v in versions]

    return run


# -- no entry


def test_new_file_is_recorded_and_announced(project, tracker, check):
    project.write(X, V1)
    reply = tracker.track(X)
    assert reply.said == [TRACKING]
    check(V1, V1)
    assert project.items(X)[0]["size"] == len(V1)
    assert project.holds(V1)


def test_new_file_whose_baseline_is_known_is_recorded(project, tracker, record, check):
    empty = project.manifest_file.read_bytes()
    record(V1)
    project.manifest_file.write_bytes(empty)
    assert tracker.track(X).said == [TRACKING]
    check(V1, V1)


def test_missing_file_without_an_entry_is_not_tracked(project, tracker):
    before = project.state()
    reply = tracker.refuse(X)
    assert reply.error[0] == "NotTracked"
    assert "FileNotFoundError" in reply.error
    assert reply.exit_code == 12
    assert X in reply.message
    assert project.state() == before
    assert not (project.root / X).exists()


def test_empty_file_is_recorded_and_restored(project, tracker, check):
    project.write(X, b"")
    tracker.track(X)
    (project.root / X).unlink()
    tracker.track(X)
    check(b"", b"")


# -- F missing


@pytest.mark.parametrize("baseline", ["unknown", "latest", "other"])
def test_missing_file_is_restored_and_becomes_the_baseline(
    project, tracker, record, check, baseline
):
    latest_is_2 = record(V1, V2)
    if baseline == "unknown":
        project.forget()
    elif baseline == "other":
        record(V3)
        project.manifest_file.write_bytes(latest_is_2)
    (project.root / X).unlink()
    assert tracker.track(X).said == [RESTORING]
    check(V2, V1, V2)
    assert project.manifest_file.read_bytes() == latest_is_2
    # With B = L, an older version in the file is there on purpose.
    project.write(X, V1)
    assert tracker.track(X).said == [CHANGED]
    check(V1, V2, V1)


def test_missing_file_in_a_missing_directory_is_restored(project, tracker, record, check):
    record(V1)
    shutil.rmtree(project.root / "data")
    tracker.track(X)
    check(V1, V1)


def test_missing_file_that_the_store_lacks_is_downloaded(project, tracker, record, check, tmp_path):
    record(V1)
    project.run_cli("add-remote", tmp_path / "remote")
    project.run_cli("push")
    shutil.rmtree(project.lazydata_home / "store")
    (project.root / X).unlink()
    assert tracker.track(X).said == [DOWNLOADING]
    check(V1, V1)
    assert project.holds(V1)


def test_missing_file_whose_version_is_nowhere_is_an_error(project, tracker, record):
    record(V1)
    project.lose(V1)
    (project.root / X).unlink()
    before = project.state()
    reply = tracker.refuse(X)
    assert reply.error[0] in ("ObjectMissing", "RemoteObjectMissing")
    assert X in reply.message
    assert project.state() == before
    assert not (project.root / X).exists()


# -- F = L


def test_unchanged_file_says_and_writes_nothing(project, tracker, record):
    record(V1)
    tracker.track(X)
    before, journal = project.state(), snapshot(project.root)
    for _ in range(3):
        assert tracker.track(X).stderr == ""
    assert project.state() == before
    assert snapshot(project.root) == journal


def test_touched_file_is_unchanged(project, tracker, record):
    record(V1)
    before = project.state()
    os.utime(project.root / X, (1_000_000_000, 1_000_000_000))
    assert tracker.track(X).stderr == ""
    assert project.state() == before


def test_rewritten_file_with_the_same_bytes_is_unchanged(project, tracker, record):
    record(V1)
    before = project.state()
    (project.root / X).unlink()
    project.write(X, V1)
    assert tracker.track(X).stderr == ""
    assert project.state() == before


@pytest.mark.parametrize("baseline", ["unknown", "other"])
def test_file_that_is_the_latest_becomes_the_baseline(project, tracker, record, check, baseline):
    latest_is_2 = record(V1, V2)
    if baseline == "unknown":
        project.forget()
    else:
        record(V3)
        project.manifest_file.write_bytes(latest_is_2)
        project.write(X, V2)
    assert tracker.track(X).stderr == ""
    assert project.manifest_file.read_bytes() == latest_is_2
    project.write(X, V1)
    assert tracker.track(X).said == [CHANGED]
    check(V1, V2, V1)


@pytest.mark.parametrize("baseline", ["unknown", "other"])
def test_store_that_lacks_the_latest_gets_it_from_the_file(project, tracker, record, baseline):
    latest_is_2 = record(V1, V2)
    if baseline == "unknown":
        project.forget()
    else:
        record(V3)
        project.manifest_file.write_bytes(latest_is_2)
        project.write(X, V2)
    project.lose(V2)
    assert tracker.track(X).stderr == ""
    assert project.holds(V2)


# -- F in H, not L


def test_older_version_with_unknown_baseline_is_updated(project, tracker, record, check):
    text = record(V1, V2)
    project.forget()
    project.write(X, V1)
    assert tracker.track(X).said == [UPDATING]
    check(V2, V1, V2)
    assert project.manifest_file.read_bytes() == text


def test_older_version_put_back_on_purpose_is_recorded(project, tracker, record, check):
    record(V1, V2)
    project.write(X, V1)
    assert tracker.track(X).said == [CHANGED]
    check(V1, V2, V1)


def test_recorded_version_follows_a_manifest_that_moved(project, tracker, record, check):
    record(V1, V2)
    swapped = swap_versions(project)
    reply = tracker.track(X)
    assert reply.said in ([], [UPDATING])
    check(V1, V2, V1)
    assert project.manifest_file.read_bytes() == swapped


def test_older_version_with_another_baseline_is_updated(project, tracker, record, check):
    latest_is_3 = record(V1, V3)
    record(V2)
    project.manifest_file.write_bytes(latest_is_3)
    project.write(X, V1)
    assert tracker.track(X).said == [UPDATING]
    check(V3, V1, V3)
    assert project.manifest_file.read_bytes() == latest_is_3


# -- F not in H


def test_changed_file_is_recorded_as_a_second_version(project, tracker, record, check):
    record(V1)
    project.write(X, V2)
    assert tracker.track(X).said == [CHANGED]
    check(V2, V1, V2)
    assert project.holds(V1)
    assert project.holds(V2)


def test_change_of_the_same_size_and_mtime_is_recorded(project, tracker, record, check):
    record(V1)
    file = project.root / X
    before = file.stat()
    project.write(X, V2)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tracker.track(X).said == [CHANGED]
    check(V2, V1, V2)


def test_unknown_content_with_unknown_baseline_is_recorded_with_a_hint(
    project, tracker, record, check
):
    record(V1)
    project.forget()
    project.write(X, V2)
    reply = tracker.track(X)
    assert X in reply.stderr
    assert "restore" in reply.stderr
    check(V2, V1, V2)


def test_unknown_content_with_another_baseline_is_recorded_with_a_warning(
    project, tracker, record, check, digest
):
    latest_is_1 = record(V1)
    record(V2)
    project.manifest_file.write_bytes(latest_is_1)
    project.write(X, V3)
    reply = tracker.track(X)
    assert X in reply.stderr
    assert digest(V1).removeprefix("blake3:")[:6] in reply.stderr
    check(V3, V1, V3)


def test_displaced_version_is_announced_and_can_be_got_back(
    project, tracker, record, check, digest, restore_command
):
    latest_is_1 = record(V1)
    record(V2)
    project.manifest_file.write_bytes(latest_is_1)
    reply = tracker.track(X)
    check(V1, V1)
    assert project.manifest_file.read_bytes() == latest_is_1
    assert project.holds(V2)
    assert X in reply.stderr
    assert digest(V2).removeprefix("blake3:")[:6] in reply.stderr

    project.run_cli(*restore_command(reply.stderr))
    check(V2, V1, V2)
    assert tracker.track(X).stderr == ""


def test_displaced_file_stays_when_the_latest_is_nowhere(project, tracker, record):
    latest_is_1 = record(V1)
    record(V2)
    project.manifest_file.write_bytes(latest_is_1)
    project.lose(V1)
    tracker.refuse(X)
    assert project.read(X) == V2
    assert project.manifest_file.read_bytes() == latest_is_1


def test_displaced_file_that_the_store_lost_is_not_thrown_away(project, tracker, record):
    latest_is_1 = record(V1)
    record(V2)
    project.manifest_file.write_bytes(latest_is_1)
    project.lose(V2)
    tracker.ask("value = track(path)", path=X)
    assert project.read(X) == V2 or project.holds(V2)


# -- the manifest moves under git


def test_branches_can_be_switched(project, tracker, record, check):
    project.git("init", "-q", "-b", "main")
    record(V1)
    project.git("add", "lazydata.yml")
    project.git("commit", "-qm", "1")
    project.git("switch", "-qc", "other")
    record(V2)
    project.git("commit", "-qam", "2")
    for _ in range(2):
        project.git("switch", "-q", "main")
        tracker.track(X)
        check(V1, V1)
        project.git("switch", "-q", "other")
        tracker.track(X)
        check(V2, V1, V2)
    assert project.git("status", "--porcelain", "--untracked-files=no") == ""


def test_workspace_memory_is_no_business_of_git(project, tracker, record):
    project.git("init", "-q")
    record(V1)
    assert (project.root / ".lazydata").is_dir()
    assert ".lazydata" not in project.git("status", "--porcelain", "--untracked-files=all")


def test_older_version_removed_by_hand_changes_nothing(project, tracker, record):
    record(V1, V2)
    old = project.manifest_file.read_text()
    items = re.split(r"(?m)^(?=\s*- path:)", old)
    assert len(items) == 3
    project.manifest_file.write_text(items[0] + items[2])
    before, stamp = project.state(), (project.root / X).stat()
    assert tracker.track(X).stderr == ""
    assert project.state() == before
    assert project.read(X) == V2
    assert (project.root / X).stat().st_ino == stamp.st_ino


def test_what_a_person_wrote_in_the_manifest_stays(project, tracker, record, check):
    record(V1)
    mine = project.manifest_file.read_text() + "# the end is mine\nteam: 'ours'\n\n"
    mine = "# and so is the beginning\n" + mine
    project.manifest_file.write_text(mine)
    record(V2)
    check(V2, V1, V2)
    lines = project.manifest_file.read_text().splitlines(keepends=True)
    left = iter(lines)
    assert all(line in left for line in mine.splitlines(keepends=True))


# -- outputs

WRITE_AND_TRACK = """
from pathlib import Path
Path(path).write_bytes(content.encode())
value = track(path)
"""


@pytest.fixture
def produce(project, tracker):
    """A process that writes data/x.csv and then tracks it."""
    (project.root / "data").mkdir()

    def run(content):
        return tracker.run(WRITE_AND_TRACK, path=X, content=content.decode())

    return run


def test_output_is_recorded_once(project, produce, check):
    assert produce(V1).said == [TRACKING]
    check(V1, V1)


def test_same_output_again_changes_nothing(project, produce):
    produce(V1)
    before = project.state()
    assert produce(V1).stderr == ""
    assert project.state() == before


def test_alternating_outputs_are_recorded_each_time(produce, check):
    produce(V1)
    produce(V2)
    check(V2, V1, V2)
    assert produce(V1).said == [CHANGED]
    check(V1, V2, V1)
    assert produce(V2).said == [CHANGED]
    check(V2, V1, V2)


def test_output_is_not_replaced_by_the_version_that_a_pull_brought(project, produce, check):
    produce(V1)
    mine = project.manifest_file.read_bytes()
    other = project.tracker(fresh=True)
    project.write(X, V2)
    other.track(X)
    theirs = project.manifest_file.read_bytes()
    project.manifest_file.write_bytes(mine)
    other.track(X)
    check(V1, V1)
    project.manifest_file.write_bytes(theirs)  # git pull
    produce(V1)
    check(V1, V2, V1)


@pytest.mark.parametrize("content", [V2, V3], ids=["listed before", "unknown"])
def test_output_is_recorded_whatever_the_baseline(project, produce, record, check, content):
    theirs = record(V2, V1)
    record(content)
    project.manifest_file.write_bytes(theirs)
    produce(content)
    assert project.read(X) == content
    assert project.holds(content)
    check(content, *([V1, V2] if content == V2 else [V2, V1, V3]))


def test_output_argument_records_what_another_process_wrote(project, tracker, record, check):
    record(V1, V2)
    swap_versions(project)
    tracker.track(X, output=True)
    check(V2, V1, V2)


def test_output_argument_says_nothing_of_an_unchanged_file(project, tracker, record):
    record(V1)
    before = project.state()
    assert tracker.track(X, output=True).stderr == ""
    assert project.state() == before


def test_output_that_is_missing_is_an_error_and_not_restored(project, tracker, record):
    text = record(V1)
    (project.root / X).unlink()
    assert X in tracker.refuse(X, output=True).message
    assert not (project.root / X).exists()
    assert project.manifest_file.read_bytes() == text


def test_file_restored_by_lazydata_is_no_output_of_the_process(project, record, check):
    latest_is_1 = record(V1)
    latest_is_2 = record(V2)
    (project.root / X).unlink()
    tracker = project.tracker()
    tracker.track(X)
    check(V2, V1, V2)
    project.manifest_file.write_bytes(latest_is_1)
    tracker.track(X)
    check(V1, V1)
    project.manifest_file.write_bytes(latest_is_2)
    tracker.track(X)
    check(V2, V1, V2)


# -- on_change


def set_on_change(project, how, value):
    """Say on_change in one of the three places; the arguments and environment that it takes."""
    if how == "argument":
        return {"on_change": value}, {}
    if how == "environment":
        return {}, {"LAZYDATA_ON_CHANGE": value}
    with open(project.manifest_file, "a") as f:
        f.write(f"on_change: {value}\n")
    return {}, {}


@pytest.mark.parametrize("how", ["argument", "environment", "manifest"])
@pytest.mark.parametrize("content", [None, V1], ids=["new", "changed"])
def test_on_change_error_raises_before_anything_is_written(project, record, how, content):
    if content:
        record(content)
    project.write(X, V2)
    options, env = set_on_change(project, how, "error")
    before = project.state()
    reply = project.tracker(env=env).refuse(X, **options)
    assert reply.error[0] == "FileChanged"
    assert reply.exit_code == 14
    assert X in reply.message
    assert reply.hint
    assert project.state() == before
    assert project.read(X) == V2
    assert not project.object(V2).exists()


@pytest.mark.parametrize("how", ["argument", "environment", "manifest"])
@pytest.mark.parametrize("content", [None, V1], ids=["new", "changed"])
def test_on_change_warn_says_so_and_records_nothing(project, record, how, content):
    if content:
        record(content)
    project.write(X, V2)
    options, env = set_on_change(project, how, "warn")
    before = project.state()
    reply = project.tracker(env={"LAZYDATA_QUIET": "1", **env}).track(X, **options)
    assert reply.value == X
    assert X in reply.stderr
    assert project.state() == before
    assert project.read(X) == V2


def test_on_change_argument_wins_over_environment_and_environment_over_manifest(project, record):
    record(V1)
    set_on_change(project, "manifest", "error")
    project.write(X, V2)
    before = project.state()
    env = {"LAZYDATA_ON_CHANGE": "warn"}
    project.tracker(env=env).track(X)
    assert project.state() == before
    project.tracker(env=env).refuse(X, on_change="error")
    assert project.state() == before
    project.tracker(env=env).track(X, on_change="version")
    assert len(project.versions(X)) == 2


@pytest.mark.parametrize("value", ["warn", "error"])
def test_on_change_still_restores_and_updates(project, tracker, record, check, value):
    latest_is_1 = record(V1)
    record(V2)
    (project.root / X).unlink()
    tracker.track(X, on_change=value)
    check(V2, V1, V2)
    project.manifest_file.write_bytes(latest_is_1)
    tracker.track(X, on_change=value)
    check(V1, V1)
    assert project.manifest_file.read_bytes() == latest_is_1


@pytest.mark.parametrize("value", ["warn", "error"])
def test_on_change_keeps_usages_out_of_the_manifest(project, record, value):
    record(V1)
    before = project.state()
    project.run_script(
        f"from lazydata import track\ntrack({X!r}, on_change={value!r})\n", "reader.py"
    )
    assert project.state() == before


def test_on_change_that_does_not_exist_is_refused(project):
    project.write(X, V1)
    before = project.state()
    reply = project.tracker().ask(f"track({X!r}, on_change='sometimes')")
    assert reply.error
    assert project.state() == before


# -- messages and the rest


def test_quiet_silences_all_but_warnings(project, digest):
    tracker = project.tracker(env={"LAZYDATA_QUIET": "1"})
    project.write(X, V1)
    assert tracker.track(X).stderr == ""
    latest_is_1 = project.manifest_file.read_bytes()
    project.write(X, V2)
    assert tracker.track(X).stderr == ""
    (project.root / X).unlink()
    assert tracker.track(X).stderr == ""
    project.manifest_file.write_bytes(latest_is_1)
    project.write(X, V3)
    assert digest(V1).removeprefix("blake3:")[:6] in tracker.track(X).stderr


def test_nothing_is_written_to_stdout(project):
    project.write(X, V1)
    script = (
        "from lazydata import track\n"
        f"with open(track({X!r}), 'rb') as file:\n    print(file.read())\n"
    )
    assert project.run_script(script).stdout == f"{V1!r}\n"


def test_argument_comes_back_as_it_was_given(project):
    project.write(X, V1)
    project.tracker().run(
        """
        from pathlib import Path
        class Mine:
            def __fspath__(self):
                return path
        for given in (path, Path(path), Path(path).resolve(), Mine()):
            for _ in range(2):
                assert track(given) is given
        """,
        path=X,
    )
    assert len(project.versions(X)) == 1


def test_nearest_manifest_above_the_file_governs(project):
    project.write(X, V1)
    project.write("data/lazydata.yml", project.manifest_file.read_bytes())
    before = project.state()
    project.tracker().track(X)
    assert project.state() == before
    assert "path: x.csv" in (project.root / "data" / "lazydata.yml").read_text()


def test_relative_path_means_the_working_directory_of_the_moment(project):
    project.write("a/x.csv", V1)
    project.write("b/x.csv", V2)
    project.tracker().run(
        """
        import os
        root = os.getcwd()
        for _ in range(2):
            for name in "ab":
                os.chdir(os.path.join(root, name))
                track("x.csv")
        """
    )
    assert [item["path"] for item in project.items()] == ["a/x.csv", "b/x.csv"]


def test_new_entries_keep_the_list_sorted(project, tracker):
    for name in ("m", "z", "a", "n"):
        project.write(name, name)
        tracker.track(name)
    assert [item["path"] for item in project.items()] == ["a", "m", "n", "z"]


@pytest.mark.parametrize("name", ["été 1.csv", "ab: c #d.csv", "- x", "yes", "1.0", "'q'", 'a"b'])
def test_file_with_an_odd_name_is_tracked(project, tracker, name):
    project.write(name, V1)
    tracker.track(f"./{name}")
    assert [item["path"] for item in project.items()] == [name]
    (project.root / name).unlink()
    tracker.track(f"./{name}")
    assert project.read(name) == V1


def test_executable_file_keeps_its_mode(project, tracker, record):
    project.write(X, V1).chmod(0o755)
    tracker.track(X)
    assert (project.root / X).stat().st_mode & 0o111 == 0o111


def test_unchanged_file_in_a_read_only_workspace_and_store(ordinary):
    ordinary.write(X, V1)
    ordinary.tracker().track(X)
    everything = [Path(d) for d, _, _ in os.walk(ordinary.base)]
    everything += [Path(d, f) for d, _, files in os.walk(ordinary.base) for f in files]
    for path in everything:
        path.chmod(path.stat().st_mode & ~0o222)
    before = snapshot(ordinary.base)
    tracker = ordinary.tracker()
    for _ in range(2):
        assert tracker.track(X).stderr == ""
    assert snapshot(ordinary.base) == before


def test_unknown_baseline_in_a_read_only_workspace_is_no_error(ordinary):
    ordinary.write(X, V1)
    ordinary.tracker().track(X)
    ordinary.forget()
    before = ordinary.state()
    ordinary.root.chmod(0o555)
    reply = ordinary.tracker().track(X)
    assert reply.value == X
    assert ordinary.state() == before


# -- any sequence of events, with the index in any state

CONTENTS = [V1, V2, V3, b"a longer content, with another size\n"]


class Model:
    """What should come of it: F, B and H are contents; L is the last of H."""

    def __init__(self):
        self.file, self.baseline, self.versions, self.recorded = None, None, [], set()
        self.kept = [(b"", [])]

    def track(self):
        file, baseline, versions = self.file, self.baseline, self.versions
        if not versions:
            if file is None:
                return "NotTracked"
            return self.record("Tracking a new file")
        latest = versions[-1]
        if file is None:
            return self.update("Restoring")
        if file == latest:
            return self.update("")
        if baseline == latest:
            return self.record("recording a new version")
        if file == baseline:
            return self.update(None if file in versions else "lazydata restore")
        if file in versions:
            return self.update("Updating")
        return self.record("lazydata")

    def record(self, said):
        self.versions = [v for v in self.versions if v != self.file] + [self.file]
        self.recorded.add(self.file)
        self.baseline = self.file
        return said

    def update(self, said):
        self.file = self.baseline = self.versions[-1]
        return said


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(CONTENTS)),
        st.tuples(st.just("write"), st.sampled_from(CONTENTS)),
        st.tuples(st.sampled_from(["delete", "forget", "keep", "keep", "fresh", "track"])),
        st.tuples(st.just("switch"), st.integers(0, 3)),
        st.tuples(st.just("switch"), st.integers(0, 3)),
    ),
    min_size=3,
    max_size=10,
)


def spoil_index(desk, mode):
    """Put the index into a state in which it can't help."""
    index = desk.lazydata_home / "index"
    if mode == "intact":
        return
    if mode == "no place":
        if index.is_dir():
            shutil.rmtree(index)
        desk.own(desk.write(index, b"not a directory"))
        return
    if mode == "full":
        try:
            with open(index / "filler", "wb", buffering=0) as f:
                while f.write(b"\0" * 4096):
                    pass
        except OSError:
            return
    if mode == "deleted" and index.exists():
        shutil.rmtree(index)
    found = [Path(d, f) for d, _, files in os.walk(index) for f in files]
    for file in found:
        if mode == "corrupted":
            size = file.stat().st_size
            file.write_bytes(b"garbage " * (size // 8))
        elif mode == "read-only":
            file.chmod(0o444)
            file.parent.chmod(0o555)


@pytest.mark.parametrize(
    "mode", ["intact", "deleted", "corrupted", "no place", "read-only", "full"]
)
def test_any_sequence_of_events_follows_the_table_whatever_the_index(mode, request, digest):
    desk = request.getfixturevalue("ordinary" if mode == "read-only" else "project")
    empty = desk.manifest_file.read_bytes()
    if mode == "full":
        request.getfixturevalue("small_disk")("256k", desk.lazydata_home / "index")
    tracker = desk.tracker()

    def check(model, file, manifest):
        spoil_index(desk, mode)
        expected = model.track()
        reply = tracker.ask("value = track(path)", path=str(file))
        if expected == "NotTracked":
            assert reply.error[:1] == ["NotTracked"]
            return
        assert not reply.error, (reply.error[0], reply.text)
        assert file.read_bytes() == model.file
        listed = re.findall(r"(?m)^ +hash:\s*(\S+)", manifest.read_text())
        assert listed == [digest(v) for v in model.versions]
        assert all(desk.holds(v) for v in model.recorded)
        if expected:
            assert expected in reply.stderr
        elif expected == "" and mode == "intact":
            assert reply.stderr == ""

    @settings(
        max_examples=25 if mode == "intact" else 10,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    def run(steps):
        root = Path(tempfile.mkdtemp(dir=desk.root))
        desk.own(root)
        manifest, file, model = root / "lazydata.yml", root / "x.csv", Model()
        desk.write(manifest, empty)
        model.kept[0] = (empty, [])
        for step, *more in steps:
            if step == "write":
                model.file = more[0]
                desk.write(file, model.file)
            elif step == "delete":
                model.file = None
                file.unlink(missing_ok=True)
            elif step == "forget":
                model.baseline = None
                shutil.rmtree(root / ".lazydata", ignore_errors=True)
            elif step == "keep":
                model.kept.append((manifest.read_bytes(), model.versions))
            elif step == "switch":
                text, model.versions = model.kept[-1 - more[0] % len(model.kept)]
                desk.write(manifest, text)
            elif step == "fresh":
                tracker.restart()
            if step not in ("keep", "fresh"):
                check(model, file, manifest)
        check(model, file, manifest)

    run()


def swap_versions(project):
    """As if git had brought a manifest in which the versions come in the other order."""
    text = project.manifest_file.read_text()
    head, first, second = re.split(r"(?m)^(?=\s*- path:)", text)
    swapped = head + second.rstrip("\n") + "\n" + first.rstrip("\n") + "\n"
    project.manifest_file.write_text(swapped)
    return swapped.encode()


def snapshot(root):
    """Every file below a directory, with what changes when it is written."""
    return {
        Path(d, f): (s.st_ino, s.st_size, s.st_mtime_ns)
        for d, _, files in os.walk(root)
        for f in files
        for s in [os.stat(os.path.join(d, f))]
    }
