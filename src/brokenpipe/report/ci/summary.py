"""`summary.json`: the findings that programs rely on. Fields are added, never renamed."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from brokenpipe import atomic_write
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ProcessMemory, ValidityWarning
from brokenpipe.measure.model.verdict import ArmCost, Check, Comparison, Recommendation
from brokenpipe.measure.sizing.curve import Sizing, sizing_curve
from brokenpipe.report.ci.arm_summary import Json, arm_summary, interval_ends
from brokenpipe.report.run import headline_sentences

SCHEMA = 1


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
                "ci95": interval_ends(size.ci95),
                "timeouts": size.timeouts,
                "refused": size.refused,
                "answered_per_s": size.answered_per_s,
                "held_ms": size.hold_ms,
                "room": size.sufficiency.value,
            }
            for size in sizing.sizes
        ],
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
        "ci95": interval_ends(best.ci95),
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
        "ci95": interval_ends(cost.ci95),
        "matters_ms": cost.matters_ms,
    }


def _check(check: Check) -> Json:
    return {
        "arm": check.arm,
        "phase": check.phase,
        "metric": check.metric,
        "bound": check.bound,
        "value": check.value,
        "ci95": interval_ends(check.ci95),
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
        "ci95": interval_ends(comparison.ci95),
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
        "arms": {arm: arm_summary(findings, arm) for arm in findings.arms},
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
