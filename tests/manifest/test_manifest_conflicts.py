"""What git leaves where no merge driver is installed is said in a way that mends it."""

from __future__ import annotations

import json

import pytest

from lazydata.errors import ManifestInvalid
from lazydata.manifest import conflicts, read

H = [f"blake3:{digit * 64}" for digit in "0123456789"]


def item(path: str, digit: int, size: int = 5, usage: str = "x.py") -> str:
    return f"  - path: {path}\n    hash: {H[digit]}\n    size: {size}\n    usage: {usage}\n"


HEAD = "version: 2\nfiles:\n"
BASE = HEAD + item("a", 1) + item("z", 1)
EACH = {
    "versions that differ in size": (item("a", 2, 6), item("a", 3, 7)),
    "versions of one size": (item("a", 2), item("a", 3)),
    "versions that differ in all": (item("a", 2, 6, "y.py"), item("a", 3, 7, "w.py")),
    "several usages": (
        item("a", 2, 6) + item("a", 4, 6, "\n      - x.py\n      - y.py"),
        item("a", 3, 7, "\n      - x.py\n      - w.py"),
    ),
    "neighbours of one content": (item("b", 2), item("c", 2)),
    "neighbours": (item("b", 2, 6, "y.py"), item("c", 3, 7, "w.py")),
}
MIXES = [True, True, True, True, True, False]


@pytest.fixture
def merged(desk):
    """Merge by git alone what two branches put between the items of ``BASE``."""

    def run(ours, theirs, attributes=""):
        desk.git("init", "-q", "-b", "main")
        desk.write(".gitattributes", attributes)
        desk.git("commit", "-q", "--allow-empty", "-m", "first")
        for branch, added in (("main", ""), ("new", theirs), ("main", ours)):
            desk.git("switch", "-q", *(["-c"] if added == theirs else []), branch)
            desk.write("lazydata.yml", BASE.replace(item("z", 1), added + item("z", 1)))
            desk.git("add", ".")
            desk.git("commit", "-q", "-m", branch)
        desk._run(["git", "merge", "-q", "new"], None, None, None)
        return desk.manifest_file.read_text()

    return run


def refused(text: str) -> ManifestInvalid:
    with pytest.raises(ManifestInvalid) as caught:
        read(text, file="d/lazydata.yml")
    return caught.value


def pasted(text: str, error: ManifestInvalid) -> str:
    """The text, with the lines that the error shows where it says that they belong."""
    words = error.hint.split()
    first, last = (int(words[words.index(word) + 1]) for word in ("lines", "to"))
    lines = text.splitlines()
    return "\n".join([*lines[: first - 1], *error.shown, *lines[last:]]) + "\n"


def files(text: str) -> dict[str, set[str]]:
    return {p: {v.digest for v in e.versions} for p, e in read(text).manifest.files.items()}


def test_conflict_markers_are_told_with_both_sides(merged):
    error = refused(merged(*EACH["versions that differ in size"]))
    assert error.message == "d/lazydata.yml:8:1: unresolved git conflict between HEAD and new"
    assert error.shown == (
        "HEAD:",
        f"    hash: blake3:{'2' * 12}…",
        "    size: 6",
        "new:",
        f"    hash: blake3:{'3' * 12}…",
        "    size: 7",
    )
    for way in ("git checkout --ours lazydata.yml", "--theirs", "edit", "lazydata git install"):
        assert way in error.hint
    assert str(error).endswith("\n".join(error.shown))


def test_a_long_side_is_shortened_and_an_empty_one_is_said():
    lines = "".join(f"  # {n}\n" for n in range(30))
    text = f"files:\n<<<<<<< HEAD\n{lines}||||||| 1a2b\n  # old\n=======\n>>>>>>> \x1b[2J\n"
    for source in (text, text.replace("\n", "\r\n")):
        error = refused(source)
        assert error.shown == (
            *("HEAD:", "  # 0", "  # 1", "  # 2", "  # 3", "  # 4", "  # 5", "  # 6", "  # 7"),
            *("    … 22 more lines", "\\x1b[2J:", "    (nothing)"),
        )


