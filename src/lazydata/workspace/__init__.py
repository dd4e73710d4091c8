"""A workspace: the directory with the manifest, and the parts that serve it joined.

``Workspace`` finds the root, turns paths into entries' names, reads the
manifest through the index and writes it under the lock. The other modules of
this package each do one thing with it: ``look`` at a file, ``settle`` one path,
``names`` of the command line, ``status``, ``pushing``, ``pulling``, ``upkeep``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from lazydata import compiled, config, fsutil, manifest
from lazydata.baseline import NAME as MEMORY
from lazydata.baseline import Baseline
from lazydata.digest import Digest
from lazydata.errors import (
    ManifestChanged,
    ManifestInvalid,
    NotAWorkspace,
    PathOutside,
    UsageError,
    from_os_error,
)
from lazydata.index import Index
from lazydata.manifest import NAME, Entry
from lazydata.stamp import Stamp, is_racy, stamp_of
from lazydata.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    View = compiled.CompiledView | manifest.MemoryView
    Edit = Callable[[str, View], tuple[str, Entry | None]]


_RESERVED = frozenset({".git", MEMORY})
_LARGEST = 256 << 20  # bytes of a manifest: some million entries


class Place:
    """One path of a workspace.

    Args:
        name: as the manifest has it: relative, separated by ``/``.
        real: the absolute path of the file itself, symlinks resolved.
    """

    __slots__ = ("name", "real")

    def __init__(self, name: str, real: str) -> None:
        self.name, self.real = name, real


class _Memory(Baseline):
    """A workspace's memory; whoever remembers something relies on the store, which must know."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace.root)
        self._workspace = workspace

    def put(self, baselines: Mapping[str, Digest | None]) -> None:
        """See ``Baseline.put``."""
        if any(baselines.values()):
            self.prepare()
            self._workspace.join()
        super().put(baselines)


