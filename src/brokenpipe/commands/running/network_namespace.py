"""The network namespace of a run that drops packets, entered before anything of the run starts.

A stack in containers has namespaces already. The run then stays where it is, and must be root to enter them.
"""

from __future__ import annotations

import sys

from brokenpipe.errors import UsageError
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project

_WHY = "its packets are dropped in a network namespace of the run's own, which cannot be reached from outside"


def reject_external(plan: Plan, option: str) -> None:
    """Raises UsageError if the plan needs a namespace of its own, and this option needs connections from outside."""
    if plan.scenario.in_namespace and plan.stack == "local":
        raise UsageError(
            f"{option}: not with {plan.stem}: {_WHY}",
            remedy=f"Leave {option} out, or take a scenario without packet_drop.",
        )


def enter_namespace(plan: Plan, project: Project) -> None:
    """If the plan drops packets: start this command again in a namespace of its own, or set that namespace up.

    Raises NamespaceError if no namespace can be made or entered; ToolchainError if the proxy cannot be built.
    """
    if not plan.scenario.in_namespace:
        return
    from brokenpipe.stack.packet_loss import namespace
    from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

    if plan.stack == "compose":
        namespace.find_container_entry_method()
        return
    if namespace.is_inside():
        namespace.set_up()
        return
    toxiproxy_binary(project.proxies)  # Go modules can be fetched from outside of the namespace only
    namespace.enter([sys.executable, *sys.orig_argv[1:]])
