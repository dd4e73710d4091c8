"""Does the time for one file, and the memory, stay what it is when directories grow?"""

from __future__ import annotations

import shutil
from pathlib import Path

import report
from datasets import DataSet, Target
from harness import BenchmarkError, Result, between, median
from peers import Ran
from programs import Lazydata
from report import OURS, PAGE, Record
from suite import AGAIN, CHANGED, CHECK, FIRST, Measuring, Project, SuiteOptions, ground

NAME, FLAT = "growth", "flat"
SIZE = 1 << 10  # bytes of a file
STAGES = (FIRST, CHECK, AGAIN)
SMALL, LARGE = 10_000, 1_000_000  # how many files the budget begins with, and ends with
RISE, MEMORY = 1.33, 400.0  # times; MiB
QUICK = (20, 100)
PICTURE = PAGE.with_name("growth.svg")


class Shared:
    """Push everything, and pull it into a clone: what is asked is the memory."""

    def __init__(self, measuring: Measuring) -> None:
        self.record, self.data = measuring.record, measuring.data

    def __call__(self, project: Project) -> None:
        remote, clone = project.base / "remote", project.base / "clone"
        here, ours = Target("", (), ()), project.program
        ours.run(here, "add-remote", str(remote))
        self._add("push", ours.run(here, "push"))
        there = Lazydata(clone)
        shutil.copy(ours.root / "lazydata.yml", there.root)
        self._add("pull", there.run(here, "pull", "data"))
        came = sum(path.is_file() for path in there.root.joinpath("data").rglob("*"))
        if came != self.data.count:
            raise BenchmarkError(f"{came} files were pulled, not {self.data.count}")

    def _add(self, stage: str, ran: Ran) -> None:
        self.record.add(OURS, stage, ran.seconds, ran.peak)


def measure(options: SuiteOptions) -> list[Result]:
    """Run all sizes, the smallest first."""
    records: list[Record] = []
    missing: list[Result] = []
    for count in QUICK if options.quick else sorted(options.sizes):
        title, data = f"a directory of {count:,} files", DataSet(count, SIZE)
        measuring = Measuring(NAME, title, data, options, 3, STAGES, beside=False)
        with ground(options, count) as base:
            need = measuring.need() + 3 * data.room  # the remote, the clone and its store
            if shutil.disk_usage(base).free < need:
                why = f"{need / 2**30:.1f} GiB of free space are needed"
                missing.append(Result(title, None, "", note=why))
                break
            records.append(measuring.run(base, Shared(measuring)))
    if not records:
        return missing
    report.save(records, options.results)
    draw(records, PICTURE if options.full else options.results / PICTURE.name)
    each = [_row(record, stage) for record in records for stage in record.seconds[OURS]]
    return [*each, *judge(records), *missing]


def measure_flat(options: SuiteOptions) -> list[Result]:
    """One directory of as many files as growth ends with: what is asked is the memory."""
    data = DataSet(QUICK[-1] if options.quick else max(options.sizes), SIZE, flat=True)
    title = f"{data.count:,} files in one directory"
    measuring = Measuring(FLAT, title, data, options, 1, (*STAGES, CHANGED), beside=False)
    with ground(options, data.count) as base:
        need = measuring.need() + 3 * data.room
        if shutil.disk_usage(base).free < need:
            why = f"{need / 2**30:.1f} GiB of free space are needed"
            return [Result(title, None, "", note=why)]
        record = measuring.run(base, Shared(measuring))
    report.save([record], options.results)
    return judge_flat([record])


def judge_flat(records: list[Record]) -> list[Result]:
    """The memory of each stage."""
    record = records[-1]
    limit = MEMORY if record.files >= LARGE else None
    return [
        Result(f"{record.title}: {stage}", peak(record, stage) or None, "MiB", limit)
        for stage in record.seconds[OURS]
    ]


