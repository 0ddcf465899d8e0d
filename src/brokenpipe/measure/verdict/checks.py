"""Checks: expectations that are decided as inside the bound, outside it, or not known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from brokenpipe.formatting import (
    amount,
    amount_interval,
    milliseconds,
    milliseconds_interval,
    percent,
    percent_interval,
    plural,
    seconds,
)
from brokenpipe.history.validity_codes import DOUBTS, Code
from brokenpipe.history.validity_codes.kind import Affected
from brokenpipe.interval import Interval
from brokenpipe.measure.model.recovery import NEVER
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Check, Verdict
from brokenpipe.measure.model.write_counts import WriteAudit, WriteCounts
from brokenpipe.measure.tables.estimates import Estimate, Estimator
from brokenpipe.measure.tables.write_audit import default_expectations, may_lose
from brokenpipe.plan.expectations import Expectation, Metric
from brokenpipe.plan.scenario import Scenario

_BOUND_WORDS = {
    "above": "above",
    "below": "below",
    "at_least": "at least",
    "at_most": "at most",
    "equals": "exactly",
}

BETWEEN_PHASES = "between phases"  # no phase has such a name
MOST_EPISODES = 10_000  # of one phase

# What makes a count of broken requests a lower bound only: failures without a witness record.
_NEEDS_STATES = frozenset({Metric.STALE, Metric.IN_USE})
_NEEDS_CAUSES = frozenset(
    {
        Metric.BROKEN,
        Metric.STALE,
        Metric.IN_USE,
        Metric.REFUSED,
        Metric.BROKEN_PIPE_RATE,
        Metric.BROKEN_PER_EPISODE,
        Metric.ADDED_BROKEN_PIPE_RATE,
    }
)


def decide_checks(
    scenario: Scenario, estimator: Estimator, warnings: Sequence[ValidityWarning]
) -> Iterator[Check]:
    """One check for each expectation and arm that it speaks of."""
    for expectation in (*scenario.expect, *default_expectations(scenario, estimator.cells)):
        for arm in scenario.arms_of(expectation):
            yield _check(expectation, arm, estimator, warnings)


def lost_between_phases(
    scenario: Scenario, books: Mapping[str, WriteAudit], warnings: Sequence[ValidityWarning]
) -> Iterator[Check]:
    """Failed checks for acknowledged writes that were asked for between two phases and are lost.

    An arm that may lose writes by the scenario gets a warning instead: no bound applies between phases.
    """
    for arm, each in books.items():
        lost = each.by_phase.get("", WriteCounts()).lost
        if lost and not may_lose(scenario, arm):
            doubts = [
                each for each in warnings if each.unknown and not each.phase and each.arm in {None, arm}
            ]
            proven = all(_what_stands(doubt) != "nothing" for doubt in doubts)
            yield Check(
                arm=arm,
                phase=BETWEEN_PHASES,
                metric=Metric.LOST.value,
                bound="exactly 0",
                value=float(lost),
                ci95=None,
                verdict=Verdict.FAIL if proven else Verdict.UNKNOWN,
                text=f"{arm}, {BETWEEN_PHASES}: {lost} {_LABELS[Metric.LOST]}, expected exactly 0",
            )


def overall_verdict(
    decided: Iterable[Check], warnings: Iterable[ValidityWarning], *, finished: bool
) -> Verdict:
    """The run's verdict: a failed check fails it; anything unknown, or cut off, makes it unknown."""
    verdicts = {check.verdict for check in decided}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    if not finished or Verdict.UNKNOWN in verdicts or any(warning.unknown for warning in warnings):
        return Verdict.UNKNOWN
    return Verdict.PASS


def _check(
    expectation: Expectation, arm: str, estimator: Estimator, warnings: Sequence[ValidityWarning]
) -> Check:
    place = (arm, expectation.phase)
    name, bound = expectation.bound
    if place in estimator.cells:
        estimate = estimator.estimate(expectation.metric, place, expectation.request)
    else:
        estimate = Estimate(None)
    concerning = _warnings_about(expectation, arm, estimator, warnings)
    doubted = (*map(_warning_remark, concerning), *_causes_not_known(expectation, arm, estimator))
    is_fact = expectation.metric.is_fact
    verdict = decide(estimate, name, bound, is_fact=is_fact)
    if doubted and verdict is Verdict.FAIL and is_proven(expectation, estimate, concerning):
        doubted = ("proven, whatever is in doubt",)
    elif doubted:
        verdict = Verdict.UNKNOWN
    is_open = verdict is Verdict.UNKNOWN and not doubted and not is_fact and estimate.value is not None
    more = additional_episodes(estimate, bound) if is_open else None
    remarks = [doubt for doubt in doubted if doubt] + (
        [_needed_episodes_text(estimate, more)] if is_open else []
    )
    return Check(
        arm=arm,
        phase=expectation.phase,
        metric=expectation.metric.value,
        bound=f"{_BOUND_WORDS[name]} {bound:g}",
        value=estimate.value,
        ci95=estimate.ci95,
        verdict=verdict,
        text=_check_text(expectation, arm, estimate) + "".join(f"; {remark}" for remark in remarks),
        open=is_open,
        more_episodes=more,
    )


