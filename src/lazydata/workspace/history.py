"""The versions that an entry has had: in the manifest, and in the history that git has of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from lazydata import manifest
from lazydata.digest import Digest
from lazydata.errors import (
    GitFailed,
    LazydataError,
    ManifestInvalid,
    NotTracked,
    ObjectCorrupt,
    ObjectMissing,
    UsageError,
)
from lazydata.git import Commit, Git
from lazydata.index import Index
from lazydata.manifest import Entry, Version
from lazydata.messages import typed, warn
from lazydata.tree import LINK, Node
from lazydata.trees import Trees
from lazydata.workspace import Workspace
from lazydata.workspace.names import name_of, resolve
from lazydata.workspace.nested import Part

_MOVES_AT_MOST = 100


class Logged(NamedTuple):
    """One version of an entry.

    Args:
        version: as the manifest lists it, or listed it.
        listed: whether the manifest lists it now.
        commit: the first one that lists it; None where none does, or git was not asked.
        or_before: an older commit may list it too; this clone is shallow and does not know.
        node: of a portion, what the version has there; None for nothing, or not known.
        known: of a portion, whether that is known here.
        here: it is what is in the workspace now.
        stored: the store has it.
        remotes: names of those that are known to have it.
    """

    version: Version
    listed: bool
    commit: Commit | None
    or_before: bool
    node: Node | None
    known: bool
    here: bool
    stored: bool
    remotes: tuple[str, ...]


class Log(NamedTuple):
    """All versions of an entry, the newest first.

    Args:
        entry: as it is listed now; without versions if it is not.
        has_git: whether there is a history to look at.
        shallow: older history is not in this clone.
        rows: its versions.
    """

    entry: Entry
    has_git: bool
    shallow: bool
    rows: list[Logged]


class Entered(NamedTuple):
    """A version, and the first commit that lists it."""

    version: Version
    commit: Commit


class _Past(NamedTuple):
    """What git knows: of each path, its versions by digest, the oldest first."""

    entered: dict[str, dict[Digest, Entered]]
    boundary: set[str]
    has_git: bool


def log(workspace: Workspace, index: Index, part: Part, cwd: str) -> Log:
    """Show each version of one entry, and when it entered the manifest.

    Git is asked where it is there. What is no longer listed is found in its history.

    Args:
        part: names one entry, or one path inside of a tracked directory.
        cwd: the working directory, absolute.

    Raises:
        NotTracked: neither the manifest nor its history lists it.
        UsageError: the path names several entries.
    """
    missing: NotTracked | None = None
    entries: list[Entry] = []
    try:
        entries = resolve(workspace, workspace.view(index), part, cwd)
        paths = [entry.path for entry in entries[:1]]
    except NotTracked as error:
        missing = error
        names = [name_of(workspace, argument, cwd) for argument in part.paths]
        paths = [path for name in names for path in (name, name + "/")]
    past = _past(workspace, paths if missing or len(entries) == 1 else ())
    if missing is not None:  # only the history may know it
        entries = [Entry(path, ()) for path, versions in past.entered.items() if versions]
        if not entries:
            raise missing
    if len(entries) != 1:
        raise UsageError(
            f"{part.paths[0] if part.paths else '.'} names {len(entries)} entries",
            hint="name one of them; `lazydata ls` shows them",
        )
    entry = entries[0]
    versions = _newest_first(entry, past.entered.get(entry.path, {}))
    where = _Whereabouts(workspace, index, entry, versions)
    rows = [_row(entry, version, past, where) for version in versions]
    if entry.portion and not any(row.node or not row.known for row in rows):
        raise NotTracked(
            f"no version of {entry.path} has {entry.portion}",
            path=entry.name,
            hint=f"`lazydata ls {typed(entry.path)}` shows what it lists",
        )
    return Log(entry, past.has_git, bool(past.boundary), rows)


def _row(entry: Entry, version: Version, past: _Past, where: _Whereabouts) -> Logged:
    entered = past.entered.get(entry.path, {}).get(version.digest)
    commit = entered.commit if entered else None
    listed = any(version.digest == each.digest for each in entry.versions)
    or_before = commit is not None and commit.id in past.boundary
    return Logged(version, listed, commit, or_before, *where.of(version))


def _newest_first(entry: Entry, entered: dict[Digest, Entered]) -> list[Version]:
    """The listed versions, in their order, and among them those that are gone.

    Args:
        entered: the oldest first. Commits of one second have one time, so that tells less.
    """
    listed = {version.digest for version in entry.versions}
    order = {digest: place for place, digest in enumerate(entered)}
    gone = [digest for digest in order if digest not in listed]
    found: list[Version] = []
    latest = -1  # a version that was gone back to is newer than those listed before it
    for version in entry.versions:
        latest = max(latest, order.get(version.digest, len(order)))
        while gone and order[gone[0]] < latest:
            found.append(entered[gone.pop(0)].version)
        found.append(version)
    return [*(entered[digest].version for digest in reversed(gone)), *reversed(found)]


class _Whereabouts:
    """Where the versions of an entry are now, as far as this machine knows."""

    def __init__(
        self, workspace: Workspace, index: Index, entry: Entry, versions: Sequence[Version]
    ) -> None:
        self._entry = entry
        self._parts = _parts(workspace, index, entry, versions) if entry.portion else {}
        self._here = _here(workspace, index, entry, versions)
        nodes = [node for node in self._parts.values() if node is not None]
        digests = [n.digest for n in nodes if n.digest] if entry.portion else []
        digests += [version.digest for version in versions]
        self._lacking = set(workspace.store.lacking(dict.fromkeys(digests)))
        remotes = workspace.view(index).remotes.values()
        self._pushed = {
            spec.name: workspace.baseline.pushed([spec.url], digests) for spec in remotes
        }

    def of(self, version: Version) -> tuple[Node | None, bool, bool, bool, tuple[str, ...]]:
        """Node, whether it is known, here, stored, and names of remotes."""
        node, known = self._parts.get(version.digest), version.digest in self._parts
        digest = node.digest if node is not None and node.digest else version.digest
        if self._entry.portion and node is None:
            return None, known, False, False, ()
        here = self._here is not None and self._here == _identity(digest, node)
        remotes = tuple(name for name, there in self._pushed.items() if digest in there)
        return node, known or not self._entry.portion, here, digest not in self._lacking, remotes


def _identity(digest: Digest, node: Node | None) -> str:
    return f"link:{node.target}" if node is not None and node.kind == LINK else digest


def _parts(
    workspace: Workspace, index: Index, entry: Entry, versions: Sequence[Version]
) -> dict[Digest, Node | None]:
    """What each version of a directory has at the entry's portion, where its trees are here."""
    trees = Trees(workspace.store, index, name=entry.path)
    found: dict[Digest, Node | None] = {}
    for version in versions:
        try:
            found[version.digest] = trees.find(version.digest, entry.portion)
        except (ObjectMissing, ObjectCorrupt):
            continue
    return found


