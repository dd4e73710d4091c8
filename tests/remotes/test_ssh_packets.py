"""Large transfers over SSH: past asyncssh where that can be, right where it can't."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import asyncssh_server
import openssh
import pytest
import ssh_servers
from asyncssh.connection import SSHConnection
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from lazydata.errors import RemoteUnavailable
from lazydata.progress import silent
from lazydata.remotes import sftp_requests, ssh_packets
from lazydata.remotes.sftp import SftpRemote
from lazydata.remotes.sftp_requests import Requests
from lazydata.remotes.ssh_packets import Packets
from lazydata.remotes.ssh_wire import Wire

T = TypeVar("T")
MIB = 1 << 20
DATA = 94  # the message of a channel's data, RFC 4254


def run(remote: SftpRemote, work: Callable[[SftpRemote], Awaitable[T]]) -> T:
    async def whole() -> T:
        try:
            return await work(remote)
        finally:
            await remote.close()

    return asyncio.run(whole())


def there_and_back(remote: SftpRemote, folder: Path, size: int) -> None:
    """Put a file of random bytes, and get it again."""
    source, target = folder / "source", folder / "target"
    source.write_bytes(os.urandom(size))

    async def work(remote: SftpRemote) -> None:
        await remote.put("k/key", source, silent)
        await remote.get("k/key", target, silent)
        some = await remote.get_range("k/key", size // 3, size // 2)
        assert some == source.read_bytes()[size // 3 :][: size // 2]

    run(remote, work)
    assert target.read_bytes() == source.read_bytes()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    path.mkdir()
    return path


@pytest.fixture(params=[openssh.Server, asyncssh_server.Server])
def start(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., openssh.Server]]:
    """Start a server of either make, with settings of the client."""
    started: list[openssh.Server] = []
    if request.param is openssh.Server and openssh.WHY_NOT:
        pytest.skip(openssh.WHY_NOT)

    def start(*settings: str, **more: Any) -> openssh.Server:
        (tmp_path / "server").mkdir()
        server: openssh.Server = request.param(tmp_path / "server", **more)
        started.append(server)
        ssh_servers.at_home(server, monkeypatch)
        with (server.home / ".ssh" / "config").open("a") as config:
            config.write("\n" + "".join(f"{line}\n" for line in settings))
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What goes through asyncssh's own layers: bytes that come, packets of data that go."""
    counts = {"in": 0, "out": 0}
    receive, send = SSHConnection.data_received, SSHConnection.send_packet

    def data_received(self: Any, data: bytes, *more: Any) -> None:
        counts["in"] += len(data) if self.is_client() else 0
        receive(self, data, *more)

    def send_packet(self: Any, kind: int, *parts: bytes, **more: Any) -> None:
        counts["out"] += kind == DATA and self.is_client()
        send(self, kind, *parts, **more)

    monkeypatch.setattr(SSHConnection, "data_received", data_received)
    monkeypatch.setattr(SSHConnection, "send_packet", send_packet)
    return counts


def test_large_files_go_past_asyncssh(
    start: Callable[..., openssh.Server], base: Path, tmp_path: Path, passing: dict[str, int]
) -> None:
    """It has changed what is needed for that, if this fails: see ``ssh_packets._NEEDED``."""
    there_and_back(SftpRemote(start().url(base)), tmp_path, 16 * MIB)
    assert passing["in"] < MIB
    assert passing["out"] < 100


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "aes256-ctr"])
def test_any_cipher(
    start: Callable[..., openssh.Server], base: Path, tmp_path: Path, cipher: str
) -> None:
    there_and_back(SftpRemote(start(f"Ciphers {cipher}").url(base)), tmp_path, 6 * MIB)


def test_keys_that_we_exchange_on_the_way(
    start: Callable[..., openssh.Server],
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passing: dict[str, int],
) -> None:
    exchanged = count_keys(monkeypatch)
    there_and_back(SftpRemote(start("RekeyLimit 1M").url(base)), tmp_path, 12 * MIB)
    assert len(exchanged) > 5
    assert passing["in"] < 4 * MIB  # between the exchanges it goes past it again


