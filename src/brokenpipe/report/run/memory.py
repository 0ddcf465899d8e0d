"""Memory of each process over time: a small curve, what it was early and at the end, and whether it grew."""

from __future__ import annotations

from dataclasses import dataclass

from brokenpipe import formatting
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ProcessMemory

WIDTH, HEIGHT = 300, 36  # of a curve, in pixels; the page may stretch it
FEWEST_POINTS = 3
HEADROOM = 1.15


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One process: its curve in a box of WIDTH × HEIGHT that begins at 0 bytes, and where the early figure is."""

    role: str
    arm: str | None
    curve: str
    early_x: float | None
    early: str
    end: str
    peak: str
    said: str


def memory_rows(findings: Findings) -> tuple[MemoryRow, ...]:
    """Build a row for each process; none if too little was gauged for a curve."""
    known = [one for one in findings.health.memory if len(one.series.at_s) >= FEWEST_POINTS]
    if not known:
        return ()
    first = min(one.series.at_s[0] for one in known)
    last = max(one.series.at_s[-1] for one in known)
    return tuple(_memory_row(one, first, max(last - first, 1.0)) for one in known)


def _memory_row(one: ProcessMemory, first_s: float, span_s: float) -> MemoryRow:
    def x(at_s: float) -> float:
        return round(WIDTH * (at_s - first_s) / span_s, 1)

    top = one.peak_bytes * HEADROOM
    points = (
        f"{x(at_s):g},{HEIGHT * (1 - value / top):.1f}"
        for at_s, value in zip(one.series.at_s, one.series.values, strict=True)
        if value is not None
    )
    return MemoryRow(
        role=one.role,
        arm=one.arm,
        curve=" ".join(points),
        early_x=None if one.early_s is None else x(one.early_s),
        early=formatting.NOTHING if one.early_bytes is None else formatting.megabytes(one.early_bytes),
        end=formatting.megabytes(one.end_bytes),
        peak=formatting.megabytes(one.peak_bytes),
        said=_describe_growth(one),
    )


def _describe_growth(one: ProcessMemory) -> str:
    """The change since five minutes after the begin, and what it is held to be."""
    if one.early_bytes is None:
        return formatting.NOTHING
    changed = one.end_bytes - one.early_bytes
    sign = "−" if changed < 0 else "+"
    kept = "still growing" if one.grew else "flat"
    return f"{sign}{formatting.megabytes(abs(changed))}, {kept}"


def describe_memory(findings: Findings) -> tuple[str, ...]:
    """What each process had five minutes after the begin and has at the end; empty for a run too short for that."""
    return tuple(
        f"{one.arm or one.role} {formatting.megabytes(one.early_bytes)} → {formatting.megabytes(one.end_bytes)}"
        for one in findings.health.memory
        if one.early_bytes is not None
    )
