"""Runs that were asked the same, as series: one for each metric, phase and arm, with the change points in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from brokenpipe.interval import Interval
from brokenpipe.measure.stats.change_points import change_points, runs_needed
from brokenpipe.redaction import is_redacted, without_numbers
from brokenpipe.report.index.summaries import Ends, RunSummary, StoredSummary

LEAST_RUNS = 2  # to draw a line; a change point takes more


@dataclass(frozen=True, slots=True)
class TrendMetric:
    """One kind of panel."""

    key: str
    heading: str
    is_latency: bool


RATE = TrendMetric("rate", "Broken-pipe rate", is_latency=False)
P95 = TrendMetric("p95", "Latency, 95th percentile", is_latency=True)
COST = TrendMetric("cost", "Median above the control's", is_latency=True)
METRICS = (RATE, P95, COST)

Key = tuple[str, str, str]  # metric, phase, arm


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The figure of one run. `run` counts the runs of the group from 0."""

    run: int
    value: float
    ci95: Interval | None


@dataclass(frozen=True, slots=True)
class TrendChange:
    """From this run on it is different: the medians of the runs between two changes."""

    metric: TrendMetric
    phase: str
    arm: str
    run: int
    before: float
    after: float
    otherwise: tuple[str, ...]  # what the run itself wrote down that the one before it had otherwise


@dataclass(frozen=True, slots=True)
class TrendLine:
    """One arm in a panel."""

    arm: str
    points: tuple[TrendPoint, ...]
    levels: tuple[tuple[int, int, float], ...]  # first run, last run, median: one more than there are changes


@dataclass(frozen=True, slots=True)
class TrendPanel:
    """One metric in one phase."""

    metric: TrendMetric
    phase: str
    lines: tuple[TrendLine, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """One group of runs: the same question, asked in the same way."""

    runs: tuple[StoredSummary, ...]
    arms: tuple[str, ...]
    panels: tuple[TrendPanel, ...]
    changes: tuple[TrendChange, ...]
    tested: int  # how many series could change

    @property
    def newest(self) -> RunSummary:
        return self.runs[-1].summary

    @property
    def runs_needed(self) -> int:
        """The fewest runs in which any change could be seen."""
        return runs_needed(max(self.tested, 1))


def group_trends(found: Sequence[StoredSummary]) -> tuple[Trend, ...]:
    """Group the runs and find what changed; the group of the newest run first. A lone run is no group."""
    groups: dict[tuple[object, ...], list[StoredSummary]] = defaultdict(list)
    for each in found:
        s = each.summary
        groups[s.scenario, s.target, s.control, s.users_per_arm, s.arrivals_per_s].append(each)
    newest = sorted(groups.values(), key=lambda runs: runs[-1].summary.started, reverse=True)
    return tuple(_trend(runs) for runs in newest if len(runs) >= LEAST_RUNS)


def _trend(runs: list[StoredSummary]) -> Trend:
    points = _points(runs)
    splits = _splits(points)
    arms = tuple(dict.fromkeys(arm for run in reversed(runs) for arm in run.summary.arms))
    phases = dict.fromkeys(phase for _, phase, _ in points)
    panels = []
    for metric in METRICS:
        for phase in phases:
            lines = tuple(
                TrendLine(arm, points[key], _levels(points[key], splits.get(key, ())))
                for arm in arms
                if (key := (metric.key, phase, arm)) in points
            )
            if lines:
                panels.append(TrendPanel(metric, phase, lines))
    changes = [change for panel in panels for line in panel.lines for change in _changes(runs, panel, line)]
    return Trend(
        runs=tuple(runs),
        arms=arms,
        panels=tuple(panels),
        changes=tuple(sorted(changes, key=lambda change: -change.run)),
        tested=sum(len({point.value for point in each}) > 1 for each in points.values()),
    )


def _points(runs: Sequence[StoredSummary]) -> dict[Key, tuple[TrendPoint, ...]]:
    found: dict[Key, list[TrendPoint]] = defaultdict(list)
    for number, run in enumerate(runs):
        for key, value, ends in _figures(run.summary):
            found[key].append(TrendPoint(number, value, Interval(*ends) if ends else None))
    return {key: tuple(points) for key, points in found.items()}


def _figures(summary: RunSummary) -> Iterator[tuple[Key, float, Ends]]:
    for arm, each in summary.arms.items():
        for phase, cell in each.phases.items():
            if cell.broken_pipe_rate is not None:
                yield (RATE.key, phase, arm), cell.broken_pipe_rate, cell.ci95
            if cell.latency_ms.p95 is not None:
                yield (P95.key, phase, arm), cell.latency_ms.p95, None
    for comparison in summary.comparisons:
        faulty = comparison.phase in summary.phases and summary.phases[comparison.phase].fault
        if comparison.metric == "added_p50_ms" and comparison.difference is not None and not faulty:
            yield (COST.key, comparison.phase, comparison.arm), comparison.difference, comparison.ci95


def _splits(points: dict[Key, tuple[TrendPoint, ...]]) -> dict[Key, tuple[int, ...]]:
    """The change points of every series: rates are one family of tests, latencies another."""
    found: dict[Key, tuple[int, ...]] = {}
    for latency in (False, True):
        keys = {metric.key for metric in METRICS if metric.is_latency is latency}
        family = {
            "\0".join(key): [point.value for point in each] for key, each in points.items() if key[0] in keys
        }
        split = change_points(family)
        found |= {key: split["\0".join(key)] for key in points if key[0] in keys}
    return found


def _levels(points: Sequence[TrendPoint], splits: Sequence[int]) -> tuple[tuple[int, int, float], ...]:
    ends = [0, *splits, len(points)]
    parts = [points[begin:end] for begin, end in pairwise(ends)]
    return tuple((part[0].run, part[-1].run, median(point.value for point in part)) for part in parts)


def _changes(runs: Sequence[StoredSummary], panel: TrendPanel, line: TrendLine) -> Iterator[TrendChange]:
    for (_, last, before), (first, _, after) in pairwise(line.levels):
        otherwise = tuple(_config_changes(runs[last].summary, runs[first].summary))
        yield TrendChange(panel.metric, panel.phase, line.arm, first, before, after, otherwise)


def _config_changes(before: RunSummary, after: RunSummary) -> Iterator[str]:
    """What two runs themselves wrote down: versions, code and machine, arms' settings, faults."""
    if before.environment and after.environment:
        yield from _differing_values("", before.environment, after.environment)
    for arm in dict.fromkeys((*before.arms, *after.arms)):
        envs = [run.arms[arm].env if arm in run.arms else {} for run in (before, after)]
        yield from _differing_values(f"{arm}: ", *envs)
    faults = [{name: phase.fault for name, phase in run.phases.items()} for run in (before, after)]
    if all(faults):
        yield from _differing_values("fault of ", *faults)


def _differing_values(prefix: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for key in dict.fromkeys((*before, *after)):
        old, new = (without_numbers(each.get(key, "–")) for each in (before, after))
        if old != new:
            yield f"{prefix}{key} {old} → {new}"
        elif is_redacted(old):
            yield f"{prefix}{key} {old} in both, so it may differ"
