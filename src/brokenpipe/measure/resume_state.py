"""State of an experiment that was cut off: how far it got, and which episodes remain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.history.file_names import last_part
from brokenpipe.history.reader import History, open_history
from brokenpipe.measure.run_metadata import end_reason, plan_of, recorded_environment
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.sequential import EpisodeRange, remaining_ranges


@dataclass(frozen=True, slots=True)
class ResumeState:
    """How far the experiment of a folder got. `part`: the number of the next part."""

    plan: Plan
    part: int
    ended: str  # "done", "interrupted", "terminated", "failed", "stopped", "hung", "cut off"
    played: dict[str, int]  # finished episodes of each phase
    remaining: tuple[EpisodeRange, ...]
    scenario_file: Path | None  # where it was read from, if that is known


def read_resume_state(folder: Path) -> ResumeState:
    """Read the state of a report folder. Raises ReportError if it is not one."""
    with open_history(folder) as history:
        plan = plan_of(history)
        scenario_file = recorded_environment(folder).get("scenario_file")
        ended, played = end_reason(history), _whole_episodes(history, tuple(plan.scenario.arms))
    return ResumeState(
        plan=plan,
        part=last_part(folder) + 1,
        ended=ended,
        played=played,
        remaining=remaining_ranges(plan.episode_ranges, played),
        scenario_file=Path(str(scenario_file)) if scenario_file else None,
    )


def _whole_episodes(history: History, arms: Sequence[str]) -> dict[str, int]:
    """How many episodes of each phase are complete, from the first on; where arms take turns, by all arms."""
    whole: dict[str, set[int]] = defaultdict(set)
    rows = history.rows(
        "SELECT phase, n, bool_or(arm IS NULL) OR count(DISTINCT arm) >= ? FROM episodes WHERE counts GROUP BY ALL",
        (len(arms),),
    )
    for phase, n, complete in rows:
        if complete:
            whole[phase].add(n)
    return {phase: next(n for n in range(len(found) + 1) if n not in found) for phase, found in whole.items()}
