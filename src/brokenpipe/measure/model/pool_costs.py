"""Benefits and costs of a pool's settings, for one arm in one phase."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MaskedDisconnects:
    """Dead connections replaced before a request saw them, by what replaced them."""

    pre_ping: int = 0
    recycle: int = 0
    invalidation: int = 0  # the pool dropped it because another connection had died
    noticed: int = 0  # the pool or its driver found it dead while no request asked

    @property
    def total(self) -> int:
        return self.pre_ping + self.recycle + self.invalidation + self.noticed


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One of pre-ping, recycle, invalidation and noticed. Each replacement of a connection is a reconnect.

    caught + healthy = reconnects: `healthy` were alive and thrown away. `ms_per_checkout` is what it added to each
    checkout on average: pings, and opening what it replaced. `round_trips` likewise; None: not measured (RoundTrips).
    """

    name: str  # "pre-ping", "recycle", "invalidation", "noticed"
    caught: int
    healthy: int
    ms_per_checkout: float | None
    round_trips: float | None = None

    @property
    def reconnects(self) -> int:
        return self.caught + self.healthy


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Round trips of one pre-ping and of opening one connection, measured: by how much a latency on the wire, which is
    known, made them longer. None: no phase with a latency, or none of them in it and before.
    """

    ping: float | None
    connect: float | None


@dataclass(frozen=True, slots=True)
class PoolCost:
    """What the pool's settings cost, per checkout, from the witness."""

    checkouts: int
    pings: int  # of connections that were good
    ping_ms: float | None  # mean of those
    wait_ms: float | None  # mean wait for a connection
    connects: int
    connect_ms: float | None  # mean
    most_connects_per_s: int = 0  # in the worst second
    mechanisms: tuple[Mechanism, ...] = ()
