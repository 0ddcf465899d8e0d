"""How a number is written for a reader: two or three digits that matter, its unit, no false precision.

Every function takes the unit that its name says and answers text. None becomes an en dash: the place
stays, and says that there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from brokenpipe.interval import Interval

THIN = "\u202f"  # narrow no-break space: a number and its unit stay together
NOTHING = "–"


def _percent_digits(share: float) -> str:
    value = share * 100
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.005:
        return "<" + THIN + "0.01"
    if size < 0.095:
        return f"{value:.2f}"
    if size < 9.95 or 99.5 <= size < 100:  # never round 99.6 % up to "all"
        return f"{max(-99.9, min(99.9, value)):.1f}".removesuffix(".0")
    return f"{value:.0f}"


def percent(share: float | None) -> str:
    """Write a share 0..1 as "0.8 %"; anything below 100 % stays below."""
    return NOTHING if share is None else f"{_percent_digits(share)}{THIN}%"


def percent_interval(interval: Interval | None) -> str:
    """Write two shares as "0.4–1.6 %"."""
    if interval is None:
        return ""
    return f"{_percent_digits(interval.low)}–{_percent_digits(interval.high)}{THIN}%"


def points(share: float | None) -> str:
    """Write a difference of two shares, in percentage points: "1.2 points"."""
    return NOTHING if share is None else f"{_percent_digits(share).replace('-', '−')}{THIN}points"


def points_interval(interval: Interval | None) -> str:
    """Write two differences as "−2 to 0.4 points"; "to", because either may be negative."""
    if interval is None:
        return ""
    return f"{_percent_digits(interval.low).replace('-', '−')} to {points(interval.high)}"


def chance(p: float | None) -> str:
    """Write how often chance alone shows as much, of 0..1, as "0.003"."""
    if p is None:
        return NOTHING
    return f"<{THIN}0.001" if p < 0.001 else f"{p:.1g}" if p < 0.01 else f"{p:.2f}"


def _digits(value: float) -> str:
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1:
        return f"{value:.2f}"
    return f"{value:.1f}".removesuffix(".0") if size < 9.95 else f"{value:,.0f}"


def amount(value: float | None) -> str:
    """Write how many there are on average: "0.42", "1", "12"."""
    return NOTHING if value is None else ("−" if value < 0 else "") + _digits(abs(value))


def amount_interval(interval: Interval | None) -> str:
    """Write two of them as "0.5 to 1.4"; "to", because a difference may be negative."""
    return "" if interval is None else f"{amount(interval.low)} to {amount(interval.high)}"


def milliseconds(value_ms: float | None) -> str:
    """Write "57 ms", from ten seconds on "12 s"."""
    if value_ms is None:
        return NOTHING
    if abs(value_ms) >= 10_000:
        return seconds(value_ms / 1000)
    return f"{_digits(value_ms)}{THIN}ms"


def milliseconds_interval(interval: Interval | None) -> str:
    """Write two durations as "74 to 95 ms"; "to", because either may be negative."""
    if interval is None:
        return ""
    return f"{_digits(interval.low).replace('-', '−')} to {milliseconds(interval.high).replace('-', '−')}"


def added_ms(value_ms: float | None) -> str:
    """Write a difference with its sign: "+3.2 ms", "−1 ms", "±0 ms"."""
    if value_ms is None:
        return NOTHING
    size = round(abs(value_ms), 1)  # a difference of medians has no more digits than that
    if size == 0:
        return f"±0{THIN}ms"
    text = f"{size:g}{THIN}ms" if size < 10 else milliseconds(size)
    return ("+" if value_ms > 0 else "−") + text


def seconds(value_s: float | None) -> str:
    """Write "0.42 s", "57 s", "2 min 5 s"."""
    if value_s is None:
        return NOTHING
    if value_s < 120:
        return f"{_digits(value_s)}{THIN}s"
    minutes, rest = divmod(round(value_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{THIN}h {minutes}{THIN}min"
    return f"{minutes}{THIN}min" + (f" {rest}{THIN}s" if rest else "")


def count(number: int | None) -> str:
    """Write 12480 as "12,480"."""
    return NOTHING if number is None else f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Write "1 request", "2 requests"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def megabytes(value_bytes: int) -> str:
    """Write resident memory as "96 MB"."""
    return f"{_digits(value_bytes / 1e6)}{THIN}MB"


def cores(value: float) -> str:
    """Write a share of one core with two digits: "0.17"."""
    return f"{value:.2f}"


def plain(text: str) -> str:
    """Replace typographic spaces, for terminals and text files."""
    return text.replace(THIN, " ")


def listed(names: Sequence[str]) -> str:
    """Write "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
