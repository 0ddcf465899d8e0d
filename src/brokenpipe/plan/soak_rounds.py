"""Rounds: the phases of a scenario again and again, each round in an order of its own, until a time is filled.

    round 1   steady │ latency │ socket_kill │ idle_reset
    round 2   idle_reset │ steady │ socket_kill │ latency
    …         and of the last one, what still fits

The order is drawn from the seed, so that nothing depends on which phase came before another, and the same seed plays
the same. Episodes of a phase are numbered on from round to round.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

from brokenpipe.errors import UsageError
from brokenpipe.plan.phases import Phase
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.sequential import EpisodeRange


def soak_ranges(scenario: Scenario, seconds: float) -> tuple[EpisodeRange, ...]:
    """Ranges to play, in order, that take about so long. Raises UsageError if one round does not fit."""
    if seconds < scenario.forecast_s:
        raise UsageError(
            f"--duration: {seconds:g} s are too short for one round of the scenario, {scenario.forecast_s:.0f} s",
            remedy="Give it more time, or play the scenario once with `brokenpipe run`.",
        )
    played = dict.fromkeys((phase.name for phase in scenario.phases), 0)
    found: list[EpisodeRange] = []
    for phase in _shuffled_phases(scenario):
        episodes = _episodes_that_fit(scenario, phase, seconds)
        if not episodes:
            return tuple(found)
        found.append(EpisodeRange(phase, played[phase.name], episodes))
        played[phase.name] += episodes
        seconds -= found[-1].forecast_of(scenario)
    raise AssertionError("rounds never end")


def _shuffled_phases(scenario: Scenario) -> Iterator[Phase]:
    """The phases of round after round, without end."""
    for number in count(1):
        order = list(scenario.phases)
        random.Random(f"{scenario.seed}/round {number}").shuffle(order)  # noqa: S311  # an order, no secret
        yield from order


def _episodes_that_fit(scenario: Scenario, phase: Phase, seconds: float) -> int:
    """Number of episodes of a phase that fit into the time left: at most those of the scenario."""
    before_s = scenario.forecast_of(phase) - phase.count * scenario.episode_s_of(phase)
    return max(0, min(phase.count, int((seconds - before_s + 1e-6) / scenario.episode_s_of(phase))))
