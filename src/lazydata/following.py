"""A file that is hashed while somebody else fills it, so that little is left to do at its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from lazydata.digest import Hashed, Hasher, blocks
from lazydata.stamp import stamp_of

_STEP = 0.02  # seconds between two looks
_BUFFER = 1 << 20


class Following:
    """Begins at once, in a thread.

    Bytes that are there must not be written again: ``Remote.get`` promises that.

    Args:
        path: of the file; it may not be there yet.
        algorithm: of the digest.
        seed: asked for that of the fingerprint when the first bytes are there; see ``Hasher``.
    """

    def __init__(self, path: str, algorithm: str, seed: Callable[[], int | None]) -> None:
        self._path, self._algorithm, self._seed = path, algorithm, seed
        self._descriptor = -1
        self._done = 0  # bytes
        self._hasher: Hasher | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="lazydata", daemon=True)
        self._thread.start()

    def finish(self) -> Hashed | None:
        """Hash what is left of it, now that nobody fills it any more.

        Returns:
            None where it is better hashed from its beginning on: nothing was gained, it
            does not hold still, or it can't be read, which is then told by whoever tries.
        """
        self._end()
        try:
            if self._hasher is None:
                return None
            seen_ns = time.time_ns()
            before = stamp_of(self._descriptor)
            left = before.size - self._done
            if not 0 <= left <= self._done:
                return None
            for block in blocks(self._descriptor, left, self._hasher.glance):
                self._hasher.update(block)
                self._done += len(block)
            if self._done != before.size or stamp_of(self._descriptor) != before:
                return None
            hasher = self._hasher
            return Hashed(hasher.digest, hasher.fingerprint, before, seen_ns, racy=False)
        except OSError:
            return None
        finally:
            self.close()

    def close(self) -> None:
        """Leave it, whatever has become of it."""
        self._end()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._hasher = -1, None

    def _end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        buffer = memoryview(bytearray(_BUFFER))
        try:
            while not self._ended.wait(_STEP):
                if self._descriptor < 0 and not self._open():
                    continue
                self._catch_up(buffer)
        except Exception:  # whoever hashes the file then meets the same, and can tell
            self._hasher = None

    def _open(self) -> bool:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            return False
        self._hasher = Hasher(self._algorithm, seed=self._seed())
        return True

    def _catch_up(self, buffer: memoryview) -> None:
        hasher = self._hasher
        assert hasher is not None
        while not self._ended.is_set() and (count := os.readv(self._descriptor, [buffer])):
            block = buffer[:count]
            hasher.glance(block)
            hasher.update(block)
            self._done += count
