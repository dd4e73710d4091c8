"""Progress: what a meter counts, and what people see of it, each on the real thing."""

import importlib.util
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import textwrap
import threading
import time
from contextlib import contextmanager
from fcntl import ioctl

import pytest

from lazydata import displays
from lazydata.displays import State, facts
from lazydata.progress import Meter, attempt

TIMEOUT = 60  # seconds
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# Work for a child: 1 of 4 GB and 300 of 1,000 files, then some time in which nothing comes.
PRELUDE = """
import os, sys, threading, time
from lazydata import messages, progress
from lazydata.progress import shown

def work(meter, seconds=None):
    meter.expect(files=1_000, size=4_000_000_000)
    meter(1_200_000_000)
    meter.done(300)
    until_drawn() if seconds is None else time.sleep(seconds)

def fast():  # ten seconds in a hundredth
    return time.monotonic() * 1_000

def until_drawn():
    for _ in range(2_000):
        if getattr(sys.stderr, "bar", None) and sys.stderr.bar._drawn:
            return
        time.sleep(0.01)
    os._exit(99)
"""


@pytest.fixture
def environment():
    """Of a child whose terminal is an ordinary one."""
    unset = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "COLORTERM", "LAZYDATA_QUIET", "TTY_COMPATIBLE"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return kept | {"TERM": "xterm-256color", "PYTHONUTF8": "1"}


@pytest.fixture
def start(environment):
    """Start a child."""

    def begin(code, env, **streams):
        code = PRELUDE + textwrap.dedent(code)
        return subprocess.Popen([sys.executable, "-c", code], env=environment | env, **streams)

    return begin


