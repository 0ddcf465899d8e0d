"""Pool size for a given demand, from a measured curve; and the answers of rules of thumb.

With arrivals at random, the number of requests that want a connection at once is Poisson distributed about the number
in use on average, a = arrivals × hold (Little's law; of the M/G/∞ queue, so that the distribution of holds does not
matter). How often it reaches the size of the pool was measured, at the knee: another a gets the size that is reached as
rarely. Each process has a pool of its own and a share of the arrivals, so that two processes need more than one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.sizing.curve import PoolSize, Sizing
from brokenpipe.measure.stats.distributions import poisson_bound, poisson_tail
from brokenpipe.plan.settings.postgres import RESERVED_CONNECTIONS

HEADROOM = 1.2  # of the rule (peak / workers) × 1.2
CEILING = 0.5  # of max_connections, for one service
TOLERANCE = 1e-9  # below which a sum of shares is what it was meant to be


@dataclass(frozen=True, slots=True)
class ServiceDemand:
    """The demand of a service: processes, peak requests a second, hold time of a connection, connection limit."""

    workers: int
    peak_per_s: float
    hold_ms: float
    max_connections: int | None = None

    @property
    def in_use(self) -> float:
        """On average, over all workers."""
        return self.peak_per_s * self.hold_ms / 1000

    @property
    def usable_connections(self) -> int | None:
        """Connections for ordinary roles: Postgres keeps three for superusers."""
        return None if self.max_connections is None else self.max_connections - RESERVED_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Advice:
    """For each worker a pool of `pool_size`, without overflow. `measured`: for the run's own demand, not scaled."""

    demand: ServiceDemand
    pool_size: int
    measured: bool
    timeout_s: float | None

    @property
    def total(self) -> int:
        return self.demand.workers * self.pool_size

    @property
    def fits(self) -> bool | None:
        """Whether Postgres has room for all of them; None: its limit is not known."""
        return (
            None if self.demand.usable_connections is None else self.total <= self.demand.usable_connections
        )

    @property
    def largest_that_fits(self) -> int:
        """For each worker; 0 if there is not even one."""
        return (self.demand.usable_connections or 0) // self.demand.workers

    @property
    def below_ceiling(self) -> bool | None:
        """Whether a second copy of the service fits beside it, as while a new version is rolled out."""
        most = self.demand.max_connections
        return None if most is None else self.total <= CEILING * most


def measured_demand(findings: Findings, sizing: Sizing) -> ServiceDemand | None:
    """The demand of the run itself, at its knee. None without a knee, or if what was held was not recorded."""
    return None if sizing.knee is None else demand_at(findings, sizing.knee)


def demand_at(findings: Findings, size: PoolSize) -> ServiceDemand | None:
    """The demand of the run with pools of this size. A request may hold several connections, one after the other."""
    if not size.use.mean_out:
        return None
    per_s = size.requests / size.use.seconds
    return ServiceDemand(size.processes, per_s, 1000 * size.use.mean_out / per_s, findings.max_connections)


def complete_demand(
    asked: tuple[int | None, float | None, float | None, int | None], its: ServiceDemand | None
) -> ServiceDemand | None:
    """The demand that was given, completed from the run's own. None if the run has none and something is missing."""
    workers, peak_per_s, hold_ms, most = asked
    if its is not None:
        workers, peak_per_s, hold_ms = (
            workers or its.workers,
            peak_per_s or its.peak_per_s,
            hold_ms or its.hold_ms,
        )
        most = its.max_connections if most is None else most
    if peak_per_s is None or hold_ms is None:
        return None
    return ServiceDemand(workers or 1, peak_per_s, hold_ms, most)


def advise(findings: Findings, sizing: Sizing, asked: ServiceDemand, knee: PoolSize) -> Advice:
    """The pool of each worker for these numbers. As the run's own, they get what was measured."""
    own = measured_demand(findings, sizing)
    same = own is not None and (own.workers, own.peak_per_s, own.hold_ms) == (
        asked.workers,
        asked.peak_per_s,
        asked.hold_ms,
    )
    if same:
        size = knee.per_process
    else:
        size = scale_size(
            knee.per_process,
            knee.use.mean_out / knee.processes,
            asked.in_use / asked.workers,
            opened=findings.arrivals_per_s is not None,
        )
    return Advice(asked, size, measured=same, timeout_s=knee.use.timeout_s)


def scale_size(knee: int, in_use: float, asked: float, *, opened: bool) -> int:
    """A pool's size for `asked` connections in use on average, where `knee` was enough for `in_use`.

    Of a closed load, whose users are never more than so many, the size grows in proportion: how arrivals pile up
    was not measured there.
    """
    if in_use <= 0:
        return knee
    if not opened:
        return max(1, math.ceil(knee * asked / in_use - TOLERANCE))
    rarely = poisson_tail(knee - 1, in_use) * (1 + TOLERANCE)
    return max(1, math.ceil(asked - TOLERANCE), poisson_bound(rarely, asked) + 1 if rarely > 0 else knee)


def rule_of_thumb_size(peak: float, workers: int) -> int:
    """The rule (peak concurrent holders / workers) × 1.2, for each worker."""
    return max(1, math.ceil(peak / workers * HEADROOM - TOLERANCE))


def ceiling_size(max_connections: int, workers: int) -> int:
    """The share of each worker in half of max_connections."""
    return int(max_connections * CEILING) // workers


def largest_within(sizing: Sizing, connections: int) -> PoolSize | None:
    """The largest measured size with at most so many connections; None if all are larger."""
    fitting = [size for size in sizing.curve if size.most <= connections]
    return fitting[-1] if fitting else None
