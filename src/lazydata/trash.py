"""The store's trash: what damage and gc put aside, and the way back."""

from __future__ import annotations

import os
import time

from lazydata.digest import Digest
from lazydata.fsutil import make_dirs, replace, write_atomic


class Trash:
    """Folders named by the time (ns since the epoch) that something was put there.

    Args:
        directory: of them all; it need not exist.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def put(self, path: str, name: str, why: str) -> str:
        """Put a file aside, with the reason beside it.

        Returns:
            Where it is now.

        Raises:
            OSError: somebody else was faster, or the store can't be written.
        """
        aside = os.path.join(self._directory, str(time.time_ns()), name)
        make_dirs(os.path.dirname(aside))
        replace(path, aside)
        write_atomic(aside + ".why", f"{why}\n".encode())
        return aside

    def has_any(self) -> bool:
        """Whether there is anything in it."""
        return os.path.isdir(self._directory)

    def take_back(self, digest: Digest, path: str) -> bool:
        """Give an object that gc put aside its name again; whether it has it now."""
        try:
            folders = os.listdir(self._directory)
        except (FileNotFoundError, NotADirectoryError):
            return False
        for when in folders:
            aside = os.path.join(self._directory, when, digest.algorithm, digest.hex)
            if os.path.exists(aside):
                try:
                    make_dirs(os.path.dirname(path))
                    replace(aside, path)
                except OSError:
                    pass  # taken back by somebody else, or a store that is only read
                return os.path.exists(path)
        return False
