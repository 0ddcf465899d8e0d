"""From a report folder to findings: collect facts, then assess them. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from brokenpipe.history.reader import History, open_history, require_folder
from brokenpipe.measure.assess import assess
from brokenpipe.measure.facts import Facts, collect_facts
from brokenpipe.measure.failures.witness_coverage import fully_witnessed_arms
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.nested_checkouts import nested_checkouts
from brokenpipe.measure.model.pool_usage import PoolUsage
from brokenpipe.measure.model.session_growth import SessionGrowth
from brokenpipe.measure.regression.baseline import EPISODES_FILE, Baseline, baseline_of, read_baseline
from brokenpipe.measure.run_metadata import environment_rows, recorded_packages, start_time
from brokenpipe.measure.tables.arm_traits import arm_traits, trait_notes
from brokenpipe.measure.tables.failure_groups import failure_groups
from brokenpipe.measure.tables.pool_settings import pool_settings
from brokenpipe.measure.tables.pool_usage import pool_usage
from brokenpipe.measure.tables.request_time import request_times
from brokenpipe.measure.tables.session_growth import session_growth
from brokenpipe.measure.time_series.charts import chart_series, experiment_begin, experiment_end
from brokenpipe.measure.validity.database import SPAN_S, phases_too_short_to_check
from brokenpipe.measure.verdict.headline import headline
from brokenpipe.measure.verdict.interim_analyses import interim_analysis_notes
from brokenpipe.plan.plan import Plan
from brokenpipe.redaction import PASSED, redacted_command


def measure(folder: Path) -> Findings:
    """Measure the history in `folder`. Raises ReportError if it is not a report folder."""
    with open_history(folder) as history:
        return build_findings(history, collect_facts(history))


def read_as_baseline(folder: Path) -> Baseline:
    """Read a recorded experiment as a baseline for other runs.

    Raises ReportError if it is none, and NotComparable if it did not reach its end.
    """
    require_folder(folder)
    if not (folder / "experiment.ndjson").exists() and (kept := read_baseline(folder / EPISODES_FILE)):
        return kept
    with open_history(folder) as history:
        facts = collect_facts(history)
        return baseline_of(folder, build_findings(history, facts), facts.plan)


def open_phases(folder: Path) -> frozenset[str]:
    """The phases of a running experiment in which more episodes could decide a check."""
    with open_history(folder) as history:
        found = build_findings(history, collect_facts(history), under_way=True)
    return frozenset(check.phase for check in found.checks if check.open)


def build_findings(history: History, facts: Facts, *, under_way: bool = False) -> Findings:
    """Assess the facts and put everything into one value. `history`: the history of these facts.

    `under_way`: what is read only after the last phase, such as the ledger, may be missing.
    """
    scenario, begin = facts.plan.scenario, experiment_begin(history)
    decided = assess(history, facts, under_way=under_way)
    pools = pool_usage(history)
    return Findings(
        stem=facts.plan.stem,
        title=scenario.title,
        question=scenario.question,
        target=scenario.target,
        targets={arm: own for arm in scenario.arms if (own := scenario.target_of(arm)) != scenario.target},
        started=start_time(history),
        duration_s=(experiment_end(history) - begin) / 1e9,
        finished=facts.ended,
        verdict=decided.verdict,
        sentence=decided.broken_service or headline(decided.best, scenario, facts.cells, decided.verdict),
        users_per_arm=scenario.load.users,
        seed=scenario.seed,
        control=scenario.control,
        arms=scenario.variables_by_arm(),
        traits=_traits(facts),
        shared_env=_shared_variables(facts.plan),
        phases=facts.phases,
        cells=facts.cells,
        checks=decided.checks,
        warnings=decided.warnings,
        failures=failure_groups(facts.explained.failures, facts.explained.attributions, begin=begin),
        swallowed=facts.swallowed,
        ledger=facts.write_audits,
        timelines=chart_series(history, tuple(scenario.arms)),
        health=facts.health,
        contract_results=facts.contract_results,
        best=decided.best,
        costs=decided.costs,
        environment=environment_rows(facts.environment, facts.plan),
        pool_modes={arm: found.pool_mode for arm in scenario.arms if (found := scenario.pgbouncer_of(arm))},
        command=redacted_command(str(facts.environment.get("command", ""))),
        isolated=tuple(name for name in facts.reached if scenario.isolates(scenario.phase(name))),
        arrivals_per_s=scenario.load.arrivals_per_s,
        arrivals=facts.arrivals,
        notes=tuple(_notes(history, facts)),
        comparisons=decided.comparisons,
        episode_stats=decided.episode_stats,
        machine=decided.machine,
        pools=pools,
        sessions=_sessions(history, facts, pools),
        pool_settings=pool_settings(history),
        times=request_times(history, fully_witnessed_arms(facts.witness_coverage)),
        nested=nested_checkouts(history),
        max_connections=scenario.postgres.max_connections,
        witness_coverage=facts.witness_coverage,
        seen_libraries=facts.seen_libraries,
        baseline=_baseline_label(decided.baseline),
    )


def _sessions(
    history: History, facts: Facts, pools: Mapping[ArmPhase, PoolUsage]
) -> Mapping[ArmPhase, SessionGrowth]:
    """How sessions at Postgres grew where nothing was done to them."""
    calm = {phase.name for phase in facts.phases if not phase.fault}
    load = facts.plan.scenario.load
    users = load.users if load.arrivals_per_s is None else None
    return session_growth(history, facts.cells, pools, calm, users)


def _shared_variables(plan: Plan) -> dict[str, str]:
    """The variables of every arm; of those that were passed on, only the names are known."""
    of_targets = (name for target in plan.targets.values() for name in target.pass_env)
    passed = dict.fromkeys((*of_targets, *plan.scenario.pass_env), PASSED)
    return {**passed, **plan.scenario.env}


def _baseline_label(baseline: Baseline | None) -> str | None:
    return f"{baseline.name} of {baseline.started}" if baseline else None


def _traits(facts: Facts) -> dict[str, dict[str, str]]:
    return arm_traits(facts.plan, recorded_packages(facts.environment))


def _notes(history: History, facts: Facts) -> Iterator[str]:
    yield from trait_notes(_traits(facts))
    yield from _completeness_notes(facts)
    yield from _too_short_notes(history, facts)
    yield from interim_analysis_notes(facts.plan.looks, facts.cells)


def _too_short_notes(history: History, facts: Facts) -> Iterator[str]:
    if short := phases_too_short_to_check(history, facts.cells):
        yield (
            "Too short to tell whether services asked their databases, which takes "
            f"{SPAN_S:g} s between two looks: {', '.join(short)}."
        )


def _completeness_notes(facts: Facts) -> Iterator[str]:
    if facts.ended != "done":
        yield f"This experiment was {facts.ended} before its end; what was recorded until then is measured."
    missing = [phase.name for phase in facts.plan.scenario.phases if phase.name not in facts.reached]
    if missing:
        yield f"Not reached: {', '.join(missing)}."
