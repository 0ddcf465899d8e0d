"""The time of requests, divided into what took it: the pool, the database, the event loop, and the rest.

request    ├─ pool ─┼ ping ┼─ statements ─┼── elsewhere ──┼─ statements ─┤
a call to another service, a lock, a limit of threads, its own work
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimeBreakdown:
    """Where the time of an arm's requests went in one phase, in milliseconds of a mean request.

    total = pool + connect + ping + statements + loop + elsewhere. `loop`: the event loop was late meanwhile, at least
    so long; None: without a loop, or requests work in other threads, and `elsewhere` includes it. `requests` are those
    that the witness saw end.
    """

    requests: int
    total_ms: float
    pool_ms: float  # waiting for a connection
    connect_ms: float
    ping_ms: float
    statements_ms: float
    loop_ms: float | None

    @property
    def elsewhere_ms(self) -> float:
        """What remains, a lower bound where a request uses several connections at once."""
        taken = self.pool_ms + self.connect_ms + self.ping_ms + self.statements_ms + (self.loop_ms or 0.0)
        return max(0.0, self.total_ms - taken)

    @property
    def outside_share(self) -> float:
        """The share of the time outside of pool and database, 0..1."""
        return ((self.loop_ms or 0.0) + self.elsewhere_ms) / self.total_ms if self.total_ms else 0.0

    def parts(self) -> Iterator[tuple[str, float | None]]:
        """The parts by their names, in the order in which they are drawn."""
        yield "pool", self.pool_ms
        yield "connect", self.connect_ms
        yield "ping", self.ping_ms
        yield "statements", self.statements_ms
        yield "loop", self.loop_ms
        yield "elsewhere", self.elsewhere_ms


PARTS = tuple(name for name, _ in TimeBreakdown(0, 0, 0, 0, 0, 0, None).parts())
