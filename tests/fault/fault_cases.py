"""What is disturbed: a state, and the command that runs in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from blake3 import blake3
from fault_scene import Scene

FILE = "data/x.csv"
FOLDER = "data/images"
FIRST = b"first\n" * 20_000
SECOND = b"second\n" * 20_000
SCRIPT = ("step.py",)
GC = ("gc", "--force", "--grace", "0")
GC_REMOTE = ("gc", "--force", "--remote", "origin")


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Args:
        name: for reports.
        prepare: brings about the state before.
        argv: the command, or the script, that is disturbed.
        link: what the user's settings say of links.
        again: how the same command may end once more, after it was done.
        frees: what it takes away is meant to go.
    """

    name: str
    prepare: Callable[[Scene], None]
    argv: tuple[str, ...]
    link: str = "copy"
    again: tuple[int, ...] = (0,)
    frees: bool = False

    def begin(self, scene: Scene) -> None:
        """Bring about the state before, in an empty scene."""
        scene.lazydata("init")
        scene.lazydata("config", "set", "link", self.link)
        scene.script(FILE)
        self.prepare(scene)


def _nothing(scene: Scene) -> None:
    scene.manifest.unlink()


def _new(scene: Scene) -> None:
    scene.write(FILE, FIRST)


def _tracked(scene: Scene) -> None:
    scene.write(FILE, FIRST)
    scene.lazydata("track", FILE)


def _changed(scene: Scene) -> None:
    _tracked(scene)
    scene.write(FILE, SECOND)


def _two_versions(scene: Scene) -> None:
    _changed(scene)
    scene.lazydata("track", FILE)


def _lost(scene: Scene) -> None:
    _tracked(scene)
    (scene.work / FILE).unlink()


def _edited(scene: Scene) -> None:
    """There is a third content, which was never recorded."""
    _two_versions(scene)
    scene.write(FILE, b"not recorded\n" * 10_000)


def _moved(scene: Scene) -> None:
    """The manifest lists the second version, and this workspace has the first."""
    _tracked(scene)
    before = _memory(scene)
    scene.write(FILE, SECOND)
    scene.lazydata("track", FILE)
    _remember(scene, before)
    scene.write(FILE, FIRST)


def _displaced(scene: Scene) -> None:
    """The manifest lists only what others recorded."""
    empty = scene.manifest.read_bytes()
    scene.write(FILE, SECOND)
    scene.lazydata("track", FILE)
    theirs = scene.manifest.read_bytes()
    scene.manifest.write_bytes(empty)
    shutil.rmtree(scene.work / ".lazydata")
    _tracked(scene)
    scene.manifest.write_bytes(theirs)


