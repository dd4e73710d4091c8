"""State machines of what lies on this machine: the store, the index, what it knows of remotes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
)

from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest, digest_of
from lazydata.errors import ObjectCorrupt, ObjectMissing
from lazydata.fsutil import FLUSHED_ALONE
from lazydata.gathering import SMALL, Gathering
from lazydata.index import FileRow, Index
from lazydata.remotes.claims import Location, Row, VolatileMemory
from lazydata.stamp import Stamp
from lazydata.store import Store

sys.path.append(str(Path(__file__).parents[1] / "manifest"))

_BASE = "/dev/shm" if os.path.isdir("/dev/shm") else None
DIGESTS = [Digest(f"blake3:{digit * 64}") for digit in "012345"]
digests = st.sampled_from(DIGESTS)
some_digests = st.lists(digests, max_size=4)


class InDirectory(RuleBasedStateMachine):
    """A machine with a directory of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.base = tempfile.mkdtemp(prefix="lazydata-fuzz-", dir=_BASE)
        self.index = os.path.join(self.base, "index")

    def teardown(self) -> None:
        shutil.rmtree(self.base)


# -- the store

CONTENTS = [b"", b"a", b"abc" * 5, b"x" * 3000, bytes(range(256)) * 40, b"b" * 70_000]
OBJECTS = {digest_of(data): data for data in CONTENTS}
objects = st.sampled_from(list(OBJECTS))


