"""The fast lane never says anything that ruamel.yaml would not say."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_styles import any_styles, item_lists, styles, write
from ruamel.yaml import YAML

from lazydata.errors import ManifestInvalid
from lazydata.manifest import TEMPLATE, document, read, text
from lazydata.manifest.grammar import quote

HASH = "blake3:" + "0" * 64


def agree(source: str) -> bool:
    """Whether ``scan`` took it; then both lanes said the same."""
    manifest = text.scan(source)
    if manifest is None:
        return False
    judged = document.load(source, file="f")
    assert manifest == judged.manifest
    assert list(manifest.files) == list(judged.manifest.files)
    assert list(manifest.remotes) == list(judged.manifest.remotes)
    assert list(text.items(source)) == judged.items
    return True


@settings(deadline=None, max_examples=200)
@given(item_lists, styles)
def test_well_formed_texts_are_taken_and_read_alike(items, style):
    assert agree(write(items, style))


@settings(deadline=None, max_examples=150)
@given(item_lists, any_styles)
def test_the_judge_says_what_the_round_trip_loader_says(items, style):
    source = write(items, style)
    loaded = YAML().load(StringIO(source))
    said = [(item.path, *item.version[:2]) for item in document.load(source, file="f").items]
    assert said == [(i["path"], i["hash"], i.get("size")) for i in loaded["files"] or []]


PIECES = [
    *"\t:#-?,[]{}&*!|>'\"%@`~ \n\r=<+._0x",
    *("\x85", "\u2028", "\x00", "\ufeff", "\x7f", "\xa0", "é", "\U0001f600"),
    *(": ", " #", "- ", "  ", "\\n", "''", "<<: ", "---\n", "...\n", "&a ", "*a", "!!str ", "|\n"),
    *("true", "null", "1.5", "0x1f", "2024-01-01", "..", "/", "./", "//", "C:", ".git/"),
    *("path: b\n", "usage:\n", "usage: x\n", "files:\n", "remotes:\n", "=======\n", "size: 07\n"),
    *("version: 1\n", "remote: s3://b\n", "endpoint: 1\n", "note: true\n", "null: 1\n"),
]


@settings(deadline=None, max_examples=1000)
@given(item_lists.filter(bool), styles, st.data())
def test_damaged_texts_are_read_alike_or_left_to_the_judge(items, style, data):
    source = write(items[:3], style)
    for _ in range(data.draw(st.integers(1, 3))):
        lines = source.splitlines(keepends=True)
        at = data.draw(st.integers(0, len(lines) - 1)) if lines else 0
        match data.draw(st.sampled_from(["drop", "double", "insert", "insert", "cut"])):
            case "drop":
                lines[at : at + 1] = []
                source = "".join(lines)
            case "double":
                lines[at:at] = lines[at : at + 1]
                source = "".join(lines)
            case "cut":
                place = data.draw(st.integers(0, len(source)))
                source = source[:place] + source[place + 1 :]
            case _:
                place = data.draw(st.integers(0, len(source)))
                source = source[:place] + data.draw(st.sampled_from(PIECES)) + source[place:]
    agree(source)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([*PIECES, "a", "b", "1", "9"]), max_size=6).map("".join))
def test_any_scalar_is_read_alike(scalar):
    agree(f"files:\n- path: {scalar}\n  hash: {HASH}\n")
    agree(f"files:\n- path: x\n  hash: {HASH}\n  usage: {scalar}\n")
    agree(f"files:\n- path: x\n  hash: {HASH}\n  note: {scalar}\n  usage:\n  - {scalar}\n")
    agree(f"remotes:\n  a:\n    url: {scalar}\n    x: {scalar}\n{scalar}: 1\n")


@settings(deadline=None, max_examples=300)
@given(st.text() | st.sampled_from(PIECES))
def test_quoted_scalars_mean_the_text(value):
    source = f"remotes:\n  a:\n    url: u\n    x: {quote(value)}\n"
    assert document.parse(source, file="f").remotes["a"].options["x"] == value
    agree(source)


@pytest.mark.parametrize(
    "source",
    [
        "files: []\n",
        "files:\n\t- path: a\n",
        f"files:\n- path: 'a\n    b'\n  hash: {HASH}\n",
        f"files:\n- path: a\n  hash: {HASH}\n  size: 1.5\n",
        f"files:\n- path: 2024-01-01\n  hash: {HASH}\n",
        f"files:\n- path: true\n  hash: {HASH}\n",
        f"files:\n- path: a\n  hash: {HASH}\n  hash: {HASH}\n",
        f"files:\n- path: a\x85\n  hash: {HASH}\n",
        "---\nversion: 2\n",
        "version: 2\nversion: 2\n",
        "version: 3\n",
        'version: "2"\n',
        "<<<<<<< ours\n",
        "on_change: maybe\n",
        "gitignore: no\n",
        "gitignore: 'true'\n",
        "gitignore: null\n",
        f"files:\n- path: ../a\n  hash: {HASH}\n",
        f"files:\n- path: a//b\n  hash: {HASH}\n",
        f"files:\n- path: .git/config\n  hash: {HASH}\n",
    ],
)
def test_what_is_not_certain_is_left_to_the_judge(source):
    assert text.scan(source) is None


@pytest.mark.parametrize("source", ["", "\n", "# only this\n", "\ufeff", "\ufeff# a", TEMPLATE])
def test_empty_manifests(source):
    assert agree(source)
    assert read(source).manifest.files == {}


@pytest.mark.parametrize("value", ["true", "false", "False", "TRUE # both"])
def test_gitignore(value):
    source = f"gitignore: {value}\n"
    assert agree(source)
    assert read(source).gitignore == value.lower().startswith("true")


def test_versions_of_one_path_are_joined_and_a_digest_counts_once():
    def item(path, digit, usage):
        return f"- path: {path}\n  hash: {digit * 64}\n  usage: {usage}\n"

    source = "version: 1\nfiles:\n" + "".join(
        item(*parts)
        for parts in [("a", "1", "x"), ("a", "2", "y"), ("b", "3", "z"), ("a", "1", "w")]
    )
    assert agree(source)
    entry = read(source).entry("a")
    assert [(v.digest[:8], v.usage) for v in entry.versions] == [
        ("sha256:2", ("y",)),
        ("sha256:1", ("w",)),
    ]


def test_a_manifest_of_lazydata_1():
    source = (
        "version: 1\nremote: s3://mybucket/lazydata\nendpoint: http://localhost:9000\nfiles:\n"
        f"  - path: data/x.csv\n    hash: {'AB' * 32}\n    source_url: https://e.org/x?a=1\n"
        "    usage: my_script.py\n"
    )
    assert agree(source)
    view = read(source)
    assert view.manifest.remotes["origin"].options == {"endpoint": "http://localhost:9000"}
    version = view.entry("data/x.csv").latest
    assert version.digest == "sha256:" + "ab" * 32
    assert (version.size, version.source_url) == (None, "https://e.org/x?a=1")


def test_broken_texts_never_raise_anything_else():
    for source in ["a: [", "files: 1", "- a", "x", "{", "\x00", "'", "files:\n- - a", "a: &a [*a]"]:
        try:
            read(source)
        except ManifestInvalid:
            pass


def test_a_large_manifest_keeps_the_collector_as_it_was():
    import gc

    source = "files:\n" + "".join(f"- path: d/{n}.x\n  hash: {HASH}\n" for n in range(15_000))
    assert gc.isenabled()
    assert len(read(source).manifest.files) == 15_000
    assert gc.isenabled()
