"""The scenario: one question as a TOML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from brokenpipe.errors import Problem, ScenarioError
from brokenpipe.plan.expectations import EVERY_ARM, Expectation
from brokenpipe.plan.phases import Name, Phase
from brokenpipe.plan.strict import Strict, read_toml, validated
from brokenpipe.plan.wording import VARIABLE, did_you_mean

Variable = Annotated[str, Field(pattern=VARIABLE)]
Environment = Mapping[Variable, str]
ONE_EXAMPLE = "scenarios/default.toml is a working example; `brokenpipe run --dry-run` checks a file."


class Load(Strict):
    """Who asks, and for how long a user waits for an answer."""

    locustfile: str = "locustfile.py"
    """What users do: an unchanged locustfile, its path relative to the scenario file."""

    users: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Users of each arm."""

    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Seconds after which a request without an answer has failed."""


class Scenario(Strict):
    """A whole scenario file, read and consistent."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    """What the report is called."""

    question: Annotated[str, Field(min_length=1, max_length=500)]
    """What the report answers, in one sentence."""

    target: Name
    """The service under test: a folder in targets/ that has a target.toml."""

    control: Name
    """The arm that the others are compared with."""

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    """Of everything that is drawn by chance: the same seed, the same users."""

    load: Load = Load()
    """Who asks, and for how long a user waits for an answer."""

    env: Environment = Field(default_factory=dict)
    """Environment variables of the target in every arm."""

    arms: Annotated[Mapping[Name, Environment], Field(min_length=1, max_length=16)]
    """What is compared: for each arm, the environment variables in which it differs. All run side by side."""

    phases: Annotated[tuple[Phase, ...], Field(min_length=1, strict=False)]
    """What happens, in order."""

    expect: Annotated[tuple[Expectation, ...], Field(strict=False)] = ()
    """What must hold for the run to pass."""

    @property
    def forecast_s(self) -> float:
        """How long its phases will take together."""
        return sum(phase.forecast_s for phase in self.phases)

    def phase(self, name: str) -> Phase:
        """The phase of that name. Raises KeyError."""
        return next(phase for phase in self.phases if phase.name == name)

    def arms_of(self, expectation: Expectation) -> tuple[str, ...]:
        """The arms that an expectation speaks of."""
        return tuple(self.arms) if expectation.arm == EVERY_ARM else (expectation.arm,)


def parse(path: Path) -> tuple[str, Scenario]:
    """A scenario file: its text and what it says. Raises ScenarioError with every mistake found."""
    text, data = read_toml(path, ScenarioError)
    scenario = validated(Scenario, data, path, ScenarioError, ONE_EXAMPLE)
    if problems := tuple(_inconsistencies(scenario)):
        raise ScenarioError(path, problems, remedy=ONE_EXAMPLE)
    return text, scenario


def _inconsistencies(scenario: Scenario) -> Iterator[Problem]:
    names = [phase.name for phase in scenario.phases]
    if scenario.control not in scenario.arms:
        allowed = did_you_mean(scenario.control, scenario.arms)
        yield Problem("control", repr(scenario.control), f"must be an arm; {allowed}")
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"phases[{index}].name", repr(name), "each phase needs a name of its own")
    for index, expectation in enumerate(scenario.expect):
        yield from _expectation_problems(scenario, f"expect[{index}]", expectation, names)


def _expectation_problems(
    scenario: Scenario, key: str, expectation: Expectation, phases: list[str]
) -> Iterator[Problem]:
    arm, phase = expectation.arm, expectation.phase
    if arm != EVERY_ARM and arm not in scenario.arms:
        allowed = did_you_mean(arm, [*scenario.arms, EVERY_ARM])
        yield Problem(f"{key}.arm", repr(arm), f"no such arm; {allowed}")
    if phase not in phases:
        yield Problem(f"{key}.phase", repr(phase), f"no such phase; {did_you_mean(phase, phases)}")
    if expectation.metric.against_control and arm in {EVERY_ARM, scenario.control}:
        yield Problem(
            f"{key}.arm",
            repr(arm),
            f"{expectation.metric} compares another arm with the control: name that arm",
        )
