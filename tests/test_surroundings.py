"""Around a call: a process that ends, a user without a home, a workspace that was copied."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import platformdirs
import pytest

from lazydata import config

X = "data/x.csv"
CONTENT = b"a,b\n1,2\n"
NO_ONE = 54321  # of whom no system has heard


# -- at the end of a process

AT_EXIT = {
    "registered": 'atexit.register(track, "data/x.csv")\n',
    "in a function": 'atexit.register(lambda: track("data/x.csv"))\n',
    "in a thread that goes on": (
        "def late():\n"
        "    threading.main_thread().join()\n"
        '    track("data/x.csv")\n'
        "threading.Thread(target=late).start()\n"
    ),
}


@pytest.mark.parametrize("size", [len(CONTENT), 16 << 20], ids=["small", "16 MiB"])
@pytest.mark.parametrize("how", AT_EXIT)
def test_file_is_recorded_while_the_interpreter_shuts_down(project, digest, how, size):
    """No new thread can be started then."""
    content = CONTENT * (size // len(CONTENT))
    project.write(X, content)
    done = project.run_script(
        "import atexit, threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from lazydata import track\n"
        "with ThreadPoolExecutor(1) as pool:\n"
        "    pool.submit(int).result()\n" + AT_EXIT[how]
    )
    assert done.stderr == f"lazydata: Tracking a new file {X}\n"
    assert project.versions(X) == [digest(content)]
    assert project.holds(content)


# -- no home directory


@pytest.fixture
def homeless(desk_at, new_manifest):
    """A workspace of a user without a home and without an entry in the user database."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    base = Path(tempfile.mkdtemp(prefix="lazydata-test-"))
    base.chmod(0o755)
    desk = desk_at(base, user=NO_ONE)
    for name in list(desk.env):
        if name in ("HOME", "LAZYDATA_HOME") or name.startswith("XDG_"):
            del desk.env[name]
    desk.env["TMPDIR"] = str(desk.home)
    desk.write("lazydata.yml", new_manifest)
    desk.write(X, CONTENT)
    yield desk
    shutil.rmtree(base)


@pytest.mark.parametrize("cache", [None, "relative"])
def test_user_without_a_home_is_told_what_to_set(homeless, cache):
    env = {"XDG_CACHE_HOME": cache} if cache else {}
    before = homeless.state()
    done = homeless.run_cli("track", X, code=2, env=env)
    assert "no home directory" in done.stderr
    assert "LAZYDATA_HOME" in done.stderr
    assert "Traceback" not in done.stderr
    assert homeless.state() == before
    assert homeless.read(X) == CONTENT
    assert sorted(os.listdir(homeless.root)) == ["data", "lazydata.yml"]


@pytest.mark.parametrize("cache", [None, "relative"])
def test_user_without_a_home_can_name_a_directory(homeless, digest, cache):
    env = {"LAZYDATA_HOME": str(homeless.lazydata_home)}
    if cache:
        env["XDG_CACHE_HOME"] = cache
    homeless.run_cli("track", X, env=env)
    assert homeless.versions(X) == [digest(CONTENT)]
    assert homeless.holds(CONTENT)
    assert "relative" not in os.listdir(homeless.root)


# -- where the index lies


@pytest.fixture
def index_in(monkeypatch, tmp_path):
    """Where the index lies if XDG_CACHE_HOME has some value; a ``{}`` in it is an absolute path."""
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere platformdirs is asked")

    def find(value):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("LAZYDATA_HOME", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if value is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", value.format(tmp_path / "cache"))
        found = config.index_dir()
        assert found is not None
        return os.path.dirname(found)

    return find


@pytest.mark.parametrize("value", [None, "", " ", "{}", "{}/", "{}/a/../b", "{}/{{}} x"])
def test_index_lies_where_platformdirs_has_the_cache(index_in, value):
    assert index_in(value) == platformdirs.user_cache_dir("lazydata", appauthor=False)


@pytest.mark.parametrize("value", ["cache", "./cache", "~/cache"])
def test_index_lies_in_the_home_directory_where_the_cache_is_no_absolute_path(
    index_in, tmp_path, value
):
    assert index_in(value) == str(tmp_path / "home" / ".cache" / "lazydata")


# -- a workspace that was copied


def test_copy_of_a_workspace_is_named_in_the_store_as_well(project):
    project.record((X, CONTENT))
    copy = project.base / "copy"
    shutil.copytree(project.root, copy, symlinks=True)
    (copy / "y.csv").write_bytes(b"only of the copy")
    project.run_cli("track", "y.csv", cwd=copy)
    (project.root / "z.csv").write_bytes(b"only of the first")
    project.run_cli("track", "z.csv")
    known = list((project.lazydata_home / "store/objects-v1/workspaces").iterdir())
    assert [path.name for path in known] == [project.read(".lazydata/id").decode().strip()]
    assert known[0].read_text().splitlines() == [str(project.root), str(copy)]


# -- the first call in a process


def test_script_whose_first_call_restores_is_recorded_as_well(project):
    project.record((X, CONTENT))
    (project.root / X).unlink()
    script = f"from lazydata import track\ntrack({X!r})\n"
    project.run_script(script, "new.py")
    assert project.read(X) == CONTENT
    assert project.usages(X) == ["new.py"]
    assert len(project.items(X)) == 1
    before = project.state()
    assert project.run_script(script, "new.py").stderr == ""
    assert project.state() == before


def test_script_whose_first_call_updates_is_recorded_as_well(project, digest):
    project.record((X, CONTENT))
    old = project.manifest_file.read_bytes()
    project.record((X, CONTENT * 2))
    project.write("lazydata.yml", old)
    script = f"from lazydata import track\ntrack({X!r})\n"
    project.run_script(script, "new.py")
    assert project.read(X) == CONTENT
    assert project.usages(X) == ["new.py"]
    before = project.state()
    assert project.run_script(script, "new.py").stderr == ""
    assert project.state() == before
