"""How long commands take that have nothing to do, from fork to exit."""

from __future__ import annotations

from functools import partial

from harness import Options, Result, between, command_path, interleaved, median, place

VERSION_LIMIT = 40.0  # milliseconds
COMMAND_LIMIT = 120.0

COMMANDS = {
    "--version": VERSION_LIMIT,
    "--help": COMMAND_LIMIT,
    "config list": COMMAND_LIMIT,
    "status": COMMAND_LIMIT,
    "ls": COMMAND_LIMIT,
}


def measure(options: Options) -> list[Result]:
    rounds = 3 if options.quick else 21
    command = command_path()
    with place(options) as here:
        here.manifest.unlink()
        here.run(command, "init")
        bare = here.script("pass\n", "bare.py")
        works = [partial(here.run, command, *words.split()) for words in COMMANDS]
        nothing, *times = interleaved(rounds, lambda: here.python(bare), *works)
    return [
        Result(
            f"lazydata {words}",
            median(figures) * 1e3,
            "ms",
            limit,
            f"{between(figures, 1e3)}; a bare interpreter {median(nothing) * 1e3:.1f}",
        )
        for (words, limit), figures in zip(COMMANDS.items(), times, strict=True)
    ]
