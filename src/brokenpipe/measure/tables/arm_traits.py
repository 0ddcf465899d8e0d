"""What makes arms differ besides their variables: target, interpreter, packages, PgBouncer.

Versions are what was installed when the run began, and so are differences between them: what an arm asked for and had
anyway is none. What was asked for and not recorded says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from brokenpipe.measure.run_metadata import ArmPackages
from brokenpipe.plan.plan import Plan

MOST_PACKAGES = 12  # of which versions are told; interpreters of their own may differ in a hundred
ABSENT = "not installed"


def arm_traits(plan: Plan, installed: Mapping[str, ArmPackages]) -> dict[str, dict[str, str]]:
    """For each arm, in what it differs from another one, with its value; empty where only variables differ."""
    arms = tuple(plan.scenario.arms)
    columns = dict(_columns(plan, installed))
    return {arm: {what: values[arm] for what, values in columns.items() if arm in values} for arm in arms}


def trait_notes(traits: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence for each thing in which arms differ."""
    for what in dict.fromkeys(what for values in traits.values() for what in values):
        values = ", ".join(f"{each[what]} in {arm}" for arm, each in traits.items() if what in each)
        yield f"Arms differ in {what}: {values}."


def differing_packages(installed: Mapping[str, ArmPackages]) -> tuple[str, ...]:
    """The packages of which not all arms have the same version."""
    names = dict.fromkeys(name for each in installed.values() for name in each.packages)
    return tuple(
        name for name in sorted(names) if len({each.packages.get(name) for each in installed.values()}) > 1
    )


def _columns(plan: Plan, installed: Mapping[str, ArmPackages]) -> Iterator[tuple[str, dict[str, str]]]:
    scenario = plan.scenario
    yield from _if_different("target", {arm: scenario.target_of(arm) for arm in scenario.arms})
    yield from _if_different("Python", {arm: each.python for arm, each in installed.items()})
    yield from _versions(plan, installed)
    yield from _asked_for(plan, installed)
    poolers = {arm: scenario.pgbouncer_of(arm) for arm in scenario.arms}
    yield from _if_different(
        "PgBouncer", {arm: settings.changed if settings else "none" for arm, settings in poolers.items()}
    )


def _if_different(what: str, values: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    if len(set(values.values())) > 1:
        yield what, values


def _versions(plan: Plan, installed: Mapping[str, ArmPackages]) -> Iterator[tuple[str, dict[str, str]]]:
    """Packages of which versions differ: those that the scenario names first."""
    named = " ".join(package for arm in plan.scenario.arms.values() for package in arm.packages)
    names = sorted(differing_packages(installed), key=lambda name: (not _is_named(name, named), name))
    for name in names[:MOST_PACKAGES]:
        yield name, {arm: each.packages.get(name, ABSENT) for arm, each in installed.items()}
    if len(names) > MOST_PACKAGES:
        yield "others", dict.fromkeys(installed, f"{len(names) - MOST_PACKAGES} packages of other versions")


def _is_named(name: str, packages: str) -> bool:
    return name in packages.lower().replace("_", "-")


def _asked_for(plan: Plan, installed: Mapping[str, ArmPackages]) -> Iterator[tuple[str, dict[str, str]]]:
    unknown = {
        name: f"{', '.join(arm.packages)}, and what was installed is not recorded"
        for name, arm in plan.scenario.arms.items()
        if arm.packages and name not in installed
    }
    if unknown:
        yield "with", unknown
