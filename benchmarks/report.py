"""What was measured: as JSON in ``results/``, and as tables in the documentation."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness import Result, between, median

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
OURS = "lazydata"
NAMED = {"transfers": "Push and pull"}  # titles of what is no workload

Figures = dict[str, dict[str, list[float]]]  # of a program, of a stage, of each time


@dataclass
class Record:
    """One workload, as it was measured in one run.

    Args:
        workload: its name, and that of the file.
        title: in words.
        date: of that day, ISO.
        machine: in words.
        files: how many there are.
        size: bytes of each, at most.
        rounds: how often all of it was done.
        versions: of the programs.
        skipped: programs that were not measured, or not to the end, and why.
        seconds: of whole processes, in the order of the rounds.
        peaks: MiB of memory at most, likewise; 0 where the system does not say.
    """

    workload: str
    title: str
    date: str
    machine: str
    files: int
    size: int
    rounds: int
    versions: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: Figures = field(default_factory=dict)
    peaks: Figures = field(default_factory=dict)

    def add(self, program: str, stage: str, seconds: float, peak: float) -> None:
        self.seconds.setdefault(program, {}).setdefault(stage, []).append(seconds)
        self.peaks.setdefault(program, {}).setdefault(stage, []).append(peak)

    def of(self, program: str, stage: str) -> list[float]:
        """The seconds; empty if there are none."""
        return self.seconds.get(program, {}).get(stage, [])


def ratio(
    record: Record, stage: str, program: str, other: str, limit: float | None = None
) -> Result:
    """How much longer we take for a stage than a program for another; skipped if one is missing."""
    ours, theirs = record.of(OURS, stage), record.of(program, other)
    name, unit = f"{record.workload}: {stage}", f"× {program if program != OURS else other}"
    if not ours or not theirs:
        return Result(name, None, unit, limit, record.skipped.get(program, "was not measured"))
    ratios = [one / two for one, two in zip(ours, theirs, strict=False)]
    note = f"{median(ours):.3g} s by {median(theirs):.3g} s ({between(ratios)})"
    return Result(name, median(ours) / median(theirs), unit, limit, note)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cell(times: list[float], per: int = 1) -> str:
    """The median of some seconds and their spread, as text.

    Args:
        times: seconds; of none it is a dash.
        per: of how many files; with more than one it is microseconds for each.
    """
    if not times:
        return "–"
    scale, unit = (1.0, "s") if median(times) >= 1 else (1e3, "ms")
    if per > 1:
        scale, unit = 1e6 / per, "µs"
    middle, low, high = (number(scale * each) for each in (median(times), min(times), max(times)))
    return f"{middle} {unit} ({low} to {high})"


def save(records: list[Record], directory: Path) -> Path:
    """Write the records of one workload."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{records[0].date}-{records[0].workload}.json"
    text = json.dumps([asdict(record) for record in records], indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def latest(workload: str, directory: Path) -> list[Record]:
    """The last records of a workload; empty if there are none."""
    found = sorted(directory.glob(f"????-??-??-{workload}.json"))
    if not found:
        return []
    return [Record(**values) for values in json.loads(found[-1].read_text(encoding="utf-8"))]


Judge = Callable[[list[Record]], list[Result]]
Section = Callable[[list[Record]], str]


def page(
    workloads: dict[str, tuple[Judge, Section]], directory: Path = RESULTS, target: Path = PAGE
) -> None:
    """Write the tables between the marks of the page; what stands around them stays."""
    measured = {name: latest(name, directory) for name in workloads}
    budgets = [
        result
        for name, (judge, _) in workloads.items()
        for result in (judge(measured[name]) if measured[name] else [])
    ]
    parts = [budget_table(budgets)]
    parts += [section(measured[n]) for n, (_, section) in workloads.items() if measured[n]]
    parts += [kept for name in NAMED if (kept := results_section(name, directory))]
    before, _, rest = target.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    target.write_text(
        f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}", encoding="utf-8"
    )


def save_results(name: str, results: list[Result], machine: str, directory: Path) -> None:
    """Write results that are no stages of a workload."""
    directory.mkdir(parents=True, exist_ok=True)
    date = datetime.date.today().isoformat()
    kept = {"date": date, "machine": machine, "results": [asdict(each) for each in results]}
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    (directory / f"{date}-{name}.json").write_text(text + "\n", encoding="utf-8")


def results_section(name: str, directory: Path) -> str:
    """The last of these results; empty if there are none."""
    found = sorted(directory.glob(f"????-??-??-{name}.json"))
    if not found:
        return ""
    kept = json.loads(found[-1].read_text(encoding="utf-8"))
    table = budget_table([Result(**each) for each in kept["results"]], NAMED[name])
    return f"{table}\n\n{kept['date']}. {kept['machine']}."


def budget_table(results: list[Result], title: str = "Budgets") -> str:
    lines = [f"## {title}", "", "| what | measured | budget | | |", "|---|---|---|---|---|"]
    for each in results:
        measured = "–" if each.measured is None else f"{each.measured:.3g} {each.unit}"
        limit = "" if each.limit is None else f"≤ {each.limit:g} {each.unit}"
        cells = (each.name, measured, limit, each.verdict, each.note)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def about(record: Record) -> str:
    """When, where and with what."""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    rounds = "one round" if record.rounds == 1 else f"{record.rounds} rounds"
    lines = [f"{record.date}, {rounds}. {record.machine}. {versions}."]
    lines += [f"{name}: {why}." for name, why in record.skipped.items()]
    return "\n".join(lines)


def stage_table(records: list[Record]) -> str:
    """One workload: seconds of everybody, and ours by each of theirs."""
    (record,) = records
    programs = list(record.seconds)
    peers = [name for name in programs if name != OURS]
    head = ["", *programs, *(f"÷ {name}" for name in peers)]
    lines = [f"## {record.title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for stage in record.seconds[OURS]:
        cells = [stage]
        cells += [cell(record.of(name, stage)) for name in programs]
        for name in peers:
            result = ratio(record, stage, name, stage)
            cells.append("–" if result.measured is None else number(result.measured))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", about(record)])
