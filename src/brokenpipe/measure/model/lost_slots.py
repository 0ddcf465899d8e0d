"""Lost slots: connections that a request took from its pool and that were not given back after it had ended.

request   ├── takes a connection ──┤ ends                      a pool of five is full for good after five of them
its slot       ├───────────────────┼──────── out ───────▶
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from brokenpipe.formatting import plural


@dataclass(frozen=True, slots=True)
class LostSlot:
    """One of them, as an example. `out_s`: from the end of its request to its return, or to the end of the run."""

    request: str  # its name, e.g. "POST /chat"; empty: not known
    id: str
    port: int | None
    pool: int | None  # which of its process; None: not recorded
    out_s: float


@dataclass(frozen=True, slots=True)
class LostSlots:
    """What the requests of an arm and phase lost of their pool. `collected` of them came back, as garbage only."""

    count: int
    collected: int = 0
    by_request: Mapping[str, int] = field(default_factory=dict)  # by its name, most first
    example: LostSlot | None = None  # the one that was out for longest; None: none is lost


REMEDY = (
    "Give each connection back when its request ends, whatever becomes of it: `async with`, or `finally`."
)


def lost_slots_text(arm: str, phase: str, lost: LostSlots) -> str:
    """Say how many slots an arm lost, and by which requests."""
    names = [f"{count} by {name}" for name, count in lost.by_request.items() if name]
    said = (
        f"{plural(lost.count, 'connection')} that requests of {arm} took from the pool in {phase} "
        f"{'was' if lost.count == 1 else 'were'} never given back by the service after they had ended"
        + (f" ({', '.join(names)})" if names else "")
    )
    if lost.collected:
        said += f"; {lost.collected} came back when the garbage collector found them"
    if lost.example is not None:
        at = "" if lost.example.port is None else f", port {lost.example.port}"
        said += (
            f". For example request {lost.example.id}{at}: out for {lost.example.out_s:.1f} s after its end"
        )
    return said
