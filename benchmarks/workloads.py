"""A day with data files, beside git, dvc and git-lfs: what is tracked, and what it may cost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

import report
from datasets import DataSet
from harness import Result, between, median
from report import OURS, Record, ratio
from suite import AGAIN, CHANGED, CHECK, FIRST, TOUCHED, Measuring, Stage, SuiteOptions, ground

KIB, MIB = 1 << 10, 1 << 20
QUICK = 1 / 2_000  # of the files


@dataclass(frozen=True)
class Budget:
    """What one stage may cost.

    Args:
        stage: of lazydata.
        limit: times what it is compared with.
        program: that is compared with.
        other: the stage of that program; the same by default.
    """

    stage: Stage
    limit: float
    program: str
    other: Stage | None = None

    def judge(self, record: Record) -> Result:
        other = self.other or self.stage
        judged = ratio(record, self.stage.name, self.program, other.name, self.limit)
        return replace(judged, name=f"{record.title}: {self.stage.name}")


@dataclass(frozen=True)
class Workload:
    """A data set, and what is promised about it."""

    title: str
    data: DataSet
    budgets: tuple[Budget, ...] = ()


WORKLOADS = {
    "entries": Workload("2,105 entries of one file each", DataSet(2_105, 4 * KIB, entries=True)),
    "projects": Workload(
        "one of 1,000 projects with 10 files each", DataSet(10_000, 4 * KIB, projects=1_000)
    ),
    "one_file": Workload("1 × 4 GiB", DataSet(1, 4 << 30, entries=True)),
    "large_files": Workload(
        "2,000 × 1 MiB", DataSet(2_000, MIB), (Budget(TOUCHED, 0.5, OURS, FIRST),)
    ),
    "small_files": Workload(
        "50,000 × 4 KiB",
        DataSet(50_000, 4 * KIB),
        (
            Budget(FIRST, 0.6, "git"),
            Budget(FIRST, 0.25, "dvc"),
            Budget(CHECK, 3.0, "git"),
            Budget(CHECK, 0.25, "dvc"),
        ),
    ),
    "tiny_files": Workload("70,000 files of 200 to 500 bytes", DataSet(70_000, 500, least=200)),
    "one_of_300000": Workload(
        "300,000 × 1 KiB",
        DataSet(300_000, KIB),
        (Budget(CHANGED, 2.0, OURS, AGAIN), Budget(CHANGED, 2.0, OURS, CHECK)),
    ),
}


def judge(name: str, records: list[Record]) -> list[Result]:
    """The budgets of a workload beside what was measured."""
    return [budget.judge(record) for record in records for budget in WORKLOADS[name].budgets]


def measure(name: str, options: SuiteOptions) -> list[Result]:
    """Run one workload."""
    workload = WORKLOADS[name]
    data = workload.data.scaled(QUICK if options.quick else options.scale)
    title = workload.title
    if data.count == 1:
        data = replace(data, size=options.size // 16 if options.quick else options.size)
        title = (
            f"1 × {data.size >> 20:,} MiB" if data.size % 2**30 else f"1 × {data.size >> 30} GiB"
        )
    elif data.count != workload.data.count:
        title += f", as {data.count:,} files"
    measuring = Measuring(name, title, data, options)
    with ground(options, data.count) as base:
        if shutil.disk_usage(base).free < measuring.need():
            why = f"{measuring.need() / 2**30:.1f} GiB of free space are needed"
            return [Result(name, None, "", note=why)]
        record = measuring.run(base)
    report.save([record], options.results)
    return [*rows(record), *(judge(name, [record]) if options.full else [])]


def rows(record: Record) -> list[Result]:
    """Each stage beside each peer; seconds where there is none."""
    name, stages = record.workload, record.seconds[OURS]
    peers = [peer for peer in record.seconds if peer != OURS]
    missing = [Result(f"{name}: {peer}", None, "", note=w) for peer, w in record.skipped.items()]
    if peers:
        return [*(ratio(record, each, peer, each) for each in stages for peer in peers), *missing]
    alone = [
        Result(f"{name}: {stage}", median(times), "s", note=between(times))
        for stage, times in stages.items()
    ]
    return [*alone, *missing]


def _measured(name: str) -> Callable[[SuiteOptions], list[Result]]:
    return lambda options: measure(name, options)


BENCHMARKS = {name: _measured(name) for name in WORKLOADS}
SECTIONS: dict[str, tuple[report.Judge, report.Section]] = {
    name: (lambda records, name=name: judge(name, records), report.stage_table)  # type: ignore[misc]
    for name in WORKLOADS
}
