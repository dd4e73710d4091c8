"""Every budget beside what was measured here and now: ``nox -s bench``.

Exits with 1 if a budget is exceeded, or if what was measured did not do its work.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import big_file
import big_manifest
import first_track
import many_processes
import start_up
import transfers
import warm_track
from harness import BenchmarkError, Options, Result, machine

BENCHMARKS: dict[str, Callable[[Options], list[Result]]] = {
    "warm_track": warm_track.measure,
    "first_track": first_track.measure,
    "start_up": start_up.measure,
    "big_manifest": big_manifest.measure,
    "big_file": big_file.measure,
    "many_processes": many_processes.measure,
    "transfers": transfers.measure,
}

UNITS = {"M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """Read a size such as ``512M`` or ``4G``."""
    number, unit = text[:-1], text[-1:].upper()
    if unit not in UNITS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 512M or 4G")
    return int(number) * UNITS[unit]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is over")
    parser.add_argument("--size", type=size, help="of the big file (default: 4G)")
    parser.add_argument("--dir", type=Path, help="work here (default: the temporary directory)")
    given = parser.parse_args()
    unknown = sorted(set(given.only) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    return given


def row(result: Result) -> str:
    measured = "–" if result.measured is None else f"{result.measured:.3g} {result.unit}"
    limit = "" if result.limit is None else f"≤ {result.limit:g} {result.unit}"
    line = f"{result.name:<44} {measured:>16} {limit:>16}  {result.verdict:<7} {result.note}"
    return line.rstrip()


def main() -> int:
    given = arguments()
    big = given.size or ((64 << 20) if given.quick else (4 << 30))
    options = Options(quick=given.quick, size=big, directory=given.dir)
    print(f"machine: {machine(given.dir)}")
    if given.quick:
        print("quick: small sizes and few repeats; it shows that it runs, not how fast")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        print(f"something else is running here (load {load:.1f}): expect worse figures")
    print(f"\n{'what':<44} {'measured':>16} {'limit':>16}  verdict", flush=True)

    over, broken = 0, 0
    for name, measure in BENCHMARKS.items():
        if given.only and name not in given.only:
            continue
        try:
            results = measure(options)
        except Exception as error:  # the others are still worth running
            broken += 1
            print(f"{name}: FAILED: {error}", flush=True)
            if not isinstance(error, BenchmarkError):
                traceback.print_exc()
            continue
        for result in results:
            over += result.verdict == "OVER"
            print(row(result), flush=True)

    print(f"\n{over} over budget, {broken} failed")
    return 1 if broken or (over and not given.quick) else 0


if __name__ == "__main__":
    sys.exit(main())
