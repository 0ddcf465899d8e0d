"""How connections end, by RST or by FIN, over the phases of a run.

The way is fixed when a connection opens. So it is chosen before the services start, for all phases at once, and
connections are renewed only before a phase that needs the other way.

    steady · socket_kill reset · latency · idle_reset reset     reset from the first connection on
    steady · socket_kill reset · backend_kill · latency         renewed once, before backend_kill
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brokenpipe.faults import How
from brokenpipe.plan.phases import Phase


def first_ending(phases: Iterable[Phase]) -> How | None:
    """How connections must end for the first phase that needs a way; None: no phase does."""
    return next((phase.fault.ending for phase in phases if phase.fault and phase.fault.ending), None)


def renewing_phases(phases: Sequence[Phase], arms: Iterable[str]) -> tuple[str, ...]:
    """The names of the phases before which connections are renewed, when these are played in this order.

    A fault of some arms renews the connections of those arms only.
    """
    ends: dict[str, How | None] = dict.fromkeys(arms, first_ending(phases))
    renewing = []
    for phase in phases:
        if phase.fault is None or phase.fault.ending is None:
            continue
        struck = phase.arms or tuple(ends)
        if any(ends[arm] != phase.fault.ending for arm in struck):
            renewing.append(phase.name)
        ends.update(dict.fromkeys(struck, phase.fault.ending))
    return tuple(dict.fromkeys(renewing))
