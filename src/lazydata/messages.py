"""What lazydata says: one logger, one line each, on stderr.

The library prints nothing itself. A program that wants these lines elsewhere
adds a handler to the logger ``lazydata``; ours is then left out.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from lazydata.errors import printable as printable

if TYPE_CHECKING:
    import logging


about = ""  # the workspace that all is about, where a command covers several


def say(message: str) -> None:
    """Tell the user what was done; silenced by ``LAZYDATA_QUIET=1``."""
    logger = _logger()
    if os.environ.get("LAZYDATA_QUIET", "") in ("", "0"):
        logger.info(_placed(message))


def warn(message: str) -> None:
    """Tell the user what they should know, quiet or not."""
    _logger().warning(_placed(message))


def typed(name: str) -> str:
    """A name as it is typed in a command: quoted, where it would mean something to a shell."""
    from shlex import quote

    return quote(name)


def _placed(message: str) -> str:
    return printable(f"{about}: {message}" if about else message)  # for any handler


def _logger() -> logging.Logger:
    import logging

    class ToStderr(logging.Handler):
        # stderr is looked up at each line: notebooks and tests replace it.
        def emit(self, record: logging.LogRecord) -> None:
            try:
                if sys.stderr is not None:
                    sys.stderr.write(f"lazydata: {record.getMessage()}\n")
                    sys.stderr.flush()
            except (OSError, ValueError):
                pass  # a closed stderr must not fail the user's program

    logger = logging.getLogger("lazydata")
    if not logger.handlers:
        logger.addHandler(ToStderr())
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger
