"""Regression checks: whether each rate and latency of each arm and phase is worse than in the baseline.

    fail      it has risen by more than is tolerated; chance alone would show that in less than 5 of 100 gates
    pass      a rise that matters lies outside the interval
    unknown   neither: a rise that matters could hide

Why these, and how often they err: docs/decisions/0070-gates.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.plan import FEWEST_EPISODES
from brokenpipe.interval import Interval
from brokenpipe.measure.model.arm_phase import ArmPhase
from brokenpipe.measure.model.episode_stats import EpisodeStats
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import BaselineComparison, Check, Verdict
from brokenpipe.measure.regression.baseline import Baseline, is_busy
from brokenpipe.measure.regression.comparability import PlanComparison, demand_comparable
from brokenpipe.measure.regression.metrics import PER_STRIKE, RATES, RegressionMetric, RunSamples
from brokenpipe.measure.regression.texts import regression_sentence, verdict_reason
from brokenpipe.measure.stats.intervals import ERROR
from brokenpipe.measure.stats.one_sided import rise_p
from brokenpipe.measure.stats.paired import holm
from brokenpipe.measure.stats.two_sample import Sample, difference_interval
from brokenpipe.measure.verdict.checks import MOST_EPISODES
from brokenpipe.plan.phases import Pattern, Phase
from brokenpipe.plan.plan import STACK_NAMES, Plan
from brokenpipe.plan.settings.regression import RegressionSettings


@dataclass(frozen=True, slots=True)
class NewRun:
    """The part of the new run that is compared with the baseline."""

    plan: Plan
    figures: Mapping[ArmPhase, EpisodeStats]
    warnings: Sequence[ValidityWarning]
    machine: str


@dataclass(frozen=True, slots=True)
class RegressionResult:
    """Result of the checks. `warnings`: about the baseline, and about what is left out."""

    checks: tuple[Check, ...]
    warnings: tuple[ValidityWarning, ...]


@dataclass(frozen=True, slots=True)
class _MetricPair:
    """One metric in both runs. `new` is None where the new run has no value; `p` where nothing can differ."""

    metric: RegressionMetric
    place: ArmPhase
    base: Sample
    new: Sample | None
    p: float | None
    requests: float  # of an episode of the baseline, on average

    @property
    def test(self) -> str:
        """A key of the test. Where all failed requests are broken ones, two metrics are one test."""
        return repr((self.place, self.base.sums, self.new and self.new.sums))


def check_regression(baseline: Baseline, run: NewRun) -> RegressionResult:
    """Check every metric that both runs have. Raises NotComparable."""
    shared = demand_comparable(baseline.plan, run.plan, baseline.name)
    asked = tuple(_metric_pairs(baseline, run, shared))
    adjusted = _adjusted_ps(asked, run.plan)
    doubts = tuple(_baseline_warnings(baseline))
    checks = (_decide(each, adjusted.get(each.test), run, (*run.warnings, *doubts)) for each in asked)
    left_out = (
        ValidityWarning.of(Code.BASELINE_NOT_COVERED, text) for text in _left_out(baseline, run, shared)
    )
    return RegressionResult(tuple(checks), (*doubts, *left_out))


# --- what is asked --------------------------------------------------------------------------------------


def _metric_pairs(baseline: Baseline, run: NewRun, shared: PlanComparison) -> Iterator[_MetricPair]:
    base, new = _side(baseline.plan, baseline.episode_stats), _side(run.plan, run.figures)
    allowed = run.plan.scenario.regression
    alone = _why_control_is_left_out(baseline, run) is None
    for phase, arm in product(shared.phases, shared.arms):
        for rise in _metrics(run.plan.scenario.phase(phase), arm == new.control, alone=alone):
            one, other = (side.sample(rise, (arm, phase)) for side in (base, new))
            fewest = 2 if rise.is_rate else FEWEST_EPISODES
            if one is None or min(each.episodes for each in (one, other) if each) < fewest:
                continue
            p = rise_p(one, other, tolerated=_tolerated(rise, allowed)) if other else None
            yield _MetricPair(
                rise, (arm, phase), one, other, p, _requests_per_episode(baseline.episode_stats[arm, phase])
            )


def _requests_per_episode(figures: EpisodeStats) -> float:
    asked = [count for count in figures.requests if count]
    return sum(asked) / len(asked) if asked else 0.0


def _adjusted_ps(asked: Sequence[_MetricPair], plan: Plan) -> dict[str, float]:
    """Adjust each p for all tests in this gate: rates and latencies have half of the error each, Holm within."""
    adjusted: dict[str, float] = {}
    for rates in (True, False):
        tests = {
            each.test: each.p * plan.analyses_of(each.place[1])
            for each in asked
            if each.metric.is_rate is rates and each.p is not None
        }
        adjusted |= {test: min(1.0, 2 * p) for test, p in holm(tests).items()}
    return adjusted


def _metrics(phase: Phase, is_control: bool, *, alone: bool) -> Iterator[RegressionMetric]:
    """The metrics to check. `alone`: whether the control's own latencies may be compared.

    What strikes breaks so many requests, however many there were between two strikes: that is counted by the strike.

    Where something strikes, some requests find a connection and others open one: the median lies between the two, and
    jumps from one to the other with the machine.
    """
    calm = phase.pattern is Pattern.BLOCKS
    yield from RATES if calm else PER_STRIKE
    if not is_control:
        yield from (RegressionMetric.P50_AGAINST_CONTROL,) if calm else ()
        yield RegressionMetric.P95_AGAINST_CONTROL
    elif alone:
        yield from (RegressionMetric.P50,) if calm else ()
        yield RegressionMetric.P95


def _side(plan: Plan, figures: Mapping[ArmPhase, EpisodeStats]) -> RunSamples:
    phases = {phase for _, phase in figures}
    return RunSamples(
        figures, plan.scenario.control, {phase: ERROR / plan.analyses_of(phase) for phase in phases}
    )


def _why_control_is_left_out(baseline: Baseline, run: NewRun) -> str | None:
    """Why the control's own latencies say nothing about the service; None: they do."""
    if baseline.plan.stack != run.plan.stack:
        before, now = STACK_NAMES[baseline.plan.stack], STACK_NAMES[run.plan.stack]
        return f"the stack of the baseline ran in {before}; this one's in {now}"
    if baseline.machine != run.machine:
        return f"the baseline was recorded on another machine ({baseline.machine}; this is {run.machine})"
    if baseline.busy or is_busy(run.warnings):
        return "the machine was busy in one of the two runs, so they measure the machine"
    return None


