"""A manifest that has very many entries: one more version, and commands that name one path."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import count

from blake3 import blake3

from harness import (
    SETTLE,
    BenchmarkError,
    Options,
    Place,
    Result,
    between,
    command_path,
    manifest_text,
    median,
    place,
    seconds,
)

LIMIT = 0.5  # seconds
COMMAND_LIMIT = 0.2  # seconds over the start of a command that has nothing to do

SCRIPT = """
import time
from lazydata import track

begun = time.perf_counter()
track({path!r})
print(time.perf_counter() - begun)
"""


def common(one: bytes, other: bytes) -> int:
    """How many bytes two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def is_insertion(before: bytes, after: bytes) -> bool:
    """Whether all of ``before`` is still there, with one piece put into it."""
    kept = common(before, after) + common(before[::-1], after[::-1])
    return len(after) > len(before) and kept >= len(before)


def measure(options: Options) -> list[Result]:
    return [*one_more(options), *commands(options)]


def one_more(options: Options) -> list[Result]:
    entries, rounds = (2_000, 2) if options.quick else (100_000, 7)
    tracked, content = f"data/f{entries // 2:06}.csv", b"a,b\n1,2\n" * 1000
    with place(options) as here:
        file = here.workspace / tracked
        file.write_bytes(content)
        here.manifest.write_text(manifest_text(tracked, content, entries), encoding="utf-8")
        script = here.script(SCRIPT.format(path=tracked))
        time.sleep(SETTLE)
        cold = float(here.python(script))
        figures = []
        for number in range(rounds):
            time.sleep(SETTLE if not number else 0.1)
            before = here.manifest.read_bytes()
            here.workspace.joinpath("new").write_bytes(content + f"{number},{number}\n".encode())
            here.workspace.joinpath("new").replace(file)
            figures.append(float(here.python(script)))
            after = here.manifest.read_bytes()
            if not is_insertion(before, after):
                raise BenchmarkError("the new version cost more of the manifest than one place")
            if after.count(f"path: {tracked}\n".encode()) != number + 2:
                raise BenchmarkError("the new version is not in the manifest")
    return [
        Result(
            f"one more version, {entries:,} entries",
            median(figures),
            "s",
            LIMIT,
            f"{between(figures)}; the first look at the manifest took {cold:.2f}",
        )
    ]


def remembered(here: Place, tracked: str, content: bytes, entries: int, url: str) -> None:
    """Let a workspace remember of each entry that it was here, and is on a remote."""
    from lazydata.baseline import Baseline
    from lazydata.digest import Digest

    digests = {}
    for number in range(entries):
        path = f"data/f{number:06}.csv"
        told = content if path == tracked else str(number).encode()
        digests[path] = Digest(f"blake3:{blake3(told).hexdigest()}")
    memory = Baseline(str(here.workspace))
    memory.put(digests)
    memory.add_pushed(url, [digest for path, digest in digests.items() if path != tracked])


def commands(options: Options) -> list[Result]:
    """Every command that names one path, once the manifest is compiled."""
    entries, rounds = (2_000, 2) if options.quick else (100_000, 7)
    tracked, content = f"data/f{entries // 2:06}.csv", b"a,b\n1,2\n" * 1000
    lazydata, numbers = command_path(), count()
    with place(options) as bare, place(options) as here:
        file, name = here.workspace / tracked, tracked.rpartition("/")[2]

        def run(*words: str) -> None:
            here.run(lazydata, *words)

        def change() -> None:
            file.write_bytes(content + b"%d\n" % next(numbers))

        def record() -> None:
            change()
            run("track", tracked)

        def nothing() -> None:
            pass

        works: list[tuple[str, Callable[[], None], tuple[str, ...]]] = [
            ("ls", nothing, (tracked,)),
            ("ls", nothing, (name,)),
            ("status", nothing, (tracked,)),
            ("cat", nothing, (tracked,)),
            ("unlock", nothing, (tracked,)),
            ("track", nothing, (tracked,)),
            ("push", nothing, (tracked,)),
            ("pull", nothing, (tracked,)),
            ("restore", file.unlink, (tracked,)),
            ("pull", file.unlink, (tracked,)),
            ("status", change, (tracked,)),
            ("track", change, (tracked,)),
            ("push", record, (tracked,)),
            ("untrack", partial(run, "track", tracked), (tracked,)),
        ]
        told = {nothing: "", file.unlink: ", missing", change: ", changed", record: ", recorded"}
        file.write_bytes(content)
        here.manifest.write_text(manifest_text(tracked, content, entries), encoding="utf-8")
        url = (here.base / "remote").as_uri()
        run("add-remote", url)
        remembered(here, tracked, content, entries, url)
        run("push", tracked)
        time.sleep(SETTLE)
        run("track", tracked)
        starts: list[float] = []
        results = []
        for command, prepare, paths in works:
            figures = []
            for _ in range(rounds):
                prepare()
                starts.append(seconds(partial(bare.run, lazydata, "ls")))
                figures.append(seconds(partial(run, command, *paths)) - starts[-1])
            what = "NAME" if paths == (name,) else "PATH"
            results.append(
                Result(
                    f"{command} {what}{told.get(prepare, '')}, {entries:,} entries",
                    median(figures),
                    "s",
                    COMMAND_LIMIT,
                    f"over the start; {between(figures)}",
                )
            )
            if not file.is_file():
                raise BenchmarkError(f"{command} has not brought {tracked}")
    return [
        Result("the start: ls, no entries", median(starts), "s", None, between(starts)),
        *results,
    ]
