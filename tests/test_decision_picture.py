"""The drawn decision table says what the code decides."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lazydata.digest import Digest
from lazydata.reconcile import Action, reconcile

EXPLANATION = Path(__file__).parent.parent / "docs" / "explanation"
OLD, LATEST, OURS, ELSE = (Digest(f"blake3:{name}") for name in ("old", "latest", "ours", "else"))
FILES = {"missing": None, "the latest version": LATEST, "an older version": OLD, "not listed": OURS}
SAID = {
    Action.NOTHING: "Nothing",
    Action.SETTLE: "Remember",
    Action.RECORD: "Record",
    Action.RECORD_OVER: "Record",
    Action.RECORD_UNKNOWN: "Record",
    Action.RESTORE: "Restore",
    Action.UPDATE: "Update",
    Action.DISPLACE: "Displace",
}
FILL = {"Nothing": "k", "Remember": "k", "Record": "g", "Displace": "a"}


@pytest.fixture(scope="module")
def drawn():
    """Everything with a place in the picture: (x, y, class, text)."""
    tree = ElementTree.parse(EXPLANATION / "decision.svg")
    return [
        (float(each.get("x")), float(each.get("y")), each.get("class"), each.text)
        for each in tree.iter()
        if each.get("class") and each.get("x")
    ]


def cells():
    """What the code says of each cell, row by row; None where it can't be."""
    for file in FILES.values():
        for column, baseline in enumerate((None, LATEST, file, ELSE)):
            if column == 2 and file in (None, LATEST):
                yield None
            else:
                yield SAID[reconcile(file, baseline, [OLD, LATEST], LATEST)]


def test_each_cell_is_what_the_code_decides(drawn):
    boxes = sorted(
        (y, x, kind) for x, y, kind, _ in drawn if kind in ("k", "b", "g", "a", "n") and y < 420
    )
    assert len(boxes) == 16
    number = 0
    for (top, left, kind), said in zip(boxes, cells(), strict=True):
        inside = [
            (kind, text)
            for x, y, kind, text in drawn
            if text and left <= x < left + 143 and top < y < top + 76
        ]
        if said is None:
            assert (kind, inside) == ("n", [("small", "can’t be")])
            continue
        number += 1
        assert kind == FILL.get(said, "b")
        assert ("what", said) in inside
        assert ("small", str(number)) in inside
    assert number == 14


def test_rows_and_columns_are_named(drawn):
    names = [text for _, _, kind, text in sorted(drawn, key=lambda row: row[1]) if kind == "is"]
    assert names[4:] == list(FILES)
    assert set(names[:4]) == {"nothing", "the latest version", "just this file", "something else"}


def test_the_page_explains_every_cell_as_it_is_drawn(drawn):
    text = (EXPLANATION / "how-track-decides.md").read_text()
    explained = re.findall(r"^\*\*(\d+)\. [^:*]*: (\w+)\.\*\*", text, re.MULTILINE)
    wanted = [said.lower() for said in cells() if said is not None]
    assert explained == [(str(n), said) for n, said in enumerate(wanted, 1)]
