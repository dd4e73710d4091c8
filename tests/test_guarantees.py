"""The pages that say how a promise is tested name tests that are there."""

import itertools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
EXPLANATION = TESTS.parent / "docs" / "explanation"


@pytest.mark.parametrize("page", ["guarantees.md", "threat-model.md"])
def test_every_test_that_is_named_exists(page):
    named = set(re.findall(r"`(test_\w+)`", (EXPLANATION / page).read_text(encoding="utf-8")))
    texts = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    there = set(re.findall(r"^\s*def (test_\w+)", texts, re.MULTILINE))
    assert len(named) > 10
    assert named <= there, f"{page} names what is not there: {sorted(named - there)}"


def test_every_promise_of_each_page_names_its_tests():
    """A section of the one page, and a statement in bold of the other."""
    promises = (EXPLANATION / "guarantees.md").read_text(encoding="utf-8").split("\n## ")[1:-1]
    lacking = [
        each.splitlines()[0]
        for each in promises
        if not re.search(r"\n\*Tests\*: [^`]*`test_", each)
    ]
    model = (EXPLANATION / "threat-model.md").read_text(encoding="utf-8").split("\n\n")
    stated = [
        (one, then)
        for one, then in itertools.pairwise(model)
        if one.startswith("**") and not one.startswith("**What they can do")
    ]
    lacking += [one for one, then in stated if not then.startswith("*Tests*: `test_")]
    assert len(promises) > 5
    assert len(stated) > 8
    assert lacking == []
