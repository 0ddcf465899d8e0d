"""A report folder into findings: every question is asked here, in order, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from brokenpipe.errors import ReportError
from brokenpipe.history.doubts import Code
from brokenpipe.history.reader import History, document, reading
from brokenpipe.measure.arrivals import arrival_doubts, arrivals
from brokenpipe.measure.attribute import attributed, by_their_links
from brokenpipe.measure.baseline import NAME, OWN, Baseline, baseline_of, machine_of, read_baseline
from brokenpipe.measure.causes import failures
from brokenpipe.measure.cells import cells, episodes_by_place
from brokenpipe.measure.checks import checks, overall
from brokenpipe.measure.code import code_of
from brokenpipe.measure.comparisons import comparisons, too_few
from brokenpipe.measure.connections import counted
from brokenpipe.measure.doubts import doubts
from brokenpipe.measure.estimates import Estimator
from brokenpipe.measure.findings import Findings, PhaseFinding
from brokenpipe.measure.groups import failure_groups, place_owings
from brokenpipe.measure.health import certificate, health
from brokenpipe.measure.ledger import entered, ledger
from brokenpipe.measure.ledger import warnings as ledger_warnings
from brokenpipe.measure.looks import look_notes
from brokenpipe.measure.outcomes import tabulate
from brokenpipe.measure.pools import pools
from brokenpipe.measure.prices import with_round_trips
from brokenpipe.measure.recommend import best_arm, costs, sentence
from brokenpipe.measure.regression import Held, Run, held_against
from brokenpipe.measure.statistics import ERROR
from brokenpipe.measure.swallowed import swallowed, tallied
from brokenpipe.measure.swallowed import warnings as swallowed_warnings
from brokenpipe.measure.timelines import begin_of, end_of, phases, timelines
from brokenpipe.measure.unaccepted import as_nobody_accepted
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario


def measure(folder: Path) -> Findings:
    """Everything the history in `folder` says. Raises ReportError if it is not a report folder."""
    with reading(folder) as history:
        return findings_of(history, plan_of(history), history.document("environment.json"))


def as_baseline(folder: Path) -> Baseline:
    """What is kept of a recorded experiment, for others to be held against it.

    Raises ReportError if it is none, and NotComparable if it did not reach its end.
    """
    if not (folder / "experiment.ndjson").exists() and (kept := read_baseline(folder / OWN)):
        return kept
    with reading(folder) as history:
        plan = plan_of(history)
        return baseline_of(folder, findings_of(history, plan, history.document("environment.json")), plan)


def open_phases(folder: Path) -> frozenset[str]:
    """The phases in which more episodes could decide a check. Of an experiment that is under way."""
    with reading(folder) as history:
        plan, environment = plan_of(history), history.document("environment.json")
        found = findings_of(history, plan, environment, under_way=True)
    return frozenset(check.phase for check in found.checks if check.open)


def plan_of(history: History) -> Plan:
    """What was run. Raises ReportError if this version cannot read it."""
    return recorded_plan(history.folder)


def recorded_plan(folder: Path) -> Plan:
    """What was run in a report folder; its history is not read. Raises ReportError if this version cannot read it."""
    try:
        return Plan.model_validate(document(folder, "plan.json"), strict=False)
    except ValidationError as error:
        raise ReportError(
            f"{folder / 'plan.json'}: this version cannot read it ({error.error_count()} problems)",
            remedy="Use the version of brokenpipe that recorded it; environment.json names it.",
        ) from error


def findings_of(
    history: History, plan: Plan, environment: Mapping[str, Any], *, under_way: bool = False
) -> Findings:
    """The same of a history that was opened just now.

    `under_way`: what is read only after the last phase, such as the ledger, is not missed.
    """
    scenario = plan.scenario
    tabulate(history, limit_s=scenario.load.timeout_s)
    begun = phases(history, scenario)
    failed = as_nobody_accepted(history, failures(history))
    owings = attributed(history, failed)
    failed = by_their_links(failed, owings)
    by_place = episodes_by_place(history, product(scenario.arms, [phase.name for phase in begun]), failed)
    errors = {phase.name: ERROR / plan.looks_at(phase.name) for phase in scenario.phases}
    arrived = arrivals(history, scenario)
    witnessed, kept_quiet = _witnessed(history), swallowed(history)
    books = ledger(history, tuple(scenario.arms))
    table = cells(history, by_place, failed, witnessed, errors)
    table = counted(history, with_round_trips(scenario, table))
    table = place_owings(entered(tallied(table, kept_quiet, witnessed), books), failed, owings)
    state = health(
        history,
        cores=int(environment.get("cores", 1)),
        arms=tuple(scenario.arms),
        workers=scenario.load.workers,
    )
    contract = certificate(history)
    estimator = Estimator(history, table, by_place, scenario.control, errors)
    reached = [phase.name for phase in begun]
    # Where a fault happened to some arms only, the others are no answer to what it does.
    common = [name for name in reached if not scenario.phase(name).arms]
    compared = comparisons(scenario, estimator, common)
    begin, machine = begin_of(history), machine_of(environment)
    warnings = (
        *doubts(history, scenario, table, state, contract),
        *too_few(scenario, compared),
        *arrival_doubts(arrived),
        *swallowed_warnings(scenario, table, kept_quiet),
        *(() if under_way else ledger_warnings(books)),
    )
    figures = {place: estimator.figures(place) for place in table}
    baseline = None if under_way else read_baseline(history.folder / NAME)
    if baseline is not None:  # a scenario that expects nothing asks something all the same
        warnings = tuple(each for each in warnings if each.code != Code.NOTHING_EXPECTED)
    held = _held(baseline, Run(plan, figures, warnings, machine))
    decided = (*checks(scenario, estimator, warnings), *held.checks)
    warnings = (*warnings, *held.doubts)
    ended = finished(history)
    verdict = overall(decided, warnings, finished=ended == "done")
    added = costs(scenario, estimator, reached)
    best = best_arm(scenario, table, common, added)
    return Findings(
        stem=plan.stem,
        title=scenario.title,
        question=scenario.question,
        target=scenario.target,
        started=_started(history),
        duration_s=(end_of(history) - begin) / 1e9,
        finished=ended,
        verdict=verdict,
        sentence=sentence(best, scenario, table, verdict),
        users_per_arm=scenario.load.users,
        seed=scenario.seed,
        control=scenario.control,
        arms={arm: dict(env) for arm, env in scenario.arms.items()},
        shared_env=dict(scenario.env),
        phases=begun,
        cells=table,
        checks=decided,
        warnings=warnings,
        failures=failure_groups(failed, owings, begin=begin),
        swallowed=kept_quiet,
        ledger=books,
        timelines=timelines(history, tuple(scenario.arms)),
        health=state,
        contract=contract,
        best=best,
        costs=added,
        environment=_environment(environment, scenario),
        pool_mode=scenario.pgbouncer.pool_mode if scenario.pgbouncer else None,
        command=str(environment.get("command", "")),
        isolated=tuple(name for name in reached if scenario.isolates(scenario.phase(name))),
        arrivals_per_s=scenario.load.arrivals_per_s,
        arrivals=arrived,
        notes=(
            *_notes(ended, begun, [phase.name for phase in scenario.phases]),
            *look_notes(plan.looks, table),
        ),
        comparisons=compared,
        figures=figures,
        machine=machine,
        pools=pools(history),
        max_connections=scenario.postgres.max_connections,
        baseline=f"{baseline.name} of {baseline.started}" if baseline else None,
    )


def _held(baseline: Baseline | None, run: Run) -> Held:
    return held_against(baseline, run) if baseline else Held((), ())


def _environment(document: Mapping[str, Any], scenario: Scenario) -> dict[str, str]:
    """Versions, then what is set at the servers, then the code, then the machine."""
    shown = {str(name): str(version) for name, version in document.get("versions", {}).items()}
    if scenario.postgres.chosen:
        shown["[postgres]"] = scenario.postgres.chosen
    if scenario.pgbouncer:
        shown["[pgbouncer]"] = scenario.pgbouncer.chosen
    shown |= {f"code of {what}": revision for what, revision in code_of(document).items()}
    for name in ("system", "machine", "cores"):
        if name in document:
            shown[name] = str(document[name])
    if "memory_bytes" in document:
        shown["memory"] = f"{document['memory_bytes'] / 1e9:.1f} GB"
    return shown


def _witnessed(history: History) -> frozenset[str]:
    """The arms in which the witness saw a pool and the requests that used it.

    Only there does it know of masked disconnects and prices, and only there is a disconnect that it did not see none.
    """
    requests = "SELECT witness_arm FROM testimonies UNION SELECT witness_arm FROM tallies"
    rows = history.rows(f"SELECT witness_arm FROM connects INTERSECT ({requests})")
    return frozenset(arm for (arm,) in rows)


def finished(history: History) -> str:
    """How it ended. A later part that was cut off has said nothing, whatever the one before it said."""
    rows = history.rows(
        "SELECT how FROM finishes WHERE t > (SELECT coalesce(max(t), 0) FROM resumptions) ORDER BY t DESC"
    )
    return str(rows[0][0]) if rows else "cut off"


def _started(history: History) -> str:
    (wall_ns,) = history.one("SELECT coalesce(min(wall_ns), 0) FROM clocks WHERE writer = 'experiment'")
    return datetime.fromtimestamp(wall_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _notes(finished: str, begun: Sequence[PhaseFinding], planned: Sequence[str]) -> tuple[str, ...]:
    missing = [name for name in planned if name not in {phase.name for phase in begun}]
    notes = []
    if finished != "done":
        notes.append(
            f"This experiment was {finished} before its end; what was recorded until then is measured."
        )
    if missing:
        notes.append(f"Not reached: {', '.join(missing)}.")
    return tuple(notes)
