"""Recommendation: the arm whose users see the fewest failed requests, beyond chance; of equal arms, the cheapest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from brokenpipe.measure.facts import Facts
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.verdict import COMPARABLE_FAILED_SHARE, ArmCost, Comparison, Recommendation
from brokenpipe.measure.tables.estimates import Estimator
from brokenpipe.measure.verdict.ranking import Ranking, rank_arms
from brokenpipe.plan.expectations import Metric
from brokenpipe.plan.scenario import Scenario

MATTERS_MS = 5.0
MATTERS_SHARE = 0.05
"""A cost is too small to matter below 5 ms, or below 5 % of the control's median request if that is more."""


def arm_costs(
    scenario: Scenario, estimator: Estimator, phases: Sequence[str], compared: Sequence[Comparison]
) -> dict[str, ArmCost]:
    """What each arm adds to the control's median request in the first phase without a fault."""
    calm = next((name for name in phases if not scenario.phase(name).fault), None)
    if calm is None:
        return {}
    others = [arm for arm in scenario.arms if arm != scenario.control]
    uneven = {each.arm for each in compared if each.phase == calm and _failed_unevenly(each)}
    return {arm: _cost(estimator, arm, calm, uneven=arm in uneven) for arm in others}


def _cost(estimator: Estimator, arm: str, calm: str, *, uneven: bool) -> ArmCost:
    estimate = estimator.estimate(Metric.ADDED_P50_MS, (arm, calm))
    cell, control = estimator.cells[arm, calm], estimator.cells[estimator.control, calm]
    mine, theirs = _failed_share(cell), _failed_share(control)
    return ArmCost(
        phase=calm,
        added_ms=estimate.value,
        ci95=estimate.ci95,
        matters_ms=max(MATTERS_MS, MATTERS_SHARE * (control.latency_ms.p50 or 0.0)),
        failed_share=mine,
        control_failed_share=theirs,
        incomparable=uneven or abs(mine - theirs) > COMPARABLE_FAILED_SHARE,
    )


def _failed_share(cell: ArmPhaseStats) -> float:
    return cell.failed / cell.requests if cell.requests else 0.0


def _failed_unevenly(each: Comparison) -> bool:
    return each.metric == Metric.ADDED_FAILURE_RATE and each.differs


def recommend_arm(facts: Facts, costs: Mapping[str, ArmCost]) -> Recommendation | None:
    """The arm to recommend, or the control if no arm did better.

    None unless there is a choice, a control to compare with, and something that failed in it while a fault was there.
    """
    found = rank_arms(facts)
    control = facts.plan.scenario.control
    if found is None or not found.totals(control).failed:
        return None
    better_in = found.better_in([arm for arm in found.arms if arm != control], control)
    able = [arm for arm in better_in if not _fails_more(found, arm, control)]
    winners = sorted((arm for arm in able if better_in[arm]), key=lambda arm: _rank_key(found, arm))
    if winners:
        equals = _equal_arms(found, winners)
        arm = min(equals, key=lambda each: _price_ms(costs, each))
        return _recommendation(found, arm, costs, better_in[arm], [each for each in equals if each != arm])
    arm = min([control, *able], key=lambda each: _rank_key(found, each))
    return _recommendation(found, arm, costs, (), [])


def _rank_key(found: Ranking, arm: str) -> tuple[float, float]:
    tally = found.totals(arm)
    return tally.ranked_share, tally.failed_share


def _fails_more(found: Ranking, arm: str, control: str) -> bool:
    """In the phases with a fault, or in all of the run: whatever it prevents, its users are worse off."""
    if found.totals(arm).failed_share > found.totals(control).failed_share:
        return True
    mine, theirs = (_failed_everywhere(found.facts, each) for each in (arm, control))
    return mine > theirs


def _failed_everywhere(facts: Facts, arm: str) -> float:
    cells = [facts.cells[arm, phase] for phase in facts.phases_for_all_arms]
    return sum(cell.failed for cell in cells) / max(1, sum(cell.requests for cell in cells))


def _equal_arms(found: Ranking, winners: Sequence[str]) -> list[str]:
    """The first arm, and those that are not worse than it beyond chance."""
    first, *others = winners
    worse_in = found.worse_in(others, first)
    return [arm for arm in winners if not worse_in.get(arm)]


def _price_ms(costs: Mapping[str, ArmCost], arm: str) -> float:
    """The cost in the median request. A cost that is not known counts as infinite."""
    price_ms = costs[arm].price_ms if arm in costs else None
    return inf if price_ms is None else price_ms


def _recommendation(
    found: Ranking, arm: str, costs: Mapping[str, ArmCost], better_in: tuple[str, ...], equals: Sequence[str]
) -> Recommendation:
    scenario = found.facts.plan.scenario
    share, interval = found.prevented(arm, scenario.control)
    prices = [_price_ms(costs, each) for each in equals]
    return Recommendation(
        arm=arm,
        control=scenario.control,
        control_totals=found.totals(scenario.control),
        arm_totals=found.totals(arm),
        prevented_share=share,
        ci95=interval,
        better_in=better_in,
        cost=costs.get(arm),
        ranked_by=found.basis,
        causes_known=found.causes_known(scenario.control),
        tied=tuple(equals),
        tied_costs=() if inf in prices else tuple(prices),
    )
