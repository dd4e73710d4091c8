"""The ``lazydata`` command. What needs no command framework is answered without it."""

import gc
import sys


def main() -> None:
    """Entry point of the ``lazydata`` command."""
    if sys.argv[1:] == ["--version"]:
        from lazydata import __version__

        print(f"lazydata {__version__}")
        return
    # What is imported stays: looking through it for garbage takes a tenth of the start.
    gc.disable()
    from lazydata.cli.app import run

    gc.freeze()
    gc.enable()
    sys.exit(run(sys.argv[1:]))
