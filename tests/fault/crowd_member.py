"""One process of a crowd: what it does, drawn from a seed, and what it saw go wrong.

Run as a script it forks a whole crowd, each member with a role, and waits for it. Nothing in the
product knows of it.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.util
import json
import os
import pkgutil
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from crowd_check import check
from crowd_content import content, is_beginning, label_of

FINE = (0, 14)  # done, or somebody else was at that file: an answer, and nothing lost
_OVERTIME = 120  # seconds in which everybody has to come to an end
_NEEDED = (
    "asyncio concurrent.futures.thread ctypes ctypes.util encodings.idna encodings.ascii "
    "encodings.latin_1 encodings.unicode_escape encodings.utf_8_sig getpass glob "
    "importlib.metadata importlib.resources multiprocessing pwd queue sqlite3 ssl subprocess "
    "tempfile urllib.request uuid blake3 xxhash platformdirs.unix ruamel.yaml shellingham difflib"
)
_SPARE = "spare"  # where files are written before they are renamed into their place


class Member:
    """One process of a crowd.

    Args:
        ask: its ``name``, ``seed``, ``role``, ``seconds``, and what that role needs.

    Attributes:
        did: operations, by their kind.
        wrong: what must not be, one line each.
        gone: contents that were there, and that something else took the place of: label, lines.
        longest: seconds of the longest operation, and what it was.
    """

    def __init__(self, ask: dict[str, Any]) -> None:
        self.ask, self.name = ask, ask["name"]
        self.draw = random.Random(ask["seed"])
        self.end = time.monotonic() + ask["seconds"]
        self.did: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.gone: list[tuple[str, int]] = []
        self.longest = 0.0, ""

    def run(self) -> None:
        """Do the same again and again until the time is over, and it was done once."""
        step = _ROLES[self.ask["role"]](self)
        was_done = False
        while not was_done or time.monotonic() < self.end:
            was_done = step() is not False or was_done
            time.sleep(self.draw.random() * self.ask.get("pause", 0.02))

    def report(self) -> dict[str, Any]:
        """All that the others may want to know."""
        names = ("did", "wrong", "gone", "longest")
        return {name: getattr(self, name) for name in names} | {"role": self.ask["role"]}

    # Operations

    def track(self, path: str) -> bool:
        """``track()``; whether it was carried out."""
        from lazydata import track

        def work() -> int:
            track(path)
            return 0

        return self._do("track", path, work, FINE)

    def cli(self, *argv: str, fine: tuple[int, ...] = FINE) -> bool:
        """One command; whether it was carried out."""
        from lazydata.cli.running import run

        return self._do(argv[0], " ".join(argv), lambda: run([*argv]), fine)

    def _do(self, kind: str, what: str, work: Callable[[], int], fine: tuple[int, ...]) -> bool:
        began = time.monotonic()
        try:
            code, told = work(), ""
        except Exception as error:
            code, told = getattr(error, "exit_code", 1), f"{type(error).__name__}: {error}"
            if code not in fine:
                traceback.print_exc()
        self.longest = max(self.longest, (time.monotonic() - began, what))
        self.did[kind] += 1
        if code not in fine:
            self.wrong.append(f"{kind} {what} ended with {code} {told}")
        return code == 0

    def versions(self, path: str) -> list[str]:
        """Digests that the manifest lists for a path, oldest first."""
        from lazydata.index import Index
        from lazydata.workspace import Workspace

        entry = Workspace(os.getcwd()).view(Index(None)).entry(path)
        return [version.digest.hex for version in entry.versions] if entry else []

    def look(self, path: str, *, torn: bool = False) -> str | None:
        """Whose content a file has now; what can't be is noted."""
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        label = label_of(data)
        if label is None and not (torn and is_beginning(data)):
            self.wrong.append(f"{path} is torn: {data[:60]!r}, {len(data)} bytes")
        return label


# The roles


