"""Scenarios and a target made in a few words, for tests of plans and of what is recorded under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brokenpipe.errors import ScenarioError
from brokenpipe.plan.arms import ArmSettings
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.target import Target
from brokenpipe.plan.toml_model import validated

STEADY = {"name": "steady", "seconds": 4}
KILL = {"name": "kill", "fault": {"name": "socket_kill"}, "episodes": 2, "every_s": 1.0}
SLOW = {"name": "slow", "fault": {"name": "latency", "ms": 25}, "seconds": 4}

TARGET = Target(command=("{port}",), ready="/", dsn_env="DSN", dsn="{host}:{port}")


def arms_of(variables: Mapping[str, Mapping[str, Any]]) -> dict[str, ArmSettings]:
    """Arms that differ in these variables, or keys."""
    return {arm: ArmSettings.model_validate(own) for arm, own in variables.items()}


def scenario(
    *phases: Mapping[str, Any],
    arms: Sequence[str] = ("plain", "pre_ping"),
    expect: Sequence[Mapping[str, Any]] = (),
    regression: Mapping[str, float] | None = None,
) -> Scenario:
    """A scenario of these phases; the first arm is the control."""
    data = {
        "title": "By hand",
        "question": "What does it add up to?",
        "target": "agent",
        "control": arms[0],
        "load": {"users": 2, "timeout_s": 1.0},
        "arms": {arm: {"POOL_PRE_PING": "true"} if arm == "pre_ping" else {} for arm in arms},
        "phases": list(phases),
        "expect": list(expect),
        "regression": regression or {},
    }
    return validated(Scenario, data, Path("by hand"), ScenarioError, "")
