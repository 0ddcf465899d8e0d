"""Requests that hang: what they have been waiting for, written down before anyone knows how it ends.

A request whose answer never comes has no line of its own when its user gives up, nor when the service is killed.
"""

from __future__ import annotations

from typing import Any

from brokenpipe_witness.quiet import quietly
from brokenpipe_witness.tape import now, write

AFTER_NS = 500_000_000  # shorter than anyone's patience, longer than a statement should take

LIVE: dict[int, Any] = {}  # the scene of each request that is being served, by its id()


@quietly
def tell() -> None:
    """A line for each act of a live request that has lasted too long, once."""
    t = now()
    for scene in list(LIVE.values()):
        act = scene.under_way()
        if act is not None and act["since"] != scene.told and t - (act["since"] or t) > AFTER_NS:
            scene.told = act["since"]
            write({"k": "stall", "t": t, "id": scene.id, **act})
