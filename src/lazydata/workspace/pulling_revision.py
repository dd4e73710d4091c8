"""Pull for a revision: have in the store what its manifest lists, and touch nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.errors import LazydataError, NotTracked, RemoteDenied, RemoteUnavailable, line
from lazydata.index import Index
from lazydata.manifest import Entry, RemoteSpec, Version
from lazydata.tree import DIR, LINK
from lazydata.trees import Trees
from lazydata.workspace import Workspace
from lazydata.workspace.inside import Fetching, objects_of
from lazydata.workspace.pulling import Pulled, fetch
from lazydata.workspace.remotes import among
from lazydata.workspace.revisions import Revision, remotes_of

_NAMED_AT_MOST = 10


class _Brought(NamedTuple):
    """What came of one directory: sizes of objects, and why others did not."""

    sizes: dict[Digest, int]
    left: list[str]


def pull_revision(
    workspace: Workspace,
    index: Index,
    revision: Revision,
    entries: Iterable[Entry],
    *,
    remote: str | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
) -> Pulled:
    """Bring the latest versions that a revision lists into the store.

    Files of the workspace and its manifest stay as they are.

    Args:
        entries: as the revision lists them.
        remote: name of the only one to ask; by default all are, in their order.
        jobs: how many transfers at once; by default what fits the remote.
        dry_run: bring nothing but the lists of directories, and say what would be brought.

    Raises:
        UsageError: there is no such remote.
        RemoteUnavailable, RemoteDenied: nothing could be had, for one cause.
    """
    known = remotes_of(workspace, index, revision)
    remotes = [among(known, remote)] if remote else list(known.values())
    entries = list(entries)
    files = {entry.path: entry.latest for entry in entries if entry.kind == "file"}
    lacking = set(workspace.store.lacking(version.digest for version in files.values()))
    wanted = {path: version for path, version in files.items() if version.digest in lacking}
    failed = {}
    if wanted and not dry_run:
        failed = fetch(workspace, index, wanted, remotes, jobs)
        index.hold()  # see what was noted of the objects that came
    paths = [path for path in wanted if path not in failed]
    sizes = {wanted[path].digest: wanted[path].size or 0 for path in paths}
    left = [line(path, error) for path, error in failed.items()]
    for entry in entries:
        if entry.kind == "file":
            continue
        try:
            one = _directory(workspace, index, entry, remotes, jobs, dry_run=dry_run)
        except LazydataError as error:
            if len(entries) == 1 or isinstance(error, (RemoteUnavailable, RemoteDenied)):
                raise
            left.append(line(entry.name, error))
            continue
        paths += [entry.name] if one.sizes else []
        sizes |= one.sizes
        left += one.left
    return Pulled(paths, len(sizes), sum(sizes.values()), left)


def _directory(
    workspace: Workspace,
    index: Index,
    entry: Entry,
    remotes: Sequence[RemoteSpec],
    jobs: int | None,
    *,
    dry_run: bool,
) -> _Brought:
    fetching = Fetching(workspace, index, entry.path, remotes, jobs)
    trees = Trees(workspace.store, index, fetching.trees, name=entry.path)
    objects = _objects(trees, entry)
    lacking = workspace.store.lacking(objects)
    wanted = {digest: objects[digest][0] or None for digest in lacking}
    failed = fetching.objects(wanted, entry.name) if lacking and not dry_run else {}
    if failed and len(failed) == len(lacking):
        fetching.check(failed)
    left = [f"{objects[d][1]}: {error.message}" for d, error in failed.items()]
    if len(left) > _NAMED_AT_MOST:
        more = f"{entry.name}: {len(left) - _NAMED_AT_MOST:,} more, likewise"
        left = [*left[:_NAMED_AT_MOST], more]
    return _Brought({d: objects[d][0] for d in lacking if d not in failed}, left)


def _objects(trees: Trees, entry: Entry) -> dict[Digest, tuple[int, str]]:
    """Size (bytes) and path of each object of a directory, or of a portion of it.

    The lists that are on no disk here are fetched for that.
    """
    root, path = entry.latest.digest, entry.path
    if entry.portion:
        node = trees.find(root, entry.portion)
        if node is None:
            raise NotTracked(f"{entry.path} has no {entry.portion} there", path=entry.name)
        if node.kind == LINK:
            return {}
        if node.kind != DIR:
            return {node.digest: (node.size, entry.name)}
        root, path = node.digest, entry.name.rstrip("/") + "/"
    trees.bring(root)
    found: dict[Digest, tuple[int, str]] = {}
    for digest, size, name in objects_of(trees, Entry(path, ()), Version(root)):
        found.setdefault(digest, (size or 0, name))
    return found
