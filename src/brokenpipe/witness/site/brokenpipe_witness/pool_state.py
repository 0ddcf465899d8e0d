"""What is known of one pool of a driver: its number in this process, what it holds, and its limits."""

from __future__ import annotations

import itertools
import weakref
from typing import Any, Callable, NamedTuple

_NEXT_NUMBER = itertools.count(1)


def next_pool_number() -> int:
    """Pools are numbered in the order of their first connections."""
    return next(_NEXT_NUMBER)


class PoolNumbers(NamedTuple):
    """`size`: how many it keeps open. `most`: how many may be open; None: no limit. `timeout_s`: how long it waits."""

    size: int
    idle: int
    most: int | None
    timeout_s: float | None


class PoolState:
    """One pool, which is not kept alive. `read` asks it for its own numbers.

    `out`: connections that requests or others hold. `connects_failed`: how many could not be opened so far, and
    `last_failure` is how the last one failed.
    """

    def __init__(self, pool: Any, read: Callable[[Any], PoolNumbers]) -> None:
        self.number = next_pool_number()
        self._pool = weakref.ref(pool)
        self._read = read
        self.out = 0
        self.connects_failed = 0
        self.last_failure: list[dict[str, Any]] | None = None

    def read(self) -> PoolNumbers | None:
        """Its own numbers; None if it is gone."""
        pool = self._pool()
        return None if pool is None else self._read(pool)

    def sample(self) -> dict[str, int] | None:
        """Its numbers in the words of a `pool` line; None if it is gone."""
        numbers = self.read()
        if numbers is None:
            return None
        size, idle, _, _ = numbers
        return {"size": size, "idle": idle, "out": self.out, "overflow": max(0, self.out + idle - size)}
