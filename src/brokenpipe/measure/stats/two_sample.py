"""Unpaired comparison of two runs: interval and permutation test of their difference.

The interval is made of those of the two runs (Zou and Donner 2008, Statistics in Medicine 27): what covers each of
them covers their difference, skewed or stuck at 0 as they may be. Whether there is a difference at all is tested by
permuting the labels: if both runs are the same, any episode may as well have been played in the other one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from brokenpipe.interval import Interval
from brokenpipe.measure.stats.distributions import t_quantile
from brokenpipe.measure.stats.intervals import ERROR
from brokenpipe.measure.stats.paired import POWER

Array = npt.NDArray[np.float64]

MAX_PERMUTATIONS = 10_000
_SEED = 1  # the same two histories, the same p
_PARTS = 16  # at a time: with a thousand episodes, all the ways as numbers of 8 bytes are 160 MB


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of the episodes of one run, as a ratio of sums. A latency weighs 1, a rate as many as its requests.

    `ci95` is the interval of that ratio, as the run's own report has it.
    """

    sums: tuple[float, ...]
    weights: tuple[float, ...]
    ci95: Interval | None = None

    @classmethod
    def of_values(cls, values: Sequence[float], ci95: Interval | None) -> Sample:
        """One value an episode: their mean."""
        return cls(tuple(values), (1.0,) * len(values), ci95)

    @property
    def episodes(self) -> int:
        return len(self.sums)

    @property
    def value(self) -> float | None:
        """None without an episode."""
        return math.fsum(self.sums) / math.fsum(self.weights) if self.weights else None

    @property
    def deviation(self) -> float | None:
        """The standard error of the value; None with fewer than two episodes."""
        value, k = self.value, self.episodes
        if value is None or k < 2:
            return None
        residuals = np.asarray(self.sums) - value * np.asarray(self.weights)
        return float(np.sqrt((residuals**2).sum() * k / (k - 1)) / sum(self.weights))


def difference_interval(base: Sample, new: Sample) -> Interval | None:
    """The interval of `new` − `base`. None where either has none."""
    if base.ci95 is None or new.ci95 is None or base.value is None or new.value is None:
        return None
    least = math.hypot(new.value - new.ci95.low, base.ci95.high - base.value)
    most = math.hypot(new.ci95.high - new.value, base.value - base.ci95.low)
    return Interval(new.value - base.value - least, new.value - base.value + most)


def can_differ(base: Sample, new: Sample) -> bool:
    """Whether any permutation could show a difference: not if all episodes have the same value."""
    if not base.episodes or not new.episodes:
        return False
    return bool(np.ptp(np.array(base.sums + new.sums) / np.array(base.weights + new.weights)) > 0)


def permutation_p(base: Sample, new: Sample) -> float:
    """How often permuted labels show as large a difference: two-sided, of 0..1.

    All permutations are tried where there are up to ten thousand, else a seeded sample.
    """
    if not can_differ(base, new):
        return 1.0
    sums, weights = np.array(base.sums + new.sums), np.array(base.weights + new.weights)
    ways = _permutations(base.episodes, new.episodes)
    found = np.concatenate([_distance(some, sums, weights) for some in np.array_split(ways, _PARTS)])
    extreme = int(
        (found >= found[0] - 1e-9 * np.ptp(sums / weights)).sum()
    )  # the first is as it was recorded
    return extreme / len(found)


def _distance(labels: npt.NDArray[np.bool_], sums: Array, weights: Array) -> Array:
    """The distance between the two ratios, for each permutation (a row)."""
    mine, all_mine = labels @ sums, labels @ weights
    found: Array = np.abs(mine / all_mine - (sums.sum() - mine) / (weights.sum() - all_mine))
    return found


@lru_cache(maxsize=4)
def _permutations(base: int, new: int) -> npt.NDArray[np.bool_]:
    """Which episodes are the first run's: as recorded, and every permutation or a sample of them."""
    total = base + new
    if math.comb(total, base) <= MAX_PERMUTATIONS:
        chosen = np.array(list(combinations(range(total), base)))  # in order: as recorded comes first
    else:
        draws = np.random.default_rng(_SEED)
        dealt = [np.sort(draws.permutation(total)[:base]) for _ in range(MAX_PERMUTATIONS - 1)]
        chosen = np.array([np.arange(base), *dealt])
    ways = np.zeros((len(chosen), total), bool)
    np.put_along_axis(ways, chosen, values=True, axis=1)
    return ways


def least_p(base: int, new: int) -> float:
    """The smallest p that so many episodes can give: that of the most extreme permutation."""
    return max((1 + (base == new)) / math.comb(base + new, base), 1 / MAX_PERMUTATIONS)


def smallest_seen(
    base: Sample, new: Sample, *, tests: int, floor: float = 0.0, error: float = ERROR
) -> float | None:
    """The smallest difference that two such runs show in 80 of 100 cases, at the strictest level that Holm asks for.

    `floor` is the least that one episode can differ by; so many as it takes must do so in any case. None when so
    few episodes can show nothing, whatever happens.
    """
    one, other, level = base.deviation, new.deviation, error / tests
    fewer, more = sorted((base.episodes, new.episodes))
    if one is None or other is None or least_p(fewer, more) > level:
        return None
    quantiles = t_quantile([1 - level / 2, POWER], fewer - 1).sum()  # fewer degrees of freedom than Welch's
    return max(
        float(quantiles * math.hypot(one, other)), _dissimilar_needed(fewer, more, level) / fewer * floor
    )


def _dissimilar_needed(k: int, others: int, level: float) -> int:
    """How many of k episodes must differ, while none of the others do, for so small a p."""
    for m in range(1, k + 1):
        if (1 + (k == others)) * math.comb(k, m) / math.comb(k + others, m) <= level:
            return m
    return k
