"""What git waits for: the merge driver, and the hooks, each as a whole process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from harness import (
    BenchmarkError,
    Options,
    Place,
    Result,
    between,
    interleaved,
    manifest_text,
    median,
    place,
)

DRIVER_LIMIT = 80.0  # milliseconds
PUSH_LIMIT = 300.0
CHECKOUT_LIMIT = 150.0

CHANGED = 3
URL = "file:///srv/share/lazydata"


def measure(options: Options) -> list[Result]:
    entries, rounds = (1_000, 3) if options.quick else (10_000, 21)
    with place(options) as here:
        here.env |= {f"GIT_{who}_{what}": "a@example.org" for who, what in _WHO}
        here.env |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        here.run("git", "init", "-q", "-b", "main")
        bare = here.script("pass\n", "bare.py")
        nobody, refused, told = _hooks(here, entries)
        merged = _driver(here, 1_000)
        nothing, *times = interleaved(
            rounds, lambda: here.python(bare), merged, nobody, refused, told
        )
    rows = (
        ("merge driver, 1,000 entries", DRIVER_LIMIT),
        (f"pre-push, all is there, {entries:,} entries", PUSH_LIMIT),
        (f"pre-push, nothing is there, {entries:,} entries", PUSH_LIMIT),
        (f"post-checkout, {CHANGED} of {entries:,} outdated", CHECKOUT_LIMIT),
    )
    note = f"a bare interpreter {median(nothing) * 1e3:.1f}"
    return [
        Result(name, median(figures) * 1e3, "ms", limit, f"{between(figures, 1e3)}; {note}")
        for (name, limit), figures in zip(rows, times, strict=True)
    ]


_WHO = [(who, what) for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]


def _hooks(here: Place, entries: int) -> list[Callable[[], object]]:
    """Two commits, of which the second has another version of a few files."""
    text = manifest_text("", b"", entries)
    text += f"remotes:\n  origin:\n    url: {URL}\n"
    digests = [line.split()[-1] for line in text.splitlines() if "hash: " in line]
    commits = [_commit(here, text)]
    memory = here.workspace / ".lazydata"
    memory.mkdir()
    (memory / ".gitignore").write_text("*\n")
    known = []
    for number in range(CHANGED):
        # Versions that are in the middle of the list, and far from each other.
        at = (number + 1) * entries // (CHANGED + 1)
        path, old = f"data/f{at:06}.csv", digests[at]
        (here.workspace / path).write_text(str(at))
        known.append(f"{path}\t{old}\n")
        digests[at] = "blake3:" + blake3(f"new {at}".encode()).hexdigest()
        text = text.replace(old, digests[at])
    (memory / "baselines").write_text("".join(known))
    commits.append(_commit(here, text))
    pushed, stored = memory / "pushed", here.base / "lazydata/store/objects-v1/blake3"
    lines = "".join(f"{URL}\t{digest}\n" for digest in digests)

    def push(said: str) -> None:
        update = f"refs/heads/main {commits[1]} refs/heads/main {commits[0]}\n"
        _hook(here, "pre-push", "origin", "url", stdin=update, said=said)

    def all_there() -> None:
        if not pushed.exists():
            pushed.write_text(lines)
        push("")

    def none_there() -> None:
        pushed.unlink()
        push(f"would publish {entries:,} versions")
        pushed.write_text(lines)

    for digest in digests:
        name = digest.removeprefix("blake3:")
        (stored / name[:2]).mkdir(parents=True, exist_ok=True)
        (stored / name[:2] / name).touch()
    return [
        all_there,
        none_there,
        lambda: _hook(here, "post-checkout", *commits, "1", said="outdated now: data/f"),
    ]


def _hook(here: Place, name: str, *arguments: str, stdin: str = "", said: str) -> None:
    """Run a hook as git does, through a shell."""
    given = here.base / "stdin"
    given.write_text(stdin)
    script = f'"{sys.executable}" -m lazydata git hook {name} "$@" <"{given}" 2>&1 || test $? = 1'
    here.env["LAZYDATA_QUIET"] = "0"
    out = here.run("sh", "-c", script, "sh", *arguments)
    if (said not in out) if said else out:
        raise BenchmarkError(f"{name} said: {out}")


def _commit(here: Place, text: str) -> str:
    here.manifest.write_text(text, encoding="utf-8")
    here.run("git", "add", "lazydata.yml")
    here.run("git", "commit", "-q", "-m", "x")
    return here.run("git", "rev-parse", "HEAD").strip()


def _driver(here: Place, entries: int) -> Callable[[], object]:
    """Both sides add versions to ten files, and none of them to the same."""
    base = manifest_text("", b"", entries)
    sides = {"base": base, "ours": _edited(base, 0), "theirs": _edited(base, 5)}
    for name, text in sides.items():
        (here.workspace / name).write_text(text, encoding="utf-8")
    result = here.workspace / "result"
    here.env[f"GITHEAD_{'0' * 40}"] = "topic"  # as `git merge` tells it

    def merge() -> None:
        shutil.copyfile(here.workspace / "ours", result)
        words = ("base", "result", "theirs", "7", "lazydata.yml")
        here.run(sys.executable, "-m", "lazydata", "git", "merge-driver", *words)
        if Path(result).read_text(encoding="utf-8").count("new version") != 20:
            raise BenchmarkError("the merge lost something")

    return merge


def _edited(base: str, offset: int) -> str:
    items = base.split("  - path: ")
    for at in range(offset + 1, len(items), len(items) // 10):
        path = items[at].partition("\n")[0]
        digest = blake3(f"{offset} {at}".encode()).hexdigest()
        items[at] += f"{path}\n    hash: blake3:{digest}\n    size: 1\n    usage: new version.py\n"
        items[at] = items[at].replace(f"\n{path}\n", f"\n  - path: {path}\n", 1)
    return "  - path: ".join(items)
