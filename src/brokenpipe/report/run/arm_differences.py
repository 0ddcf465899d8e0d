"""Each arm against the control, in words that need no statistics to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from brokenpipe import formatting
from brokenpipe.interval import Interval
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.verdict import COMPARABLE_FAILED_SHARE, Comparison
from brokenpipe.plan.expectations import Metric

_NAMES = {
    Metric.ADDED_FAILURE_RATE: "failed",
    Metric.ADDED_BROKEN_PIPE_RATE: "broken-pipe rate",
    Metric.ADDED_P50_MS: "median latency",
}


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """One comparison. `said`: what it comes to."""

    phase: str
    arm: str
    what: str
    difference: str
    interval: str
    chance: str
    said: str
    differs: bool


def difference_lines(findings: Findings) -> tuple[DifferenceLine, ...]:
    """List every comparison, what differs first. Where all that failed was broken, that is one line and not two."""
    found = (each for each in findings.comparisons if not _repeats_broken(each, findings))
    return tuple(
        _difference_line(each, findings) for each in sorted(found, key=lambda each: not each.differs)
    )


def _repeats_broken(each: Comparison, findings: Findings) -> bool:
    cells = [findings.cells.get((arm, each.phase)) for arm in (each.arm, findings.control)]
    return each.metric == Metric.ADDED_FAILURE_RATE and all(
        cell is not None and cell.broken_pipe_rate is not None and cell.failed == cell.broken
        for cell in cells
    )


def _difference_line(each: Comparison, findings: Findings) -> DifferenceLine:
    metric = Metric(each.metric)
    amount, ends = difference_formatters(metric)
    unlike = describe_unlike_requests(findings, each) if metric.is_latency else ""
    return DifferenceLine(
        phase=each.phase,
        arm=each.arm,
        what=_NAMES[metric],
        difference=format_signed(each.difference, amount),
        interval=ends(each.ci95),
        chance=formatting.chance(each.p),
        said=describe_difference(each, findings.control) + unlike,
        differs=each.differs and not _interval_contains_zero(each) and not unlike,
    )


def describe_difference(each: Comparison, control: str) -> str:
    """Say whether it differs; if not, from which size on this run would have seen it.

    The signs of the episodes decide whether. The interval is of how much, and may reach 0 all the same.
    """
    amount, _ = difference_formatters(Metric(each.metric))
    if each.differs and each.difference is not None:
        how_much = "; by how much is not known" if _interval_contains_zero(each) else ""
        return f"{'more' if each.difference > 0 else 'less'} than {control}{how_much}"
    if each.smallest_seen is None:
        episodes = formatting.plural(each.episodes, "episode")
        return f"{episodes} cannot tell: it takes {each.episodes_needed} or more"
    return f"no difference seen; this run could have seen one of {amount(each.smallest_seen)} or more"


def _interval_contains_zero(each: Comparison) -> bool:
    return each.ci95 is not None and each.ci95.low <= 0 <= each.ci95.high


def describe_unlike_requests(findings: Findings, each: Comparison) -> str:
    """Say so where the latencies are not of like requests: those that failed are in none of them."""
    cells = [findings.cells.get((arm, each.phase)) for arm in (each.arm, findings.control)]
    mine, theirs = (cell.failed / cell.requests if cell and cell.requests else 0.0 for cell in cells)
    if abs(mine - theirs) <= COMPARABLE_FAILED_SHARE:
        return ""
    shares = f"{formatting.percent(mine)} failed here, {formatting.percent(theirs)} in {findings.control}"
    return f"; of the requests that succeeded only: {shares}"


def difference_formatters(
    metric: Metric,
) -> tuple[Callable[[float | None], str], Callable[[Interval | None], str]]:
    """How a difference of a metric is written, and how its interval."""
    if metric.is_per_episode:
        return formatting.amount, formatting.amount_interval
    if metric.is_latency:
        return formatting.milliseconds, formatting.milliseconds_interval
    return formatting.points, formatting.points_interval


def value_formatter(metric: Metric) -> Callable[[float | None], str]:
    """How a value of a metric is written."""
    if metric.is_per_episode:
        return formatting.amount
    return formatting.milliseconds if metric.is_latency else formatting.percent


def format_signed(value: float | None, amount: Callable[[float | None], str]) -> str:
    """Write a difference with its sign."""
    if not value:
        return amount(value)
    return ("+" if value > 0 else "−") + amount(abs(value))