def _many_baselines(scene: Scene) -> None:
    """The next line makes the file of baselines long enough to be written anew."""
    _tracked(scene)
    path = scene.work / ".lazydata" / "baselines"
    line = path.read_bytes()
    path.write_bytes(line * ((256 << 10) // len(line)))
    scene.write(FILE, SECOND)


def _new_directory(scene: Scene) -> None:
    scene.script(FOLDER)
    for number in range(12):
        scene.write(f"{FOLDER}/{number % 2}/small-{number}.txt", b"%d\n" % number)
    for name in ("large", "larger"):
        scene.write(f"{FOLDER}/{name}.bin", name.encode() * 20_000)
    scene.write(f"{FOLDER}/run.sh", b"#!/bin/sh\n").chmod(0o755)
    os.symlink("large.bin", scene.work / FOLDER / "link")


def _directory(scene: Scene) -> None:
    _new_directory(scene)
    scene.lazydata("track", FOLDER)


def _changed_directory(scene: Scene) -> None:
    _directory(scene)
    _change_directory(scene)


def _change_directory(scene: Scene) -> None:
    for number in range(4):
        scene.write(f"{FOLDER}/0/small-{2 * number}.txt", b"changed %d\n" % number)
    for number in range(10):
        scene.write(f"{FOLDER}/new/{number}.txt", b"new %d\n" % number)
    scene.write(f"{FOLDER}/large.bin", b"changed" * 20_000)
    (scene.work / FOLDER / "larger.bin").unlink()
    shutil.rmtree(scene.work / FOLDER / "1")


def _moved_directory(scene: Scene) -> None:
    """The manifest lists what others made of it."""
    _directory(scene)
    kept = scene.base / "kept"
    shutil.copytree(scene.work / FOLDER, kept, symlinks=True)
    before = _memory(scene)
    _change_directory(scene)
    scene.lazydata("track", FOLDER)
    _remember(scene, before)
    shutil.rmtree(scene.work / FOLDER)
    shutil.move(kept, scene.work / FOLDER)


def _lost_directory(scene: Scene) -> None:
    _directory(scene)
    shutil.rmtree(scene.work / FOLDER)


def _memory(scene: Scene) -> bytes:
    return (scene.work / ".lazydata" / "baselines").read_bytes()


def _remember(scene: Scene, baselines: bytes) -> None:
    (scene.work / ".lazydata" / "baselines").write_bytes(baselines)


def _remote(scene: Scene) -> None:
    scene.lazydata("add-remote", "../remote")


def _to_push(scene: Scene) -> None:
    _remote(scene)
    _tracked(scene)
    _directory(scene)


def _pushed(scene: Scene) -> None:
    _to_push(scene)
    scene.lazydata("push")


def _to_pull(scene: Scene) -> None:
    """As in a fresh clone, on another machine."""
    _pushed(scene)
    shutil.rmtree(scene.work / "data")
    shutil.rmtree(scene.work / ".lazydata")
    shutil.rmtree(scene.home / "lazydata")


def _many_pushes(scene: Scene) -> None:
    """The next push puts the index files together."""
    _remote(scene)
    for number in range(12):
        scene.write(FILE, b"%d\n" % number * 50_000)
        scene.lazydata("track", FILE)
        if number < 11:
            scene.lazydata("push")


def _waste(scene: Scene) -> None:
    """What was a directory is needed no more, in packs and beside them."""
    _two_versions(scene)
    _directory(scene)
    _drop_directory(scene)


def _drop_directory(scene: Scene) -> None:
    scene.lazydata("untrack", FOLDER)
    shutil.rmtree(scene.work / FOLDER)


def _remote_waste(scene: Scene) -> None:
    _remote(scene)
    _two_versions(scene)
    _directory(scene)
    scene.lazydata("push")
    _drop_directory(scene)
    scene.lazydata(*GC)  # nobody else has it


def _noted_remote_waste(scene: Scene) -> None:
    """What is to go there is written down."""
    _remote_waste(scene)
    scene.lazydata(*GC_REMOTE)


def _version(data: bytes) -> str:
    return blake3(data).hexdigest()[:12]


CASES = (
    Case("init", _nothing, ("init",)),
    Case("track() of a new file", _new, SCRIPT),
    Case("track() of a new file, hardlinked", _new, SCRIPT, "hardlink"),
    Case("track of a new file", _new, ("track", FILE)),
    Case("track() of a changed file", _changed, SCRIPT),
    Case("track() of a changed file, hardlinked", _changed, SCRIPT, "hardlink"),
    Case("track() of a missing file", _lost, SCRIPT),
    Case("track() after the manifest moved", _moved, SCRIPT),
    Case("track() after the manifest moved, hardlinked", _moved, SCRIPT, "hardlink"),
    Case("track() that displaces", _displaced, SCRIPT),
    Case("track() that compacts the baselines", _many_baselines, SCRIPT),
    Case("track() of a new directory", _new_directory, SCRIPT),
    Case("track() of a new directory, hardlinked", _new_directory, SCRIPT, "hardlink"),
    Case("track() of a changed directory", _changed_directory, SCRIPT),
    Case("track() of a missing directory", _lost_directory, SCRIPT),
    Case("track() that updates a directory", _moved_directory, SCRIPT),
    Case("track() that updates a directory, hardlinked", _moved_directory, SCRIPT, "hardlink"),
    Case("restore", _lost, ("restore", FILE)),
    Case("restore, hardlinked", _lost, ("restore", FILE), "hardlink"),
    Case("restore --version", _two_versions, ("restore", FILE, "--version", _version(FIRST))),
    Case("restore over an edit", _edited, ("restore", FILE)),
    Case("restore of a directory", _lost_directory, ("restore", FOLDER)),
    Case("unlock", _tracked, ("unlock", FILE), "hardlink"),
    Case("untrack", _tracked, ("untrack", FILE), "hardlink", again=(0, 12)),
    Case("add-remote", _tracked, ("add-remote", "../remote")),
    Case("push", _to_push, ("push",)),
    Case("push that compacts index files", _many_pushes, ("push",)),
    Case("pull", _to_pull, ("pull", "data")),
    Case("gc", _waste, GC, frees=True),
    Case("gc of a remote", _remote_waste, GC_REMOTE),
    Case("gc of a remote, later", _noted_remote_waste, (*GC_REMOTE, "--grace", "0"), frees=True),
)