def test_a_conflict_stops_every_command_and_nothing_is_written(merged, desk):
    merged(*EACH["versions of one size"])
    desk.write("b", "new")
    before = desk.manifest_file.read_bytes()
    for command in (["track", "b"], ["status"], ["pull"]):
        done = desk.run_cli(*command, code=11)
        assert "unresolved git conflict between HEAD and new" in done.stderr
        assert f"    hash: blake3:{'3' * 12}…\n" in done.stderr
    told = json.loads(desk.run_cli("status", "--json", code=11).stderr)
    assert told["shown"][0] == "HEAD:"
    assert desk.manifest_file.read_bytes() == before


@pytest.mark.parametrize(("sides", "mixes"), list(zip(EACH.values(), MIXES, strict=True)), ids=EACH)
@pytest.mark.parametrize("union", [False, True])
def test_the_repaired_block_can_be_pasted(merged, sides, mixes, union):
    text = merged(*sides, attributes="lazydata.yml merge=union\n" if union else "")
    markers = ("<<<<<<< ", "=======", ">>>>>>> ")
    assert union or any(marker in text for marker in markers)
    # A person who wants to keep both sides deletes the lines of the markers.
    text = "".join(line for line in text.splitlines(True) if not line.startswith(markers))
    expected = files(BASE.replace(item("z", 1), "".join(sides) + item("z", 1)))
    if not mixes:
        assert files(text) == expected
        return
    mended = pasted(text, refused(text))
    assert files(mended) == expected
    versions = [v for entry in read(mended).manifest.files.values() for v in entry.versions]
    assert all(version.size and version.usage for version in versions)


MIXED = {
    "shared": (f"  - path: a\n    hash: {H[1]}\n    hash: {H[2]}\n    size: 5\n", ("a", 5, 5)),
    "own sizes": (
        f"  - path: a\n    hash: {H[1]}\n    size: 4\n    hash: {H[2]}\n    size: 5\n",
        ("a", 4, 5),
    ),
    "a dash was lost": (
        f"  - path: a\n    hash: {H[1]}\n    size: 4\n    path: a\n    hash: {H[2]}\n    size: 5\n",
        ("a", 4, 5),
    ),
    "hash first": (
        f"  - hash: {H[1]}\n    hash: {H[2]}\n    size: 5\n    path: a\n",
        ("a", 5, 5),
    ),
    "at the left, with comments": (
        f"# of a\n- path: a # why\n  hash: {H[1]}\n  # more\n  hash: {H[2]}\n  size: 5 # five\n",
        ("a", 5, 5),
    ),
}


@pytest.mark.parametrize(("block", "said"), MIXED.values(), ids=MIXED.keys())
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_mixed_items_are_parted(block, said, newline):
    text = (HEAD + block).replace("\n", newline)
    error = refused(text)
    assert "git has mixed several items" in error.message
    path, *sizes = said
    entry = read(pasted(text, error)).manifest.files[path]
    assert [(v.digest, v.size) for v in entry.versions] == list(
        zip((H[1], H[2]), sizes, strict=True)
    )


@pytest.mark.parametrize(
    "block",
    [
        f"  - path: a\n    hash: {H[1]}\n    hash: {H[1]}\n",
        f"  - {{path: a, hash: {H[1]}, hash: {H[2]}}}\n",
        f"  - path: a\n    path: b\n    hash: {H[1]}\n",
        f"  - path: a\n    hash: {H[1]}\n    hash: blake3:00\n",
        f"  - path: a\n    hash: {H[1]}\n    hash: {H[2]}\n    usage: \x85\n",
        f"  - path: a\n    hash: {H[1]}\n    what: 1\n    what: 2\n",
    ],
)
def test_what_can_not_be_told_apart_is_only_named(block, monkeypatch):
    parted = []
    real = conflicts.part_mixed
    monkeypatch.setattr(conflicts, "part_mixed", lambda *a: parted.append(a) or real(*a))
    error = refused(HEAD + block)
    assert error.shown == ()
    assert len(parted) == 1  # what they may be parted into is not parted in turn, without end
