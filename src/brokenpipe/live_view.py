"""What can be seen of a run while it goes on: the values that whoever looks hands to whoever shows them.

Imports nothing, as `progress` does not, and for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

LATELY_S = 10.0


@dataclass(frozen=True, slots=True)
class Sight:
    """One arm, now: counts since the beginning of the run, rates and percentiles of the last `LATELY_S` seconds."""

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
class Deed:
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


class Looks(Protocol):
    """Reads what has been added to a history since the last look. `now` is time.monotonic_ns()."""

    def look(self, now: int) -> Mapping[str, Sight]: ...

    def deeds(self) -> Sequence[Deed]:
        """The latest, the newest last."""
        ...
