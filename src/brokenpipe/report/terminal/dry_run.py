"""What an experiment is going to do, for `--dry-run`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Column, Table

from brokenpipe import formatting
from brokenpipe.plan.endings import renewing_phases
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.secrets.passed_variables import passed_names
from brokenpipe.plan.secrets.redacted_plan import redacted_plan
from brokenpipe.plan.sequential import worst_case_s


def dry_run_lines(plan: Plan, sources: Sources) -> Iterator[RenderableType]:
    """Say what is run on what, phase by phase, and how long it will take."""
    plan = redacted_plan(plan)
    scenario = plan.scenario
    yield f"{scenario.title}\n{scenario.question}\n"
    yield f"scenario    {sources.scenario_path}"
    yield f"target      {sources.target_folder}"
    yield f"locustfile  {sources.locustfile}"
    if scenario.postgres.chosen:
        yield f"postgres    {scenario.postgres.chosen}"
    if scenario.pgbouncer:
        yield f"pgbouncer   {scenario.pgbouncer.chosen}"
    rate = scenario.load.arrivals_per_s
    users = formatting.plural(scenario.load.users, "user")
    asks = f"{rate:g} arrivals/s, carried by up to {users}" if rate else users
    yield f"load        {asks} × {formatting.plural(len(scenario.arms), 'arm')}, seed {scenario.seed}\n"
    yield _phases(scenario)
    yield from _renewals(scenario)
    for name, arm in scenario.arms.items():
        mark = " (control)" if name == scenario.control else ""
        yield f"arm {name}{mark}: {' '.join((*arm.described, *_variables(scenario, name)))}"
    yield from _passed_variables(plan)
    yield f"\nIt will take about {plan.forecast_s:.0f} s, and a few more to start and to report."
    if plan.soak_s is not None:
        yield _rounds(plan)
    if plan.looks:
        yield _interim_analyses(plan)


def _variables(scenario: Scenario, arm: str) -> Iterator[str]:
    return (f"{name}={value}" for name, value in scenario.variables_of(arm).items())


def _passed_variables(plan: Plan) -> Iterator[str]:
    """The variables whose values are those of whoever plays it, and whether they are set."""
    names = dict.fromkeys(name for arm in plan.scenario.arms for name in passed_names(plan, arm))
    for name in names:
        yield f"passed on: {name}" + (
            "" if name in os.environ else ", which is not set here: `run` will refuse"
        )


def _renewals(scenario: Scenario) -> Iterator[str]:
    """Before which phases the harness has connections opened anew; nothing where it never has to."""
    if renewing := renewing_phases(scenario.phases, scenario.arms):
        yield (
            f"The harness renews connections before {', '.join(renewing)}: they must end by RST there and by FIN "
            "elsewhere, or the other way round, and that is decided when they open.\n"
        )


def _interim_analyses(plan: Plan) -> str:
    looks = "; ".join(
        f"{phase} after {', '.join(map(str, each))} episodes" for phase, each in plan.looks.items()
    )
    longest = f"At most {worst_case_s(plan.scenario, plan.looks):.0f} s if nothing is decided before."
    return f"What intervals decide is judged at these looks, and no longer once it is decided: {looks}. {longest}"


def _rounds(plan: Plan) -> str:
    """The first round in its order, and how many there are."""
    order = [stretch.phase.name for stretch in plan.episode_ranges]
    per_round = len(plan.scenario.phases)
    first = ", ".join(order[:per_round])
    return (
        f"The phases come round after round, {len(order)} stretches or a few more, each round in an order that the "
        f"seed draws. The first: {first}."
    )


def _phases(scenario: Scenario) -> Table:
    table = Table("phase", "fault", "pattern", Column("about", justify="right"))
    for phase in scenario.phases:
        fault = str(phase.fault) if phase.fault else "–"
        turns = f", for each of {len(scenario.arms)} arms in turn" if scenario.isolates(phase) else ""
        table.add_row(phase.name, fault, phase.describe() + turns, f"{scenario.forecast_of(phase):.0f} s")
    return table