def _baseline_warnings(baseline: Baseline) -> Iterator[ValidityWarning]:
    for doubt in baseline.doubts:
        yield ValidityWarning.of(
            Code.BASELINE_IN_DOUBT, f"of the baseline: {doubt.text}", phase=doubt.phase, arm=doubt.arm
        )


def _left_out(baseline: Baseline, run: NewRun, shared: PlanComparison) -> Iterator[str]:
    """What no check covers, so that it is not taken for checked."""
    if shared.only_new:
        yield f"only this run has {', '.join(shared.only_new)}"
    control = run.plan.scenario.control
    if why := _why_control_is_left_out(baseline, run):
        yield f"latencies of {control} itself are left out: {why}"
    few = [phase for phase in shared.phases if _episodes(baseline, run, phase) < FEWEST_EPISODES]
    if few:
        of = f"{', '.join(few)} are left out"
        yield f"latencies of {of}: fewer than {FEWEST_EPISODES} episodes in one of the two runs"


def _episodes(baseline: Baseline, run: NewRun, phase: str) -> int:
    """The fewest of either run; of the arms all have the same."""
    counted = [
        len(each.numbers)
        for side in (baseline.episode_stats, run.figures)
        for (_, name), each in side.items()
        if name == phase
    ]
    return min(counted, default=0)


