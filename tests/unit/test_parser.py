"""The parser against files that nobody would think of."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brokenpipe.errors import ScenarioError, UsageError
from brokenpipe.plan.plan import Overrides, Plan, apply_overrides
from brokenpipe.plan.scenario import Scenario, parse_scenario
from brokenpipe.plan.target import Target
from brokenpipe.plan.toml_model import validated

HERE = Path(__file__).parent
GOOD = tomllib.loads((HERE / "scenarios" / "good.toml").read_text(encoding="utf-8"))
TARGET = Target.model_validate(tomllib.loads((HERE / "targets" / "good.toml").read_text(encoding="utf-8")))
SOME_FILE = Path("it.toml")

# Everything that a TOML file can hold, times left out: words that mean something in scenarios come up often.
WORDS = st.sampled_from(
    sorted({"title", "arms", "phases", "fault", "name", "latency", "ms", "seconds", "plain"})
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
TOML = st.recursive(
    SCALARS.filter(lambda value: value is not None),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
TABLES = st.dictionaries(WORDS | st.text(max_size=8), TOML, max_size=6)


def _places(node: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at] * bool(at) + [place for key, value in items for place in _places(value, (*at, key))]


def _with(data: dict[str, Any], place: tuple[str | int, ...], value: object) -> dict[str, Any]:
    changed = deepcopy(data)
    node: Any = changed
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return changed


def _parses_or_explains(data: object) -> None:
    try:
        validated(Scenario, data, SOME_FILE, ScenarioError, "remedy")
    except ScenarioError as error:
        problems = error.problems
    else:
        return
    assert problems
    for problem in problems:
        assert problem.key
        assert "[key]" not in problem.key
        assert problem.allowed, f"{problem.key}: nothing says what is allowed"
        assert "Input should" not in problem.allowed, "pydantic's words, not ours"


@given(TABLES)
@example({})
@example({"arms": {"": {}}})
@example({"phases": [{"fault": {"name": []}}]})
@example({"phases": [{"fault": {"name": {"name": "latency"}}}]})
def test_any_table_parses_or_is_explained(data: dict[str, Any]) -> None:
    """Whatever a file says, it is a scenario or a ScenarioError that says what is allowed: never a crash."""
    _parses_or_explains(data)


@given(st.sampled_from(_places(GOOD)), TOML)
def test_any_single_change_parses_or_is_explained(place: tuple[str | int, ...], value: object) -> None:
    """The same for a good scenario in which one value, at whatever depth, became something else."""
    _parses_or_explains(_with(GOOD, place, value))


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=60)
def test_any_bytes_parse_or_are_explained(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """The same for whatever bytes stand in the file."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(path)
    assert caught.value.remedy


# --- plan.json ----------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
VARIABLES = st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), st.text(), max_size=3)
VARIABLES_OF_ARM = VARIABLES.map(lambda env: {f"{name}X": value for name, value in env.items()})
ARMS = st.builds(
    lambda ours, env: {**ours, **env}, st.fixed_dictionaries({}, optional={"target": NAMES}), VARIABLES_OF_ARM
)
SECONDS = st.floats(min_value=0.2, max_value=3600)
HELD = st.builds(
    lambda ms, jitter, direction: {"name": "latency", "ms": ms, "jitter_ms": jitter, "direction": direction},
    st.integers(100, 10_000), st.integers(0, 100), st.sampled_from(["upstream", "downstream"]),
)  # fmt: skip
KILLS = st.builds(lambda how: {"name": "socket_kill", "how": how}, st.sampled_from(["reset", "fin"]))
PHASES = st.one_of(
    st.fixed_dictionaries({"seconds": st.floats(2, 86_400)}, optional={"fault": HELD}),
    st.fixed_dictionaries({"episodes": st.integers(1, 10_000), "every_s": SECONDS, "fault": KILLS}),
    st.fixed_dictionaries(
        {"episodes": st.integers(1, 10_000), "quiet_s": SECONDS, "burst_s": SECONDS},
        optional={"fault": HELD | KILLS},
    ),
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """A scenario that makes sense, as a file could hold it."""
    arms = draw(st.dictionaries(NAMES, ARMS, min_size=1, max_size=4))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    phases = [{"name": name, **draw(PHASES)} for name in names]
    bound = st.sampled_from(["above", "below", "at_least", "at_most"])
    expect = [
        {
            "arm": draw(st.sampled_from([*arms, "*"])),
            "phase": name,
            "metric": "p95_ms",
            draw(bound): draw(SECONDS),
        }
        for name in names
    ]
    data = {
        "title": draw(st.text(min_size=1, max_size=200)),
        "question": draw(st.text(min_size=1, max_size=500)),
        "target": draw(NAMES),
        "control": draw(st.sampled_from(sorted(arms))),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "env": draw(VARIABLES),
        "arms": arms,
        "phases": phases,
        "expect": expect,
    }
    return validated(Scenario, data, SOME_FILE, ScenarioError, "remedy")


@given(scenarios())
def test_a_plan_survives_its_file(scenario: Scenario) -> None:
    """What plan.json holds, read back as a report reads it, is the plan: for every plan there can be."""
    plan = Plan(stem="it", scenario=scenario, target=TARGET)
    again = Plan.model_validate_json(plan.model_dump_json(), strict=False)
    assert again == plan
    assert [type(phase.fault) for phase in again.scenario.phases] == [type(p.fault) for p in scenario.phases]
    assert list(again.scenario.arms) == list(scenario.arms), "the order of arms is that of the report"


@given(scenarios(), st.integers(1, 10_000) | st.integers(), st.integers(0, 2**63) | st.integers(), VARIABLES)
def test_an_overridden_plan_survives_too(
    scenario: Scenario, users: int, seed: int, env: dict[str, str]
) -> None:
    """After any override there is either a plan that can be read back, or a UsageError before anything ran."""
    possible = 1 <= users <= 10_000 and 0 <= seed < 2**63
    overrides = Overrides(users=users, seed=seed, env=env)
    if not possible:
        with pytest.raises(UsageError) as caught:
            apply_overrides(scenario, overrides)
        assert caught.value.remedy
        return
    changed = apply_overrides(scenario, overrides)
    plan = Plan(stem="it", scenario=changed, target=TARGET)
    assert Plan.model_validate_json(plan.model_dump_json(), strict=False) == plan
    assert (changed.load.users, changed.seed) == (users, seed)
    assert set(env) <= set(changed.env)


@given(scenarios(), st.data())
def test_fewer_arms_are_still_a_scenario(scenario: Scenario, data: st.DataObject) -> None:
    """`--only` leaves arms in their order, a control among them, and no expectation of an arm that is gone."""
    only = data.draw(st.lists(st.sampled_from(sorted(scenario.arms)), min_size=1, unique=True))
    narrowed = apply_overrides(scenario, Overrides(only=tuple(only)))
    assert list(narrowed.arms) == [arm for arm in scenario.arms if arm in only]
    assert narrowed.control in narrowed.arms
    assert all(set(narrowed.arms_of(each)) <= set(only) for each in narrowed.expect)
    if scenario.control in only:
        assert narrowed.control == scenario.control
