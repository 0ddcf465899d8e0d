"""A report folder into findings: what happened, then what that says. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brokenpipe.history.reader import History, demand_folder, reading
from brokenpipe.measure.assess import judged
from brokenpipe.measure.facts import Facts, facts_of
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.nested_checkouts import nested_checkouts
from brokenpipe.measure.regression.baseline import OWN, Baseline, baseline_of, read_baseline
from brokenpipe.measure.run_metadata import shown_environment, started
from brokenpipe.measure.tables.failure_groups import failure_groups
from brokenpipe.measure.tables.pool_usage import pools
from brokenpipe.measure.time_series.charts import begin_of, end_of, timelines
from brokenpipe.measure.validity.database import SPAN_S, too_short_for_traffic
from brokenpipe.measure.verdict.headline import headline
from brokenpipe.measure.verdict.interim_analyses import look_notes
from brokenpipe.plan.plan import Plan
from brokenpipe.redaction import PASSED, redacted_command


def measure(folder: Path) -> Findings:
    """Everything the history in `folder` says. Raises ReportError if it is not a report folder."""
    with reading(folder) as history:
        return findings_of(history, facts_of(history))


def as_baseline(folder: Path) -> Baseline:
    """What is kept of a recorded experiment, for others to be held against it.

    Raises ReportError if it is none, and NotComparable if it did not reach its end.
    """
    demand_folder(folder)
    if not (folder / "experiment.ndjson").exists() and (kept := read_baseline(folder / OWN)):
        return kept
    with reading(folder) as history:
        facts = facts_of(history)
        return baseline_of(folder, findings_of(history, facts), facts.plan)


def open_phases(folder: Path) -> frozenset[str]:
    """The phases in which more episodes could decide a check. Of an experiment that is under way."""
    with reading(folder) as history:
        found = findings_of(history, facts_of(history), under_way=True)
    return frozenset(check.phase for check in found.checks if check.open)


def findings_of(history: History, facts: Facts, *, under_way: bool = False) -> Findings:
    """The facts, with what they say. `history`: the one that they were read from.

    `under_way`: what is read only after the last phase, such as the ledger, is not missed.
    """
    scenario, begin = facts.plan.scenario, begin_of(history)
    decided = judged(history, facts, under_way=under_way)
    return Findings(
        stem=facts.plan.stem,
        title=scenario.title,
        question=scenario.question,
        target=scenario.target,
        started=started(history),
        duration_s=(end_of(history) - begin) / 1e9,
        finished=facts.ended,
        verdict=decided.verdict,
        sentence=decided.broken_service or headline(decided.best, scenario, facts.cells, decided.verdict),
        users_per_arm=scenario.load.users,
        seed=scenario.seed,
        control=scenario.control,
        arms={arm: dict(env) for arm, env in scenario.arms.items()},
        shared_env=_shared(facts.plan),
        phases=facts.phases,
        cells=facts.cells,
        checks=decided.checks,
        warnings=decided.warnings,
        failures=failure_groups(facts.explained.failures, facts.explained.owings, begin=begin),
        swallowed=facts.swallowed,
        ledger=facts.books,
        timelines=timelines(history, tuple(scenario.arms)),
        health=facts.health,
        contract=facts.contract,
        best=decided.best,
        costs=decided.costs,
        environment=shown_environment(facts.environment, facts.plan),
        pool_mode=scenario.pgbouncer.pool_mode if scenario.pgbouncer else None,
        command=redacted_command(str(facts.environment.get("command", ""))),
        isolated=tuple(name for name in facts.reached if scenario.isolates(scenario.phase(name))),
        arrivals_per_s=scenario.load.arrivals_per_s,
        arrivals=facts.arrivals,
        notes=(*_notes(facts), *_unchecked(history, facts), *look_notes(facts.plan.looks, facts.cells)),
        comparisons=decided.comparisons,
        figures=decided.figures,
        machine=decided.machine,
        pools=pools(history),
        nested=nested_checkouts(history),
        max_connections=scenario.postgres.max_connections,
        seen=facts.seen,
        baseline=_named(decided.baseline),
    )


def _shared(plan: Plan) -> dict[str, str]:
    """The variables of every arm; of those that were passed on, only the names are known."""
    passed = dict.fromkeys((*plan.target.pass_env, *plan.scenario.pass_env), PASSED)
    return {**passed, **plan.scenario.env}


def _named(baseline: Baseline | None) -> str | None:
    return f"{baseline.name} of {baseline.started}" if baseline else None


def _unchecked(history: History, facts: Facts) -> Iterator[str]:
    if short := too_short_for_traffic(history, facts.cells):
        yield (
            "Too short to tell whether services asked their databases, which takes "
            f"{SPAN_S:g} s between two looks: {', '.join(short)}."
        )


def _notes(facts: Facts) -> Iterator[str]:
    if facts.ended != "done":
        yield f"This experiment was {facts.ended} before its end; what was recorded until then is measured."
    missing = [phase.name for phase in facts.plan.scenario.phases if phase.name not in facts.reached]
    if missing:
        yield f"Not reached: {', '.join(missing)}."
