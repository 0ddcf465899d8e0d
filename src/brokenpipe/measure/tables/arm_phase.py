"""Statistics of each arm and phase: counts, rates with intervals, latencies, costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from brokenpipe.history.reader import History
from brokenpipe.interval import Interval
from brokenpipe.measure.failures.root_cause import FailedRequest, rest_range_s
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats, LatencyPercentiles, PerEpisode
from brokenpipe.measure.model.pool_costs import MaskedDisconnects
from brokenpipe.measure.stats.intervals import count_interval, rate_interval, smallest_visible_rate
from brokenpipe.measure.tables.pool_costs import masked_and_costs


@dataclass(frozen=True, slots=True)
class EpisodeCounts:
    """Requests, failed and broken ones of each episode of one arm and phase. Episodes are the unit of statistics."""

    numbers: tuple[int, ...]
    requests: tuple[int, ...]
    failed: tuple[int, ...]
    broken: tuple[int, ...]


def episodes_by_arm_phase(
    history: History, places: Iterable[ArmPhase], failures: Sequence[FailedRequest]
) -> dict[ArmPhase, EpisodeCounts]:
    """Requests, failed and broken requests of each counted episode."""
    requests: dict[tuple[str, str, int], int] = {
        (arm, phase, n): count
        for arm, phase, n, count in history.rows("SELECT arm, phase, episode, requests FROM by_episode")
    }
    failed = Counter((f.arm, f.phase, f.episode) for f in failures)
    broken = Counter((f.arm, f.phase, f.episode) for f in failures if f.broken)
    numbers: dict[str, list[int]] = defaultdict(list)
    for phase, n in history.rows("SELECT DISTINCT phase, n FROM episode_list WHERE counts ORDER BY n"):
        numbers[phase].append(n)
    return {
        (arm, phase): EpisodeCounts(
            tuple(numbers[phase]),
            tuple(requests.get((arm, phase, n), 0) for n in numbers[phase]),
            tuple(failed[arm, phase, n] for n in numbers[phase]),
            tuple(broken[arm, phase, n] for n in numbers[phase]),
        )
        for arm, phase in places
    }


def rate_interval_at(
    phase: str,
    events: Mapping[ArmPhase, Sequence[int]],
    by_place: Mapping[ArmPhase, EpisodeCounts],
    place: ArmPhase,
    error: float,
) -> Interval | None:
    """The interval of a rate. Where an arm had no event, the rates of the others in that phase bound it."""
    largest = largest_rate(phase, events, by_place)
    return rate_interval(events[place], by_place[place].requests, largest_rate=largest, error=error)


def count_interval_at(
    phase: str,
    events: Mapping[ArmPhase, Sequence[int]],
    by_place: Mapping[ArmPhase, EpisodeCounts],
    place: ArmPhase,
    error: float,
) -> Interval | None:
    """The interval of the mean count in an episode. An episode unlike the others may have one event at least."""
    neighbours = (events[key] for key in events if key[1] == phase)
    largest = max((count for each in neighbours for count in each), default=0)
    counts = counts_of_active_episodes(events[place], by_place[place])
    return count_interval(counts, largest=max(1, largest), error=error)


def counts_of_active_episodes(events: Sequence[int], episodes: EpisodeCounts) -> list[float]:
    """The counts of the episodes with any request: the others say nothing."""
    return [float(event) for event, requests in zip(events, episodes.requests, strict=True) if requests]


def largest_rate(
    phase: str, events: Mapping[ArmPhase, Sequence[int]], by_place: Mapping[ArmPhase, EpisodeCounts]
) -> float:
    """The largest rate of one episode of any arm in that phase; at least one event in the smallest episode."""
    neighbours = [key for key in by_place if key[1] == phase]
    rates = [
        event / request
        for key in neighbours
        for event, request in zip(events[key], by_place[key].requests, strict=True)
        if request
    ]
    floor = smallest_visible_rate([n for key in neighbours for n in by_place[key].requests])
    return max([floor, *rates])


def arm_phase_stats(
    history: History,
    by_place: Mapping[ArmPhase, EpisodeCounts],
    failures: Sequence[FailedRequest],
    witnessed: frozenset[str],
    errors: Mapping[str, float],
) -> dict[ArmPhase, ArmPhaseStats]:
    """Compute the table. `errors`: of each phase, the share of its intervals that may miss the truth."""
    latencies, by_request = _latencies(history)
    masked, costs = masked_and_costs(history)
    intervals = _Intervals(by_place, errors)
    lasted = _seconds(history)
    waited = {(arm, phase): ms / 1000 for arm, phase, ms in history.rows(_WAITED) if ms is not None}
    failed_at: dict[ArmPhase, list[FailedRequest]] = defaultdict(list)
    for failure in failures:
        failed_at[failure.arm, failure.phase].append(failure)
    return {
        (arm, phase): replace(
            _failure_stats((arm, phase), failed_at[arm, phase], intervals, witnessed=arm in witnessed),
            latency_ms=latencies.get((arm, phase), LatencyPercentiles(None, None, None)),
            latency_by_request=by_request.get((arm, phase), {}),
            masked=masked.get((arm, phase), MaskedDisconnects()) if arm in witnessed else None,
            pool_cost=costs.get((arm, phase)) if arm in witnessed else None,
            seconds=lasted.get((phase, arm), lasted.get((phase, None))),
            waited_s=waited.get((arm, phase)),
        )
        for arm, phase in by_place
    }


class _Intervals:
    """Rates and means of episodes with their intervals, in every arm and phase."""

    def __init__(self, by_place: Mapping[ArmPhase, EpisodeCounts], errors: Mapping[str, float]) -> None:
        self.by_place = by_place
        self._errors = errors
        self._broken = {place: episodes.broken for place, episodes in by_place.items()}
        self._failed = {place: episodes.failed for place, episodes in by_place.items()}

    def broken_rate(self, place: ArmPhase) -> Interval | None:
        return rate_interval_at(place[1], self._broken, self.by_place, place, self._errors[place[1]])

    def broken_per_episode(self, place: ArmPhase) -> PerEpisode | None:
        return mean_per_episode(place, self._broken, self.by_place, self._errors)

    def failed_per_episode(self, place: ArmPhase) -> PerEpisode | None:
        return mean_per_episode(place, self._failed, self.by_place, self._errors)


def _failure_stats(
    place: ArmPhase, failed: Sequence[FailedRequest], intervals: _Intervals, *, witnessed: bool
) -> ArmPhaseStats:
    """Requests of an arm and phase and their failures; the rest of the statistics is left open."""
    arm, phase = place
    episodes = intervals.by_place[place]
    requests = sum(episodes.requests)
    broken = [failure for failure in failed if failure.broken]
    states = Counter(failure.state for failure in broken)
    unexplained = sum(not failure.cause_known for failure in failed)
    # With a witness the broken ones are known at least; without, any of these failures may be one.
    knowable = witnessed or unexplained == 0
    return ArmPhaseStats(
        arm=arm,
        phase=phase,
        requests=requests,
        failed=len(failed),
        broken=len(broken),
        stale=states["stale"],
        in_use=states["in use"],
        after_rest=states["after rest"],
        rest_s=rest_range_s(broken),
        elsewhere=states[""],
        unexplained=unexplained,
        broken_pipe_rate=len(broken) / requests if requests and knowable else None,
        ci95=intervals.broken_rate(place) if knowable else None,
        episodes=len(episodes.numbers),
        latency_ms=LatencyPercentiles(None, None, None),
        latency_by_request={},
        failed_by_class=dict(Counter(failure.error_class.value for failure in failed)),
        recovery_s=(),
        masked=None,
        pool_cost=None,
        broken_per_episode=intervals.broken_per_episode(place) if knowable else None,
        failed_per_episode=intervals.failed_per_episode(place),
    )


_WAITED = "SELECT arm, phase, sum(waited_ms) FROM by_episode GROUP BY ALL"

# Read once for both: `name` is NULL for all requests together.
_LATENCIES = """
SELECT arm, phase, CASE WHEN grouping(name) = 0 THEN name END, quantile_cont(ms, [0.5, 0.95, 0.99])
FROM outcomes WHERE failure IS NULL AND phase IS NOT NULL
GROUP BY GROUPING SETS ((arm, phase), (arm, phase, name)) ORDER BY name
"""


def mean_per_episode(
    place: ArmPhase,
    events: Mapping[ArmPhase, Sequence[int]],
    by_place: Mapping[ArmPhase, EpisodeCounts],
    errors: Mapping[str, float],
) -> PerEpisode | None:
    """The mean count in an episode; None without any request."""
    counts = counts_of_active_episodes(events[place], by_place[place])
    if not counts:
        return None
    phase = place[1]
    return PerEpisode(fmean(counts), count_interval_at(phase, events, by_place, place, errors[phase]))


def _seconds(history: History) -> dict[tuple[str, str | None], float]:
    """How long the episodes of a phase lasted together; of an arm that took turns, its own."""
    rows = history.rows("SELECT phase, arm, sum(t1 - t0) / 1e9 FROM episode_list WHERE counts GROUP BY ALL")
    return {(phase, arm): seconds for phase, arm, seconds in rows}


def _latencies(
    history: History,
) -> tuple[dict[ArmPhase, LatencyPercentiles], dict[ArmPhase, dict[str, LatencyPercentiles]]]:
    whole: dict[ArmPhase, LatencyPercentiles] = {}
    by_request: dict[ArmPhase, dict[str, LatencyPercentiles]] = defaultdict(dict)
    for arm, phase, name, quantiles in history.rows(_LATENCIES):
        if name is None:
            whole[arm, phase] = LatencyPercentiles(*quantiles)
        else:
            by_request[arm, phase][name] = LatencyPercentiles(*quantiles)
    return whole, by_request
