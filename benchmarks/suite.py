"""Measures programs side by side: the same stages, in turns, several rounds."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets
import programs
from datasets import DataSet, Target
from harness import SETTLE, BenchmarkError, Options, machine
from programs import Lazydata, Program
from report import OURS, RESULTS, Record
from transfers import fill_memory

# A file system that has just lost very many files is slow to make new ones for a while.
MANY, REST = 5_000, 60.0


@dataclass(frozen=True)
class SuiteOptions(Options):
    """How much to do, and with whom.

    Args:
        peers: names of the programs that are measured beside lazydata.
        rounds: how often, or None for the default.
        scale: how many files there are, by how many there should be.
        sizes: how many files the directories have with which growth is shown.
        results: directory for the figures.
    """

    peers: tuple[str, ...] = tuple(programs.PEERS)
    rounds: int | None = None
    scale: float = 1.0
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    results: Path = RESULTS

    @property
    def full(self) -> bool:
        """Whether the figures are worth a word: budgets are about these sizes only."""
        return not self.quick and self.scale == 1.0

    def times(self, usual: int) -> int:
        return self.rounds or (1 if self.quick else usual)


class Project:
    """A program at work on a data set.

    Args:
        kind: the program.
        base: a directory for both, which is made.
        data: what is in it.
        number: of the round.
    """

    def __init__(self, kind: type[Program], base: Path, data: DataSet, number: int) -> None:
        self.base, self.number = base, number
        self.program = kind(base)
        self.target: Target = data.target(number)
        data.make(self.program.root)
        self.program.start(data, self.target)
        self.kept: tuple[int, str] = (0, "")

    @property
    def top(self) -> Path:
        return self.program.root / self.target.where

    @property
    def aside(self) -> Path:
        return self.base / "aside"


Work = Callable[[Project], None]


def _nothing(project: Project) -> None:
    pass


def _all_kept(project: Project) -> None:
    project.kept, before = project.program.recorded(project.target), project.kept
    if before[0]:
        raise BenchmarkError("this was no first track")
    if project.kept[0] != len(project.target.files):
        raise BenchmarkError(f"{project.kept[0]} files were kept, not {len(project.target.files)}")


def _same_kept(project: Project) -> None:
    if project.program.recorded(project.target) != project.kept:
        raise BenchmarkError("something else was kept, though no content changed")


def _another_kept(project: Project) -> None:
    project.kept, before = project.program.recorded(project.target), project.kept
    if project.kept[0] != before[0] or project.kept[1] == before[1]:
        raise BenchmarkError("the changed file was not kept")


def _warm_data(project: Project) -> None:
    datasets.warm(project.top / "data")


def _touch(project: Project) -> None:
    datasets.touch(project.top, project.target)


def _change(project: Project) -> None:
    datasets.change(project.top, project.target, project.number)


def _take_away(project: Project) -> None:
    datasets.set_aside(project.top, project.target, project.aside)


def _warm_all(project: Project) -> None:
    datasets.warm(project.program.root, project.program.home)


def _came_back(project: Project) -> None:
    datasets.compare(project.aside, project.top, project.target)


@dataclass(frozen=True)
class Stage:
    """One thing that is measured.

    Args:
        name: in the tables.
        verb: of the program.
        prepare: what is done for all programs before any of them is measured.
        ready: what is done right before each is measured.
        verify: fails if the work was not done.
        repeats: how often in one round, where that changes nothing.
    """

    name: str
    verb: str
    prepare: Work = _nothing
    ready: Work = _nothing
    verify: Work = _nothing
    repeats: int = 1


FIRST = Stage("first track", "track", ready=_warm_data, verify=_all_kept)
CHECK = Stage(
    "nothing changed",
    "check",
    prepare=lambda project: project.program.settle(project.target),
    verify=_same_kept,
    repeats=3,
)
AGAIN = Stage("nothing changed, track", "track", verify=_same_kept, repeats=3)
CHANGED = Stage("one changed", "track", _change, verify=_another_kept)
TOUCHED = Stage("everything touched", "track", _touch, _warm_data, _same_kept)
RESTORE = Stage("restore", "restore", _take_away, _warm_all, _came_back)

STAGES = (FIRST, CHECK, AGAIN, CHANGED, TOUCHED, RESTORE)


class Measuring:
    """All rounds of one data set.

    Args:
        name: of the workload.
        title: of it, in words.
        data: what the programs get; each round makes it anew.
        options: how much, with whom.
        usual: rounds, if nobody says.
        stages: what is measured, in this order.
        beside: whether peers are measured too.
    """

    def __init__(
        self,
        name: str,
        title: str,
        data: DataSet,
        options: SuiteOptions,
        usual: int = 3,
        stages: tuple[Stage, ...] = STAGES,
        beside: bool = True,
    ) -> None:
        self.data, self.options, self.stages = data, options, stages
        self.record = Record(
            workload=name,
            title=title,
            date=datetime.date.today().isoformat(),
            machine=machine(options.directory),
            files=data.count,
            size=data.size,
            rounds=options.times(usual),
        )
        self.kinds: list[type[Program]] = [Lazydata]
        for peer in options.peers if beside else ():
            kind = programs.PEERS[peer]
            if kind.find() is None:
                self.record.skipped[peer] = "not installed"
            else:
                self.kinds.append(kind)
        # Each is started once, so that nobody is the first to read it from the disk.
        self.record.versions = {kind.name: kind.version() for kind in self.kinds}

    def need(self) -> int:
        """Bytes of disk at most: what is given, stored and restored."""
        kept = self.record.rounds if self.data.count > MANY else 1
        copies = 3 if RESTORE in self.stages else 2
        return copies * self.data.room * len(self.kinds) * kept

    def run(self, base: Path, last: Work = _nothing) -> Record:
        """Do it.

        Args:
            base: directory to work in.
            last: what to do with our own project at the end of the last round.
        """
        for number in range(self.record.rounds):
            folder = base / f"{self.record.workload}-{self.data.count}-{number}"
            projects = self._begin(folder, number)
            for stage in self.stages:
                self._each(projects, stage.prepare)
                self._settle()
                for _ in range(1 if self.options.quick else stage.repeats):
                    self._each(projects, lambda project, at=stage: self._time(project, at))
                self._each(projects, stage.verify)
            if number == self.record.rounds - 1:
                last(next(p for p in projects if p.program.name == OURS))
            if self.data.count <= MANY:  # these are quickly gone, and may be large
                shutil.rmtree(folder)
        return self.record

    def _begin(self, folder: Path, number: int) -> list[Project]:
        """Projects for a round, in the order of that round."""
        shift = number % len(self.kinds)
        projects: list[Project] = []
        for kind in self.kinds[shift:] + self.kinds[:shift]:
            if kind.name in self.record.skipped:
                continue
            with self._forgiven(kind.name):
                projects.append(Project(kind, folder / kind.name, self.data, number))
        return projects

    def _each(self, projects: list[Project], work: Work) -> None:
        """Do it with every project that still takes part."""
        for project in projects:
            if project.program.name not in self.record.skipped:
                with self._forgiven(project.program.name):
                    work(project)

    def _time(self, project: Project, stage: Stage) -> None:
        stage.ready(project)
        os.sync()  # what others left to be written
        ran = getattr(project.program, stage.verb)(project.target)
        self.record.add(project.program.name, stage.name, ran.seconds, ran.peak)

    def _settle(self) -> None:
        """Let the files come of age: fresh ones may still be changing."""
        if not self.options.quick:
            os.sync()
            time.sleep(SETTLE)

    @contextmanager
    def _forgiven(self, name: str) -> Iterator[None]:
        """A peer that fails takes no further part, and that is told; we may not fail."""
        try:
            yield
        except BenchmarkError as error:
            if name == OURS:
                raise
            self.record.skipped[name] = f"failed: {' '.join(str(error).split())[-200:]}"
            self.record.seconds.pop(name, None)
            self.record.peaks.pop(name, None)


@contextmanager
def ground(options: SuiteOptions, files: int) -> Iterator[Path]:
    """A directory to work in, gone afterwards.

    Args:
        options: where.
        files: how many there will be; after very many the file system gets a rest.
    """
    programs.forget_settings()
    base = Path(tempfile.mkdtemp(prefix="lazydata-bench-", dir=options.directory)).resolve()
    try:
        if options.full:
            fill_memory(base)
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)
        if files > MANY and not options.quick:
            os.sync()
            time.sleep(REST)
