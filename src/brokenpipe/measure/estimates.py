"""The value of a metric for one arm in one phase, with its interval where it is an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from brokenpipe.history.reader import History
from brokenpipe.measure.cells import Episodes, Place, interval_of, largest_rate
from brokenpipe.measure.classify import ErrorClass
from brokenpipe.measure.findings import Cell, Interval
from brokenpipe.measure.statistics import mean_interval, unlike_share
from brokenpipe.plan.expectations import Metric


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value; None when it could not be measured. A count has no interval."""

    value: float | None
    ci95: Interval | None = None


@dataclass(frozen=True, slots=True)
class Estimator:
    """Answers what the value of any metric is."""

    history: History
    cells: Mapping[Place, Cell]
    by_place: Mapping[Place, Episodes]
    control: str
    seed: int

    def estimate(self, metric: Metric, place: Place, request: str | None = None) -> Estimate:
        """The metric at a place. `request` narrows a latency to one request name."""
        if self.cells[place].requests == 0:
            return Estimate(None)
        if metric.is_count:
            return Estimate(float(_count(metric, self.cells[place])))
        if metric.is_latency:
            return self._latency(metric, place, request)
        return self._rate(metric, place)

    def _rate(self, metric: Metric, place: Place) -> Estimate:
        cell = self.cells[place]
        if metric is Metric.ADDED_BROKEN_PIPE_RATE:
            return self._added_rate(place)
        if metric is Metric.BROKEN_PIPE_RATE:
            return Estimate(cell.broken_pipe_rate, cell.ci95)
        failed = {key: episodes.failed for key, episodes in self.by_place.items()}
        interval = interval_of(place[1], failed, self.by_place, place, self.seed)
        return Estimate(cell.failed / cell.requests, interval)

    def _added_rate(self, place: Place) -> Estimate:
        arm, control = self.by_place[place], self.by_place[self.control, place[1]]
        pairs = zip(arm.broken, arm.requests, control.broken, control.requests, strict=True)
        differences = [a / n - b / m for a, n, b, m in pairs if n and m]
        estimate = _of_mean(differences)
        if estimate.ci95 is None and len(differences) > 1 and estimate.value is not None:
            # All alike: as for a rate, an episode unlike these may differ by the largest rate that was seen.
            broken = {key: episodes.broken for key, episodes in self.by_place.items()}
            room = unlike_share(len(differences)) * largest_rate(place[1], broken, self.by_place)
            return Estimate(estimate.value, Interval(estimate.value - room, estimate.value + room))
        return estimate

    def _latency(self, metric: Metric, place: Place, request: str | None) -> Estimate:
        share = 0.95 if metric is Metric.P95_MS else 0.5
        mine = self._by_episode(place, share, request)
        if metric is not Metric.ADDED_P50_MS:
            return _of_mean(list(mine.values()))
        theirs = self._by_episode((self.control, place[1]), share, request)
        return _of_mean([mine[n] - theirs[n] for n in mine if n in theirs])

    def _by_episode(self, place: Place, share: float, request: str | None) -> dict[int, float]:
        """A percentile of each episode's successful requests, by the episode's number."""
        return dict(
            self.history.rows(
                "SELECT episode, quantile_cont(ms, ?) FROM outcomes WHERE failure IS NULL "
                "AND arm = ? AND phase = ? AND (?::VARCHAR IS NULL OR name = ?) GROUP BY ALL ORDER BY ALL",
                (share, *place, request, request),
            )
        )


def _of_mean(values: Sequence[float]) -> Estimate:
    return Estimate(fmean(values), mean_interval(values)) if values else Estimate(None)


def _count(metric: Metric, cell: Cell) -> int:
    if metric is Metric.REFUSED:
        return cell.failed_by_class.get(ErrorClass.REFUSED.value, 0)
    counts = {
        Metric.BROKEN: cell.broken,
        Metric.STALE: cell.stale,
        Metric.IN_USE: cell.in_use,
        Metric.FAILED: cell.failed,
    }
    return counts[metric]
