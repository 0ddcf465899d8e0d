"""Comparability of two experiments: only those with the same load and faults can be compared.

What is compared may differ: arms' settings, versions, the service's code, the seed, how many episodes there were.
The load and the faults must be the same: users, request rates, faults and their parameters. Only
plans are compared, no histories, so that a gate can refuse before half an hour was spent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario

_REMEDY = "Run both in the same way: the same scenario, with the same --users and --only."


class NotComparable(UsageError):
    """Two experiments had different loads or faults, so a comparison would measure these differences."""


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """A setting that must be equal in both plans, and is not."""

    setting: str  # e.g. "[load] users", "phase idle_reset: quiet_s"
    base: str
    new: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.base} in the baseline, {self.new} in the new run"


@dataclass(frozen=True, slots=True)
class PlanComparison:
    """What two experiments have in common, and what keeps them from being compared.

    `arms` and `phases` are those to compare: in both, phases also laid out alike.
    """

    arms: tuple[str, ...]
    phases: tuple[str, ...]
    obstacles: tuple[PlanDifference, ...]  # with any of these, nothing of the two compares
    differing_phases: Mapping[str, tuple[PlanDifference, ...]]  # of a name in both: what differs between them
    only_base: tuple[str, ...]  # "arm recycle", "phase latency"
    only_new: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether there is anything that may be compared at all."""
        return not self.obstacles and bool(self.arms) and bool(self.phases)

    @property
    def reasons(self) -> tuple[str, ...]:
        """All differences, a line each: obstacles, then phases, then what only one of the two has."""
        phases = (str(unlike) for found in self.differing_phases.values() for unlike in found)
        return (
            *map(str, self.obstacles),
            *phases,
            *(f"{name}: only in the baseline" for name in self.only_base),
            *(f"{name}: only in the new run" for name in self.only_new),
        )


def compare_plans(base: Plan, new: Plan) -> PlanComparison:
    """Compare two plans."""
    one, other = base.scenario, new.scenario
    unlike = {
        name: found
        for name in _common(_phases(one), _phases(other))
        if (found := _phase_differences(name, one, other))
    }
    return PlanComparison(
        arms=_common(one.arms, other.arms),
        phases=tuple(name for name in _common(_phases(one), _phases(other)) if name not in unlike),
        obstacles=tuple(_obstacles(one, other)),
        differing_phases=unlike,
        only_base=_missing(one, other),
        only_new=_missing(other, one),
    )


def demand_comparable(base: Plan, new: Plan, base_name: str) -> PlanComparison:
    """What may be compared; the new run may have arms and phases besides. Raises NotComparable.

    Nothing of the baseline may be missing: a gate must not skip what is no longer run.
    """
    found = compare_plans(base, new)
    if found.comparable and not found.differing_phases and not found.only_base:
        return found
    raise NotComparable(
        f"{base_name}: cannot be the baseline of this run", remedy=_REMEDY, details=found.reasons
    )


def _obstacles(one: Scenario, other: Scenario) -> Iterator[PlanDifference]:
    yield from _differing("target", one.target, other.target)
    yield from _differing("control", one.control, other.control)
    # Its folder does not matter: a copy of a scenario has another path.
    yield from _differing("[load] locustfile", *(Path(each.load.locustfile).name for each in (one, other)))
    for name in ("users", "arrivals_per_s", "timeout_s"):
        yield from _differing(f"[load] {name}", getattr(one.load, name), getattr(other.load, name))


def _phase_differences(name: str, one: Scenario, other: Scenario) -> tuple[PlanDifference, ...]:
    """What differs between two phases of a name, other than how long they last."""
    base, new = one.phase(name), other.phase(name)
    isolates = "one arm at a time", one.isolates(base), other.isolates(new)
    pairs = [
        ("fault", base.fault, new.fault),
        ("pattern", base.pattern.value, new.pattern.value),
        *((key, getattr(base, key), getattr(new, key)) for key in ("every_s", "quiet_s", "burst_s")),
        isolates,
    ]
    return tuple(unlike for what, *values in pairs for unlike in _differing(f"phase {name}: {what}", *values))


def _differing(what: str, base: object, new: object) -> Iterator[PlanDifference]:
    if base != new:
        yield PlanDifference(what, _value_text(base), _value_text(new))


def _value_text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _phases(scenario: Scenario) -> list[str]:
    return [phase.name for phase in scenario.phases]


def _common(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    others = set(other)
    return tuple(name for name in one if name in others)


def _missing(one: Scenario, other: Scenario) -> tuple[str, ...]:
    """The arms and phases that only the first has."""
    arms = (f"arm {name}" for name in one.arms if name not in other.arms)
    phases = (f"phase {name}" for name in _phases(one) if name not in _phases(other))
    return (*arms, *phases)
