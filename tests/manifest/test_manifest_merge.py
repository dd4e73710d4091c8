"""Two manifests that come from one are merged by entry, and every line that can stay stays."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from manifest_merges import check, edited, few_items, forks, histories, last, lines_of_comments
from manifest_styles import any_styles, write

from lazydata.digest import Digest
from lazydata.errors import ManifestInvalid
from lazydata.manifest import read, text
from lazydata.manifest.merge import merge

H = [Digest(f"blake3:{digit * 64}") for digit in "0123456789"]


# Random edits, and what their merge has to mean


def check_notes(base: str, ours: str, theirs: str) -> None:
    merged, undecided = check(base, ours, theirs)
    assert merged.count("# lazydata: ") == len(undecided)


@settings(deadline=None, max_examples=150)
@given(forks())
def test_a_merge_means_what_the_model_says(fork):
    check_notes(*fork)


@settings(deadline=None, max_examples=50)
@given(forks())
def test_a_merge_is_the_same_from_the_other_side_but_for_who_is_last(fork):
    base, ours, theirs = fork
    one, two = merge(base, ours, theirs), merge(base, theirs, ours)
    assert set(one.conflicts) == set(two.conflicts)
    left, right = histories(one.text, two.text)
    assert left.keys() == right.keys()
    for path in left:
        assert left[path].keys() == right[path].keys()
        if path not in one.conflicts:
            assert last(left[path]) == last(right[path])


@settings(deadline=None, max_examples=80)
@given(forks())
def test_no_comment_that_the_other_side_left_alone_is_lost(fork):
    base, ours, theirs = fork
    after = lines_of_comments(merge(base, ours, theirs).text)
    b, o, t = map(lines_of_comments, fork)
    for line in {*o, *t}:
        added = max(o.count(line), t.count(line)) > b.count(line)
        if added or min(o.count(line), t.count(line)) >= b.count(line):
            assert line in after
    for line in set(after) - {*b, *o, *t}:
        assert (
            "lazydata: " in line or " of " in line or "removed on" in line or "these four" in line
        )


@settings(deadline=None, max_examples=50)
@given(forks())
def test_nothing_but_what_theirs_did_is_touched(fork):
    base, ours, theirs = fork
    assert merge(base, ours, base).text == ours
    assert merge(base, base, theirs).text == theirs
    assert merge(base, ours, ours).text == ours
    new = merge(base, ours, theirs).text
    assert new.startswith("\ufeff") == ours.startswith("\ufeff")
    assert new.endswith("\n") or not ours.endswith("\n")
    assert ("\r\n" in new) == ("\r\n" in ours)
    assert text.scan(new) is not None


def is_merged_by_entry(*texts: str) -> bool:
    """Rarely an item is written in a way that no splice fits: then git merges by lines."""
    try:
        merge(*texts)
    except ManifestInvalid:
        return False
    return True


@settings(deadline=None, max_examples=25)
@given(few_items, any_styles, any_styles, any_styles, st.data())
def test_each_side_may_be_written_in_its_own_style(items, one, two, three, data):
    texts = [write(items, style) for style in (one, two, three)]
    texts[1] = data.draw(edited(texts[1], "ours"))
    texts[2] = data.draw(edited(texts[2], "theirs"))
    assume(len({read(source).on_change for source in texts}) == 1)
    assume(is_merged_by_entry(*texts))
    check_notes(*texts)


# Each rule, with exact text


def item(path: str, digit: int, *more: str, above: str = "") -> str:
    keys = "".join(f"    {line}\n" for line in (f"hash: {H[digit]}", "size: 5", *more))
    return f"{above}  - path: {path}\n{keys}"


HEAD = "# ours to keep\nversion: 2\nfiles:\n"
A1, A2, A3, A4 = (item("a", digit) for digit in range(1, 5))
C1 = item("c", 1, above="  # about c\n")


def merged(base: str, ours: str, theirs: str) -> str:
    """The items that come out of a merge without a conflict."""
    found = merge(HEAD + base, HEAD + ours, HEAD + theirs, our_name="main", their_name="new")
    assert found.conflicts == ()
    return found.text.removeprefix(HEAD)


def note(first: str, second: str, did: str = "") -> str:
    return (
        f"  # lazydata: a was changed on main and {did}on new. The last item counts:\n"
        f"  #   {first}\n  #   {second}\n  # Delete these four lines when it is settled.\n"
    )


def short(digit: int) -> str:
    return H[digit].hex[:12]


OTHER = "if you move that item to the end (or delete the one below)"
CONFLICT = note(f"{short(2)} of main, as it is now", f"{short(3)} of new, {OTHER}")


def diverged(base: str, ours: str, theirs: str) -> str:
    found = merge(HEAD + base, HEAD + ours, HEAD + theirs, our_name="main", their_name="new")
    assert found.conflicts == ("a",)
    return found.text.removeprefix(HEAD)


def test_different_paths_go_to_their_sorted_places_with_their_comments():
    b, d = item("b", 2, above="  # mine\n"), item("d", 3, above="  # new\n\n  # more\n")
    assert merged(A1 + C1, A1 + b + C1, A1 + C1 + d) == A1 + b + C1 + d
    assert merged(A1 + C1, A1 + C1 + d, A1 + b + C1) == A1 + b + C1 + d
    assert merged("", A1, C1) == A1 + C1


def test_in_an_unsorted_list_a_path_follows_what_it_follows_on_its_side():
    z, m, n = item("z", 1), item("m", 2), item("n", 3)
    assert merged(z + A1, z + A1 + m, z + n + A1) == z + n + A1 + m


def test_versions_of_different_paths():
    c2 = item("c", 2)
    assert merged(A1 + C1, A1 + A2 + C1, A1 + C1 + c2) == A1 + A2 + C1 + c2


def test_usages_of_both_sides_are_united():
    x, y, z = (item("a", 1, f"usage: {name}.py") for name in "xyz")
    both = item("a", 1, "usage:", "  - y.py", "  - z.py")
    assert merged(A1, y, z) == both
    assert merged(A1, y, y) == y
    assert merged(x, A1, x + C1) == A1 + C1
    assert merged(x, y, item("a", 1, "usage:", "  - x.py", "  - z.py")) == both


def test_a_usage_that_goes_may_stand_behind_the_dash():
    ours = "  - usage:\n      - x.py\n      - y.py\n"
    one, other = f"hash: {H[1]}\n", "path: a\n"
    for between in ("", "    # of a\n"):
        base = f"  - usage: x.py\n{between}    {one}    {other}"
        theirs = f"  - {one}{between}    {other}"  # what ours has joined with y.py is gone
        new = theirs + "    usage: y.py\n"
        assert merged(base, ours + base.partition("\n")[2], theirs) == new


def test_usages_in_a_list_keep_the_comments_between_them():
    base = item("a", 1, "usage:", "  - x.py")
    ours = item("a", 1, "usage:", "  - x.py", "  # why", "  - y.py")
    theirs = item("a", 1, "usage:", "  - x.py", "  - z.py  # because")
    new = item("a", 1, "usage:", "  - x.py", "  # why", "  - y.py", "  - z.py  # because")
    assert merged(base, ours, theirs) == new


def test_what_one_side_removes_and_the_other_leaves_alone_is_removed():
    d = item("d", 2)
    assert merged(A1 + C1, A1, A1 + C1 + d) == A1 + d
    assert merged(A1 + A2, A1 + A2 + d, A2) == A2 + d
    assert merged(A1 + C1, C1, A1) == ""
    assert merged(A1 + C1, C1, A1 + "  # about c\n") == "  # about c\n"
    assert merged(A1 + C1, C1 + d, C1 + item("e", 1)) == C1 + d + item("e", 1)


def test_comments_that_one_side_added_outlive_the_item_that_the_other_removed():
    told = item("a", 1, "# inside", above="  # above\n")
    assert merged(A1 + C1, told + C1, C1) == "  # above\n    # inside\n" + C1
    assert merged(A1 + C1, C1, told + C1) == "  # above\n    # inside\n" + C1
    assert merged(A1, A1 + "# end\n", item("a", 1, above="  # top\n")) == (
        item("a", 1, above="  # top\n") + "# end\n"
    )


def test_comments_that_both_sides_changed_are_both_kept():
    base, ours, theirs = (item("a", 1, above=f"  # {what}\n") for what in ("old", "mine", "new"))
    assert merged(base, ours, theirs) == "  # mine\n" + theirs


def test_one_removes_the_path_and_the_other_adds_a_version():
    gone = "removed on {}: to do so here, delete the items of this path"
    ours = note(f"{short(2)} of main, as it is now", gone.format("new"), "removed ")
    assert diverged(A1 + C1, A1 + A2 + C1, C1) == ours + A2 + C1
    text = diverged(A1, "", A1 + A2)
    assert f"{short(2)} of new, as it is now" in text
    assert gone.format("main") in text
    assert text.endswith(A2)


def test_one_takes_the_latest_version_back_and_the_other_builds_on_it():
    text = diverged(A1 + A2, A1, A1 + A2 + A3)
    assert text.replace(text[text.index("  # ") : text.rindex("  - ")], "") == A3 + A1
    assert merged(A1 + A2, A2, A1 + A2 + A3) == A2 + A3


def test_a_version_that_one_removed_and_the_other_went_back_to_stays():
    text = diverged(A1 + A2, A2, A2 + A1)
    assert text.startswith(A2 + "  # lazydata: a was changed on new")
    assert text.endswith(A1)


def test_both_add_a_version_to_one_path():
    assert diverged(A1 + C1, A1 + A2 + C1, A1 + A3 + C1) == A1 + A3 + CONFLICT + A2 + C1
    assert diverged("", A2, A3) == A3 + CONFLICT + A2


def test_the_note_is_above_the_item_below_its_comments():
    mine, other = item("a", 2, above="  # mine\n"), item("a", 3, above="  # new\n")
    expected = A1 + other + "  # mine\n" + CONFLICT + A2
    assert diverged(A1, A1 + mine, A1 + other) == expected


def test_both_add_the_same_version():
    y, z = item("a", 2, "usage: y.py"), item("a", 2, "usage: z.py")
    assert merged(A1, A1 + y, A1 + z) == A1 + item("a", 2, "usage:", "  - y.py", "  - z.py")
    assert merged(A1, A1 + A2, A1 + A2 + C1) == A1 + A2 + C1


def test_a_side_that_builds_on_the_other_is_no_conflict():
    assert merged(A1, A1 + A2 + A3, A1 + A2 + C1) == A1 + A2 + A3 + C1
    assert merged(A1, A1 + A2 + C1, A1 + A2 + A3) == A1 + A2 + A3 + C1


def test_going_back_is_a_change_like_any_other():
    assert merged(A1 + A2, A1 + A2 + C1, A2 + A1) == A2 + A1 + C1
    assert merged(A1 + A2, A2 + A1, A1 + A2 + C1) == A2 + A1 + C1
    text = diverged(A1 + A2, A1 + A2 + A3, A2 + A1)
    assert f"{short(3)} of main" in text
    assert f"{short(1)} of new" in text
    assert text.endswith(A3)


def test_a_note_is_not_written_twice():
    once = diverged(A1, A1 + A2, A1 + A3)
    assert merged(A1, once, A1 + A3 + C1) == once + C1
    other = merge(HEAD + A1, HEAD + A1 + A3, HEAD + A1 + A2, our_name="new", their_name="main")
    again = diverged(A1, once, other.text.removeprefix(HEAD))
    assert again == once


def test_a_note_that_theirs_settled_goes():
    unsettled = diverged(A1, A1 + A2, A1 + A3)
    settled = A1 + A3 + A2
    assert merged(unsettled, unsettled + C1, settled) == settled + C1


@pytest.mark.parametrize("keep_other", [False, True])
def test_a_note_is_settled_in_one_edit(keep_other):
    text = HEAD + diverged(A1, A1 + A2, A1 + A3)
    at = text.index("  # lazydata")
    end = len(text) if keep_other else text.rindex("  - path")
    settled = text[:at] + text[end:]
    assert settled == HEAD + A1 + A3 + ("" if keep_other else A2)


def test_names_of_strangers_stay_in_their_line():
    base, ours, theirs = (
        f'files:\n- path: "a\\nb"\n  hash: {H[n]}\n- path: c\n  hash: {H[n]}\n' for n in range(3)
    )
    found = merge(base, ours, theirs, our_name="x\ny: 1", their_name="\x1b[2J\u2028")
    assert "# lazydata: a\\nb was changed on x\\ny: 1 and on \\x1b[2J\\u2028. " in found.text
    assert found.conflicts == ("a\nb", "c")


def test_our_line_breaks_and_byte_order_mark_stay():
    def windows(source: str) -> str:
        return "\ufeff" + source.replace("\n", "\r\n")

    new = merge(HEAD + A1, windows(HEAD + A1 + A2), HEAD + A1 + C1).text
    assert new == windows(HEAD + A1 + A2 + C1)
    new = merge(windows(HEAD + A1), (HEAD + A1 + A2)[:-1], windows(HEAD + A1 + C1)).text
    assert new == (HEAD + A1 + A2 + C1)[:-1]


def test_an_item_is_put_in_with_our_indentation():
    base = f"files:\n- path: a\n  hash: {H[1]}\n"
    ours = f"files:\n  - path: a\n    hash: {H[1]}\n  # mine\n"
    new = merge(base, ours, base + f"- path: b\n  hash: {H[2]}\n  usage:\n  - x.py\n").text
    assert new == (
        f"files:\n  - path: a\n    hash: {H[1]}\n"
        f"  - path: b\n    hash: {H[2]}\n    usage:\n    - x.py\n  # mine\n"
    )


def test_flow_style_stays_where_nothing_in_it_changes():
    base = f"on_change: warn\nfiles: [{{path: a, hash: {H[1]}}}]\n"
    assert merge(base, base + "# mine\n", base.replace("warn", "error")).text == (
        base.replace("warn", "error") + "# mine\n"
    )
    new = merge(base, base + "# mine\n", base.replace("}]", f"}}, {{path: b, hash: {H[2]}}}]"))
    assert new.text == (
        f"on_change: warn\nfiles:\n  - path: a\n    hash: {H[1]}\n"
        f"  - path: b\n    hash: {H[2]}\n# mine\n"
    )


def test_top_level_keys():
    base = "version: 2\n# about it\non_change: warn\nfiles:\n"
    ours = base.replace("warn", "error")
    theirs = base.replace("# about it\n", "gitignore: false  # no\n# about it now\n")
    new = "version: 2\ngitignore: false  # no\n# about it now\non_change: error\nfiles:\n"
    assert merge(base, ours, theirs) == (new, ())
    other = merge(base, ours, base.replace("warn", "version"))
    assert other == (ours, ("on_change",))
    assert merge(base, ours, base.replace("warn", "error # !")).conflicts == ()
    gone = merge(base, base + "mine: 1\n", "version: 2\nfiles:\n")
    assert gone == ("version: 2\nfiles:\nmine: 1\n", ())


def test_remotes():
    base = "remotes:\n  one:\n    url: s3://one\nfiles:\n"
    two, three = (f"  {name}:\n    url: s3://{name}\n" for name in ("two", "three"))
    ours = base.replace("files:", two + "files:")
    theirs = base.replace("files:", three + "files:")
    assert merge(base, ours, theirs) == (base.replace("files:", two + three + "files:"), ())
    changed, other = (base.replace("s3://one", url) for url in ("s3://1", "s3://uno"))
    assert merge(base, changed, other) == (changed, ("remotes.one",))
    assert merge(base, ours, changed) == (ours.replace("s3://one", "s3://1"), ())
    assert merge(base, ours, "files:\n").text == f"remotes:\n{two}files:\n"
    assert merge("", changed, theirs).conflicts == ("remotes.one",)
    old = "version: 1\nremote: s3://a\nfiles:\n"
    assert merge(old, old + "# x\n", old.replace("s3://a", "s3://b")).text == (
        old.replace("s3://a", "s3://b") + "# x\n"
    )


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("files: [\n", "broken YAML"),
        (HEAD + "<<<<<<< a\n=======\n>>>>>>> b\n", "git conflict"),
        (f"files:\n- &a {{path: a, hash: {H[1]}}}\n- *a\n", "by hand"),
    ],
)
def test_a_side_that_can_not_be_merged_is_an_error(broken, said):
    fine = [HEAD + A1, HEAD + A1 + A2, HEAD + A1 + C1]
    for at in range(3):
        sides = [*fine[:at], broken, *fine[at + 1 :]]
        with pytest.raises(ManifestInvalid, match=said):
            merge(*sides)


def test_a_long_manifest_is_merged_fast_and_without_ruamel():
    code = """if True:
        import sys
        from lazydata.manifest.merge import merge
        def text(changed, step):
            items = [
                f"  - path: data/{n:05}\\n    hash: blake3:{n + changed * (n % step == 0):064}\\n"
                for n in range(10_000)
            ]
            return "files:\\n" + "".join(items)
        found = merge(text(0, 1), text(20_000, 100), text(40_000, 101))
        assert found.conflicts == ("data/00000",)
        tops = {name.partition(".")[0] for name in sys.modules}
        assert not {"ruamel", "typer", "difflib", "asyncio"} & tops
    """
    subprocess.run([sys.executable, "-c", code], check=True)
