"""Any sequence of edits, versions and parts: a dict says what the disk and each version must hold.

F is what lies in the directory, L the latest version, and B what lazydata last wrote to or
recorded from each path of it; all three are trees. A path that is not in B was never here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directories_model import (
    DIR,
    EMPTY,
    EXEC,
    FILE,
    LINK,
    Tree,
    digest_of,
    objects_below,
    on_disk,
    put,
    remove,
    version,
)

D = "images"
# "b" is a file at times, and at times the directory that the others lie in.
PATHS = ["a", "b", "b/c", "b/d", "b/e/f", "g"]
PARTS = ["a", "b", "b/c", "b/e", "g"]
KEPT = [(FILE, b"1"), (FILE, b"2"), (FILE, b"3" * 70_000), (EXEC, b"1"), (LINK, b"nowhere"), EMPTY]
CHANGE = st.tuples(st.sampled_from(PATHS), st.none() | st.integers(0, len(KEPT) - 1))
EDIT = st.tuples(st.just("edit"), st.lists(CHANGE, min_size=1, max_size=3))
MOVE = st.tuples(st.sampled_from(["switch", "switch", "revert"]), st.integers(1, 3))
PART = st.tuples(st.sampled_from(["pull", "look"]), st.sampled_from(PARTS))
LOSS = st.tuples(st.sampled_from(["clone", "forget", "touch", "lose_index", "restart"]))
# Most steps are followed by a track, else few sequences have versions to move between.
STEPS = st.lists(
    st.tuples(st.one_of(EDIT, EDIT, MOVE, MOVE, PART, LOSS), st.integers(0, 3).map(bool)),
    min_size=3,
    max_size=8,
)


def below(part, path):
    return path == part or path.startswith(part + "/")


def parents(path):
    names = path.split("/")
    return ["/".join(names[:n]) for n in range(1, len(names))]


def fits(tree: Tree) -> bool:
    """Whether no path is both a file and a directory."""
    return not any(up in tree for path in tree for up in parents(path))


def has_files(tree: Tree) -> bool:
    return any(kind in (FILE, EXEC) for kind, _ in tree.values())


class Model:
    """What must come of each step. Where several things may, ``outcomes`` gives all."""

    def __init__(self):
        self.base: Tree = {}
        self.versions: list[Tree] = []
        self.ever: list[Tree] = []

    def __repr__(self):
        return f"B {self.base}, H {self.versions}"

    def listed(self, path, kept):
        return any(tree.get(path) == kept for tree in self.versions)

    def merged(self, now, *, yielding):
        """Three ways, path by path; ``yielding`` gives way to the latest where both moved."""
        latest, found = self.versions[-1], {}
        for path in {*now, *latest, *self.base}:
            ours, base, theirs = (t.get(path) for t in (now, self.base, latest))
            if ours == base or (theirs != base and yielding and self.listed(path, ours)):
                result = theirs
            else:
                result = ours
            if result is not None:
                found[path] = result
        return found

    def outcomes(self, now: Tree) -> list[Tree] | None:
        """What ``track`` may leave in the directory; None: whatever loses nothing."""
        if not self.versions:
            return [now]
        latest = self.versions[-1]
        if not now and has_files(latest):
            return [latest]
        if not has_files(now) or not has_files(latest):
            return None  # whether "all are missing" is said of links too is left open
        found = [self.merged(now, yielding=False), self.merged(now, yielding=True)]
        if now in self.versions and self.base != latest:
            found.append(latest)
        return found if all(map(fits, found)) else None

    def parts(self, now: Tree, part: str, *, may_stay: bool) -> dict[str, list] | None:
        """What each path may hold after a pull of one part (None: nothing)."""
        latest, found = self.versions[-1], {}
        for path in {*now, *latest, *self.base}:
            ours, base, theirs = (t.get(path) for t in (now, self.base, latest))
            if not below(part, path):
                found[path] = [ours]
            elif ours is None and base is not None and may_stay:
                found[path] = [theirs, None]  # deleted here, and only its directory is asked for
            elif ours in (None, base):
                found[path] = [theirs]
            else:
                found[path] = [ours, theirs] if self.listed(path, ours) else [ours]
        sure = fits({path: EMPTY for path, kept in found.items() if kept != [None]})
        return found if sure else None


class Run:
    """One workspace, with what the model says of it."""

    def __init__(self, desk, tracker, empty):
        self.desk, self.tracker = desk, tracker
        self.root = Path(tempfile.mkdtemp(dir=desk.root))
        self.top, self.manifest = self.root / D, self.root / "lazydata.yml"
        self.home = self.root / "home"
        self.manifest.write_bytes(empty)
        self.model, self.texts = Model(), [(empty, [])]

    # -- what a user does

    def edit(self, changes):
        for path, which in changes:
            if which is None:
                self.delete(path)
            else:
                self.write(path, which)

    def write(self, path, which):
        kind, content = KEPT[which]
        self.delete(path)
        for up in parents(path):
            if (self.top / up).is_symlink() or (self.top / up).is_file():
                (self.top / up).unlink()
        put(self.desk, str(self.top), {path: (kind, content)})

    def delete(self, path):
        if any((self.top / up).is_symlink() for up in parents(path)):
            return
        if os.path.lexists(self.top / path):
            remove(self.top / path)
        for up in reversed(parents(path)):
            if (self.top / up).is_dir() and not os.listdir(self.top / up):
                (self.top / up).rmdir()

    def revert(self, back):
        if self.model.ever:
            self.replace(self.model.ever[-1 - back % len(self.model.ever)])

    def replace(self, tree):
        shutil.rmtree(self.top, ignore_errors=True)
        put(self.desk, str(self.top), tree)

    def switch(self, back):
        text, versions = self.texts[-1 - back % len(self.texts)]
        self.manifest.write_bytes(text)
        self.model.versions = list(versions)

    def forget(self):
        shutil.rmtree(self.root / ".lazydata", ignore_errors=True)
        self.model.base = {}

    def clone(self):
        self.forget()
        shutil.rmtree(self.top, ignore_errors=True)

    def lose_index(self):
        shutil.rmtree(self.home / "index", ignore_errors=True)

    def restart(self):
        self.tracker.restart()

    def touch(self):
        for path in self.top.rglob("*"):
            if path.is_file():
                os.utime(path, (1_600_000_000, 1_600_000_000))

    # -- what lazydata does

    def track(self):
        before, text = on_disk(self.top), self.manifest.read_bytes()
        reply = self.ask("value = track(path)", f"{D}/")
        if not self.model.versions and not self.top.exists():
            assert reply.error[0] == "NotTracked"
            return
        if reply.error[:1] == ["FileChanged"] and not has_files(before):
            self.nothing_is_lost(before)  # a link of the user is in the way of a listed file
            shutil.rmtree(self.top)
            return
        assert not reply.error, (reply.error[0], reply.text)
        model, expected = self.model, self.model.outcomes(before)
        if expected is None:
            assert not self.ask("value = track(path)", D).error  # what was left beside is recorded
        now = on_disk(self.top)
        assert expected is None or now in expected, (before, model, reply.stderr)
        if not model.versions or now != model.versions[-1]:
            model.versions = [tree for tree in model.versions if tree != now] + [now]
            model.ever.append(now)
        else:
            assert self.manifest.read_bytes() == text
        assert self.listed() == [digest_of(tree) for tree in model.versions]
        model.base = dict(now)
        self.texts.append((self.manifest.read_bytes(), list(model.versions)))
        self.nothing_is_lost(before)

    def pull(self, part):
        if not self.model.versions:
            return
        self.part(part, "from lazydata.cli.running import run\nvalue = run(['pull', '-q', path])")

    def look(self, part):
        if not self.model.versions:
            return
        self.part(part, "value = track(path)")

    def part(self, part, code):
        before, text = on_disk(self.top), self.manifest.read_bytes()
        latest, base = self.model.versions[-1], self.model.base
        reply = self.ask(code, f"{D}/{part}")
        now = on_disk(self.top)
        assert self.manifest.read_bytes() == text
        self.nothing_is_lost(before)
        if not has_files(before):
            base.clear()  # where no file is left none was deleted
        expected = self.model.parts(before, part, may_stay=part not in latest)
        if expected is not None and not has_files(before):
            for path in filter(lambda path: below(part, path), expected):
                expected[path].append(latest.get(path))
        if not any(below(part, path) for path in latest) or expected is None:
            # It is in no version, or a file is in the way: told, or brought up to date.
            if now != before or expected is None:
                self.forget()
            assert not reply.error or "LazydataError" in reply.error
            return
        assert not reply.error, (reply.error[0], reply.text)
        told = (part, before, base, latest, now, reply.stderr)
        assert set(now) <= set(expected), told
        assert all(now.get(path) in may for path, may in expected.items()), told
        for path in {*now, *latest, *base}:
            if below(part, path) and now.get(path) == latest.get(path):
                base.pop(path, None)
                base.update({path: latest[path]} if path in latest else {})

    def ask(self, code, path):
        code = f"import os\nos.chdir(root)\nos.environ['LAZYDATA_HOME'] = home\n{code}"
        return self.tracker.ask(code, path=path, root=str(self.root), home=str(self.home))

    # -- what must hold

    def listed(self):
        lines = self.manifest.read_text().splitlines()
        return [line.split()[1] for line in lines if line.split()[:1] == ["hash:"]]

    def nothing_is_lost(self, before):
        objects = objects_below(self.home / "store")
        for tree in self.model.ever:
            assert version(objects, digest_of(tree)) == tree
        here = {content for kind, content in on_disk(self.top).values() if kind in (FILE, EXEC)}
        for kind, content in before.values():
            assert kind in (LINK, DIR) or content in here or content in objects.values()

    def settled(self):
        """Once tracked, there is nothing more to be said or done."""
        self.track()
        if self.model.versions:
            before = self.manifest.read_bytes(), on_disk(self.top)
            assert self.ask("value = track(path)", D).stderr == ""
            assert (self.manifest.read_bytes(), on_disk(self.top)) == before


def test_any_sequence_of_events_leaves_what_the_model_says(project):
    empty, tracker = project.manifest_file.read_bytes(), project.tracker()

    @settings(
        max_examples=60,
        derandomize=True,  # more of them, and others, are for hours that nobody waits for
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    def run(steps):
        one = Run(project, tracker, empty)
        one.write("a", 0)
        one.track()
        for (step, *more), followed in steps:
            getattr(one, step)(*more)
            if followed:
                one.track()
        one.settled()
        shutil.rmtree(one.root)

    run()
