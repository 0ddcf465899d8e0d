"""Change points: where a metric changed for good from run to run, beyond chance and not for one run only.

The figures' ranks are split where both sides differ most (a CUSUM of ranks, as Pettitt 1979); whether that is more than
chance shows is tested by permuting the same values. Each half is then tested again. Ranks, because
one night on a busy machine is as far away as it likes and says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from brokenpipe.measure.stats.intervals import ERROR
from brokenpipe.measure.stats.paired import holm

Array = npt.NDArray[np.float64]

MIN_SEGMENT = 3  # runs: a shorter segment is an outlier, not a change
PERMUTATIONS = 10_000
_SEED = 1  # the same runs, the same change points


def change_points(series: Mapping[str, Sequence[float]], error: float = ERROR) -> dict[str, tuple[int, ...]]:
    """The positions at which each series changes; all series are one family (Holm).

    Of a hundred families in which nothing ever changed, at most five show any change point.
    """
    asked = {
        name: values for name, values in series.items() if len(values) >= 2 * MIN_SEGMENT and _varies(values)
    }
    adjusted = holm({name: _split(values)[1] for name, values in asked.items()})
    strict = error / max(len(asked), 1)
    return {
        name: _all_splits(series[name], strict) if adjusted.get(name, 1.0) <= error else () for name in series
    }


def runs_needed(series: int, error: float = ERROR) -> int:
    """The fewest runs in which a change in one of so many series can be seen: the clearest one, in the middle."""
    return next(n for n in range(2 * MIN_SEGMENT, 1000) if _least_p(n, n // 2) <= error / series)


def runs_after(runs: int, series: int, error: float = ERROR) -> int | None:
    """How many runs after a change it can be seen at the earliest, with so many runs in all; None: not at all yet."""
    return next((k for k in range(MIN_SEGMENT, runs // 2 + 1) if _least_p(runs, k) <= error / series), None)


def _least_p(runs: int, after: int) -> float:
    """The p of the clearest change: all of the last so many runs lie on one side of all before them."""
    ranks = np.arange(runs, dtype=np.float64) - (runs - 1) / 2
    return _p_value(_distance(ranks[None, :])[0][runs - after - MIN_SEGMENT], _by_chance(runs))


@lru_cache(maxsize=128)
def _by_chance(runs: int) -> Array:
    """The largest distance between two sides, in a sample of permutations of distinct values."""
    return _max_distances(np.arange(runs, dtype=np.float64) - (runs - 1) / 2)


def _varies(values: Sequence[float]) -> bool:
    return min(values) < max(values)


def _all_splits(values: Sequence[float], error: float, begin: int = 0) -> tuple[int, ...]:
    """All splits at that level: the first is known to be one."""
    at, _ = _split(values)
    parts = ((values[:at], begin), (values[at:], begin + at))
    before, after = (_next_splits(part, error, start) for part, start in parts)
    return (*before, begin + at, *after)


def _next_splits(values: Sequence[float], error: float, begin: int) -> tuple[int, ...]:
    if len(values) < 2 * MIN_SEGMENT or not _varies(values) or _split(values)[1] > error:
        return ()
    return _all_splits(values, error, begin)


def _split(values: Sequence[float]) -> tuple[int, float]:
    """Where both sides differ most, and the p of that difference."""
    ranks = stats.rankdata(values)
    ranks -= ranks.mean()
    apart = _distance(ranks[None, :])[0]
    return MIN_SEGMENT + int(apart.argmax()), _p_value(apart.max(), _max_distances(ranks))


def _max_distances(ranks: Array) -> Array:
    found: Array = _distance(ranks[_orders(len(ranks))]).max(axis=1)
    return found


def _p_value(seen: float, by_chance: Array) -> float:
    extreme = int((by_chance >= seen * (1 - 1e-9)).sum())
    return (extreme + 1) / (len(by_chance) + 1)


def _distance(ranks: Array) -> Array:
    """For each row, the distance between the two sides at every possible split."""
    n = ranks.shape[1]
    k = np.arange(MIN_SEGMENT, n - MIN_SEGMENT + 1)
    sums = ranks.cumsum(axis=1)[:, MIN_SEGMENT - 1 : n - MIN_SEGMENT]
    found: Array = np.abs(sums) / np.sqrt(k * (n - k) / n)
    return found


@lru_cache(maxsize=64)
def _orders(n: int) -> npt.NDArray[np.int16]:
    """A seeded sample of permutations."""
    draws = np.random.default_rng(_SEED)
    return draws.permuted(np.tile(np.arange(n, dtype=np.int16), (PERMUTATIONS, 1)), axis=1)
