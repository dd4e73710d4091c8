"""Memory goes back to the system only where the process is lazydata's alone."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc only")

NOTED = """
import ctypes, json
from types import SimpleNamespace
from lazydata import heap
asked = []
ctypes.CDLL = lambda name: SimpleNamespace(mallopt=lambda *a: asked.append(a))
"""


def asked(desk, code):
    done = desk.run_code(NOTED + code + "print(json.dumps(asked))")
    return json.loads(done.stdout)


def test_other_peoples_processes_are_left_as_they_are(desk):
    assert asked(desk, "heap.spare()\n") == []


def test_ours_is_told_once(desk):
    once = asked(desk, "heap.own(); heap.spare()\n")
    assert len(once) == 2
    assert asked(desk, "heap.own(); heap.spare(); heap.spare()\n") == once


def test_a_system_that_knows_nothing_of_it(desk):
    nothing = "ctypes.CDLL = lambda name: object()\nheap.own(); heap.spare()\n"
    assert asked(desk, nothing) == []


def test_the_system_takes_it(desk):
    """mallopt says 1 where it knows the option."""
    code = """
    import ctypes
    from lazydata import heap
    mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 1)
    print([mallopt(heap._M_ARENA_MAX, 1), mallopt(heap._M_MMAP_THRESHOLD, heap._TRIM_FROM)])
    """
    assert desk.run_code(code).stdout.strip() == "[1, 1]"
