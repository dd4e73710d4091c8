"""What a `git push` would publish that no remote is known to have; told, or uploaded."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lazydata import manifest
from lazydata.digest import Digest
from lazydata.errors import LazydataError, ManifestInvalid, UsageError, from_os_error
from lazydata.git import Git
from lazydata.manifest import NAME, Entry, MemoryView
from lazydata.messages import say, warn
from lazydata.workspace import Workspace

_NAMED_AT_MOST = 10


class Unpushed(NamedTuple):
    """What one published manifest lists, this machine has, and no remote is known to have.

    Args:
        root: of the workspace.
        urls: of the remotes that the manifest names.
        entries: with nothing but such versions.
        text: all of the manifest.
    """

    root: str
    urls: tuple[str, ...]
    entries: list[Entry]
    text: bytes


def find_unpushed(git: Git, updates: Iterable[tuple[str, str]]) -> list[Unpushed]:
    """Look through the manifests of a push that differ from what is there. No request is made.

    Args:
        git: the repository that is pushed from.
        updates: what each ref is on the other side, and what it is to be.

    Raises:
        GitFailed: git can't say what is pushed.
    """
    changed = {(each.path, each.after) for each in git.changed(list(dict.fromkeys(updates)), NAME)}
    published = sorted((path, blob) for path, blob in changed if blob is not None)
    texts = git.blobs(dict.fromkeys(blob for _, blob in published)) if published else {}
    found = []
    for path, blob in published:
        try:
            view = manifest.read(manifest.decode(texts[blob], file=path), file=path)
        except ManifestInvalid as error:
            warn(f"{error.message}; so nobody can tell whether what it lists was uploaded")
            continue
        entries = _unpushed(git, Workspace(os.path.dirname(path)), view)
        if entries:
            urls = tuple(spec.url for spec in view.remotes.values())
            found.append(Unpushed(os.path.dirname(path), urls, entries, texts[blob]))
    return found


def _unpushed(git: Git, workspace: Workspace, view: MemoryView) -> list[Entry]:
    urls = [spec.url for spec in view.remotes.values()]
    listed = {v.digest for entry in view.files.values() for v in entry.versions} if urls else set()
    left = listed - workspace.baseline.pushed(urls, listed)
    left.difference_update(workspace.store.lacking(left))
    if left:
        left -= _pushed_elsewhere(git, workspace.root, urls, left)
    return [
        Entry(entry.path, versions)
        for entry in (view.files.values() if left else ())
        if (versions := tuple(v for v in entry.versions if v.digest in left))
    ]


def _pushed_elsewhere(
    git: Git, root: str, urls: Sequence[str], digests: Iterable[Digest]
) -> set[Digest]:
    """What another work tree of the repository knows to be on these remotes."""
    digests, known = set(digests), set[Digest]()
    for line in git.text("worktree", "list", "--porcelain").splitlines():
        key, _, top = line.partition(" ")
        if key == "worktree" and os.path.realpath(top) != os.path.realpath(git.top):
            there = Workspace(os.path.normpath(os.path.join(top, git.relative(root))))
            known |= there.baseline.pushed(urls, digests)
    return known


def refuse(found: Sequence[Unpushed], show: Callable[[str], str]) -> None:
    """Say what would be published without its data, and what to do.

    Args:
        found: there is something.
        show: a path as one sees it from where one is.
    """
    named: dict[tuple[str, str], dict[Digest, None]] = {}
    for each in found:
        for entry in each.entries:
            digests = dict.fromkeys(version.digest for version in entry.versions)
            named.setdefault((each.root, entry.path), {}).update(digests)
    count = sum(map(len, named.values()))
    what = "a version" if count == 1 else f"{count:,} versions"
    warn(f"this push would publish {what} that no remote is known to have:")
    for where, digests in itertools.islice(named.items(), _NAMED_AT_MOST):
        more = f" and {len(digests) - 1:,} older" if len(digests) > 1 else ""
        warn(f"  {show(os.path.join(*where))} {list(digests)[-1].hex[:12]}{more}")
    if len(named) > _NAMED_AT_MOST:
        s = "" if len(named) == _NAMED_AT_MOST + 1 else "s"
        warn(f"  and {len(named) - _NAMED_AT_MOST:,} more path{s}")
    it = "it" if count == 1 else "them"
    warn(
        f"{_way_out(found, show)} uploads {it}; "
        f"`git push --no-verify` publishes lazydata.yml without {it}"
    )


def _way_out(found: Sequence[Unpushed], show: Callable[[str], str]) -> str:
    """A command that uploads it all; what another branch lists is not in reach of ours."""
    if not all(map(_is_listed_here, found)):
        return "`git -c lazydata.hooks.push=auto push …`"
    roots = dict.fromkeys(show(each.root) for each in found)
    return f"`{shlex.join(['lazydata', 'push', *(roots if list(roots) != ['.'] else ())])}`"


def _is_listed_here(unpushed: Unpushed) -> bool:
    file = os.path.join(unpushed.root, NAME)
    try:
        with open(file, "rb") as opened:
            text = opened.read()
        if text == unpushed.text:
            return True
        view = manifest.read(manifest.decode(text, file=file), file=file)
    except (OSError, ManifestInvalid):
        return False
    for entry in unpushed.entries:
        now = view.entry(entry.path)
        listed = {version.digest for version in now.versions} if now else set()
        if not listed.issuperset(version.digest for version in entry.versions):
            return False
    return True


def upload(unpushed: Unpushed) -> None:
    """Upload what a manifest lists and no remote is known to have, and say so.

    Raises:
        LazydataError: why some of it is not there now.
    """
    from lazydata.errors import TransferIncomplete
    from lazydata.workspace.pushing import push

    workspace = Workspace(unpushed.root)
    try:
        with workspace.index() as index:
            remotes = workspace.view(index).remotes.values()
            name = next((spec.name for spec in remotes if spec.url in unpushed.urls), None)
            if name is None:
                raise UsageError(
                    f"{workspace.file}, as it is now, has none of the remotes that are pushed",
                    hint="check that branch out, and `lazydata push` there",
                )
            done = push(workspace, index, lambda: unpushed.entries, remote=name)
    except OSError as error:
        told = from_os_error(error, "read", workspace.file)
        if isinstance(told, LazydataError):
            raise told from error
        raise UsageError(
            f"{workspace.file} can't be read: {error.strerror}",
            hint="check that branch out, and `lazydata push` there",
        ) from error
    if done.left:
        raise TransferIncomplete(f"{len(done.left)} not uploaded", left=tuple(done.left))
    if done.objects:
        s = "" if done.objects == 1 else "s"
        say(f"uploaded {done.objects:,} object{s} to {done.remote}")