@contextmanager
def terminal(columns):
    """Both ends of a terminal: the reader's, and the child's."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.fixture
def on_terminal(start):
    """Run code with a terminal for stdout and stderr; all that was written to it."""

    def run(code, columns=100, **env):
        written = b""
        with terminal(columns) as (ours, theirs):
            child = start(code, env, stdin=theirs, stdout=theirs, stderr=theirs)
            # Our own end of `theirs` stays open, so there is no end to wait for.
            while child.poll() is None or select.select([ours], [], [], 0)[0]:
                if select.select([ours], [], [], 0.05)[0]:
                    written += os.read(ours, 1 << 16)
        text = written.decode()
        assert child.returncode == 0, text
        return text

    return run


@pytest.fixture
def on_pipe(start):
    """Run code with pipes for stdout and stderr; what was written to them."""

    def run(code, **env):
        child = start(code, env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = child.communicate(timeout=TIMEOUT)
        assert child.returncode == 0, err
        return out, err

    return run


def screen(text):
    """The lines that a terminal without an edge shows in the end."""
    rows, column = [[]], 0
    for char in COLOUR.sub("", text):
        if char == "\r":
            column = 0
        elif char == "\n":
            rows.append([])
        else:
            assert char.isprintable(), text
            rows[-1][column : column + 1] = [char]
            column += 1
    return [line for row in rows if (line := "".join(row).rstrip())]


def frames(text, doing="pushing"):
    """Each state in which the bar was to be seen."""
    return [part.rstrip() for part in re.split("[\r\n]", COLOUR.sub("", text)) if doing in part]


# -- what is counted


class Slow(int):
    """A number that takes its time to be added to another one."""

    def __radd__(self, other):
        time.sleep(0)
        return int(self) + other


def test_no_report_is_lost_between_threads():
    meter = Meter()

    def report():
        for _ in range(40):
            meter.expect(files=Slow(2), size=Slow(20))
            meter(Slow(10))
            meter(Slow(-3))
            meter.done(Slow(1))

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (meter.files_done, meter.files_total) == (320, 640)
    assert (meter.bytes_done, meter.bytes_total) == (2_240, 6_400)


def test_failed_attempt_is_taken_back():
    meter = Meter()

    def fail():
        with attempt(meter) as report:
            report(10)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert meter.bytes_done == 0


# -- what is said of it


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            State("", 1_200_000_000, 4_000_000_000, 300, 1_000, 45e6),
            "1.2 of 4.0 GB, 300 of 1,000 files, 45 MB/s, about 1 min left",
        ),
        (State("", 5_500, 0, 3, 0, 940.0), "5.5 kB, 3 files, 940 B/s"),
        (State("", 0, 999, 0, 1), "0 of 999 B, 0 B/s"),
        (State("", 0, 999_960, 0, 1), "0.0 of 1.0 MB, 0 B/s"),
        (State("", 2_000, 2_000, 1, 1, 9_940.0), "2.0 of 2.0 kB, 9.9 kB/s"),
        (State("", 4_100, 4_000, 2, 2, 9_960.0), "4.1 of 4.0 kB, 2 of 2 files, 10 kB/s"),
        (State("", 0, 60_000, rate=2_000.0), "0.0 of 60.0 kB, 2.0 kB/s, about 30 s left"),
        (State("", 0, 78_000, rate=10.0), "0.0 of 78.0 kB, 10 B/s, about 2 h 10 min left"),
        (State("", 0, 10**15, rate=1e9), "0.0 of 1.0 PB, 1.0 GB/s, about 12 days left"),
        (State("", 0, 0, 12, 40), "12 of 40 files"),
        (State("", seconds=70.0), "1 min so far"),
    ],
)
def test_what_is_known_is_said(state, said):
    assert ", ".join(facts(state).values()) == said


@pytest.mark.parametrize(
    ("state", "fraction"),
    [
        (State("", 1, 4, 9, 10), 0.25),
        (State("", 5, 4), 1.0),
        (State("", -1, 4), 0.0),
        (State("", 0, 0, 9, 10), 0.9),
        (State("", 7, 0, 9, 0), None),
    ],
)
def test_share_that_is_done(state, fraction):
    assert state.fraction == fraction


# -- on a terminal


def test_bar_is_seen_and_goes_away_again(on_terminal):
    said = "a line that is longer than the terminal is wide, " * 3 + "with [red]marks[/] in it"
    text = on_terminal(
        f"""
        before = sys.stderr, sys.stdout
        with shown("pushing to origin") as meter:
            work(meter, 1.2)
            print("to stdout")
            until_drawn()
            messages.say({said!r})
            meter(400_000_000)
            until_drawn()
            assert sys.stderr is not before[0]
        assert (sys.stderr, sys.stdout) == before
        """
    )
    seen = frames(text)
    assert re.fullmatch(
        r"pushing to origin  ━+.━+  1\.2/4\.0 GB  300/1,000 files  [\d.]+ [GM]B/s  \d s left",
        seen[0],
    )
    assert "1.6/4.0 GB" in seen[-1]
    assert max(map(len, seen)) < 100
    assert screen(text) == ["to stdout", f"lazydata: {said}"]


def test_work_that_is_soon_done_shows_nothing(on_terminal, on_pipe):
    code = """
    with shown("pushing to origin") as meter:
        work(meter, 0.1)
    assert "rich" not in sys.modules
    """
    assert on_terminal(code) == ""
    assert on_pipe(code) == ("", "")


def test_narrow_terminal_shows_what_matters_most(on_terminal):
    """In one process, as if its window were made smaller again and again."""
    shapes = {
        100: r"pushing to origin  ━*.━*  1\.2/4\.0 GB  300/1,000 files +[\d.]+ .B/s .* left",
        80: r"pushing to origin  ━*.━*  1\.2/4\.0 GB  300/1,000 files +[\d.]+ .B/s .* left",
        60: r"pushing to origin  ━*.━*  1\.2/4\.0 GB .* left",
        45: r"pushing to .+  30%  1\.2/4\.0 GB .* left",
        40: r"pushing .+  30%  1\.2/4\.0 GB .* left",
    }
    text = on_terminal(
        f"""
        import fcntl, struct, termios
        with shown("pushing to origin", after=0.02) as meter:
            work(meter)
            for columns in {list(shapes)}:
                fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
                print("columns", columns)
                until_drawn()
        """
    )
    for part in text.split("columns ")[1:]:
        columns = int(part.split()[0])
        (seen, *_) = frames(part)
        assert re.fullmatch(shapes.pop(columns), seen)
        assert len(seen) < columns
    assert not shapes


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["colour", "NO_COLOR"])
def test_colours_are_left_out_on_request(on_terminal, env):
    text = on_terminal(
        """
        with shown("pushing to origin", after=0.02) as meter:
            work(meter)
        """,
        **env,
    )
    assert frames(text)
    assert bool(COLOUR.search(text)) == (not env)


def test_unknown_total_has_no_share_and_no_end(on_terminal):
    text = on_terminal(
        """
        with shown("looking", after=0.02) as meter:
            until_drawn()
            meter(5_500_000)
            time.sleep(0.2)
        """
    )
    seen = frames(text, "looking")
    assert re.fullmatch("looking  ━+  1 s", seen[0])
    assert re.fullmatch(r"looking  ━+  5\.5 MB  [\d.]+ MB/s", seen[-1])


def test_name_is_shown_and_not_obeyed(on_terminal):
    text = on_terminal(
        """
        with shown("getting \\x1b[2J[red]a\\nb\\udc80", after=0.02):
            until_drawn()
        """
    )
    assert r"getting \x1b[2J[red]a\nb\udc80  " in frames(text, "getting")[-1]
    assert screen(text) == []


def test_terminal_of_few_letters_and_unknown_width(on_terminal):
    text = on_terminal(
        """
        with shown("getting d\\xe9j\\xe0 " + "vu" * 50, after=0.02) as meter:
            work(meter)
        """,
        0,
        PYTHONIOENCODING="ascii",
    )
    (seen, *_) = frames(text, "getting")
    assert re.fullmatch(r"getting d\?j\? (vu)+v?\?  -*.-*  1\.2/4\.0 GB .* left", seen)
    assert len(seen) < 80
    assert screen(text) == []


def test_line_of_someone_else_is_not_drawn_over_before_it_ends(on_terminal):
    text = on_terminal(
        """
        with shown("pushing to origin", after=0.02) as meter:
            work(meter)
            sys.stderr.write("half a ")
            time.sleep(0.2)
            sys.stderr.writelines(["line\\n"])
            until_drawn()
        """
    )
    assert screen(text) == ["half a line"]
    before, after = text.split("half a line")
    assert frames(before)
    assert frames(after)


def test_exception_passes_and_stderr_is_itself_again(on_terminal):
    text = on_terminal(
        """
        before = sys.stderr, sys.stdout
        error = KeyError("x")
        try:
            with shown("pushing to origin", after=0.02) as meter:
                work(meter)
                kept = sys.stderr
                assert kept is not before[0]
                raise error
        except KeyError as caught:
            assert caught is error
        assert (sys.stderr, sys.stdout) == before
        assert threading.active_count() == 1
        kept.write("still of use\\n")
        sys.stderr = kept  # as somebody does who had put it aside
        with shown("pushing to origin", after=0.02) as meter:
            work(meter)
        assert sys.stderr is before[0]
        """
    )
    assert frames(text)
    assert screen(text) == ["still of use"]


def test_forked_child_waits_for_no_lock_of_a_thread_that_it_has_not(on_terminal):
    text = on_terminal(
        """
        import signal, warnings
        warnings.simplefilter("ignore")  # newer Pythons warn of just this
        before = sys.stderr
        with shown("pushing to origin", after=0.02) as meter:
            work(meter)
            lock = sys.stderr.bar.lock
            held, let_go = threading.Event(), threading.Event()
            def hold():
                with lock:
                    held.set()
                    let_go.wait()
            holder = threading.Thread(target=hold)
            holder.start()
            held.wait()
            child = os.fork()
            if not child:
                signal.alarm(10)
                sys.stderr.write("\\nof the child\\n")
            else:
                let_go.set()
                holder.join()
                assert os.waitpid(child, 0)[1] == 0
                until_drawn()
        assert sys.stderr is before
        if not child:
            with shown("work of the child", after=0.02):
                until_drawn()
            os._exit(0)
        """
    )
    assert "of the child" in screen(text)
    assert frames(text, "work of the child")
    assert not frames(screen(text)[-1])


FAULTS = ["sys.stderr.close()", "os.close(2)", "sys.stderr = None", "sys.stderr = object()"]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_work_goes_on_without_stderr(on_terminal, when):
    """Each fault in a child of its own, all at the same time."""
    text = on_terminal(
        f"""
        import rich.console, rich.progress_bar, rich.text

        def suffer(fault):
            if {when == "before"}:
                exec(fault)
            with shown("pushing to origin", after=0.02) as meter:
                work(meter, 0.2)
                if {when == "meanwhile"}:
                    exec(fault)
                time.sleep(0.2)

        children = {{}}
        for fault in {FAULTS}:
            child = os.fork()
            if not child:
                suffer(fault)
                os._exit(7)
            children[child] = fault
        for child, fault in children.items():
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, fault
        """
    )
    assert bool(frames(text)) == (when == "meanwhile")


def test_display_that_fails_is_not_heard_of(on_terminal):
    text = on_terminal(
        """
        sys.modules["rich.console"] = None
        with shown("pushing to origin", after=0.02) as meter:
            work(meter, 0.2)
        assert meter.files_done == 300
        """
    )
    assert text == ""


def test_work_that_gets_no_thread_is_not_shown_but_the_next_one_is(on_terminal):
    text = on_terminal(
        """
        usual = threading.stack_size(1 << 46)
        with shown("without", after=0.02) as meter:
            work(meter, 0.1)
        threading.stack_size(usual)
        with shown("pushing to origin", after=0.02) as meter:
            work(meter)
        """
    )
    assert frames(text)
    assert "without" not in text


def test_stalled_terminal_does_not_hold_up_the_work(start):
    with terminal(100) as (_, theirs):
        termios.tcflow(theirs, termios.TCOOFF)  # as Ctrl-S does
        child = start(
            """
            with shown("pushing to origin", after=0.02) as meter:
                work(meter, 0.4)
            os.write(1, b"over")
            """,
            {},
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        with child:
            assert child.stdout is not None
            ready, _, _ = select.select([child.stdout], [], [], TIMEOUT / 4)
            termios.tcflow(theirs, termios.TCOON)
            assert ready
            assert child.stdout.read() == b"over"
    assert child.returncode == 0


def test_question_is_not_drawn_over(on_terminal):
    text = on_terminal(
        """
        with shown("pushing to origin", after=0.02) as meter:
            work(meter)
            with progress.paused():
                os.write(2, b"Password: ")
                time.sleep(0.3)
                os.write(2, b"\\n")
            until_drawn()
        """
    )
    before, after = text.split("Password: ")
    assert screen(before) == []
    assert frames(before)
    assert after.startswith("\r\n")
    assert frames(after)


# -- one at a time


def test_part_of_a_larger_work_is_not_shown(on_terminal):
    text = on_terminal(
        """
        with shown("pulling", after=0.1) as outer:
            with shown("downloading x.csv", after=0.0) as inner:
                work(inner)
            assert outer.bytes_done == outer.bytes_total == 0
        """
    )
    assert frames(text, "pulling")
    assert "downloading" not in text


def test_next_work_is_shown_when_the_first_is_over(on_terminal):
    text = on_terminal(
        """
        def other():
            with shown("second", after=0.02):
                first_is_over.wait()
                until_drawn()

        progress._LOOK = 0.1
        first_is_over = threading.Event()
        with shown("first", after=0.02):
            thread = threading.Thread(target=other)
            thread.start()
            until_drawn()
            time.sleep(0.2)
        first_is_over.set()
        thread.join()
        """
    )
    last_of_first = text.rindex("first")
    assert text.index("second") > last_of_first
    assert screen(text) == []


# -- elsewhere


def test_plain_lines_come_every_ten_seconds(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    lines = displays.Lines()
    for second in range(1, 33):
        lines.draw(State("pushing to origin", second * 10**6, 10**8, rate=1e6, seconds=second))
    assert stream.getvalue().splitlines() == [
        "lazydata: pushing to origin: 10.0 of 100.0 MB, 1.0 MB/s, about 2 min left",
        "lazydata: pushing to origin: 20.0 of 100.0 MB, 1.0 MB/s, about 1 min left",
        "lazydata: pushing to origin: 30.0 of 100.0 MB, 1.0 MB/s, about 1 min left",
    ]


PLAIN = """
with shown("pushing to origin", after=0.05, clock=fast) as meter:
    work(meter, 0.2)
