"""How many users of each class one arm gets. Pure arithmetic, the same for every arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user class asks for: `fixed_count` users if that is above 0, else a share by `weight`."""

    weight: float
    fixed_count: int


def shares(users: int, wishes: Sequence[Wish]) -> tuple[int, ...]:
    """As many users for each wish as it gets of `users`; they always add up to `users`.

    Fixed counts are served first. When they ask for more than there are, or nobody else asks for the rest,
    they become weights. What does not divide goes to the largest remainders (Hamilton's method), ties to
    the class that comes first.

    Raises ValueError when nobody wishes for anything.
    """
    fixed = [max(wish.fixed_count, 0) for wish in wishes]
    weights = [0.0 if wish.fixed_count > 0 else max(wish.weight, 0.0) for wish in wishes]
    if not any(fixed) and not any(weights):
        raise ValueError("no user class has a weight above 0")
    if sum(fixed) > users or not any(weights):
        return _apportioned(users, [float(count) for count in fixed])
    rest = _apportioned(users - sum(fixed), weights)
    return tuple(count + more for count, more in zip(fixed, rest, strict=True))


def _apportioned(users: int, weights: Sequence[float]) -> tuple[int, ...]:
    quotas = [users * weight / sum(weights) for weight in weights]
    counts = [floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: (counts[i] - quotas[i], i))
    for i in by_remainder[: users - sum(counts)]:
        counts[i] += 1
    return tuple(counts)
