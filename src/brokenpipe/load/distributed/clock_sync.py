"""A worker's clock against the harness's, from an exchange of pings. Pure arithmetic.

    worker    sent ─────────────────▶ received
    harness            ─▶ theirs ─▶

The harness's clock showed `theirs` at some moment between the two. Its middle is the best guess, half of the round trip
what it may be wrong by (Cristian: Probabilistic clock synchronization, 1989); so of several the quickest counts.
Every time of a history is `time.monotonic_ns()`, which begins anew with each boot: the offset between two machines is
anything, that between two processes of one machine is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """One ping and its answer, in nanoseconds. `theirs` is the other's clock."""

    sent: int
    theirs: int
    received: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """What is to be added to the worker's clock, and what that may be wrong by; in nanoseconds."""

    offset_ns: int
    error_ns: int

    def local(self, at_ns: int) -> int:
        """When it is that on the worker's clock."""
        return at_ns - self.offset_ns


def aligned(exchanges: Sequence[Exchange]) -> Alignment:
    """The offset by the quickest exchange, and none if none is within its error: one machine has one clock."""
    quickest = min(exchanges, key=lambda each: each.received - each.sent)
    offset_ns = quickest.theirs - (quickest.sent + quickest.received) // 2
    error_ns = (quickest.received - quickest.sent + 1) // 2
    if abs(offset_ns) <= error_ns:
        return Alignment(0, error_ns + abs(offset_ns))
    return Alignment(offset_ns, error_ns)
