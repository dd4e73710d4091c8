"""What can be run here: ``nox --list`` names the sessions, ``nox`` runs lint and tests."""

from __future__ import annotations

import os
import shutil
import zipfile
from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "tests"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")
QUICKSTART = ROOT / "examples" / "quickstart" / "run.py"

# Warnings are errors: pytest says so for its own process, this for the others.
STRICT = {"PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "error")}

# Most tests wait for child processes. More than four at once and they wait for each other.
PARALLEL = ["--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal"]


def group(name: str) -> list[str]:
    """The requirements of one dependency group in pyproject.toml."""
    return list(nox.project.dependency_groups(PYPROJECT, name))


def lower_bound(specifiers: SpecifierSet) -> str:
    """The one version that is named with ``>=``.

    Raises:
        ValueError: there is none, or more than one.
    """
    (bound,) = (s.version for s in specifiers if s.operator == ">=")
    return bound


def inside(session: nox.Session, name: str) -> Path:
    """A path in the session's own environment, which goes with it."""
    return Path(session.virtualenv.location).resolve() / name


OLDEST_PYTHON = lower_bound(SpecifierSet(PYPROJECT["project"]["requires-python"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, layers and types."""
    session.install("-e", ".", *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; after ``--``: which ones, one after the other."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", *(session.posargs or PARALLEL), env=STRICT)


@nox.session
def coverage(session: nox.Session) -> None:
    """All tests, with branch coverage and its floor: takes twice the time."""
    session.install("-e", ".", *group("test"))
    env = {**STRICT, "COVERAGE_FILE": str(inside(session, "coverage"))}
    session.run("pytest", *PARALLEL, "--cov", *session.posargs, env=env)


@nox.session(python=OLDEST_PYTHON)
def minimums(session: nox.Session) -> None:
    """All tests, with the oldest dependencies that pyproject.toml allows, also those of extras."""
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    texts = [*PYPROJECT["project"]["dependencies"], *chain.from_iterable(extras)]
    requirements = [Requirement(text) for text in texts]
    oldest = [f"{r.name}=={lower_bound(r.specifier)}" for r in requirements]
    session.log("with %s", ", ".join(oldest))
    session.install("-e", ".", *oldest, *group("test"))
    session.run("pytest", *PARALLEL, *session.posargs, env=STRICT)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, as HTML; a warning is an error."""
    session.install(".", *group("docs"))
    target = session.posargs[0] if session.posargs else "build/docs"
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-b", "html", "docs", target)
    session.log("open %s/index.html", target)


@nox.session
def torture(session: nox.Session) -> None:
    """Crashes, power cuts and refusals for as long as asked; after ``--``: --minutes N --seed S."""
    session.install(".", *group("test"), *group("fuzz"))
    session.run("python", "tests/fault/torture.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Odd bytes for every parser, and steps for every model; ``--minutes N --seed S``."""
    session.install("-e", ".", *group("fuzz"))
    session.run("python", "tests/fuzz/fuzz.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Every budget beside what was measured; after ``--``: options of benchmarks/run.py."""
    session.install(".", *group("bench"))
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def quickstart(session: nox.Session) -> None:
    """The main job, from an empty directory to a collaborator's clone."""
    session.install(".", "pandas")
    run_quickstart(session, "python")


@nox.session
def build(session: nox.Session) -> None:
    """Wheel and sdist, and the quickstart with nothing but that wheel."""
    session.install("build", "virtualenv")
    target = ROOT / "dist"
    shutil.rmtree(target, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(target), silent=True)
    (wheel,) = target.glob("*.whl")
    check_wheel(session, wheel)

    empty = inside(session, "empty")
    session.run("virtualenv", "--clear", "--quiet", str(empty))
    python = str(next(empty.glob("Scripts/python.exe"), empty / "bin" / "python"))
    session.run(python, "-m", "pip", "install", "--quiet", str(wheel), "pandas", external=True)
    run_quickstart(session, python)


def check_wheel(session: nox.Session, wheel: Path) -> None:
    """Fail unless the wheel carries what others rely on."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "lazydata/py.typed",
        "lazydata/cli/output.schema.json",
        "lazydata/report/page.html",
        ".dist-info/licenses/LICENSE",
    ):
        if not any(name.endswith(wanted) for name in names):
            session.error(f"{wheel.name} has no {wanted}")


def run_quickstart(session: nox.Session, python: str) -> None:
    """Run the example with the lazydata that this Python has."""
    session.run(python, str(QUICKSTART), external=True)