class Workspace:
    """One workspace, found by its root.

    Args:
        root: absolute path of the directory that holds ``lazydata.yml``.

    Example:
        >>> workspace = lazydata.Workspace.above(os.path.abspath("data/x.csv"))
        >>> with workspace.index() as index:
        ...     list(workspace.view(index).remotes)
        ['origin']
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.file = os.path.join(root, NAME)
        self.baseline: Baseline = _Memory(self)
        self._directories: dict[str, str] = {}  # where they really are

    @classmethod
    def above(cls, path: str) -> Workspace:
        """The workspace that governs an absolute path: the nearest manifest upward.

        Raises:
            NotAWorkspace: there is none.
        """
        directory = path if os.path.isdir(path) else os.path.dirname(path)
        while True:
            if os.path.isfile(os.path.join(directory, NAME)):
                return cls(directory)
            parent = os.path.dirname(directory)
            if parent == directory:
                raise NotAWorkspace(
                    f"there is no {NAME} for {path}, in its directory or above it",
                    hint="run `lazydata init` in your project's top directory",
                )
            directory = parent

    @classmethod
    def governing(cls, path: str) -> Workspace:
        """As ``above``; where there is none, the workspace that we are in explains why.

        Raises:
            NotAWorkspace: there is none, and we are in none.
            PathOutside: the path lies outside the one that we are in.
        """
        try:
            return cls.above(path)
        except NotAWorkspace:
            try:
                here = cls.above(os.getcwd())
            except (NotAWorkspace, OSError):
                here = None
            if here is None:
                raise
            raise PathOutside(
                f"{path} is outside the workspace {here.root}",
                hint="move it there, or put a symlink to it there and "
                f"`lazydata config set allow {os.path.dirname(path)}`",
            ) from None

    # Parts

    @property
    def store(self) -> Store:
        """The user's store, as configured."""
        return user_store()

    def join(self) -> None:
        """Let the store know that this workspace relies on it, if it has done anything yet."""
        try:
            self.store.register(self.baseline.id, self.root)
        except OSError:
            pass  # nothing done yet; or the store is only read, and what it keeps not ours to say

    def index(self) -> Index:
        """The index, open; for one call."""
        return Index(config.index_dir())

    # Paths

    def place(self, path: str) -> Place:
        """Where a path of this workspace lies, checked for leading out of it.

        Args:
            path: absolute, or relative to the root, with no ``..`` in it.

        Raises:
            PathOutside: it leads out, by its name or through a symlink.
            UsageError: it is lazydata's own file.
        """
        joined = os.path.normpath(os.path.join(self.root, path))
        name = _below(joined, self.root)
        if name == ".":
            raise UsageError(
                f"{path} is the workspace itself", hint="name the files in it, such as data/x.csv"
            )
        if name is None:
            raise PathOutside(
                f"{path} is outside the workspace {self.root}",
                hint="track files below the directory of lazydata.yml",
            )
        if name == NAME or name.split("/", 1)[0] == MEMORY:
            raise UsageError(f"{name} belongs to lazydata itself")
        real = self._real(joined)
        if real == self._real(self.file):
            raise _no_place(name, real)
        self._check_real(name, real)
        return Place(name, real)

    def _check_real(self, name: str, real: str) -> None:
        """Refuse where a symlink leads out, to where files are code, or to lazydata's memory.

        Raises:
            PathOutside: it does.
        """
        root = self._real_directory(self.root)
        inside = _below(real, root)
        parts = (inside or os.path.relpath(real, root)).casefold().split("/")
        if not _RESERVED.isdisjoint(parts):
            raise _no_place(name, real)
        if inside is None:
            allowed = config.load().get("allow") or ()
            if not any(fsutil.is_inside(real, os.path.realpath(top)) for top in allowed):
                raise PathOutside(
                    f"{name} leads out of the workspace, to {real}",
                    hint="if that is meant: lazydata config set allow "
                    + os.pathsep.join([*allowed, os.path.dirname(real)]),
                )

    def _real(self, path: str) -> str:
        """As ``os.path.realpath``, which asks for each directory of each path again."""
        directory, base = os.path.split(path)
        real = os.path.join(self._real_directory(directory), base)
        return os.path.realpath(real) if os.path.islink(real) else real

    def _real_directory(self, path: str) -> str:
        real = self._directories.get(path)
        if real is None:
            real = self._directories[path] = os.path.realpath(path)
        return real

    # The manifest

    def view(self, index: Index) -> View:
        """What the manifest says now, from the index where its text is known.

        Raises:
            ManifestInvalid: it can't be used as it is.
            FileDenied: it can't be read.
        """
        try:
            stamp = stamp_of(self.file)
            known = compiled.find(index, self.file, self._read)
            if known is not None and known.stamp == stamp and not known.racy:
                return known
            seen_ns = time.time_ns()
            data, stamp = self._bytes()
        except OSError as error:
            raise from_os_error(error, "read", self.file) from error
        racy = is_racy(stamp, seen_ns)
        text = _fingerprint(data, index.seed)
        if known is not None and known.text == text:
            if stamp != known.stamp or racy != known.racy:
                compiled.restamp(index, known, stamp, racy)
                known = compiled.find(index, self.file, self._read)
                if known is not None and known.text == text:
                    return known
            else:
                return known
        view = manifest.read(manifest.decode(data, file=self.file), file=self.file)
        compiled.put(index, view, stamp, racy, text)
        return view

    def edit(self, index: Index, path: str, change: Edit) -> Entry | None:
        """Change one entry (or the remotes) in the manifest's text. Hold the lock.

        Args:
            index: keeps the compiled copy in step.
            path: of the entry; empty for anything else.
            change: takes the text and the view, gives the new text and the path's
                entry in it.

        Returns:
            The entry as it is now.

        Raises:
            ManifestChanged: somebody wrote the file meanwhile, without the lock.
            ManifestInvalid: it can't be edited; nothing was written.
            PathOutside: it is a symlink that leads out of the workspace; likewise.
        """
        view = self.view(index)
        try:
            data, stamp = self._bytes()
            text = manifest.decode(data, file=self.file)
            if isinstance(view, compiled.CompiledView) and view.text != _fingerprint(
                data, index.seed
            ):
                view = manifest.read(text, file=self.file)
            edited, entry = change(text, view)
            if edited == text:
                return entry
            new = edited.encode("utf-8")
            if stamp_of(self.file) != stamp:
                raise ManifestChanged(
                    f"{self.file} was changed by another program just now",
                    hint="run it again",
                )
            target = os.path.realpath(self.file)
            self._check_real(NAME, target)
            fsutil.write_atomic(target, new, temp_dir=self._temp_dir())
            after = stamp_of(self.file)
        except OSError as error:
            raise from_os_error(error, "write", self.file) from error
        versions = entry.versions if entry else ()
        if (
            path
            and isinstance(view, compiled.CompiledView)
            and view.is_plain
            and all(manifest.stays_plain(path, version) for version in versions)
        ):
            compiled.patch(index, view, after, _fingerprint(new, index.seed), path, entry)
        return entry

    def _read(self) -> manifest.MemoryView:
        return manifest.read(manifest.decode(self._bytes()[0], file=self.file), file=self.file)

    def _bytes(self) -> tuple[bytes, Stamp]:
        for _ in range(10):
            with open(self.file, "rb") as file:
                stamp = stamp_of(file.fileno())
                if stamp.size > _LARGEST:
                    raise ManifestInvalid(
                        f"{stamp.size:,} bytes: no manifest is that large", file=self.file
                    )
                data = file.read(stamp.size + 1)  # some files in /proc have no end
                if stamp_of(file.fileno()) == stamp and len(data) == stamp.size:
                    return data, stamp
        raise ManifestChanged(f"{self.file} keeps changing while it is read", hint="run it again")

    def _temp_dir(self) -> str | None:
        directory = self.baseline.directory
        target = os.path.dirname(os.path.realpath(self.file))
        return directory if os.stat(directory).st_dev == os.stat(target).st_dev else None


