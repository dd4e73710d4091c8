"""Which script the manifest names as the user of a file."""

import sys

import pytest

X = "data/x.csv"
TRACK = f"from lazydata import track\ntrack({X!r})\n"


@pytest.fixture
def project(project):
    project.write(X, b"a,b\n1,2\n")
    return project


def test_script(project):
    project.run_script(TRACK)
    assert project.usages(X) == ["my_script.py"]


def test_script_run_by_its_absolute_path_from_elsewhere(project, tmp_path):
    script = project.write(
        "my_script.py", f"from lazydata import track\ntrack({str(project.root / X)!r})\n"
    )
    project.run_script(script, cwd=tmp_path)
    assert [item["path"] for item in project.items()] == [X]
    assert project.usages(X) == ["my_script.py"]


def test_relative_path_from_another_working_directory(project):
    elsewhere = project.root.parent / "elsewhere"
    elsewhere.mkdir()
    source = f"from lazydata import track\ntrack('../{project.root.name}/{X}')\n"
    script = project.write("my_script.py", source)
    project.run_script(script, cwd=elsewhere)
    assert [item["path"] for item in project.items()] == [X]
    assert project.usages(X) == ["my_script.py"]


def test_script_in_a_subdirectory(project):
    project.run_script(TRACK, "scripts/deep/my_script.py")
    assert project.usages(X) == ["scripts/deep/my_script.py"]


def test_working_directory_below_the_workspace(project):
    source = "from lazydata import track\ntrack('x.csv')\ntrack('../data/x.csv')\n"
    script = project.write("scripts/my_script.py", source)
    project.run_script(script, cwd=project.root / "data")
    assert [item["path"] for item in project.items()] == [X]
    assert project.usages(X) == ["scripts/my_script.py"]


def test_pathlib_path_and_absolute_path_are_the_same_entry(project):
    project.run_script(
        f"""
        from pathlib import Path
        from lazydata import track
        track(Path({X!r}))
        track(Path({X!r}).resolve())
        track({str(project.root / X)!r})
        """
    )
    assert len(project.items()) == 1
    assert project.usages(X) == ["my_script.py"]


def test_module_that_a_script_imports(project):
    project.write("loader.py", TRACK)
    project.run_script("import loader\n")
    assert project.usages(X) == ["loader.py"]


def test_function_of_a_module_names_the_module(project):
    project.write(
        "loader.py", f"from lazydata import track\ndef load():\n    return track({X!r})\n"
    )
    project.run_script("import loader\nloader.load()\n")
    assert project.usages(X) == ["loader.py"]


def test_init_of_a_class(project):
    project.write(
        "models.py",
        f"import lazydata\nclass Model:\n    def __init__(self):\n"
        f"        self.table = lazydata.track({X!r})\n",
    )
    project.run_script("from models import Model\nModel()\nModel()\n")
    assert project.usages(X) == ["models.py"]


def test_init_file_of_a_package(project):
    project.write("package/__init__.py", TRACK)
    project.run_script("import package\n")
    assert project.usages(X) == ["package/__init__.py"]


def test_setup_file(project):
    project.write("setup.py", TRACK + "print('set up')\n")
    assert project.run_script(project.root / "setup.py").stdout == "set up\n"
    assert project.usages(X) == ["setup.py"]


def test_module_run_with_dash_m(project):
    project.write("package/__init__.py", "")
    project.write("package/job.py", TRACK)
    project.run_code("import runpy\nrunpy.run_module('package.job', run_name='__main__')\n")
    assert project.usages(X) == ["package/job.py"]


def test_script_with_an_odd_name(project):
    project.run_script(TRACK, "étude: nº 1.py")
    assert project.usages(X) == ["étude: nº 1.py"]


def test_dash_c_has_no_usage(project):
    project.run_code(TRACK)
    assert len(project.items(X)) == 1
    assert project.usages(X) == []


def test_standard_input_has_no_usage(project):
    project.run_code(
        f"""
        import subprocess, sys
        subprocess.run([sys.executable, "-"], input={TRACK!r}, text=True, check=True)
        """
    )
    assert len(project.items(X)) == 1
    assert project.usages(X) == []


