"""What every workspace of a store needs: the roots of gc.

Each state of its manifest (on disk, and all that git has), its baselines, the parts of its
directories, and its journal. What can't be read keeps everything.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from lazydata import manifest
from lazydata.baseline import JOURNAL_DAYS
from lazydata.baseline import NAME as MEMORY
from lazydata.digest import Digest
from lazydata.errors import LazydataError, ManifestInvalid, UsageError
from lazydata.git import Git
from lazydata.index import Index
from lazydata.manifest import NAME, RemoteSpec
from lazydata.messages import typed
from lazydata.registry import Registry
from lazydata.workspace import Workspace
from lazydata.workspace.git_states import States, common_dir, states, whereabouts
from lazydata.workspace.remotes import project_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazydata.workspace import View


class Blocked(NamedTuple):
    """Something that can't be read, and so keeps everything.

    Args:
        what: a directory or a file.
        why: one line.
        hint: what to do.
    """

    what: str
    why: str
    hint: str


class Served(NamedTuple):
    """A workspace, and the remotes that its manifest lists now."""

    workspace: Workspace
    remotes: tuple[RemoteSpec, ...]


class Demand(NamedTuple):
    """What one repository needs with all its workspaces, or one workspace that is in none.

    Args:
        files: objects that are files.
        directories: objects that are trees, and keep all that they list.
        workspaces: those that are part of it.
        projects: under which its manifests, in any state, claim on remotes.
    """

    files: set[Digest]
    directories: set[Digest]
    workspaces: list[Served]
    projects: set[str]

    @classmethod
    def none(cls) -> Demand:
        """One that needs nothing yet."""
        return cls(set(), set(), [], set())

    def add(self, path: str, digest: Digest) -> None:
        """Note what a path was; that of a directory ends in ``/``."""
        (self.directories if path.endswith("/") else self.files).add(digest)

    def add_view(self, view: View) -> None:
        """Note all versions of all entries, and who claims them."""
        for entry in view.files.values():
            for version in entry.versions:
                self.add(entry.path, version.digest)
        self.projects.update(map(project_of, view.remotes.values()))


class Roots:
    """The demands of all workspaces that a store knows.

    Args:
        registry: of the store.

    Attributes:
        demands: what they need.
        blocked: what could not be read.
    """

    def __init__(self, registry: Registry) -> None:
        self.demands: list[Demand] = []
        self.blocked: list[Blocked] = []
        self._repositories: dict[str, Demand | None] = {}  # None: it can't be read
        known = registry.all()
        for root in dict.fromkeys(each.root for each in known):
            try:
                self._add(root)
            except (LazydataError, OSError) as error:
                self._block(root, error)

    def _block(self, what: str, error: LazydataError | OSError, hint: str = "") -> None:
        told = error.message if isinstance(error, LazydataError) else error.strerror or str(error)
        mend = error.hint if isinstance(error, LazydataError) and error.hint else ""
        self.blocked.append(Blocked(what, told, hint or mend or "see that it can be read"))

    def _add(self, root: str) -> None:
        if is_gone(root):
            forget = (
                "mount it; if it was moved, run `lazydata gc` in its new place; then, or if it "
                f"is gone for good, `lazydata gc --forget {typed(root)}`"
            )
            self.blocked.append(Blocked(root, "there is no workspace any more", forget))
            return
        workspace = Workspace(root)
        demand = Demand.none()
        served = self._add_disk(demand, workspace)
        self._add_memory(demand, workspace)
        file = os.path.realpath(workspace.file)
        git = Git.holding(file)
        whole = self._repository(git, file) if git is not None else None
        if git is None:
            whole = demand
            self.demands.append(demand)
        elif whole is not None:
            whole.files.update(demand.files)
            whole.directories.update(demand.directories)
            whole.projects.update(demand.projects)
        if whole is not None:
            # Once more: git may have put back into it what it had elsewhere until now.
            self._add_disk(whole, workspace)
            whole.workspaces.append(served)

    @staticmethod
    def _add_disk(demand: Demand, workspace: Workspace) -> Served:
        """The manifest as it is; a branch may have none."""
        try:
            view = workspace.view(Index(None))
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(workspace.file):
                raise  # what it leads to may be mounted again
            return Served(workspace, ())
        demand.add_view(view)
        return Served(workspace, tuple(view.remotes.values()))

    @staticmethod
    def _add_memory(demand: Demand, workspace: Workspace) -> None:
        """What was last brought or recorded here, and what had to make way for it."""
        for path, digest in workspace.baseline.all().items():
            demand.add(path, digest)
        since = time.time() - JOURNAL_DAYS * 86400
        for when, path, digest in workspace.baseline.journal():
            if when >= since:
                demand.add(path, digest)

    def _repository(self, git: Git, file: str) -> Demand | None:
        """The demand of a whole repository; it is read once, whatever is in it."""
        key = f"{common_dir(git)}\0{file if os.path.basename(file) != NAME else ''}"
        if key not in self._repositories:
            self._repositories[key] = None
            demand = Demand.none()
            found = states(git, file)
            self._add_texts(demand, git, found)
            for path in sorted(found.files):
                if os.path.basename(path) == NAME:
                    # Nested workspaces, and other worktrees, that may have been moved.
                    workspace = Workspace(os.path.dirname(path))
                    self._add_disk(demand, workspace)
                    self._add_memory(demand, workspace)
            self.demands.append(demand)
            self._repositories[key] = demand
        return self._repositories[key]

    def _add_texts(self, demand: Demand, git: Git, found: States) -> None:
        for blob, data in found.texts(git):
            try:
                view = manifest.read(manifest.decode(data, file=NAME), file=NAME)
            except ManifestInvalid as error:
                where, hint = whereabouts(git, blob)
                self._block(f"{git.top}: {where}", error, hint)
                continue
            demand.add_view(view)


def is_gone(root: str) -> bool:
    """Whether nothing of a workspace is left in a directory.

    Raises:
        OSError: it can't be told.
    """
    for name in (NAME, MEMORY):
        try:
            os.lstat(os.path.join(root, name))
        except (FileNotFoundError, NotADirectoryError):
            continue
        return False
    return True


def forget(registry: Registry, path: str) -> None:
    """Take a directory that is gone for good out of those that a store serves.

    Args:
        path: absolute.

    Raises:
        UsageError: there is a workspace, or the store does not know it.
    """
    known = sorted({each.root for each in registry.all()})
    if path not in known:
        raise UsageError(
            f"the store knows no workspace at {path}",
            hint=f"it knows {', '.join(known) or 'none'}",
        )
    try:
        gone = is_gone(path)
    except OSError as error:
        raise UsageError(
            f"whether {path} is gone can't be told: {error.strerror}",
            hint="see that it can be read",
        ) from error
    if not gone:
        raise UsageError(
            f"{path} is a workspace: what it needs is kept",
            hint="remove that directory first, if nobody needs it any more",
        )
    registry.forget(path)
