"""Edits mean what was intended and touch nothing else."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from manifest_styles import PATHS, SCRIPTS, any_styles, item_lists, styles, versions, write

from lazydata.digest import Digest
from lazydata.errors import ManifestChanged, ManifestInvalid, NotTracked
from lazydata.manifest import TEMPLATE, MemoryView, RemoteSpec, Version, document, edit, read, text

H = [Digest(f"blake3:{digit * 64}") for digit in "0123456789"]
paths = st.sampled_from([*PATHS, "b/new.csv", "yes", "# x", "zz: y", "-", "a\tb"])


def judged(source: str) -> MemoryView:
    return MemoryView(document.parse(source, file="f"), file="f", is_plain=False)


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(line in rest for line in part)


@settings(deadline=None, max_examples=120)
@given(item_lists, any_styles, paths, versions)
def test_record_means_what_was_intended(items, style, path, version):
    source = write(items, style)
    view = read(source)
    new, entry = edit.record(source, view, path, version)
    assert entry.latest.digest == version.digest
    assert set(version.usage) <= set(entry.latest.usage)
    assert set(version.producer) <= set(entry.latest.producer)
    had = view.entry(path).versions if view.entry(path) else ()
    assert list(entry.versions[:-1]) == [v for v in had if v.digest != version.digest]
    after = document.parse(new, file="f")
    assert after.files == {**view.manifest.files, path: entry}
    assert (after.remotes, after.on_change) == (view.manifest.remotes, view.manifest.on_change)
    if not style.flow:
        assert is_subsequence(
            [line for line in source.splitlines() if "#" in line and line.lstrip().startswith("#")],
            new.splitlines(),
        )
        if path != "a\tb":
            assert text.scan(new) is not None


@settings(deadline=None, max_examples=120)
@given(item_lists, styles, paths, st.integers(0, 9))
def test_a_new_item_is_all_that_record_adds(items, style, path, digit):
    source = write(items, style)
    view = read(source)
    digest = Digest("blake3:" + "abcdef0123"[digit] * 64)
    assume(digest not in [v.digest for p, v in items if p == path])
    new, _ = edit.record(source, view, path, Version(digest, 1))
    assert len(new) > len(source)
    start = new.index(str(digest)) if new.count(str(digest)) == 1 else None
    added = len(new) - len(source)
    assert any(
        new[:at] + new[at + added :] == source
        for at in (range(max(0, (start or 0) - added), start or 0) if start else range(len(new)))
    )
    breaks = new[:].replace("\r\n", "").count("\n") if style.newline == "\r\n" else new.count("\r")
    assert breaks == 0
    ends = new.endswith("\n")
    assert ends == source.endswith("\n") or not source


@settings(deadline=None, max_examples=60)
@given(item_lists, styles, paths, versions, st.sampled_from(SCRIPTS))
def test_both_lanes_write_the_same(items, style, path, version, script):
    source = write(items, style)
    view = read(source)
    assert view.is_plain
    slow = judged(source)
    assert view.is_sorted == slow.is_sorted
    if path != "a\tb":
        assert edit.record(source, view, path, version) == edit.record(source, slow, path, version)
    for listed in view.manifest.files:
        assert edit.remove(source, view, listed) == edit.remove(source, slow, listed)
        fast = edit.add_usage(source, view, listed, script)
        assert fast == edit.add_usage(source, slow, listed, script)


@settings(deadline=None, max_examples=70)
@given(item_lists.filter(bool), any_styles, st.sampled_from([*SCRIPTS, "a new: one.py"]))
def test_add_usage_adds_a_usage(items, style, script):
    source = write(items, style)
    view = read(source)
    for path, old in view.manifest.files.items():
        new, entry = edit.add_usage(source, view, path, script)
        usage = old.latest.usage
        expected = usage if script in usage else (*usage, script)
        assert entry == old._replace(
            versions=(*old.versions[:-1], old.latest._replace(usage=expected))
        )
        assert document.parse(new, file="f").files == {**view.manifest.files, path: entry}


@settings(deadline=None, max_examples=70)
@given(item_lists.filter(bool), any_styles)
def test_remove_keeps_comments_and_the_list_can_grow_again(items, style):
    source = write(items, style)
    view = read(source)
    current = source
    for path in list(view.manifest.files):
        now = read(current)
        smaller = edit.remove(current, now, path)
        rest = {name: e for name, e in now.manifest.files.items() if name != path}
        assert document.parse(smaller, file="f").files == rest
        if not style.flow:
            own = [line for line in source.splitlines() if line.lstrip().startswith("#")]
            assert is_subsequence(own, smaller.splitlines())
        current = smaller
    again, _ = edit.record(current, read(current), "n.csv", Version(H[9], 3))
    assert list(document.parse(again, file="f").files) == ["n.csv"]


@settings(deadline=None, max_examples=70)
@given(
    item_lists,
    any_styles,
    st.sampled_from(["origin", "other", "yes"]),
    st.sampled_from(["s3://new/x", "ssh://h/p # q"]),
    st.dictionaries(st.sampled_from(["endpoint", "project"]), st.sampled_from(["p", "1", "a: b"])),
)
def test_remotes_come_and_go(items, style, name, url, options):
    source = write(items, style)
    view = read(source)
    spec = RemoteSpec(name, url, options)
    new = edit.set_remote(source, spec, file="f")
    after = document.parse(new, file="f")
    assert after.remotes == {**view.manifest.remotes, name: spec}
    assert after.files == view.manifest.files
    gone = edit.remove_remote(new, name, file="f")
    rest = {key: value for key, value in view.manifest.remotes.items() if key != name}
    assert document.parse(gone, file="f").remotes == rest
    if name not in view.manifest.remotes and not style.flow:
        assert gone == source


def test_the_first_item_of_a_template():
    new, _ = edit.record(TEMPLATE, read(TEMPLATE), "a.csv", Version(H[1], 5, ("x.py",)))
    assert new == TEMPLATE + f"  - path: a.csv\n    hash: {H[1]}\n    size: 5\n    usage: x.py\n"


@pytest.mark.parametrize("source", ["", "# mine", "version: 2\n", "files: []\n", "files: {}", "{}"])
def test_an_item_for_an_empty_manifest(source):
    new, entry = edit.record(source, read(source), "a.csv", Version(H[1], 5, ("x.py", "y.py")))
    assert document.parse(new, file="f").files == {"a.csv": entry}
    assert "    usage:\n      - x.py\n      - y.py" in new


LIST = f"""\
# head
files:
  # about a
  - path: a
    hash: {H[1]}   # first
    usage: x.py    # why
  # about c

  - path: c
    hash: {H[2]}
    # inside c
    size: 3
