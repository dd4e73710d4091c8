"""The ``lazydata`` command. What needs no command framework is answered without it."""

import sys


def main() -> None:
    """Entry point of the ``lazydata`` command."""
    if sys.argv[1:] == ["--version"]:
        from lazydata import __version__

        print(f"lazydata {__version__}")
        return
    from lazydata.cli.app import run

    sys.exit(run(sys.argv[1:]))
