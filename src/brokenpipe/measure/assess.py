"""Assessment of the facts: warnings, checks, differences between arms, and the recommended arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from brokenpipe.history.reader import History
from brokenpipe.history.validity_codes import Code
from brokenpipe.measure.facts import Facts
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.episode_stats import EpisodeStats
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import ArmCost, Check, Comparison, Recommendation, Verdict
from brokenpipe.measure.regression.baseline import BASELINE_FILE, Baseline, machine_of, read_baseline
from brokenpipe.measure.regression.check import NewRun, RegressionResult, check_regression
from brokenpipe.measure.silences.consequences import with_silence_reasons
from brokenpipe.measure.tables.open_load import arrival_warnings
from brokenpipe.measure.tables.swallowed_errors import swallowed_warnings
from brokenpipe.measure.tables.write_audit import ledger_warnings
from brokenpipe.measure.validity.broken_service import (
    BrokenService,
    broken_services,
    service_sentence,
    service_warnings,
)
from brokenpipe.measure.validity.missing_files import file_warnings
from brokenpipe.measure.validity.run import run_warnings
from brokenpipe.measure.verdict.arm_comparisons import compare_arms, too_few_episodes_warnings
from brokenpipe.measure.verdict.checks import decide_checks, lost_between_phases, overall_verdict
from brokenpipe.measure.verdict.headline import with_doubt
from brokenpipe.measure.verdict.recommend import arm_costs, recommend_arm


@dataclass(frozen=True, slots=True)
class Assessment:
    """The assessment of one run, including its baseline if it has one."""

    comparisons: tuple[Comparison, ...]
    episode_stats: Mapping[ArmPhase, EpisodeStats]
    machine: str
    baseline: Baseline | None
    checks: tuple[Check, ...]
    warnings: tuple[ValidityWarning, ...]
    verdict: Verdict
    costs: Mapping[str, ArmCost]
    best: Recommendation | None
    broken_service: str  # a sentence about arms that fail without any fault; empty: all work


def assess(history: History, facts: Facts, *, under_way: bool) -> Assessment:
    """Assess a run.

    `under_way`: what is read only after the last phase, such as the ledger, may be missing.
    """
    scenario, estimator = facts.plan.scenario, facts.estimator
    broken = broken_services(scenario, facts.cells, facts.explained.failures)
    working = _only_working_arms(broken, scenario.control)
    compared = tuple(filter(working, compare_arms(scenario, estimator, facts.phases_for_all_arms)))
    doubted = tuple(service_warnings(broken, tuple(scenario.arms)))
    warnings = with_silence_reasons(
        history, (*doubted, *_warnings(history, facts, compared, under_way=under_way))
    )
    figures = {place: estimator.episode_stats(place) for place in facts.cells}
    machine = machine_of(facts.environment)
    baseline = None if under_way else read_baseline(history.folder / BASELINE_FILE)
    if baseline is not None:  # the baseline is an expectation, too
        warnings = tuple(each for each in warnings if each.code != Code.NOTHING_EXPECTED)
    held = _check_baseline(baseline, NewRun(facts.plan, figures, warnings, machine))
    between = () if under_way else lost_between_phases(scenario, facts.write_audits, warnings)
    decided = (*decide_checks(scenario, estimator, warnings), *between, *held.checks)
    warnings = (*warnings, *held.warnings)
    verdict = overall_verdict(decided, warnings, finished=facts.ended == "done")
    added = arm_costs(scenario, estimator, facts.reached, compared)
    return Assessment(
        comparisons=compared,
        episode_stats=figures,
        machine=machine,
        baseline=baseline,
        checks=decided,
        warnings=warnings,
        verdict=verdict,
        costs=added,
        best=None if broken else with_doubt(recommend_arm(facts, added), verdict, warnings),
        broken_service=service_sentence(broken),
    )


def _only_working_arms(broken: Sequence[BrokenService], control: str) -> Callable[[Comparison], bool]:
    """A predicate: both arms of a comparison work. An arm that always fails breaks the fewest connections."""
    arms = {each.arm for each in broken}
    return lambda comparison: not arms & {comparison.arm, control}


def _warnings(
    history: History, facts: Facts, compared: tuple[Comparison, ...], *, under_way: bool
) -> tuple[ValidityWarning, ...]:
    scenario = facts.plan.scenario
    return (
        *run_warnings(
            history, scenario, facts.cells, facts.witness_coverage, facts.health, facts.contract_results
        ),
        *too_few_episodes_warnings(scenario, compared),
        *arrival_warnings(facts.arrivals),
        *swallowed_warnings(scenario, facts.cells, facts.swallowed),
        *(() if under_way else ledger_warnings(scenario, facts.write_audits)),
        *(() if under_way else file_warnings(history, facts.plan, ended=facts.ended)),
    )


def _check_baseline(baseline: Baseline | None, run: NewRun) -> RegressionResult:
    return check_regression(baseline, run) if baseline else RegressionResult((), ())
