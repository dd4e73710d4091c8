"""Every budget beside what was measured here and now: ``nox -s bench``.

Exits with 1 if a budget is exceeded, or if what was measured did not do its work.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import big_file
import big_manifest
import first_track
import git_hooks
import growth
import many_processes
import report
import start_up
import transfers
import warm_track
import workloads
from harness import BenchmarkError, Result, machine
from programs import PEERS
from suite import SuiteOptions

# Those of the suite, in the order of the page: beside peers, with results that are kept.
SUITE = workloads.SECTIONS | growth.SECTIONS

BENCHMARKS: dict[str, Callable[[SuiteOptions], list[Result]]] = {
    "warm_track": warm_track.measure,
    "first_track": first_track.measure,
    "start_up": start_up.measure,
    "git_hooks": git_hooks.measure,
    "big_manifest": big_manifest.measure,
    "big_file": big_file.measure,
    "many_processes": many_processes.measure,
    "transfers": transfers.measure,
    **workloads.BENCHMARKS,
    **growth.BENCHMARKS,
}

UNITS = {"M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """Read a size such as ``512M`` or ``4G``."""
    number, unit = text[:-1], text[-1:].upper()
    if unit not in UNITS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 512M or 4G")
    return int(number) * UNITS[unit]


COUNTS = {"k": 1_000, "M": 1_000_000}


def counts(text: str) -> tuple[int, ...]:
    """Read numbers of files such as ``1k,10k,1M``."""
    try:
        read = [int(each.rstrip("kM")) * COUNTS.get(each[-1:], 1) for each in text.split(",")]
    except ValueError:
        read = []
    if not read or min(read) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} are no numbers such as 1k,10k,100k")
    return tuple(read)


def names(text: str) -> tuple[str, ...]:
    """Read names of peers, of which there may be none."""
    given = tuple(filter(None, text.split(",")))
    if unknown := sorted(set(given) - set(PEERS)):
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(unknown)}")
    return given


def positive(text: str) -> float:
    """Read a number above zero."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def at_least_one(text: str) -> int:
    """Read a number from one on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than one")
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is over")
    parser.add_argument("--size", type=size, help="of the big file (default: 4G)")
    parser.add_argument("--dir", type=Path, help="work here (default: the temporary directory)")
    suite = parser.add_argument_group(f"of {', '.join(SUITE)}")
    suite.add_argument(
        "--peers",
        type=names,
        help=f"who is measured beside lazydata (default: {','.join(PEERS)}; with --quick: git)",
    )
    suite.add_argument("--rounds", type=at_least_one, help="how often (default: 3)")
    suite.add_argument("--scale", type=positive, default=1.0, help="times as many files; no budget")
    suite.add_argument(
        "--sizes",
        type=counts,
        default=(1_000, 10_000, 100_000),
        help="files, to show growth (default: 1k,10k,100k; the budget is about 10k and 1M)",
    )
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


def read_options(given: argparse.Namespace, scratch: Path) -> SuiteOptions:
    """What was asked for; results that mean nothing go to the scratch directory."""
    full = not given.quick and given.scale == 1.0
    usual = ("git",) if given.quick else tuple(PEERS)
    return SuiteOptions(
        quick=given.quick,
        size=given.size or ((64 << 20) if given.quick else (4 << 30)),
        directory=given.dir,
        peers=usual if given.peers is None else given.peers,
        rounds=given.rounds,
        scale=given.scale,
        sizes=given.sizes,
        results=report.RESULTS if full else scratch,
    )


def publish(options: SuiteOptions, scratch: Path) -> None:
    """Bring the page up to date; where results mean nothing, a copy of it."""
    page = report.PAGE
    if not options.full:
        page = Path(shutil.copy(page, scratch))
    report.page(SUITE, options.results, page)


def main() -> int:
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="lazydata-bench-") as scratch:
        return run(given, read_options(given, Path(scratch)), Path(scratch))


def run(given: argparse.Namespace, options: SuiteOptions, scratch: Path) -> int:
    """Run what was asked for.

    Returns:
        The exit code.
    """
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
        if name in report.NAMED:
            report.save_results(name, results, machine(given.dir), options.results)
        for result in results:
            over += result.verdict == "OVER"
            print(row(result), flush=True)

    if not given.only or set(given.only) & {*SUITE, *report.NAMED}:
        publish(options, scratch)
    print(f"\n{over} over budget, {broken} failed")
    return 1 if broken or (over and not given.quick) else 0


if __name__ == "__main__":
    sys.exit(main())
