"""What a look at a set-up finds; a check that fails is a finding as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lazydata.errors import LazydataError, from_os_error

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(NamedTuple):
    """One line about a set-up.

    Args:
        about: what was looked at, such as ``store`` or ``remote origin``.
        state: ``ok``, ``warning`` (it works, and could work better) or ``problem``.
        message: what is so.
        advice: what to do about it; empty where there is nothing to do.
    """

    about: str
    state: str
    message: str
    advice: str = ""


def guarded(about: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; an error that it ends with is found as well."""
    try:
        yield from check()
    except Exception as error:
        if isinstance(error, OSError):
            error = from_os_error(error, "look at", error.filename or about)
        if isinstance(error, LazydataError):
            yield Finding(about, PROBLEM, error.message, error.hint or "")
            return
        message = f"this check failed: {type(error).__name__}: {error}"
        yield Finding(about, PROBLEM, message, "tell us of it, with this line")
