"""The plan: a scenario after every override, with the target it names. What `plan.json` holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from brokenpipe.errors import Problem, ScenarioError, UsageError
from brokenpipe.faults import check_plugins
from brokenpipe.files import describe_missing_file
from brokenpipe.plan.arm_interpreters import check_containers, interpreter_problems, package_folders
from brokenpipe.plan.errors.messages import did_you_mean, problem_of
from brokenpipe.plan.packages import pinned
from brokenpipe.plan.phases import Name
from brokenpipe.plan.project import Project
from brokenpipe.plan.scenario import EXAMPLE_REMEDY, LoadSettings, Scenario, parse_scenario
from brokenpipe.plan.sequential import EpisodeRange, interim_analyses
from brokenpipe.plan.soak_rounds import soak_ranges
from brokenpipe.plan.target import Target, parse_target
from brokenpipe.plan.toml_model import StrictModel

LEDGER_EXAMPLE = (
    'Give that target.toml a line such as ledger = "SELECT key, count(*) FROM memories GROUP BY key".'
)
_REMOVE_DSN = (
    "Remove it: arms differ in the settings of their pools, or in their target, never in their database."
)

StackKind = Literal["local", "compose"]
STACK_NAMES: Mapping[StackKind, str] = {"local": "child processes", "compose": "containers"}


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line changes. `env` applies to every arm; what an arm itself sets still wins.

    `pass_env` are names: their values are taken from the environment, as with `pass_env` in a file.
    """

    users: int | None = None
    seed: int | None = None
    only: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    isolate: bool = False
    until_decided: bool = False
    at_most: int | None = None  # episodes of a phase, with until_decided
    workers: int | None = None
    stack: StackKind = "local"
    soak_s: float | None = None  # play rounds for so long, with twice the load if `users` says nothing
    pass_env: tuple[str, ...] = ()


class Plan(StrictModel):
    """What is run. It has no paths: it must be readable on another machine."""

    stem: str
    scenario: Scenario
    target: Target
    """The scenario's own target."""

    other_targets: Mapping[Name, Target] = Field(default_factory=dict)
    """The targets of arms that have another one than the scenario, by their names."""

    looks: Mapping[str, Annotated[tuple[int, ...], Field(strict=False)]] = Field(default_factory=dict)
    """With --until-decided: after how many episodes each phase is judged. Without, once, at its end."""

    by_hand: bool = False
    """A run at the web UI: its phases are what was done there, and nothing is left to play."""

    soak_s: Annotated[float, Field(gt=0)] | None = None
    """Of a soak: how long its rounds take together. Without, every phase is played once."""

    stack: StackKind = "local"
    """Where everything but the load runs."""

    def target_of(self, arm: str) -> Target:
        """The service that an arm runs."""
        return self.other_targets.get(self.scenario.target_of(arm), self.target)

    @property
    def targets(self) -> Mapping[str, Target]:
        """The services that arms run, by the names of their folders."""
        return {self.scenario.target_of(arm): self.target_of(arm) for arm in self.scenario.arms}

    @property
    def arms_with_ledger(self) -> tuple[str, ...]:
        """The arms whose writes can be counted."""
        return tuple(arm for arm in self.scenario.arms if self.target_of(arm).ledger)

    @property
    def episode_ranges(self) -> tuple[EpisodeRange, ...]:
        """The episodes to play, in order; with --until-decided, those played first."""
        if self.soak_s is not None:
            return soak_ranges(self.scenario, self.soak_s)
        return tuple(EpisodeRange(phase, 0, phase.count) for phase in self.scenario.phases)

    @property
    def forecast_s(self) -> float:
        """Forecast of these episodes, in seconds."""
        return sum(episode_range.forecast_of(self.scenario) for episode_range in self.episode_ranges)

    def with_versions(self, versions: Mapping[str, Mapping[str, str]]) -> Plan:
        """The same plan with packages of arms in the versions that these arms had, as far as they are known."""
        arms = {
            name: arm.model_copy(update={"packages": tuple(pinned(arm.packages, versions.get(name, {})))})
            for name, arm in self.scenario.arms.items()
        }
        return self.model_copy(update={"scenario": self.scenario.model_copy(update={"arms": arms})})

    def analyses_of(self, phase: str) -> int:
        """Number of analyses of a phase: they share the error of an interval."""
        return len(self.looks.get(phase, ())) or 1


