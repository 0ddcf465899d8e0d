"""The scenario: one question as a TOML file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from brokenpipe.errors import Problem, ScenarioError
from brokenpipe.plan.arms import ArmSettings, Environment, Variable
from brokenpipe.plan.errors.messages import did_you_mean
from brokenpipe.plan.expectations import EVERY_ARM, MAX_BOUND, Expectation
from brokenpipe.plan.packages import is_folder
from brokenpipe.plan.phases import TURN_S, Name, Phase
from brokenpipe.plan.settings.pgbouncer import NO_PGBOUNCER_WITH_TLS, PgBouncerSettings
from brokenpipe.plan.settings.postgres import UNREADABLE_OVER_TLS, PostgresSettings
from brokenpipe.plan.settings.regression import RegressionSettings
from brokenpipe.plan.toml_model import StrictModel, read_toml, validated
from brokenpipe.redaction import is_redacted

MAX_DEFAULT_USERS = 500  # users of an arm for an open load, each with a connection of its own to the service
EXAMPLE_REMEDY = "scenarios/default.toml is a working example; `brokenpipe run --dry-run` checks a file."


class LoadSettings(StrictModel):
    """Users, their requests, and how long they wait for an answer."""

    locustfile: str = "locustfile.py"
    """What users do: an unchanged locustfile, its path relative to the scenario file."""

    users: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Users of each arm. With arrivals_per_s: how many of its requests can be under way at once; by default as many as
    arrive until the first of them times out, from 10 to 500."""

    arrivals_per_s: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """An open load: so many requests a second arrive at each arm, at random (a Poisson process), whether or not those
    before them are answered; latency counts from when each was due. Without it users wait for an answer before they ask
    again, and wait_time of the locustfile says how soon."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Locust processes that the users of every arm are dealt to: where one core is not enough to ask fast enough."""

    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Seconds after which a request without an answer has failed."""

    @model_validator(mode="before")
    @classmethod
    def _default_users(cls, data: Any) -> Any:
        """The default number of users of an open load: as many as it needs while nothing is answered (Little's law)."""
        if not isinstance(data, Mapping) or "users" in data:
            return data
        rate, timeout_s = data.get("arrivals_per_s"), data.get("timeout_s", 10.0)
        if not all(isinstance(each, int | float) and 0 < each < math.inf for each in (rate, timeout_s)):
            return data
        return {**data, "users": min(max(10, math.ceil(rate * timeout_s)), MAX_DEFAULT_USERS)}


class Scenario(StrictModel):
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

    isolate: bool = False
    """One arm at a time, in alternating order, in phases without a fault or with latency: for measuring what settings
    cost. Takes as many times longer there as there are arms."""

    load: LoadSettings = LoadSettings()
    """Users, their requests, and how long they wait for an answer."""

    postgres: PostgresSettings = PostgresSettings()
    """How the server behind all arms is set up."""

    env: Environment = Field(default_factory=dict)
    """Environment variables of the target in every arm."""

    pass_env: Annotated[tuple[Variable, ...], Field(strict=False)] = ()
    """Names of variables, such as keys of other services, that every arm is given from the environment of the program.
    Their values are never written down."""

    arms: Annotated[Mapping[Name, ArmSettings], Field(min_length=1, max_length=16)]
    """What is compared: for each arm, the environment variables in which it differs, or its target. All run side by
    side."""

    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=100, strict=False)]
    """What happens, in order."""

    expect: Annotated[tuple[Expectation, ...], Field(max_length=1000, strict=False)] = ()
    """What must hold for the run to pass."""

    pgbouncer: PgBouncerSettings | None = None
    """A PgBouncer between the proxies and Postgres. Without it they lead to Postgres."""

    regression: RegressionSettings = RegressionSettings()
    """By how much a run may be worse than its baseline, with `--baseline`."""

    @model_validator(mode="before")
    @classmethod
    def _lay_over_pgbouncer(cls, data: Any) -> Any:
        """Keys of an arm's PgBouncer that it does not set are those of `[pgbouncer]`."""
        arms, shared = (
            (data.get(key) for key in ("arms", "pgbouncer")) if isinstance(data, Mapping) else (0, 0)
        )
        if not isinstance(arms, Mapping) or not isinstance(shared, Mapping):
            return data
        return {**data, "arms": {name: _over(shared, arm) for name, arm in arms.items()}}

    @property
    def forecast_s(self) -> float:
        """How long its phases will take together."""
        return sum(self.forecast_of(phase) for phase in self.phases)

    @property
    def in_namespace(self) -> bool:
        """Whether packets are lost, for which the run, or its containers, have network namespaces of their own."""
        return any(phase.fault is not None and phase.fault.in_namespace for phase in self.phases)

    @property
    def unknown_faults(self) -> tuple[str, ...]:
        """The names of faults that are not installed, in a scenario that was recorded."""
        return tuple(phase.fault.name for phase in self.phases if phase.fault and not phase.fault.is_known)

    def isolates(self, phase: Phase) -> bool:
        """Whether the arms take turns in this phase."""
        return self.isolate and phase.can_be_isolated and len(self.arms) > 1

    def episode_s_of(self, phase: Phase) -> float:
        """How long one episode of all arms takes."""
        return len(self.arms) * (phase.episode_s + TURN_S) if self.isolates(phase) else phase.episode_s

    def forecast_of(self, phase: Phase) -> float:
        """How long a phase will take, with what precedes it."""
        return phase.forecast_s + phase.count * (self.episode_s_of(phase) - phase.episode_s)

    def phase(self, name: str) -> Phase:
        """The phase of that name. Raises KeyError."""
        return next(phase for phase in self.phases if phase.name == name)

    def arms_of(self, expectation: Expectation) -> tuple[str, ...]:
        """The arms that an expectation applies to."""
        return tuple(self.arms) if expectation.arm == EVERY_ARM else (expectation.arm,)

    def target_of(self, arm: str) -> str:
        """The name of the service that an arm runs."""
        return self.arms[arm].target or self.target

    def pgbouncer_of(self, arm: str) -> PgBouncerSettings | None:
        """The settings of the PgBouncer before an arm's database; None: there is none."""
        return self.arms[arm].pgbouncer or self.pgbouncer

    def variables_of(self, arm: str) -> Mapping[str, str]:
        """The environment variables that the scenario gives an arm: those of all arms, and its own over them."""
        return {**self.env, **self.arms[arm].variables}

    @property
    def package_folders(self) -> tuple[str, ...]:
        """The folders that arms have packages from, as the file names them."""
        named = (each for arm in self.arms.values() for each in arm.packages if is_folder(each))
        return tuple(dict.fromkeys(named))

    def variables_by_arm(self) -> dict[str, Mapping[str, str]]:
        """The environment variables in which each arm differs."""
        return {name: arm.variables for name, arm in self.arms.items()}

    def with_variables(self, env: Mapping[str, str], arms: Mapping[str, Mapping[str, str]]) -> Scenario:
        """The same scenario with other values in `[env]`, and in each arm."""
        changed = {name: self.arms[name].with_variables(variables) for name, variables in arms.items()}
        return self.model_copy(update={"env": env, "arms": changed})


