"""What a bare import costs: nothing that the first call does not need."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    *("typer", "rich", "click", "boto3", "botocore", "asyncssh", "ruamel", "asyncio"),
    *("platformdirs", "logging", "pathlib", "sqlite3", "blake3", "xxhash", "json", "re", "typing"),
}


@pytest.fixture
def modules_after(tmp_path):
    """Run code in a bare interpreter; the names of the modules that are loaded then."""
    spec = importlib.util.find_spec("lazydata")
    source = Path(spec.submodule_search_locations[0]).parent
    ours = [str(source)]
    for name in ("typer", "ruamel.yaml", "blake3", "xxhash", "platformdirs"):
        found = importlib.util.find_spec(name)
        ours.append(str(Path(found.submodule_search_locations[0]).parents[name.count(".")]))

    def run(code):
        lines = ["import sys", f"sys.path[:0] = {ours!r}", "bare = set(sys.modules)", code]
        lines.append("print('\\nMODULES', *sorted(set(sys.modules) - bare))")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-E", "-c", "\n".join(lines)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "LAZYDATA_HOME": str(tmp_path / "home")},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        before, _, after = done.stdout.partition("\nMODULES")
        return before, after.split()

    return run


def top(modules):
    return {name.partition(".")[0] for name in modules}


def test_import_loads_nothing_heavy(modules_after):
    _, loaded = modules_after("import lazydata")
    assert "lazydata" in loaded
    assert top(loaded).isdisjoint(HEAVY), sorted(top(loaded) & HEAVY)


def test_import_writes_nothing(modules_after, tmp_path):
    modules_after("import lazydata")
    assert list(tmp_path.iterdir()) == []


def test_import_of_track_loads_nothing_heavy(modules_after):
    _, loaded = modules_after("from lazydata import track\nassert callable(track)")
    assert top(loaded).isdisjoint(HEAVY), sorted(top(loaded) & HEAVY)


def test_track_is_ready_at_import(modules_after):
    modules_after("import lazydata\nassert 'track' in vars(lazydata)")


def test_base_of_all_errors_is_a_public_name(modules_after):
    modules_after(
        "import lazydata\n"
        "from lazydata.errors import NotTracked\n"
        "assert issubclass(NotTracked, lazydata.LazydataError)\n"
        "assert issubclass(NotTracked, FileNotFoundError)\n"
    )


def test_every_public_name_is_there_on_first_use(modules_after):
    modules_after(
        "import lazydata\n"
        "assert 'track' in lazydata.__all__\n"
        "for name in lazydata.__all__:\n"
        "    getattr(lazydata, name)\n"
    )


def test_name_that_does_not_exist_is_an_attribute_error(modules_after):
    modules_after(
        "import lazydata\n"
        "try:\n"
        "    lazydata.no_such_name\n"
        "except AttributeError as e:\n"
        "    assert 'no_such_name' in str(e)\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
    )


def test_version_option_loads_no_command_framework(modules_after):
    out, loaded = modules_after(
        "import runpy\n"
        "sys.argv = ['lazydata', '--version']\n"
        "try:\n"
        "    runpy.run_module('lazydata', run_name='__main__')\n"
        "except SystemExit as e:\n"
        "    assert not e.code, e.code\n"
    )
    assert "2.0.0" in out
    slow = {"typer", "rich", "click", "ruamel", "boto3", "asyncssh", "sqlite3", "asyncio"}
    assert top(loaded).isdisjoint(slow), sorted(top(loaded) & slow)


@pytest.mark.parametrize("command", [["status"], ["track", "x"], ["restore", "x"]])
def test_what_is_done_all_day_loads_no_command_framework(modules_after, tmp_path, command):
    (tmp_path / "lazydata.yml").write_text("version: 2\n")
    (tmp_path / "x").write_text("x")
    first = [["track", "x"]] if command != ["track", "x"] else []
    run = f"for each in {[*first, command]}: assert not run(each)\n"
    _, loaded = modules_after(f"from lazydata.cli.running import run\n{run}")
    slow = {"typer", "rich", "click", "boto3", "asyncssh", "asyncio"}
    assert top(loaded).isdisjoint(slow), sorted(top(loaded) & slow)


def test_installed_command_and_module_are_the_same(project):
    told = project.run_cli("--version").stdout
    assert (
        told
        == project.run_code(
            "import sys\nfrom lazydata.cli import main\nsys.argv = ['lazydata', '--version']\n"
            "sys.exit(main())"
        ).stdout
    )
