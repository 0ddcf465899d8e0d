"""`summary.json`, the arms: what each did in each phase, as values that JSON knows."""

from __future__ import annotations

from dataclasses import asdict

from brokenpipe.error_class import ErrorClass
from brokenpipe.interval import Interval
from brokenpipe.measure.failures.witness_coverage import SeenLibraries, WitnessCoverage
from brokenpipe.measure.model.arm_phase import ArmPhaseStats, PerEpisode
from brokenpipe.measure.model.attribution import AttributionCounts, Relation
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.nested_checkouts import NestedCheckouts
from brokenpipe.measure.model.pool_costs import PoolCost
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.model.request_time import TimeBreakdown
from brokenpipe.measure.model.session_growth import SessionGrowth
from brokenpipe.measure.model.validity import ArrivalCounts
from brokenpipe.measure.model.write_counts import WriteAudit

Json = dict[str, object]


def interval_ends(interval: Interval | None) -> list[float] | None:
    """The interval as a list of two."""
    return None if interval is None else [interval.low, interval.high]


def arm_summary(findings: Findings, arm: str) -> Json:
    """Everything of one arm: its settings, in what else it differs, what the witness saw, its phases and its ledger."""
    phases = [phase.name for phase in findings.phases if (arm, phase.name) in findings.cells]
    cells = {phase: findings.cell(arm, phase) for phase in phases}
    return {
        "env": dict(findings.arms[arm]),
        "differs_in": dict(findings.traits.get(arm, {})),
        "witness": _witness(
            findings.witness_coverage.get(arm), findings.seen_libraries.get(arm, SeenLibraries())
        ),
        "requests": sum(cell.requests for cell in cells.values()),
        "failed": sum(cell.failed for cell in cells.values()),
        "phases": {
            phase: _cell(cell)
            | {"arrivals": _arrivals(findings.arrivals.get((arm, phase)))}
            | {"pool": _pool(findings.pools.get((arm, phase)))}
            | {"nested_checkouts": _nested(findings.nested.get((arm, phase)))}
            | {"sessions": _sessions(findings.sessions.get((arm, phase)))}
            | {"time_ms": _time(findings.times.get((arm, phase)))}
            for phase, cell in cells.items()
        },
        "ledger": _write_counts(findings.ledger[arm]) if arm in findings.ledger else None,
    }


def _witness(seen: WitnessCoverage | None, libraries: SeenLibraries) -> Json | None:
    """What it saw of an arm: of its requests and pools nothing is known where these are false."""
    if seen is None:
        return None
    by_plane = libraries.by_plane
    return {
        "requests": seen.requests,
        "pools": seen.pools,
        "seen": seen.value,
        "libraries": None if by_plane is None else {plane.value: list(by_plane[plane]) for plane in by_plane},
        "websockets": libraries.websockets,
    }


def _write_counts(books: WriteAudit) -> Json:
    return {
        "unread": books.unread or None,
        "total": None if books.unread else asdict(books.total),
        "never_asked_for": None if books.unread else books.never_asked_for,
        "examples": [asdict(example) for example in books.examples],
    }


def _cell(cell: ArmPhaseStats) -> Json:
    masked = cell.masked
    return {
        **_requests(cell),
        "broken_pipe_rate": cell.broken_pipe_rate,
        "ci95": interval_ends(cell.ci95),
        "episodes": cell.episodes,
        "masked": None if masked is None else masked.total,
        "masked_by": None
        if masked is None
        else {
            "pre_ping": masked.pre_ping,
            "recycle": masked.recycle,
            "invalidation": masked.invalidation,
            "noticed": masked.noticed,
        },
        "broken_per_episode": _per_episode(cell.broken_per_episode),
        "failed_per_episode": _per_episode(cell.failed_per_episode),
        "requests_per_s": cell.requests_per_s,
        "recovery_s": list(cell.recovery_s),
        "never_recovered": cell.never_recovered,
        "unavailable_s": cell.unavailable_s,
        "longest_wait_ms": cell.longest_wait_ms,
        "price": _pool_cost(cell.pool_cost),
        "latency_ms": {"p50": cell.latency_ms.p50, "p95": cell.latency_ms.p95, "p99": cell.latency_ms.p99},
    }


