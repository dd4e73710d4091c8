"""Killed at any system call that changes a disk: nothing is lost, nothing torn, nothing to repair.

A bounded sample of the crash points; ``nox -s torture`` tries as many as time allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import fault_tracing
import pytest
from fault_cases import CASES, FILE, FIRST, SCRIPT, SECOND, Case
from fault_disks import CutScene, UnavailableError
from fault_scene import Scene
from fault_tracing import Point
from fault_trials import Trial, sample

SEED = 20261124
POINTS = 2  # of each case
CUTS = ("track of a new file", "track() that updates a directory", "push")

_missing = fault_tracing.missing()
pytestmark = pytest.mark.skipif(_missing is not None, reason=str(_missing))

# How a program that takes no care changes a manifest, and a file.
CARELESS = b"""
lines = open("lazydata.yml").readlines()
with open("lazydata.yml", "w", buffering=1) as file:
    file.writelines(["# careless\\n", *lines[1:]])
"""
RENAMES = b"""
import os
with open("new", "wb") as file:
    file.write(bytes(10000))
os.rename("new", "data/x.csv")
"""


@pytest.fixture
def new_scene(tmp_path: Path) -> Iterator[Callable[[], Scene]]:
    made: list[Scene] = []

    def make() -> Scene:
        made.append(Scene(tmp_path / "scene", tmp_path / "logs"))
        return made[-1]

    yield make
    for scene in made:
        scene.close()


@pytest.fixture
def cut_scene(tmp_path: Path) -> Iterator[CutScene]:
    try:
        scene = CutScene(tmp_path, "ext4")
    except UnavailableError as error:
        pytest.skip(str(error))
    yield scene
    scene.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_anywhere(case: Case, new_scene: Callable[[], Scene]) -> None:
    trial = Trial(case, new_scene())
    points = sample(trial.points, POINTS, random.Random(SEED))
    assert points
    assert sum(trial.kill(point) for point in points) >= len(points) - 1


@pytest.mark.parametrize("name", CUTS)
def test_power_cut_anywhere(name: str, cut_scene: CutScene) -> None:
    (case,) = (each for each in CASES if each.name == name)
    trial = Trial(case, cut_scene)
    trial.finish()
    for point in sample(trial.points, 2, random.Random(SEED)):
        trial.kill(point)


@pytest.mark.parametrize(
    ("name", "call", "inside"),
    [
        # The second link of a file was there, and its mode not yet or already what it was to be.
        ("track() of a new file, hardlinked", "chmod", "work/data"),
        ("track() of a new file, hardlinked", "link", "store"),
        # What was set aside lay in a directory that was to go, and kept it there.
        ("track() that updates a directory", "unlink", "work/data"),
    ],
)
def test_killed_where_it_once_went_wrong(
    name: str, call: str, inside: str, new_scene: Callable[[], Scene]
) -> None:
    (case,) = (each for each in CASES if each.name == name)
    trial = Trial(case, new_scene())
    points = [each for each in trial.points if each.call == call and inside in each.path]
    assert points
    assert all(trial.kill(point) for point in points[:3])


# -- the harness sees what it is there to see


def _tracked(scene: Scene) -> None:
    scene.write(FILE, FIRST)
    scene.lazydata("track", FILE)


def _careless(scene: Scene) -> None:
    _tracked(scene)
    scene.write("step.py", CARELESS)


def test_torn_manifest_is_seen(new_scene: Callable[[], Scene]) -> None:
    trial = Trial(Case("careless", _careless, SCRIPT), new_scene())
    points = [each for each in trial.points if each.call == "write"]
    with pytest.raises(AssertionError, match="careless, write #"):
        assert all(trial.kill(point) for point in points)


def test_lost_bytes_are_seen(new_scene: Callable[[], Scene]) -> None:
    def changed(scene: Scene) -> None:
        _tracked(scene)
        scene.write(FILE, SECOND)
        scene.write("step.py", f"open({FILE!r}, 'w').close()\n".encode())

    trial = Trial(Case("careless", changed, SCRIPT), new_scene())
    with pytest.raises(AssertionError, match="lost"):
        trial.check(trial.points[0])


def test_cut_power_loses_what_was_not_flushed(cut_scene: CutScene) -> None:
    cut_scene.write(FILE, FIRST)
    cut_scene.write("step.py", RENAMES)
    cut_scene.save()
    assert cut_scene.runner.run(SCRIPT, cut_scene.work).code == 0
    cut_scene.cut()
    assert (cut_scene.work / FILE).read_bytes() != bytes(10000)


def test_point_names_the_file(new_scene: Callable[[], Scene]) -> None:
    scene = new_scene()
    scene.write("step.py", b"import os\nos.mkdir('made')\nopen('made/x', 'w').close()\n")
    points = scene.runner.run(SCRIPT, scene.work, trace=True).points
    assert [point.call for point in points] == ["openat"]  # a relative name is below nothing
    assert points[0].path == str(scene.work / "made" / "x")


def test_sample_is_spread_over_all_points() -> None:
    points = [Point("write", at, f'"/x/{at}"') for at in range(300)]
    chosen = [point.nth for point in sample(points, 3, random.Random(SEED))]
    assert [at // 100 for at in chosen] == [0, 1, 2]
    assert sample(points, 3, random.Random(SEED)) == sample(points, 3, random.Random(SEED))
