"""What may be held against what: two plans, asked before anything is run."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.plans import KILL, SLOW, STEADY, TARGET, scenario

from brokenpipe.measure.regression.comparability import NotComparable, compare_plans, demand_comparable
from brokenpipe.plan.plan import Overrides, Plan, apply_overrides
from brokenpipe.plan.scenario import Scenario

IDLE = {
    "name": "idle",
    "fault": {"name": "idle_reset", "after_ms": 500},
    "episodes": 2,
    "quiet_s": 1.0,
    "burst_s": 1.0,
}


def _plan(played: Scenario, **overrides: Any) -> Plan:
    return Plan(stem="by_hand", scenario=apply_overrides(played, Overrides(**overrides)), target=TARGET)


def _with_locustfile(path: str) -> Plan:
    played = scenario(STEADY, KILL, IDLE)
    return _plan(played.model_copy(update={"load": played.load.model_copy(update={"locustfile": path})}))


BASE = _plan(scenario(STEADY, KILL, IDLE))


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(_plan(scenario(STEADY, KILL, IDLE), seed=7), id="another seed"),
        pytest.param(_plan(scenario(STEADY, KILL, IDLE), env={"DB_DRIVER": "psycopg"}), id="other settings"),
        pytest.param(_with_locustfile(f"/elsewhere/{BASE.scenario.load.locustfile}"), id="another folder"),
        pytest.param(_plan(scenario(STEADY | {"seconds": 60}, KILL | {"episodes": 90}, IDLE)), id="longer"),
    ],
)
def test_what_is_compared_may_differ(new: Plan) -> None:
    """Settings, seed and length are what one changes; all arms and phases are compared."""
    found = demand_comparable(BASE, new, "base")
    assert found.reasons == ()
    assert (found.arms, found.phases) == (("plain", "pre_ping"), ("steady", "kill", "idle"))


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (
            _plan(scenario(STEADY, KILL, IDLE), users=3),
            "[load] users: 2 in the baseline, 3 in the new run",
        ),
        (
            _with_locustfile("/elsewhere/other.py"),
            "[load] locustfile: locustfile.py in the baseline, other.py in the new run",
        ),
        (
            _plan(scenario(STEADY, KILL, IDLE), isolate=True),
            "phase steady: one arm at a time: no in the baseline, yes in the new run",
        ),
        (
            _plan(scenario(STEADY, KILL | {"fault": {"name": "socket_kill", "how": "fin"}}, IDLE)),
            "phase kill: fault: socket_kill · reset in the baseline, socket_kill · fin in the new run",
        ),
        (
            _plan(scenario(STEADY, KILL, IDLE | {"quiet_s": 2.5})),
            "phase idle: quiet_s: 1 in the baseline, 2.5 in the new run",
        ),
        (_plan(scenario(STEADY, KILL)), "phase idle: only in the baseline"),
        (_plan(scenario(STEADY, KILL, IDLE), only=("plain",)), "arm pre_ping: only in the baseline"),
        (
            _plan(scenario(STEADY, KILL, IDLE), only=("pre_ping",)),
            "control: plain in the baseline, pre_ping in the new run",
        ),
    ],
)
def test_what_was_asked_differently_is_refused(new: Plan, reason: str) -> None:
    """It is a usage error, and says what differs."""
    with pytest.raises(NotComparable) as refused:
        demand_comparable(BASE, new, "reports/base")
    assert reason in refused.value.details
    assert refused.value.exit_code == 2
    assert "reports/base" in refused.value.message


def test_what_is_new_may_be_added() -> None:
    """An arm and a phase more than the baseline has: what both have is compared, the rest is named."""
    new = _plan(scenario(STEADY, KILL, IDLE, SLOW, arms=("plain", "pre_ping", "recycle")))
    found = demand_comparable(BASE, new, "base")
    assert (found.arms, found.phases) == (("plain", "pre_ping"), ("steady", "kill", "idle"))
    assert found.only_new == ("arm recycle", "phase slow")


def test_a_phase_laid_out_otherwise_keeps_only_itself_out() -> None:
    """Whoever compares by phase may leave it out; nothing in common is not comparable at all."""
    found = compare_plans(BASE, _plan(scenario(STEADY, KILL | {"every_s": 9.0}, IDLE)))
    assert found.comparable
    assert found.phases == ("steady", "idle")
    assert not compare_plans(BASE, _plan(scenario(SLOW))).comparable
