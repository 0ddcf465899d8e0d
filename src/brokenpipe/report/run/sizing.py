"""The pool-size curve in words: for the page, for the terminal, and for whoever follows a rule of thumb."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from brokenpipe import formatting
from brokenpipe.measure.model import lost_slots, nested_checkouts
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.sizing.advice import (
    HEADROOM,
    ServiceDemand,
    ceiling_size,
    largest_within,
    rule_of_thumb_size,
)
from brokenpipe.measure.sizing.curve import NoSize, PoolSize, Sizing, Sufficiency
from brokenpipe.plan.settings.postgres import RESERVED_CONNECTIONS

REMEDIES = {
    NoSize.NESTED: nested_checkouts.REMEDY,
    NoSize.LOST: lost_slots.REMEDY,
    NoSize.ELSEWHERE: (
        "Look for a lock, a limit of threads or tasks, or a call to another service around the work with the database."
    ),
}
"""What to do where no size is an answer."""

HEADS = (
    "pool size",
    "wait p95",
    "95 % interval",
    "in vain",
    "53300",
    "answered",
    "in use (most)",
    "at Postgres",
)


@dataclass(frozen=True, slots=True)
class SizeRow:
    """One arm: texts below `HEADS`, whether the pool was large enough, and `note`, what to say of it in a word."""

    arm: str
    texts: tuple[str, ...]
    room: Sufficiency
    is_knee: bool
    note: str


@dataclass(frozen=True, slots=True)
class RuleOfThumb:
    """A rule of thumb: what it says for the run's own numbers, what was measured, and whether the two agree."""

    name: str
    says: str
    measured: str
    agrees: bool


@dataclass(frozen=True, slots=True)
class SizingSection:
    """What the page shows."""

    sentence: str
    setting: str
    tolerable_ms: float
    heads: tuple[str, ...]
    rows: tuple[SizeRow, ...]
    rules: tuple[RuleOfThumb, ...]


def sizing_section(findings: Findings, sizing: Sizing) -> SizingSection:
    """Put it all into words."""
    return SizingSection(
        knee_sentence(sizing),
        describe_load(findings, sizing),
        sizing.tolerable_ms,
        HEADS,
        size_rows(sizing),
        check_rules(findings, sizing),
    )


def size_name(size: PoolSize) -> str:
    """Write a size as "16", with several processes as "2 × 8 = 16"."""
    return str(size.most) if size.processes == 1 else f"{size.processes} × {size.per_process} = {size.most}"


def size_rows(sizing: Sizing) -> tuple[SizeRow, ...]:
    """Build a row for each arm, from the smallest pool to the largest."""
    return tuple(_size_row(size, sizing) for size in sizing.sizes)


def _size_row(size: PoolSize, sizing: Sizing) -> SizeRow:
    is_knee = sizing.knee is not None and size.arm == sizing.knee.arm
    note = "left out" if size.arm in sizing.left_out else "knee" if is_knee else size.sufficiency.value
    return SizeRow(size.arm, _size_texts(size), size.sufficiency, is_knee=is_knee, note=note)


def _size_texts(size: PoolSize) -> tuple[str, ...]:
    use = size.use
    return (
        size_name(size),
        formatting.milliseconds(_wait_shown_ms(size.wait_p95_ms)),
        _interval(size),
        formatting.percent(size.timeout_share),
        formatting.percent(size.refused_share),
        f"{size.answered_per_s:.1f}/s",
        f"{use.mean_out:.1f} ({use.peak_out})",
        formatting.count(use.peak_connections),
    )


def _interval(size: PoolSize) -> str:
    """Write "88–331 ms"; nothing where nobody waited."""
    if size.ci95 is None or size.ci95.high < 1:
        return ""
    return f"{size.ci95.low:,.0f}–{size.ci95.high:,.0f}{formatting.THIN}ms"


def _wait_shown_ms(wait_ms: float) -> float:
    """Below a millisecond nobody waited."""
    return wait_ms if wait_ms >= 1 else 0.0


def knee_sentence(sizing: Sizing) -> str:
    """Say where the knee is and what that means, or why nobody knows."""
    if sizing.no_size is NoSize.ELSEWHERE:
        return (
            "Pool size makes no difference here: requests wait elsewhere in the service. "
            f"{sizing.why}. {REMEDIES[sizing.no_size]}"
        )
    if sizing.no_size is not None:
        return f"No pool size is enough. {sizing.why}. {REMEDIES[sizing.no_size]}"
    if sizing.knee is None:
        return f"Where the knee is, this run cannot say: {sizing.why}."
    said = (
        f"The knee is at {size_name(sizing.knee)} connections: the smallest pool in which 95 of 100 requests wait for "
        f"{formatting.milliseconds(sizing.tolerable_ms)} at most (a tenth of the hold) and none waits in vain."
    )
    if sizing.knee.refused:
        share = formatting.percent(sizing.knee.refused_share)
        said += f" But Postgres refused {share} of its requests with 53300: it has no room for so many."
    if sizing.undecided:
        known = " and ".join(size_name(size) for size in sizing.undecided)
        said += f" {known} may do as well: this run was too short to tell."
    return said


