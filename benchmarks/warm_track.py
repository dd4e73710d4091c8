"""A warm ``track()``: the file and the manifest are what they were a moment ago."""

from __future__ import annotations

import json

from harness import SETTLE, BenchmarkError, Options, Result, between, median, place

LIMIT = 10.0  # microseconds a call

SCRIPT = f"""
import json, os, sys, time
from lazydata import track

def run(path, calls):
    begun = time.perf_counter()
    for _ in range(calls):
        track(path)
    return (time.perf_counter() - begun) / calls

calls, repeats = int(sys.argv[1]), int(sys.argv[2])
relative = "data/table.csv"
absolute = os.path.abspath(relative)
track(relative)
time.sleep({SETTLE})
track(relative), track(absolute)
figures = [(run(relative, calls), run(absolute, calls)) for _ in range(repeats)]
print(json.dumps(figures))
"""


def measure(options: Options) -> list[Result]:
    calls, repeats = (500, 3) if options.quick else (10_000, 21)
    with place(options) as here:
        (here.workspace / "data" / "table.csv").write_bytes(b"a,b\n1,2\n" * 1000)
        script = here.script(SCRIPT)
        figures = json.loads(here.python(script, str(calls), str(repeats)))
        if "path: data/table.csv" not in here.manifest.read_text(encoding="utf-8"):
            raise BenchmarkError("track() did not record the file")
    results = []
    for kind, values in zip(("relative", "absolute"), zip(*figures, strict=True), strict=True):
        results.append(
            Result(
                f"warm track(), {kind} path",
                median(values) * 1e6,
                "µs",
                LIMIT,
                f"{repeats} × {calls} calls, {between(values, 1e6)}",
            )
        )
    return results