def additional_episodes(estimate: Estimate, bound: float) -> int | None:
    """How many episodes more would let the interval end at the bound, if the value stays where it is.

    An interval shrinks with the square root of the episodes; the bound on what was never seen, with their
    number. None when the value stands on the bound, or so close that ten thousand would not do.
    """
    value, interval = estimate.value, estimate.ci95
    if value is None or interval is None or value == bound:
        return None
    beyond = (interval.high - value) if bound > value else (value - interval.low)
    times = beyond / abs(bound - value)
    needed = estimate.episodes * (times if estimate.all_equal else times**2)
    return max(1, math.ceil(needed) - estimate.episodes) if needed <= MOST_EPISODES else None


def _needed_episodes_text(estimate: Estimate, more: int | None) -> str:
    if estimate.ci95 is None:
        return "with so few episodes, or all alike, nothing is known of how they vary"
    if more is None:
        return "the value is so near the bound that more episodes will not settle it"
    return f"about {plural(more, 'episode')} more would settle it"


def _check_text(expectation: Expectation, arm: str, estimate: Estimate) -> str:
    """One sentence with the figures."""
    metric, (name, bound) = expectation.metric, expectation.bound
    label = _LABELS[metric] + (f" of {expectation.request}" if expectation.request else "")
    measured = _estimate_text(metric, estimate)
    what = (
        f"{label} {measured}"
        if estimate.value is None or not metric.is_count
        else _count_text(metric, estimate.value)
    )
    return f"{arm}, {expectation.phase}: {what}, expected {_BOUND_WORDS[name]} {_value_text(metric, bound)}"


def _count_text(metric: Metric, value: float) -> str:
    """Write "1 broken request", "2 broken requests"."""
    noun, rest = _NOUNS[metric]
    return plural(round(value), noun) + rest


def _warnings_about(
    expectation: Expectation, arm: str, estimator: Estimator, warnings: Sequence[ValidityWarning]
) -> tuple[ValidityWarning, ...]:
    """The warnings that concern this check."""
    arms = {None, *_arms(expectation, arm, estimator)}
    return tuple(
        warning
        for warning in warnings
        if warning.unknown and warning.phase in {None, expectation.phase} and warning.arm in arms
    )


def _arms(expectation: Expectation, arm: str, estimator: Estimator) -> tuple[str, ...]:
    """The arms that this check depends on: a difference depends on the control, too."""
    return (arm, estimator.control) if expectation.metric.against_control else (arm,)


def _warning_remark(warning: ValidityWarning) -> str:
    """The remark of a warning; empty for the whole run, which the report shows once."""
    return "" if warning.phase is None and warning.arm is None else warning.text


def _causes_not_known(expectation: Expectation, arm: str, estimator: Estimator) -> Iterator[str]:
    """What makes a count of broken requests a lower bound."""
    for each in _arms(expectation, arm, estimator):
        cell = estimator.cells.get((each, expectation.phase))
        if cell and cell.unexplained and expectation.metric in _NEEDS_CAUSES:
            yield f"of {cell.unexplained} of {each}'s failed requests the cause is not known"
        if cell and cell.elsewhere and expectation.metric in _NEEDS_STATES:
            yield f"of {cell.elsewhere} of {each}'s broken connections nobody saw the state"


_UPPER = frozenset({"below", "at_most", "equals"})
_STANDING: Mapping[Metric, Set[Affected]] = {
    Metric.LOST: {"counts", "writes"},
    Metric.DOUBLED: {"counts", "writes"},
    Metric.SLOTS_LOST: {
        "counts",
        "writes",
    },  # a machine, load or wire that goes wrong makes no service forget one
    Metric.FAILED: {"counts", "failed"},
    Metric.WRONG_RESULTS: {"counts", "failed"},
}


