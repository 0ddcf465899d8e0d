"""The table arms × phases, and what each arm's settings cost: shared by the page and the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from brokenpipe import formatting
from brokenpipe.measure.model.arm_phase import ArmPhaseStats, LatencyPercentiles
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.pool_costs import PoolCost
from brokenpipe.measure.model.verdict import ArmCost
from brokenpipe.report import texts

# From here on a wait or an outage is worth a line beside percentiles.
NOTABLE_WAIT_S = 1.0
NOTABLE_P95_RATIO = 5.0
NOTABLE_WAIT_MS = 100.0

NOTABLE_SLOWDOWN = 0.15  # fewer than the control's
FEWEST_COMPARABLE_REQUESTS = 20  # of the control


@dataclass(frozen=True, slots=True)
class RateBar:
    """A cell's rate drawn: lengths in per cent of the widest interval of its phase."""

    stale: float
    in_use: float
    elsewhere: float
    unexplained: float  # failed, and may be broken as well
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TableCell:
    """One place of the table. `cell` is None where the phase was not reached."""

    phase: str
    cell: ArmPhaseStats | None
    bar: RateBar | None
    broke: str  # "19 stale · 23 in use", or "nothing broke"
    otherwise: str  # requests that failed, but not by a disconnect
    unexplained: str  # requests that failed, and why is not known
    masked: str  # empty if nothing had to be masked
    per_strike: str = ""  # broken requests of a strike, on average; empty where nothing strikes
    throughput: str = ""  # requests a second, and whether they are markedly fewer than the control's
    waits: str = (
        ""  # what percentiles hide: outages, strikes from which it did not recover, waits that are long
    )


@dataclass(frozen=True, slots=True)
class SettingsCost:
    """What an arm's settings cost where nothing is broken: the first phase without a fault."""

    phase: str
    median_ms: float | None
    added_ms: float | None  # to the control's median, paired by episode; None for the control itself
    interval: str  # of what is added
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm of the table."""

    index: int  # of the arm: its colour
    arm: str
    settings: tuple[tuple[str, str], ...]  # what makes it differ
    is_control: bool
    is_best: bool
    places: tuple[TableCell, ...]
    cost: SettingsCost | None


def _scale(findings: Findings, phase: str) -> float:
    """Give the rate at the right end of a phase's bars; never below 2 %, or nothing would look like much."""
    cells = [cell for cell in findings.cells.values() if cell.phase == phase]
    ends = [cell.ci95.high for cell in cells if cell.ci95 is not None]
    drawn = [(cell.broken + cell.unexplained) / cell.requests for cell in cells if cell.requests]
    return max([*ends, *drawn, 0.02])


def _rate_bar(cell: ArmPhaseStats, scale: float) -> RateBar | None:
    if not cell.requests:
        return None
    part = 100 / (scale * cell.requests)
    least = cell.broken / cell.requests
    low, high = (cell.ci95.low, cell.ci95.high) if cell.ci95 else (least, least)
    return RateBar(
        stale=cell.stale * part,
        in_use=cell.in_use * part,
        elsewhere=(cell.elsewhere + cell.after_rest) * part,
        unexplained=cell.unexplained * part,
        low=100 * low / scale,
        high=100 * high / scale,
    )


def describe_broken(cell: ArmPhaseStats) -> str:
    """Say in which state the connections of broken requests were."""
    parts = (
        (cell.stale, "stale"),
        (cell.in_use, "in use"),
        (cell.after_rest, texts.describe_first_use(cell.rest_s)),
        (cell.elsewhere, "state not seen"),
    )
    nothing = "nothing seen to break" if cell.known_broken is None else "nothing broke"
    return " · ".join(f"{n:,} {state}" for n, state in parts if n) or nothing


def describe_other_failures(cell: ArmPhaseStats) -> str:
    """Say how many requests failed by something else than a disconnect; empty if none did."""
    return f"{cell.otherwise:,} failed otherwise" if cell.otherwise else ""


def describe_unexplained(cell: ArmPhaseStats) -> str:
    """Say how many requests failed without anything that tells why; empty if none did."""
    return f"{cell.unexplained:,} failed, {texts.CAUSE_NOT_KNOWN}" if cell.unexplained else ""


def count_undetermined(cell: ArmPhaseStats) -> int:
    """Count the failed requests of which the cause, or the connection, is not known: no other column has them."""
    return cell.unexplained + cell.elsewhere


def describe_masked(cell: ArmPhaseStats) -> str:
    """Say how many dead connections were replaced in time, or that nobody saw it."""
    if cell.masked is None:
        return f"masked {texts.NOT_SEEN}"
    return f"{cell.masked.total:,} masked" if cell.masked.total else ""


def describe_per_strike(cell: ArmPhaseStats) -> str:
    """Say how many requests a strike broke; empty where nothing struck, or that is not known."""
    struck = (
        len(cell.recovery_s) == cell.episodes > 0
    )  # what is held begins once, whatever blocks it is divided into
    if not struck or cell.broken_per_episode is None:
        return ""
    found = cell.broken_per_episode
    ends = f" ({formatting.amount_interval(found.ci95)})" if found.ci95 else ""
    return f"{formatting.amount(found.value)}{ends} broken a strike"


