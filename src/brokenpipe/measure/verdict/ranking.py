"""Ranking of the arms by failed requests in the phases with a fault, with tests of their differences.

A user sees that a request failed, not why. But where arms differ in settings of their pool alone, a connection that
died under a request died by chance: no such setting prevents that. Those deaths are left out then, as far as they are
proven. What is not known counts as failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from brokenpipe.interval import Interval
from brokenpipe.measure.attribution.fault_windows import HARNESS
from brokenpipe.measure.facts import ExplainedFailures, Facts
from brokenpipe.measure.failures.root_cause import FailedRequest
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.attribution import Attribution, Relation
from brokenpipe.measure.model.verdict import ArmTotals, RankedBy
from brokenpipe.measure.stats.intervals import ERROR, rate_interval
from brokenpipe.measure.stats.paired import holm, sign_flip_p
from brokenpipe.measure.tables.arm_phase import EpisodeCounts
from brokenpipe.plan.scenario import Scenario

# Endings of the variables that set a pool. An arm that differs in anything else may retry, for all we know.
POOL_SETTINGS = (
    "PRE_PING",
    "RECYCLE",
    "POOL_SIZE",
    "MAX_OVERFLOW",
    "POOL_TIMEOUT",
    "POOL_USE_LIFO",
)
_BEFORE_USE = frozenset({"connect", "ping", "checkout"})

Episode = tuple[str, int]  # phase, number


@dataclass(frozen=True, slots=True)
class Ranking:
    """The arms that had requests in every phase with a fault. `phases`: those phases.

    `ranked`: by arm, the failed requests of each episode that its rank goes by.
    """

    facts: Facts
    phases: tuple[str, ...]
    arms: tuple[str, ...]
    basis: RankedBy
    ranked: Mapping[str, Mapping[Episode, int]]

    def totals(self, arm: str) -> ArmTotals:
        """The totals of its requests."""
        cells = [self.facts.cells[arm, phase] for phase in self.phases]
        known = all(cell.broken_pipe_rate is not None for cell in cells)
        return ArmTotals(
            requests=sum(cell.requests for cell in cells),
            failed=sum(cell.failed for cell in cells),
            broken=sum(cell.broken for cell in cells) if known else None,
            ranked=sum(self.ranked[arm].values()),
        )

    def better_in(self, arms: Sequence[str], than: str) -> dict[str, tuple[str, ...]]:
        """Of each arm, the phases in which fewer of its requests failed, by more than chance."""
        return self._beyond_chance(arms, than, sign=-1)

    def worse_in(self, arms: Sequence[str], than: str) -> dict[str, tuple[str, ...]]:
        """Of each arm, the phases in which more of its requests failed, by more than chance."""
        return self._beyond_chance(arms, than, sign=1)

    def _beyond_chance(self, arms: Sequence[str], than: str, *, sign: int) -> dict[str, tuple[str, ...]]:
        """All arms and phases are one family of tests (Holm).

        Of equal arms, any is called different in at most 5 of 100 runs.
        """
        places = {f"{arm}\0{phase}": (arm, phase) for arm in arms for phase in self.phases}
        differences = {name: self._differences(arm, than, phase) for name, (arm, phase) in places.items()}
        chances = holm({name: sign_flip_p(each) for name, each in differences.items()})
        sure = {
            (arm, phase)
            for name, (arm, phase) in places.items()
            if chances[name] <= self.facts.estimator.errors[phase] and sign * sum(differences[name]) > 0
        }
        return {arm: tuple(phase for phase in self.phases if (arm, phase) in sure) for arm in arms}

    def _differences(self, arm: str, than: str, phase: str) -> list[float]:
        mine, theirs = (self._shares(each, phase) for each in (arm, than))
        return [mine[n] - theirs[n] for n in mine if n in theirs]

    def _shares(self, arm: str, phase: str) -> dict[int, float]:
        said, ranked = self.facts.estimator.episode_counts[arm, phase], self.ranked[arm]
        episodes = zip(said.numbers, said.requests, strict=True)
        return {n: ranked.get((phase, n), 0) / requests for n, requests in episodes if requests}

    def prevented(self, arm: str, than: str) -> tuple[float, Interval | None]:
        """The share of another arm's failed requests that this one prevents, and its interval."""
        mine, theirs = self.totals(arm).failed_share, self.totals(than).failed_share
        intervals = [self._failed_interval(each) for each in (arm, than)]
        ratio = ratio_interval(mine, intervals[0], theirs, intervals[1])
        return 1 - mine / theirs, None if ratio is None else Interval(1 - ratio.high, 1 - ratio.low)

    def _failed_interval(self, arm: str) -> Interval | None:
        """Over the episodes of the phases in which anything failed in any arm: others say nothing about a ratio."""
        by_place = self.facts.estimator.episode_counts
        told = [
            phase for phase in self.phases if any(sum(by_place[each, phase].failed) for each in self.arms)
        ]
        events = [n for phase in told for n in by_place[arm, phase].failed]
        trials = [n for phase in told for n in by_place[arm, phase].requests]
        largest = max(
            (_largest_rate(by_place[each, phase]) for each in self.arms for phase in told), default=0.0
        )
        error = min((self.facts.estimator.errors[phase] for phase in told), default=ERROR)
        return rate_interval(events, trials, largest_rate=largest, error=error)

    def causes_known(self, arm: str) -> bool:
        """Whether it is known, of most of its failures, if a setting could have prevented them."""
        cells: list[ArmPhaseStats] = [self.facts.cells[arm, phase] for phase in self.phases]
        owed = [cell.attribution for cell in cells if cell.attribution]
        return 2 * sum(each.unknown for each in owed) <= sum(each.failed for each in owed)


