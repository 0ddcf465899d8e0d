"""Into a network namespace of its own, for a run that drops packets: before anything of it is started.

A stack in containers is in namespaces already. There the run stays where it is, and has to be root, who may enter them.
"""

from __future__ import annotations

import sys

from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project

_WHY = "its packets are dropped in a network namespace of the run's own, which nobody reaches from outside"


def reject_external(plan: Plan, option: str) -> None:
    """Raises UsageError if the plan is played where nobody gets in, and this option wants somebody to."""
    if plan.scenario.in_namespace and plan.stack == "local":
        raise UsageError(
            f"{option}: not with {plan.stem}: {_WHY}",
            remedy=f"Leave {option} out, or take a scenario without packet_drop.",
        )


def enter_namespace(plan: Plan, project: Project) -> None:
    """If the plan drops packets: start this very command again in a namespace of its own, or make ready there.

    Raises NamespaceError where there is none to be had, or where those of containers cannot be entered; ToolchainError
    if what has to be built cannot be.
    """
    if not plan.scenario.in_namespace:
        return
    from brokenpipe.stack.packet_loss import namespace
    from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

    if plan.stack == "compose":
        namespace.find_way_into_containers()
        return
    if namespace.entered():
        namespace.furnish()
        return
    toxiproxy_binary(project.proxies)  # modules that it needs can be fetched from here only
    namespace.enter([sys.executable, *sys.orig_argv[1:]])
