"""Where the time of requests went, in words and figures: the rows of a table, and who has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from brokenpipe import formatting
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.request_time import TimeBreakdown
from brokenpipe.report import texts

HEADS = ("Mean request", "Pool", "Connect", "Ping", "Statements", "Loop late", "Elsewhere")
PARTIAL_SHARE = 0.95  # of the requests that users made: with fewer, the table says how many were seen
SHOWN_MS = 0.05  # smaller parts are written as 0


@dataclass(frozen=True, slots=True)
class TimeRow:
    """One arm in one phase: texts below `HEADS`, and how many of its requests that is, if not nearly all."""

    arm: str
    phase: str
    texts: tuple[str, ...]
    partial: str


@dataclass(frozen=True, slots=True)
class TimePhase:
    """One phase of the page: its rows, and the element of its chart."""

    name: str
    element: str
    rows: tuple[TimeRow, ...]


def time_phases(findings: Findings) -> tuple[TimePhase, ...]:
    """The phases in which the time of some arm's requests is known, in order."""
    found = []
    for number, phase in enumerate(findings.phases):
        rows = tuple(
            _row(findings, arm, phase.name, time)
            for arm in findings.arms
            if (time := findings.times.get((arm, phase.name))) is not None
        )
        if rows:
            found.append(TimePhase(phase.name, f"chart-time-{number}", rows))
    return tuple(found)


def _row(findings: Findings, arm: str, phase: str, time: TimeBreakdown) -> TimeRow:
    figures = (time.total_ms, *(ms for _, ms in time.parts()))
    cell = findings.cells.get((arm, phase))
    asked = cell.requests if cell else 0
    few = time.requests < PARTIAL_SHARE * asked
    partial = (
        f"of {time.requests:,} of {formatting.plural(asked, 'request')}, which the witness saw" if few else ""
    )
    return TimeRow(arm, phase, tuple(map(part_text, figures)), partial)


def part_text(ms: float | None) -> str:
    """Write a part; what is too little to be anything is 0."""
    return formatting.milliseconds(0.0 if ms is not None and ms < SHOWN_MS else ms)


def unknown_time_texts(findings: Findings) -> Iterator[str]:
    """Of each arm without figures that was asked for anything, why."""
    for arm in findings.arms:
        cells = [cell for (of, _), cell in findings.cells.items() if of == arm and cell.requests]
        if cells and not any(of == arm for of, _ in findings.times):
            why = texts.describe_missing_coverage(findings, arm)
            yield f"{arm}: not known, {why or 'this history does not tell what statements took'}."


def time_line(time: TimeBreakdown) -> str:
    """Say where the time went on one line: "57 ms: statements 40 ms, elsewhere 17 ms"."""
    parts = [f"{name} {part_text(ms)}" for name, ms in time.parts() if ms is not None and ms >= SHOWN_MS]
    return f"{part_text(time.total_ms)}: {', '.join(parts) or 'nothing'}"
