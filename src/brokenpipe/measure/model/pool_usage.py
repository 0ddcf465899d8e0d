"""Usage of one arm's pools in one phase: waits for a connection, and how many were in use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Pool usage, from the records of the witness. Times are milliseconds unless their name says otherwise.

    A checkout that timed out counts with its whole wait: else a pool without free connections would show no waits.
    Percentiles are nearest ranks. `most` and `size` are of all processes together.
    """

    processes: int  # of the service that had a pool
    size: int  # connections that the pools keep
    most: int | None  # that they may open, overflow included; None: no limit, or not recorded
    timeout_s: float | None  # how long a checkout waits; None: not recorded
    checkouts: int  # asked for, given up or not
    gave_up: int
    wait_p50_ms: float
    wait_p95_ms: float
    wait_p99_ms: float
    episode_p95_ms: tuple[float, ...]  # of each episode with a checkout
    held_ms: float  # all checkouts together; 0 in histories that do not tell
    seconds: float  # that count
    peak_out: int  # most connections in use at once, looked at four times a second
    peak_connections: int | None  # at Postgres, of all clients; None: not gauged
    # Of `held_ms`, without what was held after the last episode; None: all of it.
    counted_ms: float | None = None
    # Of one checkout, from out to back, on average; None: none is known to have ended.
    hold_ms: float | None = None

    @property
    def mean_out(self) -> float:
        """Connections in use on average while it counts: Little's law, arrivals × hold. Never more than there are.

        Of sums it is not known how much was held after the last episode, up to a second.
        """
        held_ms = self.held_ms if self.counted_ms is None else self.counted_ms
        mean = held_ms / 1000 / self.seconds if self.seconds else 0.0
        return mean if self.most is None else min(mean, float(self.most))