def _here(
    workspace: Workspace, index: Index, entry: Entry, versions: Sequence[Version]
) -> str | None:
    """What is in the workspace now."""
    try:
        if entry.portion:
            from lazydata.workspace.portions import Portion

            node = Portion(workspace, index, entry, entry.portion).here()
            return None if node is None else _identity(node.digest, node)
        if entry.kind == "directory":
            from lazydata.workspace.settle_directory import SettlingDirectory

            place = workspace.place(entry.path.rstrip("/"))
            held = SettlingDirectory(workspace, place, index).look(take=False)
            return None if held is None else held.digest
        from lazydata.workspace.look import look

        digests = [version.digest for version in reversed(versions)]
        found = look(workspace.place(entry.path).real, index, digests)
        return None if found is None else found.digest
    except LazydataError as error:
        warn(str(error))
        return None


# The history of the manifest


def _past(workspace: Workspace, paths: Sequence[str]) -> _Past:
    file = os.path.realpath(workspace.file)
    git = Git.holding(file)
    if git is None:
        return _Past({}, set(), False)
    try:
        return _Past(entered(git, file, paths), git.boundary(), True)
    except GitFailed as error:
        warn(f"the history can't be read, so no commits are shown: {error}")
        return _Past({}, set(), False)


def entered(git: Git, file: str, paths: Sequence[str]) -> dict[str, dict[Digest, Entered]]:
    """Find the first commit that lists each version of some entries.

    Manifests that can't be read are left out, with one warning.

    Args:
        git: the repository.
        file: the manifest, absolute.
        paths: of the entries.

    Raises:
        GitFailed: git can't be asked.
    """
    found: dict[str, dict[Digest, Entered]] = {path: {} for path in paths}
    broken: list[str] = []
    if not paths:
        return found
    for commit, name, data in each_manifest(git, file):
        try:
            text = manifest.decode(data, file=f"{commit.id[:10]}:{name}")
            for path in paths:
                for version in versions_in(text, path, file=f"{commit.id[:10]}:{name}"):
                    found[path].setdefault(version.digest, Entered(version, commit))
        except ManifestInvalid as error:
            broken.append(error.message)
    if broken:
        more = f" (and {len(broken) - 1:,} more)" * (len(broken) > 1)
        warn(f"left out, since it can't be read: {broken[-1]}{more}")
    return found


