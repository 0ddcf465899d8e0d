"""The distributions say what scipy.stats says of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scipy import stats

from brokenpipe.measure.stats import distributions

MEANS = (0.01, 0.5, 3.0, 17.2, 240.0)
TAILS = (0.5, 0.05, 1e-6, 1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 4.5, 30, 2000])
def test_student_and_chi_squared(freedom: float) -> None:
    """Where a share of them lies below."""
    for p in (0.001, 0.5, 0.8, 0.975, 0.99999):
        assert distributions.t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), abs=1e-12)
        assert distributions.chi2_quantile(p, freedom) == pytest.approx(stats.chi2.ppf(p, freedom))


@pytest.mark.parametrize("mean", MEANS)
def test_poisson(mean: float) -> None:
    """How likely more than a count is, and the count that is exceeded hardly ever."""
    for most in (-1, 0, 1, 5, 300):
        assert distributions.poisson_tail(most, mean) == pytest.approx(stats.poisson.sf(most, mean))
    for tail in TAILS:
        assert distributions.poisson_bound(tail, mean) == stats.poisson.isf(tail, mean)


@pytest.mark.parametrize(("successes", "of"), [(0, 1), (1, 1), (0, 40), (7, 40), (40, 40), (3, 20_000)])
def test_binomial(successes: int, of: int) -> None:
    """At most so many, and the exact interval of a share."""
    for share in (0.0, 0.01, 0.5, 1.0):
        exact = stats.binom.cdf(successes, of, share)
        assert distributions.binomial_cdf(successes, of, share) == pytest.approx(exact)
    for error in (0.05, 0.001):
        found = distributions.binomial_interval(successes, of, error)
        exact = stats.binomtest(successes, of).proportion_ci(1 - error, method="exact")
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_measuring_does_without_the_rest_of_scipy() -> None:
    """Its statistics take most of a second to import."""
    asked = "import sys, brokenpipe.measure.pipeline, brokenpipe.report.run.html; print('scipy.stats' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
