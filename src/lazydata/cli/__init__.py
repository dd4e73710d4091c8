"""The ``lazydata`` command. What needs no command framework is answered without it."""

import os
import sys


def main() -> None:
    """Entry point of the ``lazydata`` command."""
    if sys.argv[1:] == ["--version"]:
        from lazydata import __version__

        print(f"lazydata {__version__}")
        return
    from lazydata.cli.running import run

    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(code)  # the interpreter knows what to say of that
    # All is written and no thread is left. To free a large manifest, entry by entry, takes
    # a tenth of what the command took; the system frees it at once.
    os._exit(code)