def each_manifest(git: Git, file: str) -> Iterator[tuple[Commit, str, bytes]]:
    """Each content that the manifest had, the oldest first, and the commit that made it so."""
    last = None
    for path, commits in reversed(_moves(git, file)):
        name = git.relative(path)
        named = {f"{commit.id}:{name}": commit for commit in reversed(commits)}
        for some in git.in_turns([*named]):
            these = [named[each] for each in some]
            for commit, data in zip(these, git.read([c.id for c in these], path), strict=True):
                if data is not None and data != last:
                    last = data
                    yield commit, name, data


def _moves(git: Git, file: str) -> list[tuple[str, list[Commit]]]:
    """Where the manifest lay, the newest place first, with the commits that changed it there."""
    found: list[tuple[str, list[Commit]]] = []
    path: str | None = file
    revision, moved_in = "HEAD", None  # at first: moved, and not committed yet
    while path is not None and len(found) < _MOVES_AT_MOST:
        commits = git.history(path, revision)
        if commits:
            found.append((path, commits))
            moved_in = commits[-1].id
            revision = f"{moved_in}^"
        elif found:
            break
        path = git.renamed(path, revision, moved_in)
    return found


def versions_in(text: str, path: str, *, file: str) -> tuple[Version, ...]:
    """The versions that a manifest lists for one path.

    Its items are searched for in the text. All of it is read only where something there
    could mean the path and is not an item as lazydata writes it.

    Args:
        text: the manifest.
        path: of the entry.
        file: the manifest, for messages.

    Raises:
        ManifestInvalid: it can't be read.
    """
    from lazydata.manifest.lanes import PlainLane
    from lazydata.manifest.text import FILES, gather

    begin = FILES.search(text)
    if begin and "\\" not in text and "<<<<<<<" not in text:
        mentions = [found.start() for found in _mention(path).finditer(text)]
        items = PlainLane(text, file).items_of(path) if mentions else []
        after = _TOP_KEY.search(text, begin.end() - 1) if items else None
        end = after.start() if after else len(text)
        spans = [(each.start, each.end) for each in items if begin.end() <= each.start < end]
        if all(
            text[at - 1] not in _BEFORE or any(start < at < end for start, end in spans)
            for at in mentions
        ):
            listed = gather([path] * len(items), [item.version for item in items])
            return listed[path].versions if items else ()
    entry = manifest.read(text, file=file).entry(path)
    return entry.versions if entry else ()


_TOP_KEY = re.compile(r"\n[^\s#-]")
_BEFORE = frozenset(" '\":\n[{,")  # what a name may follow in YAML


@lru_cache(maxsize=4)
def _mention(path: str) -> re.Pattern[str]:
    spelled = "|".join(map(re.escape, dict.fromkeys((path, path.replace("'", "''")))))
    return re.compile(rf"(?:{spelled})(?=[\s'\",\]}}:#]|\Z)")
