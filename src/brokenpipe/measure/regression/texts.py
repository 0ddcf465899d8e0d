"""Texts of regression checks: the values, and why a check passes, fails or stays open."""

from __future__ import annotations

from brokenpipe import formatting
from brokenpipe.formatting import chance, milliseconds, percent, plural, points, points_interval
from brokenpipe.interval import Interval
from brokenpipe.measure.model.verdict import BaselineComparison, Verdict
from brokenpipe.measure.regression.metrics import RegressionMetric

METRIC_LABELS = {
    RegressionMetric.BROKEN_PIPE_RATE: "broken-pipe rate",
    RegressionMetric.FAILURE_RATE: "failure rate",
    RegressionMetric.BROKEN_PER_EPISODE: "broken requests per strike",
    RegressionMetric.FAILED_PER_EPISODE: "failed requests per strike",
    RegressionMetric.P50: "median latency",
    RegressionMetric.P95: "95th percentile latency",
    RegressionMetric.P50_AGAINST_CONTROL: "median latency",
    RegressionMetric.P95_AGAINST_CONTROL: "95th percentile latency",
}


def value_text(rise: RegressionMetric, value: float | None, control: str) -> str:
    """Write what one of the two runs measured."""
    if value is None:
        return "not measured"
    if rise.against_control:
        return f"{percent(value)} of {control}'s"
    if rise.is_per_strike:
        return formatting.amount(value)
    return percent(value) if rise.is_rate else milliseconds(value)


def change_text(rise: RegressionMetric, value: float) -> str:
    """Write a rise with its sign: "+10 points", "−3 %"."""
    return ("−" if value < 0 else "+") + size_text(rise, abs(value))


def size_text(rise: RegressionMetric, value: float) -> str:
    """Write the size of a rise: of a rate in points, of a latency as a share of the baseline's, else a number."""
    if rise.is_per_strike:
        return formatting.amount(value)
    return points(value) if rise.is_rate else percent(value)


def interval_text(rise: RegressionMetric, ci95: Interval | None) -> str:
    """Write the interval of a rise: "7.2 to 11 points"."""
    if ci95 is None:
        return ""
    if rise.is_per_strike:
        return formatting.amount_interval(ci95)
    if rise.is_rate:
        return points_interval(ci95)
    return " to ".join(percent(end).replace("-", "−") for end in (ci95.low, ci95.high))


def regression_sentence(
    rise: RegressionMetric,
    against: BaselineComparison,
    risen: float | None,
    ci95: Interval | None,
    *,
    control: str,
    tolerated: float,
) -> str:
    """Say what both runs measured, and the change with its interval."""
    new, base = (value_text(rise, each, control) for each in (against.new, against.base))
    said = f"{METRIC_LABELS[rise]} {new}, {base} in the baseline"
    if risen is None:
        return said
    interval = f" ({interval_text(rise, ci95)})" if ci95 else ""
    return f"{said}: {change_text(rise, risen)}{interval}, tolerated {change_text(rise, tolerated)}"


def verdict_reason(
    rise: RegressionMetric, against: BaselineComparison, verdict: Verdict, more: int | None
) -> str:
    """Say why it passes, fails or stays open."""
    if verdict is Verdict.FAIL:
        return f"worse: chance {chance(against.p)}"
    matters = size_text(rise, against.matters)
    if verdict is Verdict.PASS:
        return f"a rise of {matters} is ruled out"
    if more is None:
        return f"a rise of {matters} could hide, and more episodes may not settle it"
    return f"a rise of {matters} could hide; about {plural(more, 'episode')} more in each run would settle it"
