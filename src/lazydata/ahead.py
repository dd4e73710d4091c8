"""Other cores list directories ahead of us."""

from __future__ import annotations

from collections.abc import Iterable

from lazydata import scanner
from lazydata.helper import Helper, cores, may_start
from lazydata.scanning import Listing

_LEAST = 20_000  # names; below that it is not worth a process
_BLOCK = 4_000  # names in a row that one process lists
_MOST = 3  # processes


class Ahead:
    """Listings of directories that were made ahead, each to be taken once, in order.

    Blocks of directories go to the caller and to each helper in turn. A helper waits while
    its pipe is full. Whatever goes wrong with one, the caller lists by itself.

    Args:
        directories: absolute paths and about how many names are in each, in the order in
            which they will be asked for.
        helpers: how many processes; by default as many as there are other cores, up to 3.

    Example:
        with Ahead([("/data/a", 20_000), ("/data/b", 20_000)]) as ahead:
            listing = ahead.take("/data/b") or scan("/data/b", ignore)
    """

    def __init__(self, directories: Iterable[tuple[str, int]], helpers: int | None = None) -> None:
        if helpers is None:
            helpers = min(_MOST, cores() - 1)
        shares: list[list[str]] = [[] for _ in range(helpers + 1)]
        total = 0
        for path, names in directories:
            shares[total // _BLOCK % len(shares)].append(path)
            total += names + 1
        self._helpers: list[_Lister] = []
        self._at: dict[str, _Lister] = {}
        if total < _LEAST or not may_start():
            return
        for share in filter(None, shares[1:]):
            try:
                helper = _Lister(share)
            except OSError:
                return  # no memory, no more processes: it was only to be quicker
            self._helpers.append(helper)
            self._at.update(dict.fromkeys(share, helper))

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        for helper in self._helpers:
            helper.close()

    def take(self, path: str) -> Listing | None:
        """What a directory holds, if it was listed ahead."""
        helper = self._at.pop(path, None)
        return None if helper is None else helper.take(path)


class _Lister:
    def __init__(self, directories: list[str]) -> None:
        self._left = iter(directories)
        self._helper = Helper([scanner.__file__])
        text = "".join(f"{path}\0" for path in directories)
        self._helper.tell(text.encode("utf-8", "surrogateescape"))
        self._helper.stdin.close()

    def take(self, path: str) -> Listing | None:
        for each in self._left:  # those before it are gone by now
            head = self._helper.stdout.read(8 * scanner.LENGTHS)
            if len(head) < 8 * scanner.LENGTHS:
                return None
            device, names, stats = memoryview(head).cast("q")
            text, data = (self._helper.stdout.read(max(0, length)) for length in (names, stats))
            if each == path:
                return None if names < 0 or len(data) < stats else _listing(device, text, data)
        return None

    def close(self) -> None:
        self._helper.close()


def _listing(device: int, names: bytes, stats: bytes) -> Listing:
    return Listing.unpacked(names, stats, device % (1 << 64))
