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
from itertools import product
from pathlib import Path

import fault_tracing
from fault_cases import CASES, Case
from fault_disks import KINDS, CutScene, UnavailableError
from fault_scene import Scene
from fault_trials import ERRORS, REFUSED, Trial, sample

POINTS_AT_ONCE = 12  # of one case, before the next has its turn
CUTS_AT_ONCE = 3
CUT_CASES = 4  # in each round


class Torture:
    """All of it, with what came of it so far.

    Args:
        minutes: when to stop.
        seed: of what is drawn.
    """

    def __init__(self, minutes: float, seed: int) -> None:
        self._end = time.monotonic() + minutes * 60
        self._draw = random.Random(seed)
        self.tried: Counter[str] = Counter()
        self.survived: Counter[str] = Counter()

    def run(self) -> None:
        """Take the cases in rounds until the time is over."""
        while not self._is_over():
            jobs: list[Callable[[], None]] = []
            jobs += [lambda case=case: self._kill(case) for case in CASES]  # type: ignore[misc]
            jobs += [lambda case=case: self._refuse(case) for case in REFUSED]  # type: ignore[misc]
            for kind, case in product(KINDS, self._draw.sample(CASES, CUT_CASES)):
                jobs.append(lambda case=case, kind=kind: self._cut(case, kind))  # type: ignore[misc]
            self._draw.shuffle(jobs)
            for job in jobs:
                if self._is_over():
                    return
                job()

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
    chosen = options.parse_args()
    why_not = fault_tracing.missing()
    if why_not is not None:
        print(f"nothing was tried: {why_not}")
        return 77
    print(f"seed {chosen.seed}, {chosen.minutes:g} minutes", flush=True)
    torture = Torture(chosen.minutes, chosen.seed)
    torture.run()
    for what, tried in sorted(torture.tried.items()):
        print(f"{what}: {torture.survived[what]} survived of {tried}")
    print(f"seed: {chosen.seed}")
    return int(torture.survived != torture.tried)


if __name__ == "__main__":
    sys.exit(main())