"""
LINE = (
    r"lazydata: pushing to origin: 1\.2 of 4\.0 GB, 300 of 1,000 files, "
    r"[\d.]+ MB/s, about \d+ \w+ left\r?\n"
)


def test_pipe_gets_plain_lines(on_pipe):
    out, err = on_pipe(PLAIN + "assert 'rich' not in sys.modules\n")
    assert out == ""
    assert re.fullmatch(LINE, err)


def test_dumb_terminal_gets_plain_lines(on_terminal):
    assert re.fullmatch(LINE, on_terminal(PLAIN, TERM="dumb"))


def test_worker_process_gets_plain_lines(on_terminal):
    """Bars of several processes would draw over each other."""
    text = on_terminal(
        """
        import multiprocessing

        def worker():
            with shown("pushing to origin", after=0.05, clock=fast) as meter:
                work(meter, 0.2)

        child = multiprocessing.get_context("fork").Process(target=worker)
        child.start()
        child.join()
        """
    )
    assert re.fullmatch(LINE, text)


def test_quiet_shows_nothing(on_terminal):
    text = on_terminal(
        """
        import rich.console, rich.progress_bar, rich.text
        os.environ["LAZYDATA_QUIET"] = "1"
        with shown("told by the environment", after=0.02) as meter:
            work(meter, 0.2)
        assert meter.bytes_done == 1_200_000_000
        os.environ["LAZYDATA_QUIET"] = "0"
        progress.quiet = True
        with shown("told by the command line", after=0.02) as meter:
            work(meter, 0.2)
        progress.quiet = False
        with shown("not told", after=0.02) as meter:
            work(meter)
        """
    )
    assert frames(text, "not told")
    assert "told by" not in text


# -- how fast


def test_rate_is_that_of_the_last_seconds(monkeypatch):
    """A burst at the beginning is forgotten, and bytes that are taken back are no rate."""
    from lazydata.progress import _Speed

    speed = _Speed(0.0)
    assert speed.at(0.0, 5) == 0.0
    assert speed.at(1.0, 10**9) == 1e9
    for second in range(2, 20):
        rate = speed.at(float(second), 10**9 + second * 1_000)
    assert rate == 1_000.0
    assert speed.at(20.0, 0) == 0.0


# -- in a notebook

NOTEBOOK = """
import time
from lazydata.progress import shown
with shown("getting <b>&", after=0.1) as meter:
    meter.expect(files=2, size=4_000_000)
    meter(1_000_000)
    time.sleep(0.4)
