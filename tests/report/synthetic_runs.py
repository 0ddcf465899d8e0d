"""Figures that imitate trial runs (asyncpg, ten users an arm, two cores), drawn from a seeded generator."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhaseStats, LatencyPercentiles
from brokenpipe.measure.model.findings import PhaseFinding
from brokenpipe.measure.model.pool_costs import MaskedDisconnects, PoolCost
from brokenpipe.measure.model.series import Series, Timelines

ARMS: dict[str, dict[str, str]] = {
    "plain": {},
    "pre_ping": {"DB_POOL_PRE_PING": "true"},
    "recycle": {"DB_POOL_RECYCLE": "0.8"},
    "both": {"DB_POOL_PRE_PING": "true", "DB_POOL_RECYCLE": "0.8"},
}


@dataclass(frozen=True)
class Plan:
    """What a sample phase looks like. `stale` and `in_use`: share of requests broken in the plain arm."""

    name: str
    fault: str
    seconds: float
    strikes: int = 0
    stale: float = 0.0
    in_use: float = 0.0
    slower_ms: float = 0.0
    dead: int = 0  # connections of the pool that die idle
    bursts: bool = False


PHASES = (
    Plan("steady", "", 10),
    Plan("socket_kill", "socket_kill reset", 18, strikes=12, stale=0.009, in_use=0.028, dead=41),
    Plan("latency", "latency 25 ms downstream", 12, slower_ms=100),
    Plan("idle_reset", "idle_reset reset after 1000 ms", 36, strikes=12, stale=0.012, bursts=True, dead=108),
)


def _is_masking(env: dict[str, str]) -> tuple[bool, bool]:
    return env.get("DB_POOL_PRE_PING") == "true", "DB_POOL_RECYCLE" in env


def laid_out(plans: tuple[Plan, ...]) -> tuple[PhaseFinding, ...]:
    """One phase after the other, two seconds between them; strikes a little after the middle of their episode."""
    phases, at = [], 2.0
    for plan in plans:
        end = at + plan.seconds
        step = plan.seconds / max(plan.strikes, 1)
        strikes = tuple(round(at + step * (n + 0.55), 3) for n in range(plan.strikes))
        bursts = tuple((s, s + step * 0.45) for s in strikes) if plan.bursts else ()
        phases.append(PhaseFinding(plan.name, plan.fault, at, end, strikes, bursts))
        at = end + 2.0
    return tuple(phases)


def cell_of(arm: str, env: dict[str, str], plan: Plan, rng: random.Random) -> ArmPhaseStats:
    """What the arm did in the phase, if its settings mask what they can."""
    ping, recycle = _is_masking(env)
    requests = round(plan.seconds * 47 * rng.uniform(0.96, 1.04) * (0.45 if plan.bursts else 1))
    stale = 0 if ping or (recycle and plan.bursts) else round(requests * plan.stale)
    in_use = round(requests * plan.in_use * rng.uniform(0.85, 1.15))
    broken = stale + in_use
    rate = broken / requests
    spread = 1.9 * math.sqrt(rate * (1 - rate) / requests) + (0.004 if not broken else 0)
    p50 = (
        57
        + plan.slower_ms
        + (plan.slower_ms * 0.78 if ping else 0)
        + (3.2 if ping else 0)
        + rng.uniform(-1, 1)
    )
    first = (plan.dead * 2) // 5 if ping or recycle else 0
    masked = MaskedDisconnects(first * (not recycle), first * recycle, max(0, plan.dead - first - stale))
    connects = masked.total + broken + (round(plan.seconds / 0.8) * 9 if recycle else 0) + 2
    latency = LatencyPercentiles(p50, p50 * 1.6, p50 * 2.1)
    return ArmPhaseStats(
        arm=arm,
        phase=plan.name,
        requests=requests,
        failed=broken + (1 if plan.in_use and arm == "recycle" else 0),
        broken=broken,
        stale=stale,
        in_use=in_use,
        elsewhere=0,
        unexplained=0,
        broken_pipe_rate=rate,
        ci95=Interval(max(0.0, rate - spread), rate + spread),
        episodes=plan.strikes or int(plan.seconds / 2),
        latency_ms=latency,
        latency_by_request={
            "POST /chat": latency,
            "GET /conversations/{id}": LatencyPercentiles(4.1, 9.0, 14.2),
        },
        failed_by_class={"disconnect": broken} if broken else {},
        recovery_s=tuple(
            rng.choice((0.0, rng.expovariate(9), rng.expovariate(9))) if broken else 0.0
            for _ in range(plan.strikes or int(plan.seconds / 2))
        ),
        masked=masked,
        pool_cost=_pool_cost(requests, connects, plan, ping=ping),
    )


def _pool_cost(requests: int, connects: int, plan: Plan, *, ping: bool) -> PoolCost:
    return PoolCost(
        checkouts=requests * 2,
        pings=requests * 2 if ping else 0,
        ping_ms=1.31 + plan.slower_ms * 0.75 if ping else None,
        wait_ms=0.04,
        connects=connects,
        connect_ms=8.7,
    )


def _series(
    phases: tuple[PhaseFinding, ...], struck_in: set[str], value: float, hit: float, rng: random.Random
) -> Series:
    end = phases[-1].end_s if phases else 0.0
    strikes = [s for p in phases for s in p.strikes_s if p.name in struck_in]
    at = [round(n * 0.5, 2) for n in range(int(end * 2) + 2)] if phases else []
    values: list[float | None] = []
    for t in at:
        if not any(p.start_s <= t <= p.end_s for p in phases):
            values.append(None)
            continue
        struck = any(s <= t < s + 0.5 for s in strikes)
        values.append(max(0.0, value * rng.uniform(0.9, 1.1) + (hit * rng.random() if struck else 0.0)))
    return Series(tuple(at), tuple(values))


def timelines(
    phases: tuple[PhaseFinding, ...], cells: dict[tuple[str, str], ArmPhaseStats], rng: random.Random
) -> Timelines:
    """What failed is seen where it was struck; all else goes up and down with every strike."""
    arms = tuple(dict.fromkeys(arm for arm, _ in cells))
    everywhere = {phase.name for phase in phases}

    def each(value: float, hit: float, *, only_failed: bool = False) -> dict[str, Series]:
        return {
            arm: _series(
                phases,
                {p for (a, p), cell in cells.items() if a == arm and cell.failed}
                if only_failed
                else everywhere,
                value,
                hit,
                rng,
            )
            for arm in arms
        }

    return Timelines(
        failed_share=each(0.0, 0.35, only_failed=True),
        p95_ms=each(92, 60),
        requests_per_s=each(47, 5),
        pool_out=each(4, 3),
        pool_idle=each(6, -4),
        postgres_connections=each(10, -4),
    )
