"""Rounds of a soak: what is played is planned before it begins, fills the time, and is the same for the same seed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plans import KILL, SLOW, STEADY, TARGET, scenario

from brokenpipe.commands.options import duration_s
from brokenpipe.drive.runner import RunSpec, rounds_that_fit
from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Overrides, Plan, Sources, apply_overrides
from brokenpipe.plan.project import Project
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.sequential import EpisodeRange
from brokenpipe.plan.soak_rounds import soak_ranges

SCENARIO = scenario(STEADY, KILL, SLOW)  # two episodes each
PHASES = {phase.name for phase in SCENARIO.phases}


def _takes_s(stretches: tuple[EpisodeRange, ...], plan: Scenario = SCENARIO) -> float:
    return sum(stretch.forecast_of(plan) for stretch in stretches)


@given(st.floats(SCENARIO.forecast_s, 5_000), st.integers(0, 1_000))
def test_rounds_fill_the_time(seconds: float, seed: int) -> None:
    """Never more than was asked for, and what is left over is too short for the phase whose turn it was."""
    plan = apply_overrides(SCENARIO, Overrides(seed=seed))
    left_s = seconds - _takes_s(soak_ranges(plan, seconds), plan)
    longest_s = max(EpisodeRange(phase, 0, 1).forecast_of(plan) for phase in plan.phases)
    assert -1e-3 <= left_s < longest_s + 1e-3


def test_each_round_has_every_phase_once_in_an_order_of_its_own() -> None:
    """So that nothing depends on which phase came before another."""
    order = [stretch.phase.name for stretch in soak_ranges(SCENARIO, 20 * SCENARIO.forecast_s)]
    each = [tuple(order[at : at + 3]) for at in range(0, len(order) - 2, 3)]
    assert all(set(one) == PHASES for one in each)
    assert len(set(each)) == 6, "in twenty rounds every order of three phases comes up"


def test_episodes_are_numbered_on() -> None:
    """A phase's episodes go on in the next round where they ended in the one before."""
    played = soak_ranges(SCENARIO, 400.0)
    for name in PHASES:
        mine = [stretch for stretch in played if stretch.phase.name == name]
        assert mine[0].first == 0
        assert all(after.first == before.first + before.count for before, after in pairwise(mine))


def test_the_seed_decides() -> None:
    """The same seed plays the same; another one another order."""
    again = soak_ranges(scenario(STEADY, KILL, SLOW), 400.0)
    other = soak_ranges(apply_overrides(SCENARIO, Overrides(seed=2)), 400.0)
    assert again == soak_ranges(SCENARIO, 400.0) != other


def test_arms_that_take_turns_count() -> None:
    """With two arms one after the other, a calm phase takes more than twice as long, and fewer stretches fit."""
    isolated = apply_overrides(SCENARIO, Overrides(isolate=True))
    assert len(soak_ranges(isolated, 400.0)) < len(soak_ranges(SCENARIO, 400.0))
    assert _takes_s(soak_ranges(isolated, 400.0), isolated) <= 400.0


def _soak(began_ago_s: float, played: dict[str, int]) -> Sequence[EpisodeRange]:
    """What a soak of 100 s plays next, so many seconds after it began."""
    plan = Plan(stem="by_hand", scenario=SCENARIO, target=TARGET, soak_s=100.0)
    nowhere = Path("nowhere")
    what = RunSpec(plan, Sources(nowhere, "", nowhere, nowhere), Project(nowhere), nowhere, "brokenpipe soak")
    return rounds_that_fit(what, time.monotonic() - began_ago_s, played)


def test_a_soak_that_is_faster_than_was_thought_goes_on() -> None:
    """With everything played and time left there is another stretch, numbered on, that fits; without, there is none."""
    played: dict[str, int] = defaultdict(int)
    for stretch in soak_ranges(SCENARIO, 100.0):
        played[stretch.phase.name] += stretch.count
    (more,) = _soak(70.0, played)
    assert more.first == played[more.phase.name]
    assert more.forecast_of(SCENARIO) < 30.0
    assert _soak(98.0, played) == ()
    assert _soak(250.0, played) == ()


def test_too_short_for_one_round() -> None:
    """Rather than leave phases out, we say how long one round takes."""
    with pytest.raises(UsageError, match=f"one round of the scenario, {SCENARIO.forecast_s:.0f} s"):
        soak_ranges(SCENARIO, SCENARIO.forecast_s - 1)


def test_twice_the_load() -> None:
    """A soak doubles the users of a closed load and the arrivals of an open one, unless it is told how many users."""
    assert apply_overrides(SCENARIO, Overrides(soak_s=60.0)).load.users == 4
    assert apply_overrides(SCENARIO, Overrides(soak_s=60.0, users=3)).load.users == 3
    open_load = SCENARIO.load.model_copy(update={"arrivals_per_s": 5.0, "users": 50})
    doubled = apply_overrides(SCENARIO.model_copy(update={"load": open_load}), Overrides(soak_s=60.0)).load
    assert (doubled.users, doubled.arrivals_per_s) == (100, 10.0)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("90s", 90), ("90", 90), ("1h30m", 5400), ("2H", 7200)]
)
def test_durations(text: str, seconds: int) -> None:
    """As people write them."""
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "m", "half an hour", "1.5h", "30m1h", "-5s", "169h"])
def test_what_is_no_duration(text: str) -> None:
    """A time that cannot be understood is said to be none, with an example."""
    with pytest.raises(UsageError, match="--duration"):
        duration_s(text)
