"""What git's hooks run. A hook makes no request, unless that is what it was set up for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import contextmanager

from lazydata.errors import LazydataError, TransferIncomplete, UsageError
from lazydata.git import Git
from lazydata.manifest import NAME
from lazydata.messages import printable, say, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lazydata.workspace.git_outdated import Done, Outdated

_NAMED_AT_MOST = 5


def run(name: str, arguments: Sequence[str], stdin: Callable[[], bytes]) -> int:
    """Answer one hook of the repository that the working directory is in.

    Args:
        name: of the hook.
        arguments: what git gave it.
        stdin: reads what git writes to it.

    Returns:
        The exit code: 1 stops a push. No other hook stops anything.

    Raises:
        UsageError: there is no such hook.
    """
    if name not in ("pre-push", "post-checkout", "post-merge"):
        raise UsageError(
            f"there is no hook {printable(name)}",
            hint="lazydata answers pre-push, post-checkout and post-merge",
        )
    git = Git.holding(os.getcwd())
    if git is None:
        return 0
    if name == "pre-push":
        return _pre_push(git, _updates(git, stdin()))
    try:
        _after(git, name, arguments)
    except Exception as error:  # whatever it is, the checkout was done
        warn(f"which files are outdated now could not be told: {error}")
    return 0


# Before a push


def _updates(git: Git, stdin: bytes) -> list[tuple[str, str]]:
    """What each ref is on the other side, and what it is to be."""
    lines = [line.split() for line in stdin.decode("utf-8", "surrogateescape").splitlines()]
    updates = [(line[3], line[1]) for line in lines if len(line) == 4 and line[1].strip("0")]
    if lines or not os.environ.get("PRE_COMMIT"):
        return updates
    # pre-commit reads the lines itself, and gives them on in its own way: none of the two
    # where all of a new branch is meant.
    nothing = "0" * len(git.resolve("HEAD"))
    before = os.environ.get("PRE_COMMIT_FROM_REF") or nothing
    after = os.environ.get("PRE_COMMIT_TO_REF") or os.environ.get("PRE_COMMIT_LOCAL_BRANCH")
    return [(before, after or "HEAD")]


def _pre_push(git: Git, updates: Sequence[tuple[str, str]]) -> int:
    if not updates:
        return 0
    from lazydata.workspace.git_pushing import find_unpushed, refuse, upload

    found = find_unpushed(git, updates)
    if not found:
        return 0
    if _setting(git, "lazydata.hooks.push", "refuse", "auto") == "refuse":
        refuse(found, _from_here(git))
        return 1
    try:
        for each in found:
            upload(each)
    except TransferIncomplete as error:
        for line in error.left:
            warn(line)
        warn(f"not pushed, since the data could not be uploaded: {error.message}")
        return 1
    except LazydataError as error:
        warn(f"not pushed, since the data could not be uploaded: {error}")
        return 1
    return 0


# After a checkout or a merge


def _after(git: Git, name: str, arguments: Sequence[str]) -> None:
    if name == "post-checkout":
        before, after, is_switch = (*arguments, "", "", "")[:3]
        if is_switch != "1" or before == after or not before.strip("0"):
            return  # files alone, the same commit, or a clone, which has nothing yet
        changes = git.changed([(before, after)], NAME)
    elif arguments[:1] == ["1"]:  # --squash
        changes = git.staged(NAME)
    else:
        changes = git.changed([("ORIG_HEAD", "HEAD")], NAME)
    if not changes:
        return
    from lazydata.workspace.git_outdated import find_outdated, restore

    found = find_outdated(git, changes)
    # A rebase goes on from here, and ends elsewhere.
    if not found or os.path.isdir(git.path("rebase-merge")):
        return
    if _setting(git, "lazydata.hooks.checkout", "tell", "restore") == "tell":
        say(_told(found, _from_here(git)))
        return
    with _silence():
        done = restore(found)
    say(_told_of(done, _from_here(git)))


def _told(found: Sequence[Outdated], show: Callable[[str], str]) -> str:
    paths = [os.path.join(w.root, entry.path) for w, entries in found for entry in entries]
    roots = dict.fromkeys(show(each.workspace.root) for each in found)
    command = shlex.join(["lazydata", "pull", *(roots if list(roots) != ["."] else ())])
    them = "it" if len(paths) == 1 else "them"
    return f"outdated now: {_listed(paths, show)}; track() or `{command}` updates {them}"


def _told_of(done: Done, show: Callable[[str], str]) -> str:
    parts = []
    if done.updated:
        parts.append(f"updated from the store: {_listed(done.updated, show)}")
    if done.edited:
        parts.append(f"edited here, and left alone: {_listed(done.edited, show)}")
    if done.left:
        parts.append(f"still outdated: {_listed(done.left, show)} (`lazydata pull` tells why)")
    return "; ".join(parts) or "all files are what lazydata.yml says"


@contextmanager
def _silence() -> Iterator[None]:
    """One line says it all in the end."""
    before = os.environ.get("LAZYDATA_QUIET")
    os.environ["LAZYDATA_QUIET"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LAZYDATA_QUIET"]
        else:
            os.environ["LAZYDATA_QUIET"] = before


# What both have in common


def _listed(paths: Sequence[str], show: Callable[[str], str]) -> str:
    more = len(paths) - _NAMED_AT_MOST
    named = ", ".join(map(show, paths[:_NAMED_AT_MOST]))
    return named + (f" and {more:,} more" if more > 0 else "")


def _from_here(git: Git) -> Callable[[str], str]:
    """Paths as the user sees them; git runs its hooks at the top."""
    here = os.path.normpath(os.path.join(git.top, os.environ.get("GIT_PREFIX", "")))

    def show(path: str) -> str:
        return os.path.relpath(path, here) + ("/" if path.endswith("/") else "")

    return show


def _setting(git: Git, key: str, default: str, other: str) -> str:
    value = git.get(key) or default
    if value not in (default, other):
        warn(f"git config {key} is {printable(value)}, and may be {default} or {other}")
        return default
    return value
