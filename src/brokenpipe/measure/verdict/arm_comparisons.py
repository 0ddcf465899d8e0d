"""Comparisons of each arm with the control in each phase, with the smallest detectable difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brokenpipe.formatting import plural
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Comparison
from brokenpipe.measure.stats.intervals import ERROR, smallest_visible_rate
from brokenpipe.measure.stats.paired import adjusted_ps, episodes_needed, smallest_seen
from brokenpipe.measure.tables.estimates import Estimator
from brokenpipe.plan.expectations import Metric
from brokenpipe.plan.scenario import Scenario

COMPARED = (Metric.ADDED_FAILURE_RATE, Metric.ADDED_BROKEN_PIPE_RATE, Metric.ADDED_P50_MS)


def compare_arms(scenario: Scenario, estimator: Estimator, phases: Sequence[str]) -> tuple[Comparison, ...]:
    """Compare every arm with the control in every phase that was reached: failed, broken, median latency.

    The arms of a phase are one family of tests, for each of the three by itself.
    """
    others = [arm for arm in scenario.arms if arm != scenario.control]
    return tuple(
        comparison
        for phase in phases
        for metric in COMPARED
        for comparison in _family(estimator, metric, phase, others)
    )


def _family(estimator: Estimator, metric: Metric, phase: str, arms: Sequence[str]) -> Iterator[Comparison]:
    cells = estimator.cells
    known = [
        arm
        for arm in arms
        if metric is not Metric.ADDED_BROKEN_PIPE_RATE
        or all(cells[each, phase].broken_pipe_rate is not None for each in (arm, estimator.control))
    ]
    paired = {arm: estimator.paired(metric, (arm, phase)) for arm in known}
    paired = {arm: differences for arm, differences in paired.items() if differences}
    adjusted = adjusted_ps(paired)
    looks = ERROR / estimator.errors[phase]
    for arm, differences in paired.items():
        estimate = estimator.difference(metric, differences, phase)
        yield Comparison(
            arm=arm,
            phase=phase,
            metric=metric.value,
            episodes=len(differences),
            difference=estimate.value,
            ci95=estimate.ci95,
            p=min(1.0, adjusted[arm] * looks),
            smallest_seen=smallest_seen(
                differences,
                tests=len(paired),
                floor=0.0 if metric.is_latency else _floor(estimator, arm, phase),
                error=estimator.errors[phase],
            ),
            episodes_needed=episodes_needed(len(paired), estimator.errors[phase]),
        )


def _floor(estimator: Estimator, arm: str, phase: str) -> float:
    requests = (estimator.episode_counts[each, phase].requests for each in (arm, estimator.control))
    return smallest_visible_rate([n for each in requests for n in each])


def too_few_episodes_warnings(scenario: Scenario, found: Sequence[Comparison]) -> Iterator[ValidityWarning]:
    """Warn of phases in which different shares failed, with too few episodes for any difference to be significant."""
    for phase in dict.fromkeys(each.phase for each in found if each.difference and _of_failed(each)):
        of_phase = [each for each in found if each.phase == phase and _of_failed(each)]
        most, needed = max(each.episodes for each in of_phase), of_phase[0].episodes_needed
        if most < needed:
            text = (
                f"{phase} has {plural(most, 'episode')}: it takes {needed} before any difference of "
                f"{plural(len(of_phase), 'arm')} from {scenario.control} can be told from chance"
            )
            yield ValidityWarning.of(Code.TOO_FEW_TO_COMPARE, text, phase=phase)


def _of_failed(comparison: Comparison) -> bool:
    return comparison.metric == Metric.ADDED_FAILURE_RATE
