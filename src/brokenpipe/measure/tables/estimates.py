"""The value of a metric for one arm in one phase, with its interval where it is an estimate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import History
from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.episode_stats import EpisodeStats
from brokenpipe.measure.stats.intervals import dissimilar_share, mean_interval
from brokenpipe.measure.tables.arm_phase import EpisodeCounts, largest_rate, rate_interval_at
from brokenpipe.plan.expectations import Metric

_QUANTILE_COLUMNS = {0.5: "p50", 0.95: "p95"}
_OF_EPISODES = "SELECT arm, phase, episode, {name} FROM by_episode WHERE successes > 0 ORDER BY ALL"
_OF_ONE_REQUEST = """
SELECT arm, phase, episode, quantile_cont(ms, ?) FROM outcomes
WHERE failure IS NULL AND phase IS NOT NULL AND name = ? GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value; None when it could not be measured. A count has no interval.

    `all_equal`: all its episodes have the same value, so that the interval is the bound on episodes that differ.
    """

    value: float | None
    ci95: Interval | None = None
    episodes: int = 0
    all_equal: bool = False


@dataclass(frozen=True, slots=True)
class Estimator:
    """Estimates of any metric for an arm in a phase."""

    history: History
    cells: Mapping[ArmPhase, ArmPhaseStats]
    episode_counts: Mapping[ArmPhase, EpisodeCounts]
    control: str
    errors: Mapping[str, float]  # of each phase: the share of its intervals that may miss the truth
    _percentiles: dict[tuple[float, str | None], dict[ArmPhase, dict[int, float]]] = field(
        default_factory=dict
    )

    def estimate(self, metric: Metric, place: ArmPhase, request: str | None = None) -> Estimate:
        """Estimate a metric. `request` narrows a latency to one request name."""
        if self.cells[place].requests == 0:
            return Estimate(None)
        if metric.is_count:
            count = _count(metric, self.cells[place])
            return Estimate(None if count is None else float(count))
        if metric.is_per_episode:
            return self._per_episode(metric, place)
        if metric.is_time:
            return Estimate(_time(metric, self.cells[place]))
        if metric.is_latency:
            return self._latency(metric, place, request)
        return self._rate(metric, place)

    def paired(self, metric: Metric, place: ArmPhase, request: str | None = None) -> list[float]:
        """Differences to the control, paired by episode: one for each episode in which both have a value."""
        mine, theirs = (self.by_episode(metric, each, request) for each in (place, (self.control, place[1])))
        return [mine[n] - theirs[n] for n in mine if n in theirs]

    def by_episode(self, metric: Metric, place: ArmPhase, request: str | None = None) -> dict[int, float]:
        """The value of each episode, by its number: a percentile, a count, or a rate of its requests."""
        if metric.is_latency:
            return self._latencies(_quantile(metric), request).get(place, {})
        said = self.episode_counts[place]
        if metric.is_per_episode:
            counts = _counts(metric, said, self.cells[place].seconds)
            return {
                n: count for n, count, asked in zip(said.numbers, counts, said.requests, strict=True) if asked
            }
        episodes = zip(said.numbers, _events(metric, said), said.requests, strict=True)
        return {n: events / requests for n, events, requests in episodes if requests}

    def episode_stats(self, place: ArmPhase) -> EpisodeStats:
        """The statistics of each episode, in order."""
        said = self.episode_counts[place]
        p50_ms, p95_ms = (self.by_episode(metric, place) for metric in (Metric.P50_MS, Metric.P95_MS))
        return EpisodeStats(
            numbers=said.numbers,
            requests=said.requests,
            failed=said.failed,
            broken=None if self.cells[place].broken_pipe_rate is None else said.broken,
            p50_ms=tuple(p50_ms.get(n) for n in said.numbers),
            p95_ms=tuple(p95_ms.get(n) for n in said.numbers),
        )

    def difference(self, metric: Metric, differences: Sequence[float], phase: str) -> Estimate:
        """The mean of paired differences.

        If all rates are equal: as for a rate, an episode unlike these may differ by the largest rate that was seen.
        """
        estimate = _mean_estimate(differences, self.errors[phase])
        if metric.is_latency or estimate.ci95 or estimate.value is None or len(differences) < 2:
            return estimate
        events = {key: _events(metric, episodes) for key, episodes in self.episode_counts.items()}
        unlike = dissimilar_share(len(differences), self.errors[phase])
        room = unlike * largest_rate(phase, events, self.episode_counts)
        interval = Interval(estimate.value - room, estimate.value + room)
        return replace(estimate, ci95=interval, all_equal=True)

    def _per_episode(self, metric: Metric, place: ArmPhase) -> Estimate:
        cell = self.cells[place]
        values = list(self.by_episode(metric, place).values())
        if metric is Metric.REQUESTS_PER_S:
            return _mean_estimate(values, self.errors[place[1]])
        found = cell.broken_per_episode if metric is Metric.BROKEN_PER_EPISODE else cell.failed_per_episode
        if found is None:
            return Estimate(None)
        return Estimate(found.value, found.ci95, len(values), all_equal=len(set(values)) == 1)

    def _rate(self, metric: Metric, place: ArmPhase) -> Estimate:
        phase = place[1]
        if metric.against_control:
            return self.difference(metric, self.paired(metric, place), phase)
        cell, episodes = self.cells[place], self.episode_counts[place]
        if metric is Metric.BROKEN_PIPE_RATE:
            events, value, interval = episodes.broken, cell.broken_pipe_rate, cell.ci95
        else:
            failed = {key: each.failed for key, each in self.episode_counts.items()}
            events, value = episodes.failed, cell.failed / cell.requests
            interval = rate_interval_at(phase, failed, self.episode_counts, place, self.errors[phase])
        rates = {event / n for event, n in zip(events, episodes.requests, strict=True) if n}
        return Estimate(value, interval, sum(n > 0 for n in episodes.requests), all_equal=len(rates) == 1)

    def _latency(self, metric: Metric, place: ArmPhase, request: str | None) -> Estimate:
        if metric is Metric.ADDED_P50_MS:
            return self.difference(metric, self.paired(metric, place, request), place[1])
        return _mean_estimate(list(self.by_episode(metric, place, request).values()), self.errors[place[1]])

    def _latencies(self, share: float, request: str | None) -> dict[ArmPhase, dict[int, float]]:
        """A percentile of each episode's successful requests, everywhere: read once, however often it is asked."""
        if (share, request) not in self._percentiles:
            found: dict[ArmPhase, dict[int, float]] = defaultdict(dict)
            rows = (
                self.history.rows(_OF_EPISODES.format(name=_QUANTILE_COLUMNS[share]))
                if request is None
                else self.history.rows(_OF_ONE_REQUEST, (share, request))
            )
            for arm, phase, episode, ms in rows:
                found[arm, phase][episode] = ms
            self._percentiles[share, request] = found
        return self._percentiles[share, request]


def _events(metric: Metric, episodes: EpisodeCounts) -> tuple[int, ...]:
    return episodes.failed if metric.is_of_failed else episodes.broken


def _quantile(metric: Metric) -> float:
    return 0.95 if metric is Metric.P95_MS else 0.5


def _mean_estimate(values: Sequence[float], error: float) -> Estimate:
    if not values:
        return Estimate(None)
    return Estimate(fmean(values), mean_interval(values, error=error), len(values))


def _counts(metric: Metric, said: EpisodeCounts, seconds: float | None) -> Sequence[float]:
    if metric is Metric.REQUESTS_PER_S:
        each_s = (seconds or 0.0) / max(len(said.numbers), 1)
        return [count / each_s if each_s else 0.0 for count in said.requests]
    return said.broken if metric is Metric.BROKEN_PER_EPISODE else said.failed


def _time(metric: Metric, cell: ArmPhaseStats) -> float | None:
    times = {
        Metric.RECOVERY_S: cell.slowest_recovery_s,
        Metric.UNAVAILABLE_S: cell.unavailable_s,
        Metric.LONGEST_WAIT_MS: cell.longest_wait_ms,
    }
    return times[metric]


def _count(metric: Metric, cell: ArmPhaseStats) -> int | None:
    """None: it could not be counted."""
    if metric.needs_ledger:
        return None if cell.writes is None else int(getattr(cell.writes, metric.value))
    if metric is Metric.REFUSED:
        return cell.failed_by_class.get(ErrorClass.REFUSED.value, 0)
    if metric is Metric.WRONG_RESULTS:
        return cell.failed_by_class.get(ErrorClass.WRONG_RESULT.value, 0)
    counts = {
        Metric.BROKEN: cell.broken,
        Metric.STALE: cell.stale,
        Metric.IN_USE: cell.in_use,
        Metric.FAILED: cell.failed,
        Metric.SWALLOWED: cell.swallowed,
        Metric.SERVER_CONNECTIONS: cell.server_connections,
        Metric.SLOTS_LOST: cell.lost_slots_count,
        Metric.NEVER_RECOVERED: cell.never_recovered,
    }
    return counts[metric]