def test_keys_that_the_server_exchanges_on_the_way(
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if openssh.WHY_NOT:
        pytest.skip(openssh.WHY_NOT)
    exchanged = count_keys(monkeypatch)
    (tmp_path / "server").mkdir()
    server = openssh.start(tmp_path / "server", more=("RekeyLimit 1M",))
    try:
        ssh_servers.at_home(server, monkeypatch)
        there_and_back(SftpRemote(server.url(base)), tmp_path, 12 * MIB)
    finally:
        server.stop()
    assert len(exchanged) > 5


def count_keys(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    exchanged: list[None] = []
    send = SSHConnection.send_newkeys

    def noted(self: Any, *args: Any) -> Any:
        if self.is_client():
            exchanged.append(None)
        return send(self, *args)

    monkeypatch.setattr(SSHConnection, "send_newkeys", noted)
    return exchanged


def test_an_asyncssh_whose_packets_we_do_not_know(
    start: Callable[..., openssh.Server],
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passing: dict[str, int],
) -> None:
    monkeypatch.setattr(ssh_packets, "_NEEDED", {**ssh_packets._NEEDED, "channel": ("_other",)})
    there_and_back(SftpRemote(start().url(base)), tmp_path, 6 * MIB)
    assert passing["in"] > 6 * MIB


def test_an_asyncssh_whose_sftp_we_do_not_know(
    start: Callable[..., openssh.Server],
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    passing: dict[str, int],
) -> None:
    class Other:
        def __init__(self, sftp: asyncssh.SFTPClient) -> None:
            self._sftp = sftp

        def __getattr__(self, name: str) -> object:
            if name == "_handler":
                raise AttributeError
            return getattr(self._sftp, name)

    begin = asyncssh.SSHClientConnection.start_sftp_client

    async def start_sftp_client(self: Any, *args: Any, **more: Any) -> Any:
        return Other(await begin(self, *args, **more))

    monkeypatch.setattr(asyncssh.SSHClientConnection, "start_sftp_client", start_sftp_client)
    there_and_back(SftpRemote(start().url(base)), tmp_path, 6 * MIB)
    assert passing["in"] > 6 * MIB


def test_many_things_at_once_on_one_connection(
    start: Callable[..., openssh.Server], base: Path, tmp_path: Path
) -> None:
    sources = [tmp_path / f"source{number}" for number in range(6)]
    for number, source in enumerate(sources):
        source.write_bytes(os.urandom(number * MIB + 17))

    async def one(remote: SftpRemote, number: int) -> None:
        key, source = f"k/{number}", sources[number]
        await remote.put(key, source, silent)
        target = tmp_path / f"target{number}"
        await asyncio.gather(
            remote.get(key, target, silent),
            *(remote.stat(f"k/{each}") for each in range(20)),
            remote.put_bytes(f"small/{number}", key.encode()),
        )
        assert target.read_bytes() == source.read_bytes()
        assert await remote.get_range(f"small/{number}", 0, 100) == key.encode()

    async def work(remote: SftpRemote) -> None:
        await asyncio.gather(*(one(remote, number) for number in range(len(sources))))
        assert len([each async for each in remote.list("")]) == 2 * len(sources)

    run(SftpRemote(start().url(base)), work)


class Strange(asyncssh.SFTPServer):
    """Answers a read with more than was asked for."""

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        return b"x" * (size + 1)


def test_an_answer_that_is_too_long(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server").mkdir()
    server = asyncssh_server.Server(
        tmp_path / "server", sftp=lambda channel: Strange(channel, chroot=None)
    )
    (base / "k").write_bytes(b"data")
    try:
        ssh_servers.at_home(server, monkeypatch)
        with pytest.raises(RemoteUnavailable):
            run(SftpRemote(server.url(base)), lambda remote: remote.get_range("k", 0, 4))
    finally:
        server.stop()


class Slow(asyncssh.SFTPServer):
    """It has a line behind it that takes its time."""

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        await asyncio.sleep(0.03)
        return super().write(file_obj, offset, data)


@pytest.mark.parametrize("sftp", [asyncssh.SFTPServer, Slow])
def test_no_more_is_under_way_than_the_line_is_long(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sftp: type[asyncssh.SFTPServer]
) -> None:
    """sshd copies what waits there with each packet; a long line is full all the same."""
    sent: list[tuple[int, asyncio.Future[Any]]] = []
    most = 0
    real = Requests.write

    def write(self: Requests, file: Any, begin: int, data: bytes) -> Any:
        nonlocal most
        sent.append((len(data), real(self, file, begin, data)))
        most = max(most, sum(size for size, answer in sent if not answer.done()))
        return sent[-1][1]

    monkeypatch.setattr(Requests, "write", write)
    if sftp is not Slow:  # whatever else this machine has to do
        monkeypatch.setattr(Requests, "delay", 0.001)
    (tmp_path / "server").mkdir()
    server = asyncssh_server.Server(
        tmp_path / "server", sftp=lambda channel: sftp(channel, chroot=None)
    )
    try:
        ssh_servers.at_home(server, monkeypatch)
        there_and_back(SftpRemote(server.url(base)), tmp_path, 8 * MIB)
    finally:
        server.stop()
    assert most > 3 * MIB if sftp is Slow else most <= MIB // 2


def test_a_fault_of_our_own_is_told_to_all_who_wait(
    start: Callable[..., openssh.Server],
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(MIB))
    remote = SftpRemote(start().url(base))

    async def work(remote: SftpRemote) -> None:
        assert await remote.stat("k") is None
        monkeypatch.setattr(Packets, "_open", None)
        async with asyncio.timeout(30):
            with pytest.raises(RemoteUnavailable, match="not callable"):
                await remote.put("k", source, silent)

    run(remote, work)


# -- properties: whatever way the bytes are cut


class Cipher:
    """One direction of AES-GCM, by the names that asyncssh has."""

    def __init__(self) -> None:
        self._key, self._iv = b"k" * 16, b"i" * 12

    def _update_iv(self) -> None:
        self._iv = self._iv[:4] + (int.from_bytes(self._iv[4:], "big") + 1).to_bytes(8, "big")


class GCMEncryption:
    def __init__(self) -> None:
        self._cipher = Cipher()


class Socket:
    """What is written to it, and who is told of what comes."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        self.written += data

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def get_protocol(self) -> object:
        return self.protocol

    def is_closing(self) -> bool:
        return False


class Channel:
    """A channel of asyncssh: what it is given goes out, and is noted, as a packet of its own."""

    def __init__(self, connection: Connection, window: int, size: int) -> None:
        self._connection = connection
        self._recv_chan, self._send_chan, self._recv_paused = 7, 7, False
        self._send_window, self._send_pktsize = window, size
        self.waits = b""
        self.adjusted = 0

    def get_recv_window(self) -> int:
        return 4000

    def get_write_buffer_size(self) -> int:
        return len(self.waits)

    def is_closing(self) -> bool:
        return False

    def send_packet(self, kind: int, number: bytes) -> None:
        assert kind == 93
        self.adjusted += int.from_bytes(number, "big")

    def write(self, data: bytes) -> None:
        self.waits += data


class Connection:
    """A connection of asyncssh, as far as it matters; takes in what is not for us."""

    def __init__(self) -> None:
        self._inpbuf = self._packet = b""
        self._send_encryption, self._recv_encryption = GCMEncryption(), GCMEncryption()
        self._kex_complete, self._rekey_bytes, self._rekey_bytes_sent = True, 1 << 30, 0
        self.socket = Socket()
        self.socket.protocol = self
        self.got: list[bytes] = []
        self.heard = 0

    def get_extra_info(self, name: str) -> object:
        return self.socket if name == "wire" else None

    def data_received(self, data: bytes) -> None:
        self.heard += 1
        if not data:
            return
        cipher = self._recv_encryption._cipher
        self.got.append(AESGCM(cipher._key).decrypt(cipher._iv, data[4:], data[:4]))
        cipher._update_iv()

    def connection_lost(self, error: Exception | None) -> None: ...

    def seal(self, payload: bytes) -> None:
        """Send a packet of asyncssh's own."""
        cipher = self._send_encryption._cipher
        padding = 16 - (1 + len(payload)) % 16
        packet = bytes([padding]) + payload + bytes(padding)
        head = len(packet).to_bytes(4, "big")
        self.socket.write(head + AESGCM(cipher._key).encrypt(cipher._iv, packet, head))
        cipher._update_iv()


def packets(window: int = 1 << 20, size: int = 1000) -> tuple[Any, Any, Packets, list[bytes]]:
    connection = Connection()
    channel = Channel(connection, window, size)
    taken: list[bytes] = []
    made = Packets(
        connection,  # type: ignore[arg-type]
        channel,  # type: ignore[arg-type]
        lambda data: taken.append(bytes(data)),
    )
    return connection, channel, made, taken


OTHER = st.tuples(st.sampled_from([2, 80, 93, 94, 98]), st.binary(max_size=40))
MESSAGE = st.tuples(st.binary(min_size=1, max_size=60), st.binary(max_size=3000))


@given(
    st.lists(st.one_of(OTHER, MESSAGE)),
    st.integers(100, 1500),
    st.lists(st.integers(1, 2000), min_size=1),
)
def test_what_is_sealed_is_opened_again(
    sent: list[tuple[Any, bytes]], size: int, cuts: list[int]
) -> None:
    ours, _, sender, _ = packets(size=size)
    theirs, channel, receiver, taken = packets()
    others = []
    for head, data in sent:
        if isinstance(head, int):
            # Of another channel: its number is not seven.
            others.append(bytes([head]) + struct.pack(">II", 8, len(data)) + data)
            ours.seal(others[-1])
        else:
            sender.write(head, data)
    left = memoryview(bytes(ours.socket.written))
    turn = 0
    while left:
        buffer = receiver.get_buffer(-1)
        count = min(cuts[turn % len(cuts)], len(buffer), len(left))
        buffer[:count] = left[:count]
        receiver.buffer_updated(count)
        left, turn = left[count:], turn + 1
    expected = b"".join(head + data for head, data in sent if not isinstance(head, int))
    assert b"".join(taken) == expected
    assert [each[1 : -each[0]] for each in theirs.got] == others
    assert 0 <= len(expected) - channel.adjusted < 2000 + 1500


@given(MESSAGE, st.integers(0, 4000), st.integers(100, 1500), st.integers(0, 1))
def test_no_more_goes_out_than_the_server_has_room_for(
    message: tuple[bytes, bytes], window: int, size: int, exchanging: int
) -> None:
    connection, channel, sender, _ = packets(window, size)
    connection._kex_complete = not exchanging
    _, _, receiver, taken = packets()
    sender.write(*message)
    sealed = bytes(connection.socket.written)
    receiver.get_buffer(-1)[: len(sealed)] = sealed
    receiver.buffer_updated(len(sealed))
    assert b"".join(taken) + channel.waits == b"".join(message)
    assert len(b"".join(taken)) == window - channel._send_window
    assert channel._send_window >= 0
    assert not (exchanging and taken)


def test_a_flipped_bit_is_left_to_asyncssh() -> None:
    connection, _, sender, _ = packets()
    theirs, _, receiver, taken = packets()
    theirs.data_received = lambda data: theirs.got.append(data) if data else None
    sender.write(b"head", b"data")
    sealed = bytearray(connection.socket.written)
    sealed[20] ^= 1
    receiver.get_buffer(-1)[: len(sealed)] = sealed
    receiver.buffer_updated(len(sealed))
    assert taken == []
    assert theirs.got == [sealed]


@pytest.mark.parametrize(("window", "waits"), [(50, ""), (0, "adjust"), (3_000, "")])
def test_a_server_that_never_says_there_is_more_room(window: int, waits: str) -> None:
    """It need not while there is some."""

    async def work() -> None:
        _, channel, sender, _ = packets(window=4_000)
        await sender.room(2_000)
        channel._send_window = window
        waiting = asyncio.create_task(sender.room(2_000))
        if waits:
            await asyncio.wait([waiting], timeout=0.5)
            assert not waiting.done()
            channel._send_window = 4_000
            sender.wake()
        async with asyncio.timeout(10):
            await waiting

    asyncio.run(work())


def test_a_server_that_sends_nothing_but_data_is_alive() -> None:
    """asyncssh would end a connection on which it hears nothing for 45 seconds."""
    connection, _, sender, _ = packets()
    theirs, _, receiver, taken = packets()
    sender.write(b"head", b"data")
    sealed = bytes(connection.socket.written)
    receiver.get_buffer(-1)[: len(sealed)] = sealed
    receiver.buffer_updated(len(sealed))
    assert b"".join(taken) == b"headdata"
    assert theirs.got == []
    assert theirs.heard == 1


class Session:
    def __init__(self) -> None:
        self.got = b""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.got += data

    def connection_lost(self, error: Exception | None) -> None: ...


def message(kind: int, number: int, rest: bytes) -> bytes:
    return struct.pack(">IBI", 5 + len(rest), kind, number) + rest


THEIRS = st.tuples(
    st.builds(
        message, st.sampled_from([2, 101, 102, 103, 104, 105]), st.integers(0, 99), st.binary()
    )
)


@given(
    st.lists(st.one_of(THEIRS, st.binary(max_size=300), st.integers(0, 8))),
    st.lists(st.integers(1, 100), min_size=1),
)
def test_answers_are_told_apart_however_they_come(
    coming: list[tuple[bytes] | bytes | int], cuts: list[int]
) -> None:
    """What is in a tuple is asyncssh's; bytes answer a read of ours, a number all else."""

    async def work() -> None:
        session = Session()
        answers = sftp_requests._Answers(session, lambda: None)
        stream, theirs, ours = b"", b"", []
        for each in coming:
            if isinstance(each, int):
                number = answers.number()
                answer = answers.expect(number, 0)
                ours.append((answer, [b""] if each == 0 else []))
                stream += message(101, number, struct.pack(">I", each) + bytes(8))
            elif isinstance(each, tuple):
                theirs += each[0]
                stream += each[0]
            else:
                number = answers.number()
                answer = answers.expect(number, 300)
                ours.append((answer, [each] if each else []))
                stream += message(103, number, struct.pack(">I", len(each)) + each)
        left, turn = memoryview(stream), 0
        while left:
            count = cuts[turn % len(cuts)]
            answers.take(left[:count])
            left, turn = left[count:], turn + 1
        assert session.got == theirs
        for answer, expected in ours:
            assert b"".join(answer.result()) == b"".join(expected)
            assert (answer.result() is sftp_requests.DONE) == (expected == [b""])

    asyncio.run(work())


@pytest.mark.parametrize(
    "answer",
    [
        message(103, 1 << 31, struct.pack(">I", 9) + b"more than."),
        message(103, 1 << 31, struct.pack(">I", 3) + b"less"),
        message(103, 5 | 1 << 31, struct.pack(">I", 0)),
        message(101, 5 | 1 << 31, struct.pack(">I", 0)),
        struct.pack(">IBI", 1 << 30, 101, 1 << 31) + struct.pack(">I", 4),
        struct.pack(">IBI", 0, 101, 1 << 31) + struct.pack(">I", 4),
    ],
)
def test_answers_to_what_was_not_asked_end_the_channel(answer: bytes) -> None:
    async def work() -> None:
        aborted: list[None] = []
        answers = sftp_requests._Answers(Session(), lambda: aborted.append(None))
        waiting = answers.expect(answers.number(), 8)
        answers.take(memoryview(answer))
        assert aborted == [None]
        with pytest.raises(asyncssh.SFTPConnectionLost):
            await waiting
        with pytest.raises(asyncssh.SFTPConnectionLost):
            answers.check()
        with pytest.raises(asyncssh.SFTPConnectionLost):
            answers.number()

    asyncio.run(work())


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux has it")
def test_answers_are_acknowledged_at_once() -> None:
    """After an exchange or two the system would wait some 40 ms, for data to send it with."""

    async def talk(listener: socket.socket) -> list[int]:
        reader = asyncio.StreamReader()
        transport, _ = await Wire().create_connection(
            lambda: asyncio.StreamReaderProtocol(reader), *listener.getsockname()
        )
        peer, _ = listener.accept()
        link = transport.get_extra_info("socket")
        found = []
        with peer:
            for _ in range(10):
                transport.write(b"x")
                await asyncio.sleep(0)  # it is gathered until then
                found.append(link.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))
                peer.send(peer.recv(1))
                await reader.readexactly(1)
        transport.close()
        return found

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(talk(listener)) == [1] * 10
