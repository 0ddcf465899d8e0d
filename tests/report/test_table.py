"""What stands in a place of the table."""

from __future__ import annotations

from dataclasses import replace

from tests.report.building import build
from tests.report.synthetic_runs import ARMS, PHASES

from brokenpipe.measure.model.arm_phase import PerEpisode
from brokenpipe.report.run.table import describe_per_strike


def test_a_fault_that_is_held_strikes_nobody() -> None:
    """A latency begins once and is there for seven blocks: only what strikes in every episode breaks by the strike."""
    cell = build(ARMS, PHASES[:2]).cells["plain", "socket_kill"]
    cell = replace(cell, episodes=7, broken_per_episode=PerEpisode(1.5, None))
    assert describe_per_strike(replace(cell, recovery_s=(0.1,) * 7)) == "1.5 broken a strike"
    assert describe_per_strike(replace(cell, recovery_s=(0.1,))) == ""
    assert describe_per_strike(replace(cell, recovery_s=())) == ""
