"""Crowds on one store, and what must hold of all that they leave.

Every content says whose it is and how long. So of any bytes, anywhere, it can be told whether
they are what somebody wrote, and of what somebody wrote whether it is still there.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from crowd_content import content
from fault_tracing import environment

Ask = dict[str, Any]

GRACE = "20s"  # no member may stop for so long between two looks at one object
USERS, GROUP = (61001, 61002), 61000
MISSING = "data/missing.bin"
FOLDER = "data/folder"
_OWN = tuple(f"data/own/{n:02}.csv" for n in range(24))
_IN_PLACE = tuple(f"data/in-place/{n}.csv" for n in range(8))
_FILES = tuple(f"{FOLDER}/{n:02}.csv" for n in range(12))
_LOOSE = tuple(f"{FOLDER}/loose/{n}.csv" for n in range(4))  # nobody writes to them
_WASTE = tuple(f"data/waste/{n}.csv" for n in range(10))
_LINES = 60000  # of a file of more than a megabyte, which is hardlinked where it can be
_TORN = ["data/in-place/"]  # whoever writes there can be seen half-way


class Kind(NamedTuple):
    """What sort of crowd it is.

    Args:
        name: for messages.
        users: uids of those who share the store; none for whoever runs this. Needs root.
        apart: each of them has a workspace, and a umask of his own.
        flock: whether it works.
    """

    name: str
    users: tuple[int, ...] = ()
    apart: bool = False
    flock: bool = True


KINDS = (
    Kind("one user"),
    Kind("one user, where flock does nothing", flock=False),
    Kind("one ordinary user", USERS[:1]),
    Kind("two users in one workspace", USERS),
    Kind("two users in one workspace, where flock does nothing", USERS, flock=False),
    Kind("two users, each in a workspace", USERS, apart=True),
)


class Outcome(NamedTuple):
    """What became of a crowd.

    Args:
        processes: how many there were.
        did: operations, by their kind.
        wrong: what must not be; empty if all is well.
        longest: seconds of the longest operation, and what it was.
    """

    processes: int
    did: Counter[str]
    wrong: list[str]
    longest: tuple[float, str]


class Server:
    """A process that has imported all that a member may need, and forks whole crowds.

    Args:
        home: a directory; members have homes of their own.
    """

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(__file__), "crowd_member.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(home),
            cwd=home,
        )

    def run(self, members: list[Ask], logs: Path) -> list[dict[str, Any]]:
        """Let members work, all at once; what each reports."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"members": members, "logs": str(logs)}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the crowd's server died"
        found: list[dict[str, Any]] = json.loads(answer)
        return found

    def close(self) -> None:
        """End it; all members have ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class Crowd:
    """Homes, workspaces, a store and a remote.

    Args:
        server: forks the members.
        kind: of crowd.
        base: directory of all of it; it must not be there yet.
        umasks: of its users, in turn.
    """

    def __init__(
        self, server: Server, kind: Kind, base: Path, umasks: tuple[int, ...] = (0o002,)
    ) -> None:
        self._server = server
        self.kind, self.logs, self._count = kind, base / "logs", 0
        self.remote, self.store = base / "remote", base / "store"
        self.logs.mkdir(parents=True)
        base.chmod(0o755)
        if kind.users:
            share(self.remote, self.store)
        homes = [base / f"home-{at}" for at in range(len(kind.users) or 1)]
        works = [base / f"work-{at if kind.apart else 0}" for at in range(len(homes))]
        self.works = list(dict.fromkeys(works))
        self._users: list[Ask] = []
        for at, (home, work) in enumerate(zip(homes, works, strict=True)):
            uid = kind.users[at] if kind.users else os.geteuid()
            for each in (home, work):
                each.mkdir(exist_ok=True)
                if kind.users:
                    os.chown(each, uid, uid)
            env = {
                "HOME": str(home),
                "LAZYDATA_HOME": str(home / "lazydata"),
                "LAZYDATA_STORE": str(self.store),
            }
            its: Ask = {"env": env, "cwd": str(work), "no_flock": not kind.flock}
            if kind.users:
                its |= {"user": uid, "groups": [GROUP], "umask": umasks[at % len(umasks)]}
            self._users.append(its)
        if kind.users and not kind.apart:
            share(*self.works)

    # Members

    def member(self, role: str, user: int | None = None, **more: Any) -> Ask:
        """What a member is asked to do; without a user those of the crowd take turns."""
        if user is None:
            self._count += 1
            user = self._count % len(self._users)
        return {"role": role, "seed": 0, "seconds": 0.0, **self._users[user], **more}

    def run(self, *members: Ask) -> Outcome:
        """Let members work, all at once."""
        self.members = [{"name": f"{at:02}-{ask['role']}", **ask} for at, ask in enumerate(members)]
        self.reports = self._server.run(self.members, self.logs)
        did: Counter[str] = Counter()
        wrong = []
        for ask, report in zip(self.members, self.reports, strict=True):
            did.update(report["did"])
            wrong += [f"{ask['name']}: {each}" for each in report["wrong"]]
        longest = max((report["longest"][0], report["longest"][1]) for report in self.reports)
        return Outcome(len(members), did, wrong, longest)

    def lazydata(self, *argv: str, user: int = 0, code: int = 0, **more: Any) -> str:
        """Run one command as a user; what it printed, on both streams."""
        done = self.run(self.member("beginner", user, commands=[argv], code=code, **more))
        assert not done.wrong, self.said(done)
        return (self.logs / f"{self.members[0]['name']}.log").read_text()

    def said(self, outcome: Outcome) -> str:
        """What went wrong, and what those members printed."""
        names = dict.fromkeys(each.partition(":")[0] for each in outcome.wrong)
        logs = [f"a crowd of {outcome.processes}: {self.kind.name}", *outcome.wrong[:30]]
        for name in [*names][:4]:
            log = self.logs / f"{name}.log"
            logs.append(f"-- {name}\n{log.read_text('utf-8', 'replace')[-3000:]}")
        return "\n".join(logs)

    def write(self, path: str, data: bytes, user: int = 0, mode: int = 0o664) -> Path:
        """Write a file of a user's workspace, and the directories above it."""
        its = self._users[user]
        target = Path(its["cwd"]) / path
        missing = [each for each in (target, *target.parents) if not each.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        if "user" in its:
            for each in missing:
                os.chown(each, its["user"], its["user"] if self.kind.apart else GROUP)
                each.chmod(mode if each == target else 0o2775)
        return target


def share(*directories: Path) -> None:
    """Hand directories over to the group, as docs/how-to/share-a-store.md says."""
    for each in directories:
        each.mkdir(exist_ok=True)
        os.chown(each, 0, GROUP)
        each.chmod(0o2775)


def prepare(crowd: Crowd) -> None:
    """Everything is there, most of it is tracked, and a store has some waste."""
    tracked = [*_OWN[::2], *_IN_PLACE[::2], MISSING, FOLDER]
    for user, work in enumerate(crowd.works):
        # A remote goes by the umask of who sends something there.
        remote = str(crowd.remote / str(user))
        commands = [
            *(["init"], ["track", *tracked, *_WASTE], ["untrack", *_WASTE]),
            *(["add-remote", remote], ["push", "--quiet"]),
        ]
        for path in (*_OWN, *_IN_PLACE, *_FILES, *_LOOSE, *_WASTE, MISSING, "spare/empty"):
            lines = _LINES if path == MISSING else 30
            crowd.write(path, content(f"{path} nobody-{user} 0", lines), user)
        done = crowd.run(crowd.member("beginner", user, commands=commands))
        assert not done.wrong, crowd.said(done)
        (work / MISSING).unlink()


def mixed(crowd: Crowd, draw: random.Random, count: int, seconds: float) -> list[Ask]:
    """Members of all roles.

    Args:
        crowd: theirs.
        draw: gives each its seed.
        count: of processes; at least 14.
        seconds: that they work.
    """
    asks: list[Ask] = []

    def add(role: str, **its: Any) -> None:
        asks.append(crowd.member(role, seed=draw.getrandbits(32), seconds=seconds, **its))

    writers = max(2, count // 8)
    # Who opened somebody else's file can't be seen: no lease is to be had on it.
    in_place = crowd.kind.apart or len(crowd.kind.users) < 2
    for at in range(writers):
        add("writer", paths=_OWN[at::writers], pause=0.3)
    for at in range(writers // 2):
        some = slice(at, None, writers // 2)
        add("writer", paths=_IN_PLACE[some], in_place=in_place, pause=0.3)
        add("writer", paths=_FILES[some], pause=0.6)
    for _ in range(2):
        add("collector", grace=GRACE)
    add("remover", paths=[MISSING, *_LOOSE], pause=0.3)
    add("reader")
    others: list[tuple[str, Ask, int]] = [
        ("tracker", {"paths": [*_OWN, *_IN_PLACE, FOLDER, MISSING]}, 6),
        ("tracker", {"paths": [MISSING]}, 1),
        ("tracker", {"paths": [_OWN[0]]}, 1),
        ("tracker", {"paths": [FOLDER]}, 1),
        ("restorer", {"paths": [*_OWN, *_IN_PLACE, FOLDER + "/"]}, 2),
        ("reader", {}, 1),
        ("sender", {}, 1),
    ]
    while len(asks) < count:
        role, its, _ = draw.choices(others, [weight for _, _, weight in others])[0]
        add(role, **its)
    return asks


def checked(crowd: Crowd, outcome: Outcome) -> Outcome:
    """What went wrong in a crowd, together with what is wrong with what it left."""
    did, wrong = Counter(outcome.did), list(outcome.wrong)
    written = [
        (ask["cwd"], gone)
        for ask, report in zip(crowd.members, crowd.reports, strict=True)
        for gone in report["gone"]
    ]
    for user, work in enumerate(crowd.works):
        here = [gone for cwd, gone in written if cwd == str(work)]
        after = crowd.run(crowd.member("checker", user, torn=_TORN, always=_FILES, written=here))
        did += after.did
        did["replaced"] += len(here)
        wrong += after.wrong
    return outcome._replace(did=did, wrong=wrong)
