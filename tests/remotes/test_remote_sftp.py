"""The SSH remote: what is its own, beyond the contract."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import asyncssh_server
import openssh
import pytest
import ssh_servers
from every_call import everything, files

from lazydata.errors import (
    FileChanged,
    NoSpace,
    ObjectMissing,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
    UsageError,
)
from lazydata.progress import silent
from lazydata.remotes import open_remote, sftp, ssh_login, url_of
from lazydata.remotes.sftp import SftpRemote
from lazydata.remotes.ssh_session import Session
from lazydata.remotes.ssh_wire import unpadded

T = TypeVar("T")
MIB = 1 << 20


def run(remote: SftpRemote, work: Callable[[SftpRemote], Awaitable[T]]) -> T:
    """Do something with a remote, and close it."""

    async def whole() -> T:
        try:
            return await work(remote)
        finally:
            await remote.close()

    return asyncio.run(whole())


async def ask(remote: SftpRemote) -> None:
    """The shortest call that needs the server."""
    assert await remote.stat("no/such") is None


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    path.mkdir()
    return path


@pytest.fixture
def remote(ssh: openssh.Server, base: Path) -> SftpRemote:
    return SftpRemote(ssh.url(base))


@pytest.fixture
def home(ssh: openssh.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, that knows the server but has no key."""
    path = tmp_path / "home"
    (path / ".ssh").mkdir(parents=True)
    (path / ".ssh" / "known_hosts").write_text(ssh.known)
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture
def own_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., openssh.Server]]:
    """Start a server for this test only: asyncssh's own one, or OpenSSH."""
    started: list[openssh.Server] = []

    def start(kind: Any = asyncssh_server.Server, **more: Any) -> openssh.Server:
        if kind is openssh.Server and openssh.WHY_NOT:
            pytest.skip(openssh.WHY_NOT)
        folder = tmp_path / "server"
        folder.mkdir(exist_ok=True)
        started.append(kind(folder, **more))
        ssh_servers.at_home(started[-1], monkeypatch)
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have somebody answer questions until they get up; gives the list of what was asked."""

    def will(*given: str | None) -> list[str]:
        asked: list[str] = []
        waiting = iter(given)

        def prompt(question: str) -> str | None:
            asked.append(question)
            return next(waiting, None)

        monkeypatch.setattr("lazydata.remotes.base.prompt", prompt)
        return asked

    return will


# -- host keys


def test_an_unknown_host_is_refused_and_the_hint_works(home: Path, ssh: openssh.Server) -> None:
    known = home / ".ssh" / "known_hosts"
    known.unlink()
    with pytest.raises(RemoteDenied, match="SHA256:") as caught:
        run(SftpRemote(ssh.url()), ask)
    hint = caught.value.hint or ""
    line = f"ssh-keyscan -p {ssh.port} 127.0.0.1 >> ~/.ssh/known_hosts"
    assert line in hint
    assert hint.index("compare") < hint.index(line)
    if not shutil.which("ssh-keyscan"):
        pytest.skip("ssh-keyscan is not installed")
    subprocess.run(["sh", "-c", hint.partition("then: ")[2]], check=True, capture_output=True)
    shutil.copy(ssh.key, home / ".ssh" / ssh.key.name)
    run(SftpRemote(ssh.url()), ask)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "@revoked"])
def test_a_changed_host_key_is_taken_for_an_attack(
    home: Path, ssh: openssh.Server, kind: str
) -> None:
    if kind == "@revoked":
        line = f"{ssh.known}@revoked {ssh.known}"
    else:
        public = asyncssh.generate_private_key(kind).export_public_key().decode()
        line = f"[127.0.0.1]:{ssh.port} {public}"
    (home / ".ssh" / "known_hosts").write_text(line)
    with pytest.raises(RemoteDenied, match="IS NOT THE ONE") as caught:
        run(SftpRemote(ssh.url()), ask)
    said = str(caught.value)
    assert "attack" in said
    assert "keyscan" not in said
    assert "remove" not in said


def test_hosts_are_known_from_many_places(home: Path, ssh: openssh.Server) -> None:
    shutil.copy(ssh.key, home / ".ssh" / ssh.key.name)
    known, config = home / ".ssh" / "known_hosts", home / ".ssh" / "config"

    def refused() -> bool:
        try:
            run(SftpRemote(ssh.url()), ask)
        except RemoteDenied:
            return True
        return False

    # A line that can't be read counts for nothing, and so does one for another port.
    known.write_text(f"what is this\n@marker a b c\n|9|x|y z\n{ssh.known}\n127.0.0.1")
    assert not refused()
    known.write_text(ssh.known.replace(f":{ssh.port}", ":1"))
    assert refused()
    # Hashed, as Debian's ssh writes them.
    known.write_text(ssh.known)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert "127.0.0.1" not in known.read_text()
    assert not refused()
    # A certificate authority's place is taken by other files of the user's choice.
    known.unlink()
    (home / "elsewhere 127.0.0.1").write_text(ssh.known)
    for option in ("UserKnownHostsFile", "GlobalKnownHostsFile"):
        config.write_text(f'{option} /nowhere "~/elsewhere %h"\n')
        assert not refused()
    known.write_text(ssh.known)
    config.write_text("UserKnownHostsFile none\nStrictHostKeyChecking no\n")
    assert refused()


# -- ways in


def test_the_users_own_settings_count(home: Path, ssh: openssh.Server, base: Path) -> None:
    key = home / "a key"
    shutil.copy(ssh.key, key)
    (home / ".ssh" / "config").write_text(
        f"Host BigBox\n  HostName {ssh.host}\n  Port {ssh.port}\n  User {ssh.user}\n"
        f'  IdentityFile /no/such/key\n  IdentityFile "{key}"\n  RemoteCommand false\n'
        "  RequestTTY force\nHost *\n  User nobody-at-all\n"
    )
    remote = SftpRemote(f"ssh://BigBox{base}")
    run(remote, lambda each: each.put_bytes("k", b"x"))
    assert (base / "k").read_bytes() == b"x"


def test_settings_that_can_not_be_used_are_named(home: Path, ssh: openssh.Server) -> None:
    (home / ".ssh" / "config").write_text("Host *\n  Port many\n")
    with pytest.raises(RemoteDenied, match=r"config line 2.*many") as caught:
        run(SftpRemote(ssh.url()), ask)
    assert "config" in (caught.value.hint or "")


def test_jump_hosts(
    ssh: openssh.Server,
    home: Path,
    own_server: Callable[..., openssh.Server],
    monkeypatch: pytest.MonkeyPatch,
    base: Path,
) -> None:
    jump = own_server(openssh.Server)
    monkeypatch.setenv("HOME", str(home))
    shutil.copy(ssh.key, home / ".ssh" / ssh.key.name)
    shutil.copy(jump.key, home / "jump key")
    settings = (
        f"Host inner\n  HostName {ssh.host}\n  Port {ssh.port}\n  User {ssh.user}\n"
        f"  ProxyJump {jump.user}@jump:{jump.port}\n"
        f"Host jump\n  HostName {jump.host}\n  IdentityFile {home}/jump%%key\n"
    ).replace("jump%%key", "jump_key")
    shutil.move(home / "jump key", home / "jump_key")
    config = home / ".ssh" / "config"
    config.write_text(settings)
    remote = SftpRemote(f"ssh://inner{base}")
    # Its key has to be known as well.
    with pytest.raises(RemoteDenied, match=f"port {jump.port}, is not known"):
        run(remote, ask)
    with open(home / ".ssh" / "known_hosts", "a") as known:
        known.write(jump.known)
    run(remote, lambda each: each.put_bytes("k", b"x"))
    assert (base / "k").read_bytes() == b"x"

    async def twice(remote: SftpRemote) -> None:
        await ask(remote)
        jump.drop()
        for _ in range(2):  # the first one may be what notices
            try:
                await ask(remote)
                return
            except RemoteUnavailable:
                pass
        await ask(remote)

    run(SftpRemote(f"ssh://inner{base}"), twice)
    # What ssh-keyscan can't reach is not to be asked for with it.
    (home / ".ssh" / "known_hosts").write_text(jump.known)
    with pytest.raises(RemoteDenied) as caught:
        run(remote, ask)
    assert (caught.value.hint or "").endswith("then: ssh inner")
    config.write_text(f"Host *\n  ProxyJump 127.0.0.1:{jump.port}\n")
    with pytest.raises(RemoteDenied, match="never come to an end"):
        run(SftpRemote(ssh.url()), ask)


def test_a_proxy_command(ssh: openssh.Server, tmp_path: Path, base: Path) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import os, socket, sys, threading\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536):\n"
        "        s.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := s.recv(65536):\n"
        "    os.write(1, data)\n"
    )
    config = ssh.home / ".ssh" / "config"
    config.write_text(f"Host 127.0.0.1\n  ProxyCommand {sys.executable} {relay} %h %p\n")
    try:
        run(SftpRemote(ssh.url(base)), lambda each: each.put_bytes("k", b"x"))
    finally:
        config.unlink()
    assert files(base) == {"k"}


def listens(place: str) -> bool:
    """Whether somebody answers at a socket; that its name is there does not say so."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(place) == 0


