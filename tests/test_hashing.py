"""Hashing large files while other programs write to them."""

import hashlib
import subprocess
import sys
import time

import pytest
from blake3 import blake3

from lazydata.digest import blocks

SIZE = 48 << 20

HASHER = """
import sys
from lazydata.digest import hash_file
from lazydata.errors import FileBusy
print("ready", flush=True)
for _ in sys.stdin:
    try:
        print(hash_file(sys.argv[1], seed=7).digest, flush=True)
    except FileBusy:
        print("busy", flush=True)
"""


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * (SIZE // 256))
    return path


@pytest.fixture
def hasher(large, desk):
    process = subprocess.Popen(
        [sys.executable, "-c", HASHER, str(large)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=desk.env,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate(timeout=60)


def ask(process):
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("size", [SIZE, SIZE - 1, SIZE + 4096, (16 << 20) + 5])
def test_a_large_file_has_the_digest_of_its_bytes(large, hasher, size):
    with open(large, "r+b") as file:
        file.truncate(size)
    ask(hasher)
    assert hasher.stdout.readline() == f"blake3:{blake3(large.read_bytes()).hexdigest()}\n"


def test_both_algorithms_agree_with_plain_reading(large):
    from lazydata.digest import hash_file

    assert hash_file(str(large), algorithm="sha256").digest == (
        f"sha256:{hashlib.sha256(large.read_bytes()).hexdigest()}"
    )


def test_a_file_that_is_cut_while_it_is_hashed_kills_nobody(large, hasher):
    for round_ in range(12):
        ask(hasher)
        time.sleep(0.002 * round_)
        with open(large, "r+b") as file:  # has to wait for the reader, but not for long
            file.truncate(0)
            file.truncate(SIZE)
            file.write(b"x" * SIZE)
        answer = hasher.stdout.readline()
        assert answer == "busy\n" or answer.startswith("blake3:"), hasher.poll()
    ask(hasher)
    assert hasher.stdout.readline() == f"blake3:{blake3(large.read_bytes()).hexdigest()}\n"


def test_a_writer_is_not_held_up_by_a_reader(large, hasher):
    waits = []
    for round_ in range(12):
        ask(hasher)
        time.sleep(0.002 * round_)
        begun = time.monotonic()
        with open(large, "r+b"):
            waits.append(time.monotonic() - begun)
        assert hasher.stdout.readline()
    assert max(waits) < 20, waits  # the system itself would end the wait after 45 s


def test_a_large_rest_is_hashed_from_where_it_begins(large):
    large.write_bytes(b"".join(n.to_bytes(8) for n in range(SIZE // 8)))
    data = large.read_bytes()
    with large.open("rb", buffering=0) as file:
        for begin in (20 << 20, (20 << 20) + 7):
            file.seek(begin)
            found = blake3()
            for block in blocks(file.fileno(), SIZE - begin):
                found.update(block)
            assert found.digest() == blake3(data[begin:]).digest()
