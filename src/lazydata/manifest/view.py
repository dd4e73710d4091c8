"""The manifest in memory, as what an edit asks about it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cached_property

from lazydata.manifest.model import Entry, Manifest, RemoteSpec, is_used


class MemoryView:
    """A manifest with what ``edit`` needs to know about it.

    Args:
        manifest: what the text says.
        file: path of the manifest, for messages.
        is_plain: the text is one that ``text.scan`` accepts.

    Example:
        >>> MemoryView(Manifest(), file="lazydata.yml", is_plain=True).preceding("a") is None
        True
    """

    def __init__(self, manifest: Manifest, *, file: str, is_plain: bool) -> None:
        self.manifest, self.file, self.is_plain = manifest, file, is_plain

    @cached_property
    def _order(self) -> list[str]:
        return sorted(self.manifest.files)

    @cached_property
    def is_sorted(self) -> bool:
        return self._order == list(self.manifest.files)

    def entry(self, path: str) -> Entry | None:
        """The entry at a path, or None."""
        return self.manifest.files.get(path)

    def some(self, paths: Iterable[str]) -> dict[str, Entry]:
        """The entries at some paths, by path; those that are listed."""
        files = self.manifest.files
        return {path: files[path] for path in paths if path in files}

    def preceding(self, path: str) -> str | None:
        """The greatest listed path that sorts before one, or None."""
        at = bisect_left(self._order, path)
        return self._order[at - 1] if at else None

    @property
    def files(self) -> dict[str, Entry]:
        """All entries by path."""
        return self.manifest.files

    def below(self, directory: str) -> dict[str, Entry]:
        """Entries below a directory, by path; sorted by path."""
        # "0" is what follows "/", so what lies below the directory lies together.
        begin = bisect_right(self._order, directory + "/")
        end = bisect_left(self._order, directory + "0")
        return {path: self.files[path] for path in self._order[begin:end]}

    def called(self, name: str) -> dict[str, Entry]:
        """Entries of that name, in whatever directory, by path."""
        end = "/" + name
        return {
            path: entry
            for path, entry in self.files.items()
            if ("/" + path.rstrip("/")).endswith(end)
        }

    def used_by(self, script: str) -> dict[str, Entry]:
        """Entries that a script is recorded to use, in any version, by path."""
        return {path: entry for path, entry in self.files.items() if is_used(entry, script)}

    @property
    def remotes(self) -> dict[str, RemoteSpec]:
        """All remotes by name, in the order of the file."""
        return self.manifest.remotes

    @property
    def on_change(self) -> str | None:
        """What a changed file does, where the manifest says it."""
        return self.manifest.on_change

    @property
    def gitignore(self) -> bool:
        """Whether what is newly tracked goes into git's ignore file."""
        return self.manifest.gitignore
