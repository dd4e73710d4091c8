"""Disturb every case for as long as there is time, and say how many points were survived.

``nox -s torture -- --minutes 30 --seed 7``. The same seed draws the same points, as far as
time goes.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "fuzz"))

import crowds
import fault_tracing
from fault_cases import CASES, Case
from fault_disks import KINDS, CutScene, UnavailableError
from fault_scene import Scene
from fault_trials import ERRORS, REFUSED, Trial, sample

from fuzz import Fuzz

POINTS_AT_ONCE = 12  # of one case, before the next has its turn
CUTS_AT_ONCE = 3
CUT_CASES = 4  # in each round
CROWDS = 2  # in each round
CROWD_SIZES = (16, 32, 64)  # processes
CROWD_SECONDS = 25.0  # longer than what gc leaves alone since it is new
INPUT_TURNS = 5  # in each round
INPUT_SECONDS = 8.0  # of each
FINDINGS = Path("build/fuzz")
UMASKS = (0o002, 0o022, 0o027, 0o077)
WHAT = ("crashes", "faults", "cuts", "crowds", "inputs")


class Torture:
    """All of it, with what came of it so far.

    Args:
        minutes: when to stop.
        seed: of what is drawn.
        only: one of ``WHAT``, and not the rest; None for all.
    """

    def __init__(self, minutes: float, seed: int, only: str | None = None) -> None:
        self._only = only
        self.processes = self.operations = 0
        self.longest = 0.0, ""
        self._end = time.monotonic() + minutes * 60
        self._draw = random.Random(seed)
        self.fuzz = Fuzz(seed, FINDINGS.resolve(), INPUT_SECONDS)
        self.tried: Counter[str] = Counter()
        self.survived: Counter[str] = Counter()

    def run(self) -> None:
        """Take the cases in rounds until the time is over."""
        while not self._is_over():
            jobs = self._round()
            self._draw.shuffle(jobs)
            for job in jobs:
                if self._is_over():
                    return
                job()

    def _round(self) -> list[Callable[[], None]]:
        kinds = [each for each in crowds.KINDS if not each.users or os.geteuid() == 0]
        jobs: dict[str, list[Callable[[], None]]] = {
            "crashes": [partial(self._kill, case) for case in CASES],
            "faults": [partial(self._refuse, case) for case in REFUSED],
            "cuts": [
                partial(self._cut, case, kind)
                for kind, case in product(KINDS, self._draw.sample(CASES, CUT_CASES))
            ],
            "crowds": [partial(self._crowd, kind) for kind in self._draw.sample(kinds, CROWDS)],
            "inputs": [self._feed] * INPUT_TURNS,
        }
        return [job for what in WHAT if self._only in (None, what) for job in jobs[what]]

    def _is_over(self) -> bool:
        return time.monotonic() > self._end

    def _kill(self, case: Case) -> None:
        with _plain() as scene:
            trial = Trial(case, scene)
            for point in sample(trial.points, POINTS_AT_ONCE, self._draw):
                self._try("crash points", lambda point=point: trial.kill(point))  # type: ignore[misc]

    def _refuse(self, case: Case) -> None:
        with _plain() as scene:
            trial = Trial(case, scene)
            for point in sample(trial.points, POINTS_AT_ONCE, self._draw):
                error = self._draw.choice(ERRORS)
                self._try(
                    "faults injected",
                    lambda point=point, error=error: trial.refuse(point, error),  # type: ignore[misc]
                )

    def _cut(self, case: Case, kind: str) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="lazydata-torture-") as base:
                scene = CutScene(Path(base), kind)
                try:
                    trial = Trial(case, scene)
                    self._try(f"power cuts on {kind}", trial.finish)
                    for point in sample(trial.points, CUTS_AT_ONCE, self._draw):
                        self._try(
                            f"power cuts on {kind}",
                            lambda point=point: trial.kill(point),  # type: ignore[misc]
                        )
                finally:
                    scene.close()
        except UnavailableError as error:
            print(f"no power cut on {kind}: {error}")

    def _crowd(self, kind: crowds.Kind) -> None:
        size = self._draw.choice(CROWD_SIZES)
        umasks = (self._draw.choice(UMASKS), self._draw.choice(UMASKS)) if kind.apart else (0o002,)
        with tempfile.TemporaryDirectory(prefix="lazydata-torture-") as base:
            os.chmod(base, 0o755)
            server = crowds.Server(Path(base))
            try:
                crowd = crowds.Crowd(server, kind, Path(base) / "crowd", umasks)
                crowds.prepare(crowd)
                members = crowds.mixed(crowd, self._draw, size, CROWD_SECONDS)
                self._try("crowds", lambda: self._let_loose(crowd, members))
            finally:
                server.close()

    def _let_loose(self, crowd: crowds.Crowd, members: list[crowds.Ask]) -> None:
        outcome = crowds.checked(crowd, crowd.run(*members))
        self.processes += outcome.processes
        self.operations += outcome.did.total()
        self.longest = max(self.longest, outcome.longest)
        assert not outcome.wrong, crowd.said(outcome)

    def _feed(self) -> None:
        self.fuzz.turn(self._end - time.monotonic())

    def _try(self, what: str, work: Callable[[], object]) -> None:
        if self._is_over():
            return
        self.tried[what] += 1
        try:
            work()
            self.survived[what] += 1
        except AssertionError as error:
            print(f"NOT SURVIVED: {error}", flush=True)


@contextmanager
def _plain() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="lazydata-torture-") as base:
        scene = Scene(Path(base) / "scene", Path(base) / "logs")
        try:
            yield scene
        finally:
            scene.close()


def main() -> int:
    """Print what was tried and survived; 1 if something was not, 77 if nothing can be tried."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    options.add_argument("--only", choices=WHAT, help="and nothing else")
    chosen = options.parse_args()
    why_not = fault_tracing.missing()
    if why_not is not None and chosen.only not in ("crowds", "inputs"):
        print(f"nothing was tried: {why_not}")
        return 77
    print(f"seed {chosen.seed}, {chosen.minutes:g} minutes", flush=True)
    torture = Torture(chosen.minutes, chosen.seed, chosen.only)
    torture.run()
    for what, tried in sorted(torture.tried.items()):
        print(f"{what}: {torture.survived[what]} survived of {tried}")
    if torture.processes:
        print(f"in crowds: {torture.processes} processes, {torture.operations:,} operations")
        print(f"the longest one took {torture.longest[0]:.1f} s: {torture.longest[1]}")
    fuzz = torture.fuzz
    if fuzz.done:
        print(
            f"bad inputs: {fuzz.inputs:,} tried in {fuzz.hours:.2f} hours, {len(fuzz.found)} found"
        )
    print(f"seed: {chosen.seed}")
    return int(torture.survived != torture.tried or bool(fuzz.found))


if __name__ == "__main__":
    sys.exit(main())
