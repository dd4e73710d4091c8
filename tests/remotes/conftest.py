from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import openssh
import pytest
import seaweedfs
import ssh_servers

from lazydata.digest import Hasher
from lazydata.outgoing import Outgoing
from lazydata.remotes import open_remote
from lazydata.remotes.base import Remote
from lazydata.remotes.memory import MemoryRemote
from lazydata.store import Store


def _memory(tmp_path: Path) -> Remote:
    return MemoryRemote()


def _file(tmp_path: Path) -> Remote:
    base = tmp_path / "a remote"
    base.mkdir()
    return open_remote(base.as_uri())


s3_server, s3 = seaweedfs.s3_server, seaweedfs.s3


def _s3(s3: seaweedfs.Server) -> Remote:
    return open_remote(s3.url(), {"endpoint": s3.endpoint})


sshd, ssh = ssh_servers.sshd, ssh_servers.ssh
any_sshd, any_ssh = ssh_servers.any_sshd, ssh_servers.any_ssh


def _sftp(tmp_path: Path, any_ssh: openssh.Server) -> Remote:
    base = tmp_path / "a remote"
    base.mkdir()
    return open_remote(any_ssh.url(base))


# A new backend joins the contract suite here. Its parameters are fixtures.
BACKENDS: dict[str, Callable[..., Remote]] = {
    "memory": _memory,
    "file": _file,
    "s3": _s3,
    "sftp": _sftp,
}


@pytest.fixture(params=BACKENDS)
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    make = BACKENDS[request.param]
    needed = inspect.signature(make).parameters
    remote = make(**{name: request.getfixturevalue(name) for name in needed})
    yield remote
    asyncio.run(remote.close())


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


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of objects and packs."""
    return Store(str(tmp_path / "store"))


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
