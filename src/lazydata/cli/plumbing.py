"""What git calls: the merge driver, and the hooks. They start often, so no typer and no SDK."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from lazydata.errors import GitFailed, LazydataError, UsageError
from lazydata.fsutil import write_atomic
from lazydata.git import Git
from lazydata.messages import printable, warn

_MARKER = 7  # as many characters as git's conflict markers have
_SHORT = 10


def answer(arguments: list[str]) -> int:
    """Do what git asks for.

    Args:
        arguments: ``merge-driver`` and git's ``%O %A %B %L %P``, or ``hook``, its name and
            what git gave it.

    Returns:
        The exit code.

    Raises:
        UsageError: it is neither.
    """
    what, *rest = arguments
    if what == "hook" and rest:
        from lazydata.workspace import git_hooks

        return git_hooks.run(rest[0], rest[1:], _stdin)
    if what == "merge-driver" and len(rest) == 5:
        base, ours, theirs, marker, path = rest
        size = int(marker) if marker.isdigit() else _MARKER
        return _Driver(base, ours, theirs, size, path).run()
    raise UsageError(
        "this is called by git, which gives it what it needs",
        hint="`lazydata git install` sets it up",
    )


def _stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        return b""
    return sys.stdin.buffer.read()


class _Driver:
    """One merge of one manifest.

    Args:
        base, ours, theirs: files with the three states; the result goes to ``ours``.
        marker: length of a conflict marker.
        path: of the manifest in the repository, for messages.
    """

    def __init__(self, base: str, ours: str, theirs: str, marker: int, path: str) -> None:
        self._files = (base, ours, theirs)
        self._marker, self._path = marker, path

    def run(self) -> int:
        """Write the result.

        Returns:
            0, or 1 if somebody has to look at it.
        """
        states = [_read(file) for file in self._files]
        our_name, their_name = _sides(self._path, states[2])
        try:
            from lazydata import manifest
            from lazydata.manifest.merge import merge

            texts = [manifest.decode(state, file=self._path) for state in states]
            merged = merge(*texts, our_name=our_name, their_name=their_name, file=self._path)
            result = merged.text.encode()
        except Exception as error:  # whatever it is, git must not lose a side over it
            why = error.message if isinstance(error, LazydataError) else repr(error)
            return self._as_git_does(why.partition("\n")[0], our_name, their_name)
        if result != states[1]:
            write_atomic(os.path.abspath(self._files[1]), result)
        # With longer markers git merges what it will use as the base: no result of anybody's.
        for path in merged.conflicts if self._marker <= _MARKER else ():
            warn(
                f"{self._path}: {path} was changed on {our_name} and on {their_name}; look at "
                "it, and `git add` the file when it is settled"
            )
        return 1 if merged.conflicts else 0

    def _as_git_does(self, why: str, our_name: str, their_name: str) -> int:
        """Merge by lines, as if there were no driver."""
        base, ours, theirs = self._files
        labels = [word for name in (our_name, "base", their_name) for word in ("-L", name)]
        words = ("merge-file", "-q", f"--marker-size={self._marker}", *labels, ours, base, theirs)
        before, code = _read(ours), 0
        try:
            Git(os.getcwd()).run(*words)
            from lazydata import manifest

            # Lines of two items may lie side by side now, and git sees nothing wrong in that.
            manifest.read(manifest.decode(_read(ours)))
        except (GitFailed, LazydataError):
            code = 1
        how = "merged by lines" if _read(ours) != before else f"as it is on {our_name}"
        warn(f"{self._path} is {how}, since it can't be merged by entry: {why}")
        return code


def _read(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()


def _sides(path: str, theirs: bytes) -> tuple[str, str]:
    """The same as ``_names``, wherever git works and whatever it says."""
    try:
        git = Git.holding(os.getcwd())
        return _names(git, path, theirs) if git is not None else ("ours", "theirs")
    except LazydataError:
        return "ours", "theirs"


def _names(git: Git, path: str, theirs: bytes) -> tuple[str, str]:
    """What a person calls the two sides of the merge that runs now.

    Git tells its drivers nothing of this, so it is read off what it leaves for itself.
    """
    place = os.path.join(git.top, ".git")
    if not os.path.isdir(place):  # a linked work tree, or a submodule
        place = git.text("rev-parse", "--absolute-git-dir")

    def line(name: str) -> str:
        """The first line of one of git's own files."""
        try:
            return _read(os.path.join(place, name)).decode("utf-8", "replace").split("\n", 1)[0]
        except OSError:
            return ""

    onto = line("rebase-merge/onto")
    if onto:  # then we are on the branch that the other one is put on
        head = line("rebase-merge/head-name")
        moved = head if head.startswith("refs/") else line("rebase-merge/orig-head")
        return _called(git, onto), _called(git, moved)
    kind, _, head = line("HEAD").partition(" ")
    if kind != "ref:" or head.endswith("/.invalid"):  # detached, or kept in another format
        head = git.text("symbolic-ref", "-q", "HEAD", fine=(0, 1)) or git.resolve("HEAD")
    return _called(git, head), _their_name(git, path, theirs, line)


def _their_name(git: Git, path: str, theirs: bytes, line: Callable[[str], str]) -> str:
    merged = {k.removeprefix("GITHEAD_"): v for k, v in os.environ.items() if "GITHEAD_" in k}
    if len(merged) == 1:
        (commit, name) = merged.popitem()
        return _called(git, commit) if name == commit else printable(name)
    picked = line("sequencer/todo").split(" ")
    if len(picked) > 1:  # several commits, one after the other
        return _called(git, picked[1])
    if line("rebase-apply/next") and (stopped := line("REBASE_HEAD")):
        return _called(git, stopped)
    stashed = git.text("rev-parse", "--verify", "--quiet", "refs/stash", fine=(0, 1))
    if stashed and git.read([stashed], git.absolute(path)) == [theirs]:
        return "the stash"
    return "what is applied"


def _called(git: Git, name: str) -> str:
    """A branch by its name, a commit by that of a branch that is there, or by a short id."""
    for start in ("refs/heads/", "refs/remotes/", "refs/"):
        if name.startswith(start):
            return printable(name.removeprefix(start))
    words = ("for-each-ref", f"--points-at={name}", "--format=%(refname)")
    try:
        refs = git.text(*words, "refs/heads", "refs/remotes").splitlines()
    except GitFailed:
        refs = []
    return _called(git, refs[0]) if refs else f"commit {name[:_SHORT]}"
