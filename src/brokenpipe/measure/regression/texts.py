"""A change against the baseline, in words: its figures, and why it passes, fails or stays open."""

from __future__ import annotations

from brokenpipe import formatting
from brokenpipe.formatting import chance, milliseconds, percent, plural, points, points_interval
from brokenpipe.interval import Interval
from brokenpipe.measure.model.verdict import Against, Verdict
from brokenpipe.measure.regression.metrics import Rise

LABELS = {
    Rise.BROKEN_PIPE_RATE: "broken-pipe rate",
    Rise.FAILURE_RATE: "failure rate",
    Rise.BROKEN_PER_EPISODE: "broken requests per strike",
    Rise.FAILED_PER_EPISODE: "failed requests per strike",
    Rise.P50: "median latency",
    Rise.P95: "95th percentile latency",
    Rise.P50_AGAINST_CONTROL: "median latency",
    Rise.P95_AGAINST_CONTROL: "95th percentile latency",
}


def measured(rise: Rise, value: float | None, control: str) -> str:
    """Write what one of the two runs measured."""
    if value is None:
        return "not measured"
    if rise.against_control:
        return f"{percent(value)} of {control}'s"
    if rise.is_per_strike:
        return formatting.amount(value)
    return percent(value) if rise.is_rate else milliseconds(value)


def change(rise: Rise, value: float) -> str:
    """Write a rise with its sign: "+10 points", "−3 %"."""
    return ("−" if value < 0 else "+") + amount(rise, abs(value))


def amount(rise: Rise, value: float) -> str:
    """Write the size of a rise: of a rate in points, of a latency as a share of the baseline's, else a number."""
    if rise.is_per_strike:
        return formatting.amount(value)
    return points(value) if rise.is_rate else percent(value)


def ends(rise: Rise, ci95: Interval | None) -> str:
    """Write the interval of a rise: "7.2 to 11 points"."""
    if ci95 is None:
        return ""
    if rise.is_per_strike:
        return formatting.amount_interval(ci95)
    if rise.is_rate:
        return points_interval(ci95)
    return " to ".join(percent(end).replace("-", "−") for end in (ci95.low, ci95.high))


def sentence(
    rise: Rise,
    against: Against,
    risen: float | None,
    ci95: Interval | None,
    *,
    control: str,
    tolerated: float,
) -> str:
    """Say what both runs measured, and the change with its interval."""
    new, base = (measured(rise, each, control) for each in (against.new, against.base))
    said = f"{LABELS[rise]} {new}, {base} in the baseline"
    if risen is None:
        return said
    interval = f" ({ends(rise, ci95)})" if ci95 else ""
    return f"{said}: {change(rise, risen)}{interval}, tolerated {change(rise, tolerated)}"


def why(rise: Rise, against: Against, verdict: Verdict, more: int | None) -> str:
    """Say why it passes, fails or stays open."""
    if verdict is Verdict.FAIL:
        return f"worse: chance {chance(against.p)}"
    matters = amount(rise, against.matters)
    if verdict is Verdict.PASS:
        return f"a rise of {matters} is ruled out"
    if more is None:
        return f"a rise of {matters} could hide, and more episodes may not settle it"
    return f"a rise of {matters} could hide; about {plural(more, 'episode')} more in each run would settle it"
