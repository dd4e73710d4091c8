from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lazydata.digest import Digest, Hasher
from lazydata.errors import ObjectCorrupt
from lazydata.remotes import open_remote
from lazydata.remotes.base import Remote
from lazydata.remotes.memory import MemoryRemote
from lazydata.repository import Outgoing


def _memory(tmp_path: Path) -> Remote:
    return MemoryRemote()


def _file(tmp_path: Path) -> Remote:
    base = tmp_path / "a remote"
    base.mkdir()
    return open_remote(base.as_uri())


# A new backend joins the contract suite here.
BACKENDS: dict[str, Callable[[Path], Remote]] = {"memory": _memory, "file": _file}


@pytest.fixture(params=BACKENDS)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What lazydata told the user."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Keep()
    logger = logging.getLogger("lazydata")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


class DictStore:
    """As little of the store as a pull needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._count = 0

    def path_of(self, digest: Digest) -> str:
        return str(self.folder / digest.replace(":", "-"))

    def has(self, digest: Digest) -> bool:
        return Path(self.path_of(digest)).exists()

    @contextmanager
    def incoming(self, digest: Digest) -> Iterator[Path]:
        self._count += 1
        temp = self.folder / f"temp-{self._count}"
        try:
            yield temp
            hasher = Hasher(digest.algorithm)
            hasher.update(temp.read_bytes())
            if hasher.digest != digest:
                raise ObjectCorrupt("not it", expected=digest, actual=hasher.digest)
            temp.rename(self.path_of(digest))
        finally:
            temp.unlink(missing_ok=True)


@pytest.fixture
def store(tmp_path: Path) -> DictStore:
    return DictStore(tmp_path / "store")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Outgoing]:
    """A local object to push."""

    def make(data: bytes, algorithm: str = "blake3") -> Outgoing:
        hasher = Hasher(algorithm)
        hasher.update(data)
        folder = tmp_path / "local"
        folder.mkdir(exist_ok=True)
        path = folder / hasher.digest.hex
        path.write_bytes(data)
        return Outgoing(hasher.digest, len(data), path)

    return make
