"""Comparable arms: those that differ in nothing but the size of their pools, and the differences of the others.

Sizes are those that the witness saw. A variable is taken to set them if its value is the pool's own number in each arm
that has it; failing such a one, if each of at least three sizes has a value of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from brokenpipe.measure.model.pool_usage import PoolUsage

FEWEST_SIZES = 3

Environment = Mapping[str, str]


def comparable_arms(
    arms: Mapping[str, Environment], uses: Mapping[str, PoolUsage], targets: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The arms with most sizes among those that are equal in all else; and of each other one, in what it differs.

    `targets`: of arms that have another than the scenario's.
    """
    setting_sizes = _setting_sizes({arm: arms[arm] for arm in uses}, uses)
    rest = {
        arm: {name: value for name, value in arms[arm].items() if name not in setting_sizes} for arm in uses
    }
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for arm, use in uses.items():
        groups[frozenset(rest[arm].items()), use.processes, targets.get(arm)].append(arm)
    chosen = max(groups.values(), key=lambda group: (len({uses[arm].most for arm in group}), len(group)))
    one = chosen[0]
    others = [arm for arm in uses if arm not in chosen]
    return tuple(chosen), {
        arm: _difference(
            rest[arm], rest[one], uses[arm], uses[one], other_target=targets.get(arm) != targets.get(one)
        )
        for arm in others
    }


def _difference(
    rest: Environment, usual: Environment, use: PoolUsage, usual_use: PoolUsage, *, other_target: bool
) -> str:
    names = sorted({name for name, _ in set(rest.items()) ^ set(usual.items())})
    said = ["another target"] if other_target else []
    said += [f"other {', '.join(names)}"] if names else []
    if use.processes != usual_use.processes:
        said.append(f"{use.processes} processes instead of {usual_use.processes}")
    return ", ".join(said)


def _setting_sizes(arms: Mapping[str, Environment], uses: Mapping[str, PoolUsage]) -> Collection[str]:
    names = {name for env in arms.values() for name in env}
    told = {
        name
        for name in names
        if all(_is_pool_size(name, env[name], uses[arm]) for arm, env in arms.items() if name in env)
    }
    return told or _one_for_each_size(names, arms, uses)


def _is_pool_size(name: str, value: str, use: PoolUsage) -> bool:
    """Whether a value is the pool's size, what it may open at most, or by how much it may overflow."""
    if not value.isdecimal() or use.most is None:
        return False
    if "overflow" in name.lower():
        return int(value) == (use.most - use.size) // use.processes
    return int(value) in {use.size, use.most, use.size // use.processes, use.most // use.processes}


def _one_for_each_size(
    names: Collection[str], arms: Mapping[str, Environment], uses: Mapping[str, PoolUsage]
) -> Collection[str]:
    """The only variable that has another value for each size; none if several do."""
    found = []
    for name in names:
        pairs = {(env.get(name), uses[arm].most) for arm, env in arms.items()}
        values, sizes = ({pair[side] for pair in pairs} for side in (0, 1))
        if len(pairs) == len(values) == len(sizes) >= FEWEST_SIZES:
            found.append(name)
    return found if len(found) == 1 else ()