def describe_load(findings: Findings, sizing: Sizing) -> str:
    """Say under which load the curve was measured."""
    roomiest = sizing.curve[-1]
    rate = findings.arrivals_per_s
    asked = (
        f"{rate:g} requests a second arrive at each arm"
        if rate
        else f"{formatting.plural(findings.users_per_arm, 'user')} ask each arm"
    )
    held = formatting.milliseconds(roomiest.hold_ms)
    apart = "; ".join(f"{arm} ({why})" for arm, why in sizing.left_out.items())
    blocks = formatting.plural(sizing.episodes, "block")
    return (
        f"{sizing.phase}, {blocks}: {asked}, and a connection was held for {held} at a time, on average."
        + (f" Left out of the comparison, because more than the size differs: {apart}." if apart else "")
    )


def check_rules(findings: Findings, sizing: Sizing) -> tuple[RuleOfThumb, ...]:
    """Hold each rule of thumb against the curve. None without a knee: there is nothing to hold it against."""
    knee = sizing.knee
    if knee is None:
        return ()
    return (
        *_max_connections_rule(findings, sizing),
        *_headroom_rules(findings, sizing, knee),
        *_half_rule(findings, sizing, knee),
    )


def _max_connections_rule(findings: Findings, sizing: Sizing) -> Iterator[RuleOfThumb]:
    name = "workers × (pool_size + max_overflow) ≤ max_connections"
    allowed = findings.max_connections
    if allowed is None:  # nothing was measured that it could be held against
        return
    room = allowed - RESERVED_CONNECTIONS
    above = [size for size in sizing.sizes if size.most > room]
    within = [size for size in sizing.sizes if size.most <= room]
    refused = [size for size in above if size.refused]
    too_large = ", ".join(size_name(size) for size in above) or "none"
    says = (
        f"at most {room} ({allowed} − {RESERVED_CONNECTIONS} reserved for superusers): {too_large} too large"
    )
    wrong = [size for size in within if size.refused]
    seen = ", ".join(f"{size_name(s)}: {formatting.percent(s.refused_share)}" for s in (*wrong, *refused))
    measured = (
        f"refused with 53300: {seen}" if seen else f"nothing was refused: {sizing.peak} were in use at most"
    )
    yield RuleOfThumb(name, says, measured, not wrong and bool(refused) if above else not wrong)


def _headroom_rules(findings: Findings, sizing: Sizing, knee: PoolSize) -> Iterator[RuleOfThumb]:
    for what, peak in (("most in use at once", float(sizing.peak)), ("average in use", knee.use.mean_out)):
        each = rule_of_thumb_size(peak, knee.processes)
        total = each * knee.processes
        says = f"{peak:.3g} × {HEADROOM:g} / {formatting.plural(knee.processes, 'worker')} = {each}"
        name = f"(peak concurrent holders / workers) × {HEADROOM:g}, with the {what}"
        room = None if findings.max_connections is None else findings.max_connections - RESERVED_CONNECTIONS
        beyond = 0 if room is None else max(0, total - room)
        measured = _compare_with_knee(sizing, knee, total)
        measured += f", and {beyond} more than Postgres has room for" if beyond else ""
        yield RuleOfThumb(name, says, measured, knee.most <= total <= 1.5 * knee.most and not beyond)


def _compare_with_knee(sizing: Sizing, knee: PoolSize, total: int) -> str:
    if total >= knee.most:
        more = total - knee.most
        return f"enough, {more} more than the knee" if more else "the knee itself"
    return _measured_at(sizing, total)


def _measured_at(sizing: Sizing, total: int) -> str:
    """What was measured at the largest size that is not above so many."""
    size = largest_within(sizing, total)
    if size is None:
        return f"below every size that was tried ({size_name(sizing.curve[0])})"
    wait = formatting.milliseconds(_wait_shown_ms(size.wait_p95_ms))
    return f"at {size_name(size)} the wait is {wait} (p95), and {formatting.percent(size.timeout_share)} wait in vain"


def _half_rule(findings: Findings, sizing: Sizing, knee: PoolSize) -> Iterator[RuleOfThumb]:
    name = "half of max_connections for one service"
    allowed = findings.max_connections
    if allowed is None:
        return
    each = ceiling_size(allowed, knee.processes)
    total = each * knee.processes
    says = f"{allowed} × 0.5 / {formatting.plural(knee.processes, 'worker')} = {each}"
    fits = knee.most <= total
    measured = "the knee is below it" if fits else f"too small for this load: {_measured_at(sizing, total)}"
    yield RuleOfThumb(name, says, measured, fits)


def describe_workload(asked: ServiceDemand) -> str:
    """Write what somebody asked for."""
    allowed = "" if asked.max_connections is None else f", max_connections {asked.max_connections}"
    return (
        f"{formatting.plural(asked.workers, 'worker')}, {asked.peak_per_s:.3g} requests/s at peak, "
        f"{formatting.milliseconds(asked.hold_ms)} hold{allowed}"
    )
