"""The tree format: every byte, one form for one directory, and what is refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazydata import tree
from lazydata.digest import Digest, digest_of
from lazydata.errors import ObjectCorrupt, UsageError
from lazydata.tree import DIR, EXEC, FILE, LINK, MAGIC, Node, Tree, encode, problem

A = digest_of(b"a")
EMPTY = digest_of(MAGIC.encode())
NONE = Digest("")
RESERVED = [
    *(".git", ".GIT", ".git.", ".git ", ".git. .", "git~1", "GIT~1", "a\\.git"),
    *(".lazydata", ".LazyData", ".lazydata .", "a\\.lazydata\\b"),
]
ELSEWHERE = ["", ".", "..", "a\\..", "..\\a", "\\a", "a\\"]

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
NAMES = (NAMES | st.text("ab\\\t\n\r~. é", min_size=1)).filter(lambda name: problem(name) is None)
TARGETS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
DIGESTS = st.binary(min_size=1, max_size=2).map(digest_of)
SIZES = st.integers(0, 10**15)
PLAIN = st.just("")
NODES = st.one_of(
    st.builds(Node, NAMES, st.sampled_from([FILE, EXEC]), DIGESTS, SIZES, st.just(1), PLAIN),
    st.builds(Node, NAMES, st.just(DIR), DIGESTS, SIZES, st.integers(1, 10**15), PLAIN),
    st.builds(Node, NAMES, st.just(DIR), DIGESTS, st.just(0), st.just(0), PLAIN),
    st.builds(Node, NAMES, st.just(LINK), st.just(NONE), st.just(0), st.just(0), TARGETS),
)
LISTS = st.lists(NODES, unique_by=lambda node: node.name, max_size=12)


def line(*fields: object) -> bytes:
    return ("\t".join(map(str, fields)) + "\n").encode("utf-8", "surrogatepass")


def tree_of(*lines: bytes) -> bytes:
    return MAGIC.encode() + b"".join(lines)


def test_the_bytes_of_a_tree() -> None:
    data = encode(
        [
            Node("é", FILE, A, 1, 1),
            Node("to the data", LINK, NONE, 0, 0, "../b\\c"),
            Node("empty", DIR, EMPTY, 0, 0),
            Node("a\tb", FILE, A, 1, 1),
            Node("run.sh", EXEC, A, 1, 1),
            Node("Z", DIR, A, 9010391, 12),
        ]
    )
    a = "blake3:17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f"
    empty = "blake3:e8cad79546355e0659234eaf48299a7e5946ce6065d8a8c713f78f66a9713798"
    assert data.decode() == (
        "lazydata tree 1\n"
        f"dir\t9010391\t12\t{a}\tZ\n"
        f"file\t1\t1\t{a}\ta\\tb\n"
        f"dir\t0\t0\t{empty}\tempty\n"
        f"exec\t1\t1\t{a}\trun.sh\n"
        "link\t0\t0\t../b\\\\c\tto the data\n"
        f"file\t1\t1\t{a}\té\n"
    )
    assert digest_of(data) == (
        "blake3:86bd984e8148f82e0671d5b2f60aeee0f8dce6ec5b4ce078df338310bb6179a1"
    )


def test_an_empty_directory() -> None:
    assert encode([]) == b"lazydata tree 1\n"
    assert list(Tree(b"lazydata tree 1\n")) == []


@given(LISTS, st.randoms())
def test_what_is_written_is_read_whatever_the_order(nodes: list[Node], random) -> None:
    data = encode(nodes)
    assert list(Tree(data)) == sorted(nodes, key=lambda node: node.name.encode())
    random.shuffle(nodes)
    assert encode(nodes) == data


@contextmanager
def a_few_at_once() -> Iterator[None]:
    """Parts so small that all trees have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "_AT_ONCE", 2)
        patch.setattr(tree, "_BYTES_AT_ONCE", 100)
        yield


@given(LISTS)
def test_a_large_tree_is_the_same_in_parts(nodes: list[Node]) -> None:
    data = encode(nodes)
    in_order = sorted(nodes, key=lambda node: node.name)
    with a_few_at_once():
        assert encode(nodes) == encode(iter(in_order), in_order=True) == data
        found = Tree(data)
        assert list(found) == in_order
        assert found.sums == (
            len(nodes),
            sum(node.size for node in nodes),
            sum(node.files for node in nodes),
        )


