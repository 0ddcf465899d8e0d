"""The headline of a report: what failed, what prevents it, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from brokenpipe.formatting import (
    added_ms,
    listed,
    milliseconds,
    milliseconds_interval,
    percent,
    percent_interval,
    plural,
)
from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import ArmCost, ArmTotals, Recommendation, Verdict
from brokenpipe.plan.scenario import Scenario

_ALONE = {
    Verdict.PASS: "Everything that was expected held.",
    Verdict.FAIL: "Something that was expected did not hold.",
    Verdict.UNKNOWN: "This run cannot say whether what was expected holds.",
}


def with_doubt(
    best: Recommendation | None, verdict: Verdict, warnings: Iterable[ValidityWarning]
) -> Recommendation | None:
    """The recommendation, marked as in doubt if the run is: then it must not be acted on."""
    doubted = verdict is Verdict.UNKNOWN or any(warning.unknown for warning in warnings)
    return replace(best, in_doubt=True) if best and doubted else best


def headline(
    best: Recommendation | None, scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats], verdict: Verdict
) -> str:
    """Write the headline, about failed requests and about the broken ones among them where the numbers differ."""
    said = _recommendation_sentence(best) if best else _without_recommendation(scenario, cells, verdict)
    return f"In doubt: {said}" if best and best.in_doubt else said


def _recommendation_sentence(best: Recommendation) -> str:
    if best.arm == best.control:
        return (
            f"No setting did better than {best.control} itself: {_failed_requests(best.control_totals)} "
            f"failed{_broken(best.control_totals)}."
        )
    if not best.beyond_chance:
        return (
            f"{_failed_requests(best.arm_totals)} of {best.arm} failed and {_failed(best.control_totals)} of "
            f"{best.control}{_both_broken(best)}: chance alone may be why, and more episodes would tell."
        )
    counts = (
        f"{_failed(best.arm_totals)} failed instead of {_failed(best.control_totals)}{_both_broken(best)}"
    )
    return f"{_prevented(best)}: {counts}{cost_text(best.cost, best.control)}.{_tied(best)}"


def _prevented(best: Recommendation) -> str:
    """Whether it is better is decided by the signs of the episodes; the interval of how much may reach 0."""
    share = f"{percent(best.prevented_share)} of the failed requests that users of {best.control} see"
    if best.ci95 is None:
        return f"{best.arm} prevents {share}"
    if best.ci95.low > 0:
        return f"{best.arm} prevents {share} ({percent_interval(best.ci95)})"
    return (
        f"{best.arm} does better than {best.control} in {listed(best.better_in)}, and not by chance; "
        f"it prevents {share}, which is not known to better than {share_range_text(best.ci95)}"
    )


def share_range_text(interval: Interval) -> str:
    """Write two shares of which one is below 0: "−16 % to 100 %"."""
    return f"{percent(interval.low).replace('-', '−')} to {percent(interval.high)}"


def _failed(tally: ArmTotals) -> str:
    return f"{tally.failed:,} of {tally.requests:,}"


def _failed_requests(tally: ArmTotals) -> str:
    return f"{tally.failed:,} of {plural(tally.requests, 'request')}"


def _broken(tally: ArmTotals) -> str:
    if tally.broken is None:
        return ", and how many of them were broken is not known"
    if tally.broken == tally.failed:
        return ", all of them broken"
    return f", {tally.broken:,} of them broken"


def _both_broken(best: Recommendation) -> str:
    """How many of the failed requests were broken; one number if all were."""
    arm, control = best.arm_totals, best.control_totals
    if arm.broken is None or control.broken is None:
        return ", and how many of them were broken is not known"
    if (arm.broken, control.broken) == (arm.failed, control.failed):
        return ", all of them broken"
    return f", {arm.broken:,} and {control.broken:,} of them broken"


def cost_text(cost: ArmCost | None, control: str) -> str:
    """What it costs, after a comma; empty if no phase without a fault can tell."""
    if cost is None or cost.added_ms is None:
        return ""
    if cost.incomparable:
        mine, theirs = percent(cost.failed_share), percent(cost.control_failed_share)
        return (
            f", at a cost that is not known: in {cost.phase} {mine} of its requests failed "
            f"and {theirs} of {control}'s, and latencies are of those that succeeded"
        )
    if cost.ci95 is None:
        return f", for {added_ms(cost.added_ms)} in the median request (no interval)"
    ends = milliseconds_interval(cost.ci95)
    if cost.ci95.low <= 0 <= cost.ci95.high:
        if cost.ci95.high <= cost.matters_ms:
            matters = milliseconds(cost.matters_ms)
            return f", at a cost too small to matter ({ends} in the median request; {matters} would)"
        return f", at a cost not known to better than {ends} in the median request"
    return f", for {added_ms(cost.added_ms)} ({ends}) in the median request"


def _tied(best: Recommendation) -> str:
    """Arms that do as well, and why this one is named."""
    if not best.tied:
        return ""
    said = f" {listed([best.arm, *best.tied])} do not differ by more than chance"
    price_ms = best.cost.price_ms if best.cost else None
    if price_ms is None or not best.tied_costs or price_ms >= min(best.tied_costs):
        return f"{said}."
    others = listed([added_ms(each) for each in best.tied_costs])
    return f"{said}; {best.arm} is cheaper ({added_ms(price_ms)} against {others})."


def _without_recommendation(
    scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats], verdict: Verdict
) -> str:
    of_control = [cell for (arm, _), cell in cells.items() if arm == scenario.control]
    requests = sum(cell.requests for cell in of_control)
    if len(scenario.arms) == 1 or not requests:
        return _ALONE[verdict]
    if failed := sum(cell.failed for cell in of_control):
        return (
            f"{failed:,} of {plural(requests, 'request')} of {scenario.control} failed"
            f"{_fault_remark(scenario, of_control)}: "
            "no setting can be recommended."
        )
    if others := _failed_elsewhere(scenario, cells):
        return f"Nothing failed in {scenario.control}, but {listed(others)}."
    return f"Nothing failed in {scenario.control}, so there was nothing for another setting to prevent."


def _fault_remark(scenario: Scenario, of_control: Iterable[ArmPhaseStats]) -> str:
    """Whether the failures were in phases without a fault, or not all arms had requests in the phases with one."""
    if any(cell.failed and scenario.phase(cell.phase).fault for cell in of_control):
        return ", and no other arm was asked in every phase with a fault"
    return ", none of them in a phase with a fault"


def _failed_elsewhere(scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats]) -> list[str]:
    found = []
    for arm in scenario.arms:
        of_arm = [cell for (name, _), cell in cells.items() if name == arm]
        failed, requests = sum(cell.failed for cell in of_arm), sum(cell.requests for cell in of_arm)
        if failed:
            found.append(f"{failed:,} of {plural(requests, 'request')} of {arm} did")
    return found
