"""The distributions that are needed here, from scipy.special.

scipy.stats has the same under longer names, and importing it takes 0.7 s of processor time: every command that makes a
report would pay that, and every test process (`docs/performance.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brokenpipe.interval import Interval
from brokenpipe.measure.stats.special_functions import compiled_functions

special = compiled_functions()


def t_quantile(p: float | Sequence[float], freedom: float) -> Any:
    """Student's t: where a share `p` (0..1) of it lies below; one number, or an array for several `p`."""
    found: NDArray[np.float64] = special.stdtrit(freedom, np.asarray(p))
    return found


def chi2_quantile(p: float, freedom: float) -> float:
    """Chi-squared: where a share `p` (0..1) of it lies below."""
    return float(special.chdtri(freedom, 1 - p))


def binomial_cdf(most: int, of: int, share: float) -> float:
    """How likely at most `most` of `of` trials succeed, each with a chance of `share` (0..1)."""
    return float(special.bdtr(most, of, share))


def poisson_tail(most: int, mean: float) -> float:
    """How likely a Poisson count of that mean is more than `most`."""
    return float(special.pdtrc(most, mean)) if most >= 0 else 1.0


def poisson_bound(tail: float, mean: float) -> int:
    """The least count that a Poisson count of that mean exceeds with a chance of at most `tail` (0..1)."""
    return next(most for most in count() if poisson_tail(most, mean) <= tail)


def binomial_interval(successes: int, of: int, error: float) -> Interval:
    """The exact interval (Clopper-Pearson) of a share, in which it is not in `error` (0..1) of all cases at most."""
    low = special.betaincinv(successes, of - successes + 1, error / 2) if successes else 0.0
    high = special.betaincinv(successes + 1, of - successes, 1 - error / 2) if successes < of else 1.0
    return Interval(float(low), float(high))
