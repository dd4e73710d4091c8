"""One big file in the page cache: ``track()`` beside ``b3sum``."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from harness import SETTLE, BenchmarkError, Options, Place, Result, between, median, place, seconds

LIMIT = 2.0  # times b3sum

TRACK = """
import time
from lazydata import track

begun = time.perf_counter()
track("data/big.bin")
print(time.perf_counter() - begun)
"""

# What the work consists of, each alone and read as plainly as can be.
PARTS = """
import time
from blake3 import blake3
from xxhash import xxh3_128

def timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun

def xxh3():
    hasher, block = xxh3_128(), bytearray(4 << 20)
    with open("data/big.bin", "rb", buffering=0) as file:
        while count := file.readinto(block):
            hasher.update(memoryview(block)[:count])

identity = blake3(max_threads=blake3.AUTO)
print(timed(lambda: identity.update_mmap("data/big.bin")), timed(xxh3))
"""

BLOCK = 16 << 20


def write(file: Path, size: int) -> None:
    """Bytes without a pattern that anything could make use of, on disk and in memory."""
    block = os.urandom(BLOCK)
    with file.open("wb") as target:
        for start in range(0, size, BLOCK):
            piece = start.to_bytes(8, "little") + block[8:]
            target.write(piece[: size - start])
        target.flush()
        os.fsync(target.fileno())
    read(file)


def read(file: Path) -> None:
    block = bytearray(BLOCK)
    with file.open("rb", buffering=0) as source:
        while source.readinto(block):
            pass


def tracked(here: Place, file: Path, script: Path, links: int) -> tuple[float, float]:
    """Track the file for the first time.

    Returns:
        Seconds of the whole process, and of the call.
    """
    here.clear()
    file.chmod(0o644)
    time.sleep(SETTLE)
    said: list[str] = []
    whole = seconds(lambda: said.append(here.python(script)))
    if file.stat().st_nlink != links:
        raise BenchmarkError(
            f"the file has {file.stat().st_nlink} links after track(), not {links}"
        )
    return whole, float(said[0])


def measure(options: Options) -> list[Result]:
    size = options.size
    name = f"track() of one file, {size / 2**30:.3g} GiB"
    if not shutil.which("b3sum"):
        return [Result(name, None, "× b3sum", LIMIT, "b3sum is not installed")]
    rounds = 1 if options.quick else 3
    with place(options, "link: hardlink\n") as here:
        if shutil.disk_usage(here.base).free < 2.2 * size:
            return [Result(name, None, "× b3sum", LIMIT, "not enough free space for a copy of it")]
        file = here.workspace / "data" / "big.bin"
        write(file, size)
        script, parts = here.script(TRACK), here.script(PARTS, "parts.py")
        b3sum = ["b3sum", "--no-names", str(file)]

        sums, wholes, calls, blakes, xxh3s = [], [], [], [], []
        for _ in range(rounds):
            sums.append(seconds(lambda: subprocess.run(b3sum, check=True, capture_output=True)))
            whole, call = tracked(here, file, script, links=2)
            wholes.append(whole)
            calls.append(call)
            blake, xxh3 = map(float, here.python(parts).split())
            blakes.append(blake)
            xxh3s.append(xxh3)
        base = median(sums)

        here.config = "link: copy\n"
        copy, _ = tracked(here, file, script, links=1)
    ratios = [whole / base for whole in wholes]
    return [
        Result(
            f"{name}, hardlinked",
            median(wholes) / base,
            "× b3sum",
            LIMIT,
            f"b3sum {base:.2f} s, track() {median(wholes):.2f} s ({between(ratios)})",
        ),
        Result(
            "  of that: BLAKE3 alone",
            median(blakes) / base,
            "× b3sum",
            note="identity, all threads, mapped",
        ),
        Result(
            "  of that: XXH3 alone",
            median(xxh3s) / base,
            "× b3sum",
            note="the fingerprint, one thread, reading included; may run beside BLAKE3",
        ),
        Result(
            "  of that: not in track()",
            (median(wholes) - median(calls)) / base,
            "× b3sum",
            note="start and end of the process, imports",
        ),
        Result(
            f"{name}, copied",
            copy / base,
            "× b3sum",
            note=f"{copy:.2f} s, with the copy written to disk",
        ),
    ]
