"""Sphinx: `nox -s docs` builds it."""

from collections.abc import Iterator
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import typer

from lazydata.cli.app import app as commands

project = "lazydata"
author = "the lazydata contributors"
project_copyright = f"{author}, Apache-2.0"
release = installed_version("lazydata")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True
# Errors are on the page of exit codes; what is Python's own has no page here.
nitpick_ignore_regex = [
    ("py:exc", r"[A-Z]\w+"),
    ("py:class", r"(os|datetime)\..*|lazydata\.api\.AnyPath|PathT"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"

html_theme = "furo"
html_title = f"lazydata {release}"


def helps(command: Any, names: tuple[str, ...], above: Any = None) -> Iterator[str]:
    """What ``--help`` says of a command and of those in it, as sections of a page."""
    if command.hidden:
        return
    context = typer.Context(
        command, above, info_name=names[-1], terminal_width=80, **command.context_settings
    )
    yield f"## {' '.join(names)}\n\n```text\n{command.get_help(context)}\n```\n"
    for name, each in getattr(command, "commands", {}).items():
        yield from helps(each, (*names, name), context)


def write_helps(_: object) -> None:
    """Make the page of all helps anew, from the commands as they are."""
    top = typer.main.get_command(commands)
    text = "\n".join(["# What `--help` says\n", *helps(top, ("lazydata",))])
    Path(__file__).with_name("reference").joinpath("help.md").write_text(text, encoding="utf-8")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_helps)