def _over(shared: Mapping[str, Any], arm: Any) -> Any:
    own = arm.get("pgbouncer") if isinstance(arm, Mapping) else None
    return {**arm, "pgbouncer": {**shared, **own}} if isinstance(own, Mapping) else arm


def parse_scenario(path: Path) -> tuple[str, Scenario]:
    """Read a scenario file. Returns its text and the scenario. Raises ScenarioError with every mistake found."""
    text, data = read_toml(path, ScenarioError)
    scenario = validated(Scenario, data, path, ScenarioError, EXAMPLE_REMEDY)
    if problems := tuple(_inconsistencies(scenario)):
        raise ScenarioError(path, problems, remedy=EXAMPLE_REMEDY)
    return text, scenario


def _inconsistencies(scenario: Scenario) -> Iterator[Problem]:
    names = [phase.name for phase in scenario.phases]
    if scenario.control not in scenario.arms:
        allowed = did_you_mean(scenario.control, scenario.arms)
        yield Problem("control", repr(scenario.control), f"must be an arm; {allowed}")
    for where, variables in (
        ("env", scenario.env),
        *((f"arms.{arm}", own) for arm, own in scenario.variables_by_arm().items()),
    ):
        yield from redacted_value_problems(where, variables)
    yield from pass_env_problems(scenario.pass_env, scenario.env)
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"phases[{index}].name", repr(name), "each phase needs a name of its own")
    if scenario.postgres.tls and any(map(scenario.pgbouncer_of, scenario.arms)):
        yield Problem("postgres.tls", "true", NO_PGBOUNCER_WITH_TLS)
    for index, phase in enumerate(scenario.phases):
        yield from _phase_problems(scenario, f"phases[{index}]", phase)
    for index, expectation in enumerate(scenario.expect):
        yield from _expectation_problems(scenario, f"expect[{index}]", expectation, names)


def redacted_value_problems(where: str, variables: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of redacted values, which a copy in a report folder has instead of secrets."""
    for name, value in variables.items():
        if is_redacted(value):
            yield Problem(
                f"{where}.{name}", "", "its secret was taken out, as in every report folder: write the value, or name "
                'the variable in pass_env = ["…"] and set it in your environment',
            )  # fmt: skip


def pass_env_problems(names: Sequence[str], env: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of passed variables that also have a value in the file, or are named twice."""
    for index, name in enumerate(names):
        if name in env:
            yield Problem(
                f"pass_env[{index}]", name, "is in [env], too: which of the two is meant? Leave one out"
            )
        elif name in names[:index]:
            yield Problem(f"pass_env[{index}]", name, "is named twice: leave one out")


def _phase_problems(scenario: Scenario, key: str, phase: Phase) -> Iterator[Problem]:
    for arm in phase.arms:
        if arm not in scenario.arms:
            allowed = did_you_mean(arm, scenario.arms)
            yield Problem(f"{key}.arms", repr(arm), f"no such arm; {allowed}")
    if scenario.postgres.tls and phase.fault and phase.fault.parses_protocol:
        yield Problem(f"{key}.fault", phase.fault.name, UNREADABLE_OVER_TLS)


def _expectation_problems(
    scenario: Scenario, key: str, expectation: Expectation, phases: list[str]
) -> Iterator[Problem]:
    arm, phase = expectation.arm, expectation.phase
    yield from _bound_problems(key, expectation)
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


def _bound_problems(key: str, expectation: Expectation) -> Iterator[Problem]:
    """Problems of bounds that decide nothing: no count is a fraction, and none is above a billion."""
    name, bound = expectation.bound
    if name == "equals" and bound != int(bound):
        yield Problem(
            f"{key}.equals", f"{bound:g}", f"must be a whole number: {expectation.metric} is a count"
        )
    if abs(bound) > MAX_BOUND:
        yield Problem(f"{key}.{name}", f"{bound:g}", f"must be {MAX_BOUND:,.0f} or less")