"""


def check_notebook(shown_first, shown_last):
    html = shown_first["text/html"]
    assert html.startswith('<div><progress value="0.250"></progress> getting &lt;b&gt;&amp;: ')
    assert "1.0 of 4.0 MB, 0 of 2 files" in html
    assert shown_first["text/plain"].startswith("getting <b>&: 1.0 of 4.0 MB")
    assert set(shown_last.values()) == {""}


def test_notebook_has_a_bar_of_its_own(environment, tmp_path):
    """A real kernel, and what a front end would get from it."""
    if importlib.util.find_spec("ipykernel") is None:
        pytest.skip("ipykernel is not installed")
    client = f"""
    import json, sys
    from jupyter_client.manager import start_new_kernel
    manager, client = start_new_kernel(kernel_name="python3")
    got = []
    def hook(message):
        got.append([message["msg_type"], message["content"]])
    client.execute_interactive({NOTEBOOK!r}, output_hook=hook, timeout={TIMEOUT})
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    json.dump(got, sys.stdout)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(client)],
        # A kernel warns of this and that, which is not our affair.
        env=environment
        | {"IPYTHONDIR": str(tmp_path), "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
        check=True,
    )
    got = [each for each in json.loads(done.stdout) if each[0] not in ("status", "execute_input")]
    assert [kind for kind, _ in got] == ["display_data", "update_display_data"], got
    (_, first), (_, last) = got
    assert first["transient"]["display_id"] == last["transient"]["display_id"]
    check_notebook(first["data"], last["data"])


