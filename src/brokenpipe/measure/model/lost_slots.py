"""Lost slots: connections that a request took from its pool and that were not given back after it had ended.

request   ├── takes a connection ──┤ ends                      a pool of five is full for good after five of them
its slot       ├───────────────────┼──────── out ───────▶
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """Slots that the requests of an arm and phase lost. `collected` of them came back, as garbage only."""

    count: int
    collected: int = 0
    by_request: Mapping[str, int] = field(default_factory=dict)  # by its name, most first
    example: LostSlot | None = None  # the one that was out for longest; None: none is lost
