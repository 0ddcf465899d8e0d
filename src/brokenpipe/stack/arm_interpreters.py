"""The interpreter of each arm: its own, that of its target, or ours, with the arm's packages over those it has."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from brokenpipe.errors import PackagesError
from brokenpipe.stack.interpreters.installed import InstalledPackages, installed_packages
from brokenpipe.stack.interpreters.package_environment import PackageRequest, interpreter_with
from brokenpipe.stack.spec import StackSpec


def prepare_interpreters(spec: StackSpec) -> dict[str, Path]:
    """The interpreter of each arm; environments with packages of arms are made, where there are none yet.

    Raises PackagesError.
    """
    return {name: _prepare(spec, name) for name in spec.plan.scenario.arms}


def _prepare(spec: StackSpec, name: str) -> Path:
    arm, base = spec.plan.scenario.arms[name], _base_interpreter(spec, name)
    if not arm.packages:
        return base
    key = f"arms.{name}.with of {spec.plan.stem}.toml"
    return interpreter_with(
        PackageRequest(key, arm.packages, base, spec.project.root), spec.janitor, spec.on_step
    )


def _base_interpreter(spec: StackSpec, name: str) -> Path:
    """Not resolved: a virtual environment's interpreter is a link, and finds its packages by the link's place."""
    arm, target = spec.plan.scenario.arms[name], spec.plan.target_of(name)
    if arm.python:
        return (spec.project.root / arm.python).absolute()
    return (spec.folder_of(name) / target.python).absolute() if target.python else Path(sys.executable)


def look_at_packages(interpreters: Mapping[str, Path]) -> dict[str, InstalledPackages]:
    """What each arm has installed; empty where all arms run in our own interpreter, which is recorded anyway."""
    if set(interpreters.values()) == {Path(sys.executable)}:
        return {}
    found: dict[Path, InstalledPackages] = {}
    for python in set(interpreters.values()):
        with suppress(PackagesError):  # `python` of a target.toml may be another program
            found[python] = installed_packages(python)
    return {arm: found[python] for arm, python in interpreters.items() if python in found}
