"""Sphinx: `nox -s docs` builds it."""

from importlib.metadata import version as installed_version

project = "lazydata"
author = "the lazydata contributors"
project_copyright = f"{author}, Apache-2.0"
release = installed_version("lazydata")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"

html_theme = "furo"
html_title = f"lazydata {release}"