def is_proven(expectation: Expectation, estimate: Estimate, doubts: Iterable[ValidityWarning]) -> bool:
    """Whether a check that fails has failed whatever else is in doubt: a count above its bound that stands.

    A count below its bound may lack what was not seen, and an estimate is as good as what it is made of.
    """
    name, bound = expectation.bound
    above = name in _UPPER and estimate.value is not None and estimate.value >= bound
    stand = _STANDING.get(expectation.metric, {"counts"})
    return expectation.metric.is_fact and above and all(_what_stands(each) in stand for each in doubts)


def _what_stands(doubt: ValidityWarning) -> Affected:
    """What remains proven in spite of a warning. A code that this version does not know leaves nothing proven."""
    if doubt.stands is not None:
        return doubt.stands
    return DOUBTS[Code(doubt.code)].stands if doubt.code in set(Code) else "nothing"


def decide(estimate: Estimate, name: str, bound: float, *, is_fact: bool) -> Verdict:
    """Facts by their value. Estimates by their interval: all inside passes, all outside fails."""
    if estimate.value is None:
        return Verdict.UNKNOWN
    if is_fact:
        return Verdict.PASS if _holds(estimate.value, name, bound) else Verdict.FAIL
    if estimate.ci95 is None:
        return Verdict.UNKNOWN
    ends = {_holds(end, name, bound) for end in (estimate.ci95.low, estimate.ci95.high)}
    if len(ends) == 2:
        return Verdict.UNKNOWN
    return Verdict.PASS if ends.pop() else Verdict.FAIL


def _holds(value: float, name: str, bound: float) -> bool:
    return {
        "above": value > bound,
        "below": value < bound,
        "at_least": value >= bound,
        "at_most": value <= bound,
        "equals": value == bound,
    }[name]


_IN_SECONDS = frozenset({Metric.RECOVERY_S, Metric.UNAVAILABLE_S})

_NOUNS = {  # of what is counted, and what follows the noun
    Metric.BROKEN: ("broken request", ""),
    Metric.STALE: ("request", " broken on a stale connection"),
    Metric.IN_USE: ("request", " broken on a connection in use"),
    Metric.FAILED: ("failed request", ""),
    Metric.REFUSED: ("refused connection", ""),
    Metric.SWALLOWED: ("request", " answered with success although the database had failed"),
    Metric.WRONG_RESULTS: ("wrong result", ""),
    Metric.SERVER_CONNECTIONS: ("connection", " at Postgres, at most"),
    Metric.SLOTS_LOST: ("connection", " never given back by the service"),
    Metric.LOST: ("acknowledged write", " missing"),
    Metric.DOUBLED: ("write", " committed more than once"),
    Metric.UNACKNOWLEDGED: ("write", " committed though not acknowledged"),
    Metric.NEVER_RECOVERED: ("strike", " from which it never recovered"),
}
_LABELS = {
    **{metric: f"{noun}s{rest}" for metric, (noun, rest) in _NOUNS.items()},
    Metric.RECOVERY_S: "longest recovery",
    Metric.UNAVAILABLE_S: "time without an answer",
    Metric.LONGEST_WAIT_MS: "longest wait",
    Metric.BROKEN_PIPE_RATE: "broken-pipe rate",
    Metric.FAILURE_RATE: "failure rate",
    Metric.P50_MS: "median latency",
    Metric.P95_MS: "95th percentile latency",
    Metric.ADDED_P50_MS: "added median latency",
    Metric.BROKEN_PER_EPISODE: "broken requests an episode",
    Metric.FAILED_PER_EPISODE: "failed requests an episode",
    Metric.REQUESTS_PER_S: "requests a second",
    Metric.ADDED_BROKEN_PIPE_RATE: "added broken-pipe rate",
    Metric.ADDED_FAILURE_RATE: "added failure rate",
}


def _value_text(metric: Metric, value: float) -> str:
    if metric.is_count:
        return f"{value:g}"
    if metric.is_per_episode:
        return amount(value)
    if metric in _IN_SECONDS:
        return "never" if value == NEVER else seconds(value)
    return milliseconds(value) if metric.is_latency or metric.is_time else percent(value)


def _estimate_text(metric: Metric, estimate: Estimate) -> str:
    if estimate.value is None:
        return "not measured"
    return _value_text(metric, estimate.value) + _interval_text(metric, estimate.ci95)


def _interval_text(metric: Metric, interval: Interval | None) -> str:
    if interval is None:
        return ""
    if metric.is_per_episode:
        return f" ({amount_interval(interval)})"
    ends = (milliseconds_interval if metric.is_latency else percent_interval)(interval)
    return f" ({ends})"
