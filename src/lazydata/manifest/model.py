"""What a manifest says, without how it is written."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from lazydata.digest import Digest

NAME = "lazydata.yml"
SCRIPTS = ("usage", "producer")  # the keys of an item that name scripts, in this order


class Version(NamedTuple):
    """One digest that an entry has had.

    Args:
        digest: what the path held.
        size: bytes, or None where the manifest does not say (lazydata 1.x).
        usage: scripts that tracked this version, as the manifest lists them.
        files: number of files, for a directory; None for a file.
        source_url: where lazydata 1.x says the bytes came from, a last resort.
        producer: scripts that made this version, as the manifest lists them.
    """

    digest: Digest
    size: int | None = None
    usage: tuple[str, ...] = ()
    files: int | None = None
    source_url: str | None = None
    producer: tuple[str, ...] = ()


class Entry(NamedTuple):
    """One path and its versions, oldest first: the last in the file is the latest.

    Args:
        path: relative to the workspace, ``/``-separated, as the manifest has it
            (a directory ends in ``/``).
        versions: at least one.
        portion: a path inside of the directory, where no more of it is meant.
    """

    path: str
    versions: tuple[Version, ...]
    portion: str = ""

    @property
    def name(self) -> str:
        """What is meant, relative to the workspace."""
        return self.path + self.portion

    @property
    def latest(self) -> Version:
        return self.versions[-1]

    @property
    def kind(self) -> str:
        return "directory" if self.path.endswith("/") else "file"


def knows(version: Version, script: str, *, produced: bool = False) -> bool:
    """Whether a script is recorded to use a version, and to have made it, if it did."""
    return script in version.usage and (not produced or script in version.producer)


def is_used(entry: Entry, script: str) -> bool:
    """Whether a script is recorded to use an entry, in any of its versions."""
    return any(script in version.usage for version in entry.versions)


# Not dataclasses: what those import takes longer than a first track() may.
class _Remote(NamedTuple):
    name: str
    url: str
    options: dict[str, str]


class RemoteSpec(_Remote):
    """Where a remote is.

    Args:
        name: ``origin`` and so on.
        url: without any secret.
        options: the other keys, such as ``endpoint``; unknown ones are kept.
    """

    __slots__ = ()

    def __new__(cls, name: str, url: str, options: dict[str, str] | None = None) -> RemoteSpec:
        return super().__new__(cls, name, url, {} if options is None else options)


class _Manifest(NamedTuple):
    files: dict[str, Entry]
    remotes: dict[str, RemoteSpec]
    version: int
    on_change: str | None
    gitignore: bool


class Manifest(_Manifest):
    """All that one ``lazydata.yml`` says.

    Args:
        files: entries by path, in the order of their first appearance.
        remotes: by name, in the order of the file.
        version: of the format, 1 or 2.
        on_change: ``version``, ``warn``, ``error``, or None where it is not said.
        gitignore: what is newly tracked goes into git's ignore file.
    """

    __slots__ = ()

    def __new__(
        cls,
        files: dict[str, Entry] | None = None,
        remotes: dict[str, RemoteSpec] | None = None,
        version: int = 2,
        on_change: str | None = None,
        gitignore: bool = True,
    ) -> Manifest:
        return super().__new__(
            cls,
            {} if files is None else files,
            {} if remotes is None else remotes,
            version,
            on_change,
            gitignore,
        )


class View(Protocol):
    """What an edit has to know about the manifest whose text it is given.

    Args:
        is_plain: the text is one that ``text.scan`` accepts.
        is_sorted: the items are listed in the order of their paths.
        file: path of the manifest, for messages.
    """

    @property
    def is_plain(self) -> bool: ...

    @property
    def is_sorted(self) -> bool: ...

    @property
    def file(self) -> str: ...

    def entry(self, path: str) -> Entry | None:
        """The entry at ``path``, or None."""
        ...

    def preceding(self, path: str) -> str | None:
        """The greatest listed path that sorts before ``path``, or None."""
        ...