def _writer(me: Member) -> Callable[[], None]:
    """The only one who writes to some files; it notes what it finds replaced."""
    paths, in_place = me.ask["paths"], me.ask.get("in_place", False)
    mine: dict[str, tuple[str, int]] = {}
    count = 0

    def step() -> None:
        nonlocal count
        path = me.draw.choice(paths)
        if path in mine:
            found = me.look(path, torn=in_place)
            if found is None and not os.path.exists(path):
                me.wrong.append(f"{path} is gone")
            if found != mine[path][0]:
                me.gone.append(mine.pop(path))
        count += 1
        lines = me.draw.choice(me.ask.get("lines", (1, 40, 400)))
        mine[path] = f"{path} {me.name} {count}", lines
        data = content(*mine[path])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if in_place:
            _write_in_place(me, path, data)
        else:
            _write_aside(me, path, data)
        me.did["write"] += 1

    return step


def _write_aside(me: Member, path: str, data: bytes) -> None:
    temp = os.path.join(_SPARE, f"{me.name}-{os.getpid()}")
    with open(temp, "wb") as file:
        file.write(data)
    os.replace(temp, path)


def _write_in_place(me: Member, path: str, data: bytes) -> None:
    half = len(data) // 2
    with open(path, "wb", buffering=0) as file:
        file.write(data[:half])
        if me.draw.random() < 0.3:
            time.sleep(me.draw.random() * 0.05)
        file.write(data[half:])


def _beginner(me: Member) -> Callable[[], None]:
    """Carries out a list of commands, which all have to end with one code."""

    def step() -> None:
        for argv in me.ask["commands"]:
            me.cli(*argv, fine=(me.ask.get("code", 0),))

    return step


def _tracker(me: Member) -> Callable[[], bool]:
    """Tracks; while somebody else is at a file it may be told so each time."""

    def step() -> bool:
        path = me.draw.choice(me.ask["paths"])
        was_done = me.track(path)
        if was_done and me.ask.get("must_be_there"):
            if not os.path.exists(path):
                me.wrong.append(f"{path} was tracked, and is not there")
            me.look(path)
        return was_done

    return step


def _restorer(me: Member) -> Callable[[], None]:
    def step() -> None:
        path = me.draw.choice(me.ask["paths"])
        known = me.versions(path)
        if known:
            me.cli("restore", path, "--version", me.draw.choice(known[-6:])[:24])

    return step


def _remover(me: Member) -> Callable[[], None]:
    """Unlinks files that nobody writes to, and that the manifest lists."""

    def step() -> None:
        try:
            os.unlink(me.draw.choice(me.ask["paths"]))
        except FileNotFoundError:
            pass
        me.did["unlink"] += 1

    return step


def _collector(me: Member) -> Callable[[], None]:
    return lambda: (me.cli("gc", "--force", "--grace", me.ask["grace"], fine=(0,)), None)[1]


def _reader(me: Member) -> Callable[[], None]:
    commands = [["status"], ["ls"], ["verify"], ["status", "--check"], ["gc"]]

    def step() -> None:
        argv = me.draw.choice(commands)
        me.cli(*argv, fine=(0, 4) if "--check" in argv else FINE)

    return step


def _sender(me: Member) -> Callable[[], None]:
    """Pushes and pulls: 3 means that something was left, which pull does with every edit."""

    def step() -> None:
        if me.draw.random() < 0.5:
            me.cli("push", "--quiet")
        else:
            me.cli("pull", "--quiet", fine=(*FINE, 3))

    return step


def _switcher(me: Member) -> Callable[[], None]:
    """Takes the last version of a path out of the manifest, as git does when it moves."""

    def step() -> None:
        path = me.draw.choice(me.ask["paths"])
        with open("lazydata.yml", encoding="utf-8") as file:
            head, *items = file.read().split("\n  - path: ")
        of_path = [at for at, item in enumerate(items) if item.split("\n")[0] == path]
        if len(of_path) > 1:
            del items[of_path[-1]]
            text = "\n  - path: ".join([head, *items])
            _write_aside(me, "lazydata.yml", f"{text.rstrip()}\n".encode())
        me.did["switch"] += 1

    return step