def test_script_outside_the_workspace_has_no_usage(project, tmp_path):
    script = tmp_path / "outside.py"
    script.write_text(TRACK)
    project.run_script(script)
    assert len(project.items(X)) == 1
    assert project.usages(X) == []


def test_usage_that_is_given_wins(project):
    project.run_script(f"from lazydata import track\ntrack({X!r}, usage='report.py')\n")
    assert project.usages(X) == ["report.py"]


def test_second_script_is_added_to_the_first(project):
    project.run_script(TRACK, "train.py")
    assert project.run_script(TRACK, "eval.py").stderr == ""
    assert project.usages(X) == ["train.py", "eval.py"]
    assert len(project.versions(X)) == 1


def test_second_call_place_in_one_process_is_added(project):
    project.write("first.py", TRACK)
    project.write("second.py", TRACK)
    project.run_script("import first\nimport second\nimport first\n")
    assert project.usages(X) == ["first.py", "second.py"]


def test_same_usage_is_written_once(project):
    project.run_script(TRACK, "train.py")
    project.run_script(TRACK, "eval.py")
    before = project.state()
    project.run_script(TRACK, "train.py")
    project.run_script(TRACK, "eval.py")
    assert project.state() == before


def test_changed_file_names_the_script_that_found_it(project):
    project.run_script(TRACK, "train.py")
    project.write(X, b"changed")
    project.run_script(TRACK, "eval.py")
    assert len(project.versions(X)) == 2
    assert "eval.py" in project.usages(X)


# -- notebooks

NOTEBOOK = """
import os, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns.update(eval(sys.argv[1]))
for cell in ({cells}):
    done = shell.run_cell(cell)
    done.raise_error()
"""


def run_notebook(desk, cells=(TRACK,), names=None):
    pytest.importorskip("IPython")
    source = NOTEBOOK.format(cells="".join(f"{cell!r}, " for cell in cells))
    process = desk.popen(source, repr(names or {}))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return err


@pytest.fixture
def jupyter(project):
    """The session name that Jupyter gives to the kernels it starts."""

    def set_name(path):
        project.env["JPY_SESSION_NAME"] = str(path)

    return set_name


def test_notebook_in_vs_code(project):
    notebook = project.write("notes/my_notebook.ipynb", "{}")
    run_notebook(project, names={"__vsc_ipynb_file__": str(notebook)})
    assert project.usages(X) == ["notes/my_notebook.ipynb"]


def test_notebook_in_jupyter(project, jupyter):
    jupyter(project.write("my_notebook.ipynb", "{}"))
    run_notebook(project)
    assert project.usages(X) == ["my_notebook.ipynb"]


def test_cells_of_a_notebook_are_one_usage(project, jupyter):
    jupyter(project.write("my_notebook.ipynb", "{}"))
    again = "def load():\n    return track('data/x.csv')\nload(); load()"
    run_notebook(project, [TRACK, TRACK + "\n", again])
    before = project.state()
    run_notebook(project, [again.replace("def", "from lazydata import track\ndef", 1)])
    assert project.usages(X) == ["my_notebook.ipynb"]
    assert project.state() == before


def test_interactive_shell_without_a_notebook_has_no_usage(project):
    run_notebook(project)
    assert len(project.items(X)) == 1
    assert project.usages(X) == []


def test_notebook_outside_the_workspace_has_no_usage(project, jupyter, tmp_path):
    jupyter(tmp_path / "outside.ipynb")
    run_notebook(project)
    assert len(project.items(X)) == 1
    assert project.usages(X) == []


def test_module_that_a_notebook_imports_names_itself(project, jupyter):
    jupyter(project.write("my_notebook.ipynb", "{}"))
    project.write("loader.py", TRACK)
    run_notebook(project, ["import sys; sys.path.insert(0, '.')", "import loader"])
    assert project.usages(X) == ["loader.py"]


def test_script_that_a_notebook_starts_names_itself(project, jupyter):
    jupyter(project.write("my_notebook.ipynb", "{}"))
    script = project.write("my_script.py", TRACK)
    run = f"import subprocess\nsubprocess.run([{sys.executable!r}, {str(script)!r}], check=True)"
    run_notebook(project, [run])
    assert project.usages(X) == ["my_script.py"]
