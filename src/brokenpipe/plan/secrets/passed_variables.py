"""Variables that are passed on: named in `pass_env`, or by `--env NAME`, with values from the caller's environment.

The plan has names only. Values are read when a service is started, and are stored nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Plan


def passed_names(plan: Plan, arm: str) -> tuple[str, ...]:
    """Names of the variables that an arm's service gets from the environment, without those the arm sets itself."""
    scenario, target = plan.scenario, plan.target_of(arm)
    own = scenario.arms[arm].variables
    of_target = [name for name in target.pass_env if name not in scenario.env]
    return tuple(name for name in dict.fromkeys([*of_target, *scenario.pass_env]) if name not in own)


def passed_variables(plan: Plan, arm: str) -> dict[str, str]:
    """The passed variables of an arm, with their values. Raises UsageError if one is not set."""
    names = passed_names(plan, arm)
    require_set(names)
    return {name: os.environ[name] for name in names}


def require_passed(plan: Plan) -> None:
    """Check before anything starts. Raises UsageError if a variable that an arm needs is not set."""
    require_set(list(dict.fromkeys(name for arm in plan.scenario.arms for name in passed_names(plan, arm))))


def require_set(names: Sequence[str]) -> None:
    """Raises UsageError with the names of the variables that are not set."""
    if missing := [name for name in names if name not in os.environ]:
        are = "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"{', '.join(missing)} {are} to be passed on to the service, and {are} not set here",
            remedy=f"Set {'it' if len(missing) == 1 else 'them'} before the command: `export {missing[0]}=…`. "
            f"A value that is no secret may stand in [env], or in --env {missing[0]}=value.",
        )
