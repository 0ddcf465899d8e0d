"""Interim analyses of `--until-decided`: after how many episodes of a phase its expectations are checked, fixed before.

Checking again and again until a figure pleases would find differences by chance. So the analyses are planned, at
doubling numbers of episodes, and share the error: an interval may miss the truth in 5 of 100 runs over all its
analyses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from brokenpipe.errors import UsageError
from brokenpipe.plan.phases import BETWEEN_S, Phase
from brokenpipe.plan.scenario import Scenario

MAX_FACTOR = 4  # without --at-most: so many times the episodes of the scenario


@dataclass(frozen=True, slots=True)
class EpisodeRange:
    """A range of episodes of a phase that are played in one go: all, or those added by an interim analysis."""

    phase: Phase
    first: int
    count: int

    def forecast_of(self, scenario: Scenario) -> float:
        """How long it will take in that scenario, with what precedes it."""
        fewer = self.phase.count - self.count
        return scenario.forecast_of(self.phase) - fewer * scenario.episode_s_of(self.phase)


def remaining_ranges(planned: Sequence[EpisodeRange], played: Mapping[str, int]) -> tuple[EpisodeRange, ...]:
    """The part of these ranges that is left when so many episodes of each phase have been played."""
    found = []
    for episode_range in planned:
        first = max(episode_range.first, played.get(episode_range.phase.name, 0))
        if first < episode_range.first + episode_range.count:
            found.append(
                EpisodeRange(episode_range.phase, first, episode_range.first + episode_range.count - first)
            )
    return tuple(found)


def analysis_points(count: int, at_most: int) -> tuple[int, ...]:
    """Numbers of episodes at which a phase is analysed: the scenario's, then twice as many, up to `at_most`."""
    looks = [count]
    while looks[-1] < at_most:
        looks.append(min(2 * looks[-1], at_most))
    return tuple(looks)


def interim_analyses(scenario: Scenario, at_most: int | None) -> dict[str, tuple[int, ...]]:
    """The analyses of each phase with an expectation that an interval decides.

    Raises UsageError if there is no such phase, or none that could be given more episodes.
    """
    asked = {each.phase for each in scenario.expect if not each.metric.is_fact}
    phases = [phase for phase in scenario.phases if phase.name in asked]
    if not phases:
        raise UsageError(
            "--until-decided: this scenario expects no rate and no latency, and counts are decided after any run",
            remedy="Leave --until-decided out, or add an [[expect]] with a rate, such as broken_pipe_rate.",
        )
    looks = {
        phase.name: analysis_points(phase.count, at_most or MAX_FACTOR * phase.count) for phase in phases
    }
    if all(len(each) == 1 for each in looks.values()):
        have = ", ".join(f"{phase.name} has {phase.count}" for phase in phases)
        raise UsageError(
            f"--at-most {at_most}: leaves no room for more episodes: {have}",
            remedy="Give a larger number, or leave --at-most out: four times the scenario's episodes.",
        )
    return looks


def next_ranges(
    scenario: Scenario, looks: Mapping[str, Sequence[int]], played: Mapping[str, int], open_: Collection[str]
) -> tuple[EpisodeRange, ...]:
    """The ranges to play next: of each open phase, the episodes up to its next analysis."""
    found = []
    for phase in scenario.phases:
        ahead = [look for look in looks.get(phase.name, ()) if look > played[phase.name]]
        if phase.name in open_ and ahead:
            found.append(EpisodeRange(phase, played[phase.name], ahead[0] - played[phase.name]))
    return tuple(found)


def worst_case_s(scenario: Scenario, looks: Mapping[str, Sequence[int]]) -> float:
    """Seconds of the run if nothing is decided before the last analysis."""
    added = sum(
        (looks[phase.name][-1] - phase.count) * scenario.episode_s_of(phase)
        + (len(looks[phase.name]) - 1) * (BETWEEN_S + phase.lead_s + phase.settles_s + (phase.burst_s or 0))
        for phase in scenario.phases
        if phase.name in looks
    )
    return scenario.forecast_s + added
