"""What happened, in figures: all that is read from a history before anything is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from brokenpipe.history.reader import History
from brokenpipe.measure.attribution.engine import attributed, by_their_links
from brokenpipe.measure.attribution.event_loop import with_loop_lag
from brokenpipe.measure.attribution.idle_connections import with_what_pings_prove
from brokenpipe.measure.attribution.refused_connects import as_nobody_accepted
from brokenpipe.measure.failures.root_cause import Failure, failures, with_known_causes
from brokenpipe.measure.failures.witness_coverage import Seen, followed, seen_by_arm
from brokenpipe.measure.model.arm_phase import Cell, Place
from brokenpipe.measure.model.attribution import Attribution
from brokenpipe.measure.model.findings import PhaseFinding, Swallowed
from brokenpipe.measure.model.validity import Arrivals, ContractProbe, Health
from brokenpipe.measure.model.write_counts import Books
from brokenpipe.measure.run_metadata import finished, plan_of, recorded_environment
from brokenpipe.measure.stats.intervals import ERROR
from brokenpipe.measure.tables.arm_phase import cells, episodes_by_place
from brokenpipe.measure.tables.client_disconnects import with_left
from brokenpipe.measure.tables.estimates import Estimator
from brokenpipe.measure.tables.failure_groups import place_owings
from brokenpipe.measure.tables.open_load import arrivals
from brokenpipe.measure.tables.peak_connections import counted
from brokenpipe.measure.tables.pool_costs import with_round_trips
from brokenpipe.measure.tables.requests import tabulate
from brokenpipe.measure.tables.swallowed_errors import swallowed, tallied
from brokenpipe.measure.tables.write_audit import entered, ledger
from brokenpipe.measure.time_series.charts import phases
from brokenpipe.measure.time_series.recoveries import with_recoveries
from brokenpipe.measure.validity.health import certificate, health
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Explained:
    """Every failed request, and what each is owed to, in the same order."""

    failures: tuple[Failure, ...]
    owings: tuple[Attribution, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one run. `estimator` tells what any metric was, of the whole table and of single episodes."""

    plan: Plan
    environment: Mapping[str, Any]
    ended: str  # "done", "interrupted", "terminated", "failed", "stopped", "hung", "cut off"
    phases: tuple[PhaseFinding, ...]  # those that were begun
    explained: Explained
    arrivals: Mapping[Place, Arrivals]
    swallowed: tuple[Swallowed, ...]
    books: Mapping[str, Books]  # by arm
    health: Health
    contract: tuple[ContractProbe, ...]
    estimator: Estimator
    seen: Mapping[str, Seen]  # by arm, what the witness saw

    @property
    def cells(self) -> Mapping[Place, Cell]:
        """The table."""
        return self.estimator.cells

    @property
    def reached(self) -> list[str]:
        """The names of the phases that were begun."""
        return [phase.name for phase in self.phases]

    @property
    def common(self) -> list[str]:
        """The phases in which all arms met the same.

        Where a fault happened to some arms only, the others are no answer to what it does.
        """
        return [name for name in self.reached if not self.plan.scenario.phase(name).arms]


def facts_of(history: History) -> Facts:
    """The facts of a history that was opened just now. Raises ReportError if this version cannot read its plan."""
    plan, environment = plan_of(history), recorded_environment(history.folder)
    scenario = plan.scenario
    tabulate(history, limit_s=scenario.load.timeout_s)
    begun = phases(history, scenario)
    seen = seen_by_arm(history, scenario.arms)
    explained = _explained(history, scenario, seen)
    kept_quiet, books = swallowed(history), ledger(history, tuple(scenario.arms))
    return Facts(
        plan=plan,
        environment=environment,
        ended=finished(history),
        phases=begun,
        explained=explained,
        arrivals=arrivals(history, scenario),
        swallowed=kept_quiet,
        books=books,
        health=health(
            history,
            cores=environment.get("cores") or 1,
            arms=tuple(scenario.arms),
            workers=scenario.load.workers,
        ),
        contract=certificate(history),
        estimator=_estimator(
            history, plan, [phase.name for phase in begun], explained, kept_quiet, books, followed(seen)
        ),
        seen=seen,
    )


def _explained(history: History, scenario: Scenario, seen: Mapping[str, Seen]) -> Explained:
    failed = as_nobody_accepted(history, failures(history))
    failed = with_known_causes(failed, followed(seen))
    owings = attributed(history, failed)
    return Explained(*with_what_pings_prove(history, scenario, by_their_links(failed, owings), owings))


def _estimator(
    history: History,
    plan: Plan,
    reached: list[str],
    explained: Explained,
    kept_quiet: tuple[Swallowed, ...],
    books: Mapping[str, Books],
    witnessed: frozenset[str],
) -> Estimator:
    """The table, filled by everybody who knows something of a place, and the episodes that it is made of."""
    scenario, failed = plan.scenario, explained.failures
    by_place = episodes_by_place(history, product(scenario.arms, reached), failed)
    errors = {phase.name: ERROR / plan.analyses_of(phase.name) for phase in scenario.phases}
    table = cells(history, by_place, failed, witnessed, errors)
    table = counted(history, with_round_trips(scenario, table))
    table = with_recoveries(history, scenario, table)
    table = with_loop_lag(history, with_left(history, table, witnessed))
    table = place_owings(entered(tallied(table, kept_quiet, witnessed), books), failed, explained.owings)
    return Estimator(history, table, by_place, scenario.control, errors)
