"""The decision table, cell by cell, and what holds for all of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazydata.digest import Digest
from lazydata.reconcile import RECORDS, REPLACES, Action, reconcile

OLD, LATEST, OTHER, NEW = (Digest(f"blake3:{letter * 64}") for letter in "abcd")
LISTED = [OLD, LATEST]


@pytest.mark.parametrize(
    ("file", "baseline", "action"),
    [
        (None, None, Action.RESTORE),
        (None, LATEST, Action.RESTORE),
        (None, OLD, Action.RESTORE),
        (LATEST, None, Action.SETTLE),
        (LATEST, LATEST, Action.NOTHING),
        (LATEST, OLD, Action.SETTLE),
        (LATEST, OTHER, Action.SETTLE),
        (OLD, None, Action.UPDATE),
        (OLD, LATEST, Action.RECORD),
        (OLD, OLD, Action.UPDATE),
        (OLD, OTHER, Action.UPDATE),
        (NEW, None, Action.RECORD_UNKNOWN),
        (NEW, LATEST, Action.RECORD),
        (NEW, NEW, Action.DISPLACE),
        (NEW, OTHER, Action.RECORD_OVER),
        (NEW, OLD, Action.RECORD_OVER),
    ],
)
def test_every_cell_of_the_table(file: Digest | None, baseline: Digest | None, action: str) -> None:
    assert reconcile(file, baseline, LISTED, LATEST) == action


digests = st.sampled_from([OLD, LATEST, OTHER, NEW])


@given(file=digests, baseline=st.none() | digests)
def test_what_this_process_made_is_never_replaced(file: Digest, baseline: Digest | None) -> None:
    action = reconcile(file, baseline, LISTED, LATEST, output=True)
    assert action not in REPLACES
    assert (action in RECORDS) == (file != LATEST)


@given(baseline=st.none() | digests)
def test_an_output_that_is_not_there_is_an_error(baseline: Digest | None) -> None:
    assert reconcile(None, baseline, LISTED, LATEST, output=True) == Action.MISSING_OUTPUT


@given(file=st.none() | digests, baseline=st.none() | digests)
def test_bytes_that_were_never_recorded_are_never_replaced(
    file: Digest | None, baseline: Digest | None
) -> None:
    action = reconcile(file, baseline, LISTED, LATEST)
    if file is not None and action in REPLACES:
        assert file in LISTED or file == baseline
