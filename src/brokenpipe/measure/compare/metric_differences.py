"""Differences in results between two runs, by arm and phase, with the smallest detectable difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from brokenpipe.interval import Interval
from brokenpipe.measure.compare.loaded_run import COMPARED, MetricArmPhase, RecordedRun
from brokenpipe.measure.stats.intervals import ERROR
from brokenpipe.measure.stats.paired import holm
from brokenpipe.measure.stats.two_sample import (
    Sample,
    can_differ,
    difference_interval,
    least_p,
    permutation_p,
    smallest_seen,
)
from brokenpipe.plan.expectations import Metric


@dataclass(frozen=True, slots=True)
class RunDifference:
    """One metric of one arm in one phase, `new` − `base`. Rates are shares, latencies milliseconds.

    `p` is adjusted for everything else that is asked of the two runs: all rates, or all latencies (Holm).
    """

    metric: Metric
    arm: str
    phase: str
    base: Sample | None
    new: Sample | None
    difference: float | None = None  # None: one of the runs has no value
    ci95: Interval | None = None
    p: float | None = None
    smallest_seen: float | None = None  # None: too few episodes to see any
    tests: int = 1  # how many were asked together

    @property
    def differs(self) -> bool:
        """Whether chance alone would show as much, anywhere in the family, in less than 5 of 100 pairs of runs."""
        return self.p is not None and self.p <= ERROR

    @property
    def too_few(self) -> bool:
        """Whether no difference at all could have been told from chance."""
        if self.base is None or self.new is None:
            return False
        return least_p(self.base.episodes, self.new.episodes) * self.tests > ERROR


def run_differences(
    base: RecordedRun, new: RecordedRun, phases: Sequence[str], arms: Sequence[str]
) -> tuple[RunDifference, ...]:
    """Compare every metric in these phases and arms, in their order.

    All failures are one family of tests, all latencies another, and the load a third, so that a page on which nothing
    differs says so.
    An arm and phase with a value in one run only is included, too.
    """
    spots = [(metric, arm, phase) for metric in COMPARED for phase in phases for arm in arms]
    families = (
        [spot for spot in spots if _family_name(spot[0]) == what] for what in ("failures", "latency", "load")
    )
    return tuple(each for family in families for each in _family(family, base, new))


def _family_name(metric: Metric) -> str:
    if metric is Metric.REQUESTS_PER_S:
        return "load"
    return "latency" if metric.is_latency else "failures"


def _family(spots: Sequence[MetricArmPhase], base: RecordedRun, new: RecordedRun) -> Iterator[RunDifference]:
    """A metric that cannot differ (nothing ever broke) is no test, and the same figures twice are one test."""
    pairs = {
        spot: (base.samples[spot], new.samples[spot])
        for spot in spots
        if spot in base.samples and spot in new.samples
    }
    asked = {_figures_key(pair): pair for pair in pairs.values() if can_differ(*pair)}
    adjusted = holm({name: permutation_p(*pair) for name, pair in asked.items()})
    for spot in spots:
        if spot in pairs:
            p = adjusted.get(_figures_key(pairs[spot]), 1.0)
            yield _difference(spot, pairs[spot], p, max(len(asked), 1), (base, new))
        elif spot in base.samples or spot in new.samples:
            yield RunDifference(*spot, base.samples.get(spot), new.samples.get(spot))


def _floor(metric: Metric, rate: float) -> float:
    """The least that one episode can differ by."""
    if metric.is_latency or metric is Metric.REQUESTS_PER_S:
        return 0.0
    return 1.0 if metric.is_per_episode else rate


def _figures_key(pair: tuple[Sample, Sample]) -> str:
    """A name for the figures alone: where all that failed was broken, both rates say the same."""
    return repr([(sample.sums, sample.weights) for sample in pair])


def _difference(
    spot: MetricArmPhase,
    pair: tuple[Sample, Sample],
    p: float,
    tests: int,
    runs: tuple[RecordedRun, RecordedRun],
) -> RunDifference:
    old, new = pair
    assert old.value is not None
    assert new.value is not None
    metric, arm, phase = spot
    looks = max(run.plan.analyses_of(phase) for run in runs)
    floor = _floor(metric, min(run.floors[phase] for run in runs))
    return RunDifference(
        metric=metric,
        arm=arm,
        phase=phase,
        base=old,
        new=new,
        difference=new.value - old.value,
        ci95=difference_interval(old, new),
        p=min(1.0, p * looks),
        smallest_seen=smallest_seen(old, new, tests=tests, floor=floor, error=ERROR / looks),
        tests=tests,
    )
