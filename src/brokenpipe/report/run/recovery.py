"""The recovery from each strike, laid out as one strip of dots for each arm in each phase that strikes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from brokenpipe import formatting
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.findings import Findings, PhaseFinding
from brokenpipe.measure.model.recovery import NEVER
from brokenpipe.report import texts

_STEPS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class RecoveryDot:
    """One strike: `left` in per cent of the strip, `lane` keeps equal ones apart. `never`: it did not recover."""

    left: float
    lane: int
    never: bool


@dataclass(frozen=True, slots=True)
class RecoveryStrip:
    """The episodes of one arm in one phase."""

    index: int
    arm: str
    dots: tuple[RecoveryDot, ...]
    text: str


@dataclass(frozen=True, slots=True)
class RecoveryPanel:
    """The strips of one phase on one scale from 0 to `end_s`."""

    phase: str
    fault: str
    end_s: float
    ticks: tuple[str, str, str]  # its left end, middle and right end
    strips: tuple[RecoveryStrip, ...]


def _scale_end_s(longest_s: float) -> float:
    return next((step for step in _STEPS_S if step >= longest_s), longest_s)


def describe_recovery(cell: ArmPhaseStats) -> str:
    """Say how soon an arm recovered from the strikes of a phase, or that this is not known."""
    times = cell.recovery_s
    known = [time for time in times if time is not None and time != NEVER]
    parts = []
    if cell.never_recovered:
        parts.append(
            f"never recovered from {cell.never_recovered} of {formatting.plural(len(times), 'strike')}"
        )
    if known:
        parts.append(f"median {formatting.seconds(median(known))} · worst {formatting.seconds(max(known))}")
    if unknown := times.count(None):
        parts.append(
            f"not known of {unknown}" if parts else "not known: nobody asked after it, or it did not end"
        )
    return " · ".join(parts) or "nothing struck"


def _recovery_strip(index: int, arm: str, cell: ArmPhaseStats, end_s: float) -> RecoveryStrip:
    known = sorted(time for time in cell.recovery_s if time is not None)
    dots = tuple(
        RecoveryDot(round(100 * min(time, end_s) / end_s, 2), lane % 3, time == NEVER)
        for lane, time in enumerate(known)
    )
    return RecoveryStrip(index, arm, dots, describe_recovery(cell))


def _recovery_panel(findings: Findings, phase: PhaseFinding) -> RecoveryPanel | None:
    cells = {
        arm: findings.cells[arm, phase.name]
        for arm in findings.arms
        if (arm, phase.name) in findings.cells and findings.cells[arm, phase.name].recovery_s
    }
    if not cells:
        return None
    times = [
        time for cell in cells.values() for time in cell.recovery_s if time is not None and time != NEVER
    ]
    end = _scale_end_s(max(times, default=0.0))
    strips = tuple(
        _recovery_strip(n, arm, cells[arm], end) for n, arm in enumerate(findings.arms) if arm in cells
    )
    ticks = (formatting.seconds(0), formatting.seconds(end / 2), formatting.seconds(end))
    return RecoveryPanel(phase.name, texts.describe_fault(phase), end, ticks, strips)


def recovery_panels(findings: Findings) -> tuple[RecoveryPanel, ...]:
    """Lay out every phase in which something struck, or was there and went away again."""
    laid = (_recovery_panel(findings, phase) for phase in findings.phases)
    return tuple(panel for panel in laid if panel is not None)
