"""Restores the secrets of a recorded plan, to resume a run: from the files that have them, or from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.scenario import Scenario, parse_scenario
from brokenpipe.plan.secrets.redacted_plan import redacted_toml
from brokenpipe.plan.target import Target, parse_target
from brokenpipe.redaction import is_redacted, redacted, without_numbers


def restore_secrets(recorded: Plan, sources: Sources) -> Plan:
    """The plan as it was run, given the scenario file, its copy in the report folder, and the folders of targets.

    A secret is in the scenario file or in target.toml. If that file has changed, the secret is taken from the variable
    of its name in the environment. Raises UsageError with the variables that have to be set for that.
    """
    scenario, target, others = recorded.scenario, recorded.target, recorded.other_targets
    shown = scenario.variables_by_arm()
    if not any(map(_has_redacted, (scenario.env, *shown.values()))) and not any(
        _has_redacted(each.env) or is_redacted(_texts(each)) for each in (target, *others.values())
    ):
        return recorded
    original = _unchanged_scenario(sources.scenario_path, sources.scenario_text)
    written = original.variables_by_arm() if original else {}
    search = _SecretLookup()
    env = search.restored(scenario.env, original.env if original else {})
    arms = {arm: search.restored(own, written.get(arm, {})) for arm, own in shown.items()}
    changes = {
        "scenario": scenario.with_variables(env, arms),
        "target": _restored_target(search, target, sources.target_folder),
        "other_targets": {
            name: _restored_target(search, each, sources.folder_of(name)) for name, each in others.items()
        },
    }
    search.require_all()
    return recorded.model_copy(update=changes)


def _restored_target(search: _SecretLookup, shown: Target, folder: Path) -> Target:
    """A target as its target.toml has it, as far as it was redacted."""
    written = parse_target(folder)
    changes: dict[str, object] = {"env": search.restored(shown.env, written.env)}
    if is_redacted(_texts(shown)):
        changes |= {"dsn": written.dsn, "command": written.command, "prepare": written.prepare}
    return shown.model_copy(update=changes)


def _texts(target: Target) -> str:
    """What may hold a secret besides its variables."""
    return f"{target.dsn}{target.command}{target.prepare}"


def _has_redacted(env: Mapping[str, str]) -> bool:
    return any(map(is_redacted, env.values()))


def _unchanged_scenario(scenario_file: Path, copy: str) -> Scenario | None:
    """The scenario file, if it is still the one that was copied."""
    if not scenario_file.is_file():
        return None
    text, scenario = parse_scenario(scenario_file)
    return scenario if redacted_toml(text) in {copy, redacted_toml(copy)} else None


@dataclass(slots=True)
class _SecretLookup:
    """Looks up the value of each redacted variable."""

    missing: list[str] = field(default_factory=list)

    def restored(self, shown: Mapping[str, str], original: Mapping[str, str]) -> dict[str, str]:
        """The variables with their values restored, where found."""
        return {
            name: self._value(name, value, original) if is_redacted(value) else value
            for name, value in shown.items()
        }

    def _value(self, name: str, shown: str, original: Mapping[str, str]) -> str:
        alike = without_numbers(shown)
        for value in (original.get(name, ""), os.environ.get(name, "") if alike == shown else ""):
            if value and redacted(name, value) == alike:
                return value
        self.missing.append(name)
        return shown

    def require_all(self) -> None:
        """Raises UsageError if a value was not found."""
        if names := list(dict.fromkeys(self.missing)):
            raise UsageError(
                f"{', '.join(names)}: a report holds no secrets, and the file with the value has changed or is gone",
                remedy=f"Put the file back as it was, or set the value before the command: `export {names[0]}=…`.",
            )