def test_a_large_tree_is_never_in_memory_as_nodes() -> None:
    count, room = 50_000, 8 << 20  # all of them at once would take more than twice that

    def some() -> Iterator[Node]:
        for number in range(count):
            yield Node(f"image {number:08}", FILE, Digest(A[:-8] + f"{number:08x}"), 1, 1)

    tracemalloc.start()
    try:
        data = encode(some(), in_order=True)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data) + room
        tracemalloc.reset_peak()
        found = Tree(data)
        assert sum(1 for _ in found) == sum(1 for _ in found.differing(Tree(encode([])))) == count
        assert tracemalloc.get_traced_memory()[1] < len(data) + room
    finally:
        tracemalloc.stop()


@given(LISTS, LISTS, st.booleans())
def test_what_differs_between_two_trees(ours: list[Node], more: list[Node], small: bool) -> None:
    theirs = {node.name: node for node in ours[1:] + more}
    olds = {node.name: node for node in ours}
    with a_few_at_once() if small else nullcontext():
        found = list(Tree(encode(ours)).differing(Tree(encode(theirs.values()))))
    pairs = [(olds.get(name), theirs.get(name)) for name in sorted(olds | theirs)]
    assert found == [(old, new) for old, new in pairs if old != new]


@given(st.lists(NAMES, min_size=2, max_size=8, unique=True), st.data())
def test_what_is_wrong_is_found_in_any_part(names: list[str], data) -> None:
    nodes = [Node(name, FILE, A, 1, 1) for name in sorted(names)]
    lines = encode(nodes).splitlines(keepends=True)
    place = data.draw(st.integers(1, len(nodes) - 1))
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    with a_few_at_once(), pytest.raises(ObjectCorrupt, match="not in its place"):
        Tree(b"".join(lines))
    with a_few_at_once(), pytest.raises(UsageError, match="there twice"):
        encode([*nodes[: place + 1], *nodes[place:]], in_order=True)
    lines[place] = b"no line\n"
    with a_few_at_once(), pytest.raises(ObjectCorrupt, match=f"line {place + 1} is 'no line'"):
        Tree(b"".join(lines))


def test_names_are_in_the_order_of_their_utf8() -> None:
    # In UTF-16 the second would come first.
    names = ["\uffff", "\U0001f600"]
    assert [n.name for n in Tree(encode(Node(n, FILE, A, 1, 1) for n in names))] == names


GOOD = encode(
    [
        Node("a\\b\nc", FILE, A, 12, 1),
        Node("b", LINK, NONE, 0, 0, "x"),
        Node("é", DIR, EMPTY, 0, 0),
    ]
)


@given(st.integers(0, len(GOOD)), st.integers(0, 4), st.binary(max_size=4))
def test_what_is_accepted_is_in_its_one_form(at: int, cut: int, added: bytes) -> None:
    data = GOOD[:at] + added + GOOD[at + cut :]
    try:
        nodes = list(Tree(data))
    except ObjectCorrupt:
        return
    assert encode(nodes) == data


