"""Differences in the configuration of runs: settings, code, versions, machine.

All of it from `plan.json` and `environment.json`. A value that a run did not record is missing, not equal. Secrets are
never recorded, so they may differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokenpipe.measure.compare.loaded_run import RecordedRun
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.run_metadata import ArmPackages, code_revisions, recorded_packages
from brokenpipe.measure.tables.arm_traits import differing_packages
from brokenpipe.plan.plan import Plan
from brokenpipe.redaction import PASSED, is_redacted, without_numbers

NOT_RECORDED = "not recorded"
_NONE = "–"


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """One setting that differs. `values`: one for each run."""

    group: str  # "settings", "code", "versions" or "machine"
    setting: str  # e.g. "arms.pre_ping.DB_POOL_PRE_PING", "asyncpg"
    values: tuple[str, ...]


def config_differences(runs: Sequence[RecordedRun]) -> tuple[ConfigDifference, ...]:
    """All settings in which any of the runs differs from the first."""
    groups = (
        ("settings", [_settings(run.plan) for run in runs], _NONE),
        ("code", [code_revisions(run.environment) for run in runs], NOT_RECORDED),
        ("versions", _versions(runs), NOT_RECORDED),
        ("machine", [_machine(run) for run in runs], NOT_RECORDED),
    )
    return tuple(
        ConfigDifference(group, what, _shown_values(values))
        for group, described, missing in groups
        for what, values in _side_by_side(described, missing)
        if len(set(values)) > 1 or _is_hidden(values[0])
    )


def _is_hidden(value: str) -> bool:
    return is_redacted(value) or value == PASSED


def _shown_values(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values to show. A value that is redacted in all runs is not known to be equal."""
    return values if len(set(values)) > 1 else (NOT_RECORDED,) * len(values)


def _side_by_side(
    described: Sequence[Mapping[str, str]], missing: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key in dict.fromkeys(key for each in described for key in each):
        yield key, tuple(each.get(key, missing) for each in described)


def _settings(plan: Plan) -> dict[str, str]:
    """Every setting of the plan by its path. Phases go by their names; title and question are left out."""
    scenario = plan.scenario.model_dump(mode="json", exclude_none=True)
    for text in ("title", "question"):
        del scenario[text]
    scenario["phases"] = {phase["name"]: phase for phase in scenario["phases"]}
    expected = scenario.pop("expect", [])
    found = dict(_flattened(scenario))
    if expected:
        found["expect"] = "; ".join(_expectation(each) for each in expected)
    found |= {f"target.{key}": value for key, value in _flattened(plan.target.model_dump(mode="json"))}
    found |= {f"looks.{phase}": ", ".join(map(str, looks)) for phase, looks in plan.looks.items()}
    found["stack"] = plan.stack
    for name, target in plan.other_targets.items():
        of_target = _flattened(target.model_dump(mode="json"))
        found |= {f"target {name}.{key}": value for key, value in of_target}
    passed = (*plan.scenario.pass_env, *(each for one in plan.targets.values() for each in one.pass_env))
    found |= {f"value of {name}": PASSED for name in passed}
    if plan.soak_s is not None:
        found["soak_s"] = f"{plan.soak_s:g}"
    return found


def _expectation(each: Mapping[str, Any]) -> str:
    return " ".join(
        str(value) if key in {"arm", "phase", "metric"} else f"{key} {value}" for key, value in each.items()
    )


def _flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", " ".join(map(str, value))
        else:
            yield f"{prefix}{key}", _value_text(value)


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _NONE if value is None else without_numbers(str(value))


def _versions(runs: Sequence[RecordedRun]) -> list[dict[str, str]]:
    """Versions of each run, and of packages of arms: all of an arm that each run knows, else what differs in a run."""
    installed = [recorded_packages(run.environment) for run in runs]
    everywhere = set.intersection(*(set(each) for each in installed))
    told = {name for each in installed for name in differing_packages(each)}
    return [
        _texts(run.environment.get("versions")) | dict(_versions_of_arms(arms, everywhere, told))
        for run, arms in zip(runs, installed, strict=True)
    ]


def _versions_of_arms(
    installed: Mapping[str, ArmPackages], everywhere: Collection[str], told: Collection[str]
) -> Iterator[tuple[str, str]]:
    for arm, each in installed.items():
        if arm in everywhere:
            yield f"Python of {arm}", each.python
        for name, version in each.packages.items():
            if arm in everywhere or name in told:
                yield f"{name} of {arm}", version


def _texts(document: object) -> dict[str, str]:
    return {str(key): str(value) for key, value in document.items()} if isinstance(document, Mapping) else {}


def _machine(run: RecordedRun) -> dict[str, str]:
    found = {
        key: str(run.environment[key]) for key in ("system", "machine", "cores") if key in run.environment
    }
    if run.environment.get("memory_bytes") is not None:
        found["memory"] = f"{run.environment['memory_bytes'] / 1e9:.1f} GB"
    return found | _machine_load(run.findings)


def _machine_load(findings: Findings) -> dict[str, str]:
    """How busy it was, to the tenth: two runs are never alike to the last digit."""
    health = findings.health
    shares = {"busy, about": health.machine_busy, "stolen by other guests, about": health.machine_stolen}
    return {what: f"{round(share * 10) * 10} %" for what, share in shares.items() if share is not None}
