"""What long work reports to, and when it is shown; ``displays`` does the drawing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lazydata.displays import Display

quiet = False  # set by the command line: nothing is shown

_GRACE = 0.1  # seconds that the end of a work waits for its display
_LOOK = 1.0  # seconds between two looks whether it is one's turn
_SPAN = 8.0  # seconds over which a rate is taken

# Who is shown, by process: what a forked child inherits here is not its own.
_turns: dict[int, _Show] = {}
_pauses: list[None] = []


class Progress(Protocol):
    """Told of every bit of work done, as it is done.

    It is called from several threads at once, and often: it locks what it
    counts, returns at once and never raises.

    Args:
        moved: bytes moved since the last call; negative where an attempt is
            given up and its bytes have to be moved again.

    Example:
        >>> def show(moved: int, /) -> None:
        ...     print(f"{moved:+} bytes")
    """

    def __call__(self, moved: int, /) -> None: ...


def silent(moved: int, /) -> None:
    """A ``Progress`` that nobody sees."""


@contextmanager
def attempt(progress: Progress) -> Iterator[Progress]:
    """Report one attempt, and take back what it reported if it fails.

    So the sum of all reports is right however often something is tried.

    Args:
        progress: where the reports go.

    Example:
        >>> with attempt(silent) as report:
        ...     report(10)
    """
    total = 0

    def report(moved: int, /) -> None:
        nonlocal total
        total += moved
        progress(moved)

    try:
        yield report
    except BaseException:
        if total:
            progress(-total)
        raise


class Meter:
    """What a long work has to do and has done; a ``Progress`` that several threads share.

    Args:
        doing: what it is, such as ``"pushing to origin"``.

    Attributes:
        doing: the same, without control characters.
        bytes_done, files_done: so far.
        bytes_total, files_total: as far as is known; 0 where nothing is.

    Example:
        >>> meter = Meter("downloading data/x.csv")
        >>> meter.expect(files=1, size=2_000)
        >>> meter(1_500)
        >>> meter.bytes_done, meter.bytes_total
        (1500, 2000)
    """

    def __init__(self, doing: str = "") -> None:
        from threading import Lock

        # Names of files are in it, and a terminal obeys control characters.
        self.doing = "".join(c if c.isprintable() else repr(c)[1:-1] for c in doing)
        self.bytes_done = self.bytes_total = 0
        self.files_done = self.files_total = 0
        self._lock = Lock()

    def expect(self, *, files: int = 0, size: int = 0) -> None:
        """Add to what there is to do: files, and their bytes."""
        with self._lock:
            self.files_total += files
            self.bytes_total += size

    def __call__(self, moved: int, /) -> None:
        with self._lock:
            self.bytes_done += moved

    def done(self, files: int = 1) -> None:
        """Count files that are finished."""
        with self._lock:
            self.files_done += files


@contextmanager
def shown(
    doing: str, *, after: float = 1.0, clock: Callable[[], float] = monotonic
) -> Iterator[Meter]:
    """Show a work while it goes on, in the way that fits where this process runs.

    A bar on a terminal, a bar in a notebook, elsewhere a line every ten seconds. One
    work is shown at a time, the one that began first: so what belongs to a larger
    work is not shown beside it. Work that is done soon is not shown at all.

    Args:
        doing: what it is, such as ``"pushing to origin"``.
        after: seconds that it is left alone.
        clock: seconds.

    Example:
        >>> with shown("pushing to origin") as meter:
        ...     meter.expect(files=1, size=10)
        ...     meter(10)
        ...     meter.done()
    """
    meter = Meter(doing)
    if quiet or os.environ.get("LAZYDATA_QUIET", "") not in ("", "0"):
        yield meter
        return
    show = _Show(meter, after, clock)
    try:
        show.begin()
        yield meter
    finally:
        show.end()


@contextmanager
def paused() -> Iterator[None]:
    """Keep displays away, as long as the user is asked something.

    Example:
        >>> with paused():
        ...     answer = "yes"  # input("Go on? ")
    """
    _pauses.append(None)
    try:
        show = _turns.get(os.getpid())
        if show is not None:
            show.hide()
        yield
    finally:
        _pauses.pop()


class _Show:
    """One work's display, and the thread that keeps it up to date."""

    def __init__(self, meter: Meter, after: float, clock: Callable[[], float]) -> None:
        from threading import Event, Lock, Thread

        self._meter = meter
        self._after = after
        self._clock = clock
        self._began = clock()
        self._speed = _Speed(self._began)
        self._display: Display | None = None
        self._pid = os.getpid()
        self._lock = Lock()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="lazydata-progress", daemon=True)

    def begin(self) -> None:
        self._has_turn()
        try:
            self._thread.start()
        except RuntimeError:  # there are too many, or the interpreter is shutting down
            self._give_up_turn()

    def end(self) -> None:
        try:
            # In a forked child there is no such thread, and its lock may never be free.
            if os.getpid() == self._pid:
                self._stop.set()
                if self._thread.is_alive():
                    self._thread.join(_GRACE)
                self.hide(wait=False)  # the thread may be slow, or its terminal stalled
        finally:
            if self._display is not None:
                self._display.leave()

    def hide(self, *, wait: bool = True) -> None:
        if self._lock.acquire(blocking=wait):
            try:
                if self._display is not None:
                    self._display.hide()
            except Exception:
                pass  # whatever is wrong with the display, the work goes on
            finally:
                self._lock.release()

    def _has_turn(self) -> bool:
        return _turns.setdefault(os.getpid(), self) is self

    def _give_up_turn(self) -> None:
        if _turns.get(self._pid) is self:
            del _turns[self._pid]

    def _run(self) -> None:
        pause: float | None = self._after
        try:
            while not self._stop.wait(pause):
                pause = self._draw() if self._has_turn() else _LOOK
            self.hide()
        except Exception:
            pass  # as above
        finally:
            self._give_up_turn()
            if self._display is not None:
                self._display.leave()

    def _draw(self) -> float | None:
        """Draw; how many seconds to wait then, ``None`` for good."""
        from lazydata import displays

        # Such an import may take long, and the work be done by now.
        if self._display is None and not self._stop.is_set():
            self._display = displays.fitting()
        if self._display is None:
            return None
        meter, now = self._meter, self._clock()
        state = displays.State(
            meter.doing,
            meter.bytes_done,
            meter.bytes_total,
            meter.files_done,
            meter.files_total,
            self._speed.at(now, meter.bytes_done),
            now - self._began,
        )
        with self._lock:
            if _pauses:
                self._display.hide()
            elif not self._stop.is_set():
                self._display.draw(state)
        return self._display.every


class _Speed:
    """Bytes per second over the last seconds."""

    def __init__(self, began: float) -> None:
        self._seen = [(began, 0)]

    def at(self, now: float, done: int) -> float:
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _SPAN:
            del self._seen[0]
        then, before = self._seen[0]
        return max(0, done - before) / (now - then) if now > then else 0.0
