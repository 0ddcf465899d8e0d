"""Intervals, against arithmetic and against what must hold for any figures."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from brokenpipe.interval import Interval
from brokenpipe.measure.stats.intervals import mean_interval, rate_interval, smallest_visible_rate

TRIALS = st.lists(st.integers(0, 60), min_size=2, max_size=14)


@st.composite
def episodes(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Requests of each episode, and how many of them broke."""
    trials = draw(TRIALS)
    return [draw(st.integers(0, n)) for n in trials], trials


def _interval(events: list[int], trials: list[int], largest: float = 1.0) -> Interval:
    found = rate_interval(events, trials, largest_rate=largest)
    assert found is not None
    return found


@given(episodes())
@settings(max_examples=40)
def test_a_rate_lies_in_its_interval(counts: tuple[list[int], list[int]]) -> None:
    """For any counts: 0 ≤ low ≤ rate ≤ high ≤ 1, or no interval where fewer than two episodes say anything."""
    events, trials = counts
    found = rate_interval(events, trials, largest_rate=1.0)
    if sum(n > 0 for n in trials) < 2:
        assert found is None
        return
    assert found is not None
    assert 0 <= found.low <= sum(events) / sum(trials) + 1e-12
    assert sum(events) / sum(trials) - 1e-12 <= found.high <= 1


@given(episodes(), st.data())
@settings(max_examples=25)
def test_silent_episodes_change_nothing(counts: tuple[list[int], list[int]], data: st.DataObject) -> None:
    """An episode in which nobody asked is no evidence: with or without it, the interval is the same."""
    events, trials = counts
    assume(sum(n > 0 for n in trials) >= 2)
    where = data.draw(st.integers(0, len(trials)))
    padded = rate_interval(
        [*events[:where], 0, *events[where:]], [*trials[:where], 0, *trials[where:]], largest_rate=1.0
    )
    assert padded == rate_interval(events, trials, largest_rate=1.0)


@pytest.mark.parametrize(("k", "high"), [(2, 0.7764), (5, 0.4507), (12, 0.2209), (59, 0.0495)])
def test_nothing_in_k_episodes(k: int, high: float) -> None:
    """The exact bound 1 − 0.05^(1/k); at 59 the well-known "three over n" is reached: below 5 %."""
    assert _interval([0] * k, [10] * k) == Interval(0.0, pytest.approx(high, abs=5e-5))  # type: ignore[arg-type]


@given(st.integers(2, 500), st.integers(1, 100), st.floats(0, 1))
def test_more_episodes_say_more(k: int, requests: int, largest: float) -> None:
    """Nothing broken in one more episode never widens the interval, and it scales with the largest rate."""
    fewer, more = (_interval([0] * n, [requests] * n, largest) for n in (k, k + 1))
    assert more.high <= fewer.high
    assert fewer.high == pytest.approx(_interval([0] * k, [requests] * k).high * largest)


@given(st.integers(2, 100), st.integers(1, 50))
def test_everything_in_k_episodes(k: int, requests: int) -> None:
    """All broken is the mirror of nothing broken: the low end is 0.05^(1/k), and never the bare rate."""
    found = _interval([requests] * k, [requests] * k)
    assert found.high == 1
    assert found.low == pytest.approx(0.05 ** (1 / k))


def test_alike_is_not_certain() -> None:
    """Two episodes of 1 in 10 each do not say 10 % exactly."""
    found = _interval([1, 1], [10, 10], largest=0.5)
    share = 1 - 0.05 ** (1 / 2)
    assert found.low == pytest.approx(0.1 * (1 - share))
    assert found.high == pytest.approx(0.1 + share * (0.5 - 0.1))


def test_requests_of_an_episode_share_its_fate() -> None:
    """The same 24 of 240 is far less certain when two episodes had them all than when each had two."""
    spread = _interval([2, 1, 3, 2, 2, 1, 3, 2, 2, 2, 2, 2], [20] * 12)
    lumped = _interval([12, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0], [20] * 12)
    assert spread.high - spread.low < 0.07
    assert lumped.high - lumped.low > 0.15


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.floats(-1e3, 1e3))
@example([0.0, 7.3e-210], 0.0)  # its cube is 0
def test_a_mean_lies_in_its_interval(values: list[float], shift: float) -> None:
    """The interval contains the mean, is at least as wide as Student's, and moves with the values."""
    found = mean_interval(values)
    moved = mean_interval([value + shift for value in values])
    if len(set(values)) == 1:
        assert found is None  # nothing is known of how they vary
        return
    assume(found is not None and moved is not None)  # a shift may swallow what is far smaller than itself
    assert found is not None
    assert moved is not None
    k, mean = len(values), fmean(values)
    half = stats.t.ppf(0.975, k - 1) * np.std(values, ddof=1) / math.sqrt(k)
    assert found.low <= mean - half * (1 - 1e-9)
    assert found.high >= mean + half * (1 - 1e-9)
    assert moved.low == pytest.approx(found.low + shift, rel=1e-6, abs=1e-3)


def test_a_mean_by_the_table() -> None:
    """1, 2, 3, 4, 5 has no skew: mean 3, standard deviation √2.5, t(4; 0.975) = 2.776."""
    found = mean_interval([1, 2, 3, 4, 5])
    assert found is not None
    # Hall's transformation narrows nothing and, without a skew, widens nothing.
    assert found.high - 3 == pytest.approx(2.776 * math.sqrt(2.5) / math.sqrt(5), abs=1e-3)
    assert 3 - found.low == pytest.approx(found.high - 3)
    assert mean_interval([1]) is None


def test_the_interval_reaches_further_where_the_tail_is() -> None:
    """Eleven small and one large: what was seen once may be more frequent than this, so the high end moves."""
    found = mean_interval([0.0] * 9 + [0.1, 0.2, 0.3])
    assert found is not None
    assert found.high - 0.05 > 2 * (0.05 - found.low)


def test_a_smaller_error_is_a_wider_interval() -> None:
    """An interval that may miss the truth one time in a hundred contains the one of five in a hundred."""
    events, trials = [3, 0, 1, 0, 0, 4, 2, 0], [20, 25, 22, 24, 18, 20, 21, 20]
    usual, strict = (rate_interval(events, trials, largest_rate=1, error=error) for error in (0.05, 0.01))
    assert usual is not None
    assert strict is not None
    assert strict.low < usual.low < usual.high < strict.high


def test_the_least_that_could_be_seen() -> None:
    """One request of the smallest episode; without any request, everything could have been missed."""
    assert smallest_visible_rate([40, 25, 0, 31]) == 1 / 25
    assert smallest_visible_rate([0, 0]) == 1
