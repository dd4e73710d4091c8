"""What is remembered of a directory: found again in any order, however many pieces it has."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazydata import remembered
from lazydata.digest import Digest, digest_of
from lazydata.index import Index
from lazydata.remembered import Contents, Files, Known, nodes, remember, seen
from lazydata.scanner import DIRECTORY, SYMLINK
from lazydata.scanning import UNKNOWN, WIDTH, Listing
from lazydata.tree import DIR, LINK, Node, Tree, encode

PATH, DEVICE = "/w/data", 2**64 - 1
KINDS = st.sampled_from([0, 0, 0, 1, DIRECTORY, SYMLINK])
ROWS = st.tuples(KINDS, st.integers(1, 3), st.integers(0, 2), st.integers(1, 3), st.just(7))
DIRECTORIES = st.dictionaries(st.text("abcé", min_size=1, max_size=2), ROWS, max_size=12)


def listing_of(rows: dict[str, tuple[int, ...]], order: list[str] | None = None) -> Listing:
    names = order or list(rows)
    numbers = [number for name in names for number in rows[name]]
    return Listing(names, array("q", numbers), DEVICE)


def held(name: str, row: tuple[int, ...]) -> tuple[bytes, Digest]:
    data = f"{name} {row}".encode()
    return digest_of(data)[-16:].encode(), digest_of(data)


def put(index: Index, listing: Listing, path: str = PATH) -> Known:
    contents, others = Contents(len(listing.names)), {}
    for at, name in enumerate(listing.names):
        kind = listing.kind(at)
        if kind == DIR:
            others[name] = Node(name, DIR, digest_of(name.encode()), 9, 2)
        elif kind == LINK:
            others[name] = Node(name, LINK, Digest(""), 0, 0, "a")
        else:
            contents.put(at, *held(name, tuple(listing.stats[at * WIDTH : at * WIDTH + WIDTH])))
    tree = encode(nodes(listing, contents, others), in_order=True)
    below = "".join(others[name].digest for name in listing.directories())
    known = Known(path, listing, contents, tree, digest_of(tree), 5, 3, below)
    remember(index, [known])
    return known


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory):
    with Index(str(tmp_path_factory.mktemp("index"))) as opened:
        yield opened


@pytest.fixture(autouse=True, scope="module")
def small_pieces():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remembered, "PIECE", 3)
        yield


@given(DIRECTORIES)
def test_what_was_not_touched_is_known(index: Index, rows: dict[str, tuple[int, ...]]) -> None:
    listing = listing_of(rows)
    known = put(index, listing)
    found = seen(index, PATH, listing_of(rows))
    assert found is not None
    assert found[:4] == (known.digest, known.size, known.files, known.below)
    assert (found.contents is not None) == bool(listing.directories())
    if found.contents is not None:
        assert found.contents.prints == known.contents.prints
        assert found.contents.digests == known.contents.digests
    assert index.tree(known.digest) == known.tree
    assert [node.name for node in Tree(known.tree)] == sorted(rows)


@given(DIRECTORIES, DIRECTORIES)
def test_whatever_was_touched_is_seen(
    index: Index, old: dict[str, tuple[int, ...]], new: dict[str, tuple[int, ...]]
) -> None:
    put(index, listing_of(old))
    same = list(old) == list(new) and old == new
    assert (seen(index, PATH, listing_of(new)) is not None) == same
    other = listing_of(old)._replace(device=DEVICE - 1)
    assert seen(index, PATH, other) is None


@given(DIRECTORIES, DIRECTORIES, st.randoms())
def test_what_changed_is_found_in_any_order(
    index: Index, old: dict[str, tuple[int, ...]], more: dict[str, tuple[int, ...]], random
) -> None:
    put(index, listing_of(old))
    new = {name: row for name, row in old.items() if random.random() < 0.7} | more
    order = list(new)
    if random.random() < 0.5:
        random.shuffle(order)
    listing = listing_of(new, order)
    contents = Contents(len(order))
    changed = {
        listing.names[at]: more for at, *more in Files(index, PATH, 1).changed(listing, contents)
    }
    for at, name in enumerate(order):
        row, was = new[name], old.get(name)
        if row[0] in (DIRECTORY, SYMLINK):
            assert name not in changed
        elif was is None or was[0] in (DIRECTORY, SYMLINK):
            assert changed[name] == [b"", None]
        elif was[1:] == row[1:]:
            assert name not in changed
            mark, digest = held(name, was)
            assert contents.digest(at) == digest
            assert contents.prints[at * 16 : at * 16 + 16] == mark
        else:
            mark, digest = held(name, was)
            assert changed[name] == [mark if was[2] == row[2] else b"", digest]


@given(DIRECTORIES)
def test_files_by_name(index: Index, rows: dict[str, tuple[int, ...]]) -> None:
    put(index, listing_of(rows))
    files = Files(index, PATH, DEVICE)
    for name in [*rows, "other"]:
        row = rows.get(name)
        if row is None or row[0] in (DIRECTORY, SYMLINK):
            assert files.of(name) == (None, b"", None)
        else:
            assert files.of(name) == ((DEVICE, *row[1:]), *held(name, row))


def test_a_time_that_no_file_has_is_never_the_same(index: Index) -> None:
    rows = {"a": (0, 1, 2, 3, 4)}
    put(index, listing_of(rows | {"a": (0, 1, 2, UNKNOWN, 4)}))
    listing = listing_of(rows)
    assert seen(index, PATH, listing) is None
    assert [at for at, *_ in Files(index, PATH, 1).changed(listing, Contents(1))] == [0]


@pytest.mark.parametrize("column", ["stats", "fingerprints", "digests"])
def test_a_piece_that_is_damaged_is_not_believed(index: Index, column: str) -> None:
    rows = {f"f{nr}": (0, nr, 1, 1, 1) for nr in range(5)}
    put(index, listing_of(rows))
    index.write(f"UPDATE directories SET {column} = ? WHERE piece = 1", [(b"123",)])
    found = Files(index, PATH, 1).changed(listing_of(rows), Contents(5))
    assert [at for at, *_ in found] == [3, 4]


def test_what_had_more_pieces_is_forgotten(index: Index) -> None:
    many = {f"f{nr}": (0, nr, 1, 1, 1) for nr in range(10)}
    put(index, listing_of(many))
    few = dict(list(many.items())[:4])
    put(index, listing_of(few))
    assert seen(index, PATH, listing_of(few)) is not None
    assert seen(index, PATH, listing_of(many)) is None
    assert len(index.directory(PATH, "piece")) == 2


def test_directories_are_listed_once(tmp_path: Path) -> None:
    with Index(str(tmp_path / "index")) as index:
        for path, count in (("/w/a", 10), ("/w/a/b", 2), ("/w/c", 0), ("/x", 5)):
            put(index, listing_of({f"f{nr}": (0, nr, 1, 1, 1) for nr in range(count)}), path)
        found = index.directories_in("/w")
    assert sorted(found) == [("/w/a", 10 * WIDTH * 8), ("/w/a/b", 2 * WIDTH * 8), ("/w/c", 0)]