def _largest_rate(episodes: EpisodeCounts) -> float:
    pairs = zip(episodes.failed, episodes.requests, strict=True)
    return max((failed / requests for failed, requests in pairs if requests), default=0.0)


def rank_arms(facts: Facts) -> Ranking | None:
    """The ranking of a run. None without a phase with a fault, or without an arm to compare the control with.

    An arm without requests in any phase with a fault takes no part.
    """
    scenario, cells = facts.plan.scenario, facts.cells
    faulty = tuple(
        name
        for name in facts.phases_for_all_arms
        if scenario.phase(name).fault and any(cells[arm, name].requests for arm in scenario.arms)
    )
    arms = tuple(arm for arm in scenario.arms if all(cells[arm, phase].requests for phase in faulty))
    if not faulty or len(arms) < 2 or scenario.control not in arms:
        return None
    by = ranked_by(scenario)
    return Ranking(facts, faulty, arms, by, {arm: _ranked(facts.explained, arm, faulty, by) for arm in arms})


def ranked_by(scenario: Scenario) -> RankedBy:
    """Deaths in use count unless the arms differ in settings of their pool alone."""
    besides = {
        (scenario.target_of(name), arm.packages, arm.python, scenario.pgbouncer_of(name))
        for name, arm in scenario.arms.items()
    }
    if len(besides) > 1:
        return RankedBy.FAILED
    arms = scenario.variables_by_arm().values()
    differing = {
        name for env in arms for name, value in env.items() if any(e.get(name) != value for e in arms)
    }
    pools = all(name.upper().endswith(POOL_SETTINGS) for name in differing)
    return RankedBy.PREVENTABLE if pools else RankedBy.FAILED


def _ranked(
    explained: ExplainedFailures, arm: str, phases: Sequence[str], by: RankedBy
) -> Mapping[Episode, int]:
    owings = zip(explained.failures, explained.attributions, strict=True)
    return Counter(
        (failure.phase, failure.episode)
        for failure, owed in owings
        if failure.arm == arm and failure.phase in phases
        if by is RankedBy.FAILED or not _is_unpreventable(failure, owed)
    )


def _is_unpreventable(failure: FailedRequest, owed: Attribution) -> bool:
    """Whether it is proven to be a death in use, which no pool setting prevents, or was caused by the harness."""
    if owed.fault == HARNESS:
        return True
    in_use = failure.operation is not None and failure.operation.kind not in _BEFORE_USE
    return in_use and owed.relation is Relation.DIRECT and owed.preventable is False


def ratio_interval(
    mine: float, of_mine: Interval | None, theirs: float, of_theirs: Interval | None
) -> Interval | None:
    """The interval of mine / theirs, two rates, recovered from their own intervals (MOVER; Donner, Zou 2012).

    Where nothing happened in mine, its upper end is the bound on what may still hide, and so is the ratio's. None if
    either has no interval, or theirs may be 0.
    """
    if of_mine is None or of_theirs is None or theirs <= 0 or of_theirs.low <= 0:
        return None
    product = mine * theirs
    below = of_mine.low * (2 * mine - of_mine.low) * of_theirs.high * (2 * theirs - of_theirs.high)
    above = of_mine.high * (2 * mine - of_mine.high) * of_theirs.low * (2 * theirs - of_theirs.low)
    high = product + sqrt(max(0.0, product**2 - above))
    low = 0.0
    if mine > 0:
        low = of_mine.low * (2 * mine - of_mine.low) / (product + sqrt(max(0.0, product**2 - below)))
    return Interval(low, high / (of_theirs.low * (2 * theirs - of_theirs.low)))
