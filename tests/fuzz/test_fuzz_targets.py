"""Each parser on its seeds, on some changed ones, and on what fuzzing once found."""

from __future__ import annotations

import pytest
from fuzz_bounds import MEGABYTES, attempt, in_memory
from fuzz_mutations import mutated
from fuzz_targets import SECRET, TARGETS, Target
from hypothesis import HealthCheck, given, settings

EXAMPLES = {"manifest": 80, "merge": 40}


@pytest.fixture(autouse=True)
def bounded():
    with in_memory(MEGABYTES):
        yield


def try_out(target: Target, data: bytes) -> None:
    found = attempt(target, data)
    assert found is None, f"{found.where}\n{found.data!r}\n{found.story}"


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name):
    for data in TARGETS[name].seeds:
        try_out(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_seeds(name):
    @settings(
        max_examples=EXAMPLES.get(name, 150),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(TARGETS[name]))
    def run(data):
        try_out(TARGETS[name], data)

    run()


FOUND = {
    "url": [
        b"ssh://host/O\xb1[\xf8/x",
        b"FILE://lcalhost/x%2\xb7",
        b"@me@ho~st:sshx\x9a\xf3y\xf9",
        b"FILE://]st/x%20y",
        b"//@fi://",
        f"ssh://me:{SECRET}/x@host/x".encode(),
        f"s3://{SECRET}}}?x@".encode(),
        f"https://{SECRET}@host/x".encode(),
    ],
    ".lazydata": [b"9" * 400 + b"\ta\tblake3:" + b"1" * 64 + b"\n17"],
    "workspace id": [b"../../x\n", b"/etc/x\n", b"\xff" * 32, b""],
}


@pytest.mark.parametrize(("name", "data"), [(n, d) for n, some in FOUND.items() for d in some])
def test_what_was_found_once(name, data):
    try_out(TARGETS[name], data)
