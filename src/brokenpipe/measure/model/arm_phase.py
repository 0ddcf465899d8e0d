"""Statistics of one arm in one phase: one cell of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brokenpipe.interval import Interval
from brokenpipe.measure.model.attribution import AttributionCounts
from brokenpipe.measure.model.lost_slots import LostSlots
from brokenpipe.measure.model.pool_costs import MaskedDisconnects, PoolCost
from brokenpipe.measure.model.recovery import NEVER
from brokenpipe.measure.model.write_counts import WriteCounts

ArmPhase = tuple[str, str]  # arm, phase
NOTICEABLE_LAG_MS = 100.0  # of a late event loop


@dataclass(frozen=True, slots=True)
class LatencyPercentiles:
    """Percentiles of successful requests, in milliseconds. None where nothing succeeded."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class PerEpisode:
    """Mean number of requests of a kind in an episode, over the episodes with any request."""

    value: float
    ci95: Interval | None


@dataclass(frozen=True, slots=True)
class ClientDisconnects:
    """Requests that did not fail but whose clients disconnected before the answer was complete, as the service noticed.

    `reconnects`: connections that were given up because their request was cancelled; each must be opened again.
    """

    requests: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class ArmPhaseStats:
    """Statistics of one arm in one phase.

    broken = stale + in_use + after_rest + elsewhere. `after_rest`: the connection had rested for `rest_s` (from, to;
    None: not recorded) and ended at its first use; whether it had died before cannot be told. `elsewhere`: disconnects
    without a connection to look at, for example in a target whose pool the witness cannot see. `unexplained`: failed,
    and why is not known; they may be broken as well. So failed = broken + unexplained + otherwise. `swallowed`:
    answered as successes although the database had failed them and nothing made up for it.
    """

    arm: str
    phase: str
    requests: int
    failed: int
    broken: int
    stale: int
    in_use: int
    elsewhere: int
    unexplained: int
    broken_pipe_rate: float | None  # None: no request was started, or some failed without a witness
    ci95: Interval | None
    episodes: int
    latency_ms: LatencyPercentiles
    latency_by_request: Mapping[str, LatencyPercentiles]
    failed_by_class: Mapping[str, int]
    # One for each episode that was struck: to the first success after which it went on succeeding, see `outages`;
    # infinite where none came. None: not known, without a request.
    recovery_s: tuple[float | None, ...]
    masked: MaskedDisconnects | None  # None: no witness
    pool_cost: PoolCost | None
    swallowed: int | None = None  # None: no witness
    writes: WriteCounts | None = None  # None: no ledger, or nothing that it could be compared with
    attribution: AttributionCounts | None = None  # None: nothing failed
    # Connections at most, at Postgres and of the service (with ours) to the proxy. None: not known.
    server_connections: int | None = None
    client_connections: int | None = None
    after_rest: int = 0
    rest_s: tuple[float, float] | None = None
    # How late the service's event loop ran what was due, at most. None: not watched, or there is no loop.
    loop_lag_ms: float | None = None
    client_disconnects: ClientDisconnects | None = None  # None: no witness
    unavailable_s: float | None = None  # in which requests waited and none was answered; None: no request
    longest_wait_ms: float | None = None  # of any request, failed or not; None: no request

    broken_per_episode: PerEpisode | None = None  # None: no request, or the causes are not known
    failed_per_episode: PerEpisode | None = None  # None: no request
    seconds: float | None = None  # that its episodes lasted, pauses of users included
    waited_s: float | None = None  # by its users, for all answers together
    # Connections that were not given back after their requests. None: requests are not followed into the pool.
    lost_slots: LostSlots | None = None

    @property
    def requests_per_s(self) -> float | None:
        return self.requests / self.seconds if self.seconds else None

    @property
    def lost_slots_count(self) -> int | None:
        return None if self.lost_slots is None else self.lost_slots.count

    @property
    def mean_under_way(self) -> float | None:
        """Requests under way on average, by Little's law. None: not known."""
        return self.waited_s / self.seconds if self.seconds and self.waited_s is not None else None

    @property
    def never_recovered(self) -> int | None:
        """Episodes after whose strike no success followed. None: no strike, or no request."""
        known = [time for time in self.recovery_s if time is not None]
        return sum(time == NEVER for time in known) if known else None

    @property
    def slowest_recovery_s(self) -> float | None:
        """Infinite if it once did not recover."""
        return max((time for time in self.recovery_s if time is not None), default=None)

    @property
    def otherwise(self) -> int:
        """Failed for a reason that is known and no disconnect: a full pool, a time limit, a refused connection."""
        return self.failed - self.broken - self.unexplained

    @property
    def known_broken(self) -> int | None:
        """None if any of those that failed for unknown reasons may be broken: then `broken` is a lower bound."""
        return None if self.requests and self.broken_pipe_rate is None else self.broken

    @property
    def states_known(self) -> bool:
        """Whether stale and in use can be told apart: requests are followed into the pool, or none had to be."""
        return self.masked is not None or not (self.elsewhere or self.unexplained)

    @property
    def shows_service_trouble(self) -> bool:
        """Whether its event loop was noticeably late, or clients disconnected."""
        return (self.loop_lag_ms or 0.0) >= NOTICEABLE_LAG_MS or bool(
            self.client_disconnects and self.client_disconnects.requests
        )
