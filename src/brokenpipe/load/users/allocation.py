"""Allocation of one arm's users to user classes. Pure arithmetic, the same for every arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor


@dataclass(frozen=True, slots=True)
class ClassWeight:
    """A user class's share of the users: `fixed_count` of them if that is above 0, else by `weight`."""

    weight: float
    fixed_count: int


def allocate_users(users: int, classes: Sequence[ClassWeight]) -> tuple[int, ...]:
    """Users of each class; they always add up to `users`.

    Fixed counts are served first. If their sum is above `users`, or no class has a weight for the rest, they are used
    as weights. What does not divide goes to the largest remainders (Hamilton's method), ties to the class that comes
    first.

    Raises ValueError when no class has a fixed count or a weight.
    """
    fixed = [max(user_class.fixed_count, 0) for user_class in classes]
    weights = [0.0 if user_class.fixed_count > 0 else max(user_class.weight, 0.0) for user_class in classes]
    if not any(fixed) and not any(weights):
        raise ValueError("no user class has a weight above 0")
    if sum(fixed) > users or not any(weights):
        return _apportion(users, [float(count) for count in fixed])
    rest = _apportion(users - sum(fixed), weights)
    return tuple(count + more for count, more in zip(fixed, rest, strict=True))


def _apportion(users: int, weights: Sequence[float]) -> tuple[int, ...]:
    quotas = [users * weight / sum(weights) for weight in weights]
    counts = [floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: (counts[i] - quotas[i], i))
    for i in by_remainder[: users - sum(counts)]:
        counts[i] += 1
    return tuple(counts)
