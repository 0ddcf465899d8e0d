"""What is known of one pool, whatever its library: its number in this process, what it holds, and its limits."""

from __future__ import annotations

import itertools
import weakref
from typing import Any

_NEXT_NUMBER = itertools.count(1)


def next_pool_number() -> int:
    """Pools are numbered in the order of their first connections."""
    return next(_NEXT_NUMBER)


class PoolState:
    """One pool, which is not kept alive. A library's subclass reads the pool's own numbers.

    `out`: connections that requests or others hold. `connects_failed`: how many could not be opened so far, and
    `last_failure` is how the last one failed.
    """

    def __init__(self, pool: Any) -> None:
        self.number = next_pool_number()
        self.pool = weakref.ref(pool)
        self.out = 0
        self.connects_failed = 0
        self.last_failure: list[dict[str, Any]] | None = None

    def idle(self, pool: Any) -> int:
        """Connections that nobody holds."""
        raise NotImplementedError

    def size(self, pool: Any) -> int:
        """How many it keeps open."""
        raise NotImplementedError

    def most(self, pool: Any) -> int | None:
        """How many may be open at once; None: no limit."""
        raise NotImplementedError

    def timeout_s(self, pool: Any) -> float | None:
        """How long it waits for one; None: as long as it takes."""
        raise NotImplementedError

    def numbers(self) -> dict[str, int] | None:
        """Its numbers now; None if it is gone."""
        pool = self.pool()
        if pool is None:
            return None
        size, idle = self.size(pool), self.idle(pool)
        return {"size": size, "idle": idle, "out": self.out, "overflow": max(0, self.out + idle - size)}

    def limits(self) -> tuple[int | None, float | None]:
        """The most that may be open, and how long it waits; (0, None) if it is gone."""
        pool = self.pool()
        return (0, None) if pool is None else (self.most(pool), self.timeout_s(pool))
