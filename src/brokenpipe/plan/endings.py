"""How connections end, by RST or by FIN, over the phases of a run.

It is decided as a connection opens. So it is decided before the services start, for all phases at once, and connections
are opened anew only before a phase that needs the other way.

    steady · socket_kill reset · latency · idle_reset reset     reset from the first connection on
    steady · socket_kill reset · backend_kill · latency         renewed once, before backend_kill
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brokenpipe.faults import How
from brokenpipe.plan.phases import Phase


def first_ending(phases: Iterable[Phase]) -> How | None:
    """The way that the first of these phases needs that needs one; None: none of them does."""
    return next((phase.fault.ending for phase in phases if phase.fault and phase.fault.ending), None)


def renewing_phases(phases: Sequence[Phase], arms: Iterable[str]) -> tuple[str, ...]:
    """The names of the phases before which connections are renewed, when these are played in this order.

    Where a fault happens to some arms only, the connections of those are renewed and no others.
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