FINE = line(FILE, 1, 1, A, "b")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"lazydata tree 2\n",
        b"\xef\xbb\xbf" + tree_of(),
        tree_of().replace(b"\n", b"\r\n"),
        tree_of(b"\n"),
        tree_of(FINE[:-1]),
        tree_of(FINE, b"\n"),
        tree_of(FINE[:-1] + b"\r\n"),
        tree_of(FINE, FINE),
        tree_of(FINE, line(FILE, 1, 1, A, "a")),
        tree_of(FINE, line(FILE, 1, 1, A, "B")),
        tree_of(FINE[:-1], b"\tmore\n"),
        tree_of(FINE[:-2], b"\xff\n"),
        tree_of(line(FILE, 1, 1, A, "\udc80")),
        tree_of(line("File", 1, 1, A, "b")),
        tree_of(line("pipe", 1, 1, A, "b")),
        tree_of(line(FILE, "01", 1, A, "b")),
        tree_of(line(FILE, "+1", 1, A, "b")),
        tree_of(line(FILE, -1, 1, A, "b")),
        tree_of(line(FILE, "١", 1, A, "b")),
        tree_of(line(FILE, "1_0", 1, A, "b")),
        tree_of(line(FILE, "", 1, A, "b")),
        tree_of(line(FILE, 10**18, 1, A, "b")),
        tree_of(line(FILE, "9" * 100_000, 1, A, "b")),
        tree_of(line(FILE, 10**18 - 1, 1, A, "b"), line(FILE, 1, 1, A, "c")),
        tree_of(line(DIR, 1, 10**18 - 1, A, "b"), line(FILE, 1, 1, A, "c")),
        tree_of(line(FILE, 1, 2, A, "b")),
        tree_of(line(EXEC, 1, 0, A, "b")),
        tree_of(line(DIR, 1, 0, A, "b")),
        tree_of(line(FILE, 1, 1, A.upper(), "b")),
        tree_of(line(FILE, 1, 1, A.hex, "b")),
        tree_of(line(FILE, 1, 1, "sha256:" + A.hex, "b")),
        tree_of(line(FILE, 1, 1, "", "b")),
        tree_of(line(LINK, 1, 0, "x", "b")),
        tree_of(line(LINK, 0, 1, "x", "b")),
        tree_of(line(LINK, 0, 0, "", "b")),
        tree_of(line(LINK, 0, 0, "x\0", "b")),
        tree_of(line(LINK, 0, 0, "x\\", "b")),
        tree_of(line(LINK, 0, 0, "\\x", "b")),
        tree_of(line(FILE, 1, 1, A, "b\\")),
        tree_of(line(FILE, 1, 1, A, "b\\q")),
        tree_of(line(FILE, 1, 1, A, "b\rc")),
        tree_of(line(FILE, 1, 1, A, "b\0")),
        tree_of(line(FILE, 1, 1, A, "b/c")),
        tree_of(line(FILE, 1, 1, A, "/")),
        *(tree_of(line(FILE, 1, 1, A, n.replace("\\", "\\\\"))) for n in RESERVED + ELSEWHERE),
    ],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ObjectCorrupt, match="this is not a tree") as caught:
        Tree(data)
    assert len(str(caught.value)) < 1200


def test_the_line_that_is_wrong_is_told() -> None:
    with pytest.raises(ObjectCorrupt, match=r"line 3 is 'pipe\\t1"):
        Tree(tree_of(FINE, line("pipe", 1, 1, A, "c"), line("pipe", 1, 1, A, "d")))


@pytest.mark.parametrize(
    "name",
    [
        "...",
        ".gitignore",
        ".git2",
        "git~2",
        "a.git",
        " .git",
        "a\\b",
        "C:",
        "x~",
        "\x1b[2J",
        "\x85",
    ],
)
def test_other_names_are_kept(name: str) -> None:
    assert list(Tree(encode([Node(name, FILE, A, 1, 1)]))) == [Node(name, FILE, A, 1, 1)]


@pytest.mark.parametrize("name", ["a\\b", "C:x"])
def test_where_a_name_is_a_path_it_is_refused(name: str, monkeypatch) -> None:
    data = encode([Node(name, FILE, A, 1, 1)])
    monkeypatch.setattr(tree, "_SEPARATORS_HERE", "\\:")  # as on Windows
    with pytest.raises(ObjectCorrupt, match="elsewhere"):
        Tree(data)


def test_a_name_that_is_not_unicode_is_told() -> None:
    with pytest.raises(UsageError, match=r"the name 'caf\\udce9' is not valid Unicode"):
        encode([Node("a", FILE, A, 1, 1), Node("caf\udce9", FILE, A, 1, 1)])
    with pytest.raises(UsageError, match="the link 'b' leads to"):
        encode([Node("b", LINK, NONE, 0, 0, "caf\udce9")])


@pytest.mark.parametrize(
    "nodes",
    [
        [Node("a", FILE, A, 1, 1), Node("a", DIR, EMPTY, 0, 0)],
        [Node("a", FILE, A, -1, 1)],
        [Node("a", FILE, A, 10**18, 1)],
        [Node("a", FILE, NONE, 1, 1)],
        [Node("a", LINK, NONE, 0, 0, "")],
        [Node("a", "pipe", A, 1, 1)],
        [Node("a\nb/c", FILE, A, 1, 1)],
        *([Node(name, FILE, A, 1, 1)] for name in RESERVED + ELSEWHERE),
    ],
)
def test_nothing_is_written_that_would_not_be_read(nodes: list[Node]) -> None:
    with pytest.raises(UsageError, match="can't record this directory"):
        encode(nodes)