def _checker(me: Member) -> Callable[[], None]:
    """Once all others are done: every version is there, whole, and every file is one."""
    return lambda: check(me)


# What makes the steps of a role; one says False where somebody else was in the way.
_ROLES: dict[str, Callable[[Member], Callable[[], bool | None]]] = {
    "beginner": _beginner,
    "writer": _writer,
    "tracker": _tracker,
    "restorer": _restorer,
    "remover": _remover,
    "collector": _collector,
    "reader": _reader,
    "sender": _sender,
    "switcher": _switcher,
    "checker": _checker,
}


# A crowd


def _import_all() -> None:
    """All that a member may need: another user might not be let read it later."""
    names = _NEEDED.split()
    for package in ("lazydata", "typer", "rich", "click"):
        found = importlib.util.find_spec(package)
        if found is not None and found.submodule_search_locations is not None:
            walk = pkgutil.walk_packages(found.submodule_search_locations, f"{package}.")
            names += [each.name for each in walk if not each.name.endswith("__main__")]
    for name in names:
        try:
            importlib.import_module(name)
        except (ImportError, AssertionError):  # of another system's modules
            pass


def _become(ask: dict[str, Any], logs: str) -> None:
    log = os.open(
        os.path.join(logs, f"{ask['name']}.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666
    )
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.environ.update(ask.get("env", {}))
    os.umask(ask.get("umask", 0o022))
    if "user" in ask:
        os.setgroups(ask.get("groups", []))
        os.setgid(ask.get("group", ask["user"]))
        os.setuid(ask["user"])
    os.chdir(ask["cwd"])
    if ask.get("no_flock"):
        import fcntl

        fcntl.flock = fcntl.lockf = lambda *_: None  # type: ignore[assignment]


def _live(ask: dict[str, Any], logs: str, result: int, start: int) -> None:
    me = None
    try:
        _become(ask, logs)
        os.read(start, 1)
        me = Member(ask)
        me.run()
    except BaseException as error:
        traceback.print_exc()
        me = me or Member(ask)
        me.wrong.append(f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    os.write(result, json.dumps(me.report()).encode())


def crowd(members: list[dict[str, Any]], logs: str) -> list[dict[str, Any]]:
    """Run them all at once; what each reports, in their order."""
    wait, start = os.pipe()
    running: dict[int, int] = {}
    results = []
    for number, ask in enumerate(members):
        path = os.path.join(logs, f"{ask['name']}.json")
        result = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        pid = os.fork()
        if not pid:
            os.close(start)
            _live(ask, logs, result, wait)
            os._exit(0)
        running[pid] = number
        results.append(result)
    os.close(wait)
    os.close(start)
    hung = _wait(running, max(ask["seconds"] for ask in members) + _OVERTIME)
    told = [_told(result) for result in results]
    for number in hung:
        told[number]["wrong"].append(f"{members[number]['name']} hung")
    return told


def _wait(running: dict[int, int], seconds: float) -> list[int]:
    """Wait for processes; those that don't end say where they are, and are killed."""
    end = time.monotonic() + seconds
    while running and time.monotonic() < end:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        running.pop(pid, None)
        if not pid:
            time.sleep(0.02)
    for number in (signal.SIGUSR1, signal.SIGKILL):
        for pid in running:
            os.kill(pid, number)
        time.sleep(0.5 if running else 0)
    for pid in running:
        os.waitpid(pid, 0)
    return list(running.values())


def _told(result: int) -> dict[str, Any]:
    data = os.pread(result, 1 << 24, 0)
    os.close(result)
    lost = {"did": {}, "wrong": ["it died"], "gone": [], "longest": [0.0, ""], "role": "?"}
    return json.loads(data) if data else lost


if __name__ == "__main__":
    _import_all()
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(crowd(job["members"], job["logs"])), flush=True)
