"""Summaries of many nights, written as a run would have written them."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.report.building import build
from tests.report.synthetic_runs import ARMS, PHASES

from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhaseStats, LatencyPercentiles
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report.ci.summary import summary

FIRST = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def night(
    reports: Path,
    number: int,
    *,
    rate: float = 0.03,
    slower_ms: float = 0.0,
    environment: Mapping[str, str] | None = None,
    stem: str = "default",
    users: int = 10,
    verdict: Verdict = Verdict.PASS,
) -> Path:
    """The folder of one night. `rate`: of plain in socket_kill, drawn around it; `slower_ms`: in pre_ping's p95."""
    drawn = random.Random(number)
    begun = FIRST + timedelta(days=number)
    found = build(ARMS, PHASES[:2], seed=number)
    cells = {key: _as_drawn(cell, drawn) for key, cell in found.cells.items()}
    struck = cells["plain", "socket_kill"]
    seen = max(0.0, drawn.gauss(rate, 0.003))
    cells["plain", "socket_kill"] = replace(
        struck, broken_pipe_rate=seen, ci95=Interval(seen * 0.7, seen * 1.4)
    )
    slow = cells["pre_ping", "steady"]
    p95 = (slow.latency_ms.p95 or 0) + slower_ms
    cells["pre_ping", "steady"] = replace(slow, latency_ms=LatencyPercentiles(slow.latency_ms.p50, p95, None))
    found = replace(
        found, stem=stem, started=begun.strftime("%Y-%m-%dT%H:%M:%SZ"), cells=cells, verdict=verdict,
        users_per_arm=users, environment=dict(found.environment) | dict(environment or {}), comparisons=(),
    )  # fmt: skip
    folder = reports / stem / begun.strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary(found)), encoding="utf-8")
    return folder


def _as_drawn(cell: ArmPhaseStats, drawn: random.Random) -> ArmPhaseStats:
    return replace(cell, latency_ms=LatencyPercentiles(57.0, 92 + drawn.gauss(0, 3), None))
