"""`summary.json`: the findings that programs rely on. Fields are added, never renamed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from brokenpipe import atomic_write
from brokenpipe.error_class import ErrorClass
from brokenpipe.interval import Interval
from brokenpipe.measure.failures.witness_coverage import WitnessCoverage
from brokenpipe.measure.model.arm_phase import ArmPhaseStats, PerEpisode
from brokenpipe.measure.model.attribution import AttributionCounts, Relation
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.nested_checkouts import NestedCheckouts
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.model.validity import ArrivalCounts, ProcessMemory, ValidityWarning
from brokenpipe.measure.model.verdict import ArmCost, Check, Comparison, Recommendation
from brokenpipe.measure.model.write_counts import WriteAudit
from brokenpipe.measure.sizing.curve import Sizing, sizing_curve
from brokenpipe.report.run import headline_sentences

SCHEMA = 1

Json = dict[str, object]


def _interval_ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _attribution(owed: AttributionCounts | None) -> Json | None:
    if owed is None:
        return None
    return {
        **{tie.value: owed.by_relation.get(tie, 0) for tie in Relation},
        "by_fault": dict(owed.by_fault),
        "event_loop_stood_still_s": owed.standstill_s,
        "by_request_phase": {moment.value: count for moment, count in owed.by_stage.items()},
        "preventable": owed.preventable,
        "preventable_share": owed.preventable_share,
        "preventable_by": {"pre_ping": owed.pre_ping, "recycle": owed.recycle},
        "not_preventable": owed.not_preventable,
        "preventable_unknown": owed.unknown,
        "by_time_alone": owed.by_time,
    }


def _per_episode(found: PerEpisode | None) -> Json | None:
    return None if found is None else {"mean": found.value, "ci95": _interval_ends(found.ci95)}


def _cell(cell: ArmPhaseStats) -> Json:
    masked, price = cell.masked, cell.pool_cost
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
        "loop_lag_ms": cell.loop_lag_ms,
        "left": None if cell.client_disconnects is None else asdict(cell.client_disconnects),
        "owed": _attribution(cell.attribution),
        "written": None if cell.writes is None else asdict(cell.writes),
        "failed_by_class": dict(cell.failed_by_class),
        "broken_pipe_rate": cell.broken_pipe_rate,
        "ci95": _interval_ends(cell.ci95),
        "episodes": cell.episodes,
        "masked": None if masked is None else masked.total,
        "masked_by": None
        if masked is None
        else {"pre_ping": masked.pre_ping, "recycle": masked.recycle, "invalidation": masked.invalidation},
        "broken_per_episode": _per_episode(cell.broken_per_episode),
        "failed_per_episode": _per_episode(cell.failed_per_episode),
        "requests_per_s": cell.requests_per_s,
        "recovery_s": list(cell.recovery_s),
        "never_recovered": cell.never_recovered,
        "unavailable_s": cell.unavailable_s,
        "longest_wait_ms": cell.longest_wait_ms,
        "price": None
        if price is None
        else {
            "checkouts": price.checkouts,
            "pings": price.pings,
            "ping_ms": price.ping_ms,
            "wait_ms": price.wait_ms,
            "connects": price.connects,
            "connect_ms": price.connect_ms,
            "most_connects_per_s": price.most_connects_per_s,
            "mechanisms": {
                each.name: {
                    "caught": each.caught,
                    "healthy": each.healthy,
                    "reconnects": each.reconnects,
                    "ms_per_checkout": each.ms_per_checkout,
                    "round_trips_per_checkout": each.round_trips,
                }
                for each in price.mechanisms
            },
        },
        "latency_ms": {"p50": cell.latency_ms.p50, "p95": cell.latency_ms.p95, "p99": cell.latency_ms.p99},
    }


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


def _sizing(sizing: Sizing | None) -> Json | None:
    """Null unless the arms' pools differ in size."""
    if sizing is None:
        return None
    return {
        "phase": sizing.phase,
        "known": sizing.is_known,
        "tolerable_ms": sizing.tolerable_ms,
        "knee": None if sizing.knee is None else sizing.knee.most,
        "unsure": [size.most for size in sizing.undecided],
        "why": sizing.why or None,
        "left_out": dict(sizing.left_out),
        "sizes": [
            {
                "arm": size.arm,
                "most": size.most,
                "wait_p95_ms": size.wait_p95_ms,
                "ci95": _interval_ends(size.ci95),
                "timeouts": size.timeouts,
                "refused": size.refused,
                "answered_per_s": size.answered_per_s,
                "held_ms": size.hold_ms,
                "room": size.sufficiency.value,
            }
            for size in sizing.sizes
        ],
    }


def _arm(findings: Findings, arm: str) -> Json:
    phases = [phase.name for phase in findings.phases if (arm, phase.name) in findings.cells]
    cells = {phase: findings.cell(arm, phase) for phase in phases}
    return {
        "env": dict(findings.arms[arm]),
        "witness": _witness(findings.witness_coverage.get(arm)),
        "requests": sum(cell.requests for cell in cells.values()),
        "failed": sum(cell.failed for cell in cells.values()),
        "phases": {
            phase: _cell(cell)
            | {"arrivals": _arrivals(findings.arrivals.get((arm, phase)))}
            | {"pool": _pool(findings.pools.get((arm, phase)))}
            | {"nested_checkouts": _nested(findings.nested.get((arm, phase)))}
            for phase, cell in cells.items()
        },
        "ledger": _write_counts(findings.ledger[arm]) if arm in findings.ledger else None,
    }