class StoreMachine(InDirectory):
    """Objects that are there are given out whole; no other bytes ever are."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(os.path.join(self.base, "store"), link="copy", index=self.index)
        self.filed: set[Digest] = set()  # has a file of its own
        self.damaged: set[Digest] = set()  # of those: what a reader will find out
        self.packed: set[Digest] = set()
        self.aside: set[Digest] = set()  # a whole file in the trash

    @property
    def there(self) -> set[Digest]:
        return self.filed | self.packed | self.aside

    @rule(digest=objects)
    def arrive(self, digest: Digest) -> None:
        with self.store.incoming(digest) as path:
            path.write_bytes(OBJECTS[digest])
        self.filed.add(digest)  # one that was there, damaged or not, stays

    @rule(digest=objects, wrong=objects)
    def arrive_as_something_else(self, digest: Digest, wrong: Digest) -> None:
        if digest == wrong:
            return
        try:
            with self.store.incoming(digest) as path:
                path.write_bytes(OBJECTS[wrong])
        except ObjectCorrupt:
            return
        raise AssertionError(f"{wrong} was taken for {digest}")

    @rule(chosen=st.lists(objects, unique=True, min_size=1), many=st.booleans())
    def gather(self, chosen: list[Digest], many: bool) -> None:
        lacking = self.store.lacking(chosen)
        filling = [b"%d" % number for number in range(FLUSHED_ALONE if many else 0)]
        with Gathering(self.store) as gathering:
            gathering.add([(digest_of(data), data) for data in filling])
            gathering.add([(digest, OBJECTS[digest]) for digest in lacking])
            gathering.finish()
        for digest in lacking:
            (self.packed if many and len(OBJECTS[digest]) < SMALL else self.filed).add(digest)

    @rule(digest=objects)
    def read(self, digest: Digest) -> None:
        self._use(digest, lambda: self.store.read(digest, at_most=1 << 20))

    @rule(digest=objects)
    def give_out(self, digest: Digest) -> None:
        def use() -> bytes:
            with Index(self.index) as index:
                path, _ = self.store.materialise(digest, self.base, index)
            with open(path, "rb") as file:
                return file.read()

        self._use(digest, use)

    @rule(digest=objects)
    def check(self, digest: Digest) -> None:
        def use() -> bytes:
            with Index(self.index) as index:
                path = self.store.check(digest, index, fresh=True)
            with open(path, "rb") as file:
                return file.read()

        self._use(digest, use)

    def _use(self, digest: Digest, use: Callable[[], bytes]) -> None:
        try:
            assert use() == OBJECTS[digest]
            assert digest in self.there
        except ObjectMissing:
            assert digest not in self.there
        except ObjectCorrupt:
            assert digest in self.damaged
            self.damaged.discard(digest)
            self.filed.discard(digest)

    @rule(digest=objects, at=st.integers(0, 99))
    def rot(self, digest: Digest, at: int) -> None:
        """A bit flips in a file of its own; what is in a pack is for another machine."""
        path = Path(self.store.path_of(digest))
        if not path.exists() or digest in self.damaged or not OBJECTS[digest]:
            return
        data = bytearray(path.read_bytes())
        data[at % len(data)] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        self.damaged.add(digest)
        self.filed.add(digest)  # a use may have made it, from a pack
        if not any(os.path.exists(f.path_of(digest)) for f in self.store.trash.folders()):
            self.aside.discard(digest)

    @rule(digest=objects, evicted=st.booleans(), when=st.integers(1, 3))
    def put_aside(self, digest: Digest, evicted: bool, when: int) -> None:
        """As gc does; a look-up takes back what nothing needed, a use also what was evicted."""
        path = self.store.path_of(digest)
        if os.path.exists(path) and digest not in self.damaged:
            self.store.trash.move(path, self.store.trash.folder(when, evicted=evicted), digest)
            self.aside.add(digest)
            self.filed.discard(digest)

    @rule(evicted=st.booleans())
    def put_packs_aside(self, evicted: bool) -> None:
        for name in self.store.packs.names():
            folder = self.store.trash.folder(9, evicted=evicted)
            self.store.trash.move(self.store.packs.path_of(name), folder)

    @rule(chosen=st.lists(objects))
    def look(self, chosen: list[Digest]) -> None:
        lacking = set(self.store.lacking(chosen))
        assert set(chosen) - self.there <= lacking
        for digest in lacking & self.there:  # it was evicted: who needs it takes it back
            self.read(digest)

    @rule()
    def lose_the_index(self) -> None:
        shutil.rmtree(self.index, ignore_errors=True)


# -- the index

_NAMES = ["/w/a", "/w/b", "/w/d/a", "/w/d", "/w-x", "/w/dé\udc80"]
names = st.sampled_from(_NAMES)
numbers = st.sampled_from([0, 1, 2, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
times = st.sampled_from([0, 1, 2, 10**18])
stamps = st.builds(lambda *each: Stamp(each), numbers, numbers, times, times, times)
file_rows = st.builds(
    FileRow, stamps, st.booleans(), digests, st.binary(min_size=16, max_size=16), times
)


class IndexMachine(InDirectory):
    """What was put in comes out, until the index is lost; then it knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, tuple[object, ...]] = {}
        self.directories: dict[str, list[tuple[Any, ...]]] = {}

    @staticmethod
    def _told(row: FileRow | None) -> tuple[object, ...] | None:
        return row and (tuple(row.stamp), row.racy, row.digest, row.fingerprint, row.hashed_ns)

    @rule(some=st.lists(st.tuples(names.filter(str.isprintable), file_rows), max_size=3))
    def put(self, some: list[tuple[str, FileRow]]) -> None:
        with Index(self.index) as index:
            index.put_files(some)
        for path, row in some:
            self.files[path] = self._told(row) or ()

    @rule(row=file_rows)
    def refuse_what_sqlite_can_not_hold(self, row: FileRow) -> None:
        with Index(self.index) as index:
            index.put_files([("/w/a", row), (_NAMES[-1], row)])  # all of it, or nothing

    @rule(path=names, ctime=times)
    def restamp(self, path: str, ctime: int) -> None:
        if path not in self.files:
            return
        before = Stamp(self.files[path][0])  # type: ignore[arg-type]
        after = Stamp((*before[:4], ctime))
        with Index(self.index) as index:
            index.restamp(before, after)
        for other, row in self.files.items():
            if row[0] == tuple(before):
                self.files[other] = (tuple(after), *row[1:])

    @rule(
        path=names.filter(str.isprintable),
        digest=digests,
        size=times,
        trees=st.lists(st.binary(), min_size=1, max_size=3),
    )
    def put_directory(self, path: str, digest: Digest, size: int, trees: list[bytes]) -> None:
        parts = [
            (
                nr,
                1,
                None if nr else str(digest),
                size,
                2,
                "",
                b"n",
                b"s" * (size % 7),
                b"f",
                b"d",
                t,
            )
            for nr, t in enumerate(trees)
        ]
        with Index(self.index) as index:
            index.put_directories([path], ((path, *part) for part in parts))
        self.directories[path] = parts

    @rule()
    def lose_it(self) -> None:
        shutil.rmtree(self.index, ignore_errors=True)
        self.files, self.directories = {}, {}

    @rule(junk=st.binary(min_size=20, max_size=200), at=st.integers(0, 3))
    def damage_it(self, junk: bytes, at: int) -> None:
        """It is moved away as soon as somebody comes across the damage, and made anew."""
        path = Path(self.index, "index.sqlite")
        if not path.exists():
            return
        for more in ("-wal", "-shm"):
            Path(f"{path}{more}").unlink(missing_ok=True)
        data = path.read_bytes()
        place = at * len(data) // 4
        path.write_bytes(data[:place] + junk + data[place + len(junk) :])
        with Index(self.index) as index:
            index.file("/w/a")
            index.write("DELETE FROM directories", [()])
        self.lose_it()

    @invariant()
    def knows_what_was_put_in(self) -> None:
        with Index(self.index) as index:
            for path in _NAMES:
                assert self._told(index.file(path)) == self.files.get(path)
                parts = self.directories.get(path, [])
                columns = "piece, device, digest, size, files, below, names, stats, fingerprints"
                assert index.directory(path, f"{columns}, digests, tree") == parts
                assert index.piece(path, 1, "tree") == (parts[1][-1:] if parts[1:] else None)
            for stamp in {row[0] for row in self.files.values()}:
                device, inode = stamp[:2]  # type: ignore[index]
                same = {p for p, row in self.files.items() if row[0][:2] == stamp[:2]}  # type: ignore[index]
                assert set(index.paths_of(device, inode)) == same
            below = {
                (path, sum(len(part[7]) for part in parts))
                for path, parts in self.directories.items()
                if path.startswith("/w/")
            }
            assert set(index.directories_in("/w")) == below
            for parts in self.directories.values():
                alike = [each for each in self.directories.values() if each[0][2] == parts[0][2]]
                trees = {b"".join(part[-1] for part in each) for each in alike}
                assert index.tree(parts[0][2]) in trees


