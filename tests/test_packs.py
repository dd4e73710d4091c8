"""The pack format: every byte, and what is made of bytes that are none."""

from __future__ import annotations

import io
import os
import signal
import time
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from lazydata.digest import Digest
from lazydata.errors import NeedsUpgrade, ObjectCorrupt
from lazydata.packed import Packs
from lazydata.packs import LARGEST, MAGIC, PackedObject, PackWriter, decode, read_footer, verified


def digest(data: bytes) -> Digest:
    return Digest(f"blake3:{blake3(data).hexdigest()}")


def pack(*objects: bytes) -> tuple[str, bytes, list[PackedObject]]:
    file = io.BytesIO()
    writer = PackWriter(file)
    for data in objects:
        writer.add(digest(data), data)
    return writer.finish(), file.getvalue(), writer.objects


def footer(data: bytes) -> list[PackedObject]:
    return read_footer(lambda offset, length: data[offset : offset + length], len(data))


def test_the_bytes_of_a_pack() -> None:
    name, data, _ = pack(b"one", b"")
    one = "d33fb48ab5adff269ae172b29a6913ff04f6f266207a7a8e976f2ecd571d4492"
    empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert data == (
        b"lazydata pack 1\n"
        b"one"
        + f"blake3:{one}\t3\t16\t3\traw\n".encode()
        + f"blake3:{empty}\t0\t19\t0\traw\n".encode()
        + b"00000000000000a6\n"
        b"lazydata pack 1\n"
    )
    assert name == blake3(data).hexdigest()


def test_what_shrinks_is_compressed_and_what_does_not_is_not() -> None:
    _, data, packed = pack(b"shrinks" * 1000, bytes(range(256)))
    assert [each.codec for each in packed] == ["zstd", "raw"]
    assert packed[0].stored < 100
    assert footer(data) == packed


def test_zstd_as_any_library_writes_it() -> None:
    # A frame of another writer, with a checksum and without its size.
    frame = bytes.fromhex("28b52ffd040045000010616101003f012cb3cfdeb1")
    assert decode("zstd", frame, 100) == b"a" * 100


@given(st.lists(st.binary(max_size=300) | st.binary(max_size=9).map(lambda b: b * 50), max_size=20))
def test_what_was_packed_comes_back(objects: list[bytes]) -> None:
    _, data, packed = pack(*objects)
    assert footer(data) == packed
    for original, each in zip(objects, packed, strict=True):
        stored = data[each.offset : each.offset + each.stored]
        assert each.stored == len(original) or each.stored <= 0.95 * len(original)
        assert verified(each.digest, each.codec, stored, each.size) == original


@given(st.binary(max_size=200), st.data())
def test_a_changed_byte_is_noticed(original: bytes, draw: st.DataObject) -> None:
    _, data, packed = pack(original, b"other" * 50)
    at = draw.draw(st.integers(0, len(data) - 1))
    bad = bytearray(data)
    bad[at] ^= draw.draw(st.integers(1, 255))
    try:
        found = footer(bytes(bad))
    except ObjectCorrupt:
        return
    for each in found:
        stored = bytes(bad[each.offset : each.offset + each.stored])
        try:
            got = verified(each.digest, each.codec, stored, each.size)
        except (ObjectCorrupt, NeedsUpgrade):
            continue
        assert digest(got) == each.digest
    assert len(found) <= len(packed) + 1


@given(st.binary(max_size=300))
def test_any_bytes_are_no_pack(data: bytes) -> None:
    for text in (data, MAGIC + data, data + b"0000000000000010\n" + MAGIC):
        try:
            found = footer(text)
        except ObjectCorrupt:
            continue
        assert all(each.offset + each.stored <= len(text) for each in found)


@pytest.mark.parametrize(
    "line",
    [
        "blake3:" + "ab" * 32 + "\t1\t16\t5\traw",  # beyond the end of the data
        "blake3:" + "AB" * 32 + "\t1\t16\t1\traw",
        "blake3:" + "ab" * 32 + "\t-1\t16\t1\traw",
        "blake3:" + "ab" * 32 + "\t1\t16\t1",
        "md5:" + "ab" * 32 + "\t1\t16\t1\traw",
        "",
    ],
)
def test_a_footer_that_makes_no_sense_is_damage(line: str) -> None:
    lines = (line + "\n").encode()
    with pytest.raises(ObjectCorrupt):
        footer(MAGIC + b"x" + lines + b"%016x\n" % len(lines) + MAGIC)


@pytest.mark.parametrize("length", [b"-00000000000005f", b"              5f", b"0x0000000000005f"])
def test_a_length_that_is_no_length_is_damage(length: bytes) -> None:
    _, data, _ = pack(b"some bytes")
    at = len(data) - 17 - len(MAGIC)
    with pytest.raises(ObjectCorrupt):
        footer(data[:at] + length + data[at + 16 :])


def test_decoding_stops_at_the_size_that_is_claimed() -> None:
    _, data, packed = pack(bytes(8 << 20))
    stored = data[packed[0].offset : packed[0].offset + packed[0].stored]
    assert len(stored) < 2000
    with pytest.raises(ObjectCorrupt, match="101 bytes or more, not 100"):
        decode("zstd", stored, 100)
    with pytest.raises(ObjectCorrupt):
        decode("zstd", stored, (8 << 20) + 1)


@pytest.mark.parametrize("size", [LARGEST + 1, 1 << 40, (1 << 60)])
def test_a_size_that_no_object_has_takes_no_memory(size: int) -> None:
    with pytest.raises(ObjectCorrupt, match="can't have"):
        decode("zstd", b"", size)


@pytest.mark.parametrize(
    ("codec", "stored"),
    [
        ("raw", b"12"),
        ("zstd", b"12"),
        ("zstd", b""),
        ("zstd", b"\x28\xb5\x2f\xfd"),
    ],
)
def test_what_can_not_be_decoded_is_damage(codec: str, stored: bytes) -> None:
    with pytest.raises(ObjectCorrupt):
        decode(codec, stored, 3)


def test_a_codec_of_later_is_no_damage() -> None:
    with pytest.raises(NeedsUpgrade, match="lzma"):
        decode("lzma", b"123", 3)


def test_a_window_that_asks_for_much_memory_is_refused() -> None:
    # A frame whose header asks for a window of 2 GiB.
    frame = bytes.fromhex("28b52ffd00a8" + "010000")
    with pytest.raises(ObjectCorrupt, match="memory"):
        decode("zstd", frame, 3)


def test_a_fork_does_not_wait_for_a_note_that_its_parent_makes(tmp_path: Path) -> None:
    (tmp_path / f"{'0' * 64}.pack").write_bytes(b"no pack")
    packs = Packs(str(tmp_path), None)
    with packs.noting():
        child = os.fork()
        if not child:
            os._exit(len(packs.locate([digest(b"x")])))
        ended = 0, 0
        for _ in range(500):
            ended = os.waitpid(child, os.WNOHANG)
            if ended[0]:
                break
            time.sleep(0.02)
        else:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
    assert ended == (child, 0)
