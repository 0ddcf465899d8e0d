"""Paired tests of differences from the control, and the smallest difference that they can detect.

If two arms do not differ, an episode's difference is as likely to have the other sign. Flipping the signs in
every possible way shows how often chance alone gives a mean as far from 0 (Fisher's randomization test).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from brokenpipe.measure.stats.distributions import chi2_quantile, t_quantile
from brokenpipe.measure.stats.intervals import ERROR

EXACT = 14  # differences that are not 0: up to here all 2^k flips are tried, beyond a sample of as many
POWER = 0.8
_PARTS = 16  # at a time: with a thousand episodes, all the flips as numbers of 8 bytes are 130 MB
_SAMPLE_SEED = 1  # the same history, the same p


def sign_flip_p(differences: Sequence[float]) -> float:
    """The two-sided p of a mean of 0. An episode without a difference has no sign to flip and does not count."""
    x = np.asarray([d for d in differences if d], float)
    if not len(x):
        return 1.0
    seen, scale = abs(x.sum()), np.abs(x).sum()
    ways = _signs(min(len(x), EXACT + 1), len(x))
    sums = np.concatenate([np.abs(some @ x) for some in np.array_split(ways, _PARTS)])
    extreme = sums >= seen - 1e-9 * scale
    if len(x) <= EXACT:
        return float(extreme.mean())
    return float((extreme.sum() + 1) / (len(extreme) + 1))


@lru_cache(maxsize=4)
def _signs(kind: int, k: int) -> npt.NDArray[np.int8]:
    """Every way to give k signs up to the first, which is +; from EXACT + 1 on a seeded sample of ways."""
    if kind <= EXACT:
        bits = (np.arange(2 ** (k - 1))[:, None] >> np.arange(k)) & 1
    else:
        draws = np.random.default_rng(_SAMPLE_SEED)
        rows = 2**EXACT // _PARTS
        bits = np.concatenate([draws.integers(0, 2, (rows, k)).astype(np.int8) for _ in range(_PARTS)])
    return (1 - 2 * bits).astype(np.int8)


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Each p adjusted for the others that are tested beside it (Holm 1979): below 0.05 means what it says."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(ps, key=lambda each: ps[each])):
        largest = max(largest, min(1.0, ps[name] * (len(ps) - rank)))
        adjusted[name] = largest
    return {name: adjusted[name] for name in ps}


def adjusted_ps(paired: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of each arm, how often chance alone shows as much, from its paired differences; the arms are one family."""
    return holm({arm: sign_flip_p(differences) for arm, differences in paired.items()})


def episodes_needed(tests: int, error: float = ERROR) -> int:
    """The fewest episodes with a difference that can be significant, all of one sign, beside so many tests."""
    return math.ceil(1 + math.log2(tests / error) - 1e-9)


def smallest_seen(
    differences: Sequence[float], *, tests: int, floor: float = 0.0, error: float = ERROR
) -> float | None:
    """The smallest difference that a run like this one sees in 80 of 100 cases.

    From how the differences varied, at the strictest level that Holm asks for. `floor` is the least that one
    episode can differ by: that much in as many episodes as it takes is needed in any case. None when so few
    episodes can show nothing, whatever happens.
    """
    k = len(differences)
    needed = episodes_needed(tests, error)
    if k < needed:
        return None
    x = np.asarray(differences, float)
    return max(float(_quantiles(k, error / tests) * x.std(ddof=1) / np.sqrt(k)), needed / k * floor)


@cache
def _quantiles(k: int, error: float) -> float:
    """Of t for the error and for the power; a deviation of few episodes is too small more often than too large."""
    quantiles = t_quantile([1 - error / 2, POWER], k - 1).sum()
    return float(quantiles / np.sqrt(chi2_quantile(0.5, k - 1) / (k - 1)))
