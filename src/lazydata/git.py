"""Git, as far as lazydata speaks with it. The only module that runs it, and it never commits."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from lazydata.errors import GitFailed, UsageError
from lazydata.messages import printable, typed

# What a hook, or a `git` above us, has set about *its* repository.
_THEIRS = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
)
_OURS = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",  # what only looks must not be in a commit's way
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone is not filled up behind anybody's back
}
# Settings of a repository that would have git start programs, where all we do is look.
_SILENT = ("-c", "core.fsmonitor=false", "-c", "log.showSignature=false")
_PRUNED = "references pruned commits"  # of an old reflog; what is gone needs nothing
_ON_ONE_LINE = 500  # names; a command line has an end
# Bytes of one file, and of all that are read in one go: git stores a thousand times as many in
# as good as none, and a clone brings them unseen.
_LARGEST, _MOST = 256 << 20, 1 << 30
_AT_ONCE = 64  # files; some manifests are large
_COMMIT = "%H%x00%an%x00%ae%x00%ct%x00%s"
_RAW = rb":(\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) [A-Z]\d*\0([^\0]+)\0"
# The tree of nothing, by the length of the repository's hashes.
_NOTHING = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


class Commit(NamedTuple):
    """One commit.

    Args:
        id: its full hash.
        author: name, as the commit has it.
        email: of the author.
        when: committed, in seconds since the epoch.
        subject: first line of its message.
    """

    id: str
    author: str
    email: str
    when: int
    subject: str


class Changed(NamedTuple):
    """One file that differs between two revisions.

    Args:
        path: absolute.
        before: id of its blob; None where it was no file.
        after: the same, later.
    """

    path: str
    before: str | None
    after: str | None


class Git:
    """One repository, with its work tree.

    Args:
        top: absolute path of the work tree.
        inherit: work on what the variables ``GIT_DIR`` and ``GIT_WORK_TREE`` say.

    Example:
        git = Git.holding("/project/data/x.csv")
        if git is not None:
            print(git.ignored(["/project/data/x.csv"]))
    """

    def __init__(self, top: str, *, inherit: bool = False) -> None:
        self.top = top
        self._inherit = inherit

    @classmethod
    def holding(cls, path: str) -> Git | None:
        """The repository whose work tree a path lies in, found without running git.

        Args:
            path: absolute.
        """
        directory = path
        while True:
            if os.path.lexists(os.path.join(directory, ".git")):
                return cls(directory)
            parent = os.path.dirname(directory)
            if parent == directory:
                break
            directory = parent
        tree = os.environ.get("GIT_WORK_TREE")
        if tree and os.environ.get("GIT_DIR"):
            top = os.path.abspath(tree)
            if path == top or path.startswith(os.path.join(top, "")):
                return cls(top, inherit=True)
        return None

    def run(
        self,
        *words: str,
        stdin: bytes = b"",
        fine: Collection[int] = (0,),
        strict: bool = False,
    ) -> bytes:
        """What a git command prints.

        Args:
            words: the command, without ``git``.
            stdin: given to it.
            fine: exit codes that are no failure.
            strict: any complaint is one: git goes on without what it can't read.

        Raises:
            GitFailed: git is not there, or says no.
        """
        import subprocess

        env = {k: v for k, v in os.environ.items() if self._inherit or k not in _THEIRS} | _OURS
        # Where its own directory can't be read, git would answer for a repository further up.
        env["GIT_CEILING_DIRECTORIES"] = os.path.dirname(self.top)
        try:
            done = subprocess.run(
                ["git", *_SILENT, *words],
                cwd=self.top,
                env=env,
                input=stdin,
                capture_output=True,
            )
        except FileNotFoundError:
            raise GitFailed(
                "git was not found", hint="install it, or put the directory it is in on the PATH"
            ) from None
        except OSError as error:
            raise GitFailed(f"git can't be run in {self.top}: {error.strerror}") from error
        said = done.stderr.decode("utf-8", "replace").strip()
        if strict:
            said = "\n".join(line for line in said.splitlines() if _PRUNED not in line)
        if done.returncode not in fine or (strict and said):
            command = next(word for word in words if not word.startswith("-"))
            first = printable(said.splitlines()[0]) if said else f"it ended with {done.returncode}"
            raise GitFailed(
                f"git {command} failed in {self.top}: {first.removeprefix('fatal: ')}",
                hint=f"`git -C {typed(self.top)} status` shows whether the repository can be read",
            )
        return done.stdout

    def text(self, *words: str, fine: Collection[int] = (0,)) -> str:
        """The same, as text without the last line break."""
        return self.run(*words, fine=fine).decode("utf-8", "surrogateescape").rstrip("\n")

    # What git knows of files

    def ignored(self, paths: Iterable[str]) -> set[str]:
        """Those of some absolute paths that git ignores; one that is committed is not."""
        # It takes no literal pathspecs; the dot keeps a name from being read as a magic one.
        words = ("--no-literal-pathspecs", "check-ignore", "-z", "--stdin")
        stdin = b"".join(b"./" + os.fsencode(self.relative(path)) + b"\0" for path in paths)
        out = self.run(*words, stdin=stdin, fine=(0, 1))
        return {self.absolute(name.removeprefix("./")) for name in _split(out)}

    def committed(self, paths: Iterable[str]) -> set[str]:
        """Those of some absolute paths that are in git's index; of a directory, what is below."""
        names = {self.relative(path) for path in paths}
        if not names:
            return set()
        some = ("--", *names) if len(names) <= _ON_ONE_LINE else ()
        found = _split(self.run("ls-files", "-z", *some))
        if not some:
            found = [name for name in found if not names.isdisjoint(_upward(name))]
        return {self.absolute(name) for name in found}

    # Revisions

    def resolve(self, revision: str) -> str:
        """The commit that a revision means.

        Raises:
            UsageError: there is none.
        """
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        found = self.text(*words, fine=(0, 1, 128))
        if not found.isalnum():  # a range, or what a commit is not to be reached from
            shallow = " (this clone is shallow: `git fetch --unshallow` brings the rest)"
            raise UsageError(
                f"git knows no revision {printable(revision)}",
                hint="`git log --oneline` and `git branch --all` list what there is"
                + (shallow if self.is_shallow() else ""),
            )
        return found

    def is_shallow(self) -> bool:
        """Whether the clone has only the newest part of the history."""
        return self.text("rev-parse", "--is-shallow-repository") == "true"

    def read(self, commits: Sequence[str], path: str) -> list[bytes | None]:
        """What one file held in some commits; None where it was not there.

        Args:
            commits: full hashes.
            path: absolute.
        """
        name = self.relative(path)
        stdin = b"".join(
            f"{commit}:{name}\n".encode("utf-8", "surrogateescape") for commit in commits
        )
        out = memoryview(self._contents(stdin))
        found: list[bytes | None] = []
        at = 0
        for _ in commits:
            end = at + bytes(out[at : at + 4096 + len(name)]).index(b"\n")
            head = bytes(out[at:end]).split(b" ")
            at = end + 1
            if head[-1] == b"missing" or head[1] != b"blob":
                found.append(None)
                at += 0 if head[-1] == b"missing" else int(head[2]) + 1
                continue
            size = int(head[2])
            found.append(bytes(out[at : at + size]))
            at += size + 1
        lacking = [each for each, data in zip(commits, found, strict=True) if data is None]
        if lacking and self.get("extensions.partialClone"):
            self._refuse_promised(lacking, name)
        return found

    def in_turns(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Names in their order, so many at a time as memory holds what they name.

        Args:
            names: ids of blobs, or ``COMMIT:NAME``.
        """
        told = self.run("cat-file", "--batch-check=%(objectsize)", stdin=_lines(names))
        some: list[str] = []
        held = 0
        for name, word in zip(names, told.splitlines(), strict=False):
            size = int(word) if word.isdigit() else 0  # one that is not there
            if some and (len(some) == _AT_ONCE or held + size > _LARGEST):
                yield some
                some, held = [], 0
            some.append(name)
            held += size
        if some:
            yield some

    def _contents(self, names: bytes) -> bytes:
        """What ``cat-file --batch`` prints.

        Raises:
            GitFailed: it would fill the memory.
        """
        told = self.run("cat-file", "--batch-check=%(objectsize)", stdin=names)
        sizes = [int(word) for word in told.split() if word.isdigit()]
        if max(sizes, default=0) > _LARGEST or sum(sizes) > _MOST:
            raise GitFailed(
                f"git has a lazydata.yml of {max(sizes):,} bytes in {self.top}, which is none",
                hint="whoever committed it means harm, or took another file for it",
            )
        return self.run("cat-file", "--batch", stdin=names)

    def _refuse_promised(self, commits: Iterable[str], name: str) -> None:
        """Tell a file that was not there from one that a partial clone has not fetched.

        Raises:
            GitFailed: one was there.
        """
        for commit in commits:
            if self.run("ls-tree", "-z", commit, "--", name):
                raise GitFailed(
                    f"this partial clone of git lacks {name} of {commit[:10]}",
                    hint=f"`git log -p -- {name}` fetches what is missing",
                )

    def files(self, commit: str, name: str) -> list[str]:
        """Absolute paths of all files with one base name in a commit.

        Args:
            commit: a revision.
            name: such as ``lazydata.yml``.
        """
        listed = _split(self.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit))
        return [self.absolute(each) for each in listed if each == name or each.endswith("/" + name)]

    def changed(self, pairs: Collection[tuple[str, str]], name: str) -> list[Changed]:
        """All files with one base name that differ between two revisions; costs what differs.

        Args:
            pairs: before and after, any number of them. A revision that is not known here,
                as one of all zeros, has no files.
            name: such as ``lazydata.yml``.
        """
        asked = [f"{revision}^{{tree}}" for pair in pairs for revision in pair]
        told = self.run("cat-file", "--batch-check", stdin=_lines(asked)).decode().splitlines()
        trees = [line.split(" ")[0] if " tree " in line else "" for line in told]
        nothing = _NOTHING[max((len(tree) for tree in trees), default=40) or 40]
        found = [tree or nothing for tree in trees]
        stdin = _lines(map(" ".join, zip(found[::2], found[1::2], strict=True)))
        return self._raw("diff-tree", "--stdin", name=name, stdin=stdin)

    def staged(self, name: str) -> list[Changed]:
        """All files with one base name whose state in git's index is not that of ``HEAD``."""
        return self._raw("diff-index", "--cached", "HEAD", name=name)

    def _raw(self, *words: str, name: str, stdin: bytes = b"") -> list[Changed]:
        import re

        glob = ("--", f":(glob)**/{name}")
        out = self.run("--no-literal-pathspecs", *words, "-r", "-z", *glob, stdin=stdin)
        found = []
        for was, now, before, after, path in re.findall(_RAW, out):
            one = Changed(self.absolute(os.fsdecode(path)), _blob(was, before), _blob(now, after))
            if os.path.basename(one.path) == name and (one.before or one.after):
                found.append(one)
        return found

    def blobs(self, ids: Collection[str]) -> dict[str, bytes]:
        """What some blobs hold, by their ids."""
        out = self._contents(_lines(ids))
        found: dict[str, bytes] = {}
        at = 0
        for each in ids:
            end = out.index(b"\n", at)
            head = out[at:end].split(b" ")
            if len(head) != 3:
                raise GitFailed(f"git has lost {each}", hint="`git fsck` tells what is wrong")
            size = int(head[2])
            found[each] = out[end + 1 : end + 1 + size]
            at = end + size + 2
        return found

    def history(self, path: str, revision: str = "HEAD") -> list[Commit]:
        """The commits up to a revision that changed a file, the newest first.

        Args:
            path: absolute.
            revision: where to begin.
        """
        if revision == "HEAD" and not self.text("rev-parse", "-q", "--verify", "HEAD", fine=(0, 1)):
            return []  # nothing is committed yet
        order = ("--date-order", "--full-history")
        words = ("log", "-z", *order, f"--format={_COMMIT}", revision, "--", self.relative(path))
        fields = self.run(*words).decode("utf-8", "replace").split("\0")
        rows = [fields[at : at + 5] for at in range(0, len(fields) - 4, 5)]
        return [Commit(row[0], row[1], row[2], int(row[3]), row[4]) for row in rows]

    def boundary(self) -> set[str]:
        """The oldest commits of a shallow clone: what came before them is not here."""
        try:
            with open(self.path("shallow"), encoding="ascii") as file:
                return set(file.read().split())
        except FileNotFoundError:
            return set()
        except (OSError, UnicodeDecodeError) as error:
            raise GitFailed(f"{self.path('shallow')} can't be read: {error}") from error

    def renamed(self, path: str, old: str, new: str | None = None) -> str | None:
        """Where a file was in one revision that is at a path in another; None if git sees no move.

        Args:
            path: absolute.
            old: the one revision.
            new: the other; git's index by default. (Files of the work tree go through filters,
                which are programs that the repository may name.)
        """
        words = ["diff", "--no-ext-diff", "--ignore-submodules", "-M", "--diff-filter=R", "-z"]
        pair = [old, new] if new else ["--cached", old]
        out = self.run(*words, "--name-status", *pair, "--", fine=(0, 128))
        fields = out.split(b"\0")
        moves = zip(fields[1::3], fields[2::3], strict=False)
        name = os.fsencode(self.relative(path))
        return next((self.absolute(os.fsdecode(a)) for a, b in moves if b == name), None)

    # Settings

    def get(self, key: str) -> str | None:
        """One setting, or None."""
        return self.text("config", "--get", key, fine=(0, 1)) or None

    def narrow_remotes(self) -> list[str]:
        """The remotes of which not all branches are fetched, by name."""
        out = self.run("config", "-z", "--get-regexp", r"^remote\..*\.fetch$", fine=(0, 1))
        fetched: dict[str, bool] = {}
        for row in _split(out):
            key, _, spec = row.partition("\n")
            name = key.removeprefix("remote.").removesuffix(".fetch")
            is_wide = spec.lstrip("+").startswith(("refs/heads/*:", "refs/*:"))
            fetched[name] = is_wide or fetched.get(name, False)
        return [name for name, is_wide in fetched.items() if not is_wide]

    def put(self, key: str, value: str | None) -> None:
        """Write one setting of this repository; None takes it out."""
        if value is None:
            self.run("config", "--local", "--unset-all", key, fine=(0, 5))
        else:
            self.run("config", "--local", key, value)

    def path(self, name: str) -> str:
        """Where git keeps something of its own, such as ``hooks``; absolute."""
        return os.path.join(self.top, self.text("rev-parse", "--git-path", name))

    # Names

    def relative(self, path: str) -> str:
        """A path as git names it."""
        return os.path.relpath(path, self.top).replace(os.sep, "/")

    def absolute(self, name: str) -> str:
        """What git names, as a path."""
        return os.path.join(self.top, name.replace("/", os.sep))


def _upward(name: str) -> list[str]:
    """A name, and those of the directories that it is in."""
    parts = name.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _split(out: bytes) -> list[str]:
    return [os.fsdecode(name) for name in out.split(b"\0") if name]


def _lines(words: Iterable[str]) -> bytes:
    return b"".join(word.encode("utf-8", "surrogateescape") + b"\n" for word in words)


def _blob(mode: bytes, name: bytes) -> str | None:
    return name.decode() if mode.startswith(b"100") else None


def _command(words: Sequence[str]) -> str:
    return next(word for word in words if not word.startswith("-"))
