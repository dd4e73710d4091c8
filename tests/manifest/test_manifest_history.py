"""Versions of one path, searched for in a manifest's text without reading all of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_styles import PATHS, any_styles, item_lists, write

from lazydata.errors import ManifestInvalid
from lazydata.manifest import read
from lazydata.workspace.history import versions_in

A, B = f"blake3:{'a' * 64}", f"blake3:{'b' * 64}"


@settings(max_examples=200)
@given(items=item_lists, style=any_styles, path=st.sampled_from([*PATHS, "b", "csv", "d.csv"]))
def test_search_finds_what_reading_all_finds(items, style, path):
    text = write(items, style)
    entry = read(text).entry(path)
    assert versions_in(text, path, file="f") == (entry.versions if entry else ())


@pytest.mark.parametrize(
    "item",
    [
        f'- path: "a\\u002ecsv"\n  hash: {A}\n',
        f"- {{hash: {A}, path: a.csv}}\n",
        f"- {{'path':'a.csv','hash':'{A}'}}\n",
        f"- path: !!str a.csv\n  hash: {A}\n",
        f"- ? path\n  : a.csv\n  hash: {A}\n",
        f"- path: &x a.csv\n  hash: {A}\n",
        f"- hash: {A}\n  path: >-\n    a.csv\n",
    ],
)
def test_path_is_found_however_it_is_written(item):
    text = f"files:\n- path: b.csv\n  hash: {B}\n{item}"
    assert [each.digest for each in versions_in(text, "a.csv", file="f")] == [A]


def test_path_with_a_quote_is_found_in_quotes():
    text = f"files:\n- path: 'it''s'\n  hash: {A}\n"
    assert [each.digest for each in versions_in(text, "it's", file="f")] == [A]


def test_what_is_no_item_of_the_list_does_not_count():
    item = f"- path: a.csv\n  hash: {A}\n"
    commented = item.replace("- ", "# - ").replace("  hash", "#   hash")
    other = f"files:\n- path: b.csv\n  hash: {B}\n{commented}"
    assert versions_in(other, "a.csv", file="f") == ()
    elsewhere = f"files:\n- path: b.csv\n  hash: {B}\narchive:\n{item}"
    assert versions_in(elsewhere, "a.csv", file="f") == ()
    assert versions_in(f"files:\n- path: xa.csv\n  hash: {B}\n", "a.csv", file="f") == ()


@pytest.mark.parametrize(
    "text",
    [
        "files: [\n",
        "nothing: {\n",
        f"files:\n<<<<<<< ours\n- path: a.csv\n  hash: {A}\n=======\n>>>>>>> theirs\n",
        f"files:\n- path: a.csv\n  path: a.csv\n  hash: {A}\n",
    ],
)
def test_what_cannot_be_read_is_an_error(text):
    with pytest.raises(ManifestInvalid):
        versions_in(text, "a.csv", file="abc:lazydata.yml")
