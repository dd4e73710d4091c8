"""``import lazydata`` and the first ``track()`` in a process, over a bare interpreter."""

from __future__ import annotations

import time

from harness import (
    SETTLE,
    BenchmarkError,
    Options,
    Result,
    between,
    interleaved,
    manifest_text,
    median,
    place,
)

LIMIT = 40.0  # milliseconds


def measure(options: Options) -> list[Result]:
    entries, rounds = (1_000, 3) if options.quick else (10_000, 31)
    tracked, content = f"data/f{entries // 2:06}.csv", b"a,b\n1,2\n" * 1000
    with place(options) as here:
        (here.workspace / tracked).write_bytes(content)
        here.manifest.write_text(manifest_text(tracked, content, entries), encoding="utf-8")
        before = here.manifest.read_bytes()
        script = here.script(f"from lazydata import track\n\ntrack({tracked!r})\n")
        imports = here.script("import lazydata\nlazydata.track\n", "imports.py")
        bare = here.script("pass\n", "bare.py")
        for _ in range(2):  # what is looked at twice, and is old enough, is known
            time.sleep(SETTLE)
            here.python(script)
        first, only, nothing = interleaved(
            rounds,
            lambda: here.python(script),
            lambda: here.python(imports),
            lambda: here.python(bare),
        )
        if here.manifest.read_bytes() != before:
            raise BenchmarkError("tracking an unchanged file changed the manifest")
    over = [a - b for a, b in zip(first, nothing, strict=True)]
    return [
        Result(
            f"import + first track(), {entries:,} entries",
            (median(first) - median(nothing)) * 1e3,
            "ms",
            LIMIT,
            f"over a bare interpreter ({median(nothing) * 1e3:.1f} ms), {between(over, 1e3)}; "
            f"the import alone {(median(only) - median(nothing)) * 1e3:.1f}",
        )
    ]