# --- how it is decided ----------------------------------------------------------------------------------


def _tolerated(rise: RegressionMetric, allowed: RegressionSettings) -> float:
    """As a share of the baseline's value. The control's own latency has nothing beside it that had the same machine."""
    if rise.is_rate:
        return allowed.rate_tolerated
    return (
        allowed.latency_tolerated
        if rise.against_control
        else max(allowed.latency_tolerated, allowed.latency_matters)
    )


def _decide(asked: _MetricPair, p: float | None, run: NewRun, warnings: Sequence[ValidityWarning]) -> Check:
    rise, (arm, phase), control = asked.metric, asked.place, run.plan.scenario.control
    risen, ci95, tolerated, matters = _measure_rise(asked, run.plan.scenario.regression)
    against = BaselineComparison(
        asked.base.value, asked.new.value if asked.new else None, tolerated, matters, p
    )
    doubted = _warning_remarks(asked, control, warnings)
    verdict = Verdict.UNKNOWN if doubted else _verdict(p, ci95, matters)
    said = [regression_sentence(rise, against, risen, ci95, control=control, tolerated=tolerated)]
    if doubted:
        said += filter(None, doubted)
    elif risen is not None:
        more = _more_episodes(asked, risen, ci95, matters) if verdict is Verdict.UNKNOWN else None
        said.append(verdict_reason(rise, against, verdict, more))
    return Check(
        arm=arm,
        phase=phase,
        metric=rise.value,
        bound=f"at most {tolerated:.4g}",
        value=risen,
        ci95=ci95,
        verdict=verdict,
        text=f"{arm}, {phase}: {'; '.join(said)}",
        baseline=against,
    )


def _measure_rise(
    asked: _MetricPair, allowed: RegressionSettings
) -> tuple[float | None, Interval | None, float, float]:
    """The rise, its interval, what is tolerated and what matters. Of a latency all are shares of the baseline's."""
    base = asked.base.value or 0.0
    ci95 = difference_interval(asked.base, asked.new) if asked.new else None
    risen = asked.new.value - base if asked.new and asked.new.value is not None else None
    tolerated = _tolerated(asked.metric, allowed)
    if asked.metric.is_rate:
        matters = allowed.rate_matters * (asked.requests if asked.metric.is_per_strike else 1.0)
        return risen, ci95, tolerated * base, max(matters, tolerated * base)
    share = None if ci95 is None else Interval(ci95.low / base, ci95.high / base)
    return None if risen is None else risen / base, share, tolerated, max(allowed.latency_matters, tolerated)


def _verdict(p: float | None, ci95: Interval | None, matters: float) -> Verdict:
    if p is not None and p <= ERROR:
        return Verdict.FAIL
    return Verdict.PASS if ci95 is not None and ci95.high < matters else Verdict.UNKNOWN


def _warning_remarks(asked: _MetricPair, control: str, warnings: Sequence[ValidityWarning]) -> list[str]:
    """Why it may not be decided. What concerns the whole run is said once, as a warning: empty here."""
    arm, phase = asked.place
    arms = {None, arm, control} if asked.metric.against_control else {None, arm}
    return [
        "" if warning.phase is None and warning.arm is None else warning.text
        for warning in warnings
        if warning.unknown and warning.phase in {None, phase} and warning.arm in arms
    ]


def _more_episodes(asked: _MetricPair, risen: float, ci95: Interval | None, matters: float) -> int | None:
    """How many more each run would need to rule out what matters, if all stays as it is; None: they would not do."""
    if ci95 is None or asked.new is None or risen >= matters:
        return None
    times = (ci95.high - risen) / (matters - risen)
    fewest = min(asked.base.episodes, asked.new.episodes)
    # The bound on what was never seen shrinks with the episodes, any other interval with their square root.
    needed = fewest * (times if asked.p is None else times**2)
    return max(1, math.ceil(needed) - fewest) if needed <= MOST_EPISODES else None
