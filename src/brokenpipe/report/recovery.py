"""Recovery time for each episode, laid out as one strip of dots for each arm in each phase that strikes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from brokenpipe.measure import numbers
from brokenpipe.measure.findings import Findings, PhaseFinding
from brokenpipe.report import words

_STEPS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)


@dataclass(frozen=True, slots=True)
class Dot:
    """One episode: `left` in per cent of the strip, `lane` keeps equal ones apart."""

    left: float
    lane: int


@dataclass(frozen=True, slots=True)
class Strip:
    """The episodes of one arm in one phase."""

    index: int
    arm: str
    dots: tuple[Dot, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The strips of one phase on one scale from 0 to `end_s`."""

    phase: str
    fault: str
    end_s: float
    ticks: tuple[str, str, str]  # its left end, middle and right end
    strips: tuple[Strip, ...]


def _end(longest_s: float) -> float:
    return next((step for step in _STEPS_S if step >= longest_s), longest_s)


def _said(times: tuple[float, ...]) -> str:
    hit = [time for time in times if time > 0]
    if not times:
        return "no episode"
    if not hit:
        return f"nothing broke in {numbers.plural(len(times), 'episode')}"
    middle, worst = numbers.seconds(median(hit)), numbers.seconds(max(hit))
    return f"{len(hit)} of {numbers.plural(len(times), 'episode')} · median {middle} · worst {worst}"


def _strip(index: int, arm: str, times: tuple[float, ...], end_s: float) -> Strip:
    ordered = sorted(times)
    dots = tuple(Dot(round(100 * time / end_s, 2), lane % 3) for lane, time in enumerate(ordered))
    return Strip(index, arm, dots, _said(times))


def _panel(findings: Findings, phase: PhaseFinding) -> Panel | None:
    times = {
        arm: findings.cells[arm, phase.name].recovery_s
        for arm in findings.arms
        if (arm, phase.name) in findings.cells
    }
    everything = [time for each in times.values() for time in each]
    if not everything or not (phase.strikes_s or any(everything)):
        return None
    end = _end(max(everything))
    strips = tuple(_strip(n, arm, times[arm], end) for n, arm in enumerate(findings.arms) if arm in times)
    ticks = (numbers.seconds(0), numbers.seconds(end / 2), numbers.seconds(end))
    return Panel(phase.name, words.fault(phase), end, ticks, strips)


def panels(findings: Findings) -> tuple[Panel, ...]:
    """Lay out every phase in which something struck or broke; blocks of a quiet phase are left out."""
    laid = (_panel(findings, phase) for phase in findings.phases)
    return tuple(panel for panel in laid if panel is not None)