def describe_throughput(cell: ArmPhaseStats, control: ArmPhaseStats | None) -> str:
    """Say how many requests a second were made, and by how much fewer they are than the control's if that is much."""
    if cell.requests_per_s is None:
        return ""
    said = f"{formatting.amount(cell.requests_per_s)} requests/s"
    rate = control.requests_per_s if control else None
    if control is None or not rate or control.requests < FEWEST_COMPARABLE_REQUESTS:
        return said
    fewer = 1 - cell.requests_per_s / rate
    return (
        f"{said}, {formatting.percent(fewer)} fewer than {control.arm}" if fewer >= NOTABLE_SLOWDOWN else said
    )


def describe_waits(cell: ArmPhaseStats) -> str:
    """Say what percentiles of a closed load hide; empty if it would say nothing."""
    said = []
    if cell.never_recovered:
        said.append(
            f"never recovered from {cell.never_recovered} of {formatting.plural(len(cell.recovery_s), 'strike')}"
        )
    if (cell.unavailable_s or 0.0) >= NOTABLE_WAIT_S:
        said.append(f"no user got an answer for {formatting.seconds(cell.unavailable_s)}")
    longest_ms, p95_ms = cell.longest_wait_ms or 0.0, cell.latency_ms.p95
    unusual = p95_ms is not None and longest_ms > max(NOTABLE_P95_RATIO * p95_ms, NOTABLE_WAIT_MS)
    if unusual or longest_ms > NOTABLE_WAIT_S * 1000:
        said.append(f"longest wait {formatting.milliseconds(longest_ms)}")
    return ", ".join(said)


def _table_cell(findings: Findings, arm: str, phase: str, scale: float) -> TableCell:
    cell = findings.cells.get((arm, phase))
    if cell is None:
        return TableCell(phase, None, None, "not run", "", "", "")
    if cell.requests == 0:
        return TableCell(phase, cell, None, "no request", "", "", "")
    return TableCell(
        phase,
        cell,
        _rate_bar(cell, scale),
        describe_broken(cell),
        describe_other_failures(cell),
        describe_unexplained(cell),
        describe_masked(cell),
        describe_per_strike(cell),
        describe_throughput(cell, findings.cells.get((findings.control, phase))),
        describe_waits(cell),
    )


def _pool_cost_lines(price: PoolCost | None) -> tuple[str, ...]:
    if price is None:
        return (f"prices {texts.NOT_SEEN}",)
    if not price.checkouts:
        return ("no checkout seen",)
    lines = []
    if price.pings:
        each = price.pings / price.checkouts
        how_often = (
            "ping per checkout" if each > 0.95 else f"ping on {each * 100:.0f}{formatting.THIN}% of checkouts"
        )
        lines.append(f"{formatting.milliseconds(price.ping_ms)} {how_often}")
    lines.append(
        f"{formatting.plural(round(1000 * price.connects / price.checkouts), 'connect')} per 1,000 checkouts"
    )
    return tuple(lines)


def _unlike_requests_lines(added: ArmCost | None, control: str) -> tuple[str, ...]:
    """A remark where the difference is no price."""
    if added is None or not added.incomparable:
        return ()
    mine, theirs = formatting.percent(added.failed_share), formatting.percent(added.control_failed_share)
    return (f"no price: {mine} failed here, {theirs} in {control}; of those that succeeded",)


def settings_cost(findings: Findings, arm: str) -> SettingsCost | None:
    """Compare an arm with the control in the first phase without a fault; None if there is none."""
    for phase in findings.phases:
        cell = findings.cells.get((arm, phase.name))
        if phase.fault or cell is None:
            continue
        added = findings.costs.get(arm)
        return SettingsCost(
            phase.name,
            cell.latency_ms.p50,
            added.added_ms if added else None,
            formatting.milliseconds_interval(added.ci95) if added else "",
            (*_unlike_requests_lines(added, findings.control), *_pool_cost_lines(cell.pool_cost)),
        )
    return None


def arm_rows(findings: Findings) -> tuple[ArmRow, ...]:
    """Lay the table out, one row for each arm in the order of the scenario."""
    scales = {phase.name: _scale(findings, phase.name) for phase in findings.phases}
    best = findings.best.arm if findings.best and findings.best.is_recommended else None
    return tuple(
        ArmRow(
            index=index,
            arm=arm,
            settings=(*findings.traits.get(arm, {}).items(), *findings.arms[arm].items()),
            is_control=arm == findings.control,
            is_best=arm == best,
            places=tuple(_table_cell(findings, arm, phase, scale) for phase, scale in scales.items()),
            cost=settings_cost(findings, arm),
        )
        for index, arm in enumerate(findings.arms)
    )


def latency_by_request(findings: Findings) -> tuple[tuple[str, str, str, LatencyPercentiles], ...]:
    """List the latency of each kind of request as (request, phase, arm, latency), arms side by side."""
    order = [(phase.name, arm) for phase in findings.phases for arm in findings.arms]
    cells = [findings.cells[arm, phase] for phase, arm in order if (arm, phase) in findings.cells]
    names = sorted({name for cell in cells for name in cell.latency_by_request})
    return tuple(
        (name, cell.phase, cell.arm, cell.latency_by_request[name])
        for name in names
        for cell in cells
        if name in cell.latency_by_request
    )
