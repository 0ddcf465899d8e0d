"""Pool costs of each arm and phase, in total and for each setting, from the records of the witness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from brokenpipe.history.reader import History
from brokenpipe.history.records.witness import WitnessClose
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.pool_costs import MaskedDisconnects, Mechanism, PoolCost, RoundTrips
from brokenpipe.measure.tables.requests import select_with_episode
from brokenpipe.plan.scenario import Scenario

# Requests with something to tell have a line with each of their checkouts; of the others there are sums.
# A checkout that pinged and then connected had a ping that failed: its time is not the price of a ping.
_COSTS = f"""
WITH told AS (SELECT witness_arm, phase, unnest(checkouts) AS c FROM testimony WHERE phase IS NOT NULL),
sums AS (
    SELECT witness_arm, phase, 1 AS checkouts, (c.ping_ms IS NOT NULL AND NOT c.fresh)::INT AS pings,
           CASE WHEN NOT c.fresh THEN c.ping_ms END AS ping_ms, c.wait_ms,
           (c.connect_ms IS NOT NULL)::INT AS connects, c.connect_ms
    FROM told
    UNION ALL
    SELECT witness_arm, phase, checkouts, pings, ping_ms, wait_ms, connects, connect_ms
    FROM ({select_with_episode("FROM tallies", "t0")}) WHERE phase IS NOT NULL
)
SELECT witness_arm, phase, sum(checkouts)::BIGINT, sum(pings)::BIGINT, sum(ping_ms) / nullif(sum(pings), 0),
       sum(wait_ms) / nullif(sum(checkouts), 0), sum(connects)::BIGINT, sum(connect_ms) / nullif(sum(connects), 0)
FROM sums GROUP BY ALL
"""

_PEAK_CONNECTS = f"""
WITH c AS (
    SELECT witness_arm, phase, count(*) OVER (
        PARTITION BY witness_arm ORDER BY t RANGE BETWEEN CURRENT ROW AND 999999999 FOLLOWING) AS within
    FROM ({select_with_episode("FROM connects", "t")})
)
SELECT witness_arm, phase, max(within) FROM c WHERE phase IS NOT NULL GROUP BY ALL
"""

# Closed connections, counted by all that the rule of `ReplacedConnection` asks. One that was forgotten on its way looks
# alive and was not: the proxy's log knows.
_CLOSED = """
WITH known AS (
    SELECT c.* REPLACE (c.dead OR coalesce(f.t >= o.t, false) AS dead) FROM closed c
    ASOF LEFT JOIN links_forgotten f ON c.witness_arm = f.arm AND c.port = f.port AND c.t >= f.t
    ASOF LEFT JOIN links_opened o ON c.witness_arm = o.arm AND c.port = o.port AND c.t >= o.t
)
SELECT witness_arm, phase, after, coalesce(age_ms >= recycle_ms, false), coalesce(pool_invalidated, false), dead,
       count(*)
