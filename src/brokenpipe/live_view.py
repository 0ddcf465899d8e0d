"""State of a run in progress: the values that the live reader passes to the web page.

Imports nothing, as `progress` does not, and for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

RECENT_S = 10.0


@dataclass(frozen=True, slots=True)
class ArmSnapshot:
    """One arm, now: counts since the beginning of the run, rates and percentiles of the last `RECENT_S` seconds."""

    requests: int
    failed: int
    broken: int
    masked: int
    requests_lately: int
    broken_lately: int
    p95_ms: float | None
    pool_out: int | None
    pool_idle: int | None
    postgres: int | None

    @property
    def rate(self) -> float | None:
        """The broken-pipe rate; None without a request."""
        return self.broken_lately / self.requests_lately if self.requests_lately else None


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """One act of the nemesis, with what raw sockets saw of it. `ended`: when what was held was healed."""

    t: int
    fault: str
    phase: str
    arms: tuple[str, ...]
    held: bool
    ended: int | None
    landed: int
    watched: int
    error: str | None


class LiveSource(Protocol):
    """Reads what has been added to a history since the last call. `now` is time.monotonic_ns()."""

    def read(self, now: int) -> Mapping[str, ArmSnapshot]: ...

    def fault_events(self) -> Sequence[FaultEvent]:
        """The latest, the newest last."""
        ...
