"""What is wrong with a manifest is said with its line and column."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lazydata.errors import ManifestInvalid
from lazydata.manifest import decode, read
from lazydata.manifest.paths import problem

H = "blake3:" + "0" * 64


def item(path="a", **keys):
    rest = "".join(f"    {key}: {value}\n" for key, value in {"hash": H, **keys}.items())
    return f"version: 2\nfiles:\n  - path: {path}\n{rest}"


CASES = {
    "broken": ("version: 2\nfiles: [\n", 3, 1, "broken YAML"),
    "tab": ("files:\n\t- a\n", 2, 1, "broken YAML"),
    "unprintable": ("a: b\nc: \x01\n", 2, 4, "not allowed"),
    "conflict": (f"files:\n<<<<<<< ours\n- path: a\n  hash: {H}\n=======\n", 2, 1, "git conflict"),
    "conflict end": ("files:\n>>>>>>> theirs\n", 2, 1, "git conflict"),
    "not a mapping": ("- a\n", 1, 1, "a manifest is a mapping"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, 1, "another document"),
    "twice": ("version: 2\nversion: 2\n", 2, 1, "'version' is there twice"),
    "item twice": (item() + f"    hash: {H}\n", 5, 5, "'hash' is there twice"),
    "newer": ("version: 3\n", 1, 10, "written by a newer lazydata"),
    "zero": ("version: 0\n", 1, 10, "no manifest format 0"),
    "version text": ("version: '2'\n", 1, 10, "whole number"),
    "files text": ("files: all\n", 1, 8, "list of items"),
    "files mapping": ("files:\n  a: 1\n", 2, 3, "list of items"),
    "item text": ("files:\n  - a\n", 2, 5, "an item must be a mapping"),
    "no path": (f"files:\n  - hash: {H}\n", 2, 5, "no path"),
    "no hash": ("files:\n  - path: a\n", 2, 5, "no hash"),
    "path number": (item("2024"), 3, 11, "path must be text"),
    "path null": (item("~"), 3, 11, "path must be text"),
    "path list": (item("[a]"), 3, 11, "path must be text"),
    "absolute": (item("/etc/passwd"), 3, 11, "is absolute"),
    "climbs": (item("a/../../b"), 3, 11, "climbs"),
    "climbs quoted": (item("'..'"), 3, 11, "climbs"),
    "climbs backslash": (item("a\\..\\..\\b"), 3, 11, "climbs"),
    "drive": (item("C:/x"), 3, 11, "drive"),
    "unc": (item('"\\\\\\\\host\\\\x"'), 3, 11, "is absolute"),
    "nul": (item('"a\\0b"'), 3, 11, "NUL"),
    "surrogate": (item('"a\\udc80"'), 3, 11, ""),
    "dot": (item("./x"), 3, 11, "plain form"),
    "double slash": (item("a//b"), 3, 11, "plain form"),
    "empty": (item("''"), 3, 11, "empty"),
    "itself": (item("lazydata.yml"), 3, 11, "lazydata itself"),
    "state": (item(".lazydata/x"), 3, 11, "lazydata itself"),
    "git": (item("a/.GIT/hooks/post-checkout"), 3, 11, "belongs to git"),
    "algorithm": (item(hash="md5:" + "0" * 32), 4, 11, "unknown hash algorithm 'md5'"),
    "short hash": (item(hash="blake3:00"), 4, 11, "malformed hash"),
    "hash list": (item(hash="[a]"), 4, 11, "hash must be text"),
    "size text": (item(size="big"), 5, 11, "size must be a whole number"),
    "size negative": (item(size="-1"), 5, 11, "size must be a whole number"),
    "size huge": (item(size="9" * 5000), 5, 11, "size must be a whole number"),
    "files count": (item(files="1.5"), 5, 12, "files must be a whole number"),
    "usage number": (item(usage="[a, 1]"), 5, 16, "usage must be text"),
    "usage mapping": (item(usage="{a: b}"), 5, 12, "usage must be text"),
    "tag": (item("!!python/name:os.system x"), 3, 11, "path must be text"),
    "tag on an item": (f"files:\n- !x\n  path: a\n  hash: {H}\n", 2, 3, "tag"),
    "merge": (f"b: &b {{hash: {H}}}\nfiles:\n- <<: *b\n  path: a\n", 3, 3, "merge keys"),
    "on_change": ("on_change: maybe\n", 1, 12, "one of version, warn, error"),
    "gitignore": ("gitignore: no\n", 1, 12, "gitignore is true or false"),
    "remotes list": ("remotes: [a]\n", 1, 10, "remotes must be a mapping"),
    "remote no url": ("remotes:\n  a:\n    x: y\n", 3, 5, "has no url"),
    "remote number": ("remotes:\n  a: 5\n", 2, 6, "a must be text"),
    "remote option": ("remotes:\n  a:\n    url: b\n    x: [1]\n", 4, 8, "x must be text"),
    "remote empty": ("remotes:\n  a: ''\n", 2, 6, "a is empty"),
    "remote twice": ("version: 1\nremote: a\nremotes:\n  origin: b\n", 4, 11, "there twice"),
    "key list": ("? [a]\n: b\n", 1, 3, "a key must be text"),
    "deep": ("a: " + "[" * 5000, 1, None, "nested too deeply"),
    "alias": ("a: *b\n", 1, 4, "undefined alias"),
    "recursive": ("files: &a\n- *a\n", 1, 8, "an item must be a mapping"),
}


@pytest.mark.parametrize(("source", "line", "column", "said"), CASES.values(), ids=CASES.keys())
def test_errors_name_their_place(source, line, column, said):
    with pytest.raises(ManifestInvalid) as caught:
        read(source, file="d/lazydata.yml")
    assert said in str(caught.value)
    assert caught.value.line == line
    assert column is None or caught.value.column == column
    assert str(caught.value).startswith(f"d/lazydata.yml:{line}")
    assert caught.value.exit_code == 11
    with pytest.raises(ManifestInvalid) as caught:
        read("\ufeff" + source.replace("\n", "\r\n"), file="f")
    assert caught.value.line == line


def test_hints_say_what_to_write():
    with pytest.raises(ManifestInvalid, match="write it as a/b") as caught:
        read(item("a/./b"))
    assert caught.value.hint == "write it as a/b"
    with pytest.raises(ManifestInvalid, match="upgrade"):
        read("version: 12\n")


def test_alias_bombs_are_cheap():
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 60)
    )
    assert read(bomb + "files:\n").manifest.files == {}
    with pytest.raises(ManifestInvalid, match="an item must be a mapping"):
        read(bomb + "files: *a59\n")


def test_anchors_and_repeated_anchors_are_read():
    source = f"s: &s x.py\nfiles:\n- path: a\n  hash: {H}\n  usage: *s\nt: &s 1\n"
    assert read(source).entry("a").latest.usage == ("x.py",)


def test_bytes_that_are_no_text():
    assert decode(b"\xef\xbb\xbfversion: 2\r\n") == "\ufeffversion: 2\r\n"
    with pytest.raises(ManifestInvalid, match="UTF-8") as caught:
        decode("a: é\nb: é".encode() + b"\xff", file="f")
    assert (caught.value.line, caught.value.column) == (2, 5)
    with pytest.raises(ManifestInvalid):
        decode("version: 2".encode("utf-16"))


@pytest.mark.parametrize(
    "path",
    ["a", "a/", ".hidden", "a..b/...c", "x/lazydata.yml", "ab:c", "~/x", "a\\b", "git/.gitignore"],
)
def test_fine_paths(path):
    assert problem(path) is None


def test_reading_a_plain_manifest_does_not_import_ruamel():
    code = "import sys; from lazydata.manifest import TEMPLATE, read\n"
    code += "read(TEMPLATE); assert not [m for m in sys.modules if m.startswith('ruamel')]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_words_of_the_manifest_come_without_what_reads_it():
    code = "import sys; from lazydata.manifest import Entry, Version, NAME\n"
    code += (
        "assert not {'lazydata.manifest.grammar', 'lazydata.manifest.edit'} & set(sys.modules)\n"
    )
    code += "from lazydata.manifest import MemoryView, record, decode\n"
    subprocess.run([sys.executable, "-c", code], check=True)