# end
"""


def test_a_new_version_goes_behind_the_last_one_and_comments_stay_with_the_next():
    new, _ = edit.record(LIST, read(LIST), "a", Version(H[3], 9))
    at = LIST.index("  # about c")
    assert new == LIST[:at] + f"  - path: a\n    hash: {H[3]}\n    size: 9\n" + LIST[at:]


def test_a_new_path_goes_to_its_sorted_place():
    new, _ = edit.record(LIST, read(LIST), "b", Version(H[3]))
    at = LIST.index("  # about c")
    assert new == LIST[:at] + f"  - path: b\n    hash: {H[3]}\n" + LIST[at:]
    new, _ = edit.record(LIST, read(LIST), "A", Version(H[3]))
    at = LIST.index("  # about a")
    assert new == LIST[:at] + f"  - path: A\n    hash: {H[3]}\n" + LIST[at:]


def test_a_new_path_goes_to_the_end_of_an_unsorted_list():
    source = LIST.replace("path: a", "path: d")
    new, _ = edit.record(source, read(source), "b", Version(H[3]))
    at = source.index("# end")
    assert new == source[:at] + f"  - path: b\n    hash: {H[3]}\n" + source[at:]


def test_a_usage_next_to_one_makes_a_list_and_keeps_the_comment():
    new, _ = edit.add_usage(LIST, read(LIST), "a", "y.py")
    assert new == LIST.replace(
        "usage: x.py    # why\n", "usage:    # why\n      - x.py\n      - y.py\n"
    )
    new, _ = edit.add_usage(LIST, read(LIST), "c", "y.py")
    assert new == LIST.replace("size: 3\n", "size: 3\n    usage: y.py\n")


def test_several_new_keys_of_a_version_that_was_there():
    source = f"files:\n- path: b\n  hash: {H[1]}\n- path: a\n  hash: {H[0]}\n"
    told = Version(H[1], 7, ("train.py",), 1)
    new, entry = edit.record(source, read(source), "b", told)
    assert entry.latest == told
    assert new == source.replace(f"{H[1]}\n", f"{H[1]}\n  size: 7\n  files: 1\n  usage: train.py\n")


def test_a_version_that_was_there_moves_to_the_end_with_its_comments_inside():
    source, _ = edit.record(LIST, read(LIST), "a", Version(H[3], 9))
    new, entry = edit.record(source, read(source), "a", Version(H[1], 4, ("y.py",)))
    assert entry.versions == (Version(H[3], 9), Version(H[1], 4, ("x.py", "y.py")))
    block = (
        f"  - path: a\n    hash: {H[1]}   # first\n    size: 4\n"
        "    usage:    # why\n      - x.py\n      - y.py\n"
    )
    assert f"    hash: {H[3]}\n    size: 9\n{block}  # about c\n" in new


def test_removing_keeps_the_comments():
    new = edit.remove(LIST, read(LIST), "c")
    assert new.endswith("  # about c\n\n    # inside c\n# end\n")


def test_only_the_flow_node_is_written_again():
    source = (
        f"# top\nfiles:\n- {{path: a, hash: {H[1]}, 'note': [1, {{x: y}}]}} # c\n"
        f"- {{path: b, hash: {H[2]}}}\n"
    )
    new, _ = edit.add_usage(source, read(source), "a", "x.py")
    assert new == (
        f"# top\nfiles:\n- path: a\n  hash: {H[1]}\n  'note':\n    - 1\n    - x: y # c\n"
        f"  usage: x.py\n- {{path: b, hash: {H[2]}}}\n"
    )


@pytest.mark.parametrize(
    "source",
    [
        f"files:\n- &a {{path: a, hash: {H[1]}}}\n- *a\n",
        f"files: [&a {{path: a, hash: {H[1]}}}, *a]\n",
        f"x: &l\n- path: a\n  hash: {H[1]}\nfiles: *l\n",
        f"files:\n- path: a\n  hash: {H[1]}\n  usage: &u\n    - x\nother: *u\n",
        f"? files\n: - path: a\n    hash: {H[1]}\n",
        f"files:\n- # odd\n  path: a\n  hash: {H[1]}\n",
        f"files: !!seq\n- path: a\r  hash: {H[1]}\r",
    ],
)
def test_what_can_not_be_edited_safely_is_not_edited(source):
    view = read(source)
    assert not view.is_plain
    hints = []
    for attempt in (
        lambda: edit.record(source, view, "b", Version(H[2])),
        lambda: edit.add_usage(source, view, "a", "y.py"),
    ):
        try:
            new, entry = attempt()
        except ManifestInvalid as error:
            hints.append(error.hint)
        else:
            files = {**view.manifest.files, entry.path: entry}
            assert document.parse(new, file="f").files == files
    assert all("by hand" in hint for hint in hints)


def test_a_view_of_another_text_is_noticed():
    view = read(LIST)
    with pytest.raises(ManifestChanged):
        edit.record(LIST.replace("size: 3", "size: 4"), view, "c", Version(H[3]))
    with pytest.raises(ManifestChanged):
        edit.record(LIST.replace("path: a", "path: A"), view, "b", Version(H[3]))


def test_unlisted_paths():
    with pytest.raises(NotTracked):
        edit.remove(LIST, read(LIST), "q")
    with pytest.raises(NotTracked):
        edit.add_usage(LIST, read(LIST), "q", "x")
    with pytest.raises(ManifestInvalid, match="climbs"):
        edit.record(LIST, read(LIST), "../q", Version(H[3]))
    with pytest.raises(ManifestInvalid, match="no remote named"):
        edit.remove_remote(LIST, "q", file="f")


def test_the_remote_of_a_lazydata_1_manifest():
    source = (
        "version: 1\nremote: s3://a # r\nendpoint: http://e\n"
        f"files:\n- path: a\n  hash: {'0' * 64}\n"
    )
    assert edit.set_remote(source, read(source).manifest.remotes["origin"], file="f") == source
    new = edit.set_remote(source, RemoteSpec("origin", "s3://b"), file="f")
    assert new.startswith("version: 1\nremotes:\n  origin:\n    url: s3://b\nfiles:\n")
    new = edit.set_remote(source, RemoteSpec("two", "s3://b"), file="f")
    assert list(read(new).manifest.remotes) == ["origin", "two"]
    assert read(edit.remove_remote(source, "origin", file="f")).manifest.remotes == {}


@pytest.mark.parametrize("field", ["size", "files"])
def test_a_number_and_a_usage_change_in_one_item(field):
    digest = Digest("blake3:" + "0" * 64)
    item = f"- path: {{}}\n  hash: {digest}\n"
    before = f"version: 2\nfiles:\n{item.format('a.csv')}  {field}: 3\n{item.format('b.csv')}"
    version = Version(digest, usage=("train.py",))._replace(**{field: 4})
    new, entry = edit.record(before, read(before), "a.csv", version)
    assert entry.latest == version
    assert new == before.replace(f"  {field}: 3\n", f"  {field}: 4\n  usage: train.py\n")
