"""The offset between a worker's clock and the harness's, estimated from pings. Pure arithmetic.

    worker    sent ─────────────────▶ received
    harness            ─▶ master ─▶

The harness's clock showed `master_ns` at some moment between the two. The middle is the best estimate, and half of the
round trip its largest error (Cristian: Probabilistic clock synchronization, 1989); so the quickest of several pings
counts. Every time of a history is `time.monotonic_ns()`, which starts with each boot: between two machines the offset
may be anything, between two processes of one machine it is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PingSample:
    """One ping and its answer, in nanoseconds. `master_ns` is the time on the master's clock."""

    sent_ns: int
    master_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class OffsetEstimate:
    """The offset to add to the worker's clock, and its largest error."""

    offset_ns: int
    error_ns: int

    def local(self, at_ns: int) -> int:
        """That moment of the master's clock, on the worker's clock."""
        return at_ns - self.offset_ns


def estimate_offset(samples: Sequence[PingSample]) -> OffsetEstimate:
    """The offset by the quickest ping; zero if zero is within its error, because one machine has one clock."""
    quickest = min(samples, key=lambda sample: sample.received_ns - sample.sent_ns)
    offset_ns = quickest.master_ns - (quickest.sent_ns + quickest.received_ns) // 2
    error_ns = (quickest.received_ns - quickest.sent_ns + 1) // 2
    if abs(offset_ns) <= error_ns:
        return OffsetEstimate(0, error_ns + abs(offset_ns))
    return OffsetEstimate(offset_ns, error_ns)
