"""Which script made a version: recorded where that is certain, once, and beside its usage."""

import json

import pytest

from lazydata.digest import Digest
from lazydata.manifest import Version, edit, read
from lazydata.manifest.document import parse
from lazydata.manifest.merge import merge
from lazydata.manifest.text import scan

H = ["blake3:" + digit * 64 for digit in "0123456789"]

WRITES = """
from lazydata import track
with open("x.csv", "w") as file:
    file.write({content!r})
track("x.csv")
"""


def producers(desk, path="x.csv"):
    return [item.get("producer") for item in desk.items(path)]


def test_who_writes_and_tracks_is_the_producer_and_a_rerun_writes_nothing(project):
    project.run_script(WRITES.format(content="1"), "make.py")
    (item,) = project.items("x.csv")
    assert item["producer"] == "make.py"
    before = project.state()
    project.run_script(WRITES.format(content="1"), "make.py")
    assert project.state() == before
    project.run_script('from lazydata import track\ntrack("x.csv")', "use.py")
    (item,) = project.items("x.csv")
    assert (item["producer"], item["usage"]) == ("make.py", ["make.py", "use.py"])
    before = project.state()
    project.run_script('from lazydata import track\ntrack("x.csv")', "use.py")
    project.run_script('from lazydata import track\ntrack("x.csv")', "make.py")
    assert project.state() == before


def test_who_only_finds_a_file_did_not_make_it(project):
    project.write("x.csv", "1")
    project.run_script('from lazydata import track\ntrack("x.csv")', "use.py")
    project.write("x.csv", "2")
    project.run_script('from lazydata import track\ntrack("x.csv")', "use.py")
    assert producers(project) == [None, None]


def test_each_version_has_its_own_producer(project):
    project.run_script(WRITES.format(content="1"), "old.py")
    project.run_script(WRITES.format(content="2"), "new.py")
    assert producers(project) == ["old.py", "new.py"]
    project.run_script(WRITES.format(content="2"), "third.py")
    assert producers(project) == ["old.py", ["new.py", "third.py"]]
    project.run_cli("restore", "x.csv", "--version", project.versions("x.csv")[0])
    assert producers(project) == [["new.py", "third.py"], "old.py"]


def test_output_says_so_where_no_writer_was_seen(project):
    code = """
    import os, subprocess
    from lazydata import track
    subprocess.run(["sh", "-c", "mkdir -p out && echo 1 > out/a && echo 2 > y.csv"], check=True)
    track("y.csv", output=True)
    track("out", output=True)
    track("y.csv", output=True)
    """
    project.run_script(code, "make.py")
    assert producers(project, "y.csv") == producers(project, "out/") == ["make.py"]
    before = project.state()
    project.run_script(code, "make.py")
    assert project.state() == before


def test_output_of_what_is_listed_already_is_added_once(project):
    project.write("x.csv", "1")
    project.run_script('from lazydata import track\ntrack("x.csv")', "make.py")
    assert producers(project) == [None]
    code = 'from lazydata import track\ntrack("x.csv", output=True)'
    project.run_script(code, "make.py")
    assert producers(project) == ["make.py"]
    before = project.state()
    project.run_script(code, "make.py")
    assert project.state() == before


@pytest.mark.parametrize("policy", ["warn", "error"])
def test_where_nothing_is_recorded_no_producer_is(project, policy):
    project.write("x.csv", "1")
    project.run_cli("track", "x.csv")
    before = project.state()
    project.run_script(WRITES.format(content="1"), "make.py", env={"LAZYDATA_ON_CHANGE": policy})
    assert project.state() == before


def test_a_shell_and_a_file_outside_make_nothing(project):
    project.run_code(WRITES.format(content="1"))
    assert producers(project) == [None]


def test_the_graph_has_arrows_of_both_kinds(project):
    project.run_script(WRITES.format(content="1"), "make.py")
    project.run_script(
        'from lazydata import track\nopen("y.csv", "w").write(open(track("x.csv")).read())\n'
        'track("y.csv")',
        "step.py",
    )
    edges = {
        (e["script"], e["path"]): e["kind"]
        for e in json.loads(project.run_cli("graph", "--json").stdout)["edges"]
    }
    assert edges == {
        ("make.py", "x.csv"): "makes",
        ("step.py", "x.csv"): "uses",
        ("step.py", "y.csv"): "makes",
    }
    why = project.run_cli("why", "y.csv").stdout.split()
    assert [w for w in why if w.endswith((".py", ".csv"))] == [
        *("y.csv", "step.py", "x.csv", "make.py")
    ]
    told = json.loads(project.run_cli("impact", "x.csv", "--json").stdout)
    assert (told["scripts"], told["files"]) == (["step.py"], ["y.csv"])


# -- the manifest's text


def item(*lines, path="a.csv", digit=1):
    return "".join(
        [f"files:\n- path: {path}\n  hash: {H[digit]}\n", *(f"  {line}\n" for line in lines)]
    )


def agreed(source):
    """Both readers, which must agree."""
    fast = scan(source)
    assert fast is not None
    assert fast == parse(source, file="f")
    return fast.files["a.csv"].latest


def test_both_readers_read_it():
    assert agreed(item("producer: make.py")).producer == ("make.py",)
    found = agreed(item("usage: u.py", "producer:", "  - a.py", "  - b.py  # why", "size: 3"))
    assert found == Version(Digest(H[1]), 3, ("u.py",), producer=("a.py", "b.py"))
    found = agreed(item("producer:", "- a.py", "# why", "- b.py", "usage:", "    - u.py"))
    assert (found.usage, found.producer) == (("u.py",), ("a.py", "b.py"))


@pytest.mark.parametrize("lines", [["producer:"], ["producer: [a.py]"], ["producer: {a: b}"]])
def test_what_the_fast_lane_does_not_read_is_for_the_judge(lines):
    assert scan(item(*lines)) is None


def test_a_first_producer_comes_below_the_usage():
    source = item("usage:", "  - u.py")
    new, entry = edit.add_usage(source, read(source), "a.csv", "m.py", produced=True)
    assert new == item("usage:", "  - u.py", "  - m.py", "producer: m.py")
    assert entry.latest.producer == ("m.py",)
    assert edit.add_usage(new, read(new), "a.csv", "m.py", produced=True)[0] == new
    assert edit.add_usage(new, read(new), "a.csv", "m.py")[0] == new


def test_a_list_at_the_end_goes_on_before_a_new_key():
    source = item("producer:", "  - m.py")
    new, _ = edit.add_usage(source, read(source), "a.csv", "n.py", produced=True)
    assert new == item("producer:", "  - m.py", "  - n.py", "usage: n.py")


def test_old_manifests_get_it_too():
    source = f"version: 1\nfiles:\n- path: a.csv\n  hash: {'1' * 64}\n  source_url: https://e.org\n"
    new, _ = edit.add_usage(source, read(source), "a.csv", "m.py", produced=True)
    assert new == source + "  usage: m.py\n  producer: m.py\n"


def test_producers_of_both_sides_are_united():
    base = item("size: 1")
    ours, theirs = item("size: 1", "producer: m.py"), item("size: 1", "producer: n.py")
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert agreed(merged.text).producer == ("m.py", "n.py")
    assert merge(ours, base, ours + "# x\n").text == base + "# x\n"
