"""The data of one SSH channel, packed and unpacked here: asyncssh does it for everything else.

A channel carries 32 KiB at a time. asyncssh copies each of them a dozen times on its way,
and needs 60 µs for it, of which the cipher is a sixth: more than anything else that a
large transfer costs. Here a packet is joined and sealed, or opened and handed on.

Nothing is kept here that asyncssh would need to know: keys and counters stay in its cipher,
and the room that the server gives stays in its channel. What is not plain data, or comes
while keys are exchanged, is left to it, as is all where there is another cipher than
AES-GCM, or where asyncssh is not made as we know it. So this may give way at any packet.

Packets: RFC 4253, 6; channels: RFC 4254, 5.2; the cipher: RFC 5647, as OpenSSH has it
(its PROTOCOL, 1.6).
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from typing import Any

import asyncssh
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_WINDOW_ADJUST, _DATA = 93, 94
_TAG = 16  # bytes; those of a block are as many
_FRAME = 10  # bytes of a packet that are neither data nor padding, nor its length
_LARGEST = 512 << 10  # bytes; asyncssh takes no packet of more than half of it
_LATER = 0.1  # seconds: asyncssh may get a packet, and deal with it in a turn of its own
_U32 = struct.Struct(">I")
_NEEDED = {
    "connection": (
        *("_inpbuf", "_packet", "_recv_encryption", "_send_encryption", "_kex_complete"),
        *("_rekey_bytes", "_rekey_bytes_sent", "data_received", "connection_lost"),
    ),
    "channel": (
        *("_recv_chan", "_recv_paused", "_send_chan", "_send_window", "_send_pktsize"),
        *("get_recv_window", "get_write_buffer_size", "send_packet", "is_closing"),
    ),
    "cipher": ("_key", "_iv", "_update_iv"),
}


class Packets(asyncio.BufferedProtocol):
    """Sits between a connection and its socket, once it is logged in.

    Args:
        connection: whose packets they are.
        channel: whose data is taken out of them, and put into them.
        take: called with data that came, in order. What asyncssh took in, it gives to the
            channel's session, in order with this.
    """

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        channel: asyncssh.SSHClientChannel[bytes],
        take: Callable[[memoryview], None],
    ) -> None:
        self._connection: Any = connection
        self._channel: Any = channel
        self._take = take
        wire: Any = connection.get_extra_info("wire")
        # Through a jump host, it is the wire of that one's connection.
        is_ours = wire is not None and wire.get_protocol() is connection
        self._wire: Any = wire if is_ours and _is_known(connection, channel) else None
        self._ciphers: dict[int, tuple[object, AESGCM]] = {}
        self._buffer = bytearray(_LARGEST)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._taken = 0
        self._most = 0
        self._waiting: set[asyncio.Future[None]] = set()
        if self._wire is not None:
            self._wire.set_protocol(self)

    # Out

    async def room(self, size: int) -> None:
        """Wait until the server takes so many bytes: those it does not take now cost more.

        No server need say that there is room while there is some left, so for that the
        wait is short.
        """
        while self._wire is not None and not self._channel.is_closing():
            window = self._channel._send_window
            self._most = max(self._most, window)
            enough = min(size, self._most // 2)
            if window >= enough and not self._channel.get_write_buffer_size():
                return
            woken = asyncio.get_running_loop().create_future()
            self._waiting.add(woken)
            try:
                done, _ = await asyncio.wait([woken], timeout=_LATER)
            finally:
                self._waiting.discard(woken)
            if not done and window and not self._channel.get_write_buffer_size():
                return

    def write(self, head: bytes, data: bytes = b"") -> None:
        """Send bytes, and others after them."""
        left = memoryview(data)
        cipher = self._sealing()
        while cipher is not None and (head or left):
            size = min(self._channel._send_window, self._channel._send_pktsize)
            size = min(size, len(head) + len(left))
            if not size or size < len(head):
                break
            self._seal(cipher, size, head, left[: size - len(head)])
            left = left[size - len(head) :]
            head = b""
            cipher = self._sealing()
        if head or left:
            self._channel.write(b"".join((head, left)))

    def _sealing(self) -> Any:
        """The cipher to use for a packet that goes out; None where asyncssh is to send it."""
        connection = self._connection
        if (
            self._wire is None
            or not connection._kex_complete
            or connection._rekey_bytes_sent >= connection._rekey_bytes
            or self._channel.get_write_buffer_size()
            or self._channel.is_closing()
        ):
            return None
        return _gcm(connection._send_encryption)

    def _seal(self, cipher: Any, size: int, head: bytes, data: memoryview) -> None:
        padding = _TAG - (_FRAME + size) % _TAG
        padding += _TAG if padding < 4 else 0
        packet = b"".join(
            (
                bytes((padding, _DATA)),
                _U32.pack(self._channel._send_chan),
                _U32.pack(size),
                head,
                data,
                os.urandom(padding),
            )
        )
        length = _U32.pack(len(packet))
        sealed = self._aes(cipher).encrypt(cipher._iv, packet, length)
        cipher._update_iv()
        self._wire.write(length)
        self._wire.write(sealed)
        self._connection._rekey_bytes_sent += len(packet)
        self._channel._send_window -= size

    # In

    def get_buffer(self, sizehint: int) -> memoryview:
        """See ``asyncio.BufferedProtocol``."""
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """See ``asyncio.BufferedProtocol``."""
        self._connection.data_received(b"")  # the server lives: see ServerAliveInterval
        end = self._filled + nbytes
        at = 0
        while end - at >= _U32.size and not self._wire.is_closing():
            if not self._is_idle():  # it has the beginning of the next packet
                self._pass_on(at, end)
                at = end
                break
            length = _U32.size + _U32.unpack_from(self._buffer, at)[0] + _TAG
            if length > end - at:
                if length > _LARGEST:
                    self._pass_on(at, end)
                    at = end
                break
            if not self._open(at, at + length):
                self._pass_on(at, at + length)
            at += length
        self._filled = end - at
        if at and self._filled:
            self._buffer[: self._filled] = self._buffer[at:end]

    def _is_idle(self) -> bool:
        """Whether asyncssh has dealt with whole packets, so that we know what comes next."""
        connection = self._connection
        return (
            not connection._inpbuf
            and not connection._packet
            and _gcm(connection._recv_encryption) is not None
        )

    def _open(self, begin: int, end: int) -> bool:
        """Take a packet's data; False where there is none for us in it."""
        if self._channel._recv_paused:
            return False
        cipher = _gcm(self._connection._recv_encryption)
        body = begin + _U32.size
        try:
            packet = self._aes(cipher).decrypt(
                cipher._iv, self._view[body:end], self._view[begin:body]
            )
        except InvalidTag:
            return False  # asyncssh finds that as well, and knows what is to be done
        if len(packet) < _FRAME or _U32.unpack_from(packet, 2)[0] != self._channel._recv_chan:
            return False
        (size,) = _U32.unpack_from(packet, 6)
        if packet[1] == _WINDOW_ADJUST and not self._channel.get_write_buffer_size():
            cipher._update_iv()
            self._channel._send_window += size
            self.wake()
            return True
        if packet[1] != _DATA or size != len(packet) - _FRAME - packet[0]:
            return False
        cipher._update_iv()
        self._taken += size
        if self._taken >= self._channel.get_recv_window() // 2:
            self._channel.send_packet(_WINDOW_ADJUST, _U32.pack(self._taken))
            self._taken = 0
        self._take(memoryview(packet)[_FRAME : _FRAME + size])
        return True

    def _pass_on(self, begin: int, end: int) -> None:
        self._connection.data_received(bytes(self._view[begin:end]))
        self.wake()

    def wake(self) -> None:
        """Have those who wait for room look again."""
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    # What else a connection is told by its socket

    def eof_received(self) -> bool | None:
        """See ``asyncio.BufferedProtocol``."""
        told: bool | None = self._connection.eof_received()
        return told

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BaseProtocol``."""
        if exc is not None and not isinstance(exc, (OSError, asyncssh.Error)):
            # Of any other, asyncssh does not tell those who wait for an answer.
            exc = ConnectionError(f"{type(exc).__name__}: {exc}")
        self._connection.connection_lost(exc)
        self.wake()

    def pause_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._connection.resume_writing()

    def _aes(self, cipher: Any) -> AESGCM:
        """What a cipher of asyncssh makes for each packet anew."""
        owner, aes = self._ciphers.get(id(cipher), (None, None))
        if owner is not cipher or aes is None:
            if len(self._ciphers) > 2:  # those of keys that were exchanged
                self._ciphers.clear()
            aes = AESGCM(cipher._key)
            self._ciphers[id(cipher)] = (cipher, aes)
        return aes


def _is_known(connection: object, channel: object) -> bool:
    return all(hasattr(connection, name) for name in _NEEDED["connection"]) and all(
        hasattr(channel, name) for name in _NEEDED["channel"]
    )


def _gcm(encryption: object) -> Any:
    """The cipher of one direction; None if it is not AES-GCM, or there is none."""
    if type(encryption).__name__ != "GCMEncryption":
        return None
    cipher = getattr(encryption, "_cipher", None)
    return cipher if all(hasattr(cipher, name) for name in _NEEDED["cipher"]) else None