def flat_section(records: list[Record]) -> str:
    """The table of the page."""
    record = records[-1]
    lines = [f"## {record.title}", ""]
    lines += ["| stage | microseconds a file | MiB at most |", "|---|---|---:|"]
    for stage in record.seconds[OURS]:
        cell = report.cell(record.of(OURS, stage), record.files)
        lines.append(f"| {stage} | {cell} | {peak(record, stage):.0f} |")
    return "\n".join([*lines, "", report.about(record)])


def _row(record: Record, stage: str) -> Result:
    times = [1e6 * seconds / record.files for seconds in record.of(OURS, stage)]
    note = f"{between(times)}; {peak(record, stage):.0f} MiB at most"
    return Result(_name(record, stage), median(times), "µs a file", note=note)


def _name(record: Record, stage: str) -> str:
    return f"{record.files:,} files: {stage}"


def peak(record: Record, stage: str) -> float:
    return max(record.peaks[OURS][stage])


def judge(records: list[Record]) -> list[Result]:
    """Time for one file from 10,000 files to the most there are, and memory for those."""
    least, most = records[0], records[-1]
    few = next((record for record in records if record.files == SMALL), most)
    stages = most.seconds[OURS]
    memory = max(peak(most, stage) for stage in stages)
    name = _name(most, "memory at most")
    results = [Result(name, memory or None, "MiB", MEMORY, f"of {', '.join(stages)}")]
    for stage in (each.name for each in STAGES if few is not most):
        results.append(_rise(stage, few, most))
        if least is not few:
            results.append(_rise(stage, few, most, least))
    return results


def _rise(stage: str, few: Record, many: Record, least: Record | None = None) -> Result:
    """How much more a file costs among many than among few.

    With a third record, what that one took is left out of both: the start of the process, mostly,
    which weighs more on few files, and so hides what the others cost.
    """
    took, files = (median(least.of(OURS, stage)), least.files) if least else (0.0, 0)
    one, other = (
        1e6 * (median(record.of(OURS, stage)) - took) / (record.files - files)
        for record in (many, few)
    )
    note = f"{one:.3g} µs by {other:.3g} µs a file"
    if least:
        note += f", without the first {files:,}; no budget"
    return Result(
        _name(many, stage),
        one / other if other > 0 else None,
        f"× a file of {few.files:,}",
        None if least else RISE,
        note,
    )


def section(records: list[Record]) -> str:
    """The table of the page, and the picture."""
    stages = list(records[-1].seconds[OURS])
    lines = ["## Growth", "", "Microseconds a file, and memory at most.", ""]
    if PICTURE.exists():
        lines += [f"![Time a file and memory, by number of files]({PICTURE.name})", ""]
    lines += [f"| files | {' | '.join(stages)} |", "|---:" + "|---" * len(stages) + "|"]
    for record in records:
        cells = [
            f"{report.cell(record.of(OURS, each), record.files)}, {peak(record, each):.0f} MiB"
            for each in stages
        ]
        cells.insert(0, f"{record.files:,}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", report.about(records[-1])])


def draw(records: list[Record], target: Path) -> None:
    """Draw time a file and memory over the number of files, if matplotlib is there."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams |= {"svg.hashsalt": "lazydata", "svg.fonttype": "none"}
    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    files = [record.files for record in records]
    for stage in records[-1].seconds[OURS]:
        seconds = [median(record.of(OURS, stage)) / record.files for record in records]
        if stage in {each.name for each in STAGES}:
            time.plot(files, [1e6 * each for each in seconds], marker="o", label=stage)
        peaks = [peak(record, stage) for record in records]
        memory.plot(files, peaks, marker="o", label=stage)
    memory.axhline(MEMORY, color="gray", linestyle="--")
    time.set(xscale="log", yscale="log", xlabel="files", ylabel="µs a file")
    memory.set(xscale="log", xlabel="files", ylabel="MiB at most", ylim=(0, None))
    time.legend(fontsize="small")
    memory.legend(fontsize="small")
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)


BENCHMARKS = {NAME: measure, FLAT: measure_flat}
SECTIONS: dict[str, tuple[report.Judge, report.Section]] = {
    NAME: (judge, section),
    FLAT: (judge_flat, flat_section),
}
