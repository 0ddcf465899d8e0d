"""Metrics that are compared with a baseline, and their samples from the episodes of one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.episode_stats import EpisodeStats
from brokenpipe.measure.stats.distributions import t_quantile
from brokenpipe.measure.stats.intervals import mean_interval
from brokenpipe.measure.stats.two_sample import Sample
from brokenpipe.measure.tables.arm_phase import (
    EpisodeCounts,
    count_interval_at,
    counts_of_active_episodes,
    rate_interval_at,
)


class RegressionMetric(StrEnum):
    """The change of a metric. Of rates the difference of two shares, of latencies a share of the baseline's.

    A latency is that of the control itself, or that of another arm divided by the control's: effects of the machine on
    all arms cancel out in such a ratio.
    """

    BROKEN_PIPE_RATE = "rise_of_broken_pipe_rate"
    FAILURE_RATE = "rise_of_failure_rate"
    BROKEN_PER_EPISODE = "rise_of_broken_per_episode"
    FAILED_PER_EPISODE = "rise_of_failed_per_episode"
    P50 = "rise_of_p50"
    P95 = "rise_of_p95"
    P50_AGAINST_CONTROL = "rise_of_p50_against_control"
    P95_AGAINST_CONTROL = "rise_of_p95_against_control"

    @property
    def is_rate(self) -> bool:
        """Of failures, per request or per strike, rather than of a latency."""
        return self in {*RATES, *PER_STRIKE}

    @property
    def is_per_strike(self) -> bool:
        return self in PER_STRIKE

    @property
    def against_control(self) -> bool:
        return self.value.endswith("_against_control")


RATES = (RegressionMetric.BROKEN_PIPE_RATE, RegressionMetric.FAILURE_RATE)
PER_STRIKE = (RegressionMetric.BROKEN_PER_EPISODE, RegressionMetric.FAILED_PER_EPISODE)


@dataclass(frozen=True, slots=True)
class RunSamples:
    """One of the two runs. `errors`: of each phase, the share of its intervals that may miss the truth."""

    figures: Mapping[ArmPhase, EpisodeStats]
    control: str
    errors: Mapping[str, float]

    def sample(self, rise: RegressionMetric, place: ArmPhase) -> Sample | None:
        """The sample of one metric of an arm in a phase; None where it has no value."""
        if place not in self.figures or not any(self.figures[place].requests):
            return None
        if rise.is_rate:
            return self._rate(rise, place)
        values = dict(self._latencies(rise, place))
        if not rise.against_control:
            return Sample.of_values([*values.values()], self._mean(values, place)) if values else None
        controls = dict(self._latencies(rise, (self.control, place[1])))
        pairs = [(values[n], controls[n]) for n in values if n in controls]
        return _ratio(pairs, self.errors[place[1]]) if pairs else None

    def _rate(self, rise: RegressionMetric, place: ArmPhase) -> Sample | None:
        events = {each: self._events(rise, found) for each, found in self.figures.items()}
        if events[place] is None:
            return None
        known = {each: counted for each, counted in events.items() if counted is not None}
        requests = {each: _episodes(self.figures[each]) for each in known}
        if rise.is_per_strike:
            episodes = requests[place]
            interval = count_interval_at(place[1], known, requests, place, self.errors[place[1]])
            return Sample.of_values(counts_of_active_episodes(known[place], episodes), interval)
        said = [(e, n) for e, n in zip(known[place], self.figures[place].requests, strict=True) if n]
        sums, weights = zip(*said, strict=True)
        interval = rate_interval_at(place[1], known, requests, place, self.errors[place[1]])
        return Sample(sums, weights, interval)

    @staticmethod
    def _events(rise: RegressionMetric, found: EpisodeStats) -> Sequence[int] | None:
        return (
            found.failed
            if rise in {RegressionMetric.FAILURE_RATE, RegressionMetric.FAILED_PER_EPISODE}
            else found.broken
        )

    def _latencies(self, rise: RegressionMetric, place: ArmPhase) -> Iterator[tuple[int, float]]:
        found = self.figures[place]
        values = (
            found.p95_ms
            if rise in {RegressionMetric.P95, RegressionMetric.P95_AGAINST_CONTROL}
            else found.p50_ms
        )
        return ((n, ms) for n, ms in zip(found.numbers, values, strict=True) if ms is not None)

    def _mean(self, values: Mapping[int, float], place: ArmPhase) -> Interval | None:
        return mean_interval([*values.values()], error=self.errors[place[1]])


def _episodes(found: EpisodeStats) -> EpisodeCounts:
    return EpisodeCounts(found.numbers, found.requests, found.failed, found.broken or ())


def _ratio(pairs: Sequence[tuple[float, float]], error: float) -> Sample:
    """An arm's latencies divided by the control's: sums, so that one quick episode of the control decides nothing.

    The interval is Student's on the logarithm, with the standard error of a ratio of sums.
    """
    sums, weights = zip(*pairs, strict=True)
    sample = Sample(sums, weights)
    if sample.deviation is None or sample.value is None or not sample.deviation:
        return sample
    reach = t_quantile(1 - error / 2, len(pairs) - 1) * sample.deviation / sample.value
    low, high = sample.value * np.exp([-reach, reach])
    return Sample(sums, weights, Interval(float(low), float(high)))