@dataclass(frozen=True, slots=True)
class Sources:
    """The files that a plan came from."""

    scenario_path: Path
    scenario_text: str
    target_folder: Path
    locustfile: Path
    other_folders: Mapping[str, Path] = field(default_factory=dict)
    """The folders of targets that arms have instead, by their names."""

    package_folders: Mapping[str, Path] = field(default_factory=dict)
    """The folders that arms have packages from, as `with` names them."""

    def folder_of(self, target: str) -> Path:
        """The folder of a target, by its name."""
        return self.other_folders.get(target, self.target_folder)


def make_plan(project: Project, scenario: str, overrides: Overrides) -> tuple[Plan, Sources]:
    """Read everything that a run needs, and apply the command line.

    Raises ScenarioError, TargetError, PluginError or UsageError.
    """
    check_plugins()
    path = project.scenario_path(scenario)
    text, parsed = parse_scenario(path)
    folder = _find_target_folder(project, path, parsed)
    others = _find_other_folders(project, path, parsed)
    plan = Plan(
        stem=path.stem,
        scenario=parsed,
        target=parse_target(folder),
        other_targets={name: parse_target(each) for name, each in others.items()},
        soak_s=overrides.soak_s,
        stack=overrides.stack,
    )
    _check_addresses(path, plan, overrides)
    packages = package_folders(project, parsed)
    sources = Sources(path, text, folder, _find_locustfile(path, parsed), others, packages)
    if problems := tuple(_ledger_problems(plan, sources)):
        raise ScenarioError(path, problems, remedy=LEDGER_EXAMPLE)
    if problems := tuple(interpreter_problems(project, parsed)):
        raise ScenarioError(path, problems, remedy=EXAMPLE_REMEDY)
    run = apply_overrides(parsed, overrides)
    plan = plan.model_copy(update={"scenario": run, "looks": _analyses(run, overrides)})
    if plan.stack == "compose":
        check_containers(run)
    _ = plan.episode_ranges  # raises UsageError if there are none
    return plan, sources


def sources_of(project: Project, path: Path, text: str, plan: Plan) -> Sources:
    """The files behind a plan that was made before. Raises UsageError or ScenarioError if one is gone."""
    scenario = plan.scenario
    return Sources(
        path,
        text,
        project.target_folder(scenario.target),
        _find_locustfile(path, scenario),
        {name: project.target_folder(name) for name in plan.other_targets},
        package_folders(project, scenario),
    )


def _analyses(scenario: Scenario, overrides: Overrides) -> dict[str, tuple[int, ...]]:
    if overrides.until_decided:
        return interim_analyses(scenario, overrides.at_most)
    if overrides.at_most is not None:
        raise UsageError(
            f"--at-most {overrides.at_most}: only limits --until-decided, which was not given",
            remedy="Add --until-decided, or leave --at-most out.",
        )
    return {}


def apply_overrides(scenario: Scenario, overrides: Overrides) -> Scenario:
    """The scenario with the command line's changes.

    Raises UsageError for an arm that does not exist, and for values that a file could not have: `report` must be able
    to read the plan back.
    """
    changes: dict[str, object] = {"load": _apply_to_load(scenario.load, overrides)}
    if overrides.seed is not None:
        changes["seed"] = overrides.seed
    if overrides.isolate:
        changes["isolate"] = True
    changes |= _apply_variables(scenario, overrides)
    if overrides.only:
        changes |= _keep_arms(scenario, overrides.only)
    try:
        return Scenario.model_validate(scenario.model_copy(update=changes).model_dump())
    except ValidationError as invalid:
        problem = problem_of(Scenario, invalid.errors(include_url=False)[0])
        option = {"load.users": "users", "load.workers": "workers"}.get(
            problem.key, problem.key.partition(".")[0]
        )
        raise UsageError(
            f"--{option}: found {problem.found}; {problem.allowed}",
            remedy="`brokenpipe run --help` says what each option takes.",
        ) from invalid


def _apply_variables(scenario: Scenario, overrides: Overrides) -> dict[str, object]:
    """Variables of the command line replace those of the file, given or passed."""
    env = {name: value for name, value in scenario.env.items() if name not in overrides.pass_env}
    passed = [name for name in scenario.pass_env if name not in overrides.env]
    return {
        "env": {**env, **overrides.env},
        "pass_env": tuple(dict.fromkeys([*passed, *overrides.pass_env])),
    }


def _apply_to_load(load: LoadSettings, overrides: Overrides) -> LoadSettings:
    if overrides.users is not None:
        load = load.model_copy(update={"users": overrides.users})
    elif overrides.soak_s is not None:
        load = _double_load(load)
    return load if overrides.workers is None else load.model_copy(update={"workers": overrides.workers})


