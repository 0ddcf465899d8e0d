"""The arm to recommend, and the sentence that says so to someone who reads nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from brokenpipe.measure.cell import Cell, Place
from brokenpipe.measure.estimates import Estimator
from brokenpipe.measure.judgement import Best, Comparison, Cost, Verdict
from brokenpipe.measure.numbers import added_ms, percent, plural
from brokenpipe.plan.expectations import Metric
from brokenpipe.plan.scenario import Scenario

# The usual names for SQLAlchemy's settings in a service's environment, by their ending.
_ENGINE = {
    "POOL_PRE_PING": ("pool_pre_ping", bool),
    "POOL_RECYCLE": ("pool_recycle", float),
    "POOL_SIZE": ("pool_size", int),
    "MAX_OVERFLOW": ("max_overflow", int),
    "POOL_TIMEOUT": ("pool_timeout", float),
    "POOL_USE_LIFO": ("pool_use_lifo", bool),
}
_BLOCKING = frozenset({"psycopg2", "pg8000"})  # drivers that have no asynchronous engine
_TRUE = frozenset({"1", "true", "yes", "on", "t", "y"})


def costs(scenario: Scenario, estimator: Estimator, phases: Sequence[str]) -> dict[str, Cost]:
    """What each arm adds to the control's median request in the first phase without a fault."""
    calm = next((name for name in phases if not scenario.phase(name).fault), None)
    if calm is None:
        return {}
    added = {
        arm: estimator.estimate(Metric.ADDED_P50_MS, (arm, calm))
        for arm in scenario.arms
        if arm != scenario.control
    }
    return {arm: Cost(calm, estimate.value, estimate.ci95) for arm, estimate in added.items()}


def best_arm(
    scenario: Scenario,
    cells: Mapping[Place, Cell],
    phases: Sequence[str],
    costs: Mapping[str, Cost],
    compared: Sequence[Comparison],
) -> Best | None:
    """The arm with the fewest broken requests for its number of requests; of equals, the cheapest.

    An arm that was not asked in every phase with a fault is no candidate: what nobody asks breaks nothing.
    None unless there is a choice, a control to compare it with, something that broke in it, and a rate known
    in every place.
    """
    faulty = [
        name
        for name in phases
        if scenario.phase(name).fault and any(cells[arm, name].requests for arm in scenario.arms)
    ]
    candidates = [arm for arm in scenario.arms if all(cells[arm, phase].requests for phase in faulty)]
    if len(candidates) < 2 or scenario.control not in candidates:
        return None
    if any(cells[arm, phase].broken_pipe_rate is None for arm in candidates for phase in faulty):
        return None

    def rate(arm: str) -> float:
        requests = sum(cells[arm, phase].requests for phase in faulty)
        return sum(cells[arm, phase].broken for phase in faulty) / max(requests, 1)

    def cost(arm: str) -> float:
        return (costs[arm].added_ms or 0.0) if arm in costs else 0.0

    control = scenario.control
    arm = min(candidates, key=lambda each: (rate(each), cost(each)))
    broken_by_control = sum(cells[control, phase].broken for phase in faulty)
    if not broken_by_control:
        return None
    return Best(
        arm=arm,
        control=control,
        control_broken=broken_by_control,
        broken=sum(cells[arm, phase].broken for phase in faulty),
        prevented_share=1 - rate(arm) / rate(control),
        beyond_chance=any(each.arm == arm and each.broke_less for each in compared),
        cost=costs.get(arm),
        engine_settings=engine_settings({**scenario.env, **scenario.arms[arm]}),
    )


def engine_settings(environment: Mapping[str, str]) -> str:
    """Python to copy; environment variables that are not a pool's setting are left out."""
    arguments = [
        f"    {name}={_python(value, kind)},"
        for variable, value in environment.items()
        for ending, (name, kind) in _ENGINE.items()
        if variable.endswith(ending)
    ]
    if not arguments:
        return "\n".join(f"{variable}={value}" for variable, value in environment.items())
    blocks = any(
        variable.endswith("DRIVER") and value in _BLOCKING for variable, value in environment.items()
    )
    made_by = "create_engine" if blocks else "create_async_engine"
    return "\n".join([f"{made_by}(", "    DATABASE_URL,", *arguments, ")"])


def _python(value: str, kind: type) -> str:
    if kind is bool:
        return str(value.lower() in _TRUE)
    return value


def sentence(best: Best | None, scenario: Scenario, cells: Mapping[Place, Cell], verdict: Verdict) -> str:
    """What a manager understands."""
    said = _compared(best) if best else _without_best(scenario, cells, verdict)
    return f"In doubt: {said}" if best and verdict is Verdict.UNKNOWN else said


def _compared(best: Best) -> str:
    if best.arm == best.control:
        return f"No setting broke fewer requests than {best.control} itself ({best.control_broken} broken)."
    if not best.beyond_chance:
        return (
            f"Chance alone may be why {best.arm} broke {plural(best.broken, 'request')} where {best.control} broke "
            f"{best.control_broken}: more episodes would tell."
        )
    return (
        f"{best.arm} prevents {percent(best.prevented_share)} of the broken requests that users of "
        f"{best.control} see ({best.broken} instead of {best.control_broken}){_price(best.cost)}."
    )


def _without_best(scenario: Scenario, cells: Mapping[Place, Cell], verdict: Verdict) -> str:
    if unknown := sum(cell.unexplained for cell in cells.values() if cell.broken_pipe_rate is None):
        return f"Nobody knows why {unknown} requests failed, so no setting can be recommended."
    measured = any(cell.requests for cell in cells.values())
    nothing_broke = measured and not any(
        cell.broken for (arm, _), cell in cells.items() if arm == scenario.control
    )
    if len(scenario.arms) > 1 and nothing_broke:
        return f"Nothing broke in {scenario.control}, so there was nothing for another setting to prevent."
    return _SINGLE[verdict]


def _price(cost: Cost | None) -> str:
    if cost is None or cost.added_ms is None:
        return ""
    if cost.ci95 is not None and cost.ci95.low <= 0 <= cost.ci95.high:
        return ", at a cost too small for this run to see"
    return f", for {added_ms(cost.added_ms)} in the median request"


_SINGLE = {
    Verdict.PASS: "Everything that was expected held.",
    Verdict.FAIL: "Something that was expected did not hold.",
    Verdict.UNKNOWN: "This run cannot say whether what was expected holds.",
}
