"""One side of a comparison: a recorded run with the samples of its episodes and its aligned series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from brokenpipe.history.reader import open_history
from brokenpipe.measure.facts import collect_facts
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.pipeline import build_findings
from brokenpipe.measure.stats.intervals import smallest_visible_rate
from brokenpipe.measure.stats.two_sample import Sample
from brokenpipe.measure.tables.estimates import Estimator
from brokenpipe.measure.time_series.fault_aligned import FaultAlignedSeries, fault_aligned_series
from brokenpipe.plan.expectations import Metric
from brokenpipe.plan.phases import Pattern
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario

COMPARED = (
    Metric.BROKEN_PER_EPISODE,
    Metric.FAILED_PER_EPISODE,
    Metric.BROKEN_PIPE_RATE,
    Metric.FAILURE_RATE,
    Metric.P50_MS,
    Metric.P95_MS,
    Metric.ADDED_P50_MS,
    Metric.REQUESTS_PER_S,
)
_OF_BLOCKS = frozenset({Metric.BROKEN_PIPE_RATE, Metric.FAILURE_RATE})
_OF_STRIKES = frozenset({Metric.BROKEN_PER_EPISODE, Metric.FAILED_PER_EPISODE})

MetricArmPhase = tuple[Metric, str, str]  # metric, arm, phase


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A recorded run, as a comparison needs it.

    A recorded run, as a comparison needs it.

    `floors`: of each phase, the rate of an episode in which a single request failed.

    """

    folder: Path
    findings: Findings
    plan: Plan
    environment: Mapping[str, Any]
    samples: Mapping[MetricArmPhase, Sample]
    floors: Mapping[str, float]
    aligned_series: Mapping[str, FaultAlignedSeries]  # by phase


def read_run(folder: Path) -> RecordedRun:
    """Read a run for a comparison. Raises ReportError if it is not a report folder."""
    with open_history(folder) as history:
        facts = collect_facts(history)
        findings = build_findings(history, facts)
        return RecordedRun(
            folder=folder,
            findings=findings,
            plan=facts.plan,
            environment=facts.environment,
            samples=_samples(facts.estimator, findings, facts.plan.scenario),
            floors=_floors(facts.estimator, findings),
            aligned_series=fault_aligned_series(history, findings),
        )


def _samples(estimator: Estimator, findings: Findings, scenario: Scenario) -> dict[MetricArmPhase, Sample]:
    """Where something strikes, what breaks is counted by the strike, whatever share of requests that may be."""
    found = {}
    for metric, (arm, phase) in product(COMPARED, findings.cells):
        blocks = scenario.phase(phase).pattern is Pattern.BLOCKS
        if (metric.against_control and arm == findings.control) or metric in (
            _OF_STRIKES if blocks else _OF_BLOCKS
        ):
            continue
        sample = _sample(estimator, metric, arm, phase)
        if sample is not None and sample.episodes:
            found[metric, arm, phase] = sample
    return found


def _sample(estimator: Estimator, metric: Metric, arm: str, phase: str) -> Sample | None:
    """None where the run itself has no value."""
    estimate = estimator.estimate(metric, (arm, phase))
    if estimate.value is None:
        return None
    if metric.against_control:
        return Sample.of_values(estimator.paired(metric, (arm, phase)), estimate.ci95)
    if metric.is_latency or metric.is_per_episode:
        return Sample.of_values([*estimator.by_episode(metric, (arm, phase)).values()], estimate.ci95)
    episodes = estimator.episode_counts[arm, phase]
    events = episodes.failed if metric is Metric.FAILURE_RATE else episodes.broken
    counted = [(float(e), float(n)) for e, n in zip(events, episodes.requests, strict=True) if n]
    sums, weights = zip(*counted, strict=True)
    return Sample(sums, weights, estimate.ci95)


def _floors(estimator: Estimator, findings: Findings) -> dict[str, float]:
    return {
        phase.name: smallest_visible_rate(
            [
                n
                for (_, name), each in estimator.episode_counts.items()
                if name == phase.name
                for n in each.requests
            ]
        )
        for phase in findings.phases
    }