@pytest.fixture
def agent(
    home: Path, ssh: openssh.Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], None]]:
    """A running ssh-agent; call it to add a key."""
    if not (shutil.which("ssh-agent") and shutil.which("ssh-add")):
        pytest.skip("ssh-agent is not installed")
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has to be short
        place = f"{folder}/agent"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL)
        while not listens(place):
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", place)
        yield lambda key: subprocess.run(["ssh-add", "-q", str(key)], check=True) and None
        process.terminate()
        process.wait()


def test_the_agent(
    agent: Callable[[Path], None], home: Path, ssh: openssh.Server, tmp_path: Path
) -> None:
    with pytest.raises(RemoteDenied, match=r"does not let .* in \(tried: public key\)") as caught:
        run(SftpRemote(ssh.url()), ask)
    assert f"ssh -p {ssh.port} {ssh.user}@127.0.0.1" in (caught.value.hint or "")
    assert "ssh-add" in (caught.value.hint or "")
    agent(ssh.key)
    run(SftpRemote(ssh.url()), ask)
    # With IdentitiesOnly it is asked for the key that lies locked beside its public half.
    locked = home / ".ssh" / "work"
    locked.write_bytes(
        asyncssh.generate_private_key("ssh-ed25519").export_private_key("pkcs8-pem", "secret")
    )
    shutil.copy(f"{ssh.key}.pub", f"{locked}.pub")
    config = home / ".ssh" / "config"
    config.write_text(f"IdentityFile {locked}\nIdentitiesOnly yes\n")
    run(SftpRemote(ssh.url()), ask)
    Path(f"{locked}.pub").unlink()
    with pytest.raises(RemoteDenied):
        run(SftpRemote(ssh.url()), ask)


