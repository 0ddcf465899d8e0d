"""Each arm against the control, in words that need no statistics to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brokenpipe.measure import numbers
from brokenpipe.measure.findings import Findings
from brokenpipe.measure.interval import Interval
from brokenpipe.measure.judgement import Comparison
from brokenpipe.plan.expectations import Metric

_NAMES = {Metric.ADDED_BROKEN_PIPE_RATE: "broken-pipe rate", Metric.ADDED_P50_MS: "median latency"}


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison. `said`: what it comes to."""

    phase: str
    arm: str
    what: str
    difference: str
    interval: str
    chance: str
    said: str
    differs: bool


def lines(findings: Findings) -> tuple[Line, ...]:
    """List every comparison, what differs first."""
    found = sorted(findings.comparisons, key=lambda each: not each.differs)
    return tuple(_line(each, findings.control) for each in found)


def _line(each: Comparison, control: str) -> Line:
    metric = Metric(each.metric)
    amount, ends = writers(metric)
    return Line(
        phase=each.phase,
        arm=each.arm,
        what=_NAMES[metric],
        difference=signed(each.difference, amount),
        interval=ends(each.ci95),
        chance=numbers.chance(each.p),
        said=said(each, control),
        differs=each.differs,
    )


def said(each: Comparison, control: str) -> str:
    """Say whether it differs; if not, from which size on this run would have seen it."""
    amount, _ = writers(Metric(each.metric))
    if each.differs and each.difference is not None:
        return f"{'more' if each.difference > 0 else 'less'} than {control}"
    if each.smallest_seen is None:
        episodes = numbers.plural(each.episodes, "episode")
        return f"{episodes} cannot tell: it takes {each.episodes_needed} or more"
    return f"no difference seen; this run could have seen one of {amount(each.smallest_seen)} or more"


def writers(
    metric: Metric,
) -> tuple[Callable[[float | None], str], Callable[[Interval | None], str]]:
    """How a difference of a metric is written, and how its interval."""
    if metric.is_latency:
        return numbers.milliseconds, numbers.milliseconds_interval
    return numbers.points, numbers.points_interval


def signed(value: float | None, amount: Callable[[float | None], str]) -> str:
    """Write a difference with its sign."""
    if not value:
        return amount(value)
    return ("+" if value > 0 else "−") + amount(abs(value))
