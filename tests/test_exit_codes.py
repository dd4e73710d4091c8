"""The pages of exit codes have every error that there is, at its code."""

import re
from pathlib import Path

import pytest

from lazydata import errors

DOCS = Path(__file__).parent.parent / "docs"
CODES = {
    name: kind.exit_code
    for name, kind in vars(errors).items()
    if isinstance(kind, type)
    and issubclass(kind, errors.LazydataError)
    and kind is not errors.LazydataError
}


@pytest.mark.parametrize("page", ["design/errors.md", "reference/exit-codes.md"])
def test_a_page_has_every_error(page):
    rows = re.findall(
        r"^\| (\d+) \| ([^|]*) \|", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE
    )
    told = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == CODES
