"""State machines of the manifest: its edits, its merges, and what is decided by it."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lazydata.compiled import find, patch, put
from lazydata.digest import Digest
from lazydata.index import Index
from lazydata.manifest import TEMPLATE, RemoteSpec, Version, document, edit, read, text
from lazydata.manifest.merge import merge
from lazydata.reconcile import RECORDS, REPLACES, Action, reconcile
from lazydata.stamp import Stamp

sys.path.append(str(Path(__file__).parents[1] / "manifest"))
from fuzz_machines_local import DIGESTS, InDirectory, digests
from manifest_merges import check, edited
from manifest_styles import PATHS, SCRIPTS, styles, versions, write

# -- the manifest

listed_items = st.tuples(st.sampled_from(PATHS), versions)
listed_paths = st.sampled_from([*PATHS, "b/new.csv", "0"])
remote_names = st.sampled_from(["origin", "spare", "yes"])
options = st.dictionaries(
    st.sampled_from(["endpoint", "project"]), st.sampled_from(["x", "1", "no", "a: b"]), max_size=2
)


class ManifestMachine(InDirectory):
    """One text, edited again and again: it says what was said, and keeps each comment.

    Its compiled copy in the index, patched or made anew, says the same.
    """

    @initialize(
        start=st.one_of(
            st.just(TEMPLATE),
            st.builds(
                write, st.lists(st.tuples(st.sampled_from(PATHS), versions), max_size=4), styles
            ),
        )
    )
    def begin(self, start: str) -> None:
        self.text = start
        found = read(self.text).manifest
        self.files = dict(found.files)
        self.remotes = dict(found.remotes)
        self.on_change, self.comments = found.on_change, 0
        self.stamp = 0
        self._compile()

    @rule(path=listed_paths, version=versions)
    def record(self, path: str, version: Version) -> None:
        self.text, entry = self._with_patch(
            path, lambda view: edit.record(self.text, view, path, version)
        )
        before = self.files[path].versions if path in self.files else ()
        assert entry.latest.digest == version.digest
        assert list(entry.versions[:-1]) == [v for v in before if v.digest != version.digest]
        self.files[path] = entry

    @precondition(lambda self: self.files)
    @rule(data=st.data(), script=st.sampled_from(SCRIPTS))
    def use(self, data: st.DataObject, script: str) -> None:
        path = data.draw(st.sampled_from(sorted(self.files)))
        self.text, entry = self._with_patch(
            path, lambda view: edit.add_usage(self.text, view, path, script)
        )
        assert script in entry.latest.usage
        self.files[path] = entry

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def untrack(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.files)))
        self.text, _ = self._with_patch(
            path, lambda view: (edit.remove(self.text, view, path), None)
        )
        del self.files[path]

    @rule(name=remote_names, options=options)
    def add_remote(self, name: str, options: dict[str, str]) -> None:
        spec = RemoteSpec(name, "file:///srv/x y", options)
        self.text = edit.set_remote(self.text, spec, file="f")
        self.remotes[name] = spec
        self._compile()

    @precondition(lambda self: self.remotes)
    @rule(data=st.data())
    def remove_remote(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.remotes)))
        self.text = edit.remove_remote(self.text, name, file="f")
        del self.remotes[name]
        self._compile()

    @rule(data=st.data(), column=st.sampled_from([0, 2, 4]))
    def comment(self, data: st.DataObject, column: int) -> None:
        """A person writes a line of their own above an item, or at the end."""
        if not self.text.endswith("\n"):
            return
        spots = [item.start for item in text.items(self.text)] or [len(self.text)]
        at = data.draw(st.sampled_from([*spots, len(self.text)]))
        newline = "\r\n" if "\r\n" in self.text else "\n"
        line = f"{' ' * column}# mine {self.comments}"
        self.text = self.text[:at] + line + newline + self.text[at:]
        self.comments += 1
        self._compile()

    def _with_patch(self, path, change):  # type: ignore[no-untyped-def]
        with Index(self.index) as index:
            view = find(index, "/f", lambda: read(self.text))
            assert view is not None
            new, entry = change(view)
            if view.is_plain and text.scan(new) is not None and view.is_sorted:
                patch(index, view, self._next_stamp(), new.encode(), path, entry)
        if self._compiled_text() != new.encode():
            self._compile(new)
        return new, entry

    def _compiled_text(self) -> bytes | None:
        with Index(self.index) as index:
            view = find(index, "/f", lambda: read(self.text))
            return view.text if view else None

    def _compile(self, new: str | None = None) -> None:
        view = read(self.text if new is None else new, file="/f")
        with Index(self.index) as index:
            put(index, view, self._next_stamp(), False, (new or self.text).encode())

    def _next_stamp(self) -> Stamp:
        self.stamp += 1
        return Stamp((1, 2, 3, self.stamp, self.stamp))

    @invariant()
    def all_say_what_was_said(self) -> None:
        judged = document.parse(self.text, file="f")
        for found in (judged, read(self.text).manifest):
            assert found.files == self.files
            assert found.remotes == self.remotes
            assert found.on_change == self.on_change
        with Index(self.index) as index:
            view = find(index, "/f", lambda: read(self.text))
            assert view is not None
            assert view.files == self.files
            assert view.remotes == self.remotes
        mine = [line.strip() for line in self.text.splitlines() if "# mine" in line]
        assert sorted(mine) == sorted(f"# mine {number}" for number in range(self.comments))


# -- reconcile


class ReconcileMachine(RuleBasedStateMachine):
    """One path, a person who edits it, a git that moves the manifest: no bytes are ever lost."""

    def __init__(self) -> None:
        super().__init__()
        self.file: Digest | None = None
        self.baseline: Digest | None = None
        self.versions = [DIGESTS[0]]
        self.known = {DIGESTS[0]}  # what some version of some manifest had: the store has it
        self.journal: list[Digest] = []

    @rule(digest=digests)
    def edit(self, digest: Digest) -> None:
        self.file = digest

    @rule()
    def delete(self) -> None:
        self.file = None

    @rule(versions=st.lists(digests, min_size=1, max_size=3, unique=True))
    def move(self, versions: list[Digest]) -> None:
        """git checks out, merges or pulls another manifest; a stranger may have written it."""
        self.versions = versions
        self.known |= set(versions)

    @rule()
    def forget(self) -> None:
        self.baseline = None

    @rule(output=st.booleans())
    def settle(self, output: bool) -> None:
        before, latest = self.file, self.versions[-1]
        action = reconcile(before, self.baseline, self.versions, latest, output=output)
        if action == Action.MISSING_OUTPUT:
            assert output
            assert before is None
            return
        if action in RECORDS:
            assert before is not None
            self.versions = [each for each in self.versions if each != before] + [before]
            self.known.add(before)
        elif action in REPLACES:
            if action == Action.DISPLACE:
                assert before is not None
                self.journal.append(before)
            assert before is None or before in self.known  # nothing is lost
            assert not (output and before is not None)
            self.file = latest
        self.baseline = self.versions[-1]
        assert self.file == self.versions[-1]
        again = reconcile(self.file, self.baseline, self.versions, self.versions[-1])
        assert again == Action.NOTHING

    @invariant()
    def what_left_the_manifest_can_be_had_again(self) -> None:
        assert set(self.journal) <= self.known


# -- merge


class MergeMachine(RuleBasedStateMachine):
    """Two branches of one manifest that are edited and merged into each other, again and again."""

    @initialize(
        items=st.lists(st.tuples(st.sampled_from(PATHS[:3]), versions), min_size=1, max_size=4),
        style=styles,
    )
    def begin(self, items: list[tuple[str, Version]], style: object) -> None:
        self.base = write(items, style)
        self.sides = [self.base, self.base]

    @rule(which=st.integers(0, 1), data=st.data())
    def edit(self, which: int, data: st.DataObject) -> None:
        self.sides[which] = data.draw(edited(self.sides[which], "ours" if which else "theirs"))

    @rule(into=st.integers(0, 1))
    def merge(self, into: int) -> None:
        """Merge one branch into the other; the other one is what both come from then."""
        ours, theirs = self.sides[into], self.sides[1 - into]
        check(self.base, ours, theirs)
        merged = merge(self.base, ours, theirs)
        assert merge(theirs, merged.text, theirs).text == merged.text
        self.sides[into], self.base = merged.text, theirs

    @rule(into=st.integers(0, 1))
    def fast_forward(self, into: int) -> None:
        if self.sides[into] == self.base:
            assert merge(self.base, self.base, self.sides[1 - into]).text == self.sides[1 - into]
            self.sides[into] = self.base = self.sides[1 - into]
