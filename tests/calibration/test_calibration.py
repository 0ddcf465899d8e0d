"""The statistics, judged by what they promise: experiments with a known truth, drawn a thousand times.

Every bound is the promise less what so many draws may miss it by (the binomial's one in a thousand).
"""

from __future__ import annotations

import pytest
from scipy import stats
from tests.calibration import known_truths
from tests.calibration.known_truths import EPISODES, LOOKS, PAIRS, POWERED, Counted
from tests.calibration.simulated_episodes import MODELS

from brokenpipe.measure.stats.intervals import ERROR


def _assert_seldom(counted: Counted) -> None:
    false, of = counted
    assert false <= stats.binom.ppf(0.999, of, ERROR), f"{false} of {of} are false"


def _assert_covers(counted: Counted) -> None:
    covered, of = counted
    assert covered >= stats.binom.ppf(0.001, of, 1 - ERROR), f"{covered} of {of} contain the truth"


@pytest.mark.parametrize("model", MODELS)
def test_equal_arms_hardly_ever_differ(model: str) -> None:
    """Four equal arms, a thousand times: any false difference after Holm in 5 of 100 experiments at most."""
    _assert_seldom(known_truths.false_differences_of_rates(model))


def test_equal_latencies_hardly_ever_differ() -> None:
    """The same of median latencies, on a machine that drifts."""
    _assert_seldom(known_truths.false_differences_of_latencies())


@pytest.mark.parametrize("k", [5, EPISODES, 24])
@pytest.mark.parametrize("model", MODELS)
def test_intervals_of_rates_cover(model: str, k: int) -> None:
    """Of a thousand intervals of a rate, 95 of 100 contain the true one, with few episodes and with many."""
    _assert_covers(known_truths.covered_rates(model, k))


@pytest.mark.parametrize(("arm", "control"), PAIRS)
def test_intervals_of_differences_cover(arm: str | None, control: str) -> None:
    """The same of the difference of two arms; None is an arm in which nothing breaks."""
    _assert_covers(known_truths.covered_differences(arm, control))


@pytest.mark.parametrize(("arm", "control"), PAIRS)
def test_intervals_of_ratios_cover(arm: str | None, control: str) -> None:
    """The same of the share of a control's failures that an arm prevents, which is 1 less the ratio of both rates."""
    _assert_covers(known_truths.covered_ratios(arm, control))


@pytest.mark.parametrize("model", MODELS)
def test_equal_arms_are_hardly_ever_best(model: str) -> None:
    """Three arms that equal the control, two phases: any is named best in 5 of 100 experiments at most."""
    _assert_seldom(known_truths.false_bests(model))


def test_intervals_of_latencies_cover() -> None:
    """The same of what a setting adds to the median latency."""
    _assert_covers(known_truths.covered_latencies())


@pytest.mark.parametrize("model", POWERED)
def test_a_difference_of_the_size_promised_is_seen(model: str) -> None:
    """A difference as large as the run says it could have seen is seen in about 80 of 100 runs of three arms."""
    seen, of = known_truths.seen_differences(model)
    assert 0.74 <= seen / of <= 0.9


@pytest.mark.parametrize("model", MODELS)
def test_looking_three_times_decides_falsely_as_seldom_as_once(model: str) -> None:
    """With the error split between looks at 12, 24 and 48 episodes, 5 of 100 decisions are false at most."""
    _assert_seldom(known_truths.false_decisions(model, ERROR / len(LOOKS)))


@pytest.mark.parametrize("model", MODELS)
def test_looking_three_times_at_a_difference(model: str) -> None:
    """The same of an expectation about a difference from the control, of which there is none."""
    _assert_seldom(known_truths.false_decisions_of_differences(model, ERROR / len(LOOKS)))


def test_looking_three_times_without_splitting_deceives() -> None:
    """The same looks with the whole error each: that is what the split is for."""
    false, of = known_truths.false_decisions("many", ERROR)
    assert false > stats.binom.ppf(0.999, of, ERROR)
