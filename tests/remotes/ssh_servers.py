"""The fixtures of the SSH servers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncssh_server
import openssh
import pytest


@pytest.fixture(scope="session")
def sshd() -> Iterator[openssh.Server]:
    """OpenSSH for this session, started by the first test that wants it."""
    if openssh.WHY_NOT:
        pytest.skip(openssh.WHY_NOT)
    with tempfile.TemporaryDirectory(prefix="lazydata-ssh-") as folder:
        server = openssh.start(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def ssh(sshd: openssh.Server, monkeypatch: pytest.MonkeyPatch) -> openssh.Server:
    """The same, for a test whose own process may log in there."""
    at_home(sshd, monkeypatch)
    return sshd


@pytest.fixture(scope="session")
def any_sshd(request: pytest.FixtureRequest) -> Iterator[openssh.Server]:
    """OpenSSH, or asyncssh's own server where that is missing."""
    if not openssh.WHY_NOT:
        yield request.getfixturevalue("sshd")
        return
    with tempfile.TemporaryDirectory(prefix="lazydata-ssh-") as folder:
        server = asyncssh_server.Server(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def any_ssh(any_sshd: openssh.Server, monkeypatch: pytest.MonkeyPatch) -> openssh.Server:
    """The same, for a test whose own process may log in there."""
    at_home(any_sshd, monkeypatch)
    return any_sshd


def at_home(server: openssh.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live in a server's home, without an agent."""
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
