"""The Python API: the examples of its documentation, and what they leave out."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import lazydata

FUNCTIONS = ["info", "open", "pull", "push", "restore", "status", "track", "untrack", "versions"]

EXAMPLES = """
import doctest, json, os, shutil, sys
from pathlib import Path
import lazydata
from lazydata import api, results

base = os.getcwd()
told = {}
parser = doctest.DocTestParser()
for name in json.loads(sys.argv[1]):
    shown = getattr(lazydata, name, None) or getattr(results, name)
    directory = os.path.join(base, name)
    os.mkdir(directory)
    os.mkdir(f"{base}/remote-{name}")
    os.chdir(directory)
    Path("lazydata.yml").write_text(
        f"version: 2\\nremotes:\\n  origin:\\n    url: file://{base}/remote-{name}\\nfiles:\\n"
    )
    names = {"lazydata": lazydata, "os": os, "Path": Path, **vars(results)}
    test = parser.get_doctest(shown.__doc__, names, name, None, None)
    said = []
    done = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    told[name] = [done.attempted, done.failed, "".join(said)]
print(json.dumps(told))
"""


def test_every_example_runs(desk):
    names = [*FUNCTIONS, "Workspace", "LazydataError", "Rows"]
    process = desk.popen(EXAMPLES, json.dumps(names))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    for name, (attempted, failed, said) in json.loads(out).items():
        assert attempted, f"{name} has no example"
        assert not failed, said


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_takes_and_raises(name):
    told = getattr(lazydata, name).__doc__
    assert told.splitlines()[0].endswith(".")
    for section in ("Args:", "Raises:", "Example:"):
        assert section in told, section


def test_a_star_import_leaves_the_built_in_open_alone():
    assert "open" not in lazydata.__all__
    assert sorted({*FUNCTIONS} - {"open"} | {"LazydataError", "Workspace"}) == sorted(
        lazydata.__all__
    )


def test_type_checkers_see_every_name():
    """The names for them and those for the interpreter are told apart by hand."""
    tree = ast.parse(Path(lazydata.__file__).read_text())
    seen = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {*FUNCTIONS, "LazydataError", "Workspace"} <= seen


def test_versions_of_git_and_of_a_remote_are_read(project, new_desk):
    """What only history lists, and only a remote has, is opened; the workspace stays as it is."""
    project.git("init", "-q")
    project.run_cli("add-remote", str(project.base / "remote"))
    for content in (b"first\r\n", b"second"):
        project.write("x.txt", content)
        project.run_cli("track", "x.txt")
        project.git("add", "-A")
        project.git("commit", "-qm", content.decode().strip())
    project.run_cli("push")
    source = project.read("lazydata.yml").decode()
    at = source.index("  - path")
    project.write("lazydata.yml", source[:at] + source[source.index("  - path", at + 1) :])
    project.lose(b"first\r\n")
    before = project.state(), sorted(p.name for p in project.root.iterdir())
    done = project.run_code(
        """
        import json, lazydata
        new, old = lazydata.versions("x.txt")
        with lazydata.open("x.txt", old) as file:
            data = file.read()
        with lazydata.open("x.txt", old.hash[:12], mode="r") as file:
            text = file.read()
        with lazydata.open("x.txt") as file:
            now = file.read()
        info = lazydata.info("x.txt", check=True)
        print(json.dumps([data.decode(), text, now.decode(), old.listed, old.author,
                          old.remotes, str(old.when.tzinfo), info.versions[1].remotes]))
        """
    )
    assert json.loads(done.stdout) == [
        *("first\r\n", "first\n", "second", False, "A"),
        *(["origin"], "UTC", ["origin"]),
    ]
    assert (project.state(), sorted(p.name for p in project.root.iterdir())) == before


def test_paths_come_back_as_the_working_directory_has_them(project):
    project.write("data/x.csv", "1")
    project.write("data/d/y.csv", "22")
    project.run_cli("track", "data/x.csv", "data/d")
    (project.root / "src").mkdir()
    code = """
    import json, lazydata
    from pathlib import Path
    rows = lazydata.status("../data")
    part = lazydata.info(Path("../data/d/y.csv"))
    with lazydata.open("../data/d/y.csv") as file:
        print(json.dumps([[row.path for row in rows], part.path, part.size, file.read().decode()]))
    """
    done = project.run_code(code, cwd=project.root / "src")
    assert json.loads(done.stdout) == [
        ["../data/d/", "../data/x.csv"],
        *("../data/d/y.csv", 2, "22"),
    ]


def test_what_is_wrong_is_an_error_of_ours(project):
    project.write("a/x.csv", "1")
    project.write("a/y.csv", "1")
    project.write("d/x", "1")
    project.run_cli("track", "a/x.csv", "a/y.csv", "d")
    told = project.run_code(
        """
        import json, lazydata
        calls = {
            "write": lambda: lazydata.open("a/x.csv", mode="w"),
            "several": lambda: lazydata.open("a"),
            "directory": lambda: lazydata.open("d"),
            "absent": lambda: lazydata.open("nope"),
            "version": lambda: lazydata.open("a/x.csv", "ffff"),
            "restore": lambda: lazydata.restore("a", "ffff"),
            "nothing": lambda: lazydata.untrack(),
            "part": lambda: lazydata.untrack("d/x"),
            "remote": lambda: lazydata.push(),
            "empty": lambda: lazydata.info(""),
        }
        found = {}
        for name, call in calls.items():
            try:
                call()
            except lazydata.LazydataError as error:
                found[name] = [type(error).__name__, bool(error.hint)]
        print(json.dumps(found))
        """
    )
    assert json.loads(told.stdout) == {
        "write": ["UsageError", True],
        "several": ["UsageError", True],
        "directory": ["UsageError", True],
        "absent": ["NotTracked", True],
        "version": ["NotTracked", True],
        "restore": ["UsageError", True],
        "nothing": ["UsageError", True],
        "part": ["UsageError", True],
        "remote": ["UsageError", True],
        "empty": ["UsageError", True],
    }


def test_what_was_left_is_an_error_that_names_it(project):
    project.run_cli("add-remote", str(project.base / "remote"))
    project.record(("x.csv", b"1"))
    project.lose(b"1")
    (project.root / "x.csv").unlink()
    told = project.run_code(
        """
        import json, lazydata
        found = []
        for call in (lazydata.push, lazydata.pull):
            try:
                call("x.csv")
            except lazydata.LazydataError as error:
                told = error.left[0], str(error)
                found.append([error.exit_code, *("x.csv" in text for text in told)])
        print(json.dumps(found))
        """
    )
    assert json.loads(told.stdout) == [[3, True, True], [3, True, True]]


def test_an_error_tells_some_of_what_was_left_and_spells_names_out(project):
    items = "".join(
        f'  - path: "{number}\\e[31m.csv"\n    hash: blake3:{number:064x}\n'
        for number in range(1, 9)
    )
    project.write("lazydata.yml", f"version: 2\nfiles:\n{items}")
    told = project.run_code(
        """
        import json, lazydata
        try:
            lazydata.pull(".")
        except lazydata.LazydataError as error:
            print(json.dumps([len(error.left), str(error)]))
        """
    )
    count, text = json.loads(told.stdout)
    assert count == 8
    assert len(text.splitlines()) == 7
    assert "3 more, in `left`" in text
    assert "\x1b" not in text
    assert "1\\x1b[31m.csv" in text


def test_a_call_is_no_output_of_the_program(project):
    """What restore writes was not made by this script, whatever it tracks afterwards."""
    project.record(("x.csv", b"1"), ("x.csv", b"2"))
    project.run_script(
        """
        import lazydata
        lazydata.restore("x.csv", lazydata.versions("x.csv")[1])
        assert not lazydata.audit._written, lazydata.audit._written
        lazydata.track("x.csv")
        """,
        "use.py",
    )
    assert project.read("x.csv") == b"1"
    assert [item.get("producer") for item in project.items("x.csv")] == [None, None]


def test_what_is_shown_is_escaped():
    from lazydata.results import ColumnInfo, Rows

    rows = Rows([ColumnInfo("<script>alert(1)</script>", "a&b\x1b[31m")] * 30)
    shown = rows._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "a&amp;b" in shown
    for text in (shown, repr(rows)):
        assert "\x1b" not in text
        assert "and 10 more" in text
    assert repr(Rows()) == "(nothing)"
    assert Rows()._repr_html_() == "<p>(nothing)</p>"


def test_what_says_nothing_is_not_shown(project):
    project.record(("x.txt", b"1"))
    shown = json.loads(
        project.run_code(
            """
            import json, lazydata
            info = lazydata.info("x.txt")
            print(json.dumps([repr(info), info._repr_html_(), repr(info.versions)]))
            """
        ).stdout
    )
    for text in shown:
        assert "stored" in text
        for name in ("problem", "files", "unasked", "commit"):
            assert name not in text


KERNEL = """
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
shown = []
def hook(message):
    if message["msg_type"] in ("execute_result", "error"):
        content = message["content"]
        shown.append(content.get("data", {}).get("text/html") or content.get("traceback"))
