"""Intervals over episodes: requests of one episode share its fate and are never counted as independent.

Which formula covers what it promises at a dozen episodes was decided by simulation
(docs/decisions/0040-intervals-that-cover.md). `error` is the share of intervals that may miss the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from brokenpipe.interval import Interval
from brokenpipe.measure.stats.distributions import special, t_quantile

ERROR = 0.05
Array = npt.NDArray[np.float64]


def rate_interval(
    events: Sequence[int], trials: Sequence[int], *, largest_rate: float, error: float = ERROR
) -> Interval | None:
    """The interval of sum(events) / sum(trials): Student's t on the logit scale, over episodes.

    `largest_rate` is the largest rate of one episode of any arm in that phase. When all k episodes were alike,
    nothing shows how they vary, and the exact bound on the share of episodes that are not, 1 − error^(1/k),
    takes its place: those may have had no event at all, or this rate. So when nothing happened, the upper
    end is that bound times that rate.

    An episode without a request says nothing and is no episode. None with fewer than two others.
    """
    said = [(event, trial) for event, trial in zip(events, trials, strict=True) if trial]
    if len(said) < 2:
        return None
    e, n = (np.asarray(column, float) for column in zip(*said, strict=True))
    rate = float(e.sum() / n.sum())
    if np.ptp(e / n) == 0:
        unlike = dissimilar_share(len(said), error)
        return Interval(rate * (1 - unlike), rate + unlike * max(0.0, largest_rate - rate))
    reach = _t(error, len(said)) * _rate_deviation(e, n) / (rate * (1 - rate))  # on the logit scale
    low, high = special.expit(special.logit(rate) + np.array([-reach, reach]))
    return Interval(float(low), float(high))


def _rate_deviation(events: Array, trials: Array) -> float:
    """The standard error of a ratio of sums. An episode that holds much of the load draws the rate towards
    itself and hides its own deviation: divided by 1 − its share of the load, as in HC3 (MacKinnon, White 1985).
    """
    share = trials / trials.sum()
    residuals = (events - trials * events.sum() / trials.sum()) / (1 - share)
    return float(np.sqrt((residuals**2).sum()) / trials.sum())


def dissimilar_share(episodes: int, error: float = ERROR) -> float:
    """The exact bound on the share of episodes unlike these, all of which were alike."""
    return float(1 - error ** (1 / episodes))


def mean_interval(values: Sequence[float], *, error: float = ERROR) -> Interval | None:
    """The interval of the mean of one value an episode: Student's, and as far beyond it as the skew asks for.

    The skew is met by Hall's transformation (1992, J. R. Statist. Soc. B 54). None with fewer than two values, or
    when all are alike: nothing is known then of how they vary.
    """
    x = np.asarray(values, float)
    if len(x) < 2 or np.ptp(x) == 0:
        return None
    low, high = _mean_ends(x, error)
    return Interval(low, high)


def count_interval(counts: Sequence[float], *, largest: float, error: float = ERROR) -> Interval | None:
    """The interval of the mean count of an episode; never below 0.

    `largest` is that of any episode of any arm in that phase. All alike, the bound on episodes that are not takes its
    place, as for a rate.
    """
    if len(counts) < 2:
        return None
    interval = mean_interval(counts, error=error)
    if interval is not None:
        return Interval(max(0.0, interval.low), interval.high)
    unlike = dissimilar_share(len(counts), error)
    return Interval(counts[0] * (1 - unlike), counts[0] + unlike * max(0.0, largest - counts[0]))


def _mean_ends(x: Array, error: float) -> tuple[float, float]:
    mean, spread, t = float(x.mean()), float(np.ptp(x)), _t(error, len(x))
    scaled = (x - mean) / spread  # the cube of what is very small is 0
    deviation = spread * float(scaled.std(ddof=1))
    half = t * deviation / np.sqrt(len(x))
    skew = float(np.mean(scaled**3) / scaled.std() ** 3)
    below, above = (deviation * _hall_inverse(end, skew, len(x)) for end in (t, -t))
    return mean - float(max(half, below)), mean + float(max(half, -above))


def _hall_inverse(t: float, skew: float, k: int) -> float:
    """Where Hall's cubic transformation of a studentized mean is t, in standard deviations."""
    if abs(skew) < 1e-6:
        return float(t / np.sqrt(k))
    return float(3 / skew * (np.cbrt(1 + skew * (t / np.sqrt(k) - skew / (6 * k))) - 1))


@cache
def _t(error: float, k: int) -> float:
    return float(t_quantile(1 - error / 2, k - 1))


def smallest_visible_rate(trials: Sequence[int]) -> float:
    """The rate of an episode in which one request failed: the least that a run could have seen."""
    counted = [n for n in trials if n]
    return 1 / min(counted) if counted else 1.0