def _double_load(load: LoadSettings) -> LoadSettings:
    """Twice the users, and of an open load twice as many arrivals, too."""
    rate = load.arrivals_per_s
    return load.model_copy(
        update={"users": 2 * load.users, "arrivals_per_s": None if rate is None else 2 * rate}
    )


def _keep_arms(scenario: Scenario, only: tuple[str, ...]) -> dict[str, object]:
    for arm in only:
        if arm not in scenario.arms:
            raise UsageError(
                f"--only {arm}: no such arm", remedy=f"Correct it; {did_you_mean(arm, scenario.arms)}"
            )
    arms = {name: arm for name, arm in scenario.arms.items() if name in only}
    # If the control is left out, the first remaining arm becomes the control.
    control = scenario.control if scenario.control in arms else next(iter(arms))
    kept = tuple(
        expectation
        for expectation in scenario.expect
        if (expectation.arm == "*" or expectation.arm in arms)
        and not (expectation.metric.against_control and control != scenario.control)
    )
    for phase in scenario.phases:
        if phase.arms and not set(phase.arms) & set(arms):
            raise UsageError(
                f"--only {','.join(only)}: the fault of {phase.name} happens to {', '.join(phase.arms)} only",
                remedy="Name one of these arms, too.",
            )
    phases = tuple(
        phase.model_copy(update={"arms": tuple(arm for arm in phase.arms if arm in arms)})
        for phase in scenario.phases
    )
    return {"arms": arms, "control": control, "expect": kept, "phases": phases}


def _find_target_folder(project: Project, path: Path, scenario: Scenario) -> Path:
    return _find_folder(project, path, "target", scenario.target)


def _find_other_folders(project: Project, path: Path, scenario: Scenario) -> dict[str, Path]:
    """The folders of targets that arms have instead of the scenario's. Raises ScenarioError."""
    return {
        arm.target: _find_folder(project, path, f"arms.{name}.target", arm.target)
        for name, arm in scenario.arms.items()
        if arm.target and arm.target != scenario.target
    }


def _find_folder(project: Project, path: Path, key: str, target: str) -> Path:
    try:
        return project.target_folder(target)
    except UsageError as error:
        found = Problem(key, repr(target), error.message)
        raise ScenarioError(path, (found,), remedy=error.remedy) from error


def _check_addresses(path: Path, plan: Plan, overrides: Overrides) -> None:
    """Reject own values of variables that target.toml sets to the arm's proxy: they would be overruled silently.

    Each arm is checked for the variables of its own target. Raises ScenarioError or UsageError.
    """
    scenario = plan.scenario
    names = {arm: plan.target_of(arm).address_variables for arm in scenario.arms}
    every = {name: _why_not_set(plan.target_of(arm), name) for arm, own in names.items() for name in own}
    for name, why in every.items():
        if name in {*overrides.env, *overrides.pass_env}:
            raise UsageError(f"--env {name}: {why}", remedy=_REMOVE_DSN)
    keys = [(f"env.{name}", name) for name in every if name in scenario.env]
    keys += [(f"pass_env[{i}]", name) for i, name in enumerate(scenario.pass_env) if name in every]
    keys += [
        (f"arms.{arm}.{name}", name)
        for arm, own in names.items()
        for name in own
        if name in scenario.arms[arm].variables
    ]
    if keys:
        raise ScenarioError(
            path, tuple(Problem(key, "", every[name]) for key, name in keys), remedy=_REMOVE_DSN
        )


def _why_not_set(target: Target, name: str) -> str:
    what = (
        "dsn_env of its target.toml, which"
        if name == target.dsn_env
        else "in [env] of its target.toml, where it"
    )
    return f"is {what} is set to the arm's proxy: leave it out here"


def _ledger_problems(plan: Plan, sources: Sources) -> Iterator[Problem]:
    scenario = plan.scenario
    for index, expectation in enumerate(scenario.expect):
        arms = scenario.arms_of(expectation) if expectation.metric.needs_ledger else ()
        if lacking := [arm for arm in arms if plan.target_of(arm).ledger is None]:
            folder = sources.folder_of(scenario.target_of(lacking[0]))
            yield Problem(
                f"expect[{index}].metric",
                repr(expectation.metric.value),
                f"counts writes in a ledger, and {folder / 'target.toml'} has none",
            )


def _find_locustfile(path: Path, scenario: Scenario) -> Path:
    locustfile = path.parent / scenario.load.locustfile
    why = describe_missing_file(locustfile)
    if not why:
        return locustfile.resolve()
    found = Problem("load.locustfile", repr(scenario.load.locustfile), f"no such file: {locustfile} {why}")
    raise ScenarioError(path, (found,), remedy="Give its path relative to the scenario file.")