def _no_place(name: str, real: str) -> PathOutside:
    return PathOutside(
        f"{name} leads to {real}, which is not a place for data",
        hint="remove the symlink, or the item in lazydata.yml",
    )


def user_store() -> Store:
    """The user's store, as configured."""
    home = os.path.expanduser("~")
    older = tuple(os.path.join(home, *p) for p in ((".lazydata", "data"), (".lazydata-cache",)))
    return Store(
        config.store_dir(),
        link=config.load().get("link", "auto"),
        older=older,
        index=config.index_dir(),
    )


def _below(path: str, root: str) -> str | None:
    """A normal absolute path as the manifest names it; "." for the root, None outside."""
    if path == root:
        return "."
    top = os.path.join(root, "")
    return path[len(top) :].replace(os.sep, "/") if path.startswith(top) else None


def absolute(path: str) -> str:
    """Where ``open`` would look; ``..`` after a symlink is where the link leads."""
    if ".." in path.split(os.sep):
        directory, base = os.path.split(path)
        return os.path.join(os.path.realpath(directory), base)
    return os.path.abspath(path)


def init(directory: str, *, nested: bool = False) -> tuple[str, bool]:
    """Make a directory a workspace, unless one governs it already.

    Args:
        directory: made where it is missing.
        nested: also where a workspace further up governs it now.

    Returns:
        The root, and whether it was made now.

    Raises:
        UsageError: the workspace further up lists files that the nested one would govern.
    """
    directory = os.path.abspath(directory)
    try:
        root = Workspace.above(os.path.join(directory, NAME)).root
    except NotAWorkspace:
        root = ""
    if root == directory or (root and not nested):
        return root, False
    if root:
        _check_unlisted(Workspace(root), directory)
    try:
        fsutil.make_dirs(directory)
        path = os.path.join(directory, NAME)
        fsutil.write_atomic(path, manifest.TEMPLATE.encode())
    except OSError as error:
        raise from_os_error(error, "write", os.path.join(directory, NAME)) from error
    return directory, True


def _check_unlisted(outer: Workspace, directory: str) -> None:
    from lazydata.workspace.names import find

    name = os.path.relpath(directory, outer.root).replace(os.sep, "/")
    with outer.index() as index:
        listed = find(outer.view(index), name)
    if listed:
        raise UsageError(
            f"{outer.file} lists {listed[0].path}, which {directory} would govern",
            hint="`lazydata untrack` them there first, and track them again afterwards",
        )


def _fingerprint(data: bytes, seed: int) -> bytes:
    from xxhash import xxh3_128_digest

    return xxh3_128_digest(data, seed=seed)