def _witness(seen: WitnessCoverage | None) -> Json | None:
    """What it saw of an arm: of its requests and pools nothing is known where these are false."""
    if seen is None:
        return None
    return {"requests": seen.requests, "pools": seen.pools, "seen": seen.value}


def _write_counts(books: WriteAudit) -> Json:
    return {
        "unread": books.unread or None,
        "total": None if books.unread else asdict(books.total),
        "never_asked_for": None if books.unread else books.never_asked_for,
        "examples": [asdict(example) for example in books.examples],
    }


def _recommendation(best: Recommendation | None) -> Json | None:
    """Null if nothing failed, or nobody could be compared. Only an arm that is `recommended` is to be acted on."""
    if best is None:
        return None
    return {
        "arm": best.arm,
        "recommended": best.is_recommended,
        "in_doubt": best.in_doubt,
        "prevented_share": best.prevented_share,
        "ci95": _interval_ends(best.ci95),
        "failed": best.arm_totals.failed,
        "requests": best.arm_totals.requests,
        "control_failed": best.control_totals.failed,
        "control_requests": best.control_totals.requests,
        "beyond_chance": best.beyond_chance,
        "better_in": list(best.better_in),
        "ranked_by": best.ranked_by.value,
        "tied": list(best.tied),
        "cost_ms": best.cost.price_ms if best.cost else None,
    }


def _cost(cost: ArmCost) -> Json:
    """`price_ms` is null where unlike shares of requests failed, so that latencies are of different requests."""
    return {
        "phase": cost.phase,
        "added_ms": cost.added_ms,
        "price_ms": cost.price_ms,
        "ci95": _interval_ends(cost.ci95),
        "matters_ms": cost.matters_ms,
    }


def _check(check: Check) -> Json:
    return {
        "arm": check.arm,
        "phase": check.phase,
        "metric": check.metric,
        "bound": check.bound,
        "value": check.value,
        "ci95": _interval_ends(check.ci95),
        "verdict": check.verdict.value,
        "text": check.text,
        "more_episodes": check.more_episodes,
        "against": None if check.baseline is None else asdict(check.baseline),
    }


def _comparison(comparison: Comparison) -> Json:
    return {
        "arm": comparison.arm,
        "phase": comparison.phase,
        "metric": comparison.metric,
        "episodes": comparison.episodes,
        "difference": comparison.difference,
        "ci95": _interval_ends(comparison.ci95),
        "p": comparison.p,
        "differs": comparison.differs,
        "smallest_seen": comparison.smallest_seen,
    }


def _warning(warning: ValidityWarning) -> Json:
    return {
        "code": warning.code,
        "text": warning.text,
        "remedy": warning.remedy,
        "unknown": warning.unknown,
        "phase": warning.phase,
        "arm": warning.arm,
    }


def _memory(one: ProcessMemory) -> Json:
    return {
        "role": one.role,
        "arm": one.arm,
        "private": one.private,
        "early_s": one.early_s,
        "early_bytes": one.early_bytes,
        "end_bytes": one.end_bytes,
        "peak_bytes": one.peak_bytes,
        "grew": one.grew,
    }


def _finite(value: object) -> object:
    """Replace what JSON has no word for (NaN, infinity) by null, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def summary(findings: Findings) -> Json:
    """Cut the findings down to the fixed schema, as values that JSON knows."""
    whole: Json = {
        "schema": SCHEMA,
        "scenario": findings.stem,
        "started": findings.started,
        "duration_s": findings.duration_s,
        "finished": findings.finished,
        "verdict": findings.verdict.value,
        "sentence": findings.sentence,
        "evidence": list(headline_sentences.headline_sentences(findings)),
        "target": findings.target,
        "control": findings.control,
        "users_per_arm": findings.users_per_arm,
        "isolated": list(findings.isolated),
        "arrivals_per_s": findings.arrivals_per_s,
        "seed": findings.seed,
        "baseline": findings.baseline,
        "best": _recommendation(findings.best),
        "costs": {arm: _cost(cost) for arm, cost in findings.costs.items()},
        "arms": {arm: _arm(findings, arm) for arm in findings.arms},
        "sizing": _sizing(sizing_curve(findings)),
        "phases": {
            phase.name: {"fault": phase.fault, "renewed_connections": dict(phase.renewed)}
            for phase in findings.phases
        },
        "environment": dict(findings.environment),
        "checks": [_check(check) for check in findings.checks],
        "comparisons": [_comparison(comparison) for comparison in findings.comparisons],
        "warnings": [_warning(warning) for warning in findings.warnings],
        "memory": [_memory(each) for each in findings.health.memory],
        "history": {"requests": findings.health.requests, "bytes": findings.health.history_bytes},
    }
    return {key: _finite(value) for key, value in whole.items()}


def write_summary(findings: Findings, path: Path) -> None:
    """Write `summary.json` in one step. Raises OSError when it cannot be written."""
    text = json.dumps(summary(findings), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write.write_text(path, text + "\n")
