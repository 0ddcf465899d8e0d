"""Facts of a run: everything that is counted from its history before anything is assessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from brokenpipe.history.reader import History
from brokenpipe.history.records import SelfTest
from brokenpipe.measure.attribution.engine import attribute_failures, refine_by_connection
from brokenpipe.measure.attribution.event_loop import with_loop_lag
from brokenpipe.measure.attribution.idle_connections import refine_by_pings
from brokenpipe.measure.attribution.refused_connects import reclassify_refused_connects
from brokenpipe.measure.failures.root_cause import FailedRequest, failures, with_known_causes
from brokenpipe.measure.failures.witness_coverage import (
    SeenLibraries,
    WitnessCoverage,
    coverage_by_arm,
    fully_witnessed_arms,
    libraries_by_arm,
)
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.attribution import Attribution
from brokenpipe.measure.model.findings import PhaseFinding, SwallowedErrors
from brokenpipe.measure.model.validity import ArrivalCounts, Health
from brokenpipe.measure.model.write_counts import WriteAudit
from brokenpipe.measure.run_metadata import end_reason, plan_of, recorded_environment
from brokenpipe.measure.stats.intervals import ERROR
from brokenpipe.measure.tables.arm_phase import arm_phase_stats, episodes_by_arm_phase
from brokenpipe.measure.tables.client_disconnects import with_client_disconnects
from brokenpipe.measure.tables.estimates import Estimator
from brokenpipe.measure.tables.failure_groups import with_attribution_counts
from brokenpipe.measure.tables.lost_slots import with_lost_slots
from brokenpipe.measure.tables.open_load import count_arrivals
from brokenpipe.measure.tables.peak_connections import with_peak_connections
from brokenpipe.measure.tables.pool_costs import with_round_trips
from brokenpipe.measure.tables.requests import create_request_tables
from brokenpipe.measure.tables.swallowed_errors import swallowed_errors, with_swallowed_counts
from brokenpipe.measure.tables.write_audit import audit_writes, with_write_counts
from brokenpipe.measure.time_series.charts import phase_findings
from brokenpipe.measure.time_series.recoveries import with_recoveries
from brokenpipe.measure.validity.health import contract_results, health
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario


@dataclass(frozen=True, slots=True)
class ExplainedFailures:
    """Every failed request and its attribution, in the same order."""

    failures: tuple[FailedRequest, ...]
    attributions: tuple[Attribution, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one run. `estimator` gives any metric, for the whole table and for single episodes."""

    plan: Plan
    environment: Mapping[str, Any]
    ended: str  # "done", "interrupted", "terminated", "failed", "stopped", "hung", "cut off"
    phases: tuple[PhaseFinding, ...]  # those that were begun
    explained: ExplainedFailures
    arrivals: Mapping[ArmPhase, ArrivalCounts]
    swallowed: tuple[SwallowedErrors, ...]
    write_audits: Mapping[str, WriteAudit]  # by arm
    health: Health
    contract_results: tuple[SelfTest, ...]
    estimator: Estimator
    witness_coverage: Mapping[str, WitnessCoverage]  # by arm, what the witness saw
    seen_libraries: Mapping[str, SeenLibraries]  # by arm

    @property
    def cells(self) -> Mapping[ArmPhase, ArmPhaseStats]:
        """The table: one value for each arm and phase."""
        return self.estimator.cells

    @property
    def reached(self) -> list[str]:
        """The names of the phases that were begun."""
        return [phase.name for phase in self.phases]

    @property
    def phases_for_all_arms(self) -> list[str]:
        """The phases in which all arms had the same faults.

        Where a fault hits some arms only, the other arms are no comparison.
        """
        return [name for name in self.reached if not self.plan.scenario.phase(name).arms]


def collect_facts(history: History) -> Facts:
    """Collect the facts of a newly opened history, in which tables are created.

    Raises ReportError if this version cannot read its plan.
    """
    plan, environment = plan_of(history), recorded_environment(history.folder)
    scenario = plan.scenario
    create_request_tables(history, limit_s=scenario.load.timeout_s)
    begun = phase_findings(history, scenario)
    seen = coverage_by_arm(history, scenario.arms)
    explained = _explain_failures(history, scenario, seen)
    kept_quiet, books = (
        swallowed_errors(history),
        audit_writes(history, plan.arms_with_ledger or tuple(scenario.arms)),
    )
    return Facts(
        plan=plan,
        environment=environment,
        ended=end_reason(history),
        phases=begun,
        explained=explained,
        arrivals=count_arrivals(history, scenario),
        swallowed=kept_quiet,
        write_audits=books,
        health=health(
            history,
            cores=environment.get("cores") or 1,
            arms=tuple(scenario.arms),
            workers=scenario.load.workers,
        ),
        contract_results=contract_results(history),
        estimator=_build_estimator(
            history,
            plan,
            [phase.name for phase in begun],
            explained,
            kept_quiet,
            books,
            fully_witnessed_arms(seen),
        ),
        witness_coverage=seen,
        seen_libraries=libraries_by_arm(history, scenario.arms),
    )


def _explain_failures(
    history: History, scenario: Scenario, seen: Mapping[str, WitnessCoverage]
) -> ExplainedFailures:
    failed = reclassify_refused_connects(history, failures(history))
    failed = with_known_causes(failed, fully_witnessed_arms(seen))
    owings = attribute_failures(history, failed)
    return ExplainedFailures(
        *refine_by_pings(history, scenario, refine_by_connection(failed, owings), owings)
    )


def _build_estimator(
    history: History,
    plan: Plan,
    reached: list[str],
    explained: ExplainedFailures,
    swallowed: tuple[SwallowedErrors, ...],
    write_audits: Mapping[str, WriteAudit],
    witnessed: frozenset[str],
) -> Estimator:
    """The table of arms and phases with all its columns, and the episodes behind it."""
    scenario, failed = plan.scenario, explained.failures
    by_place = episodes_by_arm_phase(history, product(scenario.arms, reached), failed)
    errors = {phase.name: ERROR / plan.analyses_of(phase.name) for phase in scenario.phases}
    table = arm_phase_stats(history, by_place, failed, witnessed, errors)
    table = with_lost_slots(history, table, witnessed)
    table = with_peak_connections(history, with_round_trips(scenario, table))
    table = with_recoveries(history, scenario, table)
    table = with_loop_lag(history, with_client_disconnects(history, table, witnessed))
    table = with_attribution_counts(
        with_write_counts(with_swallowed_counts(table, swallowed, witnessed), write_audits),
        failed,
        explained.attributions,
    )
    return Estimator(history, table, by_place, scenario.control, errors)
