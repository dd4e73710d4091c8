"""SSH to a host that a stranger named: nothing is lent to it, and no password is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncssh
import openssh
import pytest

from lazydata.errors import RemoteDenied
from lazydata.remotes.sftp import SftpRemote


async def ask(remote: SftpRemote) -> None:
    try:
        await remote.stat("no/such")
    finally:
        await remote.close()


@pytest.fixture
def home(ssh: openssh.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that has a key for the server, and does not know it yet."""
    path = tmp_path / "home"
    (path / ".ssh").mkdir(parents=True)
    (path / ".ssh" / "config").write_text(
        f"IdentityFile {ssh.key}\nForwardAgent yes\nForwardX11 yes\n"
    )
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """With what each connection is made."""
    made: list[dict[str, Any]] = []
    connect = asyncssh.connect

    def noted(*args: Any, **more: Any) -> Any:
        made.append(more)
        return connect(*args, **more)

    monkeypatch.setattr(asyncssh, "connect", noted)
    return made


def test_neither_agent_nor_display_is_lent_to_a_server(
    home: Path, ssh: openssh.Server, tmp_path: Path, logins: list[dict[str, Any]]
) -> None:
    """Whatever ``~/.ssh/config`` says for the shells that one opens oneself."""
    (home / ".ssh" / "known_hosts").write_text(ssh.known)
    base = tmp_path / "base"
    base.mkdir()
    asyncio.run(ask(SftpRemote(ssh.url(base))))
    (login,) = logins
    assert login["agent_forwarding"] is False
    assert login["x11_forwarding"] is False


def test_no_password_is_asked_for_a_host_that_nobody_vouched_for(
    home: Path, ssh: openssh.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(question: str) -> str:
        asked.append(question)
        return "secret"

    monkeypatch.setattr("lazydata.remotes.base.prompt", prompt)
    (home / ".ssh" / "config").write_text("PubkeyAuthentication no\n")
    with pytest.raises(RemoteDenied, match="is not known"):
        asyncio.run(ask(SftpRemote(ssh.url())))
    assert asked == []