def _requests(cell: ArmPhaseStats) -> Json:
    """Requests of an arm in a phase, and how those that failed did."""
    return {
        "requests": cell.requests,
        "failed": cell.failed,
        "broken": cell.known_broken,
        "stale": cell.stale if cell.states_known else None,
        "in_use": cell.in_use if cell.states_known else None,
        "after_rest": cell.after_rest if cell.states_known else None,
        "rest_s": None if cell.rest_s is None else list(cell.rest_s),
        "elsewhere": cell.elsewhere,
        "otherwise": cell.otherwise,
        "unexplained": cell.unexplained,
        "swallowed": cell.swallowed,
        "wrong_results": cell.failed_by_class.get(ErrorClass.WRONG_RESULT.value, 0),
        "server_connections": cell.server_connections,
        "client_connections": cell.client_connections,
        "slots_lost": cell.lost_slots_count,
        "lost_slots": None if cell.lost_slots is None else asdict(cell.lost_slots),
        "loop_lag_ms": cell.loop_lag_ms,
        "left": None if cell.client_disconnects is None else asdict(cell.client_disconnects),
        "owed": _attribution(cell.attribution),
        "written": None if cell.writes is None else asdict(cell.writes),
        "failed_by_class": dict(cell.failed_by_class),
    }


def _pool_cost(cost: PoolCost | None) -> Json | None:
    """Null where the witness did not see all pools."""
    if cost is None:
        return None
    return {
        "checkouts": cost.checkouts,
        "pings": cost.pings,
        "ping_ms": cost.ping_ms,
        "wait_ms": cost.wait_ms,
        "connects": cost.connects,
        "connect_ms": cost.connect_ms,
        "most_connects_per_s": cost.most_connects_per_s,
        "mechanisms": {
            each.name: {
                "caught": each.caught,
                "healthy": each.healthy,
                "reconnects": each.reconnects,
                "ms_per_checkout": each.ms_per_checkout,
                "round_trips_per_checkout": each.round_trips,
            }
            for each in cost.mechanisms
        },
    }


def _attribution(counts: AttributionCounts | None) -> Json | None:
    if counts is None:
        return None
    return {
        **{relation.value: counts.by_relation.get(relation, 0) for relation in Relation},
        "by_fault": dict(counts.by_fault),
        "event_loop_stood_still_s": counts.standstill_s,
        "by_request_phase": {stage.value: count for stage, count in counts.by_stage.items()},
        "preventable": counts.preventable,
        "preventable_share": counts.preventable_share,
        "preventable_by": {"pre_ping": counts.pre_ping, "recycle": counts.recycle},
        "not_preventable": counts.not_preventable,
        "preventable_unknown": counts.unknown,
        "by_time_alone": counts.by_time,
    }


def _per_episode(found: PerEpisode | None) -> Json | None:
    return None if found is None else {"mean": found.value, "ci95": interval_ends(found.ci95)}


def _arrivals(arrived: ArrivalCounts | None) -> Json | None:
    """Of an open load, else null."""
    if arrived is None:
        return None
    return {"due": arrived.due, "late": arrived.late, "missed": arrived.missed, "worst_ms": arrived.worst_ms}


def _pool(use: PoolUsage | None) -> Json | None:
    """Null where no witness saw a pool, or in histories that do not tell its waits."""
    if use is None:
        return None
    return {
        "processes": use.processes,
        "size": use.size,
        "most": use.most,
        "timeout_s": use.timeout_s,
        "checkouts": use.checkouts,
        "gave_up": use.gave_up,
        "wait_ms": {"p50": use.wait_p50_ms, "p95": use.wait_p95_ms, "p99": use.wait_p99_ms},
        "mean_out": use.mean_out,
        "peak_out": use.peak_out,
        "peak_connections": use.peak_connections,
    }


def _time(found: TimeBreakdown | None) -> Json | None:
    """Of a mean request. Null where the witness did not see all of it."""
    if found is None:
        return None
    return {"requests": found.requests, "total": found.total_ms, **dict(found.parts())}


def _sessions(found: SessionGrowth | None) -> Json | None:
    """At Postgres, the most in each quarter of a phase without a fault; null in others. `grow`: null if not known."""
    return None if found is None else {"quarters": list(found.quarters), "grow": found.grows}


def _nested(found: tuple[NestedCheckouts, ...] | None) -> list[Json] | None:
    """Requests that were seen to take several connections of one pool at once, by name. Null where none was seen."""
    if found is None:
        return None
    return [
        {
            "request": each.name,
            "requests": each.requests,
            "nested": each.nested,
            "connections": each.most,
            "waited": each.waited,
            "gave_up": each.gave_up,
        }
        for each in found
    ]
