"""Many processes that track a new file each, in one workspace, at once."""

from __future__ import annotations

import re
import subprocess
import sys
import time

from harness import BenchmarkError, Options, Result, place

SCRIPT = """
import os, sys, time
from lazydata import track

path = sys.argv[1]
open(f"ready-{os.path.basename(path)}", "x").close()
while not os.path.exists("go"):
    time.sleep(0.002)
track(path)
"""

PATIENCE = 300.0  # seconds


def measure(options: Options) -> list[Result]:
    count = 8 if options.quick else 64
    with place(options) as here:
        paths = [f"data/file{number:02}.csv" for number in range(count)]
        for path in paths:
            (here.workspace / path).write_text(f"name\n{path}\n" * 100, encoding="utf-8")
        script = here.script(SCRIPT)
        running = [
            subprocess.Popen(
                [sys.executable, str(script), path],
                cwd=here.workspace,
                env=here.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for path in paths
        ]
        try:
            begun = time.perf_counter()
            while len(list(here.workspace.glob("ready-*"))) < count:
                if time.perf_counter() - begun > PATIENCE or any(p.poll() for p in running):
                    break
                time.sleep(0.01)
            begun = time.perf_counter()
            (here.workspace / "go").touch()
            said = [process.communicate(timeout=PATIENCE)[0] for process in running]
            took = time.perf_counter() - begun
        finally:
            for process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        failed = [
            text or f"exit code {p.returncode}"
            for p, text in zip(running, said, strict=True)
            if p.returncode or text
        ]
        if failed:
            raise BenchmarkError(
                f"{len(failed)} of {count} processes had something to say: {failed[0]}"
            )
        found = re.findall(r"^ *- path: (\S+)$", here.manifest.read_text(encoding="utf-8"), re.M)
        if sorted(found) != paths:
            raise BenchmarkError(f"{count} files were tracked, the manifest lists {len(found)}")
    return [
        Result(
            f"{count} processes track {count} new files",
            float(count - len(found)),
            "missing",
            0.0,
            f"{len(found)} entries, no error; {took:.2f} s from the start signal to the last exit",
        )
    ]
