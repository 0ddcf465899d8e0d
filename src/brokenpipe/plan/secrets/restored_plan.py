"""Restores the secrets of a recorded plan, to resume a run: from the files that have them, or from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario, parse_scenario
from brokenpipe.plan.secrets.redacted_plan import redacted_toml
from brokenpipe.plan.target import parse_target
from brokenpipe.redaction import is_redacted, redacted, without_numbers


def restore_secrets(recorded: Plan, scenario_file: Path, copy: str, target_folder: Path) -> Plan:
    """The plan as it was run, given the scenario file, its copy in the report folder, and the target's folder.

    A secret is in the scenario file or in target.toml. If that file has changed, the secret is taken from the variable
    of its name in the environment. Raises UsageError with the variables that have to be set for that.
    """
    scenario, target = recorded.scenario, recorded.target
    if not any(map(_has_redacted, (scenario.env, target.env, *scenario.arms.values()))) and not is_redacted(
        f"{target.dsn}{target.command}"
    ):
        return recorded
    original, of_target = _unchanged_scenario(scenario_file, copy), parse_target(target_folder)
    search = _SecretLookup()
    env = search.restored(scenario.env, original.env if original else {})
    arms = {
        arm: search.restored(own, original.arms.get(arm, {}) if original else {})
        for arm, own in scenario.arms.items()
    }
    env_of_target = search.restored(target.env, of_target.env)
    search.require_all()
    changes: dict[str, object] = {"env": env_of_target}
    if is_redacted(f"{target.dsn}{target.command}"):
        changes |= {"dsn": of_target.dsn, "command": of_target.command}
    return recorded.model_copy(
        update={
            "scenario": scenario.model_copy(update={"env": env, "arms": arms}),
            "target": target.model_copy(update=changes),
        }
    )


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
