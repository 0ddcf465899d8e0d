"""`metrics.jsonl`: a line for each metric as `name, unit, value, range`, the form that benchmark actions chart.

Of all of them smaller is better. What was not measured has no line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brokenpipe import atomic_write, formatting
from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.findings import Findings


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One metric of one arm in one phase."""

    name: str
    unit: str
    value: float
    range: str  # the 95 % interval in the same unit, "2.4–4.9"; empty: none
    extra: str  # what it rests on


def metric_lines(findings: Findings) -> Iterator[MetricLine]:
    """Every figure of the table, in its order."""
    for (arm, phase), cell in findings.cells.items():
        place = f"{findings.stem} · {phase} · {arm}"
        for what, unit, value, interval in _cell_metrics(cell):
            if value is not None:
                episodes = formatting.plural(cell.episodes, "episode")
                rests_on = f"{episodes}, {formatting.plural(cell.requests, 'request')}"
                yield MetricLine(f"{place} · {what}", unit, value, _interval_text(interval), rests_on)


def _cell_metrics(cell: ArmPhaseStats) -> Iterator[tuple[str, str, float | None, Interval | None]]:
    if not cell.requests:
        return
    rate, interval, latency = cell.broken_pipe_rate, cell.ci95, cell.latency_ms
    percent = None if interval is None else Interval(interval.low * 100, interval.high * 100)
    yield "broken-pipe rate", "%", None if rate is None else rate * 100, percent
    yield "failed", "%", cell.failed / cell.requests * 100, None
    yield "latency p50", "ms", latency.p50, None
    yield "latency p95", "ms", latency.p95, None
    if cell.writes is not None:
        yield "lost writes", "writes", cell.writes.lost, None
        yield "doubled writes", "writes", cell.writes.doubled, None


def _interval_text(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.4g}–{interval.high:.4g}"


def write_metrics(findings: Findings, path: Path) -> None:
    """Write `metrics.jsonl` in one step. Raises OSError when it cannot be written."""
    texts = (
        json.dumps(
            {
                "name": line.name,
                "unit": line.unit,
                "value": line.value,
                "range": line.range,
                "extra": line.extra,
            },
            ensure_ascii=False,
            allow_nan=False,
        )
        for line in metric_lines(findings)
    )
    atomic_write.write_text(path, "".join(f"{text}\n" for text in texts))
