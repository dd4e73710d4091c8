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
    from lazydata.errors import LazydataError
    from lazydata.workspace import Workspace

__version__ = "2.0.0.dev0"
__all__ = ["LazydataError", "Workspace", "track"]

_ELSEWHERE = {"LazydataError": "lazydata.errors", "Workspace": "lazydata.workspace"}

sys.addaudithook(audit.hook)


def __getattr__(name: str) -> object:
    if name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module 'lazydata' has no attribute {name!r}")