def test_stand_in_for_a_kernel_gets_the_same(on_pipe):
    """IPython's own display(), below a shell that only has the name of a kernel's."""
    if importlib.util.find_spec("IPython") is None:
        pytest.skip("IPython is not installed")
    out, err = on_pipe(
        f"""
        import json
        from IPython.core.displaypub import CapturingDisplayPublisher
        from IPython.core.interactiveshell import InteractiveShell
        import IPython.display

        class ZMQInteractiveShell(InteractiveShell):
            pass

        class SubclassAsColabHasOne(ZMQInteractiveShell):
            pass

        shell = SubclassAsColabHasOne.instance()
        shell.history_manager.enabled = False
        shell.display_pub = CapturingDisplayPublisher()
        exec({NOTEBOOK!r})
        print(json.dumps([each["data"] for each in shell.display_pub.outputs]))
        """,
        HOME="/nonexistent",
        IPYTHONDIR="/nonexistent",
    )
    first, *_, last = json.loads(out.splitlines()[-1])
    check_notebook(first, last)
    assert "lazydata:" not in err


# -- what it costs


def test_import_loads_nothing_heavy(tmp_path):
    package = os.path.dirname(os.path.dirname(displays.__file__))
    path = f"import sys; sys.path.insert(0, {package!r})"
    code = f"{path}; import lazydata.progress; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-c", code],
        env={"HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    heavy = {"rich", "threading", "asyncio", "logging", "html", "lazydata.displays"}
    assert heavy.isdisjoint(done.stdout.split())
