"""Fuzz every parser and run every state machine, in turns, and say what came of it.

``nox -s fuzz -- --minutes 30 --seed 7``. Coverage leads where atheris is installed; else
hypothesis changes the seeds of the same targets. The same seed draws the same turns. Each turn is
a process of its own, so that what it takes is bounded and a crash is only a finding.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from fuzz_machines import MACHINES
from fuzz_targets import TARGETS
from fuzz_turn import HAS_ATHERIS

SECONDS = 20.0  # of one turn
LEAST = 3.0  # the same, where there is little time for all of them
GRACE = 90.0  # seconds after its end in which a turn has to be over
HERE = Path(__file__).parent


class Fuzz:
    """All turns, with what came of them so far.

    Args:
        seed: of what is drawn.
        directory: for the corpus that grows, and the findings.
        seconds: of one turn.
    """

    def __init__(self, seed: int, directory: Path, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._draw = random.Random(seed)
        self._left: list[tuple[str, str]] = []  # of this round
        self._directory = directory
        self.findings = directory / "findings"
        self.done: Counter[tuple[str, str]] = Counter()
        self.spent: Counter[str] = Counter()  # seconds
        self.found: dict[str, str] = {}

    def run(self, minutes: float) -> None:
        """Give each its turn, in rounds, until the time is over."""
        end = time.monotonic() + minutes * 60
        while (left := end - time.monotonic()) > 0.5:
            self.turn(left)

    def turn(self, at_most: float = SECONDS) -> None:
        """Give the next one its turn.

        Args:
            at_most: seconds.
        """
        if not self._left:
            self._left = [("target", name) for name in TARGETS]
            self._left += [("machine", name) for name in MACHINES]
            self._draw.shuffle(self._left)
        self._turn(*self._left.pop(), min(self._seconds, at_most))

    @property
    def inputs(self) -> int:
        """How many were tried."""
        return self._sum("target")

    @property
    def hours(self) -> float:
        """How long all turns took together."""
        return sum(self.spent.values()) / 3600

    def _sum(self, kind: str) -> int:
        return sum(number for (each, _), number in self.done.items() if each == kind)

    def _turn(self, kind: str, name: str, seconds: float) -> None:
        seed = self._draw.randrange(1, 1 << 31)
        corpus = self._directory / "corpus" / name.replace(" ", "-").lstrip(".")
        command = [sys.executable, str(HERE / "fuzz_turn.py"), kind, name]
        command += ["--seconds", f"{seconds:.1f}", "--seed", str(seed)]
        command += ["--findings", str(self.findings), "--corpus", str(corpus)]
        begun = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, timeout=seconds + GRACE)
            said, stderr, code = done.stdout, done.stderr, done.returncode
        except subprocess.TimeoutExpired as error:
            said, stderr, code = b"", error.stderr or b"", -1
        self.spent[kind] += time.monotonic() - begun
        try:
            told = json.loads(said.splitlines()[-1])
        except (IndexError, ValueError):
            self._died(name, seed, code, stderr)
            return
        self.done[kind, name] += told["done"]
        for key, where in told["found"].items():
            self._note(f"{name} {key}", where)

    def _died(self, name: str, seed: int, code: int, stderr: bytes) -> None:
        self.findings.mkdir(parents=True, exist_ok=True)
        path = self.findings / f"{name.replace(' ', '-')}-died-{seed}.txt"
        path.write_bytes(stderr)
        self._note(f"{name} {seed}", f"the process ended with {code}: see {path}")

    def _note(self, key: str, where: str) -> None:
        if key not in self.found:
            self.found[key] = where
            print(f"FOUND {key}: {where}", flush=True)

    def report(self) -> None:
        """Print what was done."""
        for (kind, name), number in sorted(self.done.items()):
            what = "inputs" if kind == "target" else "examples"
            print(f"  {name}: {number:,} {what}")
        print(f"inputs tried: {self.inputs:,}")
        print(f"examples of state machines: {self._sum('machine'):,}")
        print(f"hours fuzzed: {self.hours:.2f}")
        print(f"findings: {len(self.found)}" + (f", in {self.findings}" if self.found else ""))


def main() -> int:
    """Print what was tried; 1 if there are findings."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options.add_argument("--directory", type=Path, default=Path("build/fuzz"))
    chosen = options.parse_args()
    how = "coverage leads" if HAS_ATHERIS else "atheris is not installed: hypothesis changes seeds"
    print(f"seed {chosen.seed}, {chosen.minutes:g} minutes; {how}", flush=True)
    each = chosen.minutes * 60 / (len(TARGETS) + len(MACHINES))
    seconds = min(SECONDS, max(LEAST, each))
    fuzz = Fuzz(chosen.seed, chosen.directory.resolve(), seconds)
    fuzz.run(chosen.minutes)
    fuzz.report()
    print(f"seed: {chosen.seed}")
    return int(bool(fuzz.found))


if __name__ == "__main__":
    sys.exit(main())
