"""gc while others work, two of them at once, and a rule that holds for any store."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazydata import links
from lazydata import store as store_module
from lazydata.collecting import Collector
from lazydata.digest import Digest, digest_of
from lazydata.gathering import Gathering
from lazydata.index import Index
from lazydata.packed import Packs
from lazydata.registry import Registry
from lazydata.store import Store

SECONDS = "3"
GRACE = "1.5s"  # no process may stop for so long between two looks at one object

WORK = """
import os, random, shutil, sys, time
from lazydata import track
from lazydata.cli.running import run

name, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
file, directory = f"data/{name}.csv", f"data/{name}"

def text(label):
    return f"{label}\\n".encode() * 300

def put(kind, label):
    if kind:
        with open(file, "wb") as f:
            f.write(text(label))
        track(file)
        os.unlink(file)
        track(file)
        with open(file, "rb") as f:
            assert f.read() == text(label)
        return
    for n in range(12):
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{n}", "wb") as f:
            f.write(text(f"{n} of {label}"))
    track(directory)
    shutil.rmtree(directory)
    track(directory)
    for n in range(12):
        with open(f"{directory}/{n}", "rb") as f:
            assert f.read() == text(f"{n} of {label}")

os.makedirs("data", exist_ok=True)
while True:
    kind, label = random.randrange(2), random.randrange(4)
    put(kind, label)
    if time.monotonic() > end:
        break
    time.sleep(random.random() / 4)
    assert run(["untrack", file if kind else directory]) == 0
