"""One-sided permutation test of a rise between two runs: the labels of their episodes are permuted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import numpy.typing as npt

from brokenpipe.measure.stats.two_sample import Sample

Array = npt.NDArray[np.float64]

PERMUTATIONS = 9_999
_CHUNK = 250
_SEED = 1  # the same two histories, the same p


def rise_p(base: Sample, new: Sample, *, tolerated: float, permutations: int = PERMUTATIONS) -> float | None:
    """One-sided: is `new` more than (1 + tolerated) × `base`?

    If it were just that, an episode of the baseline, scaled by as much, might as well have been played in the new run.
    Each permutation is judged by its rise divided by the standard error (Janssen 1997, Statistics and
    Probability Letters 36): so it holds, too, where one run varies more than the other or has more episodes. None if
    all episodes of both are alike: nothing can differ then, and it is no test.
    """
    sums = np.array([*(each * (1 + tolerated) for each in base.sums), *new.sums])
    weights = np.array(base.weights + new.weights)
    if not base.episodes or not new.episodes or np.ptp(sums / weights) == 0:
        return None
    first = base.episodes
    seen = float(_studentized(sums[None], weights[None], first)[0])
    draws = np.random.default_rng(_SEED)
    extreme = 0
    for rows in _rows(permutations):
        labels = draws.permuted(np.tile(np.arange(len(sums)), (rows, 1)), axis=1)
        extreme += int((_studentized(sums[labels], weights[labels], first) >= seen - 1e-9 * abs(seen)).sum())
    return (extreme + 1) / (permutations + 1)


def _rows(permutations: int) -> Iterator[int]:
    """Chunks of rows: with a thousand episodes, ten thousand rows of numbers are 80 MB."""
    whole, rest = divmod(permutations, _CHUNK)
    return (rows for rows in (*repeat(_CHUNK, whole), rest) if rows)


def _studentized(sums: Array, weights: Array, first: int) -> Array:
    """In each row the rise from the first episodes to the others, in standard errors."""
    base, base_variance = _ratio_and_variance(sums[:, :first], weights[:, :first])
    new, new_variance = _ratio_and_variance(sums[:, first:], weights[:, first:])
    # Where neither part varies, any rise is as clear as can be; the floor keeps it a number.
    scale = np.sqrt(base_variance + new_variance) + 1e-6 * np.abs(sums.sum() / weights.sum())
    found: Array = (new - base) / scale
    return found


def _ratio_and_variance(sums: Array, weights: Array) -> tuple[Array, Array]:
    total = weights.sum(axis=1)
    value = sums.sum(axis=1) / total
    residuals = sums - value[:, None] * weights
    k = sums.shape[1]
    return value, (residuals**2).sum(axis=1) / total**2 * (k / max(1, k - 1))
