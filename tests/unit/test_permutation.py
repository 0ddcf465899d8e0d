"""Differences by flipping signs: against counting by hand, and against scipy's own permutation test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from brokenpipe.measure.stats.paired import EXACT, episodes_needed, holm, sign_flip_p, smallest_seen


@pytest.mark.parametrize("k", [1, 2, 5, 8, 12])
def test_all_of_one_sign(k: int) -> None:
    """Of 2^k ways to give k differences a sign, two are as extreme as all alike: eight give 0.0078 at best."""
    assert sign_flip_p([0.3] * k) == 2 / 2**k


def test_by_hand() -> None:
    """1, 2, 3 and −1 have the sum 5: of sixteen ways, six reach ±5 or ±7."""
    assert sign_flip_p([1, 2, 3, -1]) == 6 / 16


def test_no_difference_anywhere() -> None:
    """Nothing to flip: chance explains it all."""
    assert sign_flip_p([0.0] * 12) == 1
    assert sign_flip_p([]) == 1


@given(st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=2, max_size=10))
@settings(max_examples=25)
def test_scipy_says_the_same(differences: list[float]) -> None:
    """The exact p is the one of scipy's paired permutation test, at a hundredth of its time."""
    theirs = stats.permutation_test(
        (np.asarray(differences), np.zeros(len(differences))),
        lambda a, b, axis=-1: np.sum(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert sign_flip_p(differences) == pytest.approx(theirs.pvalue)


def test_many_episodes_are_sampled() -> None:
    """Beyond what can be counted out, a sample of flips comes close to the normal answer, never to 0, and repeats."""
    draw = np.random.default_rng(3)
    x = draw.normal(0.4, 1, 30)
    normal = 2 * stats.norm.sf(abs(x.sum()) / np.sqrt((x**2).sum()))
    assert sign_flip_p(x.tolist()) == pytest.approx(normal, abs=0.01)
    assert sign_flip_p(x.tolist()) == sign_flip_p(x.tolist())
    assert sign_flip_p([1.0] * 40) == 1 / (2**EXACT + 1)


def test_zeros_say_nothing_about_a_sign() -> None:
    """Episodes without a difference neither help nor harm."""
    assert sign_flip_p([0.1, 0.0, 0.2, 0.0, 0.3]) == sign_flip_p([0.1, 0.2, 0.3])


def test_holm_by_hand() -> None:
    """The smallest of three counts three times, the next twice, and none is below the one before it."""
    assert holm({"b": 0.03, "a": 0.01, "c": 0.035}) == pytest.approx({"b": 0.06, "a": 0.03, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize(("tests", "needed"), [(1, 6), (3, 7), (7, 9), (15, 10)])
def test_episodes_that_significance_needs(tests: int, needed: int) -> None:
    """With seven arms beside the control, eight episodes can show nothing, nine can: 7 × 2/2^9 = 0.027."""
    assert episodes_needed(tests) == needed
    assert tests * sign_flip_p([1] * needed) <= 0.05 < tests * sign_flip_p([1] * (needed - 1))


def test_what_would_have_been_seen() -> None:
    """Twelve differences that deviate by 1: (t(11; 0.975) + t(11; 0.8)) / √12 = 0.888, over √(10.34 / 11)."""
    x = np.array([-1.0, 1.0] * 6)
    x /= x.std(ddof=1)
    assert smallest_seen(x.tolist(), tests=1) == pytest.approx(
        (2.2010 + 0.8755) / np.sqrt(12) / np.sqrt(10.341 / 11), abs=1e-3
    )


def test_what_would_have_been_seen_where_nothing_differed() -> None:
    """Without any difference the least is one request in as many episodes as significance asks for."""
    assert smallest_seen([0.0] * 12, tests=3, floor=1 / 20) == pytest.approx(7 / 12 / 20)
    assert smallest_seen([0.0] * 6, tests=3, floor=1 / 20) is None
