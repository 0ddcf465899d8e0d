"""Phases of a run by hand, made as they are needed: they become the phases of its plan.json."""

from __future__ import annotations

from dataclasses import dataclass, field

from brokenpipe.faults import Fault
from brokenpipe.plan.phases import BLOCK_S, Phase
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.sequential import EpisodeRange

NO_FAULT_PHASE = Phase(name="hands_off", seconds=BLOCK_S)
"""The phase between two faults."""

MAX_NAME_LENGTH = 40  # as of every phase


def manual_phase(fault: Fault, arms: tuple[str, ...], name: str = "hand") -> Phase:
    """The phase of a fault by hand, with one episode. Raises ValidationError if no phase can have it."""
    if fault.momentary:
        every_s = max(2.0, fault.min_interval_s)
        return Phase(name=name, fault=fault, arms=arms, episodes=1, every_s=every_s)
    return Phase(name=name, fault=fault, arms=arms, seconds=BLOCK_S)


def _with_episodes(phase: Phase, count: int) -> Phase:
    size: dict[str, object] = (
        {"episodes": count} if phase.seconds is None else {"seconds": count * phase.episode_s}
    )
    return phase.model_copy(update=size)


@dataclass(slots=True)
class ManualPhases:
    """One phase for each fault with its parameters and arms, in the order in which they were first used."""

    _phases: dict[tuple[Fault, tuple[str, ...]], Phase] = field(default_factory=dict)
    _episodes: dict[str, int] = field(default_factory=dict)
    _timelines_played: int = 0  # of the scenario's timeline

    def phase_for(self, fault: Fault, arms: tuple[str, ...]) -> Phase:
        """The phase of this fault and these arms, the same each time."""
        key = (fault, arms)
        if key not in self._phases:
            self._phases[key] = manual_phase(fault, arms, self._name(fault, arms))
        return self._phases[key]

    def episodes(self, phase: Phase) -> int:
        """The number of episodes so far."""
        return self._episodes.get(phase.name, 0)

    def next_episode(self, phase: Phase) -> int:
        """The number of the next episode, which is counted."""
        n = self.episodes(phase)
        self._episodes[phase.name] = n + 1
        return n

    def next_timeline(self, scenario: Scenario) -> list[EpisodeRange]:
        """The scenario's timeline once more. Its episodes have numbers of their own, as if it were one longer play."""
        self._timelines_played += 1
        return [
            EpisodeRange(phase, (self._timelines_played - 1) * phase.count, phase.count)
            for phase in scenario.phases
        ]

    def plan_so_far(self, plan: Plan) -> Plan:
        """The plan with all phases so far. The scenario's expectations apply once its timeline was played."""
        scenario, played = plan.scenario, self._timelines_played > 0
        timeline = tuple(
            _with_episodes(phase, self._timelines_played * phase.count) for phase in scenario.phases
        )
        by_hand = (self._sized(NO_FAULT_PHASE), *(self._sized(phase) for phase in self._phases.values()))
        changes: dict[str, object] = {
            "phases": (*(timeline if played else ()), *by_hand),
            "expect": scenario.expect if played else (),
            "isolate": scenario.isolate and played,
        }
        return plan.model_copy(update={"scenario": scenario.model_copy(update=changes), "looks": {}})

    def _sized(self, phase: Phase) -> Phase:
        """The phase with as many episodes as were played."""
        return _with_episodes(phase, max(1, self.episodes(phase)))

    def _name(self, fault: Fault, arms: tuple[str, ...]) -> str:
        name = "_".join(("hand", fault.name, *arms))
        name = name if len(name) <= MAX_NAME_LENGTH - 3 else f"hand_{fault.name}"
        taken = {phase.name for phase in self._phases.values()}
        return next(each for n in range(1, 1000) if (each := name if n == 1 else f"{name}_{n}") not in taken)
