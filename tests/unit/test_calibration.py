"""The statistics, judged by what they promise: experiments with a known truth, drawn a thousand times.

Every bound is the promise less what a thousand draws may miss it by (the binomial's one in a thousand).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from tests.unit.drawn import Array, episodes, true_rate

from brokenpipe.measure.permutation import adjusted_ps, smallest_seen
from brokenpipe.measure.statistics import ERROR, mean_interval, rate_interval

EXPERIMENTS = 1_000
EPISODES = 12
SHAPE = (EXPERIMENTS, EPISODES)
MOST_FALSE = stats.binom.ppf(0.999, EXPERIMENTS, ERROR)  # 72
FEWEST_COVERED = stats.binom.ppf(0.001, EXPERIMENTS, 1 - ERROR)  # 928


def _rates(model: str, draw: np.random.Generator) -> Array:
    broken, requests = episodes(model, draw, SHAPE)
    return broken / requests


def _latencies(draw: np.random.Generator, spread_ms: float = 3.0) -> Array:
    """Medians of episodes: the machine's drift, which all arms share, is added by whoever compares."""
    return 57 + spread_ms * draw.normal(size=SHAPE) + draw.exponential(spread_ms, SHAPE)


def _false(arms: Sequence[Array]) -> int:
    """Experiments in which any arm is said to differ from the first."""
    control, *others = arms
    return sum(
        min(adjusted_ps({str(n): arm[run] - control[run] for n, arm in enumerate(others)}).values()) <= ERROR
        for run in range(EXPERIMENTS)
    )


@pytest.mark.parametrize("model", ["in_use", "many", "one", "all", "some", "few", "outage"])
def test_equal_arms_hardly_ever_differ(model: str) -> None:
    """Four equal arms, a thousand times: any false difference after Holm in 5 of 100 experiments at most."""
    draw = np.random.default_rng(11)
    assert _false([_rates(model, draw) for _ in range(4)]) <= MOST_FALSE


def test_equal_latencies_hardly_ever_differ() -> None:
    """The same of median latencies, on a machine that drifts."""
    draw = np.random.default_rng(12)
    drift = 20 * draw.normal(size=SHAPE)
    assert _false([drift + _latencies(draw) for _ in range(4)]) <= MOST_FALSE


@pytest.mark.parametrize("k", [5, EPISODES, 24])
@pytest.mark.parametrize("model", ["in_use", "many", "one", "all", "some", "few", "outage"])
def test_intervals_of_rates_cover(model: str, k: int) -> None:
    """Of a thousand intervals of a rate, 95 of 100 contain the true one, with few episodes and with many."""
    broken, requests = episodes(model, np.random.default_rng(13), (EXPERIMENTS, k))
    truth = true_rate(model)
    told = [
        rate_interval(e, n, largest_rate=1)  # type: ignore[arg-type]
        for e, n in zip(broken, requests, strict=True)
        if np.ptp(e / n) > 0  # all alike: the bound of its own, which is exact
    ]
    covered = sum(found is not None and found.low <= truth <= found.high for found in told)
    assert covered >= stats.binom.ppf(0.001, len(told), 1 - ERROR)


@pytest.mark.parametrize(
    ("arm", "control"),
    [("in_use", "many"), ("one", "all"), ("few", "some"), (None, "in_use"), (None, "some"), (None, "all")],
)
def test_intervals_of_differences_cover(arm: str | None, control: str) -> None:
    """The same of the difference of two arms; None is an arm in which nothing breaks."""
    draw = np.random.default_rng(14)
    theirs = _rates(control, draw)
    mine = _rates(arm, draw) if arm else np.zeros(SHAPE)
    far = np.random.default_rng(98)
    truth = -np.divide(*episodes(control, far, (1, 1_000_000))).mean()
    truth += np.divide(*episodes(arm, far, (1, 1_000_000))).mean() if arm else 0
    told = [mean_interval(row) for row in mine - theirs if np.ptp(row) > 0]
    covered = sum(found is not None and found.low <= truth <= found.high for found in told)
    assert covered >= stats.binom.ppf(0.001, len(told), 1 - ERROR)


def test_intervals_of_latencies_cover() -> None:
    """The same of what a setting adds to the median latency."""
    draw = np.random.default_rng(15)
    drift = 20 * draw.normal(size=SHAPE)
    added = (drift + _latencies(draw) + 2.5) - (drift + _latencies(draw))
    told = [mean_interval(row) for row in added]
    assert sum(found is not None and found.low <= 2.5 <= found.high for found in told) >= FEWEST_COVERED


@pytest.mark.parametrize("model", ["in_use", "some", "all"])
def test_a_difference_of_the_size_promised_is_seen(model: str) -> None:
    """A difference as large as the run says it could have seen is seen in about 80 of 100 runs of three arms."""
    draw = np.random.default_rng(16)
    control, *arms = (_rates(model, draw) for _ in range(4))
    promised = [smallest_seen(row, tests=3) for row in arms[0] - control]
    size = float(np.median([each for each in promised if each is not None]))
    seen = sum(
        adjusted_ps({str(n): arm[run] - control[run] + size * (n == 0) for n, arm in enumerate(arms)})["0"]
        <= ERROR
        for run in range(EXPERIMENTS)
    )
    assert 0.7 <= seen / EXPERIMENTS <= 0.95


@pytest.mark.parametrize("model", ["in_use", "many", "one", "all", "some"])
def test_looking_three_times_decides_falsely_as_seldom_as_once(model: str) -> None:
    """A truth that stands on the bound is on neither side of it: at 12, 24 or 48 episodes, whenever the interval
    first leaves the bound, the decision is false. With the error split between the looks: 5 of 100 at most.
    """
    looks = (12, 24, 48)
    broken, requests = episodes(model, np.random.default_rng(17), (EXPERIMENTS, looks[-1]))
    bound = true_rate(model)

    def decided(run: int, k: int) -> bool:
        found = rate_interval(
            broken[run, :k],
            requests[run, :k],
            largest_rate=1,
            error=ERROR / len(looks),  # type: ignore[arg-type]
        )
        return found is not None and not found.low <= bound <= found.high

    assert sum(any(decided(run, k) for k in looks) for run in range(EXPERIMENTS)) <= MOST_FALSE