for cell in json.loads(sys.argv[1]):
    client.execute_interactive(cell, output_hook=hook, timeout=60)
client.stop_channels()
manager.shutdown_kernel(now=True)
json.dump(shown, sys.stdout)
"""


def run_cells(desk, *cells, env=None):
    pytest.importorskip("ipykernel")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KERNEL), json.dumps(cells)],
        cwd=desk.root,
        # A kernel warns of this and that, which is not our affair.
        env=desk.env | {"PYTHONWARNINGS": "ignore"} | (env or {}),
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_real_kernel_names_its_notebook_and_shows_tables(project):
    """Jupyter's variable, and that of VS Code; and calls while the kernel's loop runs."""
    project.run_cli("add-remote", str(project.base / "remote"))
    for name in ("a.csv", "b.csv"):
        project.write(name, "id\n1\n")
    jupyter, code = project.write("nb/one.ipynb", "{}"), project.write("two.ipynb", "{}")
    shown = run_cells(
        project,
        "import lazydata\nlazydata.track('a.csv')\nopen('c.csv', 'w').write('1')\n"
        "lazydata.track('c.csv')\nNone",
        f"__vsc_ipynb_file__ = {str(code)!r}\nlazydata.track('b.csv')\nNone",
        "pushed = lazydata.push()\npushed",
        "lazydata.status()",
        "lazydata.info('a.csv', check=True)",
        "lazydata.versions('a.csv')[0]",
        env={"JPY_SESSION_NAME": str(jupyter)},
    )
    assert project.usages("a.csv") == ["nb/one.ipynb"]
    assert project.usages("b.csv") == ["two.ipynb"]
    assert project.items("c.csv")[0]["producer"] == "nb/one.ipynb"
    assert len(shown) == 4
    assert all("<table>" in html for html in shown), shown
    assert "<td>origin</td>" in shown[0]
    assert "<td>a.csv</td>" in shown[1]
    assert "nb/one.ipynb" in shown[2]