def test_too_many_keys(agent: Callable[[Path], None], ssh: openssh.Server, tmp_path: Path) -> None:
    for number in range(7):
        openssh.make_key(tmp_path / f"key{number}")
        agent(tmp_path / f"key{number}")
    agent(ssh.key)
    with pytest.raises(RemoteDenied) as caught:
        run(SftpRemote(ssh.url()), ask)
    assert "IdentitiesOnly" in (caught.value.hint or "")


def test_an_agent_that_is_gone(
    ssh: openssh.Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    run(SftpRemote(ssh.url()), ask)


def test_a_key_with_a_passphrase(
    home: Path, ssh: openssh.Server, answers: Callable[..., list[str]]
) -> None:
    locked = home / ".ssh" / "id_ed25519"
    key = asyncssh.read_private_key(ssh.key)
    locked.write_bytes(key.export_private_key("pkcs8-pem", "open sesame"))
    with pytest.raises(RemoteDenied) as caught:
        run(SftpRemote(ssh.url()), ask)
    assert f"`ssh-add {locked}`" in (caught.value.hint or "")
    asked = answers("Open sesame", "open simsim", "open sesame")
    run(SftpRemote(ssh.url()), ask)
    assert asked == [f"Passphrase for {locked}: "] * 3
    for given in (("no", "no", "no", "no"), (None,)):
        asked = answers(*given)
        with pytest.raises(RemoteDenied):
            run(SftpRemote(ssh.url()), ask)
        assert len(asked) == min(3, len(given))


def test_a_key_that_only_the_agent_can_unlock(
    home: Path,
    ssh: openssh.Server,
    answers: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    locked = home / ".ssh" / "id_ed25519"
    shutil.copy(ssh.key, locked)
    command = ["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(locked)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    monkeypatch.setattr("asyncssh.public_key._bcrypt_available", False)
    asked = answers("open sesame", "again")
    with pytest.raises(RemoteDenied) as caught:
        run(SftpRemote(ssh.url()), ask)
    assert f"`ssh-add {locked}`" in (caught.value.hint or "")
    assert len(asked) == 1


def test_passwords(
    own_server: Callable[..., Any], answers: Callable[..., list[str]], capfd: Any
) -> None:
    server = own_server(passwords={"me": "hunter2"})
    remote = SftpRemote(server.url(user="me"))
    with pytest.raises(RemoteDenied, match=r"tried: password\)") as caught:
        run(remote, ask)
    assert "terminal" in (caught.value.hint or "")
    asked = answers("hunter0", "hunter1", "hunter2")

    async def twice(remote: SftpRemote) -> None:
        await ask(remote)
        # What was right is not asked for again.
        server.drop()
        await asyncio.sleep(0.05)
        await ask(remote)

    run(remote, twice)
    assert asked == ["Password for me@127.0.0.1: "] * 3
    assert server.offered == ["hunter0", "hunter1", "hunter2", "hunter2"]
    asked = answers(*["hunter3"] * 5)
    with pytest.raises(RemoteDenied) as caught:
        run(SftpRemote(server.url(user="me")), ask)
    assert len(asked) == 3
    asked = answers(None)
    with pytest.raises(RemoteDenied):
        run(SftpRemote(server.url(user="me")), ask)
    assert len(asked) == 1
    assert "hunter" not in f"{caught.value} {caught.value.__cause__} {capfd.readouterr()}"


def test_questions_of_the_server(
    own_server: Callable[..., Any], answers: Callable[..., list[str]]
) -> None:
    server = own_server(passwords={}, questions={"Pass\x1bword: ": "hunter2", "Code: ": "123"})
    asked = answers("hunter2", "123", "456")

    async def twice(remote: SftpRemote) -> None:
        await ask(remote)
        server.drop()
        await asyncio.sleep(0.05)
        with pytest.raises(RemoteDenied):  # a code is good for one time, so it is asked for
            await ask(remote)

    run(SftpRemote(server.url(user="me")), twice)
    assert asked[:3] == ["me@127.0.0.1: Password: ", "me@127.0.0.1: Code: ", asked[1]]


# -- nobody there


def test_nobody_there(ssh: openssh.Server, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(RemoteUnavailable, match=f"127.0.0.1, port {port}: Connection refused"):
            run(SftpRemote(f"ssh://127.0.0.1:{port}/x"), ask)
        taken.listen()
        (home / ".ssh" / "config").write_text("ConnectTimeout 1\n")
        monkeypatch.setattr(ssh_login, "_CONNECT_SECONDS", 0.2)
        (home / ".ssh" / "config").unlink()
        with pytest.raises(RemoteUnavailable, match="does not answer"):
            run(SftpRemote(f"ssh://127.0.0.1:{port}/x"), ask)

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(RemoteUnavailable, match=r"host\.example can't be resolved"):
        run(SftpRemote("ssh://host.example/x"), ask)


def test_a_server_without_sftp(own_server: Callable[..., openssh.Server]) -> None:
    with pytest.raises(RemoteDenied, match="offers no SFTP") as caught:
        run(SftpRemote(own_server(sftp=None).url()), ask)
    assert "Subsystem sftp" in (caught.value.hint or "")


def test_a_server_that_says_something_first(own_server: Callable[..., openssh.Server]) -> None:
    server = own_server(openssh.Server, more=("ForceCommand echo Welcome to this machine",))
    with pytest.raises(RemoteDenied, match="offers no SFTP") as caught:
        run(SftpRemote(server.url()), ask)
    assert "must print nothing" in (caught.value.hint or "")


def test_a_dead_server_is_noticed(
    own_server: Callable[..., openssh.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server(openssh.Server)
    monkeypatch.setattr(ssh_login, "_ALIVE_SECONDS", 0.1)

    async def work(remote: SftpRemote) -> None:
        await ask(remote)
        server.drop(signal.SIGSTOP)
        with pytest.raises(RemoteUnavailable):
            await ask(remote)
        await ask(remote)

    run(SftpRemote(server.url()), work)


def test_a_lost_connection_is_opened_again(
    own_server: Callable[..., openssh.Server], tmp_path: Path
) -> None:
    server = own_server(openssh.Server)

    async def work(remote: SftpRemote) -> None:
        await ask(remote)
        server.drop()
        assert await everything(remote, tmp_path) <= {RemoteUnavailable, RemoteObjectMissing, None}
        await remote.put_bytes("d/k", b"x")
        server.stop()
        assert await everything(remote, tmp_path) == {RemoteUnavailable}
        server.run()
        assert await remote.get_range("d/k", 0, 9) == b"x"

    run(SftpRemote(server.url()), work)


def test_a_fork_opens_a_connection_of_its_own(
    remote: SftpRemote, base: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 8 * MIB)

    async def child() -> None:
        gc.disable()
        await remote.put_bytes("b", b"")
        putting = asyncio.create_task(remote.put("d", large, silent))
        await asyncio.sleep(0.01)
        gc.collect()  # what was the parent's must not end what is ours
        await putting

    async def main() -> None:
        await remote.put_bytes("a", b"")
        pid = os.fork()
        if not pid:
            code = 1
            try:
                asyncio.events._set_running_loop(None)
                asyncio.run(child())
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert status == 0
        await remote.put_bytes("c", b"")
        await remote.close()

    asyncio.run(main())
    assert files(base) == {"a", "b", "c", "d"}


def test_nothing_is_said_on_stderr(
    own_server: Callable[..., openssh.Server], tmp_path: Path
) -> None:
    server = own_server(openssh.Server)
    source = tmp_path / "source"
    source.write_bytes(b"x" * 8 * MIB)
    script = """
        import asyncio, os, signal, sys
        from pathlib import Path
        from lazydata.errors import LazydataError
        from lazydata.progress import silent
        from lazydata.remotes import open_remote
        from lazydata.remotes.sftp import SftpRemote

        good, gone, closed, source = sys.argv[1:]

        async def main():
            asyncio.get_running_loop().slow_callback_duration = 60
            remote = SftpRemote(good)
            await remote.put("k", Path(source), silent)
            calls = [asyncio.ensure_future(remote.get_range("k", 0, 1 << 23)) for _ in range(4)]
            await asyncio.sleep(0.02)
            calls[0].cancel()
            print("cut", flush=True)
            sys.stdin.readline()
            await asyncio.gather(*calls, return_exceptions=True)
            await remote.stat("k")
            for url in (gone, closed):
                try:
                    await SftpRemote(url).stat("k")
                except LazydataError as error:
                    print(error.exit_code, flush=True)

        asyncio.run(main())
    """
    process = subprocess.Popen(
        [
            *(sys.executable, "-X", "dev", "-c", textwrap.dedent(script)),
            *(server.url(), "ssh://127.0.0.1:1/x", server.url(user="nobody-at-all"), str(source)),
        ],
        env=os.environ | server.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "cut\n"
    server.drop()
    out, err = process.communicate("go\n", timeout=60)
    assert err == ""
    assert out.split() == ["20", "21"]


# -- puts and gets that do not go well


def test_a_killed_server_shows_no_part(
    own_server: Callable[..., openssh.Server], tmp_path: Path
) -> None:
    server = own_server(openssh.Server)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(24 * MIB))

    def kill(moved: int, /) -> None:
        server.stop()

    async def work(remote: SftpRemote) -> None:
        await remote.put_bytes("d/k", b"old")
        with pytest.raises(RemoteUnavailable):
            await remote.put("d/k", source, kill)
        server.run()
        assert [each.key async for each in remote.list("")] == ["d/k"]
        assert await remote.get_range("d/k", 0, 9) == b"old"
        await remote.put("d/k", source, silent)

    run(SftpRemote(server.url()), work)
    assert (server.base / "d/k").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("sessions", [100, 1])
def test_a_large_put_goes_on_where_it_was_cut(
    own_server: Callable[..., openssh.Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sessions: int,
) -> None:
    server = own_server(openssh.Server, more=(f"MaxSessions {sessions}",))
    monkeypatch.setattr(sftp, "_FLUSHED_AFTER", 2 * MIB)
    channels: list[object] = []
    another = Session.another

    async def counted(session: Session) -> object:
        channels.append(await another(session))
        return channels[-1]

    monkeypatch.setattr(Session, "another", counted)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(12 * MIB))
    reported: list[int] = []

    def cut(moved: int, /) -> None:
        reported.append(moved)
        if sum(reported) > 5 * MIB:
            server.drop()

    async def work(remote: SftpRemote) -> None:
        for _ in range(2):
            reported.clear()
            with pytest.raises(RemoteUnavailable):
                await remote.put("k", source, cut)
            assert sum(reported) == 0
            assert len(files(server.base / ".incoming")) == 1
        # What was flushed is not sent again, so the second one came further.
        assert reported[0] >= 2 * MIB
        assert bool(channels) == (sessions > 1)
        # What is not there any more, or not whole, is begun again.
        for spoil in (Path.unlink, lambda temp: os.truncate(temp, MIB)):
            (temp,) = (server.base / ".incoming").iterdir()
            spoil(temp)
            reported.clear()
            with pytest.raises(RemoteUnavailable):
                await remote.put("k", source, cut)
            assert reported[0] == 0
            temp.unlink(missing_ok=True)
        # A put of other bytes does not go on with these, nor does another instance.
        other = tmp_path / "other"
        other.write_bytes(source.read_bytes()[::-1])
        begun: list[int] = []
        another = SftpRemote(server.url())
        await another.put("k", other, begun.append)
        await another.close()
        assert begun[0] == 0
        await remote.put("k", other, begun.append)
        assert (server.base / "k").read_bytes() == other.read_bytes()

    run(SftpRemote(server.url()), work)
    # Kept for the next attempt, which never came; swept after a week.
    assert len(files(server.base / ".incoming")) == 1


def test_a_large_put_that_was_cut_ends_well(
    own_server: Callable[..., openssh.Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server(openssh.Server)
    monkeypatch.setattr(sftp, "_FLUSHED_AFTER", 2 * MIB)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(9 * MIB + 1))
    reported: list[int] = []
    cuts = [8 * MIB, 5 * MIB]

    def cut(moved: int, /) -> None:
        reported.append(moved)
        if cuts and sum(reported) > cuts[-1]:
            cuts.pop()
            server.drop()

    asyncio.run(_put_and_close(open_remote(server.url()), source, cut))
    assert sum(reported) == source.stat().st_size
    assert not cuts
    assert (server.base / "k").read_bytes() == source.read_bytes()
    assert files(server.base) == {"k"}


async def _put_and_close(remote: Any, source: Path, report: Callable[[int], None]) -> None:
    await remote.put("k", source, report)
    await remote.close()


def test_a_target_is_a_beginning_whatever_happens(
    own_server: Callable[..., openssh.Server], tmp_path: Path
) -> None:
    server = own_server(openssh.Server)
    whole = os.urandom(16 * MIB + 5)
    (server.base / "k").write_bytes(whole)
    target = tmp_path / "target"
    reported: list[int] = []

    def cut(moved: int, /) -> None:
        reported.append(moved)
        if sum(reported) > 4 * MIB:
            server.drop()

    async def work(remote: SftpRemote) -> None:
        with pytest.raises(RemoteUnavailable):
            await remote.get("k", target, cut)
        assert sum(reported) == 0
        begun = target.read_bytes()
        assert 4 * MIB < len(begun) < len(whole)
        assert whole.startswith(begun)
        reported.clear()
        await remote.get("k", target, reported.append)
        assert reported[0] == len(begun)
        assert sum(reported) == len(whole)
        assert target.read_bytes() == whole
        # Cancelled, it stops just as well.
        target.unlink()
        task = asyncio.create_task(remote.get("k", target, silent))
        while not (target.exists() and target.stat().st_size):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        size = target.stat().st_size
        await ask(remote)
        assert target.stat().st_size == size
        assert whole.startswith(target.read_bytes())

    run(SftpRemote(server.url()), work)


def test_bytes_that_end_early_are_noticed(remote: SftpRemote, base: Path, tmp_path: Path) -> None:
    (base / "k").write_bytes(b"x" * 12 * MIB)

    def shrink(moved: int, /) -> None:
        if moved > 0:
            os.truncate(base / "k", 10)

    with pytest.raises(RemoteUnavailable, match="ended before"):
        run(remote, lambda each: each.get("k", tmp_path / "t", shrink))
    assert (tmp_path / "t").read_bytes().strip(b"x") == b""


def test_the_source_is_ours(remote: SftpRemote, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissing, match="gone"):
        run(remote, lambda each: each.put("k", tmp_path / "gone", silent))
    source = tmp_path / "shrinks"
    source.write_bytes(b"x" * 12 * MIB)

    def shrink(moved: int, /) -> None:
        if moved > 0:
            os.truncate(source, 10)

    with pytest.raises(FileChanged, match="shrinks"):
        run(remote, lambda each: each.put("k", source, shrink))
    assert files(base) == set()


def test_a_full_local_disk_is_named(remote: SftpRemote, base: Path) -> None:
    (base / "k").write_bytes(b"x" * 100_000)
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(NoSpace, match="/dev/full"):
        run(remote, lambda each: each.get("k", Path("/dev/full"), silent))


def test_a_cancelled_put_leaves_nothing(remote: SftpRemote, base: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    with open(source, "wb") as file:
        file.truncate(512 * MIB)

    async def work(remote: SftpRemote) -> None:
        reported: list[int] = []
        task = asyncio.create_task(remote.put("k", source, reported.append))
        while sum(reported) < MIB:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files(base) == set()
        assert sum(reported) == 0

    run(remote, work)


def test_a_full_disk_there(
    ssh: openssh.Server, small_disk: Callable[..., Path], tmp_path: Path
) -> None:
    disk = small_disk("8m,nr_inodes=20")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 20 * MIB)

    async def work(remote: SftpRemote) -> None:
        for _ in range(2):
            with pytest.raises(NoSpace, match="on the server") as caught:
                await remote.put("k", source, silent)
            assert remote.url in str(caught.value)
        assert files(disk) == set()
        calls = [remote.put_bytes(f"{number}", b"") for number in range(20)]
        done = await asyncio.gather(*calls, return_exceptions=True)  # names are full as well
        assert {type(each) for each in done} == {type(None), NoSpace}
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for call in (remote.put_bytes("x", b""), remote.delete(["0"])):
            with pytest.raises(RemoteDenied, match="read-only"):
                await call

    run(SftpRemote(ssh.url(disk)), work)


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o555])
def test_no_right_is_a_refusal(ssh: openssh.Server, mode: int) -> None:
    user = "nobody" if os.geteuid() == 0 else ssh.user  # root may do everything
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "base"
        (base / "d").mkdir(parents=True)
        (base / "k").write_bytes(b"x")
        (base / "d" / "k").write_bytes(b"x")
        Path(name).chmod(0o755)
        (base / "d").chmod(0o555)
        base.chmod(mode)

        async def work(remote: SftpRemote) -> None:
            if mode != 0o555:
                assert await everything(remote, Path(name)) == {RemoteDenied}
                return
            assert await remote.get_range("d/k", 0, 9) == b"x"
            for call in (remote.put_bytes("new", b""), remote.delete(["d/k"])):
                with pytest.raises(RemoteDenied, match="Permission denied") as caught:
                    await call
                assert str(base) in (caught.value.hint or "")

        try:
            run(SftpRemote(ssh.url(base, user=user)), work)
        finally:
            base.chmod(0o755)
            (base / "d").chmod(0o755)


# -- what is there, and what is not


def test_a_directory_that_is_not_there_is_an_outage(
    remote: SftpRemote, base: Path, tmp_path: Path
) -> None:
    base.rmdir()

    async def work(remote: SftpRemote) -> None:
        assert await everything(remote, tmp_path) == {RemoteUnavailable}
        with pytest.raises(RemoteUnavailable, match=r"is not there.*mounted"):
            await remote.stat("k")
        assert not base.exists()
        base.write_text("a file")
        assert await everything(remote, tmp_path) == {RemoteUnavailable}
        with pytest.raises(RemoteUnavailable, match="is not a directory"):
            await remote.stat("k")
        with pytest.raises(RemoteDenied, match="is a file where a directory should be"):
            await remote.prepare()

    run(remote, work)


def test_prepare_creates_it(ssh: openssh.Server, tmp_path: Path) -> None:
    run(SftpRemote(ssh.url(tmp_path / "a/b/c")), lambda each: each.prepare())
    assert (tmp_path / "a/b/c").is_dir()


def test_things_in_the_way(remote: SftpRemote, base: Path) -> None:
    (base / "file").write_bytes(b"x")
    (base / "folder").mkdir()

    async def work(remote: SftpRemote) -> None:
        for key in ("file/a", "file/a/b"):
            with pytest.raises(RemoteDenied, match="base/file is a file where a directory"):
                await remote.put_bytes(key, b"")
            assert await remote.stat(key) is None
        with pytest.raises(RemoteDenied, match="a directory of that name"):
            await remote.put_bytes("folder", b"")
        await remote.delete(["folder"])

    run(remote, work)
    assert (base / "folder").is_dir()
    assert files(base) == {"file"}


def test_links_are_followed_and_other_names_are_not_ours(
    remote: SftpRemote, base: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "k").write_bytes(b"x")
    (base / "folder").symlink_to(away)
    (base / "link").symlink_to(away / "k")
    (base / "broken").symlink_to(away / "gone")
    (base / "Not A Key").touch()
    Path(os.fsdecode(bytes(base) + b"/\xe4\xff")).touch()
    os.mkfifo(base / "fifo")

    async def work(remote: SftpRemote) -> None:
        found = {each.key: each.size async for each in remote.list("")}
        assert found == {"folder/k": 1, "link": 1}
        assert await remote.get_range("folder/k", 0, 9) == b"x"
        assert await remote.stat("fifo") is None
        await remote.put_bytes("folder/new", b"")

    run(remote, work)
    assert (away / "new").exists()


def test_old_temp_files_go(remote: SftpRemote, base: Path) -> None:
    folder = base / ".incoming"
    folder.mkdir()
    old, new = f"1-{'0' * 16}.tmp", f"1-{'1' * 16}.tmp"
    week = time.time() - 8 * 86400
    for name in (old, f"{old}.old", new, "not ours"):
        (folder / name).touch()
        if name != new:
            os.utime(folder / name, (week, week))
    run(remote, lambda each: each.put_bytes("k", b""))
    assert files(base) == {"k", f".incoming/{new}", ".incoming/not ours"}


def test_nothing_is_swept_where_a_symlink_leads(remote: SftpRemote, base: Path) -> None:
    """Whoever may write to the folder makes one, and waits for others to come."""
    kept = base.parent / "mine" / "thesis"
    kept.parent.mkdir()
    kept.touch()
    os.utime(kept, (1e9, 1e9))
    (base / ".incoming").symlink_to(kept.parent)
    run(remote, lambda each: each.put_bytes("k", b""))
    assert kept.exists()


def test_symlinks_that_lead_round_and_round(remote: SftpRemote, base: Path) -> None:
    folder = base / "index"
    folder.mkdir()
    (folder / "k").touch()
    for name in "ab":
        (folder / name).symlink_to(folder)
        (folder / f"up{name}").symlink_to("..")

    async def work(remote: SftpRemote) -> set[str]:
        return {each.key async for each in remote.list("index/")}

    assert "index/k" in run(remote, work)


class Endless(asyncssh.SFTPServer):
    """A server whose folders have no end."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        number = 0
        while True:
            number += 1
            yield asyncssh.SFTPName(f"{number}.idx".encode(), attrs=asyncssh.SFTPAttrs())


def test_a_folder_without_end(
    own_server: Callable[..., openssh.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lazydata.remotes.sftp_steps._LISTED_AT_MOST", 1000)
    server = own_server(sftp=Endless)

    async def work(remote: SftpRemote) -> None:
        async for _ in remote.list("index/"):
            pass

    with pytest.raises(RemoteDenied, match="more than 1,000 names"):
        run(SftpRemote(server.url()), work)


def test_a_folder_that_goes_away_is_made_again(remote: SftpRemote, base: Path) -> None:
    async def work(remote: SftpRemote) -> None:
        await remote.put_bytes("d/e/k", b"")
        shutil.rmtree(base / "d")
        shutil.rmtree(base / ".incoming")
        await remote.put_bytes("d/e/k", b"")

    run(remote, work)
    assert files(base) == {"d/e/k"}


class Plain(asyncssh.SFTPServer):
    """A server without OpenSSH's extensions, that gives less than it is asked for."""

    def _lacking(self, *_: object) -> Any:
        raise asyncssh.SFTPOpUnsupported("no such thing")

    posix_rename = fsync = statvfs = _lacking

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        data = super().read(file_obj, offset, min(size, 10_000))
        assert isinstance(data, bytes)
        return data


def test_a_plain_server_will_do(own_server: Callable[..., openssh.Server], tmp_path: Path) -> None:
    server = own_server(sftp=Plain)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(MIB))

    async def work(remote: SftpRemote) -> None:
        for data in (b"old", b"new"):
            await remote.put_bytes("d/k", data)
            assert await remote.get_range("d/k", 0, 9) == data
        (server.base / "folder").mkdir()
        with pytest.raises(RemoteDenied):
            await remote.put_bytes("folder", b"")
        await remote.put("s", source, silent)
        await remote.get("s", tmp_path / "t", silent)
        assert await remote.get_range("s", 5, 300_000) == source.read_bytes()[5:300_005]

    run(SftpRemote(server.url()), work)
    assert (tmp_path / "t").read_bytes() == source.read_bytes()
    assert files(server.base) == {"d/k", "s"}


# -- URLs


@pytest.mark.parametrize("name", ["a b", "ä€", "100%25", "%", "a#b?c", "a\\b", "'\"$(x)`;"])
def test_paths_come_back(ssh: openssh.Server, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    url = url_of(ssh.url(tmp_path / name), "/")
    run(SftpRemote(url), lambda each: each.put_bytes("k", b""))
    assert files(tmp_path / name) == {"k"}


@pytest.mark.parametrize(
    "url",
    [
        *("ssh://host/srv", "ssh://me@host/srv", "ssh://me@host:22/srv/a%20b"),
        *("ssh://[::1]:2222/srv", "ssh://[fe80::1%25eth0]/srv", "ssh://10.0.0.1/srv"),
        *("ssh://DOM%5Cme@host/srv", "ssh://me@corp@host/srv", "ssh://my_box-2.example/srv"),
        *("ssh://host/srv/a-b", "ssh://höst/srv", "ssh://host/srv/@x"),
    ],
)
def test_urls_that_will_do(url: str) -> None:
    assert url_of(url + "/", "/") == url
    assert SftpRemote(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        *("ssh://-oProxyCommand=x/srv", "ssh://%2doProxyCommand=x/srv", "ssh://-x@host/srv"),
        *("ssh://%2Dx@host/srv", "ssh://host/-x", "ssh://host/srv/-x/y", "ssh://host/srv/%2dx"),
        *("ssh://host/a%0ab", "ssh://host/a%00b", "ssh://host/a%7fb", "ssh://a%0ab@host/srv"),
        *("ssh://ho%0ast/srv", "ssh://ho%00st/srv", "ssh://ho st/srv", "ssh://$(x)/srv"),
        *("ssh://x;y/srv", "ssh://a%20-oB@host/srv", "ssh://${HOME}@host/srv", "ssh://'@host/srv"),
        *("ssh://me%5C@host/srv", "ssh://host", "ssh://host/", "ssh:///srv", "ssh://@host/srv"),
        *("ssh://host/~/x", "ssh://host/~me", "ssh://host/./x", "ssh://host:0/srv"),
        *("ssh://host:70000/srv", "ssh://host:x/srv", "ssh://host:/srv", "ssh://[::1/srv"),
        *("ssh://[::1]x/srv", "ssh://[-x]/srv", "ssh://host/a?b", "ssh://host/a#b", "sftp://h/x"),
        *("ssh://me:hunter2@host/srv", "ssh://me%3Ahunter2@host/srv", "ssh://host:hunter2/srv"),
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    for opened in (SftpRemote, lambda each: open_remote(url_of(each, "/"))):
        with pytest.raises(UsageError) as caught:
            opened(url)
        assert caught.value.exit_code == 2
        assert "hunter2" not in str(caught.value)


def test_a_path_needs_to_be_absolute() -> None:
    for url in ("ssh://host/~/x", "ssh://host"):
        with pytest.raises(UsageError, match="absolute path"):
            url_of(url, "/")
    for typed, url in (("me@host:/my data", "ssh://me@host/my%20data"), ("me@host:x", "/x")):
        with pytest.raises(UsageError) as caught:
            url_of(typed, "/")
        assert url in (caught.value.hint or "")


# -- all of it


def test_push_and_pull(
    ssh: openssh.Server, base: Path, new_desk: Callable[..., Any], new_manifest: bytes
) -> None:
    me, you = new_desk("me"), new_desk("you")
    for desk in (me, you):
        shutil.copytree(ssh.home / ".ssh", desk.home / ".ssh")
    me.write("lazydata.yml", new_manifest)
    me.record(*((f"data/{number}", str(number).encode()) for number in range(20)))
    me.write("big", os.urandom(4 * MIB))
    me.run_code("import lazydata; lazydata.track('big')")
    url = ssh.url(base / "shared")
    me.run_cli("add-remote", url)
    me.run_cli("push")
    shutil.copy(me.manifest_file, you.root)
    you.run_cli("pull", ".")
    for name in ("big", *(f"data/{number}" for number in range(20))):
        assert you.read(name) == me.read(name)


@pytest.mark.parametrize(
    ("cipher", "sent"), [("aes128-gcm@openssh.com", [94]), ("aes128-cbc", [2, 94])]
)
def test_empty_packets_are_sent_only_where_a_cipher_needs_them(cipher, sent):
    """asyncssh sends one, through the connection's own method, before each packet with data."""
    kinds = []

    class Connection:
        def get_extra_info(self, _):
            return cipher

        def send_packet(self, kind, *parts):
            if kind != 2:
                self.send_packet(2, b"\0\0\0\0")
            kinds.append(kind)

    connection = Connection()
    unpadded(connection)
    connection.send_packet(94, b"data")
    assert kinds == sent


def test_no_compiler_is_asked_for_a_library(tmp_path: Path) -> None:
    for name in ("gcc", "cc", "ld"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho asked > {tmp_path}/asked\n")
        program.chmod(0o755)
    code = (
        "import ctypes.util; before = ctypes.util.find_library\n"
        "from lazydata.remotes import open_remote; open_remote('ssh://me@host/x')\n"
        "assert ctypes.util.find_library is before\n"
        "import asyncssh; assert not (directory / 'asked').exists()\n"
        "before('nosuchlibrary'); assert (directory / 'asked').exists()"
    )
    start = f"import pathlib; directory = pathlib.Path({str(tmp_path)!r})\n"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, "-c", start + code], env=os.environ | {"PATH": path}, check=True
    )
