"""Two runs without pairs: the interval of their difference covers it, and chance is called chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from brokenpipe.interval import Interval
from brokenpipe.measure.stats.intervals import mean_interval, rate_interval
from brokenpipe.measure.stats.two_sample import (
    Sample,
    difference_interval,
    least_p,
    permutation_p,
    smallest_seen,
)

PAIRS = 1_000


def _rates(draw: np.random.Generator, rate: float, episodes: int = 12) -> Sample:
    """Episodes of 40 requests whose own rates vary as strikes do: some break nothing, some a whole pool."""
    own = draw.beta(rate * 4, (1 - rate) * 4, episodes)
    broken = [int(each) for each in draw.binomial(40, own)]
    requests = [40] * episodes
    return Sample(
        tuple(map(float, broken)), (40.0,) * episodes, rate_interval(broken, requests, largest_rate=0.2)
    )


def _latencies(draw: np.random.Generator, mean: float, episodes: int = 12) -> Sample:
    values = (mean * draw.lognormal(0, 0.3, episodes) / math.exp(0.045)).tolist()
    return Sample.of_values(values, mean_interval(values))


def _covered(drawn: list[tuple[Interval | None, float]]) -> float:
    found = [interval.low <= truth <= interval.high for interval, truth in drawn if interval]
    return sum(found) / len(found)


def test_the_interval_covers_the_difference() -> None:
    """Of a thousand pairs of runs, 92 to 99.5 of 100 intervals hold the true difference, of rates and of latencies."""
    draw = np.random.default_rng(1)
    for before, after in ((0.05, 0.05), (0.05, 0.15), (0.2, 0.02)):
        pairs = ((_rates(draw, before), _rates(draw, after)) for _ in range(PAIRS))
        share = _covered([(difference_interval(*pair), after - before) for pair in pairs])
        assert 0.92 <= share <= 0.995, (before, after, share)
    pairs = ((_latencies(draw, 50), _latencies(draw, 70, 7)) for _ in range(PAIRS))
    share = _covered([(difference_interval(*pair), 20) for pair in pairs])
    assert 0.92 <= share <= 0.995, share


def test_the_interval_leans_to_the_side_that_its_runs_lean_to() -> None:
    """Beside a base that is known exactly, a lopsided interval stays lopsided; from the other side, mirrored."""
    exact = Sample.of_values([10.0], Interval(10.0, 10.0))
    lopsided = Sample.of_values([30.0], Interval(29.0, 50.0))
    assert difference_interval(exact, lopsided) == Interval(19.0, 40.0)
    assert difference_interval(lopsided, exact) == Interval(-40.0, -19.0)


def test_equal_runs_are_rarely_told_apart() -> None:
    """Of three hundred pairs of equal runs not more are told apart than 5 of 100 allow; real differences are."""
    draw = np.random.default_rng(2)
    false = sum(permutation_p(_rates(draw, 0.1), _rates(draw, 0.1)) <= 0.05 for _ in range(300))
    assert false <= 27  # 5 % of 300, and three standard deviations
    seen = sum(permutation_p(_rates(draw, 0.02), _rates(draw, 0.3)) <= 0.05 for _ in range(50))
    assert seen >= 40


def test_few_episodes_are_dealt_in_every_way() -> None:
    """Three against three: of 20 ways to deal the labels two are as far apart, too many to tell."""
    few, many = (Sample.of_values(values, None) for values in ([1.0, 2.0, 3.0], [10.0, 11.0, 12.0]))
    assert permutation_p(few, many) == pytest.approx(2 / 20) == least_p(3, 3)
    assert least_p(4, 1) == pytest.approx(1 / 5)
    assert smallest_seen(few, many, tests=1) is None


def test_what_could_have_been_seen_is_seen() -> None:
    """A difference of the size that is named is found in about 80 of 100 pairs, at the level of four tests together."""
    draw = np.random.default_rng(3)
    pairs = [(_latencies(draw, 50), _latencies(draw, 50)) for _ in range(200)]
    sizes = [found for pair in pairs if (found := smallest_seen(*pair, tests=4)) is not None]
    size = float(np.median(sizes))
    seen = [permutation_p(_latencies(draw, 50), _latencies(draw, 50 + size)) <= 0.05 / 4 for _ in range(200)]
    assert 0.65 <= sum(seen) / 200 <= 0.95


def test_nothing_at_all_is_no_difference() -> None:
    """Runs in which nothing broke: no difference, and an interval that is not a point."""
    none = Sample((0.0,) * 12, (40.0,) * 12, rate_interval([0] * 12, [40] * 12, largest_rate=0.1))
    interval = difference_interval(none, none)
    assert permutation_p(none, none) == 1.0
    assert interval is not None
    assert interval.low < 0 < interval.high
    assert smallest_seen(none, none, tests=4, floor=1 / 40) == pytest.approx(7 / 12 / 40)