"""

COLLECT = """
import sys, time
from lazydata.cli.running import run
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    assert run(["gc", "--force", "--grace", sys.argv[2], "--json"]) == 0
"""


def ended(processes):
    """What each of some processes said, once all of them ended well."""
    told = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [error for _, error, code in told if code] == []
    return [out for out, _, _ in told]


def test_two_gcs_and_three_that_track_and_restore(project):
    workers = [project.popen(WORK, name, SECONDS) for name in "abc"]
    collectors = [project.popen(COLLECT, SECONDS, GRACE) for _ in range(2)]
    ended(workers)
    said = [json.loads(line) for out in ended(collectors) for line in out.splitlines()]
    assert sum(done["moved"] for done in said) > 0
    assert len(project.items()) == 3
    shutil.rmtree(project.root / "data")
    project.run_cli("verify")
    project.run_cli("restore", "data")
    assert "ok" in project.run_cli("status", "--check").stdout


def test_many_that_register_at_once(project):
    code = """
    import sys
    from lazydata.registry import Registry
    for n in range(40):
        Registry(sys.argv[1]).add("ab" * 16, f"/{sys.argv[2]}/{n}")
    """
    directory = str(project.base / "store")
    ended([project.popen(code, directory, name) for name in "abcd"])
    known = {each.root for each in Registry(directory).all()}
    assert known == {f"/{name}/{n}" for name in "abcd" for n in range(40)}


# What happens between two steps of somebody else, one by one

DATA = b"some bytes " * 9000
DIGEST = digest_of(DATA)


class Meanwhile:
    """A store with one object, whole or in a pack, and a gc that comes in between."""

    def __init__(self, base, *, packed):
        self.index = str(base / "index")
        self.base, self.packed = base, packed
        self.store = Store(str(base / "store"), link="copy", index=self.index)
        if packed:
            others = [digest_of(content(n)) for n in range(20)]
            small = [(digest, content(n)) for n, digest in enumerate(others)]
            with Gathering(self.store) as gathering:
                gathering.add([*small, (SMALL_DIGEST, SMALL)])
                gathering.finish()
        else:
            self.store.put([(DIGEST, DATA)])
        self.digest, self.data = (SMALL_DIGEST, SMALL) if packed else (DIGEST, DATA)

    def survey(self, *needed):
        collector = Collector(self.store, self.index, grace=1)
        collector.began += 10**9
        return collector, collector.survey(set(needed))

    def collect(self, *needed):
        collector, survey = self.survey(*needed)
        assert collector.sweep(survey) == []
        return survey

    def once(self, monkeypatch, owner, name, *needed):
        """Let gc come just before a function is called for the first time."""
        done, real = [], getattr(owner, name)

        def before(*args, **more):
            monkeypatch.setattr(owner, name, real)
            done.append(self.collect(*needed))
            return real(*args, **more)

        monkeypatch.setattr(owner, name, before)
        return done

    def is_whole(self):
        fresh = Store(str(self.base / "store"), index=self.index)
        return fresh.read(self.digest, at_most=1 << 20) == self.data


SMALL = b"a few bytes" * 30
SMALL_DIGEST = digest_of(SMALL)


@pytest.fixture(params=["whole", "packed"])
def meanwhile(request, tmp_path):
    return Meanwhile(tmp_path, packed=request.param == "packed")


@pytest.mark.parametrize("needed", [False, True])
def test_gc_between_finding_an_object_and_reading_it(meanwhile, monkeypatch, tmp_path, needed):
    """A needed one in a pack that is mostly waste moves to another pack."""
    owner, name = (Packs, "path_of") if meanwhile.packed else (links, "copy")
    done = meanwhile.once(monkeypatch, owner, name, *([meanwhile.digest] if needed else []))
    with Index(meanwhile.index) as index:
        temp, _ = meanwhile.store.materialise(meanwhile.digest, str(tmp_path), index)
    assert Path(temp).read_bytes() == meanwhile.data
    assert bool(done[0].going or done[0].rewriting) is (meanwhile.packed or not needed)
    assert meanwhile.is_whole()


def test_gc_between_finding_an_object_and_checking_it(tmp_path, monkeypatch):
    meanwhile = Meanwhile(tmp_path, packed=False)
    done = meanwhile.once(monkeypatch, store_module, "hash_file")
    with Index(None) as index:
        path = meanwhile.store.check(DIGEST, index)
    assert Path(path).read_bytes() == DATA
    assert done[0].going


def test_a_look_up_between_the_survey_and_the_sweep_that_unlinks(meanwhile):
    assert meanwhile.collect().going
    collector, survey = meanwhile.survey()
    assert survey.due
    assert meanwhile.store.has(meanwhile.digest)
    assert collector.sweep(survey) == []
    assert meanwhile.is_whole()


def test_a_new_object_between_the_survey_and_the_sweep(tmp_path):
    """What was damaged when it was looked at may have been stored anew."""
    meanwhile = Meanwhile(tmp_path, packed=False)
    collector, survey = meanwhile.survey()
    os.unlink(meanwhile.store.path_of(DIGEST))
    meanwhile.store.put([(DIGEST, DATA)])
    assert collector.sweep(survey) == []
    assert os.path.exists(meanwhile.store.path_of(DIGEST))


def test_two_sweeps_of_one_survey(meanwhile):
    collector, survey = meanwhile.survey()
    assert collector.sweep(survey) == []
    assert collector.sweep(survey) == []
    assert meanwhile.is_whole()


def test_two_gcs_write_one_pack_anew(tmp_path):
    meanwhile = Meanwhile(tmp_path, packed=True)
    first, second = (meanwhile.survey(SMALL_DIGEST) for _ in range(2))
    for collector, survey in (first, second):
        assert survey.rewriting
        assert collector.sweep(survey) == []
    meanwhile.collect(SMALL_DIGEST)
    assert meanwhile.is_whole()


def content(number):
    return f"{number} ".encode() * (number * 7 + 1)


NUMBERS = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(NUMBERS, min_size=1, max_size=12, unique=True)),
        st.tuples(st.just("pack"), st.lists(NUMBERS, min_size=9, max_size=30, unique=True)),
        st.tuples(st.just("gc"), st.sets(NUMBERS)),
        st.tuples(st.just("trash"), st.sets(NUMBERS)),
        st.tuples(st.just("look"), st.sets(NUMBERS)),
    ),
    max_size=8,
)


@settings(max_examples=20, deadline=None)
@given(STEPS)
def test_nothing_that_is_needed_ever_goes_and_all_else_does(steps):
    base = Path(tempfile.mkdtemp())
    try:
        _carry_out(steps, base)
    finally:
        shutil.rmtree(base)


def _carry_out(steps, base):
    """Each gc moves all that it may; ``gc`` also unlinks it, ``trash`` leaves it in the trash."""
    named = {digest_of(content(n)): content(n) for n in range(31)}
    index = str(base / "index")
    held: set[Digest] = set()
    for step, numbers in steps:
        store = Store(str(base / "store"), index=index)
        some = {digest_of(content(n)) for n in numbers}
        if step == "put":
            store.put([(digest, named[digest]) for digest in sorted(some)])
            held |= some
        elif step == "pack":
            with Gathering(store) as gathering:
                gathering.add([(digest, named[digest]) for digest in sorted(some)])
                gathering.finish()
            held |= some
        elif step == "look":
            assert some & held <= some - set(store.lacking(some))
        else:
            collector = Collector(store, index, grace=0)
            collector.began += 10**9  # all is older than that, whatever the clock's grain
            survey = collector.survey(some)
            if step == "trash":
                collector._tidy = lambda _: None
                survey.due.clear()
            assert collector.sweep(survey) == []
            assert not set(survey.going) & set(survey.rewriting)
            with Index(index) as opened:
                for digest in some & held:
                    assert Path(store.check(digest, opened)).read_bytes() == named[digest]
            if step == "gc":
                assert set(store.objects()) <= some
                for name in store.packs.names():
                    assert some & {each.digest for each in store.packs.objects(name)}
                held -= set(Store(str(base / "store"), index=index).lacking(held))
