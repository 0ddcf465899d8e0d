"""A phase in figures: how many episodes, how long, and what a dry run forecasts."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from brokenpipe.errors import UsageError
from brokenpipe.plan.phases import BETWEEN_S, BLOCK_S, LEAD_S, SETTLE_S, Pattern, Phase
from brokenpipe.plan.plan import Overrides, apply_overrides
from brokenpipe.plan.scenario import Scenario

LIMIT = {"name": "idle_reset", "after_ms": 500}
KILL = {"name": "socket_kill"}
PROJECT = Path(__file__).parents[2]


def _phase(**keys: Any) -> Phase:
    return Phase.model_validate({"name": "it", **keys})


@pytest.mark.parametrize(
    ("keys", "pattern", "count", "episode_s", "forecast_s", "words"),
    [
        ({"seconds": 10}, Pattern.BLOCKS, 5, 2.0, BETWEEN_S + 10, "10 s"),
        ({"seconds": 2}, Pattern.BLOCKS, 1, 2.0, BETWEEN_S + 2, "2 s"),
        ({"seconds": 5}, Pattern.BLOCKS, 2, 2.5, BETWEEN_S + 5, "5 s"),
        (
            {"seconds": 4, "fault": {"name": "latency", "ms": 5}},
            Pattern.BLOCKS, 2, 2.0, BETWEEN_S + SETTLE_S + 4, "4 s, after 1.2 s of its fault that do not count",
        ),
        (
            {"seconds": 3, "fault": {"name": "server_pause"}, "under_load": True},
            Pattern.BLOCKS, 1, 3.0, BETWEEN_S + LEAD_S + 3, "3 s, and 0.5 s before its fault",
        ),
        ({"seconds": 4, "fault": LIMIT}, Pattern.BLOCKS, 2, 2.0, BETWEEN_S + 4, "4 s"),
        (
            {"episodes": 12, "every_s": 1.5, "fault": KILL},
            Pattern.STRIKES, 12, 1.5, BETWEEN_S + 18, "12 strikes, one every 1.5 s",
        ),
        (
            {"episodes": 12, "quiet_s": 1.6, "burst_s": 1.4},
            # the lead-in is a burst, which takes the place of settling
            Pattern.BURSTS, 12, 3.0, BETWEEN_S - SETTLE_S + 1.4 + 36, "12 × (1.6 s quiet, 1.4 s burst)",
        ),
    ],
)  # fmt: skip
def test_a_phase_in_figures(
    keys: dict[str, Any], pattern: Pattern, count: int, episode_s: float, forecast_s: float, words: str
) -> None:
    """Count, length and forecast follow from the keys by arithmetic."""
    phase = _phase(**keys)
    assert (phase.pattern, phase.count, phase.describe()) == (pattern, count, words)
    assert phase.episode_s == pytest.approx(episode_s)
    assert phase.forecast_s == pytest.approx(forecast_s)


@given(st.floats(BLOCK_S, 86_400))
def test_blocks_fill_their_phase(seconds: float) -> None:
    """Whatever the length, blocks fill it, each at least as long as a block and less than two."""
    phase = _phase(seconds=seconds)
    assert phase.count * phase.episode_s == pytest.approx(seconds)
    assert BLOCK_S <= phase.episode_s < 2 * BLOCK_S


def test_a_scenario_is_the_sum_of_its_phases() -> None:
    """What `make loadtest` is said to take: the phases of the default scenario, one by one."""
    data = tomllib.loads((PROJECT / "scenarios" / "default.toml").read_text(encoding="utf-8"))
    scenario = Scenario.model_validate(data)
    assert scenario.forecast_s == pytest.approx(sum(phase.forecast_s for phase in scenario.phases))
    assert 60 < scenario.forecast_s < 120, "a newcomer should not have to wait longer"
    assert all(phase.count >= 12 for phase in scenario.phases if phase.pattern is not Pattern.BLOCKS)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"seconds": 4, "arms": ["plain"]}, "this phase has none"),
        (
            {"episodes": 1, "every_s": 9, "fault": {"name": "server_restart"}, "arms": ["plain"]},
            "happens to what all arms share",
        ),
    ],
)
def test_a_fault_on_some_arms_needs_a_fault_that_can(keys: dict[str, Any], says: str) -> None:
    """Without a fault there is nothing to choose arms for, and what all arms share breaks for all of them."""
    with pytest.raises(ValidationError, match=says):
        _phase(**keys)


def test_the_arms_of_a_fault_are_arms_of_the_scenario() -> None:
    """`--only` leaves the fault to those of its arms that run, and says so when none does."""
    data = tomllib.loads((PROJECT / "scenarios" / "default.toml").read_text(encoding="utf-8"))
    data["phases"][1]["arms"] = ["plain", "both"]
    scenario = Scenario.model_validate(data)
    assert apply_overrides(scenario, Overrides(only=("both", "recycle"))).phases[1].arms == ("both",)
    with pytest.raises(UsageError, match="happens to plain, both only"):
        apply_overrides(scenario, Overrides(only=("recycle",)))
