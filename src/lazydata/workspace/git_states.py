"""All states of the manifests that one repository has: committed, stashed, staged, in worktrees."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from lazydata.git import Git
from lazydata.manifest import NAME
from lazydata.messages import printable

# What operations that are going on keep outside of refs and reflogs.
_GOING_ON = (
    *("MERGE_HEAD", "MERGE_AUTOSTASH", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD"),
    *("ORIG_HEAD", "FETCH_HEAD", "rebase-merge/autostash", "rebase-apply/autostash"),
)
_ID = re.compile(r"^[0-9a-f]{40,64}\b", re.MULTILINE)
_DIFFERS = re.compile(rb":(\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) [A-Z]\d*\0")
_BROUGHT = re.compile(
    rb"commit ([0-9a-f]{40,64})|:\d+ \d+ [0-9a-f]+ ([0-9a-f]+) [A-Z]\d*\0([^\0]+)"
)
_NAMED = 5  # refs; there may be thousands
_FILE = b"100"  # how the modes of plain files begin


class States(NamedTuple):
    """What a repository has.

    Args:
        ids: of the blobs.
        files: where manifests may lie in worktrees; absolute, there or not.
    """

    ids: set[str]
    files: set[str]

    def texts(self, git: Git) -> Iterator[tuple[str, bytes]]:
        """Each blob's id, and what it holds.

        Raises:
            GitFailed: one can't be read.
        """
        for some in git.in_turns(sorted(self.ids)):
            yield from git.blobs(some).items()


def common_dir(git: Git) -> str:
    """What all worktrees of a repository share; absolute.

    Raises:
        GitFailed: it is none.
    """
    return os.path.realpath(os.path.join(git.top, git.text("rev-parse", "--git-common-dir")))


def states(git: Git, file: str) -> States:
    """Find every state of the manifests of a repository.

    Of any revision that a ref, a reflog (so, a stash) or an operation that is going on leads
    to, and of the index of each worktree. A manifest counts wherever it lies, since it may
    have been moved.

    Args:
        git: the repository.
        file: a manifest that may go by another name, where it really lies; absolute.

    Raises:
        GitFailed: some of it can't be read.
    """
    common = common_dir(git)
    places = [common, *_in(os.path.join(common, "worktrees"))]
    specs = [f":(glob)**/{NAME}"]
    if os.path.basename(file) != NAME:
        specs.append(f":(literal){git.relative(file)}")
    found = States(set(), set())
    for place in places:
        _add_staged(git, place, specs, found)
    begin = _commits(git, [each for place in places for each in _going_on(place)])
    words = ("rev-list", "--full-history", "--all", "--reflog", "--stdin")
    stdin = "".join(f"{line}\n" for line in (*begin, "--", *specs))
    commits = _run(git, *words, stdin=os.fsencode(stdin))
    show = ("diff-tree", "--stdin", "--root", "-m", "-r", "-z", "--no-renames", "--no-abbrev")
    out = _run(git, *show, "--", *specs, stdin=commits)
    for was, now, before, after in _DIFFERS.findall(out):
        found.ids.update(blob.decode() for mode, blob in ((was, before), (now, after)) if _is(mode))
    return found


def whereabouts(git: Git, blob: str) -> tuple[str, str]:
    """Where one of these states is, for people.

    Args:
        git: the repository.
        blob: id of a manifest that can't be read.

    Returns:
        Its path and the commit that brought it, and what to do so that nothing leads there.

    Raises:
        GitFailed: it can't be told.
    """
    words = ("log", "--all", "--reflog", "-m", "--no-renames", "--no-abbrev", "--raw", "-z")
    out = git.run(*words, "--format=commit %H", f"--find-object={blob}")
    commit = ""
    for found in _BROUGHT.finditer(out):
        if found[1]:
            commit = found[1].decode()
        elif found[2] == blob.encode():
            name = printable(os.fsdecode(found[3]))
            return f"{name} of commit {commit[:10]}", _lose(git, commit)
    return f"{NAME} ({blob[:10]})", (
        "a worktree has staged it, or an operation that is going on has it: `git status` there; "
        "gc goes on once it is mended and staged again"
    )


def _lose(git: Git, commit: str) -> str:
    refs = git.text("for-each-ref", "--contains", commit, "--format=%(refname:short)").split()
    some = ", ".join(map(printable, refs[:_NAMED])) + (", ..." if len(refs) > _NAMED else "")
    # Never with --all: that would take the stashes as well.
    expire = "`git reflog expire --expire-unreachable=now HEAD` (and the same for its branch)"
    if refs == ["stash"]:
        return "a stash has it; gc goes on after `git stash drop`"
    if not some:
        return (
            f"a reflog or an older stash leads to it: `git stash list` shows those; else {expire}"
        )
    return (
        f"these lead to it: {some}. A later commit that mends it is not enough: delete them, or "
        f"rewrite their history without it, then {expire}"
    )


def _add_staged(git: Git, place: str, specs: list[str], found: States) -> None:
    """What the index of one worktree has."""
    top = _work_tree(place)
    for row in _run(git, f"--git-dir={place}", "ls-files", "-s", "-z", "--", *specs).split(b"\0"):
        told, _, path = row.partition(b"\t")
        if _is(told):
            found.ids.add(told.split(b" ")[1].decode())
            if top:
                found.files.add(os.path.join(top, os.fsdecode(path)))


def _run(git: Git, *words: str, stdin: bytes = b"") -> bytes:
    return git.run("--no-literal-pathspecs", *words, stdin=stdin, strict=True)


def _is(mode: bytes) -> bool:
    return mode.startswith(_FILE)


def _commits(git: Git, ids: list[str]) -> list[str]:
    """Those of some ids that are commits here."""
    stdin = "".join(f"{each}\n" for each in ids).encode()
    told = git.run("cat-file", "--batch-check", stdin=stdin).decode() if ids else ""
    return [line.split(" ")[0] for line in told.splitlines() if " commit " in line]


def _in(directory: str) -> list[str]:
    try:
        return [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    except FileNotFoundError:
        return []


def _work_tree(place: str) -> str:
    """The work tree that one of git's own directories belongs to; "" where it does not say."""
    try:
        with open(os.path.join(place, "gitdir"), "rb") as file:
            return os.path.dirname(os.fsdecode(file.read().rstrip(b"\n")))
    except OSError:
        return os.path.dirname(place) if os.path.basename(place) == ".git" else ""


def _going_on(place: str) -> list[str]:
    found: list[str] = []
    for name in _GOING_ON:
        try:
            with open(os.path.join(place, *name.split("/")), encoding="ascii") as file:
                found += _ID.findall(file.read())
        except (OSError, UnicodeDecodeError):
            continue
    return found
