"""One more version in a manifest that has very many entries."""

from __future__ import annotations

import time

from harness import SETTLE, BenchmarkError, Options, Result, between, manifest_text, median, place

LIMIT = 0.5  # seconds

SCRIPT = """
import time
from lazydata import track

begun = time.perf_counter()
track({path!r})
print(time.perf_counter() - begun)
"""


def common(one: bytes, other: bytes) -> int:
    """How many bytes two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def is_insertion(before: bytes, after: bytes) -> bool:
    """Whether all of ``before`` is still there, with one piece put into it."""
    kept = common(before, after) + common(before[::-1], after[::-1])
    return len(after) > len(before) and kept >= len(before)


def measure(options: Options) -> list[Result]:
    entries, rounds = (2_000, 2) if options.quick else (100_000, 7)
    tracked, content = f"data/f{entries // 2:06}.csv", b"a,b\n1,2\n" * 1000
    with place(options) as here:
        file = here.workspace / tracked
        file.write_bytes(content)
        here.manifest.write_text(manifest_text(tracked, content, entries), encoding="utf-8")
        script = here.script(SCRIPT.format(path=tracked))
        time.sleep(SETTLE)
        cold = float(here.python(script))
        figures = []
        for number in range(rounds):
            time.sleep(SETTLE if not number else 0.1)
            before = here.manifest.read_bytes()
            here.workspace.joinpath("new").write_bytes(content + f"{number},{number}\n".encode())
            here.workspace.joinpath("new").replace(file)
            figures.append(float(here.python(script)))
            after = here.manifest.read_bytes()
            if not is_insertion(before, after):
                raise BenchmarkError("the new version cost more of the manifest than one place")
            if after.count(f"path: {tracked}\n".encode()) != number + 2:
                raise BenchmarkError("the new version is not in the manifest")
    return [
        Result(
            f"one more version, {entries:,} entries",
            median(figures),
            "s",
            LIMIT,
            f"{between(figures)}; the first look at the manifest took {cold:.2f}",
        )
    ]
