"""One turn at one target or machine, in a process of its own; `fuzz.py` starts it.

Prints one line of JSON in the end: inputs or examples, and the findings, which lie in files.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

HAS_ATHERIS = importlib.util.find_spec("atheris") is not None
ADDRESS_SPACE_MEGABYTES = 1500  # above what the process has when it begins


class Turn:
    """What comes of a turn.

    Args:
        findings: directory; each finding is a file in it, with its traceback beside it.
        name: of the target or machine.
        seconds: when to stop.
    """

    def __init__(self, findings: Path, name: str, seconds: float) -> None:
        self._findings, self._name = findings, name
        self._seconds = seconds
        self.begin()
        self.done = 0
        self.found: dict[str, str] = {}

    def begin(self) -> None:
        """Let the time run from now on: to get ready takes seconds."""
        self.end = time.monotonic() + self._seconds

    def note(self, where: str, key: str, story: str, data: bytes = b"") -> None:
        """Keep the first input that led to a place."""
        if key not in self.found:
            self.found[key] = where
            path = self._findings / f"{self._name.replace(' ', '-').lstrip('.')}-{key}"
            self._findings.mkdir(parents=True, exist_ok=True)
            if data:
                path.write_bytes(data)
            path.with_suffix(".txt").write_text(story, errors="replace")

    def stop(self) -> None:
        """Say what there was, and leave at once: atheris does not return."""
        print(json.dumps({"done": self.done, "found": self.found}), flush=True)
        os._exit(0)


def fuzz_guided(turn: Turn, name: str, seed: int, corpus: Path) -> None:
    """Let coverage lead: libFuzzer, by way of atheris."""
    import atheris

    with atheris.instrument_imports(include=["lazydata", "ruamel.yaml", "pathspec"]):
        import fuzz_targets

        fuzz_targets.import_all()
    from fuzz_bounds import attempt, limit_memory

    target = fuzz_targets.TARGETS[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    words = corpus.with_suffix(".dict")
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in set(target.tokens)))
    limit_memory(ADDRESS_SPACE_MEGABYTES)

    def one(data: bytes) -> None:
        if time.monotonic() > turn.end:
            turn.stop()
        turn.done += 1
        found = attempt(target, data)
        if found is not None:
            turn.note(found.where, found.name, found.story, found.data)

    options = [f"-seed={seed}", f"-dict={words}", "-max_len=4096", "-timeout=60", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=0", str(corpus)], one)
    turn.begin()
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


def fuzz_mutated(turn: Turn, name: str, seed: int) -> None:
    """Without atheris: changed seeds, by hypothesis."""
    from fuzz_bounds import attempt, limit_memory
    from fuzz_mutations import mutated
    from fuzz_targets import TARGETS, import_all
    from hypothesis import given

    import_all()
    limit_memory(ADDRESS_SPACE_MEGABYTES)
    target = TARGETS[name]

    def one(data: bytes) -> None:
        turn.done += 1
        found = attempt(target, data)
        if found is not None:
            turn.note(found.where, found.name, found.story, found.data)

    turn.begin()
    for number in _seeds(turn, seed):
        _settled(given(mutated(target))(one), number, shrink=False)()


def run_machine(turn: Turn, name: str, seed: int) -> None:
    """Many examples of a state machine; one that fails is made short, and ends the turn."""
    from fuzz_machines import MACHINES
    from hypothesis.stateful import run_state_machine_as_test

    machine = MACHINES[name]

    class Counted(machine):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            turn.done += 1
            super().__init__()

    for number in _seeds(turn, seed):
        Counted._hypothesis_internal_use_seed = number
        try:
            run_state_machine_as_test(Counted, settings=_settings(shrink=True))
        except Exception as error:
            where = f"{type(error).__name__}: {str(error)[:200]}"
            turn.note(where, f"{name}-{number}", traceback.format_exc())
            return


def _seeds(turn: Turn, seed: int) -> Iterator[int]:
    while time.monotonic() < turn.end:
        yield seed
        seed += 1


def _settled(test, seed: int, *, shrink: bool):  # type: ignore[no-untyped-def]
    import hypothesis

    return hypothesis.seed(seed)(_settings(shrink=shrink)(test))


def _settings(*, shrink: bool):  # type: ignore[no-untyped-def]
    from hypothesis import HealthCheck, Phase, settings

    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    return settings(
        max_examples=100,
        stateful_step_count=40,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )


def main() -> None:
    """One turn; what it says is read by ``fuzz.py``."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind", choices=["target", "machine"])
    options.add_argument("name")
    options.add_argument("--seconds", type=float, required=True)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--findings", type=Path, required=True)
    options.add_argument("--corpus", type=Path, required=True)
    chosen = options.parse_args()
    turn = Turn(chosen.findings, chosen.name, chosen.seconds)
    if chosen.kind == "machine":
        run_machine(turn, chosen.name, chosen.seed)
    elif HAS_ATHERIS:
        fuzz_guided(turn, chosen.name, chosen.seed, chosen.corpus)
    else:
        fuzz_mutated(turn, chosen.name, chosen.seed)
    turn.stop()


if __name__ == "__main__":
    main()
