"""The terminal in the README shows what the commands really print."""

import sys
from pathlib import Path
from xml.etree import ElementTree

DOCS = Path(__file__).parent.parent / "docs"


def test_the_picture_is_what_the_commands_print(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import first_minute

    tree = ElementTree.parse(first_minute.PICTURE)
    rows: dict[float, str] = {}
    for each in tree.iter("{http://www.w3.org/2000/svg}text"):
        if "clip-path" in each.attrib:
            row = float(each.attrib["y"])
            rows[row] = rows.get(row, "") + (each.text or "")
    drawn = [rows[row].replace("\xa0", " ").rstrip() for row in sorted(rows)]
    played = [line.rstrip() for line in first_minute.play(str(tmp_path)) if line.strip()]
    assert [line for line in drawn if line] == played
