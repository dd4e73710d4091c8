"""How long work is shown: a bar on a terminal, a bar in a notebook, plain lines elsewhere.

These only draw. When, and for which work, is ``progress``'s affair; so nothing here
starts a thread or looks at a clock.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TextIO

if TYPE_CHECKING:
    from rich.text import Text

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_MINUTE = 59.5  # seconds; from here on it is rounded to minutes
_LINE_EVERY = 10.0  # seconds
_GAP = 2  # cells between two columns of a bar
_SHORTEST, _ENOUGH, _LONGEST = 8, 20, 40  # cells of the bar itself
_UNKNOWN = 80  # columns of a terminal that does not say


class State(NamedTuple):
    """Where a work stands.

    Args:
        doing: what it is, fit to print.
        bytes_done, bytes_total: bytes; a total of 0 is not known.
        files_done, files_total: likewise.
        rate: bytes per second, of late.
        seconds: since it began.
    """

    doing: str
    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    files_total: int = 0
    rate: float = 0.0
    seconds: float = 0.0

    @property
    def fraction(self) -> float | None:
        """How much of it is done, 0 to 1; ``None`` where no total is known."""
        done, total = self.bytes_done, self.bytes_total
        if not total:
            done, total = self.files_done, self.files_total
        return min(1.0, max(0.0, done / total)) if total > 0 else None

    @property
    def left(self) -> float | None:
        """Seconds that it will still take; ``None`` where nobody can tell."""
        missing = self.bytes_total - self.bytes_done
        return missing / self.rate if missing > 0 and self.rate > 0 else None


class Display(Protocol):
    """One way to show a work.

    Attributes:
        every: seconds from one drawing to the next.
    """

    every: float

    def draw(self, state: State) -> None:
        """Show where the work stands; may raise what the stream raises."""

    def hide(self) -> None:
        """Take away what is shown; the next ``draw`` brings it back."""

    def leave(self) -> None:
        """Give back what was borrowed; waits for nothing, and may be called twice."""


def fitting() -> Display | None:
    """The display that fits where this process is, or ``None`` if it has no stderr."""
    if _in_kernel():
        return Notebook()
    stream = sys.stderr
    if stream is None:
        return None
    if _is_terminal(stream) and not _is_worker():
        return Bar(stream)
    return Lines()


def _in_kernel() -> bool:
    # Found, not imported: without IPython there is no kernel either.
    ask = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = ask() if ask is not None else None
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    except (AttributeError, OSError, ValueError):
        return False


def _is_worker() -> bool:
    # Several bars, each of a process of its own, would draw over each other.
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


# -- the words


def facts(state: State, *, short: bool = False) -> dict[str, str]:
    """What there is to say of a work, by column; what is not known is left out.

    Args:
        state: of which work.
        short: for a bar, where there is little room.

    Example:
        >>> facts(State("", 1_200_000, 4_000_000, rate=7e4), short=True)
        {'amount': '1.2/4.0 MB', 'rate': '70 kB/s', 'left': '40 s left'}
    """
    said = {}
    of = "/" if short else " of "
    if state.bytes_total or state.bytes_done:
        said["amount"] = _amount(state.bytes_done, state.bytes_total, of)
    if max(state.files_total, state.files_done) > 1:
        total = f"{of}{state.files_total:,}" if state.files_total else ""
        said["files"] = f"{state.files_done:,}{total} files"
    if "amount" in said:
        said["rate"] = _rate(state.rate)
    if state.left is not None:
        said["left"] = f"{'' if short else 'about '}{_duration(state.left)} left"
    return said or {"time": _duration(state.seconds) + ("" if short else " so far")}


def _amount(done: int, total: int, of: str) -> str:
    scale = _scale(max(done, total))
    numbers = [_number(count, scale) for count in ([done, total] if total else [done])]
    return f"{of.join(numbers)} {_UNITS[scale]}"


def _rate(rate: float) -> str:
    scale = _scale(rate)
    digits = 1 if rate / 1000**scale < 9.95 else 0
    return f"{_number(rate, scale, digits)} {_UNITS[scale]}/s"


def _scale(count: float) -> int:
    scale = 0
    while scale + 1 < len(_UNITS) and round(count / 1000**scale, 1) >= 1000:
        scale += 1
    return scale


def _number(count: float, scale: int, digits: int = 1) -> str:
    return f"{count / 1000**scale:.{digits if scale else 0}f}"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{round(hours / 24)} days"


# -- a terminal


class Bar:
    """One line at the bottom of a terminal, drawn again and again.

    Other lines that go to stderr or stdout in the meantime come above it, as they
    are: ``rich.live`` would break them at the width of the terminal, read markup in
    them, and send stdout's to stderr. Only carriage returns and blanks move the bar,
    which also works where a terminal is merely imitated, as below a notebook's ``!``.

    Args:
        stream: the terminal.
    """

    every = 1 / 8

    def __init__(self, stream: TextIO) -> None:
        from threading import RLock

        from rich.console import Console

        # A signal handler may print while its thread is printing: hence an RLock.
        self.lock = RLock()
        self.mid_line = False  # somebody's line has no end yet: not the time to draw
        self._stream = _bare(stream)
        self._console = Console(
            file=self._stream, force_terminal=True, force_jupyter=False, highlight=False
        )
        self._drawn = 0  # cells
        self._widest: dict[str, int] = {}
        self._pid = os.getpid()
        self._above: dict[str, _Above] = {}
        for name in ("stderr", "stdout"):
            other = getattr(sys, name)
            if other is not None and _is_terminal(other):
                self._above[name] = _Above(self, _bare(other))
                setattr(sys, name, self._above[name])

    def draw(self, state: State) -> None:
        with self.lock:
            if self.mid_line:
                return
            width = self._width()
            line = self._line(state, width)
            with self._console.capture() as captured:
                self._console.print(line, end="", soft_wrap=True)
            rest = " " * (min(self._drawn, width) - line.cell_len)
            self._drawn = line.cell_len
            self._stream.write(f"\r{self._encodable(captured.get())}{rest}")
            self._stream.flush()

    def hide(self) -> None:
        with self.lock:
            if self._drawn:
                blank = " " * min(self._drawn, self._width())
                self._drawn = 0
                try:
                    self._stream.write(f"\r{blank}\r")
                    self._stream.flush()
                except (OSError, ValueError):
                    pass  # the terminal is gone, and the bar with it

    def leave(self) -> None:
        for name, above in self._above.items():
            above.bar = None
            if getattr(sys, name) is above:
                setattr(sys, name, above.under)

    def is_ours(self) -> bool:
        """False in a forked child: the lock may be held there by a thread that is not."""
        return os.getpid() == self._pid

    def _encodable(self, text: str) -> str:
        # stderr itself would write an escape for it, which is longer.
        encoding = self._console.encoding
        return text.encode(encoding, "replace").decode(encoding)

    def _width(self) -> int:
        # One less than there is: a full line makes some terminals begin the next one.
        try:
            return (os.get_terminal_size(self._stream.fileno()).columns or _UNKNOWN) - 1
        except (OSError, ValueError):
            return _UNKNOWN - 1

    def _line(self, state: State, width: int) -> Text:
        """What fits: the rate goes first, then the files; then a percentage is the bar."""
        said = {name: self._steady(name, text) for name, text in facts(state, short=True).items()}
        for dropped in ("", "rate", "files"):
            said.pop(dropped, None)
            room = width - sum(_GAP + len(text) for text in said.values()) - _GAP
            line = _cut(state.doing, max(12, width // 3, room - _ENOUGH))
            if room - line.cell_len >= _SHORTEST:
                line.append(" " * _GAP)
                line.append_text(self._bar(state, min(room - line.cell_len, _LONGEST)))
                break
        else:
            if state.fraction is not None:
                said = {"percent": self._steady("percent", f"{state.fraction:.0%}")} | said
            line = _cut(state.doing, width - sum(_GAP + len(text) for text in said.values()))
        for text in said.values():
            line.append(" " * _GAP + text)
        line.truncate(width, overflow="crop")
        return line

    def _steady(self, name: str, text: str) -> str:
        """A column that never gets narrower, so that the line does not jump about."""
        self._widest[name] = max(self._widest.get(name, 0), len(text))
        return text.rjust(self._widest[name])

    def _bar(self, state: State, width: int) -> Text:
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        total = None if state.fraction is None else 1.0
        bar = ProgressBar(total, state.fraction or 0.0, width=width, animation_time=state.seconds)
        drawn = Text()
        for segment in self._console.render(bar):
            drawn.append(segment.text, segment.style)
        drawn.pad_right(width - drawn.cell_len)
        return drawn


def _cut(text: str, width: int) -> Text:
    from rich.text import Text

    cut = Text(text)
    cut.truncate(max(1, width), overflow="ellipsis")
    return cut


class _Above:
    """Stands in for stderr or stdout: takes the bar away, and lets the text through."""

    def __init__(self, bar: Bar, under: TextIO) -> None:
        self.bar: Bar | None = bar
        self.under: TextIO = under

    def write(self, text: str) -> int:
        bar = self.bar
        if bar is None or not bar.is_ours():
            return self.under.write(text)
        with bar.lock:
            bar.hide()
            written = self.under.write(text)
            if text:
                bar.mid_line = not text.endswith("\n")
            return written

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.under, name)


def _bare(stream: TextIO) -> TextIO:
    # What stood in for an earlier bar may have been kept, by redirect_stderr() say.
    return stream.under if isinstance(stream, _Above) else stream


# -- a notebook


class Notebook:
    """A bar of HTML below the cell: it needs no widgets, so it works in every front end."""

    every = 1.0

    def __init__(self) -> None:
        self._handle: Any = None
        self._drawn = False

    def draw(self, state: State) -> None:
        from html import escape

        text = f"{state.doing}: {', '.join(facts(state).values())}"
        value = "" if state.fraction is None else f' value="{state.fraction:.3f}"'
        self._put(f"<div><progress{value}></progress> {escape(text)}</div>", text)
        self._drawn = True

    def hide(self) -> None:
        if self._drawn:
            self._put("", "")
            self._drawn = False

    def leave(self) -> None:
        pass

    def _put(self, html: str, text: str) -> None:
        bundle = {"text/html": html, "text/plain": text}
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
        else:
            display = sys.modules["IPython.display"].display
            self._handle = display(bundle, raw=True, display_id=True)


# -- elsewhere


class Lines:
    """A plain line now and then, for logs."""

    every = 1.0

    def __init__(self) -> None:
        self._next = _LINE_EVERY

    def draw(self, state: State) -> None:
        if state.seconds >= self._next and sys.stderr is not None:
            self._next = state.seconds + _LINE_EVERY
            sys.stderr.write(f"lazydata: {state.doing}: {', '.join(facts(state).values())}\n")
            sys.stderr.flush()

    def hide(self) -> None:
        pass

    def leave(self) -> None:
        pass
