"""Data dependencies of Python code: versioned by hash, fetched when the code needs them.

Example:
    import pandas as pd
    from lazydata import track

    df = pd.read_csv(track("data/my_big_table.csv"))
"""

import sys

from lazydata import audit
from lazydata.tracking import track

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.api import info, pull, push, restore, status, untrack, versions
    from lazydata.api import open as open  # noqa: A004  # a public name
    from lazydata.errors import LazydataError
    from lazydata.workspace import Workspace

__version__ = "2.0.0.dev0"
# Not among them: `open`, which must not take the place of the built-in one by a star import.
__all__ = [
    "LazydataError",
    "Workspace",
    "info",
    "pull",
    "push",
    "restore",
    "status",
    "track",
    "untrack",
    "versions",
]

_FUNCTIONS = ("info", "open", "pull", "push", "restore", "status", "untrack", "versions")
_ELSEWHERE = {"LazydataError": "lazydata.errors", "Workspace": "lazydata.workspace"}
_ELSEWHERE.update(dict.fromkeys(_FUNCTIONS, "lazydata.api"))

sys.addaudithook(audit.hook)


def __getattr__(name: str) -> object:
    if name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module 'lazydata' has no attribute {name!r}")
