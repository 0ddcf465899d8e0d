"""Intervals over episodes: requests of one episode share its fate and are never counted as independent."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from brokenpipe.measure.findings import Interval

CONFIDENCE = 0.95
RESAMPLES = 4999
Array = npt.NDArray[np.float64]


def rate_interval(
    events: Sequence[int], trials: Sequence[int], *, largest_rate: float, seed: int
) -> Interval | None:
    """The 95 % interval of sum(events) / sum(trials), by BCa bootstrap over episodes.

    `largest_rate` is the largest rate of one episode of any arm in that phase. When all k episodes were alike,
    there is nothing to resample, and the exact bound on the share of episodes that are not, 1 − 0.05^(1/k),
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
        unlike = unlike_share(len(said))
        return Interval(rate * (1 - unlike), rate + unlike * max(0.0, largest_rate - rate))
    low, high = _bca(e, n, seed)
    return Interval(max(0.0, low), min(1.0, high))


def unlike_share(episodes: int) -> float:
    """The exact 95 % bound on the share of episodes unlike these, all of which were alike."""
    return float(1 - (1 - CONFIDENCE) ** (1 / episodes))


def _bca(events: Array, trials: Array, seed: int) -> tuple[float, float]:
    def ratio(e: Array, n: Array, axis: int = -1) -> Array:
        share: Array = e.sum(axis=axis) / np.maximum(n.sum(axis=axis), 1)
        return share

    for method in ("BCa", "percentile"):  # BCa is undefined where the jackknife does not vary
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = stats.bootstrap(
                (events, trials),
                ratio,
                paired=True,
                vectorized=True,
                n_resamples=RESAMPLES,
                confidence_level=CONFIDENCE,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite([found.low, found.high]).all():
            break
    return float(found.low), float(found.high)


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean of one value an episode, by Student's t.

    None with fewer than two, or when all are alike: nothing is known then of how they vary.
    """
    x = np.asarray(values, float)
    if len(x) < 2 or np.ptp(x) == 0:
        return None
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(float(x.mean()) - half, float(x.mean()) + half)


def smallest_visible_rate(trials: Sequence[int]) -> float:
    """The rate of an episode in which one request failed: the least that a run could have seen."""
    counted = [n for n in trials if n]
    return 1 / min(counted) if counted else 1.0
