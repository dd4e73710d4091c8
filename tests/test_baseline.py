"""What a workspace remembers, asked for some of it."""

import pytest

from lazydata.baseline import Baseline
from lazydata.digest import Digest

A, B, C = (Digest(f"blake3:{letter * 64}") for letter in "abc")
URL, OTHER = "file:///srv/share", "ssh://host/x/file:///srv/share"


@pytest.fixture
def memory(tmp_path):
    return Baseline(str(tmp_path))


def test_the_last_line_about_a_path_wins(memory):
    memory.put({"x": A, "data/x": B, "tab\there": C})
    memory.put({"data/x": C, "gone": A})
    memory.put({"gone": None})
    known = {"x": A, "data/x": C, "tab\there": C}
    for path in (*known, "gone", "never", "here", "data"):
        assert memory.get(path) == known.get(path)
    assert memory.all() == known
    assert memory.some(["x", "gone", "never"]) == {"x": A}
    assert memory.some(iter(known)) == known
    assert memory.some([]) == {}


def test_a_torn_line_is_no_line(memory, tmp_path):
    memory.put({"x": A})
    with open(tmp_path / ".lazydata" / "baselines", "ab") as file:
        file.write(b"x\tblake3:bbb")
    assert memory.get("x") == A
    assert memory.some(["x"]) == {"x": A}
    memory.put({"y": B})
    assert memory.get("x") == A
    assert memory.get("y") == B


def test_what_is_on_a_remote_is_asked_for_by_url(memory, tmp_path):
    memory.add_pushed(URL, [A, B])
    memory.add_pushed(OTHER, [C])
    assert memory.pushed([URL], [A, C]) == {A}
    assert memory.pushed([OTHER], [A, C]) == {C}
    assert memory.pushed([URL, OTHER], [A, B, C]) == {A, B, C}
    assert memory.pushed([], [A]) == memory.pushed([URL], []) == set()
    memory.drop_pushed(URL, [A, C])
    assert memory.pushed([URL, OTHER], [A, B, C]) == {B, C}


def test_what_is_known_to_be_on_a_remote_is_not_written_again(memory, tmp_path):
    memory.add_pushed(URL, [A])
    memory.add_pushed(URL, [A, B])
    assert (tmp_path / ".lazydata" / "pushed").read_text().count(A) == 1
