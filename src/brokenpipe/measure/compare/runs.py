"""Comparison of runs with the first: differences in configuration, in results, and in error classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from brokenpipe.errors import ReportError, UsageError
from brokenpipe.files import describe_missing_folder
from brokenpipe.measure.compare.config_differences import ConfigDifference, config_differences
from brokenpipe.measure.compare.loaded_run import RecordedRun, read_run
from brokenpipe.measure.compare.metric_differences import RunDifference, run_differences
from brokenpipe.measure.regression.comparability import NotComparable, PlanComparison, compare_plans
from brokenpipe.measure.run_metadata import recorded_plan

Loaded = TypeVar("Loaded")
_FEWEST = 2  # runs, to compare them


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One error class in the shared phases of both runs: failed requests by arm. 0 in an arm is left out."""

    error_class: str
    base: Mapping[str, int]
    new: Mapping[str, int]

    @property
    def status(self) -> str:
        """Whether it is "new", has "vanished", or is in "both"."""
        return "both" if self.base and self.new else "new" if self.new else "vanished"


@dataclass(frozen=True, slots=True)
class RunAgainstBase:
    """Comparison of a later run with the first."""

    new: RecordedRun
    shared: PlanComparison
    differences: tuple[RunDifference, ...]
    classes: tuple[ClassChange, ...]

    @property
    def differing(self) -> tuple[RunDifference, ...]:
        """The differences beyond chance."""
        return tuple(each for each in self.differences if each.differs)


@dataclass(frozen=True, slots=True)
class RunsCompared:
    """All runs and their comparisons with the first, the base."""

    runs: tuple[RecordedRun, ...]
    config_differences: tuple[ConfigDifference, ...]
    comparisons: tuple[RunAgainstBase, ...]
    left_out: tuple[ReportError, ...] = ()  # of folders that cannot be read

    @property
    def base(self) -> RecordedRun:
        return self.runs[0]


def compare(folders: Sequence[Path]) -> RunsCompared:
    """Compare two runs or more with the first. A folder that cannot be read is left out, and the others compared.

    Raises NotComparable, UsageError for folders that are no two runs, ReportError if fewer than two can be read.
    """
    _distinct(folders)
    plans, left_out = _readable(folders, recorded_plan)
    for folder, plan in [*plans.items()][1:]:  # before histories are read, which may take minutes
        _demand_comparable(compare_plans(next(iter(plans.values())), plan), next(iter(plans)), folder)
    read, unread = _readable([*plans], read_run)
    left_out += unread
    if len(read) < _FEWEST:
        raise _too_few(folders, left_out)
    base, *others = runs = tuple(read.values())
    against = tuple(_compare_with_base(base, new) for new in others)
    return RunsCompared(runs, config_differences(runs), against, tuple(left_out))


def _readable(
    folders: Sequence[Path], read: Callable[[Path], Loaded]
) -> tuple[dict[Path, Loaded], list[ReportError]]:
    """What is read from each folder, and the errors of the others."""
    found: dict[Path, Loaded] = {}
    left_out = []
    for folder in folders:
        try:
            found[folder] = read(folder)
        except ReportError as error:
            left_out.append(error)
    return found, left_out


def _too_few(folders: Sequence[Path], left_out: Sequence[ReportError]) -> ReportError:
    return ReportError(
        f"{len(left_out)} of {len(folders)} runs cannot be read, and it takes two to compare",
        remedy=left_out[0].remedy,
        details=tuple(line for error in left_out for line in (error.message, *error.details)),
    )


def _distinct(folders: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for folder in folders:
        if describe_missing_folder(folder):
            continue  # it is left out
        if folder.resolve() in seen:
            raise UsageError(
                f"{folder} and {seen[folder.resolve()]} are the same run",
                remedy="Give two runs; `brokenpipe list` shows which there are.",
            )
        seen[folder.resolve()] = folder


def _demand_comparable(common: PlanComparison, base: Path, new: Path) -> None:
    """Raises NotComparable, with all differences."""
    if not common.comparable:
        raise NotComparable(
            f"{new}: cannot be compared with {base}",
            remedy="Run both in the same way: the same scenario, with the same --users and --only.",
            details=common.reasons,
        )


def _compare_with_base(base: RecordedRun, new: RecordedRun) -> RunAgainstBase:
    common = compare_plans(base.plan, new.plan)
    reached = [
        phase
        for phase in common.phases
        if all(phase in {each.name for each in run.findings.phases} for run in (base, new))
    ]
    if not reached:
        raise NotComparable(
            f"{new.folder}: cannot be compared with {base.folder}: no phase was reached in both",
            remedy="Compare runs that came to their end; `brokenpipe list` shows which did.",
            details=common.reasons,
        )
    return RunAgainstBase(
        new=new,
        shared=common,
        differences=run_differences(base, new, reached, common.arms),
        classes=tuple(_classes(base, new, reached, common.arms)),
    )


def _classes(
    base: RecordedRun, new: RecordedRun, phases: Sequence[str], arms: Sequence[str]
) -> Iterator[ClassChange]:
    """New classes first, then vanished ones, then the rest; the most frequent first."""
    counted = [_by_class(run, phases, arms) for run in (base, new)]
    found = [
        ClassChange(name, counted[0].get(name, {}), counted[1].get(name, {}))
        for name in dict.fromkeys((*counted[1], *counted[0]))
    ]
    order = ("new", "vanished", "both")
    yield from sorted(
        found, key=lambda each: (order.index(each.status), -sum((*each.base.values(), *each.new.values())))
    )


def _by_class(run: RecordedRun, phases: Sequence[str], arms: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for arm in arms:
        for phase in phases:
            cell = run.findings.cells.get((arm, phase))
            for name, count in cell.failed_by_class.items() if cell else ():
                found.setdefault(name, Counter())[arm] += count
    return {name: dict(counts) for name, counts in found.items()}