URLS = ["file:///x", "s3://b"]
urls = st.sampled_from(URLS)
claim_names = st.sampled_from(["a" * 64, "b" * 64, "c" * 64])
places = st.builds(
    Location,
    st.sampled_from(["packs/aa/x.pack", "objects/blake3/ab/y"]),
    st.integers(0, 2),
    st.integers(1, 3),
    st.sampled_from(["raw", "zstd"]),
    st.integers(0, 2),
)


class ClaimsMachine(InDirectory):
    """What the index remembers of remotes is what a dict does; lost, it is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.real, self.model = IndexedMemory(self.index), VolatileMemory()

    @rule(
        url=urls,
        name=claim_names,
        project=st.sampled_from(["p", "q", None]),
        rows=st.dictionaries(digests, places, max_size=4),
    )
    def merge(self, url: str, name: str, project: str | None, rows: dict[Digest, Location]) -> None:
        listed = [Row.of(digest, place) for digest, place in rows.items()]
        for memory in (self.real, self.model):
            memory.merge(url, name, project, listed)

    @rule(url=urls, some=st.lists(claim_names, max_size=2))
    def forget(self, url: str, some: list[str]) -> None:
        for memory in (self.real, self.model):
            memory.forget(url, some)

    @rule()
    def open_again(self) -> None:
        self.real = IndexedMemory(self.index)

    @rule()
    def lose_the_index(self) -> None:
        shutil.rmtree(self.index, ignore_errors=True)
        self.model = VolatileMemory()

    @invariant()
    def both_say_the_same(self) -> None:
        both = (self.real, self.model)
        for url in URLS:
            assert self.real.names(url) == self.model.names(url)
            said = [
                {d: set(places) for d, places in m.lookup(url, DIGESTS, absent=True).items()}
                for m in both
            ]
            assert said[0] == said[1]
            for project in ("p", "q"):
                for ask in ("claimed", "small"):
                    about = DIGESTS if ask == "claimed" else 2
                    one, other = (
                        getattr(m, ask)(url, project, about) for m in (self.real, self.model)
                    )
                    assert one == other
            keys = ["packs/aa/x.pack", "objects/blake3/ab/y", "no"]
            assert self.real.extents(url, keys) == self.model.extents(url, keys)
