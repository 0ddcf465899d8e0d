"""The due times of an open load: a Poisson process, drawn from the seed. Imports nothing of Locust."""

from __future__ import annotations

import random
from collections.abc import Iterator


def due_times(seed: int, arrival_seed_index: int, per_s: float) -> Iterator[float]:
    """Seconds from the opening of the gate, without end. Gaps are exponential; every arm gets the same."""
    draws, at_s = random.Random(f"{seed}/arrivals/{arrival_seed_index}"), 0.0  # noqa: S311  # simulated behaviour
    while True:
        at_s += draws.expovariate(per_s)
        yield at_s
