"""One case, disturbed at one point: killed, cut off from its disk, or refused by the system."""

from __future__ import annotations

import random
from collections.abc import Sequence

from fault_cases import CASES, SCRIPT, Case
from fault_scene import Scene, State
from fault_tracing import KILLED, Done, Point

from lazydata import errors

# What a refusal may be answered with; 0 where it was about nothing that matters.
EXIT_CODES = {
    "ENOSPC": (0, 3, 28),
    "EDQUOT": (0, 3, 28),
    "EACCES": (0, 3, 15, 21),
    "EIO": (0, 3, 17, 20),
}
ERRORS = tuple(EXIT_CODES)
REFUSED = tuple(
    case
    for case in CASES
    if case.argv[0] in (*SCRIPT, "track", "restore", "push", "pull", "untrack", "gc")
)
_IDS = ("-wal", "-shm", "-journal", ".sqlite")


class Trial:
    """A case, ready to be disturbed.

    Args:
        case: from the table.
        scene: empty, and only for this case.
    """

    def __init__(self, case: Case, scene: Scene) -> None:
        self.case, self._scene = case, scene
        case.begin(scene)
        scene.save()
        self._before = self._listed()
        self._precious = scene.state().objects | scene.state().remote | scene.bytes_of_user()
        done = self._run(trace=True)
        assert done.code == 0, (case.name, done)
        self.points = done.points
        self._after = scene.state()
        if case.frees:
            kept = self._after.objects | self._after.remote | scene.bytes_of_user()
            assert kept < self._precious, f"{case.name} frees nothing"
            self._precious = kept
        self._again(self._after)

    def kill(self, point: Point) -> bool:
        """Kill the command at the entry of a system call, and look at what is left.

        Returns:
            Whether it came so far.
        """
        self._scene.reset()
        done = self._run(inject="signal=KILL", at=point)
        if done.code == 0:
            return False  # it went another way this time
        assert done.code == KILLED, self._say(point, f"ended with {done}")
        self._scene.cut()
        self.check(point)
        return True

    def finish(self) -> None:
        """Cut the power right after the command has ended: what it said is done is done."""
        self._scene.reset()
        done = self._run()
        assert done.code == 0, done
        self._scene.cut()
        listed = self._listed()
        assert listed == self._after.manifest, self._say(None, listed)
        self.check(None)

    def refuse(self, point: Point, error: str) -> bool:
        """Let the system refuse one call, and look at what is said and left.

        Args:
            point: the call.
            error: as in errno.h.

        Returns:
            Whether the command failed of it.
        """
        self._scene.reset()
        done = self._run(inject=f"error={error}", at=point)
        where = self._say(point, error)
        code = _code(done)
        assert code in EXIT_CODES[error], f"{where}\n{done.code}: {done.stdout}{done.stderr}"
        left = [each for each in self._scene.temps() if str(each) not in done.stderr]
        assert not left or point.call.startswith("unlink"), f"{where}\nleft {left}"
        self.check(point, copies=True)
        return code != 0

    def check(self, point: Point | None, *, copies: bool = False) -> None:
        """All that must hold whatever happened at a point.

        Args:
            point: where it happened; None for nowhere.
            copies: see ``State.differs``.
        """
        scene = self._scene
        listed = self._listed()
        assert listed in (self._before, self._after.manifest), self._say(point, listed)
        found = scene.state()
        gone = self._precious - found.objects - found.remote - scene.bytes_of_user()
        assert not gone, self._say(point, f"lost {sorted(gone)}")
        if listed:
            verified = scene.runner.run(("verify",), scene.work)
            assert verified.code == 0, self._say(point, verified)
        self._again(self._after, point, copies=copies)

    def _again(self, wanted: State, point: Point | None = None, *, copies: bool = False) -> None:
        """The same command once more, which must end as if nothing had happened."""
        done = self._run()
        assert done.code in self.case.again, self._say(point, f"again: {done}")
        differs = wanted.differs(self._scene.state(), copies=copies)
        assert not differs, self._say(point, f"again: {differs}\n{done}")

    def _run(self, **more: object) -> Done:
        return self._scene.runner.run(  # type: ignore[arg-type]
            self.case.argv, self._scene.work, below=self._scene.base, **more
        )

    def _listed(self) -> bytes:
        return self._scene.listed()

    def _say(self, point: Point | None, what: object) -> str:
        return f"{self.case.name}, {point or 'undisturbed'}: {what}"


def sample(points: Sequence[Point], most: int, draw: random.Random) -> list[Point]:
    """At most so many points, evenly spread; fewer of the index, which may be lost."""
    index = [each for each in points if _is_index(each)]
    others = [each for each in points if not _is_index(each)]
    few = min(len(index), max(1, most // 6))
    return _spread(others, max(1, most - few), draw) + _spread(index, few, draw)


def _code(done: Done) -> int:
    """The exit code, also where an error of ours ended a script."""
    name = done.stderr.rstrip().rpartition("\nlazydata.errors.")[2].partition(":")[0]
    return getattr(getattr(errors, name, None), "exit_code", done.code)


def _is_index(point: Point) -> bool:
    return point.path.endswith(_IDS)


def _spread(points: Sequence[Point], most: int, draw: random.Random) -> list[Point]:
    if len(points) <= most:  # also where there are none
        return list(points)
    step = len(points) / most
    return [points[int((at + draw.random()) * step)] for at in range(most)]
