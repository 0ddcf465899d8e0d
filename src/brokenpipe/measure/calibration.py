"""False positives: how often a difference is found between arms that are all the same, in recorded experiments.

Counted twice: as they were recorded, and with the names of the arms shuffled within each episode, which gives any
number of further experiments without a difference from the same recorded episodes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brokenpipe.errors import UsageError
from brokenpipe.history.reader import open_history
from brokenpipe.interval import Interval
from brokenpipe.measure.failures.root_cause import failures
from brokenpipe.measure.run_metadata import plan_of, recorded_plan
from brokenpipe.measure.stats.distributions import binomial_interval
from brokenpipe.measure.stats.intervals import ERROR, mean_interval
from brokenpipe.measure.stats.paired import adjusted_ps
from brokenpipe.measure.tables.arm_phase import episodes_by_arm_phase
from brokenpipe.measure.tables.estimates import Estimator
from brokenpipe.measure.tables.requests import create_request_tables
from brokenpipe.measure.time_series.charts import phase_findings
from brokenpipe.plan.expectations import Metric
from brokenpipe.plan.plan import StackKind
from brokenpipe.plan.scenario import Scenario

Array = npt.NDArray[np.float64]

# Where arms are equal nearly all that fails is broken: failed requests would be the same families once more.
CALIBRATED_METRICS = (Metric.ADDED_BROKEN_PIPE_RATE, Metric.ADDED_P50_MS)


@dataclass(frozen=True, slots=True)
class ComparisonFamily:
    """One metric in one phase of one run: a value for each arm (row) and episode. The first row is the control."""

    run: str
    phase: str
    metric: Metric
    values: Array


@dataclass(frozen=True, slots=True)
class Proportion:
    """A count out of a total."""

    count: int
    total: int

    @property
    def share(self) -> float | None:
        """0..1. None: nothing was compared."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> Interval | None:
        """The exact 95 % interval (Clopper-Pearson)."""
        if not self.total:
            return None
        return binomial_interval(self.count, self.total, ERROR)

    def __add__(self, other: Proportion) -> Proportion:
        return Proportion(self.count + other.count, self.total + other.total)


@dataclass(frozen=True, slots=True)
class FalsePositiveCounts:
    """False positives of some families: families in which any arm differed, and intervals without the 0."""

    families: Proportion
    intervals: Proportion

    def __add__(self, other: FalsePositiveCounts) -> FalsePositiveCounts:
        return FalsePositiveCounts(self.families + other.families, self.intervals + other.intervals)


@dataclass(frozen=True, slots=True)
class Calibration:
    """False positives of recorded runs, and of experiments that are relabelled from them."""

    runs: int
    recorded: FalsePositiveCounts
    experiments: int
    relabelled: FalsePositiveCounts

    @property
    def holds(self) -> bool:
        """Whether nothing counted contradicts the promise: no interval lies above it."""
        tallies = [
            tally for each in (self.recorded, self.relabelled) for tally in (each.families, each.intervals)
        ]
        return all(tally.interval is None or tally.interval.low <= ERROR for tally in tallies)


NO_COUNTS = FalsePositiveCounts(Proportion(0, 0), Proportion(0, 0))


def calibrate(reports: Path, experiments: int, stack: StackKind = "local") -> Calibration:
    """Count false positives of every finished run of a stack in a folder. Raises UsageError if there is none."""
    folders = finished_runs(reports, stack)
    if not folders:
        more = "" if stack == "local" else f" --stack {stack}"
        raise UsageError(
            f"{reports}: no finished run{more and ' with'}{more}",
            remedy=f"Record some first: brokenpipe calibrate --runs 10{more}",
        )
    found = [family for folder in folders for family in read_families(folder)]
    return Calibration(len(folders), count_recorded(found), experiments, count_relabelled(found, experiments))


def finished_runs(reports: Path, stack: StackKind = "local") -> list[Path]:
    """The report folders of experiments that reached their end, with their stack in that place."""
    summaries = [path for path in sorted(reports.glob("*/summary.json")) if not path.parent.is_symlink()]
    done = [path.parent for path in summaries if _reached_its_end(path)]
    return [folder for folder in done if recorded_plan(folder).stack == stack]


def _reached_its_end(summary: Path) -> bool:
    """Whether it says "done". A file of another program, or of an older version, may not."""
    try:
        said = json.loads(summary.read_text(encoding="utf-8", errors="replace"))
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("finished") == "done"


def read_families(folder: Path) -> Iterator[ComparisonFamily]:
    """Read every comparison of a recorded experiment. Raises UsageError if its arms are not all the same."""
    with open_history(folder) as history:
        scenario = plan_of(history).scenario
        demand_equal_arms(scenario)
        create_request_tables(history, limit_s=scenario.load.timeout_s)
        begun = [phase.name for phase in phase_findings(history, scenario)]
        by_place = episodes_by_arm_phase(history, product(scenario.arms, begun), failures(history))
        estimator = Estimator(history, {}, by_place, scenario.control, {})
        arms = [scenario.control, *(arm for arm in scenario.arms if arm != scenario.control)]
        for phase, metric in product(begun, CALIBRATED_METRICS):
            said = [estimator.by_episode(metric, (arm, phase)) for arm in arms]
            common = sorted(set(said[0]).intersection(*said))
            values = np.array([[each[n] for n in common] for each in said], float)
            if len(common) >= 2:
                yield ComparisonFamily(folder.name, phase, metric, values)


def demand_equal_arms(scenario: Scenario) -> None:
    """Raises UsageError unless there are several arms and nothing that differs between them."""
    first, *others = scenario.arms.values()
    if any(other != first for other in others) or len(scenario.arms) < 2:
        raise UsageError(
            f"the arms {', '.join(scenario.arms)} are not several equal ones: a difference would not be a false one",
            remedy="Calibrate with a scenario such as scenarios/equal_arms.toml.",
        )


def count_false_positives(values: Array) -> FalsePositiveCounts:
    """Count one family, by the rules of a report. Intervals with an end exactly at 0 do not leave it out."""
    paired = {str(n): (row - values[0]).tolist() for n, row in enumerate(values[1:])}
    false = any(p <= ERROR for p in adjusted_ps(paired).values())
    intervals = [found for each in paired.values() if (found := mean_interval(each)) is not None]
    missed = sum(not found.low <= 0 <= found.high for found in intervals)
    return FalsePositiveCounts(Proportion(int(false), 1), Proportion(missed, len(intervals)))


def count_recorded(found: Sequence[ComparisonFamily]) -> FalsePositiveCounts:
    """Count the recorded experiments themselves."""
    return sum((count_false_positives(family.values) for family in found), NO_COUNTS)


def count_relabelled(
    found: Sequence[ComparisonFamily], experiments: int, seed: int = 1
) -> FalsePositiveCounts:
    """Count experiments drawn from the recorded ones: in each episode the arms' names are shuffled.

    Each metric of a phase is shuffled by itself, since none is compared with another.
    """
    draw, total = np.random.default_rng(seed), NO_COUNTS
    by_run: dict[str, list[ComparisonFamily]] = defaultdict(list)
    for family in found:
        by_run[family.run].append(family)
    runs = list(by_run.values())
    for n in range(experiments if runs else 0):
        for family in runs[n % len(runs)]:
            total += count_false_positives(draw.permuted(family.values, axis=0))
    return total