FROM known WHERE phase IS NOT NULL AND (id IS NOT NULL OR after = 'noticed') GROUP BY ALL
"""

_FAILED_PINGS = f"""
SELECT witness_arm, phase, sum(ms)
FROM ({select_with_episode("FROM ping_failures", "t")}) WHERE phase IS NOT NULL GROUP BY ALL
"""

MECHANISMS = ("pre-ping", "recycle", "invalidation", "noticed")
_Replaced = Mapping[str, tuple[int, int]]  # dead and healthy connections, by mechanism


_BY_WHAT_BEFELL = {"ping": "pre-ping", "noticed": "noticed"}


@dataclass(frozen=True, slots=True)
class ReplacedConnection:
    """A connection that the pool closed during a request, or by itself, by what the pool knew of it.

    `after`: what had failed on it. `too_old`: older than the pool's recycle. `dead`: None if that was not recorded.
    """

    after: str | None
    too_old: bool
    pool_invalidated: bool
    dead: bool | None

    @property
    def mechanism(self) -> str | None:
        """What made the pool replace it at a checkout; None: it was closed for another reason."""
        if self.after in _BY_WHAT_BEFELL:
            return _BY_WHAT_BEFELL[self.after]
        if self.after is not None:
            return None
        return "recycle" if self.too_old else "invalidation" if self.pool_invalidated else None

    @property
    def masked_disconnect(self) -> bool:
        """Whether it was dead and was replaced before a request got it."""
        return self.mechanism is not None and (bool(self.dead) or self.after == "ping")

    @property
    def healthy(self) -> bool:
        """Whether it was replaced although it was alive."""
        return self.mechanism is not None and self.dead is False and self.after is None


def replaced_connection(close: WitnessClose) -> ReplacedConnection | None:
    """Of one line of the witness; None if no request waited for it, and the pool had not noticed that it was dead."""
    if close.id is None and close.after != "noticed":
        return None
    too_old = close.recycle_ms is not None and close.age_ms is not None and close.age_ms >= close.recycle_ms
    return ReplacedConnection(close.after, too_old, bool(close.pool_invalidated), close.dead)


def masked_and_costs(history: History) -> tuple[dict[ArmPhase, MaskedDisconnects], dict[ArmPhase, PoolCost]]:
    """Masked disconnects and pool costs of each arm and phase."""
    replaced = _replaced(history)
    worst = {(arm, phase): most for arm, phase, most in history.rows(_PEAK_CONNECTS)}
    failed_pings = {(arm, phase): ms for arm, phase, ms in history.rows(_FAILED_PINGS)}
    prices = {}
    for arm, phase, *figures in history.rows(_COSTS):
        place = (arm, phase)
        price = PoolCost(*figures)
        mechanisms = _mechanisms(price, replaced[place], failed_pings.get(place, 0.0))
        prices[place] = replace(price, mechanisms=mechanisms, most_connects_per_s=worst.get(place, 0))
    return {place: _masked(found) for place, found in replaced.items()}, prices


def _replaced(history: History) -> dict[ArmPhase, dict[str, tuple[int, int]]]:
    found: dict[ArmPhase, dict[str, tuple[int, int]]] = defaultdict(dict)
    for arm, phase, *known, count in history.rows(_CLOSED):
        one = ReplacedConnection(*known)
        if one.mechanism is not None:
            dead, healthy = found[arm, phase].get(one.mechanism, (0, 0))
            counts = (dead + count * one.masked_disconnect, healthy + count * one.healthy)
            found[arm, phase][one.mechanism] = counts
    return found


def _masked(found: _Replaced) -> MaskedDisconnects:
    dead = [found.get(name, (0, 0))[0] for name in MECHANISMS]
    return MaskedDisconnects(*dead)


def _mechanisms(price: PoolCost, found: _Replaced, failed_pings_ms: float) -> tuple[Mechanism, ...]:
    made = []
    for name in MECHANISMS:
        dead, healthy = found.get(name, (0, 0))
        pings_ms = price.pings * (price.ping_ms or 0.0) + failed_pings_ms if name == "pre-ping" else 0.0
        if not (dead or healthy or pings_ms):
            continue
        opening_ms = (dead + healthy) * (price.connect_ms or 0.0)
        each = (pings_ms + opening_ms) / price.checkouts if price.checkouts else None
        made.append(Mechanism(name, dead, healthy, each))
    return tuple(made)


def measure_round_trips(scenario: Scenario, prices: Mapping[ArmPhase, PoolCost]) -> dict[str, RoundTrips]:
    """Round trips of a ping and of a connect, by arm: what a known latency adds, over that latency."""
    calm = next((phase.name for phase in scenario.phases if phase.fault is None), None)
    slow = next((phase for phase in scenario.phases if phase.fault and phase.fault.delay_ms), None)
    if calm is None or slow is None or slow.fault is None:
        return {}
    found = {}
    for arm in scenario.arms:
        if slow.arms and arm not in slow.arms:
            continue
        before, then = prices.get((arm, calm)), prices.get((arm, slow.name))
        if before and then:
            ping = _added(before.ping_ms, then.ping_ms, slow.fault.delay_ms)
            found[arm] = RoundTrips(ping, _added(before.connect_ms, then.connect_ms, slow.fault.delay_ms))
    return found


def with_round_trips(
    scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats]
) -> dict[ArmPhase, ArmPhaseStats]:
    """Add round trips to the pool cost of each arm and phase, where they could be measured."""
    prices = {place: cell.pool_cost for place, cell in cells.items() if cell.pool_cost}
    measured = measure_round_trips(scenario, prices)
    return {
        place: replace(cell, pool_cost=add_round_trips(cell.pool_cost, measured[place[0]]))
        if cell.pool_cost and place[0] in measured
        else cell
        for place, cell in cells.items()
    }


def _added(before_ms: float | None, then_ms: float | None, latency_ms: float) -> float | None:
    return None if before_ms is None or then_ms is None else max(0.0, (then_ms - before_ms) / latency_ms)


def add_round_trips(price: PoolCost, measured: RoundTrips) -> PoolCost:
    """The pool cost with the round trips that each setting adds to a checkout."""

    def added(mechanism: Mechanism) -> float | None:
        pings = price.pings + mechanism.caught if mechanism.name == "pre-ping" else 0
        if (pings and measured.ping is None) or (mechanism.reconnects and measured.connect is None):
            return None
        total = pings * (measured.ping or 0.0) + mechanism.reconnects * (measured.connect or 0.0)
        return total / price.checkouts if price.checkouts else None

    return replace(
        price, mechanisms=tuple(replace(each, round_trips=added(each)) for each in price.mechanisms)
    )
