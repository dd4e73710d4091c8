"""What long work reports to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told of every bit of work done, as it is done.

    It is called from several threads at once, and often: it locks what it
    counts, returns at once and never raises.

    Args:
        moved: bytes moved since the last call; negative where an attempt is
            given up and its bytes have to be moved again.

    Example:
        >>> def show(moved: int, /) -> None:
        ...     print(f"{moved:+} bytes")
    """

    def __call__(self, moved: int, /) -> None: ...


def silent(moved: int, /) -> None:
    """A ``Progress`` that nobody sees."""


@contextmanager
def attempt(progress: Progress) -> Iterator[Progress]:
    """Report one attempt, and take back what it reported if it fails.

    So the sum of all reports is right however often something is tried.

    Args:
        progress: where the reports go.

    Example:
        >>> with attempt(silent) as report:
        ...     report(10)
    """
    total = 0

    def report(moved: int, /) -> None:
        nonlocal total
        total += moved
        progress(moved)

    try:
        yield report
    except BaseException:
        if total:
            progress(-total)
        raise
